/* chat_error.h - what a chat service's errors mean (floor 4). Pure. */
#ifndef CHAT_ERROR_H
#define CHAT_ERROR_H

#include "da_json.h"
#include "da_transport.h"

/* What is known of the answer that an error may be found in. */
typedef struct chat_reply {
  const da_http *http;
  const da_text *secrets; /* never to be seen in an error */
  size_t secret_count;
  size_t depth; /* levels of its JSON; 0: DA_JSON_DEPTH */
} chat_reply;

/* Fills *err for an answer whose status is not 2xx; returns its code. */
int chat_http_error(const chat_reply *r, da_text body, da_err *err);

/* The same for an error inside of a 2xx answer or stream: `value` is the
** error as checked JSON, an object or a string. */
int chat_service_error(const chat_reply *r, da_text value, da_err *err);

/* Whether checked JSON tells an error: {"error":...}, or a message with a code
** or the object "error" and no choices; also as the first item of an array. *value is then what chat_service_error takes. */
int chat_find_error(da_text json, da_text *value);

/* Whether the value of a member "error" says that there was one. */
int chat_is_error(da_json_type type, da_text value);

/* Takes secrets out of a short text that the service has sent. Without memory
** the rest of it goes, too: DA_ENOMEM. */
int chat_mask(const chat_reply *r, char *text, size_t size);

/* Fills in what the header knows: status, request id. */
void chat_add_head(const chat_reply *r, da_err *err);

#endif
