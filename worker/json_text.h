/* SPDX-License-Identifier: MIT */
/*
 * json_text.h - scanned JSON to text that PostgreSQL takes
 *
 * Runs in   worker; pure
 * Requires  values as json.c scanned them, without JSON_NOT_UTF8
 * Promises  writes no more bytes than it reads; what PostgreSQL cannot store,
 *           U+0000 and half a surrogate pair, becomes U+FFFD
 * Tests     t/unit/decode_test.c
 */
#ifndef PGD_WORKER_JSON_TEXT_H
#define PGD_WORKER_JSON_TEXT_H

#include <stddef.h>

#include "worker/json.h"

/* What a string stands for; returns its length. */
size_t json_unescape(char *to, const char *from, size_t len);

/*
 * JSON text as it was sent, but for the escapes of what PostgreSQL cannot
 * store.  Returns its length.
 */
size_t json_copy_replacing(char *to, const char *from, size_t len);

/* Code points of valid UTF-8. */
size_t json_count_chars(const char *text, size_t len);

#endif
