/* SPDX-License-Identifier: MIT */
/*
 * batch.h - the rows of one transaction, by month, as binary COPY tuples
 *
 * Runs in   aggregator; pure: bytes in, bytes out
 * Owns      copies of all rows, until batch_clear(); memory is kept for the
 *           next batch
 * Promises  believes nothing of what a worker wrote: a record is copied first,
 *           then the copy is checked.  A record adds BATCH_MONTHS_MAX months
 *           at most, so that no row costs more than the next
 * Failure   -1 when there is no memory; the batch is then what it was before
 * Tests     t/unit/batch_test.c
 */
#ifndef PGD_AGGREGATOR_BATCH_H
#define PGD_AGGREGATOR_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

/* The month of rows that belong to none that PostgreSQL knows. */
#define BATCH_NO_MONTH INT64_MIN

/*
 * New months that a record may bring: more than honest rows are of, which are
 * the ten years of max_event_age and some.  A batch that has as many is full.
 */
#define BATCH_MONTHS_MAX 130

struct batch_leaf {
	int64_t month; /* its first microsecond, or BATCH_NO_MONTH */
	struct buf tuples;
	struct buf ends; /* size_t by row: where its tuple ends in tuples */
	size_t rows;
};

struct batch {
	struct batch_leaf *leaves;
	size_t nleaves;
	size_t leaves_cap;
	size_t rows;
	size_t bytes;      /* of all tuples */
	struct buf record; /* private: the copy being checked */
	size_t last;       /* private: the leaf that the last row went to */
};

#define BATCH_INIT                                                             \
	{                                                                      \
		NULL, 0, 0, 0, 0, BUF_INIT, 0                                  \
	}

/*
 * Adds the rows of a ring record.  *whole becomes false when it began with
 * something that is no head, or ended in something that is no row, or in a
 * month too many: what came before is in the batch, the rest is lost.
 */
int batch_add(struct batch *, const uint8_t *payload, size_t bytes,
    bool *whole) MUST_CHECK;

/* The tuples of rows [from, to) of a leaf; borrowed until the next change. */
const char *batch_rows(
    const struct batch_leaf *, size_t from, size_t to, size_t *bytes);

/* Keeps at most keep_bytes of memory for tuples. */
void batch_clear(struct batch *, size_t keep_bytes);
void batch_free(struct batch *);

#endif
