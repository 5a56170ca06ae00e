/* da_history_merge.c - two continuations of one conversation (floor 1). */
#include "da_history.h"

#include <stdlib.h>
#include <string.h>

#include "da_hash.h"

/* The ids of one history: open addressing, at most half full. */
typedef struct id_set {
  da_message **slots;
  size_t mask;
} id_set;

static size_t place(const id_set *s, da_text id) {
  size_t i = (size_t)da_hash(id.data, id.len, 0) & s->mask;
  for (; s->slots[i]; i = (i + 1) & s->mask) {
    da_text other = da_message_id(s->slots[i]);
    if (other.len == id.len && memcmp(other.data, id.data, id.len) == 0)
      break;
  }
  return i;
}

static int id_set_init(id_set *s, const da_history *h) {
  da_history_iter it;
  da_message *m;
  size_t size = 16;
  while (size < h->len * 2 + 1)
    size *= 2;
  s->mask = size - 1;
  s->slots = calloc(size, sizeof *s->slots);
  if (!s->slots)
    return DA_ENOMEM;
  da_history_begin(&it, h, 0);
  while ((m = da_history_next(&it)))
    s->slots[place(s, da_message_id(m))] = m;
  da_history_end(&it);
  return it.failed ? DA_ENOMEM : DA_OK;
}

static da_message *find(const id_set *s, const da_message *m) {
  return s->slots[place(s, da_message_id(m))];
}

/* Theirs, less what we have taken out, with what we have edited. */
static int append_theirs(da_history *out, const da_history *theirs,
                         const id_set *base, const id_set *ours) {
  da_history_iter it;
  da_message *m;
  int code = DA_OK;
  da_history_begin(&it, theirs, 0);
  while (!code && (m = da_history_next(&it))) {
    const da_message *old = find(base, m);
    da_message *mine = find(ours, m);
    if (old && !mine)
      continue;
    if (old && da_message_hash(mine) != da_message_hash(old))
      m = mine;
    code = da_history_append(out, da_message_ref(m));
  }
  da_history_end(&it);
  return it.failed ? DA_ENOMEM : code;
}

/* What is new of ours. */
static int append_ours(da_history *out, const da_history *ours,
                       const id_set *base, const id_set *theirs) {
  da_history_iter it;
  da_message *m;
  int code = DA_OK;
  da_history_begin(&it, ours, 0);
  while (!code && (m = da_history_next(&it)))
    if (!find(base, m) && !find(theirs, m))
      code = da_history_append(out, da_message_ref(m));
  da_history_end(&it);
  return it.failed ? DA_ENOMEM : code;
}

int da_history_merge(da_history *out, const da_history *base,
                     const da_history *ours, const da_history *theirs) {
  id_set in_base = {NULL, 0}, in_ours = {NULL, 0}, in_theirs = {NULL, 0};
  da_history merged = DA_HISTORY_EMPTY;
  int code = id_set_init(&in_base, base);
  if (!code)
    code = id_set_init(&in_ours, ours);
  if (!code)
    code = id_set_init(&in_theirs, theirs);
  if (!code)
    code = append_theirs(&merged, theirs, &in_base, &in_ours);
  if (!code)
    code = append_ours(&merged, ours, &in_base, &in_theirs);
  free(in_base.slots);
  free(in_ours.slots);
  free(in_theirs.slots);
  if (code)
    da_history_dispose(&merged);
  else
    *out = merged;
  return code;
}
