/* SPDX-License-Identifier: MIT */
/*
 * event_key.h - 128 bits that stand for an event id or a session
 *
 * XXH3, keyed by a secret of this process.  Its author does not call it safe
 * from people who choose what is hashed: without a secret, 100,000 ids that
 * want one place of a table are made in a minute.  With it nobody can tell
 * which ids would, nor make two of one key; by chance, two of a session of a
 * million events have one once in 10^26 sessions.  So a key is of no use to
 * another process, nor to a later one.
 *
 * Runs in   aggregator; pure, after event_key_seed()
 * Tests     t/unit/event_key_test.c
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

/* Draws the secret; once, before the first key. */
void event_key_seed(void);

struct event_key event_key_of(const void *id, size_t len);
/* Of a session: its project and what the client calls it. */
struct event_key event_key_of_session(
    const uint8_t project_id[UUID_BYTES], const void *id, size_t len);

/* Where to look first; in a table of a power of two, take the low bits. */
static inline size_t
event_key_place(struct event_key key)
{
	return (size_t)key.low;
}

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
