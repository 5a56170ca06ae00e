/* da_schema_choice.c - schemas within a schema, of the same value (floor 1). */
#include <string.h>

#include "da_schema_run.h"

/* Whether the value at `j`, which stays, fits; 0 also if it does not, and
** then *where tells how far it was looked at. */
static int probe(da_schema_run *r, da_text schema, const da_json *j,
                 const da_place *at, int *fits, const char **where) {
  da_json copy = *j;
  int code;
  r->quiet++;
  code = da_schema_fit(r, schema, &copy, at);
  r->quiet--;
  *fits = code == DA_OK;
  *where = r->where;
  return code == DA_EOUTPUT ? DA_OK : code;
}

int da_schema_fit_all(da_schema_run *r, da_text list, const da_json *j,
                      const da_place *at) {
  da_json schemas;
  da_text schema = {NULL, 0};
  int code = DA_OK;
  if (!list.data)
    return DA_OK;
  da_json_init(&schemas, list);
  if (da_json_array(&schemas))
    while (!code && da_json_item(&schemas) == 1) {
      da_json copy = *j;
      da_json_value(&schemas, &schema);
      code = da_schema_fit(r, schema, &copy, at);
    }
  return code;
}

/* Of the schemas of anyOf or oneOf: how many fit, and else the one that came
** furthest, which is the one that was meant. */
typedef struct choice {
  size_t fit, count;
  da_text nearest;
  const char *where;
} choice;

static int choose(da_schema_run *r, choice *c, da_text list, size_t enough,
                  const da_json *j, const da_place *at) {
  da_json schemas;
  memset(c, 0, sizeof *c);
  c->where = j->p;
  da_json_init(&schemas, list);
  if (!da_json_array(&schemas))
    return DA_OK;
  while (c->fit < enough && da_json_item(&schemas) == 1) {
    da_text schema = {NULL, 0};
    const char *where;
    int fits, code;
    da_json_value(&schemas, &schema);
    code = probe(r, schema, j, at, &fits, &where);
    if (code)
      return code;
    c->count++;
    c->fit += (size_t)fits;
    if (!fits && where > c->where) {
      c->where = where;
      c->nearest = schema;
    }
  }
  return DA_OK;
}

int da_schema_fit_choice(da_schema_run *r, da_text list, size_t most,
                         const char *word, const da_json *j,
                         const da_place *at) {
  da_json copy = *j;
  choice c;
  int code;
  if (!list.data)
    return DA_OK;
  code = choose(r, &c, list, most + 1, j, at);
  if (code || (c.fit && c.fit <= most) || (!c.fit && !c.count))
    return code;
  if (c.fit > most)
    return REFUSE(r, j, at, "fits more than one of %s", word);
  if (c.nearest.data && !r->quiet) /* it tells what is wrong, and where */
    return da_schema_fit(r, c.nearest, &copy, at);
  copy.p = c.where;
  return REFUSE(r, &copy, at, "fits none of the %zu schemas of %s", c.count,
                word);
}

int da_schema_fit_if(da_schema_run *r, const da_schema_node *n,
                     const da_json *j, const da_place *at) {
  da_text condition = n->words[DA_WORD_IF], then;
  da_json copy = *j;
  const char *where;
  int fits, code;
  if (!condition.data)
    return DA_OK;
  code = probe(r, condition, j, at, &fits, &where);
  then = n->words[fits ? DA_WORD_THEN : DA_WORD_ELSE];
  return code || !then.data ? code : da_schema_fit(r, then, &copy, at);
}

int da_schema_fit_not(da_schema_run *r, da_text schema, const da_json *j,
                      const da_place *at) {
  const char *where;
  int fits, code;
  if (!schema.data)
    return DA_OK;
  code = probe(r, schema, j, at, &fits, &where);
  if (code || !fits)
    return code;
  return REFUSE(r, j, at, "must not be what it is: it fits the schema of not");
}

int da_schema_fit_reference(da_schema_run *r, da_text ref, const da_json *j,
                            const da_place *at) {
  da_json copy = *j;
  da_text schema;
  int code;
  if (!ref.data || da_schema_type(ref) != DA_JSON_STRING)
    return DA_OK;
  code = da_schema_spend(r, r->root.len, at);
  if (code)
    return code;
  if (!da_schema_resolve(r->root, ref, &schema))
    return REFUSE(r, j, at, "the schema has no %.*s", da_schema_quoted(ref),
                  ref.data);
  return da_schema_fit(r, schema, &copy, at);
}
