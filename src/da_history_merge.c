/* da_history_merge.c - two continuations of one conversation (floor 1). */
#include "da_history.h"

#include "da_id_set.h"

static int set_of(da_id_set *s, const da_history *h) {
  da_history_iter it;
  da_message *m;
  if (da_id_set_init(s, h->len))
    return DA_ENOMEM;
  da_history_begin(&it, h, 0);
  while ((m = da_history_next(&it)))
    da_id_set_add(s, m);
  da_history_end(&it);
  return it.failed ? DA_ENOMEM : DA_OK;
}

/* Theirs, less what we have taken out, with what we have edited. */
static int append_theirs(da_history *out, const da_history *theirs,
                         const da_id_set *base, const da_id_set *ours) {
  da_history_iter it;
  da_message *m;
  int code = DA_OK;
  da_history_begin(&it, theirs, 0);
  while (!code && (m = da_history_next(&it))) {
    const da_message *old = da_id_set_find(base, m);
    da_message *mine = da_id_set_find(ours, m);
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
                       const da_id_set *base, const da_id_set *theirs) {
  da_history_iter it;
  da_message *m;
  int code = DA_OK;
  da_history_begin(&it, ours, 0);
  while (!code && (m = da_history_next(&it)))
    if (!da_id_set_find(base, m) && !da_id_set_find(theirs, m))
      code = da_history_append(out, da_message_ref(m));
  da_history_end(&it);
  return it.failed ? DA_ENOMEM : code;
}

int da_history_merge(da_history *out, const da_history *base,
                     const da_history *ours, const da_history *theirs) {
  da_id_set in_base = {NULL, 0}, in_ours = {NULL, 0}, in_theirs = {NULL, 0};
  da_history merged = DA_HISTORY_EMPTY;
  int code = set_of(&in_base, base);
  if (!code)
    code = set_of(&in_ours, ours);
  if (!code)
    code = set_of(&in_theirs, theirs);
  if (!code)
    code = append_theirs(&merged, theirs, &in_base, &in_ours);
  if (!code)
    code = append_ours(&merged, ours, &in_base, &in_theirs);
  da_id_set_dispose(&in_base);
  da_id_set_dispose(&in_ours);
  da_id_set_dispose(&in_theirs);
  if (code)
    da_history_dispose(&merged);
  else
    *out = merged;
  return code;
}
