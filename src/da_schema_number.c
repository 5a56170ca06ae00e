/* da_schema_number.c - numbers as what they are in decimal (floor 1): a double
** would make two large integers one, and 0.3 no multiple of 0.1. */
#include "da_schema_parts.h"

/* 0.d1d2d3... * 10^scale, without zeros at either end. */
typedef struct decimal {
  const char *first; /* digits, perhaps with the point among them */
  size_t digits;     /* 0: it is zero */
  int64_t scale;
  int negative;
} decimal;

static int is_digit(char c) {
  return c >= '0' && c <= '9';
}

/* Beyond what any text can be long, all exponents are alike. */
static int64_t read_exponent(const char *p, const char *end) {
  const int64_t most = (int64_t)1 << 60;
  int negative = *p == '-';
  int64_t n = 0;
  for (p += *p == '-' || *p == '+'; p < end; p++)
    if (n < most / 16)
      n = n * 10 + (*p - '0');
  return negative ? -n : n;
}

static decimal read_decimal(da_text raw) {
  const char *p = raw.data, *end = p + raw.len;
  decimal d = {NULL, 0, 0, *p == '-'};
  size_t count = 0; /* digits from the first that is not 0 */
  int point = 0;
  for (p += d.negative; p < end && (is_digit(*p) || *p == '.'); p++) {
    if (*p == '.') {
      point = 1;
      continue;
    }
    if (!d.first && *p != '0')
      d.first = p;
    if (d.first) {
      count++;
      if (*p != '0')
        d.digits = count;
    }
    /* Before the point each digit that counts moves it on, behind it each
    ** zero in front moves it back. */
    if (!point)
      d.scale += d.first != NULL;
    else
      d.scale -= d.first == NULL;
  }
  if (!d.digits) {
    d.scale = 0;
    d.negative = 0;
  } else if (p < end) {
    d.scale += read_exponent(p + 1, end);
  }
  return d;
}

static const char *next_digit(const char *p) {
  return p[1] == '.' ? p + 2 : p + 1;
}

/* Of what is not zero, without the signs. */
static int compare_magnitude(const decimal *a, const decimal *b) {
  const char *p = a->first, *q = b->first;
  size_t n = a->digits < b->digits ? a->digits : b->digits;
  if (a->scale != b->scale)
    return a->scale < b->scale ? -1 : 1;
  for (size_t i = 0; i < n; i++) {
    if (*p != *q)
      return *p < *q ? -1 : 1;
    if (i + 1 < n) {
      p = next_digit(p);
      q = next_digit(q);
    }
  }
  return (a->digits > b->digits) - (a->digits < b->digits);
}

static int sign(const decimal *d) {
  return !d->digits ? 0 : d->negative ? -1 : 1;
}

int da_schema_compare(da_text a, da_text b) {
  decimal x = read_decimal(a), y = read_decimal(b);
  int s = sign(&x), t = sign(&y);
  if (s != t)
    return s < t ? -1 : 1;
  return s ? s * compare_magnitude(&x, &y) : 0;
}

int da_schema_is_integer(da_text number) {
  decimal d = read_decimal(number);
  return d.scale >= (int64_t)d.digits;
}

__extension__ typedef unsigned __int128 wide;

/* All its digits as an integer, modulo m. */
static uint64_t digits_modulo(const decimal *d, uint64_t m) {
  const char *p = d->first;
  wide rest = 0;
  for (size_t i = 0; i < d->digits; i++) {
    rest = (rest * 10 + (unsigned)(*p - '0')) % m;
    if (i + 1 < d->digits)
      p = next_digit(p);
  }
  return (uint64_t)rest;
}

/* 10^n modulo m. */
static uint64_t power_modulo(int64_t n, uint64_t m) {
  wide power = 1 % m, ten = 10 % m;
  for (; n > 0; n >>= 1) {
    if (n & 1)
      power = power * ten % m;
    ten = ten * ten % m;
  }
  return (uint64_t)power;
}

int da_schema_is_divisor(da_text number) {
  decimal d = read_decimal(number);
  return sign(&d) > 0 && d.digits <= 18;
}

/* Where the divisor has more zeros at its end, the other has a last digit
** that is not 0 and cannot be one. */
int da_schema_is_multiple(da_text a, da_text of) {
  decimal x = read_decimal(a), y = read_decimal(of);
  int64_t more = x.scale - (int64_t)x.digits - y.scale + (int64_t)y.digits;
  uint64_t m;
  if (!x.digits)
    return 1;
  if (more < 0)
    return 0;
  m = digits_modulo(&y, UINT64_MAX);
  if (!m) /* no divisor */
    return 0;
  return (wide)digits_modulo(&x, m) * power_modulo(more, m) % m == 0;
}
