/* test_utf8.c - checking and repairing UTF-8. */
#include "da_utf8.h"

#include "check.h"
#include "da_json.h"
#include "shared_file.h"
#include "text_kit.h"

static da_buf out, want;

/* ---- another decoder, straight from the table of well-formed sequences
** (The Unicode Standard, 3.9, table 3-7), to compare with ---- */

typedef struct row {
  unsigned char n, first[2], second[2];
} row;

static const row rows[] = {
    {1, {0x00, 0x7f}, {0, 0}},       {2, {0xc2, 0xdf}, {0x80, 0xbf}},
    {3, {0xe0, 0xe0}, {0xa0, 0xbf}}, {3, {0xe1, 0xec}, {0x80, 0xbf}},
    {3, {0xed, 0xed}, {0x80, 0x9f}}, {3, {0xee, 0xef}, {0x80, 0xbf}},
    {4, {0xf0, 0xf0}, {0x90, 0xbf}}, {4, {0xf1, 0xf3}, {0x80, 0xbf}},
    {4, {0xf4, 0xf4}, {0x80, 0x8f}}};

/* How many bytes at s belong together; *whole: they are a character. */
static size_t together(const unsigned char *s, size_t len, int *whole) {
  *whole = 0;
  for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
    size_t i = 1;
    if (s[0] < rows[r].first[0] || s[0] > rows[r].first[1])
      continue;
    while (i < rows[r].n && i < len &&
           s[i] >= (i == 1 ? rows[r].second[0] : 0x80) &&
           s[i] <= (i == 1 ? rows[r].second[1] : 0xbf))
      i++;
    *whole = i == rows[r].n;
    return i;
  }
  return 1;
}

/* Compares all functions on these bytes; 1 if they are valid. */
static int compare(const void *bytes, size_t len) {
  da_text t = kit_exact((da_text){bytes, len});
  const unsigned char *s = (const unsigned char *)t.data;
  size_t good = 0;
  int whole, valid = 1;
  da_buf_reset(&out);
  da_buf_reset(&want);
  for (size_t i = 0; i < len;) {
    size_t n = together(s + i, len - i, &whole);
    CHECK_INT(da_utf8_sequence(s + i, len - i), whole ? n : 0);
    CHECK_INT(da_utf8_quick(s + i, len - i), whole ? n : 0);
    if (whole)
      da_buf_put(&want, s + i, n);
    else
      da_buf_puts(&want, "\xef\xbf\xbd");
    valid &= whole;
    i += n;
    if (valid)
      good = i;
  }
  CHECK_INT(da_utf8_check(t.data, len), good);
  CHECK_INT(da_utf8_repair(&out, t.data, len), DA_OK);
  CHECK(kit_same(da_buf_text(&out), da_buf_text(&want)));
  kit_free(t);
  return valid;
}

/* ---- our own cases ---- */

static void two_bytes(void) {
  unsigned char s[2];
  int valid = 0;
  for (int i = 0; i < 0x10000; i++) {
    s[0] = (unsigned char)(i >> 8);
    s[1] = (unsigned char)i;
    valid += compare(s, 2);
  }
  CHECK_INT(valid, 128 * 128 + 30 * 64);
}

/* Each first byte, and those where a rule changes after it. */
static void more_bytes(void) {
  static const unsigned char edge[] = {0x00, 0x22, 0x7f, 0x80, 0x8f, 0x90,
                                       0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xe1,
                                       0xed, 0xf0, 0xf4, 0xf5, 0xff};
  enum { N = sizeof edge };
  unsigned char s[5];
  for (int i = 0x7f; i < 256; i++)
    for (int k = 0; k < N * N * N; k++) {
      s[0] = (unsigned char)i;
      s[1] = edge[k % N];
      s[2] = edge[k / N % N];
      s[3] = edge[k / N / N];
      s[4] = '"';
      if (k < N * N)
        compare(s, 3);
      compare(s, 4 + (size_t)(k % 7 == 0));
    }
}

static void code_points(void) {
  for (uint32_t c = 0; c <= 0x110010; c += c < 0x1000 ? 1 : 37) {
    unsigned before = check_failed_here != 0;
    int surrogate = c >= 0xd800 && c <= 0xdfff;
    da_buf_reset(&out);
    CHECK_INT(da_utf8_put(&out, c), DA_OK);
    CHECK_INT(da_utf8_sequence((unsigned char *)out.data, out.len), out.len);
    CHECK_INT(out.len, c < 0x80                      ? 1
                       : c < 0x800                   ? 2
                       : c < 0x10000 || c > 0x10ffff ? 3
                                                     : 4);
    if (surrogate || c > 0x10ffff)
      CHECK_STR(out.data, "\xef\xbf\xbd");
    if (!before && check_failed_here)
      fprintf(stderr, "U+%04X\n", (unsigned)c);
  }
  da_buf_reset(&out);
  da_utf8_put(&out, 0x20ac);
  da_utf8_put(&out, 0x1f600);
  da_utf8_put(&out, 0);
  CHECK(kit_same(da_buf_text(&out),
                 (da_text){"\xe2\x82\xac\xf0\x9f\x98\x80\0", 8}));
}

/* Eight bytes are looked at at a time: a fault must be seen at each place. */
static void every_place(void) {
  static const char *const parts[] = {
      "\xff",         "\xc3", "\xed\xa0\x80",    "\xc3\xa4",
      "\xe2\x82\xac", "\x80", "\xf0\x9f\x98\x80"};
  char s[64];
  for (size_t len = 0; len < 40; len++)
    for (size_t at = 0; at <= len; at++)
      for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
        size_t n = strlen(parts[k]);
        memset(s, 'x', sizeof s);
        memcpy(s + at, parts[k], n);
        compare(s, len + n);
      }
}

static void chance(void) {
  unsigned char s[24];
  uint64_t seed = 3;
  for (int i = 0; i < 30000; i++) {
    size_t len = kit_below(&seed, sizeof s);
    for (size_t k = 0; k < len; k++)
      s[k] = (unsigned char)(kit_below(&seed, 3) ? 0x80 | kit_chance(&seed)
                                                 : kit_below(&seed, 256));
    compare(s, len);
  }
  CHECK_INT(da_utf8_check("", 0), 0);
  CHECK_INT(da_utf8_sequence((const unsigned char *)"", 0), 0);
  CHECK_INT(da_utf8_check("a\0b", 3), 3);
}

static void repair_within_a_cap(void) {
  da_buf small;
  da_buf_init(&small, 4);
  CHECK_INT(da_utf8_repair(&small, "a\xff\xff", 3), DA_ETOOLARGE);
  CHECK(small.len <= 4);
  da_buf_dispose(&small);
}

/* ---- vectors ---- */

static size_t unhex(da_text hex, char *bytes) {
  size_t n = 0;
  for (size_t i = 0; i + 1 < hex.len; i += 2) {
    char two[3] = {hex.data[i], hex.data[i + 1], '\0'};
    bytes[n++] = (char)strtoul(two, NULL, 16);
  }
  return n;
}

static void one_case(da_text object) {
  da_text name, hex, replaced, valid;
  char bytes[256];
  size_t len;
  CHECK_INT(da_json_get(object, "name", &name), DA_JSON_STRING);
  CHECK_INT(da_json_get(object, "hex", &hex), DA_JSON_STRING);
  CHECK_INT(da_json_get(object, "replaced", &replaced), DA_JSON_STRING);
  CHECK(da_json_get(object, "valid", &valid) != DA_JSON_BAD);
  hex.data++;
  hex.len -= 2;
  CHECK(hex.len / 2 <= sizeof bytes);
  len = unhex(hex, bytes);
  compare(bytes, len);
  da_buf_reset(&out);
  da_buf_reset(&want);
  da_utf8_repair(&out, bytes, len);
  da_json_unescape(&want, replaced, NULL);
  if (!kit_same(da_buf_text(&out), da_buf_text(&want)) ||
      (da_utf8_check(bytes, len) == len) != (valid.data[0] == 't')) {
    fprintf(stderr, "%.*s\n", (int)name.len, name.data);
    CHECK(0 && "as the case says");
  }
}

static char *cases, *stress;
static size_t cases_len, stress_len;

static void shared_cases(void) {
  da_json j;
  da_text object;
  int n = 0;
  da_json_init(&j, (da_text){cases, cases_len});
  CHECK(da_json_array(&j));
  for (; da_json_item(&j) == 1; n++) {
    CHECK_INT(da_json_value(&j, &object), DA_JSON_OBJECT);
    one_case(object);
  }
  CHECK(da_json_end(&j));
  CHECK_INT(n, 106);
}

/* Each line, and the whole. */
static void shared_stress(void) {
  int bad = 0;
  CHECK(!compare(stress, stress_len));
  for (char *line = stress; line < stress + stress_len;) {
    char *end = memchr(line, '\n', (size_t)(stress + stress_len - line));
    size_t len = (size_t)((end ? end : stress + stress_len) - line);
    bad += !compare(line, len);
    line += len + 1;
  }
  CHECK(bad > 50);
}

int main(void) {
  da_buf_init(&out, KIT_CAP);
  da_buf_init(&want, KIT_CAP);
  RUN(two_bytes);
  RUN(more_bytes);
  RUN(code_points);
  RUN(every_place);
  RUN(chance);
  RUN(repair_within_a_cap);
  cases = shared_file("vectors/utf8/utf8_cases.json", &cases_len);
  stress = shared_file("vectors/utf8/UTF-8-test.txt", &stress_len);
  if (cases && stress) {
    RUN(shared_cases);
    RUN(shared_stress);
  } else {
    SKIP("shared_cases", "../shared is not here");
    SKIP("shared_stress", "../shared is not here");
  }
  free(cases);
  free(stress);
  da_buf_dispose(&out);
  da_buf_dispose(&want);
  return check_done();
}
