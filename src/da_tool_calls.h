/* da_tool_calls.h - the tool calls of an assistant's message, and messages
** that answer them (floor 1). */
#ifndef DA_TOOL_CALLS_H
#define DA_TOOL_CALLS_H

#include "da_message.h"

/* How many calls the wire object has. */
size_t da_tool_calls_count(da_text message);

/* DA_EINVAL: one of them has no function with a name, and cannot be told. */
int da_tool_calls_check(da_text message, da_err *err);

/* One of them, decoded into `bytes`. Arguments that are no string, as a
** provider of the user's own may give them, are their JSON. */
typedef struct da_tool_calls_item {
  da_buf bytes;
  da_text id, name, arguments;
} da_tool_calls_item;

/* Call i of the message. DA_EINVAL: there is no such call, or it has no
** "function"; DA_ENOMEM. Dispose of *item also upon failure. */
int da_tool_calls_get(da_tool_calls_item *item, da_text message, size_t i,
                      da_err *err);
void da_tool_calls_dispose(da_tool_calls_item *item);

/* {"role":"tool","tool_call_id":id,"content":text}. `text` must be UTF-8. */
int da_tool_calls_answer(da_message **out, da_text id, da_text text,
                         da_err *err);

#endif
