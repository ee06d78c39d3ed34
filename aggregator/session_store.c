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
#include "common/log.h"

/* session_key, two more ids or the count expected, session_id; the rest. */
#define ARRAYS (4 + SESSION_TIMES + SESSION_COUNTS + 2 * SESSION_VALUES)

/* Of the cache's keys, those that one batch may load: the answer is in RAM. */
#define LOAD_PART 4

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
	int64_t from;      /* the spans added lie between */
	int64_t to;
	bool repeats; /* some row was found to be one */

	struct pg_array arrays[ARRAYS];
	const char *values[ARRAYS];
	int lengths[ARRAYS];
	int formats[ARRAYS];
	size_t narrays;
	struct pg_request request;
};

static void probe(struct session_store *);
static void merge_known(struct session_store *);

/* ---- statements ---------------------------------------------------------- */

static const char lookup_sql[] =
    "SELECT n.i, s.session_key, s.event_count, s.started_at, s.ended_at,"
    " CASE WHEN s.session_key IS NULL"
    " THEN nextval('public.session_keys') END"
    " FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY"
    " AS n(project_id, session_id, i)"
    " LEFT JOIN public.session_state s USING (project_id, session_id)";

enum {
	LOOKUP_I,
	LOOKUP_KEY,
	LOOKUP_COUNT,
	LOOKUP_START,
	LOOKUP_END,
	LOOKUP_NEW_KEY
};

/*
 * The outer bounds let the planner leave out months, the inner the executor.
 * OFFSET 0 keeps the planner from turning the loop around: new partitions have
 * no statistics, and it would rather read one than trust an index.
 */
static const char load_sql[] =
    "SELECT n.i, e.event_id"
    " FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[])"
    " WITH ORDINALITY AS n(session_key, started_at, ended_at, i),"
    " LATERAL (SELECT event_id FROM public.events"
    " WHERE session_key = n.session_key"
    " AND \"timestamp\" BETWEEN n.started_at AND n.ended_at"
    " AND \"timestamp\" BETWEEN ($4::timestamptz[])[1]"
    " AND ($4::timestamptz[])[2] OFFSET 0) AS e";

static const char probe_sql[] =
    "SELECT n.i"
    " FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[],"
    " $4::text[])"
    " WITH ORDINALITY AS n(session_key, started_at, ended_at, event_id, i)"
    " WHERE EXISTS (SELECT FROM public.events e"
    " WHERE e.session_key = n.session_key"
    " AND hashtextextended(e.event_id, 0) = hashtextextended(n.event_id, 0)"
    " AND e.event_id = n.event_id"
    " AND e.\"timestamp\" BETWEEN n.started_at AND n.ended_at"
    " AND e.\"timestamp\" BETWEEN ($5::timestamptz[])[1]"
    " AND ($5::timestamptz[])[2] OFFSET 0)";

static int
append_columns(struct buf *sql)
{
	size_t i;

	for (i = 0; i < SESSION_TIMES; i++) {
		if (buf_printf(sql, ", %s", session_times[i].name) == -1)
			return -1;
	}
	for (i = 0; i < SESSION_COUNTS; i++) {
		if (buf_printf(sql, ", %s", session_counts[i].name) == -1)
			return -1;
	}
	for (i = 0; i < SESSION_VALUES; i++) {
		if (buf_printf(sql, ", %s, %s_order", session_values[i].name,
			session_values[i].name) == -1)
			return -1;
	}
	return 0;
}

/* The arrays of append_columns(), from $first on. */
static int
append_arrays(struct buf *sql, int first)
{
	size_t i;

	for (i = 0; i < SESSION_TIMES; i++) {
		if (buf_printf(sql, ", $%d::timestamptz[]", first++) == -1)
			return -1;
	}
	for (i = 0; i < SESSION_COUNTS; i++) {
		if (buf_printf(sql, ", $%d::bigint[]", first++) == -1)
			return -1;
	}
	for (i = 0; i < SESSION_VALUES; i++, first += 2) {
		if (buf_printf(sql, ", $%d::text[], $%d::bytea[]", first,
			first + 1) == -1)
			return -1;
	}
	return 0;
}

static int
build_insert(struct buf *sql)
{
	if (buf_puts(sql,
		"INSERT INTO public.session_state"
		" (session_key, org_id, project_id, session_id") == -1 ||
	    append_columns(sql) == -1 ||
	    buf_puts(sql,
		") SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::uuid[],"
		" $4::text[]") == -1 ||
	    append_arrays(sql, 5) == -1 ||
	    buf_puts(sql, ") ON CONFLICT DO NOTHING") == -1)
		return -1;
	return buf_append(sql, "", 1);
}

/* How each column takes in what the batch has of it; nulls are left out. */
static int
append_merges(struct buf *sql)
{
	const char *name, *least;
	size_t i;

	for (i = 0; i < SESSION_TIMES; i++) {
		name = session_times[i].name;
		least = session_times[i].merge == SESSION_LEAST ? "least"
								: "greatest";
		if (buf_printf(sql, ", %s = %s(s.%s, n.%s)", name, least, name,
			name) == -1)
			return -1;
	}
	for (i = 0; i < SESSION_COUNTS; i++) {
		name = session_counts[i].name;
		if (buf_printf(sql, ", %s = s.%s + n.%s", name, name, name) ==
		    -1)
			return -1;
	}
	for (i = 0; i < SESSION_VALUES; i++) {
		bool first = session_values[i].merge == SESSION_FIRST;

		name = session_values[i].name;
		if (buf_printf(sql,
			", %s = CASE WHEN s.%s_order IS NULL"
			" OR n.%s_order %c s.%s_order THEN n.%s ELSE s.%s END"
			", %s_order = %s(s.%s_order, n.%s_order)",
			name, name, name, first ? '<' : '>', name, name, name,
			name, first ? "least" : "greatest", name, name) == -1)
			return -1;
	}
	return 0;
}

static int
build_update(struct buf *sql)
{
	if (buf_puts(sql,
		"UPDATE public.session_state AS s SET updated_at = now()") ==
		-1 ||
	    append_merges(sql) == -1 ||
	    buf_puts(sql, " FROM unnest($1::bigint[], $2::bigint[]") == -1 ||
	    append_arrays(sql, 3) == -1 ||
	    buf_puts(sql, ") AS n(session_key, expected") == -1 ||
	    append_columns(sql) == -1 ||
	    buf_puts(sql,
		") WHERE s.session_key = n.session_key"
		" AND s.event_count = n.expected") == -1)
		return -1;
	return buf_append(sql, "", 1);
}

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
submit(struct session_store *store, const char *sql, pg_done_fn *done)
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

/* The session that a row of a result is about: its first column, from 1. */
static struct session *
picked_by(const struct session_store *store, const PGresult *result, int row)
{
	return picked(store, (size_t)int8_of(result, row, 0) - 1);
}

/* ---- 3. what a batch may not hold ---------------------------------------- */

static void
learnt(struct session_store *store)
{
	if (store->repeats)
		batch_drop_repeats(store->batch);
	batch_write_session_keys(store->batch);
	store->learnt(store->arg, SESSION_STORED, NULL);
}

static void
on_probed(void *arg, const PGresult *result, const struct pg_fault *fault)
{
	struct session_store *store = arg;
	const struct probe *probes = (const void *)store->probes.data;
	const struct probe *at;
	int i;

	if (fault != NULL) {
		store->learnt(store->arg, SESSION_FAILED, fault);
		return;
	}
	for (i = 0; i < PQntuples(result); i++) {
		at = &probes[int8_of(result, i, 0) - 1];
		store->batch->leaves[at->leaf].rows[at->row].is_repeat = true;
		store->repeats = true;
	}
	learnt(store);
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

/* Asks for one row, if its session is too large for the cache. */
static int
probe_row(struct session_store *store, uint32_t leaf, uint32_t row)
{
	const struct batch_leaf *rows = &store->batch->leaves[leaf];
	const struct session *session =
	    &store->batch->sessions.items[rows->rows[row].session];
	const struct probe at = {leaf, row};
	const char *id;
	size_t bytes;

	if (session->known != SESSION_LARGE)
		return 0;
	id = batch_value(rows, row, FIELD_EVENT_ID, &bytes);
	if (id == NULL || add_span(store, session) == -1 ||
	    pg_array_add(&store->arrays[3], id, bytes) == -1)
		return -1;
	return buf_append(&store->probes, &at, sizeof(at));
}

static void
probe(struct session_store *store)
{
	const struct batch *batch = store->batch;
	uint32_t leaf, row;

	buf_clear(&store->probes);
	if (begin_spans(store) == -1 || next_array(store, PG_TEXT) == NULL) {
		no_memory(store);
		return;
	}
	for (leaf = 0; leaf < batch->nleaves; leaf++) {
		for (row = 0; row < batch->leaves[leaf].nrows; row++) {
			if (probe_row(store, leaf, row) == -1) {
				no_memory(store);
				return;
			}
		}
	}
	if (store->probes.len == 0)
		learnt(store);
	else if (end_spans(store) == -1)
		no_memory(store);
	else
		submit(store, probe_sql, on_probed);
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
on_loaded(void *arg, const PGresult *result, const struct pg_fault *fault)
{
	struct session_store *store = arg;
	struct session *session;
	struct event_key key;
	size_t j;
	int i;

	if (fault != NULL) {
		store->learnt(store->arg, SESSION_FAILED, fault);
		return;
	}
	for (i = 0; i < PQntuples(result); i++) {
		session = picked_by(store, result, i);
		key = event_key_of(PQgetvalue(result, i, 1),
		    (size_t)PQgetlength(result, i, 1));
		if (cached_session_learn(store->cache, session->cached, key) ==
		    -1) {
			no_memory(store);
			return;
		}
	}
	for (j = 0; j < picked_count(store); j++) {
		session = picked(store, j);
		session->known =
		    session->cached->is_large ? SESSION_LARGE : SESSION_CACHED;
	}
	mark_repeats(store);
	probe(store);
}

/* The sessions picked. */
static void
load(struct session_store *store)
{
	size_t i;

	if (picked_count(store) == 0) {
		probe(store);
		return;
	}
	if (begin_spans(store) == -1) {
		no_memory(store);
		return;
	}
	for (i = 0; i < picked_count(store); i++) {
		if (add_span(store, picked(store, i)) == -1) {
			no_memory(store);
			return;
		}
	}
	if (end_spans(store) == -1)
		no_memory(store);
	else
		submit(store, load_sql, on_loaded);
}

/* ---- 1. sessions that nothing is known of -------------------------------- */

/* In the database: takes it into the cache, as yet without its events. */
static int
session_found(struct session_store *store, struct session *session,
    const PGresult *result, int row)
{
	const char *id = session_bytes(
	    &store->batch->sessions, store->batch->leaves, &session->id);

	session->cached = session_cache_add(store->cache, session->hash,
	    session->project_id, id, session->id.len);
	if (session->cached == NULL)
		return -1;
	session->session_key = int8_of(result, row, LOOKUP_KEY);
	session->event_count = int8_of(result, row, LOOKUP_COUNT);
	session->started_us = int8_of(result, row, LOOKUP_START);
	session->ended_us = int8_of(result, row, LOOKUP_END);
	session->cached->session_key = session->session_key;
	session->cached->event_count = session->event_count;
	session->cached->started_us = session->started_us;
	session->cached->ended_us = session->ended_us;
	return 0;
}

/* Those that are there and fit are picked, to be loaded. */
static int
take_looked_up(struct session_store *store, const PGresult *result)
{
	const uint64_t most = session_cache_most_keys(store->cache);
	const uint64_t most_loaded = most * LOAD_PART;
	struct session *session;
	struct buf found = BUF_INIT;
	uint64_t loaded = 0, events;
	int i, ret = -1;

	for (i = 0; i < PQntuples(result); i++) {
		session = picked_by(store, result, i);
		if (PQgetisnull(result, i, LOOKUP_KEY)) {
			session->known = SESSION_NEW;
			session->session_key =
			    int8_of(result, i, LOOKUP_NEW_KEY);
			session->event_count = 0;
			continue;
		}
		if (session_found(store, session, result, i) == -1)
			goto out;
		events = (uint64_t)session->event_count;
		if (events > most || loaded + events > most_loaded) {
			cached_session_enlarge(store->cache, session->cached);
			session->known = SESSION_LARGE;
		} else {
			uint32_t number =
			    (uint32_t)(session - store->batch->sessions.items);

			loaded += events;
			if (buf_append(&found, &number, sizeof(number)) == -1)
				goto out;
		}
	}
	buf_free(&store->picked);
	store->picked = found;
	return 0;
out:
	buf_free(&found);
	return ret;
}

static void
on_looked_up(void *arg, const PGresult *result, const struct pg_fault *fault)
{
	struct session_store *store = arg;

	if (fault != NULL)
		store->learnt(store->arg, SESSION_FAILED, fault);
	else if (take_looked_up(store, result) == -1)
		no_memory(store);
	else
		load(store);
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
	if (pick_unknown(store) == -1) {
		no_memory(store);
	} else if (picked_count(store) == 0) {
		probe(store);
	} else if (lookup_build(store) == -1) {
		no_memory(store);
	} else {
		submit(store, lookup_sql, on_looked_up);
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
pick_gaining(struct session_store *store, bool new)
{
	const struct sessions *sessions = &store->batch->sessions;
	const struct session *session;
	size_t i;

	buf_clear(&store->picked);
	for (i = 0; i < sessions->n; i++) {
		session = &sessions->items[i];
		if (session->counts[SESSION_event_count] > 0 &&
		    (session->known == SESSION_NEW) == new &&pick(store, i) ==
			-1)
			return -1;
	}
	sort_picked(store, new ? by_id : by_key);
	return 0;
}

/* Whether a statement concerned every session picked; reports if not. */
static bool
merged_all(struct session_store *store, const PGresult *result,
    const struct pg_fault *fault)
{
	const char *rows;

	if (fault != NULL) {
		store->merged(store->arg, SESSION_FAILED, fault);
		return false;
	}
	rows = PQcmdTuples((PGresult *)(uintptr_t)result);
	if (strtoull(rows, NULL, 10) != picked_count(store)) {
		store->merged(store->arg, SESSION_CHANGED, NULL);
		return false;
	}
	return true;
}

static void
on_updated(void *arg, const PGresult *result, const struct pg_fault *fault)
{
	struct session_store *store = arg;

	if (merged_all(store, result, fault))
		store->merged(store->arg, SESSION_STORED, NULL);
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
		store->merged(store->arg, SESSION_STORED, NULL);
	else
		submit(store, store->update_sql.data, on_updated);
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
		submit(store, store->insert_sql.data, on_inserted);
}

/* ---- what is known afterwards -------------------------------------------- */

/* The session as it is now, without its new keys. */
static void
keep_session(struct session_store *store, struct session *session)
{
	const struct batch *batch = store->batch;
	struct cached_session *cached = session->cached;

	if (session->counts[SESSION_event_count] == 0) {
		if (cached != NULL)
			session_cache_touch(store->cache, cached);
		return;
	}
	if (cached == NULL) {
		cached = session_cache_add(store->cache, session->hash,
		    session->project_id,
		    session_bytes(
			&batch->sessions, batch->leaves, &session->id),
		    session->id.len);
		if (cached == NULL)
			return;
		session->cached = cached;
		cached->session_key = session->session_key;
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
	if (build_insert(&store->insert_sql) == -1 ||
	    build_update(&store->update_sql) == -1) {
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
