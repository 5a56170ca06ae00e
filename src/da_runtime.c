/* da_runtime.c - what the agents of one thread share (floor 5). */
#include "da_runtime.h"

#include <stdlib.h>
#include <unistd.h>

#include "store_file.h"

struct da_runtime {
  const da_transport_ops *ops;
  da_find_transport_fn find;
  void *find_ctx;
  da_transport *transport;
  da_saver *saver;
  da_log_fn on_loss;
  void *on_loss_ctx;
  da_backend *files;
  pid_t pid;
  unsigned generation; /* one more in each forked child */
};

int da_runtime_new(da_runtime **out, const da_transport_ops *transport,
                   da_err *err) {
  da_runtime *rt = calloc(1, sizeof *rt);
  if (!rt)
    return da_nomem(err);
  rt->ops = transport;
  rt->pid = getpid();
  *out = rt;
  return DA_OK;
}

/* In a forked child the parent's threads are not there, its locks may be
** held for ever, and its connections are the parent's to speak on: all of
** that is left behind, unfreed where freeing would touch it. */
static void notice_fork(da_runtime *rt) {
  if (rt->pid == getpid())
    return;
  rt->pid = getpid();
  rt->generation++;
  rt->saver = NULL;
  if (rt->transport)
    rt->transport->ops->close(rt->transport, 1);
  rt->transport = NULL;
}

void da_runtime_free(da_runtime *rt) {
  if (!rt)
    return;
  notice_fork(rt);
  if (rt->saver)
    da_saver_close(rt->saver);
  if (rt->transport)
    rt->transport->ops->close(rt->transport, 0);
  da_backend_unref(rt->files);
  free(rt);
}

void da_runtime_on_loss(da_runtime *rt, da_log_fn fn, void *ctx) {
  notice_fork(rt);
  rt->on_loss = fn;
  rt->on_loss_ctx = ctx;
  if (rt->saver)
    da_saver_on_loss(rt->saver, fn, ctx);
}

void da_runtime_set_finder(da_runtime *rt, da_find_transport_fn find,
                           void *ctx) {
  rt->find = find;
  rt->find_ctx = ctx;
}

da_saver *da_runtime_saver(da_runtime *rt, unsigned *generation, da_err *err) {
  notice_fork(rt);
  *generation = rt->generation;
  if (!rt->saver && !da_saver_new(&rt->saver, err))
    da_saver_on_loss(rt->saver, rt->on_loss, rt->on_loss_ctx);
  return rt->saver;
}

unsigned da_runtime_generation(da_runtime *rt) {
  notice_fork(rt);
  return rt->generation;
}

da_transport *da_runtime_transport(void *ctx, da_err *err) {
  da_runtime *rt = ctx;
  notice_fork(rt);
  if (rt->transport)
    return rt->transport;
  if (!rt->ops && rt->find)
    rt->ops = rt->find(rt->find_ctx, err);
  else if (!rt->ops)
    da_fail(err, DA_EUNSUPPORTED, "this runtime has no HTTP transport");
  if (!rt->ops)
    return NULL;
  if (rt->ops->version < 1) {
    da_fail(err, DA_EUNSUPPORTED, "the HTTP transport is of another version");
    return NULL;
  }
  return rt->ops->open(&rt->transport, err) ? NULL : rt->transport;
}

int da_runtime_store(da_runtime *rt, da_backend **out, da_err *err) {
  const da_file_options options = {NULL, 1, 0};
  if (!rt->files) {
    da_store *store;
    int code = da_store_file(&store, &options, err);
    if (!code)
      code = da_backend_new(&rt->files, store, err);
    if (code)
      return code;
  }
  *out = da_backend_ref(rt->files);
  return DA_OK;
}
