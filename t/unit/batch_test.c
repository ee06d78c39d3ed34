/* SPDX-License-Identifier: MIT */
/*
 * Rows come out by month, in order, byte by byte as they went in, each event
 * once; what a worker got wrong costs that record's rest and nothing else.
 *
 * Linked with calloc, realloc and reallocarray wrapped, so that memory can end.
 */
#include "aggregator/batch.h"

#include <criterion/criterion.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/keytable.h"
#include "common/row.h"
#include "common/timestamp.h"
#include "t/unit/tuple_kit.h"

#define DAY_US INT64_C(86400000000)
#define MANY 300

TestSuite(batch, .init = event_key_seed);

/* Allocations that succeed until one fails; then all succeed again. */
static size_t allocations_left = SIZE_MAX;

void *__real_calloc(size_t, size_t);
void *__real_realloc(void *, size_t);
void *__real_reallocarray(void *, size_t, size_t);
void *__wrap_calloc(size_t, size_t);
void *__wrap_realloc(void *, size_t);
void *__wrap_reallocarray(void *, size_t, size_t);

static bool
memory_ends(void)
{
	return allocations_left-- == 0;
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return memory_ends() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *old, size_t size)
{
	return memory_ends() ? NULL : __real_realloc(old, size);
}

void *
__wrap_reallocarray(void *old, size_t n, size_t size)
{
	return memory_ends() ? NULL : __real_reallocarray(old, n, size);
}

static struct batch
batch_of(struct session_cache *cache)
{
	struct batch batch;

	batch_init(&batch, cache, NULL);
	return batch;
}

/* Good until the next call. */
static const char *
number(size_t i)
{
	static char text[32];

	(void)snprintf(text, sizeof(text), "%zu", i);
	return text;
}

static int64_t
at(const char *text)
{
	int64_t us;

	cr_assert_null(timestamp_parse(text, strlen(text), &us));
	return us;
}

/*
 * Appends a row to a record, to one of no bytes a head first, and returns the
 * record's new length.
 */
static size_t
add_row(uint8_t *record, size_t len, int64_t us, const char *id)
{
	const struct tuple_kit kit = {
	    .timestamp_us = us, .received_us = us, .event_id = id};

	if (len == 0)
		len = tuple_kit_head(record, 1, "agent");
	return len + tuple_kit_row(record + len, &kit);
}

static const struct batch_leaf *
leaf_of(const struct batch *batch, int64_t month)
{
	size_t i;

	for (i = 0; i < batch->nleaves; i++) {
		if (batch->leaves[i].month == month)
			return &batch->leaves[i];
	}
	return NULL;
}

static void
expect_id(const struct batch_leaf *leaf, size_t row, const char *id)
{
	struct row_value values[FIELD_COUNT];
	const struct row_value *value = &values[FIELD_EVENT_ID];
	const char *tuple;
	size_t bytes;

	tuple = batch_rows(leaf, row, row + 1, &bytes);
	cr_assert(row_parse((const uint8_t *)tuple, bytes, values));
	cr_expect(value->length == (int32_t)strlen(id) &&
		memcmp(value->data, id, strlen(id)) == 0,
	    "row %zu is not %s", row, id);
}

Test(batch, sorts_rows_by_month)
{
	_Alignas(8) uint8_t record[5 * TUPLE_KIT_MAX];
	struct batch batch = batch_of(NULL);
	const struct batch_leaf *leaf;
	size_t len = 0;
	bool whole;

	len = add_row(record, len, at("2024-01-31T23:59:59.999999Z"), "a");
	len = add_row(record, len, at("2024-02-01T00:00:00Z"), "b");
	len = add_row(record, len, at("2024-01-01T00:00:00Z"), "c");
	len = add_row(record, len, at("1999-12-31T23:59:59Z"), "d");
	cr_assert_eq(batch_add(&batch, record, len, &whole), 0);
	cr_expect(whole);
	cr_expect_eq(batch.rows, 4);
	cr_expect_eq(batch.nleaves, 3);
	leaf = leaf_of(&batch, at("2024-01-01T00:00:00Z"));
	cr_assert_not_null(leaf);
	cr_assert_eq(leaf->nrows, 2);
	expect_id(leaf, 0, "a");
	expect_id(leaf, 1, "c");
	expect_id(leaf_of(&batch, at("2024-02-01T00:00:00Z")), 0, "b");
	expect_id(leaf_of(&batch, at("1999-12-01T00:00:00Z")), 0, "d");
	batch_free(&batch);
}

Test(batch, keeps_tuples_as_they_are)
{
	_Alignas(8) uint8_t record[3 * TUPLE_KIT_MAX];
	uint8_t tuples[2 * TUPLE_KIT_MAX];
	const struct tuple_kit first = {.timestamp_us = 1,
	    .received_us = 2,
	    .event_id = "first",
	    .page_title = "a title"};
	const struct tuple_kit second = {
	    .timestamp_us = 3, .received_us = 4, .event_id = "second"};
	struct batch batch = batch_of(NULL);
	size_t len, bytes, want;
	const char *got;
	bool whole;

	len = tuple_kit_head(record, 0, "");
	len += tuple_kit_row(record + len, &first);
	len += tuple_kit_row(record + len, &second);
	want = tuple_kit_tuple(tuples, &first);
	want += tuple_kit_tuple(tuples + want, &second);
	cr_assert_eq(batch_add(&batch, record, len, &whole), 0);
	got = batch_rows(&batch.leaves[0], 0, 2, &bytes);
	cr_assert_eq(bytes, want);
	cr_expect_eq(batch.bytes, want);
	cr_expect_eq(memcmp(got, tuples, want), 0);
	batch_free(&batch);
}

Test(batch, sets_impossible_times_apart)
{
	static const int64_t times[] = {INT64_MAX, INT64_MIN,
	    INT64_C(252455616000000000), INT64_C(-63082281600000001)};
	_Alignas(8) uint8_t record[6 * TUPLE_KIT_MAX];
	struct batch batch = batch_of(NULL);
	const struct batch_leaf *odd;
	size_t len = 0, i;
	bool whole;

	for (i = 0; i < 4; i++)
		len = add_row(record, len, times[i], number(i));
	len = add_row(record, len, times[2] - 1, "y");
	cr_assert_eq(batch_add(&batch, record, len, &whole), 0);
	cr_expect(whole);
	cr_assert_eq(batch.nleaves, 2);
	odd = leaf_of(&batch, BATCH_NO_MONTH);
	cr_expect(odd && odd->nrows == 4);
	expect_id(leaf_of(&batch, at("9999-12-01T00:00:00Z")), 0, "y");
	batch_free(&batch);
}

static void
break_head_zero(uint8_t *row)
{
	row[4] = 1;
}

static void
break_head_long(uint8_t *row)
{
	memset(row, 0xff, 4);
}

static void
break_head_empty(uint8_t *row)
{
	memset(row, 0, 4);
}

static void
break_count(uint8_t *row)
{
	row[8]++;
}

static void
break_length(uint8_t *row)
{
	row[10] = 0x7f;
}

Test(batch, stops_at_what_is_no_row)
{
	static const struct {
		const char *name;
		void (*damage)(uint8_t *row);
	} cases[] = {
	    {"zero of the head", break_head_zero},
	    {"length beyond the record", break_head_long},
	    {"length of nothing", break_head_empty},
	    {"number of fields", break_count},
	    {"length of a field", break_length},
	};
	_Alignas(8) uint8_t record[4 * TUPLE_KIT_MAX];
	struct batch batch;
	size_t i, first, len;
	bool whole;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		batch = batch_of(NULL);
		first = len = add_row(record, 0, DAY_US, "good");
		len = add_row(record, len, DAY_US, "bad");
		len = add_row(record, len, DAY_US, "behind");
		cases[i].damage(record + first);
		cr_assert_eq(batch_add(&batch, record, len, &whole), 0);
		cr_expect(!whole, "%s: not noticed", cases[i].name);
		cr_expect_eq(
		    batch.rows, 1, "%s: %zu rows", cases[i].name, batch.rows);
		expect_id(&batch.leaves[0], 0, "good");
		batch_free(&batch);
	}
}

/* Every length: never a read beyond it (the sanitizers watch). */
Test(batch, takes_no_part_of_a_row)
{
	_Alignas(8) uint8_t record[2 * TUPLE_KIT_MAX];
	size_t len = add_row(record, 0, DAY_US, "cut"), cut;
	size_t head = tuple_kit_head(record, 1, "agent");
	struct batch batch = batch_of(NULL);
	uint8_t *copy;
	bool whole;

	for (cut = 1; cut < len; cut++) {
		cr_assert_not_null(copy = malloc(cut));
		memcpy(copy, record, cut);
		cr_assert_eq(batch_add(&batch, copy, cut, &whole), 0);
		cr_expect(whole == (cut == head), "%zu of %zu bytes", cut, len);
		free(copy);
	}
	cr_expect_eq(batch.rows, 0);
	batch_free(&batch);
}

Test(batch, takes_a_record_without_rows)
{
	_Alignas(8) uint8_t record[TUPLE_KIT_MAX];
	struct batch batch = batch_of(NULL);
	size_t len = tuple_kit_head(record, 1, "agent");
	bool whole;

	cr_assert_eq(batch_add(&batch, record, len, &whole), 0);
	cr_expect(whole);
	cr_expect_eq(batch.rows, 0);
	cr_assert_eq(batch_add(&batch, (const uint8_t *)"", 0, &whole), 0);
	cr_expect(!whole, "without a head");
	batch_free(&batch);
}

/* Without a head that can be believed, no row of the record is. */
Test(batch, takes_nothing_behind_a_bad_head)
{
	_Alignas(8) uint8_t record[2 * TUPLE_KIT_MAX];
	struct batch batch = batch_of(NULL);
	size_t len = add_row(record, 0, DAY_US, "id");
	bool whole;

	record[offsetof(struct record_head, zero)] = 1;
	cr_assert_eq(batch_add(&batch, record, len, &whole), 0);
	cr_expect_not(whole);
	cr_expect_eq(batch.rows, 0);
	record[offsetof(struct record_head, zero)] = 0;
	cr_assert_eq(batch_add(&batch, record, len, &whole), 0);
	cr_expect(whole);
	cr_expect_eq(batch.rows, 1);
	batch_free(&batch);
}

Test(batch, is_what_it_was_when_memory_ends)
{
	_Alignas(8) uint8_t record[3 * TUPLE_KIT_MAX];
	struct batch batch = batch_of(NULL);
	size_t len, bytes;
	bool whole;

	len = add_row(record, 0, DAY_US, "stays");
	cr_assert_eq(batch_add(&batch, record, len, &whole), 0);
	bytes = batch.bytes;
	/* Room for one more, not for two. */
	batch.leaves[0].tuples.limit = bytes + len;
	len = add_row(record, 0, DAY_US, "more");
	len = add_row(record, len, DAY_US, "too many");
	cr_expect_eq(batch_add(&batch, record, len, &whole), -1);
	cr_expect_eq(batch.rows, 1);
	cr_expect_eq(batch.bytes, bytes);
	cr_expect_eq(batch.leaves[0].nrows, 1);
	cr_expect_eq(batch.leaves[0].tuples.len, bytes);
	batch.leaves[0].tuples.limit = 0;
	cr_assert_eq(batch_add(&batch, record, len, &whole), 0);
	cr_expect_eq(batch.leaves[0].nrows, 3);
	expect_id(&batch.leaves[0], 2, "too many");
	batch_free(&batch);
}

Test(batch, takes_only_so_many_months_from_a_record)
{
	const size_t rows = BATCH_MONTHS_MAX + 2;
	struct batch batch = batch_of(NULL);
	size_t i, len = 0;
	uint8_t *record;
	bool whole;

	record = malloc((rows + 2) * TUPLE_KIT_MAX);
	cr_assert_not_null(record);
	/* One that is there before is not counted. */
	len = add_row(record, 0, 0, "before");
	cr_assert_eq(batch_add(&batch, record, len, &whole), 0);
	for (i = len = 0; i < rows; i++)
		len = add_row(record, len, (int64_t)i * 32 * DAY_US, number(i));
	len = add_row(record, len, 0, "behind");
	cr_assert_eq(batch_add(&batch, record, len, &whole), 0);
	cr_expect_not(whole);
	cr_expect_eq(batch.nleaves, BATCH_MONTHS_MAX + 1);
	cr_expect_eq(batch.rows, BATCH_MONTHS_MAX + 2);
	free(record);
	/* The next record is as good as any. */
	record = malloc(2 * TUPLE_KIT_MAX);
	cr_assert_not_null(record);
	len = add_row(record, 0, -32 * DAY_US, "next");
	cr_assert_eq(batch_add(&batch, record, len, &whole), 0);
	cr_expect(whole);
	free(record);
	batch_free(&batch);
}

Test(batch, keeps_no_more_memory_than_it_may)
{
	_Alignas(8) uint8_t record[2 * TUPLE_KIT_MAX];
	struct batch batch = batch_of(NULL);
	size_t i, kept = 0, len;
	bool whole;

	for (i = 0; i < MANY; i++) {
		len = add_row(record, 0, (int64_t)i * 31 * DAY_US, number(i));
		cr_assert_eq(batch_add(&batch, record, len, &whole), 0);
	}
	cr_assert_gt(batch.nleaves, 100);
	batch_clear(&batch, 4096);
	for (i = 0; i < batch.leaves_cap; i++)
		kept += batch.leaves[i].tuples.cap;
	cr_expect_leq(kept, 4096);
	cr_expect_gt(kept, 0);
	cr_expect_eq(batch.rows, 0);
	cr_expect_eq(batch.nleaves, 0);
	/* What is kept is clean. */
	len = add_row(record, 0, DAY_US, "again");
	cr_assert_eq(batch_add(&batch, record, len, &whole), 0);
	cr_expect_eq(batch.leaves[0].nrows, 1);
	expect_id(&batch.leaves[0], 0, "again");
	batch_free(&batch);
}

/* ---- sessions ------------------------------------------------------------ */

/* Records of rows, made with more than their time and id. */
static struct {
	_Alignas(8) uint8_t bytes[64 * TUPLE_KIT_MAX];
	size_t len;
} made;

static void
begin(const char *agent)
{
	made.len = tuple_kit_head(made.bytes, 1, agent);
}

static void
add_kit(const struct tuple_kit *kit)
{
	cr_assert_lt(made.len + TUPLE_KIT_MAX, sizeof(made.bytes));
	made.len += tuple_kit_row(made.bytes + made.len, kit);
}

static void
add_event(int64_t us, const char *session, const char *id)
{
	const struct tuple_kit kit = {
	    .timestamp_us = us, .event_id = id, .session_id = session};

	add_kit(&kit);
}

static void
expect_taken(struct batch *batch, bool want)
{
	bool whole;

	cr_assert_eq(batch_add(batch, made.bytes, made.len, &whole), 0);
	cr_expect_eq(whole, want);
}

/* Everything that a batch is, but where it lies: as text, to be freed. */
static char *
describe(const struct batch *batch)
{
	const struct session_span *span;
	const struct session *session;
	const struct batch_leaf *leaf;
	struct row_value values[FIELD_COUNT];
	struct buf text = BUF_INIT;
	size_t i, j, bytes;
	const char *tuple;

	cr_assert_eq(buf_printf(&text, "%zu rows %zu bytes\n", batch->rows,
			 batch->bytes),
	    0);
	for (i = 0; i < batch->nleaves; i++) {
		leaf = &batch->leaves[i];
		cr_assert_eq(leaf->tuples.len,
		    leaf->nrows ? leaf->rows[leaf->nrows - 1].end : 0);
		cr_assert_eq(buf_printf(&text, "%ld: %zu bytes\n",
				 (long)leaf->month, leaf->tuples.len),
		    0);
		for (j = 0; j < leaf->nrows; j++) {
			tuple = batch_rows(leaf, j, j + 1, &bytes);
			cr_assert(
			    row_parse((const uint8_t *)tuple, bytes, values));
			cr_assert(event_key_equal(leaf->rows[j].key,
			    event_key_of(values[FIELD_EVENT_ID].data,
				(size_t)values[FIELD_EVENT_ID].length)));
			session = &batch->sessions.items[leaf->rows[j].session];
			cr_assert_eq(session->id.len,
			    (uint32_t)values[FIELD_SESSION_ID].length);
			cr_assert_eq(
			    memcmp(session_bytes(&batch->sessions,
				       batch->leaves, &session->id),
				values[FIELD_SESSION_ID].data, session->id.len),
			    0);
			cr_assert_eq(buf_append(&text, tuple, bytes), 0);
			span = &leaf->rows[j].agent;
			cr_assert_eq(span->leaf, SESSION_TEXTS);
			cr_assert_eq(buf_append(&text,
					 batch->sessions.texts.data + span->at,
					 span->len),
			    0);
		}
	}
	for (i = 0; i < batch->sessions.n; i++) {
		session = &batch->sessions.items[i];
		cr_assert_eq(
		    buf_printf(&text, "%.*s of %d:", (int)session->id.len,
			session_bytes(
			    &batch->sessions, batch->leaves, &session->id),
			session->project_id[0]),
		    0);
		for (j = 0; j < SESSION_TIMES; j++)
			cr_assert_eq(
			    buf_printf(&text, " %ld", (long)session->times[j]),
			    0);
		for (j = 0; j < SESSION_COUNTS; j++)
			cr_assert_eq(
			    buf_printf(&text, " %ld", (long)session->counts[j]),
			    0);
		for (j = 0; j < SESSION_VALUES; j++) {
			const struct session_best *best = &session->values[j];

			cr_assert_eq(buf_puts(&text, " "), 0);
			if (best->value.len == 0)
				continue;
			cr_assert_eq(buf_append(&text,
					 session_bytes(&batch->sessions,
					     batch->leaves, &best->value),
					 best->value.len),
			    0);
			cr_assert_eq(
			    session_order_append(&text, &batch->sessions,
				batch->leaves, &best->order),
			    0);
		}
		cr_assert_eq(buf_puts(&text, "\n"), 0);
	}
	cr_assert_eq(buf_append(&text, "", 1), 0);
	/* Texts with zero bytes are compared as if without. */
	for (i = 0; i + 1 < text.len; i++) {
		if (text.data[i] == '\0')
			text.data[i] = '~';
	}
	return text.data;
}

static void
expect_same(const struct batch *got, const struct batch *want)
{
	char *a = describe(got), *b = describe(want);

	cr_expect_str_eq(a, b);
	free(a);
	free(b);
}

Test(batch, holds_an_event_once)
{
	struct batch batch = batch_of(NULL);

	begin("agent");
	add_event(1, "a", "1");
	add_event(2, "a", "2");
	add_event(3, "a", "1");
	add_event(60 * DAY_US, "a", "2");
	expect_taken(&batch, true);
	cr_expect_eq(batch.rows, 2);
	cr_expect_eq(batch.repeats, 2);
	/* No month for what is not there. */
	cr_expect_eq(batch.nleaves, 1);
	/* Across records. */
	begin("other agent");
	add_event(4, "a", "2");
	add_event(4, "a", "3");
	expect_taken(&batch, true);
	cr_expect_eq(batch.rows, 3);
	cr_expect_eq(batch.repeats, 3);
	cr_expect_eq(batch.sessions.n, 1);
	cr_expect_eq(batch.sessions.items[0].counts[SESSION_event_count], 3);
	cr_expect_eq(batch.sessions.items[0].times[SESSION_ended_at], 4);
	batch_free(&batch);
}

/* SDKs that count their events give the same ids in every session. */
Test(batch, tells_sessions_with_the_same_ids_apart)
{
	struct batch batch = batch_of(NULL);
	struct tuple_kit kit = {.session_id = "0", .project = 9};
	char session[32];
	size_t i, j, round;

	for (round = 0; round < 2; round++) {
		for (i = 0; i < 50; i++) {
			(void)snprintf(session, sizeof(session), "%zu", i);
			begin("agent");
			for (j = 0; j < 50; j++)
				add_event(0, session, number(j));
			expect_taken(&batch, true);
		}
		begin("agent");
		kit.event_id = "0";
		add_kit(&kit);
		expect_taken(&batch, true);
	}
	cr_expect_eq(batch.rows, 50 * 50 + 1);
	cr_expect_eq(batch.repeats, 50 * 50 + 1);
	cr_expect_eq(batch.sessions.n, 51);
	batch_free(&batch);
}

static struct cached_session *
cached(struct session_cache *cache, const char *id)
{
	uint8_t project[UUID_BYTES];

	memset(project, 2, sizeof(project));
	return session_cache_add(cache,
	    event_key_of_session(project, id, strlen(id)), project, id,
	    strlen(id));
}

Test(batch, leaves_out_what_the_cache_knows)
{
	struct session_cache *cache = session_cache_create(1 << 20);
	struct batch batch = batch_of(cache);
	struct cached_session *session;

	session = cached(cache, "known");
	cr_assert_eq(
	    cached_session_learn(cache, session, event_key_of("1", 1)), 0);
	session = cached(cache, "large");
	cached_session_enlarge(cache, session);
	begin("agent");
	add_event(1, "known", "1");
	add_event(2, "known", "2");
	add_event(3, "large", "1");
	add_event(4, "unknown", "1");
	expect_taken(&batch, true);
	cr_expect_eq(batch.rows, 3);
	cr_expect_eq(batch.repeats, 1);
	expect_id(&batch.leaves[0], 0, "2");
	cr_expect_eq(batch.sessions.items[0].known, SESSION_CACHED);
	cr_expect_eq(batch.sessions.items[0].counts[SESSION_event_count], 1);
	cr_expect_eq(batch.sessions.items[1].known, SESSION_PROBED);
	cr_expect_eq(batch.sessions.items[2].known, SESSION_UNKNOWN);
	batch_free(&batch);
	session_cache_destroy(cache);
}

/* Rows of three sessions and three months, which differ in all that counts. */
static void
add_varied(struct batch *batch, uint64_t wanted)
{
	static const char *const sessions[] = {"a", "b", "c"};
	static const char *const types[] = {"page.view", "error", "ui.click"};
	char page[32], user[32], agent[32];
	struct tuple_kit kit;
	int64_t sequence;
	size_t i;

	for (i = 0; i < 60; i++) {
		if (i % 10 == 0) {
			(void)snprintf(agent, sizeof(agent), "agent %zu", i);
			begin(agent);
		}
		sequence = (int64_t)(i * 7 % 5);
		(void)snprintf(page, sizeof(page), "/%zu", i);
		(void)snprintf(user, sizeof(user), "user %zu", i);
		kit = (struct tuple_kit){
		    .timestamp_us = (int64_t)(i * 37 % 90) * DAY_US,
		    .event_id = number(i),
		    .session_id = sessions[i % 3],
		    .event_type = types[i / 3 % 3],
		    .page_path = i % 4 == 0 ? NULL : page,
		    .user_id = i % 5 == 0 ? "" : user,
		    .sequence = i % 2 == 0 ? NULL : &sequence,
		};
		/* Every month and session first, so that they are in order. */
		if (i < 10 || wanted >> i & 1)
			add_kit(&kit);
		if (i % 10 == 9)
			expect_taken(batch, true);
	}
}

static size_t
row_number(const struct batch_leaf *leaf, size_t row)
{
	size_t bytes;
	const char *id = batch_value(leaf, row, FIELD_EVENT_ID, &bytes);
	char text[8] = "";

	cr_assert_not_null(id);
	cr_assert_lt(bytes, sizeof(text));
	memcpy(text, id, bytes);
	return strtoul(text, NULL, 10);
}

Test(batch, without_repeats_is_as_if_they_never_came)
{
	static const uint64_t wanted[] = {0, UINT64_MAX,
	    UINT64_C(0xaaaaaaaaaaaaaaaa), UINT64_C(0x123456789abcdef),
	    UINT64_C(0xffff00000fff0000)};
	struct batch batch, never;
	struct batch_leaf *leaf;
	size_t i, j, row, dropped;

	for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		batch = batch_of(NULL);
		never = batch_of(NULL);
		add_varied(&batch, UINT64_MAX);
		add_varied(&never, wanted[i]);
		dropped = batch.rows - never.rows;
		for (j = 0; j < batch.nleaves; j++) {
			leaf = &batch.leaves[j];
			for (row = 0; row < leaf->nrows; row++) {
				size_t n = row_number(leaf, row);

				leaf->rows[row].is_repeat =
				    n >= 10 && !(wanted[i] >> n & 1);
			}
		}
		batch_drop_repeats(&batch);
		expect_same(&batch, &never);
		cr_expect_eq(batch.repeats, dropped);
		/* What is there is still known, what is not may come. */
		add_varied(&batch, UINT64_MAX);
		cr_expect_eq(batch.rows, 60);
		cr_expect_eq(batch.repeats, dropped + 60 - dropped);
		batch_free(&batch);
		batch_free(&never);
	}
}

Test(batch, may_lose_all_rows_of_a_month)
{
	struct batch batch = batch_of(NULL);
	size_t i;

	begin("agent");
	add_event(0, "a", "1");
	add_event(40 * DAY_US, "a", "2");
	expect_taken(&batch, true);
	batch.leaves[0].rows[0].is_repeat = true;
	batch_drop_repeats(&batch);
	cr_expect_eq(batch.rows, 1);
	cr_expect_eq(batch.leaves[0].nrows, 0);
	cr_expect_eq(batch.leaves[0].tuples.len, 0);
	cr_expect_eq(
	    batch.sessions.items[0].times[SESSION_started_at], 40 * DAY_US);
	batch.leaves[1].rows[0].is_repeat = true;
	batch_drop_repeats(&batch);
	cr_expect_eq(batch.rows, 0);
	cr_expect_eq(batch.bytes, 0);
	cr_expect_eq(batch.repeats, 2);
	for (i = 0; i < SESSION_VALUES; i++)
		cr_expect_eq(batch.sessions.items[0].values[i].value.len, 0);
	batch_drop_repeats(&batch);
	batch_write_session_keys(&batch);
	batch_free(&batch);
}

/* Dead rows stay in the batch, but give their sessions nothing. */
Test(batch, dead_rows_give_nothing)
{
	struct batch batch = batch_of(NULL), want = batch_of(NULL);
	const struct session *session;
	size_t i;

	begin("agent");
	add_event(10, "a", "1");
	add_event(20, "a", "2");
	add_event(30, "a", "3");
	add_event(40, "b", "1");
	expect_taken(&batch, true);
	expect_taken(&want, true);
	batch.leaves[0].rows[0].is_dead = true;
	batch.leaves[0].rows[3].is_dead = true;
	batch_fold_again(&batch);
	cr_expect_eq(batch.rows, 4);
	session = &batch.sessions.items[0];
	cr_expect_eq(session->counts[SESSION_event_count], 2);
	cr_expect_eq(session->times[SESSION_started_at], 20);
	cr_expect_eq(session->times[SESSION_ended_at], 30);
	session = &batch.sessions.items[1];
	cr_expect_eq(session->counts[SESSION_event_count], 0);
	for (i = 0; i < SESSION_VALUES; i++)
		cr_expect_eq(session->values[i].value.len, 0);
	batch_revive(&batch);
	expect_same(&batch, &want);
	batch_free(&batch);
	batch_free(&want);
}

Test(batch, writes_every_tuple_its_sessions_key)
{
	struct batch batch = batch_of(NULL), before = batch_of(NULL);
	struct row_value values[FIELD_COUNT];
	const struct batch_leaf *leaf;
	size_t i, row, bytes;
	const char *tuple;
	uint32_t session;
	int64_t key;

	add_varied(&batch, UINT64_MAX);
	add_varied(&before, UINT64_MAX);
	cr_assert_geq(batch.nleaves, 3);
	for (i = 0; i < batch.sessions.n; i++)
		batch.sessions.items[i].session_key =
		    INT64_C(0x1122334455667788) + (int64_t)i;
	batch_write_session_keys(&batch);
	for (i = 0; i < batch.nleaves; i++) {
		leaf = &batch.leaves[i];
		for (row = 0; row < leaf->nrows; row++) {
			tuple = batch_rows(leaf, row, row + 1, &bytes);
			cr_assert(
			    row_parse((const uint8_t *)tuple, bytes, values));
			session = leaf->rows[row].session;
			key = row_time(&values[FIELD_SESSION_KEY]);
			cr_expect_eq(
			    key, batch.sessions.items[session].session_key);
			cr_expect_eq(
			    (const char *)values[FIELD_SESSION_KEY].data,
			    tuple + ROW_SESSION_KEY_AT);
			/* And nothing else. */
			memset(leaf->tuples.data + (tuple - leaf->tuples.data) +
				ROW_SESSION_KEY_AT,
			    0, 8);
		}
	}
	expect_same(&batch, &before);
	batch_free(&batch);
	batch_free(&before);
}

Test(batch, takes_only_ids_that_are_text)
{
	static const char *const ids[] = {
	    "\xff", "a\xc3", "\xed\xa0\x80", "\xc0\x80", "a\xf4\x90\x80\x80"};
	struct batch batch;
	size_t i, j;

	for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		for (j = 0; j < 2; j++) {
			batch = batch_of(NULL);
			begin("agent");
			add_event(1, "\xc3\xa9", "\xf0\x9f\x98\x80");
			if (j == 0)
				add_event(1, "a", ids[i]);
			else
				add_event(1, ids[i], "a");
			add_event(1, "a", "behind");
			expect_taken(&batch, false);
			cr_expect_eq(batch.rows, 1);
			batch_free(&batch);
		}
	}
	/* A zero byte within. */
	batch = batch_of(NULL);
	begin("agent");
	add_event(1, "a", "zero");
	*(uint8_t *)memmem(made.bytes, made.len, "zero", 4) = 0;
	expect_taken(&batch, false);
	cr_expect_eq(batch.rows, 0);
	batch_free(&batch);
}

Test(batch, keeps_the_agent_of_each_record)
{
	struct batch batch = batch_of(NULL);
	const struct session_best *best;

	begin("late");
	add_event(2, "a", "1");
	add_event(2, "b", "1");
	expect_taken(&batch, true);
	begin("early");
	add_event(1, "a", "2");
	expect_taken(&batch, true);
	begin("");
	add_event(0, "a", "3");
	expect_taken(&batch, true);
	best = &batch.sessions.items[0].values[SESSION_user_agent];
	cr_assert_eq(best->value.len, 5);
	cr_expect_arr_eq(
	    session_bytes(&batch.sessions, batch.leaves, &best->value), "early",
	    5);
	best = &batch.sessions.items[1].values[SESSION_user_agent];
	cr_assert_eq(best->value.len, 4);
	/* Cut where it ceases to be text. */
	batch_clear(&batch, 4096);
	begin("ag\xff");
	add_event(1, "a", "1");
	expect_taken(&batch, true);
	best = &batch.sessions.items[0].values[SESSION_user_agent];
	cr_expect_eq(best->value.len, 2);
	batch_free(&batch);
}

Test(batch, keeps_no_more_memory_of_sessions_than_it_may)
{
	struct batch batch = batch_of(NULL);
	size_t i;

	for (i = 0; i < 5000; i++) {
		begin("agent");
		add_event(0, number(i), "1");
		add_event(0, number(i), "2");
		expect_taken(&batch, true);
	}
	cr_expect_eq(batch.sessions.n, 5000);
	cr_expect_eq(batch.rows, 10000);
	batch_clear(&batch, 65536);
	cr_expect_eq(batch.sessions.n, 0);
	cr_expect_eq(batch.sessions.cap, 0);
	cr_expect_leq(batch.sessions.texts.cap, 65536);
	cr_expect_leq(batch.seen_places * sizeof(*batch.seen), 65536);
	/* What is kept is clean. */
	begin("agent");
	for (i = 0; i < 100; i++)
		add_event(0, number(i), "id");
	expect_taken(&batch, true);
	batch_clear(&batch, SIZE_MAX);
	cr_expect_gt(batch.sessions.cap, 0);
	cr_expect_gt(batch.seen_places, 0);
	expect_taken(&batch, true);
	cr_expect_eq(batch.rows, 100);
	cr_expect_eq(batch.repeats, 0);
	cr_expect_eq(batch.sessions.n, 100);
	/* One row does not keep the tables of a hundred. */
	batch_clear(&batch, SIZE_MAX);
	begin("agent");
	add_event(0, "1", "id");
	expect_taken(&batch, true);
	batch_clear(&batch, SIZE_MAX);
	cr_expect_eq(batch.sessions.places, 0);
	cr_expect_eq(batch.seen_places, 0);
	batch_free(&batch);
}

/* Wherever memory ends, in a batch that is there or one that begins. */
Test(batch, is_what_it_was_wherever_memory_ends)
{
	static const char *const sessions[] = {"a", "x", "y"};
	struct batch batch, want;
	size_t round, i, j, failed;
	bool whole;

	for (round = 0; round < 2; round++) {
		want = batch_of(NULL);
		if (round == 1)
			add_varied(&want, UINT64_MAX);
		for (i = failed = 0; i == failed; i++) {
			batch = batch_of(NULL);
			if (round == 1)
				add_varied(&batch, UINT64_MAX);
			begin("one more agent");
			for (j = 0; j < 60; j++)
				add_event((int64_t)(j % 9) * 40 * DAY_US,
				    sessions[j % 3], number(100 + j));
			allocations_left = i;
			if (batch_add(&batch, made.bytes, made.len, &whole) ==
			    -1) {
				failed++;
				allocations_left = SIZE_MAX;
				cr_expect_eq(batch.repeats, want.repeats);
				cr_expect_eq(batch.sessions.texts.len,
				    want.sessions.texts.len);
				expect_same(&batch, &want);
				expect_taken(&batch, true);
			}
			allocations_left = SIZE_MAX;
			cr_expect_eq(batch.rows, want.rows + 60);
			batch_free(&batch);
		}
		cr_expect_gt(failed, 4, "only %zu allocations", failed);
		batch_free(&want);
	}
}

/* ---- tenants --------------------------------------------------------------
 */

static void
add_event_of(char project, const char *id)
{
	const struct tuple_kit kit = {
	    .event_id = id, .session_id = "s", .project = project};

	add_kit(&kit);
}

Test(batch, takes_rows_of_an_organisations_own_projects)
{
	uint8_t org[UUID_BYTES], other[UUID_BYTES], two[UUID_BYTES],
	    three[UUID_BYTES];
	struct keytable *table;
	struct batch batch;
	struct err err;
	int fd = keytable_create(65536, &err);

	/* The kit's rows are of organisation 1. */
	memset(org, 1, sizeof(org));
	memset(two, 2, sizeof(two));
	memset(three, 3, sizeof(three));
	memset(other, 9, sizeof(other));
	cr_assert_neq(fd, -1);
	table = keytable_map(fd, true, &err);
	cr_assert_not_null(table);
	keytable_begin(table);
	cr_assert_eq(
	    keytable_add_project(table, org, two, "two", true, NULL, 0),
	    KEYTABLE_ADDED);
	cr_assert_eq(
	    keytable_add_project(table, other, three, "three", false, NULL, 0),
	    KEYTABLE_ADDED);
	keytable_publish(table);
	batch_init(&batch, NULL, table);

	begin("");
	add_event_of(2, "1");
	add_event_of(2, "2");
	expect_taken(&batch, true);
	cr_expect_eq(batch.rows, 2);
	/* Another's, then none at all; what came before is taken. */
	begin("");
	add_event_of(2, "3");
	add_event_of(3, "4");
	add_event_of(2, "5");
	expect_taken(&batch, false);
	cr_expect_eq(batch.rows, 3);
	begin("");
	add_event_of(4, "6");
	expect_taken(&batch, false);
	cr_expect_eq(batch.rows, 3);
	/* Whom the next batch trusts is asked anew. */
	batch_clear(&batch, SIZE_MAX);
	keytable_begin(table);
	keytable_publish(table);
	begin("");
	add_event_of(2, "1");
	expect_taken(&batch, false);
	cr_expect_eq(batch.rows, 0);
	batch_free(&batch);
	keytable_unmap(table);
}
