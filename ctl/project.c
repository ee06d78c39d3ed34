/* SPDX-License-Identifier: MIT */
/*
 * project.c - makes, lists and changes projects
 *
 * Each change is one row.  The daemon is not told: the tables notify its
 * aggregator, which publishes them to the workers.
 */
#include "ctl/project.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/uuid.h"

#include "ctl/admin.h"
#include "ctl/database.h"
#include "ctl/escape.h"
#include "ctl/find.h"
#include "ctl/origin.h"
#include "ctl/slug.h"
#include "ctl/table.h"
#include "ctl/when.h"

/* As the table's own check has it. */
#define TIMEOUT_MIN_MS UINT64_C(1000)
#define TIMEOUT_MAX_MS (UINT64_C(30) * 86400 * 1000)

/* The columns below, in their order. */
#define SELECT_PROJECTS                                                        \
	"SELECT o.slug, p.slug, p.name, p.id, p.require_api_key, "             \
	"to_json(p.allowed_origins), "                                         \
	"CASE WHEN p.allowed_origins = '{}' THEN 'any' "                       \
	"ELSE array_to_string(p.allowed_origins, ' ') END, "                   \
	"(extract(epoch FROM p.session_timeout) * 1000)::bigint, "             \
	"p.created_at, p.updated_at "                                          \
	"FROM projects p JOIN organizations o ON o.id = p.org_id "

static const struct table_column columns[] = {
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

/*
 * Refuses to let two projects answer to one slug without a key, and says whose
 * it is.  The index is what keeps them apart; this is for the words.
 */
static enum exitcode
check_keyless(
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

static PGresult *
select_project(PGconn *conn, const char *id, struct err *err)
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

static enum exitcode
show_new(PGconn *conn, const struct command_args *args, const char *slug,
    const char *id, struct err *err)
{
	PGresult *result;

	if (!args->option[OPTION_JSON]) {
		puts(id);
		fprintf(stderr, "project \"%s\" made, slug=%s%s\n",
		    args->operand, slug,
		    args->option[OPTION_KEYLESS] ? " keyless=true" : "");
		return EXIT_DONE;
	}
	result = select_project(conn, id, err);
	if (!result)
		return EXIT_DATABASE;
	table_show_one(result, columns, true);
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
		code = check_keyless(conn, NULL, slug, err);
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
		    1, params, columns, args->option[OPTION_JSON] != NULL, err);
	}
	PQfinish(conn);
	return code;
}

/* --- project set --- */

/* What is to be set, as text for PostgreSQL; NULL for what stays. */
struct settings {
	const char *name;
	const char *require_key;
	char *origins; /* a JSON array; malloc()ed */
	const char *timeout_ms;
	char timeout_text[24];
};

static int
read_origins(
    const struct command_args *args, struct settings *settings, struct err *err)
{
	size_t size, i;
	FILE *out;

	for (i = 0; i < args->norigins; i++)
		if (origin_check(args->origins[i], err) == -1)
			return -1;
	if (args->norigins == 0 && !args->option[OPTION_ANY_ORIGIN])
		return 0;
	out = open_memstream(&settings->origins, &size);
	if (!out)
		return err_set(err, "no memory for the origins");
	(void)putc('[', out);
	for (i = 0; i < args->norigins; i++) {
		if (i > 0)
			(void)putc(',', out);
		escape_print_json(
		    out, args->origins[i], strlen(args->origins[i]));
	}
	(void)putc(']', out);
	if (fclose(out) == EOF)
		return err_set(err, "no memory for the origins");
	return 0;
}

static int
read_require_key(const char *text, struct settings *settings, struct err *err)
{
	if (!text)
		return 0;
	if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0) {
		return err_set(
		    err, "--require-key is yes or no, not \"%.64s\"", text);
	}
	settings->require_key = text;
	return 0;
}

static int
read_timeout(const char *text, struct settings *settings, struct err *err)
{
	struct err reason;
	uint64_t ms;

	if (!text)
		return 0;
	if (when_parse_duration(
		text, TIMEOUT_MIN_MS, TIMEOUT_MAX_MS, &ms, &reason) == -1) {
		return err_set(err, "--session-timeout: %.400s", reason.text);
	}
	(void)snprintf(settings->timeout_text, sizeof(settings->timeout_text),
	    "%" PRIu64, ms);
	settings->timeout_ms = settings->timeout_text;
	return 0;
}

static int
read_settings(
    const struct command_args *args, struct settings *settings, struct err *err)
{
	settings->name = args->option[OPTION_NAME];
	if (args->norigins > 0 && args->option[OPTION_ANY_ORIGIN])
		return err_set(err,
		    "--origin and --any-origin exclude "
		    "each other");
	if ((settings->name && slug_check_name(settings->name, err) == -1) ||
	    read_require_key(args->option[OPTION_REQUIRE_KEY], settings, err) ==
		-1 ||
	    read_timeout(args->option[OPTION_SESSION_TIMEOUT], settings, err) ==
		-1 ||
	    read_origins(args, settings, err) == -1)
		return -1;
	if (!settings->name && !settings->require_key && !settings->origins &&
	    !settings->timeout_ms)
		return err_set(err,
		    "project set: nothing to set: give --name, "
		    "--require-key, --origin, --any-origin or "
		    "--session-timeout");
	return 0;
}

static void
print_change(const PGresult *before, const PGresult *after, int column)
{
	const char *member = columns[column].member;

	printf("%s: ", columns[column].title);
	(void)table_print_value(stdout, before, 0, column, member);
	fputs(" -> ", stdout);
	(void)table_print_value(stdout, after, 0, column, member);
	putchar('\n');
}

static void
show_changes(const PGresult *before, const PGresult *after)
{
	bool changed = false;
	int i;

	for (i = 0; columns[i].member || columns[i].title; i++) {
		if (!columns[i].title ||
		    strcmp(PQgetvalue(before, 0, i), PQgetvalue(after, 0, i)) ==
			0)
			continue;
		print_change(before, after, i);
		changed = true;
	}
	if (!changed)
		puts("nothing changed: it was so already");
}

static int
update_project(PGconn *conn, const char *id, const struct settings *settings,
    struct err *err)
{
	const char *const params[] = {id, settings->name, settings->require_key,
	    settings->origins, settings->timeout_ms};

	return database_exec(conn,
	    "UPDATE projects SET name = coalesce($2, name), "
	    "require_api_key = coalesce($3::boolean, require_api_key), "
	    "allowed_origins = CASE WHEN $4::json IS NULL THEN allowed_origins "
	    "ELSE ARRAY(SELECT o.value FROM json_array_elements_text($4::json) "
	    "WITH ORDINALITY AS o (value, place) ORDER BY o.place) END, "
	    "session_timeout = coalesce($5::bigint * interval '1 millisecond', "
	    "session_timeout) WHERE id = $1",
	    5, params, err);
}

static enum exitcode
change_project(PGconn *conn, const struct command_args *args, const char *id,
    const struct settings *settings, struct err *err)
{
	enum exitcode code = EXIT_DATABASE;
	PGresult *before = NULL;
	PGresult *after = NULL;

	if (database_exec(conn, "BEGIN", 0, NULL, err) == -1)
		return EXIT_DATABASE;
	before = select_project(conn, id, err);
	if (!before)
		goto out;
	if (settings->require_key && settings->require_key[0] == 'n') {
		code =
		    check_keyless(conn, id, args->option[OPTION_PROJECT], err);
		if (code != EXIT_DONE)
			goto out;
		code = EXIT_DATABASE;
	}
	if (update_project(conn, id, settings, err) == -1)
		goto out;
	after = select_project(conn, id, err);
	if (!after || database_exec(conn, "COMMIT", 0, NULL, err) == -1)
		goto out;
	if (args->option[OPTION_JSON])
		table_show_one(after, columns, true);
	else
		show_changes(before, after);
	code = EXIT_DONE;
out:
	PQclear(before);
	PQclear(after);
	return code;
}

enum exitcode
project_set(
    const struct cfg *cfg, const struct command_args *args, struct err *err)
{
	struct settings settings = {0};
	char org_id[UUID_TEXT], id[UUID_TEXT];
	PGconn *conn = NULL;
	enum exitcode code = EXIT_USAGE;

	if (read_settings(args, &settings, err) == 0)
		code = admin_open(cfg, &conn, err);
	if (code == EXIT_DONE)
		code = find_project(conn, args->option[OPTION_ORG],
		    args->option[OPTION_PROJECT], org_id, id, err);
	if (code == EXIT_DONE)
		code = change_project(conn, args, id, &settings, err);
	PQfinish(conn);
	free(settings.origins);
	return code;
}
