/* replay.c - runs a fuzz target over a corpus, without libFuzzer: each file
** of the folders given is one input, and one test. */
#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* The bytes are in a block of their very size, so that a sanitizer sees what
** is read beyond. */
static int replay(const char *path) {
  FILE *f = fopen(path, "rb");
  long size = -1;
  uint8_t *bytes = NULL;
  int ok = f && fseek(f, 0, SEEK_END) == 0 && (size = ftell(f)) >= 0 &&
           fseek(f, 0, SEEK_SET) == 0;
  if (ok)
    bytes = malloc(size ? (size_t)size : 1);
  ok = bytes && fread(bytes, 1, (size_t)size, f) == (size_t)size;
  if (f)
    fclose(f);
  if (ok)
    LLVMFuzzerTestOneInput(bytes, (size_t)size);
  free(bytes);
  return ok;
}

static int replay_all(const char *folder) {
  char path[PATH_MAX];
  const struct dirent *e;
  int bad = 0;
  DIR *d = opendir(folder);
  if (!d) {
    perror(folder);
    return 1;
  }
  while ((e = readdir(d)) != NULL) {
    int ok;
    if (e->d_name[0] == '.')
      continue;
    snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
    ok = replay(path);
    printf("%s - %s\n", ok ? "ok" : "not ok", e->d_name);
    fflush(stdout);
    bad |= !ok;
  }
  closedir(d);
  return bad;
}

int main(int argc, char **argv) {
  int bad = 0;
  for (int i = 1; i < argc; i++)
    bad |= replay_all(argv[i]);
  return bad;
}
