/* SPDX-License-Identifier: MIT */
/*
 * err.h - why a call failed, in words for a person
 *
 * Runs in   anywhere
 * Owns      nothing; the caller's struct holds the text
 * Promises  filled once, by the function that knows; always terminated
 */
#ifndef PGD_COMMON_ERR_H
#define PGD_COMMON_ERR_H

#include <stdarg.h>
#include <stdio.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

/* Long enough for a path, a line number and a sentence. */
struct err {
	char text[512];
};

/* Sets the text and returns -1, so that a caller can return it. */
static inline int PRINTF_LIKE(2, 3)
    err_set(struct err *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return -1;
}

#endif
