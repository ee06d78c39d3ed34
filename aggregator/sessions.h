/* SPDX-License-Identifier: MIT */
/*
 * sessions.h - the sessions of a batch, and what its events add to each
 *
 * Runs in   aggregator; pure
 * Owns      its texts and the table of sessions, until sessions_clear(); memory
 *           is kept for the next batch.  Values stay where they are, in the
 *           tuples of the batch's leaves: here is where they lie
 * Promises  the same result whatever the order of the events
 * Failure   -1 when there is no memory; nothing was added then
 * Tests     t/unit/sessions_test.c
 */
#ifndef PGD_AGGREGATOR_SESSIONS_H
#define PGD_AGGREGATOR_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aggregator/event_key.h"
#include "aggregator/session_cache.h"
#include "aggregator/session_columns.h"
#include "common/buf.h"
#include "common/row.h"
#include "common/uuid.h"

/*
 * What is known of the events that a session has in the database.
 *
 *   sessions_find()  the cache has it       CACHED, or PROBED if it is large
 *                    the cache has it not   UNKNOWN
 *   looked up        it is there            PROBED
 *                    it is not there        NEW
 *   loaded                                  CACHED, or PROBED if it got large
 *   sessions_unlearn()                      UNKNOWN, from all
 */
enum session_known {
	SESSION_UNKNOWN, /* not even whether it is there */
	SESSION_NEW,     /* it is not there: it has none */
	SESSION_CACHED,  /* their keys */
	SESSION_PROBED,  /* the database has to be asked for each event */
};

/* Bytes of the batch: of a leaf's tuples, or of texts. */
struct session_span {
	size_t at;
	uint32_t len;
	uint32_t leaf; /* or SESSION_TEXTS */
};

#define SESSION_TEXTS UINT32_MAX

/* (timestamp, sequence, event_id): no two events of a session share it. */
struct session_order {
	int64_t us; /* as timestamp_now() */
	int64_t sequence;
	bool has_sequence;
	struct session_span event_id;
};

/* A first or last value; no value when its len is 0. */
struct session_best {
	struct session_span value;
	struct session_order order;
};

struct session {
	uint8_t org_id[UUID_BYTES];
	uint8_t project_id[UUID_BYTES];
	struct session_span id;
	struct event_key hash;

	enum session_known known;
	int64_t session_key;           /* unless SESSION_UNKNOWN */
	int64_t event_count;           /* in the database */
	int64_t started_us, ended_us;  /* events in the database lie between */
	struct cached_session *cached; /* of SESSION_CACHED and _LARGE */

	/* What the batch adds; nothing when counts[SESSION_event_count] is 0.
	 */
	int64_t times[SESSION_TIMES];
	int64_t counts[SESSION_COUNTS];
	struct session_best values[SESSION_VALUES];
};

struct sessions {
	struct session *items;
	size_t n;
	size_t cap;
	uint32_t *table; /* numbers in items plus 1; 0 is free */
	size_t places;
	struct buf texts;
	struct session_cache *cache; /* borrowed; may be NULL */
};

/* One event on its way into a session. */
struct session_event {
	const struct row_value *values; /* of its tuple, FIELD_COUNT */
	const uint8_t *tuple;
	uint32_t leaf;
	size_t at; /* of the tuple in the leaf's tuples */
	struct session_span agent;
};

/* The base of a span's bytes; leaves are the batch's, by number. */
struct batch_leaf;
const char *session_bytes(const struct sessions *, const struct batch_leaf *,
    const struct session_span *);

/* Puts text into texts. */
int sessions_keep(struct sessions *, const void *text, size_t len,
    struct session_span *) MUST_CHECK;

/* The number of the session that a row belongs to, with what is cached. */
int sessions_find(struct sessions *, const struct row_value *values,
    uint32_t *number) MUST_CHECK;

/* Merges an event into what the batch adds to its session. */
void session_add(struct session *, const struct sessions *,
    const struct batch_leaf *, const struct session_event *);

/* The batch adds nothing, to any session. */
void sessions_restart(struct sessions *);
/* Nothing is known of any session any longer: ask the database. */
void sessions_unlearn(struct sessions *);

/* The order key as it is stored: comparable as bytes. */
int session_order_append(struct buf *, const struct sessions *,
    const struct batch_leaf *, const struct session_order *) MUST_CHECK;

/* Only the first n are left, and so many bytes of texts. */
void sessions_truncate(struct sessions *, size_t n, size_t texts);
void sessions_clear(struct sessions *, size_t keep_bytes);
void sessions_free(struct sessions *);

#endif
