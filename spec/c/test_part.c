/* test_part.c - base64, what bytes are, and parts of content as wire text. */
#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "da_base64.h"
#include "da_json.h"
#include "da_part.h"
#include "da_part_type.h"

#include "check.h"
#include "text_kit.h"

static da_err err;
static char directory[PATH_MAX];
static char path[PATH_MAX + 64];

static const char png[] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
#define PNG_LEN (sizeof png - 1)
#define PNG_TEXT "iVBORw0KGgoAAAANSUhEUg=="

static da_text bytes_of(const char *data, size_t len) {
  da_text t = {data, len};
  return t;
}

static da_text text_of(const char *s) {
  return bytes_of(s, strlen(s));
}

static const char *in_directory(const char *name) {
  snprintf(path, sizeof path, "%s/%s", directory, name);
  return path;
}

static const char *file_of(const char *name, const void *bytes, size_t len) {
  FILE *f = fopen(in_directory(name), "wb");
  CHECK(f && fwrite(bytes, 1, len, f) == len);
  CHECK(f && fclose(f) == 0);
  return path;
}

/* ---- base64 ---- */

static void base64_has_the_vectors_of_the_rfc(void) {
  static const char *const vectors[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"},
                                           {"\xfb\xff\xbf", "+/+/"}};
  for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
    char to[16] = "";
    size_t len = strlen(vectors[i][0]);
    da_base64(to, vectors[i][0], len);
    CHECK_STR(to, vectors[i][1]);
    CHECK_INT(da_base64_size(len), strlen(vectors[i][1]));
  }
}

/* Another way: bit by bit. */
static void slowly(char *to, const unsigned char *s, size_t len) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnop"
                               "qrstuvwxyz0123456789+/";
  size_t bits = len * 8, at;
  for (at = 0; at < bits; at += 6) {
    unsigned digit = 0;
    for (size_t b = at; b < at + 6; b++)
      digit = digit * 2 + (b < bits ? s[b / 8] >> (7 - b % 8) & 1 : 0);
    *to++ = digits[digit];
  }
  for (at = (at / 6) % 4; at && at < 4; at++)
    *to++ = '=';
  *to = '\0';
}

static void base64_of_any_length_is_that_of_another_way(void) {
  unsigned char s[101];
  unsigned seed = 1;
  for (size_t i = 0; i < sizeof s; i++)
    s[i] = (unsigned char)((seed = seed * 1103515245 + 12345) >> 16);
  for (size_t len = 0; len <= 100; len++) {
    char to[160], want[160];
    memset(to, '#', sizeof to);
    da_base64(to, s, len);
    CHECK_INT(to[da_base64_size(len)], '#'); /* nothing behind it */
    to[da_base64_size(len)] = '\0';
    slowly(want, s, len);
    CHECK_STR(to, want);
  }
}

/* ---- types ---- */

#define IS(type, bytes)                                                       \
  CHECK_STR(da_part_any_type(bytes_of(bytes, sizeof(bytes) - 1), 1), type)

static void types_are_told_by_the_first_bytes(void) {
  IS("image/png", "\x89PNG\r\n\x1a\n");
  IS("image/jpeg", "\xff\xd8\xff\xe0");
  IS("image/gif", "GIF87a");
  IS("image/gif", "GIF89a..");
  IS("image/webp", "RIFF\1\0\0\0WEBPVP8 ");
  IS("image/tiff", "II*\0\1");
  IS("image/tiff", "MM\0*\1");
  IS("image/avif", "\0\0\0\x1c"
                   "ftypavif");
  IS("image/heic", "\0\0\0\x1c"
                   "ftypheic");
  IS("image/bmp", "BM\x9a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0");
  IS("image/bmp", "BM\x9a\0\0\0\0\0\0\0\x1a\0\0\0\x0c\0\0\0");
  IS("audio/wav", "RIFF\1\0\0\0WAVEfmt ");
  IS("audio/mpeg", "ID3\4\0");
  IS("audio/mpeg", "\xff\xfb\x90\x64");
  IS("audio/mpeg", "\xff\xf3\x40\xc0");
  IS("audio/aac", "\xff\xf1\x50\x80\x02\x1f\xfc");
  IS("audio/ogg", "OggS\0");
  IS("audio/flac", "fLaC\0");
  IS("audio/mp4", "\0\0\0\x20"
                  "ftypM4A \0");
  IS("video/mp4", "\0\0\0\x20"
                  "ftypisom\0");
  IS("application/pdf", "%PDF-1.7\n");
  IS("application/zip", "PK\3\4\n");
}

static void types_are_not_told_by_less(void) {
  IS("application/octet-stream", "\x89PNG");
  IS("application/octet-stream", "\xff\xd8");
  IS("text/plain", "GIF");
  IS("text/plain", "RIFF1234AVI ");
  IS("text/plain", "RIFF");
  IS("text/plain", "BMW is a maker of cars in Munich");
  IS("application/octet-stream", "\xff\xfeH\0e\0l\0"); /* UTF-16 */
  IS("application/octet-stream", "\xff\xfb\xf0\x64");  /* no such bit rate */
  IS("application/octet-stream", "\xff\xfb\x9c\x64");  /* nor sampling rate */
  IS("application/octet-stream", "a\0b");
  IS("text/plain", "gr\xc3\xbc\xc3\x9f");
  IS("application/octet-stream", "gr\xc3\xbc\xc3");
  /* More follows: the character may be whole then. */
  CHECK_STR(da_part_any_type(bytes_of("gr\xc3\xbc\xc3", 5), 0), "text/plain");
  CHECK_STR(da_part_any_type(bytes_of("gr\xc3\xbc\xc3zzz", 8), 0),
            "application/octet-stream");
}

static void types_are_written_as_types_are(void) {
  CHECK(da_part_type_ok("image/svg+xml") && da_part_type_ok("a/b"));
  CHECK(!da_part_type_ok("") && !da_part_type_ok("image"));
  CHECK(!da_part_type_ok("image/") && !da_part_type_ok("/png"));
  CHECK(!da_part_type_ok("image/png;base64,x") &&
        !da_part_type_ok("image/p\"ng") && !da_part_type_ok("a/b/c"));
}

static void audio_has_names_of_its_own(void) {
  CHECK_STR(da_part_audio_format("audio/mpeg"), "mp3");
  CHECK_STR(da_part_audio_format("audio/x-wav"), "wav");
  CHECK_STR(da_part_audio_format("audio/mp4"), "m4a");
  CHECK_STR(da_part_audio_format("audio/opus"), "opus");
  CHECK(!da_part_audio_format("image/png"));
}

/* ---- parts ---- */

static da_buf out;

/* What the part is, or the name of the code with which it fails; then nothing
** may have been added. */
static const char *written(int code) {
  if (!code) {
    CHECK_INT(da_json_check(da_buf_text(&out), &err), DA_OK);
    return out.data;
  }
  CHECK_INT(err.code, code);
  CHECK_INT(out.len, 0);
  CHECK_INT(out.failed, DA_OK);
  return da_code_name(code);
}

#define PART(want, call)                                                      \
  do {                                                                        \
    da_buf_init(&out, KIT_CAP);                                               \
    CHECK_STR(written(call), want);                                           \
    da_buf_dispose(&out);                                                     \
  } while (0)

static void an_image_is_a_data_url(void) {
  da_media m = {.bytes = {png, PNG_LEN}};
  PART("{\"type\":\"image_url\",\"image_url\":{\"url\":"
       "\"data:image/png;base64," PNG_TEXT "\"}}",
       da_part_image(&out, &m, &err));
  m.path = file_of("photo.txt", png, PNG_LEN);
  m.detail = "high";
  PART("{\"type\":\"image_url\",\"image_url\":{\"url\":"
       "\"data:image/png;base64," PNG_TEXT "\",\"detail\":\"high\"}}",
       da_part_image(&out, &m, &err));
  m.type = "image/x-odd";
  m.detail = NULL;
  PART("{\"type\":\"image_url\",\"image_url\":{\"url\":"
       "\"data:image/x-odd;base64," PNG_TEXT "\"}}",
       da_part_image(&out, &m, &err));
}

static void audio_has_a_format(void) {
  da_media m = {.bytes = {"RIFF\4\0\0\0WAVE", 12}};
  PART("{\"type\":\"input_audio\",\"input_audio\":{\"data\":"
       "\"UklGRgQAAABXQVZF\",\"format\":\"wav\"}}",
       da_part_audio(&out, &m, &err));
  m.type = "audio/mpeg";
  PART("{\"type\":\"input_audio\",\"input_audio\":{\"data\":"
       "\"UklGRgQAAABXQVZF\",\"format\":\"mp3\"}}",
       da_part_audio(&out, &m, &err));
}

static void a_file_has_a_name_without_its_directory(void) {
  da_media m = {.path = file_of("a \"b\".pdf", "%PDF-", 5)};
  PART("{\"type\":\"file\",\"file\":{\"filename\":\"a \\\"b\\\".pdf\","
       "\"file_data\":\"data:application/pdf;base64,JVBERi0=\"}}",
       da_part_file(&out, &m, &err));
  m.name = "other";
  m.type = "text/x";
  PART("{\"type\":\"file\",\"file\":{\"filename\":\"other\","
       "\"file_data\":\"data:text/x;base64,JVBERi0=\"}}",
       da_part_file(&out, &m, &err));
  m.name = "a\nb";
  PART("invalid_argument", da_part_file(&out, &m, &err));
  m.name = "\xff";
  PART("invalid_argument", da_part_file(&out, &m, &err));
  m.name = "";
  PART("invalid_argument", da_part_file(&out, &m, &err));
  PART("{\"type\":\"file\",\"file\":{\"file_id\":\"file-1\"}}",
       da_part_file_id(&out, text_of("file-1"), &err));
  PART("invalid_argument", da_part_file_id(&out, text_of(""), &err));
  PART("invalid_argument", da_part_file_id(&out, text_of("a\rb"), &err));
}

static void what_it_is_not_it_is_not(void) {
  da_media m = {.bytes = {"hello", 5}};
  PART("unsupported", da_part_image(&out, &m, &err));
  CHECK(strstr(err.message, "no image") && strstr(err.message, "text/plain"));
  PART("unsupported", da_part_audio(&out, &m, &err));
  m.bytes = bytes_of("%PDF-", 5);
  PART("unsupported", da_part_image(&out, &m, &err));
  m.bytes = bytes_of(png, PNG_LEN);
  PART("unsupported", da_part_audio(&out, &m, &err));
  m.bytes.len = 0;
  PART("invalid_argument", da_part_file(&out, &m, &err));
  m.bytes.len = PNG_LEN;
  m.type = "text/plain";
  PART("invalid_argument", da_part_image(&out, &m, &err));
  PART("invalid_argument", da_part_audio(&out, &m, &err));
  m.type = "image/png\",\"x\":\"";
  PART("invalid_argument", da_part_image(&out, &m, &err));
  m.type = NULL;
  m.detail = "l\"ow";
  PART("invalid_argument", da_part_image(&out, &m, &err));
  m.detail = "";
  PART("invalid_argument", da_part_image(&out, &m, &err));
}

static void urls_of_images(void) {
  static const char *const bad[] = {"",
                                    "photo.png",
                                    "file:///etc/passwd",
                                    "ftp://x/y",
                                    "https://",
                                    "data:text/html,x",
                                    "https://x/\r\ny",
                                    "https://x/ y",
                                    "https\n://",
                                    "https://\xff/",
                                    "javascript:alert(1)",
                                    "https://x/\x7f"};
  PART("{\"type\":\"image_url\",\"image_url\":{\"url\":"
       "\"https://x/y?a=\\\"b\\\"\",\"detail\":\"low\"}}",
       da_part_image_url(&out, text_of("https://x/y?a=\"b\""), "low", &err));
  PART("{\"type\":\"image_url\",\"image_url\":{\"url\":\"HTTP://x\"}}",
       da_part_image_url(&out, text_of("HTTP://x"), NULL, &err));
  PART("{\"type\":\"image_url\",\"image_url\":{\"url\":"
       "\"data:image/gif;base64,AA==\"}}",
       da_part_image_url(&out, text_of("data:image/gif;base64,AA=="), NULL,
                         &err));
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    PART("invalid_url", da_part_image_url(&out, text_of(bad[i]), NULL, &err));
  PART("invalid_url",
       da_part_image_url(&out, bytes_of("https://x/\0y", 12), NULL, &err));
  PART("invalid_argument",
       da_part_image_url(&out, text_of("https://x"), "a b", &err));
}

static void texts(void) {
  PART("{\"type\":\"text\",\"text\":\"a\\n\\\"\"}",
       da_part_text(&out, text_of("a\n\""), &err));
  PART("invalid_utf8", da_part_text(&out, text_of("a\xff"), &err));
}

/* ---- files ---- */

#define REFUSED(want)                                                         \
  do {                                                                        \
    PART(want, da_part_image(&out, &m, &err));                                \
    PART(want, da_part_file(&out, &m, &err));                                 \
  } while (0)

static void only_regular_files_are_read(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  da_media m = {.path = in_directory("none")};
  REFUSED("not_found");
  m.path = directory;
  REFUSED("unsafe_file");
  m.path = "/dev/zero";
  REFUSED("unsafe_file");
  m.path = "/proc/self/mem"; /* a regular file that begins with no page */
  if (access(m.path, R_OK) == 0)
    REFUSED("io_error");
  m.path = in_directory("fifo");
  CHECK_INT(mkfifo(path, 0600), 0);
  REFUSED("unsafe_file"); /* and nobody waits for a writer */
  m.path = in_directory("socket");
  strcpy(address.sun_path, "socket"); /* whole paths may be too long */
  CHECK_INT(chdir(directory), 0);
  CHECK_INT(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
  REFUSED("unsafe_file");
  close(fd);
  m.path = in_directory("loop");
  CHECK_INT(symlink("loop", path), 0);
  REFUSED("unsafe_file");
  m.path = file_of("empty", "", 0);
  REFUSED("invalid_argument");
  m.path = in_directory("empty/x");
  REFUSED("not_found");
  m.path = file_of("real", png, PNG_LEN);
  CHECK_INT(symlink("real", in_directory("link")), 0);
  PART("{\"type\":\"file\",\"file\":{\"filename\":\"link\",\"file_data\":"
       "\"data:image/png;base64," PNG_TEXT "\"}}",
       da_part_file(&out, &m, &err));
}

static void what_is_too_large_is_not_read(void) {
  da_media m = {.path = file_of("real", png, PNG_LEN)};
  m.max_bytes = PNG_LEN - 1;
  REFUSED("too_large");
  m.path = NULL;
  m.bytes = bytes_of(png, PNG_LEN);
  REFUSED("too_large");
  m.max_bytes = PNG_LEN;
  PART("{\"type\":\"image_url\",\"image_url\":{\"url\":"
       "\"data:image/png;base64," PNG_TEXT "\"}}",
       da_part_image(&out, &m, &err));
  /* The default: a hole of just more, of which nothing is read. */
  m.max_bytes = 0;
  m.path = file_of("hole", png, PNG_LEN);
  CHECK_INT(truncate(path, (off_t)DA_PART_BYTES + 1), 0);
  REFUSED("too_large");
  CHECK_INT(truncate(path, (off_t)1 << 30), 0);
  REFUSED("too_large");
  CHECK(strstr(err.message, "has 1073741824 bytes"));
}

/* One that says it has no bytes, and has many: read only up to the limit. */
static void a_file_that_hides_its_size_is_capped_all_the_same(void) {
  da_media m = {.path = "/proc/self/maps", .max_bytes = 64};
  struct stat st;
  if (stat(m.path, &st) < 0 || st.st_size != 0) {
    SKIP("a file that hides its size", "no such file in /proc");
    return;
  }
  PART("too_large", da_part_file(&out, &m, &err));
  m.max_bytes = 0;
  da_buf_init(&out, KIT_CAP);
  CHECK_INT(da_part_file(&out, &m, &err), DA_OK);
  CHECK(out.len > 64);
  da_buf_dispose(&out);
}

/* Around the pieces in which files are read. */
static void files_of_many_pieces_are_whole(void) {
  static const size_t sizes[] = {1,     2,     12287, 12288,
                                 12289, 24575, 24576, 24577};
  static char bytes[24577], want[40000],
      begin[] =
          "{\"type\":\"file\",\"file\":{\"filename\":\"many\",\"file_data\":"
          "\"data:application/octet-stream;base64,";
  da_media m;
  memset(&m, 0, sizeof m);
  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (char)(i * 31 + i / 256);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    m.path = file_of("many", bytes, sizes[i]);
    memcpy(want, begin, sizeof begin);
    slowly(want + strlen(want), (unsigned char *)bytes, sizes[i]);
    strcat(want, "\"}}");
    PART(want, da_part_file(&out, &m, &err));
  }
}

/* What does not fit in the buffer leaves it as it was, and usable. */
static void a_part_that_does_not_fit_leaves_no_trace(void) {
  da_media m = {.bytes = {png, PNG_LEN}};
  da_buf_init(&out, 100); /* the image begins to be written */
  CHECK_INT(da_part_text(&out, text_of("a"), &err), DA_OK);
  CHECK_INT(da_part_image(&out, &m, &err), DA_ETOOLARGE);
  CHECK_STR(out.data, "{\"type\":\"text\",\"text\":\"a\"}");
  CHECK_INT(da_part_text(&out, text_of("b"), &err), DA_OK);
  CHECK_STR(out.data, "{\"type\":\"text\",\"text\":\"a\"}"
                      "{\"type\":\"text\",\"text\":\"b\"}");
  da_buf_dispose(&out);
}

static void clean(void) {
  char command[PATH_MAX + 16];
  snprintf(command, sizeof command, "rm -rf %s", directory);
  CHECK_INT(system(command), 0);
}

int main(void) {
  const char *tmp = getenv("TMPDIR");
  snprintf(directory, sizeof directory, "%s/deepagent-part.XXXXXX",
           tmp ? tmp : "/tmp");
  if (!mkdtemp(directory))
    return EXIT_FAILURE;
  RUN(base64_has_the_vectors_of_the_rfc);
  RUN(base64_of_any_length_is_that_of_another_way);
  RUN(types_are_told_by_the_first_bytes);
  RUN(types_are_not_told_by_less);
  RUN(types_are_written_as_types_are);
  RUN(audio_has_names_of_its_own);
  RUN(an_image_is_a_data_url);
  RUN(audio_has_a_format);
  RUN(a_file_has_a_name_without_its_directory);
  RUN(what_it_is_not_it_is_not);
  RUN(urls_of_images);
  RUN(texts);
  RUN(only_regular_files_are_read);
  RUN(what_is_too_large_is_not_read);
  RUN(a_file_that_hides_its_size_is_capped_all_the_same);
  RUN(files_of_many_pieces_are_whole);
  RUN(a_part_that_does_not_fit_leaves_no_trace);
  clean();
  return check_done();
}
