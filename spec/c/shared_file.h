/* shared_file.h - finds the files of ../shared, which not every machine
** has. */
#ifndef SHARED_FILE_H
#define SHARED_FILE_H

#include <stdio.h>
#include <stdlib.h>

/* The whole file, NUL-terminated, to be freed; NULL if it is not there. */
static char *shared_file(const char *name, size_t *len) {
  const char *root = getenv("DA_SHARED");
  char path[1024];
  FILE *f;
  char *bytes = NULL;
  long size;
  snprintf(path, sizeof path, "%s/%s", root ? root : "../shared", name);
  f = fopen(path, "rb");
  if (!f)
    return NULL;
  if (fseek(f, 0, SEEK_END) == 0 && (size = ftell(f)) >= 0 &&
      fseek(f, 0, SEEK_SET) == 0 && (bytes = malloc((size_t)size + 1))) {
    *len = fread(bytes, 1, (size_t)size, f);
    bytes[*len] = '\0';
  }
  fclose(f);
  return bytes;
}

#endif
