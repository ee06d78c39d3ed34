/* SPDX-License-Identifier: MIT */
/*
 * http_request.c - the head of a request, line by line
 *
 * Every verdict depends on the bytes up to one position and on nothing behind
 * it, which is what makes it the same however they were split.  Knows nothing
 * of paths, keys or answers.
 */
#include "worker/http_request.h"

#include <string.h>

#include "worker/http_syntax.h"
#include "worker/http_target.h"

#define METHOD_MAX 32    /* longer than any known one */
#define VERSION_LEN 8    /* HTTP/1.1 */
#define LENGTH_DIGITS 19 /* of Content-Length: always fit 64 bits */

/* What the next line is. */
enum {
	LINE_FIRST, /* the request line, or one empty line before it */
	LINE_REQUEST,
	LINE_HEADER,
	LINE_NONE, /* the head is complete */
};

#define X(id, name) {name, sizeof(name) - 1},
static const struct {
	const char *name;
	size_t len;
} header_names[HTTP_HEADER_COUNT] = {HTTP_HEADERS(X)};
#undef X

static const struct {
	const char *name;
	enum http_method method;
} methods[] = {
    {"GET", HTTP_GET},
    {"HEAD", HTTP_HEAD},
    {"POST", HTTP_POST},
    {"OPTIONS", HTTP_OPTIONS},
    {"PUT", HTTP_OTHER},
    {"DELETE", HTTP_OTHER},
    {"PATCH", HTTP_OTHER},
    {"TRACE", HTTP_OTHER},
    {"CONNECT", HTTP_OTHER},
};

void
http_request_init(struct http_request *req)
{
	memset(req, 0, sizeof(*req));
}

static struct http_view
view_of(const char *data, const char *from, const char *to)
{
	struct http_view view;

	view.at = (uint32_t)(from - data);
	view.len = (uint32_t)(to - from);
	return view;
}

bool
http_list_has(const char *list, size_t len, const char *token)
{
	size_t token_len = strlen(token);
	const char *end = list + len;
	const char *from, *to;

	for (; list < end; list = to + 1) {
		from = list;
		to = memchr(list, ',', (size_t)(end - list));
		if (to == NULL)
			to = end;
		len = (size_t)(to - from);
		for (; len > 0 && http_is_blank((unsigned char)*from); len--)
			from++;
		while (len > 0 && http_is_blank((unsigned char)from[len - 1]))
			len--;
		if (http_is_word(from, len, token, token_len))
			return true;
	}
	return false;
}

/* The request line */

/* Methods are case-sensitive: "get" is not known. */
static int
method_find(
    struct http_request *req, const char *data, struct http_fault *fault)
{
	const char *name = data + req->method_name.at;
	size_t len = req->method_name.len;
	size_t i;

	for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (strncmp(methods[i].name, name, len) == 0 &&
		    methods[i].name[len] == '\0') {
			req->method = methods[i].method;
			return 0;
		}
	}
	return http_refuse(fault, 501, "the method is not known");
}

static int
method_check(const char *from, const char *to, struct http_fault *fault)
{
	for (; from < to; from++) {
		if (!http_is_token((unsigned char)*from))
			return http_refuse(
			    fault, 400, "the method is not a word");
	}
	return 0;
}

static int
version_parse(struct http_request *req, const char *from, const char *to,
    struct http_fault *fault)
{
	if (to - from != VERSION_LEN || memcmp(from, "HTTP/", 5) != 0 ||
	    !http_is_digit((unsigned char)from[5]) || from[6] != '.' ||
	    !http_is_digit((unsigned char)from[7]))
		return http_refuse(fault, 400,
		    "the request line does not end with an HTTP version");
	if (from[5] != '1' || from[7] > '1')
		return http_refuse(
		    fault, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
	req->http_10 = from[7] == '0';
	return 0;
}

static int
request_line(struct http_request *req, const char *data, const char *from,
    const char *to, size_t max_target, struct http_fault *fault)
{
	const char *method_end, *target, *target_end;

	method_end = memchr(from, ' ', (size_t)(to - from));
	if (method_end == NULL)
		return http_refuse(fault, 400,
		    "the request line is not method, target and version");
	target = method_end + 1;
	target_end = memchr(target, ' ', (size_t)(to - target));
	if (target_end == NULL || target_end == target)
		return http_refuse(fault, 400,
		    "the request line is not method, target and version");
	if ((size_t)(target_end - target) > max_target)
		return http_refuse(
		    fault, 414, "the request target is too long");
	if (method_check(from, method_end, fault) == -1 ||
	    version_parse(req, target_end + 1, to, fault) == -1)
		return -1;
	req->method_name = view_of(data, from, method_end);
	if (method_find(req, data, fault) == -1)
		return -1;
	return http_target_parse(
	    req, data, view_of(data, target, target_end), fault);
}

/* Headers */

static void
connection_merge(struct http_request *req, const char *from, const char *to)
{
	size_t len = (size_t)(to - from);

	req->parse.close |= http_list_has(from, len, "close");
	req->parse.keep_alive |= http_list_has(from, len, "keep-alive");
}

static int
header_store(struct http_request *req, size_t id, const char *data,
    const char *from, const char *to, struct http_fault *fault)
{
	if (id == HTTP_CONNECTION)
		connection_merge(req, from, to);
	else if (req->headers[id].at != 0 && id == HTTP_USER_AGENT)
		return 0;
	else if (req->headers[id].at != 0)
		return http_refuse(
		    fault, 400, "a header that may come once came twice");
	req->headers[id] = view_of(data, from, to);
	return 0;
}

static int
header_line(struct http_request *req, const char *data, const char *from,
    const char *to, struct http_fault *fault)
{
	const char *name_end = from;
	const char *value;
	size_t id;

	if (http_is_blank((unsigned char)*from))
		return http_refuse(
		    fault, 400, "a header line begins with a blank");
	while (name_end < to && http_is_token((unsigned char)*name_end))
		name_end++;
	if (name_end == from || name_end == to || *name_end != ':')
		return http_refuse(fault, 400,
		    "a header line is not a name, a colon and a value");
	value = name_end + 1;
	while (value < to && http_is_blank((unsigned char)*value))
		value++;
	while (to > value && http_is_blank((unsigned char)to[-1]))
		to--;
	for (id = 0; id < HTTP_HEADER_COUNT; id++) {
		if (http_is_word(from, (size_t)(name_end - from),
			header_names[id].name, header_names[id].len))
			return header_store(req, id, data, value, to, fault);
	}
	return 0;
}

/* What the headers mean, once all of them are there */

static int
finish_host(
    const struct http_request *req, const char *data, struct http_fault *fault)
{
	const struct http_view *host = &req->headers[HTTP_HOST];
	const struct http_view *authority = &req->parse.authority;

	if (host->at == 0 && !req->http_10)
		return http_refuse(fault, 400, "the Host header is missing");
	if (host->at != 0 && !http_host_is_valid(data + host->at, host->len))
		return http_refuse(
		    fault, 400, "the Host header is not a host and a port");
	if (authority->at != 0 &&
	    !http_is_word(data + authority->at, authority->len, data + host->at,
		host->len))
		return http_refuse(
		    fault, 421, "the request target names another host");
	return 0;
}

static int
finish_content_length(struct http_request *req, const char *text, size_t len,
    struct http_fault *fault)
{
	size_t i;

	if (len == 0 || len > LENGTH_DIGITS)
		return http_refuse(
		    fault, 400, "Content-Length is not a number");
	for (i = 0; i < len; i++) {
		if (!http_is_digit((unsigned char)text[i]))
			return http_refuse(
			    fault, 400, "Content-Length is not a number");
		req->content_length =
		    req->content_length * 10 + (unsigned)(text[i] - '0');
	}
	req->has_body = req->content_length > 0;
	return 0;
}

static int
finish_transfer_encoding(struct http_request *req, const char *text, size_t len,
    struct http_fault *fault)
{
	size_t i;

	if (req->http_10)
		return http_refuse(
		    fault, 400, "HTTP/1.0 has no Transfer-Encoding");
	for (i = 0; i < len; i++) {
		if (!http_is_token((unsigned char)text[i]) &&
		    !http_is_blank((unsigned char)text[i]) && text[i] != ',')
			break;
	}
	if (len == 0 || i < len)
		return http_refuse(
		    fault, 400, "Transfer-Encoding is malformed");
	if (!http_is_word(text, len, "chunked", 7))
		return http_refuse(fault, 501,
		    "the only Transfer-Encoding taken here is chunked");
	req->chunked = true;
	req->has_body = true;
	return 0;
}

static int
finish_framing(
    struct http_request *req, const char *data, struct http_fault *fault)
{
	const struct http_view *length = &req->headers[HTTP_CONTENT_LENGTH];
	const struct http_view *coding = &req->headers[HTTP_TRANSFER_ENCODING];

	if (length->at != 0 && coding->at != 0)
		return http_refuse(fault, 400,
		    "Content-Length and Transfer-Encoding exclude each other");
	if (length->at != 0)
		return finish_content_length(
		    req, data + length->at, length->len, fault);
	if (coding->at != 0)
		return finish_transfer_encoding(
		    req, data + coding->at, coding->len, fault);
	return 0;
}

static int
finish_expect(
    struct http_request *req, const char *data, struct http_fault *fault)
{
	const struct http_view *expect = &req->headers[HTTP_EXPECT];

	/* RFC 9110, 10.1.1: not to be heeded in HTTP/1.0 */
	if (expect->at == 0 || req->http_10)
		return 0;
	if (!http_is_word(data + expect->at, expect->len, "100-continue", 12))
		return http_refuse(fault, 417,
		    "the only expectation met here is 100-continue");
	req->expect_continue = req->has_body;
	return 0;
}

static int
request_finish(
    struct http_request *req, const char *data, struct http_fault *fault)
{
	req->keep_alive =
	    !req->parse.close && (!req->http_10 || req->parse.keep_alive);
	if (finish_host(req, data, fault) == -1 ||
	    finish_framing(req, data, fault) == -1)
		return -1;
	return finish_expect(req, data, fault);
}

/* Lines */

/* One past the last byte that the line, with its end, may have. */
static size_t
line_stop(const struct http_request *req, const struct http_limits *limits)
{
	size_t stop;

	if (req->parse.state == LINE_HEADER)
		return limits->max_headers;
	stop = req->parse.line + METHOD_MAX + 1 + limits->max_target + 1 +
	    VERSION_LEN + 2;
	return stop < limits->max_headers ? stop : limits->max_headers;
}

static int
line_too_long(
    const struct http_request *req, const char *data, struct http_fault *fault)
{
	size_t len = req->parse.scanned - req->parse.line;

	if (req->parse.state == LINE_HEADER)
		return http_refuse(fault, 431, "the headers are too long");
	if (memchr(data + req->parse.line, ' ', len) == NULL)
		return http_refuse(fault, 501, "the method is not known");
	return http_refuse(fault, 414, "the request target is too long");
}

static int
line_byte_check(
    const struct http_request *req, unsigned char c, struct http_fault *fault)
{
	bool first = req->parse.scanned == req->parse.line;

	if (c == '\n')
		return http_refuse(
		    fault, 400, "a line ends without a carriage return");
	if (req->parse.state == LINE_HEADER)
		return http_is_field(c)
		    ? 0
		    : http_refuse(
			  fault, 400, "a header has a control character");
	if (first ? http_is_token(c) : http_is_printable(c))
		return 0;
	return http_refuse(fault, 400, "this is not an HTTP request");
}

/* Goes on to the carriage return of the line: HTTP_DONE when its end is there.
 */
static enum http_result
line_find(struct http_request *req, const char *data, size_t len,
    const struct http_limits *limits, struct http_fault *fault)
{
	size_t stop = line_stop(req, limits);
	size_t *at = &req->parse.scanned;

	for (; *at < len && *at < stop; ++*at) {
		if (data[*at] == '\r')
			break;
		if (line_byte_check(req, (unsigned char)data[*at], fault) == -1)
			return HTTP_BAD;
	}
	/* The line feed behind a carriage return must fit, too. */
	if (*at == stop || (*at < len && *at + 1 == stop)) {
		(void)line_too_long(req, data, fault);
		return HTTP_BAD;
	}
	if (*at + 1 >= len)
		return HTTP_MORE;
	if (data[*at + 1] == '\n')
		return HTTP_DONE;
	(void)http_refuse(
	    fault, 400, "a carriage return is not followed by a line feed");
	return HTTP_BAD;
}

/* Takes the line that ends at the carriage return found last. */
static int
line_take(struct http_request *req, const char *data,
    const struct http_limits *limits, struct http_fault *fault)
{
	const char *from = data + req->parse.line;
	const char *to = data + req->parse.scanned;

	req->parse.scanned += 2;
	req->parse.line = req->parse.scanned;
	if (req->parse.state == LINE_HEADER && from == to) {
		req->parse.state = LINE_NONE;
		req->head_bytes = req->parse.scanned;
		return request_finish(req, data, fault);
	}
	if (req->parse.state == LINE_HEADER) {
		if (++req->parse.count > limits->max_header_count)
			return http_refuse(
			    fault, 431, "there are too many headers");
		return header_line(req, data, from, to, fault);
	}
	if (req->parse.state == LINE_FIRST && from == to) {
		/* RFC 9112, 2.2: left over by a client's last body */
		req->parse.state = LINE_REQUEST;
		return 0;
	}
	req->parse.state = LINE_HEADER;
	return request_line(req, data, from, to, limits->max_target, fault);
}

enum http_result
http_request_parse(struct http_request *req, const char *data, size_t len,
    const struct http_limits *limits, struct http_fault *fault)
{
	enum http_result result;

	while (req->parse.state != LINE_NONE) {
		result = line_find(req, data, len, limits, fault);
		if (result != HTTP_DONE)
			return result;
		if (line_take(req, data, limits, fault) == -1)
			return HTTP_BAD;
	}
	return HTTP_DONE;
}
