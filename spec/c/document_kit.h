/* document_kit.h - what the tests of documents share: building, loading and
** comparing them. */
#ifndef DOCUMENT_KIT_H
#define DOCUMENT_KIT_H

#include "da_document.h"

#include "check.h"
#include "text_kit.h"

static da_err err;

/* A history of `n` messages, the same in each run: contents of about 60 and
** 400 bytes by turns, with quotes, newlines and more than ASCII. */
static inline void kit_append(da_history *h, unsigned from, unsigned n) {
  da_buf text, wire;
  da_buf_init(&text, KIT_CAP);
  da_buf_init(&wire, KIT_CAP);
  for (unsigned i = from; i < from + n; i++) {
    char id[32];
    da_text id_text = {id, 0};
    da_message *m = NULL;
    id_text.len = (size_t)snprintf(id, sizeof id, "message-%u", i);
    da_buf_reset(&text);
    da_buf_reset(&wire);
    for (unsigned k = 0; k < (i % 2 ? 8u : 1u); k++)
      da_buf_printf(&text,
                    "%u: \"Gr\xc3\xbc\xc3\x9f"
                    "e\"\n\xe2\x82\xac\t\xf0"
                    "\x9f\x98\x80 and so on, and on %u; ",
                    i, k);
    da_buf_printf(
        &wire, "{\"role\":\"%s\",\"content\":", i % 2 ? "assistant" : "user");
    da_json_put_string(&wire, text.data, text.len);
    da_buf_puts(&wire, "}");
    CHECK_INT(da_message_new(&m, da_buf_text(&wire), &id_text,
                             1700000000.5 + i, &err),
              DA_OK);
    CHECK_INT(da_history_append(h, m), DA_OK);
  }
  da_buf_dispose(&text);
  da_buf_dispose(&wire);
}

/* The document's bytes, to be freed with kit_free. */
static inline da_text kit_build(const char *id, const char *meta,
                                const da_history *h) {
  da_document doc;
  da_text all = {NULL, 0};
  char *bytes;
  CHECK_INT(da_document_build(&doc, id, kit_text_of(meta), h, &err), DA_OK);
  bytes = malloc(doc.bytes + 1);
  for (size_t i = 0; i < doc.count; i++) {
    memcpy(bytes + all.len, doc.pieces[i].data, doc.pieces[i].len);
    all.len += doc.pieces[i].len;
  }
  CHECK_INT(all.len, doc.bytes);
  bytes[all.len] = '\0';
  all.data = bytes;
  da_document_dispose(&doc);
  return all;
}

typedef struct loaded {
  da_history history;
  da_buf meta;
  int code;
} loaded;

static inline void kit_load(loaded *l, const char *id, da_text bytes) {
  memset(l, 0, sizeof *l);
  da_buf_init(&l->meta, KIT_CAP);
  memset(&err, 0, sizeof err);
  l->code = da_document_parse(&l->history, &l->meta, id,
                              (char *)(uintptr_t)kit_exact(bytes).data,
                              bytes.len, &err);
  CHECK_INT(err.code, l->code);
  if (l->code)
    CHECK(l->history.len == 0 && l->meta.len == 0);
}

static inline void kit_unload(loaded *l) {
  da_history_dispose(&l->history);
  da_buf_dispose(&l->meta);
}

/* What parsing gives; nothing is kept. */
static inline int kit_code(const char *id, da_text bytes) {
  loaded l;
  kit_load(&l, id, bytes);
  kit_unload(&l);
  return l.code;
}

static inline int kit_code_s(const char *id, const char *text) {
  return kit_code(id, kit_text_of(text));
}

static inline int kit_begins(da_text doc, const char *part) {
  return doc.len >= strlen(part) && memcmp(doc.data, part, strlen(part)) == 0;
}

static inline int kit_has(da_text doc, const char *part) {
  return memmem(doc.data, doc.len, part, strlen(part)) != NULL;
}

/* 1 if both are the same messages. */
static inline int kit_same_history(const da_history *a, const da_history *b) {
  da_history_iter i, k;
  da_message *m;
  int same = a->len == b->len;
  da_history_begin(&i, a, 0);
  da_history_begin(&k, b, 0);
  while (same && (m = da_history_next(&i)))
    same = kit_same(da_message_json(m), da_message_json(da_history_next(&k)));
  da_history_end(&i);
  da_history_end(&k);
  return same;
}

#endif
