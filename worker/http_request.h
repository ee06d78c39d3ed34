/* SPDX-License-Identifier: MIT */
/*
 * http_request.h - a strict HTTP/1.1 request head and body framing
 *
 * Runs in   worker; pure: bytes in, verdict out, no socket, no clock
 * Owns      nothing; views are offsets into the caller's buffer, which may move
 *           between calls
 * Promises  the same verdict however the bytes were split; what RFC 9112 leaves
 *           ambiguous is refused, so that no proxy before us reads it otherwise
 * Failure   HTTP_BAD with the status of the answer; the connection must close
 * Tests     t/unit/http_request_test.c, t/fuzz/http_fuzz.c
 */
#ifndef PGD_WORKER_HTTP_REQUEST_H
#define PGD_WORKER_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Offset from the request's first byte. */
struct http_view {
	uint32_t at;
	uint32_t len; /* 0 with at 0: absent */
};

enum http_method {
	HTTP_GET,
	HTTP_HEAD,
	HTTP_POST,
	HTTP_OPTIONS,
	HTTP_OTHER, /* a known method that nothing here takes: 405 */
};

/* One list: the headers that mean something to us. */
#define HTTP_HEADERS(X)                                                        \
	X(HOST, "host")                                                        \
	X(CONTENT_LENGTH, "content-length")                                    \
	X(TRANSFER_ENCODING, "transfer-encoding")                              \
	X(CONNECTION, "connection")                                            \
	X(EXPECT, "expect")                                                    \
	X(CONTENT_TYPE, "content-type")                                        \
	X(CONTENT_ENCODING, "content-encoding")                                \
	X(AUTHORIZATION, "authorization")                                      \
	X(API_KEY, "x-pg-api-key")                                             \
	X(ORIGIN, "origin")                                                    \
	X(REQUEST_HEADERS, "access-control-request-headers")                   \
	X(REQUEST_METHOD, "access-control-request-method")

enum http_header {
#define X(id, name) HTTP_##id,
	HTTP_HEADERS(X)
#undef X
	    HTTP_HEADER_COUNT
};

struct http_limits {
	size_t max_headers;	/* bytes of request line and headers: 431 */
	size_t max_header_count;
	size_t max_target;	/* bytes: 414 */
	size_t max_body;	/* bytes, without chunk framing: 413 */
};

/* What is wrong with a request, for the answer's detail. */
struct http_fault {
	int status;
	const char *detail; /* static text */
};

struct http_request {
	enum http_method method;
	struct http_view method_name;
	struct http_view path;	/* without the query; percent-escapes as sent */
	struct http_view query; /* behind the "?" */
	struct http_view headers[HTTP_HEADER_COUNT]; /* values, trimmed */
	bool http_10;
	bool keep_alive;
	bool expect_continue;
	bool chunked;
	bool has_body; /* content-length above 0, or chunked */
	uint64_t content_length;
	size_t head_bytes; /* of the whole head */

	/* private to http_request.c: how far the parser is */
	struct {
		size_t scanned;
		size_t line;
		unsigned count;
		int state;
		uint32_t seen;
	} parse;
};

enum http_result {
	HTTP_MORE, /* needs more bytes */
	HTTP_DONE,
	HTTP_BAD,
};

void http_request_init(struct http_request *);

/*
 * Reads the head from data, which begins at the request's first byte and holds
 * len bytes; called again with the same bytes and more of them.  On HTTP_DONE
 * everything is set and the body begins at data + head_bytes.
 */
enum http_result http_request_parse(struct http_request *, const char *data,
    size_t len, const struct http_limits *, struct http_fault *);

/* Takes chunked framing off, in place. */
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
 */
enum http_result http_chunks_parse(struct http_chunks *, char *data,
    size_t len, uint64_t max_body, size_t *body, size_t *used,
    struct http_fault *);

#endif
