/* da_provider.c - what every provider's answer is kept in. */
#include "da_provider.h"

#include <string.h>

void da_answer_init(da_answer *a) {
  memset(a, 0, sizeof *a);
  da_buf_init(&a->message, DA_MESSAGE_MAX);
  da_buf_init(&a->text, DA_MESSAGE_MAX);
}

void da_answer_dispose(da_answer *a) {
  da_buf_dispose(&a->message);
  da_buf_dispose(&a->text);
}
