/* SPDX-License-Identifier: MIT */
/*
 * ring.h - makes and maps a ring
 *
 * Runs in   master (ring_create), worker and aggregator (ring_map)
 * Owns      the mapping, until ring_unmap(); the descriptor stays the caller's
 * Failure   -1 and the reason: no memory, or a ring of another layout
 * Tests     t/unit/ring_test.c
 */
#ifndef PGD_COMMON_RING_H
#define PGD_COMMON_RING_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/ring_layout.h"

struct ring {
	struct ring_header *header;
	uint8_t *data; /* mapped twice */
	size_t size;   /* of data, once */
};

/* A memfd of an empty ring whose memory is allocated, or -1. */
int ring_create(size_t size, uint64_t layout, struct err *) MUST_CHECK;
int ring_map(struct ring *, int fd, uint64_t layout, struct err *) MUST_CHECK;
void ring_unmap(struct ring *);

#endif
