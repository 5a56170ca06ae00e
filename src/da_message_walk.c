/* da_message_walk.c - finding the members of a message (floor 1). */
#include <string.h>

#include "da_message.h"

static int not_a_message(da_err *err, const char *why) {
  return da_fail(err, DA_EINVAL, "not a message: %s", why);
}

int da_message_id_ok(da_text id) {
  if (id.len < 1 || id.len > 255)
    return 0;
  for (size_t i = 0; i < id.len; i++)
    if (id.data[i] <= ' ' || id.data[i] > '~' || id.data[i] == '\\' ||
        id.data[i] == '"')
      return 0;
  return 1;
}

static int is_id(da_text raw) {
  const da_text inside = {raw.data + 1, raw.len - 2};
  return da_message_id_ok(inside);
}

/* An id or a time of another kind is no member of ours: it stays with the
** wire message, and the message is given its own. */
static int take_member(da_message_parts *parts, da_text key, da_json_type type,
                       da_text value, da_err *err) {
  if (da_json_equals(key, "role")) {
    if (type != DA_JSON_STRING)
      return not_a_message(err, "its role is no string");
    parts->role = value;
  } else if (!parts->id.data && type == DA_JSON_STRING && is_id(value) &&
             da_json_equals(key, "id")) {
    parts->id = value;
  } else if (!parts->created.data && type == DA_JSON_NUMBER &&
             da_json_equals(key, "created_at")) {
    parts->created = value;
  } else if (!parts->usage.data && type == DA_JSON_OBJECT &&
             da_json_equals(key, "usage")) {
    parts->usage = value;
  }
  return DA_OK;
}

/* Where the wire members begin, if `n` members of ours, as we write them, are
** in front of the key; else 0. */
static size_t find_wire(const da_message_parts *parts, const char *begin,
                        da_text key, int n) {
  const char *id = begin + sizeof "{\"id\":" - 1, *created, *usage;
  if (n < 2 || n > 3 || parts->id.data != id || !parts->created.data)
    return 0;
  created = id + parts->id.len + sizeof ",\"created_at\":" - 1;
  usage = created + parts->created.len + sizeof ",\"usage\":" - 1;
  if (parts->created.data != created || (n == 3 && parts->usage.data != usage))
    return 0;
  return (size_t)(key.data - 1 - begin);
}

int da_message_walk(da_json *j, da_message_parts *parts, da_err *err) {
  const char *begin = j->p;
  da_text key, value;
  int more, code, n = 0;
  memset(parts, 0, sizeof *parts);
  if (!da_json_object(j))
    return not_a_message(err, "it is no object");
  for (; (more = da_json_member(j, &key)) == 1; n++) {
    if (n == 2 || n == 3) {
      size_t wire = find_wire(parts, begin, key, n);
      parts->wire = wire ? wire : parts->wire;
    }
    da_json_type type = da_json_value(j, &value);
    if (type == DA_JSON_BAD)
      return da_json_error(j, err);
    code = take_member(parts, key, type, value, err);
    if (code)
      return code;
    parts->json.len = (size_t)(value.data + value.len - begin);
  }
  if (more < 0)
    return da_json_error(j, err);
  /* The walk has passed the brace and any blanks after it. */
  parts->json.data = begin;
  parts->json.len =
      (size_t)((char *)memchr(begin + parts->json.len, '}',
                              (size_t)(j->end - begin) - parts->json.len) +
               1 - begin);
  if (!parts->role.data)
    return not_a_message(err, "it has no role");
  return DA_OK;
}
