/* SPDX-License-Identifier: MIT */
/*
 * utf8.c - tells text from bytes, as strictly as PostgreSQL
 */
#include "common/utf8.h"

/* Unicode 15, table 3-7. */
static size_t
sequence_length(const unsigned char *text, size_t left)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t len, i;

	if (text[0] < 0x80)
		return 1;
	if (text[0] < 0xc2 || text[0] > 0xf4)
		return 0;
	len = text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
	if (len > left)
		return 0;
	if (text[0] == 0xe0)
		low = 0xa0; /* overlong */
	else if (text[0] == 0xed)
		high = 0x9f; /* surrogates */
	else if (text[0] == 0xf0)
		low = 0x90; /* overlong */
	else if (text[0] == 0xf4)
		high = 0x8f; /* beyond U+10FFFF */
	for (i = 1; i < len; i++) {
		if (text[i] < low || text[i] > high)
			return 0;
		low = 0x80;
		high = 0xbf;
	}
	return len;
}

size_t
utf8_next(const char *text, size_t left, uint32_t *point)
{
	/* Of the first byte, by the length. */
	static const unsigned char bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	const unsigned char *bytes = (const unsigned char *)text;
	size_t len = sequence_length(bytes, left);
	size_t i;

	*point = bytes[0] & bits[len];
	for (i = 1; i < len; i++)
		*point = *point << 6 | (bytes[i] & 0x3f);
	return len;
}

size_t
utf8_length(const char *text, size_t len)
{
	size_t at = 0, n;

	while (at < len && text[at] != '\0') {
		n = sequence_length((const unsigned char *)text + at, len - at);
		if (n == 0)
			break;
		at += n;
	}
	return at;
}
