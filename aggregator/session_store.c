/* SPDX-License-Identifier: MIT */
/*
 * session_store.c - looks up, loads, probes and merges sessions
 *
 * Each step is one statement for all sessions of the batch, whose arrays are
 * unnested in the order given: by id where sessions may be new, by key where
 * they are known, so that two nodes lock the same rows in the same order.
 */
#include "aggregator/session_store.h"

#include <endian.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/pg_array.h"
#include "aggregator/session_sql.h"
#include "common/log.h"

/* session_key, two more ids or the count expected, session_id; the rest. */
#define ARRAYS (4 + SESSION_TIMES + SESSION_COUNTS + 2 * SESSION_VALUES)

/*
 * A part of the cache that one batch may load anew; sessions beyond it are
 * probed this time.
 */
#define LOAD_PART 4

/*
 * Sessions, or events, that one statement looks for.  A statement has a
 * deadline, and how long one of these takes depends on the months that their
 * session spans and on what PostgreSQL has in memory: 0.1 ms with 120 months.
 */
#define LOADS_AT_ONCE 500
#define PROBES_AT_ONCE 2000

struct probe {
	uint32_t leaf;
	uint32_t row;
};

struct session_store {
	struct pg *pg;
	struct session_cache *cache;
	session_done_fn *learnt;
	session_done_fn *merged;
	void *arg;

	struct buf insert_sql;
	struct buf update_sql;

	struct batch *batch;
	struct buf picked; /* uint32_t: numbers of sessions, in order */
	struct buf probes; /* struct probe */
	size_t first; /* of either, that the statement under way is about */
	size_t next;  /* behind the last of these */
	int64_t from; /* the spans added lie between */
	int64_t to;
	bool repeats; /* some row was found to be one */

	struct pg_array arrays[ARRAYS];
	const char *values[ARRAYS];
	int lengths[ARRAYS];
	int formats[ARRAYS];
	size_t narrays;
	struct pg_request request;
};

/* ---- requests ------------------------------------------------------------ */

static void
no_memory(struct session_store *store)
{
	pg_drop(store->pg, "no memory for sessions");
}

/* The next parameter, an array. */
static struct pg_array *
next_array(struct session_store *store, enum pg_type type)
{
	struct pg_array *array = &store->arrays[store->narrays++];

	return pg_array_begin(array, type) == -1 ? NULL : array;
}

static void
submit(struct session_store *store, const char *sql, pg_done_fn *done,
    bool (*each)(void *arg, const PGresult *))
{
	size_t i;

	for (i = 0; i < store->narrays; i++) {
		pg_array_end(&store->arrays[i]);
		store->values[i] = store->arrays[i].bytes.data;
		store->lengths[i] = (int)store->arrays[i].bytes.len;
	}
	store->request = (struct pg_request){
	    .sql = sql,
	    .nparams = (int)store->narrays,
	    .values = store->values,
	    .lengths = store->lengths,
	    .formats = store->formats,
	    .binary = true,
	    .each = each,
	    .done = done,
	    .arg = store,
	};
	pg_submit(store->pg, &store->request);
}

static int64_t
int8_of(const PGresult *result, int row, int column)
{
	uint64_t n;

	memcpy(&n, PQgetvalue(result, row, column), sizeof(n));
	return (int64_t)be64toh(n);
}

static struct session *
picked(const struct session_store *store, size_t i)
{
	uint32_t number;

	memcpy(
	    &number, store->picked.data + i * sizeof(number), sizeof(number));
	return &store->batch->sessions.items[number];
}

static size_t
picked_count(const struct session_store *store)
{
	return store->picked.len / sizeof(uint32_t);
}

static int
pick(struct session_store *store, size_t number)
{
	uint32_t n = (uint32_t)number;

	return buf_append(&store->picked, &n, sizeof(n));
}

/* Which of those asked for a row of a result is about: its first column. */
static size_t
asked(const struct session_store *store, const PGresult *result, int row)
{
	return store->first + (size_t)int8_of(result, row, 0) - 1;
}

/* ---- 3. what a batch may not hold ---------------------------------------- */

static void
learnt(struct session_store *store)
{
	if (store->repeats)
		batch_drop_repeats(store->batch);
	batch_write_session_keys(store->batch);
	store->learnt(store->arg, STORE_DONE, NULL);
}

static int
add_span(struct session_store *store, const struct session *session)
{
	if (session->started_us < store->from)
		store->from = session->started_us;
	if (session->ended_us > store->to)
		store->to = session->ended_us;
	if (pg_array_add_int8(&store->arrays[0], session->session_key) == -1 ||
	    pg_array_add_int8(&store->arrays[1], session->started_us) == -1)
		return -1;
	return pg_array_add_int8(&store->arrays[2], session->ended_us);
}

static int
begin_spans(struct session_store *store)
{
	store->from = INT64_MAX;
	store->to = INT64_MIN;
	store->narrays = 0;
	if (next_array(store, PG_INT8) == NULL ||
	    next_array(store, PG_TIMESTAMPTZ) == NULL ||
	    next_array(store, PG_TIMESTAMPTZ) == NULL)
		return -1;
	return 0;
}

/* The outermost of the spans added, as one more array. */
static int
end_spans(struct session_store *store)
{
	struct pg_array *outer = next_array(store, PG_TIMESTAMPTZ);

	if (outer == NULL || pg_array_add_int8(outer, store->from) == -1)
		return -1;
	return pg_array_add_int8(outer, store->to);
}

static int
add_probe(struct session_store *store, const struct probe *at)
{
	const struct batch_leaf *leaf = &store->batch->leaves[at->leaf];
	const char *id;
	size_t bytes;

	id = batch_value(leaf, at->row, FIELD_EVENT_ID, &bytes);
	if (id == NULL ||
	    add_span(store,
		&store->batch->sessions.items[leaf->rows[at->row].session]) ==
		-1)
		return -1;
	return pg_array_add(&store->arrays[3], id, bytes);
}

static struct probe
probe_at(const struct session_store *store, size_t i)
{
	struct probe at;

	memcpy(&at, store->probes.data + i * sizeof(at), sizeof(at));
	return at;
}

static void on_probed(void *, const PGresult *, const struct pg_fault *);

/* The next events, or the end. */
static void
probe_next(struct session_store *store)
{
	const size_t n = store->probes.len / sizeof(struct probe);
	struct probe at;

	if (store->next == n) {
		learnt(store);
		return;
	}
	store->first = store->next;
	if (begin_spans(store) == -1 || next_array(store, PG_TEXT) == NULL) {
		no_memory(store);
		return;
	}
	for (; store->next < n && store->next - store->first < PROBES_AT_ONCE;
	     store->next++) {
		at = probe_at(store, store->next);
		if (add_probe(store, &at) == -1) {
			no_memory(store);
			return;
		}
	}
	if (end_spans(store) == -1)
		no_memory(store);
	else
		submit(store, session_probe_sql, on_probed, NULL);
}

static void
on_probed(void *arg, const PGresult *result, const struct pg_fault *fault)
{
	struct session_store *store = arg;
	struct probe at;
	int i;

	if (fault != NULL) {
		store->learnt(store->arg, STORE_FAILED, fault);
		return;
	}
	for (i = 0; i < PQntuples(result); i++) {
		at = probe_at(store, asked(store, result, i));
		store->batch->leaves[at.leaf].rows[at.row].is_repeat = true;
		store->repeats = true;
	}
	probe_next(store);
}

/* All events of sessions whose keys are not here. */
static void
probe(struct session_store *store)
{
	const struct batch *batch = store->batch;
	const struct batch_leaf *leaf;
	struct probe at;

	buf_clear(&store->probes);
	for (at.leaf = 0; at.leaf < batch->nleaves; at.leaf++) {
		leaf = &batch->leaves[at.leaf];
		for (at.row = 0; at.row < leaf->nrows; at.row++) {
			if (batch->sessions.items[leaf->rows[at.row].session]
				    .known == SESSION_PROBED &&
			    buf_append(&store->probes, &at, sizeof(at)) == -1) {
				no_memory(store);
				return;
			}
		}
	}
	store->next = 0;
	probe_next(store);
}

/* ---- 2. the events of sessions that are there ---------------------------- */

static void
mark_repeats(struct session_store *store)
{
	const struct batch *batch = store->batch;
	const struct session *session;
	struct batch_row *row;
	size_t i, j;

	for (i = 0; i < batch->nleaves; i++) {
		for (j = 0; j < batch->leaves[i].nrows; j++) {
			row = &batch->leaves[i].rows[j];
			session = &batch->sessions.items[row->session];
			if (session->known == SESSION_CACHED &&
			    cached_session_has(session->cached, row->key))
				row->is_repeat = store->repeats = true;
		}
	}
}

static void
loaded(struct session_store *store)
{
	struct session *session;
	size_t i;

	for (i = 0; i < picked_count(store); i++) {
		session = picked(store, i);
		session->known =
		    session->cached->is_large ? SESSION_PROBED : SESSION_CACHED;
	}
	mark_repeats(store);
	probe(store);
}

/* An event of one of the sessions. */
static bool
on_event(void *arg, const PGresult *row)
{
	struct session_store *store = arg;
	const struct session *session = picked(store, asked(store, row, 0));

	return cached_session_learn(store->cache, session->cached,
		   event_key_of(PQgetvalue(row, 0, 1),
		       (size_t)PQgetlength(row, 0, 1))) == 0;
}

static void on_loaded(void *, const PGresult *, const struct pg_fault *);

/* The next of the sessions picked, or the end. */
static void
load_next(struct session_store *store)
{
	if (store->next == picked_count(store)) {
		loaded(store);
		return;
	}
	store->first = store->next;
	if (begin_spans(store) == -1) {
		no_memory(store);
		return;
	}
	for (; store->next < picked_count(store) &&
	     store->next - store->first < LOADS_AT_ONCE;
	     store->next++) {
		if (add_span(store, picked(store, store->next)) == -1) {
			no_memory(store);
			return;
		}
	}
	if (end_spans(store) == -1)
		no_memory(store);
	else
		submit(store, session_load_sql, on_loaded, on_event);
}

static void
on_loaded(void *arg, const PGresult *result, const struct pg_fault *fault)
{
	struct session_store *store = arg;

	(void)result;
	if (fault != NULL)
		store->learnt(store->arg, STORE_FAILED, fault);
	else
		load_next(store);
}

/* ---- 1. sessions that nothing is known of -------------------------------- */

/* Takes it into the cache, as yet without its events. */
static int
session_cache_it(struct session_store *store, struct session *session)
{
	const char *id = session_bytes(
	    &store->batch->sessions, store->batch->leaves, &session->id);

	session->cached = session_cache_add(store->cache, session->hash,
	    session->project_id, id, session->id.len);
	if (session->cached == NULL)
		return -1;
	session->cached->session_key = session->session_key;
	session->cached->event_count = session->event_count;
	session->cached->started_us = session->started_us;
	session->cached->ended_us = session->ended_us;
	return 0;
}

/* A session's row, or the key it will have. */
static void
session_take(struct session *session, const PGresult *result, int row)
{
	if (PQgetisnull(result, row, LOOKUP_KEY)) {
		session->known = SESSION_NEW;
		session->session_key = int8_of(result, row, LOOKUP_NEW_KEY);
		session->event_count = 0;
		return;
	}
	session->known = SESSION_PROBED;
	session->session_key = int8_of(result, row, LOOKUP_KEY);
	session->event_count = int8_of(result, row, LOOKUP_COUNT);
	session->started_us = int8_of(result, row, LOOKUP_START);
	session->ended_us = int8_of(result, row, LOOKUP_END);
}

/*
 * Picks those that are there and fit, to be loaded.  One that is too large is
 * remembered as such; one that is too much for now is not remembered, and may
 * be loaded the next time.
 */
static int
take_looked_up(struct session_store *store, const PGresult *result)
{
	const uint64_t most = session_cache_most_keys(store->cache);
	struct buf found = BUF_INIT;
	struct session *session;
	uint64_t budget = most * LOAD_PART, events;
	uint32_t number;
	int i;

	for (i = 0; i < PQntuples(result); i++) {
		session = picked(store, asked(store, result, i));
		session_take(session, result, i);
		events = (uint64_t)session->event_count;
		if (session->known == SESSION_NEW ||
		    (events <= most && events > budget))
			continue;
		if (session_cache_it(store, session) == -1)
			goto no_memory;
		if (events > most) {
			cached_session_enlarge(store->cache, session->cached);
			continue;
		}
		budget -= events;
		number = (uint32_t)(session - store->batch->sessions.items);
		if (buf_append(&found, &number, sizeof(number)) == -1)
			goto no_memory;
	}
	buf_free(&store->picked);
	store->picked = found;
	return 0;
no_memory:
	buf_free(&found);
	return -1;
}

static void
on_looked_up(void *arg, const PGresult *result, const struct pg_fault *fault)
{
	struct session_store *store = arg;

	if (fault != NULL)
		store->learnt(store->arg, STORE_FAILED, fault);
	else if (take_looked_up(store, result) == -1)
		no_memory(store);
	else {
		store->next = 0;
		load_next(store);
	}
}

/* The same on every node, of sessions that have no key yet. */
static int
by_id(const void *left, const void *right, void *arg)
{
	const struct sessions *sessions = arg;
	const struct session *a = &sessions->items[*(const uint32_t *)left];
	const struct session *b = &sessions->items[*(const uint32_t *)right];
	size_t shorter = a->id.len < b->id.len ? a->id.len : b->id.len;
	int order = memcmp(a->project_id, b->project_id, UUID_BYTES);

	if (order == 0)
		order = memcmp(sessions->texts.data + a->id.at,
		    sessions->texts.data + b->id.at, shorter);
	return order != 0 ? order
			  : (a->id.len > b->id.len) - (a->id.len < b->id.len);
}

static int
by_key(const void *left, const void *right, void *arg)
{
	const struct sessions *sessions = arg;
	int64_t a = sessions->items[*(const uint32_t *)left].session_key;
	int64_t b = sessions->items[*(const uint32_t *)right].session_key;

	return (a > b) - (a < b);
}

static void
sort_picked(struct session_store *store,
    int (*compare)(const void *, const void *, void *))
{
	if (picked_count(store) > 1)
		qsort_r(store->picked.data, picked_count(store),
		    sizeof(uint32_t), compare, &store->batch->sessions);
}

static int
add_looked_up(struct session_store *store, const struct session *session)
{
	const char *id = session_bytes(
	    &store->batch->sessions, store->batch->leaves, &session->id);

	if (pg_array_add(&store->arrays[0], session->project_id, UUID_BYTES) ==
	    -1)
		return -1;
	return pg_array_add(&store->arrays[1], id, session->id.len);
}

static int
lookup_build(struct session_store *store)
{
	size_t i;

	sort_picked(store, by_id);
	store->narrays = 0;
	if (next_array(store, PG_UUID) == NULL ||
	    next_array(store, PG_TEXT) == NULL)
		return -1;
	for (i = 0; i < picked_count(store); i++) {
		if (add_looked_up(store, picked(store, i)) == -1)
			return -1;
	}
	return 0;
}

static int
pick_unknown(struct session_store *store)
{
	const struct sessions *sessions = &store->batch->sessions;
	size_t i;

	buf_clear(&store->picked);
	for (i = 0; i < sessions->n; i++) {
		if (sessions->items[i].known == SESSION_UNKNOWN &&
		    pick(store, i) == -1)
			return -1;
	}
	return 0;
}

void
session_store_learn(struct session_store *store, struct batch *batch)
{
	store->batch = batch;
	store->repeats = false;
	store->first = 0;
	if (pick_unknown(store) == -1) {
		no_memory(store);
	} else if (picked_count(store) == 0) {
		probe(store);
	} else if (lookup_build(store) == -1) {
		no_memory(store);
	} else {
		submit(store, session_lookup_sql, on_looked_up, NULL);
	}
}

/* ---- merging ------------------------------------------------------------- */

static int
add_best(struct session_store *store, struct pg_array *values,
    struct pg_array *orders, const struct session_best *best)
{
	const struct batch *batch = store->batch;
	struct buf order = BUF_INIT;
	int ret;

	if (best->value.len == 0) {
		if (pg_array_add_null(values) == -1)
			return -1;
		return pg_array_add_null(orders);
	}
	if (pg_array_add(values,
		session_bytes(&batch->sessions, batch->leaves, &best->value),
		best->value.len) == -1)
		return -1;
	ret = session_order_append(
	    &order, &batch->sessions, batch->leaves, &best->order);
	if (ret == 0)
		ret = pg_array_add(orders, order.data, order.len);
	buf_free(&order);
	return ret;
}

/* What the batch adds, into the arrays from first on. */
static int
add_gain(
    struct session_store *store, size_t first, const struct session *session)
{
	struct pg_array *array = &store->arrays[first];
	size_t i;

	for (i = 0; i < SESSION_TIMES; i++) {
		if (pg_array_add_int8(array++, session->times[i]) == -1)
			return -1;
	}
	for (i = 0; i < SESSION_COUNTS; i++) {
		if (pg_array_add_int8(array++, session->counts[i]) == -1)
			return -1;
	}
	for (i = 0; i < SESSION_VALUES; i++, array += 2) {
		if (add_best(store, array, array + 1, &session->values[i]) ==
		    -1)
			return -1;
	}
	return 0;
}

static int
begin_gains(struct session_store *store)
{
	size_t i;

	for (i = 0; i < SESSION_TIMES; i++) {
		if (next_array(store, PG_TIMESTAMPTZ) == NULL)
			return -1;
	}
	for (i = 0; i < SESSION_COUNTS; i++) {
		if (next_array(store, PG_INT8) == NULL)
			return -1;
	}
	for (i = 0; i < SESSION_VALUES; i++) {
		if (next_array(store, PG_TEXT) == NULL ||
		    next_array(store, PG_BYTEA) == NULL)
			return -1;
	}
	return 0;
}

/* The sessions, new or known, that gain something. */
static int
pick_gaining(struct session_store *store, bool are_new)
{
	const struct sessions *sessions = &store->batch->sessions;
	const struct session *session;
	size_t i;

	buf_clear(&store->picked);
	for (i = 0; i < sessions->n; i++) {
		session = &sessions->items[i];
		if (session->counts[SESSION_event_count] > 0 &&
		    (session->known == SESSION_NEW) == are_new &&
		    pick(store, i) == -1)
			return -1;
	}
	sort_picked(store, are_new ? by_id : by_key);
	return 0;
}

/* Whether a statement concerned every session picked; reports if not. */
static bool
merged_all(struct session_store *store, const PGresult *result,
    const struct pg_fault *fault)
{
	const char *rows;

	if (fault != NULL) {
		store->merged(store->arg, STORE_FAILED, fault);
		return false;
	}
	rows = PQcmdTuples((PGresult *)(uintptr_t)result);
	if (strtoull(rows, NULL, 10) != picked_count(store)) {
		store->merged(store->arg, STORE_CHANGED, NULL);
		return false;
	}
	return true;
}

static void
on_updated(void *arg, const PGresult *result, const struct pg_fault *fault)
{
	struct session_store *store = arg;

	if (merged_all(store, result, fault))
		store->merged(store->arg, STORE_DONE, NULL);
}

static int
update_build(struct session_store *store)
{
	const struct session *session;
	size_t i;

	store->narrays = 0;
	if (next_array(store, PG_INT8) == NULL ||
	    next_array(store, PG_INT8) == NULL || begin_gains(store) == -1)
		return -1;
	for (i = 0; i < picked_count(store); i++) {
		session = picked(store, i);
		if (pg_array_add_int8(
			&store->arrays[0], session->session_key) == -1 ||
		    pg_array_add_int8(
			&store->arrays[1], session->event_count) == -1 ||
		    add_gain(store, 2, session) == -1)
			return -1;
	}
	return 0;
}

static void
merge_known(struct session_store *store)
{
	if (pick_gaining(store, false) == -1 || update_build(store) == -1)
		no_memory(store);
	else if (picked_count(store) == 0)
		store->merged(store->arg, STORE_DONE, NULL);
	else
		submit(store, store->update_sql.data, on_updated, NULL);
}

static void
on_inserted(void *arg, const PGresult *result, const struct pg_fault *fault)
{
	struct session_store *store = arg;

	if (merged_all(store, result, fault))
		merge_known(store);
}

static int
add_identity(struct session_store *store, const struct session *session)
{
	const char *id = session_bytes(
	    &store->batch->sessions, store->batch->leaves, &session->id);

	if (pg_array_add_int8(&store->arrays[0], session->session_key) == -1 ||
	    pg_array_add(&store->arrays[1], session->org_id, UUID_BYTES) ==
		-1 ||
	    pg_array_add(&store->arrays[2], session->project_id, UUID_BYTES) ==
		-1)
		return -1;
	return pg_array_add(&store->arrays[3], id, session->id.len);
}

static int
insert_build(struct session_store *store)
{
	size_t i;

	store->narrays = 0;
	if (next_array(store, PG_INT8) == NULL ||
	    next_array(store, PG_UUID) == NULL ||
	    next_array(store, PG_UUID) == NULL ||
	    next_array(store, PG_TEXT) == NULL || begin_gains(store) == -1)
		return -1;
	for (i = 0; i < picked_count(store); i++) {
		if (add_identity(store, picked(store, i)) == -1 ||
		    add_gain(store, 4, picked(store, i)) == -1)
			return -1;
	}
	return 0;
}

void
session_store_merge(struct session_store *store, struct batch *batch)
{
	store->batch = batch;
	if (pick_gaining(store, true) == -1 || insert_build(store) == -1)
		no_memory(store);
	else if (picked_count(store) == 0)
		merge_known(store);
	else
		submit(store, store->insert_sql.data, on_inserted, NULL);
}

/* ---- what is known afterwards -------------------------------------------- */

/* The session as it is now, without its new keys. */
static void
keep_session(struct session_store *store, struct session *session)
{
	struct cached_session *cached = session->cached;

	if (session->counts[SESSION_event_count] == 0) {
		if (cached != NULL)
			session_cache_touch(store->cache, cached);
		return;
	}
	if (cached == NULL) {
		/* Of one that was not loaded not even a part is known. */
		if (session->known != SESSION_NEW)
			return;
		session->started_us = session->times[SESSION_started_at];
		session->ended_us = session->times[SESSION_ended_at];
		if (session_cache_it(store, session) == -1)
			return;
		cached = session->cached;
	}
	cached->event_count =
	    session->event_count + session->counts[SESSION_event_count];
	if (session->times[SESSION_started_at] < cached->started_us)
		cached->started_us = session->times[SESSION_started_at];
	if (session->times[SESSION_ended_at] > cached->ended_us)
		cached->ended_us = session->times[SESSION_ended_at];
	session_cache_touch(store->cache, cached);
}

/* A dead letter is not stored: sent again, it may be welcome. */
static void
keep_row(struct session_store *store, const struct batch_row *row)
{
	struct session *session = &store->batch->sessions.items[row->session];

	if (row->is_dead || session->cached == NULL ||
	    session->cached->is_large)
		return;
	if (cached_session_learn(store->cache, session->cached, row->key) ==
	    -1) {
		session_cache_forget(store->cache, session->cached);
		session->cached = NULL;
	}
}

void
session_store_keep(struct session_store *store, struct batch *batch)
{
	size_t i, j;

	store->batch = batch;
	for (i = 0; i < batch->sessions.n; i++)
		keep_session(store, &batch->sessions.items[i]);
	for (i = 0; i < batch->nleaves; i++) {
		for (j = 0; j < batch->leaves[i].nrows; j++)
			keep_row(store, &batch->leaves[i].rows[j]);
	}
	sessions_unlearn(&batch->sessions);
	session_cache_trim(store->cache);
}

void
session_store_forget(struct session_store *store, struct batch *batch)
{
	struct session *session;
	size_t i;

	for (i = 0; i < batch->sessions.n; i++) {
		session = &batch->sessions.items[i];
		if (session->cached != NULL)
			session_cache_forget(store->cache, session->cached);
	}
	sessions_unlearn(&batch->sessions);
}

/* ---- life ---------------------------------------------------------------- */

struct session_store *
session_store_create(struct pg *pg, struct session_cache *cache,
    session_done_fn *on_learnt, session_done_fn *on_merged, void *arg)
{
	struct session_store *store = calloc(1, sizeof(*store));
	size_t i;

	if (store == NULL)
		return NULL;
	store->pg = pg;
	store->cache = cache;
	store->learnt = on_learnt;
	store->merged = on_merged;
	store->arg = arg;
	for (i = 0; i < ARRAYS; i++)
		store->formats[i] = 1;
	if (session_insert_sql(&store->insert_sql) == -1 ||
	    session_update_sql(&store->update_sql) == -1) {
		session_store_destroy(store);
		return NULL;
	}
	return store;
}

void
session_store_destroy(struct session_store *store)
{
	size_t i;

	if (store == NULL)
		return;
	for (i = 0; i < ARRAYS; i++)
		pg_array_free(&store->arrays[i]);
	buf_free(&store->insert_sql);
	buf_free(&store->update_sql);
	buf_free(&store->picked);
	buf_free(&store->probes);
	free(store);
}
