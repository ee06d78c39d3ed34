/* SPDX-License-Identifier: MIT */
/*
 * session.c - lists sessions, and prints one event after the other
 *
 * What a session is, and the order of its events, is for the view and the
 * function of sql/0007_sessions.sql to say.
 */
#include "ctl/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/uuid.h"

#include "ctl/admin.h"
#include "ctl/database.h"
#include "ctl/find.h"
#include "ctl/table.h"
#include "ctl/when.h"

/*
 * X(id, sql, member in JSON, title in the list, title where one is shown)
 *
 * A line of the list has room for one name of the user, one session for both.
 */
#define SESSION_COLUMNS(X)                                                     \
	X(ID, "session_id", "session_id", "session", "session")                \
	X(USER, "coalesce(user_id, anonymous_id)", NULL, "user", NULL)         \
	X(USER_ID, "user_id", "user_id", NULL, "user")                         \
	X(ANONYMOUS_ID, "anonymous_id", "anonymous_id", NULL, "anonymous")     \
	X(STARTED, "started_at", "started_at", "started", "started")           \
	X(ENDED, "ended_at", "ended_at", NULL, "ended")                        \
	X(DURATION, "duration_ms", "duration_ms", "duration", "duration")      \
	X(PAGES, "page_count", "page_count", "pages", "pages")                 \
	X(EVENTS, "event_count", "event_count", "events", "events")            \
	X(ERRORS, "error_count", "error_count", "errors", "errors")            \
	X(ENTRY, "entry_page", "entry_page", "entry", "entry page")            \
	X(EXIT, "exit_page", "exit_page", "exit", "exit page")                 \
	X(STEP, "last_journey_step_id", "last_journey_step_id", NULL,          \
	    "last journey step")                                               \
	X(CONVERSION, "conversion_status", "conversion_status", NULL,          \
	    "conversion")                                                      \
	X(AGENT, "user_agent", "user_agent", NULL, "user agent")               \
	X(STATUS, "status", "status", "status", "status")                      \
	X(KEY, "session_key", "session_key", NULL, "session key")              \
	X(CREATED, "created_at", "created_at", NULL, NULL)                     \
	X(UPDATED, "updated_at", "updated_at", NULL, NULL)

enum session_column {
#define COLUMN(id, sql, member, listed, shown) SESSION_##id,
	SESSION_COLUMNS(COLUMN)
#undef COLUMN
};

static const struct table_column columns[] = {
#define LISTED(id, sql, member, listed, shown)                                 \
	[SESSION_##id] = {member, listed},
    SESSION_COLUMNS(LISTED)
#undef LISTED
	{NULL, NULL},
};

/* With sql for the member, of which only "_ms" matters here: all have it. */
static const struct table_column head[] = {
#define SHOWN(id, sql, member, listed, shown) [SESSION_##id] = {sql, shown},
    SESSION_COLUMNS(SHOWN)
#undef SHOWN
	{NULL, NULL},
};

/* The NULL is for the comma before it; nobody looks behind the columns. */
#define SESSION_SQL(id, sql, member, listed, shown) sql ", "
#define FROM_SESSIONS "NULL FROM sessions "
#define SELECT_SESSIONS "SELECT " SESSION_COLUMNS(SESSION_SQL) FROM_SESSIONS

/*
 * Not "project_id = $1": then any index over session_key gives the order, and
 * the planner, which takes a project's sessions to lie evenly among all, may
 * read every younger one of other projects.
 */
static const char sql_list[] = SELECT_SESSIONS
    "WHERE project_id BETWEEN $1 AND $1 "
    "ORDER BY project_id DESC, session_key DESC LIMIT $2::bigint";

static const char sql_find[] =
    SELECT_SESSIONS "WHERE project_id = $1 AND session_id = $2";

static enum exitcode
list_sessions(PGconn *conn, const struct command_args *args, const char *limit,
    struct err *err)
{
	char org_id[UUID_TEXT], id[UUID_TEXT];
	const char *const params[] = {id, limit};
	enum exitcode code;

	code = find_project(conn, args->option[OPTION_ORG],
	    args->option[OPTION_PROJECT], org_id, id, err);
	if (code != EXIT_DONE)
		return code;
	return database_list(conn, sql_list, 2, params, columns,
	    args->option[OPTION_JSON] != NULL, err);
}

enum exitcode
session_list(
    const struct cfg *cfg, const struct command_args *args, struct err *err)
{
	char limit[COMMAND_LIMIT_TEXT];
	PGconn *conn = NULL;
	enum exitcode code;

	if (command_read_limit(args, COMMAND_LIST_LIMIT, limit, err) == -1)
		return EXIT_USAGE;
	code = admin_open(cfg, &conn, err);
	if (code == EXIT_DONE)
		code = list_sessions(conn, args, limit, err);
	PQfinish(conn);
	return code;
}

/* --- session show --- */

/*
 * For people: the fields that tell what an event of its type is about, cut to
 * what a line may hold; the page where there are none.
 */
static const char sql_timeline[] =
    "SELECT to_char(\"timestamp\", 'YYYY-MM-DD HH24:MI:SS.MS'), "
    "(extract(epoch FROM \"timestamp\" - $4::timestamptz) * 1000)::bigint, "
    "event_type, left(coalesce(nullif(CASE split_part(event_type, '.', 1) "
    "WHEN 'page' THEN concat_ws('  ', page_path, page_title) "
    "WHEN 'ui' THEN concat_ws('  ', coalesce(ui_element, ui_component_name), "
    "ui_element_text, ui_action, page_path) "
    "WHEN 'state' THEN ui_state_key || ': ' || "
    "coalesce(ui_state_before, '') || ' -> ' || coalesce(ui_state_after, '') "
    "WHEN 'api' THEN concat_ws(' ', api_method, api_path, api_status_code, "
    "api_duration_ms || ' ms') "
    "WHEN 'journey' THEN concat_ws('  ', journey_id, "
    "coalesce(journey_step_name, journey_step_id), conversion_status) "
    "WHEN 'snapshot' THEN snapshot_url "
    "WHEN 'error' THEN concat_ws('  ', concat_ws(': ', error_type, "
    "error_message), error_component) "
    "WHEN 'performance' THEN concat_ws('  ', page_path, "
    "'lcp ' || performance_lcp_ms, 'inp ' || performance_inp_ms, "
    "'cls ' || performance_cls, 'ttfb ' || performance_ttfb_ms) "
    "WHEN 'custom' THEN concat_ws('  ', event_name, page_path) END, ''), "
    "event_name, page_path), 255) "
    "FROM session_events($1, $2) LIMIT $3::bigint";

static const char sql_events[] =
    "SELECT * FROM session_events($1, $2) LIMIT $3::bigint";

enum timeline {
	TIMELINE_TIME,
	TIMELINE_OFFSET_MS,
	TIMELINE_TYPE,
	TIMELINE_WHAT
};

/* How far the events have been printed. */
struct progress {
	unsigned long long printed;
};

static void
print_timeline_row(const PGresult *event, void *context)
{
	struct progress *progress = context;
	long long offset_ms =
	    strtoll(PQgetvalue(event, 0, TIMELINE_OFFSET_MS), NULL, 10);
	char offset[WHEN_TEXT];
	size_t columns_of_type;

	when_format_duration(offset_ms, offset);
	printf("%s  %12s  ", PQgetvalue(event, 0, TIMELINE_TIME), offset);
	columns_of_type =
	    table_print_value(stdout, event, 0, TIMELINE_TYPE, NULL);
	if (!PQgetisnull(event, 0, TIMELINE_WHAT)) {
		printf("%*s",
		    (int)(columns_of_type < 20 ? 20 - columns_of_type : 2), "");
		(void)table_print_value(stdout, event, 0, TIMELINE_WHAT, NULL);
	}
	putchar('\n');
	progress->printed++;
}

static void
print_json_row(const PGresult *event, void *context)
{
	struct progress *progress = context;

	fputs(progress->printed == 0 ? "\n" : ",\n", stdout);
	table_json_object(stdout, event, 0, NULL);
	progress->printed++;
}

/* Without a limit all of them: LIMIT NULL. */
static enum exitcode
show_text(PGconn *conn, const char *project_id, const PGresult *session,
    const char *limit, struct err *err)
{
	const char *const params[] = {project_id,
	    PQgetvalue(session, 0, SESSION_ID), limit,
	    PQgetvalue(session, 0, SESSION_STARTED)};
	unsigned long long all =
	    strtoull(PQgetvalue(session, 0, SESSION_EVENTS), NULL, 10);
	struct progress progress = {0};
	enum exitcode code;

	table_print_record(stdout, session, 0, head);
	printf("\n%-23s  %12s  %-18s  %s\n", "time (UTC)", "offset", "type",
	    "what");
	code = database_each_row(
	    conn, sql_timeline, 4, params, print_timeline_row, &progress, err);
	if (code != EXIT_DONE)
		return code;
	if (limit && progress.printed < all)
		printf(
		    "(the first %llu of %llu events)\n", progress.printed, all);
	else
		printf("(%llu event%s)\n", progress.printed,
		    progress.printed == 1 ? "" : "s");
	return EXIT_DONE;
}

static enum exitcode
show_json(PGconn *conn, const char *project_id, const PGresult *session,
    const char *limit, struct err *err)
{
	const char *const params[] = {
	    project_id, PQgetvalue(session, 0, SESSION_ID), limit};
	struct progress progress = {0};
	enum exitcode code;

	fputs("{\"session\":", stdout);
	table_json_object(stdout, session, 0, columns);
	fputs(",\"events\":[", stdout);
	code = database_each_row(
	    conn, sql_events, 3, params, print_json_row, &progress, err);
	if (code == EXIT_DONE)
		puts("]}");
	return code;
}

static enum exitcode
find_and_show(PGconn *conn, const struct command_args *args, const char *limit,
    struct err *err)
{
	char org_id[UUID_TEXT], project_id[UUID_TEXT];
	const char *const params[] = {project_id, args->operand};
	enum exitcode code;
	PGresult *session;

	code = find_project(conn, args->option[OPTION_ORG],
	    args->option[OPTION_PROJECT], org_id, project_id, err);
	if (code != EXIT_DONE)
		return code;
	session = database_query(conn, sql_find, 2, params, err);
	if (!session)
		return EXIT_DATABASE;
	if (PQntuples(session) == 0) {
		(void)err_set(err,
		    "no session \"%.255s\" in project \"%.200s\"",
		    args->operand, args->option[OPTION_PROJECT]);
		code = EXIT_REFUSED;
	} else {
		code = (args->option[OPTION_JSON] ? show_json : show_text)(
		    conn, project_id, session, limit, err);
	}
	PQclear(session);
	return code;
}

enum exitcode
session_show(
    const struct cfg *cfg, const struct command_args *args, struct err *err)
{
	char text[COMMAND_LIMIT_TEXT];
	const char *limit = NULL;
	PGconn *conn = NULL;
	enum exitcode code;

	if (args->option[OPTION_LIMIT]) {
		if (command_read_limit(args, NULL, text, err) == -1)
			return EXIT_USAGE;
		limit = text;
	}
	code = admin_open(cfg, &conn, err);
	if (code == EXIT_DONE)
		code = find_and_show(conn, args, limit, err);
	PQfinish(conn);
	return code;
}
