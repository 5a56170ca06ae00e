/* da_turn_talk.c - ask, stream and resume, from C (floor 5). */
#include <string.h>

#include "da_turn_state.h"

#define PATIENCE 0.1 /* seconds between two looks whether it is cancelled */

void da_agent_cancel(da_agent *a) {
  atomic_store(&a->cancelled, 1);
}

int da_turn_finish(da_turn *t, char **text, da_err *err) {
  int code;
  do
    code = da_turn_step(t, PATIENCE, err);
  while (code == 0);
  if (code == 1)
    code = da_turn_keep(t, err);
  if (code == DA_OK)
    *text = da_buf_take(&t->answer.text, NULL);
  da_turn_free(t);
  return code;
}

static int talk(da_agent *a, const char *question, da_delta_fn delta,
                void *ctx, char **text, da_err *err) {
  da_text q = {question, strlen(question)};
  da_turn *t;
  int code = da_turn_start(&t, a, q, delta, ctx, err);
  return code ? code : da_turn_finish(t, text, err);
}

int da_agent_ask(da_agent *a, const char *question, char **text, da_err *err) {
  return talk(a, question, NULL, NULL, text, err);
}

int da_turn_no_delta(void *ctx, da_text delta, da_err *err) {
  (void)ctx;
  (void)delta;
  (void)err;
  return DA_OK;
}

int da_agent_stream(da_agent *a, const char *question, da_delta_fn delta,
                    void *ctx, char **text, da_err *err) {
  return talk(a, question, delta ? delta : da_turn_no_delta, ctx, text, err);
}

int da_agent_resume(da_agent *a, da_delta_fn delta, void *ctx, char **text,
                    da_err *err) {
  da_turn *t;
  int code = da_turn_resume(&t, a, delta, ctx, err);
  return code ? code : da_turn_finish(t, text, err);
}
