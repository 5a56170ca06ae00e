/* da_http.h - what may be sent where (floor 4): URLs, header lines, and the
** errors that an HTTP status means. Pure. */
#ifndef DA_HTTP_H
#define DA_HTTP_H

#include "da_transport.h"

/* DA_OK if `url` is an https URL, or http to a loopback host (127.0.0.0/8,
** [::1], localhost) or to any with `allow_http`; has a host, no user name,
** no fragment, no space, control character or byte above 0x7e. DA_EURL. */
int da_http_check_url(const char *url, size_t len, int allow_http,
                      da_err *err);

/* DA_OK if `proxy` is "env" or [scheme://][user[:password]@]host[:port], with
** a scheme that curl knows; `here`: on this machine. DA_EURL; never quotes
** it. */
int da_http_check_proxy(const char *proxy, int here, da_err *err);

/* DA_OK if `name` is a token (RFC 9110) and `value` has no control
** character but inner tabs, and they are not one of the headers that the
** transport owns (Host, Content-Length, Transfer-Encoding, Connection ...).
** DA_EINVAL; the value is never in the message. */
int da_http_check_header(da_text name, da_text value, da_err *err);

/* Seconds that `retry-after-ms` or `Retry-After` (seconds, fractions, or an
** HTTP date against `wall` seconds since 1970) ask for; -1 if neither says
** anything sensible. */
double da_http_retry_after(const da_http *h, double wall);

#endif
