/* chat_calls_find.c - which call a piece belongs to.
**
** Its index says, but where that is missing or always the same its id does;
** without either, a name begins a call, and what has none goes on with the
** last one. Wherever anything tells two calls apart they stay apart.
*/
#include "chat_calls.h"

#include <string.h>

static void read_function(chat_signs *s, da_text function) {
  da_text value;
  if (da_json_get(function, "name", &value) == DA_JSON_STRING &&
      value.len > 2) {
    s->has_name = 1;
    s->name = value;
  }
  switch (da_json_get(function, "arguments", &value)) {
  case DA_JSON_STRING:
    if (value.len > 2 && value.data[1] == '{')
      s->arguments = value;
    break;
  case DA_JSON_OBJECT:
    s->arguments = value;
    break;
  default:
    break;
  }
}

void chat_signs_read(chat_signs *s, da_text item) {
  da_text value;
  memset(s, 0, sizeof *s);
  s->has_index = da_json_get(item, "index", &value) == DA_JSON_NUMBER &&
                 da_json_int64(value, &s->index);
  if (da_json_get(item, "id", &value) == DA_JSON_STRING && value.len > 2) {
    s->has_id = 1;
    s->id = value;
  }
  if (da_json_get(item, "function", &value) == DA_JSON_OBJECT)
    read_function(s, value);
}

/* Whether a whole call comes again. Without an id it would be another one:
** dice may be thrown twice. */
static int is_repeated(chat_one_call *k, const chat_signs *s) {
  return s->has_id && *s->arguments.data == '"' &&
         chat_piece_equals(&k->arguments, s->arguments);
}

/* Whether a piece with a name, at the place of call `k`, begins another. */
static int begins_anew(const chat_calls *c, chat_one_call *k,
                       const chat_signs *s) {
  if (!s->has_name || !k->name.text.len)
    return 0;
  if (k->delta == c->delta) /* nobody sends two pieces of one in a delta */
    return 1;
  if (!k->arguments.text.len) /* the name comes in pieces */
    return 0;
  if (!chat_piece_equals(&k->name, s->name))
    return 1;
  return k->whole && s->arguments.data && !is_repeated(k, s);
}

static chat_one_call *find_by_id(chat_calls *c, const chat_signs *s) {
  for (size_t i = c->count; i-- > 0;) {
    chat_one_call *k = &c->items[i];
    if (k->id.text.len && chat_piece_equals(&k->id, s->id) &&
        (!s->has_index || !k->has_index || k->index == s->index))
      return begins_anew(c, k, s) ? NULL : k;
  }
  return NULL;
}

/* Of a piece whose id is not known yet, or that has none. Another id with a
** name is another call; without one it is but another id for what goes on:
** some services make one for each piece. */
static chat_one_call *find_by_index(chat_calls *c, const chat_signs *s) {
  for (size_t i = c->count; i-- > 0;) {
    chat_one_call *k = &c->items[i];
    if (!k->has_index || k->index != s->index)
      continue;
    if (s->has_id && k->id.text.len)
      return s->has_name ? NULL : k;
    return begins_anew(c, k, s) ? NULL : k;
  }
  return NULL;
}

chat_one_call *chat_calls_find(chat_calls *c, const chat_signs *s) {
  chat_one_call *last = c->count ? &c->items[c->count - 1] : NULL;
  chat_one_call *k = s->has_id ? find_by_id(c, s) : NULL;
  if (k)
    return k;
  if (s->has_index)
    return find_by_index(c, s);
  if (s->has_id || (last && begins_anew(c, last, s)))
    return NULL;
  return last;
}
