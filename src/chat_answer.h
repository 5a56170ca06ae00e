/* chat_answer.h - whole answers of the chat-completions protocol, and what
** streams share with them (floor 4). Pure. */
#ifndef CHAT_ANSWER_H
#define CHAT_ANSWER_H

#include "chat_calls.h"
#include "chat_error.h"
#include "da_provider.h"

/* Reads the body of a 2xx answer that is no event stream. DA_EEMPTY,
** DA_ECONTENTTYPE, DA_EPROTOCOL, the service's error, DA_ENOMEM. */
int chat_read_answer(const chat_reply *r, da_text body, da_answer *a,
                     da_err *err);

/* Fills a->message and a->calls from a checked message whose text, and finish
** reason, *a has already: to the byte, unless its role or its calls of tools
** are not as they must be. */
int chat_keep_message(const chat_reply *r, da_text message, da_answer *a,
                      da_err *err);

/* Appends the text of a "content": a string, or the text parts of an array;
** nothing for null or none. `surrogate` as in da_json_unescape.
** DA_EPROTOCOL if it is something else; other failures stick to `out`. */
int chat_put_content(da_buf *out, da_json_type type, da_text content,
                     uint32_t *surrogate);

/* Reads the object "usage", and keeps it. */
void chat_read_usage(da_answer *a, da_text usage);

/* The usage of an answer, or of a chunk of one: 1 if it has any. */
int chat_find_usage(da_text answer, da_text *usage);

/* Copies the string `raw`, decoded and cut to fit, as a C string of
** printable ASCII. An empty one changes nothing. */
void chat_copy_name(char *to, size_t size, da_json_type type, da_text raw);

/* Whether the service stopped before the model did. */
int chat_is_cut(const da_answer *a);

/* DA_EPROTOCOL for an answer that ends for calls and has none, nor text. */
int chat_check_calls(const chat_reply *r, const da_answer *a, da_err *err);

/* What of the answer did not fit, with what the header knows; DA_OK if
** nothing did not. */
int chat_check_buf(const chat_reply *r, const da_buf *b, da_err *err);

/* The same of what is kept beside the message and its text. */
int chat_check_details(const chat_reply *r, const da_answer *a, da_err *err);

/* Fills *err from `code` with a message, and what the header knows. */
int chat_fail(const chat_reply *r, int code, const char *message, da_err *err);

#endif
