/* SPDX-License-Identifier: MIT */
/*
 * utf8.h - text that PostgreSQL stores: UTF-8 without NUL
 *
 * Runs in   anywhere; pure
 * Tests     t/unit/utf8_test.c
 */
#ifndef PGD_COMMON_UTF8_H
#define PGD_COMMON_UTF8_H

#include <stddef.h>

/* Length of the longest start that is UTF-8 without NUL. */
size_t utf8_length(const char *, size_t);

#endif
