/* SPDX-License-Identifier: MIT */
/*
 * buf.h - the one growing string and byte builder
 *
 * Runs in   anywhere
 * Owns      its memory, until buf_free()
 * Promises  never longer than limit (0: none); after a failed append the
 *           content is what it was before
 * Failure   -1 when memory or the limit is exhausted
 */
#ifndef PGD_COMMON_BUF_H
#define PGD_COMMON_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct buf {
	char *data; /* NULL until something is appended; not terminated */
	size_t len;
	size_t cap;
	size_t limit;
};

#define BUF_INIT                                                               \
	{                                                                      \
		NULL, 0, 0, 0                                                  \
	}

/* Room for more bytes behind len. */
int buf_reserve(struct buf *, size_t more) MUST_CHECK;
int buf_append(struct buf *, const void *, size_t) MUST_CHECK;
int buf_puts(struct buf *, const char *) MUST_CHECK;
int buf_printf(struct buf *, const char *, ...) PRINTF_LIKE(2, 3) MUST_CHECK;
/* Appends text as a JSON string with its quotes; it must be valid UTF-8. */
int buf_json_string(struct buf *, const char *, size_t) MUST_CHECK;
/* Keeps the memory. */
void buf_clear(struct buf *);
void buf_free(struct buf *);

#endif
