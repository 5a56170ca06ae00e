/* store_kit.h - what the tests of stores share: directories that go away
** again, and saving and loading of plain texts. */
#ifndef STORE_KIT_H
#define STORE_KIT_H

#include <dirent.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "file_dir.h"
#include "store_file.h"

typedef struct kit_text {
  da_store_sink base;
  char *bytes;
  size_t len;
} kit_text;

static inline int kit_document(da_store_sink *base, char *bytes, size_t len) {
  kit_text *t = (kit_text *)base;
  CHECK_INT(bytes[len], 0);
  free(t->bytes);
  t->bytes = bytes;
  t->len = len;
  return DA_OK;
}

/* The stored text of a session from malloc, or NULL with *err. */
static inline char *kit_load(da_store *s, const char *id, da_revision *now,
                             da_err *err) {
  kit_text t = {{NULL, NULL, kit_document}, NULL, 0};
  memset(err, 0, sizeof *err);
  if (s->ops->load(s, id, &t.base, now, err) != DA_OK) {
    free(t.bytes);
    return NULL;
  }
  return t.bytes;
}

static inline int kit_save(da_store *s, const char *id, const char *text,
                           const da_revision *expected, da_revision *now,
                           da_err *err) {
  da_text piece = {text, strlen(text)};
  da_store_session session;
  memset(&session, 0, sizeof session);
  session.document = &piece;
  session.pieces = 1;
  session.expected = expected;
  memset(err, 0, sizeof *err);
  return s->ops->save(s, id, &session, now, err);
}

/* 1 if session `id` is `text`. */
static inline int kit_is(da_store *s, const char *id, const char *text) {
  da_revision now;
  da_err err;
  char *got = kit_load(s, id, &now, &err);
  int same = got && strcmp(got, text) == 0;
  free(got);
  return same;
}

/* --- directories --- */

/* A new empty directory; `dir` has PATH_MAX bytes. */
static inline char *kit_dir(char *dir) {
  const char *tmp = getenv("TMPDIR");
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/deepagent-XXXXXX", tmp ? tmp : "/tmp");
  if (!mkdtemp(path) || !realpath(path, dir)) {
    perror(path);
    exit(EXIT_FAILURE);
  }
  return dir;
}

static inline int kit_unlink(const char *path, const struct stat *st, int type,
                             struct FTW *at) {
  (void)st, (void)type, (void)at;
  return remove(path);
}

/* Removes it with all that is in it. */
static inline void kit_rm(const char *dir) {
  nftw(dir, kit_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

/* `dir`/`name`, in one of four places that take turns. */
static inline const char *kit_path(const char *dir, const char *name) {
  static char paths[4][PATH_MAX];
  static unsigned turn;
  char *path = paths[turn++ % 4];
  size_t n = strlen(dir);
  memcpy(path, dir, n);
  snprintf(path + n, PATH_MAX - n, "/%s", name);
  return path;
}

static inline void kit_write(const char *dir, const char *name,
                             const char *text) {
  FILE *f = fopen(kit_path(dir, name), "w");
  CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static inline int kit_exists(const char *dir, const char *name) {
  struct stat st;
  return lstat(kit_path(dir, name), &st) == 0;
}

/* How many entries of `dir` begin with `prefix`, "." and ".." aside. */
static inline int kit_count(const char *dir, const char *prefix) {
  DIR *d = opendir(dir);
  const struct dirent *e;
  int n = 0;
  if (!d)
    return -1;
  while ((e = readdir(d)) != NULL)
    n += strncmp(e->d_name, prefix, strlen(prefix)) == 0 &&
         strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
  closedir(d);
  return n;
}

/* How many descriptors are open, but for the one that counts them. */
static inline int kit_fds(void) {
  return kit_count("/proc/self/fd", "") - 1;
}

/* --- stores --- */

static inline da_store *kit_store(const char *path, int durable) {
  da_file_options options = {path, durable, 0};
  da_store *s = NULL;
  da_err err;
  CHECK_INT(da_store_file(&s, &options, &err), DA_OK);
  ((da_file_store *)s)->patience = CHECK_LONG;
  return s;
}

static inline void kit_close(da_store *s) {
  s->ops->close(s);
}

typedef struct kit_names {
  da_store_ids base;
  char text[65536]; /* "<id>\n" after "<id>\n" */
  size_t len;
  int count;
} kit_names;

static inline int kit_id(da_store_ids *base, da_text id) {
  kit_names *n = (kit_names *)base;
  n->count++;
  if (n->len + id.len + 2 <= sizeof n->text) {
    memcpy(n->text + n->len, id.data, id.len);
    n->len += id.len;
    n->text[n->len++] = '\n';
    n->text[n->len] = '\0';
  }
  return DA_OK;
}

/* Lists into *n; 1 if that went well. */
static inline int kit_list(kit_names *n, da_store *s) {
  da_err err;
  memset(n, 0, sizeof *n);
  n->base.id = kit_id;
  return s->ops->list(s, &n->base, &err) == DA_OK;
}

/* 1 if `id` is on the list. */
static inline int kit_listed(const kit_names *n, const char *id) {
  size_t len = strlen(id);
  const char *at = n->text;
  for (; at && *at; at = strchr(at, '\n') + 1)
    if (strncmp(at, id, len) == 0 && at[len] == '\n')
      return 1;
  return 0;
}

#endif
