/* SPDX-License-Identifier: MIT */
/*
 * decode.h - a body of events to a ring record, in one strict pass
 *
 * Runs in   worker; pure: bytes in, rows and verdict out
 * Owns      scratch memory that is kept between batches, until
 *           decoder_destroy()
 * Promises  no allocation per event; what is not RFC 8259 is refused whole;
 *           what leaves the structure readable costs only the event it is in
 * Tests     t/unit/decode_test.c, t/fuzz/decode_fuzz.c
 */
#ifndef PGD_WORKER_DECODE_H
#define PGD_WORKER_DECODE_H

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/cfg.h"
#include "common/keytable.h"

enum decode_result {
	DECODE_OK,
	DECODE_BAD,          /* 400: fault says why and where */
	DECODE_UNAUTHORIZED, /* 401: no key, and no project that needs none */
	DECODE_FORBIDDEN,    /* 403: that project does not allow the origin */
	DECODE_FULL,         /* 503: the rows do not fit */
};

struct decode_request {
	const char *body;
	size_t len;
	const struct project *project; /* the key's, or NULL without a key */
	const struct keytable *keys;   /* for the project of a keyless batch */
	const char *origin;            /* NULL when none was sent */
	size_t origin_len;
	const char *agent; /* User-Agent */
	size_t agent_len;  /* 0 when none was sent */
	int64_t received_at_us;
	uint8_t *rows; /* where the ring record goes: 8-byte aligned */
	size_t rows_size;
};

struct decode_reply {
	size_t rows_bytes; /* of the ring record; 0 when it has no row */
	uint32_t accepted;
	uint32_t rejected;
	struct buf errors; /* elements of "errors", with commas between */
	char fault[160];   /* for DECODE_BAD: a sentence */
	/*
	 * Set on every result but DECODE_BAD without a project: the project
	 * that the batch turned out to be for, keyless or not.
	 */
	struct project project;
};

struct decoder;

struct decoder *decoder_create(const struct cfg *);
void decoder_destroy(struct decoder *);

/*
 * reply->errors is cleared and filled; its memory is reused.  On any result but
 * DECODE_OK nothing written to rows counts.
 */
enum decode_result decode_batch(
    struct decoder *, const struct decode_request *, struct decode_reply *);

#endif
