/* da_session_id.c - see da_session_id.h. */
#include "da_session_id.h"

#include <string.h>

#include "da_utf8.h"

static const char hex_digits[] = "0123456789abcdef";

/* Stands for itself in a file name. A first '-' would look like an option
** and a first '.' would be hidden, or be one of the store's own files. */
static int is_plain(unsigned char c, int first) {
  if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')
    return 1;
  return !first && (c == '-' || c == '.');
}

/* Windows opens a device for these names, whatever stands after the first
** dot; a directory of sessions may be synchronised there. Upper-case ones
** need no care: their letters are encoded anyway. */
static int is_device(const char *id) {
  static const char names[] = "con prn aux nul com lpt";
  size_t len = strcspn(id, ".");
  size_t i;
  for (i = 0; i < sizeof names; i += 4) {
    if (strncmp(id, names + i, 3) != 0)
      continue;
    if (i < 16)
      return len == 3;
    return len == 4 && id[3] >= '0' && id[3] <= '9';
  }
  return 0;
}

static size_t encoded_length(const char *id, size_t len) {
  size_t n = 0, i;
  for (i = 0; i < len; i++)
    n += is_plain((unsigned char)id[i], i == 0) ? 1 : 3;
  return is_device(id) ? n + 2 : n;
}

/* C0, DEL, and C1, which is C2 80 ... C2 9F in UTF-8. */
static int has_control(const char *id, size_t len) {
  size_t i;
  for (i = 0; i < len; i++) {
    unsigned char c = (unsigned char)id[i];
    if (c < 0x20 || c == 0x7F)
      return 1;
    if (c == 0xC2 && i + 1 < len && (unsigned char)id[i + 1] < 0xA0)
      return 1;
  }
  return 0;
}

/* What is wrong with an id, or NULL. Lengths come first: the other tests
** and the messages then have a bounded text before them. */
static const char *fault(const char *id, size_t len) {
  char copy[DA_SESSION_ID_MAX + 1];
  if (len == 0)
    return "it is empty";
  if (len > DA_SESSION_ID_MAX)
    return "it is too long";
  if (has_control(id, len))
    return "it has a control character";
  if (memchr(id, '/', len))
    return "it has a '/'";
  if (da_utf8_check(id, len) != len)
    return "it is not valid UTF-8";
  if (id[0] == ' ' || id[len - 1] == ' ')
    return "it begins or ends with a space";
  if (id[len - 1] == '.')
    return "it ends with a dot";
  memcpy(copy, id, len); /* without a NUL inside, as was just seen */
  copy[len] = '\0';
  if (encoded_length(copy, len) > DA_SESSION_ID_MAX)
    return "it is too long";
  return NULL;
}

int da_session_id_check(const char *id, size_t len, da_err *err) {
  const char *why = fault(id, len);
  if (why)
    return da_fail(err, DA_EID, "this session id cannot be used: %s", why);
  return DA_OK;
}

void da_session_id_encode(const char *id, char *name) {
  int device = is_device(id);
  size_t i;
  for (i = 0; id[i]; i++) {
    unsigned char c = (unsigned char)id[i];
    if (is_plain(c, i == 0) && !(i == 0 && device)) {
      *name++ = (char)c;
      continue;
    }
    *name++ = '%';
    *name++ = hex_digits[c >> 4];
    *name++ = hex_digits[c & 15];
  }
  *name = '\0';
}

/* The value of a lower-case hexadecimal digit, or -1. */
static int digit(char c) {
  const char *p = c ? strchr(hex_digits, c) : NULL;
  return p ? (int)(p - hex_digits) : -1;
}

/* Undoes the %XX; counts them in *escapes. 0 if the text is malformed. */
static size_t unescape(char *id, const char *name, size_t len,
                       size_t *escapes) {
  size_t i, n = 0;
  for (i = 0; i < len; i++) {
    int high, low;
    if (name[i] != '%') {
      if (!is_plain((unsigned char)name[i], i == 0))
        return 0;
      id[n++] = name[i];
      continue;
    }
    if (len - i < 3 || (high = digit(name[i + 1])) < 0 ||
        (low = digit(name[i + 2])) < 0)
      return 0;
    id[n++] = (char)(high * 16 + low);
    i += 2;
    ++*escapes;
  }
  id[n] = '\0';
  return n;
}

int da_session_id_decode(const char *name, size_t len, char *id) {
  char again[3 * DA_SESSION_ID_MAX + 1];
  size_t n, escapes = 0;
  if (len == 0 || len > DA_SESSION_ID_MAX)
    return 0;
  n = unescape(id, name, len, &escapes);
  if (n == 0)
    return 0;
  if (escapes == 0) /* the common case, and a directory may have many */
    return id[n - 1] != '.' && !is_device(id);
  if (fault(id, n))
    return 0;
  da_session_id_encode(id, again);
  return strlen(again) == len && memcmp(again, name, len) == 0;
}
