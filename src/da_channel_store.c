/* da_channel_store.c - storing what the agents of one session want, beside
** what others have stored (floor 4). All of this is the busy owner's work,
** done without the lock, which is taken only to tell of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "da_channel.h"
#include "da_clock.h"
#include "da_meta.h"

/* Others can win the race between our load and our save so many times before
** we give up until the next turn; on the owner's thread, who waits, less
** often. Between two tries there is a pause at random, up to a bound that
** doubles from the first of these (seconds) to the last. */
enum { MOST_TRIES = 1000, MOST_TRIES_HERE = 30 };
#define FIRST_PAUSE 0.002
#define LAST_PAUSE 0.064

/* ---- what is known of the stored session ---- */

void da_channel_erased(da_channel *c, int whole) {
  da_history_dispose(&c->current);
  da_buf_reset(&c->meta);
  memset(&c->revision, 0, sizeof c->revision);
  c->exists = c->erasing = 0;
  c->known = 1;
  c->state++;
  pthread_mutex_lock(&c->saver->lock);
  for (da_session *s = c->sessions; s; s = s->next) {
    s->seen = c->state;
    s->saw = s->gone = s->refused = 0;
    if (whole)
      da_history_dispose(&s->base);
  }
  pthread_mutex_unlock(&c->saver->lock);
}

int da_channel_reload(da_channel *c, da_buf *meta, da_revision *seen,
                      da_err *err) {
  da_stored stored;
  int code;
  da_stored_init(&stored);
  code = da_store_load(c->backend, c->id, &stored, err);
  if (code == DA_OK || code == DA_ENOTFOUND) {
    c->state += c->overtaken || c->exists != (code == DA_OK) ||
                strcmp(c->revision.text, stored.revision.text) != 0;
    c->overtaken = 0;
    c->exists = code == DA_OK;
    da_history_dispose(&c->current);
    da_history_copy(&c->current, &stored.history);
    c->revision = stored.revision;
    c->known = 1;
    if (meta && stored.meta.len)
      da_buf_put(meta, stored.meta.data, stored.meta.len);
    da_buf_dispose(&c->meta);
    c->meta = stored.meta;
    da_buf_init(&stored.meta, 0);
  }
  if (code == DA_ENOTFOUND && c->erasing)
    da_channel_erased(c, 1); /* it was we who did it, after all */
  else if (code == DA_OK)
    c->erasing = 0;
  if (seen)
    *seen = stored.revision;
  da_stored_dispose(&stored);
  return code;
}

/* The caller asked for a save in so many words: the corrupt bytes go aside,
** and what the agents have is stored whole. */
static int put_aside(da_channel *c, da_session *batch, const da_revision *seen,
                     da_err *err) {
  char kept[1024] = "";
  int code =
      da_store_quarantine(c->backend, c->id, seen, kept, sizeof kept, err);
  if (code && !kept[0])
    return code;
  da_channel_erased(c, 1);
  pthread_mutex_lock(&c->saver->lock);
  for (da_session *s = batch; s; s = s->next_batch) {
    s->counts.quarantines++;
    da_session_tell(s, DA_WARN, DA_ECORRUPT,
                    "session '%s' was corrupt; its bytes are kept in %s",
                    c->id, kept);
  }
  pthread_mutex_unlock(&c->saver->lock);
  return code;
}

/* Makes sure that `current` is what the store holds, so that nothing in it
** is written over unseen. */
static int know(da_channel *c, da_session *batch, da_err *err) {
  da_revision seen = {""};
  int code, force = 0;
  for (const da_session *s = batch; s; s = s->next_batch)
    force |= s->saving.force;
  do {
    if (c->known)
      return DA_OK;
    code = da_channel_reload(c, NULL, &seen, err);
    if (code == DA_ECORRUPT && force)
      code = put_aside(c, batch, &seen, err);
    /* Someone else has mended it meanwhile: look again. */
  } while (code == DA_ECONFLICT);
  return code == DA_ENOTFOUND ? DA_OK : code;
}

/* ---- what is to become of it ---- */

/* Whether what is stored is not what the session's agent has seen, so that
** it must not be continued without being asked. `moved`: one of the batch is
** going to change it. */
static int is_refused(const da_channel *c, const da_session *s, int moved) {
  int gone = s->gone || (!c->exists && s->saw);
  if (s->saving.policy == DA_CONFLICT_OVERWRITE)
    return 0;
  if (s->saving.policy == DA_CONFLICT_MERGE)
    return s->seen != c->state && gone;
  if (moved)
    return 1;
  return s->seen != c->state &&
         (gone || !da_history_equal(&s->base, &c->current));
}

static void refuse(const da_channel *c, da_session **batch,
                   da_session **refused) {
  int moved = 0;
  for (da_session **at = batch, *s; (s = *at);) {
    if (!is_refused(c, s, moved)) {
      moved |= !da_history_same(&s->saving.history, &c->current);
      at = &s->next_batch;
      continue;
    }
    s->refused = 1;
    s->gone |= !c->exists && s->saw;
    *at = s->next_batch;
    s->next_batch = *refused;
    *refused = s;
  }
}

int da_channel_refusal(const da_channel *c, da_err *err) {
  return da_fail(err, DA_ECONFLICT, "session '%s' was %s by someone else; %s",
                 c->id, c->exists ? "changed" : "deleted",
                 c->exists ? "load_session() to go on after it"
                           : "load_session() to begin it anew");
}

/* What is to be stored: each agent's view continued from where the stored
** conversation is now. Nearly always there is one agent, whose last save is
** what is stored: then its snapshot is it. */
static int combine(da_history *want, const da_channel *c,
                   const da_session *batch) {
  static const da_history nothing = DA_HISTORY_EMPTY;
  da_history next;
  int code = DA_OK;
  da_history_copy(want, &c->current);
  for (; batch && !code; batch = batch->next_batch) {
    const da_history *ours = &batch->saving.history, *base = &batch->base;
    if (batch->saving.force && !c->exists)
      base = &nothing; /* all of it is asked for in so many words */
    if (batch->saving.policy == DA_CONFLICT_OVERWRITE ||
        da_history_same(base, want))
      da_history_copy(&next, ours);
    else
      code = da_history_merge(&next, base, ours, want);
    if (code)
      break;
    da_history_dispose(want);
    *want = next;
  }
  if (code)
    da_history_dispose(want);
  return code;
}

/* *meta becomes what is stored with what each agent has changed of it. */
static int combine_meta(da_buf *meta, const da_channel *c,
                        const da_session *batch) {
  da_buf next;
  da_buf_put(meta, c->meta.data, c->meta.len);
  for (; batch && !meta->failed; batch = batch->next_batch) {
    const da_text base = {batch->base_meta, batch->base_meta_len};
    const da_text ours = {batch->saving.meta, batch->saving.meta_len};
    da_buf_init(&next, DA_MESSAGE_MAX);
    if (batch->saving.policy == DA_CONFLICT_OVERWRITE)
      da_buf_put(&next, ours.data, ours.len);
    else
      da_meta_merge(&next, base, ours, da_buf_text(meta));
    da_buf_dispose(meta);
    *meta = next;
  }
  return meta->failed;
}

/* ---- storing it ---- */

/* `want` is what the store holds now. `sure`: the disk has it, too. */
static void stored(da_channel *c, da_session *batch, const da_history *want,
                   int sure) {
  pthread_mutex_lock(&c->saver->lock);
  for (da_session *s = batch; s; s = s->next_batch) {
    /* Something of somebody else's is in it, or is not, which this agent does
    ** not know. */
    if (s->seen != c->state && !da_history_equal(want, &s->saving.history)) {
      s->counts.merges++;
      da_session_tell(s, DA_INFO, DA_ECONFLICT,
                      "session '%s' was changed by someone else; ours goes "
                      "after theirs",
                      c->id);
    }
    s->seen = c->state + 1;
    s->saw = s->read = 1;
    s->gone = s->refused = 0;
    s->saving.stored = !sure;
  }
  pthread_mutex_unlock(&c->saver->lock);
  c->state++;
  c->exists = 1;
  da_history_dispose(&c->current);
  da_history_copy(&c->current, want);
}

static int store(da_channel *c, da_session *batch, const da_history *want,
                 da_err *err) {
  size_t before = da_history_is_prefix(&c->current, want) ? c->current.len : 0;
  da_revision now = {""};
  da_buf meta;
  int code;
  da_buf_init(&meta, DA_MESSAGE_MAX);
  if (combine_meta(&meta, c, batch)) {
    code = da_buf_check(&meta, "the metadata", err);
    da_buf_dispose(&meta);
    return code;
  }
  code = da_store_save(c->backend, c->id, want, before, da_buf_text(&meta),
                       &c->revision, &now, err);
  /* A store may have replaced the session and yet be unsure whether the
  ** disk has it: then it gives the new revision with the error. */
  if (code == DA_OK || (code != DA_ECONFLICT && now.text[0])) {
    stored(c, batch, want, code == DA_OK);
    c->revision = now;
    da_buf_dispose(&c->meta);
    c->meta = meta;
    return code;
  }
  da_buf_dispose(&meta);
  return code;
}

static double longest_timeout(const da_session *batch) {
  double longest = 0;
  for (; batch; batch = batch->next_batch)
    if (batch->saving.patience > longest)
      longest = batch->saving.patience;
  return longest;
}

/* Somebody else was faster. 0 if that was the last time to try. */
static int try_again(da_channel *c, da_session *batch, int tries,
                     double deadline) {
  int here = da_backend_flags(c->backend) & DA_STORE_OWNER_THREAD;
  double pause = FIRST_PAUSE;
  unsigned char chance = 128;
  c->known = 0;
  c->overtaken = 1;
  if (tries == (here ? MOST_TRIES_HERE : MOST_TRIES) || da_left(deadline) <= 0)
    return 0;
  pthread_mutex_lock(&c->saver->lock);
  for (da_session *s = batch; s; s = s->next_batch) {
    s->counts.retries++;
    da_session_tell(s, DA_DEBUG, DA_ECONFLICT,
                    "session '%s' was just changed by someone else; trying "
                    "again (%d)",
                    c->id, tries);
  }
  pthread_mutex_unlock(&c->saver->lock);
  while (--tries > 0 && pause < LAST_PAUSE)
    pause *= 2;
  if (getrandom(&chance, 1, GRND_NONBLOCK) == 1)
    da_sleep(pause * (double)chance / 255);
  return 1;
}

int da_channel_store(da_channel *c, da_session **batch, da_session **refused,
                     da_err *err) {
  double deadline = da_deadline(longest_timeout(*batch));
  for (int tries = 1;; tries++) {
    da_history want;
    int code = know(c, *batch, err);
    if (code)
      return code;
    refuse(c, batch, refused);
    if (!*batch)
      return DA_OK;
    if (combine(&want, c, *batch))
      return da_nomem(err);
    code = store(c, *batch, &want, err);
    da_history_dispose(&want);
    if (code != DA_ECONFLICT)
      return code;
    if (!try_again(c, *batch, tries, deadline)) {
      err->retryable = 1;
      return code;
    }
  }
}
