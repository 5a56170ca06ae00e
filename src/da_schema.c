/* da_schema.c - does a JSON text fit a JSON schema? (floor 1)
**
** The value is walked, not kept: each schema that applies to it walks it once.
** What that costs is counted in bytes looked at, and limited.
*/
#include <stdlib.h>
#include <string.h>

#include "da_schema_parts.h"

/* Schemas within each other, those that a $ref means included. */
enum { MOST_FRAMES = 1024 };

/* Bytes looked at: so much, and so many times the value's length. */
#define WORK_BASE ((size_t)1 << 26)
#define WORK_TIMES 64

typedef struct run {
  da_text root;
  da_err *err;
  size_t work;
  int frames;
  int quiet;         /* what does not fit is not told: others may */
  const char *where; /* how far the value was looked at then */
} run;

/* Of the value at `j`, which is consumed: DA_OK, DA_EOUTPUT, or
** DA_ENOMEM, DA_ETOOLARGE, which end the whole. */
static int check(run *r, da_text schema, da_json *j, const da_place *at);

/* A value that does not fit, where it was looked at up to `j`. */
#define REFUSE(r, j, at, ...)                                                 \
  ((r)->where = (j)->p,                                                       \
   (r)->quiet ? DA_EOUTPUT                                                    \
              : da_schema_fail((r)->err, DA_EOUTPUT, (at), __VA_ARGS__))

static int exhausted(run *r, const da_place *at, const char *why) {
  return da_schema_fail(r->err, DA_ETOOLARGE, at, "%s", why);
}

static int spend(run *r, size_t cost, const da_place *at) {
  if (r->work > cost) {
    r->work -= cost;
    return DA_OK;
  }
  r->work = 0;
  return exhausted(r, at, "to compare it with the schema takes too much work");
}

/* Consumes the value; `raw` may be NULL. */
static int take(run *r, da_json *j, da_text *raw, const da_place *at) {
  const char *from = j->p;
  da_json_value(j, raw);
  return spend(r, (size_t)(j->p - from), at);
}

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

static int check_count(run *r, da_text low, da_text high, uint64_t n,
                       const char *what, const da_json *j,
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

static int check_type(run *r, const da_schema_node *n, const da_json *j,
                      const da_place *at) {
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

/* Lists and values are quoted up to here. */
static int quoted(da_text raw) {
  return raw.len > 160 ? 160 : (int)raw.len;
}

static const char *cut(da_text raw) {
  return raw.len > 160 ? "..." : "";
}

static int is_among(run *r, da_text list, da_text value) {
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

static int check_values(run *r, const da_schema_node *n, const da_json *j,
                        const da_place *at) {
  da_text list = n->words[DA_WORD_ENUM], one = n->words[DA_WORD_CONST];
  da_text value = {NULL, 0};
  da_json copy = *j;
  int code;
  if (!list.data && !one.data)
    return DA_OK;
  code = take(r, &copy, &value, at);
  if (code)
    return code;
  if (list.data && !is_among(r, list, value))
    code = REFUSE(r, j, at, "must be one of %.*s%s", quoted(list), list.data,
                  cut(list));
  else if (one.data && !da_schema_same(value, one, &r->work))
    code = REFUSE(r, j, at, "must be %.*s%s", quoted(one), one.data, cut(one));
  return r->work ? code : spend(r, 1, at);
}

static int check_number(run *r, const da_schema_node *n, da_text raw,
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
      return REFUSE(r, j, at, "must be %s %.*s", limits[i].what, quoted(limit),
                    limit.data);
  }
  if (of.data && da_schema_type(of) == DA_JSON_NUMBER &&
      da_schema_is_divisor(of) && !da_schema_is_multiple(raw, of))
    return REFUSE(r, j, at, "must be a multiple of %.*s", quoted(of), of.data);
  return DA_OK;
}

static int scalar(run *r, const da_schema_node *n, da_json *j,
                  const da_place *at) {
  da_json_type type = da_json_peek(j);
  da_text raw = {NULL, 0};
  int code = take(r, j, &raw, at);
  if (code)
    return code;
  if (type == DA_JSON_NUMBER)
    return check_number(r, n, raw, j, at);
  if (type == DA_JSON_STRING &&
      (n->words[DA_WORD_MIN_LENGTH].data || n->words[DA_WORD_MAX_LENGTH].data))
    return check_count(
        r, n->words[DA_WORD_MIN_LENGTH], n->words[DA_WORD_MAX_LENGTH],
        da_schema_length(da_schema_inside(raw)), "characters", j, at);
  return DA_OK;
}

/* ---- arrays ---- */

/* The next of the schemas that each are for one item, or NULL data. */
static da_text next_prefix(da_json *prefix, int *more) {
  da_text schema = {NULL, 0};
  *more = *more && da_json_item(prefix) == 1;
  if (*more)
    da_json_value(prefix, &schema);
  return schema;
}

static int check_unique(run *r, const da_schema_node *n, da_text array,
                        const da_json *j, const da_place *at) {
  da_text unique = n->words[DA_WORD_UNIQUE_ITEMS];
  size_t first, second;
  int is_unique;
  if (!unique.data || *unique.data != 't')
    return DA_OK;
  is_unique = da_schema_unique(array, &first, &second, &r->work);
  if (!r->work)
    return spend(r, 1, at);
  if (is_unique)
    return DA_OK;
  return REFUSE(r, j, at, "items [%zu] and [%zu] are the same", first, second);
}

static int array(run *r, const da_schema_node *n, da_json *j,
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
    code = spend(r, (size_t)(j->p - from), at);
    if (!code)
      code = schema.data ? check(r, schema, j, &here) : take(r, j, NULL, at);
    if (code)
      return code;
  }
  whole.len = (size_t)(j->p - whole.data);
  code = check_count(r, n->words[DA_WORD_MIN_ITEMS],
                     n->words[DA_WORD_MAX_ITEMS], here.index, "items", j, at);
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
static int ring_find(run *r, ring *g, da_text key, da_text *value) {
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
static size_t mark(run *r, members *m, da_text key) {
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

static int members_init(run *r, members *m, const da_schema_node *n) {
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
static int member(run *r, members *m, da_text key, da_json *j,
                  const da_place *at) {
  da_place here = {at, key, 0};
  da_text schema = {NULL, 0};
  if (m->seen)
    mark(r, m, key);
  if (ring_find(r, &m->properties, key, &schema))
    return check(r, schema, j, &here);
  if (!m->additional.data)
    return take(r, j, NULL, &here);
  if (*m->additional.data == 'f')
    return REFUSE(r, j, &here, "there must be no such member");
  return check(r, m->additional, j, &here);
}

static int check_required(run *r, const members *m, const da_json *at_end,
                          const da_place *at) {
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

static int object(run *r, const da_schema_node *n, da_json *j,
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
    code = spend(r, (size_t)(j->p - from), at);
    if (!code)
      code = member(r, &m, key, j, at);
  }
  if (!code)
    code = check_required(r, &m, j, at);
  if (!code)
    code =
        check_count(r, n->words[DA_WORD_MIN_PROPERTIES],
                    n->words[DA_WORD_MAX_PROPERTIES], count, "members", j, at);
  free(m.seen);
  return code;
}

/* ---- schemas within the schema, of the same value ---- */

/* Whether the value at `j`, which stays, fits; 0 also if it does not, and
** then *where tells how far it was looked at. */
static int probe(run *r, da_text schema, const da_json *j, const da_place *at,
                 int *fits, const char **where) {
  da_json copy = *j;
  int code;
  r->quiet++;
  code = check(r, schema, &copy, at);
  r->quiet--;
  *fits = code == DA_OK;
  *where = r->where;
  return code == DA_EOUTPUT ? DA_OK : code;
}

static int check_all(run *r, da_text list, const da_json *j,
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
      code = check(r, schema, &copy, at);
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

static int choose(run *r, choice *c, da_text list, size_t enough,
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

static int check_choice(run *r, da_text list, size_t most, const char *word,
                        const da_json *j, const da_place *at) {
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
    return check(r, c.nearest, &copy, at);
  copy.p = c.where;
  return REFUSE(r, &copy, at, "fits none of the %zu schemas of %s", c.count,
                word);
}

static int check_condition(run *r, const da_schema_node *n, const da_json *j,
                           const da_place *at) {
  da_text condition = n->words[DA_WORD_IF], then;
  da_json copy = *j;
  const char *where;
  int fits, code;
  if (!condition.data)
    return DA_OK;
  code = probe(r, condition, j, at, &fits, &where);
  then = n->words[fits ? DA_WORD_THEN : DA_WORD_ELSE];
  return code || !then.data ? code : check(r, then, &copy, at);
}

static int check_not(run *r, da_text schema, const da_json *j,
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

static int check_reference(run *r, da_text ref, const da_json *j,
                           const da_place *at) {
  da_json copy = *j;
  da_text schema;
  int code;
  if (!ref.data || da_schema_type(ref) != DA_JSON_STRING)
    return DA_OK;
  code = spend(r, r->root.len, at);
  if (code)
    return code;
  if (!da_schema_resolve(r->root, ref, &schema))
    return REFUSE(r, j, at, "the schema has no %.*s", quoted(ref), ref.data);
  return check(r, schema, &copy, at);
}

/* ---- the whole ---- */

static int check_words(run *r, const da_schema_node *n, da_json *j,
                       const da_place *at) {
  const size_t any = SIZE_MAX - 1;
  da_json_type type = da_json_peek(j);
  int code = check_type(r, n, j, at);
  if (!code)
    code = check_reference(r, n->words[DA_WORD_REF], j, at);
  if (!code)
    code = check_values(r, n, j, at);
  if (!code)
    code = check_all(r, n->words[DA_WORD_ALL_OF], j, at);
  if (!code)
    code = check_choice(r, n->words[DA_WORD_ANY_OF], any, "anyOf", j, at);
  if (!code)
    code = check_choice(r, n->words[DA_WORD_ONE_OF], 1, "oneOf", j, at);
  if (!code)
    code = check_not(r, n->words[DA_WORD_NOT], j, at);
  if (!code)
    code = check_condition(r, n, j, at);
  if (code)
    return code;
  if (type == DA_JSON_ARRAY)
    return array(r, n, j, at);
  return type == DA_JSON_OBJECT ? object(r, n, j, at) : scalar(r, n, j, at);
}

static int check(run *r, da_text schema, da_json *j, const da_place *at) {
  da_schema_node n;
  int code;
  if (*schema.data == 'f')
    return REFUSE(r, j, at, "nothing is allowed here");
  if (*schema.data != '{')
    return take(r, j, NULL, at);
  if (r->frames == MOST_FRAMES)
    return exhausted(r, at, "schemas are nested too deep, or in a circle");
  code = spend(r, schema.len, at);
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
  da_err nobody;
  run r;
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
  code = check(&r, r.root, &j, &root);
  if (code == DA_ETOOLARGE) /* not the value's size: it cannot be told */
    r.err->code = code = DA_EOUTPUT;
  return code;
}
