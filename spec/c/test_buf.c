/* test_buf.c - buffers with a cap, and errors: what a failure leaves. */
#include "da_buf.h"

#include "check.h"

#include <errno.h>
#include <wchar.h>

static da_err err;

static void a_cap(void) {
  da_buf b;
  size_t len = 0;
  da_buf_init(&b, 10);
  CHECK_INT(da_buf_puts(&b, "0123456789"), DA_OK); /* just as many */
  CHECK_INT(da_buf_check(&b, "it", &err), DA_OK);
  CHECK_INT(da_buf_put(&b, "x", 1), DA_ETOOLARGE);
  CHECK_STR(b.data, "0123456789");              /* what was in it stays */
  CHECK_INT(da_buf_puts(&b, ""), DA_ETOOLARGE); /* and the failure, too */
  CHECK_INT(da_buf_printf(&b, "%d", 1), DA_ETOOLARGE);
  CHECK(da_buf_room(&b, 1) == NULL);
  CHECK(da_buf_take(&b, &len) == NULL);
  CHECK_INT(da_buf_check(&b, "it", &err), DA_ETOOLARGE);
  CHECK_STR(err.message, "it is larger than 10 bytes");
  da_buf_reset(&b);
  CHECK_INT(da_buf_printf(&b, "%s", "abc"), DA_OK);
  CHECK_STR(b.data, "abc");
  CHECK_INT(da_buf_printf(&b, "%s", "0123456789"), DA_ETOOLARGE);
  CHECK_STR(b.data, "abc");
  da_buf_dispose(&b);
}

/* More than a size_t can count is no way around the cap. */
static void no_overflow(void) {
  da_buf b;
  da_buf_init(&b, SIZE_MAX / 2);
  CHECK_INT(da_buf_puts(&b, "abc"), DA_OK);
  CHECK(da_buf_room(&b, SIZE_MAX - 2) == NULL);
  CHECK_INT(b.failed, DA_ETOOLARGE);
  da_buf_dispose(&b);
}

static void taking(void) {
  da_buf b;
  size_t len = 9;
  char *s;
  da_buf_init(&b, 100);
  s = da_buf_take(&b, &len); /* of nothing: an empty text */
  CHECK_STR(s, "");
  CHECK_INT(len, 0);
  free(s);
  CHECK_INT(da_buf_put(&b, "a\0b", 3), DA_OK);
  s = da_buf_take(&b, &len);
  CHECK_INT(len, 3);
  CHECK(s && memcmp(s, "a\0b", 4) == 0);
  free(s);
  CHECK(b.data == NULL && b.len == 0); /* it can be used again */
  CHECK_INT(da_buf_puts(&b, "x"), DA_OK);
  da_buf_dispose(&b);
}

/* A wide character that the locale ("C") has not cannot be printed. */
static void what_cannot_be_printed(void) {
  da_buf b;
  da_buf_init(&b, 100);
  CHECK_INT(da_buf_printf(&b, "%lc", (wint_t)0x20ac), DA_EINVAL);
  CHECK_INT(da_buf_check(&b, "it", &err), DA_EINVAL);
  CHECK_STR(err.message, "it could not be built");
  da_buf_dispose(&b);
  CHECK_INT(da_fail(&err, DA_EIO, "%lc", (wint_t)0x20ac), DA_EIO);
  CHECK_INT(err.code, DA_EIO);
  CHECK_STR(err.message, "");
}

/* ---- errors ---- */

static void long_messages(void) {
  char text[3 * sizeof err.message], want[sizeof err.message];
  memset(text, 'x', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  memset(want, 'x', sizeof want - 1);
  want[sizeof want - 1] = '\0';
  CHECK_INT(da_fail(&err, DA_EIO, "%s", text), DA_EIO);
  CHECK_STR(err.message, want);
  /* Nor is a character cut in two. */
  for (size_t i = 0; i + 1 < sizeof text - 1; i += 2)
    memcpy(text + i, "\xC3\xA4", 2);
  da_err_set_message(&err, text, sizeof text - 1);
  CHECK_INT(strlen(err.message), (sizeof err.message - 1) / 2 * 2);
  CHECK_INT(da_fail(NULL, DA_EIO, "%s", text), DA_EIO); /* nobody asks */
}

static void forged_messages(void) {
  static const char text[] =
      "a\nb\x7f\xC2\x85\xFF\xE2\x82\xAC\xC3\xA4\xC2\xA0";
  da_err_set_message(&err, text, sizeof text - 1);
  CHECK_STR(err.message, "a?b???\xE2\x82\xAC\xC3\xA4\xC2\xA0");
}

static void numbers_of_the_system(void) {
  static const struct {
    int number, code;
  } all[] = {
      {ENOMEM, DA_ENOMEM}, {ENOENT, DA_ENOTFOUND}, {EACCES, DA_EPERM},
      {EPERM, DA_EPERM},   {EROFS, DA_EPERM},      {ENOSPC, DA_EFULL},
      {EDQUOT, DA_EFULL},  {EFBIG, DA_EFULL},      {ELOOP, DA_EUNSAFE},
      {EIO, DA_EIO},       {EMFILE, DA_EIO},       {12345, DA_EIO},
  };
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    CHECK_INT(da_fail_errno(&err, all[i].number, "file '%s'", "x"),
              all[i].code);
    CHECK_INT(err.code, all[i].code);
    CHECK(strncmp(err.message, "file 'x': ", 10) == 0 && err.message[10]);
    CHECK_INT(da_fail_errno(NULL, all[i].number, "x"), all[i].code);
  }
  CHECK_INT(da_nomem(&err), DA_ENOMEM);
  CHECK_STR(err.message, "out of memory");
  CHECK_INT(da_nomem(NULL), DA_ENOMEM);
}

int main(void) {
  RUN(a_cap);
  RUN(no_overflow);
  RUN(taking);
  RUN(what_cannot_be_printed);
  RUN(long_messages);
  RUN(forged_messages);
  RUN(numbers_of_the_system);
  return check_done();
}
