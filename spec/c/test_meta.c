/* test_meta.c - what is stored beside a session's messages. */
#include "da_meta.h"

#include "check.h"
#include "text_kit.h"

static const char *merge(const char *base, const char *ours,
                         const char *theirs) {
  static char out[1024];
  da_buf b;
  da_buf_init(&b, sizeof out - 1);
  CHECK_INT(da_meta_merge(&b, kit_text_of(base), kit_text_of(ours),
                          kit_text_of(theirs)),
            DA_OK);
  CHECK_INT(da_json_check(da_buf_text(&b), NULL), DA_OK);
  memcpy(out, b.data, b.len + 1);
  da_buf_dispose(&b);
  return out;
}

static int64_t total(const char *json) {
  da_meta m;
  da_meta_read(&m, kit_text_of(json));
  return m.usage.total;
}

static const char *other(const char *json, const char *key) {
  static char out[64];
  da_text raw = {"none", 4};
  da_json_get(kit_text_of(json), key, &raw);
  memcpy(out, raw.data, raw.len);
  out[raw.len] = '\0';
  return out;
}

#define USED(n) "{\"created_at\":5.000,\"usage\":{\"total_tokens\":" #n "}}"

static void tokens_add_up(void) {
  CHECK_INT(total(merge("", USED(7), "")), 7);
  CHECK_INT(total(merge(USED(7), USED(10), USED(7))), 10);
  CHECK_INT(total(merge(USED(7), USED(10), USED(20))), 23);
  CHECK_INT(total(merge("", USED(10), USED(20))), 30);
  /* deleted and begun anew by someone else: never below nothing */
  CHECK_INT(total(merge(USED(50), USED(10), USED(20))), 0);
}

#define DETAIL(n)                                                             \
  "{\"usage\":{\"total_tokens\":9,\"cached_tokens\":" #n                      \
  ",\"reasoning_tokens\":1" #n ",\"audio_tokens\":2" #n "}}"

static void details_add_up(void) {
  da_meta m;
  da_buf out;
  da_meta_read(&m, kit_text_of(merge(DETAIL(1), DETAIL(3), DETAIL(5))));
  CHECK_INT(m.usage.cached, 7);
  CHECK_INT(m.usage.reasoning, 17);
  CHECK_INT(m.usage.audio, 27);
  /* of an older version, and none */
  da_meta_read(&m, kit_text_of(merge("", USED(7), USED(7))));
  CHECK_INT(m.usage.cached, 0);
  da_buf_init(&out, 1000);
  CHECK_INT(da_meta_put(&out, &m, kit_text_of("")), DA_OK);
  CHECK(strstr(out.data, "cached") == NULL);
  da_buf_dispose(&out);
}

static void tokens_do_not_overflow(void) {
  da_usage most = {INT64_MAX, INT64_MAX, INT64_MAX, 0, 0, 0};
  da_usage one = {1, 1, 1, 0, 0, 0};
  da_usage_add(&most, &one);
  CHECK(most.prompt == INT64_MAX && most.total == INT64_MAX);
  CHECK_INT(total("{\"usage\":{\"total_tokens\":1e30}}"), 0);
  CHECK_INT(total("{\"usage\":{\"total_tokens\":-5}}"), 0);
  CHECK_INT(total("{\"usage\":[]}"), 0);
}

static void others_members_stay(void) {
  CHECK_STR(other(merge("{}", "{}", "{\"title\":\"T\"}"), "title"), "\"T\"");
  CHECK_STR(other(merge("{}", "{\"a\":1}", "{\"b\":2}"), "a"), "1");
  CHECK_STR(other(merge("{}", "{\"a\":1}", "{\"b\":2}"), "b"), "2");
  CHECK_STR(other(merge("{}", "{\"a\":1}", "{\"\\u0061\":2}"), "a"), "2");
  /* Found by fuzz_meta: a name that is empty, or has a NUL in it, is one
  ** like any other. */
  CHECK_STR(other(merge("{}", "{\"\":1}", "{\"\":2}"), ""), "2");
  CHECK(strstr(merge("{}", "{\"a\\u0000b\":1}", "{\"a\":2}"),
               ",\"a\":2,\"a\\u0000b\":1}") != NULL);
}

static void times(void) {
  da_meta m;
  da_meta_read(&m, kit_text_of(merge("", USED(1), USED(1))));
  CHECK(m.created_at > 4.9 && m.created_at < 5.1);
  da_meta_read(&m, kit_text_of("{\"created_at\":1e99}"));
  CHECK(m.created_at == 0);
}

int main(void) {
  RUN(tokens_add_up);
  RUN(details_add_up);
  RUN(tokens_do_not_overflow);
  RUN(others_members_stay);
  RUN(times);
  return check_done();
}
