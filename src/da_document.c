/* da_document.c - a session as one JSON document: writing it (floor 2).
** Reading it is in da_document_parse.c. */
#include "da_document.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "da_hash.h"

/* Pieces that touch in memory become one: a conversation that was loaded
** is written from the very bytes it was read into. */
static void add(da_document *doc, const char *data, size_t len) {
  da_text *last = doc->count ? &doc->pieces[doc->count - 1] : NULL;
  doc->bytes += len;
  if (last && last->data + last->len == data) {
    last->len += len;
    return;
  }
  doc->pieces[doc->count].data = data;
  doc->pieces[doc->count++].len = len;
}

static void add_message(da_document *doc, const da_message *m, int last) {
  static const char before[] = "    ", after[] = ",\n";
  da_text text = da_message_json(m);
  if (da_message_framed(m)) {
    add(doc, text.data - DA_FRAME_BEFORE,
        DA_FRAME_BEFORE + text.len + (last ? 0 : DA_FRAME_AFTER));
    return;
  }
  add(doc, before, DA_FRAME_BEFORE);
  add(doc, text.data, text.len);
  if (!last)
    add(doc, after, DA_FRAME_AFTER);
}

static int add_messages(da_document *doc, const da_history *history,
                        uint64_t *sum) {
  da_history_iter it;
  da_message *m;
  size_t i = 0;
  da_history_begin(&it, history, 0);
  while ((m = da_history_next(&it))) {
    *sum = da_hash_mix(*sum, da_message_hash(m));
    add_message(doc, m, ++i == history->len);
  }
  da_history_end(&it);
  return it.failed ? DA_ENOMEM : DA_OK;
}

static int put_head(da_buf *frame, const char *id, da_text meta,
                    size_t messages) {
  da_buf_printf(frame,
                "{\n  \"version\": %d,\n  \"id\": ", DA_DOCUMENT_VERSION);
  da_json_put_string(frame, id, strlen(id));
  da_buf_puts(frame, ",\n  \"metadata\": ");
  da_buf_put(frame, meta.data, meta.len);
  return da_buf_puts(frame, messages ? ",\n  \"messages\": [\n"
                                     : ",\n  \"messages\": [");
}

int da_document_build(da_document *doc, const char *id, da_text meta,
                      const da_history *history, da_err *err) {
  size_t head;
  uint64_t sum;
  int code;
  memset(doc, 0, sizeof *doc);
  da_buf_init(&doc->frame, meta.len + 4096);
  /* Three pieces a message at the most, and the head and the tail. The
  ** frame must not move once a piece points into it. */
  doc->pieces = malloc((history->len * 3 + 2) * sizeof *doc->pieces);
  if (!doc->pieces || put_head(&doc->frame, id, meta, history->len) ||
      !da_buf_room(&doc->frame, 256)) {
    code = doc->pieces ? da_buf_check(&doc->frame, "the metadata", err)
                       : da_nomem(err);
    da_document_dispose(doc);
    return code;
  }
  head = doc->frame.len;
  sum = da_hash(doc->frame.data, head, 0);
  add(doc, doc->frame.data, head);
  if (add_messages(doc, history, &sum)) {
    da_document_dispose(doc);
    return da_nomem(err);
  }
  da_buf_puts(&doc->frame, history->len ? "\n  ],\n" : "],\n");
  da_buf_printf(&doc->frame, "  \"checksum\": \"%zu:%016llx\"\n}\n",
                doc->bytes + (history->len ? 6 : 3), (unsigned long long)sum);
  add(doc, doc->frame.data + head, doc->frame.len - head);
  return DA_OK;
}

void da_document_dispose(da_document *doc) {
  free(doc->pieces);
  da_buf_dispose(&doc->frame);
  memset(doc, 0, sizeof *doc);
}
