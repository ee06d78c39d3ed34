/* SPDX-License-Identifier: MIT */
/*
 * The bytes are those that array_recv() reads.
 */
#include "aggregator/pg_array.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define BIG ((size_t)3 << 20)

static void
expect_bytes(const struct pg_array *array, const void *want, size_t len)
{
	cr_assert_eq(array->bytes.len, len, "%zu bytes", array->bytes.len);
	cr_expect_arr_eq(array->bytes.data, want, len);
}

Test(pg_array, is_what_postgresql_reads)
{
	static const char want[] = "\0\0\0\1"   /* dimensions */
				   "\0\0\0\1"   /* there may be nulls */
				   "\0\0\0\x19" /* text */
				   "\0\0\0\4"   /* elements */
				   "\0\0\0\1"   /* the first is [1] */
				   "\0\0\0\2"
				   "ab"
				   "\xff\xff\xff\xff" /* null */
				   "\0\0\0\0"         /* empty */
				   "\0\0\0\1"
				   "c";
	struct pg_array array = {0};

	cr_assert_eq(pg_array_begin(&array, PG_TEXT), 0);
	cr_assert_eq(pg_array_add(&array, "ab", 2), 0);
	cr_assert_eq(pg_array_add_null(&array), 0);
	cr_assert_eq(pg_array_add(&array, NULL, 0), 0);
	cr_assert_eq(pg_array_add(&array, "c", 1), 0);
	pg_array_end(&array);
	expect_bytes(&array, want, sizeof(want) - 1);
	pg_array_free(&array);
}

Test(pg_array, may_be_empty)
{
	static const char want[] = "\0\0\0\1\0\0\0\1\0\0\x0b\x86\0\0\0\0"
				   "\0\0\0\1";
	struct pg_array array = {0};

	cr_assert_eq(pg_array_begin(&array, PG_UUID), 0);
	pg_array_end(&array);
	expect_bytes(&array, want, sizeof(want) - 1);
	pg_array_free(&array);
}

Test(pg_array, holds_numbers_in_network_order)
{
	static const char want[] = "\0\0\0\1\0\0\0\1\0\0\0\x14\0\0\0\4"
				   "\0\0\0\1"
				   "\0\0\0\x8\1\2\3\4\5\6\7\x8"
				   "\0\0\0\x8\xff\xff\xff\xff\xff\xff\xff\xff"
				   "\0\0\0\x8\x7f\xff\xff\xff\xff\xff\xff\xff"
				   "\0\0\0\x8\x80\0\0\0\0\0\0\0";
	struct pg_array array = {0};

	cr_assert_eq(pg_array_begin(&array, PG_INT8), 0);
	cr_assert_eq(pg_array_add_int8(&array, INT64_C(0x102030405060708)), 0);
	cr_assert_eq(pg_array_add_int8(&array, -1), 0);
	cr_assert_eq(pg_array_add_int8(&array, INT64_MAX), 0);
	cr_assert_eq(pg_array_add_int8(&array, INT64_MIN), 0);
	pg_array_end(&array);
	expect_bytes(&array, want, sizeof(want) - 1);
	pg_array_free(&array);
}

Test(pg_array, begins_anew)
{
	static const char want[] = "\0\0\0\1\0\0\0\1\0\0\x04\xa0\0\0\0\1"
				   "\0\0\0\1\xff\xff\xff\xff";
	struct pg_array array = {0};

	cr_assert_eq(pg_array_begin(&array, PG_BYTEA), 0);
	cr_assert_eq(pg_array_add(&array, "before", 6), 0);
	pg_array_end(&array);
	cr_assert_eq(pg_array_begin(&array, PG_TIMESTAMPTZ), 0);
	cr_assert_eq(pg_array_add_null(&array), 0);
	pg_array_end(&array);
	expect_bytes(&array, want, sizeof(want) - 1);
	pg_array_free(&array);
}

Test(pg_array, may_be_big)
{
	struct pg_array array = {0};
	char *big = malloc(BIG);
	size_t i;

	cr_assert_not_null(big);
	memset(big, 'x', BIG);
	cr_assert_eq(pg_array_begin(&array, PG_BYTEA), 0);
	for (i = 0; i < 100000; i++)
		cr_assert_eq(pg_array_add_int8(&array, (int64_t)i), 0);
	cr_assert_eq(pg_array_add(&array, big, BIG), 0);
	pg_array_end(&array);
	cr_assert_eq(array.bytes.len, 20 + 100000 * 12 + 4 + BIG);
	cr_expect_arr_eq(array.bytes.data + 12, "\0\1\x86\xa1", 4);
	cr_expect_arr_eq(
	    array.bytes.data + 20 + 100000 * 12, "\0\x30\0\0xxx", 7);
	cr_expect_arr_eq(array.bytes.data + array.bytes.len - BIG, big, BIG);
	pg_array_free(&array);
	free(big);
}

Test(pg_array, is_what_it_was_when_memory_ends)
{
	struct pg_array array = {0};

	array.bytes.limit = 19;
	cr_expect_eq(pg_array_begin(&array, PG_TEXT), -1);
	array.bytes.limit = 20 + 5 + 3;
	cr_assert_eq(pg_array_begin(&array, PG_TEXT), 0);
	cr_assert_eq(pg_array_add(&array, "x", 1), 0);
	cr_expect_eq(pg_array_add_null(&array), -1);
	cr_expect_eq(pg_array_add(&array, "", 0), -1);
	cr_expect_eq(pg_array_add_int8(&array, 1), -1);
	pg_array_end(&array);
	expect_bytes(
	    &array, "\0\0\0\1\0\0\0\1\0\0\0\x19\0\0\0\1\0\0\0\1\0\0\0\1x", 25);
	pg_array_free(&array);
}
