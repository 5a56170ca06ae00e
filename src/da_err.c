/* da_err.c - filling and naming the one error struct (floor 0). */
#include "da_err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "da_utf8.h"

const char *da_code_name(int code) {
  switch (code) {
#define DA_CODE_CASE(symbol, number, name)                                    \
  case symbol:                                                                \
    return name;
    DA_CODES(DA_CODE_CASE)
#undef DA_CODE_CASE
  case DA_OK:
    return "ok";
  default:
    return "unknown";
  }
}

void da_err_clear(da_err *err) {
  memset(err, 0, sizeof *err);
  err->retry_after = -1;
}

/* Messages quote ids, paths and what services answer: control characters
** would let them forge log lines, and half a character would not print. */
void da_err_set_message(da_err *err, const char *text, size_t len) {
  size_t used = 0;
  for (size_t i = 0; i < len;) {
    const unsigned char *s = (const unsigned char *)text + i;
    size_t n = da_utf8_sequence(s, len - i);
    int plain = n > 1 ? !(s[0] == 0xc2 && s[1] < 0xa0) /* C1 controls */
                      : n == 1 && *s >= 0x20 && *s != 0x7f;
    if (used + (n ? n : 1) >= sizeof err->message)
      break;
    if (plain)
      memcpy(err->message + used, s, n);
    else
      err->message[used] = '?';
    used += plain ? n : 1;
    i += n ? n : 1;
  }
  err->message[used] = '\0';
}

DA_PRINTF(3, 0)
static int set(da_err *err, int code, const char *format, va_list args) {
  char text[sizeof err->message];
  int n = vsnprintf(text, sizeof text, format, args);
  da_err_clear(err);
  err->code = code;
  if (n < 0)
    n = 0;
  if ((size_t)n >= sizeof text)
    n = (int)sizeof text - 1;
  da_err_set_message(err, text, (size_t)n);
  return code;
}

int da_fail(da_err *err, int code, const char *format, ...) {
  if (err) {
    va_list args;
    va_start(args, format);
    set(err, code, format, args);
    va_end(args);
  }
  return code;
}

static int errno_code(int saved_errno) {
  switch (saved_errno) {
  case ENOMEM:
    return DA_ENOMEM;
  case ENOENT:
    return DA_ENOTFOUND;
  case EACCES:
  case EPERM:
  case EROFS:
    return DA_EPERM;
  case ENOSPC:
  case EDQUOT:
  case EFBIG:
    return DA_EFULL;
  case ELOOP:
    return DA_EUNSAFE;
  default:
    return DA_EIO;
  }
}

int da_fail_errno(da_err *err, int saved_errno, const char *format, ...) {
  int code = errno_code(saved_errno);
  if (err) {
    char reason[128];
    va_list args;
    size_t used;
    va_start(args, format);
    set(err, code, format, args);
    va_end(args);
    /* GNU strerror_r: the result may or may not be in `reason`. */
    const char *why = strerror_r(saved_errno, reason, sizeof reason);
    used = strlen(err->message);
    snprintf(err->message + used, sizeof err->message - used, ": %s", why);
  }
  return code;
}

int da_nomem(da_err *err) {
  return da_fail(err, DA_ENOMEM, "out of memory");
}
