/* SPDX-License-Identifier: MIT */
/*
 * event_key.h - 128 bits that stand for an event id or a session
 *
 * XXH3, whose 128-bit result is fixed since xxHash 0.8: the same on every
 * machine and in every release.  Who makes two ids of the same key on purpose
 * loses an event of a session that was his to spoil anyway; by chance, two of a
 * session of a million events collide once in 10^26 sessions.
 *
 * Where a key lies in a table follows from a secret of this process, so that
 * nobody can send ids that all want the same place.
 *
 * Runs in   aggregator; pure, after event_key_seed()
 * Tests     t/unit/session_cache_test.c
 */
#ifndef PGD_AGGREGATOR_EVENT_KEY_H
#define PGD_AGGREGATOR_EVENT_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/uuid.h"

/* Never all zero: that is an empty place in a table. */
struct event_key {
	uint64_t low;
	uint64_t high;
};

/* Draws the secret; once, before the first table. */
void event_key_seed(void);

struct event_key event_key_of(const void *id, size_t len);
/* Of a session: its project and what the client calls it. */
struct event_key event_key_of_session(
    const uint8_t project_id[UUID_BYTES], const void *id, size_t len);

/* Where to look first; in a table of a power of two, take the low bits. */
size_t event_key_place(struct event_key);

static inline bool
event_key_equal(struct event_key a, struct event_key b)
{
	return a.low == b.low && a.high == b.high;
}

static inline bool
event_key_is_none(struct event_key key)
{
	return key.low == 0 && key.high == 0;
}

#endif
