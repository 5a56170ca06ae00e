/* chat_members.h - a request's members as a service calls them (floor 4). */
#ifndef CHAT_MEMBERS_H
#define CHAT_MEMBERS_H

#include "chat_options.h"

/* Appends the members, under the service's names, and what is not to be sent
** by default as null. DA_EINVAL if they are not JSON. */
int chat_members(da_buf *out, da_text members, const chat_options *o,
                 da_err *err);

#endif
