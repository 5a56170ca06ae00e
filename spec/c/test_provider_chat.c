/* test_provider_chat.c - the chat provider over libcurl's transport, against
** a server of our own on the loopback. */
#include "da_clock.h"
#include "da_provider.h"

#include "check.h"
#include "loopback.h"

#define SAY(s) "data: {\"choices\":[{\"delta\":{\"content\":\"" s "\"}}]}\n\n"
#define DONE "data: [DONE]\n\n"

static da_transport *open_transport(void) {
  da_transport *t = NULL;
  da_err err;
  CHECK_INT(da_transport_curl.open(&t, &err), DA_OK);
  return t;
}

static da_transport *give(void *ctx, da_err *err) {
  (void)err;
  return ctx;
}

typedef struct talk {
  da_transport *transport;
  da_provider *provider;
  da_history turn;
  da_request request;
  char url[64];
} talk;

static void talk_open(talk *k, const loopback *s) {
  da_chat_options o;
  da_text hi = {"Hi", 2};
  da_message *question;
  da_err err;
  memset(k, 0, sizeof *k);
  memset(&o, 0, sizeof o);
  snprintf(k->url, sizeof k->url, "http://127.0.0.1:%d/v1/", s->port);
  k->transport = open_transport();
  o.base_url.data = k->url;
  o.base_url.len = strlen(k->url);
  o.api_key.data = "sk-0123456789";
  o.api_key.len = 13;
  o.transport = give;
  o.transport_ctx = k->transport;
  CHECK_INT(da_provider_chat(&k->provider, &o, &err), DA_OK);
  CHECK_INT(da_message_text(&question, "user", hi, &err), DA_OK);
  CHECK_INT(da_history_append(&k->turn, question), DA_OK);
  k->request.model.data = "m";
  k->request.model.len = 1;
  k->request.turn = &k->turn;
  k->request.timeouts.total = CHECK_LONG;
}

static void talk_close(talk *k) {
  k->provider->ops->close(k->provider);
  da_history_dispose(&k->turn);
  k->transport->ops->close(k->transport, 0);
}

static int complete(talk *k, da_answer *a, da_delta_fn delta, void *ctx,
                    da_err *err) {
  const da_provider_ops *ops = k->provider->ops;
  da_call *c;
  int rc;
  da_answer_init(a);
  k->request.stream = delta != NULL;
  rc = ops->start(k->provider, &c, &k->request, a, delta, ctx, err);
  CHECK_INT(rc, DA_OK);
  while ((rc = ops->step(k->provider, c, 1, err)) == 0)
    ;
  ops->end(k->provider, c);
  return rc;
}

static int count(void *ctx, da_text delta, da_err *err) {
  (void)delta;
  (void)err;
  ++*(int *)ctx;
  return 0;
}

static void a_plain_completion(void) {
  talk k;
  da_answer a;
  da_err err;
  SERVE(s, {.bytes = OK_ANSWER});
  talk_open(&k, &s);
  CHECK_INT(complete(&k, &a, NULL, NULL, &err), 1);
  CHECK_STR(da_buf_text(&a.text).data, "Hi");
  CHECK(strncmp(s.seen, "POST /v1/chat/completions HTTP", 30) == 0);
  CHECK(strstr(s.seen, "Authorization: Bearer sk-0123456789\r\n") != NULL);
  CHECK(strstr(s.seen, "Accept: application/json\r\n") != NULL);
  CHECK(strstr(s.seen, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\","
                       "\"content\":\"Hi\"}]}") != NULL);
  da_answer_dispose(&a);
  talk_close(&k);
  loopback_close(&s);
}

static void a_streamed_completion(void) {
  talk k;
  da_answer a;
  da_err err;
  int deltas = 0;
  SERVE(s, {.bytes = SSE_HEAD SAY("a") SAY("b") DONE, .step = 3});
  talk_open(&k, &s);
  CHECK_INT(complete(&k, &a, count, &deltas, &err), 1);
  CHECK_INT(deltas, 2);
  CHECK_STR(da_buf_text(&a.text).data, "ab");
  CHECK_STR(a.request_id, "req_7");
  CHECK(strstr(s.seen, "Accept: text/event-stream\r\n") != NULL);
  da_answer_dispose(&a);
  talk_close(&k);
  loopback_close(&s);
}

/* Neither a server that does not close after [DONE], nor an answer of
** another kind than asked for, stands in the way. */
static void streams_out_of_line(void) {
  talk k;
  da_answer a;
  da_err err;
  double from;
  int deltas = 0;
  SERVE(s, {.bytes = SSE_HEAD SAY("a") DONE, .end = HANG},
        {.bytes = OK_ANSWER}, {.bytes = SSE_HEAD SAY("a"), .end = CLOSE},
        {.bytes = OK_HEAD "\r\n<html>"});
  talk_open(&k, &s);
  from = da_now();
  CHECK_INT(complete(&k, &a, count, &deltas, &err), 1);
  CHECK(da_now() - from < CHECK_SOON);
  da_answer_dispose(&a);
  CHECK_INT(complete(&k, &a, count, &deltas, &err), 1);
  CHECK_INT(deltas, 2);
  CHECK_STR(da_buf_text(&a.text).data, "Hi");
  da_answer_dispose(&a);
  CHECK_INT(complete(&k, &a, count, &deltas, &err), DA_ETRUNCATED);
  CHECK_STR(err.request_id, "req_7");
  da_answer_dispose(&a);
  CHECK_INT(complete(&k, &a, count, &deltas, &err), DA_ECONTENTTYPE);
  da_answer_dispose(&a);
  talk_close(&k);
  loopback_close(&s);
}

/* A delta function that asks another question over the same transport. */
static int ask_another(void *ctx, da_text delta, da_err *err) {
  talk *k = ctx;
  da_answer a;
  da_err inner;
  (void)delta;
  (void)err;
  CHECK_INT(complete(k, &a, NULL, NULL, &inner), 1);
  CHECK_STR(da_buf_text(&a.text).data, "Hi");
  da_answer_dispose(&a);
  return 0;
}

static void a_question_within_a_delta(void) {
  talk k;
  da_answer a;
  da_err err;
  SERVE(s,
        {.bytes = SSE_HEAD SAY("a") SAY("b") DONE, .step = 70, .pause_ms = 5},
        {.bytes = OK_ANSWER, .end = KEEP});
  talk_open(&k, &s);
  CHECK_INT(complete(&k, &a, ask_another, &k, &err), 1);
  CHECK_STR(da_buf_text(&a.text).data, "ab");
  da_answer_dispose(&a);
  talk_close(&k);
  loopback_close(&s);
}

/* ---- out of order ---- */

typedef struct stepper {
  talk *talk;
  da_call *call;
  int code;
} stepper;

static int step_within(void *ctx, da_text delta, da_err *err) {
  stepper *s = ctx;
  da_err inner;
  (void)delta;
  (void)err;
  s->code =
      s->talk->provider->ops->step(s->talk->provider, s->call, 1, &inner);
  return 0;
}

/* A step within the call's own delta is refused and does no harm; one after
** the end says what the last one said. */
static void steps_out_of_order(void) {
  talk k;
  da_answer a;
  da_err err;
  stepper st = {&k, NULL, 0};
  int rc;
  SERVE(s, {.bytes = SSE_HEAD SAY("a") DONE},
        {.bytes = "HTTP/1.1 500 No\r\n\r\n"});
  talk_open(&k, &s);
  k.request.stream = 1;
  for (int i = 0; i < 2; i++) {
    const da_provider_ops *ops = k.provider->ops;
    int want = i ? DA_ESERVER : 1;
    da_answer_init(&a);
    CHECK_INT(ops->start(k.provider, &st.call, &k.request, &a, step_within,
                         &st, &err),
              DA_OK);
    while ((rc = ops->step(k.provider, st.call, 1, &err)) == 0)
      ;
    CHECK_INT(rc, want);
    CHECK_INT(st.code, DA_EBUSY);
    CHECK_INT(ops->step(k.provider, st.call, 1, &err), want);
    if (i)
      CHECK_INT(err.code, DA_ESERVER);
    else
      CHECK_STR(da_buf_text(&a.text).data, "a");
    ops->end(k.provider, st.call);
    da_answer_dispose(&a);
  }
  talk_close(&k);
  loopback_close(&s);
}

int main(void) {
  RUN(a_plain_completion);
  RUN(a_streamed_completion);
  RUN(streams_out_of_line);
  RUN(a_question_within_a_delta);
  RUN(steps_out_of_order);
  return check_done();
}
