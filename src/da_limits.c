/* da_limits.c - the limits of what is taken from outside. */
#include "da_limits.h"

static void fill(size_t *limit, size_t value) {
  if (!*limit)
    *limit = value;
}

int da_limits_fill(da_limits *l, da_err *err) {
  fill(&l->line, (size_t)16 << 20);
  fill(&l->header, (size_t)256 << 10);
  fill(&l->body, (size_t)64 << 20);
  fill(&l->depth, DA_JSON_DEPTH);
  fill(&l->message, DA_MESSAGE_MAX);
  fill(&l->result, (size_t)1 << 20);
  if (l->depth > DA_JSON_DEPTH)
    return da_fail(err, DA_EINVAL, "depth must be at most %d", DA_JSON_DEPTH);
  if (l->message > DA_MESSAGE_MAX)
    return da_fail(err, DA_EINVAL, "message must be at most %zu bytes",
                   DA_MESSAGE_MAX);
  if (l->result > l->message)
    l->result = l->message;
  return DA_OK;
}

int da_limits_message(const da_limits *l, const da_message *m, da_err *err) {
  size_t wire = da_message_tail(m).len + 1;
  if (wire > l->message)
    return da_fail(err, DA_ETOOLARGE,
                   "a message of %zu bytes is larger than %zu bytes", wire,
                   l->message);
  return DA_OK;
}

int da_limits_history(const da_limits *l, const da_history *h, da_err *err) {
  da_history_iter it;
  da_message *m;
  int code = DA_OK;
  da_history_begin(&it, h, 0);
  while (!code && (m = da_history_next(&it)))
    code = da_limits_message(l, m, err);
  if (it.failed)
    code = da_nomem(err);
  da_history_end(&it);
  return code;
}
