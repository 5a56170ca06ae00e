/* da_settings.c - what an agent was told to be (floor 5). */
#include "da_settings.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "da_http.h"
#include "da_limits.h"
#include "da_retry.h"

/* ---- lists of strings ---- */

/* Takes `s`; NULL is a failed allocation. */
static int strings_set(da_strings *list, size_t i, char *s) {
  char **items = list->items;
  if (s && i == list->count) {
    items = realloc(items, (i + 2) * sizeof *items);
    if (items) {
      list->items = items;
      items[i] = items[i + 1] = NULL;
      list->count++;
    }
  }
  if (!s || !items) {
    free(s);
    return DA_ENOMEM;
  }
  free(items[i]);
  items[i] = s;
  return DA_OK;
}

static int strings_copy(da_strings *to, const da_strings *from) {
  int code = DA_OK;
  for (size_t i = 0; i < from->count && !code; i++)
    code = strings_set(to, i, strdup(from->items[i]));
  return code;
}

static void strings_dispose(da_strings *list) {
  for (size_t i = 0; i < list->count; i++)
    free(list->items[i]);
  free(list->items);
  list->items = NULL;
  list->count = 0;
}

static int members_copy(da_members *to, const da_members *from) {
  int code = strings_copy(&to->names, &from->names);
  return code ? code : strings_copy(&to->values, &from->values);
}

static void members_dispose(da_members *m) {
  strings_dispose(&m->names);
  strings_dispose(&m->values);
}

/* ---- the whole ---- */

void da_settings_init(da_settings *s) {
  memset(s, 0, sizeof *s);
  s->timeouts.connect = 10;
  s->timeouts.idle = 120;
  s->timeouts.total = 600;
  (void)da_limits_fill(&s->limits, NULL); /* nothing that could be wrong */
  s->service = &da_preset_chat;
  s->parallel_tools = -1;
  s->tool_rounds = 8;
  s->memory = -1;
  s->auto_save = 1;
  s->save_timeout = 5;
  da_retry_init(&s->retry);
}

void da_settings_dispose(da_settings *s) {
  free(s->model);
  free(s->base_url);
  free(s->api_key);
  free(s->ca_file);
  free(s->proxy);
  free(s->system);
  free(s->session_id);
  strings_dispose(&s->headers);
  members_dispose(&s->members);
  members_dispose(&s->extra);
  da_output_dispose(&s->output);
  da_toolbox_dispose(&s->tools);
  free(s->tool_choice);
  da_history_dispose(&s->start);
  da_backend_unref(s->backend);
  da_model_unref(s->own);
  da_rate_unref(s->rate);
  da_fallback_unref(s->fallback);
  da_backend_unref(s->cache);
  memset(s, 0, sizeof *s);
}

void da_model_unref(da_model *m) {
  if (!m || --m->refs > 0)
    return;
  m->provider->ops->close(m->provider);
  free(m);
}

int da_set_string(char **field, const char *value, da_err *err) {
  char *copy = value ? strdup(value) : NULL;
  if (value && !copy)
    return da_nomem(err);
  free(*field);
  *field = copy;
  return DA_OK;
}

int da_settings_copy(da_settings *to, const da_settings *from, da_err *err) {
  int code;
  *to = *from;
  to->model = to->base_url = to->api_key = to->ca_file = to->proxy = NULL;
  to->system = to->session_id = to->tool_choice = NULL;
  memset(&to->tools, 0, sizeof to->tools);
  memset(&to->headers, 0, sizeof to->headers);
  memset(&to->members, 0, sizeof to->members);
  memset(&to->extra, 0, sizeof to->extra);
  memset(&to->output, 0, sizeof to->output);
  da_history_copy(&to->start, &from->start);
  if (to->backend)
    da_backend_ref(to->backend);
  if (to->own)
    to->own->refs++;
  da_rate_ref(to->rate);
  da_fallback_ref(to->fallback);
  if (to->cache)
    da_backend_ref(to->cache);
  code = da_set_string(&to->model, from->model, err) ||
         da_set_string(&to->base_url, from->base_url, err) ||
         da_set_string(&to->api_key, from->api_key, err) ||
         da_set_string(&to->ca_file, from->ca_file, err) ||
         da_set_string(&to->proxy, from->proxy, err) ||
         da_set_string(&to->session_id, from->session_id, err) ||
         da_set_string(&to->tool_choice, from->tool_choice, err) ||
         da_toolbox_copy(&to->tools, &from->tools) ||
         strings_copy(&to->headers, &from->headers) ||
         members_copy(&to->members, &from->members) ||
         members_copy(&to->extra, &from->extra) ||
         da_output_copy(&to->output, &from->output);
  if (!code && from->system) {
    to->system = malloc(from->system_len + 1);
    if (to->system)
      memcpy(to->system, from->system, from->system_len + 1);
    code = !to->system;
  }
  if (!code)
    return DA_OK;
  da_settings_dispose(to);
  return da_nomem(err);
}

/* ---- headers ---- */

int da_settings_header(da_settings *s, const char *name, const char *value,
                       da_err *err) {
  da_text n = {name, strlen(name)}, v = {value, strlen(value)};
  size_t i;
  da_buf line;
  int code = da_http_check_header(n, v, err);
  if (code)
    return code;
  for (i = 0; i < s->headers.count; i++)
    if (strncasecmp(s->headers.items[i], name, n.len) == 0 &&
        s->headers.items[i][n.len] == ':')
      break;
  da_buf_init(&line, n.len + v.len + 2);
  da_buf_puts(&line, name);
  da_buf_puts(&line, ": ");
  da_buf_puts(&line, value);
  code = strings_set(&s->headers, i, da_buf_take(&line, NULL));
  da_buf_dispose(&line);
  return code ? da_nomem(err) : DA_OK;
}

/* ---- members of the body ---- */

/* The agent writes these itself. */
static int is_ours(const char *name) {
  return strcmp(name, "messages") == 0 || strcmp(name, "model") == 0 ||
         strcmp(name, "stream") == 0;
}

int da_member_check(const char *name, da_err *err) {
  return is_ours(name)
             ? da_fail(err, DA_EINVAL, "'%s' is the agent's own to send", name)
             : DA_OK;
}

static size_t find_member(const da_members *m, const char *name) {
  size_t i = 0;
  while (i < m->names.count && strcmp(m->names.items[i], name) != 0)
    i++;
  return i;
}

int da_members_set(da_members *m, const char *name, const char *json,
                   da_err *err) {
  da_text text = {json ? json : "null", json ? strlen(json) : 4};
  size_t i = find_member(m, name);
  int code;
  code = da_member_check(name, err);
  if (!code)
    code = da_json_check(text, err);
  if (code)
    return code;
  /* The value first: a name without one must never be seen. */
  if (strings_set(&m->values, i, strdup(text.data)))
    return da_nomem(err);
  if (i == m->names.count && strings_set(&m->names, i, strdup(name))) {
    free(m->values.items[i]);
    m->values.items[i] = NULL;
    m->values.count--;
    return da_nomem(err);
  }
  return DA_OK;
}

static int has_member(const da_members *m, const char *name) {
  return find_member(m, name) < m->names.count;
}

/* The service's name for a member. */
static const char *theirs_of(const da_settings *s, const char *ours) {
  for (const da_rename *n = s->service->names; n->ours; n++)
    if (strcmp(n->ours, ours) == 0)
      return n->theirs;
  return ours;
}

static void put_member(da_buf *out, const char *name, da_text json) {
  if (out->len)
    da_buf_puts(out, ",");
  da_json_put_string(out, name, strlen(name));
  da_buf_puts(out, ":");
  da_buf_put(out, json.data, json.len);
}

static int names_member(const da_settings *s, const char *name) {
  return has_member(&s->members, name) || has_member(&s->extra, name);
}

int da_settings_put_over(const da_settings *s, da_text others, da_buf *out) {
  da_text key, value;
  da_buf name;
  da_json j;
  da_buf_init(&name, SIZE_MAX / 2);
  da_json_init(&j, others);
  j.fresh = 1; /* they lack the braces of an object */
  while (j.p < j.end && da_json_member(&j, &key) == 1) {
    da_json_value(&j, &value);
    da_buf_reset(&name);
    da_json_unescape(&name, key, NULL);
    if (name.failed)
      out->failed = name.failed;
    else if (names_member(s, name.len ? name.data : ""))
      continue;
    da_buf_puts(out, out->len ? "," : "");
    da_buf_put(out, key.data - 1,
               (size_t)(value.data + value.len - key.data) + 1);
  }
  da_buf_dispose(&name);
  return da_settings_put_members(s, out);
}

static void put_item(const da_members *m, size_t i, da_buf *out) {
  const char *json = m->values.items[i];
  da_text text = {json, strlen(json)};
  put_member(out, m->names.items[i], text);
}

void da_settings_put_member(const da_settings *s, da_buf *out,
                            const char *name, da_text json) {
  if (!names_member(s, name))
    put_member(out, name, json);
}

/* An extra wins by either name, ours or the service's, and is sent under its
** own: for the provider a member that is named by both is no one's to rename. */
int da_settings_put_members(const da_settings *s, da_buf *out) {
  const da_text null = {"null", 4};
  for (size_t i = 0; i < s->members.names.count; i++) {
    const char *ours = s->members.names.items[i];
    if (!has_member(&s->extra, ours) &&
        !has_member(&s->extra, theirs_of(s, ours)))
      put_item(&s->members, i, out);
  }
  for (size_t i = 0; i < s->extra.names.count; i++)
    put_item(&s->extra, i, out);
  for (const da_rename *n = s->service->names; n->ours; n++)
    if (has_member(&s->extra, n->ours))
      da_settings_put_member(s, out, n->theirs, null);
  return out->failed;
}
