/* da_part_type.c - what bytes are. */
#include "da_part_type.h"

#include <string.h>

#include "da_utf8.h"

static int at(da_text head, size_t offset, const char *magic, size_t len) {
  return head.len >= offset + len &&
         memcmp(head.data + offset, magic, len) == 0;
}

#define AT(head, offset, magic) at(head, offset, magic, sizeof magic - 1)

/* "BM" begins many a text: its header must make sense, too. */
static int is_bmp(da_text head) {
  return AT(head, 0, "BM") && AT(head, 6, "\0\0\0\0") &&
         (AT(head, 14, "\x28\0\0\0") || AT(head, 14, "\x6c\0\0\0") ||
          AT(head, 14, "\x7c\0\0\0") || AT(head, 14, "\x0c\0\0\0"));
}

/* A frame's header: eleven bits of sync, then layer III (which a byte order
** mark of UTF-16 is not), a bit rate and a sampling rate that there are. */
static int is_mp3_frame(da_text head) {
  const unsigned char *s = (const unsigned char *)head.data;
  return head.len >= 4 && s[0] == 0xff && (s[1] & 0xe6) == 0xe2 &&
         (s[1] & 0x18) != 0x08 && s[2] >> 4 != 0 && s[2] >> 4 != 15 &&
         (s[2] & 0x0c) != 0x0c;
}

/* AAC in ADTS: twelve bits of sync, layer 0. */
static int is_aac(da_text head) {
  const unsigned char *s = (const unsigned char *)head.data;
  return head.len >= 7 && s[0] == 0xff && (s[1] & 0xf6) == 0xf0 &&
         (s[2] >> 2 & 15) < 13;
}

/* The family of MP4 tells its kind behind "ftyp". */
static const char *brand(da_text head) {
  static const char *const types[][2] = {
      {"avif", "image/avif"}, {"avis", "image/avif"}, {"heic", "image/heic"},
      {"heix", "image/heic"}, {"mif1", "image/heif"}, {"M4A ", "audio/mp4"},
      {"M4B ", "audio/mp4"}};
  if (!AT(head, 4, "ftyp"))
    return NULL;
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (at(head, 8, types[i][0], 4))
      return types[i][1];
  return "video/mp4";
}

static const char *riff(da_text head) {
  if (!AT(head, 0, "RIFF"))
    return NULL;
  return AT(head, 8, "WEBP")   ? "image/webp"
         : AT(head, 8, "WAVE") ? "audio/wav"
                               : NULL;
}

const char *da_part_type(da_text head) {
  static const struct {
    const char *magic;
    size_t len;
    const char *type;
  } known[] = {{"\x89PNG\r\n\x1a\n", 8, "image/png"},
               {"\xff\xd8\xff", 3, "image/jpeg"},
               {"GIF87a", 6, "image/gif"},
               {"GIF89a", 6, "image/gif"},
               {"II*\0", 4, "image/tiff"},
               {"MM\0*", 4, "image/tiff"},
               {"%PDF-", 5, "application/pdf"},
               {"ID3", 3, "audio/mpeg"},
               {"OggS", 4, "audio/ogg"},
               {"fLaC", 4, "audio/flac"},
               {"PK\x03\x04", 4, "application/zip"}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (at(head, 0, known[i].magic, known[i].len))
      return known[i].type;
  if (is_bmp(head))
    return "image/bmp";
  if (is_mp3_frame(head))
    return "audio/mpeg";
  if (is_aac(head))
    return "audio/aac";
  return riff(head) ? riff(head) : brand(head);
}

/* A character may be cut where the head ends. */
static int is_text(da_text head, int whole) {
  size_t valid = da_utf8_check(head.data, head.len);
  return !memchr(head.data, 0, head.len) &&
         (valid == head.len || (!whole && head.len - valid < 4));
}

const char *da_part_any_type(da_text head, int whole) {
  const char *type = da_part_type(head);
  if (type)
    return type;
  return is_text(head, whole) ? "text/plain" : "application/octet-stream";
}

const char *da_part_audio_format(const char *type) {
  static const char *const other[][2] = {
      {"mpeg", "mp3"},   {"mp4", "m4a"},   {"x-m4a", "m4a"},
      {"wave", "wav"},   {"x-wav", "wav"}, {"vnd.wave", "wav"},
      {"x-flac", "flac"}};
  if (strncmp(type, "audio/", 6) != 0)
    return NULL;
  for (size_t i = 0; i < sizeof other / sizeof *other; i++)
    if (strcmp(type + 6, other[i][0]) == 0)
      return other[i][1];
  return type + 6;
}

int da_part_type_ok(const char *type) {
  static const char fine[] = "abcdefghijklmnopqrstuvwxyz"
                             "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-._";
  size_t kind = strspn(type, fine);
  size_t sub = type[kind] == '/' ? strspn(type + kind + 1, fine) : 0;
  return kind && sub && !type[kind + 1 + sub] && kind + sub < 127;
}
