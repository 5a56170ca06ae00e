/* da_schema_check.c - can a JSON text be used as a schema? (floor 1) */
#include "da_schema_parts.h"

typedef struct look {
  da_text root;
  da_err *err;
} look;

static int look_at(look *l, da_text schema, const da_place *at);

static int wrong(const look *l, const da_place *at, const char *why) {
  return da_schema_fail(l->err, DA_EINVAL, at, "%s", why);
}

/* A name of one of ours, as a raw key. */
static da_place word_at(const da_place *up, da_text key) {
  da_place here = {up, key, 0};
  return here;
}

static int look_at_type(const look *l, da_text type, const da_place *at) {
  static const char help[] = "string, integer, number, boolean, array, object "
                             "and null are the types there are";
  da_json j;
  da_text name;
  size_t count = 0;
  if (da_schema_type(type) == DA_JSON_STRING)
    return da_schema_type_bit(type) ? DA_OK : wrong(l, at, help);
  da_json_init(&j, type);
  if (!da_json_array(&j))
    return wrong(l, at, "must be a type's name, or an array of them");
  for (; da_json_item(&j) == 1; count++)
    if (da_json_value(&j, &name) != DA_JSON_STRING ||
        !da_schema_type_bit(name))
      return wrong(l, at, help);
  return count ? DA_OK : wrong(l, at, "must not be empty");
}

static int look_at_list(const look *l, da_text list, int strings,
                        const da_place *at) {
  da_json j;
  size_t count = 0;
  da_json_init(&j, list);
  if (!da_json_array(&j))
    return wrong(l, at, "must be an array");
  for (; da_json_item(&j) == 1; count++)
    if (da_json_value(&j, NULL) != DA_JSON_STRING && strings)
      return wrong(l, at, "must be an array of strings");
  return count || strings ? DA_OK : wrong(l, at, "must not be empty");
}

static int look_at_number(const look *l, da_text raw, da_schema_kind kind,
                          const da_place *at) {
  const da_text zero = {"0", 1};
  if (da_schema_type(raw) != DA_JSON_NUMBER)
    return wrong(l, at, "must be a number");
  if (kind == DA_KIND_COUNT &&
      (!da_schema_is_integer(raw) || da_schema_compare(raw, zero) < 0))
    return wrong(l, at, "must be an integer, 0 or more");
  if (kind == DA_KIND_DIVISOR && !da_schema_is_divisor(raw))
    return wrong(l, at, "must be more than 0 and of at most 18 digits");
  return DA_OK;
}

static int look_at_reference(const look *l, da_text ref, const da_place *at) {
  da_text schema;
  if (da_schema_type(ref) != DA_JSON_STRING)
    return wrong(l, at, "must be a string");
  if (!da_schema_resolve(l->root, ref, &schema))
    return wrong(l, at,
                 "must be a place in this schema where there is one, such as "
                 "\"#/$defs/x\"");
  return DA_OK;
}

static int look_at_schemas(look *l, da_text list, const da_place *at) {
  da_json j;
  da_text schema = {NULL, 0};
  da_place here = {at, {NULL, 0}, 0};
  int code = DA_OK;
  da_json_init(&j, list);
  if (!da_json_array(&j))
    return wrong(l, at, "must be an array of schemas");
  for (; !code && da_json_item(&j) == 1; here.index++) {
    da_json_value(&j, &schema);
    code = look_at(l, schema, &here);
  }
  return code || here.index ? code : wrong(l, at, "must not be empty");
}

static int look_at_map(look *l, da_text map, const da_place *at) {
  da_json j;
  da_text key = {NULL, 0}, schema = {NULL, 0};
  int code = DA_OK;
  da_json_init(&j, map);
  if (!da_json_object(&j))
    return wrong(l, at, "must be an object of schemas");
  while (!code && da_json_member(&j, &key) == 1) {
    da_place here = word_at(at, key);
    da_json_value(&j, &schema);
    code = look_at(l, schema, &here);
  }
  return code;
}

static int look_at_word(look *l, int word, da_text value, const da_place *at) {
  da_schema_kind kind = da_schema_word_kind(word);
  switch (kind) {
  case DA_KIND_ANY:
    return DA_OK;
  case DA_KIND_BOOLEAN:
    return *value.data == 't' || *value.data == 'f'
               ? DA_OK
               : wrong(l, at, "must be true or false");
  case DA_KIND_COUNT:
  case DA_KIND_NUMBER:
  case DA_KIND_DIVISOR:
    return look_at_number(l, value, kind, at);
  case DA_KIND_STRINGS:
  case DA_KIND_VALUES:
    return look_at_list(l, value, kind == DA_KIND_STRINGS, at);
  case DA_KIND_TYPE:
    return look_at_type(l, value, at);
  case DA_KIND_REF:
    return look_at_reference(l, value, at);
  case DA_KIND_ITEMS:
    if (*value.data == '[')
      return look_at_schemas(l, value, at);
    return look_at(l, value, at);
  case DA_KIND_SCHEMA:
    return look_at(l, value, at);
  case DA_KIND_SCHEMAS:
    return look_at_schemas(l, value, at);
  case DA_KIND_MAP:
    return look_at_map(l, value, at);
  }
  return DA_OK;
}

/* As deep as JSON can be, and no deeper: no circles, references are only
** looked up. */
static int look_at(look *l, da_text schema, const da_place *at) {
  da_json j;
  da_text key = {NULL, 0}, value = {NULL, 0};
  int code = DA_OK;
  if (*schema.data == 't' || *schema.data == 'f')
    return DA_OK;
  da_json_init(&j, schema);
  if (!da_json_object(&j))
    return wrong(l, at, "must be a schema: an object, true or false");
  while (!code && da_json_member(&j, &key) == 1) {
    int word = da_schema_word_of(key);
    da_json_value(&j, &value);
    if (word >= 0) {
      da_place here = word_at(at, key);
      code = look_at_word(l, word, value, &here);
    }
  }
  return code;
}

int da_schema_check(da_text schema, da_err *err) {
  const da_place root = {NULL, {NULL, 0}, 0};
  da_json j;
  look l;
  int code = da_json_check(schema, err);
  if (code)
    return code;
  da_json_init(&j, schema);
  l.root.data = j.p;
  l.root.len = (size_t)(j.end - j.p);
  l.err = err;
  return look_at(&l, l.root, &root);
}
