/* test_json_text.c - what JSON text says, and writing it. */
#include "da_json.h"

#include "check.h"
#include "da_utf8.h"
#include "text_kit.h"

#include <float.h>
#include <math.h>

static da_err err;

static void getting(void) {
  da_text raw = {NULL, 0}, o;
  o = kit_text_of(
      "{\"a\":1,\"\\u0061\":2,\"b\":{\"a\":9},\"a\":3, \"c\" : [ ] }");
  CHECK_INT(da_json_get(o, "a", &raw), DA_JSON_NUMBER);
  CHECK(kit_is_text(raw, "3")); /* the last of equal ones */
  CHECK_INT(da_json_get(o, "c", &raw), DA_JSON_ARRAY);
  CHECK(kit_is_text(raw, "[ ]"));
  CHECK_INT(da_json_get(o, "d", &raw), DA_JSON_BAD);
  CHECK_INT(da_json_get(o, "", &raw), DA_JSON_BAD);
  CHECK_INT(da_json_get(kit_text_of("{\"a\":1,\"\\u0061\":2}"), "a", &raw),
            DA_JSON_NUMBER);
  CHECK(kit_is_text(raw, "2")); /* escaped, yet the same key */
  CHECK_INT(da_json_get(kit_text_of("[1]"), "a", &raw), DA_JSON_BAD);
  CHECK_INT(da_json_get(kit_text_of("\"a\""), "a", &raw), DA_JSON_BAD);
  CHECK_INT(da_json_get(kit_text_of(""), "a", &raw), DA_JSON_BAD);
  CHECK_INT(da_json_get(kit_text_of("{\"a\":1"), "a", &raw), DA_JSON_BAD);
  CHECK_INT(da_json_get(kit_text_of("{\"a\":tru}"), "a", &raw), DA_JSON_BAD);
  CHECK_INT(da_json_get(kit_text_of("{\"a\":1,}"), "a", &raw), DA_JSON_BAD);
  CHECK_INT(da_json_get(kit_text_of("{\"A\":1}"), "a", &raw), DA_JSON_BAD);
}

static void equals(void) {
  CHECK(da_json_equals(kit_text_of("role"), "role"));
  CHECK(da_json_equals(kit_text_of("\"role\""), "role"));
  CHECK(da_json_equals(kit_text_of("r\\u006fle"), "role"));
  CHECK(da_json_equals(kit_text_of("\"\""), ""));
  CHECK(da_json_equals(kit_text_of(""), ""));
  CHECK(!da_json_equals(kit_text_of("role"), "roles"));
  CHECK(!da_json_equals(kit_text_of("roles"), "role"));
  CHECK(!da_json_equals(kit_text_of("r\\u006flf"), "role"));
  CHECK(!da_json_equals(kit_text_of("role\\u0000"), "role"));
  CHECK(da_json_equals(kit_text_of("\"\\ud83d\\ude00\""), "\xf0\x9f\x98\x80"));
}

/* ---- strings ---- */

static int reads_as(const char *raw, const char *want, size_t len) {
  da_buf b;
  da_text t = kit_exact(kit_text_of(raw));
  int same;
  da_buf_init(&b, KIT_CAP);
  same = da_json_unescape(&b, t, NULL) == DA_OK &&
         kit_same(da_buf_text(&b), (da_text){want, len});
  da_buf_dispose(&b);
  kit_free(t);
  return same;
}

#define READS(raw, want) CHECK(reads_as(raw, want, sizeof(want) - 1))
#define LONE "\xef\xbf\xbd"
#define GRIN "\xf0\x9f\x98\x80"

static void unescaping(void) {
  READS("\"\"", "");
  READS("", "");
  READS("plain", "plain");
  READS("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t");
  READS("\"a\\u0000b\"", "a\0b");
  READS("\"\\u0041\\u00e4\\u20AC\\uFFFF\"",
        "A\xc3\xa4\xe2\x82\xac\xef\xbf\xbf");
  READS("\"\\ud83d\\ude00\"", GRIN);
  READS("\"\\uD800\\uDC00\\uDBFF\\uDFFF\"",
        "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf");
  READS("\"\\ud83d\"", LONE);
  READS("\"\\ud83dx\"", LONE "x");
  READS("\"\\ud83d\\n\"", LONE "\n");
  READS("\"\\ud83d\\u0041\"", LONE "A");
  READS("\"\\ud83d\\ud83d\\ude00\"", LONE GRIN);
  READS("\"\\ude00\"", LONE);
  READS("\"\\ude00\\ud83d\"", LONE LONE);
}

/* Strings one after the other, '|' between them, with one carry. */
static int reads_split(const char *raws, const char *want) {
  da_buf b;
  uint32_t high = 0;
  int same;
  da_buf_init(&b, KIT_CAP);
  for (;;) {
    size_t n = strcspn(raws, "|");
    da_json_unescape(&b, (da_text){raws, n}, &high);
    if (!raws[n])
      break;
    raws += n + 1;
  }
  if (high)
    da_utf8_put(&b, 0xfffd);
  same = kit_is_text(da_buf_text(&b), want);
  da_buf_dispose(&b);
  return same;
}

/* The quick decoder of what was checked says what the other one does, also
** where blanks follow; neither looks beyond the end. */
static void two_decoders(void) {
  static const char *const pieces[] = {"a",       "longer than eight",
                                       "\\n",     "\\\"",
                                       "\\\\",    "\\/",
                                       "\\b",     "\\f",
                                       "\\r",     "\\t",
                                       "\\u0000", "\\u00e4",
                                       "\\u20aC", "\\ud83d",
                                       "\\ude00", "\xc3\xa4",
                                       GRIN};
  static const char *const after[] = {"", " ", "\t\r\n  "};
  uint64_t seed = 5;
  for (int round = 0; round < 20000 && !check_failed_here; round++) {
    char s[512] = "\"", to[512];
    da_text all, raw;
    da_json j;
    da_buf want;
    int escapes = 0;
    size_t n = kit_below(&seed, 8);
    for (size_t i = 0; i < n; i++)
      strcat(s, pieces[kit_below(&seed, sizeof pieces / sizeof *pieces)]);
    strcat(s, "\"");
    strcat(s, after[kit_below(&seed, 3)]);
    all = kit_exact(kit_text_of(s));
    da_json_init(&j, all);
    raw = da_json_string(&j, &escapes);
    CHECK(da_json_end(&j)); /* past the blanks, too */
    CHECK_INT(escapes, memchr(all.data, '\\', all.len) != NULL);
    da_buf_init(&want, KIT_CAP);
    da_json_unescape(&want, raw, NULL);
    n = da_json_decode(to, raw);
    CHECK(kit_same(da_buf_text(&want), (da_text){to, n}));
    CHECK(n <= raw.len);
    if (check_failed_here)
      fprintf(stderr, "%s\n", s);
    da_buf_dispose(&want);
    kit_free(all);
  }
}

static void surrogates_over_strings(void) {
  CHECK(reads_split("\"a\\ud83d\"|\"\\ude00b\"", "a" GRIN "b"));
  CHECK(reads_split("\"\\ud83d\"|\"\"|\"\"|\"\\ude00\"", GRIN));
  CHECK(reads_split("\"\\ud83d\"|\"x\\ude00\"", LONE "x" LONE));
  CHECK(reads_split("\"\\ud83d\"|\"\\ud83d\"|\"\\ude00\"", LONE GRIN));
  CHECK(reads_split("\"\\ud83d\"|\"\\n\"", LONE "\n"));
  CHECK(reads_split("\"\\ud83d\"", LONE));
  CHECK(reads_split("\"\\ude00\"|\"\\ud83d\"", LONE LONE));
  CHECK(reads_split("\"a\"|\"\xc3\xa4\"|\"\"", "a\xc3\xa4"));
}

static void strings_round_trip(void) {
  char s[64];
  uint64_t seed = 7;
  da_buf out, back;
  da_buf_init(&out, KIT_CAP);
  da_buf_init(&back, KIT_CAP);
  for (int i = 0; i < 3000; i++) {
    size_t len = kit_below(&seed, sizeof s), n = 0;
    while (n < len)
      s[n++] = (char)(kit_chance(&seed) % 3 ? kit_below(&seed, 0x80)
                                            : kit_below(&seed, 0x30));
    da_buf_reset(&out);
    da_buf_reset(&back);
    CHECK_INT(da_json_put_string(&out, s, len), DA_OK);
    CHECK_INT(da_json_check(da_buf_text(&out), &err), DA_OK);
    CHECK_INT(da_json_unescape(&back, da_buf_text(&out), NULL), DA_OK);
    CHECK(kit_same(da_buf_text(&back), (da_text){s, len}));
  }
  da_buf_reset(&out);
  da_json_put_string(&out, "\0\x01\x1f\x7f\"\\/\b\f\n\r\t\xc3\xa4", 14);
  CHECK_STR(out.data,
            "\"\\u0000\\u0001\\u001f\x7f\\\"\\\\/\\b\\f\\n\\r\\t\xc3\xa4\"");
  da_buf_dispose(&out);
  da_buf_dispose(&back);
}

static int compact_is(const char *json, const char *want) {
  da_buf b;
  da_text t = kit_exact(kit_text_of(json));
  int same;
  da_buf_init(&b, KIT_CAP);
  same = da_json_put_compact(&b, t) == DA_OK &&
         kit_is_text(da_buf_text(&b), want);
  da_buf_dispose(&b);
  kit_free(t);
  return same;
}

static void compact(void) {
  CHECK(compact_is(" null ", "null"));
  CHECK(compact_is("\"a \\\" b\\\\\"", "\"a \\\" b\\\\\""));
  CHECK(compact_is("\r\n[ 1 ,\t-2.50e+1 , true,\n\"\" , \" \" ]\n",
                   "[1,-2.50e+1,true,\"\",\" \"]"));
  CHECK(compact_is("{ \"a b\" : { } , \"\\\\\" : [ ] }",
                   "{\"a b\":{},\"\\\\\":[]}"));
}

/* ---- numbers ---- */

static void integers(void) {
  static const struct {
    const char *text;
    int ok;
    int64_t value;
  } t[] = {{"0", 1, 0},
           {"-0", 1, 0},
           {"1", 1, 1},
           {"-1", 1, -1},
           {"9007199254740993", 1, 9007199254740993},
           {"9223372036854775807", 1, INT64_MAX},
           {"-9223372036854775808", 1, INT64_MIN},
           {"9223372036854775808", 0, 0},
           {"-9223372036854775809", 0, 0},
           {"18446744073709551616", 0, 0},
           {"99999999999999999999999", 0, 0},
           {"1.0", 0, 0},
           {"1e3", 0, 0},
           {"-", 0, 0},
           {"", 0, 0}};
  for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
    int64_t v = 77;
    da_text raw = kit_exact(kit_text_of(t[i].text));
    CHECK_INT(da_json_int64(raw, &v), t[i].ok);
    CHECK_INT(v, t[i].ok ? t[i].value : 77);
    kit_free(raw);
  }
}

static double number(const char *s) {
  da_text raw = kit_exact(kit_text_of(s));
  double d = da_json_double(raw);
  kit_free(raw);
  return d;
}

static int writes(double d, const char *want) {
  da_buf b;
  int same;
  da_buf_init(&b, KIT_CAP);
  da_json_put_double(&b, d);
  same = kit_is_text(da_buf_text(&b), want);
  if (!same)
    fprintf(stderr, "%s, not %s\n", b.data, want);
  da_buf_dispose(&b);
  return same;
}

static int same_double(double a, double b) {
  return memcmp(&a, &b, sizeof a) == 0;
}

static void some_doubles(void) {
  char digits[400];
  CHECK(same_double(number("0.1"), 0.1));
  CHECK(same_double(number("5e-324"), 5e-324));
  CHECK(same_double(number("1.7976931348623157e308"), DBL_MAX));
  CHECK(same_double(number("-0.0"), -0.0));
  CHECK(same_double(number("-0"), -0.0));
  CHECK(same_double(number("0"), 0.0));
  CHECK(same_double(number("-12.5e1"), -125));
  CHECK(same_double(number("9007199254740993"), 9007199254740992.0));
  CHECK(
      same_double(number("123456789012345678901234"), 1.2345678901234568e23));
  CHECK(isinf(number("1e400")) && number("-1e400") < 0);
  CHECK(same_double(number("1e-400"), 0.0));
  memset(digits, '3', sizeof digits);
  memcpy(digits, "0.", 2);
  digits[sizeof digits - 1] = '\0';
  CHECK(same_double(number(digits), 1.0 / 3));
  CHECK(writes(0.1, "0.1") && writes(0.1 + 0.2, "0.30000000000000004"));
  CHECK(writes(5e-324, "4.94065645841247e-324"));
  CHECK(writes(DBL_MAX, "1.7976931348623157e+308"));
  CHECK(writes(0.0, "0.0") && writes(-0.0, "-0.0"));
  CHECK(writes(1, "1.0") && writes(-3, "-3.0") && writes(1e15, "1e+15"));
  CHECK(writes(0.5, "0.5") && writes(1.0 / 3, "0.3333333333333333"));
}

static void many_doubles(void) {
  uint64_t seed = 11;
  da_buf b;
  da_buf_init(&b, KIT_CAP);
  for (int i = 0; i < 5000; i++) {
    uint64_t bits = kit_chance(&seed);
    double d;
    memcpy(&d, &bits, sizeof d);
    if (!isfinite(d))
      continue;
    da_buf_reset(&b);
    CHECK_INT(da_json_put_double(&b, d), DA_OK);
    CHECK(same_double(da_json_double(da_buf_text(&b)), d));
    CHECK_INT(da_json_check(da_buf_text(&b), &err), DA_OK);
  }
  da_buf_dispose(&b);
}

static void doubles_with_a_comma(void) {
  char sample[8];
  snprintf(sample, sizeof sample, "%.1f", 0.5);
  CHECK_STR(sample, "0,5");
  some_doubles();
  many_doubles();
}

static void doubles_with_two_bytes(void) {
  char sample[8];
  snprintf(sample, sizeof sample, "%.1f", 0.5);
  CHECK_STR(sample, "0\xd9\xab"
                    "5");
  some_doubles();
  many_doubles();
}

int main(void) {
  RUN(getting);
  RUN(equals);
  RUN(unescaping);
  RUN(two_decoders);
  RUN(surrogates_over_strings);
  RUN(strings_round_trip);
  RUN(compact);
  RUN(integers);
  RUN(some_doubles);
  RUN(many_doubles);
  if (kit_locale(","))
    RUN(doubles_with_a_comma);
  else
    SKIP("doubles_with_a_comma", "localedef cannot make such a locale");
  if (kit_locale("<U066B>"))
    RUN(doubles_with_two_bytes);
  else
    SKIP("doubles_with_two_bytes", "localedef cannot make such a locale");
  kit_locale_end();
  return check_done();
}
