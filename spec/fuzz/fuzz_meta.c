/* fuzz_meta.c - what is stored beside the messages, of two writers, put
** together. The input's three lines are the metadata that both began from,
** ours, and theirs. */
#include "fuzz.h"

#include "da_meta.h"

/* The text, if it is what metadata can be: a JSON object, or nothing. */
static da_text object(da_text t) {
  da_json j;
  da_json_init(&j, t);
  if (da_json_peek(&j) == DA_JSON_OBJECT && da_json_check(t, NULL) == DA_OK)
    return t;
  return (da_text){"", 0};
}

static int is_ours(da_text key) {
  return da_json_equals(key, "created_at") ||
         da_json_equals(key, "updated_at") || da_json_equals(key, "usage");
}

/* The last member of `object` with this raw key, whatever it is. */
static int find(da_text object, da_text key, da_text *value) {
  da_buf want, have;
  da_json j;
  da_text k, v;
  int found = 0;
  da_buf_init(&want, FUZZ_CAP);
  da_buf_init(&have, FUZZ_CAP);
  da_json_unescape(&want, key, NULL);
  da_json_init(&j, object);
  da_json_object(&j);
  while (object.len && da_json_member(&j, &k) == 1) {
    da_json_value(&j, &v);
    da_buf_reset(&have);
    da_json_unescape(&have, k, NULL);
    if (fuzz_same(da_buf_text(&want), da_buf_text(&have))) {
      *value = v;
      found = 1;
    }
  }
  da_buf_dispose(&want);
  da_buf_dispose(&have);
  return found;
}

/* Each member of `from` that is not ours is in `merged`, unless `but` has
** one of that name. */
static void check_kept(da_text merged, da_text from, da_text but) {
  da_json j;
  da_text key, value, last, got = {NULL, 0};
  da_json_init(&j, from);
  da_json_object(&j);
  while (from.len && da_json_member(&j, &key) == 1) {
    da_json_value(&j, &value);
    if (is_ours(key) || find(but, key, &last))
      continue;
    MUST(find(from, key, &last));
    MUST(find(merged, key, &got) && fuzz_same(got, last));
  }
}

static void check_usage(const da_usage *u) {
  MUST(u->prompt >= 0 && u->completion >= 0 && u->total >= 0);
}

static void check_merge(da_text base, da_text ours, da_text theirs) {
  const da_text nothing = {"", 0};
  da_buf out;
  da_meta m;
  da_buf_init(&out, FUZZ_CAP);
  MUST(da_meta_merge(&out, base, ours, theirs) == DA_OK);
  if (!theirs.len) {
    MUST(fuzz_same(da_buf_text(&out), ours));
  } else {
    da_text merged = da_buf_text(&out);
    MUST(fuzz_same(object(merged), merged));
    check_kept(merged, theirs, nothing);
    check_kept(merged, ours, theirs);
    da_meta_read(&m, merged);
    check_usage(&m.usage);
    MUST(m.created_at > 0 && m.created_at < 1e11);
  }
  da_buf_dispose(&out);
}

static void check_put(da_text former) {
  const da_text nothing = {"", 0};
  da_meta m, again;
  da_buf out;
  da_meta_read(&m, former);
  check_usage(&m.usage);
  MUST(m.created_at >= 0 && m.created_at < 1e11);
  da_buf_init(&out, FUZZ_CAP);
  MUST(da_meta_put(&out, &m, former) == DA_OK);
  MUST(fuzz_same(object(da_buf_text(&out)), da_buf_text(&out)));
  check_kept(da_buf_text(&out), former, nothing);
  da_meta_read(&again, da_buf_text(&out));
  MUST(memcmp(&m.usage, &again.usage, sizeof m.usage) == 0);
  da_buf_dispose(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  char *exact = fuzz_exact(bytes, len);
  da_text rest = {exact, len};
  da_text base = object(fuzz_cut(&rest, '\n'));
  da_text ours = object(fuzz_cut(&rest, '\n')), theirs = object(rest);
  if (!ours.len)
    ours = (da_text){"{}", 2};
  check_merge(base, ours, theirs);
  check_put(ours);
  check_put(theirs);
  free(exact);
  return 0;
}
