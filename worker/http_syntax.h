/* SPDX-License-Identifier: MIT */
/*
 * http_syntax.h - the character classes of RFC 9110 and RFC 3986
 *
 * Runs in   worker; pure
 * Promises  no locale: bytes, not characters
 */
#ifndef PGD_WORKER_HTTP_SYNTAX_H
#define PGD_WORKER_HTTP_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>
#include <strings.h>

#include "worker/http_request.h"

static inline bool
http_is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

static inline bool
http_is_alnum(unsigned char c)
{
	return http_is_digit(c) || (c >= 'a' && c <= 'z') ||
	    (c >= 'A' && c <= 'Z');
}

/* tchar: methods and header names */
static inline bool
http_is_token(unsigned char c)
{
	if (http_is_alnum(c))
		return true;
	switch (c) {
	case '!':
	case '#':
	case '$':
	case '%':
	case '&':
	case '\'':
	case '*':
	case '+':
	case '-':
	case '.':
	case '^':
	case '_':
	case '`':
	case '|':
	case '~':
		return true;
	default:
		return false;
	}
}

static inline bool
http_is_blank(unsigned char c)
{
	return c == ' ' || c == '\t';
}

/* field-vchar, obs-text and the blanks between: header values */
static inline bool
http_is_field(unsigned char c)
{
	return (c >= 0x20 && c != 0x7f) || c == '\t';
}

/* what may stand in a request line */
static inline bool
http_is_printable(unsigned char c)
{
	return c >= 0x20 && c < 0x7f;
}

/* Value of a hexadecimal digit; -1 when it is none. */
static inline int
http_hex(unsigned char c)
{
	if (http_is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Value of the two digits of a percent escape; -1 when they are none. */
static inline int
http_hex_pair(const char *pair)
{
	int high = http_hex((unsigned char)pair[0]);
	int low;

	if (high == -1)
		return -1;
	low = http_hex((unsigned char)pair[1]);
	return low == -1 ? -1 : high * 16 + low;
}

/* Letters compare in any case. */
static inline bool
http_is_word(const char *text, size_t len, const char *word, size_t word_len)
{
	return len == word_len && strncasecmp(text, word, len) == 0;
}

/* Fills the fault and returns -1, so that a caller can return it. */
static inline int
http_refuse(struct http_fault *fault, int status, const char *detail)
{
	fault->status = status;
	fault->detail = detail;
	return -1;
}

#endif
