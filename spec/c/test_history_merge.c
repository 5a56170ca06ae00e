/* test_history_merge.c - two continuations of one conversation become one.
** Messages are letters here: their ids, in the order of the history. */
#include "da_history.h"

#include "check.h"
#include "text_kit.h"

static da_err err;

static da_history of(const char *letters) {
  da_history h = DA_HISTORY_EMPTY;
  for (const char *p = letters; *p; p++) {
    da_text id = {p, 1};
    da_message *m = NULL;
    CHECK_INT(
        da_message_new(&m, kit_text_of("{\"role\":\"user\"}"), &id, 1, &err),
        DA_OK);
    CHECK_INT(da_history_append(&h, m), DA_OK);
  }
  return h;
}

static const char *letters_of(const da_history *h, char *out) {
  size_t i = 0;
  for (; i < h->len; i++)
    out[i] = da_message_id(da_history_at(h, i)).data[0];
  out[i] = '\0';
  return out;
}

static const char *merge(const char *base, const char *ours,
                         const char *theirs) {
  static char out[256];
  da_history b = of(base), o = of(ours), t = of(theirs), got;
  CHECK_INT(da_history_merge(&got, &b, &o, &t), DA_OK);
  letters_of(&got, out);
  da_history_dispose(&b);
  da_history_dispose(&o);
  da_history_dispose(&t);
  da_history_dispose(&got); /* it holds its own */
  return out;
}

static void appended(void) {
  CHECK_STR(merge("", "", ""), "");
  CHECK_STR(merge("", "ab", ""), "ab");
  CHECK_STR(merge("", "", "ab"), "ab");
  CHECK_STR(merge("", "cd", "ab"), "abcd");
  CHECK_STR(merge("ab", "abcd", "ab"), "abcd");
  CHECK_STR(merge("ab", "ab", "abcd"), "abcd");
  CHECK_STR(merge("ab", "abxy", "abcd"), "abcdxy");
  CHECK_STR(merge("ab", "abxy", "abcdxy"), "abcdxy"); /* ours is there */
  CHECK_STR(merge("ab", "abxyz", "abcdxy"), "abcdxyz");
}

static void deleted(void) {
  CHECK_STR(merge("abcd", "ab", "abcd"), "ab");     /* by us */
  CHECK_STR(merge("abcd", "", "abcdef"), "ef");     /* we cleared */
  CHECK_STR(merge("abcd", "abcd", "ab"), "ab");     /* by them */
  CHECK_STR(merge("abcd", "abcdxy", "ef"), "efxy"); /* they began anew */
  CHECK_STR(merge("abcd", "abcd", ""), "");         /* it was deleted */
  CHECK_STR(merge("abcd", "abcdxy", ""), "xy");
  CHECK_STR(merge("abcd", "axd", "abcde"), "adex");
  CHECK_STR(merge("abcd", "bcd", "abc"), "bc"); /* by both */
}

/* What a merge must be, for any three. */
static void check_merge(const char *base, const char *ours,
                        const char *theirs) {
  char got[256];
  size_t at = 0;
  snprintf(got, sizeof got, "%s", merge(base, ours, theirs));
  for (const char *p = theirs; *p; p++) /* theirs keep their order, ... */
    if (!strchr(base, *p) || strchr(ours, *p))
      CHECK(got[at] && got[at++] == *p);
  for (const char *p = ours; *p; p++) /* ... ours follow in theirs */
    if (!strchr(base, *p) && !strchr(theirs, *p))
      CHECK(got[at] && got[at++] == *p);
  CHECK_INT(got[at], 0); /* and nothing else */
}

/* Some of the letters of `from`, then new ones. */
static void vary(char *to, const char *from, char *fresh, uint64_t *seed) {
  size_t n = 0;
  for (; *from; from++)
    if (kit_below(seed, 8))
      to[n++] = *from;
  for (size_t i = kit_below(seed, 5); i > 0 && *fresh < 'z'; i--)
    to[n++] = (*fresh)++;
  to[n] = '\0';
}

static void by_chance(void) {
  uint64_t seed = 17;
  for (int i = 0; i < 1500; i++) {
    char base[64], ours[64], theirs[64], fresh = 'A';
    vary(base, "", &fresh, &seed);
    vary(base + strlen(base), "", &fresh, &seed);
    vary(ours, base, &fresh, &seed);
    vary(theirs, base, &fresh, &seed);
    if (kit_below(&seed, 3) == 0 && strlen(ours) < 30) /* some of ours */
      strncat(theirs, ours, 3);
    check_merge(base, ours, theirs);
    /* nothing new on one side: the other's is it */
    CHECK_STR(merge(base, base, theirs), theirs);
    CHECK_STR(merge(base, ours, base), ours);
    /* merging once more changes nothing */
    CHECK_STR(merge(base, ours, merge(base, ours, theirs)),
              merge(base, ours, theirs));
  }
}

/* Many ids, so that the sets grow; the same messages, by other objects. */
static void large(void) {
  enum { N = 3000 };
  da_history base = DA_HISTORY_EMPTY, ours, theirs, got;
  da_message *m;
  for (int i = 0; i < N; i++) {
    CHECK_INT(da_message_text(&m, "user", kit_text_of("x"), &err), DA_OK);
    CHECK_INT(da_history_append(&base, m), DA_OK);
  }
  da_history_copy(&ours, &base);
  da_history_copy(&theirs, &base);
  CHECK_INT(da_message_text(&m, "user", kit_text_of("ours"), &err), DA_OK);
  CHECK_INT(da_history_append(&ours, m), DA_OK);
  CHECK_INT(da_message_text(&m, "user", kit_text_of("theirs"), &err), DA_OK);
  CHECK_INT(da_history_append(&theirs, m), DA_OK);
  CHECK_INT(da_history_merge(&got, &base, &ours, &theirs), DA_OK);
  CHECK_INT(got.len, N + 2);
  CHECK(da_history_at(&got, 0) == da_history_at(&base, 0));
  CHECK(da_history_at(&got, N - 1) == da_history_at(&base, N - 1));
  CHECK(da_history_at(&got, N) == da_history_at(&theirs, N));
  CHECK(da_history_at(&got, N + 1) == da_history_at(&ours, N));
  da_history_dispose(&got);
  da_history_dispose(&ours);
  da_history_dispose(&theirs);
  da_history_dispose(&base);
}

static void edited(void) {
  const da_text id = {"b", 1};
  da_history base = of("abc"), ours = of("a"), theirs = of("abcd"), got;
  da_message *m = NULL;
  CHECK_INT(
      da_message_new(&m, kit_text_of("{\"role\":\"tool\"}"), &id, 1, &err),
      DA_OK);
  CHECK_INT(da_history_append(&ours, m), DA_OK);
  CHECK_INT(da_history_merge(&got, &base, &ours, &theirs), DA_OK);
  CHECK_INT(got.len, 3); /* a, our b, d: c was taken out */
  CHECK(da_message_role(da_history_at(&got, 1)) == DA_ROLE_TOOL);
  CHECK(da_message_role(da_history_at(&got, 0)) == DA_ROLE_USER);
  da_history_dispose(&base);
  da_history_dispose(&ours);
  da_history_dispose(&theirs);
  da_history_dispose(&got);
}

int main(void) {
  RUN(appended);
  RUN(deleted);
  RUN(by_chance);
  RUN(large);
  RUN(edited);
  return check_done();
}
