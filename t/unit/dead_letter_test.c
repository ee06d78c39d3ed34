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

Test(dead_letter, holds_the_row)
{
	const struct tuple_kit kit = {
	    .timestamp_us = 1, .received_us = 2, .event_id = "evt_1"};
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
	const struct tuple_kit kit = {
	    .timestamp_us = 1, .received_us = INT64_MAX, .event_id = "evt\xff"};
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
