/* SPDX-License-Identifier: MIT */
/*
 * log_test.c - lines are whole, clean, and never waited for
 */
#include "common/log.h"

#include <fcntl.h>
#include <regex.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <criterion/criterion.h>

#define STAMP                                                                  \
	"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\."            \
	"[0-9]{3}Z "

static int out[2];  /* a pipe in the place of the log file */
static int pair[2]; /* a child's socket */

static void
open_all(void)
{
	struct err err;

	cr_assert_eq(pipe2(out, O_NONBLOCK), 0);
	cr_assert_eq(log_pair(pair, &err), 0);
	log_to_fd(out[1]);
	log_set_level(LOG_LEVEL_DEBUG);
	log_set_prefix("master");
}

TestSuite(log, .init = open_all);

/* All that has been written since the last call. */
static const char *
written(void)
{
	static char text[65536];
	ssize_t n = read(out[0], text, sizeof(text) - 1);

	text[n < 0 ? 0 : n] = '\0';
	return text;
}

static bool
matches(const char *text, const char *pattern)
{
	regex_t regex;
	int ret;

	cr_assert_eq(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
	ret = regexec(&regex, text, 0, NULL, 0);
	regfree(&regex);
	return ret == 0;
}

Test(log, writes_a_line_with_time_level_and_process)
{
	const char *text;

	log_info("answer=%d", 42);
	text = written();
	cr_expect(matches(text, STAMP "info master\\[[0-9]+\\]: answer=42\n$"),
	    "%s", text);
}

Test(log, leaves_out_what_is_below_the_level)
{
	static const struct {
		enum log_level level;
		size_t lines;
	} cases[] = {
	    {LOG_LEVEL_ERROR, 1},
	    {LOG_LEVEL_WARN, 2},
	    {LOG_LEVEL_INFO, 3},
	    {LOG_LEVEL_DEBUG, 4},
	};
	const char *p;
	size_t i, lines;

	for (i = 0; i < 4; i++) {
		log_set_level(cases[i].level);
		log_error("x");
		log_warn("x");
		log_info("x");
		log_debug("x");
		for (lines = 0, p = written(); *p != '\0'; p++)
			lines += *p == '\n';
		cr_expect_eq(lines, cases[i].lines, "%zu", i);
	}
}

Test(log, keeps_a_long_line_one_line)
{
	char text[2 * LOG_LINE_MAX];
	const char *p;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_info("%s", text);
	p = written();
	cr_expect_lt(strlen(p), LOG_LINE_MAX + 64);
	cr_expect_eq(strchr(p, '\n'), p + strlen(p) - 1);
}

Test(log, takes_control_characters_out)
{
	log_info("a\nb\rc\033[31m\177d\te\xc3\xa4");
	cr_expect_not_null(strstr(written(), ": a?b?c?[31m?d?e\xc3\xa4\n"));
}

Test(log, copies_errors_to_whoever_started_the_daemon)
{
	int copy[2];
	char text[128] = "";

	cr_assert_eq(pipe2(copy, O_NONBLOCK), 0);
	log_echo_errors(copy[1]);
	log_info("fine");
	log_error("broken");
	log_echo_errors(-1);
	log_error("broken again");
	cr_assert_gt(read(copy[0], text, sizeof(text) - 1), 0);
	cr_expect_str_eq(text, "productgraphd: broken\n");
}

Test(log, drops_and_counts_when_nobody_reads)
{
	char fill[4096];
	int i;

	memset(fill, 'x', sizeof(fill));
	while (write(out[1], fill, sizeof(fill)) > 0)
		;
	for (i = 0; i < 3; i++)
		log_info("lost");
	while (read(out[0], fill, sizeof(fill)) > 0)
		;
	log_info("found");
	cr_expect_not_null(strstr(written(), "found log_dropped=3\n"));
	log_info("again");
	cr_expect_null(strstr(written(), "log_dropped"));
}

Test(log, drops_and_counts_when_the_master_is_slow)
{
	unsigned long long told = 0;
	char text[8192];
	int i;

	log_to_master(pair[1]);
	for (i = 0; i < 100000; i++)
		log_info("line");
	while (recv(pair[0], text, sizeof(text), MSG_DONTWAIT) > 0)
		told++;
	log_info("last");
	i = (int)recv(pair[0], text, sizeof(text) - 1, MSG_DONTWAIT);
	cr_assert_gt(i, 0);
	text[i] = '\0';
	cr_assert_not_null(strstr(text, "last log_dropped="));
	cr_expect_eq(
	    told + strtoull(strchr(text, '=') + 1, NULL, 10), 100000ull);
}

Test(log, relays_a_child_under_the_name_the_master_knows)
{
	const char *text;

	log_to_master(pair[1]);
	log_set_prefix("master");
	log_warn("hello");
	log_to_fd(out[1]);
	cr_expect_eq(log_relay(pair[0], "worker 2[77]"), LOG_RELAYED_ALL);
	text = written();
	cr_expect(
	    matches(text, STAMP "warn worker 2\\[77\\]: hello\n$"), "%s", text);
}

/* What a child that was taken over may send. */
static const struct {
	const char *name;
	const char *message;
	size_t len;
	const char *want; /* behind the name; NULL: nothing is written */
} hostile[] = {
#define MESSAGE(text) text, sizeof(text) - 1
    {"a forged line", MESSAGE("\2x\n2026-11-20T00:00:00.000Z error m: y"),
	": x?2026-11-20T00:00:00.000Z error m: y\n"},
    {"a terminal's commands", MESSAGE("\0\033]0;x\007"), ": ?]0;x?\n"},
    {"NUL inside", MESSAGE("\1a\0b"), ": a?b\n"},
    {"formats", MESSAGE("\2%s%n%1000000d"), ": %s%n%1000000d\n"},
    {"level alone", MESSAGE("\2"), NULL},
    {"unknown level", MESSAGE("\4x"), NULL},
    {"level 255", MESSAGE("\377x"), NULL},
#undef MESSAGE
};

Test(log, trusts_no_child)
{
	char huge[LOG_LINE_MAX + 100];
	const char *text;
	size_t i;

	for (i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		cr_assert_eq(
		    send(pair[1], hostile[i].message, hostile[i].len, 0),
		    (ssize_t)hostile[i].len);
		cr_expect_eq(log_relay(pair[0], "w"), LOG_RELAYED_ALL);
		text = written();
		if (hostile[i].want == NULL)
			cr_expect_str_empty(text, "%s", hostile[i].name);
		else
			cr_expect_not_null(strstr(text, hostile[i].want),
			    "%s: %s", hostile[i].name, text);
	}
	memset(huge, 2, sizeof(huge));
	cr_assert_gt(send(pair[1], huge, sizeof(huge), 0), 0);
	cr_expect_eq(log_relay(pair[0], "w"), LOG_RELAYED_ALL);
	cr_expect_str_empty(written());
}

Test(log, takes_only_so_many_lines_at_once)
{
	const char *p;
	int i, lines = 0;

	for (i = 0; i < 100; i++)
		cr_assert_eq(send(pair[1], "\2x", 2, 0), 2);
	cr_expect_eq(log_relay(pair[0], "w"), LOG_RELAYED_SOME);
	for (p = written(); *p != '\0'; p++)
		lines += *p == '\n';
	cr_expect_lt(lines, 100);
	cr_expect_gt(lines, 0);
	cr_expect_eq(log_relay(pair[0], "w"), LOG_RELAYED_ALL);
}

Test(log, says_when_the_child_is_gone)
{
	cr_assert_eq(send(pair[1], "\2last words", 11, 0), 11);
	(void)close(pair[1]);
	cr_expect_eq(log_relay(pair[0], "w"), LOG_RELAYED_LAST);
	cr_expect_not_null(strstr(written(), "last words"));
}

/* A process the child forked may keep the child's end open for ever. */
Test(log, says_that_nothing_waits_while_the_child_is_not_gone)
{
	int other = dup(pair[1]);

	cr_assert_neq(other, -1);
	cr_assert_eq(send(pair[1], "\2last words", 11, 0), 11);
	(void)close(pair[1]);
	cr_expect_eq(log_relay(pair[0], "w"), LOG_RELAYED_ALL);
	cr_expect_not_null(strstr(written(), "last words"));
	cr_expect_eq(log_relay(pair[0], "w"), LOG_RELAYED_ALL);
	(void)close(other);
	cr_expect_eq(log_relay(pair[0], "w"), LOG_RELAYED_LAST);
}

Test(log, throttles_by_place)
{
	struct log_throttle a = {0, 0}, b = {0, 0};
	uint64_t dropped = 99;

	cr_expect(log_throttled(&a, &dropped));
	cr_expect_eq(dropped, 0);
	cr_expect_not(log_throttled(&a, &dropped));
	cr_expect_not(log_throttled(&a, &dropped));
	cr_expect(log_throttled(&b, &dropped));
	cr_expect_eq(dropped, 0);
	a.next_ms = 0; /* as if the time had passed */
	cr_expect(log_throttled(&a, &dropped));
	cr_expect_eq(dropped, 2);
}
