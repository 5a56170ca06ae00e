/* test_json.c - JSON text: what is accepted, walked, read and written. */
#include "da_json.h"

#include "check.h"
#include "shared_file.h"
#include "text_kit.h"

#include <dirent.h>

static da_err err;

/* ---- accepting ---- */

/* Walks all of the next value with the functions for members and items:
** 1 if it is well-formed. */
static int walk(da_json *j, int depth) {
  da_text key;
  da_json_type type = da_json_peek(j);
  int more;
  if (type >= DA_JSON_ARRAY && depth == DA_JSON_DEPTH)
    return 0;
  if (da_json_object(j)) {
    while ((more = da_json_member(j, &key)) == 1)
      if (!walk(j, depth + 1))
        return 0;
    return more == 0;
  }
  if (da_json_array(j)) {
    while ((more = da_json_item(j)) == 1)
      if (!walk(j, depth + 1))
        return 0;
    return more == 0;
  }
  return da_json_value(j, NULL) != DA_JSON_BAD;
}

/* 1 if the text is JSON, as both ways through it say. */
static int accepts(da_text text) {
  da_text t = kit_exact(text);
  da_json j;
  int ok, walked;
  memset(&err, 'x', sizeof err);
  ok = da_json_check(t, &err) == DA_OK;
  CHECK(ok ||
        (err.code == DA_EJSON && strncmp(err.message, "not JSON", 8) == 0));
  da_json_init(&j, t);
  walked = walk(&j, 0) && da_json_end(&j);
  CHECK(walked == ok);
  kit_free(t);
  return ok;
}

/* Each of the texts, "~" between them, is accepted or not as `want` says. */
static void all_of(const char *texts, int want) {
  while (*texts) {
    size_t n = strcspn(texts, "~");
    if (accepts((da_text){texts, n}) != want) {
      fprintf(stderr, "%.*s: %s\n", (int)n, texts,
              want ? err.message : "accepted");
      CHECK(0 && "as it should");
    }
    texts += texts[n] ? n + 1 : n;
  }
}

static void well_formed(void) {
  all_of("null~true~false~0~-0~-0.0~1~10~-12.50~1e5~1E+5~1e-5~0.1e0~1e400~"
         "-1e-400~123456789012345678901234~[0,-1,1.5,1e1,true,false,null]",
         1);
  all_of("\"\"~\"a\"~\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\"~\"\\ud83d\\ude00\"~"
         "\"\\ud83d\"~\"\\udc00\"~\"\\u0000\"~\"\\uABCD\\uabcd\"~\"\x7f\"~"
         "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"~"
         "\"\xef\xbf\xbf\xf4\x8f\xbf\xbf\xed\x9f\xbf\"",
         1);
  all_of("[]~{}~[ ]~{ }~ [ 1 , 2 ] ~[[],{},\"\",0]~{\"\":{\"\":{}}}~"
         "{\"a\":1,\"a\":2}~\t\n\r {\"a\" : 1 , \"b\" : [ { } ] }\r\n",
         1);
}

static void ill_formed(void) {
  CHECK(!accepts((da_text){"", 0}));
  all_of(" ~nul~nulll~True~tru~fals~NaN~Infinity~-Infinity~-~+1~01~-01~1.~.5~"
         "-.5~1.e5~1e~1e+~0x10~1_0~1 2~--1~1-~1.2.3~1,~'a'",
         0);
  all_of("\"~\"a~\"\\\"~\"\\~\"\\a\"~\"\\u\"~\"\\u12\"~\"\\u123g\"~"
         "\"\\U0041\"~\"\\x41\"~\"\\'\"~\"a\"\"b\"~\"\n\"~\"\t\"~\"\x1f\"",
         0);
  all_of("\"\x80\"~\"\xc3\"~\"\xc0\x80\"~\"\xed\xa0\x80\"~"
         "\"\xf4\x90\x80\x80\"~\"\xff\"~\"\xe2\x82\"~{\"\xff\":1}",
         0);
  all_of("[~]~[1~[1,~[1,]~[,1]~[,]~[1,,2]~[1 2]~[1}~[1]]~[:]~[1]x~[[[[~"
         "[\"a\"\"b\"]~[nulll]~[truefalse]",
         0);
  all_of("{~}~{]~{\"a\"~{\"a\":~{\"a\":}~{\"a\":1~{\"a\":1,~{\"a\":1,}~"
         "{,\"a\":1}~{\"a\" 1}~{\"a\",1}~{a:1}~{1:1}~{null:1}~{\"\\q\":1}~"
         "{\"a\":1 \"b\":2}~{\"a\"::1}~{\"a\":1]~{\"a\":1}{}",
         0);
  all_of("// c\n1~/**/1~[1/**/]~#1~\xef\xbb\xbf{}~\xc2\xa0\x31~1\f~1\v", 0);
  CHECK(!accepts((da_text){"1\0", 2}));
  CHECK(!accepts((da_text){"\0", 1}));
  CHECK(!accepts((da_text){"[1,\0]", 5}));
  CHECK(!accepts((da_text){"\"a\0b\"", 5}));
}

/* A place in a long string decides nothing: each byte that needs a look, at
** each place of a run that is passed many bytes at a time. */
static void every_place_in_a_string(void) {
  static const struct {
    const char *bytes;
    int ok;
  } at[] = {{"\n", 0},
            {"\xff", 0},
            {"\xc3\xa4", 1},
            {"\\n", 1},
            {"\\", 0},
            {"\x1f", 0},
            {"\x7f", 1},
            {"\xe2\x82", 0},
            {"\\u00e", 0},
            {"\\ud800", 1},
            {"\xed\xa0\x80", 0},
            {"\x01", 0},
            {"\xf0\x9f\x98\x80", 1}};
  char s[80];
  for (size_t len = 0; len <= 36; len++)
    for (size_t i = 0; i <= len; i++)
      for (size_t k = 0; k < sizeof at / sizeof *at; k++) {
        size_t n = strlen(at[k].bytes);
        memset(s, 'x', sizeof s);
        s[0] = '"';
        memcpy(s + 1 + i, at[k].bytes, n);
        s[1 + len + n] = '"';
        if (accepts((da_text){s, len + n + 2}) !=
            (at[k].ok && !(at[k].bytes[0] == '\\' && n == 1 && i < len)))
          CHECK(0 && "as it should");
      }
}

static void truncated(void) {
  static const char *const documents[] = {
      ("{\"a\":[1,-2.5e+10,true,false,null],\"b\\u00e4\\\"\":{\"c\":\"x\\n"
       "\\ud83d\\ude00 \xe2\x82\xac 0123456789abcdef0123456789\"},\"d\":[]}"),
      "[[[{\"role\":\"user\",\"content\":\"Hi \xf0\x9f\x98\x80\"}]],{}]",
      "\"0123456789abcdef0123456789abcdef\\u0041\""};
  for (size_t i = 0; i < 3; i++) {
    da_text t = kit_text_of(documents[i]);
    CHECK(accepts(t));
    for (size_t n = 0; n < t.len; n++)
      CHECK(!accepts((da_text){t.data, n}));
  }
}

/* `n` levels, opened by `open` and closed by `close`. */
static da_text nested(size_t n, const char *open, const char *close,
                      da_buf *out) {
  da_buf_reset(out);
  for (size_t i = 0; i < n; i++)
    da_buf_puts(out, open);
  da_buf_puts(out, "1");
  for (size_t i = 0; i < n; i++)
    da_buf_puts(out, close);
  return da_buf_text(out);
}

static void depth(void) {
  da_buf b;
  da_text big;
  da_buf_init(&b, KIT_CAP);
  CHECK(accepts(nested(DA_JSON_DEPTH, "[", "]", &b)));
  CHECK(accepts(nested(DA_JSON_DEPTH, "{\"a\":", "}", &b)));
  CHECK(accepts(nested(DA_JSON_DEPTH / 2, "[0,{\"a\":", ",\"b\":[]}]", &b)) ==
        0);
  CHECK(accepts(nested(DA_JSON_DEPTH / 2, "[0,{\"a\":", ",\"b\":0}]", &b)));
  CHECK_INT(da_json_check(nested(DA_JSON_DEPTH + 1, "[", "]", &b), &err),
            DA_EJSON);
  CHECK(strstr(err.message, "nested too deep") != NULL);
  CHECK(!accepts(nested(DA_JSON_DEPTH + 1, "{\"a\":", "}", &b)));
  CHECK(!accepts(nested(1000000, "[{\"a\":", "}]", &b)));
  big = nested(1000000, "[", "]", &b);
  CHECK_INT(da_json_check(big, &err), DA_EJSON);
  CHECK_INT(da_json_check((da_text){big.data, 1000000}, &err), DA_EJSON);
  da_buf_dispose(&b);
}

/* Walked member by member, a text has the levels that it has as a whole. */
static void depth_with_a_limit(void) {
  static const size_t limits[] = {1, 2, 7, 64, DA_JSON_DEPTH - 1};
  da_buf b;
  da_json j;
  da_buf_init(&b, KIT_CAP);
  for (size_t i = 0; i < 5; i++) {
    size_t most = limits[i];
    for (size_t n = most - 1; n <= most + 1; n++) {
      da_text t = nested(n, "[{\"a\":[],\"b\":", ",\"c\":[]}]", &b);
      /* Two levels each; within the innermost, an empty array is the third
      ** of it. */
      size_t levels = n ? 2 * n + 1 : 0;
      CHECK(accepts(t) == (levels <= DA_JSON_DEPTH));
      for (size_t limit = levels ? levels - 1 : 1; limit <= levels + 1;
           limit++) {
        int fits = levels <= limit && levels <= DA_JSON_DEPTH;
        if (!limit || limit > DA_JSON_DEPTH)
          continue;
        CHECK_INT(da_json_check_depth(t, limit, &err),
                  fits ? DA_OK : DA_EJSON);
        da_json_init(&j, t);
        da_json_limit(&j, limit);
        CHECK_INT(walk(&j, 0) && da_json_end(&j), fits);
        CHECK_STR(j.why ? j.why : "", fits ? "" : "nested too deep");
      }
    }
  }
  /* None, or more than there can be, is the most; scalars have no level. */
  da_text t = nested(DA_JSON_DEPTH, "[", "]", &b);
  CHECK_INT(da_json_check_depth(t, 0, &err), DA_OK);
  CHECK_INT(da_json_check_depth(t, SIZE_MAX, &err), DA_OK);
  t = nested(DA_JSON_DEPTH + 1, "[", "]", &b);
  CHECK_INT(da_json_check_depth(t, 0, &err), DA_EJSON);
  CHECK_INT(da_json_check_depth(t, SIZE_MAX, &err), DA_EJSON);
  CHECK_INT(da_json_check_depth((da_text){"1", 1}, 1, &err), DA_OK);
  da_buf_dispose(&b);
}

static void errors_tell_where(void) {
  CHECK_INT(da_json_check(kit_text_of("[1,\n 2,\n x]"), &err), DA_EJSON);
  CHECK_STR(err.message, "not JSON: no value at byte 10");
  CHECK_INT(da_json_check(kit_text_of("{\"a\":\"\x01\"}"), &err), DA_EJSON);
  CHECK_STR(err.message, "not JSON: control character in a string at byte 7");
  CHECK_INT(da_json_check(kit_text_of("[1] 2"), &err), DA_EJSON);
  CHECK_STR(err.message, "not JSON: something follows the value at byte 5");
  CHECK_INT(da_json_check(kit_text_of(""), &err), DA_EJSON);
  CHECK_STR(err.message, "not JSON: unfinished text at byte 1");
}

/* ---- JSONTestSuite ---- */

/* Where the RFC leaves the choice: numbers of any size are kept as text,
** lone surrogates in escapes are let through, ill-formed UTF-8 and byte
** order marks are not. */
static int choice(const char *name) {
  static const char surrogates[] =
      "i_object_key_lone_2nd_surrogate.json "
      "i_string_1st_surrogate_but_2nd_missing.json "
      "i_string_1st_valid_surrogate_2nd_invalid.json "
      "i_string_incomplete_surrogate_and_escape_valid.json "
      "i_string_incomplete_surrogate_pair.json "
      "i_string_incomplete_surrogates_escape_valid.json "
      "i_string_invalid_lonely_surrogate.json "
      "i_string_invalid_surrogate.json "
      "i_string_inverted_surrogates_U+1D11E.json "
      "i_string_lone_second_surrogate.json ";
  return strncmp(name, "i_number", 8) == 0 ||
         strcmp(name, "i_structure_500_nested_arrays.json") == 0 ||
         strstr(surrogates, name) != NULL;
}

/* Each file of a folder below ../shared; the number of them, -1: no such
** folder. */
static int suite(const char *folder) {
  const char *root = getenv("DA_SHARED");
  char path[1024], name[600];
  struct dirent *e;
  int n = 0;
  DIR *d;
  snprintf(path, sizeof path, "%s/%s", root ? root : "../shared", folder);
  d = opendir(path);
  if (!d)
    return -1;
  while ((e = readdir(d)) != NULL) {
    size_t len;
    char *bytes;
    int want;
    if (e->d_name[0] == '.')
      continue;
    snprintf(name, sizeof name, "%s/%s", folder, e->d_name);
    bytes = shared_file(name, &len);
    CHECK(bytes != NULL);
    want = strncmp(e->d_name, "n_", 2) != 0 &&
           (strstr(e->d_name, "_invalid_codepoint") == NULL ||
            strstr(e->d_name, "_escaped_")) &&
           (strncmp(e->d_name, "i_", 2) != 0 || choice(e->d_name));
    if (bytes && accepts((da_text){bytes, len}) != want) {
      fprintf(stderr, "%s: %s\n", e->d_name, want ? err.message : "accepted");
      CHECK(0 && "as the suite says");
    }
    free(bytes);
    n++;
  }
  closedir(d);
  return n;
}

static void json_test_suite(void) {
  CHECK_INT(suite("vectors/json/JSONTestSuite/test_parsing"), 318);
  CHECK_INT(suite("vectors/json/JSONTestSuite/test_transform"), 22);
}

/* ---- walking ---- */

static void walking(void) {
  static const char text[] = " { \"a\" : [ 1 , \"x\" , { } ] , \"b\\n\" : "
                             "null , \"c\":{\"d\":true} } ";
  da_json j;
  da_text key, raw;
  da_json_init(&j, kit_text_of(text));
  CHECK_INT(da_json_peek(&j), DA_JSON_OBJECT);
  CHECK_INT(da_json_array(&j), 0); /* it is none: nothing consumed */
  CHECK_INT(da_json_object(&j), 1);
  CHECK_INT(da_json_member(&j, &key), 1);
  CHECK(kit_is_text(key, "a"));
  CHECK_INT(da_json_array(&j), 1);
  CHECK_INT(da_json_item(&j), 1);
  CHECK_INT(da_json_value(&j, &raw), DA_JSON_NUMBER);
  CHECK(kit_is_text(raw, "1"));
  CHECK_INT(da_json_item(&j), 1);
  CHECK_INT(da_json_object(&j), 0);
  CHECK_INT(da_json_value(&j, &raw), DA_JSON_STRING);
  CHECK(kit_is_text(raw, "\"x\""));
  CHECK_INT(da_json_item(&j), 1);
  CHECK_INT(da_json_value(&j, &raw), DA_JSON_OBJECT);
  CHECK(kit_is_text(raw, "{ }"));
  CHECK_INT(da_json_item(&j), 0);
  CHECK_INT(da_json_end(&j), 0); /* in the middle */
}

static void walking_on(void) {
  da_json j;
  da_text key, raw;
  da_json_init(&j, kit_text_of("{\"b\\n\" : null , \"c\":{\"d\":true} } "));
  CHECK_INT(da_json_object(&j), 1);
  CHECK_INT(da_json_member(&j, &key), 1);
  CHECK(kit_is_text(key, "b\\n") && da_json_equals(key, "b\n"));
  CHECK_INT(da_json_value(&j, NULL), DA_JSON_NULL);
  CHECK_INT(da_json_member(&j, &key), 1);
  CHECK_INT(da_json_value(&j, &raw), DA_JSON_OBJECT);
  CHECK(kit_is_text(raw, "{\"d\":true}"));
  CHECK_INT(da_json_member(&j, &key), 0);
  CHECK_INT(da_json_end(&j), 1);
  CHECK_INT(da_json_value(&j, &raw), DA_JSON_BAD);
  CHECK(j.why != NULL);
}

/* A fault sticks. */
static void faults_stay(void) {
  da_json j;
  da_text key;
  da_json_init(&j, kit_text_of("[1 2]"));
  CHECK_INT(da_json_array(&j), 1);
  CHECK_INT(da_json_item(&j), 1);
  CHECK_INT(da_json_value(&j, NULL), DA_JSON_NUMBER);
  CHECK_INT(da_json_item(&j), -1);
  CHECK_INT(da_json_item(&j), -1);
  CHECK_INT(da_json_member(&j, &key), -1);
  CHECK_INT(da_json_object(&j), 0);
  CHECK_INT(da_json_peek(&j), DA_JSON_BAD);
  CHECK_INT(da_json_end(&j), 0);
  CHECK_INT(da_json_error(&j, &err), DA_EJSON);
  CHECK_STR(err.message,
            "not JSON: a comma or the end was expected at byte 4");
}

/* Of a checked text, and of what is left of it, which nobody checked. */
static void trusted_strings(void) {
  static const char text[] =
      "[\"\",\"\\\"\",\"a\\\\\",\"\\\\\\\"]\",{\"k\\\\\":"
      "\"\\u0022\\\\\\\\\"},[\"x\"] ] ";
  da_json a, b;
  da_text raw, same;
  da_json_init(&a, kit_text_of(text));
  da_json_init(&b, kit_text_of(text));
  da_json_trust(&b);
  CHECK(da_json_array(&a) && da_json_array(&b));
  while (da_json_item(&a) == 1) {
    CHECK_INT(da_json_item(&b), 1);
    CHECK_INT(da_json_value(&a, &raw), da_json_value(&b, &same));
    CHECK(raw.data == same.data && raw.len == same.len);
  }
  CHECK_INT(da_json_item(&b), 0);
  CHECK(da_json_end(&a) && da_json_end(&b));
  for (size_t n = 0; n < sizeof text - 3; n++) {
    da_text t = kit_exact((da_text){text, n});
    da_json_init(&b, t);
    da_json_trust(&b);
    CHECK_INT(da_json_value(&b, NULL), DA_JSON_BAD);
    kit_free(t);
  }
}

static void picking(void) {
  da_json_field f[] = {{.name = "b"}, {.name = "none"}, {.name = "a\n"}};
  da_json_pick(
      kit_text_of("{\"a\\n\":1,\"c\":{\"b\":0},\"b\":null,\"b\":[ 2]}"), f, 3);
  CHECK_INT(f[0].type, DA_JSON_ARRAY); /* the last one */
  CHECK(kit_is_text(f[0].value, "[ 2]"));
  CHECK_INT(f[1].type, DA_JSON_BAD);
  CHECK_INT(f[1].value.len, 0);
  CHECK_INT(f[2].type, DA_JSON_NUMBER);
  da_json_pick(kit_text_of("[1]"), f, 3);
  CHECK_INT(f[0].type, DA_JSON_BAD);
  CHECK_INT(f[2].value.len, 0);
}

int main(void) {
  size_t len;
  char *licence = shared_file("vectors/json/JSONTestSuite/LICENSE", &len);
  RUN(well_formed);
  RUN(ill_formed);
  RUN(every_place_in_a_string);
  RUN(truncated);
  RUN(depth);
  RUN(depth_with_a_limit);
  RUN(errors_tell_where);
  if (licence)
    RUN(json_test_suite);
  else
    SKIP("json_test_suite", "../shared is not here");
  RUN(walking);
  RUN(walking_on);
  RUN(faults_stay);
  RUN(trusted_strings);
  RUN(picking);
  free(licence);
  return check_done();
}
