/* da_output.c - what an answer must be, where not any text will do
** (floor 5). */
#include "da_output.h"

#include <stdlib.h>
#include <string.h>

#include "da_schema.h"

void da_output_dispose(da_output *o) {
  free(o->format);
  free(o->schema);
  memset(o, 0, sizeof *o);
}

int da_output_copy(da_output *to, const da_output *from) {
  da_output copy = {NULL, NULL};
  if (from->format)
    copy.format = strdup(from->format);
  if (from->schema)
    copy.schema = strdup(from->schema);
  *to = copy;
  if ((from->format && !copy.format) || (from->schema && !copy.schema)) {
    da_output_dispose(to);
    return DA_ENOMEM;
  }
  return DA_OK;
}

static int replace(da_output *o, char *format, char *schema, int has_schema,
                   da_err *err) {
  if (!format || (has_schema && !schema)) {
    free(format);
    free(schema);
    return da_nomem(err);
  }
  da_output_dispose(o);
  o->format = format;
  o->schema = schema;
  return DA_OK;
}

int da_output_set_json(da_output *o, da_err *err) {
  return replace(o, strdup("{\"type\":\"json_object\"}"), NULL, 0, err);
}

int da_output_check_name(const char *name, da_err *err) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
  size_t len = strlen(name);
  if (len && len <= 64 && strspn(name, letters) == len)
    return DA_OK;
  return da_fail(err, DA_EINVAL,
                 "a schema's name must be 1 to 64 letters, digits, '_' and "
                 "'-'");
}

int da_output_set_schema(da_output *o, const char *name, da_text schema,
                         int strict, da_err *err) {
  da_buf format;
  char *text;
  int code = da_output_check_name(name, err);
  if (!code)
    code = da_schema_check(schema, err);
  if (code)
    return code;
  if (strict < 0)
    strict = da_output_is_strict(schema);
  da_buf_init(&format, schema.len + 256);
  da_buf_puts(&format, "{\"type\":\"json_schema\",\"json_schema\":{\"name\":");
  da_json_put_string(&format, name, strlen(name));
  da_buf_puts(&format, ",\"schema\":");
  da_buf_put(&format, schema.data, schema.len);
  da_buf_puts(&format, strict ? ",\"strict\":true}}" : ",\"strict\":false}}");
  text = da_buf_take(&format, NULL);
  da_buf_dispose(&format);
  return replace(o, text, da_memdup(schema.data, schema.len), 1, err);
}

/* ---- what services call strict ---- */

static int is_listed(da_text list, da_text key) {
  da_json j;
  da_text name;
  da_json_init(&j, list);
  if (!da_json_array(&j))
    return 0;
  while (da_json_item(&j) == 1)
    if (da_json_value(&j, &name) == DA_JSON_STRING &&
        name.len == key.len + 2 &&
        memcmp(name.data + 1, key.data, key.len) == 0)
      return 1;
  return 0;
}

/* Of an object that is a schema, of an object. */
static int is_closed(da_text schema) {
  da_text value, required = {"[]", 2}, properties = {"{}", 2}, key;
  da_json j;
  if (da_json_get(schema, "additionalProperties", &value) != DA_JSON_FALSE)
    return 0;
  da_json_get(schema, "required", &required);
  da_json_get(schema, "properties", &properties);
  da_json_init(&j, properties);
  da_json_object(&j);
  while (da_json_member(&j, &key) == 1) {
    da_json_value(&j, NULL);
    if (!is_listed(required, key))
      return 0;
  }
  return 1;
}

/* Whether a "type" is that one, or has it in its list. */
static int names(da_text type, const char *wanted) {
  da_json j;
  da_text name;
  da_json_init(&j, type);
  if (!da_json_array(&j))
    return da_json_equals(type, wanted);
  while (da_json_item(&j) == 1)
    if (da_json_value(&j, &name) == DA_JSON_STRING &&
        da_json_equals(name, wanted))
      return 1;
  return 0;
}

static int is_one_of(da_text key, const char *const *words) {
  for (; *words; words++)
    if (da_json_equals(key, *words))
      return 1;
  return 0;
}

/* "An unsupported word": what a service answers 400 to, if it is strict. */
static const char *const refused[] = {
    "allOf",         "oneOf",
    "not",           "if",
    "then",          "else",
    "default",       "dependentRequired",
    "contains",      "dependentSchemas",
    "uniqueItems",   "patternProperties",
    "propertyNames", "unevaluatedProperties",
    "minProperties", "unevaluatedItems",
    "maxProperties", NULL,
};

static int is_strict(da_text schema);

/* All schemas in an array, or an object. */
static int are_strict(da_text schemas) {
  da_json j;
  da_text key, schema = {NULL, 0};
  int object, strict = 1;
  da_json_init(&j, schemas);
  object = da_json_object(&j);
  if (!object && !da_json_array(&j))
    return 0;
  while (strict &&
         (object ? da_json_member(&j, &key) : da_json_item(&j)) == 1) {
    da_json_value(&j, &schema);
    strict = is_strict(schema);
  }
  return strict;
}

/* As deep as JSON can be. What would let anything pass is not strict. */
static int is_strict(da_text schema) {
  static const char *const says[] = {"type",  "$ref", "anyOf",
                                     "const", "enum", NULL};
  static const char *const many[] = {"properties",  "$defs", "definitions",
                                     "prefixItems", "anyOf", NULL};
  da_json j;
  da_text key, value = {NULL, 0};
  int said = 0, is_object = 0, is_array = 0, has_items = 0, strict = 1;
  da_json_init(&j, schema);
  if (!da_json_object(&j))
    return 0;
  while (strict && da_json_member(&j, &key) == 1) {
    da_json_value(&j, &value);
    said |= is_one_of(key, says);
    is_object |= da_json_equals(key, "properties");
    has_items |= da_json_equals(key, "items");
    if (da_json_equals(key, "type")) {
      is_object |= names(value, "object");
      is_array = names(value, "array");
    } else if (is_one_of(key, refused)) {
      strict = 0;
    } else if (is_one_of(key, many)) {
      strict = are_strict(value);
    } else if (da_json_equals(key, "items")) {
      strict = is_strict(value);
    }
  }
  return strict && said && has_items >= is_array &&
         (!is_object || is_closed(schema));
}

int da_output_is_strict(da_text schema) {
  da_text type;
  return da_json_get(schema, "type", &type) == DA_JSON_STRING &&
         da_json_equals(type, "object") && is_strict(schema);
}

/* ---- the answer ---- */

static int is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static da_text trim(da_text t) {
  while (t.len && is_blank(*t.data)) {
    t.data++;
    t.len--;
  }
  while (t.len && is_blank(t.data[t.len - 1]))
    t.len--;
  return t;
}

/* What a fence is around, if there is one: ```json, a line, ```. Models are
** fond of it. */
static da_text unfence(da_text t) {
  static const char fence[] = "```";
  const char *line;
  da_text word;
  t = trim(t);
  if (t.len < 7 || memcmp(t.data, fence, 3) != 0 ||
      memcmp(t.data + t.len - 3, fence, 3) != 0)
    return t;
  line = memchr(t.data, '\n', t.len - 3);
  if (!line)
    return t;
  word.data = t.data + 3;
  word.len = (size_t)(line - word.data);
  word = trim(word);
  if (word.len && !(word.len == 4 && (memcmp(word.data, "json", 4) == 0 ||
                                      memcmp(word.data, "JSON", 4) == 0)))
    return t;
  t.len = (size_t)(t.data + t.len - 3 - line);
  t.data = line;
  return trim(t);
}

/* A model in Lua only has its message to tell by. */
static int is_refusal(da_answer *answer) {
  da_text refusal;
  if (!answer->refused && !answer->text.len &&
      da_json_get(da_buf_text(&answer->message), "refusal", &refusal) ==
          DA_JSON_STRING) {
    da_json_unescape(&answer->text, refusal, NULL);
    answer->refused = answer->text.len > 0;
  }
  return answer->refused;
}

static int check_end(da_answer *answer, da_err *err) {
  int code = da_finish_check(answer->finish_reason);
  if (is_refusal(answer))
    return da_fail(err, DA_EREFUSED, "the model refused to answer");
  if (code == DA_ETRUNCATED)
    da_fail(err, code, "the answer was cut (finish reason %s)",
            answer->finish_reason);
  else if (code)
    da_fail(err, code, "the service's content filter cut the answer");
  return code;
}

static int fits(const da_output *o, da_text json, da_err *err) {
  da_text schema;
  da_err why;
  int code = da_json_check(json, &why);
  if (code)
    return da_fail(err, DA_EOUTPUT, "the answer is %s", why.message);
  if (!o->schema)
    return DA_OK;
  schema.data = o->schema;
  schema.len = strlen(o->schema);
  code = da_schema_validate(schema, json, &why);
  if (code == DA_EOUTPUT)
    return da_fail(err, code, "the answer does not fit its schema: %s",
                   why.message);
  if (code)
    *err = why;
  return code;
}

int da_output_check(const da_output *o, da_answer *answer, da_err *err) {
  da_buf *text = &answer->text;
  da_text json;
  int code;
  if (!o->format || answer->calls)
    return DA_OK;
  code = check_end(answer, err);
  if (code)
    return code;
  json = unfence(da_buf_text(text));
  code = fits(o, json, err);
  if (code)
    return code;
  memmove(text->data, json.data, json.len);
  text->len = json.len;
  text->data[json.len] = '\0';
  return DA_OK;
}
