/* SPDX-License-Identifier: MIT */
/*
 * answer.h - the bytes of an answer
 *
 * Runs in   worker; pure, but for the clock behind the Date header
 * Owns      nothing; the caller's buf holds the bytes
 * Failure   -1: out of memory; the caller closes
 */
#ifndef PGD_WORKER_ANSWER_H
#define PGD_WORKER_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"

/* What of the request shapes every answer to it. */
struct answer_context {
	const char *origin; /* NULL when none was sent */
	size_t origin_len;
	bool http_10;
	bool head; /* HEAD: headers alone */
	bool keep_alive;
	unsigned retry_after_s; /* for the statuses that carry Retry-After */
};

int answer_json(struct buf *, const struct answer_context *, int status,
    const char *json, size_t len) MUST_CHECK;

/* application/problem+json; detail is a sentence of ours. */
int answer_problem(struct buf *, const struct answer_context *, int status,
    const char *detail) MUST_CHECK;

/* 405, naming the methods that are taken. */
int answer_method(
    struct buf *, const struct answer_context *, const char *allow) MUST_CHECK;

/* 415, naming the content codings that are taken. */
int answer_coding(struct buf *, const struct answer_context *,
    const char *accept, const char *detail) MUST_CHECK;

/* 204 to OPTIONS; headers is what the client asked to send, or NULL. */
int answer_preflight(struct buf *, const struct answer_context *,
    const char *headers, size_t headers_len) MUST_CHECK;

int answer_continue(struct buf *) MUST_CHECK;

/* Adds "Connection: close" to an answer of which nothing was sent. */
int answer_add_close(struct buf *) MUST_CHECK;

#endif
