/* chat_kit.h - what the tests of the chat protocol share. */
#ifndef CHAT_KIT_H
#define CHAT_KIT_H

#include "chat_error.h"
#include "da_provider.h"

#include "check.h"

#define CAP ((size_t)1 << 20)

static inline da_text text(const char *s) {
  da_text t = {s, strlen(s)};
  return t;
}

/* What came of reading an answer. */
typedef struct outcome {
  da_answer a;
  da_buf deltas;
  da_err err;
  int code;
} outcome;

static da_http head;
static const da_text secret[] = {{"sk-0123456789", 13}};
static const chat_reply reply = {&head, secret, 1, 0};

static inline void begin(outcome *o) {
  memset(&head, 0, sizeof head);
  head.status = 200;
  strcpy(head.request_id, "req_1");
  da_answer_init(&o->a);
  da_buf_init(&o->deltas, CAP);
  da_err_clear(&o->err);
}

static inline void dispose(outcome *o) {
  da_answer_dispose(&o->a);
  da_buf_dispose(&o->deltas);
}

/* The text of an assistant's message. */
#define SAYS(rest) "{\"role\":\"assistant\"," rest "}"

#endif
