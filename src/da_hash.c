/* da_hash.c - XXH64 (floor 0), written after its specification. */
#include "da_hash.h"

#include <string.h>

#define P1 0x9E3779B185EBCA87u
#define P2 0xC2B2AE3D27D4EB4Fu
#define P3 0x165667B19E3779F9u
#define P4 0x85EBCA77C2B2AE63u
#define P5 0x27D4EB2F165667C5u

static inline uint64_t rotl(uint64_t x, int bits) {
  return (x << bits) | (x >> (64 - bits));
}

/* Little-endian loads, so that the sum of a file is the same everywhere. */
static inline uint64_t load64(const unsigned char *p) {
  uint64_t v;
  memcpy(&v, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  v = __builtin_bswap64(v);
#endif
  return v;
}

static inline uint32_t load32(const unsigned char *p) {
  uint32_t v;
  memcpy(&v, p, 4);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  v = __builtin_bswap32(v);
#endif
  return v;
}

static inline uint64_t round64(uint64_t acc, uint64_t input) {
  return rotl(acc + input * P2, 31) * P1;
}

static inline uint64_t merge(uint64_t h, uint64_t acc) {
  return (h ^ round64(0, acc)) * P1 + P4;
}

static uint64_t avalanche(uint64_t h) {
  h = (h ^ (h >> 33)) * P2;
  h = (h ^ (h >> 29)) * P3;
  return h ^ (h >> 32);
}

uint64_t da_hash(const void *bytes, size_t len, uint64_t seed) {
  const unsigned char *p = bytes, *end = p + len;
  uint64_t h;
  if (len >= 32) {
    uint64_t a = seed + P1 + P2, b = seed + P2, c = seed, d = seed - P1;
    for (; end - p >= 32; p += 32) {
      a = round64(a, load64(p));
      b = round64(b, load64(p + 8));
      c = round64(c, load64(p + 16));
      d = round64(d, load64(p + 24));
    }
    h = rotl(a, 1) + rotl(b, 7) + rotl(c, 12) + rotl(d, 18);
    h = merge(merge(merge(merge(h, a), b), c), d);
  } else {
    h = seed + P5;
  }
  h += (uint64_t)len;
  for (; end - p >= 8; p += 8)
    h = rotl(h ^ round64(0, load64(p)), 27) * P1 + P4;
  if (end - p >= 4) {
    h = rotl(h ^ ((uint64_t)load32(p) * P1), 23) * P2 + P3;
    p += 4;
  }
  for (; p < end; p++)
    h = rotl(h ^ (*p * P5), 11) * P1;
  return avalanche(h);
}

uint64_t da_hash_mix(uint64_t h, uint64_t next) {
  return rotl(h ^ round64(0, next), 27) * P1 + P4;
}
