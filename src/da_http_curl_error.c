/* da_http_curl_error.c - what curl's error codes mean to us. */
#include "da_http_curl_error.h"

#include <curl/curl.h>
#include <string.h>

static int is_network(CURLcode code) {
  switch (code) {
  case CURLE_COULDNT_RESOLVE_PROXY:
  case CURLE_COULDNT_RESOLVE_HOST:
  case CURLE_COULDNT_CONNECT:
  case CURLE_GOT_NOTHING:
  case CURLE_SEND_ERROR:
  case CURLE_RECV_ERROR:
  case CURLE_PROXY:
  case CURLE_INTERFACE_FAILED:
  case CURLE_AGAIN:
  case CURLE_NO_CONNECTION_AVAILABLE:
    return 1;
  default:
    return 0;
  }
}

static int is_tls(CURLcode code) {
  switch (code) {
  case CURLE_SSL_CONNECT_ERROR:
  case CURLE_SSL_ENGINE_NOTFOUND:
  case CURLE_SSL_ENGINE_SETFAILED:
  case CURLE_SSL_CERTPROBLEM:
  case CURLE_SSL_CIPHER:
  case CURLE_PEER_FAILED_VERIFICATION:
  case CURLE_USE_SSL_FAILED:
  case CURLE_SSL_ENGINE_INITFAILED:
  case CURLE_SSL_CACERT_BADFILE:
  case CURLE_SSL_SHUTDOWN_FAILED:
  case CURLE_SSL_CRL_BADFILE:
  case CURLE_SSL_ISSUER_ERROR:
  case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
  case CURLE_SSL_INVALIDCERTSTATUS:
  case CURLE_SSL_CLIENTCERT:
    return 1;
  default:
    return 0;
  }
}

/* A header line above 100 KB is "out of memory" to curl, and so is a trailer
** above 4 KB; a header that is too large as a whole is other things, depending
** on version and protocol. */
static int is_large_header(CURLcode code, const char *why, int in_header) {
  return (code == CURLE_OUT_OF_MEMORY && in_header) ||
         strstr(why, "Too large response headers") ||
         strstr(why, "Out of memory in chunked-encoding") ||
         strstr(why, "nghttp2_session_mem_recv() returned -902");
}

static int code_of(CURLcode code, const char *why, int in_header) {
  if (is_large_header(code, why, in_header))
    return DA_ETOOLARGE;
  if (code == CURLE_OUT_OF_MEMORY)
    return DA_ENOMEM;
  if (code == CURLE_PARTIAL_FILE)
    return DA_ETRUNCATED;
  if (code == CURLE_URL_MALFORMAT)
    return DA_EURL;
  if (is_tls(code))
    return DA_ETLS;
  /* RECV_ERROR also stands for nonsense between chunks. */
  if (is_network(code) && !strstr(why, "chunked"))
    return DA_ENETWORK;
  return DA_EPROTOCOL;
}

void da_curl_error(da_err *err, int curl_code, const char *why,
                   int in_header) {
  CURLcode c = (CURLcode)curl_code;
  int code = code_of(c, why, in_header);
  if (!*why)
    why = curl_easy_strerror(c);
  if (code == DA_ENOMEM)
    da_nomem(err);
  else if (code == DA_ETOOLARGE)
    da_fail(err, code, "the header of the answer is too large");
  else if (code == DA_ETRUNCATED)
    da_fail(err, code, "the answer was cut off: %s", why);
  else
    da_fail(err, code, "%s", why);
  err->retryable = code == DA_ENETWORK || code == DA_ETRUNCATED ||
                   (code != DA_ETOOLARGE &&
                    (c == CURLE_HTTP2 || c == CURLE_HTTP2_STREAM));
}
