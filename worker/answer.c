/* SPDX-License-Identifier: MIT */
/*
 * answer.c - the bytes of an answer
 *
 * Statuses, their words and the headers that belong to them stand in one table.
 * CORS headers go on every answer to a request that named its origin, errors
 * too, or a browser hides the reason from the page.
 */
#include "worker/answer.h"

#include <string.h>
#include <time.h>

#define RETRY_AFTER 1
#define CHALLENGE 2

static const struct status {
	int code;
	const char *reason;
	unsigned headers;
} statuses[] = {
    {200, "OK", 0},
    {202, "Accepted", 0},
    {204, "No Content", 0},
    {400, "Bad Request", 0},
    {401, "Unauthorized", CHALLENGE},
    {403, "Forbidden", 0},
    {404, "Not Found", 0},
    {405, "Method Not Allowed", 0},
    {408, "Request Timeout", 0},
    {413, "Content Too Large", 0},
    {414, "URI Too Long", 0},
    {415, "Unsupported Media Type", 0},
    {417, "Expectation Failed", 0},
    {421, "Misdirected Request", 0},
    {431, "Request Header Fields Too Large", 0},
    {500, "Internal Server Error", 0},
    {501, "Not Implemented", 0},
    {503, "Service Unavailable", RETRY_AFTER},
    {505, "HTTP Version Not Supported", 0},
};

static const char close_header[] = "Connection: close\r\n";

static const struct status *
status_find(int code)
{
	size_t i;

	for (i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		if (statuses[i].code == code)
			return &statuses[i];
	}
	return status_find(500);
}

/* RFC 9110's date, made once a second. */
static const char *
date_now(void)
{
	static char text[40];
	static time_t made;
	time_t now = time(NULL);
	struct tm tm;

	if (now != made && gmtime_r(&now, &tm) != NULL) {
		(void)strftime(
		    text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm);
		made = now;
	}
	return text;
}

static int
answer_head(struct buf *buf, const struct answer_context *ctx, int code)
{
	const struct status *status = status_find(code);

	if (buf_printf(buf, "HTTP/1.1 %d %s\r\nDate: %s\r\n", status->code,
		status->reason, date_now()) == -1)
		return -1;
	if (!ctx->keep_alive && buf_puts(buf, close_header) == -1)
		return -1;
	if (ctx->keep_alive && ctx->http_10 &&
	    buf_puts(buf, "Connection: keep-alive\r\n") == -1)
		return -1;
	if ((status->headers & RETRY_AFTER) != 0 &&
	    buf_printf(buf, "Retry-After: %u\r\n", ctx->retry_after_s) == -1)
		return -1;
	if ((status->headers & CHALLENGE) != 0 &&
	    buf_puts(buf,
		"WWW-Authenticate: Bearer realm=\"ProductGraph\"\r\n") == -1)
		return -1;
	if (ctx->origin == NULL)
		return 0;
	if (buf_puts(buf, "Access-Control-Allow-Origin: ") == -1 ||
	    buf_append(buf, ctx->origin, ctx->origin_len) == -1)
		return -1;
	return buf_puts(buf,
	    "\r\nAccess-Control-Allow-Credentials: true\r\n"
	    "Access-Control-Expose-Headers: Retry-After\r\n"
	    "Vary: Origin\r\n");
}

static int
answer_body(struct buf *buf, const struct answer_context *ctx, const char *type,
    const char *body, size_t len)
{
	if (buf_printf(buf,
		"Content-Type: %s\r\nContent-Length: %zu\r\n"
		"Cache-Control: no-store\r\n\r\n",
		type, len) == -1)
		return -1;
	return ctx->head ? 0 : buf_append(buf, body, len);
}

int
answer_json(struct buf *buf, const struct answer_context *ctx, int status,
    const char *json, size_t len)
{
	if (answer_head(buf, ctx, status) == -1)
		return -1;
	return answer_body(buf, ctx, "application/json", json, len);
}

/* The body of RFC 9457, and "error" for simple clients. */
static int
problem_body(struct buf *body, int code, const char *detail)
{
	const struct status *status = status_find(code);
	size_t len = strlen(detail);

	if (buf_printf(body,
		"{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,"
		"\"detail\":",
		status->reason, status->code) == -1 ||
	    buf_json_string(body, detail, len) == -1 ||
	    buf_puts(body, ",\"error\":") == -1 ||
	    buf_json_string(body, detail, len) == -1)
		return -1;
	return buf_puts(body, "}");
}

static int
answer_problem_body(struct buf *buf, const struct answer_context *ctx,
    int status, const char *detail)
{
	struct buf body = BUF_INIT;
	int ret = -1;

	if (problem_body(&body, status, detail) == 0)
		ret = answer_body(
		    buf, ctx, "application/problem+json", body.data, body.len);
	buf_free(&body);
	return ret;
}

int
answer_problem(struct buf *buf, const struct answer_context *ctx, int status,
    const char *detail)
{
	if (answer_head(buf, ctx, status) == -1)
		return -1;
	return answer_problem_body(buf, ctx, status, detail);
}

int
answer_method(
    struct buf *buf, const struct answer_context *ctx, const char *allow)
{
	if (answer_head(buf, ctx, 405) == -1 ||
	    buf_printf(buf, "Allow: %s\r\n", allow) == -1)
		return -1;
	return answer_problem_body(
	    buf, ctx, 405, "this resource does not take this method");
}

int
answer_coding(struct buf *buf, const struct answer_context *ctx,
    const char *accept, const char *detail)
{
	if (answer_head(buf, ctx, 415) == -1 ||
	    buf_printf(buf, "Accept-Encoding: %s\r\n", accept) == -1)
		return -1;
	return answer_problem_body(buf, ctx, 415, detail);
}

int
answer_preflight(struct buf *buf, const struct answer_context *ctx,
    const char *headers, size_t headers_len)
{
	if (answer_head(buf, ctx, 204) == -1)
		return -1;
	if (ctx->origin == NULL)
		return buf_puts(buf, "Allow: POST, GET, OPTIONS\r\n\r\n");
	if (headers_len > 0 &&
	    (buf_puts(buf, "Access-Control-Allow-Headers: ") == -1 ||
		buf_append(buf, headers, headers_len) == -1 ||
		buf_puts(buf, "\r\n") == -1))
		return -1;
	return buf_puts(buf,
	    "Access-Control-Allow-Methods: POST, GET, OPTIONS\r\n"
	    "Access-Control-Max-Age: 86400\r\n\r\n");
}

int
answer_continue(struct buf *buf)
{
	return buf_puts(buf, "HTTP/1.1 100 Continue\r\n\r\n");
}

int
answer_add_close(struct buf *buf)
{
	const size_t add = sizeof(close_header) - 1;
	char *line_end;
	size_t at;

	if (buf_reserve(buf, add) == -1 ||
	    (line_end = memchr(buf->data, '\n', buf->len)) == NULL)
		return -1;
	at = (size_t)(line_end - buf->data) + 1;
	memmove(buf->data + at + add, buf->data + at, buf->len - at);
	memcpy(buf->data + at, close_header, add);
	buf->len += add;
	return 0;
}
