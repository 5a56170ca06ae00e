/* da_schema.h - does a JSON text fit a JSON schema? (floor 1)
**
** What is looked at: type (and nullable), enum, const; properties, required,
** additionalProperties, minProperties, maxProperties; items, prefixItems,
** additionalItems, minItems, maxItems, uniqueItems; minimum, maximum,
** exclusiveMinimum, exclusiveMaximum, multipleOf; minLength, maxLength (in
** characters); anyOf, oneOf, allOf, not, if, then, else; $ref to a place
** within the schema ("#", "#/$defs/x"); true and false as schemas.
**
** Everything else is taken and not looked at: what only describes (title,
** default, format ...), and what would need more than this, such as pattern.
** Where there are patternProperties, additionalProperties is not looked at
** either, as nobody knows which members are additional.
**
** Numbers are compared as what they are in decimal, however long; 1, 1.0 and
** 10e-1 are one number, an integer. Of equal keys in an object each value
** must fit.
*/
#ifndef DA_SCHEMA_H
#define DA_SCHEMA_H

#include "da_json.h"

/* Is `schema` one that can be used? DA_EJSON: it is no JSON; DA_EINVAL: it
** says where it is wrong ("$.properties.days.type: ..."). */
int da_schema_check(da_text schema, da_err *err);

/* DA_OK, or DA_EOUTPUT saying where `value` does not fit, for a model or a
** person to act upon: "$.days: must be an integer, not a string". DA_EJSON:
** one of the two is no JSON. Ends in bounded time whatever they are: what
** takes too much work does not fit. */
int da_schema_validate(da_text schema, da_text value, da_err *err);

#endif
