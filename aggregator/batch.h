/* SPDX-License-Identifier: MIT */
/*
 * batch.h - the rows of one transaction, by month, as binary COPY tuples, and
 * the sessions they belong to
 *
 * Runs in   aggregator; pure: bytes in, bytes out
 * Owns      copies of all rows, until batch_clear(); memory is kept for the
 *           next batch
 * Promises  believes nothing of what a worker wrote: a record is copied first,
 *           then the copy is checked.  A record adds BATCH_MONTHS_MAX months
 *           at most, so that no row costs more than the next.  A row's project
 *           is one of its organisation.  An event that is in the batch
 *           already, or that the cache of sessions knows, is left out
 * Failure   -1 when there is no memory; the batch is then what it was before
 * Tests     t/unit/batch_test.c
 */
#ifndef PGD_AGGREGATOR_BATCH_H
#define PGD_AGGREGATOR_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aggregator/event_key.h"
#include "aggregator/sessions.h"
#include "common/buf.h"
#include "common/keytable.h"

/* The month of rows that belong to none that PostgreSQL knows. */
#define BATCH_NO_MONTH INT64_MIN

/*
 * New months that a record may bring: more than honest rows are of, which are
 * the ten years of max_event_age and some.  A batch that has as many is full.
 */
#define BATCH_MONTHS_MAX 130

/* What is known of a row besides its tuple. */
struct batch_row {
	size_t end;           /* of its tuple in the leaf's tuples */
	struct event_key key; /* of its event_id */
	struct session_span agent;
	uint32_t session; /* its number in sessions */
	bool is_repeat;   /* it is stored already: to be left out */
	bool is_dead;     /* it became a dead letter */
};

struct batch_leaf {
	int64_t month; /* its first microsecond, or BATCH_NO_MONTH */
	struct buf tuples;
	struct batch_row *rows;
	size_t nrows;
	size_t rows_cap;
};

struct batch {
	struct batch_leaf *leaves;
	size_t nleaves;
	size_t leaves_cap;
	size_t rows;
	size_t bytes;     /* of all tuples */
	uint64_t repeats; /* rows left out */
	struct sessions sessions;
	struct buf keys; /* ids of the API keys used, UUID_BYTES each */

	/* private */
	const struct keytable *projects; /* borrowed; may be NULL */
	uint8_t
	    tenant[2 * UUID_BYTES]; /* organisation and project found last */
	struct buf record;          /* the copy being checked */
	size_t last;                /* the leaf that the last row went to */
	uint64_t *seen;             /* a table of rows: leaf and row, plus 1 */
	size_t seen_places;
};

/* Both are borrowed; NULL for no cache, and for projects that are not checked.
 */
void batch_init(
    struct batch *, struct session_cache *, const struct keytable *projects);

/*
 * Adds the rows of a ring record.  *whole becomes false when it began with
 * something that is no head, or ended in something that is no row, in a row of
 * a project that its organisation does not have, or in a month too many: what
 * came before is in the batch, the rest is lost.
 */
int batch_add(struct batch *, const uint8_t *payload, size_t bytes,
    bool *whole) MUST_CHECK;

/* The tuples of rows [from, to) of a leaf; borrowed until the next change. */
const char *batch_rows(
    const struct batch_leaf *, size_t from, size_t to, size_t *bytes);

/* The value of a field of a row that has one; borrowed likewise. */
const char *batch_value(
    const struct batch_leaf *, size_t row, enum field_id, size_t *bytes);

/* Takes out the rows that were found to be repeats. */
void batch_drop_repeats(struct batch *);
/* What sessions gain, anew: of the rows that are there and not dead. */
void batch_fold_again(struct batch *);
/* No row is dead. */
void batch_revive(struct batch *);

/* Writes each session's key into the tuples of its rows. */
void batch_write_session_keys(struct batch *);

/* Keeps at most keep_bytes of memory for tuples. */
void batch_clear(struct batch *, size_t keep_bytes);
void batch_free(struct batch *);

#endif
