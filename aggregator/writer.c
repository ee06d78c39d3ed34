/* SPDX-License-Identifier: MIT */
/*
 * writer.c - decides when a batch is written and what is acknowledged
 *
 * The rings keep every record until it is acknowledged, so after a connection
 * was lost, even in the middle of a COMMIT, nothing is remembered here: the
 * progress row says what was stored, and the rest is gathered again.  The same
 * way a new aggregator goes on where a killed one was.
 */
#include "aggregator/writer.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aggregator/intake.h"
#include "aggregator/pg.h"
#include "aggregator/schema.h"
#include "aggregator/session_cache.h"
#include "aggregator/transaction.h"
#include "common/log.h"
#include "common/timestamp.h"
#include "common/uuid.h"

/*
 * For partitions to be made.  Several attempts to lock events; less than a
 * client waits for its answer.
 */
#define MONTHS_DEADLINE_S 5

/*
 * All that a batch reads, it reads by key, from one index each.  Without
 * statistics, or with old ones, the planner may think that reading a table
 * once would be cheaper.
 */
static const char lookup_settings[] = "SET enable_seqscan = off;"
				      "SET enable_bitmapscan = off;"
				      "SET enable_hashjoin = off;"
				      "SET enable_mergejoin = off;"
				      "SET jit = off;";

#define WRITER_STATES(X)                                                       \
	X(WRITER_AWAY)                                                         \
	X(WRITER_FITTING)                                                      \
	X(WRITER_IDLE)                                                         \
	X(WRITER_MONTHS)                                                       \
	X(WRITER_WRITING)

enum writer_state {
#define X(state) state,
	WRITER_STATES(X)
#undef X
	WRITER_STATE_COUNT
};

static const char *const state_names[] = {
#define X(state) #state,
    WRITER_STATES(X)
#undef X
};

/* From each state; WRITER_AWAY can be reached from all. */
static const unsigned state_moves[WRITER_STATE_COUNT] = {
    [WRITER_AWAY] = 1u << WRITER_FITTING,
    [WRITER_FITTING] = 1u << WRITER_IDLE,
    [WRITER_IDLE] = 1u << WRITER_MONTHS,
    [WRITER_MONTHS] = 1u << WRITER_WRITING,
    [WRITER_WRITING] = 1u << WRITER_IDLE,
};

struct writer {
	struct pg *pg;
	struct months *months;
	struct session_cache *cache;
	struct intake *intake;
	struct transaction *transaction;
	struct event *deadline; /* of WRITER_MONTHS */
	struct writer_handler handler;

	enum writer_state state;
	bool failed; /* a batch did, and none was stored since */
	bool draining;

	char node[256];
	char ring_set[UUID_TEXT];
	struct buf where; /* the progress row; terminated */
	struct buf sql;
	uint64_t *stored; /* by slot: the progress row */
	unsigned slots;
	struct pg_request request;
};

static void writer_step(struct writer *);

/* The one place that assigns the state.  Other deadlines: the connection's. */
static void
writer_move(struct writer *writer, enum writer_state state)
{
	const struct timeval tv = {MONTHS_DEADLINE_S, 0};

	assert(
	    state == WRITER_AWAY || state_moves[writer->state] & 1u << state);
	log_debug(
	    "writer: %s to %s", state_names[writer->state], state_names[state]);
	writer->state = state;
	if (state != WRITER_MONTHS)
		(void)event_del(writer->deadline);
	else if (event_add(writer->deadline, &tv) == -1)
		log_error("could not set a timer for partitions");
}

/* ---- writing ------------------------------------------------------------- */

/* Only now: a database that refuses every batch is none. */
static void
writer_prosper(struct writer *writer)
{
	writer->failed = false;
	pg_settled(writer->pg);
	writer->handler.told(writer->handler.arg, KEYTABLE_READY);
}

static void
on_committed(void *arg)
{
	struct writer *writer = arg;

	memcpy(writer->stored, intake_ends(writer->intake),
	    writer->slots * sizeof(*writer->stored));
	writer->handler.stored(
	    writer->handler.arg, intake_batch(writer->intake));
	intake_release(writer->intake);
	writer_prosper(writer);
	writer_move(writer, WRITER_IDLE);
	if (writer->draining && intake_is_past(writer->intake))
		writer->handler.drained(writer->handler.arg);
	else
		writer_step(writer);
}

static void
writer_write(struct writer *writer)
{
	const struct transaction_progress progress = {
	    .where = writer->where.data,
	    .from = writer->stored,
	    .to = intake_ends(writer->intake),
	    .slots = writer->slots,
	};

	writer_move(writer, WRITER_WRITING);
	transaction_start(
	    writer->transaction, intake_batch(writer->intake), &progress);
}

/* Asks for those that are not known. */
static bool
months_are_known(struct writer *writer)
{
	const struct batch *batch = intake_batch(writer->intake);
	bool known = true;
	size_t i;

	for (i = 0; i < batch->nleaves; i++) {
		if (batch->leaves[i].month == BATCH_NO_MONTH ||
		    months_state(writer->months, batch->leaves[i].month) !=
			MONTH_UNKNOWN)
			continue;
		months_want(writer->months, batch->leaves[i].month);
		known = false;
	}
	return known;
}

/* Goes on with whatever there is to do. */
static void
writer_step(struct writer *writer)
{
	if (writer->state == WRITER_IDLE) {
		switch (intake_collect(writer->intake)) {
		case INTAKE_EMPTY:
			/* Nothing is left of what had failed. */
			if (writer->failed)
				writer_prosper(writer);
			if (writer->draining)
				writer->handler.drained(writer->handler.arg);
			return;
		case INTAKE_GATHERING:
			return;
		case INTAKE_BATCH:
			writer_move(writer, WRITER_MONTHS);
			break;
		}
	}
	if (writer->state == WRITER_MONTHS && months_are_known(writer))
		writer_write(writer);
}

/*
 * One event of a month that cannot be made must not cost the others.  But when
 * it is the present month, nearly all events are of it, and a client that is
 * told to try again is better off than one whose events are dead letters.
 */
static void
on_months_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct writer *writer = arg;
	const struct batch *batch = intake_batch(writer->intake);
	int64_t present = timestamp_month_start(timestamp_now(), NULL);
	size_t i;

	(void)fd;
	(void)what;
	for (i = 0; i < batch->nleaves; i++) {
		if (batch->leaves[i].month != present)
			months_give_up(writer->months, batch->leaves[i].month);
	}
	if (months_are_known(writer))
		writer_write(writer);
	else
		writer->handler.told(
		    writer->handler.arg, KEYTABLE_DATABASE_AWAY);
}

static void
on_wake(void *arg)
{
	struct writer *writer = arg;

	if (writer->state == WRITER_IDLE)
		writer_step(writer);
}

void
writer_months_changed(struct writer *writer)
{
	if (writer->state == WRITER_MONTHS)
		writer_step(writer);
}

/* ---- connecting ---------------------------------------------------------- */

static void
writer_unfit(struct writer *writer, const char *why)
{
	pg_drop(writer->pg, why);
	writer->handler.told(writer->handler.arg, KEYTABLE_DATABASE_UNFIT);
}

/* A fault while connecting: not migrated, not allowed, or in trouble. */
static void
writer_not_fit(struct writer *writer, const struct pg_fault *fault)
{
	struct err err;

	if (!fault->is_schema) {
		pg_drop(writer->pg, fault->err.text);
		return;
	}
	(void)err_set(
	    &err, "%s; run \"productgraphctl migrate\"", fault->err.text);
	writer_unfit(writer, err.text);
}

static void
on_progress(void *arg, const PGresult *result, const struct pg_fault *fault)
{
	struct writer *writer = arg;

	if (fault != NULL) {
		writer_not_fit(writer, fault);
		return;
	}
	if (PQntuples(result) != 1 ||
	    positions_parse(PQgetvalue(result, 0, 0), writer->stored,
		writer->slots) == -1) {
		pg_drop(writer->pg, "the row of progress is not ours");
		return;
	}
	/* What a lost connection did, or what this database holds, who knows.
	 */
	session_cache_clear(writer->cache);
	intake_resume(writer->intake, writer->stored);
	writer_move(writer, WRITER_IDLE);
	if (!writer->failed)
		writer_prosper(writer);
	writer_step(writer);
}

/* Who we are, quoted by the connection that will read it. */
static int
writer_build_where(struct writer *writer)
{
	char *node = pg_literal(writer->pg, writer->node);
	int ret = -1;

	buf_clear(&writer->where);
	if (node != NULL &&
	    buf_printf(&writer->where, "node = %s AND ring_set = '%s'", node,
		writer->ring_set) == 0 &&
	    buf_append(&writer->where, "", 1) == 0)
		ret = 0;
	PQfreemem(node);
	return ret;
}

/*
 * FOR UPDATE waits for a backend that still commits for a predecessor.  Rows of
 * sets of rings that are gone, left by a node's earlier lives, are removed.
 */
static int
writer_build_adoption(struct writer *writer)
{
	char *node = pg_literal(writer->pg, writer->node);
	int ret = -1;
	unsigned i;

	buf_clear(&writer->sql);
	if (node == NULL || buf_puts(&writer->sql, lookup_settings) == -1 ||
	    buf_printf(&writer->sql,
		"DELETE FROM public.progress WHERE node = %s"
		" AND ring_set <> '%s'"
		" AND updated_at < now() - interval '1 day';"
		"INSERT INTO public.progress (node, ring_set, positions)"
		" VALUES (%s, '%s', '{",
		node, writer->ring_set, node, writer->ring_set) == -1)
		goto out;
	for (i = 0; i < writer->slots; i++) {
		if (buf_puts(&writer->sql, i == 0 ? "0" : ",0") == -1)
			goto out;
	}
	if (buf_printf(&writer->sql,
		"}') ON CONFLICT DO NOTHING;"
		"SELECT positions FROM public.progress WHERE %s FOR UPDATE",
		writer->where.data) == -1 ||
	    buf_append(&writer->sql, "", 1) == -1)
		goto out;
	ret = 0;
out:
	PQfreemem(node);
	return ret;
}

static void
on_columns(void *arg, const PGresult *result, const struct pg_fault *fault)
{
	struct writer *writer = arg;
	struct err err;

	if (fault != NULL) {
		writer_not_fit(writer, fault);
		return;
	}
	if (schema_check(result, &err) == -1) {
		writer_unfit(writer, err.text);
		return;
	}
	if (writer_build_where(writer) == -1 ||
	    writer_build_adoption(writer) == -1) {
		pg_drop(writer->pg, "out of memory");
		return;
	}
	writer->request = (struct pg_request){
	    .sql = writer->sql.data,
	    .done = on_progress,
	    .arg = writer,
	};
	pg_submit(writer->pg, &writer->request);
}

static void
on_connected(void *arg)
{
	struct writer *writer = arg;

	writer_move(writer, WRITER_FITTING);
	writer->request = (struct pg_request){
	    .sql = schema_sql,
	    .done = on_columns,
	    .arg = writer,
	};
	pg_submit(writer->pg, &writer->request);
}

static void
on_lost(void *arg)
{
	struct writer *writer = arg;

	if (writer->state == WRITER_WRITING)
		writer->failed = true;
	writer_move(writer, WRITER_AWAY);
	writer->handler.told(writer->handler.arg, KEYTABLE_DATABASE_AWAY);
	if (writer->draining)
		writer->handler.drained(writer->handler.arg);
}

/* ---- life ---------------------------------------------------------------- */

static int
writer_name(struct writer *writer, const struct cfg *cfg, const struct shm *shm,
    struct err *err)
{
	if (cfg->node[0] != '\0')
		(void)snprintf(
		    writer->node, sizeof(writer->node), "%s", cfg->node);
	else if (gethostname(writer->node, sizeof(writer->node) - 1) == -1)
		return err_set(err, "could not get the name of this host");
	uuid_format(shm->id, writer->ring_set);
	return 0;
}

struct writer *
writer_create(struct event_base *base, const struct cfg *cfg,
    const struct shm *shm, const struct keytable *table,
    const struct conninfo *info, struct months *months,
    const struct writer_handler *handler, struct err *err)
{
	struct writer *writer = calloc(1, sizeof(*writer));
	const struct pg_handler events = {
	    .ready = on_connected,
	    .lost = on_lost,
	    .arg = writer,
	};

	(void)err_set(err, "out of memory");
	if (writer == NULL)
		return NULL;
	writer->handler = *handler;
	writer->months = months;
	writer->slots = shm->slots;
	if ((writer->stored = calloc(shm->slots, sizeof(uint64_t))) == NULL)
		goto out;
	if (writer_name(writer, cfg, shm, err) == -1)
		goto out;
	writer->deadline = evtimer_new(base, on_months_deadline, writer);
	if (writer->deadline == NULL)
		goto out;
	writer->pg = pg_create(base, "data connection", info,
	    cfg->pg_connect_timeout_ms, cfg->pg_retry_max_ms, &events);
	if (writer->pg == NULL)
		goto out;
	writer->cache = session_cache_create(cfg->session_cache);
	if (writer->cache == NULL)
		goto out;
	writer->transaction = transaction_create(
	    writer->pg, months, writer->cache, on_committed, writer);
	if (writer->transaction == NULL)
		goto out;
	writer->intake = intake_create(
	    base, cfg, shm, writer->cache, table, on_wake, writer, err);
	if (writer->intake == NULL)
		goto out;
	return writer;

out:
	writer_destroy(writer);
	return NULL;
}

void
writer_destroy(struct writer *writer)
{
	if (writer == NULL)
		return;
	if (writer->deadline != NULL)
		event_free(writer->deadline);
	pg_destroy(writer->pg);
	transaction_destroy(writer->transaction);
	intake_destroy(writer->intake);
	session_cache_destroy(writer->cache);
	buf_free(&writer->where);
	buf_free(&writer->sql);
	free(writer->stored);
	free(writer);
}

void
writer_start(struct writer *writer)
{
	pg_start(writer->pg);
}

void
writer_hurry(struct writer *writer)
{
	pg_hurry(writer->pg);
}

void
writer_drain(struct writer *writer)
{
	writer->draining = true;
	intake_hurry(writer->intake);
	if (writer->state == WRITER_AWAY || intake_is_past(writer->intake))
		writer->handler.drained(writer->handler.arg);
	else
		writer_step(writer);
}
