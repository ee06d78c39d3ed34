/* SPDX-License-Identifier: MIT */
/*
 * http_chunks.h - takes the framing off a chunked body, in place
 *
 * Runs in   worker; pure
 * Owns      nothing
 * Promises  the same body and verdict however the bytes were split; size lines
 *           of at most 1 KB, trailers of at most 8 KB; extensions and trailers
 *           are checked and dropped
 * Failure   HTTP_BAD with the status of the answer; the connection must close
 * Tests     t/unit/http_chunks_test.c, t/fuzz/http_fuzz.c
 */
#ifndef PGD_WORKER_HTTP_CHUNKS_H
#define PGD_WORKER_HTTP_CHUNKS_H

#include <stddef.h>
#include <stdint.h>

#include "worker/http_request.h"

struct http_chunks {
	uint64_t body; /* bytes of body found so far */
	/* private */
	uint64_t left;
	uint32_t line_bytes;
	uint32_t trailer_bytes;
	int state;
};

void http_chunks_init(struct http_chunks *);

/*
 * data holds len new bytes of the framed body.  Moves the body bytes among them
 * to the front: *body of them; *used says how many of len were consumed, which
 * is less than len only on HTTP_DONE: what follows is the next request.
 * A chunk that would make the body longer than max_body is a 413, before any
 * of it is taken.
 */
enum http_result http_chunks_parse(struct http_chunks *, char *data, size_t len,
    uint64_t max_body, size_t *body, size_t *used,
    struct http_fault *) MUST_CHECK;

#endif
