/* provider_chat.c - the chat-completions protocol over a transport.
**
** The state machine of a call: bytes come in through the transport, are
** taken out of it in one piece, and go to the stream's or, once whole, to
** the answer's reader. Taking them out first matters: a delta function may
** drive the same transport for another call.
*/
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat_answer.h"
#include "chat_members.h"
#include "chat_options.h"
#include "chat_request.h"
#include "chat_stream.h"
#include "da_clock.h"

/* After [DONE] the connection is kept if the answer ends soon; after a
** finish reason there may be the usage and [DONE], or nothing. */
#define LINGER_DONE 0.25
#define LINGER_FINISHED 5.0

typedef struct provider {
  da_provider base;
  chat_options o;
} provider;

typedef enum mode { UNKNOWN, WHOLE, STREAM } mode;

typedef struct call {
  provider *owner;
  da_transport *transport;
  da_http *http;
  da_buf request; /* the body that is being sent */
  da_buf work;    /* bytes taken out of http->body */
  da_answer *answer;
  da_delta_fn delta;
  void *ctx;
  chat_reply reply;
  chat_stream stream;
  mode mode;
  int inside;    /* a delta function is being called */
  int closing;   /* [DONE] was seen in an earlier step */
  int over;      /* 1 or the error's code: the last step's result */
  size_t looked; /* as many bytes of http->body have been looked at */
  size_t blank;  /* as many of them, from the first on, say nothing */
  double linger; /* da_now() at which a complete answer is over */
} call;

/* ---- beginning ---- */

static int send_request(call *c, const da_request *r, da_err *err) {
  const chat_options *o = &c->owner->o;
  const char **headers = calloc(o->header_count + 3, sizeof *headers);
  da_http_request q = {0};
  char key[128];
  size_t n = 0;
  int rc;
  if (!headers)
    return da_nomem(err);
  if (!o->has_accept)
    headers[n++] =
        r->stream ? "Accept: text/event-stream" : "Accept: application/json";
  if (r->idempotency_key && !o->has_idempotency_key) {
    snprintf(key, sizeof key, "Idempotency-Key: %s", r->idempotency_key);
    headers[n++] = key;
  }
  memcpy(headers + n, o->headers, o->header_count * sizeof *headers);
  q.url = o->url;
  q.headers = headers;
  q.body = da_buf_text(&c->request);
  q.connect_timeout = r->timeouts.connect;
  q.idle_timeout = r->timeouts.idle;
  q.deadline =
      r->timeouts.total > 0 ? da_deadline(r->timeouts.total) : DA_NEVER;
  q.max_header = o->limits.header;
  q.max_body = o->limits.body;
  q.stream = r->stream;
  q.insecure = o->insecure;
  q.ca_file = o->ca_file;
  q.proxy = o->proxy;
  rc = c->transport->ops->start(c->transport, &c->http, &q, err);
  free(headers);
  return rc;
}

static call *call_new(provider *p, da_answer *answer, da_delta_fn delta,
                      void *ctx) {
  call *c = calloc(1, sizeof *c);
  if (!c)
    return NULL;
  c->owner = p;
  c->answer = answer;
  c->delta = delta;
  c->ctx = ctx;
  c->linger = DA_NEVER;
  c->reply.secrets = p->o.secrets;
  c->reply.secret_count = p->o.secret_count;
  da_buf_init(&c->request, CHAT_REQUEST_MAX);
  c->reply.depth = p->o.limits.depth;
  chat_stream_init(&c->stream, &c->reply, answer, delta, ctx,
                   p->o.limits.line);
  return c;
}

static void chat_end(da_provider *p, da_call *base) {
  call *c = (call *)base;
  (void)p;
  if (c->http)
    c->transport->ops->end(c->transport, c->http);
  chat_stream_dispose(&c->stream);
  da_buf_dispose(&c->work);
  da_buf_dispose(&c->request);
  free(c);
}

static int put_request(call *c, const da_request *r, da_err *err) {
  const chat_options *o = &c->owner->o;
  da_request q = *r;
  da_buf members;
  int rc;
  da_buf_init(&members, DA_MESSAGE_MAX);
  rc = chat_members(&members, r->members, o, err);
  q.members = da_buf_text(&members);
  if (rc == DA_OK)
    rc = chat_build_request(&c->request, &q, o->drop_thoughts, err);
  da_buf_dispose(&members);
  return rc;
}

static int chat_start(da_provider *base, da_call **out, const da_request *r,
                      da_answer *answer, da_delta_fn delta, void *ctx,
                      da_err *err) {
  provider *p = (provider *)base;
  call *c;
  int rc;
  if (p->o.lacks_key)
    return da_fail(err, DA_EKEY, "%s has no API key%s%s", p->o.name,
                   p->o.key_help ? ": " : "",
                   p->o.key_help ? p->o.key_help : "");
  c = call_new(p, answer, delta, ctx);
  if (!c)
    return da_nomem(err);
  rc = put_request(c, r, err);
  if (rc == DA_OK) {
    c->transport = p->o.transport(p->o.transport_ctx, err);
    rc = c->transport ? send_request(c, r, err) : err->code;
  }
  if (rc != DA_OK) {
    chat_end(base, (da_call *)c);
    return rc;
  }
  c->reply.http = c->http;
  da_buf_init(&c->work, c->http->body.cap);
  *out = (da_call *)c;
  return DA_OK;
}

/* ---- telling streams from whole answers ---- */

static int begins(da_text t, const char *s) {
  size_t n = strlen(s);
  return t.len >= n && memcmp(t.data, s, n) == 0;
}

static int is_field(da_text t) {
  return begins(t, ":") || begins(t, "data") || begins(t, "event") ||
         begins(t, "id") || begins(t, "retry");
}

static int is_blank(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Services and proxies mislabel both ways, so the first bytes tell. Leaves
** c->mode UNKNOWN if there are too few of them; blanks, of which there may
** be megabytes, are passed once. */
static void sniff(call *c) {
  const da_http *h = c->http;
  da_text t = da_buf_text(&h->body);
  if (!c->blank && begins(t, "\xEF\xBB\xBF"))
    c->blank = 3;
  while (c->blank < t.len && is_blank(t.data[c->blank]))
    c->blank++;
  t.data += c->blank;
  t.len -= c->blank;
  if (!t.len)
    c->mode = h->done ? WHOLE : UNKNOWN;
  else if (strchr("{[<", *t.data) && *t.data)
    c->mode = WHOLE;
  else if (is_field(t) || strcmp(h->content_type, "text/event-stream") == 0)
    c->mode = STREAM;
  else if (t.len > 5 || h->done)
    c->mode = WHOLE;
}

/* ---- working ---- */

static int transport_error(call *c, da_err *err) {
  *err = c->http->err;
  if (chat_mask(&c->reply, err->message, sizeof err->message))
    da_nomem(err);
  chat_add_head(&c->reply, err);
  return err->code;
}

static int end_stream(call *c, da_err *err) {
  int rc;
  /* What the transport says counts only if the answer is not there. */
  if (c->http->done && c->http->err.code != DA_OK &&
      !chat_stream_complete(&c->stream))
    return transport_error(c, err);
  rc = chat_stream_finish(&c->stream, err);
  return rc == DA_OK ? 1 : rc;
}

static int step_stream(call *c, da_err *err) {
  da_buf bytes = c->http->body;
  da_buf_reset(&c->work);
  c->http->body = c->work;
  c->work = bytes;
  if (bytes.len) {
    int rc = chat_stream_feed(&c->stream, da_buf_text(&c->work), err);
    if (rc != DA_OK)
      return rc;
    if (c->stream.done && !c->closing)
      c->linger = da_deadline(LINGER_DONE);
    else if (c->linger >= DA_NEVER && chat_stream_complete(&c->stream))
      c->linger = da_deadline(LINGER_FINISHED);
    c->closing = c->stream.done;
  }
  /* A delta function that talks to others may have let more come. */
  if (c->http->body.len)
    return 0;
  if (c->http->done || da_left(c->linger) <= 0)
    return end_stream(c, err);
  return 0;
}

static int end_whole(call *c, da_err *err) {
  da_answer *a = c->answer;
  int rc;
  if (c->http->err.code != DA_OK)
    return transport_error(c, err);
  rc = chat_read_answer(&c->reply, da_buf_text(&c->http->body), a, err);
  if (rc == DA_OK && c->delta && a->text.len)
    rc = c->delta(c->ctx, da_buf_text(&a->text), err);
  return rc < 0 ? rc : 1;
}

static int work(call *c, da_err *err) {
  da_http *h = c->http;
  if (!h->status || h->err.code == DA_ENOMEM)
    return h->done ? transport_error(c, err) : 0;
  if (h->status < 200 || h->status > 299)
    return h->done ? chat_http_error(&c->reply, da_buf_text(&h->body), err)
                   : 0;
  if (c->mode == UNKNOWN)
    sniff(c);
  if (c->mode == STREAM)
    return step_stream(c, err);
  return h->done ? end_whole(c, err) : 0;
}

/* What the service says of the answer is shown and logged. */
static void take_head(call *c) {
  da_answer *a = c->answer;
  memcpy(a->request_id, c->http->request_id, sizeof a->request_id);
  chat_mask(&c->reply, a->request_id, sizeof a->request_id);
  chat_mask(&c->reply, a->finish_reason, sizeof a->finish_reason);
  chat_mask(&c->reply, a->model, sizeof a->model);
}

static int chat_step(da_provider *p, da_call *base, double seconds,
                     da_err *err) {
  call *c = (call *)base;
  da_http *h = c->http;
  int rc = DA_OK;
  (void)p;
  if (c->inside)
    return da_fail(err, DA_EBUSY, "the call is waiting for its own delta");
  if (c->over)
    return c->over > 0 ? c->over
                       : da_fail(err, c->over, "the call has failed before");
  if (seconds > da_left(c->linger))
    seconds = da_left(c->linger);
  /* A step for another call may have brought us bytes already. */
  if (!h->done && h->body.len == c->looked)
    rc = c->transport->ops->step(c->transport, seconds, err);
  if (rc == DA_OK) {
    c->answer->begun |= h->body.len > 0;
    c->inside = 1;
    rc = work(c, err);
    c->inside = 0;
    c->looked = c->mode == STREAM ? 0 : h->body.len; /* streams take all */
  }
  c->over = rc;
  if (rc == 1)
    take_head(c);
  return rc;
}

/* ---- the provider ---- */

static void chat_close(da_provider *base) {
  provider *p = (provider *)base;
  chat_options_dispose(&p->o);
  free(p);
}

static const da_provider_ops ops = {
    DA_PROVIDER_VERSION, "chat", chat_start, chat_step, chat_end, chat_close,
};

int da_provider_chat(da_provider **out, const da_chat_options *o,
                     da_err *err) {
  provider *p = calloc(1, sizeof *p);
  int rc;
  if (!p)
    return da_nomem(err);
  p->base.ops = &ops;
  rc = chat_options_copy(&p->o, o, err);
  if (rc != DA_OK) {
    chat_close(&p->base);
    return rc;
  }
  *out = &p->base;
  return DA_OK;
}
