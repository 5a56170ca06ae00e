/* writer_kit.h - writers that are processes of their own, and what they
** tell. A writer forked by the test talks to a parrot (agent_kit.h) on the
** real agent, and writes a note on a pipe before and after whatever it does:
** what a killed one has acknowledged is known to the last turn. */
#ifndef WRITER_KIT_H
#define WRITER_KIT_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "../c/store_kit.h"

#include "../c/agent_kit.h"
#include "da_clock.h"

/* `full` with DA_FULL=1, else `brief`. */
static inline int kit_times(int full, int brief) {
  const char *wanted = getenv("DA_FULL");
  return wanted && *wanted ? full : brief;
}

/* ---- notes ---- */

typedef enum kind {
  BEGUN = 1,   /* the session is loaded; n: what the writer found of it */
  STARTED,     /* turns up to n have been or will be asked */
  SAVED,       /* turns up to n are acknowledged */
  DELETING,    /* the session */
  DELETED,     /* acknowledged */
  LEFT_OVER,   /* after the first save there are n temporary files */
  TRIED_AGAIN, /* a flush failed with code n, and is repeated */
  ENDED,       /* all is done */
  WENT_WRONG   /* with code n */
} kind;

typedef struct note {
  int kind, n;
} note;

/* Whole or not at all: it is shorter than PIPE_BUF. */
static inline void tell(int fd, kind k, int n) {
  note x = {(int)k, n};
  if (write(fd, &x, sizeof x) != (ssize_t)sizeof x)
    _exit(EXIT_FAILURE);
}

/* 1: a note; 0: the writer is gone and all was read. */
static inline int hear(int fd, note *x) {
  ssize_t n;
  do
    n = read(fd, x, sizeof *x);
  while (n < 0 && errno == EINTR);
  return n == (ssize_t)sizeof *x;
}

/* ---- processes ---- */

typedef struct process {
  pid_t pid; /* 0: none */
  int fd;    /* its notes */
} process;

/* Runs body(ctx, fd of the notes) in a child, which ends with this process
** at the latest. */
static inline process kit_fork(void (*body)(void *ctx, int fd), void *ctx) {
  process p = {0, -1};
  int ends[2];
  fflush(NULL);
  if (pipe2(ends, O_CLOEXEC) < 0)
    return p;
  p.pid = fork();
  if (p.pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(ends[0]);
    body(ctx, ends[1]);
    _exit(EXIT_SUCCESS);
  }
  close(ends[1]);
  p.fd = ends[0];
  return p;
}

static inline void kit_kill(const process *p) {
  kill(p->pid, SIGKILL);
}

/* Once its notes were read to the end; its status as of waitpid. */
static inline int kit_reap(process *p) {
  int status = -1;
  close(p->fd);
  while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
    ;
  p->pid = 0;
  return status;
}

/* ---- agents ---- */

static cage kit_cage;

static inline da_agent *kit_writer(da_runtime *rt, const char *dir,
                                   int durable) {
  da_agent *a = kit_agent(rt, &kit_cage);
  CHECK_INT(da_agent_set_store(a, kit_store(dir, durable), &err), DA_OK);
  CHECK_INT(da_agent_set_session_id(a, "s", &err), DA_OK);
  da_agent_set_save_timeout(a, 60);
  return a;
}

/* ---- turns ---- */

/* A turn's question says who asked it: writer, its life (one more after
** each restart or deletion) and the number, which counts from 1. */
typedef struct turn {
  int writer, life, number;
} turn;

/* `room` bytes; padded to another length for each turn, up to some KB. */
static inline void kit_question(char *text, size_t room, turn t) {
  size_t pad = (size_t)(t.number * 7919 + t.writer * 104729) % (room - 64);
  size_t n = (size_t)snprintf(text, 64, "writer %d life %d turn %d ", t.writer,
                              t.life, t.number);
  memset(text + n, 'x', pad / 2);
  text[n + pad / 2] = '\0';
}

static inline int kit_ask_turn(da_agent *a, turn t, size_t room) {
  char text[4096], *answer = NULL;
  int code;
  kit_question(text, room < sizeof text ? room : sizeof text, t);
  code = da_agent_ask(a, text, &answer, &err);
  if (!code)
    free(answer);
  return code;
}

static inline int read_turn(turn *t, da_message *question, da_message *answer,
                            size_t room) {
  static const char prefix[] = "You said: ";
  char want[4096];
  da_buf q, r;
  int ok;
  da_buf_init(&q, KIT_CAP);
  da_buf_init(&r, KIT_CAP);
  da_message_content(question, &q);
  da_message_content(answer, &r);
  da_buf_put(&q, "", 1);
  ok = da_message_role(question) == DA_ROLE_USER &&
       da_message_role(answer) == DA_ROLE_ASSISTANT &&
       sscanf(q.data, "writer %d life %d turn %d ", &t->writer, &t->life,
              &t->number) == 3;
  if (ok) {
    kit_question(want, room < sizeof want ? room : sizeof want, *t);
    ok = strcmp(q.data, want) == 0 && r.len == q.len - 1 + strlen(prefix) &&
         memcmp(r.data, prefix, strlen(prefix)) == 0 &&
         memcmp(r.data + strlen(prefix), q.data, q.len - 1) == 0;
  }
  da_buf_dispose(&q);
  da_buf_dispose(&r);
  return ok;
}

/* The turns of a history in *out, to be freed: how many, or -1 if not each
** is whole, a question and then its own answer. */
static inline int kit_turns(turn **out, const da_history *h, size_t room) {
  da_history_iter it;
  da_message *question, *answer;
  int n = 0, ok = h->len % 2 == 0;
  *out = calloc(h->len / 2 + 1, sizeof **out);
  da_history_begin(&it, h, 0);
  while (ok && (question = da_history_next(&it)) &&
         (answer = da_history_next(&it)))
    ok = read_turn(&(*out)[n++], question, answer, room);
  da_history_end(&it);
  return ok ? n : -1;
}

/* Those of the stored session: as above, or -1 with *code where it cannot be
** loaded. */
static inline int kit_stored(turn **out, int *code, const char *dir,
                             size_t room) {
  da_backend *b;
  da_stored stored;
  int n = -1;
  *out = NULL;
  da_stored_init(&stored);
  CHECK_INT(da_backend_new(&b, kit_store(dir, 0), &err), DA_OK);
  *code = da_store_load(b, "s", &stored, &err);
  if (*code == DA_OK)
    n = kit_turns(out, &stored.history, room);
  da_stored_dispose(&stored);
  da_backend_unref(b);
  return n;
}

#endif
