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
#include "common/uuid.h"

/*
 * One statement is one snapshot.  Projects before keys, which name them.  Keys
 * that have expired go along, so that a worker can say so; should the table be
 * too small, the youngest are left out.
 */
static const char keys_sql[] =
    "SELECT 0, org_id, id, slug::text, require_api_key, allowed_origins,"
    " NULL::bytea, NULL::timestamptz, created_at FROM public.projects"
    " UNION ALL "
    "SELECT 1, org_id, project_id, NULL, NULL, NULL,"
    " key_sha256, expires_at, created_at FROM public.api_keys"
    " WHERE revoked_at IS NULL"
    " ORDER BY 1, 9";

enum {
	KIND,
	ORG_ID,
	PROJECT_ID,
	SLUG,
	REQUIRE,
	ORIGINS,
	HASH,
	EXPIRES
};

struct keys {
	struct pg *pg;
	struct keytable *table;
	void (*published)(void *arg);
	void *arg;
	bool connected;
	bool busy;  /* reading */
	bool stale; /* and to be read again */
	bool told_full;
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
			break;
		data += bytes;
		len -= bytes;
	}
	return i == n && len == 0 ? 0 : -1;
}

int
keys_parse_array(const char *data, size_t len, char ***strings)
{
	uint32_t dimensions, has_null, type, n, lower;

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
		return -1;
	if (array_elements(data, len, n, *strings) == 0)
		return (int)n;
	keys_free_strings(*strings, (int)n);
	*strings = NULL;
	return -1;
}

/* ---- publishing ---------------------------------------------------------- */

static const uint8_t *
bytes_of(const PGresult *result, int row, int column)
{
	return (const uint8_t *)PQgetvalue(result, row, column);
}

static int
add_project(struct keys *keys, const PGresult *result, int row)
{
	char **origins;
	int n, ret;

	n = keys_parse_array(PQgetvalue(result, row, ORIGINS),
	    (size_t)PQgetlength(result, row, ORIGINS), &origins);
	/* Any origin would be too many: such a project is left out. */
	if (n == -1)
		return -1;
	ret = keytable_add_project(keys->table, bytes_of(result, row, ORG_ID),
	    bytes_of(result, row, PROJECT_ID), PQgetvalue(result, row, SLUG),
	    PQgetvalue(result, row, REQUIRE)[0] != 0,
	    (const char *const *)origins, (size_t)n);
	keys_free_strings(origins, n);
	return ret;
}

static int
add_key(struct keys *keys, const PGresult *result, int row)
{
	int64_t expires_us = INT64_MAX;

	if (!PQgetisnull(result, row, EXPIRES)) {
		memcpy(&expires_us, bytes_of(result, row, EXPIRES),
		    sizeof(expires_us));
		expires_us = (int64_t)be64toh((uint64_t)expires_us);
	}
	return keytable_add_key(keys->table, bytes_of(result, row, HASH),
	    bytes_of(result, row, PROJECT_ID), expires_us);
}

static void
publish(struct keys *keys, const PGresult *result)
{
	int i, left_out = 0, n = PQntuples(result);
	uint32_t kind;

	keytable_begin(keys->table);
	for (i = 0; i < n; i++) {
		memcpy(&kind, bytes_of(result, i, KIND), sizeof(kind));
		if ((kind == 0 ? add_project(keys, result, i)
			       : add_key(keys, result, i)) == -1)
			left_out++;
	}
	keytable_publish(keys->table);
	log_debug("published %d projects and keys", n - left_out);
	if (left_out > 0 && !keys->told_full)
		log_error("key_table_size is too small: %d of %d projects and "
			  "keys are unknown to the workers",
		    left_out, n);
	keys->told_full = left_out > 0;
	keys->published(keys->arg);
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
	keys_run(keys);
}

/* A notice that comes while reading may be of something not read. */
static void
keys_run(struct keys *keys)
{
	if (!keys->connected || keys->busy || !keys->stale)
		return;
	keys->request = (struct pg_request){
	    .sql = keys_sql,
	    .binary = true,
	    .done = on_read,
	    .arg = keys,
	};
	keys->stale = false;
	keys->busy = true;
	pg_submit(keys->pg, &keys->request);
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
keys_create(struct pg *control, struct keytable *table,
    void (*published)(void *arg), void *arg)
{
	struct keys *keys;

	if ((keys = calloc(1, sizeof(*keys))) == NULL)
		return NULL;
	keys->pg = control;
	keys->table = table;
	keys->published = published;
	keys->arg = arg;
	return keys;
}

void
keys_destroy(struct keys *keys)
{
	free(keys);
}

/* First listen, then read: what changes in between is notified. */
void
keys_connected(struct keys *keys)
{
	keys->connected = true;
	keys->stale = true;
	keys->busy = true;
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
}

void
keys_notified(struct keys *keys)
{
	keys->stale = true;
	keys_run(keys);
}
