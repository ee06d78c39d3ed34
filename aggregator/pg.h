/* SPDX-License-Identifier: MIT */
/*
 * pg.h - one connection to PostgreSQL that comes back by itself
 *
 *             on_timer()                connection_made()
 *   PG_OFF ------------> PG_CONNECTING ------------------> PG_READY
 *                                           pg_run() |       ^
 *                                                    v       | request_finish()
 *                               answer_take()      PG_BUSY --+
 *                   PG_COPYING <------------------   |
 *                        +-------------------------> v
 *                               copy_send()
 *
 *   and back to PG_OFF by pg_drop() from every state: the connection failed, a
 *   deadline passed, or the owner had enough of it.
 *
 * PG_OFF         no connection; the timer holds the next attempt
 * PG_CONNECTING  libpq connects and authenticates
 * PG_READY       nothing in flight
 * PG_BUSY        one request in flight
 * PG_COPYING     its COPY data is being sent
 *
 * Runs in   aggregator
 * Owns      the connection; borrows requests until they are done or lost
 * Promises  requests run one after another in the order submitted.  Each ends
 *           in its done(), or in the handler's lost(), which ends all at once
 * Failure   none to the caller: a connection lost is told by lost() and made
 *           again after a pause that doubles until pg_settled()
 * Blocking  never, but for a host name in conninfo: libpq asks the resolver.
 *           An address (hostaddr) or a socket directory avoids that
 */
#ifndef PGD_AGGREGATOR_PG_H
#define PGD_AGGREGATOR_PG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <event2/event.h>
#include <libpq-fe.h>

#include "aggregator/conninfo.h"
#include "common/err.h"

#define PG_SQLSTATE 6 /* with the terminator */

/* What the server said against a request; the connection still stands. */
struct pg_fault {
	bool is_data;   /* the data's fault: to repeat it would be in vain */
	bool is_schema; /* something is not there, or is not ours to use */
	char sqlstate[PG_SQLSTATE];
	struct err err;
};

/*
 * On success fault is NULL and result is the last statement's; else result is
 * NULL.  Both are borrowed for the call.
 */
typedef void pg_done_fn(
    void *arg, const PGresult *result, const struct pg_fault *fault);

/*
 * One or more statements, or, with nparams above 0 or binary set, exactly one.
 * The caller's, with everything it points at, until done or lost.
 */
struct pg_request {
	const char *sql;
	int nparams;
	const char *const *values;
	const int *lengths;
	const int *formats;
	bool binary; /* the result's format */
	/*
	 * Gets each row as it arrives, in a result of one, so that no answer is
	 * held whole; NULL for none.  False: no memory for it, give up.
	 */
	bool (*each)(void *arg, const PGresult *row);
	/* Binary COPY tuples, without header and trailer; for COPY FROM. */
	const char *copy;
	size_t copy_bytes;
	pg_done_fn *done;
	void *arg;
	STAILQ_ENTRY(pg_request) link; /* private */
};

struct pg_handler {
	void (*ready)(void *arg);    /* requests may be submitted */
	void (*lost)(void *arg);     /* and with it every request */
	void (*notified)(void *arg); /* NOTIFY on a channel listened to */
	void *arg;
};

struct pg;

/* name is for the log ("data connection"); name and info stay the caller's. */
struct pg *pg_create(struct event_base *, const char *name,
    const struct conninfo *, uint64_t connect_timeout_ms, uint64_t retry_max_ms,
    const struct pg_handler *);
void pg_destroy(struct pg *);

void pg_start(struct pg *);
/* The server has been seen alive: an attempt that waits is made now. */
void pg_hurry(struct pg *);

void pg_submit(struct pg *, struct pg_request *);

/*
 * Gives the connection up, tells the reason to the log unless it is the one
 * told last, calls lost() and connects again later.
 */
void pg_drop(struct pg *, const char *why);

/* The connection serves: the next pause is the shortest again. */
void pg_settled(struct pg *);

/*
 * Classes 22 and 23, and 54 in a COPY: the data's fault (is_data).  Class 42,
 * 3D and 3F: the schema's (is_schema).
 */
void pg_classify(struct pg_fault *, bool in_copy);

/* Text as an SQL literal; NULL when there is no memory or no connection. */
char *pg_literal(struct pg *, const char *text);

#endif
