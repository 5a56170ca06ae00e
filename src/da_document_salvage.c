/* da_document_salvage.c - what a document that cannot be read still holds
** (floor 2).
**
** A walk from message to message. Where one is damaged, the walk looks for the
** next place where one can begin: in our layout that is a line, as no JSON
** text has a line's end inside of a string; where the damaged one did not
** begin a line, also a brace after a comma or bracket.
*/
#include <stdlib.h>
#include <string.h>

#include "da_document.h"
#include "da_go_peer.h"
#include "da_id_set.h"

typedef struct walk {
  const char *start, *p, *end;
  da_salvage *out;
  size_t budget; /* bytes that may still be parsed in vain */
  da_err *err;
} walk;

/* A message that is never closed is parsed to the end, and bytes that mean ill
** begin hundreds of them, one in another. */
#define BUDGET(len) (8 * (len) + ((size_t)1 << 20))

void da_salvage_init(da_salvage *s) {
  memset(s, 0, sizeof *s);
  da_buf_init(&s->meta, DA_MESSAGE_MAX);
}

void da_salvage_dispose(da_salvage *s) {
  da_history_dispose(&s->history);
  da_buf_dispose(&s->meta);
  free(s->dropped);
  da_salvage_init(s);
}

static int is_blank(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static da_text text_between(const char *from, const char *to) {
  da_text t = {from, (size_t)(to - from)};
  return t;
}

/* ---- what is left out ---- */

int da_salvage_drop(da_salvage *s, size_t offset, size_t bytes) {
  if (s->dropped_count == DA_DROPPED_MAX) {
    da_dropped *last = &s->dropped[DA_DROPPED_MAX - 1];
    last->bytes = offset + bytes - last->offset;
    return DA_OK;
  }
  if (s->dropped_count == s->dropped_room) {
    size_t room = s->dropped_room * 2 + 8;
    da_dropped *more = realloc(s->dropped, room * sizeof *more);
    if (!more)
      return DA_ENOMEM;
    s->dropped = more;
    s->dropped_room = room;
  }
  s->dropped[s->dropped_count].offset = offset;
  s->dropped[s->dropped_count++].bytes = bytes;
  return DA_OK;
}

/* What stands from `from` to where the walk is now, less the blanks and
** commas around it, and the bracket and the checksum behind the last
** message. */
static int drop(walk *w, const char *from) {
  const char *to = w->p, *tail;
  tail = memmem(from, (size_t)(to - from), "\n  ]", 4);
  if (tail)
    to = tail;
  while (from < to && (is_blank(*from) || *from == ','))
    from++;
  while (to > from && (is_blank(to[-1]) || to[-1] == ','))
    to--;
  if (from == to || (*from == ']' && !memchr(from, '{', (size_t)(to - from))))
    return DA_OK;
  return da_salvage_drop(w->out, (size_t)(from - w->start),
                         (size_t)(to - from))
             ? da_nomem(w->err)
             : DA_OK;
}

/* ---- what stands in front of the messages ---- */

/* Behind the bracket of the messages; where what is in front of it is
** damaged, the walk stays. */
static void skip_head(walk *w) {
  da_json j;
  da_text key;
  da_json_init(&j, text_between(w->p, w->end));
  if (!da_json_array(&j)) {
    if (!da_json_object(&j))
      return;
    while (da_json_member(&j, &key) == 1 && !da_json_equals(key, "messages"))
      da_json_value(&j, NULL);
    if (j.why || !da_json_array(&j))
      return;
  }
  w->p = j.p;
}

static const char *find(const char *from, const char *to, const char *what) {
  return memmem(from, (size_t)(to - from), what, strlen(what));
}

/* The session's metadata stand in front of the messages, whose own are not
** meant; where the key of the messages is damaged, the first one's role is
** looked for. */
static int find_meta(walk *w) {
  static const char name[] = "\"metadata\":";
  const char *from = w->start, *end = w->end, *at;
  da_json j;
  da_text raw;
  while (from < end && is_blank(*from))
    from++;
  if (from == end || *from == '[')
    return DA_OK;
  at = find(from, end, "\"messages\"");
  end = at ? at : end;
  at = find(from, end, "\"role\"");
  end = at ? at : end;
  at = find(from, end, name);
  if (!at)
    return DA_OK;
  da_json_init(&j, text_between(at + sizeof name - 1, w->end));
  if (da_json_value(&j, &raw) == DA_JSON_OBJECT)
    da_buf_put(&w->out->meta, raw.data, raw.len);
  return da_buf_check(&w->out->meta, "the metadata", w->err);
}

/* ---- messages ---- */

/* There is no message, and that was read in vain. */
static int none(walk *w, const da_json *j) {
  size_t bytes = (size_t)(j->p - w->p) + 1;
  w->budget -= bytes < w->budget ? bytes : w->budget;
  return DA_EINVAL;
}

/* DA_OK, and the walk is behind the message; DA_EINVAL, and it is where it
** was: there is none. */
static int take_message(walk *w) {
  da_json j;
  da_text raw;
  da_message *m;
  da_err why;
  int code;
  da_json_init(&j, text_between(w->p, w->end));
  if (da_json_value(&j, &raw) != DA_JSON_OBJECT)
    return none(w, &j);
  code = da_message_parse(&m, raw, &why);
  if (code == DA_EINVAL)
    code = da_go_message(&m, raw, &why);
  if (code == DA_ENOMEM || (!code && da_history_append(&w->out->history, m)))
    return da_nomem(w->err);
  if (code)
    return none(w, &j);
  w->p = raw.data + raw.len;
  return DA_OK;
}

static int begins_line(const walk *w, const char *p) {
  while (p > w->start && (p[-1] == ' ' || p[-1] == '\t'))
    p--;
  return p == w->start || p[-1] == '\n';
}

static int follows_another(const walk *w, const char *p) {
  while (p > w->start && is_blank(p[-1]))
    p--;
  return p > w->start && (p[-1] == ',' || p[-1] == '[');
}

/* The next brace that can begin a message, behind where the walk is. */
static const char *next_place(const walk *w) {
  int lines = begins_line(w, w->p);
  const char *p = w->p + 1;
  for (; p < w->end; p++) {
    p = memchr(p, '{', (size_t)(w->end - p));
    if (!p)
      break;
    if (begins_line(w, p) || (!lines && follows_another(w, p)))
      return p;
  }
  return w->end;
}

static int walk_messages(walk *w) {
  const char *damaged = NULL; /* where that began */
  int code = DA_OK;
  while (!code && w->p < w->end) {
    const char *here = w->p;
    code = *here == '{' ? take_message(w) : DA_EINVAL;
    if (!code && damaged) {
      const char *behind = w->p;
      w->p = here;
      code = drop(w, damaged);
      w->p = behind;
      damaged = NULL;
    } else if (code == DA_EINVAL) {
      code = DA_OK;
      if (is_blank(*here) || *here == ',') {
        w->p++;
        continue;
      }
      if (!damaged)
        damaged = here;
      w->p = w->budget ? next_place(w) : w->end;
    }
  }
  return code || !damaged ? code : drop(w, damaged);
}

/* An old, longer text under a new one, or one that was appended, has messages
** again: the first of each stays. */
static int drop_doubles(da_salvage *s, da_err *err) {
  da_history once = DA_HISTORY_EMPTY;
  da_id_set seen = {NULL, 0};
  da_history_iter it;
  da_message *m;
  int code = da_id_set_init(&seen, s->history.len);
  da_history_begin(&it, &s->history, 0);
  while (!code && (m = da_history_next(&it))) {
    if (da_id_set_find(&seen, m)) {
      s->doubles++;
      continue;
    }
    da_id_set_add(&seen, m);
    code = da_history_append(&once, da_message_ref(m));
  }
  da_history_end(&it);
  da_id_set_dispose(&seen);
  da_history_dispose(&s->history);
  s->history = once;
  return code || it.failed ? da_nomem(err) : DA_OK;
}

int da_document_salvage(da_salvage *out, const char *bytes, size_t len,
                        da_err *err) {
  walk w = {bytes, bytes, bytes + len, out, BUDGET(len), err};
  int code;
  skip_head(&w);
  code = find_meta(&w);
  if (!code)
    code = walk_messages(&w);
  return code ? code : drop_doubles(out, err);
}
