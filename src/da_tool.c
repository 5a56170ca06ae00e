/* da_tool.c - the tools that an agent has (floor 5). */
#include "da_tool.h"

#include <stdlib.h>
#include <string.h>

#include "da_json.h"
#include "da_schema.h"
#include "da_utf8.h"
#include "deepagent.h"

#define NAME_MAX_LEN 64
#define DEFINITION_MAX ((size_t)16 << 20)

/* ---- what may be a tool ---- */

static int check_name(const char *name, da_err *err) {
  static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "abcdefghijklmnopqrstuvwxyz0123456789_-";
  static const char *const choices[] = {"auto", "none", "required"};
  size_t len = name ? strlen(name) : 0;
  if (!len || len > NAME_MAX_LEN || strspn(name, allowed) != len)
    return da_fail(err, DA_EINVAL,
                   "a tool's name must be 1 to %d of A-Z a-z 0-9 _ -",
                   NAME_MAX_LEN);
  for (size_t i = 0; i < sizeof choices / sizeof *choices; i++)
    if (strcmp(name, choices[i]) == 0)
      return da_fail(err, DA_EINVAL,
                     "a tool cannot be called '%s', which is a choice", name);
  return DA_OK;
}

static int check_parameters(const char *parameters, da_err *err) {
  da_text schema = {parameters, strlen(parameters)}, type;
  da_err why;
  if (da_json_check(schema, &why))
    return da_fail(err, DA_EINVAL, "the tool's parameters: %.400s",
                   why.message);
  if (da_json_get(schema, "type", &type) != DA_JSON_STRING ||
      !da_json_equals(type, "object"))
    return da_fail(err, DA_EINVAL,
                   "a tool's parameters must be a schema of type \"object\"");
  return da_schema_check(schema, err);
}

static int check(const da_tool *t, da_err *err) {
  const char *text = t->description ? t->description : "";
  int code = check_name(t->name, err);
  if (!code && !t->run)
    code = da_fail(err, DA_EINVAL, "the tool '%s' has no function", t->name);
  if (!code && da_utf8_check(text, strlen(text)) != strlen(text))
    code = da_fail(err, DA_EUTF8, "the tool's description is not UTF-8");
  return !code && t->parameters ? check_parameters(t->parameters, err) : code;
}

/* ---- one tool ---- */

void da_tool_unref(da_tool_entry *e) {
  if (!e || --e->refs > 0)
    return;
  if (e->tool.drop)
    e->tool.drop(e->tool.ctx);
  free((char *)(uintptr_t)e->tool.name);
  free((char *)(uintptr_t)e->tool.parameters);
  da_buf_dispose(&e->definition);
  free(e);
}

static const char *parameters_of(const da_tool *t) {
  return t->parameters ? t->parameters
                       : "{\"type\":\"object\",\"properties\":{}}";
}

static int put_definition(da_buf *out, const da_tool *t) {
  da_buf_puts(out, "{\"type\":\"function\",\"function\":{\"name\":");
  da_json_put_string(out, t->name, strlen(t->name));
  if (t->description) {
    da_buf_puts(out, ",\"description\":");
    da_json_put_string(out, t->description, strlen(t->description));
  }
  da_buf_puts(out, ",\"parameters\":");
  da_buf_puts(out, parameters_of(t));
  return da_buf_puts(out, t->strict ? ",\"strict\":true}}" : "}}");
}

/* NULL without memory; `tool`'s ctx is not its own yet. */
static da_tool_entry *entry_new(const da_tool *tool) {
  da_tool_entry *e = calloc(1, sizeof *e);
  if (!e)
    return NULL;
  e->refs = 1;
  e->tool = *tool;
  e->tool.drop = NULL;
  e->tool.description = NULL; /* it is in the definition */
  e->tool.name = strdup(tool->name);
  e->tool.parameters = strdup(parameters_of(tool));
  da_buf_init(&e->definition, DEFINITION_MAX);
  if (e->tool.name && e->tool.parameters &&
      !put_definition(&e->definition, tool))
    return e;
  da_tool_unref(e);
  return NULL;
}

/* ---- all of them ---- */

static size_t place_of(const da_toolbox *b, da_text name) {
  size_t i = 0;
  for (; i < b->count; i++) {
    const char *other = b->items[i]->tool.name;
    if (strlen(other) == name.len && !memcmp(other, name.data, name.len))
      break;
  }
  return i;
}

da_tool_entry *da_toolbox_find(const da_toolbox *b, da_text name) {
  size_t i = place_of(b, name);
  return i < b->count ? b->items[i] : NULL;
}

/* Takes `e`, also upon failure. */
static int put_entry(da_toolbox *b, da_tool_entry *e) {
  da_text name = {e->tool.name, strlen(e->tool.name)};
  size_t i = place_of(b, name);
  if (i == b->count) {
    da_tool_entry **items =
        realloc(b->items, (b->count + 1) * sizeof *b->items);
    if (!items) {
      da_tool_unref(e);
      return DA_ENOMEM;
    }
    b->items = items;
    b->items[b->count++] = NULL;
  }
  da_tool_unref(b->items[i]);
  b->items[i] = e;
  return DA_OK;
}

int da_toolbox_add(da_toolbox *b, const da_tool *tool, da_err *err) {
  int code = check(tool, err);
  da_tool_entry *e = code ? NULL : entry_new(tool);
  if (!e) {
    if (tool->drop)
      tool->drop(tool->ctx);
    return code ? code : da_nomem(err);
  }
  e->tool.drop = tool->drop;
  return put_entry(b, e) ? da_nomem(err) : DA_OK;
}

int da_toolbox_copy(da_toolbox *to, const da_toolbox *from) {
  memset(to, 0, sizeof *to);
  for (size_t i = 0; i < from->count; i++) {
    from->items[i]->refs++;
    if (put_entry(to, from->items[i])) {
      da_toolbox_dispose(to);
      return DA_ENOMEM;
    }
  }
  return DA_OK;
}

void da_toolbox_dispose(da_toolbox *b) {
  for (size_t i = 0; i < b->count; i++)
    da_tool_unref(b->items[i]);
  free(b->items);
  memset(b, 0, sizeof *b);
}

int da_toolbox_put(const da_toolbox *b, da_buf *out) {
  for (size_t i = 0; i < b->count; i++) {
    da_text t = da_buf_text(&b->items[i]->definition);
    da_buf_puts(out, i ? "," : "[");
    da_buf_put(out, t.data, t.len);
  }
  return da_buf_puts(out, b->count ? "]" : "[]");
}

/* ---- results ---- */

int da_tool_put(da_tool_result *r, const char *bytes, size_t len) {
  return da_buf_put(&r->text, bytes, len);
}
