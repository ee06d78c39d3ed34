/* SPDX-License-Identifier: MIT */
/*
 * apikey.h - API keys: made once, shown once, kept as SHA-256
 *
 * Runs in   worker (hashes what it is shown), ctl (makes them)
 * Format    "pgk_" and 43 characters of base64url: 256 random bits
 * Tests     t/unit/apikey_test.c
 */
#ifndef PGD_COMMON_APIKEY_H
#define PGD_COMMON_APIKEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define APIKEY_TEXT 48   /* with the terminator */
#define APIKEY_PREFIX 12 /* characters that may be shown later */
#define APIKEY_HASH 32

int apikey_make(char out[APIKEY_TEXT], struct err *) MUST_CHECK;
/* Whether a text looks like a key, or the beginning of one, and is longer than
 * its prefix. */
bool apikey_says_more_than_prefix(const char *text);
/* Hashes any text, of the format or not. */
int apikey_hash(
    const char *text, size_t len, uint8_t out[APIKEY_HASH]) MUST_CHECK;

#endif
