/* SPDX-License-Identifier: MIT */
/*
 * pg.c - one connection to PostgreSQL as a state machine in the event loop
 *
 * Knows nothing of what the requests are for, and retries none of them: what
 * is to be done again after a connection was lost is known to its owner alone.
 */
#include "aggregator/pg.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/stdlib.h>

#include "common/log.h"
#include "common/timestamp.h"

#define BACKOFF_FIRST_MS 50

/* For an answer, or for the next piece of COPY data to leave. */
#define ANSWER_DEADLINE_MS 30000

/* Handed to libpq at once, and again only when that has left: it buffers. */
#define COPY_PIECE ((size_t)256 * 1024)

/*
 * An abandoned batch must not keep its lock on the progress row: the server
 * notices when we are gone or silent.
 */
static const char session_settings[] =
    "SET synchronous_commit = on;"
    "SET default_transaction_isolation = 'read committed';"
    "SET timezone = 'UTC';"
    "SET search_path = pg_catalog, pg_temp;"
    "SET lock_timeout = '10s';"
    "SET statement_timeout = 0;"
    "SET idle_in_transaction_session_timeout = '25s';"
    "SET client_connection_check_interval = '1s';"
    "SET tcp_keepalives_idle = 5;"
    "SET tcp_keepalives_interval = 5;"
    "SET tcp_keepalives_count = 2;"
    "SET tcp_user_timeout = '15s'";

static const char copy_header[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0";
#define COPY_HEADER 19
static const char copy_trailer[] = {'\377', '\377'};

#define PG_STATES(X)                                                           \
	X(PG_OFF)                                                              \
	X(PG_CONNECTING)                                                       \
	X(PG_READY)                                                            \
	X(PG_BUSY)                                                             \
	X(PG_COPYING)

enum pg_state {
#define X(state) state,
	PG_STATES(X)
#undef X
	PG_STATE_COUNT
};

static const char *const state_names[] = {
#define X(state) #state,
    PG_STATES(X)
#undef X
};

/* From each state; PG_OFF can be reached from all. */
static const unsigned state_moves[PG_STATE_COUNT] = {
    [PG_OFF] = 1u << PG_CONNECTING,
    [PG_CONNECTING] = 1u << PG_READY,
    [PG_READY] = 1u << PG_BUSY,
    [PG_BUSY] = 1u << PG_READY | 1u << PG_COPYING,
    [PG_COPYING] = 1u << PG_BUSY,
};

enum copy_part {
	COPY_NONE,
	COPY_HEAD,
	COPY_DATA,
	COPY_TAIL,
	COPY_END,
};

struct pg {
	struct event_base *base;
	const char *name;
	const struct conninfo *info;
	struct pg_handler handler;
	uint64_t connect_timeout_ms;
	uint64_t retry_max_ms;

	enum pg_state state;
	PGconn *conn;
	struct event *readable; /* of conn's socket; NULL without one */
	struct event *writable;
	struct event *timer; /* the state's deadline, or the pause's end */
	uint64_t pause_ms;
	bool settled;
	char told[256]; /* the reason last logged */

	struct pg_request settings;              /* the first of a connection */
	STAILQ_HEAD(pg_queue, pg_request) queue; /* the first is in flight */
	/* Of the request in flight: the last result, or the first fault. */
	PGresult *result;
	struct pg_fault fault;
	bool failed;
	enum copy_part copy_part; /* what comes next */
	size_t copy_sent;
};

static uint64_t
state_deadline_ms(const struct pg *pg)
{
	switch (pg->state) {
	case PG_CONNECTING:
		return pg->connect_timeout_ms;
	case PG_BUSY:
	case PG_COPYING:
		return ANSWER_DEADLINE_MS;
	default:
		return 0;
	}
}

static void
pg_set_timer(struct pg *pg, uint64_t ms)
{
	struct timeval tv;

	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000 * 1000);
	if (event_add(pg->timer, &tv) == -1)
		log_error("could not set a timer for the %s", pg->name);
}

/* The one place that assigns the state. */
static void
pg_move(struct pg *pg, enum pg_state state)
{
	uint64_t deadline_ms;

	assert(state == PG_OFF || state_moves[pg->state] & 1u << state);
	log_debug("%s: %s to %s", pg->name, state_names[pg->state],
	    state_names[state]);
	pg->state = state;
	if ((deadline_ms = state_deadline_ms(pg)) > 0)
		pg_set_timer(pg, deadline_ms);
	else
		(void)event_del(pg->timer);
}

/* ---- faults -------------------------------------------------------------- */

void
pg_classify(struct pg_fault *fault, bool in_copy)
{
	const char *state = fault->sqlstate;

	fault->is_data = strncmp(state, "22", 2) == 0 ||
	    strncmp(state, "23", 2) == 0 ||
	    (in_copy && strncmp(state, "54", 2) == 0);
	fault->is_schema = strncmp(state, "42", 2) == 0 ||
	    strncmp(state, "3D", 2) == 0 || strncmp(state, "3F", 2) == 0;
}

static void
fault_set(struct pg_fault *fault, const PGresult *result, bool is_copy)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
	/* "COPY events_y..., line 3": its words are localised. */
	const char *context = PQresultErrorField(result, PG_DIAG_CONTEXT);

	(void)snprintf(fault->sqlstate, sizeof(fault->sqlstate), "%s",
	    state != NULL ? state : "XX000");
	(void)err_set(&fault->err, "%s%s%s",
	    text != NULL ? text : "no reason given", detail != NULL ? ": " : "",
	    detail != NULL ? detail : "");
	pg_classify(fault, is_copy && context != NULL);
}

/* ---- giving up and starting again ---------------------------------------- */

static void
pg_close(struct pg *pg)
{
	if (pg->readable != NULL)
		event_free(pg->readable);
	if (pg->writable != NULL)
		event_free(pg->writable);
	pg->readable = pg->writable = NULL;
	PQclear(pg->result);
	pg->result = NULL;
	PQfinish(pg->conn);
	pg->conn = NULL;
	STAILQ_INIT(&pg->queue);
}

/* The pause, give or take a quarter, so that nodes do not come all at once. */
static uint64_t
pg_next_pause(struct pg *pg)
{
	uint64_t pause_ms = pg->pause_ms;

	pg->pause_ms *= 2;
	if (pg->pause_ms > pg->retry_max_ms)
		pg->pause_ms = pg->retry_max_ms;
	return pause_ms * 3 / 4 +
	    arc4random_uniform((uint32_t)pause_ms / 2 + 1);
}

void
pg_drop(struct pg *pg, const char *why)
{
	char reason[sizeof(pg->told)];
	size_t i;

	/* libpq's reasons are several lines. */
	(void)snprintf(reason, sizeof(reason), "%s", why);
	for (i = strlen(reason); i > 0 && reason[i - 1] == '\n'; i--)
		reason[i - 1] = '\0';
	for (i = 0; reason[i] != '\0'; i++) {
		if (reason[i] == '\n' || reason[i] == '\t')
			reason[i] = ' ';
	}
	if (strcmp(reason, pg->told) != 0)
		log_warn("%s to PostgreSQL: %s", pg->name, reason);
	memcpy(pg->told, reason, sizeof(reason));
	pg_close(pg);
	pg->settled = false;
	pg_move(pg, PG_OFF);
	pg_set_timer(pg, pg_next_pause(pg));
	pg->handler.lost(pg->handler.arg);
}

/* The server's last words are better than what libpq makes of its silence. */
static void
pg_drop_broken(struct pg *pg)
{
	struct err err;

	(void)err_set(&err, "%s",
	    pg->failed ? pg->fault.err.text : PQerrorMessage(pg->conn));
	pg_drop(pg, err.text[0] != '\0' ? err.text : "connection lost");
}

void
pg_settled(struct pg *pg)
{
	if (pg->settled)
		return;
	pg->settled = true;
	pg->pause_ms = BACKOFF_FIRST_MS < pg->retry_max_ms ? BACKOFF_FIRST_MS
							   : pg->retry_max_ms;
	pg->told[0] = '\0';
	log_info("%s to PostgreSQL is up", pg->name);
}

/* ---- requests ------------------------------------------------------------ */

/* As PQputCopyData(): 1 when taken, 0 when not now, -1 when refused. */
static int
copy_put_part(struct pg *pg, const struct pg_request *request, size_t *n)
{
	switch (pg->copy_part) {
	case COPY_HEAD:
		return PQputCopyData(pg->conn, copy_header, COPY_HEADER);
	case COPY_DATA:
		*n = request->copy_bytes - pg->copy_sent;
		if (*n > COPY_PIECE)
			*n = COPY_PIECE;
		return PQputCopyData(
		    pg->conn, request->copy + pg->copy_sent, (int)*n);
	case COPY_TAIL:
		return PQputCopyData(
		    pg->conn, copy_trailer, sizeof(copy_trailer));
	default:
		return PQputCopyEnd(pg->conn, NULL);
	}
}

static void
copy_advance(struct pg *pg, const struct pg_request *request, size_t n)
{
	pg->copy_sent += n;
	if (pg->copy_part == COPY_END)
		pg_move(pg, PG_BUSY);
	else if (pg->copy_part != COPY_DATA ||
	    pg->copy_sent == request->copy_bytes)
		pg->copy_part++;
}

/* -1: the connection was dropped.  1: wait until the socket can be written. */
static int
pg_flush(struct pg *pg)
{
	int left = PQflush(pg->conn);

	if (left == -1) {
		pg_drop_broken(pg);
		return -1;
	}
	if (left == 1 && event_add(pg->writable, NULL) == -1) {
		pg_drop(pg, "out of memory");
		return -1;
	}
	return left;
}

/*
 * Sends what the socket takes.  The next piece only when the last has left:
 * libpq buffers without end what the socket refuses.
 */
static void
copy_send(struct pg *pg)
{
	const struct pg_request *request = STAILQ_FIRST(&pg->queue);
	size_t n;
	int taken;

	while (pg->state == PG_COPYING && pg_flush(pg) == 0) {
		n = 0;
		taken = copy_put_part(pg, request, &n);
		if (taken == 1) {
			pg_set_timer(pg, ANSWER_DEADLINE_MS);
			copy_advance(pg, request, n);
		} else if (taken == -1) {
			/* The server has answered already: with an error. */
			pg_move(pg, PG_BUSY);
		} else if (event_add(pg->writable, NULL) == -1) {
			pg_drop(pg, "out of memory");
		} else {
			return;
		}
	}
	if (pg->state == PG_BUSY)
		(void)pg_flush(pg);
}

static void take_notices(struct pg *);

/*
 * Notices before done(): the server withholds them while it is busy, and what
 * they lead to must not come behind what done() submits.
 */
static void
request_finish(struct pg *pg)
{
	struct pg_request *request = STAILQ_FIRST(&pg->queue);
	PGresult *result = pg->result;
	struct pg_fault fault = pg->fault;
	bool failed = pg->failed;

	take_notices(pg);
	STAILQ_REMOVE_HEAD(&pg->queue, link);
	pg->result = NULL;
	pg_move(pg, PG_READY);
	request->done(
	    request->arg, failed ? NULL : result, failed ? &fault : NULL);
	PQclear(result);
}

static void
answer_take(struct pg *pg, PGresult *result)
{
	const struct pg_request *request = STAILQ_FIRST(&pg->queue);

	switch (PQresultStatus(result)) {
	case PGRES_COMMAND_OK:
	case PGRES_TUPLES_OK:
	case PGRES_EMPTY_QUERY:
		PQclear(pg->result);
		pg->result = result;
		return;
	case PGRES_SINGLE_TUPLE:
		if (!request->each(request->arg, result))
			pg_drop(pg, "no memory for an answer");
		break;
	case PGRES_COPY_IN:
		/* Twice: libpq refused the data, not the server. */
		if (pg->copy_part != COPY_NONE) {
			pg_drop(pg, "could not send COPY data");
			break;
		}
		pg->copy_part = COPY_HEAD;
		pg->copy_sent = 0;
		pg_move(pg, PG_COPYING);
		break;
	default:
		if (!pg->failed)
			fault_set(&pg->fault, result, request->copy != NULL);
		pg->failed = true;
		break;
	}
	PQclear(result);
}

/* Takes what has arrived for the request in flight. */
static void
answer_read(struct pg *pg)
{
	PGresult *result;

	for (;;) {
		if (pg->state == PG_COPYING)
			copy_send(pg);
		if (pg->state != PG_BUSY || PQisBusy(pg->conn))
			return;
		if ((result = PQgetResult(pg->conn)) != NULL) {
			answer_take(pg, result);
		} else if (PQstatus(pg->conn) == CONNECTION_BAD) {
			pg_drop_broken(pg);
		} else {
			request_finish(pg);
		}
	}
}

static bool
request_send(struct pg *pg, const struct pg_request *request)
{
	if (request->nparams == 0 && !request->binary)
		return PQsendQuery(pg->conn, request->sql) == 1;
	if (PQsendQueryParams(pg->conn, request->sql, request->nparams, NULL,
		request->values, request->lengths, request->formats,
		request->binary) != 1)
		return false;
	return request->each == NULL || PQsetSingleRowMode(pg->conn) == 1;
}

/* Sends the first of the queue.  done() may submit more, or drop all. */
static void
pg_run(struct pg *pg)
{
	const struct pg_request *request;

	while (pg->state == PG_READY &&
	    (request = STAILQ_FIRST(&pg->queue)) != NULL) {
		pg->failed = false;
		pg->copy_part = COPY_NONE;
		if (!request_send(pg, request)) {
			pg_drop_broken(pg);
			return;
		}
		pg_move(pg, PG_BUSY);
		if (pg_flush(pg) == -1)
			return;
		answer_read(pg);
	}
}

void
pg_submit(struct pg *pg, struct pg_request *request)
{
	assert(pg->state >= PG_READY);
	STAILQ_INSERT_TAIL(&pg->queue, request, link);
	pg_run(pg);
}

/* ---- the socket ---------------------------------------------------------- */

static void
take_notices(struct pg *pg)
{
	PGnotify *notify;
	bool notified = false;

	while ((notify = PQnotifies(pg->conn)) != NULL) {
		notified = true;
		PQfreemem(notify);
	}
	if (notified && pg->handler.notified != NULL)
		pg->handler.notified(pg->handler.arg);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct pg *pg = arg;

	(void)fd;
	(void)what;
	if (PQconsumeInput(pg->conn) == 0) {
		pg_drop_broken(pg);
		return;
	}
	answer_read(pg);
	pg_run(pg);
	/* An idle connection's last words arrive before its end. */
	if (pg->conn != NULL)
		take_notices(pg);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct pg *pg = arg;

	(void)fd;
	(void)what;
	if (pg->state != PG_COPYING && pg_flush(pg) != 0)
		return;
	answer_read(pg);
	pg_run(pg);
}

static void
on_notice(void *arg, const char *text)
{
	const struct pg *pg = arg;

	log_debug("%s: %.*s", pg->name, (int)strcspn(text, "\n"), text);
}

/* ---- connecting ---------------------------------------------------------- */

static void
settings_done(void *arg, const PGresult *result, const struct pg_fault *fault)
{
	struct pg *pg = arg;

	(void)result;
	if (fault != NULL) {
		pg_drop(pg, fault->err.text);
		return;
	}
	pg->handler.ready(pg->handler.arg);
}

static void
connection_made(struct pg *pg)
{
	int fd = PQsocket(pg->conn);
	const char *encoding = PQparameterStatus(pg->conn, "server_encoding");

	if (encoding == NULL || strcmp(encoding, "UTF8") != 0) {
		pg_drop(pg, "the encoding of the database is not UTF8");
		return;
	}
	if (PQsetnonblocking(pg->conn, 1) == -1) {
		pg_drop_broken(pg);
		return;
	}
	event_free(pg->readable);
	pg->readable =
	    event_new(pg->base, fd, EV_READ | EV_PERSIST, on_readable, pg);
	pg->writable = event_new(pg->base, fd, EV_WRITE, on_writable, pg);
	if (pg->readable == NULL || pg->writable == NULL ||
	    event_add(pg->readable, NULL) == -1) {
		pg_drop(pg, "out of memory");
		return;
	}
	pg_move(pg, PG_READY);
	pg->settings.sql = session_settings;
	pg->settings.done = settings_done;
	pg->settings.arg = pg;
	pg_submit(pg, &pg->settings);
}

static void on_connecting(evutil_socket_t, short, void *);

/*
 * Waits for what libpq wants next.  The event is made anew and is not
 * persistent, because libpq goes from one host's socket to the next's, and
 * closes the former, inside PQconnectPoll().
 */
static void
connection_wait(struct pg *pg, short what)
{
	if (pg->readable != NULL)
		event_free(pg->readable);
	pg->readable =
	    event_new(pg->base, PQsocket(pg->conn), what, on_connecting, pg);
	if (pg->readable == NULL || event_add(pg->readable, NULL) == -1)
		pg_drop(pg, "out of memory");
}

static void
on_connecting(evutil_socket_t fd, short what, void *arg)
{
	struct pg *pg = arg;

	(void)fd;
	(void)what;
	switch (PQconnectPoll(pg->conn)) {
	case PGRES_POLLING_OK:
		connection_made(pg);
		break;
	case PGRES_POLLING_READING:
		connection_wait(pg, EV_READ);
		break;
	case PGRES_POLLING_WRITING:
		connection_wait(pg, EV_WRITE);
		break;
	default:
		pg_drop_broken(pg);
		break;
	}
}

static void
connection_begin(struct pg *pg)
{
	pg_move(pg, PG_CONNECTING);
	pg->failed = false;
	pg->conn =
	    PQconnectStartParams(pg->info->keywords, pg->info->values, 0);
	if (pg->conn == NULL) {
		pg_drop(pg, "out of memory");
		return;
	}
	PQsetNoticeProcessor(pg->conn, on_notice, pg);
	if (PQstatus(pg->conn) == CONNECTION_BAD)
		pg_drop_broken(pg);
	else
		connection_wait(pg, EV_WRITE);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct pg *pg = arg;

	(void)fd;
	(void)what;
	switch (pg->state) {
	case PG_OFF:
		connection_begin(pg);
		break;
	case PG_CONNECTING:
		pg_drop(pg, "no connection within connect_timeout");
		break;
	default:
		pg_drop(pg, "no answer for too long");
		break;
	}
}

/* ---- life ---------------------------------------------------------------- */

struct pg *
pg_create(struct event_base *base, const char *name,
    const struct conninfo *info, uint64_t connect_timeout_ms,
    uint64_t retry_max_ms, const struct pg_handler *handler)
{
	struct pg *pg;

	if ((pg = calloc(1, sizeof(*pg))) == NULL)
		return NULL;
	pg->base = base;
	pg->name = name;
	pg->info = info;
	pg->connect_timeout_ms = connect_timeout_ms;
	pg->retry_max_ms = retry_max_ms;
	pg->pause_ms = BACKOFF_FIRST_MS;
	pg->handler = *handler;
	STAILQ_INIT(&pg->queue);
	if ((pg->timer = evtimer_new(base, on_timer, pg)) == NULL) {
		free(pg);
		return NULL;
	}
	return pg;
}

void
pg_destroy(struct pg *pg)
{
	if (pg == NULL)
		return;
	pg_close(pg);
	event_free(pg->timer);
	free(pg);
}

void
pg_start(struct pg *pg)
{
	connection_begin(pg);
}

void
pg_hurry(struct pg *pg)
{
	if (pg->state == PG_OFF)
		pg_set_timer(pg, 0);
}

char *
pg_literal(struct pg *pg, const char *text)
{
	return pg->conn == NULL ? NULL
				: PQescapeLiteral(pg->conn, text, strlen(text));
}
