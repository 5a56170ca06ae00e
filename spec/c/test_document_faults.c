/* test_document_faults.c - documents that something happened to: a fault of
** the storage is an error or changes nothing, never fewer messages. */
#include "document_kit.h"

static const char meta[] = "{\"created_at\":1700000000.000}";

/* A document of `n` messages, its bytes ours to change. */
static da_text fresh(unsigned n) {
  da_history h = DA_HISTORY_EMPTY;
  da_text doc;
  kit_append(&h, 0, n);
  doc = kit_build("id", meta, &h);
  da_history_dispose(&h);
  return doc;
}

static char *bytes_of(da_text t) {
  return (char *)(uintptr_t)t.data;
}

/* 1 if it is refused as corrupt or loads just as `whole` does. */
static int error_or_same(da_text doc, const loaded *whole) {
  loaded l;
  int ok;
  kit_load(&l, "id", doc);
  ok = l.code == DA_ECORRUPT || l.code == DA_EVERSION ||
       (l.code == DA_OK && kit_same_history(&l.history, &whole->history) &&
        kit_same(da_buf_text(&l.meta), da_buf_text(&whole->meta)));
  kit_unload(&l);
  return ok;
}

/* ---- faults of the storage ---- */

static void truncated(void) {
  da_text doc = fresh(3);
  for (size_t n = 0; n < doc.len; n++) {
    if (kit_code("id", (da_text){doc.data, n}) != DA_ECORRUPT) {
      fprintf(stderr, "%zu of %zu bytes: %s\n", n, doc.len,
              da_code_name(err.code));
      CHECK(0 && "refused");
    }
    CHECK(strstr(err.message, "session 'id' is corrupt: ") == err.message);
  }
  kit_free(doc);
}

static void every_bit(void) {
  da_text doc = fresh(2);
  loaded whole;
  size_t refused = 0;
  kit_load(&whole, "id", doc);
  CHECK_INT(whole.code, DA_OK);
  for (size_t i = 0; i < doc.len * 8; i++) {
    char *at = bytes_of(doc) + i / 8;
    *at = (char)(*at ^ (1 << i % 8));
    if (!error_or_same(doc, &whole)) {
      fprintf(stderr, "bit %zu of byte %zu\n", i % 8, i / 8);
      CHECK(0 && "error or the same");
    }
    refused += (size_t)(err.code != DA_OK);
    *at = (char)(*at ^ (1 << i % 8));
  }
  CHECK(refused > doc.len * 7); /* what is let pass is in the last lines */
  kit_unload(&whole);
  kit_free(doc);
}

/* Two bits, in one byte or in two, by chance; before the checksum, whose
** length would else tell of an edit. */
static void two_bits(void) {
  da_text doc = fresh(4);
  loaded whole;
  uint64_t seed = 8;
  size_t covered = (size_t)(strstr(doc.data, "  \"checksum\"") - doc.data);
  kit_load(&whole, "id", doc);
  for (int i = 0; i < 3000; i++) {
    char *a = bytes_of(doc) + kit_below(&seed, covered);
    char *b = bytes_of(doc) + kit_below(&seed, covered);
    char bit_a = (char)(1 << kit_below(&seed, 8));
    char bit_b = (char)(1 << kit_below(&seed, 8));
    *a = (char)(*a ^ bit_a);
    *b = (char)(*b ^ bit_b);
    CHECK(error_or_same(doc, &whole));
    *b = (char)(*b ^ bit_b);
    *a = (char)(*a ^ bit_a);
  }
  kit_unload(&whole);
  kit_free(doc);
}

static void swapped_blocks(void) {
  enum { BLOCK = 512 };
  da_text doc = fresh(20);
  size_t blocks = doc.len / BLOCK;
  char *b = bytes_of(doc), one[BLOCK];
  CHECK(blocks >= 8);
  for (size_t i = 0; i < blocks; i++)
    for (size_t k = i + 1; k < blocks; k++)
      for (int undo = 0; undo < 2; undo++) {
        memcpy(one, b + i * BLOCK, BLOCK);
        memcpy(b + i * BLOCK, b + k * BLOCK, BLOCK);
        memcpy(b + k * BLOCK, one, BLOCK);
        CHECK_INT(kit_code("id", doc), undo ? DA_OK : DA_ECORRUPT);
      }
  kit_free(doc);
}

/* Messages that change places, whole lines of the same length. */
static void swapped_lines(void) {
  da_text doc = fresh(9);
  char *first = strstr(bytes_of(doc), "    {\"id\":\"message-2\""), *second;
  char line[2048];
  size_t len = (size_t)(strchr(first, '\n') - first) + 1;
  second = strstr(first, "    {\"id\":\"message-4\"");
  CHECK_INT(kit_code("id", doc), DA_OK);
  CHECK((size_t)(strchr(second, '\n') - second) + 1 == len);
  memcpy(line, first, len);
  memcpy(first, second, len);
  memcpy(second, line, len);
  CHECK_INT(kit_code("id", doc), DA_ECORRUPT);
  kit_free(doc);
}

/* The whole of it, the last 4096 bytes, or less. */
static void zeros(void) {
  static const size_t tails[] = {1, 2, 16, 512, 4096, 1 << 20};
  for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
    da_text doc = fresh(40);
    size_t n = tails[i] < doc.len ? tails[i] : doc.len;
    memset(bytes_of(doc) + doc.len - n, 0, n);
    CHECK_INT(kit_code("id", doc), DA_ECORRUPT);
    kit_free(doc);
  }
}

static void appended(void) {
  static const char *const garbage[] = {"}}}", "}",  "x",      "{}",
                                        ",",   "\"", "]\n}\n", "/**/"};
  da_text doc = fresh(3), two;
  char *more = malloc(doc.len * 2 + 16);
  for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
    memcpy(more, doc.data, doc.len);
    memcpy(more + doc.len, garbage[i], strlen(garbage[i]));
    two = (da_text){more, doc.len + strlen(garbage[i])};
    CHECK_INT(kit_code("id", two), DA_ECORRUPT);
  }
  memcpy(more + doc.len, "\0\0\0", 3);
  CHECK_INT(kit_code("id", (da_text){more, doc.len + 3}), DA_ECORRUPT);
  memcpy(more + doc.len, doc.data, doc.len); /* a longer one's old tail */
  CHECK_INT(kit_code("id", (da_text){more, doc.len * 2}), DA_ECORRUPT);
  CHECK_INT(kit_code("id", (da_text){more, doc.len * 2 - 20}), DA_ECORRUPT);
  free(more);
  kit_free(doc);
}

static void no_document(void) {
  da_text doc = fresh(2);
  char *bom = malloc(doc.len + 3);
  CHECK_INT(kit_code_s("id", ""), DA_ECORRUPT);
  CHECK_STR(err.message, "session 'id' is corrupt: it is empty");
  CHECK_INT(kit_code_s("id", " \n"), DA_ECORRUPT);
  CHECK_INT(kit_code_s("id", "null"), DA_ECORRUPT);
  CHECK_INT(kit_code_s("id", "5"), DA_ECORRUPT);
  CHECK_INT(kit_code_s("id", "\"messages\""), DA_ECORRUPT);
  CHECK_INT(kit_code_s("id", "{}"), DA_ECORRUPT);
  CHECK_INT(kit_code_s("id", "{\"messages\":[]"), DA_ECORRUPT);
  CHECK_INT(kit_code_s("id", "[{\"role\":\"user\"}"), DA_ECORRUPT);
  memcpy(bom, "\xef\xbb\xbf", 3); /* no editor of ours writes one */
  memcpy(bom + 3, doc.data, doc.len);
  CHECK_INT(kit_code("id", (da_text){bom, doc.len + 3}), DA_ECORRUPT);
  free(bom);
  kit_free(doc);
}

/* ---- of another kind ---- */

static void versions(void) {
  CHECK_INT(kit_code_s("id", "{\"version\":1,\"messages\":[]}"), DA_OK);
  CHECK_INT(kit_code_s("id", "{\"version\":2,\"messages\":[]}"), DA_EVERSION);
  CHECK_INT(kit_code_s("id", "{\"version\":999,\"messages\":{\"new\":1}}"),
            DA_EVERSION);
  CHECK(strstr(err.message, "999") != NULL);
  CHECK_INT(kit_code_s("id", "{\"version\":0,\"messages\":[]}"), DA_ECORRUPT);
  CHECK_INT(kit_code_s("id", "{\"version\":-1,\"messages\":[]}"), DA_ECORRUPT);
  CHECK_INT(kit_code_s("id", "{\"version\":1.0,\"messages\":[]}"),
            DA_ECORRUPT);
  CHECK_INT(kit_code_s("id", "{\"version\":18446744073709551617,"
                             "\"messages\":[]}"),
            DA_ECORRUPT);
}

static void identity(void) {
  da_text doc = fresh(1);
  CHECK_INT(kit_code("other", doc), DA_ECORRUPT);
  CHECK_STR(
      err.message,
      "session 'other' is corrupt: it calls itself by another id (a copy "
      "needs its own \"id\", or none)");
  CHECK_INT(kit_code("ID", doc), DA_ECORRUPT);
  kit_free(doc);
}

#define MESSAGE "{\"role\":\"user\"}"

static void twice(void) {
  CHECK_INT(kit_code_s("id", "{\"messages\":[" MESSAGE "],\"messages\":[]}"),
            DA_ECORRUPT);
  CHECK_INT(kit_code_s("id", "{\"messages\":[],\"m\\u0065ssages\":[]}"),
            DA_ECORRUPT);
}

static void messages_of_other_shapes(void) {
  static const char *const shapes[] = {"null",
                                       "{}",
                                       "\"x\"",
                                       "5",
                                       "true",
                                       "[null]",
                                       "[5]",
                                       "[\"x\"]",
                                       "[[]]",
                                       "[[" MESSAGE "]]",
                                       "[{}]",
                                       "[" MESSAGE ",]",
                                       "[" MESSAGE ",,{}]",
                                       "[" MESSAGE ",{\"role\":null}]",
                                       "[" MESSAGE ",{\"role\":5}]",
                                       "{\"0\":" MESSAGE "}"};
  char text[256];
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    snprintf(text, sizeof text, "{\"messages\":%s}", shapes[i]);
    CHECK_INT(kit_code_s("id", text), DA_ECORRUPT);
    CHECK(err.message[0] != '\0');
  }
}

/* Each known field set to a value of each kind: loads or is refused as this
** table says, in the order of `values`. */
static const char *const values[] = {"null", "true", "-1", "1e999",
                                     "\"\"", "[]",   "{}", "\"\\u0000\""};

static const struct {
  const char *before, *after;
  const char *loads; /* y(es) or n(o) */
} fields[] = {
    {"{\"version\":", ",\"messages\":[]}", "nnnnnnnn"},
    {"{\"id\":", ",\"messages\":[]}", "nnnnnnnn"},
    {"{\"metadata\":", ",\"messages\":[]}", "nnnnnnyn"},
    {"{\"messages\":", "}", "nnnnnynn"},
    {"{\"messages\":[],\"checksum\":", "}", "nnnnnnnn"},
    {"{\"messages\":[],\"unknown\":", "}", "yyyyyyyy"},
    {"{\"messages\":[{\"role\":", "}]}", "nnnnynny"},
    {"{\"messages\":[{\"role\":\"user\",\"content\":", "}]}", "yyyyyyyy"},
    {"{\"messages\":[{\"role\":\"user\",\"id\":", "}]}", "yyyyyyyy"},
    {"{\"messages\":[{\"role\":\"user\",\"created_at\":", "}]}", "yyyyyyyy"},
    {"{\"messages\":[{\"role\":\"user\",\"tool_calls\":", "}]}", "yyyyyyyy"},
    {"{\"messages\":[{\"id\":\"a\",\"created_at\":", ",\"role\":\"user\"}]}",
     "yyyyyyyy"},
    {"[{\"Role\":", "}]", "nnnnynny"},
    {"[{\"Role\":\"user\",\"Content\":", "}]", "yyyyyyyy"},
    {"[{\"Role\":\"user\",\"ToolCalls\":", "}]", "yyyyyyyy"},
    {"[{\"Role\":\"user\",\"ToolCallID\":", "}]", "yyyyyyyy"}};

static void field_types(void) {
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
    for (size_t k = 0; k < 8; k++) {
      char text[256];
      loaded l;
      snprintf(text, sizeof text, "%s%s%s", fields[i].before, values[k],
               fields[i].after);
      kit_load(&l, "id", kit_text_of(text));
      if (l.code != (fields[i].loads[k] == 'y' ? DA_OK : DA_ECORRUPT)) {
        fprintf(stderr, "%s: %s\n", text, da_code_name(l.code));
        CHECK(0 && "as the table says");
      }
      if (l.code == DA_OK && l.history.len) { /* the rest works */
        const da_message *m = da_history_at(&l.history, 0);
        CHECK(da_message_id(m).len > 0);
        CHECK(!(da_message_role(m) == DA_ROLE_SYSTEM));
        CHECK(da_message_created_at(m) >= 0);
        CHECK(da_message_created_at(m) < 1e11);
        CHECK_INT(da_message_content(m, &l.meta), DA_OK);
      }
      kit_unload(&l);
    }
}

static void deep(void) {
  static const char *const before[] = {"{\"metadata\":{\"a\":",
                                       "{\"x\":",
                                       ("{\"messages\":[{\"role\":\"user\","
                                        "\"content\":"),
                                       "{\"messages\":",
                                       "",
                                       "[{\"Role\":\"user\",\"Content\":"};
  for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
    da_buf b;
    da_buf_init(&b, KIT_CAP);
    da_buf_puts(&b, before[i]);
    for (int k = 0; k < 100000; k++)
      da_buf_puts(&b, "[");
    CHECK_INT(kit_code("id", da_buf_text(&b)), DA_ECORRUPT);
    for (int k = 0; k < 100000; k++)
      da_buf_puts(&b, "]");
    CHECK_INT(kit_code("id", da_buf_text(&b)), DA_ECORRUPT);
    da_buf_dispose(&b);
  }
}

/* Anything at all: no crash, and what loads can be stored again. */
static void mutations(void) {
  da_text doc = fresh(2);
  char *copy = malloc(doc.len + 8);
  uint64_t seed = 4711;
  for (int i = 0; i < 3000; i++) {
    size_t len = doc.len;
    loaded l;
    memcpy(copy, doc.data, len);
    for (size_t n = 1 + kit_below(&seed, 4); n > 0; n--) {
      size_t at = kit_below(&seed, len - 1);
      if (kit_below(&seed, 2))
        memmove(copy + at, copy + at + 1, --len - at);
      else
        copy[at] = "{}[]\",:0 x\n\\"[kit_below(&seed, 12)];
    }
    kit_load(&l, "id", (da_text){copy, len});
    if (l.code == DA_OK) {
      da_text again = kit_build("id", "{}", &l.history);
      CHECK_INT(kit_code("id", again), DA_OK);
      kit_free(again);
    }
    kit_unload(&l);
  }
  free(copy);
  kit_free(doc);
}

/* What is no checksum is not taken for one that an edit made stale. */
static void odd_checksums(void) {
  static const char *const sums[] = {
      "",
      "1:",
      "x",
      "1:0123456789abcdef0",
      "999:012345678",
      "12a:0123456789abcdef",
      "1-0123456789abcdef",
      "111111111111111111111111111111111111111111111111:0123456789abcdef",
  };
  char text[512];
  for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
    snprintf(text, sizeof text,
             "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],"
             "\"checksum\":\"%s\"}",
             sums[i]);
    CHECK_INT(kit_code("id", kit_text_of(text)), DA_ECORRUPT);
    CHECK(strstr(err.message, "its checksum is none") != NULL);
  }
}

/* Offsets have 32 bits. The bytes are taken, but not looked at. */
static void four_gigabytes(void) {
  da_history history = DA_HISTORY_EMPTY;
  da_buf none;
  da_buf_init(&none, KIT_CAP);
  CHECK_INT(da_document_parse(&history, &none, "id", calloc(1, 16),
                              (size_t)UINT32_MAX + 1, &err),
            DA_ETOOLARGE);
  CHECK_STR(err.message, "session 'id' is larger than 4 GiB");
  CHECK_INT(history.len, 0);
}

int main(void) {
  RUN(truncated);
  RUN(every_bit);
  RUN(two_bits);
  RUN(swapped_blocks);
  RUN(swapped_lines);
  RUN(zeros);
  RUN(appended);
  RUN(no_document);
  RUN(versions);
  RUN(identity);
  RUN(twice);
  RUN(messages_of_other_shapes);
  RUN(field_types);
  RUN(odd_checksums);
  RUN(four_gigabytes);
  RUN(deep);
  RUN(mutations);
  return check_done();
}
