/* chat_chunk.h - a chunk of an answer that comes in pieces, walked (floor 4).
** What it holds is text of the chunk. */
#ifndef CHAT_CHUNK_H
#define CHAT_CHUNK_H

#include "da_json.h"

typedef struct chat_value {
  da_json_type type; /* DA_JSON_BAD if it is not there */
  da_text raw;
} chat_value;

typedef struct chat_choice {
  chat_value index, finish_reason, error, logprobs;
  chat_value content, refusal, reasoning, reasoning_content; /* of its delta */
  chat_value tool_calls, function_call;
  da_text odd; /* the delta, if there are others in it; else data NULL */
} chat_choice;

typedef struct chat_chunk {
  chat_value error, usage, model, groq;
  chat_choice first; /* the one with index 0 */
  int has_first, has_choices;
  da_text choices; /* the array, if there are others in it; else data NULL */
} chat_chunk;

/* Walks the object that was entered; what is wrong in it, the walk tells. */
void chat_chunk_walk(da_json *j, chat_chunk *c);

#endif
