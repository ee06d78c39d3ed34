/* SPDX-License-Identifier: MIT */
/*
 * project_set.c - changes the settings of a project
 *
 * One row, read before and after under one lock, so that what is said to have
 * changed is what this command has changed.
 */
#include "ctl/project_set.h"

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
#include "ctl/project_row.h"
#include "ctl/slug.h"
#include "ctl/when.h"

/* As the table's own check has it. */
#define TIMEOUT_MIN_MS UINT64_C(1000)
#define TIMEOUT_MAX_MS (UINT64_C(30) * 86400 * 1000)

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
	const char *member = project_columns[column].member;

	printf("%s: ", project_columns[column].title);
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

	for (i = 0; project_columns[i].member || project_columns[i].title;
	     i++) {
		if (!project_columns[i].title ||
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
	before = project_row_get(conn, id, err);
	if (!before)
		goto out;
	if (settings->require_key && settings->require_key[0] == 'n') {
		code = project_row_check_keyless(
		    conn, id, args->option[OPTION_PROJECT], err);
		if (code != EXIT_DONE)
			goto out;
		code = EXIT_DATABASE;
	}
	if (update_project(conn, id, settings, err) == -1)
		goto out;
	after = project_row_get(conn, id, err);
	if (!after || database_exec(conn, "COMMIT", 0, NULL, err) == -1)
		goto out;
	if (args->option[OPTION_JSON])
		table_show_one(after, project_columns, true);
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
