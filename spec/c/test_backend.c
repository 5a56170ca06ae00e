/* test_backend.c - the callers of the store ABI, against stores that do not
** keep to it. */
#include "da_store.h"

#include "check.h"
#include "text_kit.h"

static da_err err;

/* A store whose functions are the test's choice; `closed` counts. */
typedef struct odd_store {
  da_store base;
  da_store_ops ops;
  const char *first, *second; /* documents, messages or metadata to give */
  int code;                   /* what its functions return */
  int closed;
} odd_store;

static char *copy_of(const char *s) {
  char *copy = strdup(s);
  if (!copy)
    exit(EXIT_FAILURE);
  return copy;
}

static int give_documents(da_store *s, const char *id, da_store_sink *sink,
                          da_revision *now, da_err *e) {
  const odd_store *o = (odd_store *)s;
  int code;
  (void)id, (void)e;
  memcpy(now->text, "r1", 3);
  code = sink->document(sink, copy_of(o->first), strlen(o->first));
  if (!code && o->second)
    code = sink->document(sink, copy_of(o->second), strlen(o->second));
  return code;
}

static int give_pieces(da_store *s, const char *id, da_store_sink *sink,
                       da_revision *now, da_err *e) {
  const odd_store *o = (odd_store *)s;
  int code = DA_OK;
  (void)id, (void)e;
  memcpy(now->text, "r1", 3);
  if (o->first)
    code = sink->meta(sink, kit_text_of(o->first));
  if (!code && o->second)
    code = sink->message(sink, kit_text_of(o->second));
  return code ? code : o->code;
}

static int save(da_store *s, const char *id, const da_store_session *session,
                da_revision *now, da_err *e) {
  (void)id, (void)session, (void)now, (void)e;
  return ((odd_store *)s)->code;
}

static int drop(da_store *s, const char *id, da_err *e) {
  (void)id, (void)e;
  return ((odd_store *)s)->code;
}

static int list(da_store *s, da_store_ids *ids, da_err *e) {
  (void)ids, (void)e;
  return ((odd_store *)s)->code;
}

static void close_store(da_store *s) {
  ((odd_store *)s)->closed++;
}

static void begin(odd_store *o) {
  memset(o, 0, sizeof *o);
  o->ops = (da_store_ops){.version = DA_STORE_VERSION,
                          .name = "odd",
                          .load = give_pieces,
                          .save = save,
                          .remove = drop,
                          .list = list,
                          .close = close_store};
  o->base.ops = &o->ops;
}

/* ---- what is refused at once ---- */

static void refuse(odd_store *o, int closed) {
  da_backend *b = NULL;
  CHECK_INT(da_backend_new(&b, &o->base, &err), DA_EINVAL);
  CHECK_STR(err.message, "the backend lacks a function");
  CHECK_INT(o->closed, closed); /* it was taken all the same */
  begin(o);
}

static void lacking_functions(void) {
  odd_store o;
  begin(&o);
  o.ops.load = NULL;
  refuse(&o, 1);
  o.ops.save = NULL;
  refuse(&o, 1);
  o.ops.remove = NULL;
  refuse(&o, 1);
  o.ops.list = NULL;
  refuse(&o, 1);
  o.ops.close = NULL;
  refuse(&o, 0);
  o.ops.name = NULL;
  refuse(&o, 1);
  o.ops.version = 0;
  refuse(&o, 1);
  o.base.ops = NULL;
  refuse(&o, 0);
}

/* ---- loading ---- */

/* Loads what `o` gives; what came must not remain if that failed. */
static int load(odd_store *o) {
  da_backend *b = NULL;
  da_stored stored;
  int code;
  CHECK_INT(da_backend_new(&b, &o->base, &err), DA_OK);
  da_stored_init(&stored);
  code = da_store_load(b, "x", &stored, &err);
  CHECK_INT(stored.history.len > 0, code == DA_OK);
  CHECK_STR(stored.revision.text, code == DA_ENOTFOUND ? "" : "r1");
  da_stored_dispose(&stored);
  da_backend_unref(b);
  CHECK_INT(o->closed, 1);
  o->closed = 0;
  return code;
}

#define HI "{\"role\":\"user\",\"content\":\"Hi\"}"

static void documents(void) {
  odd_store o;
  begin(&o);
  o.ops.flags = DA_STORE_DOCUMENT;
  o.ops.load = give_documents;
  o.first = "[" HI "]";
  CHECK_INT(load(&o), DA_OK);
  o.second = "[" HI "]";
  CHECK_INT(load(&o), DA_ECORRUPT);
  CHECK(strstr(err.message, "gave it twice") != NULL);
  o.first = "[" HI;
  CHECK_INT(load(&o), DA_ECORRUPT);
}

static void pieces(void) {
  odd_store o;
  begin(&o);
  o.first = "{\"a\":1}";
  o.second = HI;
  CHECK_INT(load(&o), DA_OK);
  o.first = "[1]";
  CHECK_INT(load(&o), DA_ECORRUPT);
  o.first = "{\"a\":1} x";
  CHECK_INT(load(&o), DA_ECORRUPT);
  CHECK(strstr(err.message, "metadata") != NULL);
  o.first = NULL;
  o.second = "{\"content\":\"no role\"}";
  CHECK_INT(load(&o), DA_ECORRUPT);
  o.second = HI;
  o.code = DA_EIO; /* the message came, and then it broke off */
  CHECK_INT(load(&o), DA_EIO);
  o.code = DA_ENOTFOUND;
  CHECK_INT(load(&o), DA_ENOTFOUND);
}

/* What can be had of a store that keeps messages: those that are some. */
static void recovering(void) {
  da_backend *b = NULL;
  da_recovered r;
  odd_store o;
  begin(&o);
  CHECK_INT(da_backend_new(&b, &o.base, &err), DA_OK);
  for (int i = 0; i < 3; i++) {
    o.first = i == 0 ? "[1]" : "{\"a\":1}";
    o.second = i == 1 ? "{\"content\":\"no role\"}" : HI;
    da_recovered_init(&r);
    CHECK_INT(da_store_recover(b, "x", NULL, &r, &err), DA_OK);
    CHECK_INT(r.why.code, i == 2 ? DA_OK : DA_ECORRUPT);
    CHECK_INT(r.salvage.history.len, i != 1);
    CHECK_INT(r.salvage.meta.len, i == 0 ? 0 : 7);
    CHECK_INT(r.salvage.dropped_count, i == 1);
    CHECK_INT(r.bytes, strlen(o.second));
    if (i == 1) {
      CHECK_INT(r.salvage.dropped[0].offset, 0);
      CHECK_INT(r.salvage.dropped[0].bytes, strlen(o.second));
    }
    da_recovered_dispose(&r);
  }
  da_backend_unref(b);
}

/* In a document: what is dropped begins with what can be read as nothing. */
static void recovering_a_document(void) {
  static const char text[] = "{\"messages\": [" HI ",\n , x,\n" HI "\n]}";
  da_backend *b = NULL;
  da_recovered r;
  odd_store o;
  begin(&o);
  o.ops.flags = DA_STORE_DOCUMENT;
  o.ops.load = give_documents;
  o.first = text;
  CHECK_INT(da_backend_new(&b, &o.base, &err), DA_OK);
  da_recovered_init(&r);
  CHECK_INT(da_store_recover(b, "x", NULL, &r, &err), DA_OK);
  CHECK_INT(r.why.code, DA_ECORRUPT);
  CHECK_INT(r.salvage.history.len, 2);
  CHECK_INT(r.salvage.dropped_count, 1);
  if (r.salvage.dropped_count) {
    CHECK_INT(r.salvage.dropped[0].offset, strstr(text, "x,") - text);
    CHECK_INT(r.salvage.dropped[0].bytes, 1);
  }
  CHECK_INT(r.bytes, sizeof text - 1);
  da_recovered_dispose(&r);
  da_backend_unref(b);
}

/* ---- errors ---- */

/* Who fails without a word is quoted with the code's name. */
static void failures_without_words(void) {
  static const da_text meta = {"{}", 2};
  const da_history nothing = DA_HISTORY_EMPTY;
  da_revision now = {""};
  da_backend *b = NULL;
  odd_store o;
  begin(&o);
  o.code = DA_EPERM;
  CHECK_INT(da_backend_new(&b, &o.base, &err), DA_OK);
  CHECK_INT(da_store_save(b, "x", &nothing, 0, meta, NULL, &now, &err),
            DA_EPERM);
  CHECK(strstr(err.message, "the odd backend could not save (") != NULL);
  CHECK_INT(da_store_remove(b, "x", &err), DA_EPERM);
  CHECK(strstr(err.message, "the odd backend could not delete (") != NULL);
  CHECK_INT(da_store_list(b, NULL, &err), DA_EPERM);
  CHECK(strstr(err.message, "the odd backend could not list (") != NULL);
  CHECK_INT(da_store_quarantine(b, "x", NULL, NULL, 0, &err), DA_EUNSUPPORTED);
  CHECK_INT(da_store_quarantined(b, "x", NULL, &err), DA_EUNSUPPORTED);
  CHECK_INT(da_store_quarantined(b, NULL, NULL, &err), DA_EUNSUPPORTED);
  CHECK_INT(da_store_restore(b, "x", &err), DA_EUNSUPPORTED);
  o.code = 1; /* a success, whatever it means by it */
  CHECK_INT(da_store_list(b, NULL, &err), DA_OK);
  da_backend_unref(b);
}

/* A bad id never reaches a store. */
static void bad_ids(void) {
  static const da_text meta = {"{}", 2};
  const da_history nothing = DA_HISTORY_EMPTY;
  da_revision now;
  da_backend *b = NULL;
  da_stored stored;
  odd_store o;
  begin(&o);
  o.code = DA_EIO; /* what would come of it */
  CHECK_INT(da_backend_new(&b, &o.base, &err), DA_OK);
  da_stored_init(&stored);
  CHECK_INT(da_store_load(b, "a/b", &stored, &err), DA_EID);
  CHECK_INT(da_store_save(b, "", &nothing, 0, meta, NULL, &now, &err), DA_EID);
  CHECK_INT(da_store_remove(b, "a\n", &err), DA_EID);
  CHECK_INT(da_store_quarantined(b, "a/b", NULL, &err), DA_EID);
  CHECK_INT(da_store_recover(b, "a/b", NULL, NULL, &err), DA_EID);
  CHECK_INT(da_store_recover(b, "x", "name", NULL, &err), DA_EUNSUPPORTED);
  da_stored_dispose(&stored);
  da_backend_unref(b);
}

int main(void) {
  RUN(lacking_functions);
  RUN(documents);
  RUN(pieces);
  RUN(recovering);
  RUN(recovering_a_document);
  RUN(failures_without_words);
  RUN(bad_ids);
  return check_done();
}
