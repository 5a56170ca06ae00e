/* test_journal.c - turns that are not finished, as text: set, dropped, read,
** and those of two writers put together. */
#include "da_journal.h"

#include "check.h"
#include "text_kit.h"

static da_err err;

static da_buf journal_of(const char *text) {
  da_buf b;
  da_buf_init(&b, KIT_CAP);
  da_buf_puts(&b, text);
  return b;
}

/* A turn of one question with that id, and `n` further messages. */
static da_history turn(const char *id, int n) {
  da_history h = DA_HISTORY_EMPTY;
  const da_text wire =
      kit_text_of("{\"role\":\"user\",\"content\":\"\\\"q\"}");
  for (int i = 0; i <= n; i++) {
    da_text name = kit_text_of(id);
    da_message *m = NULL;
    CHECK_INT(da_message_new(&m, wire, i ? NULL : &name, 1, &err), DA_OK);
    CHECK_INT(da_history_append(&h, m), DA_OK);
  }
  return h;
}

/* "a1 b0": the ids of its turns and how many further messages each has. */
static const char *told(const da_buf *journal) {
  static char out[512];
  size_t used = 0;
  da_text raw, id, list;
  da_json j, messages;
  out[0] = '\0';
  if (!journal->len)
    return out;
  CHECK_INT(da_json_check(da_buf_text(journal), &err), DA_OK);
  da_json_init(&j, da_buf_text(journal));
  CHECK(da_json_array(&j));
  while (da_json_item(&j) == 1) {
    int n = -1;
    da_json_value(&j, &raw);
    CHECK_INT(da_json_get(raw, "id", &id), DA_JSON_STRING);
    CHECK_INT(da_json_get(raw, "messages", &list), DA_JSON_ARRAY);
    da_json_init(&messages, list);
    da_json_array(&messages);
    for (; da_json_item(&messages) == 1; n++)
      da_json_value(&messages, NULL);
    used += (size_t)snprintf(out + used, sizeof out - used, "%s%.*s%d",
                             used ? " " : "", (int)id.len - 2, id.data + 1, n);
  }
  return out;
}

static size_t begun;

static void set(da_buf *journal, const char *id, int n) {
  da_history h = turn(id, n);
  CHECK_INT(da_journal_set(journal, &h, 0), DA_OK);
  da_history_dispose(&h);
}

static void turns_are_set(void) {
  da_buf j = journal_of("");
  set(&j, "a", 0);
  CHECK_STR(told(&j), "a0");
  set(&j, "b", 1);
  CHECK_STR(told(&j), "a0 b1");
  set(&j, "a", 2); /* it is the last one now */
  CHECK_STR(told(&j), "b1 a2");
  da_buf_dispose(&j);
}

static void turns_are_dropped(void) {
  da_buf j = journal_of("");
  set(&j, "a", 0);
  set(&j, "bb", 1);
  set(&j, "c", 2);
  CHECK(!da_journal_drop(&j, kit_text_of("b")));
  CHECK(!da_journal_drop(&j, kit_text_of("")));
  CHECK_STR(told(&j), "a0 bb1 c2");
  CHECK(da_journal_drop(&j, kit_text_of("bb")));
  CHECK_STR(told(&j), "a0 c2");
  CHECK_INT(da_journal_pop(&j, &err), DA_OK);
  CHECK_STR(told(&j), "a0");
  CHECK(da_journal_drop(&j, kit_text_of("a")));
  CHECK_INT(j.len, 0);
  CHECK_INT(da_journal_pop(&j, &err), DA_ENOTFOUND);
  CHECK(!da_journal_drop(&j, kit_text_of("a")));
  da_buf_dispose(&j);
}

/* What somebody has written in his own way: blanks, things that are none. */
static void what_others_wrote_stays(void) {
  da_buf j = journal_of(" [ 1 , {\"id\" : \"a\" } ,\n[2],{\"id\":\"b\"},"
                        "{\"id\":\"a\"} ] ");
  CHECK(da_journal_drop(&j, kit_text_of("a"))); /* each of that id */
  CHECK_STR(j.data, "[1,[2],{\"id\":\"b\"}]");
  CHECK_INT(da_journal_pop(&j, &err), DA_OK);
  CHECK_INT(da_journal_pop(&j, &err), DA_OK);
  CHECK_STR(j.data, "[1]");
  set(&j, "n", 0);
  CHECK(strncmp(j.data, "[1,{\"id\":\"n\",", 13) == 0);
  da_buf_dispose(&j);
}

/* In the place of the last one, whatever that was called. */
static void a_turn_is_adopted(void) {
  static const char *const lasts[] = {"{\"id\":\"x\",\"messages\":[]}",
                                      "{\"messages\":[]}", "{\"id\":7}", "5"};
  for (size_t i = 0; i < sizeof lasts / sizeof *lasts; i++) {
    da_buf j = journal_of("");
    da_history h = turn("new", 1);
    set(&j, "a", 0);
    j.len--; /* the bracket */
    da_buf_puts(&j, ",");
    da_buf_puts(&j, lasts[i]);
    da_buf_puts(&j, "]");
    CHECK_INT(da_journal_adopt(&j, &h, 0), DA_OK);
    CHECK_STR(told(&j), "a0 new1");
    da_history_dispose(&h);
    da_buf_dispose(&j);
  }
}

static void the_oldest_go(void) {
  da_buf j = journal_of("");
  CHECK_INT(da_journal_trim(&j, 1), 0);
  set(&j, "a", 1);
  set(&j, "b", 2);
  set(&j, "c", 3);
  CHECK_INT(da_journal_trim(&j, 3), 0);
  CHECK_STR(told(&j), "a1 b2 c3");
  CHECK_INT(da_journal_trim(&j, 2), 1);
  CHECK_STR(told(&j), "b2 c3");
  set(&j, "d", 1);
  CHECK_INT(da_journal_trim(&j, 1), 2);
  CHECK_STR(told(&j), "d1");
  CHECK_INT(j.len, strlen(j.data));
  da_buf_dispose(&j);
}

static void the_last_is_read(void) {
  da_buf j = journal_of("");
  da_history h = turn("a", 2), got;
  set(&j, "z", 0);
  CHECK_INT(da_journal_set(&j, &h, 3), DA_OK);
  CHECK_INT(da_journal_last(da_buf_text(&j), &got, &begun, &err), DA_OK);
  CHECK_INT(begun, 3);
  CHECK(da_history_equal(&h, &got)); /* to the byte */
  da_history_dispose(&got);
  da_history_dispose(&h);
  da_buf_dispose(&j);
  CHECK_INT(da_journal_last(kit_text_of(""), &got, &begun, &err),
            DA_ENOTFOUND);
  CHECK_INT(got.len, 0);
  CHECK_INT(da_journal_last(kit_text_of("[]"), &got, &begun, &err),
            DA_ENOTFOUND);
}

#define MESSAGE "{\"role\":\"user\"}"
#define LINE "\"{\\\"role\\\":\\\"user\\\"}\""

static void what_is_no_turn_is_corrupt(void) {
  static const char *const bad[] = {
      "[1]",
      "[{}]",
      "[{\"messages\":1}]",
      "[{\"messages\":[]}]",
      "[{\"messages\":[1]}]",
      "[{\"messages\":[\"\"]}]",
      "[{\"messages\":[\"{\"]}]",
      "[{\"messages\":[\"{}\"]}]",
      "[{\"messages\":[" LINE ",{}]}]",
      "[{\"messages\":[" MESSAGE "]},null]",
  };
  da_history got;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    CHECK_INT(da_journal_last(kit_text_of(bad[i]), &got, &begun, &err),
              DA_ECORRUPT);
    CHECK_INT(err.code, DA_ECORRUPT);
    CHECK_INT(got.len, 0);
  }
  CHECK_INT(
      da_journal_last(kit_text_of("[{\"messages\":[" MESSAGE "," LINE "]}]"),
                      &got, &begun, &err),
      DA_OK);
  CHECK_INT(got.len, 2);
  CHECK(begun == SIZE_MAX); /* it does not tell */
  da_history_dispose(&got);
}

/* ---- the merge: "a1 b2" stands for a journal ---- */

static da_buf written(const char *words) {
  da_buf j = journal_of("");
  for (; *words; words += 2 + (words[2] == ' ')) {
    da_buf_puts(&j, j.len ? "," : "[");
    if (words[0] == '-') /* one without an id */
      da_buf_printf(&j, "{\"n\":%c}", words[1]);
    else
      da_buf_printf(&j, "{\"id\":\"%c\",\"n\":%c}", words[0], words[1]);
  }
  if (j.len)
    da_buf_puts(&j, "]");
  return j;
}

static void merges(const char *base, const char *ours, const char *theirs,
                   const char *want) {
  da_buf b = written(base), o = written(ours), t = written(theirs),
         w = written(want), out;
  da_buf_init(&out, KIT_CAP);
  CHECK_INT(da_journal_merge(&out, da_buf_text(&b), da_buf_text(&o),
                             da_buf_text(&t)),
            DA_OK);
  CHECK_STR(da_buf_text(&out).data, da_buf_text(&w).data);
  da_buf_dispose(&b);
  da_buf_dispose(&o);
  da_buf_dispose(&t);
  da_buf_dispose(&w);
  da_buf_dispose(&out);
}

static void two_writers(void) {
  static const char *const table[][4] = {
      /* base, ours, theirs, what is stored */
      {"", "", "", ""},
      {"", "a1", "", "a1"},      /* ours began */
      {"", "", "a1", "a1"},      /* theirs did */
      {"", "a1", "b1", "b1 a1"}, /* both */
      {"a1", "a2", "a1", "a2"},  /* ours went on */
      {"a1", "a1", "a2", "a2"},  /* theirs did */
      {"a1", "a2", "a3", "a2"},  /* both: ours counts */
      {"", "a2", "a3", "a2"},    /* the same, without having seen it */
      {"a1", "", "a1", ""},      /* ours is finished */
      {"a1", "a1", "", ""},      /* theirs is */
      {"a1", "a2", "", ""},      /* ours went on with what is over */
      {"a1", "", "a2", ""},      /* and theirs */
      {"a1 b1", "b1", "a1", ""}, /* each finished one */
      {"a1 b1", "a1 b1 c1", "b2 d1", "b2 d1 c1"},
      {"", "-1", "-2", "-2 -1"}, /* without ids: by all of their text */
      {"-1", "-1", "-1", "-1"},
      {"-1", "", "-1", ""},
      {"-1", "-1", "", ""},
      {"-1", "a1", "-1", "a1"}, /* adopted */
      {"-1 a1", "a2", "-1 a1", "a2"},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    merges(table[i][0], table[i][1], table[i][2], table[i][3]);
}

static void too_large_is_told(void) {
  da_buf out;
  da_buf_init(&out, 4);
  CHECK_INT(da_journal_merge(&out, kit_text_of(""),
                             kit_text_of("[{\"id\":\"a\"}]"), kit_text_of("")),
            DA_ETOOLARGE);
  da_buf_dispose(&out);
}

int main(void) {
  RUN(turns_are_set);
  RUN(turns_are_dropped);
  RUN(what_others_wrote_stays);
  RUN(a_turn_is_adopted);
  RUN(the_oldest_go);
  RUN(the_last_is_read);
  RUN(what_is_no_turn_is_corrupt);
  RUN(two_writers);
  RUN(too_large_is_told);
  return check_done();
}
