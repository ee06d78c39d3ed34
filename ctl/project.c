/* SPDX-License-Identifier: MIT */
/*
 * project.c - makes and lists projects
 *
 * Each is one row.  The daemon is not told: the tables notify its
 * aggregator, which publishes them to the workers.
 */
#include "ctl/project.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/uuid.h"

#include "ctl/admin.h"
#include "ctl/database.h"
#include "ctl/escape.h"
#include "ctl/find.h"
#include "ctl/project_row.h"
#include "ctl/slug.h"
#include "ctl/table.h"

static enum exitcode
show_new(PGconn *conn, const struct command_args *args, const char *slug,
    const char *id, struct err *err)
{
	PGresult *result;

	if (!args->option[OPTION_JSON]) {
		puts(id);
		fputs("project \"", stderr);
		(void)escape_print(stderr, args->operand, strlen(args->operand),
		    SIZE_MAX, ESCAPE_TEXT);
		fprintf(stderr, "\" made, slug=%s%s\n", slug,
		    args->option[OPTION_KEYLESS] ? " keyless=true" : "");
		return EXIT_DONE;
	}
	result = project_row_get(conn, id, err);
	if (!result)
		return EXIT_DATABASE;
	table_show_one(result, project_columns, true);
	PQclear(result);
	return EXIT_DONE;
}

static enum exitcode
insert_project(PGconn *conn, const struct command_args *args, const char *slug,
    struct err *err)
{
	bool keyless = args->option[OPTION_KEYLESS] != NULL;
	char org_id[UUID_TEXT];
	const char *const params[] = {
	    org_id, args->operand, slug, keyless ? "false" : "true"};
	enum exitcode code;
	PGresult *result;

	code = find_org(conn, args->option[OPTION_ORG], org_id, err);
	if (code == EXIT_DONE && keyless)
		code = project_row_check_keyless(conn, NULL, slug, err);
	if (code != EXIT_DONE)
		return code;
	result = database_query(conn,
	    "INSERT INTO projects (org_id, name, slug, require_api_key) "
	    "VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING id",
	    4, params, err);
	if (!result)
		return EXIT_DATABASE;
	if (PQntuples(result) == 1) {
		code =
		    show_new(conn, args, slug, PQgetvalue(result, 0, 0), err);
	} else {
		(void)err_set(err,
		    "slug \"%s\" is taken by a project of this organisation",
		    slug);
		code = EXIT_REFUSED;
	}
	PQclear(result);
	return code;
}

enum exitcode
project_create(
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
		code = insert_project(conn, args, slug, err);
	PQfinish(conn);
	return code;
}

enum exitcode
project_list(
    const struct cfg *cfg, const struct command_args *args, struct err *err)
{
	const char *const params[] = {args->option[OPTION_ORG]};
	PGconn *conn = NULL;
	enum exitcode code;

	code = admin_open(cfg, &conn, err);
	if (code == EXIT_DONE)
		code = find_scope(conn, params[0], NULL, err);
	if (code == EXIT_DONE) {
		code = database_list(conn,
		    SELECT_PROJECTS "WHERE $1::text IS NULL OR o.slug = $1 "
				    "ORDER BY o.slug, p.slug",
		    1, params, project_columns,
		    args->option[OPTION_JSON] != NULL, err);
	}
	PQfinish(conn);
	return code;
}
