/* da_tool_calls.c - the tool calls of an assistant's message (floor 1). */
#include "da_tool_calls.h"

#include <string.h>

/* Goes into the list of calls; 0 if there is none. */
static int enter(da_json *j, da_text message) {
  da_text calls;
  if (da_json_get(message, "tool_calls", &calls) != DA_JSON_ARRAY)
    return 0;
  da_json_init(j, calls);
  return da_json_array(j);
}

size_t da_tool_calls_count(da_text message) {
  da_json j;
  size_t n = 0;
  if (!enter(&j, message))
    return 0;
  while (da_json_item(&j) == 1) {
    da_json_value(&j, NULL);
    n++;
  }
  return n;
}

static int has_name(da_text call) {
  da_text function, name;
  return da_json_get(call, "function", &function) == DA_JSON_OBJECT &&
         da_json_get(function, "name", &name) == DA_JSON_STRING;
}

int da_tool_calls_check(da_text message, da_err *err) {
  da_json j;
  da_text call;
  unsigned i = 0;
  if (!enter(&j, message))
    return DA_OK;
  while (da_json_item(&j) == 1) {
    i++;
    da_json_value(&j, &call);
    if (!has_name(call))
      return da_fail(err, DA_EINVAL,
                     "tool call %u has no function with a name", i);
  }
  return DA_OK;
}

/* Appends the member's characters; a length of 0 where it is no string. */
static size_t decode(da_buf *out, da_text object, const char *name) {
  size_t from = out->len;
  da_text raw;
  if (da_json_get(object, name, &raw) == DA_JSON_STRING)
    da_json_unescape(out, raw, NULL);
  return out->len - from;
}

static size_t decode_arguments(da_buf *out, da_text function) {
  size_t from = out->len;
  da_text raw;
  da_json_type type = da_json_get(function, "arguments", &raw);
  if (type == DA_JSON_STRING)
    da_json_unescape(out, raw, NULL);
  else if (type != DA_JSON_BAD && type != DA_JSON_NULL)
    da_buf_put(out, raw.data, raw.len);
  return out->len - from;
}

int da_tool_calls_get(da_tool_calls_item *item, da_text message, size_t i,
                      da_err *err) {
  da_json j;
  da_text call, function;
  size_t id, name, arguments;
  const char *p;
  da_buf_init(&item->bytes, message.len * 3);
  if (!enter(&j, message))
    return da_fail(err, DA_EINVAL, "the message has no tool calls");
  do
    if (da_json_item(&j) != 1)
      return da_fail(err, DA_EINVAL, "the message has fewer tool calls");
  while (da_json_value(&j, &call) != DA_JSON_BAD && i-- > 0);
  /* A call of another type: there is no tool with an empty name. */
  if (da_json_get(call, "function", &function) != DA_JSON_OBJECT)
    function = (da_text){"{}", 2};
  id = decode(&item->bytes, call, "id");
  name = decode(&item->bytes, function, "name");
  arguments = decode_arguments(&item->bytes, function);
  p = da_buf_text(&item->bytes).data;
  item->id = (da_text){p, id};
  item->name = (da_text){p + id, name};
  item->arguments = (da_text){p + id + name, arguments};
  return da_buf_check(&item->bytes, "the tool call", err);
}

void da_tool_calls_dispose(da_tool_calls_item *item) {
  da_buf_dispose(&item->bytes);
}

int da_tool_calls_answer(da_message **out, da_text id, da_text text,
                         da_err *err) {
  da_buf wire;
  int code;
  da_buf_init(&wire, DA_MESSAGE_MAX);
  da_buf_puts(&wire, "{\"role\":\"tool\",\"tool_call_id\":");
  da_json_put_string(&wire, id.data, id.len);
  da_buf_puts(&wire, ",\"content\":");
  da_json_put_string(&wire, text.data, text.len);
  da_buf_puts(&wire, "}");
  code = da_buf_check(&wire, "the result", err);
  if (!code)
    code = da_message_new(out, da_buf_text(&wire), NULL, -1, err);
  da_buf_dispose(&wire);
  return code;
}
