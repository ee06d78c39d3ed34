/* SPDX-License-Identifier: MIT */
/*
 * when.h - points in time and durations, from and to an operator's text
 *
 * Times are microseconds since 2000-01-01 UTC, as in common/timestamp.h.
 *
 * Runs in   ctl
 * Failure   -1 and a sentence that quotes the text
 * Tests     t/unit/when_test.c
 */
#ifndef PGD_CTL_WHEN_H
#define PGD_CTL_WHEN_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/*
 * A duration from now ("90d", units as in productgraph.conf) or an RFC 3339
 * time; either must lie behind now and before the year 10000.
 */
int when_parse(
    const char *text, int64_t now_us, int64_t *us, struct err *) MUST_CHECK;

/* Milliseconds, from min to max. */
int when_parse_duration(const char *text, uint64_t min, uint64_t max,
    uint64_t *ms, struct err *) MUST_CHECK;

#define WHEN_TEXT 64

/* "2026-01-31T12:00:00.000000Z"; PostgreSQL reads it too. */
void when_format(int64_t us, char out[WHEN_TEXT]);

/* "1h2m3s", "4.250s"; milliseconds only below a minute, where they tell. */
void when_format_duration(int64_t ms, char out[WHEN_TEXT]);

#endif
