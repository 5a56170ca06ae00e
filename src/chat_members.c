/* chat_members.c - a request's members as a service calls them. */
#include "chat_members.h"

#include <string.h>

/* The next member; 0 at the end, or where there is no JSON. */
static int next(da_json *j, da_text *key, da_text *value) {
  if (j->p >= j->end || da_json_member(j, key) != 1)
    return 0;
  da_json_value(j, value);
  return !j->why;
}

/* The members lack the braces of an object: the walk starts inside. */
static void begin(da_json *j, da_text members) {
  da_json_init(j, members);
  j->fresh = 1;
}

static int has(da_text members, const char *name) {
  da_text key, value;
  da_json j;
  begin(&j, members);
  while (next(&j, &key, &value))
    if (da_json_equals(key, name))
      return 1;
  return 0;
}

/* NULL: the member keeps its name. */
static const char *new_name(const chat_options *o, da_text members,
                            da_text key) {
  for (const da_rename *n = o->names; n && n->ours; n++)
    if (da_json_equals(key, n->ours))
      return has(members, n->theirs) ? NULL : n->theirs;
  return NULL;
}

int chat_members(da_buf *out, da_text members, const chat_options *o,
                 da_err *err) {
  static const char stream_options[] = "stream_options";
  da_text key, value;
  da_json j;
  begin(&j, members);
  while (next(&j, &key, &value)) {
    const char *name = new_name(o, members, key);
    da_buf_puts(out, out->len ? "," : "");
    if (name)
      da_buf_printf(out, "\"%s\"", name);
    else
      da_buf_put(out, key.data - 1, key.len + 2);
    da_buf_puts(out, ":");
    da_buf_put(out, value.data, value.len);
  }
  if (j.why || j.p < j.end)
    return da_fail(err, DA_EINVAL, "the request's members are not JSON");
  if (o->no_stream_options && !has(members, stream_options))
    da_buf_printf(out, "%s\"%s\":null", out->len ? "," : "", stream_options);
  return da_buf_check(out, "the request", err);
}
