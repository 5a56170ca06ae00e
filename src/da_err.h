/* da_err.h - filling and naming the one error struct (floor 0).
** The struct itself and its codes are in deepagent_store.h, which native
** backends share. */
#ifndef DA_ERR_H
#define DA_ERR_H

#include "deepagent_store.h"

#if defined(__GNUC__)
#define DA_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define DA_PRINTF(f, a)
#endif

/* Sets *err to `code` with a printf message, everything else cleared, and
** returns `code`, so that `return da_fail(err, ...)` reads well. The text
** is made valid UTF-8 without control characters. `err` may be NULL. */
int da_fail(da_err *err, int code, const char *format, ...) DA_PRINTF(3, 4);

/* The same for a failed system call: maps `saved_errno` to a code and adds
** its text to the message. */
int da_fail_errno(da_err *err, int saved_errno, const char *format, ...)
    DA_PRINTF(3, 4);

/* Out of memory: always available, allocates nothing. */
int da_nomem(da_err *err);

void da_err_clear(da_err *err);

/* Replaces the message by `text` (untrusted, cut to fit, cleaned). */
void da_err_set_message(da_err *err, const char *text, size_t len);

/* The stable name of a code: "timeout", "ok" for 0, "unknown" otherwise. */
const char *da_code_name(int code);

#endif
