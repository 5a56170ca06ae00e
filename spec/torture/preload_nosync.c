/* preload_nosync.c - a disk whose owner does without some flushes.
**
** DA_NOSYNC=files: fsync of a regular file does nothing and says that it
** went well; DA_NOSYNC=directories: fsync of a directory. So power_spec.lua
** shows that it would notice if one of them were missing.
*/
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The library's name, shown although the build hides what it is not told. */
__attribute__((visibility("default"))) int fsync(int fd) {
  const char *without = getenv("DA_NOSYNC");
  struct stat st;
  if (without && fstat(fd, &st) == 0 &&
      ((S_ISREG(st.st_mode) && strcmp(without, "files") == 0) ||
       (S_ISDIR(st.st_mode) && strcmp(without, "directories") == 0)))
    return 0;
  return (int)syscall(SYS_fsync, fd);
}
