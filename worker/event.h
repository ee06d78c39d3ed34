/* SPDX-License-Identifier: MIT */
/*
 * event.h - one event's members, as views into the body
 *
 * Runs in   worker; pure
 * Owns      nothing; the views live as long as the body
 * Promises  no allocation; the last of duplicate members wins; null is absent;
 *           n log n comparisons of names at most, and none of an unsound event
 * Failure   false: the JSON is broken, json->fault says how.  What is wrong
 *           with the event alone is in fault.
 * Tests     t/unit/decode_test.c
 */
#ifndef PGD_WORKER_EVENT_H
#define PGD_WORKER_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/event_fields.h"
#include "worker/field_names.h"
#include "worker/json.h"

/* In the order in which one is told before another. */
enum event_fault_kind {
	EVENT_NOT_OBJECT,
	EVENT_TOO_LONG,
	EVENT_TOO_DEEP,
	EVENT_TOO_WIDE,
	EVENT_NOT_UTF8,
	EVENT_SOUND, /* as to its structure */
};

/* Why an event is rejected: field, and "field: why" as the client reads it. */
struct event_fault {
	char field[72];
	char why[320];
};

struct event_other {
	struct json_value name;
	struct json_value value; /* at NULL: taken back */
};

struct event {
	size_t bytes;     /* of JSON text */
	uint64_t present; /* fields given by their wire name */
	uint64_t aliased; /* fields given by their alias */
	enum event_fault_kind structure;
	unsigned structure_slot;          /* of which member, */
	struct json_value structure_name; /* when FIELD_UNKNOWN this one */
	size_t nmembers;
	size_t nothers;
	bool others_escaped; /* a name of theirs has a backslash */
	bool others_null;    /* a value of theirs is null */
	size_t nplain;       /* others before the first name that has */
	struct json_value values[FIELD_SLOTS];
	struct event_other others[JSON_MEMBERS_MAX];
};

/* Any value; json->at is at its first byte and ends behind its last. */
bool event_scan(struct event *, struct json *, const struct field_names *,
    size_t max_bytes);

/* The value of a field under either name; NULL when it has none. */
const struct json_value *event_value(const struct event *, enum field_id);

/* A field was given by both its names, and not the same. */
bool event_names_differ(const struct event *, enum field_id);

/* Longest raw text of an identifier: all of it in escaped pairs. */
#define EVENT_ID_CHARS 255
#define EVENT_ID_RAW (EVENT_ID_CHARS * 12)

bool event_is_identifier(const struct json_value *);

/*
 * The text of an identifier of at most EVENT_ID_CHARS, in the body or, when it
 * had escapes, in scratch.  NULL when the value is none.
 */
const char *event_identifier(
    const struct json_value *, char scratch[EVENT_ID_RAW], size_t *len);

/* The name under which the client sent a field, or would have. */
const char *event_field_name(const struct event *, enum field_id);

/* Names an unknown member in a fault, or the event when that cannot be. */
void event_name_fault(struct event_fault *, const struct json_value *name);

/* Tells the structure's fault. */
void event_tell_structure(
    const struct event *, size_t max_bytes, struct event_fault *);

#endif
