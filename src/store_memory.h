/* store_memory.h - sessions in memory, shared by all that are given the
** store, from any thread, gone with it (floor 3). */
#ifndef STORE_MEMORY_H
#define STORE_MEMORY_H

#include "deepagent_store.h"

int da_store_memory(da_store **out, da_err *err);

#endif
