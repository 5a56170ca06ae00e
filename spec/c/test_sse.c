/* test_sse.c - the event stream parser, at every split of the bytes. */
#include "da_sse.h"

#include "check.h"
#include "da_json.h"
#include "shared_file.h"

#define CAP ((size_t)1 << 20)

/* ---- feeding ---- */

/* Events as text: {"type":..,"data":..,"lastEventId":..}, one after the
** other, so that two runs compare as bytes. */
static int note(void *ctx, const da_sse_event *e) {
  da_buf *out = ctx;
  da_buf_puts(out, "{\"type\":");
  da_json_put_string(out, e->type.data, e->type.len);
  da_buf_puts(out, ",\"data\":");
  da_json_put_string(out, e->data.data, e->data.len);
  da_buf_puts(out, ",\"lastEventId\":");
  da_json_put_string(out, e->id.data, e->id.len);
  return da_buf_puts(out, "}\n");
}

/* Feeds text[0..at) and then the rest, `step` bytes at a time. Each feed
** gets a copy of its own, so that views that outlive it are seen by ASan.
** `parts` 0: no finish. Returns the first code that is not DA_OK. */
static int feed(da_sse *s, da_text text, size_t at, size_t step, da_buf *out) {
  int rc = DA_OK;
  size_t done = 0;
  while (rc == DA_OK && done < text.len) {
    size_t n = done < at ? at - done : step;
    char *copy;
    if (n > text.len - done)
      n = text.len - done;
    copy = malloc(n);
    if (!copy)
      return DA_ENOMEM;
    memcpy(copy, text.data + done, n);
    rc = da_sse_feed(s, copy, n, note, out);
    free(copy);
    done += n;
  }
  return rc;
}

static int64_t parse(da_text text, size_t at, size_t step, da_buf *out) {
  da_sse s;
  int64_t retry;
  da_sse_init(&s, CAP);
  CHECK_INT(feed(&s, text, at, step, out), DA_OK);
  retry = s.retry;
  da_sse_dispose(&s);
  return retry;
}

/* What `text` gives, whole; checks that splitting does not matter. */
static void expect(da_text text, const char *want, int64_t want_retry,
                   const char *name) {
  size_t stride = text.len > 1000 ? text.len / 400 : 1;
  da_buf out;
  int failed = 0;
  da_buf_init(&out, (size_t)1 << 28);
  for (size_t at = 0; at <= text.len && !failed; at += stride) {
    da_buf_reset(&out);
    failed = parse(text, at, at ? text.len : 1, &out) != want_retry ||
             strcmp(da_buf_text(&out).data, want) != 0;
    if (failed)
      fprintf(stderr, "%s, split at %zu: %.500s\nwanted: %.500s\n", name, at,
              da_buf_text(&out).data, want);
  }
  CHECK(!failed);
  da_buf_dispose(&out);
}

static void expect_str(const char *text, const char *want) {
  da_text t = {text, strlen(text)};
  expect(t, want, -1, text);
}

/* ---- the vectors ---- */

static void put_hex(da_buf *out, da_text hex) {
  for (size_t i = 1; i + 2 < hex.len; i += 2) {
    char pair[3] = {hex.data[i], hex.data[i + 1], 0};
    char byte = (char)strtol(pair, NULL, 16);
    da_buf_put(out, &byte, 1);
  }
}

/* The wanted events in the form that `note` writes. */
static void put_wanted(da_buf *out, da_text events) {
  static const char *const names[] = {"type", "data", "lastEventId"};
  da_json j;
  da_text event, value;
  da_json_init(&j, events);
  da_json_array(&j);
  while (da_json_item(&j) == 1) {
    da_json_value(&j, &event);
    for (int i = 0; i < 3; i++) {
      da_buf plain;
      da_buf_init(&plain, CAP);
      da_json_get(event, names[i], &value);
      da_json_unescape(&plain, value, NULL);
      da_buf_printf(out, "%s\"%s\":", i ? "," : "{", names[i]);
      da_json_put_string(out, da_buf_text(&plain).data, plain.len);
      da_buf_dispose(&plain);
    }
    da_buf_puts(out, "}\n");
  }
}

static void check_case(da_text line) {
  da_text hex, events, retry, name;
  da_buf bytes, want;
  int64_t ms = -1;
  da_buf_init(&bytes, CAP);
  da_buf_init(&want, (size_t)1 << 28);
  CHECK(da_json_get(line, "hex", &hex) == DA_JSON_STRING);
  CHECK(da_json_get(line, "events", &events) == DA_JSON_ARRAY);
  CHECK(da_json_get(line, "name", &name) == DA_JSON_STRING);
  put_hex(&bytes, hex);
  put_wanted(&want, events);
  if (da_json_get(line, "retry", &retry) == DA_JSON_NUMBER &&
      !da_json_int64(retry, &ms))
    ms = INT64_MAX; /* it saturates */
  expect(da_buf_text(&bytes), da_buf_text(&want).data, ms, name.data);
  da_buf_dispose(&bytes);
  da_buf_dispose(&want);
}

static char *vectors;

static void every_vector_at_every_split(void) {
  int cases = 0;
  for (char *line = vectors; *line;) {
    char *end = strchr(line, '\n');
    da_text t = {line, end ? (size_t)(end - line) : strlen(line)};
    check_case(t);
    cases++;
    line = end ? end + 1 : line + t.len;
  }
  CHECK(cases >= 40);
}

/* ---- our own ---- */

static void line_ends_and_fields(void) {
  expect_str("data: a\r\ndata:b\rdata:  c\n\r\n: no\r\rdata\n\n",
             "{\"type\":\"message\",\"data\":\"a\\nb\\n c\","
             "\"lastEventId\":\"\"}\n"
             "{\"type\":\"message\",\"data\":\"\",\"lastEventId\":\"\"}\n");
  expect_str("\xEF\xBB\xBFid: 7\nevent: x\ndata: 1\n\ndata: 2\n\n",
             "{\"type\":\"x\",\"data\":\"1\",\"lastEventId\":\"7\"}\n"
             "{\"type\":\"message\",\"data\":\"2\",\"lastEventId\":\"7\"}\n");
  expect_str("\xEF\xBB"
             "data: 1\n\n",
             ""); /* no mark: another field */
  expect_str("data: \xff\xc3\n\n", "{\"type\":\"message\",\"data\":\""
                                   "\xEF\xBF\xBD\xEF\xBF\xBD\","
                                   "\"lastEventId\":\"\"}\n");
}

static void finish_gives_the_last_event(void) {
  static const char *const ends[] = {"data: [DONE]", "data: [DONE]\n",
                                     "data: [DONE]\r"};
  for (int i = 0; i < 3; i++) {
    da_text t = {ends[i], strlen(ends[i])};
    da_buf out;
    da_sse s;
    da_buf_init(&out, CAP);
    da_sse_init(&s, CAP);
    CHECK_INT(feed(&s, t, 0, 1, &out), DA_OK);
    CHECK_INT(out.len, 0);
    CHECK_INT(da_sse_finish(&s, note, &out), DA_OK);
    CHECK(strstr(da_buf_text(&out).data, "\"[DONE]\"") != NULL);
    da_sse_dispose(&s);
    da_buf_dispose(&out);
  }
}

static void finish_of_nothing_is_nothing(void) {
  da_buf out;
  da_sse s;
  da_buf_init(&out, CAP);
  da_sse_init(&s, CAP);
  CHECK_INT(da_sse_feed(&s, "\xEF\xBB", 2, note, &out), DA_OK);
  CHECK_INT(da_sse_finish(&s, note, &out), DA_OK);
  CHECK_INT(out.len, 0);
  da_sse_dispose(&s);
  da_buf_dispose(&out);
}

static int refuse(void *ctx, const da_sse_event *e) {
  (void)e;
  ++*(int *)ctx;
  return -77;
}

static void a_callback_stops_it(void) {
  int calls = 0;
  da_sse s;
  da_sse_init(&s, CAP);
  CHECK_INT(da_sse_feed(&s, "data: 1\n\ndata: 2\n\n", 18, refuse, &calls),
            -77);
  CHECK_INT(calls, 1);
  da_sse_dispose(&s);
}

/* A line and an event's data are capped, whatever the split. */
static void caps_hold(void) {
  static const char line[] = "data: 0123456789abcdef\n";
  static const char lines[] = "data:01234\ndata:01234\ndata:01234\n\n";
  da_text texts[] = {{line, sizeof line - 1}, {lines, sizeof lines - 1}};
  for (int i = 0; i < 2; i++) {
    for (size_t step = 1; step <= texts[i].len; step += texts[i].len - 1) {
      da_buf out;
      da_sse s;
      da_buf_init(&out, CAP);
      da_sse_init(&s, 16);
      CHECK_INT(feed(&s, texts[i], 0, step, &out), DA_ETOOLARGE);
      CHECK_INT(out.len, 0);
      da_sse_dispose(&s);
      da_buf_dispose(&out);
    }
  }
}

/* Digits only; what is none leaves the time as it was. */
static void retry_times(void) {
  expect((da_text){"retry: 250\n", 11}, "", 250, "digits");
  expect((da_text){"retry:\nretry\n", 13}, "", -1, "nothing");
  expect((da_text){"retry: 7\nretry: 8s\nretry: -1\n", 30}, "", 7,
         "no digits");
  expect((da_text){"retry: 99999999999999999999\n", 28}, "", INT64_MAX,
         "too many digits");
}

/* Bytes that are no UTF-8 are repaired in each field, and one that failed
** has no end. */
static void broken_bytes(void) {
  static const char line[] = "data: 0123456789abcdef";
  da_text bytes = {line, sizeof line - 1};
  da_buf out;
  da_sse s;
  expect_str("event: a\xff\nid: \xC3\ndata: \xE2\x82\ndata: b\n\n",
             "{\"type\":\"a\xEF\xBF\xBD\",\"data\":\"\xEF\xBF\xBD\\nb\","
             "\"lastEventId\":\"\xEF\xBF\xBD\"}\n");
  da_buf_init(&out, CAP);
  da_sse_init(&s, 16);
  CHECK_INT(feed(&s, bytes, 0, bytes.len, &out), DA_ETOOLARGE);
  CHECK_INT(da_sse_feed(&s, "\n", 1, note, &out), DA_ETOOLARGE);
  CHECK_INT(da_sse_feed(&s, "", 0, note, &out), DA_ETOOLARGE);
  CHECK_INT(da_sse_finish(&s, note, &out), DA_ETOOLARGE);
  CHECK_INT(out.len, 0);
  da_sse_dispose(&s);
  da_buf_dispose(&out);
}

int main(void) {
  size_t len;
  vectors = shared_file("vectors/sse/parse_cases.jsonl", &len);
  if (vectors)
    RUN(every_vector_at_every_split);
  else
    SKIP("every_vector_at_every_split", "no ../shared/vectors");
  RUN(line_ends_and_fields);
  RUN(finish_gives_the_last_event);
  RUN(finish_of_nothing_is_nothing);
  RUN(a_callback_stops_it);
  RUN(caps_hold);
  RUN(retry_times);
  RUN(broken_bytes);
  free(vectors);
  return check_done();
}
