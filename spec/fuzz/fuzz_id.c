/* fuzz_id.c - session ids and their file names. An input is taken for an id,
** and for a name. */
#include "fuzz.h"

#include <ctype.h>
#include <math.h>
#include <strings.h>

#include "da_session_id.h"
#include "file_name.h"

/* What Windows opens a device for, whatever stands after the first dot. */
static int is_device(const char *name) {
  static const char *const devices[] = {"con", "prn", "aux", "nul"};
  size_t len = strcspn(name, ".");
  for (int i = 0; i < 4; i++)
    if (len == 3 && strncasecmp(name, devices[i], 3) == 0)
      return 1;
  return len == 4 &&
         (!strncasecmp(name, "com", 3) || !strncasecmp(name, "lpt", 3)) &&
         isdigit((unsigned char)name[3]);
}

/* One on any file system, and no other's under any folding of case. */
static void check_safe(const char *name) {
  size_t len = strlen(name);
  MUST(len >= 1 && len <= DA_SESSION_ID_MAX);
  MUST(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-.%") == len);
  MUST(name[0] != '.' && name[0] != '-' && name[len - 1] != '.');
  MUST(!is_device(name));
}

/* What is put aside is no session and no temporary file, and found again. */
static void check_aside(const char *name) {
  char aside[DA_FILE_ASIDE_SIZE], again[DA_FILE_NAME_SIZE];
  char id[DA_SESSION_ID_MAX + 1];
  size_t len;
  uint64_t slot;
  double time = -1;
  da_file_aside(aside, name);
  MUST(strlen(aside) <= 255);
  MUST(da_file_aside_of(aside, again, &time) && strcmp(again, name) == 0);
  MUST(time > 0);
  MUST(!da_file_name_id(aside, id, &len) && !da_file_temp_slot(aside, &slot));
  MUST(!da_file_aside_of(name, again, &time));
}

static void as_id(const char *s, size_t len) {
  char name[DA_FILE_NAME_SIZE], again[DA_SESSION_ID_MAX + 1], *id;
  size_t id_len = 0;
  da_err err;
  int code = da_session_id_check(s, len, &err);
  MUST(code == DA_OK || code == DA_EID);
  MUST(code == DA_OK || (err.code == DA_EID && *err.message));
  if (code != DA_OK)
    return;
  MUST(!memchr(s, '\0', len) && !memchr(s, '/', len));
  id = malloc(len + 1);
  MUST(id != NULL);
  memcpy(id, s, len);
  id[len] = '\0';
  da_session_id_encode(id, name);
  check_safe(name);
  MUST(da_session_id_decode(name, strlen(name), again));
  MUST(strcmp(again, id) == 0);
  MUST(da_file_name(name, id, &err) == DA_OK);
  MUST(da_file_name_id(name, again, &id_len));
  MUST(id_len == len && strcmp(again, id) == 0);
  check_aside(name);
  free(id);
}

/* No two names mean one id. */
static void as_name(const char *s, size_t len) {
  char id[DA_SESSION_ID_MAX + 1], name[DA_SESSION_ID_MAX + 1];
  if (!da_session_id_decode(s, len, id))
    return;
  MUST(da_session_id_check(id, strlen(id), NULL) == DA_OK);
  da_session_id_encode(id, name);
  MUST(strlen(name) == len && memcmp(name, s, len) == 0);
}

/* What lies in a directory may have any name. */
static void as_file(const char *s, size_t len) {
  char name[256], id[DA_SESSION_ID_MAX + 1], again[DA_FILE_NAME_SIZE];
  size_t id_len;
  uint64_t slot;
  double time;
  if (len >= sizeof name || memchr(s, '\0', len))
    return;
  memcpy(name, s, len);
  name[len] = '\0';
  if (da_file_name_id(name, id, &id_len)) {
    MUST(!da_file_temp_slot(name, &slot));
    MUST(!da_file_aside_of(name, again, &time));
    MUST(da_file_name(again, id, NULL) == DA_OK && strcmp(again, name) == 0);
  }
  if (da_file_temp_slot(name, &slot))
    MUST(len == DA_FILE_TEMP_SIZE - 1 && memcmp(name, ".tmp-", 5) == 0);
  if (da_file_aside_of(name, again, &time)) {
    MUST(!da_file_temp_slot(name, &slot));
    MUST(da_file_name_id(again, id, &id_len));
    MUST(strncmp(name, again, strlen(again)) == 0 && isfinite(time));
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  char *s = fuzz_exact(bytes, len);
  as_id(s, len);
  as_name(s, len);
  as_file(s, len);
  free(s);
  return 0;
}
