/* SPDX-License-Identifier: MIT */
/*
 * org.c - makes and lists organisations
 */
#include "ctl/org.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "ctl/admin.h"
#include "ctl/database.h"
#include "ctl/escape.h"
#include "ctl/slug.h"
#include "ctl/table.h"

/* Positions in the rows of both results below. */
enum org_column {
	ORG_SLUG,
	ORG_NAME,
	ORG_ID,
	ORG_CREATED,
	ORG_PROJECTS,
};

static const struct table_column columns[] = {
    [ORG_SLUG] = {"slug", "slug"},
    [ORG_NAME] = {"name", "name"},
    [ORG_ID] = {"id", "id"},
    [ORG_CREATED] = {"created_at", "created"},
    [ORG_PROJECTS] = {"projects", "projects"},
    {NULL, NULL},
};

static enum exitcode
insert_org(PGconn *conn, const struct command_args *args, const char *slug,
    struct err *err)
{
	const char *const params[] = {args->operand, slug};
	PGresult *result;

	result = database_query(conn,
	    "INSERT INTO organizations (name, slug) VALUES ($1, $2) "
	    "ON CONFLICT DO NOTHING RETURNING slug, name, id, created_at, "
	    "0 AS projects",
	    2, params, err);
	if (!result)
		return EXIT_DATABASE;
	if (PQntuples(result) == 0) {
		PQclear(result);
		(void)err_set(
		    err, "slug \"%s\" is taken by an organisation", slug);
		return EXIT_REFUSED;
	}
	if (args->option[OPTION_JSON]) {
		table_show_one(result, columns, true);
	} else {
		puts(PQgetvalue(result, 0, ORG_ID));
		fputs("organisation \"", stderr);
		(void)escape_print(stderr, args->operand, strlen(args->operand),
		    SIZE_MAX, ESCAPE_TEXT);
		fprintf(stderr, "\" made, slug=%s\n", slug);
	}
	PQclear(result);
	return EXIT_DONE;
}

enum exitcode
org_create(
    const struct cfg *cfg, const struct command_args *args, struct err *err)
{
	char slug[SLUG_TEXT];
	PGconn *conn = NULL;
	enum exitcode code;

	if (slug_check_name(args->operand, err) == -1 ||
	    slug_choose(args->option[OPTION_SLUG], args->operand, slug, err) ==
		-1)
		return EXIT_USAGE;
	code = admin_open(cfg, &conn, err);
	if (code == EXIT_DONE)
		code = insert_org(conn, args, slug, err);
	PQfinish(conn);
	return code;
}

enum exitcode
org_list(
    const struct cfg *cfg, const struct command_args *args, struct err *err)
{
	PGconn *conn = NULL;
	enum exitcode code;

	code = admin_open(cfg, &conn, err);
	if (code != EXIT_DONE)
		return code;
	code = database_list(conn,
	    "SELECT o.slug, o.name, o.id, o.created_at, count(p.id) "
	    "FROM organizations o LEFT JOIN projects p ON p.org_id = o.id "
	    "GROUP BY o.id ORDER BY o.slug",
	    0, NULL, columns, args->option[OPTION_JSON] != NULL, err);
	PQfinish(conn);
	return code;
}
