/* SPDX-License-Identifier: MIT */
/*
 * sessions.c - folds the events of a batch, session by session
 *
 * One merge in the database costs as much as several rows, so a session's
 * events are merged here first.  Which events count is decided by the caller.
 */
#include "aggregator/sessions.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/batch.h"

#define FIRST_SESSIONS 64

/* Places of the table that are kept for the next batch, per session of this. */
#define SPARE_PLACES 64

const char *
session_bytes(const struct sessions *sessions, const struct batch_leaf *leaves,
    const struct session_span *span)
{
	return span->leaf == SESSION_TEXTS
	    ? sessions->texts.data + span->at
	    : leaves[span->leaf].tuples.data + span->at;
}

int
sessions_keep(struct sessions *sessions, const void *text, size_t len,
    struct session_span *span)
{
	*span = (struct session_span){
	    .at = sessions->texts.len,
	    .len = (uint32_t)len,
	    .leaf = SESSION_TEXTS,
	};
	return buf_append(&sessions->texts, text, len);
}

/* ---- which session ------------------------------------------------------- */

static void
session_restart(struct session *session)
{
	size_t i;

	for (i = 0; i < SESSION_TIMES; i++)
		session->times[i] = session_times[i].merge == SESSION_LEAST
		    ? INT64_MAX
		    : INT64_MIN;
	memset(session->counts, 0, sizeof(session->counts));
	memset(session->values, 0, sizeof(session->values));
}

static bool
session_is(const struct sessions *sessions, const struct session *session,
    struct event_key hash, const struct row_value *project,
    const struct row_value *id)
{
	return event_key_equal(session->hash, hash) &&
	    session->id.len == (uint32_t)id->length &&
	    memcmp(session->project_id, project->data, UUID_BYTES) == 0 &&
	    memcmp(sessions->texts.data + session->id.at, id->data,
		session->id.len) == 0;
}

/* Into a table that is empty. */
static void
table_fill(struct sessions *sessions)
{
	const size_t mask = sessions->places - 1;
	size_t i, at;

	for (i = 0; i < sessions->n; i++) {
		at = event_key_place(sessions->items[i].hash) & mask;
		while (sessions->table[at] != 0)
			at = (at + 1) & mask;
		sessions->table[at] = (uint32_t)i + 1;
	}
}

static void
table_empty(struct sessions *sessions)
{
	if (sessions->places > 0)
		memset(sessions->table, 0,
		    sessions->places * sizeof(*sessions->table));
}

static int
table_grow(struct sessions *sessions)
{
	size_t places =
	    sessions->places == 0 ? 4 * FIRST_SESSIONS : sessions->places * 2;
	uint32_t *table = calloc(places, sizeof(*table));

	if (table == NULL)
		return -1;
	free(sessions->table);
	sessions->table = table;
	sessions->places = places;
	table_fill(sessions);
	return 0;
}

static int
items_grow(struct sessions *sessions)
{
	size_t cap = sessions->cap == 0 ? FIRST_SESSIONS : sessions->cap * 2;
	struct session *items =
	    reallocarray(sessions->items, cap, sizeof(*items));

	if (items == NULL)
		return -1;
	sessions->items = items;
	sessions->cap = cap;
	return 0;
}

/* What the cache knows, if it does. */
static void
session_recall(struct sessions *sessions, struct session *session)
{
	struct cached_session *cached = NULL;

	if (sessions->cache != NULL)
		cached = session_cache_find(sessions->cache, session->hash,
		    session->project_id, sessions->texts.data + session->id.at,
		    session->id.len);
	if (cached == NULL)
		return;
	session->cached = cached;
	session->known = cached->is_large ? SESSION_PROBED : SESSION_CACHED;
	session->session_key = cached->session_key;
	session->event_count = cached->event_count;
	session->started_us = cached->started_us;
	session->ended_us = cached->ended_us;
}

static int
session_new(struct sessions *sessions, struct event_key hash,
    const struct row_value *values, size_t at)
{
	const struct row_value *id = &values[FIELD_SESSION_ID];
	struct session *session;

	if ((sessions->n == sessions->cap && items_grow(sessions) == -1))
		return -1;
	session = &sessions->items[sessions->n];
	memset(session, 0, sizeof(*session));
	if (sessions_keep(
		sessions, id->data, (size_t)id->length, &session->id) == -1)
		return -1;
	memcpy(session->org_id, values[FIELD_ORG_ID].data, UUID_BYTES);
	memcpy(session->project_id, values[FIELD_PROJECT_ID].data, UUID_BYTES);
	session->hash = hash;
	session_restart(session);
	session_recall(sessions, session);
	sessions->table[at] = (uint32_t)++sessions->n;
	return 0;
}

int
sessions_find(
    struct sessions *sessions, const struct row_value *values, uint32_t *number)
{
	const struct row_value *project = &values[FIELD_PROJECT_ID];
	const struct row_value *id = &values[FIELD_SESSION_ID];
	struct event_key hash =
	    event_key_of_session(project->data, id->data, (size_t)id->length);
	size_t at;

	if (sessions->n >= sessions->places / 2 && table_grow(sessions) == -1)
		return -1;
	at = event_key_place(hash) & (sessions->places - 1);
	while (sessions->table[at] != 0) {
		*number = sessions->table[at] - 1;
		if (session_is(
			sessions, &sessions->items[*number], hash, project, id))
			return 0;
		at = (at + 1) & (sessions->places - 1);
	}
	*number = (uint32_t)sessions->n;
	return session_new(sessions, hash, values, at);
}

/* ---- what an event adds -------------------------------------------------- */

static int
compare_ids(const struct sessions *sessions, const struct batch_leaf *leaves,
    const struct session_span *a, const struct session_span *b)
{
	size_t shorter = a->len < b->len ? a->len : b->len;
	int order = memcmp(session_bytes(sessions, leaves, a),
	    session_bytes(sessions, leaves, b), shorter);

	return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

static int
compare_orders(const struct sessions *sessions, const struct batch_leaf *leaves,
    const struct session_order *a, const struct session_order *b)
{
	if (a->us != b->us)
		return a->us < b->us ? -1 : 1;
	if (a->has_sequence != b->has_sequence)
		return a->has_sequence ? 1 : -1;
	if (a->sequence != b->sequence)
		return a->sequence < b->sequence ? -1 : 1;
	return compare_ids(sessions, leaves, &a->event_id, &b->event_id);
}

static struct session_span
span_of(const struct session_event *event, const struct row_value *value)
{
	return (struct session_span){
	    .at = event->at + (size_t)(value->data - event->tuple),
	    .len = value->length > 0 ? (uint32_t)value->length : 0,
	    .leaf = event->leaf,
	};
}

static struct session_order
order_of(const struct session_event *event)
{
	const struct row_value *sequence = &event->values[FIELD_SEQUENCE];
	struct session_order order = {
	    .us = row_time(&event->values[FIELD_TIMESTAMP]),
	    .has_sequence = sequence->length > 0,
	    .event_id = span_of(event, &event->values[FIELD_EVENT_ID]),
	};

	if (order.has_sequence)
		order.sequence = row_time(sequence);
	return order;
}

static void
add_times(struct session *session, int64_t us)
{
	size_t i;

	for (i = 0; i < SESSION_TIMES; i++) {
		if (session_times[i].merge == SESSION_LEAST
			? us < session->times[i]
			: us > session->times[i])
			session->times[i] = us;
	}
}

static void
add_counts(struct session *session, const struct row_value *type)
{
	const char *counted;
	size_t i;

	for (i = 0; i < SESSION_COUNTS; i++) {
		counted = session_counts[i].event_type;
		if (counted[0] == '\0' ||
		    (strlen(counted) == (size_t)type->length &&
			memcmp(counted, type->data, (size_t)type->length) == 0))
			session->counts[i]++;
	}
}

void
session_add(struct session *session, const struct sessions *sessions,
    const struct batch_leaf *leaves, const struct session_event *event)
{
	const struct session_order order = order_of(event);
	struct session_best *best;
	struct session_span value;
	unsigned source;
	int compared;
	size_t i;

	add_times(session, order.us);
	add_counts(session, &event->values[FIELD_EVENT_TYPE]);
	for (i = 0; i < SESSION_VALUES; i++) {
		source = session_values[i].source;
		value = source == FIELD_AGENT
		    ? event->agent
		    : span_of(event, &event->values[source]);
		if (value.len == 0)
			continue;
		best = &session->values[i];
		if (best->value.len != 0) {
			compared = compare_orders(
			    sessions, leaves, &order, &best->order);
			if (session_values[i].merge == SESSION_FIRST
				? compared >= 0
				: compared <= 0)
				continue;
		}
		best->value = value;
		best->order = order;
	}
}

int
session_order_append(struct buf *buf, const struct sessions *sessions,
    const struct batch_leaf *leaves, const struct session_order *order)
{
	/* Signed numbers in the order of unsigned bytes. */
	uint64_t us = htobe64((uint64_t)order->us ^ (UINT64_C(1) << 63));
	uint64_t sequence = order->has_sequence
	    ? htobe64((uint64_t)order->sequence ^ (UINT64_C(1) << 63))
	    : 0;
	uint8_t has_sequence = order->has_sequence;

	if (buf_reserve(buf, 17 + (size_t)order->event_id.len) == -1 ||
	    buf_append(buf, &us, sizeof(us)) == -1 ||
	    buf_append(buf, &has_sequence, 1) == -1 ||
	    buf_append(buf, &sequence, sizeof(sequence)) == -1)
		return -1;
	return buf_append(buf,
	    session_bytes(sessions, leaves, &order->event_id),
	    order->event_id.len);
}

/* ---- all of them --------------------------------------------------------- */

void
sessions_restart(struct sessions *sessions)
{
	size_t i;

	for (i = 0; i < sessions->n; i++)
		session_restart(&sessions->items[i]);
}

void
sessions_unlearn(struct sessions *sessions)
{
	size_t i;

	for (i = 0; i < sessions->n; i++) {
		sessions->items[i].known = SESSION_UNKNOWN;
		sessions->items[i].cached = NULL;
	}
}

void
sessions_truncate(struct sessions *sessions, size_t n, size_t texts)
{
	sessions->n = n;
	sessions->texts.len = texts;
	table_empty(sessions);
	table_fill(sessions);
}

static void
sessions_release(struct sessions *sessions)
{
	free(sessions->items);
	free(sessions->table);
	sessions->items = NULL;
	sessions->table = NULL;
	sessions->n = sessions->cap = sessions->places = 0;
}

void
sessions_clear(struct sessions *sessions, size_t keep_bytes)
{
	/* Clearing the table is paid by every batch: only one of a size to it.
	 */
	bool large = sessions->places > SPARE_PLACES * sessions->n ||
	    sessions->cap * sizeof(*sessions->items) > keep_bytes;

	sessions->n = 0;
	if (large)
		sessions_release(sessions);
	else
		table_empty(sessions);
	buf_clear(&sessions->texts);
	if (sessions->texts.cap > keep_bytes)
		buf_free(&sessions->texts);
}

void
sessions_free(struct sessions *sessions)
{
	sessions_release(sessions);
	buf_free(&sessions->texts);
}
