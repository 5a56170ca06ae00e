/* kill.c - a writer that acknowledges each saved turn is killed at a random
** moment, again and again on one session. After each kill the session holds
** all that was acknowledged and nothing but whole turns in order; no
** temporary file stays after the next one's first save. */
#include "writer_kit.h"

enum { ROOM = 1500, MOST_TURNS = 40 };

/* What a writer is given: what it must find. */
typedef struct start {
  const char *dir;
  int durable, life, turns;
  uint64_t seed;
} start;

/* ---- the writer ---- */

static void forget_session(da_agent *a, start *s, int fd) {
  tell(fd, DELETING, 0);
  if (da_agent_delete(a, NULL, &err))
    tell(fd, WENT_WRONG, err.code);
  tell(fd, DELETED, 0);
  s->turns = 0;
  s->life++;
}

/* Mostly one turn a save, sometimes more. */
static void save_turns(da_agent *a, start *s, int fd) {
  int more = kit_below(&s->seed, 4) ? 0 : (int)kit_below(&s->seed, 3);
  tell(fd, STARTED, s->turns + 1 + more);
  for (; more >= 0; more--)
    if (kit_ask_turn(a, (turn){1, s->life, ++s->turns}, ROOM))
      tell(fd, WENT_WRONG, err.code);
  if (da_agent_flush(a, -1, &err))
    tell(fd, WENT_WRONG, err.code);
  tell(fd, SAVED, s->turns);
}

static void writer(void *ctx, int fd) {
  start *s = ctx;
  da_agent *a = kit_writer(kit_runtime(), s->dir, s->durable);
  int left = -1;
  tell(fd, BEGUN, (int)kit_count_messages(a) / 2);
  for (;;) {
    if (s->turns >= MOST_TURNS || (s->turns && !kit_below(&s->seed, 60)))
      forget_session(a, s, fd);
    save_turns(a, s, fd);
    if (left < 0) {
      left = kit_count(s->dir, ".tmp-");
      tell(fd, LEFT_OVER, left);
    }
  }
}

/* ---- what is known of it ---- */

typedef struct known {
  start next;         /* what the next one must find */
  int acked, started; /* turns of the present life */
  int begun, deleting;
  int wrong; /* the driver stops here */
  /* What the kills hit. */
  int kills, loads, writes, renamed, early, deletions, between;
  double pace; /* seconds from one acknowledgement to the next */
} known;

static void wrong(known *k, const char *what, int n) {
  fprintf(stderr, "kill %d: %s (%d); life %d, acknowledged %d, started %d\n",
          k->kills, what, n, k->next.life, k->acked, k->started);
  k->wrong = 1;
  check_failed_here = 1;
}

static void note_down(known *k, const note *x) {
  switch ((kind)x->kind) {
  case BEGUN:
    k->begun = 1;
    if (x->n != k->next.turns)
      wrong(k, "another number of turns was loaded", x->n);
    break;
  case STARTED:
    k->started = x->n;
    break;
  case SAVED:
    k->acked = x->n;
    break;
  case DELETING:
    k->deleting = 1;
    break;
  case DELETED:
    k->deleting = k->acked = k->started = 0;
    k->next.life++;
    break;
  case LEFT_OVER:
    if (x->n)
      wrong(k, "temporary files stay after the next save", x->n);
    break;
  default:
    wrong(k, "the writer failed", x->n);
  }
}

/* The stored turns are 1 to n of this life: acknowledged or newer. */
static void check_stored(known *k) {
  turn *turns;
  int code, n = kit_stored(&turns, &code, k->next.dir, ROOM);
  if (code == DA_ENOTFOUND && (k->deleting || k->acked == 0)) {
    k->next.life += k->deleting;
    n = 0;
  } else if (code) {
    wrong(k, "the session cannot be loaded", code);
  } else if (n < k->acked || n > k->started || n == 0) {
    wrong(k, "turns are lost, halved or made up", n);
  }
  for (int i = 0; i < n; i++)
    if (turns[i].life != k->next.life || turns[i].number != i + 1)
      wrong(k, "not the turn that belongs here", i);
  k->next.turns = n;
  free(turns);
}

/* What the kill hit, told by what lay there before anybody looked. */
static void sort_in(known *k, int temps) {
  if (temps > 0)
    k->writes++;
  else if (k->deleting)
    k->deletions++;
  else if (!k->begun)
    k->loads++;
  else if (k->next.turns > k->acked)
    k->renamed++;
  else if (k->started > k->acked)
    k->early++;
  else
    k->between++;
}

/* ---- the driver ---- */

/* nanosleep is too coarse, and another core is there. */
static void wait_until(double when) {
  while (da_now() < when)
    ;
}

/* After some of its acknowledgements, and then some time of a save. */
static void kill_one(known *k) {
  process p;
  note x;
  uint64_t *seed = &k->next.seed;
  int wanted = (int)kit_below(seed, 4), heard = 1, temps;
  double delay = (double)kit_below(seed, 1000) / 1000, last = 0;
  k->begun = k->deleting = 0;
  k->acked = k->started = k->next.turns;
  kit_chance(seed);
  p = kit_fork(writer, &k->next);
  while (wanted && !k->wrong && (heard = hear(p.fd, &x))) {
    note_down(k, &x);
    if (x.kind != SAVED)
      continue;
    if (last > 0)
      k->pace += (da_now() - last - k->pace) / 16;
    last = da_now();
    wanted--;
  }
  wait_until(da_now() + delay * 1.5 * k->pace);
  kit_kill(&p);
  while (hear(p.fd, &x))
    note_down(k, &x);
  kit_reap(&p);
  k->kills++;
  if (!heard)
    wrong(k, "the writer ended by itself", 0);
  temps = kit_count(k->next.dir, ".tmp-");
  check_stored(k);
  sort_in(k, temps);
  if (temps > 0 && kit_count(k->next.dir, ".tmp-"))
    wrong(k, "temporary files stay after the next load", temps);
}

/* One that is left alone tidies up after the last one that was killed. */
static void once(void *ctx, int fd) {
  start *s = ctx;
  da_runtime *rt = kit_runtime();
  da_agent *a = kit_writer(rt, s->dir, s->durable);
  kit_count_messages(a);
  save_turns(a, s, fd);
  da_agent_free(a);
  da_runtime_free(rt);
}

static void tidy_up(known *k) {
  process p = kit_fork(once, &k->next);
  note x;
  while (hear(p.fd, &x))
    note_down(k, &x);
  CHECK_INT(kit_reap(&p), 0);
  check_stored(k);
  CHECK_INT(kit_count(k->next.dir, ""), 2); /* the session and .lock */
}

static void kill_writers(int durable, int times) {
  char dir[PATH_MAX], sessions[PATH_MAX];
  known k;
  memset(&k, 0, sizeof k);
  snprintf(sessions, sizeof sessions, "%s", kit_path(kit_dir(dir), "s"));
  k.next = (start){sessions, durable, 1, 0, (uint64_t)getpid()};
  k.pace = 0.002;
  while (k.kills < times && !k.wrong)
    kill_one(&k);
  if (!k.wrong)
    tidy_up(&k);
  printf("%d kills: %d left a temporary file, %d came before it, %d after "
         "the rename, %d in a deletion, %d at the start or in the load, %d "
         "between two saves; %d sessions\n",
         k.kills, k.writes, k.early, k.renamed, k.deletions, k.loads,
         k.between, k.next.life);
  /* Else it has not tried what it is for. */
  CHECK(k.writes > 0 && k.renamed + k.early > 0);
  kit_rm(dir);
}

static void acknowledged_turns_survive(void) {
  kill_writers(1, kit_times(10000, 500));
}

static void also_where_the_disk_is_not_flushed(void) {
  kill_writers(0, kit_times(2000, 100));
}

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  RUN(acknowledged_turns_survive);
  RUN(also_where_the_disk_is_not_flushed);
  return check_done();
}
