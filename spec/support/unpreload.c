/* unpreload.c - preloaded after a sanitizer's runtime: keeps LD_PRELOAD from
** being handed on to the processes that a test starts. */
#include <stdlib.h>

__attribute__((constructor)) static void unpreload(void) {
  unsetenv("LD_PRELOAD");
}
