/* SPDX-License-Identifier: MIT */
/*
 * find.c - looks up slugs
 */
#include "ctl/find.h"

#include <stdio.h>

#include "ctl/database.h"

/* The only value of the only row; EXIT_REFUSED and no words without a row. */
static enum exitcode
query_id(PGconn *conn, const char *sql, int n, const char *const *params,
    char id[UUID_TEXT], struct err *err)
{
	PGresult *result = database_query(conn, sql, n, params, err);
	int rows;

	if (!result)
		return EXIT_DATABASE;
	rows = PQntuples(result);
	if (rows > 0)
		(void)snprintf(id, UUID_TEXT, "%s", PQgetvalue(result, 0, 0));
	PQclear(result);
	return rows > 0 ? EXIT_DONE : EXIT_REFUSED;
}

enum exitcode
find_org(PGconn *conn, const char *slug, char id[UUID_TEXT], struct err *err)
{
	const char *const params[] = {slug};
	enum exitcode code;

	code = query_id(conn, "SELECT id FROM organizations WHERE slug = $1", 1,
	    params, id, err);
	if (code == EXIT_REFUSED)
		(void)err_set(err, "no organisation \"%.200s\"", slug);
	return code;
}

enum exitcode
find_project(PGconn *conn, const char *org, const char *slug,
    char org_id[UUID_TEXT], char id[UUID_TEXT], struct err *err)
{
	const char *const params[] = {org_id, slug};
	enum exitcode code;

	code = find_org(conn, org, org_id, err);
	if (code != EXIT_DONE)
		return code;
	code = query_id(conn,
	    "SELECT id FROM projects WHERE org_id = $1 AND slug = $2", 2,
	    params, id, err);
	if (code == EXIT_REFUSED) {
		(void)err_set(err,
		    "no project \"%.200s\" in organisation \"%.200s\"", slug,
		    org);
	}
	return code;
}

enum exitcode
find_scope(PGconn *conn, const char *org, const char *project, struct err *err)
{
	char org_id[UUID_TEXT], id[UUID_TEXT];

	if (!org)
		return EXIT_DONE;
	if (!project)
		return find_org(conn, org, org_id, err);
	return find_project(conn, org, project, org_id, id, err);
}
