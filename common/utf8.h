/* SPDX-License-Identifier: MIT */
/*
 * utf8.h - what is UTF-8, and what of it PostgreSQL stores: all but NUL
 *
 * Runs in   anywhere; pure
 * Tests     t/unit/utf8_test.c
 */
#ifndef PGD_COMMON_UTF8_H
#define PGD_COMMON_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Length of the longest start that is UTF-8 without NUL. */
size_t utf8_length(const char *, size_t);

/*
 * Length of the character at text, where at least one byte is left, and its
 * code point; 0 and 0 when it is none.  NUL is one.
 */
size_t utf8_next(const char *text, size_t left, uint32_t *point);

#endif
