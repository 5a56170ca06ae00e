/* da_schema_run.h - what the files that compare a value with a schema share
** (floor 1). The value is walked, not kept: each schema that applies to it
** walks it once. What that costs is counted in bytes looked at, and limited.
*/
#ifndef DA_SCHEMA_RUN_H
#define DA_SCHEMA_RUN_H

#include "da_schema_parts.h"

typedef struct da_schema_run {
  da_text root;
  da_err *err;
  size_t work; /* bytes that may still be looked at */
  int frames; /* schemas within each other, those that a $ref means included */
  int quiet;  /* what does not fit is not told: others may */
  const char *where; /* how far the value was looked at then */
} da_schema_run;

/* Each of these gives DA_OK, DA_EOUTPUT where the value does not fit, or
** DA_ENOMEM, DA_ETOOLARGE, which end the whole. */

/* A value that does not fit, where it was looked at up to `j`. */
#define REFUSE(r, j, at, ...)                                                 \
  ((r)->where = (j)->p,                                                       \
   (r)->quiet ? DA_EOUTPUT                                                    \
              : da_schema_fail((r)->err, DA_EOUTPUT, (at), __VA_ARGS__))

int da_schema_exhausted(da_schema_run *r, const da_place *at, const char *why);
int da_schema_spend(da_schema_run *r, size_t cost, const da_place *at);

/* Consumes the value; `raw` may be NULL. */
int da_schema_take(da_schema_run *r, da_json *j, da_text *raw,
                   const da_place *at);

/* The value at `j`, which is consumed. */
int da_schema_fit(da_schema_run *r, da_text schema, da_json *j,
                  const da_place *at);

/* ---- what consumes the value ---- */

int da_schema_fit_scalar(da_schema_run *r, const da_schema_node *n, da_json *j,
                         const da_place *at);
int da_schema_fit_array(da_schema_run *r, const da_schema_node *n, da_json *j,
                        const da_place *at);
int da_schema_fit_object(da_schema_run *r, const da_schema_node *n, da_json *j,
                         const da_place *at);

/* ---- what leaves it where it is ---- */

int da_schema_fit_type(da_schema_run *r, const da_schema_node *n,
                       const da_json *j, const da_place *at);
int da_schema_fit_values(da_schema_run *r, const da_schema_node *n,
                         const da_json *j, const da_place *at);

/* Of `n` things of that name, between the counts `low` and `high`, if they are
** there. */
int da_schema_fit_count(da_schema_run *r, da_text low, da_text high,
                        uint64_t n, const char *what, const da_json *j,
                        const da_place *at);

/* Schemas within the schema, of the same value; nothing if they are not
** there. `most` of the schemas in the list may fit, and one must. */
int da_schema_fit_reference(da_schema_run *r, da_text ref, const da_json *j,
                            const da_place *at);
int da_schema_fit_all(da_schema_run *r, da_text list, const da_json *j,
                      const da_place *at);
int da_schema_fit_choice(da_schema_run *r, da_text list, size_t most,
                         const char *word, const da_json *j,
                         const da_place *at);
int da_schema_fit_not(da_schema_run *r, da_text schema, const da_json *j,
                      const da_place *at);
int da_schema_fit_if(da_schema_run *r, const da_schema_node *n,
                     const da_json *j, const da_place *at);

/* Lists and values are quoted up to here: "%.*s%s" with the length, the text,
** and what tells that it was cut. */
static inline int da_schema_quoted(da_text raw) {
  return raw.len > 160 ? 160 : (int)raw.len;
}

static inline const char *da_schema_cut(da_text raw) {
  return raw.len > 160 ? "..." : "";
}

#endif
