/* SPDX-License-Identifier: MIT */
/*
 * request.h - what a request is answered
 *
 * Runs in   worker
 * Requires  a head that http_request_parse() called done
 * Promises  what can be refused is refused before the body is read
 */
#ifndef PGD_WORKER_REQUEST_H
#define PGD_WORKER_REQUEST_H

#include "worker/conn.h"

enum request_next {
	REQUEST_BODY,    /* go on reading */
	REQUEST_INFLATE, /* the body, which is of conn->coding */
	REQUEST_ANSWER,  /* conn->out holds the answer */
	REQUEST_WAIT,    /* so it does, for when conn->position is safe */
	REQUEST_FAILED,  /* out of memory: close */
};

/* The head is there. */
enum request_next request_head(struct conn *);
/* The whole body is there, conn->body_bytes behind the head. */
enum request_next request_body(struct conn *);
const char *request_body_data(const struct conn *);
/* It is inflated, or cannot be: not INFLATE_MORE. */
enum request_next request_inflated(struct conn *, enum inflate_result);
/* The request cannot be served: answers status and closes. */
enum request_next request_refuse(struct conn *, int status, const char *detail);
/* Replaces the answer prepared for a request in WAIT. */
enum request_next request_not_safe(struct conn *);

#endif
