/* SPDX-License-Identifier: MIT */
/*
 * keys.c - reads the keys and publishes them
 *
 * All of them at every change: there are thousands at most, and a difference
 * that was missed would be a key that goes on working after it was revoked.
 */
#include "aggregator/keys.h"

#include <endian.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/timestamp.h"
#include "common/uuid.h"

/*
 * One statement is one snapshot.  Projects before keys, which name them; both
 * in the order of the projects, so that a key's is found at once.  Should the
 * table be too small, keys and the youngest projects are left out.  Keys that
 * have expired go along, so that a worker can say so.
 */
static const char keys_sql[] =
    "SELECT 0, org_id, id, slug::text, require_api_key, allowed_origins,"
    " NULL::bytea, NULL::timestamptz, created_at, NULL::uuid"
    " FROM public.projects"
    " UNION ALL "
    "SELECT 1, p.org_id, p.id, p.slug::text, NULL, NULL,"
    " k.key_sha256, k.expires_at, p.created_at, k.id"
    " FROM public.api_keys k"
    " JOIN public.projects p ON (p.org_id, p.id) = (k.org_id, k.project_id)"
    " WHERE k.revoked_at IS NULL"
    " ORDER BY 1, 9, 3";

enum {
	KIND,
	ORG_ID,
	PROJECT_ID,
	SLUG,
	REQUIRE,
	ORIGINS,
	HASH,
	EXPIRES,
	CREATED_AT, /* only to sort by */
	KEY_ID
};

/* Why a project or a key is not published. */
enum left_out {
	LEFT_NOTHING,
	LEFT_FULL,
	LEFT_TOO_LONG,
	LEFT_NO_PROJECT,
	LEFT_ODD,
	LEFT_NO_MEMORY,
	LEFT_COUNT
};

static const char *const left_reasons[LEFT_COUNT] = {
    [LEFT_FULL] = "key_table_size is too small",
    [LEFT_TOO_LONG] = "slug or allowed_origins too long",
    [LEFT_NO_PROJECT] = "keys of a project that is left out itself",
    [LEFT_ODD] = "allowed_origins is no list",
    [LEFT_NO_MEMORY] = "out of memory",
};

struct keys {
	struct pg *pg;
	struct keytable *table;
	struct keys_handler handler;
	struct event *pause; /* until the next reading */
	uint64_t next_ms;    /* clock_ms() when it may begin */
	bool connected;
	bool busy;            /* reading */
	bool stale;           /* and to be read again */
	bool void_reading;    /* what is being read does not count */
	int told[LEFT_COUNT]; /* how many, when the log was told last */
	struct pg_request request;
};

static void keys_run(struct keys *);

/* ---- text[] -------------------------------------------------------------- */

static bool
take32(const char **data, size_t *len, uint32_t *n)
{
	if (*len < sizeof(*n))
		return false;
	memcpy(n, *data, sizeof(*n));
	*n = be32toh(*n);
	*data += sizeof(*n);
	*len -= sizeof(*n);
	return true;
}

void
keys_free_strings(char **strings, int n)
{
	while (n > 0)
		free(strings[--n]);
	free(strings);
}

static int
array_elements(const char *data, size_t len, uint32_t n, char **strings)
{
	uint32_t bytes, i;

	for (i = 0; i < n; i++) {
		if (!take32(&data, &len, &bytes) || bytes > len)
			break;
		if ((strings[i] = strndup(data, bytes)) == NULL)
			return KEYS_NO_MEMORY;
		data += bytes;
		len -= bytes;
	}
	return i == n && len == 0 ? 0 : -1;
}

int
keys_parse_array(const char *data, size_t len, char ***strings)
{
	uint32_t dimensions, has_null, type, n, lower;
	int ret;

	*strings = NULL;
	if (!take32(&data, &len, &dimensions) ||
	    !take32(&data, &len, &has_null) || !take32(&data, &len, &type))
		return -1;
	if (dimensions == 0)
		return 0;
	if (dimensions != 1 || !take32(&data, &len, &n) ||
	    !take32(&data, &len, &lower) || n > len / sizeof(n))
		return -1;
	if ((*strings = calloc(n + 1, sizeof(**strings))) == NULL)
		return KEYS_NO_MEMORY;
	if ((ret = array_elements(data, len, n, *strings)) == 0)
		return (int)n;
	keys_free_strings(*strings, (int)n);
	*strings = NULL;
	return ret;
}

/* ---- publishing ---------------------------------------------------------- */

static const uint8_t *
bytes_of(const PGresult *result, int row, int column)
{
	return (const uint8_t *)PQgetvalue(result, row, column);
}

static enum left_out
reason_of(enum keytable_added added)
{
	switch (added) {
	case KEYTABLE_ADDED:
		break;
	case KEYTABLE_FULL:
		return LEFT_FULL;
	case KEYTABLE_TOO_LONG:
		return LEFT_TOO_LONG;
	case KEYTABLE_NO_PROJECT:
		return LEFT_NO_PROJECT;
	}
	return LEFT_NOTHING;
}

static enum left_out
add_project(struct keys *keys, const PGresult *result, int row)
{
	enum keytable_added added;
	char **origins;
	int n;

	n = keys_parse_array(PQgetvalue(result, row, ORIGINS),
	    (size_t)PQgetlength(result, row, ORIGINS), &origins);
	/* Any origin would be too many: such a project is left out. */
	if (n < 0)
		return n == KEYS_NO_MEMORY ? LEFT_NO_MEMORY : LEFT_ODD;
	added = keytable_add_project(keys->table, bytes_of(result, row, ORG_ID),
	    bytes_of(result, row, PROJECT_ID), PQgetvalue(result, row, SLUG),
	    PQgetvalue(result, row, REQUIRE)[0] != 0,
	    (const char *const *)origins, (size_t)n);
	keys_free_strings(origins, n);
	return reason_of(added);
}

static enum left_out
add_key(struct keys *keys, const PGresult *result, int row)
{
	int64_t expires_us = INT64_MAX;

	if (!PQgetisnull(result, row, EXPIRES)) {
		memcpy(&expires_us, bytes_of(result, row, EXPIRES),
		    sizeof(expires_us));
		expires_us = (int64_t)be64toh((uint64_t)expires_us);
	}
	return reason_of(keytable_add_key(keys->table,
	    bytes_of(result, row, HASH), bytes_of(result, row, KEY_ID),
	    bytes_of(result, row, PROJECT_ID), expires_us));
}

/* Once per reason, and again when it concerns more or fewer. */
static void
tell_left_out(
    struct keys *keys, const PGresult *result, const int *count, const int *row)
{
	int reason;

	for (reason = LEFT_NOTHING + 1; reason < LEFT_COUNT; reason++) {
		if (count[reason] > 0 && count[reason] != keys->told[reason])
			log_error("%d projects or keys are unknown to the "
				  "workers: %s; first=\"%s\"",
			    count[reason], left_reasons[reason],
			    PQgetvalue(result, row[reason], SLUG));
		keys->told[reason] = count[reason];
	}
}

static void
publish(struct keys *keys, const PGresult *result)
{
	int count[LEFT_COUNT] = {0}, first[LEFT_COUNT] = {0};
	int i, n = PQntuples(result);
	enum left_out reason;
	uint32_t kind;

	keytable_begin(keys->table);
	for (i = 0; i < n; i++) {
		memcpy(&kind, bytes_of(result, i, KIND), sizeof(kind));
		reason = kind == 0 ? add_project(keys, result, i)
				   : add_key(keys, result, i);
		if (count[reason]++ == 0)
			first[reason] = i;
	}
	keytable_publish(keys->table);
	log_debug(
	    "published %d projects and keys of %d", count[LEFT_NOTHING], n);
	tell_left_out(keys, result, count, first);
}

/* ---- the control connection ---------------------------------------------- */

static void
on_read(void *arg, const PGresult *result, const struct pg_fault *fault)
{
	struct keys *keys = arg;
	struct err err;

	keys->busy = false;
	if (fault != NULL) {
		(void)err_set(
		    &err, "could not read API keys: %s", fault->err.text);
		pg_drop(keys->pg, err.text);
		return;
	}
	publish(keys, result);
	if (!keys->void_reading)
		keys->handler.sound(keys->handler.arg);
	if (keys->stale)
		keys->handler.doubtful(keys->handler.arg);
	keys_run(keys);
}

static bool
keys_pause(struct keys *keys, uint64_t ms)
{
	const struct timeval tv = {
	    .tv_sec = (time_t)(ms / 1000),
	    .tv_usec = (suseconds_t)(ms % 1000 * 1000),
	};

	if (event_add(keys->pause, &tv) == 0)
		return true;
	log_error("could not set a timer for API keys");
	return false;
}

/* A notice that comes while reading may be of something not read. */
static void
keys_run(struct keys *keys)
{
	uint64_t now_ms = clock_ms();

	if (!keys->connected || keys->busy || !keys->stale)
		return;
	if (now_ms < keys->next_ms && keys_pause(keys, keys->next_ms - now_ms))
		return;
	keys->request = (struct pg_request){
	    .sql = keys_sql,
	    .binary = true,
	    .done = on_read,
	    .arg = keys,
	};
	keys->next_ms = now_ms + KEYS_PAUSE_MS;
	keys->stale = keys->void_reading = false;
	keys->busy = true;
	pg_submit(keys->pg, &keys->request);
}

static void
on_pause(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	keys_run(arg);
}

static void
on_listening(void *arg, const PGresult *result, const struct pg_fault *fault)
{
	struct keys *keys = arg;

	(void)result;
	keys->busy = false;
	if (fault != NULL)
		pg_drop(keys->pg, fault->err.text);
	else
		keys_run(keys);
}

struct keys *
keys_create(struct event_base *base, struct pg *control, struct keytable *table,
    const struct keys_handler *handler)
{
	struct keys *keys;

	if ((keys = calloc(1, sizeof(*keys))) == NULL)
		return NULL;
	keys->pg = control;
	keys->table = table;
	keys->handler = *handler;
	if ((keys->pause = evtimer_new(base, on_pause, keys)) == NULL) {
		free(keys);
		return NULL;
	}
	return keys;
}

void
keys_destroy(struct keys *keys)
{
	if (keys == NULL)
		return;
	event_free(keys->pause);
	free(keys);
}

/* First listen, then read: what changes in between is notified. */
void
keys_connected(struct keys *keys)
{
	keys->connected = true;
	keys->stale = true;
	keys->busy = true;
	keys->next_ms = 0;
	keys->request = (struct pg_request){
	    .sql = "LISTEN productgraph_keys",
	    .done = on_listening,
	    .arg = keys,
	};
	pg_submit(keys->pg, &keys->request);
}

void
keys_lost(struct keys *keys)
{
	keys->connected = false;
	keys->busy = false;
	(void)event_del(keys->pause);
}

void
keys_notified(struct keys *keys)
{
	keys->stale = true;
	keys->handler.doubtful(keys->handler.arg);
	keys_run(keys);
}

void
keys_distrust(struct keys *keys)
{
	keys->void_reading = true;
	keys->stale = true;
	keys_run(keys);
}
