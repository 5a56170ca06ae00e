/* file_name.c - see file_name.h. */
#include "file_name.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static const char suffix[] = ".json";

int da_file_name(char *name, const char *id, da_err *err) {
  /* The core has checked it; but what would leave the directory is not
  ** taken on trust. */
  int code = da_session_id_check(id, strlen(id), err);
  if (code != DA_OK)
    return code;
  da_session_id_encode(id, name);
  memcpy(name + strlen(name), suffix, sizeof suffix);
  return DA_OK;
}

int da_file_name_id(const char *name, char *id, size_t *len) {
  size_t n = strlen(name), tail = sizeof suffix - 1;
  if (n <= tail || memcmp(name + n - tail, suffix, tail) != 0 ||
      !da_session_id_decode(name, n - tail, id))
    return 0;
  *len = strlen(id);
  return 1;
}

/* Not a secret: names are made with O_EXCL or RENAME_NOREPLACE. It has to
** differ from what others draw; the clock serves where the kernel's random
** numbers cannot be had. */
static uint64_t draw(void) {
  uint64_t r;
  struct timespec t;
  if (getrandom(&r, sizeof r, GRND_NONBLOCK) == (ssize_t)sizeof r)
    return r;
  clock_gettime(CLOCK_MONOTONIC, &t);
  r = (uint64_t)t.tv_sec << 32 ^ (uint64_t)t.tv_nsec ^
      (uint64_t)getpid() << 44;
  return r * 0x9E3779B97F4A7C15u;
}

void da_file_temp(char *temp, uint64_t slot) {
  snprintf(temp, DA_FILE_TEMP_SIZE, ".tmp-%016" PRIx64 "-%016" PRIx64, slot,
           draw());
}

int da_file_temp_slot(const char *name, uint64_t *slot) {
  char again[DA_FILE_TEMP_SIZE];
  uint64_t random;
  if (strncmp(name, ".tmp-", 5) != 0 || strlen(name) != sizeof again - 1 ||
      sscanf(name, ".tmp-%16" SCNx64 "-%16" SCNx64, slot, &random) != 2)
    return 0;
  snprintf(again, sizeof again, ".tmp-%016" PRIx64 "-%016" PRIx64, *slot,
           random);
  return strcmp(name, again) == 0;
}

void da_file_aside(char *aside, const char *name) {
  char when[sizeof "20261122T093000Z"];
  time_t now = time(NULL);
  struct tm tm;
  if (!gmtime_r(&now, &tm) ||
      strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", &tm) == 0)
    strcpy(when, "00000000T000000Z");
  snprintf(aside, DA_FILE_ASIDE_SIZE, "%s.corrupt-%s-%04x", name, when,
           (unsigned)(draw() & 0xffff));
}

static int only(const char *s, size_t len, const char *allowed) {
  return strspn(s, allowed) >= len;
}

/* The mark is looked for at the end: an id may have it, too. */
int da_file_aside_of(const char *aside, char *name, double *time) {
  static const char mark[] = ".corrupt-", digits[] = "0123456789";
  const size_t tail = sizeof ".corrupt-20261122T093000Z-0123" - 1;
  char id[DA_SESSION_ID_MAX + 1];
  struct tm tm = {0};
  size_t len = strlen(aside);
  const char *when, *end;
  if (len < tail || len - tail >= DA_FILE_NAME_SIZE)
    return 0;
  len -= tail;
  memcpy(name, aside, len);
  name[len] = '\0';
  when = aside + len + sizeof mark - 1;
  if (!da_file_name_id(name, id, &len) ||
      strncmp(when - (sizeof mark - 1), mark, sizeof mark - 1) != 0 ||
      !only(when, 8, digits) || when[8] != 'T' || !only(when + 9, 6, digits) ||
      strncmp(when + 15, "Z-", 2) != 0 ||
      !only(when + 17, 4, "0123456789abcdef"))
    return 0;
  end = strptime(when, "%Y%m%dT%H%M%SZ", &tm);
  *time = end ? (double)timegm(&tm) : 0;
  return 1;
}

void da_file_revision(da_revision *r, const struct stat *st) {
  snprintf(r->text, sizeof r->text, "%llx-%llx-%lld.%09ld",
           (unsigned long long)st->st_ino, (unsigned long long)st->st_size,
           (long long)st->st_mtim.tv_sec, (long)st->st_mtim.tv_nsec);
}

int da_file_stat(struct stat *st, const da_file_store *f, int dir,
                 const char *name, da_err *err) {
  if (fstatat(dir, name, st, AT_SYMLINK_NOFOLLOW) == 0)
    return da_file_check(f, name, st, err);
  if (errno == ENOENT)
    return da_fail(err, DA_ENOTFOUND, "there is no such session");
  return da_file_fail(f, name, "examine", errno, err);
}
