/* da_schema_parts.h - what the files of the schema share (floor 1): its
** keywords, places in a text, equality. All texts were checked. */
#ifndef DA_SCHEMA_PARTS_H
#define DA_SCHEMA_PARTS_H

#include "da_schema.h"

/* ---- keywords ---- */

/* What a keyword's value is: */
typedef enum da_schema_kind {
  DA_KIND_ANY,
  DA_KIND_BOOLEAN,
  DA_KIND_COUNT, /* an integer, 0 or more */
  DA_KIND_NUMBER,
  DA_KIND_DIVISOR, /* a number above 0 */
  DA_KIND_STRINGS, /* an array of strings */
  DA_KIND_VALUES,  /* an array, not empty */
  DA_KIND_TYPE,    /* a type's name, or an array of them */
  DA_KIND_REF,
  DA_KIND_SCHEMA,
  DA_KIND_ITEMS,   /* a schema, or an array of them */
  DA_KIND_SCHEMAS, /* an array of schemas, not empty */
  DA_KIND_MAP      /* an object of schemas */
} da_schema_kind;

#define DA_SCHEMA_WORDS(X)                                                    \
  X(REF, "$ref", REF)                                                         \
  X(TYPE, "type", TYPE)                                                       \
  X(NULLABLE, "nullable", BOOLEAN)                                            \
  X(ENUM, "enum", VALUES)                                                     \
  X(CONST, "const", ANY)                                                      \
  X(PROPERTIES, "properties", MAP)                                            \
  X(REQUIRED, "required", STRINGS)                                            \
  X(ADDITIONAL_PROPERTIES, "additionalProperties", SCHEMA)                    \
  X(PATTERN_PROPERTIES, "patternProperties", MAP)                             \
  X(MIN_PROPERTIES, "minProperties", COUNT)                                   \
  X(MAX_PROPERTIES, "maxProperties", COUNT)                                   \
  X(ITEMS, "items", ITEMS)                                                    \
  X(PREFIX_ITEMS, "prefixItems", SCHEMAS)                                     \
  X(ADDITIONAL_ITEMS, "additionalItems", SCHEMA)                              \
  X(MIN_ITEMS, "minItems", COUNT)                                             \
  X(MAX_ITEMS, "maxItems", COUNT)                                             \
  X(UNIQUE_ITEMS, "uniqueItems", BOOLEAN)                                     \
  X(MINIMUM, "minimum", NUMBER)                                               \
  X(MAXIMUM, "maximum", NUMBER)                                               \
  X(EXCLUSIVE_MINIMUM, "exclusiveMinimum", NUMBER)                            \
  X(EXCLUSIVE_MAXIMUM, "exclusiveMaximum", NUMBER)                            \
  X(MULTIPLE_OF, "multipleOf", DIVISOR)                                       \
  X(MIN_LENGTH, "minLength", COUNT)                                           \
  X(MAX_LENGTH, "maxLength", COUNT)                                           \
  X(ANY_OF, "anyOf", SCHEMAS)                                                 \
  X(ONE_OF, "oneOf", SCHEMAS)                                                 \
  X(ALL_OF, "allOf", SCHEMAS)                                                 \
  X(NOT, "not", SCHEMA)                                                       \
  X(IF, "if", SCHEMA)                                                         \
  X(THEN, "then", SCHEMA)                                                     \
  X(ELSE, "else", SCHEMA)                                                     \
  X(DEFS, "$defs", MAP)                                                       \
  X(DEFINITIONS, "definitions", MAP)

#define DA_SCHEMA_WORD(symbol, name, kind) DA_WORD_##symbol,
typedef enum da_schema_word {
  DA_SCHEMA_WORDS(DA_SCHEMA_WORD) DA_SCHEMA_WORD_COUNT
} da_schema_word;
#undef DA_SCHEMA_WORD

/* The keyword that the raw key is, or -1. */
int da_schema_word_of(da_text key);
da_schema_kind da_schema_word_kind(int word);

/* A schema's keywords; those that are not there have no data. */
typedef struct da_schema_node {
  da_text words[DA_SCHEMA_WORD_COUNT];
} da_schema_node;

void da_schema_read(da_schema_node *n, da_text schema);

/* The schema that a $ref (raw) within `root` means: 1, or 0. */
int da_schema_resolve(da_text root, da_text ref, da_text *schema);

/* ---- types ---- */

/* Of a value that is there. */
da_json_type da_schema_type(da_text value);

/* Bit of a type's raw name in a set, 0 for no such. "number" includes
** "integer" only where it is asked for. */
enum {
  DA_IS_NULL = 1,
  DA_IS_BOOLEAN = 2,
  DA_IS_INTEGER = 4,
  DA_IS_NUMBER = 8,
  DA_IS_STRING = 16,
  DA_IS_ARRAY = 32,
  DA_IS_OBJECT = 64
};
unsigned da_schema_type_bit(da_text name);

/* Appends "a string, an integer or null". */
void da_schema_put_types(da_buf *out, unsigned types);

/* ---- places ---- */

/* A member or an item of what is at `up`; the root has no `up`. */
typedef struct da_place {
  const struct da_place *up;
  da_text key; /* raw; no data: an item */
  size_t index;
} da_place;

/* Fails with "$.a[3].b: " and the message. */
int da_schema_fail(da_err *err, int code, const da_place *at,
                   const char *format, ...) DA_PRINTF(4, 5);

/* ---- strings, numbers, equality ---- */

/* Whether two raw strings, without their quotes, say the same. */
int da_schema_same_string(da_text a, da_text b);

/* Whether a raw string, without its quotes, says `plain`. */
int da_schema_says(da_text raw, da_text plain);

/* How many characters a raw string, without its quotes, has. */
uint64_t da_schema_length(da_text raw);

/* What is between the quotes. */
static inline da_text da_schema_inside(da_text raw) {
  raw.data++;
  raw.len -= 2;
  return raw;
}

/* < 0, 0, > 0, exactly. */
int da_schema_compare(da_text a, da_text b);
int da_schema_is_integer(da_text number);

/* A number above 0 of at most 18 digits (zeros at its ends not counted), and
** whether `a` is a multiple of it. */
int da_schema_is_divisor(da_text number);
int da_schema_is_multiple(da_text a, da_text of);

/* Whether two values are one and the same; *work is what it may cost and
** goes down to 0 where that was not enough: then the answer is no. */
int da_schema_same(da_text a, da_text b, size_t *work);

/* Whether no two items of an array are the same; *work likewise. If they
** are, their places are in *first, *second. */
int da_schema_unique(da_text array, size_t *first, size_t *second,
                     size_t *work);

#endif
