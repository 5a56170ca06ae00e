/* da_provider.c - what every provider's answer is kept in. */
#include "da_provider.h"

#include <string.h>
#include <strings.h>

#include "da_utf8.h"

void da_answer_init(da_answer *a) {
  memset(a, 0, sizeof *a);
  da_buf_init(&a->message, DA_MESSAGE_MAX);
  da_buf_init(&a->text, DA_MESSAGE_MAX);
  da_buf_init(&a->choices, DA_MESSAGE_MAX);
  da_buf_init(&a->logprobs, DA_MESSAGE_MAX);
  da_buf_init(&a->raw_usage, DA_MESSAGE_MAX);
}

void da_answer_dispose(da_answer *a) {
  da_buf_dispose(&a->message);
  da_buf_dispose(&a->text);
  da_buf_dispose(&a->choices);
  da_buf_dispose(&a->logprobs);
  da_buf_dispose(&a->raw_usage);
}

void da_answer_limit(da_answer *a, size_t bytes) {
  a->message.cap = a->text.cap = bytes;
  a->choices.cap = a->logprobs.cap = a->raw_usage.cap = bytes;
}

void da_answer_reset(da_answer *a) {
  size_t bytes = a->message.cap;
  da_answer_dispose(a);
  da_answer_init(a);
  da_answer_limit(a, bytes);
}

/* OpenAI and most; Mistral; Gemini and Anthropic through gateways; what broke
** off within the service: Mistral and OpenRouter, DeepSeek. */
int da_finish_check(const char *finish_reason) {
  static const char *const cut[] = {
      "length",
      "model_length",
      "max_tokens",
      "error",
      "insufficient_system_resource",
  };
  for (size_t i = 0; i < sizeof cut / sizeof *cut; i++)
    if (strcasecmp(finish_reason, cut[i]) == 0)
      return DA_ETRUNCATED;
  return strcmp(finish_reason, "content_filter") == 0 ? DA_EFILTER : DA_OK;
}

static void put_messages(da_buf *out, const da_history *h, size_t from) {
  da_history_iter it;
  da_message *m;
  da_history_begin(&it, h, from);
  while ((m = da_history_next(&it))) {
    da_text tail = da_message_tail(m);
    da_buf_puts(out, "{");
    da_buf_put(out, tail.data, tail.len);
    da_buf_puts(out, ",");
  }
  if (it.failed)
    out->failed = DA_ENOMEM;
  da_history_end(&it);
}

void da_request_put_messages(const da_request *r, da_buf *out) {
  put_messages(out, r->history, r->first);
  put_messages(out, r->turn, 0);
}

int da_request_put_members(const da_request *r, da_buf *out, const char *name,
                           int *named, da_err *err) {
  da_text key, value;
  da_json j;
  *named = 0;
  if (!r->members.len)
    return DA_OK;
  /* They lack the braces of an object: the walk starts inside. */
  da_json_init(&j, r->members);
  j.fresh = 1;
  do {
    if (da_json_member(&j, &key) != 1)
      break;
    *named |= da_json_equals(key, name);
    if (da_json_value(&j, &value) != DA_JSON_NULL) {
      da_buf_puts(out, ",");
      da_buf_put(out, key.data - 1,
                 (size_t)(value.data + value.len - key.data) + 1);
    }
  } while (!j.why && j.p < j.end);
  if (j.why || j.p < j.end)
    return da_fail(err, DA_EINVAL, "the request's members are not JSON");
  return DA_OK;
}

int da_model_check(da_text model, da_err *err) {
  if (!model.len)
    return da_fail(err, DA_EINVAL, "the model has no name");
  for (size_t i = 0; i < model.len; i++)
    if ((unsigned char)model.data[i] < 0x20 || model.data[i] == 0x7f)
      return da_fail(err, DA_EINVAL,
                     "the model's name has a control character");
  if (da_utf8_check(model.data, model.len) != model.len)
    return da_fail(err, DA_EUTF8, "the model's name is not valid UTF-8");
  return DA_OK;
}
