/* SPDX-License-Identifier: MIT */
/*
 * ring_writer.h - the worker's side of a ring
 *
 * Runs in   worker
 * Owns      nothing; borrows the mapping of ring_map()
 * Promises  a record is seen whole or not at all, whenever the writer dies
 * Requires  one writer per ring at a time
 * Blocking  never; the ack eventfd tells when ring_writer_tail() moved, if
 *           ring_writer_wait() said it may be waited for
 * Tests     t/unit/ring_test.c
 */
#ifndef PGD_COMMON_RING_WRITER_H
#define PGD_COMMON_RING_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ring.h"

struct ring_writer {
	struct ring ring;
	uint64_t head;
	int data_fd; /* eventfd of the aggregator */
};

/* Goes on at the published head; wakes the reader once. */
void ring_writer_init(struct ring_writer *, struct ring, int data_fd);

/*
 * Where the next record's payload may be written and how many bytes fit
 * (0 when full).  Valid until ring_writer_publish().
 */
uint8_t *ring_writer_space(struct ring_writer *, size_t *bytes);

/*
 * Publishes a record of bytes of payload, more than none and no more than fit,
 * and wakes the reader if it sleeps.
 * Returns the position that tail reaches when the record is safe.
 */
uint64_t ring_writer_publish(struct ring_writer *, size_t bytes);

/* Everything before it is safe. */
uint64_t ring_writer_tail(const struct ring_writer *);

/*
 * Asks to be woken when tail moves past seen.  False when it has already
 * moved: look again instead of sleeping.
 */
bool ring_writer_wait(struct ring_writer *, uint64_t seen);

#endif
