/* SPDX-License-Identifier: MIT */
/*
 * transaction.h - stores one batch: all of it, once, or nothing
 *
 *   BEGIN; SELECT positions ... FOR UPDATE    waits for a backend that a dead
 *                                             predecessor left in its COMMIT
 *   sessions: look up, load, probe            repeats leave the batch
 *   COPY, per month
 *   sessions: INSERT new ones, UPDATE known
 *   UPDATE progress; COMMIT
 *
 * Sessions are merged after the COPY, when it is known which rows are stored.
 * When another node has written one of them meanwhile, all is done again, and
 * alone: a batch holds a lock that it shares with those of other nodes, and one
 * that is done again does not share it.
 *
 * When PostgreSQL refuses a row's data, the transaction is rolled back and done
 * again with each COPY in a savepoint: a COPY that is refused is done again in
 * halves, down to the one row, which becomes a dead letter.  So one bad row
 * costs 2 log2(n) COPYs and nothing else.
 *
 * Runs in   aggregator
 * Owns      nothing of a batch; borrows it until committed() or the connection
 *           is lost
 * Promises  committed() is called after the COMMIT was answered, and never
 *           otherwise
 * Failure   drops the connection: what became of the batch is found out by
 *           reading the progress row again
 * Blocking  never
 */
#ifndef PGD_AGGREGATOR_TRANSACTION_H
#define PGD_AGGREGATOR_TRANSACTION_H

#include <stdint.h>

#include "aggregator/batch.h"
#include "aggregator/months.h"
#include "aggregator/pg.h"
#include "aggregator/session_cache.h"

/* The progress row and what it says before and after. */
struct transaction_progress {
	const char *where; /* "node = ... AND ring_set = ..." */
	const uint64_t *from;
	const uint64_t *to;
	unsigned slots;
};

struct transaction;

struct transaction *transaction_create(struct pg *, struct months *,
    struct session_cache *, void (*committed)(void *arg), void *arg);
void transaction_destroy(struct transaction *);

void transaction_start(
    struct transaction *, struct batch *, const struct transaction_progress *);

/*
 * PostgreSQL's text of a bigint[]; appends positions to a buffer, or reads
 * exactly slots of them.
 */
int positions_append(struct buf *, const uint64_t *, unsigned slots) MUST_CHECK;
int positions_parse(const char *, uint64_t *, unsigned slots) MUST_CHECK;

#endif
