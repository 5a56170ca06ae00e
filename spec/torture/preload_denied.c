/* preload_denied.c - preloaded into a process: what the system refuses it.
**
**   DA_DENIED=path   while there is a file of that name, flushes fail by EIO:
**                    those of directories if it begins with a d, those of
**                    files if it begins with an f
**   DA_NO_THREADS=1  no thread can be had
*/
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The first letter of the file, 0 where there is none. */
static char denied(void) {
  const char *path = getenv("DA_DENIED");
  char what = 0;
  int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0)
    return 0;
  if (read(fd, &what, 1) != 1)
    what = 0;
  close(fd);
  return what;
}

/* The library's names, shown although the build hides what it is not told. */
__attribute__((visibility("default"))) int fsync(int fd) {
  struct stat st;
  char what = denied();
  if (what && fstat(fd, &st) == 0 &&
      ((what == 'd' && S_ISDIR(st.st_mode)) ||
       (what == 'f' && S_ISREG(st.st_mode)))) {
    errno = EIO;
    return -1;
  }
  return (int)syscall(SYS_fsync, fd);
}

typedef int create_fn(pthread_t *, const pthread_attr_t *, void *(*)(void *),
                      void *);

__attribute__((visibility("default"))) int
pthread_create(pthread_t *thread, const pthread_attr_t *attr,
               void *(*fn)(void *), void *arg) {
  create_fn *real;
  void *found = dlsym(RTLD_NEXT, "pthread_create");
  memcpy(&real, &found, sizeof real); /* POSIX: interchangeable */
  return getenv("DA_NO_THREADS") ? EAGAIN : real(thread, attr, fn, arg);
}
