/* da_hash.h - XXH64, the checksum of stored sessions (floor 0).
** Follows the published specification of xxHash64; not cryptographic. */
#ifndef DA_HASH_H
#define DA_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t da_hash(const void *bytes, size_t len, uint64_t seed);

/* The hash of a sequence, one element at a time: h = mix(h, next). Not
** commutative, so elements cannot change places unseen. */
uint64_t da_hash_mix(uint64_t h, uint64_t next);

#endif
