/* SPDX-License-Identifier: MIT */
/*
 * transaction.c - one batch is one transaction
 *
 * Written top down in the order in which things happen; each step is a request
 * and the function that is called with its answer.
 */
#include "aggregator/transaction.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/dead_letter.h"
#include "aggregator/session_store.h"
#include "common/event_fields.h"
#include "common/log.h"
#include "common/ring_layout.h"
#include "common/timestamp.h"

/* Times a batch is begun because of others before the connection is given up.
 */
#define CHANGES_MAX 10

/* Halving n rows needs log2(n) + 1 places; n is less than 2^64. */
#define RANGES_MAX 65

struct range {
	size_t from;
	size_t to;
};

struct transaction {
	struct pg *pg;
	struct months *months;
	void (*committed)(void *arg);
	void *arg;

	struct session_store *sessions;
	struct batch *batch;
	struct transaction_progress progress;
	uint64_t *found; /* positions read */
	unsigned found_slots;

	unsigned changes; /* times that sessions were not as they had been */
	bool isolating;   /* every COPY in a savepoint */
	size_t leaf;      /* the one being stored */
	/* Of that leaf, still to be stored; the last is next. */
	struct range ranges[RANGES_MAX];
	size_t nranges;
	struct pg_fault refusal; /* of the range on top */

	size_t dead;     /* rows of this batch that became dead letters */
	uint64_t untold; /* of all batches since the log was told */
	struct dead_letter letter;
	struct buf sql;
	struct pg_request request;
	struct log_throttle throttle;
};

static void begin(struct transaction *);
static void store_next(struct transaction *);

/* ---- positions ----------------------------------------------------------- */

int
positions_append(struct buf *buf, const uint64_t *positions, unsigned slots)
{
	unsigned i;

	for (i = 0; i < slots; i++) {
		if (buf_printf(buf, "%c%" PRIu64, i == 0 ? '{' : ',',
			positions[i]) == -1)
			return -1;
	}
	return buf_puts(buf, slots == 0 ? "{}" : "}");
}

int
positions_parse(const char *text, uint64_t *positions, unsigned slots)
{
	char *end;
	unsigned i;

	for (i = 0; i < slots; i++) {
		if (*text != (i == 0 ? '{' : ','))
			return -1;
		if (text[1] < '0' || text[1] > '9')
			return -1;
		/* Too many digits become the largest number there is. */
		positions[i] = strtoull(text + 1, &end, 10);
		if (positions[i] >= RING_POSITION_MAX)
			return -1;
		text = end;
	}
	return strcmp(text, slots == 0 ? "{}" : "}") == 0 ? 0 : -1;
}

/* ---- requests ------------------------------------------------------------ */

static void
failed(struct transaction *tx, const struct pg_fault *fault)
{
	struct err err;

	/* Somebody dropped a partition: do not believe the list any longer. */
	if (strcmp(fault->sqlstate, "42P01") == 0)
		months_reload(tx->months);
	(void)err_set(&err, "could not store events: %s; sqlstate=%s",
	    fault->err.text, fault->sqlstate);
	pg_drop(tx->pg, err.text);
}

static void
submit(struct transaction *tx, const char *sql, pg_done_fn *done)
{
	tx->request = (struct pg_request){.sql = sql, .done = done, .arg = tx};
	pg_submit(tx->pg, &tx->request);
}

/* Takes what buf_printf() said of tx->sql. */
static void
submit_built(struct transaction *tx, int built, pg_done_fn *done)
{
	if (built == -1 || buf_append(&tx->sql, "", 1) == -1)
		pg_drop(tx->pg, "out of memory");
	else
		submit(tx, tx->sql.data, done);
}

/* ---- 6. progress and COMMIT ---------------------------------------------- */

static void
tell_dead(struct transaction *tx)
{
	uint64_t withheld;

	tx->untold += tx->dead;
	if (tx->dead == 0 || !log_throttled(&tx->throttle, &withheld))
		return;
	log_warn("%" PRIu64 " events became dead letters, the last because: "
		 "%s; sqlstate=%s",
	    tx->untold, tx->refusal.err.text, tx->refusal.sqlstate);
	tx->untold = 0;
}

/* A transaction that had failed answers COMMIT with ROLLBACK. */
static void
on_committed(void *arg, const PGresult *result, const struct pg_fault *fault)
{
	struct transaction *tx = arg;

	if (fault != NULL) {
		failed(tx, fault);
		return;
	}
	if (strcmp(PQcmdStatus((PGresult *)(uintptr_t)result), "COMMIT") != 0) {
		pg_drop(tx->pg, "COMMIT did not commit");
		return;
	}
	tell_dead(tx);
	months_forget_refused(tx->months);
	session_store_keep(tx->sessions, tx->batch);
	tx->batch = NULL;
	tx->committed(tx->arg);
}

static void
commit(struct transaction *tx)
{
	int built;

	buf_clear(&tx->sql);
	built = buf_puts(&tx->sql, "UPDATE public.progress SET positions = '");
	if (built == 0)
		built = positions_append(
		    &tx->sql, tx->progress.to, tx->progress.slots);
	if (built == 0)
		built = buf_printf(&tx->sql,
		    "', updated_at = now() WHERE %s; COMMIT",
		    tx->progress.where);
	submit_built(tx, built, on_committed);
}

/* ---- 5. sessions ----------------------------------------------------------
 */

static void
on_change_undone(
    void *arg, const PGresult *result, const struct pg_fault *fault)
{
	struct transaction *tx = arg;

	(void)result;
	if (fault != NULL) {
		failed(tx, fault);
		return;
	}
	session_store_forget(tx->sessions, tx->batch);
	begin(tx);
}

/* Somebody else has written a session of ours since the batch was begun. */
static void
start_again(struct transaction *tx)
{
	if (++tx->changes > CHANGES_MAX)
		pg_drop(tx->pg, "sessions change faster than a batch is made");
	else
		submit(tx, "ROLLBACK", on_change_undone);
}

static void
on_merged(void *arg, enum store_result result, const struct pg_fault *fault)
{
	struct transaction *tx = arg;

	switch (result) {
	case STORE_DONE:
		commit(tx);
		break;
	case STORE_CHANGED:
		start_again(tx);
		break;
	case STORE_FAILED:
		failed(tx, fault);
		break;
	}
}

static void
merge(struct transaction *tx)
{
	if (tx->dead > 0)
		batch_fold_again(tx->batch);
	session_store_merge(tx->sessions, tx->batch);
}

/* ---- 4. dead letters ----------------------------------------------------- */

static void
on_buried(void *arg, const PGresult *result, const struct pg_fault *fault)
{
	struct transaction *tx = arg;

	(void)result;
	if (fault != NULL) {
		failed(tx, fault);
		return;
	}
	tx->batch->leaves[tx->leaf]
	    .rows[tx->ranges[tx->nranges - 1].from]
	    .is_dead = true;
	tx->dead++;
	if (++tx->ranges[tx->nranges - 1].from ==
	    tx->ranges[tx->nranges - 1].to)
		tx->nranges--;
	store_next(tx);
}

/* The first row of the range on top. */
static void
bury(struct transaction *tx)
{
	const struct range *range = &tx->ranges[tx->nranges - 1];
	const char *tuple;
	size_t bytes;

	tuple = batch_rows(
	    &tx->batch->leaves[tx->leaf], range->from, range->from + 1, &bytes);
	dead_letter_fill(&tx->letter, tuple, bytes, tx->refusal.sqlstate,
	    tx->refusal.err.text, timestamp_now());
	tx->request = (struct pg_request){
	    .sql = dead_letter_sql,
	    .nparams = DEAD_LETTER_PARAMS,
	    .values = tx->letter.values,
	    .lengths = tx->letter.lengths,
	    .formats = tx->letter.formats,
	    .done = on_buried,
	    .arg = tx,
	};
	pg_submit(tx->pg, &tx->request);
}

/* ---- 3. COPY ------------------------------------------------------------- */

static void
on_range_undone(void *arg, const PGresult *result, const struct pg_fault *fault)
{
	struct transaction *tx = arg;
	struct range *range = &tx->ranges[tx->nranges - 1];
	size_t middle = range->from + (range->to - range->from) / 2;

	(void)result;
	if (fault != NULL) {
		failed(tx, fault);
		return;
	}
	if (range->to - range->from == 1) {
		bury(tx);
		return;
	}
	/* The lower half goes on top, so that rows keep their order. */
	tx->ranges[tx->nranges] = (struct range){range->from, middle};
	range->from = middle;
	tx->nranges++;
	store_next(tx);
}

static void
on_range_stored(void *arg, const PGresult *result, const struct pg_fault *fault)
{
	struct transaction *tx = arg;

	(void)result;
	if (fault != NULL) {
		failed(tx, fault);
		return;
	}
	tx->nranges--;
	store_next(tx);
}

static void
on_rolled_back(void *arg, const PGresult *result, const struct pg_fault *fault)
{
	struct transaction *tx = arg;

	(void)result;
	if (fault != NULL) {
		failed(tx, fault);
		return;
	}
	tx->isolating = true;
	begin(tx);
}

static void
on_copied(void *arg, const PGresult *result, const struct pg_fault *fault)
{
	struct transaction *tx = arg;

	(void)result;
	if (fault != NULL && !fault->is_data) {
		failed(tx, fault);
	} else if (!tx->isolating) {
		if (fault != NULL)
			submit(tx, "ROLLBACK", on_rolled_back);
		else
			on_range_stored(tx, NULL, NULL);
	} else if (fault != NULL) {
		tx->refusal = *fault;
		submit(tx, "ROLLBACK TO SAVEPOINT rows; RELEASE SAVEPOINT rows",
		    on_range_undone);
	} else {
		submit(tx, "RELEASE SAVEPOINT rows", on_range_stored);
	}
}

/* The range on top. */
static void
copy(struct transaction *tx)
{
	const struct batch_leaf *leaf = &tx->batch->leaves[tx->leaf];
	const struct range *range = &tx->ranges[tx->nranges - 1];
	char name[MONTH_NAME];

	month_name(leaf->month, name);
	buf_clear(&tx->sql);
	if (buf_printf(&tx->sql,
		"COPY partitions.%s (%s) FROM STDIN (FORMAT binary)", name,
		event_fields_columns()) == -1 ||
	    buf_append(&tx->sql, "", 1) == -1) {
		pg_drop(tx->pg, "out of memory");
		return;
	}
	tx->request = (struct pg_request){
	    .sql = tx->sql.data,
	    .done = on_copied,
	    .arg = tx,
	};
	tx->request.copy =
	    batch_rows(leaf, range->from, range->to, &tx->request.copy_bytes);
	pg_submit(tx->pg, &tx->request);
}

static void
on_savepoint(void *arg, const PGresult *result, const struct pg_fault *fault)
{
	struct transaction *tx = arg;

	(void)result;
	if (fault != NULL)
		failed(tx, fault);
	else
		copy(tx);
}

static void
refuse(struct transaction *tx, const char *sqlstate, const char *why)
{
	(void)snprintf(
	    tx->refusal.sqlstate, sizeof(tx->refusal.sqlstate), "%s", sqlstate);
	(void)err_set(&tx->refusal.err, "%s", why);
	bury(tx);
}

/* The batch came here with every month known: what is not there cannot be. */
static enum month_state
leaf_month(const struct transaction *tx)
{
	int64_t month = tx->batch->leaves[tx->leaf].month;

	return month == BATCH_NO_MONTH ? MONTH_REFUSED
				       : months_state(tx->months, month);
}

/* The range on top; when there is none, the next leaf; then the end. */
static void
store_next(struct transaction *tx)
{
	while (tx->nranges == 0) {
		if (++tx->leaf == tx->batch->nleaves) {
			merge(tx);
			return;
		}
		if (tx->batch->leaves[tx->leaf].nrows > 0)
			tx->ranges[tx->nranges++] = (struct range){
			    0, tx->batch->leaves[tx->leaf].nrows};
	}
	switch (leaf_month(tx)) {
	case MONTH_REFUSED:
		refuse(
		    tx, "22008", "timestamp is in no month that can be stored");
		break;
	case MONTH_STUCK:
	case MONTH_UNKNOWN:
		refuse(tx, "55P03",
		    "the partition of its month could not be made in time");
		break;
	case MONTH_THERE:
		if (tx->isolating)
			submit(tx, "SAVEPOINT rows", on_savepoint);
		else
			copy(tx);
		break;
	}
}

/* ---- 2. repeats -----------------------------------------------------------
 */

static void
on_learnt(void *arg, enum store_result result, const struct pg_fault *fault)
{
	struct transaction *tx = arg;

	if (result != STORE_DONE) {
		failed(tx, fault);
		return;
	}
	tx->leaf = (size_t)-1;
	tx->nranges = 0;
	store_next(tx);
}

/* ---- 1. BEGIN and the lock ----------------------------------------------- */

static void
on_begun(void *arg, const PGresult *result, const struct pg_fault *fault)
{
	struct transaction *tx = arg;

	if (fault != NULL) {
		failed(tx, fault);
		return;
	}
	if (PQntuples(result) != 1 ||
	    positions_parse(PQgetvalue(result, 0, 0), tx->found,
		tx->progress.slots) == -1 ||
	    memcmp(tx->found, tx->progress.from,
		tx->progress.slots * sizeof(*tx->found)) != 0) {
		pg_drop(tx->pg, "progress is not where it was left");
		return;
	}
	tx->dead = 0;
	batch_revive(tx->batch);
	session_store_learn(tx->sessions, tx->batch);
}

/*
 * Batches of several nodes run beside each other, until one of them has found
 * its sessions changed: that one runs alone.  It has to read again what it
 * knew, so it would be the slower one ever after, and never come to an end.
 */
static void
begin(struct transaction *tx)
{
	buf_clear(&tx->sql);
	submit_built(tx,
	    buf_printf(&tx->sql,
		"BEGIN;"
		"SELECT pg_advisory_xact_lock%s("
		"'public.session_state'::regclass::oid::bigint);"
		"SELECT positions FROM public.progress WHERE %s FOR UPDATE",
		tx->changes == 0 ? "_shared" : "", tx->progress.where),
	    on_begun);
}

void
transaction_start(struct transaction *tx, struct batch *batch,
    const struct transaction_progress *progress)
{
	uint64_t *found;

	if (tx->found_slots < progress->slots) {
		found = realloc(tx->found, progress->slots * sizeof(*found));
		if (found == NULL) {
			pg_drop(tx->pg, "out of memory");
			return;
		}
		tx->found = found;
		tx->found_slots = progress->slots;
	}
	tx->batch = batch;
	tx->progress = *progress;
	tx->isolating = false;
	tx->changes = 0;
	begin(tx);
}

/* ---- life ---------------------------------------------------------------- */

struct transaction *
transaction_create(struct pg *pg, struct months *months,
    struct session_cache *cache, void (*committed)(void *arg), void *arg)
{
	struct transaction *tx;

	if ((tx = calloc(1, sizeof(*tx))) == NULL)
		return NULL;
	tx->pg = pg;
	tx->months = months;
	tx->committed = committed;
	tx->arg = arg;
	tx->sessions =
	    session_store_create(pg, cache, on_learnt, on_merged, tx);
	if (tx->sessions == NULL) {
		free(tx);
		return NULL;
	}
	return tx;
}

void
transaction_destroy(struct transaction *tx)
{
	if (tx == NULL)
		return;
	session_store_destroy(tx->sessions);
	buf_free(&tx->sql);
	free(tx->found);
	free(tx);
}
