/* chat_piece.h - text that comes in pieces (floor 4). */
#ifndef CHAT_PIECE_H
#define CHAT_PIECE_H

#include "da_json.h"

typedef struct chat_piece {
  da_buf text;
  uint32_t surrogate; /* the first half of a character, or 0 */
} chat_piece;

void chat_piece_init(chat_piece *p, size_t cap);
void chat_piece_dispose(chat_piece *p);

/* Appends the characters of the raw string. Failures stick to the text. */
void chat_piece_add(chat_piece *p, da_text raw);

/* No more comes: half a character is none. */
void chat_piece_end(chat_piece *p);

/* Whether they are the same characters as the raw string's. */
int chat_piece_equals(chat_piece *p, da_text raw);

/* Appends it as a JSON string. */
void chat_piece_put(const chat_piece *p, da_buf *out);

#endif
