/* test_history.c - histories: snapshots, windows, continuations. */
#include "da_history.h"

#include "check.h"
#include "text_kit.h"

#include <pthread.h>

static da_err err;

/* A message whose content is the number `n` and whose id is "m<n>". */
static da_message *message(const char *role, unsigned n) {
  char wire[96], text[24];
  da_text id = {text, 0};
  da_message *m = NULL;
  snprintf(wire, sizeof wire, "{\"role\":\"%s\",\"content\":\"%u\"}", role, n);
  id.len = (size_t)snprintf(text, sizeof text, "m%u", n);
  CHECK_INT(da_message_new(&m, kit_text_of(wire), &id, 1, &err), DA_OK);
  return m;
}

static unsigned number_of(const da_message *m) {
  da_text id = da_message_id(m);
  unsigned n = 0;
  for (size_t i = 1; i < id.len; i++)
    n = n * 10 + (unsigned)(id.data[i] - '0');
  return n;
}

static void append(da_history *h, unsigned n) {
  CHECK_INT(da_history_append(h, message("user", n)), DA_OK);
}

/* 1 if `h` is those numbers, by the walk from each start and by index. */
static int is(const da_history *h, const unsigned *want, size_t len) {
  size_t step = len > 60 ? len / 7 : 1;
  if (h->len != len)
    return 0;
  for (size_t i = 0; i < len; i++)
    if (number_of(da_history_at(h, i)) != want[i])
      return 0;
  for (size_t from = 0; from <= len + 1; from += step) {
    da_history_iter it;
    da_message *m;
    size_t i = from;
    da_history_begin(&it, h, from);
    while ((m = da_history_next(&it)))
      if (i >= len || number_of(m) != want[i++])
        break;
    da_history_end(&it);
    if (m || (from <= len && i != len))
      return 0;
  }
  return 1;
}

/* ---- snapshots ---- */

static void empty(void) {
  da_history h = DA_HISTORY_EMPTY, copy;
  da_history_iter it;
  da_history_begin(&it, &h, 0);
  CHECK(da_history_next(&it) == NULL && !it.failed);
  da_history_end(&it);
  da_history_copy(&copy, &h);
  CHECK_INT(copy.len, 0);
  CHECK(da_history_is_prefix(&h, &copy));
  CHECK_INT(da_history_window(&h, 0), 0);
  CHECK_INT(da_history_window(&h, 5), 0);
  da_history_dispose(&copy);
  da_history_dispose(&h);
  da_history_dispose(&h);
}

static void snapshots_stay(void) {
  enum { N = 1200 };
  static unsigned numbers[N];
  static da_history snap[N + 1];
  da_history h = DA_HISTORY_EMPTY;
  for (unsigned i = 0; i < N; i++) {
    da_history_copy(&snap[i], &h);
    numbers[i] = i;
    append(&h, i);
  }
  da_history_copy(&snap[N], &h);
  da_history_dispose(&h);
  for (size_t i = 0; i <= N; i += i < 40 ? 1 : 97) {
    CHECK(is(&snap[i], numbers, i));
    CHECK(da_history_is_prefix(&snap[i], &snap[N]));
    CHECK_INT(da_history_is_prefix(&snap[N], &snap[i]), i == N);
  }
  for (size_t i = 0; i <= N; i++)
    da_history_dispose(&snap[i]);
}

/* Two go their own way from one snapshot, at each length around the ends of
** the chunks. */
static void forks(void) {
  for (unsigned len = 0; len < 60; len++) {
    da_history a = DA_HISTORY_EMPTY, b, snap;
    unsigned na[64], nb[64];
    for (unsigned i = 0; i < len; i++) {
      append(&a, i);
      na[i] = nb[i] = i;
    }
    da_history_copy(&snap, &a);
    da_history_copy(&b, &a);
    for (unsigned i = 0; i < 3; i++) {
      append(&a, na[len + i] = 1000 + i);
      append(&b, nb[len + i] = 2000 + i);
    }
    CHECK(is(&a, na, len + 3) && is(&b, nb, len + 3) && is(&snap, na, len));
    CHECK(da_history_is_prefix(&snap, &a));
    /* it may not know of a fork, but must not claim what is not so */
    CHECK(!da_history_is_prefix(&a, &b) && !da_history_is_prefix(&b, &a));
    da_history_dispose(&snap);
    da_history_dispose(&a);
    CHECK(is(&b, nb, len + 3));
    da_history_dispose(&b);
  }
}

enum { HISTORIES = 12, LONGEST = 220 };

typedef struct model {
  da_history h;
  unsigned numbers[LONGEST];
} model;

/* Random copies, appends and disposals beside plain arrays. */
static void as_plain_arrays(void) {
  static model m[HISTORIES];
  uint64_t seed = 99;
  unsigned next = 0;
  memset(m, 0, sizeof m);
  for (int step = 0; step < 6000; step++) {
    model *a = &m[kit_below(&seed, HISTORIES)];
    model *b = &m[kit_below(&seed, HISTORIES)];
    size_t what = kit_below(&seed, 10);
    if (what == 0 && a != b) {
      da_history_dispose(&a->h);
      *a = *b;
      da_history_copy(&a->h, &b->h);
    } else if (what == 1 && a->h.len > LONGEST - 20) {
      da_history_dispose(&a->h);
    } else if (a->h.len < LONGEST) {
      a->numbers[a->h.len] = next;
      append(&a->h, next++);
    }
    if (step % 16 == 0)
      CHECK(is(&a->h, a->numbers, a->h.len));
    if (da_history_is_prefix(&a->h, &b->h))
      CHECK(a->h.len <= b->h.len &&
            memcmp(a->numbers, b->numbers, a->h.len * sizeof(unsigned)) == 0);
  }
  for (int i = 0; i < HISTORIES; i++) {
    CHECK(is(&m[i].h, m[i].numbers, m[i].h.len));
    da_history_dispose(&m[i].h);
  }
}

/* ---- threads ---- */

typedef struct reader {
  pthread_t thread;
  da_history h;
  int ok;
} reader;

static void *read_all(void *arg) {
  reader *r = arg;
  da_history_iter it;
  da_message *m;
  unsigned n = 0;
  r->ok = 1;
  da_history_begin(&it, &r->h, 0);
  while ((m = da_history_next(&it)))
    r->ok &= number_of(m) == n++;
  da_history_end(&it);
  r->ok &= n == r->h.len;
  da_history_dispose(&r->h);
  return NULL;
}

static void read_while_it_grows(void) {
  enum { READERS = 20 };
  static reader r[READERS];
  da_history h = DA_HISTORY_EMPTY;
  for (unsigned i = 0; i < READERS * 40; i++) {
    if (i % 40 == 0) {
      da_history_copy(&r[i / 40].h, &h);
      CHECK_INT(pthread_create(&r[i / 40].thread, NULL, read_all, &r[i / 40]),
                0);
    }
    append(&h, i);
  }
  for (int i = 0; i < READERS; i++) {
    pthread_join(r[i].thread, NULL);
    CHECK(r[i].ok);
  }
  da_history_dispose(&h);
}

static void *grow_own(void *arg) {
  reader *r = arg;
  char wire[64];
  da_message *m;
  da_err why;
  size_t before = r->h.len;
  r->ok = 1;
  for (int i = 0; i < 50; i++) {
    snprintf(wire, sizeof wire, "{\"role\":\"user\",\"content\":\"%d\"}", i);
    r->ok &= !da_message_new(&m, kit_text_of(wire), NULL, -1, &why) &&
             !da_history_append(&r->h, m);
  }
  r->ok &= r->h.len == before + 50;
  for (size_t i = 0; i < before; i++)
    r->ok &= number_of(da_history_at(&r->h, i)) == i;
  return NULL;
}

/* All from one snapshot, at once. */
static void fork_on_threads(void) {
  enum { N = 8 };
  static reader r[N];
  da_history h = DA_HISTORY_EMPTY;
  for (unsigned i = 0; i < 20; i++)
    append(&h, i);
  for (int i = 0; i < N; i++)
    da_history_copy(&r[i].h, &h);
  for (int i = 0; i < N; i++)
    CHECK_INT(pthread_create(&r[i].thread, NULL, grow_own, &r[i]), 0);
  for (int i = 0; i < N; i++)
    pthread_join(r[i].thread, NULL);
  for (int i = 0; i < N; i++) {
    CHECK(r[i].ok);
    CHECK(!da_history_is_prefix(&r[i].h, &r[(i + 1) % N].h));
    da_history_dispose(&r[i].h);
  }
  da_history_dispose(&h);
}

/* ---- windows ---- */

/* Letters are messages: u(ser), a(ssistant), t(ool), s(ystem). */
static da_history made_of(const char *roles) {
  da_history h = DA_HISTORY_EMPTY;
  for (unsigned i = 0; roles[i]; i++)
    CHECK_INT(da_history_append(&h, message(roles[i] == 'u'   ? "user"
                                            : roles[i] == 'a' ? "assistant"
                                            : roles[i] == 't' ? "tool"
                                                              : "system",
                                            i)),
              DA_OK);
  return h;
}

static size_t window(const char *roles, size_t limit) {
  da_history h = made_of(roles);
  size_t first = da_history_window(&h, limit);
  da_history_dispose(&h);
  return first;
}

static void windows(void) {
  CHECK_INT(window("uauaua", 6), 0);
  CHECK_INT(window("uauaua", 100), 0);
  CHECK_INT(window("uauaua", 5), 2);
  CHECK_INT(window("uauaua", 4), 2);
  CHECK_INT(window("uauaua", 3), 4);
  CHECK_INT(window("uauaua", 2), 4);
  CHECK_INT(window("uauaua", 1), 6); /* no whole turn fits */
  CHECK_INT(window("uauaua", 0), 6);
  /* a tool's result never loses its call */
  CHECK_INT(window("uauatta", 5), 2);
  CHECK_INT(window("uauatta", 4), 7);
  CHECK_INT(window("suaua", 4), 1);
  CHECK_INT(window("saaua", 4), 3);
  CHECK_INT(window("aaaa", 3), 4);
  CHECK_INT(window("uuuu", 2), 2);
}

static void windows_by_chance(void) {
  static const char letters[] = "uuaat";
  uint64_t seed = 31;
  for (int round = 0; round < 300; round++) {
    char roles[64];
    size_t len = kit_below(&seed, sizeof roles - 1), limit, want;
    for (size_t i = 0; i < len; i++)
      roles[i] = letters[kit_below(&seed, 5)];
    roles[len] = '\0';
    limit = kit_below(&seed, len + 3);
    for (want = 0; want < len; want++)
      if (len - want <= limit && (want == 0 || roles[want] == 'u'))
        break;
    CHECK_INT(window(roles, limit), want);
  }
}

/* Equal is what holds the same, whoever built it. */
static void equal(void) {
  da_history a = DA_HISTORY_EMPTY, b = DA_HISTORY_EMPTY, c;
  CHECK(da_history_equal(&a, &b));
  for (unsigned i = 0; i < 40; i++) {
    append(&a, i);
    CHECK(!da_history_equal(&a, &b));
    append(&b, i);
    CHECK(da_history_equal(&a, &b));
  }
  CHECK(!da_history_same(&a, &b));
  da_history_copy(&c, &a);
  CHECK(da_history_equal(&a, &c));
  append(&a, 40);
  append(&c, 41); /* as many, the last is another */
  CHECK(!da_history_equal(&a, &c));
  da_history_dispose(&a);
  da_history_dispose(&b);
  da_history_dispose(&c);
}

int main(void) {
  RUN(empty);
  RUN(snapshots_stay);
  RUN(forks);
  RUN(equal);
  RUN(as_plain_arrays);
  RUN(read_while_it_grows);
  RUN(fork_on_threads);
  RUN(windows);
  RUN(windows_by_chance);
  return check_done();
}
