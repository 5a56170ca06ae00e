/* da_http_curl_headers.c - header lines as curl wants them (floor 4). */
#include "da_http_curl_headers.h"

#include <string.h>

#include "da_err.h"

static int append(struct curl_slist **list, const char *line) {
  struct curl_slist *more = curl_slist_append(*list, line);
  if (!more)
    return DA_ENOMEM;
  *list = more;
  return DA_OK;
}

/* curl takes "Name:" as "send no such header" and "Name;" as an empty one. */
static int add(struct curl_slist **list, const char *line) {
  char empty[256];
  size_t len = strlen(line), name = strcspn(line, ":");
  if (line[name] && strspn(line + name + 1, " ") == len - name - 1) {
    if (name + 2 > sizeof empty)
      return DA_EINVAL;
    memcpy(empty, line, name);
    memcpy(empty + name, ";", 2);
    line = empty;
  }
  return append(list, line);
}

int da_curl_headers(struct curl_slist **list, const char *const *lines) {
  /* Without this curl waits up to a second for "100 Continue". */
  int code = append(list, "Expect:");
  for (size_t i = 0; !code && lines && lines[i]; i++)
    code = add(list, lines[i]);
  return code;
}
