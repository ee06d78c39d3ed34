/* SPDX-License-Identifier: MIT */
/*
 * Whatever a row holds, its dead letter holds only what PostgreSQL can store.
 */
#include "aggregator/dead_letter.h"

#include <criterion/criterion.h>
#include <endian.h>
#include <string.h>

#include "t/unit/tuple_kit.h"

enum {
	ORG_ID,
	PROJECT_ID,
	RECEIVED_AT,
	SQLSTATE,
	MESSAGE,
	EVENT_ID,
	PAYLOAD
};

#define NOW INT64_C(846000000000000)

Test(dead_letter, knows_text)
{
	static const struct {
		const char *name;
		const char *text;
		size_t len;
		size_t good;
	} cases[] = {
	    {"nothing", "", 0, 0},
	    {"ASCII", "abc", 3, 3},
	    {"NUL", "a\0b", 3, 1},
	    {"two bytes", "\xc3\xa4", 2, 2},
	    {"three bytes", "\xe2\x82\xac", 3, 3},
	    {"four bytes", "\xf0\x9f\x98\x80", 4, 4},
	    {"last of all", "\xf4\x8f\xbf\xbf", 4, 4},
	    {"beyond it", "\xf4\x90\x80\x80", 4, 0},
	    {"cut in two", "a\xe2\x82", 3, 1},
	    {"continuation alone", "a\x80", 2, 1},
	    {"overlong of two", "\xc0\x80", 2, 0},
	    {"overlong of three", "\xe0\x9f\xbf", 3, 0},
	    {"overlong of four", "\xf0\x8f\xbf\xbf", 4, 0},
	    {"surrogate", "\xed\xa0\x80", 3, 0},
	    {"before surrogates", "\xed\x9f\xbf", 3, 3},
	    {"0xff", "\xff", 1, 0},
	    {"bad third byte", "\xe2\x82\x41", 3, 0},
	};
	size_t i, got;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		got = dead_letter_text(cases[i].text, cases[i].len);
		cr_expect_eq(got, cases[i].good, "%s: %zu, not %zu",
		    cases[i].name, got, cases[i].good);
	}
}

Test(dead_letter, holds_the_row)
{
	const struct tuple_kit kit = {1, 2, "evt_1", NULL};
	uint8_t tuple[TUPLE_KIT_MAX];
	size_t len = tuple_kit_tuple(tuple, &kit);
	struct dead_letter letter;
	uint64_t received;

	dead_letter_fill(
	    &letter, (const char *)tuple, len, "22021", "bad bytes", NOW);
	cr_expect_eq(letter.lengths[ORG_ID], 16);
	cr_expect_eq(letter.values[ORG_ID][0], 1);
	cr_expect_eq(letter.lengths[PROJECT_ID], 16);
	cr_expect_eq(letter.values[PROJECT_ID][0], 2);
	memcpy(&received, letter.values[RECEIVED_AT], sizeof(received));
	cr_expect_eq(be64toh(received), 2);
	cr_expect_eq(letter.lengths[SQLSTATE], 5);
	cr_expect_eq(memcmp(letter.values[SQLSTATE], "22021", 5), 0);
	cr_expect_eq(letter.lengths[MESSAGE], 9);
	cr_expect_eq(letter.lengths[EVENT_ID], 5);
	cr_expect_eq(memcmp(letter.values[EVENT_ID], "evt_1", 5), 0);
	cr_expect_eq(letter.lengths[PAYLOAD], (int)len);
	cr_expect_eq(memcmp(letter.values[PAYLOAD], tuple, len), 0);
}

Test(dead_letter, leaves_out_what_cannot_be_stored)
{
	const struct tuple_kit kit = {1, INT64_MAX, "evt\xff", NULL};
	uint8_t tuple[TUPLE_KIT_MAX];
	size_t len = tuple_kit_tuple(tuple, &kit);
	struct dead_letter letter;
	char message[1024];
	uint64_t received;

	/* Of two bytes each; the place where it is cut lies within one. */
	memset(message, 0, sizeof(message));
	for (size_t i = 0; i + 2 < sizeof(message); i += 2)
		memcpy(message + i, "\xc3\xa4", 2);
	dead_letter_fill(
	    &letter, (const char *)tuple, len, "22021", message, NOW);
	cr_expect_null(letter.values[EVENT_ID]);
	memcpy(&received, letter.values[RECEIVED_AT], sizeof(received));
	cr_expect_eq((int64_t)be64toh(received), NOW);
	cr_expect_eq(letter.lengths[MESSAGE], 510);
	cr_expect_eq(letter.lengths[PAYLOAD], (int)len);
}
