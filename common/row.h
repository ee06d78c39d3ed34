/* SPDX-License-Identifier: MIT */
/*
 * row.h - an event as PostgreSQL's binary COPY tuple, and its way in the ring
 *
 * Runs in   worker (writes), aggregator (checks)
 *
 * A ring record is one accepted request: rows one behind the other, each a
 * struct row_head, then tuple_bytes of tuple, padded to 8.
 *
 * A tuple is, all in network order: int16 FIELD_COUNT; then for each field, in
 * the order of event_fields.def, int32 length (-1 for null) and the value in
 * its type's binary send format (text: its UTF-8; timestamptz: int64
 * microseconds since 2000-01-01 UTC; jsonb: a byte 1, then its text).
 *
 * Tests     t/unit/row_test.c
 */
#ifndef PGD_COMMON_ROW_H
#define PGD_COMMON_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/event_fields.h"

struct row_head {
	uint32_t tuple_bytes;
	uint32_t zero;
};

#define ROW_ALIGN(n) (((n) + 7) & ~(size_t)7)

/* Most bytes a row takes beyond those of the event's JSON text. */
#define ROW_OVERHEAD_MAX                                                       \
	(sizeof(struct row_head) + 8 + 2 + (size_t)FIELD_COUNT * (4 + 16))

/* A value inside a tuple; length -1 for null. */
struct row_value {
	const uint8_t *data;
	int32_t length;
};

/*
 * Takes a tuple apart into values[FIELD_COUNT].  False when it is not a tuple
 * of event_fields: wrong count, a length that does not fit its kind or the
 * tuple, null where a value is required.  Never reads beyond bytes.
 */
bool row_parse(
    const uint8_t *tuple, size_t bytes, struct row_value values[FIELD_COUNT]);

/* The int64 of a TIME value, microseconds since 2000-01-01 UTC. */
int64_t row_time(const struct row_value *);

#endif
