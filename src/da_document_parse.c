/* da_document_parse.c - reading a session's document (floor 2). One walk
** checks the text, finds the messages and sums them up. */
#include "da_document.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "da_go_peer.h"
#include "da_hash.h"

typedef struct reader {
  da_json j;
  const char *id;  /* what the document must call itself */
  da_arena *arena; /* owns the bytes */
  da_history history;
  da_text meta;
  da_text checksum; /* raw, data NULL if there is none */
  size_t covered;   /* bytes before the checksum's line */
  uint64_t sum;
  int has_messages;
  da_err *err;
} reader;

static int corrupt(reader *r, const char *why) {
  return da_fail(r->err, DA_ECORRUPT, "session '%s' is corrupt: %s", r->id,
                 why);
}

/* The text is no JSON: says where, for whoever edited the file. */
static int corrupt_text(reader *r) {
  size_t line = 1;
  for (const char *p = r->j.start; p < r->j.p; p++)
    line += *p == '\n';
  if (r->j.p == r->j.start && r->j.end - r->j.p >= 3 &&
      memcmp(r->j.p, "\xef\xbb\xbf", 3) == 0)
    return corrupt(r, "it begins with a byte order mark");
  return da_fail(r->err, DA_ECORRUPT,
                 "session '%s' is corrupt: %s in line %zu, at byte %zu", r->id,
                 r->j.why ? r->j.why : "an unexpected type", line,
                 (size_t)(r->j.p - r->j.start) + 1);
}

/* ---- messages ---- */

/* Laid out as we write them: the neighbours can be written as one piece. */
static int is_framed(const reader *r, da_text json) {
  const char *after = json.data + json.len;
  return json.data - r->j.start >= DA_FRAME_BEFORE &&
         memcmp(json.data - DA_FRAME_BEFORE, "    ", DA_FRAME_BEFORE) == 0 &&
         r->j.end - after >= DA_FRAME_AFTER &&
         memcmp(after, ",\n", DA_FRAME_AFTER) == 0;
}

static int read_message(reader *r) {
  da_message_parts parts;
  da_message *m = NULL;
  da_err why;
  int code = da_message_walk(&r->j, &parts, &why);
  if (!code && parts.wire)
    m = da_arena_message(r->arena, &parts, is_framed(r, parts.json));
  else if (!code)
    code = da_message_parse(&m, parts.json, &why);
  else if (code == DA_EINVAL && parts.json.data)
    code = da_go_message(&m, parts.json, &why);
  if (code == DA_ENOMEM || (!code && !m))
    return da_nomem(r->err);
  if (code && r->j.why)
    return corrupt_text(r);
  if (code)
    return da_fail(r->err, DA_ECORRUPT,
                   "session '%s' is corrupt: message %zu: %.400s", r->id,
                   r->history.len + 1, why.message);
  r->sum = da_hash_mix(r->sum, da_message_hash(m));
  return da_history_append(&r->history, m) ? da_nomem(r->err) : DA_OK;
}

static int read_messages(reader *r) {
  int more, code;
  if (r->has_messages)
    return corrupt(r, "it has \"messages\" twice");
  r->has_messages = 1;
  if (da_json_peek(&r->j) != DA_JSON_ARRAY)
    return r->j.why ? corrupt_text(r) : corrupt(r, "messages is no array");
  /* Up to and with the bracket and the line's end, as put_head wrote it. */
  const char *head = r->j.p + 1;
  if (head < r->j.end && *head == '\n')
    head++;
  r->sum = da_hash(r->j.start, (size_t)(head - r->j.start), 0);
  da_json_array(&r->j);
  while ((more = da_json_item(&r->j)) == 1) {
    code = read_message(r);
    if (code)
      return code;
  }
  return more < 0 ? corrupt_text(r) : DA_OK;
}

/* ---- the other members ---- */

/* A document without a version is of version 1: written by hand. */
static int read_version(reader *r, da_json_type type, da_text raw) {
  int64_t version;
  if (type != DA_JSON_NUMBER || !da_json_int64(raw, &version) || version < 1)
    return corrupt(r, "its version is no positive integer");
  if (version > DA_DOCUMENT_VERSION)
    return da_fail(r->err, DA_EVERSION,
                   "session '%s' has format version %lld; this deepagent "
                   "reads up to %d",
                   r->id, (long long)version, DA_DOCUMENT_VERSION);
  return DA_OK;
}

static int read_id(reader *r, da_json_type type, da_text raw) {
  if (type != DA_JSON_STRING)
    return corrupt(r, "its id is no string");
  if (!da_json_equals(raw, r->id))
    return corrupt(r, "it calls itself by another id (a copy needs its own "
                      "\"id\", or none)");
  return DA_OK;
}

static int read_member(reader *r, da_text key) {
  const char *line = key.data - 1;
  da_json_type type;
  da_text raw;
  if (da_json_equals(key, "messages"))
    return read_messages(r);
  type = da_json_value(&r->j, &raw);
  if (type == DA_JSON_BAD)
    return corrupt_text(r);
  if (da_json_equals(key, "version"))
    return read_version(r, type, raw);
  if (da_json_equals(key, "id"))
    return read_id(r, type, raw);
  if (da_json_equals(key, "metadata")) {
    if (type != DA_JSON_OBJECT)
      return corrupt(r, "its metadata is no object");
    r->meta = raw;
  } else if (da_json_equals(key, "checksum")) {
    if (type != DA_JSON_STRING)
      return corrupt(r, "its checksum is no string");
    r->checksum = raw;
    while (line > r->j.start && line[-1] == ' ')
      line--;
    r->covered = (size_t)(line - r->j.start);
  }
  return DA_OK; /* members we do not know are none of our business */
}

/* ---- the checksum ---- */

/* Up to the last newline: without it the text would still parse. */
static int ends_as_written(const reader *r) {
  const char *after = r->checksum.data + r->checksum.len;
  return r->j.end - after == 3 && memcmp(after, "\n}\n", 3) == 0;
}

/* Faults of the storage keep a file's length or cut its end (which no longer
** parses); an edit by hand changes the length, and is welcome. */
static int check_sum(reader *r) {
  char text[64], want[64];
  if (!r->checksum.data)
    return DA_OK;
  if (r->checksum.len >= sizeof text)
    return corrupt(r, "its checksum is none");
  memcpy(text, r->checksum.data, r->checksum.len);
  text[r->checksum.len] = '\0';
  snprintf(want, sizeof want, "\"%zu:", r->covered);
  if (strncmp(text, want, strlen(want)) != 0) {
    if (strspn(text + 1, "0123456789") == r->checksum.len - 19 &&
        text[r->checksum.len - 18] == ':')
      return DA_OK;
    return corrupt(r, "its checksum is none");
  }
  snprintf(want, sizeof want, "\"%zu:%016llx\"", r->covered,
           (unsigned long long)r->sum);
  if (strcmp(text, want) != 0)
    return corrupt(r, "its checksum does not fit (an edit by hand that keeps "
                      "the file's length must remove the checksum line)");
  if (!ends_as_written(r))
    return corrupt(r, "its end is cut off");
  return DA_OK;
}

/* ---- the whole ---- */

static int read_document(reader *r) {
  da_text key;
  int more, code = DA_OK;
  if (r->j.p == r->j.end)
    return corrupt(r, "it is empty");
  if (da_json_peek(&r->j) == DA_JSON_ARRAY) {
    code = read_messages(r); /* the Go peer's: nothing but the messages */
  } else {
    if (!da_json_object(&r->j))
      return r->j.why ? corrupt_text(r)
                      : corrupt(r, "it is neither an object nor an array");
    while (!code && (more = da_json_member(&r->j, &key)) != 0)
      code = more < 0 ? corrupt_text(r) : read_member(r, key);
    if (!code && !r->has_messages)
      code = corrupt(r, "it has no messages");
  }
  if (!code && !da_json_end(&r->j))
    code = corrupt_text(r);
  return code ? code : check_sum(r);
}

int da_document_parse(da_history *history, da_buf *meta, const char *id,
                      char *bytes, size_t len, da_err *err) {
  reader r;
  da_text all = {bytes, len};
  int code;
  if (len > UINT32_MAX) {
    free(bytes);
    return da_fail(err, DA_ETOOLARGE, "session '%s' is larger than 4 GiB", id);
  }
  memset(&r, 0, sizeof r);
  r.id = id;
  r.err = err;
  r.arena = da_arena_new(bytes);
  if (!r.arena)
    return da_nomem(err);
  da_json_init(&r.j, all);
  code = read_document(&r);
  if (!code && r.meta.data)
    code = da_buf_put(meta, r.meta.data, r.meta.len)
               ? da_buf_check(meta, "the metadata", err)
               : DA_OK;
  if (code)
    da_history_dispose(&r.history);
  else
    *history = r.history;
  da_arena_unref(r.arena);
  return code;
}
