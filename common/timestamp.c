/* SPDX-License-Identifier: MIT */
/*
 * timestamp.c - RFC 3339 text to microseconds, and the clocks
 *
 * Also from a count back to a year and a month.  The calendar is the proleptic
 * Gregorian one, as in PostgreSQL.  No time zone names, no local time, no
 * locale: the C library's time functions are not used but for reading clocks.
 */
#include "common/timestamp.h"

#include <time.h>

#define USEC_PER_SEC 1000000LL
#define SEC_PER_DAY 86400LL
#define USEC_PER_DAY (SEC_PER_DAY * USEC_PER_SEC)

/* Days from 0000-03-01 to 2000-01-01, both Gregorian. */
#define DAYS_TO_EPOCH 730425LL
#define DAYS_PER_ERA 146097LL /* 400 years */

struct reader {
	const char *at;
	const char *end;
};

struct fields {
	int year;
	int month;
	int day;
	int hour;
	int minute;
	int second;
	int usec;
	int offset_min; /* of local time, ahead of UTC */
};

/*
 * Days since 2000-01-01.  Years are counted from March, so that the leap day is
 * the last of its year and months have lengths that a line can follow.
 */
static int64_t
days_from_date(int64_t year, int month, int day)
{
	int64_t y = month > 2 ? year : year - 1;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t yoe = y - era * 400;
	int64_t mp = (month + 9) % 12;
	int64_t doy = (153 * mp + 2) / 5 + day - 1;
	int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

	return era * DAYS_PER_ERA + doe - DAYS_TO_EPOCH;
}

/* The way back; only year and month are wanted. */
static void
month_from_days(int64_t days, int64_t *year, int *month)
{
	int64_t z = days + DAYS_TO_EPOCH;
	int64_t era = (z >= 0 ? z : z - (DAYS_PER_ERA - 1)) / DAYS_PER_ERA;
	int64_t doe = z - era * DAYS_PER_ERA;
	int64_t yoe =
	    (doe - doe / 1460 + doe / 36524 - doe / (DAYS_PER_ERA - 1)) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;

	*month = (int)(mp < 10 ? mp + 3 : mp - 9);
	*year = yoe + era * 400 + (*month <= 2);
}

static int
days_of_month(int year, int month)
{
	static const int days[] = {
	    31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

/* Exactly n digits. */
static bool
read_number(struct reader *r, int n, int *out)
{
	int value = 0;

	if (r->end - r->at < n) {
		return false;
	}
	for (int i = 0; i < n; i++) {
		char c = *r->at++;

		if (c < '0' || c > '9') {
			return false;
		}
		value = value * 10 + (c - '0');
	}
	*out = value;
	return true;
}

static bool
read_char(struct reader *r, char c)
{
	if (r->at == r->end || *r->at != c) {
		return false;
	}
	r->at++;
	return true;
}

static const char *
read_date(struct reader *r, struct fields *f)
{
	if (!read_number(r, 4, &f->year) || !read_char(r, '-') ||
	    !read_number(r, 2, &f->month) || !read_char(r, '-') ||
	    !read_number(r, 2, &f->day)) {
		return "no date as yyyy-mm-dd";
	}
	if (f->year < 1) {
		return "year out of range";
	}
	if (f->month < 1 || f->month > 12) {
		return "month out of range";
	}
	if (f->day < 1 || f->day > days_of_month(f->year, f->month)) {
		return "day out of range";
	}
	return NULL;
}

static const char *
read_fraction(struct reader *r, struct fields *f)
{
	int digits = 0;
	int scale = 100000;

	f->usec = 0;
	if (!read_char(r, '.')) {
		return NULL;
	}
	while (r->at < r->end && *r->at >= '0' && *r->at <= '9') {
		f->usec += (*r->at++ - '0') * scale;
		scale /= 10;
		digits++;
	}
	if (digits == 0) {
		return "no digits behind the decimal point";
	}
	return digits > 9 ? "more than nine digits of a second" : NULL;
}

static const char *
read_time(struct reader *r, struct fields *f)
{
	if (r->at == r->end ||
	    (*r->at != 'T' && *r->at != 't' && *r->at != ' ')) {
		return "no time behind the date";
	}
	r->at++;
	if (!read_number(r, 2, &f->hour) || !read_char(r, ':') ||
	    !read_number(r, 2, &f->minute) || !read_char(r, ':') ||
	    !read_number(r, 2, &f->second)) {
		return "no time as hh:mm:ss";
	}
	if (f->hour > 23) {
		return "hour out of range";
	}
	if (f->minute > 59) {
		return "minute out of range";
	}
	if (f->second > 60) {
		return "second out of range";
	}
	return read_fraction(r, f);
}

static const char *
read_zone(struct reader *r, struct fields *f)
{
	int hours, minutes = 0;
	bool west;

	f->offset_min = 0;
	if (r->at == r->end) {
		return "no time zone";
	}
	if (read_char(r, 'Z') || read_char(r, 'z')) {
		return NULL;
	}
	west = *r->at == '-';
	if (!read_char(r, '+') && !read_char(r, '-')) {
		return "no time zone";
	}
	if (!read_number(r, 2, &hours)) {
		return "no time zone as +hh:mm";
	}
	if (r->at < r->end) {
		(void)read_char(r, ':');
		if (!read_number(r, 2, &minutes)) {
			return "no time zone as +hh:mm";
		}
	}
	if (hours > 23 || minutes > 59) {
		return "time zone out of range";
	}
	f->offset_min = (hours * 60 + minutes) * (west ? -1 : 1);
	return NULL;
}

const char *
timestamp_parse(const char *text, size_t len, int64_t *us)
{
	struct reader r = {text, text + len};
	struct fields f;
	const char *why;
	int64_t days, minutes;

	if ((why = read_date(&r, &f)) != NULL ||
	    (why = read_time(&r, &f)) != NULL ||
	    (why = read_zone(&r, &f)) != NULL) {
		return why;
	}
	if (r.at != r.end) {
		return "something behind the time zone";
	}
	days = days_from_date(f.year, f.month, f.day);
	minutes = (days * 24 + f.hour) * 60 + f.minute - f.offset_min;
	/* A leap second ends a day of UTC and nothing else. */
	if (f.second == 60 && (minutes % 1440 + 1440) % 1440 != 1439) {
		return "second out of range";
	}
	*us = (minutes * 60 + f.second) * USEC_PER_SEC + f.usec;
	return NULL;
}

int64_t
timestamp_now(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return ((int64_t)now.tv_sec - TIMESTAMP_EPOCH_UNIX) * USEC_PER_SEC +
	    now.tv_nsec / 1000;
}

uint64_t
clock_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int64_t
floor_days(int64_t us)
{
	return us / USEC_PER_DAY - (us % USEC_PER_DAY < 0);
}

/* The ends of the range stand for what lies beyond it. */
static int64_t
days_to_us(int64_t days)
{
	int64_t us;

	if (__builtin_mul_overflow(days, USEC_PER_DAY, &us)) {
		return days < 0 ? INT64_MIN : INT64_MAX;
	}
	return us;
}

void
timestamp_month(int64_t us, int *year, int *month)
{
	int64_t y;

	month_from_days(floor_days(us), &y, month);
	*year = (int)y;
}

int64_t
timestamp_month_start(int64_t us, int64_t *next)
{
	int64_t year;
	int month;

	month_from_days(floor_days(us), &year, &month);
	if (next != NULL) {
		*next = days_to_us(month == 12
			? days_from_date(year + 1, 1, 1)
			: days_from_date(year, month + 1, 1));
	}
	return days_to_us(days_from_date(year, month, 1));
}
