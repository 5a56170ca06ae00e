/* da_go_peer.c - messages as the Go peer stores them (floor 2). */
#include "da_go_peer.h"

#include <string.h>

/* `,"name":` and the value. */
static void put(da_buf *out, const char *name, da_text raw) {
  da_buf_puts(out, ",\"");
  da_buf_puts(out, name);
  da_buf_puts(out, "\":");
  da_buf_put(out, raw.data, raw.len);
}

static int text_of(da_text object, const char *key, da_text *raw) {
  return da_json_get(object, key, raw) == DA_JSON_STRING;
}

/* {"ID":..,"Type":..,"Name":..,"Arguments":..}, the middle two perhaps in a
** "Function" of their own. */
static void put_call(da_buf *out, da_text call) {
  da_text id, name, arguments, inner = call;
  const da_text none = {"\"\"", 2};
  if (da_json_get(call, "Function", &inner) != DA_JSON_OBJECT)
    inner = call;
  da_buf_puts(out, "{\"type\":\"function\"");
  put(out, "id", text_of(call, "ID", &id) ? id : none);
  da_buf_puts(out, ",\"function\":{\"name\":");
  name = text_of(inner, "Name", &name) ? name : none;
  da_buf_put(out, name.data, name.len);
  switch (da_json_get(inner, "Arguments", &arguments)) {
  case DA_JSON_STRING:
    put(out, "arguments", arguments);
    break;
  case DA_JSON_OBJECT: /* the protocol wants the text of the object */
    da_buf_puts(out, ",\"arguments\":");
    da_json_put_string(out, arguments.data, arguments.len);
    break;
  default:
    put(out, "arguments", none);
  }
  da_buf_puts(out, "}}");
}

static void put_calls(da_buf *out, da_text calls) {
  da_json j;
  da_text call;
  int n = 0;
  da_json_init(&j, calls);
  da_json_array(&j);
  while (da_json_item(&j) == 1) {
    da_buf_puts(out, n++ ? "," : ",\"tool_calls\":[");
    da_json_value(&j, &call);
    put_call(out, call);
  }
  if (n)
    da_buf_puts(out, "]");
}

int da_go_message(da_message **out, da_text json, da_err *err) {
  da_text role, value;
  da_buf wire;
  int code;
  if (!text_of(json, "Role", &role))
    return da_fail(err, DA_EINVAL, "not a message: it has no role");
  da_buf_init(&wire, DA_MESSAGE_MAX);
  da_buf_puts(&wire, "{\"role\":");
  da_buf_put(&wire, role.data, role.len);
  if (da_json_get(json, "Content", &value) != DA_JSON_BAD)
    put(&wire, "content", value);
  if (da_json_get(json, "ToolCalls", &value) == DA_JSON_ARRAY)
    put_calls(&wire, value);
  if (text_of(json, "ToolCallID", &value) && value.len > 2)
    put(&wire, "tool_call_id", value);
  if (text_of(json, "Name", &value) && value.len > 2)
    put(&wire, "name", value);
  da_buf_puts(&wire, "}");
  code = da_buf_check(&wire, "the message", err);
  if (!code)
    code = da_message_new(out, da_buf_text(&wire), NULL, -1, err);
  da_buf_dispose(&wire);
  return code;
}
