/* SPDX-License-Identifier: MIT */
/*
 * session_sql.h - the statements about sessions
 *
 * All parameters are arrays, in binary; all results are binary.
 *
 * Runs in   aggregator; pure
 * Tests     t/unit/session_sql_test.c
 */
#ifndef PGD_AGGREGATOR_SESSION_SQL_H
#define PGD_AGGREGATOR_SESSION_SQL_H

#include "common/buf.h"
#include "common/err.h"

/* $1 projects, $2 session ids.  A row for each, in no order. */
extern const char session_lookup_sql[];

enum {
	LOOKUP_I, /* which, from 1 */
	LOOKUP_KEY,
	LOOKUP_COUNT,
	LOOKUP_START,
	LOOKUP_END,
	LOOKUP_NEW_KEY
};

/*
 * $1 session keys, $2 and $3 the times between which their events lie, $4 the
 * least and the greatest of these.  A row for each event: which session, from
 * 1, and the event's id.
 */
extern const char session_load_sql[];

/* The same, $4 event ids, $5 the least and greatest.  Which of them are there.
 */
extern const char session_probe_sql[];

/*
 * $1 keys, $2 organisations, $3 projects, $4 session ids; then times, counts,
 * and values each with its order.  Terminated; -1 without memory.
 */
int session_insert_sql(struct buf *) MUST_CHECK;
/* $1 keys, $2 event_count as it should be; then the same. */
int session_update_sql(struct buf *) MUST_CHECK;

#endif
