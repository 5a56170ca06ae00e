/* da_schema.c - does a JSON text fit a JSON schema? (floor 1) */
#include <string.h>

#include "da_schema_run.h"

enum { MOST_FRAMES = 1024 };

/* Bytes looked at: so much, and so many times the value's length. */
#define WORK_BASE ((size_t)1 << 26)
#define WORK_TIMES 64

int da_schema_exhausted(da_schema_run *r, const da_place *at,
                        const char *why) {
  return da_schema_fail(r->err, DA_ETOOLARGE, at, "%s", why);
}

int da_schema_spend(da_schema_run *r, size_t cost, const da_place *at) {
  if (r->work > cost) {
    r->work -= cost;
    return DA_OK;
  }
  r->work = 0;
  return da_schema_exhausted(
      r, at, "to compare it with the schema takes too much work");
}

/* Consumes the value; `raw` may be NULL. */
int da_schema_take(da_schema_run *r, da_json *j, da_text *raw,
                   const da_place *at) {
  const char *from = j->p;
  da_json_value(j, raw);
  return da_schema_spend(r, (size_t)(j->p - from), at);
}

static int check_words(da_schema_run *r, const da_schema_node *n, da_json *j,
                       const da_place *at) {
  const size_t any = SIZE_MAX - 1;
  da_json_type type = da_json_peek(j);
  int code = da_schema_fit_type(r, n, j, at);
  if (!code)
    code = da_schema_fit_reference(r, n->words[DA_WORD_REF], j, at);
  if (!code)
    code = da_schema_fit_values(r, n, j, at);
  if (!code)
    code = da_schema_fit_all(r, n->words[DA_WORD_ALL_OF], j, at);
  if (!code)
    code =
        da_schema_fit_choice(r, n->words[DA_WORD_ANY_OF], any, "anyOf", j, at);
  if (!code)
    code =
        da_schema_fit_choice(r, n->words[DA_WORD_ONE_OF], 1, "oneOf", j, at);
  if (!code)
    code = da_schema_fit_not(r, n->words[DA_WORD_NOT], j, at);
  if (!code)
    code = da_schema_fit_if(r, n, j, at);
  if (code)
    return code;
  if (type == DA_JSON_ARRAY)
    return da_schema_fit_array(r, n, j, at);
  return type == DA_JSON_OBJECT ? da_schema_fit_object(r, n, j, at)
                                : da_schema_fit_scalar(r, n, j, at);
}

int da_schema_fit(da_schema_run *r, da_text schema, da_json *j,
                  const da_place *at) {
  da_schema_node n;
  int code;
  if (*schema.data == 'f')
    return REFUSE(r, j, at, "nothing is allowed here");
  if (*schema.data != '{')
    return da_schema_take(r, j, NULL, at);
  if (r->frames == MOST_FRAMES)
    return da_schema_exhausted(r, at,
                               "schemas are nested too deep, or in a circle");
  code = da_schema_spend(r, schema.len, at);
  if (code)
    return code;
  r->frames++;
  da_schema_read(&n, schema);
  code = check_words(r, &n, j, at);
  r->frames--;
  return code;
}

int da_schema_validate(da_text schema, da_text value, da_err *err) {
  const da_place root = {NULL, {NULL, 0}, 0};
  da_err nobody = {0};
  da_schema_run r;
  da_json j;
  int code = da_json_check(schema, err);
  if (!code)
    code = da_json_check(value, err);
  if (code)
    return code;
  memset(&r, 0, sizeof r);
  da_json_init(&j, schema);
  r.root.data = j.p;
  r.root.len = (size_t)(j.end - j.p);
  r.err = err ? err : &nobody;
  r.work = WORK_BASE + value.len * WORK_TIMES;
  da_json_init(&j, value);
  code = da_schema_fit(&r, r.root, &j, &root);
  if (code == DA_ETOOLARGE) /* not the value's size: it cannot be told */
    r.err->code = code = DA_EOUTPUT;
  return code;
}
