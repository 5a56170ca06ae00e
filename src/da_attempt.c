/* da_attempt.c - one request with all that keeps it up (floor 5).
**
** A machine of few states: a call that runs; none, and a time at which the
** next begins; an answer out of the cache; over. What failed decides which comes next: another try, the
** next service, or the end. What the caller has heard cannot be taken back:
** from the first delta on a failure is the end.
*/
#include "da_attempt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "da_cache.h"
#include "da_clock.h"
#include "da_hash.h"
#include "da_retry.h"

#define KEY_SIZE 40

struct da_attempt {
  da_agent *agent;
  da_request request; /* as it was given; what it points to is ours: */
  da_buf texts;       /* model, system, members */
  da_history history, turn;
  da_answer *answer;
  da_delta_fn delta;
  void *ctx;
  da_retry retry;
  da_fallback *fallback; /* as the settings had it at the start */
  double deadline;       /* da_now() by which all must be over */
  da_cache cache;
  int hit; /* the answer is there, and is to be told of */
  /* The service that is being asked. */
  size_t service; /* 0: the agent's own, else of the fallback, from 1 on */
  da_provider *provider;
  da_buf members; /* of the request to it, where it is not the agent's own */
  char key[KEY_SIZE];
  double since;  /* da_now() when it was turned to */
  int tries;     /* begun there */
  double next;   /* da_now() at which the next one begins */
  da_call *call; /* NULL: none runs */
  int heard;     /* the caller got a delta */
  int over;      /* 1 or the error's code: the last step's result */
};

/* ---- the services ---- */

static da_service *other(const da_attempt *t) {
  return t->service ? &t->fallback->services[t->service - 1] : NULL;
}

static const da_settings *settings(const da_attempt *t) {
  return t->service ? &other(t)->settings : &t->agent->settings;
}

/* By it a service knows that two tries are the same request. */
static void make_key(char key[KEY_SIZE]) {
  uint64_t r[2];
  if (getrandom(r, sizeof r, 0) != (ssize_t)sizeof r) {
    /* Not allowed here: the clock and the place tell keys apart, too. */
    double now = da_now();
    r[0] = da_hash(&now, sizeof now, (uint64_t)(uintptr_t)key);
    r[1] = da_hash(&now, sizeof now, (uint64_t)getpid());
  }
  snprintf(key, KEY_SIZE, "da-%016llx%016llx", (unsigned long long)r[0],
           (unsigned long long)r[1]);
}

/* A request of its own: to whom it was not made it must not look known. */
static int turn_to(da_attempt *t, size_t service, da_err *err) {
  int code;
  t->service = service;
  t->tries = 0;
  t->since = t->next = da_now();
  make_key(t->key);
  da_agent_tell_insecure(t->agent, settings(t));
  if (!service)
    return da_agent_provider(t->agent, &t->provider, err);
  da_buf_reset(&t->members);
  da_settings_put_over(settings(t), t->request.members, &t->members);
  code = da_buf_check(&t->members, "the request", err);
  if (!code)
    code = da_agent_service_provider(t->agent, other(t), &t->provider, err);
  return code;
}

/* ---- a try ---- */

/* The listener's own error is the end, too. */
static int hear(void *ctx, da_text delta, da_err *err) {
  da_attempt *t = ctx;
  t->heard = 1;
  return t->delta(t->ctx, delta, err);
}

static double earlier(double a, double b) {
  return a > 0 && a < b ? a : b;
}

static void fill(const da_attempt *t, da_request *r, double left) {
  const da_settings *s = settings(t);
  *r = t->request;
  r->idempotency_key = t->retry.max > 0 ? t->key : NULL;
  if (t->service) {
    r->model.data = s->model;
    r->model.len = strlen(s->model);
    r->members = da_buf_text(&t->members);
    r->timeouts = s->timeouts;
  }
  if (t->deadline < DA_NEVER)
    r->timeouts.total = earlier(r->timeouts.total, left);
}

/* Time is up. What is said names the time that the user gave: what was left
** of it for the last try means nothing to anybody. */
static int late(const da_attempt *t, da_err *err) {
  double total = t->agent->settings.timeouts.total;
  int several = t->tries > 1 || t->service;
  const da_err was = *err;
  da_fail(err, DA_ETIMEOUT, "no whole answer within %g s%s",
          total > 0 ? total : t->request.timeouts.total,
          several ? ", waits and all tries together" : "");
  err->retryable = 1;
  if (was.code == DA_ETIMEOUT) {
    err->status = was.status;
    memcpy(err->request_id, was.request_id, sizeof err->request_id);
  }
  return DA_ETIMEOUT;
}

/* Begins the next try, or puts it off if the rate limit says so. */
static int begin(da_attempt *t, da_err *err) {
  da_rate *rate = settings(t)->rate;
  double left = da_left(t->deadline), wait;
  da_request r;
  if (left <= 0)
    return late(t, err);
  wait = rate ? da_rate_take(rate) : 0;
  if (wait > left)
    return da_fail(err, DA_ETIMEOUT,
                   "the rate limit lets none begin within %g s", left);
  t->next = da_deadline(wait);
  if (wait > 0)
    return DA_OK;
  fill(t, &r, left);
  da_answer_reset(t->answer);
  t->tries++;
  return t->provider->ops->start(t->provider, &t->call, &r, t->answer,
                                 t->delta ? hear : NULL, t, err);
}

static void end_call(da_attempt *t) {
  if (t->call)
    t->provider->ops->end(t->provider, t->call);
  t->call = NULL;
}

/* ---- after a failure ---- */

static double chance(void) {
  uint32_t r;
  if (getrandom(&r, sizeof r, GRND_NONBLOCK) != (ssize_t)sizeof r)
    r = (uint32_t)getpid() * 2654435761u;
  return r / 4294967296.0;
}

/* 1 if another try was arranged. A service that has begun an answer is at
** work, and so is not asked for the same again because it fell silent. */
static int try_again(da_attempt *t, const da_err *err) {
  double wait = da_retry_wait(&t->retry, t->tries, err, chance());
  double at = da_now() + wait, budget = t->retry.budget;
  if (wait < 0 || (err->code == DA_ETIMEOUT && t->answer->begun) ||
      at >= t->deadline || (budget > 0 && at > t->since + budget))
    return 0;
  t->next = at;
  da_agent_log(t->agent, DA_INFO, err,
               "try %d of %d failed: %.300s; the next in %.3g s", t->tries,
               t->retry.max + 1, err->message, wait);
  return 1;
}

/* Whether another service may be better off: this one is down, or will have
** no more of us. What is wrong with the request is wrong elsewhere, too, and
** what is wrong with the settings is for their owner to see. */
static int is_down(const da_err *err) {
  switch (err->code) {
  case DA_ENETWORK:
  case DA_ETIMEOUT:
  case DA_ERATE:
  case DA_EQUOTA:
  case DA_ESERVER:
    return 1;
  default:
    return err->retryable;
  }
}

/* DA_OK if the next service was turned to, else why not: *err. */
static int try_elsewhere(da_attempt *t, da_err *err) {
  const da_settings *from = settings(t), *to;
  size_t count = t->fallback ? t->fallback->count : 0;
  if (!is_down(err) || t->service == count || da_left(t->deadline) <= 0)
    return err->code;
  to = &t->fallback->services[t->service].settings;
  da_agent_log(t->agent, DA_WARN, err,
               "%.80s failed: %.250s; going on with %.80s", from->model,
               err->message, to->model);
  return turn_to(t, t->service + 1, err);
}

/* `code` is what start or step gave. DA_OK if it goes on nevertheless. A
** listener may have failed without filling *err. */
static int failed(da_attempt *t, int code, da_err *err) {
  end_call(t);
  if (t->heard || err->code != code)
    return code;
  if (code == DA_ETIMEOUT && da_left(t->deadline) <= 0)
    late(t, err);
  if (try_again(t, err))
    return DA_OK;
  return try_elsewhere(t, err);
}

/* ---- the whole ---- */

/* The request's texts and messages stay for later tries. */
static int copy_request(da_attempt *t, const da_request *r, da_err *err) {
  da_buf *b = &t->texts;
  t->request = *r;
  da_history_copy(&t->history, r->history);
  da_history_copy(&t->turn, r->turn);
  t->request.history = &t->history;
  t->request.turn = &t->turn;
  da_buf_put(b, r->model.data, r->model.len);
  da_buf_put(b, r->system.data, r->system.len);
  da_buf_put(b, r->members.data, r->members.len);
  if (b->failed)
    return da_nomem(err);
  t->request.model.data = b->data;
  t->request.system.data = b->data + r->model.len;
  t->request.members.data = t->request.system.data + r->system.len;
  return DA_OK;
}

/* An identical request is answered without anybody being asked. */
static int look_up(da_attempt *t, da_err *err) {
  int code = da_cache_init(&t->cache, t->agent, t->provider, &t->request, err);
  if (!code)
    t->hit = da_cache_find(&t->cache, t->answer, da_left(t->deadline));
  return code;
}

int da_attempt_start(da_attempt **out, da_agent *a, const da_request *r,
                     da_answer *answer, da_delta_fn delta, void *ctx,
                     da_err *err) {
  da_attempt *t = calloc(1, sizeof *t);
  double total = r->timeouts.total;
  int code;
  if (!t)
    return da_nomem(err);
  da_err_clear(err);
  t->agent = a;
  t->answer = answer;
  t->delta = delta;
  t->ctx = ctx;
  t->retry = a->settings.retry;
  t->fallback = da_fallback_ref(a->settings.fallback);
  t->deadline = total > 0 ? da_deadline(total) : DA_NEVER;
  da_buf_init(&t->texts, SIZE_MAX / 2);
  da_buf_init(&t->members, DA_MESSAGE_MAX);
  code = copy_request(t, r, err);
  if (!code)
    code = turn_to(t, 0, err);
  if (!code)
    code = look_up(t, err);
  if (!code && !t->hit) {
    code = begin(t, err);
    if (code)
      code = failed(t, code, err);
  }
  if (code)
    da_attempt_free(t);
  else
    *out = t;
  return code;
}

/* Waits for the next try, and begins it. */
static int await(da_attempt *t, double seconds, da_err *err) {
  double left = da_left(t->next);
  da_sleep(left < seconds ? left : seconds);
  return left > seconds ? DA_OK : begin(t, err);
}

/* In one piece: it is all there. */
static int give_hit(da_attempt *t, da_err *err) {
  da_text text = da_buf_text(&t->answer->text);
  int code = t->delta && text.len ? hear(t, text, err) : DA_OK;
  return code ? code : 1;
}

/* The name of the model, where a provider left it out, tells who answered. */
static void complete(da_attempt *t) {
  if (t->service && !t->answer->model[0])
    snprintf(t->answer->model, sizeof t->answer->model, "%s",
             settings(t)->model);
}

/* What another service has answered is not kept as this one's. */
void da_attempt_keep(da_attempt *t) {
  if (!t->service)
    da_cache_keep(&t->cache, t->answer, da_left(t->deadline));
}

int da_attempt_step(da_attempt *t, double seconds, da_err *err) {
  int code;
  if (t->over)
    return t->over > 0
               ? 1
               : da_fail(err, t->over, "the request has failed before");
  da_err_clear(err);
  if (t->hit)
    code = give_hit(t, err);
  else if (t->call)
    code = t->provider->ops->step(t->provider, t->call, seconds, err);
  else
    code = await(t, seconds, err);
  if (code < 0)
    code = failed(t, code, err);
  if (code == 1)
    complete(t);
  t->over = code;
  return code;
}

void da_attempt_free(da_attempt *t) {
  if (!t)
    return;
  end_call(t);
  da_cache_dispose(&t->cache);
  da_fallback_unref(t->fallback);
  da_history_dispose(&t->history);
  da_history_dispose(&t->turn);
  da_buf_dispose(&t->texts);
  da_buf_dispose(&t->members);
  free(t);
}
