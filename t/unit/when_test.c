/* SPDX-License-Identifier: MIT */
/*
 * Times and durations of the command line, and how they are printed.
 */
#include "ctl/when.h"

#include <criterion/criterion.h>
#include <string.h>

#include "common/timestamp.h"

#define NOW 758635200000000LL /* 2024-01-15 12:00:00 UTC */
#define SECOND 1000000LL
#define DAY (86400 * SECOND)

Test(when, good)
{
	static const struct {
		const char *text;
		int64_t us;
	} good[] = {
	    {"90d", NOW + 90 * DAY},
	    {"12h", NOW + DAY / 2},
	    {"5m", NOW + 300 * SECOND},
	    {"1s", NOW + SECOND},
	    {"1ms", NOW + 1000},
	    {"2913000d", NOW + 2913000 * DAY},
	    {"2024-01-15T12:00:00.000001Z", NOW + 1},
	    {"2024-01-16 13:00:00+01:00", NOW + DAY},
	    {"9999-12-31T23:59:59.999999Z", 252455615999999999LL},
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct err err = {""};
		int64_t us = 0;

		cr_expect(when_parse(good[i].text, NOW, &us, &err) == 0, "%s",
		    err.text);
		cr_expect(us == good[i].us, "%s", good[i].text);
	}
}

Test(when, bad)
{
	static const struct {
		const char *text;
		const char *says;
	} bad[] = {
	    {"", "neither"},
	    {"soon", "neither"},
	    {"90", "neither"},
	    {"1w", "neither"},
	    {"-1d", "neither"},
	    {"1d ", "neither"},
	    {"1.5h", "neither"},
	    {"2024", "neither"},
	    {"0", "not in the future"},
	    {"0d", "not in the future"},
	    {"2024-01-15T12:00:00Z", "not in the future"},
	    {"2023-01-15T12:00:00Z", "not in the future"},
	    {"2024-01-16", "is not a time"},
	    {"2024-01-16T12:00:00", "no time zone"},
	    {"2914000d", "too far"},
	    {"18446744073709551615ms", "too far"},
	    {"99999999999999999999999d", "too far"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err err = {""};
		int64_t us;

		cr_expect(when_parse(bad[i].text, NOW, &us, &err) == -1, "%s",
		    bad[i].text);
		cr_expect(strstr(err.text, bad[i].says) != NULL, "%s: %s",
		    bad[i].text, err.text);
	}
}

Test(when, duration)
{
	struct err err = {""};
	uint64_t ms;

	cr_expect(when_parse_duration("90m", 1000, 86400000, &ms, &err) == 0);
	cr_expect(ms == 5400000);
	cr_expect(when_parse_duration("1s", 1000, 86400000, &ms, &err) == 0);
	cr_expect(when_parse_duration("1d", 1000, 86400000, &ms, &err) == 0);
	cr_expect(
	    when_parse_duration("999ms", 1000, 86400000, &ms, &err) == -1);
	cr_expect_str_eq(err.text, "\"999ms\" is out of bounds: 1s to 1d");
	cr_expect(when_parse_duration("25h", 1000, 86400000, &ms, &err) == -1);
	cr_expect(when_parse_duration("1", 1000, 86400000, &ms, &err) == -1);
	cr_expect(strstr(err.text, "whole number and ms, s, m, h or d"));
}

Test(when, format)
{
	static const struct {
		int64_t us;
		const char *text;
	} cases[] = {
	    {0, "2000-01-01T00:00:00.000000Z"},
	    {-1, "1999-12-31T23:59:59.999999Z"},
	    {-1000000, "1999-12-31T23:59:59.000000Z"},
	    {NOW + 1, "2024-01-15T12:00:00.000001Z"},
	    {252455615999999999LL, "9999-12-31T23:59:59.999999Z"},
	};
	char text[WHEN_TEXT];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		when_format(cases[i].us, text);
		cr_expect_str_eq(text, cases[i].text);
	}
	/* No year that a column can hold is too much. */
	when_format(INT64_MAX, text);
	cr_expect(strncmp(text, "294", 3) == 0, "%s", text);
	when_format(INT64_MIN, text);
	cr_expect(text[0] == '-' && strlen(text) > 20, "%s", text);
}

Test(when, format_is_read_back)
{
	char text[WHEN_TEXT];
	int64_t us;

	for (int64_t at = -63082281600000000LL; at < 252455616000000000LL;
	     at += 123456789012345LL) {
		when_format(at, text);
		cr_assert(timestamp_parse(text, strlen(text), &us) == NULL);
		cr_assert(us == at, "%s", text);
	}
}

Test(when, format_duration)
{
	static const struct {
		int64_t ms;
		const char *text;
	} cases[] = {
	    {0, "0s"},
	    {1, "0.001s"},
	    {-1, "-0.001s"},
	    {999, "0.999s"},
	    {1000, "1s"},
	    {1500, "1.500s"},
	    {59999, "59.999s"},
	    {60000, "1m"},
	    {60999, "1m0.999s"},
	    {61000, "1m1s"},
	    {3600000, "1h"},
	    {3661000, "1h1m1s"},
	    {3600001, "1h0.001s"},
	    {90061000, "1d1h1m1s"},
	    {-3661000, "-1h1m1s"},
	    {2592000000, "30d"},
	};
	char text[WHEN_TEXT];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		when_format_duration(cases[i].ms, text);
		cr_expect_str_eq(text, cases[i].text);
	}
	when_format_duration(INT64_MIN, text);
	cr_expect(text[0] == '-');
}
