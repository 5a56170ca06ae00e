/* test_content.c - questions of several parts, from C. */
#include "deepagent.h"

#include "agent_kit.h"

static const char gif[] = "GIF89a";
#define GIF                                                                   \
  "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/gif;base64,"   \
  "R0lGODlh\"}}"
#define TEXT(s) "{\"type\":\"text\",\"text\":\"" s "\"}"

static da_runtime *rt;
static da_agent *a;
static da_content *c;
static cage birds;

static void begin(void) {
  memset(&birds, 0, sizeof birds);
  rt = kit_runtime();
  a = kit_agent(rt, &birds);
  da_agent_set_memory(a, 1);
  CHECK_INT(da_content_new(&c, &err), DA_OK);
}

static void end(void) {
  da_content_free(c);
  da_agent_free(a);
  da_runtime_free(rt);
}

static void put_text(const char *s) {
  CHECK_INT(da_content_text(c, s, strlen(s), &err), DA_OK);
}

static void put_gif(void) {
  da_media m = {.bytes = {gif, 6}};
  CHECK_INT(da_content_image(c, &m, &err), DA_OK);
}

/* The wire text of message i, from its content on. */
static const char *content_of(size_t i) {
  static char text[4096];
  da_text raw = {"", 0};
  da_json_get(da_agent_message(a, i), "content", &raw);
  kit_copy(text, sizeof text, raw);
  return text;
}

static void parts_are_asked_in_their_order(void) {
  char *text = NULL;
  begin();
  put_text("What is");
  put_gif();
  put_text(" this?");
  CHECK_INT(da_content_image_url(c, "https://x/y", "low", &err), DA_OK);
  CHECK_INT(da_content_file_id(c, "f1", &err), DA_OK);
  CHECK_INT(da_content_json(c, "{\"type\":\"odd\",\"n\":1.50}", 23, &err),
            DA_OK);
  CHECK_INT(da_agent_ask_content(a, c, &text, &err), DA_OK);
  CHECK_STR(text, "You said: What is this?");
  free(text);
  CHECK_STR(content_of(0),
            "[" TEXT("What is") "," GIF "," TEXT(
                " this?") ","
                          "{\"type\":\"image_url\",\"image_url\":{\"url\":"
                          "\"https://x/y\","
                          "\"detail\":\"low\"}},{\"type\":\"file\",\"file\":{"
                          "\"file_id\":"
                          "\"f1\"}},{\"type\":\"odd\",\"n\":1.50}]");
  CHECK(!birds.stream);
  /* Again, as a stream that nobody hears. */
  CHECK_INT(da_agent_stream_content(a, c, NULL, NULL, &text, &err), DA_OK);
  CHECK(birds.stream);
  free(text);
  CHECK_INT(kit_count_messages(a), 4);
  end();
}

static void audio_and_files(void) {
  da_media m = {.bytes = {"fLaC", 4}, .name = "x"};
  char *text = NULL;
  begin();
  CHECK_INT(da_content_audio(c, &m, &err), DA_OK);
  CHECK_INT(da_content_file(c, &m, &err), DA_OK);
  CHECK_INT(da_agent_ask_content(a, c, &text, &err), DA_OK);
  CHECK_STR(text, "You said: ");
  free(text);
  CHECK_STR(content_of(0),
            "[{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"ZkxhQw==\""
            ",\"format\":\"flac\"}},{\"type\":\"file\",\"file\":{\"filename\":"
            "\"x\",\"file_data\":\"data:audio/flac;base64,ZkxhQw==\"}}]");
  end();
}

static void what_fails_adds_nothing(void) {
  da_media m = {.bytes = {"text", 4}};
  char *text = NULL;
  begin();
  CHECK_INT(da_agent_ask_content(a, c, &text, &err), DA_EINVAL); /* empty */
  CHECK_INT(da_content_image(c, &m, &err), DA_EUNSUPPORTED);
  put_text("a");
  CHECK_INT(da_content_audio(c, &m, &err), DA_EUNSUPPORTED);
  CHECK_INT(da_content_text(c, "\xff", 1, &err), DA_EUTF8);
  CHECK_INT(da_content_image_url(c, "x", NULL, &err), DA_EURL);
  CHECK_INT(da_content_file_id(c, "", &err), DA_EINVAL);
  CHECK_INT(da_content_json(c, "{\"type\":", 8, &err), DA_EJSON);
  CHECK_INT(da_content_json(c, "{\"type\":1}", 10, &err), DA_EINVAL);
  CHECK_INT(da_content_json(c, "[]", 2, &err), DA_EINVAL);
  put_text("b");
  CHECK_INT(birds.asked, 0);
  CHECK_INT(da_agent_ask_content(a, c, &text, &err), DA_OK);
  free(text);
  CHECK_STR(content_of(0), "[" TEXT("a") "," TEXT("b") "]");
  end();
}

/* {"role":"user","content":[]} has 28 bytes, the part 26. */
static void the_limit_of_messages_holds(void) {
  da_limits limits = {.message = 53};
  char *text = NULL;
  begin();
  put_text("a");
  CHECK_INT(da_agent_set_limits(a, &limits, &err), DA_OK);
  CHECK_INT(da_agent_ask_content(a, c, &text, &err), DA_ETOOLARGE);
  CHECK_INT(birds.asked, 0);
  limits.message = 54;
  CHECK_INT(da_agent_set_limits(a, &limits, &err), DA_OK);
  CHECK_INT(da_agent_ask_content(a, c, &text, &err), DA_OK);
  free(text);
  end();
}

static void a_turn_that_fails_keeps_nothing(void) {
  char *text = NULL;
  begin();
  put_text("a");
  birds.fail_step = DA_ESERVER;
  CHECK_INT(da_agent_ask_content(a, c, &text, &err), DA_ESERVER);
  birds.fail_start = DA_EURL;
  CHECK_INT(da_agent_ask_content(a, c, &text, &err), DA_EURL);
  CHECK_INT(kit_count_messages(a), 0);
  CHECK_INT(da_agent_close(a, &err), DA_OK);
  CHECK_INT(da_agent_ask_content(a, c, &text, &err), DA_ECLOSED);
  CHECK_INT(birds.running, 0);
  da_content_free(NULL);
  end();
}

int main(void) {
  RUN(parts_are_asked_in_their_order);
  RUN(audio_and_files);
  RUN(what_fails_adds_nothing);
  RUN(the_limit_of_messages_holds);
  RUN(a_turn_that_fails_keeps_nothing);
  return check_done();
}
