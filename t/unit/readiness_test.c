/* SPDX-License-Identifier: MIT */
/*
 * The workers are told READY only while the database is there and the keys are
 * sound; a doubt that is cleared in time is not told.
 */
#include "aggregator/readiness.h"

#include <criterion/criterion.h>
#include <unistd.h>

static struct event_base *base;
static struct keytable *table;
static struct readiness *readiness;

static void
open_table(void)
{
	struct err err;
	int fd = keytable_create(65536, &err);

	cr_assert_neq(fd, -1);
	table = keytable_map(fd, true, &err);
	cr_assert_not_null(table);
	(void)close(fd);
	cr_assert_not_null(base = event_base_new());
	readiness = readiness_create(base, table);
	cr_assert_not_null(readiness);
}

static void
close_table(void)
{
	readiness_destroy(readiness);
	event_base_free(base);
	keytable_unmap(table);
}

TestSuite(readiness, .init = open_table, .fini = close_table);

static enum keytable_state
told(void)
{
	uint64_t silent_ms;

	return keytable_state(table, &silent_ms);
}

/* The writer says the same again and again; only a change asks for keys. */
static void
writer_says(enum keytable_state state, bool asks)
{
	cr_expect_eq(readiness_writer(readiness, state), asks);
}

/* Returns when no timer is left. */
static void
let_grace_end(void)
{
	(void)event_base_loop(base, 0);
}

static void
become_ready(void)
{
	writer_says(KEYTABLE_READY, false);
	readiness_keys_sound(readiness);
	cr_assert_eq(told(), KEYTABLE_READY);
}

Test(readiness, needs_database_and_keys)
{
	cr_expect_eq(told(), KEYTABLE_STARTING);
	readiness_keys_sound(readiness);
	cr_expect_eq(told(), KEYTABLE_STARTING);
	writer_says(KEYTABLE_READY, false);
	cr_expect_eq(told(), KEYTABLE_READY);
	writer_says(KEYTABLE_READY, false);
	cr_expect_eq(told(), KEYTABLE_READY);
}

Test(readiness, starts_without_keys)
{
	writer_says(KEYTABLE_READY, false);
	let_grace_end();
	cr_expect_eq(told(), KEYTABLE_STARTING);
	readiness_keys_lost(readiness);
	cr_expect_eq(told(), KEYTABLE_STARTING);
	readiness_keys_sound(readiness);
	cr_expect_eq(told(), KEYTABLE_READY);
}

Test(readiness, keys_are_read_after_the_database_was_away)
{
	become_ready();
	writer_says(KEYTABLE_DATABASE_AWAY, false);
	cr_expect_eq(told(), KEYTABLE_DATABASE_AWAY);
	/* Before it was back: that counts for nothing. */
	readiness_keys_lost(readiness);
	readiness_keys_sound(readiness);
	cr_expect_eq(told(), KEYTABLE_DATABASE_AWAY);
	writer_says(KEYTABLE_READY, true);
	cr_expect_eq(told(), KEYTABLE_DATABASE_AWAY);
	writer_says(KEYTABLE_READY, false);
	cr_expect_eq(told(), KEYTABLE_DATABASE_AWAY);
	readiness_keys_sound(readiness);
	cr_expect_eq(told(), KEYTABLE_READY);
}

Test(readiness, a_database_that_does_not_fit)
{
	writer_says(KEYTABLE_DATABASE_AWAY, false);
	writer_says(KEYTABLE_DATABASE_UNFIT, false);
	readiness_keys_sound(readiness);
	cr_expect_eq(told(), KEYTABLE_DATABASE_UNFIT);
	writer_says(KEYTABLE_READY, true);
	cr_expect_eq(told(), KEYTABLE_DATABASE_AWAY);
	readiness_keys_sound(readiness);
	cr_expect_eq(told(), KEYTABLE_READY);
}

Test(readiness, keys_lost_and_found_in_time)
{
	become_ready();
	readiness_keys_lost(readiness);
	cr_expect_eq(told(), KEYTABLE_READY);
	readiness_keys_sound(readiness);
	let_grace_end();
	cr_expect_eq(told(), KEYTABLE_READY);
}

Test(readiness, keys_lost_for_longer)
{
	become_ready();
	readiness_keys_lost(readiness);
	let_grace_end();
	cr_expect_eq(told(), KEYTABLE_DATABASE_AWAY);
	/* Each attempt to connect that fails; and a batch that is stored. */
	readiness_keys_lost(readiness);
	cr_expect_eq(told(), KEYTABLE_DATABASE_AWAY);
	writer_says(KEYTABLE_READY, false);
	cr_expect_eq(told(), KEYTABLE_DATABASE_AWAY);
	readiness_keys_sound(readiness);
	cr_expect_eq(told(), KEYTABLE_READY);
}

Test(readiness, a_change_that_is_not_read)
{
	become_ready();
	readiness_keys_doubtful(readiness);
	cr_expect_eq(told(), KEYTABLE_READY);
	let_grace_end();
	cr_expect_eq(told(), KEYTABLE_DATABASE_AWAY);
	readiness_keys_sound(readiness);
	cr_expect_eq(told(), KEYTABLE_READY);
}

/* Many keys take their time; a second is what is promised. */
Test(readiness, a_change_that_is_read_slowly)
{
	const struct timeval slow = {.tv_usec = 600000};

	cr_assert_lt(READINESS_GRACE_MS, 1000);
	become_ready();
	readiness_keys_doubtful(readiness);
	(void)event_base_loopexit(base, &slow);
	(void)event_base_dispatch(base);
	cr_expect_eq(told(), KEYTABLE_READY);
	readiness_keys_sound(readiness);
	let_grace_end();
	cr_expect_eq(told(), KEYTABLE_READY);
}

/* What an aggregator that was killed told holds, but not for ever. */
Test(readiness, word_of_a_predecessor)
{
	become_ready();
	readiness_destroy(readiness);
	cr_assert_not_null(readiness = readiness_create(base, table));
	readiness_keys_lost(readiness);
	cr_expect_eq(told(), KEYTABLE_READY);
	let_grace_end();
	cr_expect_eq(told(), KEYTABLE_DATABASE_AWAY);
	/* Only the data connection is still to come. */
	become_ready();
	readiness_destroy(readiness);
	cr_assert_not_null(readiness = readiness_create(base, table));
	readiness_keys_sound(readiness);
	let_grace_end();
	cr_expect_eq(told(), KEYTABLE_READY);
}
