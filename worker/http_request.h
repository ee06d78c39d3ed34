/* SPDX-License-Identifier: MIT */
/*
 * http_request.h - a strict HTTP/1.1 request head
 *
 * Runs in   worker; pure: bytes in, verdict out, no socket, no clock
 * Owns      nothing; views are offsets into the caller's buffer, which may move
 *           between calls
 * Promises  the same verdict however the bytes were split; what RFC 9112 leaves
 *           ambiguous is refused, so that no proxy before us reads it otherwise
 * Leaves    content_length against the body limit (413) to the caller, who
 *           looks at the key first; 404, 405 and 415 too
 * Failure   HTTP_BAD with the status of the answer; the connection must close
 * Tests     t/unit/http_request_test.c, t/fuzz/http_fuzz.c
 */
#ifndef PGD_WORKER_HTTP_REQUEST_H
#define PGD_WORKER_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

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

/*
 * One list: the headers that mean something to us.  Each may come once, except
 * Connection, whose lines add up, and User-Agent, which decides nothing: its
 * first counts.
 */
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
	X(USER_AGENT, "user-agent")                                            \
	X(REQUEST_HEADERS, "access-control-request-headers")                   \
	X(REQUEST_METHOD, "access-control-request-method")

enum http_header {
#define X(id, name) HTTP_##id,
	HTTP_HEADERS(X)
#undef X
	HTTP_HEADER_COUNT
};

struct http_limits {
	size_t max_headers;      /* bytes of request line and headers: 431 */
	size_t max_header_count; /* 431 */
	size_t max_target;       /* bytes: 414 */
	size_t max_body;         /* bytes, without chunk framing: 413 */
};

/* What is wrong with a request, for the answer's detail. */
struct http_fault {
	int status;
	const char *detail; /* static text */
};

struct http_request {
	enum http_method method;
	struct http_view method_name;
	struct http_view path;  /* without the query; percent-escapes as sent */
	struct http_view query; /* behind the "?" */
	struct http_view headers[HTTP_HEADER_COUNT]; /* values, trimmed */
	bool http_10;
	bool keep_alive;
	bool expect_continue; /* and there is a body to wait for */
	bool chunked;
	bool has_body; /* content-length above 0, or chunked */
	uint64_t content_length;
	size_t head_bytes; /* of the whole head */

	/* private to http_request.c: how far the parser is */
	struct {
		size_t scanned;
		size_t line;
		size_t count;
		int state;
		bool close;
		bool keep_alive;
		struct http_view authority; /* of a target in absolute form */
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
 * everything is set and the body begins at data + head_bytes.  On HTTP_BAD the
 * method and the headers read before the fault are set: an answer that echoes
 * Origin may use them.
 */
enum http_result http_request_parse(struct http_request *, const char *data,
    size_t len, const struct http_limits *, struct http_fault *) MUST_CHECK;

/* Has the comma-separated list that token in it?  In any case of letters. */
bool http_list_has(const char *list, size_t len, const char *token);

/*
 * Finds a parameter of a query, and copies its decoded value and a terminator
 * to out.  HTTP_DONE: found.  HTTP_MORE: absent.  HTTP_BAD: it is malformed,
 * holds a NUL or does not fit.
 */
enum http_result http_query_param(const char *query, size_t len,
    const char *name, char *out, size_t size, size_t *out_len) MUST_CHECK;

#endif
