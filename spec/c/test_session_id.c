/* test_session_id.c - which session ids there are, and their file names. */
#include "check.h"

#include <unistd.h>

#include "da_session_id.h"

static int check_id(const char *id) {
  da_err err;
  int code = da_session_id_check(id, strlen(id), &err);
  CHECK(code == DA_OK || (err.code == code && err.message[0]));
  return code;
}

/* The name of an id that is allowed, after the way back was tried. */
static const char *name_of(const char *id) {
  static char name[DA_SESSION_ID_MAX + 1];
  char back[DA_SESSION_ID_MAX + 1] = "?";
  CHECK_INT(check_id(id), DA_OK);
  da_session_id_encode(id, name);
  CHECK(strlen(name) <= DA_SESSION_ID_MAX);
  CHECK(da_session_id_decode(name, strlen(name), back));
  CHECK_STR(back, id);
  return name;
}

static void names_of_ids(void) {
  CHECK_STR(name_of("user-alice"), "user-alice");
  CHECK_STR(name_of("abc.def_0"), "abc.def_0");
  CHECK_STR(name_of("Alice"), "%41lice");
  CHECK_STR(name_of("-a"), "%2da");
  CHECK_STR(name_of(".tmp"), "%2etmp");
  CHECK_STR(name_of("..a"), "%2e.a");
  CHECK_STR(name_of("a%2fb"), "a%252fb");
  CHECK_STR(name_of("a b"), "a%20b");
  CHECK_STR(name_of("C:\\x"), "%43%3a%5cx");
  CHECK_STR(name_of("\xc3\xa9"), "%c3%a9");
  CHECK_STR(name_of("a.json"), "a.json");
}

static void device_names(void) {
  CHECK_STR(name_of("con"), "%63on");
  CHECK_STR(name_of("nul.json"), "%6eul.json");
  CHECK_STR(name_of("com0"), "%63om0");
  CHECK_STR(name_of("lpt9.x.y"), "%6cpt9.x.y");
  CHECK_STR(name_of("prn"), "%70rn");
  CHECK_STR(name_of("aux"), "%61ux");
  CHECK_STR(name_of("CON"), "%43%4f%4e");
  CHECK_STR(name_of("console"), "console");
  CHECK_STR(name_of("com"), "com");
  CHECK_STR(name_of("com12"), "com12");
  CHECK_STR(name_of("coma"), "coma");
  CHECK_STR(name_of("con9"), "con9");
  CHECK_STR(name_of("a.con"), "a.con");
}

static void refused_ids(void) {
  static const char *const bad[] = {
      "",
      ".",
      "..",
      "a.",
      "...",
      " ",
      " a",
      "a ",
      "a/b",
      "/",
      "a\n",
      "\x1b",
      "\x7f",
      "\xc2\x80",
      "a\xc2\x9f"
      "b",
      "\xff",
      "\x80",
      "\xe2\x82",
      "\xc0\xaf",
      "\xed\xa0\x80",
      "\xf5\x80\x80\x80",
      NULL,
  };
  da_err err;
  for (const char *const *id = bad; *id; id++)
    CHECK_INT(check_id(*id), DA_EID);
  CHECK_INT(da_session_id_check("a\0b", 3, &err), DA_EID);
  CHECK_INT(da_session_id_check("a\0b", 3, NULL), DA_EID);
  CHECK_INT(check_id("\xc2\xa0"), DA_OK); /* above C1 */
}

static void fill(char *id, char c, size_t len) {
  memset(id, c, len);
  id[len] = '\0';
}

static void length_limit(void) {
  char id[400];
  fill(id, 'x', 200);
  CHECK_STR(name_of(id), id);
  fill(id, 'x', 201);
  CHECK_INT(check_id(id), DA_EID);
  fill(id, 'X', 66); /* 198 encoded */
  CHECK_INT((int)strlen(name_of(id)), 198);
  fill(id, 'X', 67);
  CHECK_INT(check_id(id), DA_EID);
  fill(id, 'x', 200);
  memcpy(id, "con.", 4); /* two more for its first letter */
  CHECK_INT(check_id(id), DA_EID);
  id[198] = '\0';
  CHECK_INT((int)strlen(name_of(id)), 200);
}

static void names_of_nothing(void) {
  static const char *const bad[] = {
      "",     "A",     "a%",     "a%2",      "a%2F", "a%2f",   "%61",
      "a%2d", "a%62",  "%2",     "%zz",      "-a",   ".a",     "a.",
      "con",  "con.x", "%63onx", "%63",      "%00",  "a%0a",   "%ff",
      "a%20", "%20a",  "a b",    "\xc3\xa9", "%c3",  "a/b",    "com1",
      "%2e",  "%2e.",  "%43ON",  "%c2%80",   "%6",   "%e2%82", NULL,
  };
  char id[DA_SESSION_ID_MAX + 1], name[302];
  for (const char *const *n = bad; *n; n++)
    if (da_session_id_decode(*n, strlen(*n), id)) {
      fprintf(stderr, "%s was taken for the name of %s\n", *n, id);
      CHECK(0);
    }
  CHECK(!da_session_id_decode("a\0", 2, id));
  fill(name, 'x', 201);
  CHECK(!da_session_id_decode(name, 201, id));
  CHECK(da_session_id_decode("ab.json", 2, id)); /* as far as told */
  CHECK_STR(id, "ab");
}

/* Every name of up to three of these characters: if it is an id's, it is
** the one that encode makes, so no two names have one id. */
static void decode_is_the_inverse(void) {
  static const char set[] = "ab%026fA.-_ lnu\xc3";
  char name[6] = "", id[DA_SESSION_ID_MAX + 1], again[DA_SESSION_ID_MAX + 1];
  size_t n = sizeof set, all = n * n * n * n * n, found = 0;
  for (size_t i = 0; i < all; i++) {
    size_t rest = i, len;
    for (size_t k = 0; k < 5; k++, rest /= n)
      name[k] = set[rest % n];
    len = strlen(name);
    if (!da_session_id_decode(name, len, id))
      continue;
    found++;
    da_session_id_encode(id, again);
    if (strcmp(again, name) != 0 ||
        da_session_id_check(id, strlen(id), NULL) != DA_OK) {
      CHECK_STR(again, name);
      return;
    }
  }
  CHECK(found > 1000);
}

/* --- the shared vectors --- */

static const char *member(const char *line, const char *key) {
  const char *at = strstr(line, key);
  return at ? at + strlen(key) : NULL;
}

/* The bytes of an id in the vectors: its length, or -1 (a blank line). */
static int vector_id(char *id, const char *line) {
  const char *hex = member(line, "\"hex\": \"");
  const char *repeat = member(line, "\"repeat\": [\"");
  unsigned byte;
  int len = 0;
  if (!hex && !repeat)
    return -1;
  if (repeat) {
    len = atoi(repeat + 5);
    sscanf(repeat, "%2x", &byte);
    memset(id, (int)byte, (size_t)len);
  }
  for (; hex && sscanf(hex, "%2x", &byte) == 1 && *hex != '"'; hex += 2)
    id[len++] = (char)byte;
  id[len] = '\0';
  return len;
}

static void vector(const char *line, int *seen) {
  char id[4096];
  const char *policy = member(line, "\"policy\": \"");
  int len = vector_id(id, line), code;
  da_err err;
  if (len < 0 || !policy)
    return;
  ++*seen;
  code = da_session_id_check(id, (size_t)len, &err);
  if (strncmp(policy, "reject\"", 7) == 0)
    CHECK_INT(code, DA_EID);
  if (strncmp(policy, "accept\"", 7) == 0)
    CHECK_INT(code, DA_OK);
  CHECK(code == DA_OK || code == DA_EID);
  if (code == DA_OK)
    name_of(id);
}

static FILE *open_vectors(void) {
  const char *shared = getenv("DA_SHARED");
  char path[4096];
  if (!shared)
    shared = getenv("DEEPAGENT_SHARED");
  snprintf(path, sizeof path, "%s/vectors/session_ids/session_ids.jsonl",
           shared ? shared : "../shared");
  return fopen(path, "r");
}

static void shared_vectors(void) {
  FILE *f = open_vectors();
  char *line = NULL;
  size_t size = 0;
  int seen = 0;
  CHECK(f != NULL);
  while (f && getline(&line, &size, f) > 0)
    vector(line, &seen);
  CHECK_INT(seen, 141);
  free(line);
  if (f)
    fclose(f);
}

int main(void) {
  FILE *f;
  RUN(names_of_ids);
  RUN(device_names);
  RUN(refused_ids);
  RUN(length_limit);
  RUN(names_of_nothing);
  RUN(decode_is_the_inverse);
  f = open_vectors();
  if (f) {
    fclose(f);
    RUN(shared_vectors);
  } else {
    SKIP("shared_vectors", "no ../shared/vectors here");
  }
  return check_done();
}
