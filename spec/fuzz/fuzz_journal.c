/* fuzz_journal.c - turns that are not finished, as somebody may have written
** them, of two writers. The input's three lines are the journal that both
** began from, ours, and theirs. */
#include "fuzz.h"

#include "da_journal.h"
#include "da_tool_calls.h"

static da_err err;

/* The text, if it is what a journal can be: a JSON array, or nothing. */
static da_text array(da_text t) {
  da_json j;
  da_json_init(&j, t);
  if (da_json_peek(&j) == DA_JSON_ARRAY && da_json_check(t, &err) == DA_OK)
    return t;
  return (da_text){"", 0};
}

static size_t count(da_text journal) {
  da_json j;
  size_t n = 0;
  da_json_init(&j, journal);
  if (!journal.len || !da_json_array(&j))
    return 0;
  for (; da_json_item(&j) == 1; n++)
    da_json_value(&j, NULL);
  return n;
}

static void put(da_buf *b, da_text journal) {
  da_buf_init(b, FUZZ_CAP);
  MUST(da_buf_put(b, journal.data, journal.len) == DA_OK);
}

static int is_journal(const da_buf *b) {
  return !b->len || fuzz_same(array(da_buf_text(b)), da_buf_text(b));
}

/* Calls can be taken, or it is told that they cannot. */
static void check_calls(const da_history *turn) {
  da_tool_calls_item item;
  da_history_iter it;
  da_message *m, *answer;
  da_history_begin(&it, turn, 0);
  while ((m = da_history_next(&it))) {
    da_text text = da_message_json(m);
    size_t n = da_tool_calls_count(text);
    int good = da_tool_calls_check(text, &err) == DA_OK;
    for (size_t i = 0; i <= n; i++) {
      int code = da_tool_calls_get(&item, text, i, &err);
      MUST(i == n ? code != DA_OK : code == DA_OK || !good);
      if (code == DA_OK) {
        MUST(da_tool_calls_answer(&answer, item.id, item.arguments, &err) ==
             DA_OK);
        da_message_unref(answer);
      }
      da_tool_calls_dispose(&item);
    }
  }
  da_history_end(&it);
}

/* Each is dropped at last, and what is read can be set. */
static void check_one(da_text journal) {
  da_history turn, again;
  da_buf b;
  size_t begun, later;
  size_t n = count(journal);
  put(&b, journal);
  if (da_journal_last(journal, &turn, &begun, &err) == DA_OK) {
    check_calls(&turn);
    MUST(da_journal_adopt(&b, &turn, begun) == DA_OK);
    MUST(is_journal(&b) && count(da_buf_text(&b)) <= n);
    MUST(da_journal_last(da_buf_text(&b), &again, &later, &err) == DA_OK);
    MUST(begun == later);
    MUST(da_history_equal(&turn, &again));
    MUST(da_journal_drop(&b, da_message_id(da_history_at(&turn, 0))));
    MUST(is_journal(&b) && count(da_buf_text(&b)) < n);
    MUST(!da_journal_drop(&b, da_message_id(da_history_at(&turn, 0))));
    MUST(da_journal_set(&b, &turn, 0) == DA_OK && is_journal(&b));
    da_history_dispose(&again);
    da_history_dispose(&turn);
  }
  for (size_t left = count(da_buf_text(&b)); left > 0;) {
    size_t now;
    MUST(da_journal_pop(&b, &err) == DA_OK && is_journal(&b));
    now = count(da_buf_text(&b));
    MUST(now < left);
    left = now;
  }
  MUST(da_journal_pop(&b, &err) == DA_ENOTFOUND);
  da_buf_dispose(&b);
}

static void check_merge(da_text base, da_text ours, da_text theirs) {
  da_buf out, same;
  da_buf_init(&out, FUZZ_CAP);
  MUST(da_journal_merge(&out, base, ours, theirs) == DA_OK);
  MUST(is_journal(&out));
  MUST(count(da_buf_text(&out)) <= count(ours) + count(theirs));
  /* Who changes nothing gets what the other has. */
  da_buf_init(&same, FUZZ_CAP);
  MUST(da_journal_merge(&same, theirs, theirs, theirs) == DA_OK);
  MUST(count(da_buf_text(&same)) == count(theirs));
  da_buf_dispose(&same);
  da_buf_dispose(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  char *exact = fuzz_exact(bytes, len);
  da_text rest = {exact, len};
  da_text base = array(fuzz_cut(&rest, '\n'));
  da_text ours = array(fuzz_cut(&rest, '\n')), theirs = array(rest);
  check_merge(base, ours, theirs);
  check_one(ours);
  check_one(theirs);
  free(exact);
  return 0;
}
