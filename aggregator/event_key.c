/* SPDX-License-Identifier: MIT */
/*
 * event_key.c - hashing, by xxHash
 */
#include "aggregator/event_key.h"

#include <bsd/stdlib.h>
#include <string.h>
#include <xxhash.h>

/* As long as xxHash's own, which serves inputs of any length best. */
static uint8_t secret[192];

_Static_assert(
    sizeof(secret) >= XXH3_SECRET_SIZE_MIN, "xxHash takes the secret");

void
event_key_seed(void)
{
	arc4random_buf(secret, sizeof(secret));
}

struct event_key
event_key_of(const void *id, size_t len)
{
	XXH128_hash_t hash =
	    XXH3_128bits_withSecret(id, len, secret, sizeof(secret));
	struct event_key key = {hash.low64, hash.high64};

	if (event_key_is_none(key))
		key.high = 1;
	return key;
}

/* Two parts of fixed length: no two pairs are the same bytes. */
struct event_key
event_key_of_session(
    const uint8_t project_id[UUID_BYTES], const void *id, size_t len)
{
	struct event_key key = event_key_of(id, len);
	uint8_t both[UUID_BYTES + sizeof(key)];

	memcpy(both, project_id, UUID_BYTES);
	memcpy(both + UUID_BYTES, &key, sizeof(key));
	return event_key_of(both, sizeof(both));
}
