/* test_memory_output.c - schemas, and answers that must be JSON, without
** memory. What fails leaves no wrong verdict and changes nothing. */
#include "memory_kit.h"

#include "da_output.h"
#include "da_schema.h"

static const char schema[] =
    "{\"type\":\"object\",\"properties\":{\"a\":{\"anyOf\":[{\"type\":"
    "\"object\",\"required\":[\"x\"]},{\"type\":[\"string\",\"null\"],"
    "\"minLength\":1}]},"
    "\"\\u0062\":{\"$ref\":\"#/properties/a\"}},\"required\":[\"a\",\"b\"],"
    "\"additionalProperties\":false}";

static da_text text(const char *s) {
  da_text t = {s, strlen(s)};
  return t;
}

/* ---- a schema by itself ---- */

/* A verdict is the right one, or there is none. */
static void judge(const char *value, int right) {
  int code = da_schema_validate(text(schema), text(value), &err);
  if (code != right)
    OK(code);
  if (code != right)
    CHECK_INT(code, DA_ENOMEM);
}

static void schema_act(void) {
  OK(da_schema_check(text(schema), &err));
  judge("{\"a\":{\"x\":1},\"b\":\"\\u00e9\"}", DA_OK);
  judge("{\"a\":{\"y\":1},\"b\":null}", DA_EOUTPUT);
  judge("{\"a\":5,\"b\":null}", DA_EOUTPUT);
  judge("{\"a\":null}", DA_EOUTPUT);
  judge("[]", DA_EOUTPUT);
}

/* ---- what an answer must be ---- */

static da_output output, copied;
static da_answer answer;
static int set_left, copy_left;

static void output_begin(void) {
  memset(&output, 0, sizeof output);
  memset(&copied, 0, sizeof copied);
  da_answer_init(&answer);
  CHECK_INT(da_output_set_json(&output, &err), DA_OK);
  CHECK_INT(
      da_buf_puts(&answer.text, "```json\n{\"a\":null,\"b\":\"x\"}\n```"),
      DA_OK);
}

static void output_act(void) {
  int code;
  set_left =
      !OK(da_output_set_schema(&output, "name", text(schema), -1, &err));
  copy_left = da_output_copy(&copied, &output) != DA_OK;
  code = da_output_check(&output, &answer, &err);
  OK(code);
  CHECK_STR(answer.text.data, code ? "```json\n{\"a\":null,\"b\":\"x\"}\n```"
                                   : "{\"a\":null,\"b\":\"x\"}");
}

static void output_check(void) {
  if (set_left) {
    CHECK_STR(output.format, "{\"type\":\"json_object\"}");
    CHECK(output.schema == NULL);
    CHECK_INT(da_output_set_schema(&output, "name", text(schema), -1, &err),
              DA_OK);
  }
  if (copy_left)
    CHECK(!copied.format && !copied.schema);
  da_output_dispose(&copied);
  CHECK_INT(da_output_copy(&copied, &output), DA_OK);
  CHECK_STR(copied.format, output.format);
  CHECK_STR(copied.schema, schema);
  CHECK_INT(da_output_check(&copied, &answer, &err), DA_OK);
  CHECK_STR(answer.text.data, "{\"a\":null,\"b\":\"x\"}");
}

static void output_end(void) {
  da_output_dispose(&output);
  da_output_dispose(&copied);
  da_answer_dispose(&answer);
}

int main(void) {
  static const scene scenes[] = {
      {"a schema", memory_nothing, schema_act, schema_act, memory_nothing, 0},
      {"an answer that must be JSON", output_begin, output_act, output_check,
       output_end, 0},
  };
  PLAY(scenes);
  return check_done();
}
