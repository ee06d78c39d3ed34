/* SPDX-License-Identifier: MIT */
/*
 * key_row.h - the rows of api_keys: read, found by what a person calls them,
 * added
 *
 * Runs in   ctl
 * Owns      a PGresult is the caller's, to be PQclear()ed
 */
#ifndef PGD_CTL_KEY_ROW_H
#define PGD_CTL_KEY_ROW_H

#include <libpq-fe.h>

#include "common/apikey.h"
#include "common/err.h"
#include "common/exitcode.h"
#include "common/uuid.h"
#include "ctl/table.h"

/* Positions in the rows of all results below. */
enum key_column {
	KEY_PREFIX,
	KEY_NAME,
	KEY_ORG,
	KEY_PROJECT,
	KEY_STATE,
	KEY_CREATED,
	KEY_EXPIRES,
	KEY_REVOKED,
	KEY_LAST_USED,
	KEY_ID,
};

extern const struct table_column key_columns[];

#define SELECT_KEYS                                                            \
	"SELECT k.prefix, k.name, o.slug, p.slug, "                            \
	"CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked' "                   \
	"WHEN k.expires_at <= now() THEN 'expired' ELSE 'active' END, "        \
	"k.created_at, k.expires_at, k.revoked_at, k.last_used_at, k.id "      \
	"FROM api_keys k JOIN projects p ON p.id = k.project_id "              \
	"JOIN organizations o ON o.id = k.org_id "

/* The key of that id, in result; NULL when it is gone or the question failed.
 */
PGresult *key_row_get(PGconn *, const char *id, struct err *) MUST_CHECK;

/*
 * Refuses what is a key itself, or more of one than its prefix, without
 * repeating it: a message may end in a log.
 */
int key_row_check_called(const char *called, struct err *) MUST_CHECK;

/*
 * The one key that is so called: by its id or its prefix, and with a project
 * by its name too.  One of several that is neither revoked nor expired, when
 * it is the only such, is meant.  Its row is locked.  org and project may be
 * NULL.  EXIT_REFUSED when there is none; or when there are several, after
 * they were printed on standard error.
 */
enum exitcode key_row_find(PGconn *, const char *called, const char *org,
    const char *project, PGresult **, int *row, struct err *) MUST_CHECK;

/* expires: as PostgreSQL reads it, or NULL for never. */
int key_row_insert(PGconn *, const char *org_id, const char *project_id,
    const char *name, const char *key, const char *expires, char id[UUID_TEXT],
    struct err *) MUST_CHECK;

#endif
