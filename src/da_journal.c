/* da_journal.c - turns that are not finished (floor 2). */
#include "da_journal.h"

#include <string.h>

/* ---- walking ---- */

static int begin(da_json *j, da_text journal) {
  da_json_init(j, journal);
  return journal.len && da_json_array(j);
}

/* The next turn and its id, raw; no id where it has none. */
static int next(da_json *j, da_text *turn, da_text *id) {
  if (da_json_item(j) != 1)
    return 0;
  if (da_json_value(j, turn) == DA_JSON_BAD)
    return 0;
  if (da_json_get(*turn, "id", id) != DA_JSON_STRING)
    *id = (da_text){NULL, 0};
  else /* ids need no escape: what is between the quotes */
    *id = (da_text){id->data + 1, id->len - 2};
  return 1;
}

static int same(da_text a, da_text b) {
  return a.len == b.len && (!a.len || memcmp(a.data, b.data, a.len) == 0);
}

/* Turns are told apart by their ids; one without, as somebody may have written
** it, by all of its text. */
static int is(da_text turn, da_text id, da_text other, da_text other_id) {
  return id.len || other_id.len ? same(id, other_id) : same(turn, other);
}

/* The journal's state of that turn; an empty text if it is not there. */
static da_text find(da_text journal, da_text turn, da_text id) {
  const da_text none = {NULL, 0};
  da_text other, other_id;
  da_json j;
  if (!begin(&j, journal))
    return none;
  while (next(&j, &other, &other_id))
    if (is(turn, id, other, other_id))
      return other;
  return none;
}

static da_text last_of(da_text journal, da_text *id) {
  da_text last = {NULL, 0};
  da_json j;
  if (begin(&j, journal))
    while (next(&j, &last, id))
      ;
  return last;
}

/* ---- writing ---- */

static void add(da_buf *out, da_text turn) {
  da_buf_puts(out, out->len ? "," : "[");
  da_buf_put(out, turn.data, turn.len);
}

static int finish(da_buf *out) {
  return out->len ? da_buf_puts(out, "]") : out->failed;
}

static void put_turn(da_buf *out, const da_history *turn, size_t begun) {
  da_history_iter it;
  da_message *m;
  int first = 1;
  da_buf_puts(out, "{\"id\":\"");
  da_buf_put(out, da_message_id(da_history_at(turn, 0)).data,
             da_message_id(da_history_at(turn, 0)).len);
  da_buf_puts(out, "\"");
  if (begun != SIZE_MAX)
    da_buf_printf(out, ",\"begun\":%zu", begun);
  da_buf_puts(out, ",\"messages\":");
  da_history_begin(&it, turn, 0);
  while ((m = da_history_next(&it))) {
    da_text line = da_message_json(m);
    da_buf_puts(out, first ? "[" : ",");
    da_json_put_string(out, line.data, line.len);
    first = 0;
  }
  if (it.failed && !out->failed)
    out->failed = DA_ENOMEM;
  da_history_end(&it);
  da_buf_puts(out, "]}");
}

/* The journal without the turn `gone`, and with `turn` at the end. */
static int rewrite(da_buf *journal, da_text gone, da_text gone_id,
                   const da_history *turn, size_t begun) {
  da_buf out, now;
  da_text id, other;
  da_json j;
  da_buf_init(&out, journal->cap);
  if (begin(&j, da_buf_text(journal)))
    while (next(&j, &other, &id))
      if (!is(other, id, gone, gone_id))
        add(&out, other);
  da_buf_init(&now, journal->cap);
  put_turn(&now, turn, begun);
  if (now.failed && !out.failed)
    out.failed = now.failed;
  add(&out, da_buf_text(&now));
  da_buf_dispose(&now);
  if (finish(&out)) {
    int code = out.failed;
    da_buf_dispose(&out);
    return code;
  }
  da_buf_dispose(journal);
  *journal = out;
  return DA_OK;
}

int da_journal_set(da_buf *journal, const da_history *turn, size_t begun) {
  const da_text none = {"", 0};
  return rewrite(journal, none, da_message_id(da_history_at(turn, 0)), turn,
                 begun);
}

int da_journal_adopt(da_buf *journal, const da_history *turn, size_t begun) {
  da_text id = {NULL, 0}, last = last_of(da_buf_text(journal), &id);
  return rewrite(journal, last, id, turn, begun);
}

/* What stays moves down, behind what is still to be read. */
static int cut(da_buf *journal, da_text gone, da_text gone_id) {
  char *to = journal->data;
  int found = 0;
  da_text turn, id;
  da_json j;
  if (!begin(&j, da_buf_text(journal)))
    return 0;
  while (next(&j, &turn, &id)) {
    if (is(turn, id, gone, gone_id)) {
      found = 1;
      continue;
    }
    *to = to == journal->data ? '[' : ',';
    memmove(to + 1, turn.data, turn.len);
    to += turn.len + 1;
  }
  if (to > journal->data)
    *to++ = ']';
  *to = '\0';
  journal->len = (size_t)(to - journal->data);
  return found;
}

int da_journal_drop(da_buf *journal, da_text id) {
  const da_text none = {"", 0};
  return id.len && cut(journal, none, id);
}

int da_journal_pop(da_buf *journal, da_err *err) {
  da_text id = {NULL, 0}, last = last_of(da_buf_text(journal), &id);
  if (!last.len)
    return da_fail(err, DA_ENOTFOUND, "there is no unfinished turn");
  cut(journal, last, id);
  return DA_OK;
}

size_t da_journal_trim(da_buf *journal, size_t most) {
  da_text turn, id;
  da_json j;
  size_t count = 0, dropped = 0, at;
  if (begin(&j, da_buf_text(journal)))
    while (next(&j, &turn, &id))
      count++;
  if (count <= most || !most || !begin(&j, da_buf_text(journal)))
    return 0;
  for (; dropped <= count - most; dropped++) /* up to the first that stays */
    next(&j, &turn, &id);
  at = (size_t)(turn.data - journal->data);
  memmove(journal->data + 1, turn.data, journal->len - at + 1);
  journal->len -= at - 1;
  return dropped - 1;
}

/* What is to become of a turn that `theirs` has; an empty text: nothing. */
static da_text merge_turn(da_text base, da_text ours, da_text turn,
                          da_text id) {
  da_text old = find(base, turn, id), own = find(ours, turn, id);
  if (old.len && (!own.len || !same(own, old)))
    return own;
  return own.len && !old.len ? own : turn;
}

int da_journal_merge(da_buf *out, da_text base, da_text ours, da_text theirs) {
  da_buf merged;
  da_text turn, id;
  da_json j;
  da_buf_init(&merged, out->cap);
  if (begin(&j, theirs))
    while (next(&j, &turn, &id)) {
      da_text kept = merge_turn(base, ours, turn, id);
      if (kept.len)
        add(&merged, kept);
    }
  if (begin(&j, ours))
    while (next(&j, &turn, &id))
      if (!find(theirs, turn, id).len && !find(base, turn, id).len)
        add(&merged, turn);
  if (!finish(&merged))
    da_buf_put(out, da_buf_text(&merged).data, merged.len);
  else if (!out->failed)
    out->failed = merged.failed;
  da_buf_dispose(&merged);
  return out->failed;
}

/* ---- reading ---- */

/* A message by itself, as somebody may have written it, is taken as well. */
static int read_message(da_history *out, da_json *list, da_buf *line,
                        da_err *err) {
  da_text raw;
  da_message *m;
  int code;
  da_buf_reset(line);
  if (da_json_value(list, &raw) == DA_JSON_STRING)
    da_json_unescape(line, raw, NULL);
  else
    da_buf_put(line, raw.data, raw.len);
  code = da_buf_check(line, "the message", err);
  if (!code)
    code = da_message_parse(&m, da_buf_text(line), err);
  if (!code && da_history_append(out, m))
    code = da_nomem(err);
  return code;
}

static int read_messages(da_history *out, da_text list, da_err *err) {
  da_json j;
  da_buf line;
  int code = DA_OK;
  da_buf_init(&line, list.len);
  da_json_init(&j, list);
  da_json_array(&j);
  while (!code && da_json_item(&j) == 1)
    code = read_message(out, &j, &line, err);
  da_buf_dispose(&line);
  return code;
}

static size_t begun_of(da_text turn) {
  da_text raw;
  int64_t n;
  return da_json_get(turn, "begun", &raw) == DA_JSON_NUMBER &&
                 da_json_int64(raw, &n) && n >= 0
             ? (size_t)n
             : SIZE_MAX;
}

int da_journal_last(da_text journal, da_history *turn, size_t *begun,
                    da_err *err) {
  da_text id, last = last_of(journal, &id), list;
  int code;
  *begun = begun_of(last);
  memset(turn, 0, sizeof *turn);
  if (!last.len)
    return da_fail(err, DA_ENOTFOUND, "there is no unfinished turn");
  if (da_json_get(last, "messages", &list) != DA_JSON_ARRAY)
    return da_fail(err, DA_ECORRUPT, "the unfinished turn has no messages");
  code = read_messages(turn, list, err);
  if (!code && !turn->len)
    code = da_fail(err, DA_ECORRUPT, "the unfinished turn has no messages");
  if (code == DA_EJSON || code == DA_EINVAL)
    code = err->code = DA_ECORRUPT;
  if (code)
    da_history_dispose(turn);
  return code;
}
