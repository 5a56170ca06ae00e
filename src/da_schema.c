#include "da_schema.h"
int da_schema_check(da_text schema, da_err *err) {
  return da_json_check(schema, err);
}
int da_schema_validate(da_text schema, da_text value, da_err *err) {
  (void)schema;
  return da_json_check(value, err);
}
