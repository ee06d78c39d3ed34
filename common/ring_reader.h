/* SPDX-License-Identifier: MIT */
/*
 * ring_reader.h - the aggregator's side of a ring
 *
 * Runs in   aggregator
 * Owns      nothing; borrows the mapping of ring_map()
 * Promises  records come out in the order published; the bytes of a record
 *           stay until ring_reader_release() passes it
 * Requires  one reader per ring at a time
 * Failure   RING_CORRUPT: what lay before the head was no records; skipped.
 *           RING_BROKEN: the head is no position; nothing was consumed, and
 *           nothing will be until the worker is replaced.  The bytes of a
 *           record are the writer's and may change while they are read: copy,
 *           then check the copy.
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
	RING_BROKEN,
};

struct ring_reader {
	struct ring ring;
	uint64_t next;     /* position of the next record to return */
	uint64_t released; /* tail, as we wrote it */
	int ack_fd;        /* eventfd of the worker */
};

/* Begins at tail, or at 0 if somebody wrote nonsense there. */
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
 * Goes on at position, which the database remembers as safe, if the ring has
 * it; else at tail.  Wakes the writer in any case: a predecessor may have died
 * before it did.
 */
void ring_reader_resume(struct ring_reader *, uint64_t position);

/* Where what the ring holds now ends; of a broken ring, where we stand. */
uint64_t ring_reader_end(const struct ring_reader *);

/* Asks to be woken.  False when there is already something to take. */
bool ring_reader_wait(struct ring_reader *);
/* Takes the wish back. */
void ring_reader_awake(struct ring_reader *);

#endif
