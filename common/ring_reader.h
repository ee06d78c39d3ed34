/* SPDX-License-Identifier: MIT */
/*
 * ring_reader.h - the aggregator's side of a ring
 *
 * Runs in   aggregator
 * Owns      nothing; borrows the mapping of ring_map()
 * Promises  records come out in the order published; the bytes of a record
 *           stay until ring_reader_release() passes it
 * Requires  one reader per ring at a time
 * Failure   RING_CORRUPT: the writer broke an invariant; everything up to its
 *           head was skipped.  The bytes of a record are the writer's and may
 *           change while they are read: copy, then check the copy.
 * Blocking  never; the data eventfd tells when a head moved, if
 *           ring_reader_wait() said it may be waited for
 * Tests     t/unit/ring_test.c
 */
#ifndef PGD_COMMON_RING_READER_H
#define PGD_COMMON_RING_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ring.h"

enum ring_result {
	RING_RECORD,
	RING_EMPTY,
	RING_CORRUPT,
};

struct ring_reader {
	struct ring ring;
	uint64_t next; /* position of the next record to return */
	int ack_fd;    /* eventfd of the worker */
};

/* Begins at the published tail. */
void ring_reader_init(struct ring_reader *, struct ring, int ack_fd);

/*
 * On RING_RECORD, *end is what to release once the record is safe; on
 * RING_CORRUPT, what to release once all records before it are.
 */
enum ring_result ring_reader_next(struct ring_reader *, const uint8_t **payload,
    size_t *bytes, uint64_t *end);

/* Everything before position is safe: moves tail, wakes the writer. */
void ring_reader_release(struct ring_reader *, uint64_t position);

/*
 * Goes on at position instead of tail: what lies before it is already safe, as
 * the database remembers.  False when no such position is in the ring.
 */
bool ring_reader_resume(struct ring_reader *, uint64_t position);

/* Asks to be woken.  False when a record is already there. */
bool ring_reader_wait(struct ring_reader *);
/* Takes the wish back. */
void ring_reader_awake(struct ring_reader *);

#endif
