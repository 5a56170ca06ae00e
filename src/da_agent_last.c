/* da_agent_last.c - what the last answer said of itself (floor 5). */
#include <string.h>

#include "da_agent.h"
#include "da_meta.h"

void da_agent_forget_answer(da_agent *a) {
  da_answer_dispose(&a->answer);
  memset(&a->answer, 0, sizeof a->answer);
  memset(&a->last, 0, sizeof a->last);
  a->has_last = 0;
}

void da_agent_answered(da_agent *a, da_answer *take, const da_usage *spent) {
  da_buf text = take->text;
  da_agent_forget_answer(a);
  memset(&take->text, 0, sizeof take->text);
  a->answer = *take;
  da_answer_init(take);
  take->text = text;
  a->last = a->answer.usage;
  da_usage_add(&a->total, spent);
  a->has_last = 1;
}

int da_agent_last(const da_agent *a, da_last *out) {
  const da_answer *answer = &a->answer;
  memset(out, 0, sizeof *out);
  if (!a->has_last)
    return 0;
  out->message = da_buf_text(&answer->message);
  out->choices = da_buf_text(&answer->choices);
  out->logprobs = da_buf_text(&answer->logprobs);
  out->raw_usage = da_buf_text(&answer->raw_usage);
  out->usage = a->last;
  out->refused = answer->refused;
  out->cached = answer->cached;
  out->first = a->first;
  out->total = a->took;
  out->finish_reason = answer->finish_reason;
  out->model = answer->model;
  out->request_id = answer->request_id;
  return 1;
}

const char *da_agent_finish_reason(const da_agent *a) {
  return a->answer.finish_reason;
}

int da_agent_usage(da_agent *a, da_usage *last, da_usage *total, da_err *err) {
  int code = da_agent_resolve(a, err);
  if (code)
    return code;
  if (last)
    *last = a->last;
  if (total)
    *total = a->total;
  return DA_OK;
}
