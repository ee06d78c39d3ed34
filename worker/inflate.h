/* SPDX-License-Identifier: MIT */
/*
 * inflate.h - a compressed body to the text it stands for
 *
 * Runs in   worker; pure: bytes in, text out, no socket, no clock
 * Owns      one decoder of each kind and the text of one body at a time, until
 *           inflater_destroy()
 * Promises  the text is never longer than max, its memory never more than the
 *           caller allows; a step costs a few milliseconds whatever the bytes;
 *           the decoders take 50 KB for gzip and deflate, and for zstd 100 KB
 *           and a window of 8 MB (RFC 9659), once made and not per body
 * Failure   INFLATE_BAD and inflate_fault(), a sentence for the client
 * Tests     t/unit/inflate_test.c, t/fuzz/inflate_fuzz.c
 */
#ifndef PGD_WORKER_INFLATE_H
#define PGD_WORKER_INFLATE_H

#include <stdbool.h>
#include <stddef.h>

/* Text up to here needs nobody's leave: most batches. */
#define INFLATE_OWN_BYTES 65536

/* Content codings as RFC 9110 names them. */
enum coding {
	CODING_NONE, /* nothing was said */
	CODING_IDENTITY,
	CODING_GZIP,
	CODING_DEFLATE, /* in zlib's format or, as some clients send it, bare */
	CODING_ZSTD,
	CODING_UNKNOWN,
	CODING_COUNT
};

/* For Accept-Encoding, and for people. */
extern const char coding_names[];

/* Of a header's value; a list of several is unknown, too. */
enum coding coding_find(const char *value, size_t len);
/* By its first two bytes, with which no JSON begins. */
bool coding_is_gzip(const char *body, size_t len);

enum inflate_result {
	INFLATE_MORE, /* the step is over, the body is not */
	INFLATE_DONE,
	INFLATE_BAD,     /* 400: inflate_fault() says why */
	INFLATE_LONG,    /* 413: the text is longer than max */
	INFLATE_NO_ROOM, /* 503: it needs more memory than it may have */
};

struct inflater;

struct inflater *inflater_create(void);
void inflater_destroy(struct inflater *);

/* The next body is of this coding; its text may have max bytes. */
void inflate_begin(struct inflater *, enum coding, size_t max);
/*
 * Goes on with the body, which is given whole each time.  The text's memory may
 * grow to most bytes, at least INFLATE_OWN_BYTES.
 */
enum inflate_result inflate_step(
    struct inflater *, const char *body, size_t len, size_t most);
/* Until inflate_end(). */
const char *inflate_text(const struct inflater *, size_t *len);
const char *inflate_fault(const struct inflater *);
/* The memory of the text beyond INFLATE_OWN_BYTES. */
size_t inflate_charge(const struct inflater *);
/* Done with the body; its memory is given back. */
void inflate_end(struct inflater *);

#endif
