/* da_history.c - an append-only list of messages (floor 1). */
#include "da_history.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CHUNK = 16, LARGEST_CHUNK = 512, AHEAD = 8 };

/* A chunk holds messages base .. base + used - 1 of every history that has
** it. `used` only grows, and who wins the right to grow it by its own
** length owns the new slot; readers never look beyond their own length. */
struct da_chunk {
  atomic_uint refs;
  unsigned size;
  atomic_uint used;
  size_t base;
  da_chunk *before;
  da_message *items[];
};

static da_chunk *chunk_new(da_chunk *before, size_t base) {
  unsigned size = before ? before->size * 2 : FIRST_CHUNK;
  da_chunk *c;
  if (size > LARGEST_CHUNK)
    size = LARGEST_CHUNK;
  c = malloc(sizeof *c + size * sizeof(da_message *));
  if (!c)
    return NULL;
  atomic_init(&c->refs, 1);
  atomic_init(&c->used, 0);
  c->size = size;
  c->base = base;
  c->before = before;
  return c;
}

static void chunk_unref(da_chunk *c) {
  while (c &&
         atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1) {
    da_chunk *before = c->before;
    unsigned used = atomic_load_explicit(&c->used, memory_order_relaxed);
    for (unsigned i = 0; i < used; i++)
      da_message_unref(c->items[i]);
    free(c);
    c = before;
  }
}

static da_chunk *chunk_ref(da_chunk *c) {
  if (c)
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
  return c;
}

void da_history_copy(da_history *to, const da_history *from) {
  to->tail = chunk_ref(from->tail);
  to->len = from->len;
}

void da_history_dispose(da_history *h) {
  chunk_unref(h->tail);
  h->tail = NULL;
  h->len = 0;
}

/* Somebody else has grown the chunk beyond us: our part of it is copied, so
** that both may go their own way. */
static da_chunk *chunk_fork(const da_history *h) {
  da_chunk *old = h->tail, *c = chunk_new(old->before, old->base);
  if (!c)
    return NULL;
  chunk_ref(old->before);
  for (size_t i = 0; i < h->len - old->base; i++)
    c->items[i] = da_message_ref(old->items[i]);
  atomic_store_explicit(&c->used, (unsigned)(h->len - old->base),
                        memory_order_relaxed);
  return c;
}

/* The right to write item `used` of the tail; 0 if it is taken or full. */
static int claim(const da_history *h) {
  unsigned mine;
  if (!h->tail)
    return 0;
  mine = (unsigned)(h->len - h->tail->base);
  return mine < h->tail->size &&
         atomic_compare_exchange_strong(&h->tail->used, &mine, mine + 1);
}

int da_history_append(da_history *h, da_message *take) {
  if (!claim(h)) {
    int full = !h->tail || h->len - h->tail->base == h->tail->size;
    da_chunk *c = full ? chunk_new(h->tail, h->len) : chunk_fork(h);
    if (!c) {
      da_message_unref(take);
      return DA_ENOMEM;
    }
    if (!full)
      chunk_unref(h->tail); /* the fork holds what it needs of it */
    h->tail = c;            /* a new chunk inherits our reference */
    claim(h);
  }
  h->tail->items[h->len - h->tail->base] = take;
  h->len++;
  return DA_OK;
}

/* ---- reading ---- */

da_message *da_history_at(const da_history *h, size_t i) {
  da_chunk *c = h->tail;
  while (c->base > i)
    c = c->before;
  return c->items[i - c->base];
}

/* Chunks point backwards: their addresses are collected first. */
void da_history_begin(da_history_iter *it, const da_history *h, size_t from) {
  da_chunk *c;
  size_t i;
  memset(it, 0, sizeof *it);
  if (from >= h->len)
    return;
  it->left = h->len - from;
  it->count = 1;
  for (c = h->tail; c->base > from; c = c->before)
    it->count++;
  it->item = from - c->base;
  it->chunks = malloc(it->count * sizeof *it->chunks);
  if (!it->chunks) {
    it->failed = 1;
    it->left = 0;
    return;
  }
  for (c = h->tail, i = it->count; i-- > 0; c = c->before)
    it->chunks[i] = c;
}

da_message *da_history_next(da_history_iter *it) {
  da_chunk *c;
  if (!it->left)
    return NULL;
  c = it->chunks[it->chunk];
  if (c->base + it->item == (it->chunk + 1 < it->count
                                 ? it->chunks[it->chunk + 1]->base
                                 : SIZE_MAX)) {
    c = it->chunks[++it->chunk];
    it->item = 0;
  }
  /* Messages lie anywhere in memory, and whoever walks them all (a save, on
  ** another core) would wait for each: they are sent for in advance. */
  if (it->left > AHEAD && it->item + AHEAD < c->size) {
    const char *soon = (const char *)c->items[it->item + AHEAD];
    __builtin_prefetch(soon);
    __builtin_prefetch(soon + 64);
  }
  it->left--;
  return c->items[it->item++];
}

void da_history_end(da_history_iter *it) {
  free(it->chunks);
  it->chunks = NULL;
  it->left = 0;
}

int da_history_same(const da_history *a, const da_history *b) {
  return a->len == b->len && (a->len == 0 || a->tail == b->tail);
}

int da_history_equal(const da_history *a, const da_history *b) {
  da_history_iter in_a, in_b;
  da_message *m, *n;
  int equal = a->len == b->len;
  if (!equal || da_history_same(a, b))
    return equal;
  da_history_begin(&in_a, a, 0);
  da_history_begin(&in_b, b, 0);
  while (equal && (m = da_history_next(&in_a)) && (n = da_history_next(&in_b)))
    equal = da_message_hash(m) == da_message_hash(n);
  equal = equal && !in_a.failed && !in_b.failed;
  da_history_end(&in_a);
  da_history_end(&in_b);
  return equal;
}

int da_history_is_prefix(const da_history *a, const da_history *b) {
  da_chunk *c = b->tail;
  if (a->len == 0)
    return 1;
  if (a->len > b->len)
    return 0;
  while (c && c != a->tail)
    c = c->before;
  return c != NULL;
}

size_t da_history_window(const da_history *h, size_t limit) {
  size_t first = h->len;
  da_chunk *c = h->tail;
  for (size_t i = h->len; i > 0 && h->len - i < limit;) {
    i--;
    while (c->base > i)
      c = c->before;
    if (da_message_role(c->items[i - c->base]) == DA_ROLE_USER)
      first = i;
  }
  /* What comes before the first user's message goes with the first turn. */
  return h->len <= limit ? 0 : first;
}
