/* SPDX-License-Identifier: MIT */
/*
 * key_row.c - what the commands about keys share
 *
 * The key itself never goes to PostgreSQL, only its hash: statements are logged
 * there.
 */
#include "ctl/key_row.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "ctl/database.h"

const struct table_column key_columns[] = {
    [KEY_PREFIX] = {"prefix", "prefix"},
    [KEY_NAME] = {"name", "name"},
    [KEY_ORG] = {"org", "org"},
    [KEY_PROJECT] = {"project", "project"},
    [KEY_STATE] = {"state", "state"},
    [KEY_CREATED] = {"created_at", "created"},
    [KEY_EXPIRES] = {"expires_at", "expires"},
    [KEY_REVOKED] = {"revoked_at", "revoked"},
    [KEY_LAST_USED] = {"last_used_at", "last used"},
    [KEY_ID] = {"id", "id"},
    {NULL, NULL},
};

PGresult *
key_row_get(PGconn *conn, const char *id, struct err *err)
{
	const char *const params[] = {id};
	PGresult *result;

	result =
	    database_query(conn, SELECT_KEYS "WHERE k.id = $1", 1, params, err);
	if (result && PQntuples(result) == 0) {
		(void)err_set(err, "the key has just been deleted");
		PQclear(result);
		return NULL;
	}
	return result;
}

int
key_row_check_called(const char *called, struct err *err)
{
	if (!apikey_says_more_than_prefix(called))
		return 0;
	return err_set(err,
	    "that is the key itself, which belongs on no command line: give "
	    "its first %d characters, \"%.*s\"",
	    APIKEY_PREFIX, APIKEY_PREFIX, called);
}

/* The only row there is, or the only one of an active key; -1 for none. */
static int
choose(const PGresult *result)
{
	int rows = PQntuples(result);
	int chosen = -1;
	int row;

	if (rows == 1)
		return 0;
	for (row = 0; row < rows; row++) {
		if (strcmp(PQgetvalue(result, row, KEY_STATE), "active") != 0)
			continue;
		if (chosen != -1)
			return -1;
		chosen = row;
	}
	return chosen;
}

static enum exitcode
explain_choice(
    const PGresult *result, const char *called, bool by_name, struct err *err)
{
	if (PQntuples(result) == 0) {
		(void)err_set(err, "no key \"%.100s\"%s", called,
		    by_name ? " in that project"
			    : "; by its name a key is found with --org and "
			      "--project");
	} else {
		table_print(stderr, result, key_columns);
		(void)err_set(err,
		    "%d keys are called \"%.100s\": say which by its prefix "
		    "or id",
		    PQntuples(result), called);
	}
	return EXIT_REFUSED;
}

enum exitcode
key_row_find(PGconn *conn, const char *called, const char *org,
    const char *project, PGresult **result, int *row, struct err *err)
{
	const char *const params[] = {called, org, project};

	*result = database_query(conn,
	    SELECT_KEYS "WHERE ($2::text IS NULL OR o.slug = $2) "
			"AND ($3::text IS NULL OR p.slug = $3) "
			"AND (k.id::text = lower($1) OR k.prefix = $1 "
			"OR ($3::text IS NOT NULL AND k.name = $1)) "
			"ORDER BY k.created_at, k.id FOR UPDATE OF k",
	    3, params, err);
	if (!*result)
		return EXIT_DATABASE;
	*row = choose(*result);
	if (*row != -1)
		return EXIT_DONE;
	return explain_choice(*result, called, project != NULL, err);
}

/* As PostgreSQL reads a bytea. */
static void
format_bytea(const uint8_t hash[APIKEY_HASH], char out[2 * APIKEY_HASH + 3])
{
	size_t i;

	memcpy(out, "\\x", 3);
	for (i = 0; i < APIKEY_HASH; i++)
		(void)snprintf(out + 2 + 2 * i, 3, "%02x", hash[i]);
}

int
key_row_insert(PGconn *conn, const char *org_id, const char *project_id,
    const char *name, const char *key, const char *expires, char id[UUID_TEXT],
    struct err *err)
{
	char prefix[APIKEY_PREFIX + 1];
	char hash_text[2 * APIKEY_HASH + 3];
	uint8_t hash[APIKEY_HASH];
	const char *const params[] = {
	    org_id, project_id, name, prefix, hash_text, expires};
	PGresult *result;

	if (apikey_hash(key, strlen(key), hash) == -1)
		return err_set(err, "could not hash the key");
	format_bytea(hash, hash_text);
	(void)snprintf(prefix, sizeof(prefix), "%.*s", APIKEY_PREFIX, key);
	result = database_query(conn,
	    "INSERT INTO api_keys (org_id, project_id, name, prefix, "
	    "key_sha256, expires_at) VALUES ($1, $2, $3, $4, $5, $6) "
	    "RETURNING id",
	    6, params, err);
	if (!result)
		return -1;
	(void)snprintf(id, UUID_TEXT, "%s", PQgetvalue(result, 0, 0));
	PQclear(result);
	return 0;
}
