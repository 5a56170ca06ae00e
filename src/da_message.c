/* da_message.c - one immutable message that holds its own text (floor 1). */
#include "da_message.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "da_clock.h"
#include "da_hash.h"

/* 56 bytes beside the text; `created` points into it, as does the id. */
struct da_message {
  atomic_uint refs;
  unsigned char role;
  unsigned char framed;
  unsigned short id_len;
  uint32_t len;
  uint32_t id;      /* offset of the id's first character */
  uint32_t created; /* offset of the number */
  uint32_t wire;    /* offset of the first wire member */
  uint64_t hash;
  const char *text;
  da_arena *arena; /* NULL: text and struct are one block of our own */
};

/* Messages come in blocks, so that nobody has to know how many there will
** be, and never move. */
typedef struct block {
  struct block *before;
  size_t used, size;
  da_message messages[];
} block;

struct da_arena {
  atomic_size_t refs; /* one for each message and one for who made it */
  char *bytes;
  block *last;
};

/* ---- fields ---- */

da_message *da_message_ref(da_message *m) {
  atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
  return m;
}

void da_message_unref(da_message *m) {
  if (!m || atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1)
    return;
  if (m->arena)
    da_arena_unref(m->arena);
  else
    free(m);
}

da_text da_message_json(const da_message *m) {
  da_text t = {m->text, m->len};
  return t;
}

da_text da_message_tail(const da_message *m) {
  da_text t = {m->text + m->wire, m->len - m->wire};
  return t;
}

da_text da_message_id(const da_message *m) {
  da_text t = {m->text + m->id, m->id_len};
  return t;
}

double da_message_created_at(const da_message *m) {
  const char *number = m->text + m->created;
  da_text t = {number, strcspn(number, ",}")};
  double at = da_json_double(t);
  return at >= 0 && at < 1e11 ? at : 0;
}

/* It stands between the time and the first wire member, if it is there. */
da_text da_message_usage(const da_message *m) {
  const char *at = m->text + m->created;
  da_text t = {NULL, 0};
  at += strcspn(at, ",}") + sizeof ",\"usage\":" - 1;
  if (at < m->text + m->wire) {
    t.data = at;
    t.len = (size_t)(m->text + m->wire - at) - 1;
  }
  return t;
}

da_role da_message_role(const da_message *m) {
  return (da_role)m->role;
}

uint64_t da_message_hash(const da_message *m) {
  return m->hash;
}

int da_message_framed(const da_message *m) {
  return m->framed;
}

static int put_parts(da_buf *out, da_text array) {
  da_json j;
  da_text part, text;
  da_json_init(&j, array);
  da_json_array(&j);
  while (da_json_item(&j) == 1) {
    da_json_value(&j, &part);
    if (da_json_get(part, "text", &text) == DA_JSON_STRING)
      da_json_unescape(out, text, NULL);
  }
  return out->failed;
}

int da_message_content(const da_message *m, da_buf *out) {
  da_text value;
  switch (da_json_get(da_message_json(m), "content", &value)) {
  case DA_JSON_STRING:
    return da_json_unescape(out, value, NULL);
  case DA_JSON_ARRAY:
    return put_parts(out, value);
  default:
    return out->failed;
  }
}

/* ---- making ---- */

static unsigned char role_of(da_text raw) {
  static const char *const names[] = {"", "system", "user", "assistant",
                                      "tool"};
  for (unsigned char i = DA_ROLE_SYSTEM; i <= DA_ROLE_TOOL; i++)
    if (da_json_equals(raw, names[i]))
      return i;
  return DA_ROLE_OTHER;
}

/* Fills all but refs, framed and arena; parts->wire must be set. */
static void fill(da_message *m, const char *text,
                 const da_message_parts *parts) {
  const char *begin = parts->json.data;
  m->text = text;
  m->len = (uint32_t)parts->json.len;
  m->id = (uint32_t)(parts->id.data + 1 - begin);
  m->id_len = (unsigned short)(parts->id.len - 2);
  m->created = (uint32_t)(parts->created.data - begin);
  m->wire = (uint32_t)parts->wire;
  m->role = role_of(parts->role);
  m->hash = da_hash(text, parts->json.len, 0);
}

/* Ids sort by time of creation: nine digits of milliseconds, to the base of
** 32 (until the year 3084), then eleven of chance. */
static void make_id(char id[DA_MESSAGE_ID_SIZE + 1], double created_at) {
  static const char digits[] = "0123456789abcdefghijklmnopqrstuv";
  uint64_t random[2], ms = (uint64_t)(created_at * 1000);
  if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
    /* Not allowed here: the clock and the place tell ids apart, too. */
    double now = da_now();
    random[0] = da_hash(&now, sizeof now, (uint64_t)(uintptr_t)id);
    random[1] = da_hash(&now, sizeof now, (uint64_t)getpid());
  }
  for (int i = 8; i >= 0; i--, ms >>= 5)
    id[i] = digits[ms & 31];
  for (int i = 9; i < DA_MESSAGE_ID_SIZE; i++) {
    uint64_t *r = &random[i & 1];
    id[i] = digits[*r & 31];
    *r >>= 5;
  }
  id[DA_MESSAGE_ID_SIZE] = '\0';
}

void da_message_fresh_id(char id[DA_MESSAGE_ID_SIZE + 1]) {
  make_id(id, da_wall());
}

static const char frame_before[] = "    ", frame_after[] = ",\n";

/* The walked line becomes a message of its own. */
static int own_walked(da_message **out, const da_message_parts *parts,
                      da_err *err) {
  const size_t around = DA_FRAME_BEFORE + DA_FRAME_AFTER;
  size_t len = parts->json.len;
  da_message *m = malloc(sizeof *m + around + len + 1);
  char *text;
  if (!m)
    return da_nomem(err);
  text = (char *)(m + 1);
  memcpy(text, frame_before, DA_FRAME_BEFORE);
  memcpy(text + DA_FRAME_BEFORE, parts->json.data, len);
  memcpy(text + DA_FRAME_BEFORE + len, frame_after, sizeof frame_after);
  fill(m, text + DA_FRAME_BEFORE, parts);
  atomic_init(&m->refs, 1);
  m->framed = 1;
  m->arena = NULL;
  *out = m;
  return DA_OK;
}

/* The finished text in `line` becomes a message of its own. A service may
** have laid its answer out over many lines; a message is one line. */
static int own(da_message **out, const da_buf *line, da_err *err) {
  da_message_parts parts;
  da_json j;
  da_buf compact;
  int code = da_buf_check(line, "the message", err);
  if (code)
    return code;
  da_buf_init(&compact, DA_MESSAGE_MAX);
  da_json_init(&j, da_buf_text(line));
  if (memchr(line->data, '\n', line->len) ||
      memchr(line->data, '\r', line->len)) {
    da_json_put_compact(&compact, da_buf_text(line));
    code = da_buf_check(&compact, "the message", err);
    da_json_init(&j, da_buf_text(&compact));
  }
  if (!code)
    code = da_message_walk(&j, &parts, err);
  if (!code)
    code = own_walked(out, &parts, err);
  da_buf_dispose(&compact);
  return code;
}

/* Our members, up to where the wire's first one goes. */
static void put_ours(da_buf *line, da_text id, double created_at) {
  char fresh[DA_MESSAGE_ID_SIZE + 1];
  if (!(created_at >= 0 && created_at < 1e11))
    created_at = da_wall();
  if (!id.data) {
    make_id(fresh, created_at);
    id.data = fresh;
    id.len = DA_MESSAGE_ID_SIZE;
  }
  da_buf_puts(line, "{\"id\":\"");
  da_buf_put(line, id.data, id.len);
  /* Milliseconds in integers, so that no locale puts a comma in. */
  uint64_t ms = (uint64_t)(created_at * 1000 + 0.5);
  da_buf_printf(line, "\",\"created_at\":%llu.%03u,",
                (unsigned long long)(ms / 1000), (unsigned)(ms % 1000));
}

static void put_usage(da_buf *line, da_text usage) {
  if (!usage.len)
    return;
  da_buf_puts(line, "\"usage\":");
  da_json_put_compact(line, usage);
  da_buf_puts(line, ",");
}

/* The one message that `text` is. */
static int walk_whole(da_text text, da_message_parts *parts, da_err *err) {
  da_json j;
  int code;
  da_json_init(&j, text);
  code = da_message_walk(&j, parts, err);
  return !code && !da_json_end(&j) ? da_json_error(&j, err) : code;
}

static const da_text none = {NULL, 0};

/* A wire message with ours in front. */
static int make(da_message **out, da_text wire, da_text id, double created_at,
                da_text usage, da_err *err) {
  da_message_parts parts;
  da_buf line;
  int code = walk_whole(wire, &parts, err);
  if (code)
    return code;
  da_buf_init(&line, DA_MESSAGE_MAX);
  put_ours(&line, id, created_at);
  put_usage(&line, usage);
  da_buf_put(&line, parts.json.data + 1, parts.json.len - 1);
  code = own(out, &line, err);
  da_buf_dispose(&line);
  return code;
}

int da_message_new(da_message **out, da_text wire, const da_text *id,
                   double created_at, da_err *err) {
  if (id && !da_message_id_ok(*id))
    return da_fail(err, DA_EINVAL,
                   "not a message: its id is not 1 to 255 printable ASCII "
                   "characters");
  return make(out, wire, id ? *id : none, created_at, none, err);
}

int da_message_answer(da_message **out, da_text wire, da_text usage,
                      da_err *err) {
  return make(out, wire, none, -1, usage, err);
}

int da_message_text(da_message **out, const char *role, da_text text,
                    da_err *err) {
  da_buf line;
  int code;
  da_buf_init(&line, DA_MESSAGE_MAX);
  put_ours(&line, none, -1);
  da_buf_puts(&line, "\"role\":");
  da_json_put_string(&line, role, strlen(role));
  da_buf_puts(&line, ",\"content\":");
  da_json_put_string(&line, text.data, text.len);
  da_buf_puts(&line, "}");
  code = own(out, &line, err);
  if (code == DA_EJSON)
    code = da_fail(err, DA_EUTF8, "the text is not valid UTF-8");
  da_buf_dispose(&line);
  return code;
}

/* A line laid out otherwise: our members move to the front. */
static void put_moved(da_buf *line, const da_message_parts *parts) {
  da_json j;
  da_text key, value, id = parts->id;
  int first = 1;
  if (id.data) {
    id.data++;
    id.len -= 2;
  }
  put_ours(line, id,
           parts->created.data ? da_json_double(parts->created) : -1);
  put_usage(line, parts->usage);
  da_json_init(&j, parts->json);
  da_json_object(&j);
  while (da_json_member(&j, &key) == 1) {
    da_json_value(&j, &value);
    if (value.data == parts->id.data || value.data == parts->created.data ||
        value.data == parts->usage.data)
      continue;
    if (!first)
      da_buf_puts(line, ",");
    first = 0;
    da_buf_put(line, key.data - 1,
               (size_t)(value.data + value.len - key.data) + 1);
  }
  da_buf_puts(line, "}");
}

int da_message_parse(da_message **out, da_text text, da_err *err) {
  da_message_parts parts;
  da_buf line;
  int code;
  code = walk_whole(text, &parts, err);
  if (code)
    return code;
  da_buf_init(&line, DA_MESSAGE_MAX);
  if (parts.wire)
    da_buf_put(&line, parts.json.data, parts.json.len);
  else
    put_moved(&line, &parts);
  code = own(out, &line, err);
  da_buf_dispose(&line);
  return code;
}

/* ---- arenas ---- */

enum { FIRST_BLOCK = 16, LARGEST_BLOCK = 256 };

da_arena *da_arena_new(char *bytes) {
  da_arena *a = malloc(sizeof *a);
  if (!a) {
    free(bytes);
    return NULL;
  }
  atomic_init(&a->refs, 1);
  a->bytes = bytes;
  a->last = NULL;
  return a;
}

void da_arena_unref(da_arena *a) {
  block *b, *before;
  if (!a || atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) != 1)
    return;
  for (b = a->last; b; b = before) {
    before = b->before;
    free(b);
  }
  free(a->bytes);
  free(a);
}

static block *block_new(block *before) {
  size_t size = before ? before->size * 2 : FIRST_BLOCK;
  block *b;
  if (size > LARGEST_BLOCK)
    size = LARGEST_BLOCK;
  b = malloc(sizeof *b + size * sizeof(da_message));
  if (b) {
    b->before = before;
    b->used = 0;
    b->size = size;
  }
  return b;
}

da_message *da_arena_message(da_arena *a, const da_message_parts *parts,
                             int framed) {
  da_message *m;
  if (!a->last || a->last->used == a->last->size) {
    block *b = block_new(a->last);
    if (!b)
      return NULL;
    a->last = b;
  }
  m = &a->last->messages[a->last->used++];
  fill(m, parts->json.data, parts);
  atomic_init(&m->refs, 1);
  m->framed = (unsigned char)framed;
  m->arena = a;
  atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
  return m;
}
