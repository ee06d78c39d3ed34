/* SPDX-License-Identifier: MIT */
/*
 * json_text.c - takes escapes off, or replaces them
 *
 * Taken off where a column holds text, and replaced token by token where it
 * holds JSON and PostgreSQL would refuse them.  JSON text is never searched and
 * edited otherwise: "\\u0000" is a backslash and five characters.  That the
 * escapes are well-formed was json.c's to check.
 */
#include "worker/json_text.h"

#include <stdint.h>
#include <string.h>

#define REPLACEMENT 0xfffd

static uint32_t
hex4(const char *at)
{
	uint32_t value = 0;

	for (int i = 0; i < 4; i++) {
		char c = at[i];

		value = value << 4 |
		    (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	return value;
}

/*
 * The code point of the \u escape at at, two escapes for a pair; *used is their
 * length.  REPLACEMENT for what cannot be stored.
 */
static uint32_t
code_point(const char *at, const char *end, size_t *used)
{
	uint32_t high = hex4(at + 2);
	uint32_t low;

	*used = 6;
	if (high == 0 || (high >= 0xdc00 && high <= 0xdfff)) {
		return REPLACEMENT;
	}
	if (high < 0xd800 || high > 0xdbff) {
		return high;
	}
	if (end - at < 12 || at[6] != '\\' || at[7] != 'u') {
		return REPLACEMENT;
	}
	low = hex4(at + 8);
	if (low < 0xdc00 || low > 0xdfff) {
		return REPLACEMENT;
	}
	*used = 12;
	return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

static char *
put_utf8(char *to, uint32_t c)
{
	if (c < 0x80) {
		*to++ = (char)c;
	} else if (c < 0x800) {
		*to++ = (char)(0xc0 | c >> 6);
		*to++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*to++ = (char)(0xe0 | c >> 12);
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
		*to++ = (char)(0x80 | (c & 0x3f));
	} else {
		*to++ = (char)(0xf0 | c >> 18);
		*to++ = (char)(0x80 | (c >> 12 & 0x3f));
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
		*to++ = (char)(0x80 | (c & 0x3f));
	}
	return to;
}

static char
short_escape(char c)
{
	switch (c) {
	case 'b':
		return '\b';
	case 'f':
		return '\f';
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	default: /* a quote, a slash, a backslash */
		return c;
	}
}

/* Copies up to the next backslash, or all; moves both along. */
static void
copy_plain(char **to, const char **at, const char *end)
{
	const char *stop = memchr(*at, '\\', (size_t)(end - *at));
	size_t len = (size_t)((stop == NULL ? end : stop) - *at);

	memcpy(*to, *at, len);
	*to += len;
	*at += len;
}

size_t
json_unescape(char *to, const char *from, size_t len)
{
	const char *at = from;
	const char *end = from + len;
	char *begin = to;
	size_t used;

	for (;;) {
		copy_plain(&to, &at, end);
		if (at == end) {
			return (size_t)(to - begin);
		}
		if (at[1] == 'u') {
			to = put_utf8(to, code_point(at, end, &used));
			at += used;
		} else {
			*to++ = short_escape(at[1]);
			at += 2;
		}
	}
}

/* U+FFFD that was sent as an escape is written out too: the same character. */
static char *
copy_escape(char *to, const char **at, const char *end)
{
	size_t used = 2;

	if ((*at)[1] == 'u' && code_point(*at, end, &used) == REPLACEMENT) {
		to = put_utf8(to, REPLACEMENT);
	} else {
		memcpy(to, *at, used);
		to += used;
	}
	*at += used;
	return to;
}

size_t
json_copy_replacing(char *to, const char *from, size_t len)
{
	const char *at = from;
	const char *end = from + len;
	char *begin = to;

	for (;;) {
		copy_plain(&to, &at, end);
		if (at == end) {
			return (size_t)(to - begin);
		}
		to = copy_escape(to, &at, end);
	}
}

size_t
json_count_chars(const char *text, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		/* every byte but those that continue a character */
		n += ((unsigned char)text[i] & 0xc0) != 0x80;
	}
	return n;
}
