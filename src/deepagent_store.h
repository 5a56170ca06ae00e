/* deepagent_store.h - the store ABI: all that a native backend needs.
**
** A backend is a struct that begins with a `da_store`, whose `ops` points
** to a const table of functions. It needs this header, the one of the plain
** types that it includes, and nothing else: no symbol of the core is called.
** MIT licence, see LICENSE.
**
** Texts are UTF-8. Functions return DA_OK (0), a count where said so, or a
** negative DA_E... code, and then also fill *err (see DA_STORE_FAIL).
** The core validates ids before any call (1..200 bytes, no control
** character, no '/'), calls one function at a time per session, but calls
** for different sessions may come from several threads at once, unless
** DA_STORE_OWNER_THREAD is set.
*/
#ifndef DEEPAGENT_STORE_H
#define DEEPAGENT_STORE_H

#include "deepagent_types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct da_store da_store;

#define DA_STORE_VERSION 1u

/* Flags of a store. */
enum {
  /* The store keeps a session as one document: `load` hands the whole
  ** bytes to sink->document, `save` writes session->document as it is. */
  DA_STORE_DOCUMENT = 1,
  /* load and list never wait for a network or a lock: the caller's own
  ** thread may run them. */
  DA_STORE_LOCAL = 2,
  /* save neither waits for a network nor for a disk to flush: a caller
  ** who waits for the save anyway may run it on its own thread. */
  DA_STORE_QUICK = 4,
  /* All functions are called on the thread that owns the agent, never on
  ** a worker (a store written in Lua). */
  DA_STORE_OWNER_THREAD = 8
};

/* A revision names one state of a stored session: a string of the store's
** own, "" = the session does not exist. */
#define DA_REVISION_SIZE 96
typedef struct da_revision {
  char text[DA_REVISION_SIZE];
} da_revision;

/* Where `load` puts what it found. Functions return DA_OK or a negative
** code, upon which load must stop and return that code. */
typedef struct da_store_sink da_store_sink;
struct da_store_sink {
  /* One encoded message (a JSON object), in order; copied. */
  int (*message)(da_store_sink *, da_text json);
  /* The session's metadata (a JSON object); copied. */
  int (*meta)(da_store_sink *, da_text json);
  /* The whole document, once: `bytes` is from malloc and is taken. */
  int (*document)(da_store_sink *, char *bytes, size_t len);
};

/* What `save` is to store. All of it stays the caller's. */
typedef struct da_store_session {
  const da_text *messages; /* the whole conversation, each a JSON object */
  size_t count;
  size_t stored;               /* the first `stored` of them are what revision
                           ** `expected` holds, unchanged: a store that can
                           ** append writes only the others, if that
                           ** revision has just `stored` messages */
  da_text meta;                /* a JSON object */
  const da_text *document;     /* DA_STORE_DOCUMENT: the bytes, in pieces; */
  size_t pieces;               /* messages and meta are then NULL */
  const da_revision *expected; /* what the caller last saw; where the
                               ** stored state is another: DA_ECONFLICT.
                               ** NULL: whatever is there is replaced */
} da_store_session;

/* Where `list` puts the ids. Same rule for the result as in the sink. */
typedef struct da_store_ids da_store_ids;
struct da_store_ids {
  int (*id)(da_store_ids *, da_text id);
};

/* Stored bytes that were put aside because they could not be understood. */
typedef struct da_quarantined {
  da_text name; /* the store's own for it */
  da_text id;   /* the session's */
  double time;  /* seconds since 1970 when it was put aside */
  uint64_t bytes;
} da_quarantined;

/* Where `quarantined` puts them. Same rule for the result as in the sink. */
typedef struct da_quarantine_list da_quarantine_list;
struct da_quarantine_list {
  int (*item)(da_quarantine_list *, const da_quarantined *);
};

typedef struct da_store_ops {
  /* Valid from version 1. */
  uint32_t version; /* DA_STORE_VERSION that the store was written for */
  uint32_t flags;   /* DA_STORE_... */
  const char *name; /* "file", "redis" ... */
  /* DA_ENOTFOUND: no such session; any other error means that it could
  ** not be read, and nothing will be saved over it. *now is filled before
  ** anything is handed to the sink, so that it is known of what cannot be
  ** understood. */
  int (*load)(da_store *, const char *id, da_store_sink *, da_revision *now,
              da_err *);
  /* All or nothing; on DA_OK *now is the new revision. Where the session was
  ** replaced but the disk may not have it yet (a failed flush), the error
  ** comes with *now filled; after any other error *now is "". */
  int (*save)(da_store *, const char *id, const da_store_session *,
              da_revision *now, da_err *);
  /* DA_ENOTFOUND where there was none. */
  int (*remove)(da_store *, const char *id, da_err *);
  int (*list)(da_store *, da_store_ids *, da_err *);
  /* Frees the store. No other call is under way or will come. */
  void (*close)(da_store *);
  /* Optional (NULL: the store cannot). Puts the stored bytes of `id` aside,
  ** out of reach of load and save, and tells where in `kept` (a text of at
  ** most `size` bytes with its NUL). DA_ECONFLICT if they are no longer of
  ** revision *expected (NULL: whatever they are). Where it was done but may
  ** not last (a failed flush), the error comes with `kept` filled. */
  int (*quarantine)(da_store *, const char *id, const da_revision *expected,
                    char *kept, size_t size, da_err *);
  /* Optional, all three or none. What was put aside, of session `id` or
  ** (NULL) of all; nobody but the user ever deletes it. */
  int (*quarantined)(da_store *, const char *id, da_quarantine_list *,
                     da_err *);
  /* Like `load`, of what was put aside under that name; DA_ENOTFOUND. */
  int (*load_quarantined)(da_store *, const char *name, da_store_sink *,
                          da_err *);
  /* Makes it the stored session again. If there is one, the two change
  ** places: nothing is lost. DA_ENOTFOUND. */
  int (*restore)(da_store *, const char *name, da_err *);
} da_store_ops;

/* First member of every backend. */
struct da_store {
  const da_store_ops *ops;
};

/* Start of every native backend's module: deepagent.backend(name, options)
** finds it. `options` is a JSON object. The symbol of module "x" is
** da_store_open_x. */
typedef int da_store_open_fn(da_store **out, da_text options, da_err *err);

#ifdef __cplusplus
}
#endif
#endif
