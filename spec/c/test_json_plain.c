/* test_json_plain.c - the scanner without SIMD agrees with the one that was
** built: compiled once more here, under other names. */
#define DA_NO_SIMD
#define da_json_init plain_json_init
#define da_json_peek plain_json_peek
#define da_json_value plain_json_value
#define da_json_object plain_json_object
#define da_json_array plain_json_array
#define da_json_member plain_json_member
#define da_json_item plain_json_item
#define da_json_end plain_json_end
#define da_json_check plain_json_check
#define da_json_check_depth plain_json_check_depth
#define da_json_limit plain_json_limit
#define da_json_trust plain_json_trust
#define da_json_error plain_json_error
#include "da_json.c"
#undef da_json_check
#undef da_json_init
#undef da_json_value
#undef da_json_end

#include "check.h"
#include "text_kit.h"

int da_json_check(da_text text, da_err *err);
void da_json_init(da_json *j, da_text text);
da_json_type da_json_value(da_json *j, da_text *raw);
int da_json_end(da_json *j);

static size_t accepted, refused;

static void agree(da_text text) {
  da_text t = kit_exact(text);
  da_json a, b;
  int ok_a, ok_b;
  da_json_init(&a, t);
  plain_json_init(&b, t);
  CHECK_INT(da_json_value(&a, NULL), plain_json_value(&b, NULL));
  ok_a = da_json_end(&a);
  ok_b = plain_json_end(&b);
  if (ok_a != ok_b || a.p != b.p || (a.why && strcmp(a.why, b.why) != 0)) {
    fprintf(stderr, "%.*s: %s at %td, %s at %td\n", (int)t.len, t.data,
            a.why ? a.why : "ok", a.p - a.start, b.why ? b.why : "ok",
            b.p - b.start);
    CHECK(0 && "agreed");
  }
  accepted += (size_t)(ok_a != 0);
  refused += (size_t)(ok_a == 0);
  kit_free(t);
}

static const char *const documents[] = {
    "{\"id\":\"0abc\",\"created_at\":1700000000.123,\"role\":\"user\","
    "\"content\":\"Wie hei\xc3\x9ft \\\"Z\xc3\xbcrich\\\" auf Chinesisch?\\n"
    "\xe8\x8b\x8f\xe9\xbb\x8e\xe4\xb8\x96 \xf0\x9f\x98\x80 and on and on\"}",
    "[1,-2.5e10,true,false,null,\"\\u0041\\ud83d\\ude00\",[[[]]],{\"a\":{}}]",
    "  {\t\"a\" : [ 1 , 2 ] ,\r\n \"b\" : \"0123456789abcdef0123456789\" }  ",
    "\"the quick brown fox jumps over the lazy dog, and over it once more\"",
    ("[\"\",\"a\",\"ab\",\"abc\",\"abcdefg\",\"abcdefgh\","
     "\"abcdefghabcdefgh\"]"),
    "-0.0123456789e-123"};

enum { DOCUMENTS = sizeof documents / sizeof *documents };

static void same_on_documents(void) {
  for (int i = 0; i < DOCUMENTS; i++) {
    da_text t = kit_text_of(documents[i]);
    for (size_t n = 0; n <= t.len; n++)
      agree((da_text){t.data, n});
    for (size_t n = 0; n < t.len; n++)
      agree((da_text){t.data + n, t.len - n});
  }
}

/* One change of *t, which has room for 16 more bytes. */
static void mutate(char *t, size_t *len, uint64_t *seed) {
  static const char likely[] =
      "\"\\{}[],:0e-. \n\t\x1f\x7f\x80\xc3\xe2\xed\xf0"
      "\xff"
      "un";
  size_t at = *len ? kit_below(seed, *len) : 0;
  char c = kit_below(seed, 4) ? likely[kit_below(seed, sizeof likely)]
                              : (char)kit_below(seed, 256);
  switch (kit_below(seed, 4)) {
  case 0: /* a bit */
    if (*len)
      t[at] = (char)(t[at] ^ (1 << kit_below(seed, 8)));
    break;
  case 1: /* a byte */
    if (*len)
      t[at] = c;
    break;
  case 2: /* one less */
    if (*len)
      memmove(t + at, t + at + 1, --*len - at);
    break;
  default: /* one more */
    memmove(t + at + 1, t + at, (*len)++ - at);
    t[at] = c;
  }
}

static void same_on_mutations(void) {
  char t[512];
  uint64_t seed = 20240607;
  accepted = refused = 0;
  for (int i = 0; i < 60000; i++) {
    const char *d = documents[i % DOCUMENTS];
    size_t len = strlen(d), changes = 1 + kit_below(&seed, 3);
    memcpy(t, d, len);
    while (changes--)
      mutate(t, &len, &seed);
    agree((da_text){t, len});
  }
  CHECK(accepted > 1000 && refused > 1000); /* both were met */
}

/* Strings of any length at any alignment, with one byte that needs a look
** at any place. */
static void same_on_strings(void) {
  static const char needs[] = "\"\\\n\x1f\x7f\x80\xff";
  char t[96];
  for (size_t len = 0; len < 40; len++)
    for (size_t at = 0; at < len; at++)
      for (size_t k = 0; k < sizeof needs; k++) {
        memset(t, 'a', sizeof t);
        t[0] = t[len + 1] = '"';
        t[1 + at] = needs[k];
        agree((da_text){t, len + 2});
      }
}

int main(void) {
  RUN(same_on_documents);
  RUN(same_on_mutations);
  RUN(same_on_strings);
  return check_done();
}
