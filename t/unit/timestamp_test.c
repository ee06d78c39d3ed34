/* SPDX-License-Identifier: MIT */
/*
 * Timestamps: every form that is taken, every one that is not, and the calendar
 * against the C library's.
 */
#include "common/timestamp.h"

#include <criterion/criterion.h>
#include <string.h>
#include <time.h>

#define DAY 86400000000LL
/* Microseconds since 2000-01-01. */
#define NOON_2024 758635200000000LL /* 2024-01-15 12:00:00 UTC */

static const struct {
	const char *text;
	int64_t us;
} good[] = {
    {"2000-01-01T00:00:00Z", 0},
    {"2024-01-15T12:00:00Z", NOON_2024},
    {"2024-01-15t12:00:00z", NOON_2024},
    {"2024-01-15 12:00:00Z", NOON_2024},
    {"2024-01-15T12:00:00+00:00", NOON_2024},
    {"2024-01-15T12:00:00-00:00", NOON_2024},
    {"2024-01-15T13:00:00+01:00", NOON_2024},
    {"2024-01-15T13:00:00+0100", NOON_2024},
    {"2024-01-15T13:00:00+01", NOON_2024},
    {"2024-01-15T06:30:00-05:30", NOON_2024},
    {"2024-01-15T17:45:00+05:45", NOON_2024},
    {"2024-01-16T11:59:00+23:59", NOON_2024},
    {"2024-01-15T12:00:00.1Z", NOON_2024 + 100000},
    {"2024-01-15T12:00:00.000001Z", NOON_2024 + 1},
    {"2024-01-15T12:00:00.123456Z", NOON_2024 + 123456},
    {"2024-01-15T12:00:00.1234567Z", NOON_2024 + 123456},
    {"2024-01-15T12:00:00.123456789Z", NOON_2024 + 123456},
    {"2024-01-15T12:00:00.999999999Z", NOON_2024 + 999999},
    {"1999-12-31T23:59:59.999999Z", -1},
    {"1970-01-01T00:00:00Z", -TIMESTAMP_EPOCH_UNIX * 1000000},
    {"2016-12-31T23:59:60Z", 6210 * DAY},
    {"2016-12-31T23:59:60.5Z", 6210 * DAY + 500000},
    {"2017-01-01T00:59:60+01:00", 6210 * DAY},
    {"2024-02-29T00:00:00Z", 8825 * DAY},
    {"2000-02-29T00:00:00Z", 59 * DAY},
    {"0001-01-01T00:00:00Z", -63082281600000000LL},
    {"9999-12-31T23:59:59.999999Z", 252455615999999999LL},
};

Test(timestamp, good)
{
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		int64_t us = -42;
		const char *why =
		    timestamp_parse(good[i].text, strlen(good[i].text), &us);

		cr_expect(why == NULL, "%s: %s", good[i].text, why);
		cr_expect(
		    us == good[i].us, "%s: %lld", good[i].text, (long long)us);
	}
}

static const struct {
	const char *text;
	const char *why;
} bad[] = {
    {"", "no date as yyyy-mm-dd"},
    {"infinity", "no date as yyyy-mm-dd"},
    {"now", "no date as yyyy-mm-dd"},
    {"2024", "no date as yyyy-mm-dd"},
    {"20240115T120000Z", "no date as yyyy-mm-dd"},
    {"24-01-15T12:00:00Z", "no date as yyyy-mm-dd"},
    {"300000-01-01T00:00:00Z", "no date as yyyy-mm-dd"},
    {"-001-01-01T00:00:00Z", "no date as yyyy-mm-dd"},
    {"+2024-01-15T12:00:00Z", "no date as yyyy-mm-dd"},
    {" 2024-01-15T12:00:00Z", "no date as yyyy-mm-dd"},
    {"2024/01/15T12:00:00Z", "no date as yyyy-mm-dd"},
    {"0000-01-01T00:00:00Z", "year out of range"},
    {"2024-00-15T12:00:00Z", "month out of range"},
    {"2024-13-15T12:00:00Z", "month out of range"},
    {"2024-01-00T12:00:00Z", "day out of range"},
    {"2024-01-32T12:00:00Z", "day out of range"},
    {"2024-04-31T12:00:00Z", "day out of range"},
    {"2023-02-29T12:00:00Z", "day out of range"},
    {"1900-02-29T12:00:00Z", "day out of range"},
    {"2024-01-15", "no time behind the date"},
    {"2024-01-15Z", "no time behind the date"},
    {"2024-01-15_12:00:00Z", "no time behind the date"},
    {"2024-01-15T12:00Z", "no time as hh:mm:ss"},
    {"2024-01-15T1:00:00Z", "no time as hh:mm:ss"},
    {"2024-01-15T", "no time as hh:mm:ss"},
    {"2024-01-15T24:00:00Z", "hour out of range"},
    {"2024-01-15T12:60:00Z", "minute out of range"},
    {"2024-01-15T12:00:61Z", "second out of range"},
    {"2024-01-15T12:00:60Z", "second out of range"},
    {"2024-01-15T23:59:60+01:00", "second out of range"},
    {"2024-01-15T12:00:00.Z", "no digits behind the decimal point"},
    {"2024-01-15T12:00:00,5Z", "no time zone"},
    {"2024-01-15T12:00:00.1234567890Z", "more than nine digits of a second"},
    {"2024-01-15T12:00:00", "no time zone"},
    {"2024-01-15T12:00:00.5", "no time zone"},
    {"2024-01-15T12:00:00 Z", "no time zone"},
    {"2024-01-15T12:00:00UTC", "no time zone"},
    {"2024-01-15T12:00:00+", "no time zone as +hh:mm"},
    {"2024-01-15T12:00:00+1", "no time zone as +hh:mm"},
    {"2024-01-15T12:00:00+01:", "no time zone as +hh:mm"},
    {"2024-01-15T12:00:00+01:0", "no time zone as +hh:mm"},
    {"2024-01-15T12:00:00+24:00", "time zone out of range"},
    {"2024-01-15T12:00:00+01:60", "time zone out of range"},
    {"2024-01-15T12:00:00Z ", "something behind the time zone"},
    {"2024-01-15T12:00:00ZZ", "something behind the time zone"},
    {"2024-01-15T12:00:00+01:00x", "something behind the time zone"},
};

Test(timestamp, bad)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int64_t us;
		const char *why =
		    timestamp_parse(bad[i].text, strlen(bad[i].text), &us);

		cr_expect(why != NULL, "%s: taken", bad[i].text);
		if (why != NULL) {
			cr_expect_str_eq(why, bad[i].why, "%s", bad[i].text);
		}
	}
}

Test(timestamp, nul_inside)
{
	int64_t us;

	cr_expect(timestamp_parse("2024-01-15T12:00:00\0Z", 21, &us) != NULL);
}

/* Every day of four hundred years and more, against gmtime(). */
Test(timestamp, calendar)
{
	for (int64_t day = -200000; day < 200000; day++) {
		time_t t = (time_t)(day * 86400 + TIMESTAMP_EPOCH_UNIX);
		struct tm tm;
		char text[40];
		int64_t us, next, start;
		int year, month;

		cr_assert(gmtime_r(&t, &tm) != NULL);
		(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
		cr_assert(timestamp_parse(text, strlen(text), &us) == NULL,
		    "%s", text);
		cr_assert(us == day * DAY, "%s", text);
		timestamp_month(us, &year, &month);
		cr_assert(year == tm.tm_year + 1900 && month == tm.tm_mon + 1,
		    "%s: %d-%d", text, year, month);
		start = timestamp_month_start(us, &next);
		cr_assert(start == (day - tm.tm_mday + 1) * DAY, "%s", text);
		cr_assert(start <= us && us < next, "%s", text);
		cr_assert(timestamp_month_start(next - 1, NULL) == start);
		cr_assert(timestamp_month_start(next, NULL) == next);
	}
}

/* What comes out of a ring may be any number. */
Test(timestamp, month_of_anything)
{
	int64_t next;
	int year, month;

	timestamp_month(INT64_MIN, &year, &month);
	cr_expect(month >= 1 && month <= 12);
	timestamp_month(INT64_MAX, &year, &month);
	cr_expect(month >= 1 && month <= 12);
	cr_expect(timestamp_month_start(INT64_MIN, &next) == INT64_MIN);
	cr_expect(timestamp_month_start(INT64_MAX, &next) < INT64_MAX);
	cr_expect(next == INT64_MAX);
}

Test(timestamp, clocks)
{
	int64_t now = timestamp_now();
	uint64_t ms = clock_ms();

	cr_expect(llabs(now / 1000000 + TIMESTAMP_EPOCH_UNIX - time(NULL)) < 5);
	cr_expect(clock_ms() >= ms);
}
