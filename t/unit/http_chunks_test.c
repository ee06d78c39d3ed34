/* SPDX-License-Identifier: MIT */
/*
 * http_chunks_test.c - chunked bodies, each fed whole, byte by byte and in
 * every two-way split
 */
#include "worker/http_chunks.h"

#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define S(literal) literal, sizeof(literal) - 1
#define MAX_BODY 20

/* status 0: complete, with that body and that much left; -1: needs more */
struct chunk_case {
	const char *bytes;
	size_t len;
	int status;
	const char *body;
	size_t rest;
};

struct verdict {
	enum http_result result;
	struct http_fault fault;
	char body[MAX_BODY];
	size_t len;
	size_t used;
};

static void
feed(struct verdict *verdict, struct http_chunks *chunks, const char *bytes,
    size_t len)
{
	char *copy = malloc(len > 0 ? len : 1);
	size_t body, used;

	cr_assert_not_null(copy);
	memcpy(copy, bytes, len);
	verdict->result = http_chunks_parse(
	    chunks, copy, len, MAX_BODY, &body, &used, &verdict->fault);
	cr_assert_leq(body, used);
	cr_assert_leq(used, len);
	cr_assert(verdict->result != HTTP_MORE || used == len);
	cr_assert_leq(verdict->len + body, MAX_BODY);
	memcpy(verdict->body + verdict->len, copy, body);
	verdict->len += body;
	verdict->used += used;
	cr_assert_eq(chunks->body, verdict->len);
	free(copy);
}

static struct verdict
judge_from(const struct chunk_case *c, size_t first, size_t step)
{
	struct http_chunks chunks;
	struct verdict verdict;
	size_t at = 0, to;

	memset(&verdict, 0, sizeof(verdict));
	http_chunks_init(&chunks);
	for (to = first; to < c->len; to += step) {
		feed(&verdict, &chunks, c->bytes + at, to - at);
		if (verdict.result != HTTP_MORE)
			return verdict;
		at = to;
	}
	feed(&verdict, &chunks, c->bytes + at, c->len - at);
	return verdict;
}

static void
check_same(const struct verdict *a, const struct verdict *b,
    const struct chunk_case *c, size_t first)
{
	cr_assert(a->result == b->result &&
		a->fault.status == b->fault.status &&
		a->fault.detail == b->fault.detail && a->len == b->len &&
		a->used == b->used && memcmp(a->body, b->body, a->len) == 0,
	    "%s\nsplit at %zu: %d (%d), whole: %d (%d)", c->bytes, first,
	    b->result, b->fault.status, a->result, a->fault.status);
}

static struct verdict
judge(const struct chunk_case *c)
{
	struct verdict whole = judge_from(c, c->len, 1);
	struct verdict parts = judge_from(c, 0, 1);
	size_t i;

	check_same(&whole, &parts, c, 0);
	for (i = 0; i < c->len; i++) {
		parts = judge_from(c, i, c->len);
		check_same(&whole, &parts, c, i);
	}
	return whole;
}

static void
check_cases(const struct chunk_case *cases, size_t count)
{
	const struct chunk_case *c;
	struct verdict verdict;

	for (c = cases; c < cases + count; c++) {
		verdict = judge(c);
		if (c->status > 0) {
			cr_expect(verdict.result == HTTP_BAD &&
				verdict.fault.status == c->status,
			    "%s\nwant %d, have %d (%s)", c->bytes, c->status,
			    verdict.fault.status, verdict.fault.detail);
			continue;
		}
		cr_expect_eq(verdict.result,
		    c->status == -1 ? HTTP_MORE : HTTP_DONE, "%s\n%d %s",
		    c->bytes, verdict.fault.status, verdict.fault.detail);
		cr_expect_eq(verdict.len, strlen(c->body), "%s", c->bytes);
		cr_expect_eq(memcmp(verdict.body, c->body, verdict.len), 0);
		cr_expect_eq(c->len - verdict.used, c->rest, "%s", c->bytes);
	}
}

#define BAD(status, bytes)                                                     \
	{                                                                      \
		S(bytes), status, NULL, 0                                      \
	}
#define OK(bytes, body, rest)                                                  \
	{                                                                      \
		S(bytes rest), 0, body, sizeof(rest) - 1                       \
	}
#define MORE(bytes, body)                                                      \
	{                                                                      \
		S(bytes), -1, body, 0                                          \
	}

/* clang-format off */
static const struct chunk_case good[] = {
	OK("0\r\n\r\n", "", ""),
	OK("0\r\n\r\n", "", "GET / HTTP/1.1\r\n"),
	OK("0\r\n\r\n", "", "\r\n"),
	OK("5\r\nhello\r\n0\r\n\r\n", "hello", ""),
	OK("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world", "x"),
	OK("1\r\n\r\r\n1\r\n\n\r\n0\r\n\r\n", "\r\n", ""),
	OK("5\r\n0\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n", ""),
	OK("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n",
	    "01234567890123456789", ""),
	OK("0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n", "hello", ""),
	OK("5;a=b\r\nhello\r\n0;c\r\n\r\n", "hello", ""),
	OK("5; a=\"b c\"\t\r\nhello\r\n0\r\n\r\n", "hello", ""),
	OK("5;\r\nhello\r\n0\r\n\r\n", "hello", ""),
	/* trailers are dropped */
	OK("0\r\nA: b\r\n\r\n", "", "x"),
	OK("1\r\na\r\n0\r\nContent-Length: 5\r\nB:\r\nc:\t\xc3\xbc\r\n\r\n",
	    "a", ""),
	MORE("", ""), MORE("5", ""), MORE("5\r", ""), MORE("5\r\nhel", "hel"),
	MORE("5\r\nhello\r\n", "hello"), MORE("5\r\nhello\r\n0\r\n", "hello"),
	MORE("0\r\nA", ""), MORE("0\r\nA: b\r\n", ""), MORE("0\r\n\r", ""),
};

static const struct chunk_case bad[] = {
	/* sizes */
	BAD(400, "\r\n"), BAD(400, "x"), BAD(400, ";"), BAD(400, "\0"),
	BAD(400, "0x5\r\n"), BAD(400, "+5\r\n"), BAD(400, "-0\r\n"),
	BAD(400, " 5\r\n"), BAD(400, "5 \r\n"), BAD(400, "5 x\r\n"),
	BAD(400, "5 ;a\r\n"), BAD(400, "\t5\r\n"), BAD(400, "5_0\r\n"),
	BAD(400, "5\0zz\r\n"), BAD(400, "g\r\n"), BAD(400, "5h\r\n"),
	BAD(400, "00000000000000005\r\n"),
	BAD(400, "fffffffffffffffff\r\n"),
	BAD(413, "ffffffffffffffff\r\n"),
	/* line ends */
	BAD(400, "5\n"), BAD(400, "5\rh"), BAD(400, "5\r\r"), BAD(400, "5;a\n"),
	BAD(400, "5;a\rb"),
	BAD(400, "5\r\nhello0\r\n"), BAD(400, "5\r\nhello\n0"),
	BAD(400, "5\r\nhello\r0"), BAD(400, "5\r\nhello!\r\n"),
	BAD(400, "5\r\nhello\r\n\r\n0\r\n\r\n"),
	BAD(400, "5\r\nhello\r\n\n"),
	BAD(400, "0\r\n\n"), BAD(400, "0\r\n\rx"), BAD(400, "0\n\r\n"),
	/* extensions */
	BAD(400, "5;\0"), BAD(400, "5;a=\x01"), BAD(400, "5;a=\x7f"),
	/* trailers */
	BAD(400, "0\r\n A: b\r\n"), BAD(400, "0\r\n: b\r\n"),
	BAD(400, "0\r\nA : b\r\n"), BAD(400, "0\r\nA\r\n"),
	BAD(400, "0\r\nA: b\n"), BAD(400, "0\r\nA: b\0"),
	BAD(400, "0\r\nA: b\r\n c\r\n"), BAD(400, "0\r\nA\xc3: b\r\n"),
	BAD(400, "0\r\nGET / HTTP/1.1\r\n"),
	/* the sum, before any of the chunk is taken */
	BAD(413, "15\r\n"), BAD(413, "15;"),
	BAD(413, "A\r\n0123456789\r\nB\r\n0"),
	BAD(413, "1\r\na\r\nffffffffffffffff\r\n"),
};
/* clang-format on */

Test(http_chunks, good)
{
	check_cases(good, COUNT(good));
}

Test(http_chunks, bad)
{
	check_cases(bad, COUNT(bad));
}

/* Takes prefix and then one byte without end: how many until it is refused? */
static size_t
endure(const char *prefix, char byte)
{
	struct http_chunks chunks;
	struct http_fault fault = {0, NULL};
	char data[16];
	size_t body, used, n;

	http_chunks_init(&chunks);
	cr_assert_lt(strlen(prefix), sizeof(data));
	memcpy(data, prefix, strlen(prefix));
	cr_assert_eq(http_chunks_parse(&chunks, data, strlen(prefix), MAX_BODY,
			 &body, &used, &fault),
	    HTTP_MORE);
	for (n = 0; n < 100000; n++) {
		data[0] = byte;
		if (http_chunks_parse(&chunks, data, 1, MAX_BODY, &body, &used,
			&fault) == HTTP_BAD)
			break;
	}
	cr_assert_eq(fault.status, 400);
	return n;
}

Test(http_chunks, what_has_no_end_is_refused)
{
	cr_assert_eq(endure("", '0'), 16);
	cr_assert_eq(endure("5;", 'x'), 1022);
	cr_assert_eq(endure("0\r\nA:", 'x'), 8190);
	cr_assert_eq(endure("0\r\n", 'A'), 8192);
}

/* Extensions are limited by line, trailers by their sum. */
Test(http_chunks, trailers_add_up)
{
	struct http_chunks chunks;
	struct http_fault fault = {0, NULL};
	char data[] = "A: b\r\n";
	char last[] = "0\r\n";
	size_t body, used, n;

	http_chunks_init(&chunks);
	cr_assert_eq(
	    http_chunks_parse(&chunks, last, 3, MAX_BODY, &body, &used, &fault),
	    HTTP_MORE);
	for (n = 0; n < 100000; n++) {
		if (http_chunks_parse(&chunks, data, 6, MAX_BODY, &body, &used,
			&fault) == HTTP_BAD)
			break;
	}
	cr_assert_eq(fault.status, 400);
	cr_assert_lt(n, 2048);
}

Test(http_chunks, nothing_is_taken_behind_the_end)
{
	struct http_chunks chunks;
	struct http_fault fault;
	char data[] = "0\r\n\r\n5\r\nhello\r\n";
	size_t body, used;

	http_chunks_init(&chunks);
	cr_assert_eq(http_chunks_parse(&chunks, data, sizeof(data) - 1,
			 MAX_BODY, &body, &used, &fault),
	    HTTP_DONE);
	cr_assert_eq(used, 5);
	cr_assert_eq(http_chunks_parse(
			 &chunks, data + 5, 5, MAX_BODY, &body, &used, &fault),
	    HTTP_DONE);
	cr_assert_eq(used, 0);
	cr_assert_eq(body, 0);
}
