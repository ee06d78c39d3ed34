/* SPDX-License-Identifier: MIT */
/*
 * event_row.c - from an event's views to a tuple
 *
 * PostgreSQL's binary COPY tuple, that is.  Each kind of field has one
 * function, which checks the value, coerces it where nothing is lost and writes
 * it straight into the ring's memory.  Whose project it is has been decided
 * before; where the row goes and what becomes of it is not asked.
 */
#include "worker/event_row.h"

#include <endian.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/row.h"
#include "common/timestamp.h"
#include "worker/json_number.h"
#include "worker/json_text.h"

/* Longest text that is worth unescaping to see a number or a time in it. */
#define SCALAR_TEXT_MAX 1024

struct writer {
	const struct event *event;
	const struct event_context *context;
	struct event_fault *fault;
	uint8_t *at;
	bool has_client_time;
	int64_t client_time_us;
};

/* --- values as PostgreSQL receives them --- */

static void
put_length(uint8_t *at, size_t length)
{
	uint32_t n = htobe32((uint32_t)length);

	memcpy(at, &n, sizeof(n));
}

static void
put_int64(struct writer *w, int64_t value)
{
	uint64_t n = htobe64((uint64_t)value);

	put_length(w->at, sizeof(n));
	memcpy(w->at + 4, &n, sizeof(n));
	w->at += 4 + sizeof(n);
}

static void
put_int32(struct writer *w, int32_t value)
{
	put_length(w->at, sizeof(value));
	put_length(w->at + 4, (uint32_t)value);
	w->at += 4 + sizeof(value);
}

static void
put_real(struct writer *w, double value)
{
	int64_t bits;

	_Static_assert(sizeof(bits) == sizeof(value), "IEEE 754 double");
	memcpy(&bits, &value, sizeof(bits));
	put_int64(w, bits);
}

static void
put_uuid(struct writer *w, const uint8_t uuid[UUID_BYTES])
{
	put_length(w->at, UUID_BYTES);
	memcpy(w->at + 4, uuid, UUID_BYTES);
	w->at += 4 + UUID_BYTES;
}

/* Nulls for n fields: lengths of -1.  Few at a time, so no memset(). */
static void
put_nulls(struct writer *w, size_t n)
{
	static const int32_t null = -1;

	while (n-- > 0) {
		memcpy(w->at, &null, sizeof(null));
		w->at += sizeof(null);
	}
}

/*
 * Short text, which nearly all is, is moved in two steps of fixed size when the
 * body has as many bytes.  They may write up to 32 bytes too many, for which
 * ROW_OVERHEAD_MAX has room: text uses none of its 16 bytes per field.
 */
static size_t
copy_text(const struct writer *w, uint8_t *to, const char *from, size_t len)
{
	_Static_assert(ROW_OVERHEAD_MAX > 1024, "room to write beyond text");

	if (len <= 32 && w->context->body_end - from >= 32) {
		memcpy(to, from, 16);
		memcpy(to + 16, from + 16, 16);
	} else {
		memcpy(to, from, len);
	}
	return len;
}

/* JSON text as sent, but for what PostgreSQL cannot store. */
static size_t
copy_json(const struct writer *w, uint8_t *to, const struct json_value *value)
{
	size_t len;
	const char *from = json_text(value, &len);

	if (value->flags & JSON_REPLACED) {
		return json_copy_replacing((char *)to, from, len);
	}
	return copy_text(w, to, from, len);
}

static size_t
copy_string(const struct writer *w, uint8_t *to, const struct json_value *value)
{
	if (value->flags & JSON_ESCAPED) {
		return json_unescape((char *)to, value->at, value->len);
	}
	return copy_text(w, to, value->at, value->len);
}

/* --- faults --- */

static bool PRINTF_LIKE(3, 4)
    fail(struct writer *w, enum field_id id, const char *fmt, ...)
{
	struct event_fault *fault = w->fault;
	va_list ap;

	(void)snprintf(fault->field, sizeof(fault->field), "%s",
	    event_field_name(w->event, id));
	va_start(ap, fmt);
	(void)vsnprintf(fault->why, sizeof(fault->why), fmt, ap);
	va_end(ap);
	return false;
}

/* --- one function per kind --- */

/* Text was written behind the place of its length: is it as it should be? */
static bool
end_text(struct writer *w, enum field_id id, size_t len)
{
	const struct field *f = &event_fields[id];

	if (len == 0 && f->need == NEED_REQUIRED) {
		return fail(w, id, "must not be empty");
	}
	if (f->max_chars > 0 && len > f->max_chars &&
	    json_count_chars((char *)w->at + 4, len) > f->max_chars) {
		return fail(w, id, "longer than %u characters", f->max_chars);
	}
	put_length(w->at, len);
	w->at += 4 + len;
	return true;
}

static bool
write_text(struct writer *w, enum field_id id, const struct json_value *value)
{
	if (value->type == JSON_STRING) {
		return end_text(w, id, copy_string(w, w->at + 4, value));
	}
	if (value->flags & JSON_FAR) {
		return fail(w, id, "number out of range");
	}
	return end_text(w, id, copy_json(w, w->at + 4, value));
}

static bool
write_id(struct writer *w, enum field_id id, const struct json_value *value)
{
	if (!event_is_identifier(value)) {
		return fail(w, id, "not a string or an integer");
	}
	return write_text(w, id, value);
}

/* page_view is page.view. */
static bool
is_type(const char *type, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (type[i] != text[i] && (type[i] != '.' || text[i] != '_')) {
			return false;
		}
	}
	return type[len] == '\0';
}

static const char *
find_type(const char *text, size_t len)
{
	for (size_t i = 0; event_types[i] != NULL; i++) {
		if (is_type(event_types[i], text, len)) {
			return event_types[i];
		}
	}
	return NULL;
}

static bool
write_type(struct writer *w, enum field_id id, const struct json_value *value)
{
	char *text = (char *)w->at + 4;
	const char *type;
	size_t len;

	if (value->type != JSON_STRING) {
		return fail(w, id, "not a string");
	}
	if (!write_text(w, id, value)) {
		return false;
	}
	len = (size_t)((char *)w->at - text);
	type = find_type(text, len);
	if (type != NULL) {
		memcpy(text, type, len);
	} else if (w->context->cfg->unknown_event_types == CFG_UNKNOWN_REJECT) {
		return fail(w, id,
		    "unknown type \"%.*s\"; use \"custom\" with event.name",
		    (int)len, text);
	}
	return true;
}

/*
 * The bytes of a scalar that may be wrapped in a string.  NULL when it is so
 * long that it can be none.
 */
static const char *
scalar_text(
    const struct json_value *value, char scratch[SCALAR_TEXT_MAX], size_t *len)
{
	*len = value->len;
	if (!(value->flags & JSON_ESCAPED)) {
		return value->at;
	}
	if (value->len > SCALAR_TEXT_MAX) {
		return NULL;
	}
	*len = json_unescape(scratch, value->at, value->len);
	return scratch;
}

/* A number, or a string that is one; NULL for anything else. */
static const char *
number_text(const struct json_value *value, char scratch[SCALAR_TEXT_MAX],
    size_t *len, unsigned *flags)
{
	const char *text;

	*flags = value->flags;
	if (value->type == JSON_NUMBER) {
		*len = value->len;
		return value->at;
	}
	if (value->type != JSON_STRING) {
		return NULL;
	}
	text = scalar_text(value, scratch, len);
	if (text == NULL ||
	    json_number_end(text, text + *len, flags) != text + *len) {
		return NULL;
	}
	return text;
}

static bool
read_int(struct writer *w, enum field_id id, const struct json_value *value,
    int64_t *out)
{
	char scratch[SCALAR_TEXT_MAX];
	unsigned flags;
	size_t len;
	const char *text = number_text(value, scratch, &len, &flags);

	if (text == NULL) {
		return fail(w, id, "not an integer");
	}
	if (flags & JSON_FAR) {
		return fail(w, id, "out of range");
	}
	switch (json_number_int(text, len, out)) {
	case JSON_NUMBER_OK:
		return true;
	case JSON_NUMBER_NOT_WHOLE:
		return fail(w, id, "not an integer");
	case JSON_NUMBER_RANGE:
		break;
	}
	return fail(w, id, "out of range");
}

static bool
write_int8(struct writer *w, enum field_id id, const struct json_value *value)
{
	int64_t n = 0;

	if (!read_int(w, id, value, &n)) {
		return false;
	}
	put_int64(w, n);
	return true;
}

static bool
write_int4(struct writer *w, enum field_id id, const struct json_value *value)
{
	int64_t n = 0;

	if (!read_int(w, id, value, &n)) {
		return false;
	}
	if (n < INT32_MIN || n > INT32_MAX) {
		return fail(w, id, "out of range");
	}
	put_int32(w, (int32_t)n);
	return true;
}

static bool
write_real(struct writer *w, enum field_id id, const struct json_value *value)
{
	char scratch[SCALAR_TEXT_MAX];
	unsigned flags;
	size_t len;
	double real;
	const char *text = number_text(value, scratch, &len, &flags);

	if (text == NULL) {
		return fail(w, id, "not a number");
	}
	if ((flags & JSON_FAR) || !json_number_real(text, len, &real)) {
		return fail(w, id, "out of range");
	}
	put_real(w, real);
	return true;
}

/* The event's time; what lies too far off is kept beside the receipt's. */
static bool
write_time(struct writer *w, enum field_id id, const struct json_value *value)
{
	const struct event_context *c = w->context;
	char scratch[SCALAR_TEXT_MAX];
	const char *text, *why;
	size_t len;
	int64_t us, ahead;

	if (value->type != JSON_STRING) {
		return fail(w, id, "not a string");
	}
	text = scalar_text(value, scratch, &len);
	why =
	    text == NULL ? "not a timestamp" : timestamp_parse(text, len, &us);
	if (why != NULL) {
		return fail(w, id, "%s", why);
	}
	/* the years timestamp_parse() reads are far from overflowing this */
	ahead = us - c->received_at_us;
	if (ahead > (int64_t)c->cfg->max_clock_ahead_ms * 1000 ||
	    ahead < -(int64_t)c->cfg->max_event_age_ms * 1000) {
		w->has_client_time = true;
		w->client_time_us = us;
		us = c->received_at_us;
	}
	put_int64(w, us);
	return true;
}

static void
end_jsonb(struct writer *w, size_t len)
{
	w->at[4] = 1; /* the version of its send format */
	put_length(w->at, 1 + len);
	w->at += 4 + 1 + len;
}

static bool
write_object(struct writer *w, enum field_id id, const struct json_value *value)
{
	if (value->type != JSON_OBJECT) {
		return fail(w, id, "not an object");
	}
	if (value->flags & JSON_FAR) {
		return fail(w, id, "number out of range");
	}
	end_jsonb(w, copy_json(w, w->at + 5, value));
	return true;
}

static bool
write_rest(struct writer *w)
{
	const struct event *event = w->event;
	uint8_t *begin = w->at + 5;
	uint8_t *at = begin;

	for (size_t i = 0; i < event->nothers; i++) {
		const struct event_other *other = &event->others[i];

		if (other->value.at == NULL) {
			continue;
		}
		if (other->value.flags & JSON_FAR) {
			event_name_fault(w->fault, &other->name);
			(void)snprintf(w->fault->why, sizeof(w->fault->why),
			    "number out of range");
			return false;
		}
		*at = at == begin ? '{' : ',';
		at++;
		at += copy_json(w, at, &other->name);
		*at++ = ':';
		at += copy_json(w, at, &other->value);
	}
	if (at == begin) {
		put_nulls(w, 1);
		return true;
	}
	*at++ = '}';
	end_jsonb(w, (size_t)(at - begin));
	return true;
}

/* --- the row --- */

static bool
is_project(const struct project *project, const char *name, size_t len)
{
	uint8_t uuid[UUID_BYTES];

	if (project == NULL) {
		return false;
	}
	if (len == project->slug_len && memcmp(name, project->slug, len) == 0) {
		return true;
	}
	return uuid_parse(name, len, uuid) &&
	    memcmp(uuid, project->id, UUID_BYTES) == 0;
}

static bool
write_project(
    struct writer *w, enum field_id id, const struct json_value *value)
{
	char scratch[EVENT_ID_RAW];
	const char *name;
	size_t len;

	if (!event_is_identifier(value)) {
		return fail(w, id, "not a string or an integer");
	}
	name = event_identifier(value, scratch, &len);
	if (name == NULL) {
		return fail(w, id, "longer than %d characters", EVENT_ID_CHARS);
	}
	if (len == 0) {
		return fail(w, id, "must not be empty");
	}
	if (!is_project(w->context->project, name, len)) {
		return fail(w, id, "%s", w->context->not_the_project);
	}
	put_uuid(w, w->context->project->id);
	return true;
}

/* What the server knows and no client says. */
static bool
write_server_field(struct writer *w, enum field_id id)
{
	switch (id) {
	case FIELD_ORG_ID:
		/* without a project, the next field says why there is none */
		if (w->context->project != NULL) {
			put_uuid(w, w->context->project->org_id);
		}
		return true;
	case FIELD_RECEIVED_AT:
		put_int64(w, w->context->received_at_us);
		return true;
	case FIELD_SESSION_KEY:
		/* the aggregator's to fill in, at ROW_SESSION_KEY_AT */
		put_int64(w, 0);
		return true;
	case FIELD_CLIENT_TIMESTAMP:
		if (w->has_client_time) {
			put_int64(w, w->client_time_us);
		} else {
			put_nulls(w, 1);
		}
		return true;
	default: /* FIELD_ATTRIBUTES */
		return write_rest(w);
	}
}

static bool
write_value(struct writer *w, enum field_id id, const struct json_value *value)
{
	switch (event_fields[id].kind) {
	case KIND_UUID:
		return write_project(w, id, value);
	case KIND_TIME:
		return write_time(w, id, value);
	case KIND_ID:
		return write_id(w, id, value);
	case KIND_TEXT:
		return write_text(w, id, value);
	case KIND_TYPE:
		return write_type(w, id, value);
	case KIND_INT4:
		return write_int4(w, id, value);
	case KIND_INT8:
		return write_int8(w, id, value);
	case KIND_REAL:
		return write_real(w, id, value);
	default: /* KIND_OBJECT: the rest is the server's */
		return write_object(w, id, value);
	}
}

static bool
write_field(struct writer *w, enum field_id id)
{
	const struct json_value *value;

	if (event_fields[id].need == NEED_SERVER) {
		return write_server_field(w, id);
	}
	value = event_value(w->event, id);
	if (value == NULL) {
		return fail(w, id, "required");
	}
	if (w->event->aliased != 0 && event_names_differ(w->event, id)) {
		(void)fail(w, id, "differs from %s", event_fields[id].wire);
		(void)snprintf(w->fault->field, sizeof(w->fault->field), "%s",
		    event_fields[id].alias);
		return false;
	}
	return write_value(w, id, value);
}

/* Fields that a row says something of, whatever the client sent. */
static const uint64_t always =
#define NEED_BIT_SERVER 1
#define NEED_BIT_REQUIRED 1
#define NEED_BIT_OPTIONAL 0
#define FIELD(id, wire, alias, column, kind, need, max_chars, doc)             \
	(uint64_t) NEED_BIT_##need << FIELD_##id |
#include "common/event_fields.def"
    0;

bool
event_write_row(const struct event *event, const struct event_context *context,
    uint8_t *row, size_t *bytes, struct event_fault *fault)
{
	struct row_head head = {0, 0};
	uint16_t count = htobe16(FIELD_COUNT);
	uint8_t *tuple = row + sizeof(head);
	struct writer w = {event, context, fault, tuple, false, 0};
	uint64_t left = event->present | event->aliased | always;
	unsigned next = 0;

	memcpy(w.at, &count, sizeof(count));
	w.at += sizeof(count);
	while (left != 0) {
		unsigned id = (unsigned)__builtin_ctzll(left);

		left &= left - 1;
		put_nulls(&w, id - next);
		if (!write_field(&w, (enum field_id)id)) {
			return false;
		}
		next = id + 1;
	}
	put_nulls(&w, FIELD_COUNT - next);
	head.tuple_bytes = (uint32_t)(w.at - tuple);
	memcpy(row, &head, sizeof(head));
	*bytes = ROW_ALIGN(sizeof(head) + head.tuple_bytes);
	memset(w.at, 0, *bytes - sizeof(head) - head.tuple_bytes);
	return true;
}
