/* da_part_source.c - the bytes of a part: of a file, or in memory. */
#include "da_part_source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "da_base64.h"
#include "da_part.h"

static int too_large(const da_part_source *s, size_t size, da_err *err) {
  return da_fail(err, DA_ETOOLARGE,
                 "%.250s has %zu bytes, more than the limit of %zu", s->name,
                 size, s->most);
}

static int no_file(const da_part_source *s, da_err *err) {
  return da_fail(err, DA_EUNSAFE,
                 "%.250s is a directory, a pipe, a socket or a device, not a "
                 "regular file",
                 s->name);
}

/* A chunk, or less where the file ends. A file that grows meanwhile is read
** up to the limit. */
static int fill(da_part_source *s, da_err *err) {
  size_t len = 0;
  while (len < sizeof s->chunk) {
    ssize_t n = read(s->fd, s->chunk + len, sizeof s->chunk - len);
    if (n == 0)
      break;
    if (n > 0)
      len += (size_t)n;
    else if (errno != EINTR)
      return da_fail_errno(err, errno, "%.250s could not be read", s->name);
  }
  s->bytes.data = s->chunk;
  s->bytes.len = len;
  s->whole = len < sizeof s->chunk;
  s->got += len;
  return s->got > s->most ? too_large(s, s->got, err) : DA_OK;
}

/* O_NONBLOCK: a FIFO would keep us waiting for a writer. */
static int open_file(da_part_source *s, const char *path, da_err *err) {
  struct stat st;
  do
    s->fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  while (s->fd < 0 && errno == EINTR);
  if (s->fd < 0 && errno == ENXIO)
    return no_file(s, err);
  if (s->fd < 0 && errno == ENOTDIR)
    errno = ENOENT;
  if (s->fd < 0)
    return da_fail_errno(err, errno, "%.250s could not be opened", s->name);
  if (fstat(s->fd, &st) < 0)
    return da_fail_errno(err, errno, "%.250s could not be read", s->name);
  if (!S_ISREG(st.st_mode))
    return no_file(s, err);
  s->size = (size_t)st.st_size;
  return s->size > s->most ? too_large(s, s->size, err) : fill(s, err);
}

int da_part_open(da_part_source *s, const da_media *m, da_err *err) {
  int code = DA_OK;
  s->fd = -1;
  s->most = m->max_bytes ? m->max_bytes : DA_PART_BYTES;
  s->got = 0;
  if (m->path) {
    s->name = m->path;
    code = open_file(s, m->path, err);
  } else {
    s->name = m->name ? m->name : "what is in memory";
    s->bytes = m->bytes;
    s->size = s->got = m->bytes.len;
    s->whole = 1;
    if (s->size > s->most)
      code = too_large(s, s->size, err);
  }
  if (!code && !s->bytes.len)
    code = da_fail(err, DA_EINVAL, "%.250s is empty", s->name);
  return code;
}

static void put_chunk(da_buf *out, da_text bytes) {
  size_t len = da_base64_size(bytes.len);
  char *to = da_buf_room(out, len);
  if (!to)
    return;
  da_base64(to, bytes.data, bytes.len);
  out->len += len;
  out->data[out->len] = '\0';
}

int da_part_put(da_part_source *s, da_buf *out, da_err *err) {
  int code = DA_OK;
  da_buf_room(out, da_base64_size(s->size)); /* at once, not by doubling */
  put_chunk(out, s->bytes);
  while (!code && !out->failed && !s->whole) {
    code = fill(s, err);
    if (!code)
      put_chunk(out, s->bytes);
  }
  return code ? code : da_buf_check(out, s->name, err);
}

void da_part_close(da_part_source *s) {
  if (s->fd >= 0)
    close(s->fd);
}
