/* da_session_id.h - which session ids there are, and their file names
** (floor 2). One rule for every backend. */
#ifndef DA_SESSION_ID_H
#define DA_SESSION_ID_H

#include "da_err.h"

/* An id is valid UTF-8 without control characters (C0, DEL, C1) and '/',
** does not begin or end with a space, does not end with a dot, and its
** encoded form is at most this long. */
#define DA_SESSION_ID_MAX 200

/* DA_OK, or DA_EID saying what is wrong. */
int da_session_id_check(const char *id, size_t len, da_err *err);

/* The file-name form: a-z 0-9 _ and inner - . stand for themselves, every
** other byte is %XX, so that two ids never share a name on any file system
** (case-insensitive, normalising, or Windows' device names). `name` has
** room for DA_SESSION_ID_MAX + 1. `id` must have passed the check. */
void da_session_id_encode(const char *id, char *name);

/* The id of a name: 1, or 0 if `name` (of `len` bytes) is not what encode
** makes of any id. `id` has room for DA_SESSION_ID_MAX + 1. */
int da_session_id_decode(const char *name, size_t len, char *id);

#endif
