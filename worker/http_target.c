/* SPDX-License-Identifier: MIT */
/*
 * http_target.c - the target of a request line
 *
 * Its four forms, what may stand in it, and the parameters of its query.
 * Escapes are checked here and decoded only in a query's value: a path is
 * compared as it was sent, so "%2e%2e" is a name like any other.
 */
#include "worker/http_target.h"

#include <string.h>

#include "worker/http_syntax.h"

static int
target_check(const char *text, size_t len, struct http_fault *fault)
{
	size_t i;
	int c;

	for (i = 0; i < len; i++) {
		if (text[i] == '#')
			return http_refuse(
			    fault, 400, "the request target has a fragment");
		if (text[i] != '%')
			continue;
		c = len - i > 2 ? http_hex_pair(text + i + 1) : -1;
		if (c == -1)
			return http_refuse(fault, 400,
			    "the request target has a malformed escape");
		if (c < 0x20 || c == 0x7f)
			return http_refuse(fault, 400,
			    "the request target has an escaped control "
			    "character");
	}
	return 0;
}

/* Splits what begins at "at" into path and query. */
static void
target_split(
    struct http_request *req, const char *data, uint32_t at, uint32_t len)
{
	const char *mark = memchr(data + at, '?', len);

	req->path.at = at;
	req->path.len = len;
	if (mark == NULL)
		return;
	req->path.len = (uint32_t)(mark - data) - at;
	req->query.at = at + req->path.len + 1;
	req->query.len = len - req->path.len - 1;
}

/* Length of "http://" or "https://" if text begins so, otherwise 0. */
static uint32_t
target_scheme(const char *text, uint32_t len)
{
	if (len >= 7 && strncasecmp(text, "http://", 7) == 0)
		return 7;
	if (len >= 8 && strncasecmp(text, "https://", 8) == 0)
		return 8;
	return 0;
}

static int
target_split_absolute(struct http_request *req, const char *data,
    struct http_view target, uint32_t scheme, struct http_fault *fault)
{
	uint32_t at = target.at + scheme;
	uint32_t len = target.len - scheme;
	uint32_t host = 0;

	while (host < len && data[at + host] != '/' && data[at + host] != '?')
		host++;
	if (!http_host_is_valid(data + at, host))
		return http_refuse(
		    fault, 400, "the request target names no valid host");
	req->parse.authority.at = at;
	req->parse.authority.len = host;
	target_split(req, data, at + host, len - host);
	if (req->path.len == 0) {
		/* No path means "/": the scheme's last byte is one. */
		req->path.at = at - 1;
		req->path.len = 1;
	}
	return 0;
}

static bool
target_is_connect(const struct http_request *req, const char *data)
{
	return http_is_word(
	    data + req->method_name.at, req->method_name.len, "connect", 7);
}

int
http_target_parse(struct http_request *req, const char *data,
    struct http_view target, struct http_fault *fault)
{
	const char *text = data + target.at;
	uint32_t scheme;

	if (target_check(text, target.len, fault) == -1)
		return -1;
	if (target_is_connect(req, data)) {
		req->path = target;
		if (http_host_is_valid(text, target.len))
			return 0;
		return http_refuse(fault, 400,
		    "the target of CONNECT is not a host and a port");
	}
	if (text[0] == '/') {
		target_split(req, data, target.at, target.len);
		return 0;
	}
	if (target.len == 1 && text[0] == '*') {
		req->path = target;
		if (req->method == HTTP_OPTIONS)
			return 0;
		return http_refuse(
		    fault, 400, "the request target * is for OPTIONS only");
	}
	scheme = target_scheme(text, target.len);
	if (scheme == 0)
		return http_refuse(fault, 400,
		    "the request target does not begin with a slash");
	return target_split_absolute(req, data, target, scheme, fault);
}

/* Bytes of an IPv6 address in its brackets; 0 when it is none. */
static size_t
host_literal(const char *host, size_t len)
{
	size_t i;

	for (i = 1; i < len && host[i] != ']'; i++) {
		if (http_hex((unsigned char)host[i]) == -1 && host[i] != ':' &&
		    host[i] != '.')
			return 0;
	}
	return i < len && i > 1 ? i + 1 : 0;
}

static size_t
host_name(const char *host, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (!http_is_alnum((unsigned char)host[i]) && host[i] != '-' &&
		    host[i] != '.' && host[i] != '_' && host[i] != '~')
			break;
	}
	return i;
}

bool
http_host_is_valid(const char *host, size_t len)
{
	unsigned port = 0;
	size_t i;

	if (len == 0 || len > 261) /* a name of 255, ":" and five digits */
		return false;
	i = host[0] == '[' ? host_literal(host, len) : host_name(host, len);
	if (i == 0)
		return false;
	if (i == len)
		return true;
	if (host[i++] != ':' || len - i > 5)
		return false;
	for (; i < len; i++) {
		if (!http_is_digit((unsigned char)host[i]))
			return false;
		port = port * 10 + (unsigned)(host[i] - '0');
	}
	return port <= 65535;
}

static bool
param_decode(
    const char *text, size_t len, char *out, size_t size, size_t *out_len)
{
	size_t i, n = 0;
	int c;

	for (i = 0; i < len; i++) {
		c = (unsigned char)text[i];
		if (c == '+') {
			c = ' ';
		} else if (c == '%') {
			c = len - i > 2 ? http_hex_pair(text + i + 1) : -1;
			i += 2;
		}
		if (c <= 0 || n == size)
			return false;
		out[n++] = (char)c;
	}
	if (n == size)
		return false;
	out[n] = '\0';
	*out_len = n;
	return true;
}

enum http_result
http_query_param(const char *query, size_t len, const char *name, char *out,
    size_t size, size_t *out_len)
{
	size_t name_len = strlen(name);
	const char *end = query + len;
	const char *next, *stop;

	for (; query < end; query = next) {
		stop = memchr(query, '&', (size_t)(end - query));
		if (stop == NULL)
			stop = end;
		next = stop == end ? end : stop + 1;
		if ((size_t)(stop - query) <= name_len ||
		    memcmp(query, name, name_len) != 0 ||
		    query[name_len] != '=')
			continue;
		query += name_len + 1;
		return param_decode(
			   query, (size_t)(stop - query), out, size, out_len)
		    ? HTTP_DONE
		    : HTTP_BAD;
	}
	return HTTP_MORE;
}
