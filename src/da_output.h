/* da_output.h - what an answer must be, where not any text will do (floor 5):
** JSON, perhaps of a schema. */
#ifndef DA_OUTPUT_H
#define DA_OUTPUT_H

#include "da_provider.h"

typedef struct da_output {
  char *format; /* the request's response_format, JSON; NULL: any text */
  char *schema; /* JSON; NULL: any JSON */
} da_output;

void da_output_dispose(da_output *o);
int da_output_copy(da_output *to, const da_output *from); /* or DA_ENOMEM */

/* Each replaces what was there; upon failure it stays. */
int da_output_set_json(da_output *o, da_err *err);

/* A schema's name: 1 to 64 letters, digits, '_' and '-'. */
int da_output_check_name(const char *name, da_err *err);

/* `strict` < 0: where the
** schema is one that services take as strict. */
int da_output_set_schema(da_output *o, const char *name, da_text schema,
                         int strict, da_err *err);

/* Whether a checked schema is as strict ones must be: an object; of each
** object all members are required, and no others allowed; nothing may be
** anything; and no word that services do not know there. */
int da_output_is_strict(da_text schema);

/* The answer as what it must be: its text is then nothing but the JSON.
** DA_EREFUSED, DA_ETRUNCATED, DA_EFILTER, DA_EOUTPUT, and the text stays as it
** came. An answer with calls of tools is none yet. */
int da_output_check(const da_output *o, da_answer *answer, da_err *err);

#endif
