/* SPDX-License-Identifier: MIT */
/*
 * months.c - the partitions of events
 *
 * Reads from the catalogue which there are and has create_month() make what is
 * asked for, one at a time.  Bounds are the database's business, so that a
 * broken worker cannot talk us into making partitions without end.
 */
#include "aggregator/months.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/timestamp.h"

/*
 * More than create_month() lets be in use and batches of a broken worker can
 * ask for at once.
 */
#define MONTHS_MAX 512

/* From one attempt to make a month to the next. */
#define PAUSE_FIRST_MS 250
#define PAUSE_MAX_MS 30000

/* An attempt holds up whatever else the control connection is for: keys. */
#define MAKE_SQL                                                               \
	"SET LOCAL lock_timeout = '500ms'; SELECT "                            \
	"public.create_month('%04d-%02d-01')"

enum entry_state {
	ENTRY_WANTED,
	ENTRY_STUCK, /* wanted, but nobody waits for it */
	ENTRY_THERE,
	ENTRY_REFUSED,
};

struct entry {
	int64_t month;
	enum entry_state state;
	uint64_t pause_ms; /* 0: no attempt has failed */
	uint64_t retry_ms; /* clock_ms() of the next one */
};

struct months {
	struct pg *pg;
	void (*changed)(void *arg);
	void *arg;
	bool connected;
	bool busy;  /* a request is in flight */
	bool stale; /* the catalogue is to be read */
	struct entry entries[MONTHS_MAX];
	size_t n;
	struct pg_request request;
	int64_t making;
	char sql[sizeof(MAKE_SQL)];
};

static void months_run(struct months *);

void
month_name(int64_t month, char name[MONTH_NAME])
{
	int year, number;

	timestamp_month(month, &year, &number);
	(void)snprintf(name, MONTH_NAME, "events_y%04dm%02d", year, number);
}

static struct entry *
entry_find(struct months *months, int64_t month)
{
	size_t i;

	for (i = 0; i < months->n; i++) {
		if (months->entries[i].month == month)
			return &months->entries[i];
	}
	return NULL;
}

static void
entry_set(struct months *months, int64_t month, enum entry_state state)
{
	struct entry *entry = entry_find(months, month);

	if (entry == NULL) {
		if (months->n == MONTHS_MAX)
			return;
		entry = &months->entries[months->n++];
		entry->month = month;
	}
	entry->state = state;
	entry->pause_ms = entry->retry_ms = 0;
}

static void
entries_drop(struct months *months, enum entry_state state)
{
	size_t i = 0;

	while (i < months->n) {
		if (months->entries[i].state == state)
			months->entries[i] = months->entries[--months->n];
		else
			i++;
	}
}

/* The others, and the keys, must not have to wait for this one. */
static void
entry_put_off(struct entry *entry, const struct pg_fault *fault)
{
	char name[MONTH_NAME];

	month_name(entry->month, name);
	if (entry->pause_ms == 0)
		log_warn("could not make partition \"%s\" yet: %s; "
			 "sqlstate=%s",
		    name, fault->err.text, fault->sqlstate);
	entry->pause_ms =
	    entry->pause_ms == 0 ? PAUSE_FIRST_MS : entry->pause_ms * 2;
	if (entry->pause_ms > PAUSE_MAX_MS)
		entry->pause_ms = PAUSE_MAX_MS;
	entry->retry_ms = clock_ms() + entry->pause_ms;
}

static void
on_made(void *arg, const PGresult *result, const struct pg_fault *fault)
{
	struct months *months = arg;
	struct entry *entry;
	char name[MONTH_NAME];

	(void)result;
	months->busy = false;
	if (fault == NULL) {
		month_name(months->making, name);
		log_info("partition \"%s\" is there", name);
		entry_set(months, months->making, ENTRY_THERE);
	} else if (fault->is_data) {
		entry_set(months, months->making, ENTRY_REFUSED);
	} else if ((entry = entry_find(months, months->making)) != NULL) {
		entry_put_off(entry, fault);
	}
	months_run(months);
	months->changed(months->arg);
}

static void
month_make(struct months *months, int64_t month)
{
	struct pg_request *request = &months->request;
	int year, number;

	timestamp_month(month, &year, &number);
	(void)snprintf(
	    months->sql, sizeof(months->sql), MAKE_SQL, year, number);
	months->making = month;
	*request = (struct pg_request){
	    .sql = months->sql,
	    .done = on_made,
	    .arg = months,
	};
	months->busy = true;
	pg_submit(months->pg, request);
}

static void
on_listed(void *arg, const PGresult *result, const struct pg_fault *fault)
{
	struct months *months = arg;
	struct err err;
	int64_t month;
	int i;

	months->busy = false;
	if (fault != NULL) {
		(void)err_set(
		    &err, "could not list partitions: %s", fault->err.text);
		pg_drop(months->pg, err.text);
		return;
	}
	entries_drop(months, ENTRY_THERE);
	for (i = 0; i < PQntuples(result); i++) {
		month = strtoll(PQgetvalue(result, i, 0), NULL, 10);
		entry_set(months, month, ENTRY_THERE);
	}
	months->stale = false;
	months_ahead(months);
	months_run(months);
	months->changed(months->arg);
}

/*
 * Names are create_month()'s; the year 2000 is the epoch of our timestamps.
 * Not the months of long ago, to which nothing is added any more.
 */
static void
months_list(struct months *months)
{
	months->request = (struct pg_request){
	    .sql = "SELECT extract(epoch FROM (to_date(right(c.relname, 7),"
		   " 'YYYY\"m\"MM')::timestamptz"
		   " - timestamptz '2000-01-01 00:00+00'))::bigint * 1000000"
		   " FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
		   " WHERE i.inhparent = to_regclass('public.events')"
		   " AND c.relnamespace = to_regnamespace('partitions')"
		   " AND NOT i.inhdetachpending"
		   " AND c.relname ~ '^events_y[0-9]{4}m[0-9]{2}$'"
		   " AND c.relname > to_char(now() - interval '11 years',"
		   " '\"events_y\"YYYY\"m\"MM')",
	    .done = on_listed,
	    .arg = months,
	};
	months->busy = true;
	pg_submit(months->pg, &months->request);
}

static bool
entry_is_due(const struct entry *entry, uint64_t now_ms)
{
	return (entry->state == ENTRY_WANTED || entry->state == ENTRY_STUCK) &&
	    entry->retry_ms <= now_ms;
}

/* What is to be done next, if anything. */
static void
months_run(struct months *months)
{
	uint64_t now_ms = clock_ms();
	size_t i;

	if (!months->connected || months->busy)
		return;
	if (months->stale) {
		months_list(months);
		return;
	}
	for (i = 0; i < months->n; i++) {
		if (entry_is_due(&months->entries[i], now_ms)) {
			month_make(months, months->entries[i].month);
			return;
		}
	}
}

struct months *
months_create(struct pg *control, void (*changed)(void *arg), void *arg)
{
	struct months *months;

	if ((months = calloc(1, sizeof(*months))) == NULL)
		return NULL;
	months->pg = control;
	months->changed = changed;
	months->arg = arg;
	return months;
}

void
months_destroy(struct months *months)
{
	free(months);
}

void
months_connected(struct months *months)
{
	months->connected = true;
	months->stale = true;
	months_run(months);
}

void
months_lost(struct months *months)
{
	months->connected = false;
	months->busy = false;
}

/*
 * What create_month() would refuse is not asked for, so that a broken worker
 * cannot fill the list: less than half of it lies within these bounds.
 */
static bool
month_is_possible(int64_t month)
{
	const int64_t day_us = INT64_C(86400) * 1000000;
	int64_t now = timestamp_now();

	return month > now - 11 * 366 * day_us && month < now + 62 * day_us;
}

enum month_state
months_state(const struct months *months, int64_t month)
{
	size_t i;

	if (!month_is_possible(month))
		return MONTH_REFUSED;
	for (i = 0; i < months->n; i++) {
		if (months->entries[i].month != month)
			continue;
		switch (months->entries[i].state) {
		case ENTRY_THERE:
			return MONTH_THERE;
		case ENTRY_REFUSED:
			return MONTH_REFUSED;
		case ENTRY_STUCK:
			return MONTH_STUCK;
		case ENTRY_WANTED:
			break;
		}
	}
	/* No more than a broken worker could ask for. */
	return months->n == MONTHS_MAX ? MONTH_REFUSED : MONTH_UNKNOWN;
}

void
months_want(struct months *months, int64_t month)
{
	if (entry_find(months, month) == NULL)
		entry_set(months, month, ENTRY_WANTED);
	months_run(months);
}

void
months_give_up(struct months *months, int64_t month)
{
	struct entry *entry = entry_find(months, month);

	if (entry != NULL && entry->state == ENTRY_WANTED)
		entry->state = ENTRY_STUCK;
}

void
months_ahead(struct months *months)
{
	int64_t next, now = timestamp_month_start(timestamp_now(), &next);

	months_want(months, now);
	months_want(months, next);
}

void
months_reload(struct months *months)
{
	entries_drop(months, ENTRY_THERE);
	months->stale = true;
	months_run(months);
}

bool
months_is_settled(const struct months *months)
{
	return months->connected && !months->busy && !months->stale;
}

void
months_forget_refused(struct months *months)
{
	entries_drop(months, ENTRY_REFUSED);
}
