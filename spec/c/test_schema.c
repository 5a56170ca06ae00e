/* test_schema.c - values that fit a JSON schema, values that do not, schemas
** that are none. */
#include "check.h"
#include "da_schema.h"
#include "text_kit.h"

typedef struct trial {
  const char *schema, *value;
  const char *why; /* NULL: it fits */
} trial;

static void show(const trial *t, const char *what, const da_err *err) {
  fprintf(stderr, "%s\n%s\n  %s: %s\n  should be: %s\n", t->schema, t->value,
          what, err->message, t->why ? t->why : "fits");
  check_failed_here = 1;
}

static void try_one(const trial *t) {
  da_text schema = kit_exact(kit_text_of(t->schema));
  da_text value = kit_exact(kit_text_of(t->value));
  da_err err;
  int code;
  da_err_clear(&err);
  if (da_schema_check(schema, &err))
    show(t, "the schema is refused", &err);
  code = da_schema_validate(schema, value, &err);
  if (code == DA_OK ? t->why != NULL
                    : !t->why || code != DA_EOUTPUT || err.code != code ||
                          strcmp(err.message, t->why) != 0)
    show(t, code ? da_code_name(code) : "fits", &err);
  CHECK_INT(da_schema_validate(schema, value, NULL), code);
  kit_free(schema);
  kit_free(value);
}

#define TRY(list)                                                             \
  for (size_t i = 0; i < sizeof(list) / sizeof *(list); i++)                  \
  try_one(&(list)[i])

static void types(void) {
  static const trial list[] = {
      {"true", "[1]", NULL},
      {" false ", "1", "$: nothing is allowed here"},
      {"{}", "{\"a\":[1,null]}", NULL},
      {" { \"type\" : \"string\" } ", " \"x\" ", NULL},
      {"{\"type\":\"integer\"}", "5", NULL},
      {"{\"type\":\"integer\"}", "5.0", NULL},
      {"{\"type\":\"integer\"}", "50e-1", NULL},
      {"{\"type\":\"integer\"}", "1e300", NULL},
      {"{\"type\":\"integer\"}", "9007199254740993", NULL},
      {"{\"type\":\"integer\"}", "-0", NULL},
      {"{\"type\":\"integer\"}", "-0.0e-5", NULL},
      {"{\"type\":\"integer\"}", "5.5", "$: must be an integer, not 5.5"},
      {"{\"type\":\"integer\"}", "1e-1", "$: must be an integer, not 1e-1"},
      {"{\"type\":\"integer\"}", "12345678901234567890.5",
       "$: must be an integer, not 12345678901234567890.5"},
      {"{\"type\":\"integer\"}", "0.123456789012345678901234567890",
       "$: must be an integer, not a number"},
      {"{\"type\":\"integer\"}", "\"5\"",
       "$: must be an integer, not a string"},
      {"{\"type\":\"number\"}", "5", NULL},
      {"{\"type\":\"number\"}", "true", "$: must be a number, not a boolean"},
      {"{\"type\":\"string\"}", "12", "$: must be a string, not 12"},
      {"{\"type\":\"string\"}", "null", "$: must be a string, not null"},
      {"{\"type\":\"boolean\"}", "false", NULL},
      {"{\"type\":\"boolean\"}", "0", "$: must be a boolean, not 0"},
      {"{\"type\":\"null\"}", "null", NULL},
      {"{\"type\":\"null\"}", "{}", "$: must be null, not an object"},
      {"{\"type\":\"array\"}", "[]", NULL},
      {"{\"type\":\"array\"}", "{}", "$: must be an array, not an object"},
      {"{\"type\":\"object\"}", "[]", "$: must be an object, not an array"},
      {"{\"type\":[\"string\",\"null\"]}", "null", NULL},
      {"{\"type\":[\"null\",\"string\"]}", "1",
       "$: must be a string or null, not 1"},
      {"{\"type\":[\"null\",\"string\",\"integer\"]}", "[]",
       "$: must be a string, an integer or null, not an array"},
      {"{\"type\":\"string\",\"nullable\":true}", "null", NULL},
      {"{\"type\":\"string\",\"nullable\":false}", "null",
       "$: must be a string, not null"},
      {"{\"t\\u0079pe\":\"str\\u0069ng\"}", "1", "$: must be a string, not 1"},
      {"{\"type\":\"string\",\"pattern\":\"^a\",\"format\":\"date\","
       "\"title\":5,\"$comment\":[],\"x-own\":{\"type\":\"nothing\"}}",
       "\"b\"", NULL},
  };
  TRY(list);
}

static void objects(void) {
#define CITY                                                                  \
  "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"},"      \
  "\"days\":{\"type\":\"integer\"}},\"required\":[\"city\"],"                 \
  "\"additionalProperties\":false}"
  static const trial list[] = {
      {CITY, "{\"city\":\"Rome\",\"days\":3}", NULL},
      {CITY, "{\"days\":3,\"city\":\"Rome\"}", NULL},
      {CITY, "{\"c\\u0069ty\":\"Rome\"}", NULL},
      {CITY, "{\"city\":\"Rome\",\"days\":\"3\"}",
       "$.days: must be an integer, not a string"},
      {CITY, "{\"days\":3}", "$.city: is missing"},
      {CITY, "{\"city\":\"Rome\",\"d\":1}",
       "$.d: there must be no such member"},
      {CITY, "{\"city\":\"Rome\",\"a b\":1}",
       "$[\"a b\"]: there must be no such member"},
      {CITY, "{\"city\":\"Rome\",\"city\":1}",
       "$.city: must be a string, not 1"},
      {CITY, "{\"city\":1,\"city\":\"Rome\"}",
       "$.city: must be a string, not 1"},
      {"{\"additionalProperties\":{\"type\":\"integer\"}}",
       "{\"a\":1,\"b\":[]}", "$.b: must be an integer, not an array"},
      {"{\"additionalProperties\":true}", "{\"a\":1}", NULL},
      {"{\"additionalProperties\":false}", "[1]", NULL},
      {"{\"patternProperties\":{\"^x\":{}},\"additionalProperties\":false}",
       "{\"x1\":1}", NULL},
      {"{\"required\":[\"a\",\"b\",\"a\"]}", "{\"b\":1,\"a\":1}", NULL},
      {"{\"required\":[\"a\",\"\\u0062\"]}", "{\"a\":1}",
       "$[\"\\u0062\"]: is missing"},
      {"{\"required\":[\"a\"]}", "5", NULL},
      {"{\"required\":[]}", "{}", NULL},
      {"{\"minProperties\":1}", "{}",
       "$: must have at least 1 members, not 0"},
      {"{\"maxProperties\":1}", "{\"a\":1,\"b\":2}",
       "$: must have at most 1 members, not 2"},
      {"{\"properties\":{\"a\":{},\"b\":{\"type\":\"null\"},\"c\":{}}}",
       "{\"c\":1,\"a\":1,\"x\":1,\"b\":1}", "$.b: must be null, not 1"},
      {"{\"properties\":{}}", "{\"a\":1,\"b\":1}", NULL},
      {"{\"properties\":{\"a\":{\"properties\":{\"b\":{\"items\":"
       "{\"type\":\"null\"}}}}}}",
       "{\"a\":{\"b\":[null,1]}}", "$.a.b[1]: must be null, not 1"},
      {"{\"properties\":{\"\":{\"type\":\"null\"}}}", "{\"\":1}",
       "$[\"\"]: must be null, not 1"},
      {"{\"properties\":{\"\\ud83d\\ude00\":{\"type\":\"null\"}}}",
       "{\"\xf0\x9f\x98\x80\":1}",
       "$[\"\xf0\x9f\x98\x80\"]: must be null, not 1"},
      {"{\"additionalProperties\":false}",
       "{\"a\\nbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\":1}",
       "$[\"a\\nbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb...\"]: there must be no "
       "such member"},
  };
  TRY(list);
}

static void arrays(void) {
  static const trial list[] = {
      {"{\"items\":{\"type\":\"integer\"}}", "[]", NULL},
      {"{\"items\":{\"type\":\"integer\"}}", "[1, 2 ,3]", NULL},
      {"{\"items\":{\"type\":\"integer\"}}", "[1,\"x\"]",
       "$[1]: must be an integer, not a string"},
      {"{\"items\":false}", "[]", NULL},
      {"{\"items\":false}", "[1]", "$[0]: nothing is allowed here"},
      {"{\"items\":false}", "{}", NULL},
      {"{\"prefixItems\":[{\"type\":\"string\"},{\"type\":\"null\"}]}",
       "[\"a\"]", NULL},
      {"{\"prefixItems\":[{\"type\":\"string\"},{\"type\":\"null\"}]}",
       "[\"a\",null,5]", NULL},
      {"{\"prefixItems\":[{\"type\":\"string\"},{\"type\":\"null\"}]}",
       "[\"a\",5]", "$[1]: must be null, not 5"},
      {"{\"prefixItems\":[true],\"items\":{\"type\":\"null\"}}", "[5,5]",
       "$[1]: must be null, not 5"},
      {"{\"items\":[{\"type\":\"string\"}],\"additionalItems\":false}",
       "[\"a\"]", NULL},
      {"{\"items\":[{\"type\":\"string\"}],\"additionalItems\":false}",
       "[\"a\",1]", "$[1]: nothing is allowed here"},
      {"{\"items\":[{\"type\":\"string\"}]}", "[\"a\",1]", NULL},
      {"{\"minItems\":2}", "[1]", "$: must have at least 2 items, not 1"},
      {"{\"minItems\":2.0}", "[1,2]", NULL},
      {"{\"maxItems\":0}", "[1]", "$: must have at most 0 items, not 1"},
      {"{\"maxItems\":1e400}", "[1]", NULL},
      {"{\"minItems\":20e-1}", "[1]", "$: must have at least 2 items, not 1"},
      {"{\"uniqueItems\":true}", "[1,2,\"1\",[1],{\"a\":1}]", NULL},
      {"{\"uniqueItems\":true}", "[1,2,1.0]",
       "$: items [0] and [2] are the same"},
      {"{\"uniqueItems\":true}", "[{\"a\":1,\"b\":2},{\"b\":2,\"a\":1}]",
       "$: items [0] and [1] are the same"},
      {"{\"uniqueItems\":true}", "[true,false,null,[],{}]", NULL},
      {"{\"uniqueItems\":true}", "[[],[]]",
       "$: items [0] and [1] are the same"},
      {"{\"uniqueItems\":false}", "[1,1]", NULL},
  };
  TRY(list);
}

static void values(void) {
  static const trial list[] = {
      {"{\"enum\":[\"a\",5,null]}", "\"a\"", NULL},
      {"{\"enum\":[\"a\",5,null]}", "5.0", NULL},
      {"{\"enum\":[\"a\",5,null]}", "\"b\"",
       "$: must be one of [\"a\",5,null]"},
      {"{\"enum\":[\"\\u0061\"]}", "\"a\"", NULL},
      {"{\"enum\":[\"a\"]}", "\"\\u0061\"", NULL},
      {"{\"enum\":[\"a\"]}", "\"ab\"", "$: must be one of [\"a\"]"},
      {"{\"enum\":[\"ab\"]}", "\"\\u0061\"", "$: must be one of [\"ab\"]"},
      {"{\"const\":1}", "1.0", NULL},
      {"{\"const\":1}", "true", "$: must be 1"},
      {"{\"const\":0}", "-0.0", NULL},
      {"{\"const\":null}", "null", NULL},
      {"{\"const\":null}", "0", "$: must be null"},
      {"{\"const\":9007199254740993}", "9007199254740992",
       "$: must be 9007199254740993"},
      {"{\"const\":0.1}", "0.1000000000000000000000001", "$: must be 0.1"},
      {"{\"const\":0.1}", "1.000e-1", NULL},
      {"{\"const\":100}", "1E+2", NULL},
      {"{\"const\":1e400}", "1e401", "$: must be 1e400"},
      {"{\"const\":-1}", "1", "$: must be -1"},
      {"{\"const\":{\"a\":[1,2],\"b\":{}}}", "{\"b\":{},\"a\":[1,2.0]}", NULL},
      {"{\"const\":{\"a\":1}}", "{\"a\":1,\"b\":1}", "$: must be {\"a\":1}"},
      {"{\"const\":{\"a\":1,\"b\":1}}", "{\"a\":1}",
       "$: must be {\"a\":1,\"b\":1}"},
      {"{\"const\":{\"a\":1}}", "{\"a\":2,\"a\":1}", NULL},
      {"{\"const\":{\"a\":1}}", "{\"a\":1,\"a\":2}", "$: must be {\"a\":1}"},
      {"{\"const\":[1,2]}", "[1]", "$: must be [1,2]"},
      {"{\"const\":[1,2]}", "[2,1]", "$: must be [1,2]"},
      {"{\"const\":[1]}", "[1,2]", "$: must be [1]"},
      {"{\"const\":[]}", "{}", "$: must be []"},
      {"{\"const\":\"\\ud83d\\ude00\"}", "\"\xf0\x9f\x98\x80\"", NULL},
      {"{\"const\":\"\\ud83d\"}", "\"\xef\xbf\xbd\"", NULL},
      {"{\"const\":\"\\ud83d\\ud83d\\ude00\"}",
       "\"\xef\xbf\xbd\xf0\x9f\x98\x80\"", NULL},
      {"{\"const\":\"\\uD83Dx\"}", "\"\\ud83dx\"", NULL},
      {"{\"const\":\"\\n\\/\"}", "\"\\u000a/\"", NULL},
      {"{\"const\":\"\\u0000\"}", "\"\"", "$: must be \"\\u0000\""},
  };
  TRY(list);
}

static void numbers(void) {
  static const trial list[] = {
      {"{\"minimum\":5}", "5", NULL},
      {"{\"minimum\":5}", "4.999", "$: must be at least 5"},
      {"{\"minimum\":5}", "\"1\"", NULL},
      {"{\"maximum\":5}", "5.0", NULL},
      {"{\"maximum\":5}", "5.0000001", "$: must be at most 5"},
      {"{\"exclusiveMinimum\":0}", "0", "$: must be more than 0"},
      {"{\"exclusiveMinimum\":0}", "1e-400", NULL},
      {"{\"exclusiveMaximum\":0}", "-0.0", "$: must be less than 0"},
      {"{\"exclusiveMaximum\":0}", "-1", NULL},
      {"{\"minimum\":-10}", "-11", "$: must be at least -10"},
      {"{\"minimum\":-10}", "-9", NULL},
      {"{\"minimum\":-10}", "-1e1", NULL},
      {"{\"maximum\":9223372036854775807}", "9223372036854775808",
       "$: must be at most 9223372036854775807"},
      {"{\"maximum\":9223372036854775806}", "9223372036854775807",
       "$: must be at most 9223372036854775806"},
      {"{\"maximum\":1e99999999999999999999}", "1e9", NULL},
      {"{\"minimum\":1e99999999999999999999}", "1e9",
       "$: must be at least 1e99999999999999999999"},
      {"{\"multipleOf\":2}", "4", NULL},
      {"{\"multipleOf\":2}", "-4", NULL},
      {"{\"multipleOf\":2}", "0", NULL},
      {"{\"multipleOf\":2}", "5", "$: must be a multiple of 2"},
      {"{\"multipleOf\":2}", "4.5", "$: must be a multiple of 2"},
      {"{\"multipleOf\":0.1}", "0.3", NULL},
      {"{\"multipleOf\":0.01}", "19.99", NULL},
      {"{\"multipleOf\":0.01}", "19.999", "$: must be a multiple of 0.01"},
      {"{\"multipleOf\":1000}", "1e20", NULL},
      {"{\"multipleOf\":3}", "1e20", "$: must be a multiple of 3"},
      {"{\"multipleOf\":3}", "111111111111111111111111111111", NULL},
      {"{\"multipleOf\":3}", "111111111111111111111111111112",
       "$: must be a multiple of 3"},
      {"{\"multipleOf\":2.5}", "7.5", NULL},
      {"{\"multipleOf\":1000}", "10", "$: must be a multiple of 1000"},
      {"{\"minLength\":2}", "\"\xc3\xa9\"",
       "$: must have at least 2 characters, not 1"},
      {"{\"minLength\":2}", "\"\xf0\x9f\x98\x80\\ud83d\\ude00\"", NULL},
      {"{\"maxLength\":2}", "\"\\n\\u00e9x\"",
       "$: must have at most 2 characters, not 3"},
      {"{\"maxLength\":2}", "123", NULL},
  };
  TRY(list);
}

static void combined(void) {
#define SHAPE                                                                 \
  "{\"anyOf\":[{\"properties\":{\"kind\":{\"const\":\"circle\"},"             \
  "\"r\":{\"type\":\"number\"}},\"required\":[\"kind\",\"r\"]},"              \
  "{\"properties\":{\"kind\":{\"const\":\"square\"}},"                        \
  "\"required\":[\"kind\",\"side\"]}]}"
  static const trial list[] = {
      {"{\"allOf\":[{\"minimum\":1},{\"maximum\":3}]}", "2", NULL},
      {"{\"allOf\":[{\"minimum\":1},{\"maximum\":3}]}", "4",
       "$: must be at most 3"},
      {"{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}", "null",
       NULL},
      {"{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}", "1",
       "$: fits none of the 2 schemas of anyOf"},
      {SHAPE, "{\"kind\":\"circle\",\"r\":1}", NULL},
      {SHAPE, "{\"kind\":\"circle\",\"r\":\"1\"}",
       "$.r: must be a number, not a string"},
      {SHAPE, "{\"kind\":\"square\"}", "$.side: is missing"},
      {"{\"oneOf\":[{\"type\":\"integer\"},{\"minimum\":2}]}", "1", NULL},
      {"{\"oneOf\":[{\"type\":\"integer\"},{\"minimum\":2}]}", "2.5", NULL},
      {"{\"oneOf\":[{\"type\":\"integer\"},{\"minimum\":2}]}", "3",
       "$: fits more than one of oneOf"},
      {"{\"oneOf\":[{\"type\":\"integer\"},{\"minimum\":2}]}", "1.5",
       "$: must be at least 2"},
      {"{\"not\":{\"type\":\"null\"}}", "1", NULL},
      {"{\"not\":{\"type\":\"null\"}}", "null",
       "$: must not be what it is: it fits the schema of not"},
      {"{\"if\":{\"type\":\"string\"},\"then\":{\"minLength\":1},"
       "\"else\":{\"minimum\":1}}",
       "\"\"", "$: must have at least 1 characters, not 0"},
      {"{\"if\":{\"type\":\"string\"},\"then\":{\"minLength\":1},"
       "\"else\":{\"minimum\":1}}",
       "0", "$: must be at least 1"},
      {"{\"if\":{\"type\":\"string\"}}", "0", NULL},
      {"{\"then\":false,\"else\":false}", "0", NULL},
      {"{\"properties\":{\"a\":{\"anyOf\":[{\"anyOf\":[{\"items\":"
       "{\"type\":\"null\"}},{\"type\":\"object\"}]}]}}}",
       "{\"a\":[null,1]}", "$.a[1]: must be null, not 1"},
  };
  TRY(list);
}

static void references(void) {
#define TREE                                                                  \
  "{\"$defs\":{\"node\":{\"type\":\"object\",\"properties\":{\"v\":"          \
  "{\"type\":\"integer\"},\"next\":{\"anyOf\":[{\"$ref\":\"#/$defs/node\"},"  \
  "{\"type\":\"null\"}]}},\"required\":[\"v\"]}},\"$ref\":\"#/$defs/node\"}"
  static const trial list[] = {
      {TREE, "{\"v\":1,\"next\":{\"v\":2,\"next\":null}}", NULL},
      {TREE, "{\"v\":1,\"next\":{\"v\":2,\"next\":{\"v\":\"3\"}}}",
       "$.next.next.v: must be an integer, not a string"},
      {"{\"items\":{\"$ref\":\"#\"},\"type\":\"array\"}", "[[],[[]]]", NULL},
      {"{\"items\":{\"$ref\":\"#\"},\"type\":\"array\"}", "[[],[5]]",
       "$[1][0]: must be an array, not 5"},
      {"{\"definitions\":{\"a/b\":{\"type\":\"null\"},\"c~d\":{\"type\":"
       "\"null\"},\"e f\":{\"type\":\"null\"}},\"items\":[{\"$ref\":"
       "\"#/definitions/a~1b\"},{\"$ref\":\"#/definitions/c~0d\"},{\"$ref\":"
       "\"#/definitions/e%20f\"}]}",
       "[null,null,1]", "$[2]: must be null, not 1"},
      {"{\"definitions\":{\"jO%g\":{\"type\":\"null\"}},\"$ref\":"
       "\"#/definitions/%6a%4F%g\"}",
       "1", "$: must be null, not 1"},
      {"{\"properties\":{\"a\":{\"type\":\"null\"},\"b\":{\"$ref\":"
       "\"#/properties/a\"}}}",
       "{\"b\":1}", "$.b: must be null, not 1"},
      {"{\"prefixItems\":[{\"type\":\"null\"},{\"$ref\":\"#/prefixItems/"
       "0\"}]}",
       "[null,1]", "$[1]: must be null, not 1"},
      {"{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":false}}", "1",
       "$: nothing is allowed here"},
  };
  TRY(list);
}

/* What would take for ever, or all of the stack. */
static void hostile(void) {
  static const trial list[] = {
      {"{\"$ref\":\"#\"}", "1",
       "$: schemas are nested too deep, or in a circle"},
      {"{\"allOf\":[{\"$ref\":\"#\"}]}", "1",
       "$: schemas are nested too deep, or in a circle"},
      {"{\"anyOf\":[{\"$ref\":\"#\"},true]}", "1",
       "$: schemas are nested too deep, or in a circle"},
      {"{\"not\":{\"$ref\":\"#\"}}", "1",
       "$: schemas are nested too deep, or in a circle"},
      {"{\"$defs\":{\"a\":{\"$ref\":\"#/$defs/b\"},\"b\":{\"$ref\":"
       "\"#/$defs/a\"}},\"$ref\":\"#/$defs/a\"}",
       "1", "$: schemas are nested too deep, or in a circle"},
  };
  da_buf schema, value;
  da_err err;
  TRY(list);
  /* Each level asks twice for the next: 2^400. */
  da_buf_init(&schema, KIT_CAP);
  da_buf_init(&value, KIT_CAP);
  da_buf_puts(&schema,
              "{\"$defs\":{\"a\":{\"items\":{\"anyOf\":[{\"allOf\":["
              "{\"$ref\":\"#/$defs/a\"},false]},{\"allOf\":[{\"$ref\":"
              "\"#/$defs/a\"},false]}]}}},\"$ref\":\"#/$defs/a\"}");
  for (int i = 0; i < 200; i++)
    da_buf_puts(&value, "[");
  for (int i = 0; i < 200; i++)
    da_buf_puts(&value, "]");
  CHECK_INT(da_schema_check(da_buf_text(&schema), &err), DA_OK);
  CHECK_INT(
      da_schema_validate(da_buf_text(&schema), da_buf_text(&value), &err),
      DA_EOUTPUT);
  CHECK(strstr(err.message, "too much work") != NULL);
  CHECK(strstr(err.message, "$...[0][0]") == err.message);
  /* Many items, no two alike: n * n / 2. */
  da_buf_reset(&value);
  da_buf_puts(&value, "[0");
  for (int i = 1; i < 100000; i++)
    da_buf_printf(&value, ",%d", i);
  da_buf_puts(&value, "]");
  CHECK_INT(da_schema_validate(kit_text_of("{\"uniqueItems\":true}"),
                               da_buf_text(&value), &err),
            DA_EOUTPUT);
  CHECK(strstr(err.message, "too much work") != NULL);
  /* But they are no work for this one. */
  CHECK_INT(
      da_schema_validate(kit_text_of("{\"items\":{\"type\":\"integer\"}}"),
                         da_buf_text(&value), &err),
      DA_OK);
  da_buf_dispose(&schema);
  da_buf_dispose(&value);
}

static void deep(void) {
  da_buf value;
  da_err err;
  da_buf_init(&value, KIT_CAP);
  for (int i = 0; i < DA_JSON_DEPTH; i++)
    da_buf_puts(&value, "[");
  for (int i = 0; i < DA_JSON_DEPTH; i++)
    da_buf_puts(&value, "]");
  CHECK_INT(da_schema_validate(kit_text_of("{\"items\":{\"$ref\":\"#\"}}"),
                               da_buf_text(&value), &err),
            DA_OK);
  CHECK_INT(da_schema_validate(
                kit_text_of("{\"anyOf\":[{\"items\":{\"$ref\":\"#\"}}]}"),
                da_buf_text(&value), &err),
            DA_EOUTPUT);
  CHECK_INT(da_schema_validate(kit_text_of("{\"uniqueItems\":true}"),
                               da_buf_text(&value), &err),
            DA_OK);
  da_buf_dispose(&value);
}

static void references_have_a_length(void) {
  da_buf schema;
  da_err err;
  da_buf_init(&schema, KIT_CAP);
  for (int n = 500; n <= 600; n += 100) {
    da_buf_reset(&schema);
    da_buf_printf(&schema,
                  "{\"$defs\":{\"%0*d\":true},\"$ref\":\"#/$defs/%0*d\"}", n,
                  0, n, 0);
    CHECK_INT(da_schema_check(da_buf_text(&schema), &err),
              n == 500 ? DA_OK : DA_EINVAL);
  }
  da_buf_dispose(&schema);
}

static void schemas_that_are_none(void) {
  static const struct {
    const char *schema, *why;
  } list[] = {
      {"5", "$: must be a schema: an object, true or false"},
      {"[]", "$: must be a schema: an object, true or false"},
      {"{\"type\":\"strng\"}",
       "$.type: string, integer, number, boolean, array, object and null are "
       "the types there are"},
      {"{\"type\":[\"string\",\"nil\"]}",
       "$.type: string, integer, number, boolean, array, object and null are "
       "the types there are"},
      {"{\"type\":[]}", "$.type: must not be empty"},
      {"{\"type\":5}", "$.type: must be a type's name, or an array of them"},
      {"{\"properties\":{\"days\":{\"type\":\"int\"}}}",
       "$.properties.days.type: string, integer, number, boolean, array, "
       "object and null are the types there are"},
      {"{\"properties\":[]}", "$.properties: must be an object of schemas"},
      {"{\"properties\":{\"a\":\"string\"}}",
       "$.properties.a: must be a schema: an object, true or false"},
      {"{\"required\":\"a\"}", "$.required: must be an array"},
      {"{\"required\":[1]}", "$.required: must be an array of strings"},
      {"{\"enum\":[]}", "$.enum: must not be empty"},
      {"{\"enum\":5}", "$.enum: must be an array"},
      {"{\"additionalProperties\":5}",
       "$.additionalProperties: must be a schema: an object, true or false"},
      {"{\"items\":[{\"type\":\"x\"}]}",
       "$.items[0].type: string, integer, number, boolean, array, object and "
       "null are the types there are"},
      {"{\"items\":[]}", "$.items: must not be empty"},
      {"{\"items\":5}", "$.items: must be a schema: an object, true or false"},
      {"{\"anyOf\":{}}", "$.anyOf: must be an array of schemas"},
      {"{\"anyOf\":[]}", "$.anyOf: must not be empty"},
      {"{\"minItems\":-1}", "$.minItems: must be an integer, 0 or more"},
      {"{\"minItems\":1.5}", "$.minItems: must be an integer, 0 or more"},
      {"{\"minItems\":\"1\"}", "$.minItems: must be a number"},
      {"{\"minimum\":\"1\"}", "$.minimum: must be a number"},
      {"{\"exclusiveMinimum\":true}", "$.exclusiveMinimum: must be a number"},
      {"{\"multipleOf\":0}",
       "$.multipleOf: must be more than 0 and of at most 18 digits"},
      {"{\"multipleOf\":1234567890123456789}",
       "$.multipleOf: must be more than 0 and of at most 18 digits"},
      {"{\"uniqueItems\":1}", "$.uniqueItems: must be true or false"},
      {"{\"$ref\":5}", "$.$ref: must be a string"},
      {"{\"$ref\":\"#/$defs/x\"}",
       "$.$ref: must be a place in this schema where there is one, such as "
       "\"#/$defs/x\""},
      {"{\"$ref\":\"other.json\"}",
       "$.$ref: must be a place in this schema where there is one, such as "
       "\"#/$defs/x\""},
      {"{\"$ref\":\"#/enum/0\",\"enum\":[1]}",
       "$.$ref: must be a place in this schema where there is one, such as "
       "\"#/$defs/x\""},
      {"{\"$ref\":\"#/anyOf/x\",\"anyOf\":[true]}",
       "$.$ref: must be a place in this schema where there is one, such as "
       "\"#/$defs/x\""},
      {"{\"$ref\":\"#/anyOf/1\",\"anyOf\":[true]}",
       "$.$ref: must be a place in this schema where there is one, such as "
       "\"#/$defs/x\""},
      {"{\"$ref\":\"#/anyOf/0/x\",\"anyOf\":[true]}",
       "$.$ref: must be a place in this schema where there is one, such as "
       "\"#/$defs/x\""},
      {"{\"$ref\":\"#anchor\"}",
       "$.$ref: must be a place in this schema where there is one, such as "
       "\"#/$defs/x\""},
      {"{\"$defs\":{\"a\":{\"not\":5}}}",
       "$.$defs.a.not: must be a schema: an object, true or false"},
  };
  da_err err;
  for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
    da_text schema = kit_exact(kit_text_of(list[i].schema));
    CHECK_INT(da_schema_check(schema, &err), DA_EINVAL);
    CHECK_INT(err.code, DA_EINVAL);
    CHECK_STR(err.message, list[i].why);
    /* Used all the same, it does no harm. */
    da_schema_validate(schema, kit_text_of("[{\"a\":1},2]"), &err);
    da_schema_validate(schema, kit_text_of("{\"a\":\"b\",\"days\":[]}"), &err);
    da_schema_validate(schema, kit_text_of("3"), &err);
    kit_free(schema);
  }
}

static void texts_that_are_no_json(void) {
  da_err err;
  CHECK_INT(da_schema_check(kit_text_of("{"), &err), DA_EJSON);
  CHECK_INT(da_schema_check(kit_text_of(""), &err), DA_EJSON);
  CHECK_INT(da_schema_validate(kit_text_of("{"), kit_text_of("1"), &err),
            DA_EJSON);
  CHECK_INT(da_schema_validate(kit_text_of("{}"), kit_text_of("1 2"), &err),
            DA_EJSON);
  CHECK_INT(err.code, DA_EJSON);
  CHECK_INT(da_schema_validate(kit_text_of("{}"), kit_text_of("Sure!"), NULL),
            DA_EJSON);
}

/* Whatever a message quotes, it is UTF-8 and whole. */
static void messages_are_cut_clean(void) {
  da_buf schema;
  da_err err;
  da_buf_init(&schema, KIT_CAP);
  da_buf_puts(&schema, "{\"enum\":[\"");
  for (int i = 0; i < 500; i++)
    da_buf_puts(&schema, "\xe2\x82\xac");
  da_buf_puts(&schema, "\"]}");
  CHECK_INT(da_schema_validate(da_buf_text(&schema), kit_text_of("1"), &err),
            DA_EOUTPUT);
  CHECK(strstr(err.message, "$: must be one of [\"\xe2\x82\xac") ==
        err.message);
  CHECK(strcmp(err.message + strlen(err.message) - 3, "...") == 0);
  da_buf_dispose(&schema);
}

int main(void) {
  RUN(types);
  RUN(objects);
  RUN(arrays);
  RUN(values);
  RUN(numbers);
  RUN(combined);
  RUN(references);
  RUN(hostile);
  RUN(deep);
  RUN(references_have_a_length);
  RUN(schemas_that_are_none);
  RUN(texts_that_are_no_json);
  RUN(messages_are_cut_clean);
  return check_done();
}
