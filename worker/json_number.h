/* SPDX-License-Identifier: MIT */
/*
 * json_number.h - what the digits of a JSON number are worth
 *
 * Runs in   worker; pure
 * Requires  text that json_number_end() accepted; the C locale's strtod()
 * Tests     t/unit/decode_test.c
 */
#ifndef PGD_WORKER_JSON_NUMBER_H
#define PGD_WORKER_JSON_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum json_number_result {
	JSON_NUMBER_OK,
	JSON_NUMBER_NOT_WHOLE,
	JSON_NUMBER_RANGE,
};

/*
 * True when a double cannot hold the number's magnitude, or PostgreSQL's
 * numeric its digits: from 1e309 up, below 1e-324, or with more than 16,383
 * digits behind the decimal point.  A zero counts as if it were a one.
 */
bool json_number_is_far(const char *text, size_t len);

/* 200, 200.0 and 2e2 are all 200. */
enum json_number_result json_number_int(
    const char *text, size_t len, int64_t *out);

/* The nearest double; false when that is an infinity. */
bool json_number_real(const char *text, size_t len, double *out);

#endif
