/* SPDX-License-Identifier: MIT */
/*
 * request.c - what a request is answered
 *
 * One table of resources.  POST /v1/events: the key is judged, then type, size
 * and whether events can be accepted at all, before the body is read; the body
 * becomes rows in the ring, and the answer waits until they are safe.
 */
#include "worker/request.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/timestamp.h"
#include "worker/answer.h"
#include "worker/auth.h"

/* A sign of life comes twice a second. */
#define SILENT_MAX_MS 5000

#define GET_OR_HEAD (1u << HTTP_GET | 1u << HTTP_HEAD)

static enum request_next events_head(struct conn *);
static enum request_next health(struct conn *);
static enum request_next ready(struct conn *);

static const struct resource {
	const char *path;
	unsigned methods;
	const char *allow;
	enum request_next (*head)(struct conn *);
} resources[] = {
    {"/v1/events", 1u << HTTP_POST, "POST, OPTIONS", events_head},
    {"/health", GET_OR_HEAD, "GET, HEAD, OPTIONS", health},
    {"/ready", GET_OR_HEAD, "GET, HEAD, OPTIONS", ready},
};

static const char key_needed[] = "an API key is needed: send X-PG-API-Key or "
				 "Authorization: Bearer";

static const char *
request_data(const struct conn *conn)
{
	return conn->in + conn->in_at;
}

static const char *
request_origin(const struct conn *conn, size_t *len)
{
	const struct http_view *origin = &conn->req.headers[HTTP_ORIGIN];

	*len = origin->len;
	return origin->at == 0 ? NULL : request_data(conn) + origin->at;
}

/* An answer to a request that was not read to its end closes. */
static struct answer_context
request_context(struct conn *conn, bool may_keep_alive)
{
	const struct worker *worker = conn->worker;
	struct answer_context ctx = {
	    .http_10 = conn->req.http_10,
	    .head = conn->req.method == HTTP_HEAD,
	    .retry_after_s =
		(unsigned)((worker->cfg->retry_after_ms + 999) / 1000),
	};

	ctx.origin = request_origin(conn, &ctx.origin_len);
	ctx.keep_alive = may_keep_alive && conn->body_done &&
	    conn->req.keep_alive && !worker->draining &&
	    worker->cfg->keepalive_timeout_ms > 0;
	conn->close_after = !ctx.keep_alive;
	return ctx;
}

static enum request_next
request_built(int result)
{
	return result == 0 ? REQUEST_ANSWER : REQUEST_FAILED;
}

/* A client's author does not know our configuration. */
static const char *
request_detail(struct conn *conn, int status, const char *detail)
{
	struct worker *worker = conn->worker;
	char *text = worker->reply.fault;

	if (status != 413)
		return detail;
	(void)snprintf(text, sizeof(worker->reply.fault),
	    "the %sbody is longer than %zu bytes",
	    conn->state == CONN_INFLATE ? "inflated " : "",
	    worker->cfg->max_body);
	return text;
}

static enum request_next
request_problem(struct conn *conn, int status, const char *detail)
{
	struct answer_context ctx = request_context(conn, true);

	detail = request_detail(conn, status, detail);
	return request_built(answer_problem(&conn->out, &ctx, status, detail));
}

enum request_next
request_refuse(struct conn *conn, int status, const char *detail)
{
	struct answer_context ctx = request_context(conn, false);

	detail = request_detail(conn, status, detail);
	return request_built(answer_problem(&conn->out, &ctx, status, detail));
}

enum request_next
request_not_safe(struct conn *conn)
{
	buf_clear(&conn->out);
	return request_problem(
	    conn, 503, "the events could not be stored in time");
}

/* RFC 9110, 15.5.16: the answer names the codings that are taken. */
static enum request_next
request_coding_not_taken(struct conn *conn)
{
	struct answer_context ctx = request_context(conn, true);
	char *detail = conn->worker->reply.fault;

	(void)snprintf(detail, sizeof(conn->worker->reply.fault),
	    "Content-Encoding must be one of %s, or identity", coding_names);
	return request_built(
	    answer_coding(&conn->out, &ctx, coding_names, detail));
}

static enum request_next
request_preflight(struct conn *conn)
{
	const struct http_view *asked =
	    &conn->req.headers[HTTP_REQUEST_HEADERS];
	struct answer_context ctx = request_context(conn, true);

	return request_built(answer_preflight(
	    &conn->out, &ctx, request_data(conn) + asked->at, asked->len));
}

static enum request_next
request_not_taken(struct conn *conn, const char *allow)
{
	struct answer_context ctx = request_context(conn, true);

	return request_built(answer_method(&conn->out, &ctx, allow));
}

enum request_next
request_head(struct conn *conn)
{
	const struct http_view *path = &conn->req.path;
	const struct resource *resource;
	size_t i;

	if (conn->req.method == HTTP_OPTIONS && path->len == 1 &&
	    request_data(conn)[path->at] == '*')
		return request_preflight(conn);
	/* CONNECT names an authority, not a resource. */
	if (conn->req.method == HTTP_OTHER &&
	    (path->len == 0 || request_data(conn)[path->at] != '/'))
		return request_not_taken(conn, "GET, HEAD, POST, OPTIONS");
	for (i = 0; i < sizeof(resources) / sizeof(resources[0]); i++) {
		resource = &resources[i];
		if (strlen(resource->path) != path->len ||
		    memcmp(resource->path, request_data(conn) + path->at,
			path->len) != 0)
			continue;
		if (conn->req.method == HTTP_OPTIONS)
			return request_preflight(conn);
		if ((resource->methods & 1u << conn->req.method) != 0)
			return resource->head(conn);
		return request_not_taken(conn, resource->allow);
	}
	return request_problem(conn, 404, "no such resource");
}

static enum request_next
health(struct conn *conn)
{
	static const char ok[] = "{\"status\":\"ok\"}";
	struct answer_context ctx = request_context(conn, true);

	return request_built(
	    answer_json(&conn->out, &ctx, 200, ok, sizeof(ok) - 1));
}

/* Why events cannot be accepted now, or NULL. */
static const char *
not_ready(const struct worker *worker)
{
	static const char *const reasons[] = {
	    [KEYTABLE_STARTING] = "starting: the database was not reached yet",
	    [KEYTABLE_READY] = NULL,
	    [KEYTABLE_DATABASE_AWAY] = "the database is away",
	    [KEYTABLE_DATABASE_UNFIT] =
		"the database is not migrated to this version",
	};
	enum keytable_state state;
	uint64_t silent_ms;

	state = keytable_state(worker->keys, &silent_ms);
	if (state == KEYTABLE_READY && silent_ms > SILENT_MAX_MS)
		return "the aggregator does not answer";
	if ((size_t)state >= sizeof(reasons) / sizeof(reasons[0]))
		return "the aggregator is in a state unknown here";
	return reasons[state];
}

static enum request_next
ready(struct conn *conn)
{
	static const char yes[] = "{\"status\":\"ready\"}";
	const char *reason = not_ready(conn->worker);
	struct buf *body = &conn->worker->scratch;
	struct answer_context ctx = request_context(conn, true);

	if (reason == NULL)
		return request_built(
		    answer_json(&conn->out, &ctx, 200, yes, sizeof(yes) - 1));
	buf_clear(body);
	if (buf_puts(body, "{\"status\":\"not ready\",\"reason\":") == -1 ||
	    buf_json_string(body, reason, strlen(reason)) == -1 ||
	    buf_puts(body, "}") == -1)
		return REQUEST_FAILED;
	return request_built(
	    answer_json(&conn->out, &ctx, 503, body->data, body->len));
}

/* --- POST /v1/events --- */

/* Takes off blanks at both ends. */
static void
trim(const char **text, size_t *len)
{
	while (*len > 0 && ((*text)[0] == ' ' || (*text)[0] == '\t')) {
		(*text)++;
		(*len)--;
	}
	while (
	    *len > 0 && ((*text)[*len - 1] == ' ' || (*text)[*len - 1] == '\t'))
		(*len)--;
}

static bool
equals(const char *text, size_t len, const char *word)
{
	return len == strlen(word) && strncasecmp(text, word, len) == 0;
}

/* "; charset=utf-8" and parameters that do not matter. */
static bool
parameters_taken(const char *text, size_t len)
{
	const char *end, *value;
	size_t part, value_len;

	while (len > 0) {
		text++; /* the semicolon */
		len--;
		end = memchr(text, ';', len);
		part = end == NULL ? len : (size_t)(end - text);
		value = text;
		value_len = part;
		trim(&value, &value_len);
		if (value_len >= 8 && strncasecmp(value, "charset=", 8) == 0) {
			value += 8;
			value_len -= 8;
			if (value_len >= 2 && value[0] == '"' &&
			    value[value_len - 1] == '"') {
				value++;
				value_len -= 2;
			}
			if (!equals(value, value_len, "utf-8") &&
			    !equals(value, value_len, "utf8") &&
			    !equals(value, value_len, "us-ascii"))
				return false;
		}
		text += part;
		len -= part;
	}
	return true;
}

/* JSON by any of its names, a beacon's text/plain, or nothing said. */
static bool
type_taken(const char *type, size_t len)
{
	const char *end = memchr(type, ';', len);
	size_t name_len = end == NULL ? len : (size_t)(end - type);
	const char *name = type;

	trim(&name, &name_len);
	if (end != NULL && !parameters_taken(end, len - (size_t)(end - type)))
		return false;
	if (name_len == 0)
		return len == 0;
	return equals(name, name_len, "application/json") ||
	    equals(name, name_len, "text/plain") ||
	    (name_len > 5 && memchr(name, '/', name_len) != NULL &&
		equals(name + name_len - 5, 5, "+json"));
}

static enum coding
events_coding(const struct conn *conn)
{
	const struct http_view *coding =
	    &conn->req.headers[HTTP_CONTENT_ENCODING];

	return coding_find(request_data(conn) + coding->at, coding->len);
}

/* What is wrong with the head itself, or 0. */
static int
events_head_fault(const struct conn *conn, const char **detail)
{
	const struct http_request *req = &conn->req;
	const char *data = request_data(conn);
	const struct http_view *type = &req->headers[HTTP_CONTENT_TYPE];

	if (type->at != 0 && !type_taken(data + type->at, type->len)) {
		*detail = "Content-Type must be application/json, "
			  "another +json type or text/plain, in UTF-8";
		return 415;
	}
	if (!req->chunked &&
	    req->content_length > conn->worker->cfg->max_body) {
		*detail = "the body is too long";
		return 413;
	}
	return 0;
}

/* Whether the body may be asked for; if not, why, as a 503. */
static const char *
events_no_room(struct conn *conn)
{
	struct worker *worker = conn->worker;
	const char *reason = not_ready(worker);
	size_t space;

	if (reason != NULL)
		return reason;
	/* Rows take at least about what their JSON takes. */
	(void)ring_writer_space(&worker->ring, &space);
	if (space == 0 ||
	    (!conn->req.chunked && space < conn->req.content_length))
		return "too many events wait to be stored";
	return NULL;
}

static enum request_next
events_head(struct conn *conn)
{
	const char *detail = NULL;
	int status;

	switch (auth_check(conn->worker->keys, &conn->req, request_data(conn),
	    &conn->project, &detail)) {
	case AUTH_OK:
		conn->keyed = true;
		break;
	case AUTH_NONE:
		/* No event could say otherwise, once the keys are known. */
		if (!keytable_has_keyless(conn->worker->keys) &&
		    not_ready(conn->worker) == NULL)
			return request_problem(conn, 401, key_needed);
		break;
	case AUTH_REFUSED:
		return request_problem(conn, 401, detail);
	case AUTH_FORBIDDEN:
		return request_problem(
		    conn, 403, "the project does not allow this origin");
	case AUTH_NOT_READY:
		return request_problem(
		    conn, 503, "the API keys were not read yet");
	}
	if ((status = events_head_fault(conn, &detail)) != 0)
		return request_problem(conn, status, detail);
	if ((conn->coding = events_coding(conn)) == CODING_UNKNOWN)
		return request_coding_not_taken(conn);
	if ((detail = events_no_room(conn)) != NULL)
		return request_problem(conn, 503, detail);
	if (conn->body_done)
		return request_body(conn);
	if (conn->req.expect_continue && answer_continue(&conn->out) == -1)
		return REQUEST_FAILED;
	return REQUEST_BODY;
}

/* The account of a batch. */
static enum request_next
events_account(struct conn *conn, const struct decode_reply *reply)
{
	struct buf *body = &conn->worker->scratch;
	struct answer_context ctx = request_context(conn, true);

	buf_clear(body);
	if (buf_printf(body, "{\"accepted\":%u,\"rejected\":%u,\"errors\":[",
		reply->accepted, reply->rejected) == -1 ||
	    buf_append(body, reply->errors.data, reply->errors.len) == -1 ||
	    buf_puts(body, "]}") == -1)
		return REQUEST_FAILED;
	return request_built(
	    answer_json(&conn->out, &ctx, 202, body->data, body->len));
}

static enum request_next
events_publish(struct conn *conn, const struct decode_reply *reply)
{
	enum request_next next = events_account(conn, reply);

	if (next != REQUEST_ANSWER || reply->rows_bytes == 0)
		return next;
	conn->position =
	    ring_writer_publish(&conn->worker->ring, reply->rows_bytes);
	return REQUEST_WAIT;
}

/* The text of a batch is there. */
static enum request_next
events_decode(struct conn *conn, const char *text, size_t len)
{
	struct worker *worker = conn->worker;
	struct decode_reply *reply = &worker->reply;
	const struct http_view *agent = &conn->req.headers[HTTP_USER_AGENT];
	struct decode_request request = {
	    .body = text,
	    .len = len,
	    .project = conn->keyed ? &conn->project : NULL,
	    .keys = worker->keys,
	    .agent = request_data(conn) + agent->at,
	    .agent_len = agent->len,
	    .received_at_us = timestamp_now(),
	};

	request.origin = request_origin(conn, &request.origin_len);
	request.rows = ring_writer_space(&worker->ring, &request.rows_size);
	switch (decode_batch(worker->decoder, &request, reply)) {
	case DECODE_OK:
		return events_publish(conn, reply);
	case DECODE_BAD:
		return request_problem(conn, 400, reply->fault);
	case DECODE_UNAUTHORIZED:
		return request_problem(conn, 401, key_needed);
	case DECODE_FORBIDDEN:
		return request_problem(
		    conn, 403, "the project does not allow this origin");
	case DECODE_FULL:
		break;
	}
	return request_problem(conn, 503, "too many events wait to be stored");
}

const char *
request_body_data(const struct conn *conn)
{
	return request_data(conn) + conn->req.head_bytes;
}

enum request_next
request_body(struct conn *conn)
{
	const char *body = request_body_data(conn);

	/* A beacon cannot set the header. */
	if (conn->coding == CODING_NONE &&
	    coding_is_gzip(body, conn->body_bytes))
		conn->coding = CODING_GZIP;
	if (conn->coding == CODING_NONE || conn->coding == CODING_IDENTITY)
		return events_decode(conn, body, conn->body_bytes);
	return REQUEST_INFLATE;
}

enum request_next
request_inflated(struct conn *conn, enum inflate_result result)
{
	const struct inflater *inflater = conn->worker->inflater;
	const char *text;
	size_t len;

	switch (result) {
	case INFLATE_DONE:
		text = inflate_text(inflater, &len);
		return events_decode(conn, text, len);
	case INFLATE_BAD:
		return request_problem(conn, 400, inflate_fault(inflater));
	case INFLATE_LONG:
		return request_problem(conn, 413, NULL);
	case INFLATE_NO_ROOM:
	case INFLATE_MORE:
		break;
	}
	return request_problem(conn, 503, "too many requests are being read");
}
