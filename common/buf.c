/* SPDX-License-Identifier: MIT */
/*
 * buf.c - the growing string and byte builder
 *
 * Capacity doubles, so that appending n bytes costs O(n) in all.  It never
 * shrinks; a caller that held something large frees it.
 */
#include "common/buf.h"

#include <stdlib.h>
#include <string.h>

#define BUF_FIRST 256

int
buf_reserve(struct buf *buf, size_t more)
{
	size_t cap, need;
	char *data;

	if (__builtin_add_overflow(buf->len, more, &need) ||
	    (buf->limit != 0 && need > buf->limit))
		return -1;
	if (need <= buf->cap)
		return 0;
	cap = buf->cap < BUF_FIRST ? BUF_FIRST : buf->cap;
	while (cap < need) {
		if (__builtin_mul_overflow(cap, 2, &cap))
			return -1;
	}
	if ((data = realloc(buf->data, cap)) == NULL)
		return -1;
	buf->data = data;
	buf->cap = cap;
	return 0;
}

int
buf_append(struct buf *buf, const void *bytes, size_t n)
{
	if (buf_reserve(buf, n) == -1)
		return -1;
	if (n > 0)
		memcpy(buf->data + buf->len, bytes, n);
	buf->len += n;
	return 0;
}

int
buf_puts(struct buf *buf, const char *text)
{
	return buf_append(buf, text, strlen(text));
}

int
buf_printf(struct buf *buf, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	/* One more for the terminator that vsnprintf() insists on. */
	if (n < 0 || buf_reserve(buf, (size_t)n + 1) == -1)
		return -1;
	va_start(ap, fmt);
	(void)vsnprintf(buf->data + buf->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	buf->len += (size_t)n;
	return 0;
}

/* Returns what follows the backslash, or 0 when c stands for itself. */
static char
json_escape(unsigned char c)
{
	switch (c) {
	case '"':
	case '\\':
		return (char)c;
	case '\b':
		return 'b';
	case '\f':
		return 'f';
	case '\n':
		return 'n';
	case '\r':
		return 'r';
	case '\t':
		return 't';
	default:
		return c < 0x20 ? 'u' : 0;
	}
}

int
buf_json_string(struct buf *buf, const char *text, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	size_t i, most;
	char escape, *out;

	/* Every byte may become six, and two quotes. */
	if (__builtin_mul_overflow(len, 6, &most) ||
	    __builtin_add_overflow(most, 2, &most) ||
	    buf_reserve(buf, most) == -1)
		return -1;
	out = buf->data + buf->len;
	*out++ = '"';
	for (i = 0; i < len; i++) {
		escape = json_escape((unsigned char)text[i]);
		if (escape == 0) {
			*out++ = text[i];
			continue;
		}
		*out++ = '\\';
		*out++ = escape;
		if (escape == 'u') {
			*out++ = '0';
			*out++ = '0';
			*out++ = hex[(unsigned char)text[i] >> 4];
			*out++ = hex[text[i] & 0xf];
		}
	}
	*out++ = '"';
	buf->len = (size_t)(out - buf->data);
	return 0;
}

void
buf_clear(struct buf *buf)
{
	buf->len = 0;
}

void
buf_free(struct buf *buf)
{
	free(buf->data);
	buf->data = NULL;
	buf->len = buf->cap = 0;
}
