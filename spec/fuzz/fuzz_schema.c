/* fuzz_schema.c - values and schemas. The first line of the input is a schema,
** the rest a value: what is said of the two must fit together. */
#include "fuzz.h"

#include "da_schema.h"
#include "da_utf8.h"

static int is_json(da_text t) {
  return da_json_check(t, NULL) == DA_OK;
}

/* The verdict on `value` of the schema between `front` and `back`. */
static int verdict(const char *front, da_text schema, const char *back,
                   da_text value, da_err *err) {
  da_buf whole;
  int code;
  da_buf_init(&whole, FUZZ_CAP);
  da_buf_puts(&whole, front);
  da_buf_put(&whole, schema.data, schema.len);
  MUST(da_buf_puts(&whole, back) == DA_OK);
  code = da_schema_validate(da_buf_text(&whole), value, err);
  da_buf_dispose(&whole);
  return code;
}

static int is_worn_out(const da_err *err) {
  return strstr(err->message, "too much work") ||
         strstr(err->message, "in a circle");
}

/* A value is itself, and nothing else; whatever is between its tokens. */
static void check_identity(da_text value) {
  da_buf compact;
  da_err err;
  int same, other;
  same = verdict("{\"const\":", value, "}", value, &err);
  MUST(same == DA_OK || is_worn_out(&err));
  other = verdict("{\"not\":{\"enum\":[", value, "]}}", value, &err);
  MUST(other == DA_EOUTPUT);
  da_buf_init(&compact, FUZZ_CAP);
  MUST(da_json_put_compact(&compact, value) == DA_OK);
  same = verdict("{\"enum\":[null,", value, "]}", da_buf_text(&compact), &err);
  MUST(same == DA_OK || is_worn_out(&err));
  da_buf_dispose(&compact);
}

/* Around a schema without references: what says the same, and the opposite. */
static void check_logic(da_text schema, da_text value, int plain) {
  static const char *const same[][2] = {
      {"{\"allOf\":[true,", "]}"},      {"{\"anyOf\":[false,", "]}"},
      {"{\"oneOf\":[", ",false]}"},     {"{\"if\":true,\"then\":", "}"},
      {"{\"if\":false,\"else\":", "}"}, {"{\"not\":{\"not\":", "}}"}};
  da_err err;
  int code;
  for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
    code = verdict(same[i][0], schema, same[i][1], value, &err);
    MUST(code == plain || is_worn_out(&err) || code == DA_EJSON);
  }
  code = verdict("{\"not\":", schema, "}", value, &err);
  MUST(code != plain || is_worn_out(&err) || code == DA_EJSON);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  char *copy = fuzz_exact(bytes, len);
  da_text value = {copy, len}, schema = fuzz_cut(&value, '\n');
  da_err err;
  int usable = da_schema_check(schema, &err), fits;
  MUST((usable == DA_EJSON) == !is_json(schema));
  MUST(usable == DA_OK || usable == DA_EJSON || usable == DA_EINVAL);
  MUST(usable != DA_EINVAL || err.message[0] == '$');
  fits = da_schema_validate(schema, value, &err);
  MUST((fits == DA_EJSON) == !(is_json(schema) && is_json(value)));
  MUST(fits == DA_OK || fits == DA_EJSON || fits == DA_EOUTPUT);
  if (fits == DA_EOUTPUT)
    MUST(err.message[0] == '$' &&
         da_utf8_check(err.message, strlen(err.message)) ==
             strlen(err.message));
  if (fits != DA_EJSON) {
    int refers = schema.len && memchr(schema.data, '$', schema.len);
    int escapes = schema.len && memchr(schema.data, '\\', schema.len);
    if (da_json_check_depth(value, DA_JSON_DEPTH - 3, NULL) == DA_OK)
      check_identity(value);
    if (!refers && !escapes && (fits == DA_OK || !is_worn_out(&err)) &&
        usable == DA_OK)
      check_logic(schema, value, fits);
  }
  free(copy);
  return 0;
}
