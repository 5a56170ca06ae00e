/* da_id_set.c - see da_id_set.h. */
#include "da_id_set.h"

#include <stdlib.h>
#include <string.h>

#include "da_hash.h"

int da_id_set_init(da_id_set *s, size_t most) {
  size_t size = 16;
  while (size < most * 2 + 1)
    size *= 2;
  s->mask = size - 1;
  s->slots = calloc(size, sizeof *s->slots);
  return s->slots ? DA_OK : DA_ENOMEM;
}

void da_id_set_dispose(da_id_set *s) {
  free(s->slots);
  s->slots = NULL;
}

static size_t place(const da_id_set *s, const da_message *m) {
  da_text id = da_message_id(m);
  size_t i = (size_t)da_hash(id.data, id.len, 0) & s->mask;
  for (; s->slots[i]; i = (i + 1) & s->mask) {
    da_text other = da_message_id(s->slots[i]);
    if (other.len == id.len && memcmp(other.data, id.data, id.len) == 0)
      break;
  }
  return i;
}

void da_id_set_add(da_id_set *s, da_message *m) {
  s->slots[place(s, m)] = m;
}

da_message *da_id_set_find(const da_id_set *s, const da_message *m) {
  return s->slots[place(s, m)];
}
