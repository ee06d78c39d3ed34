/* SPDX-License-Identifier: MIT */
/*
 * escape.c - prints text code point by code point
 *
 * A page's title may hold "\033]0;..." and worse: what a terminal would act on
 * is spelled out instead.  The C1 controls are such, and so are the marks by
 * which a line is made to read as what it is not.
 */
#include "ctl/escape.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/utf8.h"

/* Controls, line and paragraph separators, marks of direction. */
static bool
is_unfit(uint32_t point)
{
	return point < 0x20 || (point >= 0x7f && point <= 0x9f) ||
	    point == 0x61c || point == 0x200e || point == 0x200f ||
	    (point >= 0x2028 && point <= 0x202e) ||
	    (point >= 0x2066 && point <= 0x2069);
}

#define SPELLING 16

/* How a code point that cannot stand as it is is spelled; "" if it can. */
static void
spell(uint32_t point, enum escape how, char out[SPELLING])
{
	static const char named[] = "\n\t\r\b\f";
	static const char names[] = "ntrbf";
	const char *at =
	    point < 0x20 && point != 0 ? strchr(named, (int)point) : NULL;

	out[0] = '\0';
	if (at)
		(void)snprintf(out, SPELLING, "\\%c", names[at - named]);
	else if (how == ESCAPE_JSON && (point == '"' || point == '\\'))
		(void)snprintf(out, SPELLING, "\\%c", (char)point);
	else if (!is_unfit(point))
		return;
	else if (how == ESCAPE_TEXT && point < 0x80)
		(void)snprintf(out, SPELLING, "\\x%02x", point);
	else
		(void)snprintf(out, SPELLING, "\\u%04x", point);
}

static size_t
put(FILE *out, const char *text, size_t len)
{
	if (out)
		(void)fwrite(text, 1, len, out);
	return len;
}

size_t
escape_print(
    FILE *out, const char *text, size_t len, size_t max, enum escape how)
{
	char spelling[SPELLING];
	size_t columns = 0;
	uint32_t point;
	size_t bytes;

	for (; len > 0 && max > 0; text += bytes, len -= bytes, max--) {
		bytes = utf8_next(text, len, &point);
		if (bytes == 0) {
			bytes = 1;
			(void)snprintf(spelling, sizeof(spelling), "%s\\x%02x",
			    how == ESCAPE_TEXT ? "" : "\\",
			    (unsigned char)text[0]);
		} else {
			spell(point, how, spelling);
		}
		if (spelling[0] != '\0') {
			columns += put(out, spelling, strlen(spelling));
		} else {
			(void)put(out, text, bytes);
			columns++;
		}
	}
	return len > 0 ? columns + put(out, "...", 3) : columns;
}

void
escape_print_json(FILE *out, const char *text, size_t len)
{
	(void)putc('"', out);
	(void)escape_print(out, text, len, SIZE_MAX, ESCAPE_JSON);
	(void)putc('"', out);
}
