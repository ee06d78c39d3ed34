/* SPDX-License-Identifier: MIT */
/*
 * timestamp.h - RFC 3339 to microseconds since 2000-01-01 UTC, as PostgreSQL
 * counts, and the clocks
 *
 * Runs in   anywhere
 * Tests     t/unit/timestamp_test.c
 */
#ifndef PGD_COMMON_TIMESTAMP_H
#define PGD_COMMON_TIMESTAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Seconds from 1970-01-01 to 2000-01-01. */
#define TIMESTAMP_EPOCH_UNIX 946684800LL

/*
 * Date, "T", "t" or a space, time to the second, up to nine digits of fraction
 * (cut to microseconds), then "Z", "z" or an offset as +hh:mm, +hhmm or +hh.  A
 * leap second is the next second.  Years 0001 to 9999.
 * NULL on success, else what is wrong, in words ("no time zone").
 */
const char *timestamp_parse(const char *text, size_t len, int64_t *us);

/* CLOCK_REALTIME in microseconds since 2000-01-01 UTC. */
int64_t timestamp_now(void);
/* CLOCK_MONOTONIC in milliseconds. */
uint64_t clock_ms(void);

/* Year and month (1 to 12) of a timestamp, UTC. */
void timestamp_month(int64_t us, int *year, int *month);

/*
 * First microsecond of the month that holds us: to compare months without
 * taking dates apart, and, in next, of the month after it.
 */
int64_t timestamp_month_start(int64_t us, int64_t *next);

#endif
