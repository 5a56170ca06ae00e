/* chat_request.h - the request of the chat-completions protocol (floor 4).
** Pure. */
#ifndef CHAT_REQUEST_H
#define CHAT_REQUEST_H

#include "da_provider.h"

#define CHAT_REQUEST_MAX ((size_t)1 << 30)

/* Fills `body`, which must be empty with that cap; `drop_thoughts`: see
** da_chat_options. DA_EINVAL for a model or
** members that cannot be sent, DA_EUTF8, DA_ETOOLARGE, DA_ENOMEM. */
int chat_build_request(da_buf *body, const da_request *r, int drop_thoughts,
                       da_err *err);

#endif
