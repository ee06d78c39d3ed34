/* SPDX-License-Identifier: MIT */
/*
 * event.c - collects where the members of one event lie
 *
 * Runs while the scanner passes over the event, and notes what is wrong with
 * its structure.  Looks at no value: what a field takes and how it is stored is
 * event_row.c's.
 */
#include "worker/event.h"

#include <stdio.h>
#include <string.h>

#include "common/uuid.h"
#include "worker/json_text.h"

/* Longest name of an unknown member that an error repeats. */
#define NAME_SHOWN 64

/* Raw bytes that can stand for a field's name: all as \u escapes. */
#define NAME_RAW_MAX 256

/* In place of the name of what is wrong when that is the event as a whole. */
static const struct json_value nameless;

/* The gravest fault is told; of several such, the first. */
static void
note_structure(struct event *event, enum event_fault_kind kind, unsigned slot,
    const struct json_value *name)
{
	if (kind < event->structure) {
		event->structure = kind;
		event->structure_slot = slot;
		event->structure_name = *name;
	}
}

static inline void
note_flags(struct event *event, unsigned flags, unsigned slot,
    const struct json_value *name)
{
	if (!(flags & (JSON_DEEP | JSON_WIDE | JSON_NOT_UTF8))) {
		return;
	}
	if (flags & JSON_DEEP) {
		note_structure(event, EVENT_TOO_DEEP, slot, name);
	}
	if (flags & JSON_WIDE) {
		note_structure(event, EVENT_TOO_WIDE, slot, name);
	}
	if (flags & JSON_NOT_UTF8) {
		note_structure(event, EVENT_NOT_UTF8, slot, name);
	}
}

static unsigned
find_escaped(const struct field_names *names, const struct json_value *name)
{
	char text[NAME_RAW_MAX];

	if (name->len > sizeof(text) || (name->flags & JSON_NOT_UTF8)) {
		return FIELD_UNKNOWN;
	}
	return field_names_find(
	    names, text, json_unescape(text, name->at, name->len));
}

/*
 * Only what can become part of a row is kept: of an unsound event, nothing but
 * the fields, by which it is told.  So there is room for each.
 */
static void
collect_other(struct event *event, const struct json_value *name,
    const struct json_value *value)
{
	if (event->structure != EVENT_SOUND) {
		return;
	}
	event->others_escaped |= (name->flags & JSON_ESCAPED) != 0;
	event->others_null |= value->type == JSON_NULL;
	event->others[event->nothers].name = *name;
	event->others[event->nothers].value = *value;
	event->nothers++;
	if (!event->others_escaped) {
		event->nplain++;
	}
}

static void
collect_field(
    struct event *event, unsigned slot, const struct json_value *value)
{
	uint64_t *set = slot < FIELD_ALIAS ? &event->present : &event->aliased;
	uint64_t bit = 1ULL << (slot < FIELD_ALIAS ? slot : slot - FIELD_ALIAS);

	if (value->type == JSON_NULL) {
		*set &= ~bit;
		return;
	}
	*set |= bit;
	event->values[slot] = *value;
}

static void
collect(struct event *event, const struct field_names *names,
    const struct json_value *name, const struct json_value *value)
{
	unsigned slot = name->flags & JSON_ESCAPED
	    ? find_escaped(names, name)
	    : field_names_find(names, name->at, name->len);

	if (++event->nmembers > JSON_MEMBERS_MAX) {
		note_structure(event, EVENT_TOO_WIDE, FIELD_UNKNOWN, &nameless);
	}
	note_flags(event, name->flags, FIELD_UNKNOWN, name);
	note_flags(event, value->flags, slot, name);
	if (slot == FIELD_UNKNOWN) {
		collect_other(event, name, value);
	} else {
		collect_field(event, slot, value);
	}
}

/* --- nulls among the unknown members --- */

/* Any order will do in which the same names are neighbours. */
static int
compare_names(const struct event *event, uint16_t a, uint16_t b)
{
	const struct json_value *one = &event->others[a].name;
	const struct json_value *two = &event->others[b].name;

	if (one->len != two->len) {
		return one->len < two->len ? -1 : 1;
	}
	return memcmp(one->at, two->at, one->len);
}

/* The sorted halves [low, middle) and [middle, high) to one. */
static void
merge(const struct event *event, const uint16_t *from, uint16_t *to, size_t low,
    size_t middle, size_t high)
{
	size_t left = low, right = middle;

	for (size_t i = low; i < high; i++) {
		if (right == high ||
		    (left < middle &&
			compare_names(event, from[left], from[right]) <= 0)) {
			to[i] = from[left++];
		} else {
			to[i] = from[right++];
		}
	}
}

/*
 * The first nplain of the others by name, and of the same name in the order in
 * which they were sent: a merge sort, whose work no choice of names can drive
 * up, as it could a hash table's.
 */
static const uint16_t *
sort_names(const struct event *event, uint16_t order[2][JSON_MEMBERS_MAX])
{
	uint16_t *from = order[0];
	uint16_t *to = order[1];
	size_t n = event->nplain;

	for (size_t i = 0; i < n; i++) {
		from[i] = (uint16_t)i;
	}
	for (size_t width = 1; width < n; width *= 2) {
		uint16_t *sorted = to;

		for (size_t low = 0; low < n; low += 2 * width) {
			size_t middle = low + width < n ? low + width : n;
			size_t high = middle + width < n ? middle + width : n;

			merge(event, from, to, low, middle, high);
		}
		to = from;
		from = sorted;
	}
	return from;
}

/*
 * A null takes back what the same name said before.  From the first name on
 * that is spelt with escapes nulls are kept instead, and PostgreSQL, which
 * reads them, lets the last one win.
 */
static void
take_back_nulls(struct event *event)
{
	uint16_t order[2][JSON_MEMBERS_MAX];
	const uint16_t *sorted = sort_names(event, order);
	bool taken_back = false;

	for (size_t i = event->nplain; i-- > 0;) {
		struct event_other *other = &event->others[sorted[i]];

		if (i + 1 < event->nplain &&
		    compare_names(event, sorted[i], sorted[i + 1]) != 0) {
			taken_back = false;
		}
		taken_back |= other->value.type == JSON_NULL;
		if (taken_back) {
			other->value.at = NULL;
		}
	}
}

/* --- the event --- */

static void
reset(struct event *event)
{
	event->present = 0;
	event->aliased = 0;
	event->structure = EVENT_SOUND;
	event->nmembers = 0;
	event->nothers = 0;
	event->nplain = 0;
	event->others_escaped = false;
	event->others_null = false;
}

/* What lies between begin and here is too long already, or not yet. */
static void
note_length(struct event *event, const struct json *json, const char *begin,
    size_t max_bytes)
{
	event->bytes = (size_t)(json->at - begin);
	if (event->bytes > max_bytes) {
		note_structure(event, EVENT_TOO_LONG, FIELD_UNKNOWN, &nameless);
	}
}

static bool
scan_members(struct event *event, struct json *json,
    const struct field_names *names, size_t max_bytes)
{
	const char *begin = json->at;
	struct json_value name, value;
	bool more = json_enter(json, '}');

	while (more) {
		if (!json_name(json, &name) || !json_value(json, &value)) {
			return false;
		}
		note_length(event, json, begin, max_bytes);
		collect(event, names, &name, &value);
		if (!json_next(json, '}', &more)) {
			return false;
		}
	}
	return true;
}

bool
event_scan(struct event *event, struct json *json,
    const struct field_names *names, size_t max_bytes)
{
	const char *begin = json->at;
	struct json_value other;

	reset(event);
	if (json->at < json->end && *json->at == '{') {
		if (!scan_members(event, json, names, max_bytes)) {
			return false;
		}
	} else {
		if (!json_value(json, &other)) {
			return false;
		}
		note_structure(
		    event, EVENT_NOT_OBJECT, FIELD_UNKNOWN, &nameless);
	}
	note_length(event, json, begin, max_bytes);
	if (event->others_null && event->structure == EVENT_SOUND) {
		take_back_nulls(event);
	}
	return true;
}

const struct json_value *
event_value(const struct event *event, enum field_id id)
{
	if (event->present >> id & 1) {
		return &event->values[id];
	}
	if (event->aliased >> id & 1) {
		return &event->values[FIELD_ALIAS + id];
	}
	return NULL;
}

bool
event_is_identifier(const struct json_value *value)
{
	return value->type == JSON_STRING ||
	    (value->type == JSON_NUMBER && !(value->flags & JSON_NOT_WHOLE));
}

const char *
event_identifier(
    const struct json_value *value, char scratch[EVENT_ID_RAW], size_t *len)
{
	const char *text = value->at;

	if (!event_is_identifier(value) || (value->flags & JSON_NOT_UTF8) ||
	    value->len > EVENT_ID_RAW) {
		return NULL;
	}
	*len = value->len;
	if (value->flags & JSON_ESCAPED) {
		*len = json_unescape(scratch, value->at, value->len);
		text = scratch;
	}
	if (*len > EVENT_ID_CHARS &&
	    json_count_chars(text, *len) > EVENT_ID_CHARS) {
		return NULL;
	}
	return text;
}

bool
event_names_differ(const struct event *event, enum field_id id)
{
	char scratch[2][EVENT_ID_RAW];
	uint8_t uuid[2][UUID_BYTES];
	const char *a, *b;
	size_t a_len, b_len;

	if (!(event->present & event->aliased & 1ULL << id)) {
		return false;
	}
	a = event_identifier(&event->values[id], scratch[0], &a_len);
	b = event_identifier(
	    &event->values[FIELD_ALIAS + id], scratch[1], &b_len);
	if (a == NULL || b == NULL) {
		return true;
	}
	if (a_len == b_len && memcmp(a, b, a_len) == 0) {
		return false;
	}
	return !uuid_parse(a, a_len, uuid[0]) ||
	    !uuid_parse(b, b_len, uuid[1]) ||
	    memcmp(uuid[0], uuid[1], UUID_BYTES) != 0;
}

const char *
event_field_name(const struct event *event, enum field_id id)
{
	bool alias = !(event->present >> id & 1) && (event->aliased >> id & 1);

	return field_slot_name(alias ? FIELD_ALIAS + id : id);
}

void
event_name_fault(struct event_fault *fault, const struct json_value *name)
{
	if (name->len == 0 || name->len > NAME_SHOWN ||
	    (name->flags & JSON_NOT_UTF8)) {
		(void)snprintf(fault->field, sizeof(fault->field), "event");
		return;
	}
	fault->field[json_unescape(fault->field, name->at, name->len)] = '\0';
}

void
event_tell_structure(
    const struct event *event, size_t max_bytes, struct event_fault *fault)
{
	if (event->structure_slot == FIELD_UNKNOWN) {
		event_name_fault(fault, &event->structure_name);
	} else {
		(void)snprintf(fault->field, sizeof(fault->field), "%s",
		    field_slot_name(event->structure_slot));
	}
	switch (event->structure) {
	case EVENT_NOT_OBJECT:
		(void)snprintf(fault->why, sizeof(fault->why), "not an object");
		break;
	case EVENT_TOO_LONG:
		(void)snprintf(fault->why, sizeof(fault->why),
		    "longer than %zu bytes", max_bytes);
		break;
	case EVENT_TOO_DEEP:
		(void)snprintf(fault->why, sizeof(fault->why),
		    "nested deeper than %d", JSON_DEPTH_MAX);
		break;
	case EVENT_TOO_WIDE:
		(void)snprintf(fault->why, sizeof(fault->why),
		    "more than %d members", JSON_MEMBERS_MAX);
		break;
	case EVENT_NOT_UTF8:
		(void)snprintf(
		    fault->why, sizeof(fault->why), "not valid UTF-8");
		break;
	case EVENT_SOUND:
		break;
	}
}
