/* SPDX-License-Identifier: MIT */
/*
 * writer.h - the data connection: brings batches from the rings to PostgreSQL
 *
 *               connection made       fits, progress adopted
 *   WRITER_AWAY ---------> WRITER_FITTING ---------> WRITER_IDLE
 *                                                     |   ^
 *                                       a batch is due|   | nothing due
 *                                                     v   |
 *           months known, or given up  WRITER_MONTHS <+   |
 *                             +---------+                 |
 *                             v                           |
 *                       WRITER_WRITING -------------------+ committed
 *
 *   and back to WRITER_AWAY from every state when the connection is lost.
 *
 * WRITER_AWAY     no connection
 * WRITER_FITTING  connected; the table is compared, progress is read
 * WRITER_IDLE     a batch may be written
 * WRITER_MONTHS   a batch waits for its partitions, but not long: rows of a
 *                 month that cannot be made become dead letters.  For the
 *                 present month it waits, and told() says so
 * WRITER_WRITING  a batch's transaction is under way
 *
 * Runs in   aggregator
 * Owns      the data connection's use; borrows intake and months
 * Promises  a record is acknowledged after its COMMIT was answered, or after
 *           the database said that it had been stored before
 * Failure   batches wait; told() says how the database is
 * Blocking  never
 */
#ifndef PGD_AGGREGATOR_WRITER_H
#define PGD_AGGREGATOR_WRITER_H

#include <event2/event.h>

#include "aggregator/batch.h"
#include "aggregator/conninfo.h"
#include "aggregator/months.h"
#include "common/cfg.h"
#include "common/err.h"
#include "common/keytable.h"
#include "common/shm.h"

struct writer_handler {
	/* KEYTABLE_READY, KEYTABLE_DATABASE_AWAY or _UNFIT. */
	void (*told)(void *arg, enum keytable_state);
	/* A batch is stored; borrowed for the call. */
	void (*stored)(void *arg, const struct batch *);
	/* After writer_drain(): what was there is stored, or cannot be. */
	void (*drained)(void *arg);
	void *arg;
};

struct writer;

struct writer *writer_create(struct event_base *, const struct cfg *,
    const struct shm *, const struct keytable *, const struct conninfo *,
    struct months *, const struct writer_handler *, struct err *);
void writer_destroy(struct writer *);

void writer_start(struct writer *);
/* As pg_hurry(). */
void writer_hurry(struct writer *);
/* The months have changed. */
void writer_months_changed(struct writer *);
/*
 * Stores what the rings hold at this moment, if the database is there, then
 * says so.  What comes later is for a successor.
 */
void writer_drain(struct writer *);

#endif
