/* SPDX-License-Identifier: MIT */
/*
 * project_row.c - what the commands about projects share
 */
#include "ctl/project_row.h"

#include "ctl/database.h"

const struct table_column project_columns[] = {
    {"org", "org"},
    {"slug", "slug"},
    {"name", "name"},
    {"id", "id"},
    {"require_api_key", "key needed"},
    {"allowed_origins", NULL},
    {NULL, "origins"},
    {"session_timeout_ms", "session timeout"},
    {"created_at", "created"},
    {"updated_at", NULL},
    {NULL, NULL},
};

enum exitcode
project_row_check_keyless(
    PGconn *conn, const char *project_id, const char *slug, struct err *err)
{
	const char *const params[] = {slug, project_id};
	enum exitcode code = EXIT_DONE;
	PGresult *result;

	result = database_query(conn,
	    "SELECT o.slug FROM projects p "
	    "JOIN organizations o ON o.id = p.org_id "
	    "WHERE p.slug = $1 AND NOT p.require_api_key "
	    "AND p.id IS DISTINCT FROM $2::uuid",
	    2, params, err);
	if (!result)
		return EXIT_DATABASE;
	if (PQntuples(result) > 0) {
		(void)err_set(err,
		    "slug \"%.200s\" is taken by a project of organisation "
		    "\"%.200s\" that needs no key either",
		    slug, PQgetvalue(result, 0, 0));
		code = EXIT_REFUSED;
	}
	PQclear(result);
	return code;
}

PGresult *
project_row_get(PGconn *conn, const char *id, struct err *err)
{
	const char *const params[] = {id};
	PGresult *result;

	result = database_query(conn,
	    SELECT_PROJECTS "WHERE p.id = $1 FOR UPDATE OF p", 1, params, err);
	if (result && PQntuples(result) == 0) {
		(void)err_set(err, "the project has just been deleted");
		PQclear(result);
		return NULL;
	}
	return result;
}
