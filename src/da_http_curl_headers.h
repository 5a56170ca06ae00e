/* da_http_curl_headers.h - header lines as curl wants them (floor 4). */
#ifndef DA_HTTP_CURL_HEADERS_H
#define DA_HTTP_CURL_HEADERS_H

#include <curl/curl.h>

/* Appends the lines ("Name: value", NULL at the end, or NULL for none) to
** the list, which the caller frees also upon failure. DA_ENOMEM, or
** DA_EINVAL: a name is too long. */
int da_curl_headers(struct curl_slist **list, const char *const *lines);

#endif
