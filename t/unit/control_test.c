/* SPDX-License-Identifier: MIT */
/*
 * control_test.c - the messages between the master and a child
 */
#include "common/control.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <criterion/criterion.h>

static int fds[2];

static void
open_pair(void)
{
	struct err err;

	cr_assert_eq(control_pair(fds, &err), 0);
}

TestSuite(control, .init = open_pair);

Test(control, passes_every_kind_in_order_both_ways)
{
	static const enum control_kind kinds[] = {
	    CONTROL_STARTED, CONTROL_DRAIN, CONTROL_STOP};
	enum control_kind kind;
	size_t i, side;

	for (side = 0; side < 2; side++) {
		for (i = 0; i < 3; i++)
			cr_assert_eq(control_send(fds[side], kinds[i]), 0);
		for (i = 0; i < 3; i++) {
			cr_expect_eq(
			    control_receive(fds[!side], &kind), CONTROL_GOT);
			cr_expect_eq(kind, kinds[i]);
		}
		cr_expect_eq(control_receive(fds[!side], &kind), CONTROL_NONE);
	}
}

Test(control, says_when_the_other_side_is_gone)
{
	enum control_kind kind;

	cr_assert_eq(control_send(fds[0], CONTROL_STOP), 0);
	(void)close(fds[0]);
	cr_expect_eq(control_receive(fds[1], &kind), CONTROL_GOT);
	cr_expect_eq(kind, CONTROL_STOP);
	cr_expect_eq(control_receive(fds[1], &kind), CONTROL_GONE);
	/* No signal, no wait. */
	cr_expect_eq(control_send(fds[1], CONTROL_STARTED), -1);
}

static const struct {
	const char *name;
	struct control_msg msg;
	size_t len;
} wrong[] = {
    {"too short", {CONTROL_VERSION, CONTROL_STOP}, 7},
    {"one byte", {CONTROL_VERSION, CONTROL_STOP}, 1},
    {"version 0", {0, CONTROL_STOP}, 8},
    {"next version", {CONTROL_VERSION + 1, CONTROL_STOP}, 8},
    {"kind 0", {CONTROL_VERSION, 0}, 8},
    {"kind 4", {CONTROL_VERSION, 4}, 8},
    {"kind -1", {CONTROL_VERSION, UINT32_MAX}, 8},
};

Test(control, knows_what_is_no_message)
{
	enum control_kind kind;
	char longer[64];
	size_t i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		cr_assert_eq(send(fds[0], &wrong[i].msg, wrong[i].len, 0),
		    (ssize_t)wrong[i].len);
		cr_expect_eq(control_receive(fds[1], &kind), CONTROL_WRONG,
		    "%s", wrong[i].name);
	}
	/* Begins like one, but does not end there. */
	memset(longer, 0, sizeof(longer));
	memcpy(longer, &(struct control_msg){CONTROL_VERSION, CONTROL_STOP}, 8);
	cr_assert_eq(send(fds[0], longer, sizeof(longer), 0), 64);
	cr_expect_eq(control_receive(fds[1], &kind), CONTROL_WRONG);
	cr_expect_eq(control_receive(fds[1], &kind), CONTROL_NONE);
}

Test(control, never_waits_for_room)
{
	int sent = 0;

	while (sent < 1000000 && control_send(fds[0], CONTROL_DRAIN) == 0)
		sent++;
	/* A child is told two things in its life. */
	cr_expect_gt(sent, 100);
	cr_expect_lt(sent, 1000000);
}
