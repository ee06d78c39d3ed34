/* SPDX-License-Identifier: MIT */
/*
 * answer_test.c - answers byte by byte, but for the date
 */
#include "worker/answer.h"

#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#define DATE_LEN 29 /* Sat, 21 Nov 2026 01:02:03 GMT */

static const struct answer_context keep = {.keep_alive = true};

/* The answer's text, with the date replaced by a star; the next call's. */
static const char *
text_of(struct buf *buf)
{
	static char text[4096];
	char *date;

	cr_assert_lt(buf->len, sizeof(text));
	memcpy(text, buf->data, buf->len);
	text[buf->len] = '\0';
	buf_free(buf);
	if ((date = strstr(text, "Date: ")) != NULL) {
		date += strlen("Date: ");
		cr_assert(strncmp(date + DATE_LEN, "\r\n", 2) == 0, "%s", text);
		*date = '*';
		memmove(date + 1, date + DATE_LEN, strlen(date + DATE_LEN) + 1);
	}
	return text;
}

Test(answer, json)
{
	struct buf buf = BUF_INIT;

	cr_assert_eq(answer_json(&buf, &keep, 200, "{}", 2), 0);
	cr_expect_str_eq(text_of(&buf),
	    "HTTP/1.1 200 OK\r\nDate: *\r\n"
	    "Content-Type: application/json\r\nContent-Length: 2\r\n"
	    "Cache-Control: no-store\r\n\r\n{}");
}

Test(answer, a_head_is_that_of_the_whole)
{
	const struct answer_context head = {.keep_alive = true, .head = true};
	struct buf buf = BUF_INIT;

	cr_assert_eq(answer_json(&buf, &head, 200, "{}", 2), 0);
	cr_expect_str_eq(text_of(&buf),
	    "HTTP/1.1 200 OK\r\nDate: *\r\n"
	    "Content-Type: application/json\r\nContent-Length: 2\r\n"
	    "Cache-Control: no-store\r\n\r\n");
}

Test(answer, says_whether_the_connection_stays)
{
	static const struct {
		bool http_10, keep_alive;
		const char *want;
	} cases[] = {
	    {false, true, ""},
	    {false, false, "Connection: close\r\n"},
	    {true, true, "Connection: keep-alive\r\n"},
	    {true, false, "Connection: close\r\n"},
	};
	struct answer_context ctx = {0};
	struct buf buf = BUF_INIT;
	const char *text;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ctx.http_10 = cases[i].http_10;
		ctx.keep_alive = cases[i].keep_alive;
		cr_assert_eq(answer_json(&buf, &ctx, 202, "", 0), 0);
		text = text_of(&buf);
		cr_expect_eq(strstr(text, "Connection:") == NULL,
		    cases[i].want[0] == '\0', "%s", text);
		cr_expect_not_null(strstr(text, cases[i].want), "%s", text);
	}
}

Test(answer, a_problem_is_quoted_and_told_twice)
{
	struct buf buf = BUF_INIT;
	const char *body;

	cr_assert_eq(answer_problem(&buf, &keep, 400, "no \"such\"\n"), 0);
	body = strstr(text_of(&buf), "\r\n\r\n");
	cr_assert_not_null(body);
	cr_expect_str_eq(body + 4,
	    "{\"type\":\"about:blank\",\"title\":\"Bad Request\","
	    "\"status\":400,\"detail\":\"no \\\"such\\\"\\n\","
	    "\"error\":\"no \\\"such\\\"\\n\"}");
}

Test(answer, statuses_bring_their_headers)
{
	static const struct {
		int status;
		const char *line, *header;
	} cases[] = {
	    {401, "HTTP/1.1 401 Unauthorized\r\n",
		"WWW-Authenticate: Bearer realm=\"ProductGraph\"\r\n"},
	    {503, "HTTP/1.1 503 Service Unavailable\r\n", "Retry-After: 7\r\n"},
	    {413, "HTTP/1.1 413 Content Too Large\r\n", ""},
	    /* Not of the table: our own fault. */
	    {299, "HTTP/1.1 500 Internal Server Error\r\n", ""},
	};
	struct answer_context ctx = {.keep_alive = true, .retry_after_s = 7};
	struct buf buf = BUF_INIT;
	const char *text;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_assert_eq(
		    answer_problem(&buf, &ctx, cases[i].status, "x"), 0);
		text = text_of(&buf);
		cr_expect_eq(strstr(text, cases[i].line), text, "%s", text);
		cr_expect_not_null(strstr(text, cases[i].header), "%s", text);
		cr_expect_eq(strstr(text, "Retry-After:") != NULL,
		    cases[i].status == 503);
	}
}

Test(answer, a_method_that_is_not_taken)
{
	struct buf buf = BUF_INIT;
	const char *text;

	cr_assert_eq(answer_method(&buf, &keep, "GET, HEAD"), 0);
	text = text_of(&buf);
	cr_expect_not_null(strstr(text, "405 Method Not Allowed\r\n"));
	cr_expect_not_null(strstr(text, "\r\nAllow: GET, HEAD\r\n"));
}

Test(answer, a_coding_that_is_not_taken)
{
	struct buf buf = BUF_INIT;
	const char *text;

	cr_assert_eq(answer_coding(&buf, &keep, "gzip", "send gzip"), 0);
	text = text_of(&buf);
	cr_expect_not_null(strstr(text, "415 Unsupported Media Type\r\n"));
	cr_expect_not_null(strstr(text, "\r\nAccept-Encoding: gzip\r\n"));
	cr_expect_not_null(strstr(text, "\"error\":\"send gzip\""));
}

Test(answer, the_origin_is_named)
{
	/* Of a request's bytes, so without an end of its own. */
	const struct answer_context ctx = {.keep_alive = true,
	    .origin = "https://a.example\r\nHost:",
	    .origin_len = strlen("https://a.example")};
	struct buf buf = BUF_INIT;

	cr_assert_eq(answer_preflight(&buf, &ctx, "x-a,x-b", 3), 0);
	cr_expect_str_eq(text_of(&buf),
	    "HTTP/1.1 204 No Content\r\nDate: *\r\n"
	    "Access-Control-Allow-Origin: https://a.example\r\n"
	    "Access-Control-Allow-Credentials: true\r\n"
	    "Access-Control-Expose-Headers: Retry-After\r\n"
	    "Vary: Origin\r\n"
	    "Access-Control-Allow-Headers: x-a\r\n"
	    "Access-Control-Allow-Methods: POST, GET, OPTIONS\r\n"
	    "Access-Control-Max-Age: 86400\r\n\r\n");
	cr_assert_eq(answer_preflight(&buf, &keep, NULL, 0), 0);
	cr_expect_str_eq(text_of(&buf),
	    "HTTP/1.1 204 No Content\r\nDate: *\r\n"
	    "Allow: POST, GET, OPTIONS\r\n\r\n");
}

Test(answer, a_promise_to_stay_can_be_taken_back)
{
	const struct answer_context gone = {0};
	struct buf kept = BUF_INIT, closed = BUF_INIT;
	char *want;

	cr_assert_eq(answer_json(&kept, &keep, 202, "{\n}", 3), 0);
	cr_assert_eq(answer_add_close(&kept), 0);
	cr_assert_eq(answer_json(&closed, &gone, 202, "{\n}", 3), 0);
	/* The order of headers says nothing. */
	cr_expect_eq(kept.len, closed.len);
	cr_expect_eq(kept.data[kept.len - 1], '}');
	want = strdup(text_of(&kept));
	cr_assert_not_null(want);
	cr_expect_eq(strstr(want, "HTTP/1.1 202 Accepted\r\n"), want);
	cr_expect_not_null(strstr(want, "\r\nConnection: close\r\n"));
	free(want);
	buf_free(&closed);
}

Test(answer, continue_is_a_line_and_no_more)
{
	struct buf buf = BUF_INIT;

	cr_assert_eq(answer_continue(&buf), 0);
	cr_expect_str_eq(text_of(&buf), "HTTP/1.1 100 Continue\r\n\r\n");
}
