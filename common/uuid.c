/* SPDX-License-Identifier: MIT */
/*
 * uuid.c - UUIDs between their text and their 16 bytes
 *
 * Only the form with hyphens is read, in either case; it is written in lower
 * case, as PostgreSQL does.  No UUID is made here and no version is looked at.
 */
#include "common/uuid.h"

#include <string.h>

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
hyphen_at(size_t i)
{
	return i == 8 || i == 13 || i == 18 || i == 23;
}

bool
uuid_parse(const char *text, size_t len, uint8_t out[UUID_BYTES])
{
	uint8_t bytes[UUID_BYTES];
	size_t n = 0;

	if (len != UUID_TEXT - 1) {
		return false;
	}
	for (size_t i = 0; i < len; i++) {
		int high, low;

		if (hyphen_at(i)) {
			if (text[i] != '-') {
				return false;
			}
			continue;
		}
		high = hex_value(text[i++]);
		low = hex_value(text[i]);
		if (high < 0 || low < 0) {
			return false;
		}
		bytes[n++] = (uint8_t)(high << 4 | low);
	}
	memcpy(out, bytes, sizeof(bytes));
	return true;
}

void
uuid_format(const uint8_t uuid[UUID_BYTES], char out[UUID_TEXT])
{
	static const char digits[] = "0123456789abcdef";
	char *to = out;

	for (size_t i = 0; i < UUID_BYTES; i++) {
		*to++ = digits[uuid[i] >> 4];
		*to++ = digits[uuid[i] & 15];
		if (hyphen_at((size_t)(to - out))) {
			*to++ = '-';
		}
	}
	*to = '\0';
}
