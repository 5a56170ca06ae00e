/* da_schema_value.c - types, values, counts, numbers and texts that fit
** (floor 1). */
#include "da_schema_run.h"

static int count_of(da_text raw, uint64_t *count) {
  int64_t n;
  da_text most = {"1000000000000000000", 19};
  if (!raw.data || da_schema_type(raw) != DA_JSON_NUMBER)
    return 0;
  if (da_json_int64(raw, &n) && n >= 0)
    *count = (uint64_t)n;
  else /* 2.0, 1e400 */
    *count = da_schema_compare(raw, most) > 0 ? UINT64_MAX
             : da_json_double(raw) > 0        ? (uint64_t)da_json_double(raw)
                                              : 0;
  return 1;
}

int da_schema_fit_count(da_schema_run *r, da_text low, da_text high,
                        uint64_t n, const char *what, const da_json *j,
                        const da_place *at) {
  uint64_t limit;
  if (count_of(low, &limit) && n < limit)
    return REFUSE(r, j, at, "must have at least %llu %s, not %llu",
                  (unsigned long long)limit, what, (unsigned long long)n);
  if (count_of(high, &limit) && n > limit)
    return REFUSE(r, j, at, "must have at most %llu %s, not %llu",
                  (unsigned long long)limit, what, (unsigned long long)n);
  return DA_OK;
}

/* ---- any value ---- */

static unsigned types_of(const da_schema_node *n) {
  da_text type = n->words[DA_WORD_TYPE], name;
  da_text nullable = n->words[DA_WORD_NULLABLE];
  unsigned set = 0;
  da_json j;
  if (!type.data)
    return 0;
  da_json_init(&j, type);
  if (da_json_peek(&j) == DA_JSON_STRING)
    set = da_schema_type_bit(type);
  else if (da_json_array(&j))
    while (da_json_item(&j) == 1)
      if (da_json_value(&j, &name) == DA_JSON_STRING)
        set |= da_schema_type_bit(name);
  if (set && nullable.data && *nullable.data == 't')
    set |= DA_IS_NULL;
  return set;
}

/* The types of the schema that a value is of, and how to name what it is. */
static unsigned type_at(const da_json *at, const char **name, da_text *raw) {
  static const char *const names[] = {"null",     "a boolean", "a boolean",
                                      "a number", "a string",  "an array",
                                      "an object"};
  static const unsigned bits[] = {DA_IS_NULL,   DA_IS_BOOLEAN, DA_IS_BOOLEAN,
                                  DA_IS_NUMBER, DA_IS_STRING,  DA_IS_ARRAY,
                                  DA_IS_OBJECT};
  da_json j = *at;
  da_json_type type = da_json_peek(&j);
  *name = names[type];
  if (type != DA_JSON_NUMBER)
    return bits[type];
  da_json_value(&j, raw);
  return da_schema_is_integer(*raw) ? DA_IS_NUMBER | DA_IS_INTEGER
                                    : DA_IS_NUMBER;
}

int da_schema_fit_type(da_schema_run *r, const da_schema_node *n,
                       const da_json *j, const da_place *at) {
  unsigned wanted = types_of(n), got;
  const char *name;
  char text[160];
  da_text raw = {NULL, 0};
  da_buf list;
  int code;
  if (!wanted)
    return DA_OK;
  got = type_at(j, &name, &raw);
  if (wanted & got)
    return DA_OK;
  if (r->quiet)
    return REFUSE(r, j, at, "%s", "");
  da_buf_init(&list, sizeof text - 1);
  da_schema_put_types(&list, wanted);
  if (list.failed) {
    da_buf_dispose(&list);
    return da_nomem(r->err);
  }
  if (raw.data && raw.len <= 24) /* 2.5 is a number, but no integer */
    code = REFUSE(r, j, at, "must be %s, not %.*s", list.data, (int)raw.len,
                  raw.data);
  else
    code = REFUSE(r, j, at, "must be %s, not %s", list.data, name);
  da_buf_dispose(&list);
  return code;
}

static int is_among(da_schema_run *r, da_text list, da_text value) {
  da_json j;
  da_text one;
  da_json_init(&j, list);
  if (!da_json_array(&j))
    return 1;
  while (r->work && da_json_item(&j) == 1) {
    da_json_value(&j, &one);
    if (da_schema_same(value, one, &r->work))
      return 1;
  }
  return 0;
}

int da_schema_fit_values(da_schema_run *r, const da_schema_node *n,
                         const da_json *j, const da_place *at) {
  da_text list = n->words[DA_WORD_ENUM], one = n->words[DA_WORD_CONST];
  da_text value = {NULL, 0};
  da_json copy = *j;
  int code;
  if (!list.data && !one.data)
    return DA_OK;
  code = da_schema_take(r, &copy, &value, at);
  if (code)
    return code;
  if (list.data && !is_among(r, list, value))
    code = REFUSE(r, j, at, "must be one of %.*s%s", da_schema_quoted(list),
                  list.data, da_schema_cut(list));
  else if (one.data && !da_schema_same(value, one, &r->work))
    code = REFUSE(r, j, at, "must be %.*s%s", da_schema_quoted(one), one.data,
                  da_schema_cut(one));
  return r->work ? code : da_schema_spend(r, 1, at);
}

static int check_number(da_schema_run *r, const da_schema_node *n, da_text raw,
                        const da_json *j, const da_place *at) {
  static const struct {
    da_schema_word word;
    int side, also_equal;
    const char *what;
  } limits[] = {{DA_WORD_MINIMUM, 1, 1, "at least"},
                {DA_WORD_MAXIMUM, -1, 1, "at most"},
                {DA_WORD_EXCLUSIVE_MINIMUM, 1, 0, "more than"},
                {DA_WORD_EXCLUSIVE_MAXIMUM, -1, 0, "less than"}};
  da_text of = n->words[DA_WORD_MULTIPLE_OF];
  for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
    da_text limit = n->words[limits[i].word];
    int side;
    if (!limit.data || da_schema_type(limit) != DA_JSON_NUMBER)
      continue;
    side = da_schema_compare(raw, limit) * limits[i].side;
    if (side < 0 || (side == 0 && !limits[i].also_equal))
      return REFUSE(r, j, at, "must be %s %.*s", limits[i].what,
                    da_schema_quoted(limit), limit.data);
  }
  if (of.data && da_schema_type(of) == DA_JSON_NUMBER &&
      da_schema_is_divisor(of) && !da_schema_is_multiple(raw, of))
    return REFUSE(r, j, at, "must be a multiple of %.*s", da_schema_quoted(of),
                  of.data);
  return DA_OK;
}

int da_schema_fit_scalar(da_schema_run *r, const da_schema_node *n, da_json *j,
                         const da_place *at) {
  da_json_type type = da_json_peek(j);
  da_text raw = {NULL, 0};
  int code = da_schema_take(r, j, &raw, at);
  if (code)
    return code;
  if (type == DA_JSON_NUMBER)
    return check_number(r, n, raw, j, at);
  if (type == DA_JSON_STRING &&
      (n->words[DA_WORD_MIN_LENGTH].data || n->words[DA_WORD_MAX_LENGTH].data))
    return da_schema_fit_count(
        r, n->words[DA_WORD_MIN_LENGTH], n->words[DA_WORD_MAX_LENGTH],
        da_schema_length(da_schema_inside(raw)), "characters", j, at);
  return DA_OK;
}
