/* SPDX-License-Identifier: MIT */
/*
 * dead_letter.h - the INSERT of a row that PostgreSQL refused
 *
 * Runs in   aggregator; pure
 * Owns      nothing; points into the tuple it was filled from
 * Promises  PostgreSQL can store it, whatever is wrong with the row: the bytes
 *           go in as bytes, and what cannot be shown as a value is left out
 * Tests     t/unit/dead_letter_test.c
 */
#ifndef PGD_AGGREGATOR_DEAD_LETTER_H
#define PGD_AGGREGATOR_DEAD_LETTER_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define DEAD_LETTER_PARAMS 7

struct dead_letter {
	/* For PQsendQueryParams() with dead_letter_sql. */
	const char *values[DEAD_LETTER_PARAMS];
	int lengths[DEAD_LETTER_PARAMS];
	int formats[DEAD_LETTER_PARAMS];
	/* private: what values point to besides the tuple */
	uint64_t received_at;
	struct err message;
	char sqlstate[6];
};

extern const char dead_letter_sql[];

/* tuple is one that row_parse() took; now_us as timestamp_now(). */
void dead_letter_fill(struct dead_letter *, const char *tuple, size_t bytes,
    const char *sqlstate, const char *message, int64_t now_us);

#endif
