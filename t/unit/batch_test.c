/* SPDX-License-Identifier: MIT */
/*
 * Rows come out by month, in order, byte by byte as they went in; what a worker
 * got wrong costs that record's rest and nothing else.
 */
#include "aggregator/batch.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "common/row.h"
#include "common/timestamp.h"
#include "t/unit/tuple_kit.h"

#define DAY_US INT64_C(86400000000)
#define MANY 300

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
	const struct tuple_kit kit = {us, us, id, NULL};

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
	struct batch batch = BATCH_INIT;
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
	cr_assert_eq(leaf->rows, 2);
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
	const struct tuple_kit first = {1, 2, "first", "a title"};
	const struct tuple_kit second = {3, 4, "second", NULL};
	struct batch batch = BATCH_INIT;
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
	struct batch batch = BATCH_INIT;
	const struct batch_leaf *odd;
	size_t len = 0, i;
	bool whole;

	for (i = 0; i < 4; i++)
		len = add_row(record, len, times[i], "x");
	len = add_row(record, len, times[2] - 1, "y");
	cr_assert_eq(batch_add(&batch, record, len, &whole), 0);
	cr_expect(whole);
	cr_assert_eq(batch.nleaves, 2);
	odd = leaf_of(&batch, BATCH_NO_MONTH);
	cr_expect(odd && odd->rows == 4);
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
		batch = (struct batch)BATCH_INIT;
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
	struct batch batch = BATCH_INIT;
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
	struct batch batch = BATCH_INIT;
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
	struct batch batch = BATCH_INIT;
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
	struct batch batch = BATCH_INIT;
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
	cr_expect_eq(batch.leaves[0].rows, 1);
	cr_expect_eq(batch.leaves[0].tuples.len, bytes);
	batch.leaves[0].tuples.limit = 0;
	cr_assert_eq(batch_add(&batch, record, len, &whole), 0);
	cr_expect_eq(batch.leaves[0].rows, 3);
	expect_id(&batch.leaves[0], 2, "too many");
	batch_free(&batch);
}

Test(batch, takes_only_so_many_months_from_a_record)
{
	const size_t rows = BATCH_MONTHS_MAX + 2;
	struct batch batch = BATCH_INIT;
	size_t i, len = 0;
	uint8_t *record;
	bool whole;

	record = malloc((rows + 2) * TUPLE_KIT_MAX);
	cr_assert_not_null(record);
	/* One that is there before is not counted. */
	len = add_row(record, 0, 0, "before");
	cr_assert_eq(batch_add(&batch, record, len, &whole), 0);
	for (i = len = 0; i < rows; i++)
		len = add_row(record, len, (int64_t)i * 32 * DAY_US, "x");
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
	struct batch batch = BATCH_INIT;
	size_t i, kept = 0, len;
	bool whole;

	for (i = 0; i < MANY; i++) {
		len = add_row(record, 0, (int64_t)i * 31 * DAY_US, "x");
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
	cr_expect_eq(batch.leaves[0].rows, 1);
	expect_id(&batch.leaves[0], 0, "again");
	batch_free(&batch);
}
