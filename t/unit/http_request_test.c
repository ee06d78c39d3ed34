/* SPDX-License-Identifier: MIT */
/*
 * http_request_test.c - verdicts on heads, each fed whole, byte by byte and in
 * every two-way split
 *
 * Every call gets the bytes in a block of just their size, elsewhere than the
 * call before: a sanitizer sees any look beyond them, and a kept pointer.
 */
#include "worker/http_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define S(literal) literal, sizeof(literal) - 1
#define HOST "Host: a.example\r\n"
#define POST "POST /v1/events HTTP/1.1\r\n" HOST
#define GET "GET / HTTP/1.1\r\n" HOST
#define X16 "xxxxxxxxxxxxxxxx"
#define X64 X16 X16 X16 X16

static const struct http_limits limits = {
    .max_headers = 512,
    .max_header_count = 6,
    .max_target = 64,
    .max_body = 1000,
};

/* status 0: complete, and described so; -1: needs more */
struct request_case {
	const char *bytes;
	size_t len;
	int status;
	const char *want;
};

struct verdict {
	enum http_result result;
	struct http_fault fault;
	struct http_request req;
};

static void
feed(struct verdict *verdict, const char *bytes, size_t len)
{
	char *copy = malloc(len > 0 ? len : 1);

	cr_assert_not_null(copy);
	memcpy(copy, bytes, len);
	verdict->result = http_request_parse(
	    &verdict->req, copy, len, &limits, &verdict->fault);
	free(copy);
}

static struct verdict
judge_from(const char *bytes, size_t len, size_t first, size_t step)
{
	struct verdict verdict;
	size_t n;

	memset(&verdict, 0, sizeof(verdict));
	http_request_init(&verdict.req);
	for (n = first; n < len; n += step) {
		feed(&verdict, bytes, n);
		if (verdict.result != HTTP_MORE)
			return verdict;
	}
	feed(&verdict, bytes, len);
	return verdict;
}

static void
check_same(const struct verdict *a, const struct verdict *b,
    const struct request_case *c, size_t first, size_t step)
{
	/* Padding is the same too: http_request_init() clears it. */
	/* NOLINTNEXTLINE(*memory-comparison,cert-exp42-c,cert-flp37-c) */
	const int req = memcmp(&a->req, &b->req, sizeof(a->req));

	cr_assert(a->result == b->result &&
		a->fault.status == b->fault.status &&
		a->fault.detail == b->fault.detail && req == 0,
	    "%s\nfrom %zu by %zu: %d (%d %s), whole: %d (%d %s)", c->bytes,
	    first, step, b->result, b->fault.status, b->fault.detail, a->result,
	    a->fault.status, a->fault.detail);
}

static struct verdict
judge(const struct request_case *c)
{
	struct verdict whole = judge_from(c->bytes, c->len, c->len, 1);
	struct verdict parts;
	size_t i;

	parts = judge_from(c->bytes, c->len, 0, 1);
	check_same(&whole, &parts, c, 0, 1);
	for (i = 0; i < c->len; i++) {
		parts = judge_from(c->bytes, c->len, i, c->len);
		check_same(&whole, &parts, c, i, c->len);
	}
	return whole;
}

static const char *
describe(const struct http_request *req, const char *bytes)
{
	static const char *const names[] = {
	    "GET", "HEAD", "POST", "OPTIONS", "OTHER"};
	static char text[512];
	int n;

	n = snprintf(text, sizeof(text), "%s %.*s", names[req->method],
	    (int)req->path.len, bytes + req->path.at);
	if (req->query.at != 0)
		n += snprintf(text + n, sizeof(text) - (size_t)n, " ?%.*s",
		    (int)req->query.len, bytes + req->query.at);
	if (req->content_length > 0)
		n += snprintf(text + n, sizeof(text) - (size_t)n,
		    " length=%llu", (unsigned long long)req->content_length);
	(void)snprintf(text + n, sizeof(text) - (size_t)n, "%s%s%s%s",
	    req->chunked ? " chunked" : "", req->http_10 ? " 1.0" : "",
	    req->keep_alive ? "" : " close",
	    req->expect_continue ? " expect" : "");
	return text;
}

static void
check_cases(const struct request_case *cases, size_t count)
{
	const struct request_case *c;
	struct verdict verdict;

	for (c = cases; c < cases + count; c++) {
		verdict = judge(c);
		if (c->status == -1) {
			cr_expect_eq(verdict.result, HTTP_MORE, "%s", c->bytes);
		} else if (c->status > 0) {
			cr_expect(verdict.result == HTTP_BAD &&
				verdict.fault.status == c->status,
			    "%s\nwant %d, have %d (%s)", c->bytes, c->status,
			    verdict.fault.status, verdict.fault.detail);
		} else {
			cr_expect_eq(verdict.result, HTTP_DONE, "%s\n%d %s",
			    c->bytes, verdict.fault.status,
			    verdict.fault.detail);
			cr_expect_str_eq(
			    describe(&verdict.req, c->bytes), c->want);
			cr_expect_eq(verdict.req.has_body,
			    verdict.req.chunked ||
				verdict.req.content_length > 0);
		}
	}
}

#define BAD(status, bytes)                                                     \
	{                                                                      \
		S(bytes), status, NULL                                         \
	}
#define OK(bytes, want)                                                        \
	{                                                                      \
		S(bytes), 0, want                                              \
	}
#define MORE(bytes)                                                            \
	{                                                                      \
		S(bytes), -1, NULL                                             \
	}

/* clang-format off */
static const struct request_case request_lines[] = {
	OK(GET "\r\n", "GET /"),
	OK("\r\n" GET "\r\n", "GET /"),
	OK("HEAD /health HTTP/1.1\r\n" HOST "\r\n", "HEAD /health"),
	OK("OPTIONS /v1/events HTTP/1.1\r\n" HOST "\r\n", "OPTIONS /v1/events"),
	OK("PUT / HTTP/1.1\r\n" HOST "\r\n", "OTHER /"),
	OK("DELETE / HTTP/1.1\r\n" HOST "\r\n", "OTHER /"),
	OK("PATCH / HTTP/1.1\r\n" HOST "\r\n", "OTHER /"),
	OK("TRACE / HTTP/1.1\r\n" HOST "\r\n", "OTHER /"),
	MORE(""), MORE("G"), MORE("\r"), MORE("\r\n"), MORE(GET), MORE(GET "\r"),
	BAD(400, "\r\n\r\n" GET "\r\n"),
	BAD(400, "\n" GET "\r\n"),
	BAD(400, "\r" GET "\r\n"),
	BAD(400, " GET / HTTP/1.1\r\n" HOST "\r\n"),
	/* what cannot begin a method is refused at its first byte */
	BAD(400, "\x16"), BAD(400, "\x16\x03\x01\x02"), BAD(400, "{"),
	BAD(400, "\0"), BAD(400, "\x80"), BAD(400, "\xff\xfe"), BAD(400, "\""),
	BAD(400, "G\x01"), BAD(400, "GET /\0"), BAD(400, "GET /\xc3"),
	BAD(400, "GET\t/ HTTP/1.1\r\n"),
	BAD(400, "G{T / HTTP/1.1\r\n"),
	BAD(400, "GET  / HTTP/1.1\r\n"),
	BAD(400, "GET /  HTTP/1.1\r\n"),
	BAD(400, "GET / HTTP/1.1 \r\n"),
	BAD(400, "GET /a b HTTP/1.1\r\n"),
	BAD(400, "GET / HTTP/1.1\n"),
	BAD(400, "GET / HTTP/1.1\rX"),
	BAD(400, "GET / HTTP/1.1\r\r\n"),
	BAD(400, "GET\r\n"), BAD(400, "GET /\r\n"), BAD(400, "GET \r\n"),
	BAD(400, "GET HTTP/1.1\r\n"),
	BAD(501, "get / HTTP/1.1\r\n"),
	BAD(501, "Get / HTTP/1.1\r\n"),
	BAD(501, "GETS / HTTP/1.1\r\n"),
	BAD(501, "GE / HTTP/1.1\r\n"),
	BAD(501, "PROPFIND / HTTP/1.1\r\n"),
	BAD(501, X64 X64),
	/* versions */
	OK("GET / HTTP/1.0\r\n\r\n", "GET / 1.0 close"),
	BAD(505, "GET / HTTP/2.0\r\n"),
	BAD(505, "GET / HTTP/1.9\r\n"),
	BAD(505, "GET / HTTP/1.2\r\n"),
	BAD(505, "GET / HTTP/0.9\r\n"),
	BAD(505, "GET / HTTP/0.1\r\n"),
	BAD(505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
	BAD(400, "GET / HTTP/2\r\n"),
	BAD(400, "GET / HTTP/1.10\r\n"),
	BAD(400, "GET / HTTP/11.1\r\n"),
	BAD(400, "GET / HTTP/+1.1\r\n"),
	BAD(400, "GET / HTTP/-1.1\r\n"),
	BAD(400, "GET / HTTP/1,1\r\n"),
	BAD(400, "GET / HTTP/1.\r\n"),
	BAD(400, "GET / http/1.1\r\n"),
	BAD(400, "GET / HTTPS/1.1\r\n"),
	BAD(400, "GET / ICE/1.0\r\n"),
};

static const struct request_case targets[] = {
	OK("GET /a?b HTTP/1.1\r\n" HOST "\r\n", "GET /a ?b"),
	OK("GET /? HTTP/1.1\r\n" HOST "\r\n", "GET / ?"),
	OK("GET /a?b?c=/ HTTP/1.1\r\n" HOST "\r\n", "GET /a ?b?c=/"),
	OK("GET //a/%2e%2E/%20 HTTP/1.1\r\n" HOST "\r\n", "GET //a/%2e%2E/%20"),
	OK("GET /%c3%bc|^\"<> HTTP/1.1\r\n" HOST "\r\n", "GET /%c3%bc|^\"<>"),
	BAD(400, "GET /%00 HTTP/1.1\r\n"),
	BAD(400, "GET /%0a HTTP/1.1\r\n"),
	BAD(400, "GET /%1F HTTP/1.1\r\n"),
	BAD(400, "GET /%7f HTTP/1.1\r\n"),
	BAD(400, "GET /?%00 HTTP/1.1\r\n"),
	BAD(400, "GET /% HTTP/1.1\r\n"),
	BAD(400, "GET /%4 HTTP/1.1\r\n"),
	BAD(400, "GET /%4g HTTP/1.1\r\n"),
	BAD(400, "GET /%g4 HTTP/1.1\r\n"),
	BAD(400, "GET /%+4 HTTP/1.1\r\n"),
	BAD(400, "GET /a#b HTTP/1.1\r\n"),
	BAD(400, "GET a HTTP/1.1\r\n"),
	BAD(400, "GET ?a HTTP/1.1\r\n"),
	/* 64 bytes and 65; without an end */
	OK("GET /xxxxxxxxxxxxxxx" X16 X16 X16 " HTTP/1.1\r\n" HOST "\r\n",
	    "GET /xxxxxxxxxxxxxxx" X16 X16 X16),
	BAD(414, "GET /" X64 " HTTP/1.1\r\n" HOST "\r\n"),
	BAD(414, "GET /" X64 X64),
	/* absolute form */
	OK("GET http://a.example/b?c HTTP/1.1\r\n" HOST "\r\n", "GET /b ?c"),
	OK("GET HTTPS://A.Example/b HTTP/1.1\r\n" HOST "\r\n", "GET /b"),
	OK("GET http://a.example HTTP/1.1\r\n" HOST "\r\n", "GET /"),
	OK("GET http://a.example?c HTTP/1.1\r\n" HOST "\r\n", "GET / ?c"),
	OK("GET http://a:8/ HTTP/1.1\r\nHost: a:8\r\n\r\n", "GET /"),
	BAD(421, "GET http://b.example/ HTTP/1.1\r\n" HOST "\r\n"),
	BAD(421, "GET http://a.example:80/ HTTP/1.1\r\n" HOST "\r\n"),
	BAD(421, "GET http://a.exampl/ HTTP/1.1\r\n" HOST "\r\n"),
	BAD(421, "GET http://a.example/ HTTP/1.0\r\n\r\n"),
	BAD(400, "GET http://u@a.example/ HTTP/1.1\r\n" HOST "\r\n"),
	BAD(400, "GET http:///b HTTP/1.0\r\n\r\n"),
	BAD(400, "GET http:/a.example/ HTTP/1.1\r\n" HOST "\r\n"),
	BAD(400, "GET ftp://a.example/ HTTP/1.1\r\n" HOST "\r\n"),
	/* asterisk and authority form */
	OK("OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "OPTIONS *"),
	BAD(400, "GET * HTTP/1.1\r\n" HOST "\r\n"),
	BAD(400, "OPTIONS ** HTTP/1.1\r\n" HOST "\r\n"),
	OK("CONNECT b:443 HTTP/1.1\r\n" HOST "\r\n", "OTHER b:443"),
	BAD(400, "CONNECT / HTTP/1.1\r\n" HOST "\r\n"),
};

static const struct request_case header_lines[] = {
	OK(GET "A:\r\n\r\n", "GET /"),
	OK(GET "A: \t \r\n\r\n", "GET /"),
	OK(GET "A:b\tc d\xc3\xbc\r\n\r\n", "GET /"),
	OK(GET "!#$%&'*+-.^_`|~09azAZ: b\r\n\r\n", "GET /"),
	OK("GET / HTTP/1.1\r\nhOST:\t a.example \t\r\n\r\n", "GET /"),
	BAD(400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
	BAD(400, GET "A : b\r\n\r\n"),
	BAD(400, GET "Content-Length : 36\r\n\r\n"),
	BAD(400, GET "Content-Length\t: 36\r\n\r\n"),
	BAD(400, GET "Transfer-Encoding : chunked\r\n\r\n"),
	BAD(400, GET "\0Content-Length: 36\r\n\r\n"),
	BAD(400, GET "A B: c\r\n\r\n"),
	BAD(400, GET "A\x01: c\r\n\r\n"),
	BAD(400, GET "A\xc3: c\r\n\r\n"),
	BAD(400, GET "A(: c\r\n\r\n"),
	BAD(400, GET ": c\r\n\r\n"),
	BAD(400, GET ":\r\n\r\n"),
	BAD(400, GET "no colon\r\n\r\n"),
	BAD(400, GET "A\r\n\r\n"),
	BAD(400, GET "A: b\r\n c\r\n\r\n"),
	BAD(400, GET "A: b\r\n\tc\r\n\r\n"),
	BAD(400, GET "A: b\r\n \r\n\r\n"),
	BAD(400, GET "A: b\n\r\n"),
	BAD(400, GET "A: b\rC: d\r\n\r\n"),
	BAD(400, GET "A: b\r\r\n\r\n"),
	BAD(400, GET "\r\r\n"),
	BAD(400, GET "\n"),
	BAD(400, GET "A: b\0c"),
	BAD(400, GET "A: \x0b"),
	BAD(400, GET "A: \x7f"),
	BAD(400, GET "A: \x1b[0m"),
	/* once each */
	BAD(400, GET HOST "\r\n"),
	BAD(400, "GET / HTTP/1.0\r\n" HOST HOST "\r\n"),
	BAD(400, GET "Authorization: a\r\nAuthorization: a\r\n\r\n"),
	BAD(400, GET "X-PG-API-Key: a\r\nx-pg-api-key:\r\n\r\n"),
	BAD(400, GET "Content-Type:\r\nContent-Type: a\r\n\r\n"),
	BAD(400, GET "Content-Encoding: a\r\nContent-Encoding: a\r\n\r\n"),
	BAD(400, GET "Origin: a\r\nOrigin: a\r\n\r\n"),
	BAD(400, GET "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n"),
	/* six and seven; the limit comes before what the line says */
	OK(GET "A:\r\nA:\r\nA:\r\nA:\r\nA:\r\n\r\n", "GET /"),
	BAD(431, GET "A:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\n"),
	BAD(431, GET "A: " X64 X64 X64 X64 X64 X64 X64 X64),
};

static const struct request_case hosts[] = {
	OK("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /"),
	OK("GET / HTTP/1.1\r\nHost: a-b_c~.example.:8443\r\n\r\n", "GET /"),
	OK("GET / HTTP/1.1\r\nHost: a:\r\n\r\n", "GET /"),
	OK("GET / HTTP/1.1\r\nHost: 127.0.0.1:65535\r\n\r\n", "GET /"),
	OK("GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n", "GET /"),
	OK("GET / HTTP/1.1\r\nHost: [2001:db8::7.8.9.0]:80\r\n\r\n", "GET /"),
	OK("GET / HTTP/1.0\r\nHost: a\r\n\r\n", "GET / 1.0 close"),
	BAD(400, "GET / HTTP/1.1\r\n\r\n"),
	BAD(400, "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
	BAD(400, "GET / HTTP/1.0\r\nHost:\r\n\r\n"),
	BAD(400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
	BAD(400, "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"),
	BAD(400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
	BAD(400, "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"),
	BAD(400, "GET / HTTP/1.1\r\nHost: a?b\r\n\r\n"),
	BAD(400, "GET / HTTP/1.1\r\nHost: http://a\r\n\r\n"),
	BAD(400, "GET / HTTP/1.1\r\nHost: :80\r\n\r\n"),
	BAD(400, "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n"),
	BAD(400, "GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n"),
	BAD(400, "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n"),
	BAD(400, "GET / HTTP/1.1\r\nHost: a:000080\r\n\r\n"),
	BAD(400, "GET / HTTP/1.1\r\nHost: ::1\r\n\r\n"),
	BAD(400, "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"),
	BAD(400, "GET / HTTP/1.1\r\nHost: []\r\n\r\n"),
	BAD(400, "GET / HTTP/1.1\r\nHost: [::g]\r\n\r\n"),
	BAD(400, "GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n"),
	OK("GET / HTTP/1.1\r\nHost: " X64 X64 X64 X16 ":80\r\n\r\n", "GET /"),
	BAD(400, "GET / HTTP/1.1\r\nHost: " X64 X64 X64 X64 X16 "\r\n\r\n"),
	BAD(400, "GET / HTTP/1.1\r\nHost: a\xc3\xbc\r\n\r\n"),
};

static const struct request_case framing[] = {
	OK(POST "Content-Length: 5\r\n\r\nhello", "POST /v1/events length=5"),
	OK(POST "Content-Length: 0\r\n\r\n", "POST /v1/events"),
	OK(POST "Content-Length: 0005\r\n\r\n", "POST /v1/events length=5"),
	OK(POST "Content-Length: 5 \t\r\n\r\n", "POST /v1/events length=5"),
	OK(GET "Content-Length: 5\r\n\r\n", "GET / length=5"),
	OK(POST "\r\n", "POST /v1/events"),
	/* over max_body is the caller's to judge */
	OK(POST "Content-Length: 9999999999999999999\r\n\r\n",
	    "POST /v1/events length=9999999999999999999"),
	BAD(400, POST "Content-Length: 99999999999999999999\r\n\r\n"),
	BAD(400, POST "Content-Length: 00000000000000000005\r\n\r\n"),
	BAD(400, POST "Content-Length:\r\n\r\n"),
	BAD(400, POST "Content-Length: +5\r\n\r\n"),
	BAD(400, POST "Content-Length: -5\r\n\r\n"),
	BAD(400, POST "Content-Length: 0x5\r\n\r\n"),
	BAD(400, POST "Content-Length: 5,5\r\n\r\n"),
	BAD(400, POST "Content-Length: 5, 5\r\n\r\n"),
	BAD(400, POST "Content-Length: 5 5\r\n\r\n"),
	BAD(400, POST "Content-Length: 5.0\r\n\r\n"),
	BAD(400, POST "Content-Length: \x0b" "5\r\n\r\n"),
	BAD(400, POST "Content-Length: 5\0 6\r\n\r\n"),
	BAD(400, POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"),
	BAD(400, POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n"),
	BAD(400, POST "Content-Length:\r\nContent-Length: 6\r\n\r\n"),

	OK(POST "Transfer-Encoding: chunked\r\n\r\n", "POST /v1/events chunked"),
	OK(POST "transfer-encoding:  CHUNKED \r\n\r\n", "POST /v1/events chunked"),
	BAD(501, POST "Transfer-Encoding: gzip\r\n\r\n"),
	BAD(501, POST "Transfer-Encoding: identity\r\n\r\n"),
	BAD(501, POST "Transfer-Encoding: xchunked\r\n\r\n"),
	BAD(501, POST "Transfer-Encoding: gzip, chunked\r\n\r\n"),
	BAD(501, POST "Transfer-Encoding: chunked, identity\r\n\r\n"),
	BAD(501, POST "Transfer-Encoding: chunked, chunked\r\n\r\n"),
	BAD(501, POST "Transfer-Encoding: chunked,\r\n\r\n"),
	BAD(400, POST "Transfer-Encoding: \"chunked\"\r\n\r\n"),
	BAD(400, POST "Transfer-Encoding: chunked;a=b\r\n\r\n"),
	BAD(400, POST "Transfer-Encoding: \x0b" "chunked\r\n\r\n"),
	BAD(400, POST "Transfer-Encoding: chunked\0\r\n\r\n"),
	BAD(400, POST "Transfer-Encoding:\r\n\r\n"),
	BAD(400, POST "Transfer-Encoding:\r\n chunked\r\n\r\n"),
	BAD(400, POST "Transfer-Encoding: chunked\r\n"
	    "Transfer-Encoding: chunked\r\n\r\n"),
	BAD(400, POST "Transfer-Encoding: chunked\r\n"
	    "Transfer-Encoding: identity\r\n\r\n"),
	BAD(400, POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
	BAD(400, POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"),
	BAD(400, POST "Transfer-Encoding: gzip\r\nContent-Length: 0\r\n\r\n"),
	BAD(400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
	BAD(400, "POST / HTTP/1.0\r\nTransfer-Encoding: gzip\r\n\r\n"),
};

static const struct request_case connections[] = {
	OK(GET "Connection: close\r\n\r\n", "GET / close"),
	OK(GET "Connection: CLOSE, te\r\n\r\n", "GET / close"),
	OK(GET "Connection: te ,\tclose\r\n\r\n", "GET / close"),
	OK(GET "Connection: closed\r\n\r\n", "GET /"),
	OK(GET "Connection: te\r\nConnection: close\r\n\r\n", "GET / close"),
	OK(GET "Connection: close\r\nConnection: te\r\n\r\n", "GET / close"),
	OK(GET "Connection: keep-alive, close\r\n\r\n", "GET / close"),
	OK(GET "Connection:\r\n\r\n", "GET /"),
	OK("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET / 1.0"),
	OK("GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n"
	    "\r\n", "GET / 1.0 close"),

	OK(POST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\n",
	    "POST /v1/events length=1 expect"),
	OK(POST "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n",
	    "POST /v1/events chunked expect"),
	OK(POST "Expect: 100-continue\r\n\r\n", "POST /v1/events"),
	OK("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n"
	    "\r\n", "POST / length=1 1.0 close"),
	BAD(417, POST "Expect: 200-ok\r\n\r\n"),
	BAD(417, POST "Expect: 100-continue, x\r\n\r\n"),
	BAD(417, POST "Expect:\r\n\r\n"),
};
/* clang-format on */

Test(http_request, request_lines)
{
	check_cases(request_lines, COUNT(request_lines));
}

Test(http_request, targets)
{
	check_cases(targets, COUNT(targets));
}

Test(http_request, header_lines)
{
	check_cases(header_lines, COUNT(header_lines));
}

Test(http_request, hosts)
{
	check_cases(hosts, COUNT(hosts));
}

Test(http_request, framing)
{
	check_cases(framing, COUNT(framing));
}

Test(http_request, connections)
{
	check_cases(connections, COUNT(connections));
}

/* Every byte, in every place where one may stand. */
Test(http_request, every_byte)
{
	static const struct {
		const char *before;
		const char *after;
		const char *allowed; /* besides letters, digits and "-._~" */
		bool high;           /* and 0x80 and more */
	} places[] = {
	    {"GET /", " HTTP/1.1\r\n" HOST "\r\n",
		"!\"$&'()*+,/:;<=>?@[\\]^`{|}", false},
	    {GET "A", ": b\r\n\r\n", "!#$%&'*+^`|:", false},
	    {GET "A: b", "c\r\n\r\n", "!\"#$%&'()*+,/:;<=>?@[\\]^`{|} \t",
		true},
	    {"GET / HTTP/1.1\r\nHost: a", "1\r\n\r\n", ":", false},
	};
	char bytes[128];
	struct request_case c = {bytes, 0, 0, NULL};
	size_t i, before, after;
	bool allowed;
	int byte;

	for (i = 0; i < COUNT(places); i++) {
		before = strlen(places[i].before);
		after = strlen(places[i].after);
		c.len = before + 1 + after;
		memcpy(bytes, places[i].before, before);
		memcpy(bytes + before + 1, places[i].after, after + 1);
		for (byte = 0; byte < 256; byte++) {
			bytes[before] = (char)byte;
			allowed = byte >= 0x80
			    ? places[i].high
			    : (byte != 0 &&
				  (strchr(places[i].allowed, byte) != NULL ||
				      strchr("-._~", byte) != NULL ||
				      (byte >= '0' && byte <= '9') ||
				      (byte >= 'A' && byte <= 'Z') ||
				      (byte >= 'a' && byte <= 'z')));
			cr_expect_eq(judge(&c).result,
			    allowed ? HTTP_DONE : HTTP_BAD, "place %zu, 0x%02x",
			    i, (unsigned)byte);
		}
	}
}

/* A head of just max_headers is taken, one byte more is not. */
Test(http_request, head_limit_is_exact)
{
	char bytes[600];
	struct request_case c = {bytes, 0, 0, NULL};
	size_t over, fill;

	for (over = 0; over < 2; over++) {
		c.len = (size_t)snprintf(bytes, sizeof(bytes), GET "A: ");
		fill = limits.max_headers + over - c.len - 4;
		memset(bytes + c.len, 'x', fill);
		memcpy(bytes + c.len + fill, "\r\n\r\nnext", 9);
		c.len += fill + 8;
		if (over == 0) {
			cr_assert_eq(judge(&c).result, HTTP_DONE);
			cr_assert_eq(
			    judge(&c).req.head_bytes, limits.max_headers);
		} else {
			cr_assert_eq(judge(&c).result, HTTP_BAD);
			cr_assert_eq(judge(&c).fault.status, 431);
		}
	}
}

/* The values are where the views say, and a pair is read one by one. */
Test(http_request, views_and_pipelining)
{
	static const char bytes[] =
	    "\r\nPOST /v1/events?api_key=k HTTP/1.1\r\nX-Other: 1\r\n" HOST
	    "x-pg-api-key: \t secret \r\nOrigin:\r\n\r\n" GET "\r\n";
	struct request_case c = {S(bytes), 0, NULL};
	struct verdict first = judge(&c);
	struct http_view key = first.req.headers[HTTP_API_KEY];
	size_t head = first.req.head_bytes;

	cr_assert_eq(first.result, HTTP_DONE);
	cr_assert_eq(key.len, 6);
	cr_assert_eq(memcmp(bytes + key.at, "secret", 6), 0);
	cr_assert_eq(memcmp(bytes + first.req.method_name.at, "POST", 4), 0);
	/* empty is not absent */
	cr_assert_neq(first.req.headers[HTTP_ORIGIN].at, 0);
	cr_assert_eq(first.req.headers[HTTP_ORIGIN].len, 0);
	cr_assert_eq(first.req.headers[HTTP_EXPECT].at, 0);

	c.bytes += head;
	c.len -= head;
	cr_assert_eq(judge(&c).result, HTTP_DONE);
	cr_assert_eq(judge(&c).req.method, HTTP_GET);
	cr_assert_eq(judge(&c).req.head_bytes, c.len);
}

/* It decides nothing, so a second one is no fault. */
Test(http_request, first_user_agent_counts)
{
	static const char bytes[] =
	    GET "User-Agent: first\r\nuser-agent: 2\r\n\r\n";
	struct request_case c = {S(bytes), 0, NULL};
	struct verdict verdict = judge(&c);
	struct http_view agent = verdict.req.headers[HTTP_USER_AGENT];

	cr_assert_eq(verdict.result, HTTP_DONE);
	cr_assert_eq(agent.len, 5);
	cr_assert_eq(memcmp(bytes + agent.at, "first", 5), 0);
}

/* What stood before the fault is there for the answer. */
Test(http_request, origin_survives_a_fault)
{
	static const char bytes[] =
	    "POST / HTTP/1.1\r\nOrigin: https://a\r\nContent-Length: x\r\n\r\n";
	struct request_case c = {S(bytes), 0, NULL};
	struct verdict verdict = judge(&c);

	cr_assert_eq(verdict.result, HTTP_BAD);
	cr_assert_eq(verdict.req.headers[HTTP_ORIGIN].len, 9);
	cr_assert_eq(verdict.req.method, HTTP_POST);
}

Test(http_request, lists)
{
	static const struct {
		const char *list;
		const char *token;
		bool has;
	} cases[] = {
	    {"close", "close", true},
	    {"Close", "close", true},
	    {"a, close", "close", true},
	    {"close ,a", "close", true},
	    {",,close,,", "close", true},
	    {"\tclose\t", "close", true},
	    {"", "close", false},
	    {",", "close", false},
	    {"clos", "close", false},
	    {"closed", "close", false},
	    {"a close", "close", false},
	    {"close;q=1", "close", false},
	};
	size_t i;

	for (i = 0; i < COUNT(cases); i++)
		cr_expect_eq(http_list_has(cases[i].list, strlen(cases[i].list),
				 cases[i].token),
		    cases[i].has, "%s", cases[i].list);
}

Test(http_request, query_parameters)
{
	static const struct {
		const char *query;
		const char *value; /* NULL: not found, or refused */
		enum http_result result;
	} cases[] = {
	    {"key=abc", "abc", HTTP_DONE},
	    {"a=b&key=abc", "abc", HTTP_DONE},
	    {"key=abc&a=b", "abc", HTTP_DONE},
	    {"key=a&key=b", "a", HTTP_DONE},
	    {"key=", "", HTTP_DONE},
	    {"key=a=b", "a=b", HTTP_DONE},
	    {"key=%41+%2b%2B", "A ++", HTTP_DONE},
	    {"&&key=a", "a", HTTP_DONE},
	    {"key=1234567", "1234567", HTTP_DONE},
	    {"key=%31234567", "1234567", HTTP_DONE},
	    {"key=12345678", NULL, HTTP_BAD},
	    {"key=%00", NULL, HTTP_BAD},
	    {"key=a%00", NULL, HTTP_BAD},
	    {"key=%", NULL, HTTP_BAD},
	    {"key=%4", NULL, HTTP_BAD},
	    {"key=%4&a", NULL, HTTP_BAD},
	    {"key=%zz", NULL, HTTP_BAD},
	    {"", NULL, HTTP_MORE},
	    {"key", NULL, HTTP_MORE},
	    {"key&a=b", NULL, HTTP_MORE},
	    {"akey=b", NULL, HTTP_MORE},
	    {"keya=b", NULL, HTTP_MORE},
	    {"Key=b", NULL, HTTP_MORE},
	};
	char out[8], *query;
	size_t i, len;
	enum http_result result;

	for (i = 0; i < COUNT(cases); i++) {
		len = strlen(cases[i].query);
		query = malloc(len + (len == 0));
		cr_assert_not_null(query);
		memcpy(query, cases[i].query, len);
		result =
		    http_query_param(query, len, "key", out, sizeof(out), &len);
		free(query);
		cr_expect_eq(result, cases[i].result, "%s", cases[i].query);
		if (result == HTTP_DONE && cases[i].value != NULL) {
			cr_expect_str_eq(out, cases[i].value);
			cr_expect_eq(len, strlen(cases[i].value));
		}
	}
}
