/* store_file.c - sessions as files in a directory (floor 3): its table of
** functions, where the directory is, beginning and end. */
#include "store_file.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file_ops.h"

#define DEFAULT_MAX_BYTES ((size_t)1 << 30)
#define PATIENCE 5.0

static void close_store(da_store *store) {
  da_file_store *f = (da_file_store *)store;
  da_file_process_free(atomic_load(&f->process));
  free(f->room);
  free(f->path);
  free(f);
}

#define FILE_OPS(more)                                                        \
  {                                                                           \
    .version = DA_STORE_VERSION,                                              \
    .flags = DA_STORE_DOCUMENT | DA_STORE_LOCAL | (more), .name = "file",     \
    .load = da_file_load, .save = da_file_save, .remove = da_file_remove,     \
    .list = da_file_list, .close = close_store,                               \
    .quarantine = da_file_quarantine, .quarantined = da_file_quarantined,     \
    .load_quarantined = da_file_load_quarantined, .restore = da_file_restore  \
  }
static const da_store_ops durable_ops = FILE_OPS(0);
static const da_store_ops quick_ops = FILE_OPS(DA_STORE_QUICK);

/* `a` + `b` + `c` from malloc; NULL upon failure. */
static char *join(const char *a, const char *b, const char *c) {
  size_t size = strlen(a) + strlen(b) + strlen(c) + 1;
  char *s = malloc(size);
  if (s)
    snprintf(s, size, "%s%s%s", a, b, c);
  return s;
}

/* `home` + "/.deepagent/sessions" of the user as the system knows him. */
static int from_passwd(char **path, da_err *err) {
  struct passwd entry, *found = NULL;
  size_t size = 1024;
  char *room = NULL;
  int rc, known;
  *path = NULL;
  do {
    char *more = realloc(room, size *= 2);
    if (!more) {
      free(room);
      return da_nomem(err);
    }
    room = more;
    rc = getpwuid_r(geteuid(), &entry, room, size, &found);
  } while (rc == EINTR || (rc == ERANGE && size < (size_t)1 << 20));
  known = found && found->pw_dir && found->pw_dir[0] == '/';
  if (known)
    *path = join(found->pw_dir, "/.deepagent", "/sessions");
  free(room); /* and with it what `found` tells */
  if (*path)
    return DA_OK;
  if (known || rc == ENOMEM)
    return da_nomem(err);
  return da_fail(err, DA_EINVAL,
                 "no home directory is known: set DEEPAGENT_HOME or give the "
                 "file store a path");
}

static int choose(char **path, const char *given, da_err *err) {
  const char *own = getenv("DEEPAGENT_HOME");
  const char *home = getenv("HOME");
  if (given && !*given)
    return da_fail(err, DA_EINVAL, "the file store's path is empty");
  if (given)
    *path = join(given, "", "");
  else if (own && *own)
    *path = join(own, "", "/sessions");
  else if (home && *home)
    *path = join(home, "/.deepagent", "/sessions");
  else
    return from_passwd(path, err);
  return *path ? DA_OK : da_nomem(err);
}

/* Absolute, as the program may change its directory before the first save,
** and without slashes at its end. Takes and replaces *path. */
static int make_absolute(char **path, da_err *err) {
  size_t len;
  if ((*path)[0] != '/') {
    char *cwd = getcwd(NULL, 0), *full;
    if (!cwd) {
      int saved = errno;
      da_fail_errno(err, saved, "the current directory is not known");
      if (err && saved != ENOMEM)
        err->code = DA_EINVAL;
      return saved == ENOMEM ? DA_ENOMEM : DA_EINVAL;
    }
    full = join(cwd, strcmp(cwd, "/") == 0 ? "" : "/", *path);
    free(cwd);
    if (!full)
      return da_nomem(err);
    free(*path);
    *path = full;
  }
  for (len = strlen(*path); len > 1 && (*path)[len - 1] == '/'; len--)
    (*path)[len - 1] = '\0';
  return DA_OK;
}

int da_store_file(da_store **out, const da_file_options *options,
                  da_err *err) {
  da_file_store *f = calloc(1, sizeof *f);
  int code;
  if (!f)
    return da_nomem(err);
  code = choose(&f->path, options->path, err);
  if (code == DA_OK)
    code = make_absolute(&f->path, err);
  if (code != DA_OK) {
    free(f->path);
    free(f);
    return code;
  }
  f->durable = options->durable;
  f->patience = PATIENCE;
  f->max_bytes = options->max_bytes ? options->max_bytes : DEFAULT_MAX_BYTES;
  f->store.ops = f->durable ? &durable_ops : &quick_ops;
  atomic_init(&f->process, NULL);
  *out = &f->store;
  return DA_OK;
}

const char *da_store_file_path(const da_store *store) {
  return ((const da_file_store *)store)->path;
}
