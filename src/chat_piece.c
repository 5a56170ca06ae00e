/* chat_piece.c - text that comes in pieces. */
#include "chat_piece.h"

#include <string.h>

#include "da_utf8.h"

void chat_piece_init(chat_piece *p, size_t cap) {
  da_buf_init(&p->text, cap);
  p->surrogate = 0;
}

void chat_piece_dispose(chat_piece *p) {
  da_buf_dispose(&p->text);
}

void chat_piece_add(chat_piece *p, da_text raw) {
  da_json_unescape(&p->text, raw, &p->surrogate);
}

void chat_piece_end(chat_piece *p) {
  if (p->surrogate)
    da_utf8_put(&p->text, 0xFFFD);
  p->surrogate = 0;
}

/* The raw ones are decoded behind ours: what fails there sticks. */
int chat_piece_equals(chat_piece *p, da_text raw) {
  const da_text inside = {raw.data + 1, raw.len - 2};
  da_buf *b = &p->text;
  size_t len = b->len;
  int same;
  if (inside.len < len || inside.len / 6 > len) /* \u0041 */
    return 0;
  if (!memchr(inside.data, '\\', inside.len))
    return inside.len == len &&
           memcmp(inside.data, da_buf_text(b).data, len) == 0;
  if (da_json_unescape(b, raw, NULL))
    return 0;
  same = b->len == 2 * len && memcmp(b->data, b->data + len, len) == 0;
  b->len = len;
  b->data[len] = '\0';
  return same;
}

void chat_piece_put(const chat_piece *p, da_buf *out) {
  da_text t = da_buf_text(&p->text);
  if (p->text.failed && !out->failed)
    out->failed = p->text.failed;
  da_json_put_string(out, t.data, t.len);
}
