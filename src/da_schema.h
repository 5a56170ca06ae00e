#ifndef DA_SCHEMA_H
#define DA_SCHEMA_H
#include "da_json.h"
int da_schema_check(da_text schema, da_err *err);
int da_schema_validate(da_text schema, da_text value, da_err *err);
#endif
