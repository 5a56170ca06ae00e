/* da_store_recover.c - stored sessions that cannot be read (floor 2): what is
** left of them, where they are kept, and writing where they stood. */
#include <stdlib.h>
#include <string.h>

#include "da_session_id.h"
#include "da_store.h"

#define MOST_TRIES 30 /* to write before somebody else has, again */

static int unsupported(da_backend *b, da_err *err) {
  return da_fail(err, DA_EUNSUPPORTED,
                 "the %s backend puts no corrupt sessions aside",
                 da_backend_name(b));
}

/* ---- recovering ---- */

void da_recovered_init(da_recovered *r) {
  da_salvage_init(&r->salvage);
  r->bytes = 0;
  da_err_clear(&r->why);
}

void da_recovered_dispose(da_recovered *r) {
  da_salvage_dispose(&r->salvage);
}

typedef struct sink {
  da_store_sink base; /* first: the store knows only this */
  const char *id;
  da_recovered *out;
  da_err *err;
} sink;

/* Of a store that keeps messages: each by itself. */
static int take_message(da_store_sink *base, da_text json) {
  sink *s = (sink *)base;
  da_salvage *salvage = &s->out->salvage;
  da_message *m;
  int code = da_message_parse(&m, json, &s->out->why);
  if (code == DA_ENOMEM || (!code && da_history_append(&salvage->history, m)))
    return da_nomem(s->err);
  if (code) {
    if (da_salvage_drop(salvage, s->out->bytes, json.len))
      return da_nomem(s->err);
    s->out->why.code = DA_ECORRUPT;
  }
  s->out->bytes += json.len;
  return DA_OK;
}

static int take_meta(da_store_sink *base, da_text json) {
  sink *s = (sink *)base;
  da_json j;
  da_json_init(&j, json);
  if (da_json_value(&j, NULL) != DA_JSON_OBJECT || !da_json_end(&j)) {
    da_fail(&s->out->why, DA_ECORRUPT, "its metadata is no object");
    return DA_OK;
  }
  da_buf_put(&s->out->salvage.meta, json.data, json.len);
  return da_buf_check(&s->out->salvage.meta, "the metadata", s->err);
}

/* Read as ever, from a copy; where that cannot be done, salvaged. */
static int take_document(da_store_sink *base, char *bytes, size_t len) {
  sink *s = (sink *)base;
  da_recovered *r = s->out;
  char *copy = da_memdup(bytes, len);
  int code = copy ? da_document_parse(&r->salvage.history, &r->salvage.meta,
                                      s->id, copy, len, &r->why)
                  : da_nomem(&r->why);
  r->bytes = len;
  if (code == DA_ECORRUPT || code == DA_EVERSION)
    code = da_document_salvage(&r->salvage, bytes, len, s->err);
  else if (code)
    *s->err = r->why;
  free(bytes);
  return code;
}

int da_store_recover(da_backend *b, const char *id, const char *name,
                     da_recovered *out, da_err *err) {
  da_store *store = da_backend_store(b);
  sink s = {{take_message, take_meta, take_document}, id, out, err};
  da_revision ignored;
  int code = da_session_id_check(id, strlen(id), err);
  if (code)
    return code;
  if (name && !store->ops->load_quarantined)
    return unsupported(b, err);
  da_err_clear(err);
  code = name ? store->ops->load_quarantined(store, name, &s.base, err)
              : store->ops->load(store, id, &s.base, &ignored, err);
  return da_store_result(b, code, "recover", err);
}

/* ---- what was put aside ---- */

int da_store_quarantine(da_backend *b, const char *id,
                        const da_revision *expected, char *kept, size_t size,
                        da_err *err) {
  da_store *store = da_backend_store(b);
  int code;
  if (!store->ops->quarantine)
    return unsupported(b, err);
  da_err_clear(err);
  code = store->ops->quarantine(store, id, expected, kept, size, err);
  return da_store_result(b, code, "put aside", err);
}

int da_store_quarantined(da_backend *b, const char *id,
                         da_quarantine_list *list, da_err *err) {
  da_store *store = da_backend_store(b);
  int code = id ? da_session_id_check(id, strlen(id), err) : DA_OK;
  if (code)
    return code;
  if (!store->ops->quarantined)
    return unsupported(b, err);
  da_err_clear(err);
  code = store->ops->quarantined(store, id, list, err);
  return da_store_result(b, code, "list", err);
}

int da_store_restore(da_backend *b, const char *name, da_err *err) {
  da_store *store = da_backend_store(b);
  if (!store->ops->restore)
    return unsupported(b, err);
  da_err_clear(err);
  return da_store_result(b, store->ops->restore(store, name, err), "restore",
                         err);
}

/* ---- writing where it stood ---- */

/* The revision that may be replaced: of what can be read, or of nothing. */
static int make_room(da_backend *b, const char *id, da_revision *now,
                     da_err *err) {
  char kept[1024];
  da_stored stored;
  int code;
  da_stored_init(&stored);
  code = da_store_load(b, id, &stored, err);
  *now = stored.revision;
  da_stored_dispose(&stored);
  if (code == DA_ECORRUPT) {
    code = da_store_quarantine(b, id, now, kept, sizeof kept, err);
    now->text[0] = '\0';
  }
  return code == DA_ENOTFOUND ? DA_OK : code;
}

int da_store_replace(da_backend *b, const char *id, const da_history *history,
                     da_text meta, da_err *err) {
  da_revision now;
  int code, tries = 0;
  if (!da_backend_store(b)->ops->quarantine)
    return da_store_save(b, id, history, 0, meta, NULL, &now, err);
  do {
    code = make_room(b, id, &now, err);
    if (!code)
      code = da_store_save(b, id, history, 0, meta, &now, &now, err);
  } while (code == DA_ECONFLICT && ++tries < MOST_TRIES);
  return code;
}
