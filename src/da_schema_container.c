/* da_schema_container.c - arrays and objects that fit (floor 1). */
#include <stdlib.h>
#include <string.h>

#include "da_schema_run.h"

/* ---- arrays ---- */

/* The next of the schemas that each are for one item, or NULL data. */
static da_text next_prefix(da_json *prefix, int *more) {
  da_text schema = {NULL, 0};
  *more = *more && da_json_item(prefix) == 1;
  if (*more)
    da_json_value(prefix, &schema);
  return schema;
}

static int check_unique(da_schema_run *r, const da_schema_node *n,
                        da_text array, const da_json *j, const da_place *at) {
  da_text unique = n->words[DA_WORD_UNIQUE_ITEMS];
  size_t first, second;
  int is_unique;
  if (!unique.data || *unique.data != 't')
    return DA_OK;
  is_unique = da_schema_unique(array, &first, &second, &r->work);
  if (!r->work)
    return da_schema_spend(r, 1, at);
  if (is_unique)
    return DA_OK;
  return REFUSE(r, j, at, "items [%zu] and [%zu] are the same", first, second);
}

int da_schema_fit_array(da_schema_run *r, const da_schema_node *n, da_json *j,
                        const da_place *at) {
  da_text items = n->words[DA_WORD_ITEMS];
  da_text list = n->words[DA_WORD_PREFIX_ITEMS];
  da_place here = {at, {NULL, 0}, 0};
  da_text whole = {j->p, 0};
  da_json prefix;
  int more, code = DA_OK;
  if (items.data && *items.data == '[') { /* as it was before 2020 */
    list = items;
    items = n->words[DA_WORD_ADDITIONAL_ITEMS];
  }
  if (list.data)
    da_json_init(&prefix, list);
  more = list.data && da_json_array(&prefix);
  da_json_array(j);
  for (;; here.index++) {
    const char *from = j->p;
    da_text schema;
    if (da_json_item(j) != 1)
      break;
    schema = next_prefix(&prefix, &more);
    if (!schema.data)
      schema = items;
    code = da_schema_spend(r, (size_t)(j->p - from), at);
    if (!code)
      code = schema.data ? da_schema_fit(r, schema, j, &here)
                         : da_schema_take(r, j, NULL, at);
    if (code)
      return code;
  }
  whole.len = (size_t)(j->p - whole.data);
  code = da_schema_fit_count(r, n->words[DA_WORD_MIN_ITEMS],
                             n->words[DA_WORD_MAX_ITEMS], here.index, "items",
                             j, at);
  return code ? code : check_unique(r, n, whole, j, at);
}

/* ---- objects ---- */

/* The schema's properties, searched from where the last search ended: members
** mostly come in the same order. */
typedef struct ring {
  da_text object; /* no data: there are none */
  da_json j;
  size_t at; /* as many were passed */
} ring;

static void ring_rewind(ring *g) {
  da_json_init(&g->j, g->object);
  if (!da_json_object(&g->j))
    g->object.data = NULL;
  g->at = 0;
}

static void ring_init(ring *g, da_text object) {
  memset(g, 0, sizeof *g);
  g->object = object;
  if (object.data)
    ring_rewind(g);
}

/* Whether the raw key is in it, and its value. */
static int ring_find(da_schema_run *r, ring *g, da_text key, da_text *value) {
  const size_t from = g->at;
  int wrapped = 0;
  while (g->object.data && !(wrapped && g->at >= from)) {
    da_text name = {NULL, 0};
    size_t cost;
    if (da_json_member(&g->j, &name) != 1) {
      if (wrapped || !from)
        break;
      ring_rewind(g);
      wrapped = 1;
      continue;
    }
    da_json_value(&g->j, value);
    g->at++;
    cost = name.len + value->len;
    r->work -= r->work > cost ? cost : r->work;
    if (da_schema_same_string(name, key))
      return 1;
  }
  return 0;
}

typedef struct members {
  ring properties;
  da_text required, additional;
  char *seen; /* for each of the required */
} members;

/* Without `seen`, counts the names; with it, marks those that are `key`. */
static size_t mark(da_schema_run *r, members *m, da_text key) {
  da_json j;
  da_text name;
  size_t i = 0;
  da_json_init(&j, m->required);
  if (!da_json_array(&j))
    return 0;
  for (; da_json_item(&j) == 1; i++)
    if (da_json_value(&j, &name) == DA_JSON_STRING && m->seen)
      m->seen[i] |= (char)da_schema_same_string(da_schema_inside(name), key);
  r->work -= r->work > m->required.len ? m->required.len : r->work;
  return i;
}

static int members_init(da_schema_run *r, members *m,
                        const da_schema_node *n) {
  const da_text nothing = {NULL, 0};
  memset(m, 0, sizeof *m);
  ring_init(&m->properties, n->words[DA_WORD_PROPERTIES]);
  if (!n->words[DA_WORD_PATTERN_PROPERTIES].data)
    m->additional = n->words[DA_WORD_ADDITIONAL_PROPERTIES];
  if (!n->words[DA_WORD_REQUIRED].data)
    return DA_OK;
  m->required = n->words[DA_WORD_REQUIRED];
  m->seen = calloc(1, mark(r, m, nothing) + 1);
  return m->seen ? DA_OK : da_nomem(r->err);
}

/* The member whose value comes next. */
static int member(da_schema_run *r, members *m, da_text key, da_json *j,
                  const da_place *at) {
  da_place here = {at, key, 0};
  da_text schema = {NULL, 0};
  if (m->seen)
    mark(r, m, key);
  if (ring_find(r, &m->properties, key, &schema))
    return da_schema_fit(r, schema, j, &here);
  if (!m->additional.data)
    return da_schema_take(r, j, NULL, &here);
  if (*m->additional.data == 'f')
    return REFUSE(r, j, &here, "there must be no such member");
  return da_schema_fit(r, m->additional, j, &here);
}

static int check_required(da_schema_run *r, const members *m,
                          const da_json *at_end, const da_place *at) {
  da_json j;
  da_text name = {NULL, 0};
  if (!m->seen)
    return DA_OK;
  da_json_init(&j, m->required);
  da_json_array(&j);
  for (size_t i = 0; da_json_item(&j) == 1; i++) {
    if (da_json_value(&j, &name) == DA_JSON_STRING && !m->seen[i]) {
      da_place here = {at, da_schema_inside(name), 0};
      return REFUSE(r, at_end, &here, "is missing");
    }
  }
  return DA_OK;
}

int da_schema_fit_object(da_schema_run *r, const da_schema_node *n, da_json *j,
                         const da_place *at) {
  members m;
  da_text key = {NULL, 0};
  uint64_t count = 0;
  int code = members_init(r, &m, n);
  if (code)
    return code;
  da_json_object(j);
  while (!code) {
    const char *from = j->p;
    if (da_json_member(j, &key) != 1)
      break;
    count++;
    code = da_schema_spend(r, (size_t)(j->p - from), at);
    if (!code)
      code = member(r, &m, key, j, at);
  }
  if (!code)
    code = check_required(r, &m, j, at);
  if (!code)
    code = da_schema_fit_count(r, n->words[DA_WORD_MIN_PROPERTIES],
                               n->words[DA_WORD_MAX_PROPERTIES], count,
                               "members", j, at);
  free(m.seen);
  return code;
}
