/* da_runtime.h - what the agents of one thread share (floor 5): the saver,
** the HTTP transport and the default store, each made when first needed. */
#ifndef DA_RUNTIME_H
#define DA_RUNTIME_H

#include "da_provider.h"
#include "da_saver.h"
#include "deepagent.h"

/* A host whose transport is to be brought in at the first request gives a
** function that finds it instead of the table. */
typedef const da_transport_ops *(*da_find_transport_fn)(void *ctx,
                                                        da_err *err);
void da_runtime_set_finder(da_runtime *rt, da_find_transport_fn find,
                           void *ctx);

/* Made anew in a forked child, whose count of generations is then another:
** sessions of an older one must be forgotten, not touched. NULL: *err. */
da_saver *da_runtime_saver(da_runtime *rt, unsigned *generation, da_err *err);

/* The generation alone. */
unsigned da_runtime_generation(da_runtime *rt);

/* The one transport. A da_transport_fn; `ctx` is the runtime. */
da_transport *da_runtime_transport(void *ctx, da_err *err);

/* Files in the default directory, durable; the runtime's, shared by all
** agents without a store of their own, so that they share its sessions. */
int da_runtime_store(da_runtime *rt, da_backend **out, da_err *err);

#endif
