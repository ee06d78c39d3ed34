/* SPDX-License-Identifier: MIT */
/*
 * when.c - reads and prints times and durations
 *
 * The clock is the caller's: nothing here asks what time it is.
 */
#include "ctl/when.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/cfg_value.h"
#include "common/timestamp.h"

/* The first microsecond of the year 10000. */
#define END_US 252455616000000000LL

/* Text that timestamp_parse() is meant to judge, rather than the durations. */
static bool
looks_like_date(const char *text)
{
	return strspn(text, "0123456789") == 4 && text[4] == '-';
}

int
when_parse(const char *text, int64_t now_us, int64_t *us, struct err *err)
{
	const char *why;
	uint64_t ms;

	if (looks_like_date(text)) {
		why = timestamp_parse(text, strlen(text), us);
		if (why) {
			return err_set(
			    err, "\"%.64s\" is not a time: %s", text, why);
		}
	} else {
		why = cfg_number_parse(CFG_TYPE_MSEC, text, &ms);
		if (why) {
			return err_set(err,
			    "\"%.64s\" is neither an RFC 3339 time nor %s",
			    text, why);
		}
		if (ms > END_US / 1000)
			ms = END_US / 1000;
		*us = now_us + (int64_t)ms * 1000;
	}
	if (*us <= now_us)
		return err_set(err, "\"%.64s\" is not in the future", text);
	if (*us >= END_US)
		return err_set(err, "\"%.64s\" is too far away", text);
	return 0;
}

int
when_parse_duration(
    const char *text, uint64_t min, uint64_t max, uint64_t *ms, struct err *err)
{
	char least[CFG_NUMBER_TEXT], most[CFG_NUMBER_TEXT];
	const char *form = cfg_number_parse(CFG_TYPE_MSEC, text, ms);

	if (form)
		return err_set(err, "\"%.64s\" is not %s", text, form);
	if (*ms < min || *ms > max) {
		cfg_number_format(CFG_TYPE_MSEC, min, least);
		cfg_number_format(CFG_TYPE_MSEC, max, most);
		return err_set(err, "\"%.64s\" is out of bounds: %s to %s",
		    text, least, most);
	}
	return 0;
}

void
when_format(int64_t us, char out[WHEN_TEXT])
{
	int64_t fraction = us % 1000000;
	time_t seconds = (time_t)(us / 1000000 + TIMESTAMP_EPOCH_UNIX);
	struct tm tm;

	if (fraction < 0) {
		fraction += 1000000;
		seconds--;
	}
	/* 64 bits of microseconds reach no year that struct tm has not. */
	(void)gmtime_r(&seconds, &tm);
	(void)snprintf(out, WHEN_TEXT,
	    "%04ld-%02d-%02dT%02d:%02d:%02d.%06" PRId64 "Z",
	    (long)tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
	    tm.tm_min, tm.tm_sec, fraction);
}

void
when_format_duration(int64_t ms, char out[WHEN_TEXT])
{
	static const struct {
		char suffix;
		uint64_t seconds;
	} units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}};
	uint64_t left = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
	unsigned fraction = (unsigned)(left % 1000);
	size_t used;
	size_t i;

	left /= 1000;
	used = (size_t)snprintf(out, WHEN_TEXT, "%s", ms < 0 ? "-" : "");
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		uint64_t n = left / units[i].seconds;

		left %= units[i].seconds;
		if (n > 0)
			used += (size_t)snprintf(out + used, WHEN_TEXT - used,
			    "%" PRIu64 "%c", n, units[i].suffix);
	}
	if (fraction > 0)
		(void)snprintf(out + used, WHEN_TEXT - used, "%u.%03us",
		    (unsigned)left, fraction);
	else if (left > 0 || used == 0)
		(void)snprintf(
		    out + used, WHEN_TEXT - used, "%us", (unsigned)left);
}
