/* SPDX-License-Identifier: MIT */
/*
 * decode.c - a body, from its first byte to its last
 *
 * Finds the events in it, lets each be collected and written, and keeps the
 * account of what became of it.  Here it is decided what costs the whole batch:
 * broken JSON, too many events, and without a key the project that the first
 * event names.  What is inside an event is event.c's and event_row.c's.
 */
#include "worker/decode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/row.h"
#include "worker/event.h"
#include "worker/event_row.h"
#include "worker/field_names.h"
#include "worker/json.h"
#include "worker/json_text.h"

/* Bytes of an identifier at most. */
#define NAME_MAX_BYTES (EVENT_ID_CHARS * 4)

/* The project last looked up, since that walks them all. */
struct lookup {
	char name[NAME_MAX_BYTES];
	size_t len; /* 0: none yet */
	bool found;
	struct project project;
};

struct decoder {
	const struct cfg *cfg;
	struct json json;
	struct field_names names;
	struct event event;
	struct event_fault fault;
	struct lookup lookup;
};

/* What became of the last "events" seen. */
enum events_state {
	EVENTS_MISSING,
	EVENTS_NOT_ARRAY,
	EVENTS_READ,
};

struct batch {
	struct decoder *decoder;
	const struct decode_request *request;
	struct decode_reply *reply;
	struct event_context context;
	size_t agent_bytes;
	size_t rows_at; /* behind the record's head */
	enum events_state state;
	uint32_t nevents; /* of all "events" together */
	/*
	 * Without a key, the project may turn out to be refused.  The verdict
	 * stands at the end only: what follows may break the JSON, or be
	 * another "events", which wins.
	 */
	enum decode_result verdict;
};

struct decoder *
decoder_create(const struct cfg *cfg)
{
	struct decoder *decoder = calloc(1, sizeof(*decoder));

	if (decoder == NULL) {
		return NULL;
	}
	if (!field_names_init(&decoder->names)) {
		free(decoder);
		return NULL;
	}
	decoder->cfg = cfg;
	json_init(&decoder->json);
	return decoder;
}

void
decoder_destroy(struct decoder *decoder)
{
	if (decoder == NULL) {
		return;
	}
	json_fini(&decoder->json);
	free(decoder);
}

static enum decode_result PRINTF_LIKE(2, 3)
    bad(struct batch *batch, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(
	    batch->reply->fault, sizeof(batch->reply->fault), fmt, ap);
	va_end(ap);
	return DECODE_BAD;
}

/* The scanner gave up. */
static enum decode_result
broken(struct batch *batch)
{
	const struct json *json = &batch->decoder->json;

	if (json->no_memory) {
		return DECODE_FULL;
	}
	return bad(batch, "invalid JSON at byte %zu: %s",
	    (size_t)(json->at - json->begin), json->fault);
}

/* Text outside any event has no event to be the fault of. */
static bool
is_utf8(struct batch *batch, const struct json_value *value)
{
	if (!(value->flags & JSON_NOT_UTF8)) {
		return true;
	}
	return json_fail(
	    &batch->decoder->json, value->at, "not valid UTF-8 behind it");
}

/* --- the account --- */

static int
put_event_id(struct buf *out, const struct event *event)
{
	char scratch[EVENT_ID_RAW];
	const struct json_value *value = NULL;
	const char *id = NULL;
	size_t len = 0;

	if (event->structure != EVENT_NOT_OBJECT) {
		value = event_value(event, FIELD_EVENT_ID);
	}
	if (value != NULL) {
		id = event_identifier(value, scratch, &len);
	}
	if (id == NULL || len == 0) {
		return buf_puts(out, "null");
	}
	return buf_json_string(out, id, len);
}

static enum decode_result
reject(struct batch *batch)
{
	struct decode_reply *reply = batch->reply;
	const struct event_fault *fault = &batch->decoder->fault;
	struct buf *out = &reply->errors;
	char text[sizeof(fault->field) + sizeof(fault->why) + 2];

	(void)snprintf(text, sizeof(text), "%s: %s", fault->field, fault->why);
	if (buf_printf(out, "%s{\"index\":%u,\"event_id\":",
		reply->rejected == 0 ? "" : ",",
		reply->accepted + reply->rejected) != 0 ||
	    put_event_id(out, &batch->decoder->event) != 0 ||
	    buf_puts(out, ",\"field\":") != 0 ||
	    buf_json_string(out, fault->field, strlen(fault->field)) != 0 ||
	    buf_puts(out, ",\"error\":") != 0 ||
	    buf_json_string(out, text, strlen(text)) != 0 ||
	    buf_puts(out, "}") != 0) {
		return DECODE_FULL;
	}
	reply->rejected++;
	return DECODE_OK;
}

/* --- the project --- */

/* By the same name as before nothing is looked up. */
static const struct lookup *
look_up(const struct batch *batch, const char *name, size_t len)
{
	const struct decode_request *request = batch->request;
	struct lookup *lookup = &batch->decoder->lookup;

	if (len != lookup->len || memcmp(name, lookup->name, len) != 0) {
		memcpy(lookup->name, name, len);
		lookup->len = len;
		lookup->found = keytable_find_project(request->keys, name, len,
				    request->origin, request->origin_len,
				    &lookup->project) == KEYTABLE_FOUND;
	}
	return lookup;
}

/*
 * Without a key the first event that names a project decides whether the batch
 * is taken.
 */
static void
find_project(struct batch *batch)
{
	const struct event *event = &batch->decoder->event;
	struct project *project = &batch->reply->project;
	const struct json_value *value;
	const struct lookup *lookup;
	char scratch[EVENT_ID_RAW];
	const char *name = NULL;
	size_t len = 0;

	if (event->structure == EVENT_NOT_OBJECT ||
	    event_names_differ(event, FIELD_PROJECT_ID)) {
		return;
	}
	value = event_value(event, FIELD_PROJECT_ID);
	if (value != NULL) {
		name = event_identifier(value, scratch, &len);
	}
	if (name == NULL || len == 0) {
		return;
	}
	lookup = look_up(batch, name, len);
	if (lookup->found) {
		*project = lookup->project;
	}
	if (!lookup->found || project->require_api_key) {
		batch->verdict = DECODE_UNAUTHORIZED;
		return;
	}
	if (!project->origin_allowed) {
		batch->verdict = DECODE_FORBIDDEN;
		return;
	}
	batch->context.project = project;
}

/* --- events --- */

static enum decode_result
take_event(struct batch *batch)
{
	struct decoder *decoder = batch->decoder;
	struct decode_reply *reply = batch->reply;
	size_t bytes;

	if (decoder->event.structure != EVENT_SOUND) {
		event_tell_structure(
		    &decoder->event, decoder->cfg->max_event, &decoder->fault);
		return reject(batch);
	}
	if (batch->request->rows_size <
	    reply->rows_bytes + decoder->event.bytes + ROW_OVERHEAD_MAX) {
		return DECODE_FULL;
	}
	if (!event_write_row(&decoder->event, &batch->context,
		batch->request->rows + reply->rows_bytes, &bytes,
		&decoder->fault)) {
		return reject(batch);
	}
	reply->rows_bytes += bytes;
	reply->accepted++;
	return DECODE_OK;
}

static enum decode_result
read_event(struct batch *batch)
{
	struct decoder *decoder = batch->decoder;

	/* each costs its reading, whether or not its "events" is the last */
	if (batch->nevents++ == decoder->cfg->max_events) {
		return bad(
		    batch, "more than %u events", decoder->cfg->max_events);
	}
	if (!event_scan(&decoder->event, &decoder->json, &decoder->names,
		decoder->cfg->max_event)) {
		return broken(batch);
	}
	if (batch->context.project == NULL && batch->verdict == DECODE_OK) {
		find_project(batch);
	}
	return batch->verdict == DECODE_OK ? take_event(batch) : DECODE_OK;
}

/* Forgets what an earlier "events" brought. */
static void
start_over(struct batch *batch)
{
	struct decode_reply *reply = batch->reply;

	reply->rows_bytes = batch->rows_at;
	reply->accepted = 0;
	reply->rejected = 0;
	buf_clear(&reply->errors);
	memset(&reply->project, 0, sizeof(reply->project));
	if (batch->request->project != NULL) {
		reply->project = *batch->request->project;
	}
	batch->context.project = batch->request->project;
	batch->verdict = DECODE_OK;
}

static enum decode_result
read_events(struct batch *batch)
{
	struct json *json = &batch->decoder->json;
	struct json_value other;
	enum decode_result result;
	bool more;

	start_over(batch);
	if (json->at == json->end || *json->at != '[') {
		batch->state = EVENTS_NOT_ARRAY;
		return json_value(json, &other) && is_utf8(batch, &other)
		    ? DECODE_OK
		    : broken(batch);
	}
	batch->state = EVENTS_READ;
	more = json_enter(json, ']');
	while (more) {
		result = read_event(batch);
		if (result != DECODE_OK) {
			return result;
		}
		if (!json_next(json, ']', &more)) {
			return broken(batch);
		}
	}
	return DECODE_OK;
}

/* --- the body --- */

static bool
is_events(const struct json_value *name)
{
	static const char events[] = "events";
	char text[6 * sizeof(events)];
	size_t len = name->len;

	if (!(name->flags & JSON_ESCAPED)) {
		return len == sizeof(events) - 1 &&
		    memcmp(name->at, events, len) == 0;
	}
	if (len > sizeof(text)) {
		return false;
	}
	len = json_unescape(text, name->at, len);
	return len == sizeof(events) - 1 && memcmp(text, events, len) == 0;
}

static enum decode_result
read_member(struct batch *batch)
{
	struct json *json = &batch->decoder->json;
	struct json_value name, other;

	if (!json_name(json, &name) || !is_utf8(batch, &name)) {
		return broken(batch);
	}
	if (is_events(&name)) {
		return read_events(batch);
	}
	if (!json_value(json, &other) || !is_utf8(batch, &other)) {
		return broken(batch);
	}
	return DECODE_OK;
}

static enum decode_result
read_top(struct batch *batch)
{
	struct json *json = &batch->decoder->json;
	enum decode_result result;
	bool more = json_enter(json, '}');

	while (more) {
		result = read_member(batch);
		if (result != DECODE_OK) {
			return result;
		}
		if (!json_next(json, '}', &more)) {
			return broken(batch);
		}
	}
	return DECODE_OK;
}

/* RFC 8259, section 8.1: none may be added, and none is taken. */
static bool
request_has_mark(const struct decode_request *request)
{
	return request->len >= 3 &&
	    memcmp(request->body, "\xef\xbb\xbf", 3) == 0;
}

static enum decode_result
read_body(struct batch *batch)
{
	struct json *json = &batch->decoder->json;
	struct json_value other;
	enum decode_result result = DECODE_OK;
	bool object;

	if (request_has_mark(batch->request)) {
		(void)json_fail(json, json->at, "a byte order mark");
		return broken(batch);
	}
	json_space(json);
	object = json->at < json->end && *json->at == '{';
	if (object) {
		result = read_top(batch);
	} else if (!json_value(json, &other)) {
		result = broken(batch);
	}
	if (result != DECODE_OK) {
		return result;
	}
	json_space(json);
	if (json->at < json->end) {
		(void)json_fail(json, json->at, "something behind the end");
		return broken(batch);
	}
	return object ? DECODE_OK : bad(batch, "the body is not an object");
}

static enum decode_result
conclude(struct batch *batch)
{
	const struct decode_reply *reply = batch->reply;

	if (batch->state == EVENTS_MISSING) {
		return bad(batch, "\"events\" is missing");
	}
	if (batch->state == EVENTS_NOT_ARRAY) {
		return bad(batch, "\"events\" is not an array");
	}
	if (batch->verdict == DECODE_OK && batch->context.project == NULL &&
	    reply->accepted + reply->rejected > 0) {
		return DECODE_UNAUTHORIZED;
	}
	return batch->verdict;
}

/* The record's head; no record without a row. */
static void
finish_record(struct batch *batch)
{
	static const uint8_t no_key[UUID_BYTES];
	const struct decode_request *request = batch->request;
	struct decode_reply *reply = batch->reply;

	if (reply->accepted == 0) {
		reply->rows_bytes = 0;
		return;
	}
	record_write_head(request->rows,
	    request->project != NULL ? request->project->key_id : no_key,
	    request->agent, batch->agent_bytes);
}

enum decode_result
decode_batch(struct decoder *decoder, const struct decode_request *request,
    struct decode_reply *reply)
{
	struct batch batch;
	enum decode_result result;

	memset(&batch, 0, sizeof(batch));
	batch.decoder = decoder;
	batch.request = request;
	batch.reply = reply;
	batch.context.cfg = decoder->cfg;
	batch.context.received_at_us = request->received_at_us;
	batch.context.body_end = request->body + request->len;
	batch.context.not_the_project = request->project != NULL
	    ? "not the project of this API key"
	    : "not the project of this batch";
	batch.agent_bytes =
	    record_agent_bytes(request->agent, request->agent_len);
	batch.rows_at = RECORD_ROWS_AT(batch.agent_bytes);
	reply->fault[0] = '\0';
	decoder->lookup.len = 0;
	start_over(&batch);
	json_start(&decoder->json, request->body, request->len);
	result = read_body(&batch);
	if (result == DECODE_OK) {
		result = conclude(&batch);
	}
	finish_record(&batch);
	return result;
}
