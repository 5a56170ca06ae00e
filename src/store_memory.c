/* store_memory.c - see store_memory.h.
**
** A hash table of sessions; each points to its current version, which is
** never changed but replaced. Every change takes effect by one store of a
** pointer: so all is whole at any moment, also to the child of a fork at
** that moment.
*/
#include "store_memory.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "da_err.h"

typedef struct version {
  uint64_t number;
  da_text meta;
  size_t count;
  da_text messages[]; /* each from malloc; version after version of a
                      ** session shares them with the one it replaces */
} version;

typedef struct entry {
  _Atomic(version *) now;
  _Atomic(struct entry *) next;
  char id[]; /* NUL-terminated */
} entry;

/* The place of a pointer to an entry. */
typedef _Atomic(entry *) chain;

#define BUCKETS 1024 /* chains stay short up to some 10,000 sessions */

typedef struct store {
  da_store base;
  atomic_int pid; /* whose lock it is; 0: a child is making its own */
  pthread_rwlock_t lock;
  uint64_t last; /* number of the last version made, of any session */
  chain buckets[BUCKETS];
} store;

/* --- the lock ----------------------------------------------------------- */

/* After a fork the lock may be held by a thread that the child does not
** have, so the child makes a new one, at its first use. */
static void own_lock(store *s) {
  int self = (int)getpid(), owner = atomic_load(&s->pid);
  while (owner != self) {
    if (owner != 0 && atomic_compare_exchange_strong(&s->pid, &owner, 0)) {
      pthread_rwlock_init(&s->lock, NULL);
      atomic_store(&s->pid, self);
    }
    owner = atomic_load(&s->pid);
  }
}

static void lock_to_read(store *s) {
  own_lock(s);
  pthread_rwlock_rdlock(&s->lock);
}

static void lock_to_write(store *s) {
  own_lock(s);
  pthread_rwlock_wrlock(&s->lock);
}

/* --- versions ----------------------------------------------------------- */

/* 0 if memory ran out. An empty text needs none. */
static int copy(da_text *out, da_text text) {
  char *data = text.len ? malloc(text.len) : NULL;
  if (text.len && !data)
    return 0;
  if (text.len)
    memcpy(data, text.data, text.len);
  out->data = data;
  out->len = text.len;
  return 1;
}

static void text_free(da_text text) {
  free((void *)(uintptr_t)text.data); /* const only to those who look */
}

/* Frees a version but for its first `kept` messages. */
static void version_free(version *v, size_t kept) {
  if (!v)
    return;
  for (; kept < v->count; kept++)
    text_free(v->messages[kept]);
  text_free(v->meta);
  free(v);
}

/* The version after `old` (NULL: the first): `kept` messages of old's and
** copies of the rest. NULL if memory ran out; old stays as it is. */
static version *version_new(const version *old, size_t kept,
                            const da_store_session *s) {
  version *v = calloc(1, sizeof *v + s->count * sizeof v->messages[0]);
  if (!v)
    return NULL;
  if (kept > 0)
    memcpy(v->messages, old->messages, kept * sizeof v->messages[0]);
  for (v->count = kept; v->count < s->count; v->count++)
    if (!copy(&v->messages[v->count], s->messages[v->count]))
      break;
  if (v->count < s->count || !copy(&v->meta, s->meta)) {
    version_free(v, kept);
    return NULL;
  }
  return v;
}

static void tell_revision(da_revision *r, const version *v) {
  r->text[0] = '\0';
  if (v)
    snprintf(r->text, sizeof r->text, "%" PRIu64, v->number);
}

/* --- sessions ----------------------------------------------------------- */

/* The link that leads to the session `id`, or the last one of its chain. */
static chain *find(store *s, const char *id) {
  uint32_t h = 2166136261u; /* FNV-1a */
  const unsigned char *c = (const unsigned char *)id;
  chain *at;
  entry *e;
  while (*c)
    h = (h ^ *c++) * 16777619u;
  at = &s->buckets[h % BUCKETS];
  while ((e = atomic_load(at)) != NULL && strcmp(e->id, id) != 0)
    at = &e->next;
  return at;
}

/* A new session with its first version, which is taken upon success only,
** at the end of a chain. 0 if memory ran out. */
static int append(chain *at, const char *id, version *v) {
  size_t size = strlen(id) + 1;
  entry *e = malloc(sizeof *e + size);
  if (!e)
    return 0;
  memcpy(e->id, id, size);
  atomic_init(&e->now, v);
  atomic_init(&e->next, NULL);
  atomic_store(at, e);
  return 1;
}

static void entry_free(entry *e) {
  version_free(atomic_load(&e->now), 0);
  free(e);
}

/* --- the functions of the store ----------------------------------------- */

static int no_session(da_err *err) {
  return da_fail(err, DA_ENOTFOUND, "there is no such session");
}

static int load(da_store *base, const char *id, da_store_sink *sink,
                da_revision *now, da_err *err) {
  store *s = (store *)base;
  entry *e;
  int code = DA_OK;
  now->text[0] = '\0';
  lock_to_read(s);
  e = atomic_load(find(s, id));
  if (!e) {
    code = no_session(err);
  } else {
    const version *v = atomic_load(&e->now);
    tell_revision(now, v);
    if (v->meta.len > 0)
      code = sink->meta(sink, v->meta);
    for (size_t i = 0; i < v->count && code == DA_OK; i++)
      code = sink->message(sink, v->messages[i]);
  }
  pthread_rwlock_unlock(&s->lock);
  return code;
}

static int conflict(const version *v, const da_revision *expected) {
  da_revision there;
  tell_revision(&there, v);
  return expected && strcmp(there.text, expected->text) != 0;
}

/* Under the lock: puts a new version in place of what is there. */
static int put(store *s, const char *id, const da_store_session *session,
               da_revision *now, da_err *err) {
  chain *at = find(s, id);
  entry *e = atomic_load(at);
  version *old = e ? atomic_load(&e->now) : NULL, *v;
  size_t kept = 0;
  if (conflict(old, session->expected))
    return da_fail(err, DA_ECONFLICT, "the session was changed meanwhile");
  if (old && session->expected && session->stored <= old->count &&
      session->stored <= session->count)
    kept = session->stored;
  v = version_new(old, kept, session);
  if (!v)
    return da_nomem(err);
  v->number = ++s->last;
  if (!e && !append(at, id, v)) {
    version_free(v, 0);
    return da_nomem(err);
  }
  if (e) {
    atomic_store(&e->now, v);
    version_free(old, kept);
  }
  tell_revision(now, v);
  return DA_OK;
}

static int save(da_store *base, const char *id,
                const da_store_session *session, da_revision *now,
                da_err *err) {
  store *s = (store *)base;
  da_revision made = {""}; /* as `now` may be what is expected, too */
  int code;
  lock_to_write(s);
  code = put(s, id, session, &made, err);
  pthread_rwlock_unlock(&s->lock);
  *now = made;
  return code;
}

static int drop(da_store *base, const char *id, da_err *err) {
  store *s = (store *)base;
  chain *at;
  entry *e;
  lock_to_write(s);
  at = find(s, id);
  e = atomic_load(at);
  if (e)
    atomic_store(at, atomic_load(&e->next));
  pthread_rwlock_unlock(&s->lock);
  if (!e)
    return no_session(err);
  entry_free(e);
  return DA_OK;
}

static int list(da_store *base, da_store_ids *ids, da_err *err) {
  store *s = (store *)base;
  int code = DA_OK;
  (void)err; /* only `ids` can fail, and knows why */
  lock_to_read(s);
  for (size_t i = 0; i < BUCKETS; i++)
    for (entry *e = atomic_load(&s->buckets[i]); e && code == DA_OK;
         e = atomic_load(&e->next)) {
      da_text id = {e->id, strlen(e->id)};
      code = ids->id(ids, id);
    }
  pthread_rwlock_unlock(&s->lock);
  return code;
}

static void close_store(da_store *base) {
  store *s = (store *)base;
  own_lock(s);
  for (size_t i = 0; i < BUCKETS; i++)
    for (entry *e = atomic_load(&s->buckets[i]), *next; e; e = next) {
      next = atomic_load(&e->next);
      entry_free(e);
    }
  pthread_rwlock_destroy(&s->lock);
  free(s);
}

static const da_store_ops memory_ops = {
    .version = DA_STORE_VERSION,
    .flags = DA_STORE_LOCAL | DA_STORE_QUICK,
    .name = "memory",
    .load = load,
    .save = save,
    .remove = drop,
    .list = list,
    .close = close_store,
};

int da_store_memory(da_store **out, da_err *err) {
  store *s = calloc(1, sizeof *s);
  if (!s)
    return da_nomem(err);
  pthread_rwlock_init(&s->lock, NULL); /* of glibc: cannot fail */
  s->base.ops = &memory_ops;
  for (size_t i = 0; i < BUCKETS; i++)
    atomic_init(&s->buckets[i], NULL);
  atomic_init(&s->pid, (int)getpid());
  *out = &s->base;
  return DA_OK;
}
