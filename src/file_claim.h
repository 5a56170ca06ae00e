/* file_claim.h - one writer at a time per session (floor 3).
**
** Whoever writes, removes or puts aside a session's file holds a lock on
** one byte of the directory's file ".lock", at an offset that follows from
** the file's name: writers of different sessions do not wait for each
** other. A save holds it from before its temporary file is made until the
** rename. So a temporary file whose byte nobody holds is a dead writer's,
** and those who come second do not write what would be refused anyway.
**
** The lock belongs to the open file (F_OFD_SETLK), hence it excludes other
** processes and other stores of this one; threads that share a store are
** kept apart by a list in it. The kernel drops it with the last descriptor of
** that open file: where a process forks and is killed while it holds a claim,
** that session stays busy until the child uses the store, closes it, execs or
** ends.
*/
#ifndef FILE_CLAIM_H
#define FILE_CLAIM_H

#include "file_dir.h"

typedef struct da_file_claim {
  da_file_dir *dir;
  uint64_t slot;
  int kept; /* see da_file_claim_keep; -1: nothing */
  struct da_file_claim *next;
} da_file_claim;

/* The byte of a file's name. Processes agree by it, so it never changes:
** FNV-1a of 64 bits, without the two upper ones. */
uint64_t da_file_slot(const char *name);

/* Waits for the claim on `name`, at most f->patience seconds. `create` as
** in da_file_dir_use. DA_EBUSY: somebody else had it all the time. */
int da_file_claim_take(da_file_claim *c, da_file_store *f, const char *name,
                       int create, da_err *err);

/* To be called before `name` is replaced or removed, where that is to be
** flushed: the file that is there now stays open until the end, and so keeps
** its blocks until the directory is flushed. Without that, ext4 with
** data=writeback gives them to the next file at once, also another process's;
** after a power cut the name may lead to the old file again, and the old file
** to the other's bytes. Where it cannot be opened, nobody is worse off than
** without. */
void da_file_claim_keep(da_file_claim *c, const char *name);

/* The end of it. `flush`: the directory's entries are flushed afterwards,
** outside of the lock; an error then means that what was done may not last. */
int da_file_claim_end(da_file_claim *c, da_file_store *f, int flush,
                      da_err *err);

/* Without waiting: 1 if `slot` of an open directory was free and is ours
** now, to be given back with da_file_claim_quit; 0 if somebody has it; -1 if
** that cannot be told. */
int da_file_claim_try(da_file_claim *c, da_file_store *f, da_file_dir *dir,
                      uint64_t slot);
void da_file_claim_quit(da_file_claim *c, da_file_store *f);

#endif
