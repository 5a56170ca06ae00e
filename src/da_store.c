/* da_store.c - the only callers of the store ABI (floor 2). */
#include "da_store.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "da_document.h"
#include "da_meta.h"
#include "da_session_id.h"

struct da_backend {
  atomic_uint refs;
  da_store *store;
};

/* ---- lifetime ---- */

static int usable(const da_store_ops *ops) {
  return ops && ops->version >= 1 && ops->name && ops->load && ops->save &&
         ops->remove && ops->list && ops->close;
}

int da_backend_new(da_backend **out, da_store *store, da_err *err) {
  da_backend *b;
  if (!usable(store->ops)) {
    if (store->ops && store->ops->close)
      store->ops->close(store);
    return da_fail(err, DA_EINVAL, "the backend lacks a function");
  }
  b = malloc(sizeof *b);
  if (!b) {
    store->ops->close(store);
    return da_nomem(err);
  }
  atomic_init(&b->refs, 1);
  b->store = store;
  *out = b;
  return DA_OK;
}

da_backend *da_backend_ref(da_backend *b) {
  atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
  return b;
}

void da_backend_unref(da_backend *b) {
  if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
    return;
  b->store->ops->close(b->store);
  free(b);
}

da_store *da_backend_store(da_backend *b) {
  return b->store;
}

uint32_t da_backend_flags(const da_backend *b) {
  return b->store->ops->flags;
}

const char *da_backend_name(const da_backend *b) {
  return b->store->ops->name;
}

int da_store_result(da_backend *b, int code, const char *verb, da_err *err) {
  if (code < 0 && err->code != code)
    return da_fail(err, code, "the %s backend could not %s (%s)",
                   b->store->ops->name, verb, da_code_name(code));
  return code < 0 ? code : DA_OK;
}

/* ---- load ---- */

void da_stored_init(da_stored *s) {
  memset(s, 0, sizeof *s);
  da_buf_init(&s->meta, DA_MESSAGE_MAX);
}

void da_stored_dispose(da_stored *s) {
  da_history_dispose(&s->history);
  da_buf_dispose(&s->meta);
}

typedef struct sink {
  da_store_sink base; /* first: the store knows only this */
  da_stored *out;
  const char *id;
  int filled;
  da_err *err;
} sink;

static int corrupt(sink *s, const char *why) {
  return da_fail(s->err, DA_ECORRUPT, "session '%s' is corrupt: %s", s->id,
                 why);
}

static int sink_message(da_store_sink *base, da_text json) {
  sink *s = (sink *)base;
  da_message *m;
  da_err why;
  int code = da_message_parse(&m, json, &why);
  s->filled = 1;
  if (code == DA_ENOMEM || (!code && da_history_append(&s->out->history, m)))
    return da_nomem(s->err);
  return code ? corrupt(s, why.message) : DA_OK;
}

static int sink_meta(da_store_sink *base, da_text json) {
  sink *s = (sink *)base;
  s->filled = 1;
  if (!da_meta_check(json))
    return corrupt(s, "its metadata is no JSON object");
  da_buf_reset(&s->out->meta);
  da_buf_put(&s->out->meta, json.data, json.len);
  return da_buf_check(&s->out->meta, "the metadata", s->err);
}

static int sink_document(da_store_sink *base, char *bytes, size_t len) {
  sink *s = (sink *)base;
  if (s->filled) {
    free(bytes);
    return corrupt(s, "the backend gave it twice");
  }
  s->filled = 1;
  return da_document_parse(&s->out->history, &s->out->meta, s->id, bytes, len,
                           s->err);
}

int da_store_load(da_backend *b, const char *id, da_stored *out, da_err *err) {
  sink s = {{sink_message, sink_meta, sink_document}, out, id, 0, err};
  int code = da_session_id_check(id, strlen(id), err);
  if (code)
    return code;
  da_err_clear(err);
  code = b->store->ops->load(b->store, id, &s.base, &out->revision, err);
  code = da_store_result(b, code, "load", err);
  if (code) {
    da_history_dispose(&out->history);
    da_buf_reset(&out->meta);
  }
  if (code == DA_ENOTFOUND)
    out->revision.text[0] = '\0';
  return code;
}

/* ---- save ---- */

static int save_document(da_backend *b, const char *id,
                         const da_history *history, da_store_session *session,
                         da_revision *now, da_err *err) {
  da_document doc;
  int code = da_document_build(&doc, id, session->meta, history, err);
  if (code)
    return code;
  session->document = doc.pieces;
  session->pieces = doc.count;
  code = b->store->ops->save(b->store, id, session, now, err);
  da_document_dispose(&doc);
  return code;
}

static int save_messages(da_backend *b, const char *id,
                         const da_history *history, da_store_session *session,
                         da_revision *now, da_err *err) {
  da_text *texts = malloc((history->len + 1) * sizeof *texts);
  da_history_iter it;
  da_message *m;
  size_t i = 0;
  int code;
  if (!texts)
    return da_nomem(err);
  da_history_begin(&it, history, 0);
  while ((m = da_history_next(&it)))
    texts[i++] = da_message_json(m);
  da_history_end(&it);
  session->messages = texts;
  session->count = i;
  code = it.failed ? da_nomem(err)
                   : b->store->ops->save(b->store, id, session, now, err);
  free(texts);
  return code;
}

int da_store_save(da_backend *b, const char *id, const da_history *history,
                  size_t stored, da_text meta, const da_revision *expected,
                  da_revision *now, da_err *err) {
  static const da_text no_meta = {"{}", 2};
  da_store_session session;
  int code = da_session_id_check(id, strlen(id), err);
  if (code)
    return code;
  da_err_clear(err);
  memset(&session, 0, sizeof session);
  session.stored = stored;
  session.meta = meta.len ? meta : no_meta;
  session.expected = expected;
  if (b->store->ops->flags & DA_STORE_DOCUMENT)
    code = save_document(b, id, history, &session, now, err);
  else
    code = save_messages(b, id, history, &session, now, err);
  return da_store_result(b, code, "save", err);
}

/* ---- the rest ---- */

int da_store_remove(da_backend *b, const char *id, da_err *err) {
  int code = da_session_id_check(id, strlen(id), err);
  if (code)
    return code;
  da_err_clear(err);
  code = b->store->ops->remove(b->store, id, err);
  return da_store_result(b, code, "delete", err);
}

int da_store_list(da_backend *b, da_store_ids *ids, da_err *err) {
  da_err_clear(err);
  return da_store_result(b, b->store->ops->list(b->store, ids, err), "list",
                         err);
}
