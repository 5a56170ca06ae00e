/* da_message.h - one immutable message that holds its own text (floor 1).
**
** The text is the line that stores keep: the wire object with the members of
** ours in front, of which an answer may have a third, the tokens it took,
**   {"id":"<id>","created_at":<seconds>,"role":"user","content":"Hi"}
**   {"id":"<id>","created_at":<seconds>,"usage":{...},"role":"assistant",...}
** so the wire text, to the byte, is "{" and what follows ours.
** Messages are reference-counted and may be shared between threads.
*/
#ifndef DA_MESSAGE_H
#define DA_MESSAGE_H

#include "da_json.h"

#define DA_MESSAGE_ID_SIZE 20 /* of an id we make, without a NUL */
#define DA_MESSAGE_MAX ((size_t)256 << 20)

typedef enum da_role {
  DA_ROLE_OTHER, /* kept and sent as it is, never taken for another */
  DA_ROLE_SYSTEM,
  DA_ROLE_USER,
  DA_ROLE_ASSISTANT,
  DA_ROLE_TOOL
} da_role;

typedef struct da_message da_message;

/* One block of bytes that many loaded messages are slices of. */
typedef struct da_arena da_arena;

/* A new message around the wire object `wire`, which is copied. It must be
** an object with a string "role". `id` NULL: a fresh one. created_at < 0
** (or beyond the year 5138): now. DA_EJSON, DA_EINVAL, DA_ETOOLARGE or
** DA_ENOMEM upon failure. */
int da_message_new(da_message **out, da_text wire, const da_text *id,
                   double created_at, da_err *err);

/* The assistant's answer, with the JSON object in which the service counted
** its tokens; `usage` empty: it did not. */
int da_message_answer(da_message **out, da_text wire, da_text usage,
                      da_err *err);

/* A fresh id, as messages have them, with a NUL. */
void da_message_fresh_id(char id[DA_MESSAGE_ID_SIZE + 1]);

/* {"role":role,"content":text}. DA_EUTF8 if `text` is not UTF-8. */
int da_message_text(da_message **out, const char *role, da_text text,
                    da_err *err);

/* From a line that may or may not have our members in front (or anywhere);
** what it lacks is made up. Copies. */
int da_message_parse(da_message **out, da_text line, da_err *err);

da_message *da_message_ref(da_message *m);
void da_message_unref(da_message *m); /* NULL is fine */

da_text da_message_json(const da_message *m); /* the stored line */
da_text da_message_tail(const da_message *m); /* the wire without its '{' */
da_text da_message_id(const da_message *m);   /* plain, needs no escape */
double da_message_created_at(const da_message *m); /* 0: no sensible time */
da_text da_message_usage(const da_message *m);     /* an object, or len 0 */
da_role da_message_role(const da_message *m);
uint64_t da_message_hash(const da_message *m); /* of the stored line */

/* Appends the message's text: "content" where it is a string, the texts of
** its parts where it is an array, nothing where it is null. */
int da_message_content(const da_message *m, da_buf *out);

/* Lines come framed: DA_FRAME_BEFORE blanks before the text and ",\n" after
** it, so that neighbours in one arena are written as one piece. 0 if this
** message (of a file laid out otherwise) is not. */
#define DA_FRAME_BEFORE 4
#define DA_FRAME_AFTER 2
int da_message_framed(const da_message *m);

/* ---- for da_document: many messages out of one block ---- */

/* Takes `bytes` (from malloc) even upon failure (NULL, out of memory). One
** reference is the caller's; each message holds another. */
da_arena *da_arena_new(char *bytes);
void da_arena_unref(da_arena *a);

/* The members of a message, as a walk over its object finds them. */
typedef struct da_message_parts {
  da_text json;    /* the whole object */
  da_text id;      /* raw, inside its quotes; data NULL if none */
  da_text created; /* raw number; data NULL if none */
  da_text usage;   /* raw object; data NULL if none */
  da_text role;    /* raw, inside its quotes; data NULL if none */
  size_t wire;     /* offset of the wire members if ours are in front */
} da_message_parts;

/* Whether an id can be ours: printable ASCII that needs no escape, for it
** goes into other texts as it is; 1 to 255 bytes. */
int da_message_id_ok(da_text id);

/* Walks the message object that comes next in *j, checking it strictly.
** DA_OK, DA_EJSON (bad text) or DA_EINVAL (no message: no object, or no
** role that is a string; parts->json is set where only the role lacks). */
int da_message_walk(da_json *j, da_message_parts *parts, da_err *err);

/* A message that is the slice `parts->json` of the arena's bytes, which must
** have parts->wire set. `framed`: see above. NULL without memory. */
da_message *da_arena_message(da_arena *a, const da_message_parts *parts,
                             int framed);

#endif
