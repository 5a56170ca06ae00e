/* da_agent_output.c - answers that must be JSON, and what is left of those
** that failed (floor 5). */
#include <string.h>

#include "da_agent.h"

int da_agent_set_json_schema(da_agent *a, const char *name, const char *schema,
                             int strict, da_err *err) {
  da_text text = {schema, schema ? strlen(schema) : 0};
  if (schema)
    return da_output_set_schema(&a->settings.output, name, text, strict, err);
  da_output_dispose(&a->settings.output);
  return DA_OK;
}

int da_agent_set_json_mode(da_agent *a, int on, da_err *err) {
  if (on)
    return da_output_set_json(&a->settings.output, err);
  da_output_dispose(&a->settings.output);
  return DA_OK;
}

void da_agent_failed(da_agent *a, da_answer *take) {
  da_buf_dispose(&a->partial);
  a->partial = take->text;
  da_buf_init(&take->text, a->partial.cap);
}

void da_agent_forget_failed(da_agent *a) {
  da_history_dispose(&a->fragments);
  da_buf_dispose(&a->partial);
}

da_text da_agent_partial(const da_agent *a) {
  return da_buf_text(&a->partial);
}
