/* da_json.h - strict JSON text: check, walk, write (floor 0).
**
** RFC 8259 and nothing else: one value, no byte order mark, no comments,
** valid UTF-8, at most DA_JSON_DEPTH levels. Numbers and strings stay text
** until somebody asks for more, so nothing is lost on the way through.
** Choices where the RFC leaves one: lone surrogate escapes are accepted
** (providers split pairs over two deltas) and decode to U+FFFD; of two
** equal keys the last one counts, unless said otherwise.
*/
#ifndef DA_JSON_H
#define DA_JSON_H

#include "da_buf.h"

#define DA_JSON_DEPTH 512

typedef enum da_json_type {
  DA_JSON_BAD = -1,
  DA_JSON_NULL,
  DA_JSON_FALSE,
  DA_JSON_TRUE,
  DA_JSON_NUMBER,
  DA_JSON_STRING,
  DA_JSON_ARRAY,
  DA_JSON_OBJECT
} da_json_type;

/* Walks a text once, from left to right, checking what it passes. */
typedef struct da_json {
  const char *p;
  const char *end;
  const char *start;
  const char *why; /* what is wrong at p, NULL as long as nothing is */
  int fresh;       /* just inside a container: no comma is due */
  int levels;      /* how deep a value that comes may be */
  int counts;      /* 1: what is entered takes from that */
  int trusted;     /* 1: its strings were checked */
} da_json;

/* Each value that is consumed may have DA_JSON_DEPTH levels, whatever it
** stands in. */
void da_json_init(da_json *j, da_text text);

/* The whole text may have so many levels; 0: DA_JSON_DEPTH, which is the
** most. For text from outside, right after da_json_init. */
void da_json_limit(da_json *j, size_t depth);

/* The type of the value that comes next, which is not consumed. */
da_json_type da_json_peek(da_json *j);

/* Consumes and checks the next value; *raw is its text, quotes included.
** Returns its type or DA_JSON_BAD. `raw` may be NULL. */
da_json_type da_json_value(da_json *j, da_text *raw);

/* Enters an object or array: 1, or 0 if the next value is no such thing
** (nothing consumed). Then call da_json_member or da_json_item until it
** returns 0 (the end, consumed) or -1 (bad text); after a 1 consume the
** value. *key is raw: between the quotes, still escaped. */
int da_json_object(da_json *j);
int da_json_array(da_json *j);
int da_json_member(da_json *j, da_text *key);
int da_json_item(da_json *j);

/* 1 if only white space is left, 0 (and j->why) otherwise. */
int da_json_end(da_json *j);

/* DA_OK, or DA_EJSON saying what is wrong where. */
int da_json_check(da_text text, da_err *err);
int da_json_check_depth(da_text text, size_t depth, da_err *err);
int da_json_error(const da_json *j, da_err *err);

/* ---- reading text that was checked ---- */

/* The text that *j walks was checked: strings are passed without a look at
** what they hold. Right after da_json_init. */
void da_json_trust(da_json *j);

/* The value of member `key` of the object `object` (the last of equal
** ones); DA_JSON_BAD if there is none or it is not an object. */
da_json_type da_json_get(da_text object, const char *key, da_text *raw);

/* The same for several members, in one walk; a type of DA_JSON_BAD, and an
** empty value: there is none. */
typedef struct da_json_field {
  const char *name;
  da_json_type type;
  da_text value;
} da_json_field;
void da_json_pick(da_text object, da_json_field *fields, size_t n);

/* Whether the raw key or the inside of a raw string equals `s`. */
int da_json_equals(da_text raw, const char *s);

/* Appends the characters of a raw string, with or without its quotes.
** *surrogate carries a high surrogate from one call to the next, so that
** a pair split over two strings is put together: 0 at first; what is left
** in it after the last call is a lone one (append U+FFFD). NULL: each
** string stands alone. */
int da_json_unescape(da_buf *out, da_text raw, uint32_t *surrogate);

/* Consumes the string that comes next, in text that was checked: what is
** between its quotes, and whether there are escapes in it. */
da_text da_json_string(da_json *j, int *escapes);

/* The characters of a raw string without its quotes: how many bytes. `to`
** must have room for raw.len of them. Lone surrogates become U+FFFD. */
size_t da_json_decode(char *to, da_text raw);

/* The integer of a number's text: 1 if it is one and fits. */
int da_json_int64(da_text raw, int64_t *value);

/* The number's value, whatever the locale; 0 for what is not a number. */
double da_json_double(da_text raw);

/* ---- writing ---- */

/* A quoted string; `s` must be valid UTF-8. */
int da_json_put_string(da_buf *out, const char *s, size_t len);

/* Checked JSON without the blanks between its tokens. */
int da_json_put_compact(da_buf *out, da_text json);

/* The shortest text that reads back as the same double; -0.0 stays. `d`
** must be finite. */
int da_json_put_double(da_buf *out, double d);

#endif
