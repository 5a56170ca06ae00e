/* many.c - many processes talk on one session, and some are killed and
** started again. A restarted one loads the session, sees which of its turns
** are in it, and goes on with the next number. In the end each turn of each
** writer is there once, whole and in its order; what was acknowledged is
** there as it was acknowledged, by the life that did it. */
#include "writer_kit.h"

#include "da_meta.h"

enum { MOST_WRITERS = 16, MOST_TURNS = 500, ROOM = 200, FLUSHES = 1000 };

typedef struct crowd {
  char dir[PATH_MAX];
  int writers, turns, durable;
  int kills, to_kill; /* done, and wanted */
} crowd;

/* A writer's, and what the test knows of it. */
typedef struct member {
  const crowd *c;
  int number, life;
  int acked, started;
  int done;                  /* all turns acknowledged, and it has ended */
  int again;                 /* flushes that failed and were repeated */
  int lives[MOST_TURNS + 1]; /* which acknowledged a turn; 0: none did */
  process p;
} member;

static crowd c;
static member members[MOST_WRITERS];

/* ---- a writer ---- */

/* The highest of its own numbers that the session holds. */
static int found(da_agent *a, int number) {
  turn *turns;
  int highest = 0;
  int n = kit_turns(&turns, &a->history, ROOM);
  if (n < 0)
    return -1;
  for (int i = 0; i < n; i++)
    if (turns[i].writer == number && turns[i].number > highest)
      highest = turns[i].number;
  free(turns);
  return highest;
}

/* Others win the race often enough for a flush to give up. */
static void flush(da_agent *a, int fd) {
  for (int i = 0; i < FLUSHES; i++) {
    if (da_agent_flush(a, -1, &err) == DA_OK)
      return;
    if (!err.retryable && err.code != DA_ECONFLICT)
      break;
    tell(fd, TRIED_AGAIN, err.code);
  }
  tell(fd, WENT_WRONG, err.code);
  _exit(EXIT_FAILURE);
}

static void writer(void *ctx, int fd) {
  const member *m = ctx;
  uint64_t seed = (uint64_t)(m->number * 1000 + m->life);
  da_agent *a = kit_writer(kit_runtime(), c.dir, c.durable);
  int n;
  kit_count_messages(a);
  n = found(a, m->number);
  tell(fd, BEGUN, n);
  while (n < c.turns) {
    int more = 1 + (int)kit_below(&seed, 3);
    for (; more && n < c.turns; more--) {
      tell(fd, STARTED, ++n);
      if (kit_ask_turn(a, (turn){m->number, m->life, n}, ROOM))
        tell(fd, WENT_WRONG, err.code);
    }
    flush(a, fd);
    tell(fd, SAVED, n);
  }
  if (da_agent_close(a, &err))
    tell(fd, WENT_WRONG, err.code);
  tell(fd, ENDED, n);
}

/* ---- watching over them ---- */

static void let_begin(member *m) {
  m->life++;
  m->p = kit_fork(writer, m);
}

static void complain(const member *m, const char *what, int n) {
  fprintf(stderr, "writer %d, life %d: %s (%d); acknowledged %d, started %d\n",
          m->number, m->life, what, n, m->acked, m->started);
  check_failed_here = 1;
}

static void note_down(member *m, const note *x) {
  switch ((kind)x->kind) {
  case BEGUN:
    if (x->n < m->acked || x->n > m->started)
      complain(m, "loaded what it did not leave", x->n);
    m->acked = m->started = x->n; /* in the store, by whichever life */
    break;
  case STARTED:
    m->started = x->n;
    break;
  case SAVED:
    while (m->acked < x->n && m->acked < MOST_TURNS)
      m->lives[++m->acked] = m->life;
    break;
  case TRIED_AGAIN:
    m->again++;
    break;
  case ENDED:
    m->done = x->n == c.turns;
    break;
  default:
    complain(m, "failed with", x->n);
  }
}

/* It has ended, or was killed. */
static void bury(member *m) {
  int status = kit_reap(&m->p);
  if (m->done)
    return;
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
    let_begin(m);
  else
    complain(m, "ended with status", status);
}

/* Kills are spread over the whole of the work. */
static void kill_some(uint64_t *seed) {
  int saved = 0;
  member *m = &members[kit_below(seed, (size_t)c.writers)];
  for (int i = 0; i < c.writers; i++)
    saved += members[i].acked;
  if (c.kills >= c.to_kill || !m->p.pid ||
      (long)saved * (c.to_kill + 1) < (long)c.kills * c.writers * c.turns)
    return;
  kit_kill(&m->p);
  c.kills++;
}

/* Until all have ended. */
static void watch(void) {
  struct pollfd fds[MOST_WRITERS];
  uint64_t seed = (uint64_t)getpid();
  int running = 1;
  while (running) {
    running = 0;
    for (int i = 0; i < c.writers; i++) {
      fds[i] =
          (struct pollfd){members[i].p.pid ? members[i].p.fd : -1, POLLIN, 0};
      running |= members[i].p.pid != 0;
    }
    if (!running || poll(fds, (nfds_t)c.writers, -1) < 0)
      continue;
    for (int i = 0; i < c.writers; i++) {
      note x;
      if (!fds[i].revents)
        continue;
      if (hear(members[i].p.fd, &x))
        note_down(&members[i], &x);
      else
        bury(&members[i]);
    }
    kill_some(&seed);
  }
}

/* ---- the end ---- */

static void check_turns(const turn *turns, int n) {
  int last[MOST_WRITERS] = {0};
  CHECK_INT(n, c.writers * c.turns);
  for (int i = 0; i < n && !check_failed_here; i++) {
    const turn *t = &turns[i];
    int known = t->writer >= 0 && t->writer < c.writers;
    CHECK(known && t->number == ++last[t->writer]);
    if (known && members[t->writer].lives[t->number])
      CHECK_INT(t->life, members[t->writer].lives[t->number]);
  }
}

/* The tokens that all of them have used: eight a turn, of each turn that is
** stored, as both are in one file. */
static void check_session(void) {
  da_backend *b;
  da_stored stored;
  da_meta meta;
  turn *turns = NULL;
  int n;
  da_stored_init(&stored);
  CHECK_INT(da_backend_new(&b, kit_store(c.dir, 0), &err), DA_OK);
  CHECK_INT(da_store_load(b, "s", &stored, &err), DA_OK);
  n = kit_turns(&turns, &stored.history, ROOM);
  CHECK(n >= 0);
  check_turns(turns, n);
  da_meta_read(&meta, da_buf_text(&stored.meta));
  CHECK_INT(meta.usage.total, 8 * c.writers * c.turns);
  free(turns);
  da_stored_dispose(&stored);
  da_backend_unref(b);
}

static void let_talk(int writers, int turns, int kills, int durable) {
  char dir[PATH_MAX];
  double begun = da_now();
  int again = 0;
  c.writers = writers;
  c.turns = turns;
  c.durable = durable;
  c.kills = 0;
  c.to_kill = kills;
  snprintf(c.dir, sizeof c.dir, "%s", kit_path(kit_dir(dir), "s"));
  memset(members, 0, sizeof members);
  for (int i = 0; i < writers; i++) {
    members[i].c = &c;
    members[i].number = i;
    let_begin(&members[i]);
  }
  watch();
  check_session();
  for (int i = 0; i < writers; i++) {
    again += members[i].again;
    CHECK(members[i].done);
  }
  printf("%d processes, %d turns each, %d of them killed: %.1f s, %d "
         "flushes repeated\n",
         writers, turns, c.kills, da_now() - begun, again);
  CHECK(c.kills > kills / 2); /* the last to be chosen may have ended */
  kit_rm(dir);
}

static void every_turn_is_stored_once(void) {
  let_talk(kit_times(16, 8), kit_times(500, 40), kit_times(200, 20), 1);
}

static void also_where_the_disk_is_not_flushed(void) {
  let_talk(kit_times(16, 8), kit_times(200, 40), kit_times(100, 20), 0);
}

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  RUN(every_turn_is_stored_once);
  RUN(also_where_the_disk_is_not_flushed);
  return check_done();
}
