/* da_http_curl_error.h - what curl's error codes mean to us (floor 4). */
#ifndef DA_HTTP_CURL_ERROR_H
#define DA_HTTP_CURL_ERROR_H

#include "da_err.h"

/* Fills *err for a CURLcode. `why` is what curl put into its error buffer,
** maybe nothing; in_header: it failed after the status line and before the
** end of the header. */
void da_curl_error(da_err *err, int curl_code, const char *why, int in_header);

#endif
