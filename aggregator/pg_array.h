/* SPDX-License-Identifier: MIT */
/*
 * pg_array.h - a PostgreSQL array in binary format, as a parameter
 *
 * Runs in   aggregator; pure
 * Owns      its memory, until pg_array_free(); kept by pg_array_begin()
 * Failure   -1 when there is no memory
 * Tests     t/unit/pg_array_test.c
 */
#ifndef PGD_AGGREGATOR_PG_ARRAY_H
#define PGD_AGGREGATOR_PG_ARRAY_H

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

/* Types of elements: their OIDs, which PostgreSQL never changes. */
enum pg_type {
	PG_BYTEA = 17,
	PG_INT8 = 20,
	PG_TEXT = 25,
	PG_TIMESTAMPTZ = 1184,
	PG_UUID = 2950,
};

struct pg_array {
	struct buf bytes;
	uint32_t n;
};

/* An array without elements. */
int pg_array_begin(struct pg_array *, enum pg_type) MUST_CHECK;
int pg_array_add(struct pg_array *, const void *value, size_t len) MUST_CHECK;
int pg_array_add_null(struct pg_array *) MUST_CHECK;
/* Also for timestamptz, in microseconds since 2000-01-01 UTC. */
int pg_array_add_int8(struct pg_array *, int64_t) MUST_CHECK;

/* Writes the number of elements; the bytes are complete then. */
void pg_array_end(struct pg_array *);
void pg_array_free(struct pg_array *);

#endif
