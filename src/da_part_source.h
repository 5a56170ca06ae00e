/* da_part_source.h - the bytes of a part: of a file, or in memory (floor 1).
*/
#ifndef DA_PART_SOURCE_H
#define DA_PART_SOURCE_H

#include "da_buf.h"

typedef struct da_part_source {
  const char *name;  /* for people */
  int fd;            /* -1: `bytes` is all there is */
  da_text bytes;     /* what comes next, at first the beginning; never empty
                    ** then */
  size_t most;       /* bytes that it may have */
  size_t size;       /* that it seems to have */
  size_t got;        /* so far */
  int whole;         /* nothing follows `bytes` */
  char chunk[12288]; /* a multiple of three */
} da_part_source;

/* Reads the beginning. Only of regular files: DA_EUNSAFE for a directory, a
** pipe or a device, of which nothing is read. DA_ENOTFOUND, DA_EPERM,
** DA_ETOOLARGE (before much of it is read), DA_EINVAL if it is empty. */
int da_part_open(da_part_source *s, const da_media *m, da_err *err);

/* Appends all of it as base64, once. A file is never whole in memory but
** there. */
int da_part_put(da_part_source *s, da_buf *out, da_err *err);

/* Also after da_part_open failed. */
void da_part_close(da_part_source *s);

#endif
