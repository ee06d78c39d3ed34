/* SPDX-License-Identifier: MIT */
/*
 * Keys are of their secret alone, of every bit of an id, and of a session's
 * project; nobody can choose where they lie.
 */
#include "aggregator/event_key.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define MOST 1100

TestSuite(event_key, .init = event_key_seed);

Test(event_key, is_the_same_for_the_same_bytes)
{
	char a[MOST], b[MOST + 1];
	size_t len;

	memset(a, 'x', sizeof(a));
	memset(b, 'x', sizeof(b));
	for (len = 0; len <= MOST; len++)
		cr_assert(event_key_equal(
		    event_key_of(a, len), event_key_of(b + 1, len)));
}

/* Every bit, at every length that xxHash has a way of its own for. */
Test(event_key, is_of_every_bit)
{
	static const size_t lengths[] = {
	    1, 3, 4, 8, 9, 16, 17, 128, 129, 240, 241, 1020};
	char id[MOST];
	struct event_key key, other;
	size_t i, bit;

	memset(id, 'x', sizeof(id));
	for (i = 0; i < COUNT(lengths); i++) {
		key = event_key_of(id, lengths[i]);
		for (bit = 0; bit < lengths[i] * 8; bit++) {
			id[bit / 8] = (char)(id[bit / 8] ^ 1 << bit % 8);
			other = event_key_of(id, lengths[i]);
			id[bit / 8] = (char)(id[bit / 8] ^ 1 << bit % 8);
			cr_assert(
			    key.low != other.low && key.high != other.high,
			    "bit %zu of %zu bytes", bit, lengths[i]);
		}
		other = event_key_of(id, lengths[i] + 1);
		cr_expect_not(event_key_equal(key, other));
	}
}

Test(event_key, of_a_session_is_of_its_project_too)
{
	uint8_t a[UUID_BYTES] = {1}, b[UUID_BYTES] = {1};
	struct event_key key = event_key_of_session(a, "id", 2);

	cr_expect(event_key_equal(key, event_key_of_session(b, "id", 2)));
	b[UUID_BYTES - 1] = 1;
	cr_expect_not(event_key_equal(key, event_key_of_session(b, "id", 2)));
	cr_expect_not(event_key_equal(key, event_key_of_session(a, "i", 1)));
	cr_expect_not(event_key_equal(key, event_key_of("id", 2)));
}

Test(event_key, none_is_all_zero_alone)
{
	cr_expect(event_key_is_none((struct event_key){0, 0}));
	cr_expect_not(event_key_is_none((struct event_key){1, 0}));
	cr_expect_not(event_key_is_none((struct event_key){0, 1}));
	cr_expect_not(event_key_is_none(event_key_of("", 0)));
}

Test(event_key, is_another_with_another_secret)
{
	struct event_key before = event_key_of("id", 2);

	event_key_seed();
	cr_expect_neq(before.low, event_key_of("id", 2).low);
	cr_expect_neq(before.high, event_key_of("id", 2).high);
}

/*
 * All have the same low half under XXH3 without a secret, which is half of what
 * a place was made of once.
 */
Test(event_key, gives_no_place_to_whoever_wants_it)
{
	static const char *const ids[] = {"M0mttaKAKAJTVSNi",
	    "e2YTLbhiaZgHtbw4", "6N2h4AmWaKrFLjMG", "FobXNuKB1SjnA8fI",
	    "cQmRrusihR5JoMPR", "Xeakf6bjO7Soib3M", "uQKgCcBu9decZTqh",
	    "t4osiR8BYJ129acm", "FyQWyqGHGAk3RQGC", "04uyXMbV4HZfNIel",
	    "_sqrU35FV9nsYJlC", "Nfk_vBNxopSXumAA", "IoNBp8jbDLn7Bp5O",
	    "hZfj3IRjnCNahxZO", "xqiRit3K8Evlz8qM", "J3bNYJIOA2VH9QkY"};
	static const uint8_t project[UUID_BYTES];
	size_t i, j;

	for (i = 0; i < COUNT(ids); i++) {
		for (j = 0; j < i; j++) {
			cr_expect_neq(event_key_place(event_key_of(ids[i], 16)),
			    event_key_place(event_key_of(ids[j], 16)));
			cr_expect_neq(event_key_place(event_key_of_session(
					  project, ids[i], 16)),
			    event_key_place(
				event_key_of_session(project, ids[j], 16)));
		}
	}
}

/* Ids that count, as SDKs make them, lie as evenly as any. */
Test(event_key, spreads_ids_that_count)
{
	static unsigned places[1024];
	char id[32];
	size_t i;
	int len;

	for (i = 0; i < 64 * COUNT(places); i++) {
		len = snprintf(id, sizeof(id), "evt_%zu", i);
		places[event_key_place(event_key_of(id, (size_t)len)) %
		    COUNT(places)]++;
	}
	/* 64 expected; the deviation is 8. */
	for (i = 0; i < COUNT(places); i++)
		cr_expect(
		    places[i] > 8 && places[i] < 128, "%zu: %u", i, places[i]);
}
