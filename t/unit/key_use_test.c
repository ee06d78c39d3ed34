/* SPDX-License-Identifier: MIT */
/*
 * Which keys a write names.  That it arrives needs PostgreSQL:
 * t/integration/test_keys.py.
 */
#include "aggregator/key_use.h"

#include <criterion/criterion.h>
#include <string.h>

static struct key_use *use;
static struct buf sql;

static void
set_up(void)
{
	cr_assert_not_null(use = key_use_create(NULL, 60000));
}

static void
tear_down(void)
{
	key_use_destroy(use);
	buf_free(&sql);
}

TestSuite(key_use, .init = set_up, .fini = tear_down);

static void
use_key(unsigned n, int64_t now_us)
{
	uint8_t id[UUID_BYTES] = {0};

	memcpy(id, &n, sizeof(n));
	key_use_note(use, id, sizeof(id), now_us);
}

/* How often text is in the statement. */
static size_t
count(const char *text)
{
	const char *at;
	size_t n = 0;

	cr_assert_eq(key_use_build(use, &sql), 0);
	for (at = sql.data; (at = strstr(at, text)) != NULL; at++)
		n++;
	return n;
}

Test(key_use, nothing_used)
{
	key_use_note(use, NULL, 0, 1);
	cr_assert_eq(key_use_build(use, &sql), 0);
	cr_expect_str_eq(sql.data, "");
}

Test(key_use, the_latest_use_of_each)
{
	uint8_t ids[3 * UUID_BYTES];

	memset(ids, 0x11, UUID_BYTES);
	memset(ids + UUID_BYTES, 0x22, UUID_BYTES);
	memset(ids + 2 * UUID_BYTES, 0x11, UUID_BYTES);
	key_use_note(use, ids, sizeof(ids), 1000);
	key_use_note(use, ids, UUID_BYTES, 2000);
	cr_expect_eq(count("11111111-1111-1111-1111-111111111111"), 1);
	cr_expect_eq(count("22222222-2222-2222-2222-222222222222"), 1);
	cr_expect_eq(count("2000"), 2, "the epoch, and the time");
	cr_expect_eq(count("1000"), 1);
}

Test(key_use, a_clock_that_goes_back)
{
	use_key(1, 5000);
	use_key(2, 1000);
	cr_expect_eq(count("5000"), 1);
	cr_expect_eq(count("5001"), 1);
}

/* A worker may make up as many as it likes. */
Test(key_use, no_more_than_there_is_room_for)
{
	unsigned n;

	for (n = 1; n <= 10 * KEY_USE_MAX; n++)
		use_key(n, n);
	cr_expect_leq(count(","), 2 * KEY_USE_MAX + 10);
	cr_expect_gt(count(","), KEY_USE_MAX);
}
