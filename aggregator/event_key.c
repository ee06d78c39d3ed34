/* SPDX-License-Identifier: MIT */
/*
 * event_key.c - hashing, by xxHash
 */
#include "aggregator/event_key.h"

#include <bsd/stdlib.h>
#include <xxhash.h>

static struct event_key secret = {0, 1};

void
event_key_seed(void)
{
	arc4random_buf(&secret, sizeof(secret));
	secret.high |= 1; /* a factor that loses nothing */
}

static struct event_key
key_from(XXH128_hash_t hash)
{
	struct event_key key = {hash.low64, hash.high64};

	if (event_key_is_none(key))
		key.high = 1;
	return key;
}

struct event_key
event_key_of(const void *id, size_t len)
{
	return key_from(XXH3_128bits(id, len));
}

/* The project's hash seeds the session's; both are of fixed meaning. */
struct event_key
event_key_of_session(
    const uint8_t project_id[UUID_BYTES], const void *id, size_t len)
{
	return key_from(XXH3_128bits_withSeed(
	    id, len, XXH3_64bits(project_id, UUID_BYTES)));
}

/* The product's high half depends on every bit of the key. */
size_t
event_key_place(struct event_key key)
{
	uint64_t mixed = (key.low ^ secret.low) * secret.high;

	return (size_t)(mixed >> 32 | mixed << 32);
}
