/* SPDX-License-Identifier: MIT */
/*
 * key_use.c - gathers the keys in use and tells the database now and then
 *
 * An id is a worker's word, so it counts for nothing until the database finds
 * a key of that id.
 */
#include "aggregator/key_use.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/timestamp.h"

/* Places that an id may have: one lies in the first that was free. */
#define PLACES 16

/* Between two writes, however many keys there are. */
#define PAUSE_MIN_MS 1000

struct used_key {
	uint8_t id[UUID_BYTES];
	int64_t used_us;
	bool is_used; /* else the place is free */
};

struct key_use {
	struct pg *pg;
	uint64_t interval_ms;
	bool connected;
	bool busy; /* writing */
	bool full; /* something found no place */
	uint64_t written_ms;
	int64_t writing_us; /* the latest use that is being written */
	int64_t latest_us;
	void (*done)(void *arg); /* set once finishing */
	void *arg;
	struct buf sql;
	struct pg_request request;
	struct log_throttle throttle;
	struct used_key keys[KEY_USE_MAX];
};

/* ---- keys ---------------------------------------------------------------- */

static size_t
first_place(const uint8_t id[UUID_BYTES])
{
	uint64_t halves[2], mixed;

	memcpy(halves, id, sizeof(halves));
	mixed = (halves[0] ^ halves[1]) * UINT64_C(0x9e3779b97f4a7c15);
	return (size_t)(mixed >> 32);
}

static void
note(struct key_use *use, const uint8_t id[UUID_BYTES], int64_t now_us)
{
	size_t first = first_place(id), i;
	struct used_key *key, *place = NULL;

	for (i = 0; i < PLACES; i++) {
		key = &use->keys[(first + i) % KEY_USE_MAX];
		if (key->is_used && memcmp(key->id, id, UUID_BYTES) == 0) {
			place = key;
			break;
		}
		if (!key->is_used && place == NULL)
			place = key;
	}
	if (place == NULL) {
		use->full = true;
		return;
	}
	memcpy(place->id, id, UUID_BYTES);
	place->used_us = now_us;
	place->is_used = true;
}

void
key_use_note(
    struct key_use *use, const uint8_t *ids, size_t bytes, int64_t now_us)
{
	size_t at;

	/* Whatever the clock does, what is noted later is later. */
	if (now_us <= use->latest_us)
		now_us = use->latest_us + 1;
	use->latest_us = now_us;
	for (at = 0; bytes - at >= UUID_BYTES; at += UUID_BYTES)
		note(use, ids + at, now_us);
}

/* What was used again since stays. */
static void
forget_written(struct key_use *use)
{
	size_t i;

	for (i = 0; i < KEY_USE_MAX; i++) {
		if (use->keys[i].used_us <= use->writing_us)
			use->keys[i].is_used = false;
	}
}

/* ---- writing ------------------------------------------------------------- */

static int
build_list(const struct key_use *use, struct buf *sql, bool times)
{
	const char *comma = "";
	char id[UUID_TEXT];
	size_t i;
	int ret;

	for (i = 0; i < KEY_USE_MAX; i++) {
		if (!use->keys[i].is_used)
			continue;
		uuid_format(use->keys[i].id, id);
		ret = times
		    ? buf_printf(sql, "%s%" PRId64, comma, use->keys[i].used_us)
		    : buf_printf(sql, "%s%s", comma, id);
		if (ret == -1)
			return -1;
		comma = ",";
	}
	return 0;
}

static bool
has_any(const struct key_use *use)
{
	size_t i;

	for (i = 0; i < KEY_USE_MAX; i++) {
		if (use->keys[i].is_used)
			return true;
	}
	return false;
}

/*
 * Behind it wait revoked keys to be read, so it does not wait long for whoever
 * has locked a key.  In the order of ids, since other nodes do the same.
 */
int
key_use_build(const struct key_use *use, struct buf *sql)
{
	buf_clear(sql);
	if (has_any(use) &&
	    (buf_puts(sql,
		 "SET LOCAL lock_timeout = '200ms';"
		 "WITH used AS (SELECT k.id, timestamptz '2000-01-01 00:00+00'"
		 " + u.us * interval '1 microsecond' AS at"
		 " FROM unnest('{") == -1 ||
		build_list(use, sql, false) == -1 ||
		buf_puts(sql, "}'::uuid[], '{") == -1 ||
		build_list(use, sql, true) == -1 ||
		buf_puts(sql,
		    "}'::bigint[]) AS u (id, us)"
		    " JOIN public.api_keys k USING (id)"
		    " ORDER BY k.id FOR NO KEY UPDATE OF k)"
		    "UPDATE public.api_keys k SET last_used_at = used.at"
		    " FROM used WHERE k.id = used.id AND"
		    " (k.last_used_at IS NULL OR k.last_used_at < used.at)") ==
		    -1))
		return -1;
	return buf_append(sql, "", 1);
}

static void
on_written(void *arg, const PGresult *result, const struct pg_fault *fault)
{
	struct key_use *use = arg;
	uint64_t withheld;

	(void)result;
	use->busy = false;
	if (fault == NULL)
		forget_written(use);
	else if (log_throttled(&use->throttle, &withheld))
		log_warn("could not write when API keys were used: %s; "
			 "sqlstate=%s",
		    fault->err.text, fault->sqlstate);
	if (use->done != NULL)
		use->done(use->arg);
}

static void
key_use_write(struct key_use *use)
{
	use->written_ms = clock_ms();
	if (key_use_build(use, &use->sql) == -1) {
		log_error("no memory to write when API keys were used");
		return;
	}
	use->full = false;
	if (use->sql.len == 1)
		return;
	use->writing_us = use->latest_us;
	use->request = (struct pg_request){
	    .sql = use->sql.data,
	    .done = on_written,
	    .arg = use,
	};
	use->busy = true;
	pg_submit(use->pg, &use->request);
}

void
key_use_beat(struct key_use *use)
{
	uint64_t pause_ms = use->interval_ms;

	if (use->full && pause_ms > PAUSE_MIN_MS)
		pause_ms = PAUSE_MIN_MS;
	if (use->connected && !use->busy &&
	    clock_ms() - use->written_ms >= pause_ms)
		key_use_write(use);
}

/* A write that is under way is enough: it has all but the latest. */
void
key_use_finish(struct key_use *use, void (*done)(void *arg), void *arg)
{
	if (use->done != NULL)
		return;
	if (use->connected && !use->busy)
		key_use_write(use);
	if (!use->busy) {
		done(arg);
		return;
	}
	use->done = done;
	use->arg = arg;
}

/* ---- life ---------------------------------------------------------------- */

void
key_use_connected(struct key_use *use)
{
	use->connected = true;
}

void
key_use_lost(struct key_use *use)
{
	use->connected = use->busy = false;
	if (use->done != NULL)
		use->done(use->arg);
}

struct key_use *
key_use_create(struct pg *control, uint64_t interval_ms)
{
	struct key_use *use;

	if ((use = calloc(1, sizeof(*use))) == NULL)
		return NULL;
	use->pg = control;
	use->interval_ms = interval_ms;
	use->written_ms = clock_ms();
	return use;
}

void
key_use_destroy(struct key_use *use)
{
	if (use == NULL)
		return;
	buf_free(&use->sql);
	free(use);
}
