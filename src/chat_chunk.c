/* chat_chunk.c - a chunk of an answer, walked once, which also checks it. */
#include "chat_chunk.h"

#include <string.h>

static const chat_value absent = {DA_JSON_BAD, {NULL, 0}};

static const chat_choice no_choice = {
    .index = {DA_JSON_BAD, {NULL, 0}},
    .finish_reason = {DA_JSON_BAD, {NULL, 0}},
    .error = {DA_JSON_BAD, {NULL, 0}},
    .logprobs = {DA_JSON_BAD, {NULL, 0}},
    .content = {DA_JSON_BAD, {NULL, 0}},
    .refusal = {DA_JSON_BAD, {NULL, 0}},
    .reasoning = {DA_JSON_BAD, {NULL, 0}},
    .reasoning_content = {DA_JSON_BAD, {NULL, 0}},
    .tool_calls = {DA_JSON_BAD, {NULL, 0}},
    .function_call = {DA_JSON_BAD, {NULL, 0}},
    .odd = {NULL, 0},
};

/* Whether the raw key is `name`. The slow way is for keys with escapes,
** which are longer. */
static inline int is_key(da_text key, const char *name, size_t len) {
  if (key.len == len)
    return memcmp(key.data, name, len) == 0;
  return key.len >= len + 5 && memchr(key.data, '\\', key.len) &&
         da_json_equals(key, name);
}
#define IS(name) is_key(key, name, sizeof(name) - 1)

static void take(da_json *j, chat_value *v) {
  v->type = da_json_value(j, &v->raw);
}

static void walk_delta(da_json *j, chat_choice *c) {
  const char *begin = j->p;
  int others = 0;
  da_text key;
  if (!da_json_object(j)) {
    da_json_value(j, NULL);
    return;
  }
  while (da_json_member(j, &key) == 1) {
    if (IS("content"))
      take(j, &c->content);
    else if (IS("refusal"))
      take(j, &c->refusal);
    else if (IS("reasoning"))
      take(j, &c->reasoning);
    else if (IS("reasoning_content"))
      take(j, &c->reasoning_content);
    else if (IS("tool_calls"))
      take(j, &c->tool_calls);
    else if (IS("function_call"))
      take(j, &c->function_call);
    else
      others |= da_json_value(j, NULL) > DA_JSON_NULL && !IS("role");
  }
  c->odd.data = others ? begin : NULL;
  c->odd.len = (size_t)(j->p - begin);
}

static void walk_choice(da_json *j, chat_choice *c) {
  da_text key;
  while (da_json_member(j, &key) == 1) {
    if (IS("delta"))
      walk_delta(j, c);
    else if (IS("index"))
      take(j, &c->index);
    else if (IS("finish_reason"))
      take(j, &c->finish_reason);
    else if (IS("error"))
      take(j, &c->error);
    else if (IS("logprobs"))
      take(j, &c->logprobs);
    else
      da_json_value(j, NULL);
  }
}

/* Of several answers to one question the first is the answer. */
static int is_first(const chat_choice *c) {
  int64_t n = 0;
  return c->index.type != DA_JSON_NUMBER ||
         (da_json_int64(c->index.raw, &n) && n == 0);
}

static void walk_choices(da_json *j, chat_chunk *c) {
  const char *begin = j->p;
  int others = 0;
  if (!da_json_array(j)) {
    da_json_value(j, NULL);
    return;
  }
  while (da_json_item(j) == 1) {
    if (c->has_first || !da_json_object(j)) {
      others |= da_json_value(j, NULL) == DA_JSON_OBJECT;
      continue;
    }
    c->first = no_choice;
    walk_choice(j, &c->first);
    c->has_first = is_first(&c->first);
    others |= !c->has_first;
  }
  c->choices.data = others ? begin : NULL;
  c->choices.len = (size_t)(j->p - begin);
}

void chat_chunk_walk(da_json *j, chat_chunk *c) {
  da_text key;
  c->error = c->usage = c->model = c->groq = absent;
  c->has_first = c->has_choices = 0;
  c->choices.data = NULL;
  while (da_json_member(j, &key) == 1) {
    if (IS("choices")) {
      c->has_choices = 1;
      walk_choices(j, c);
    } else if (IS("usage"))
      take(j, &c->usage);
    else if (IS("model"))
      take(j, &c->model);
    else if (IS("x_groq"))
      take(j, &c->groq);
    else if (IS("error"))
      take(j, &c->error);
    else
      da_json_value(j, NULL);
  }
}
