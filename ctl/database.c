/* SPDX-License-Identifier: MIT */
/*
 * database.c - connects, asks, and says in one line what went wrong
 *
 * Passwords come from a file of their own that nobody else can read, never
 * from the configuration.  Nothing here retries: the operator is watching.
 */
#include "ctl/database.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/password.h"

#include "ctl/table.h"

#define CONNECT_TIMEOUT_S "10"

/* libpq writes some messages over several lines: white space becomes one. */
static void
set_message(struct err *err, const char *prefix, const char *message)
{
	char *to = err->text;
	const char *from;

	(void)err_set(err, "%s%s", prefix, message);
	for (from = err->text; *from != '\0'; from++)
		if (!strchr(" \t\n", *from))
			*to++ = *from;
		else if (to > err->text && to[-1] != ' ')
			*to++ = ' ';
	if (to > err->text && to[-1] == ' ')
		to--;
	*to = '\0';
}

void
database_explain(const PGconn *conn, const PGresult *result, struct err *err)
{
	const char *message =
	    PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *hint = "";

	/* No such table or schema: the usual reason is an empty database. */
	if (state &&
	    (strcmp(state, "42P01") == 0 || strcmp(state, "3F000") == 0))
		hint = "; has \"productgraphctl migrate\" been run?";
	set_message(err,
	    PQstatus(conn) == CONNECTION_BAD ? "PostgreSQL is away: " : "",
	    message ? message : PQerrorMessage(conn));
	if (hint[0] != '\0') {
		struct err first = *err;

		(void)err_set(err, "%.400s%s", first.text, hint);
	}
}

static int
conninfo_check(const char *conninfo, struct err *err)
{
	char *reason = NULL;
	PQconninfoOption *options = PQconninfoParse(conninfo, &reason);

	if (!options) {
		set_message(
		    err, "bad conninfo: ", reason ? reason : "no memory");
		PQfreemem(reason);
		return -1;
	}
	PQconninfoFree(options);
	return 0;
}

/*
 * What an operator's role, database or environment may have set otherwise, and
 * what the statements of this program rely on.
 */
static const char session_settings[] =
    "SET client_min_messages = warning; SET search_path = public; "
    "SET standard_conforming_strings = on; "
    "SET timezone = 'UTC'; SET datestyle = 'ISO'; SET bytea_output = 'hex'; "
    "SET extra_float_digits = 1";

/* What to look at first, before libpq's own words. */
static const char *
why_unconnected(const char *const *keywords, const char *const *values)
{
	switch (PQpingParams(keywords, values, 1)) {
	case PQPING_OK:
		return "PostgreSQL does not let us in: ";
	case PQPING_REJECT:
		return "PostgreSQL is starting or stopping: ";
	default:
		return "PostgreSQL is away: ";
	}
}

static PGconn *
connect_with(const char *conninfo, const char *password, struct err *err)
{
	/* "dbname" is expanded in place: it overrides only what is before. */
	const char *const keywords[] = {"connect_timeout",
	    "target_session_attrs", "fallback_application_name", "dbname",
	    "client_encoding", password ? "password" : NULL, NULL};
	const char *const values[] = {CONNECT_TIMEOUT_S, "read-write",
	    "productgraphctl", conninfo, "UTF8", password, NULL};
	PGresult *result;
	PGconn *conn;

	conn = PQconnectdbParams(keywords, values, 1);
	if (PQstatus(conn) != CONNECTION_OK) {
		set_message(err, why_unconnected(keywords, values),
		    PQerrorMessage(conn));
		goto out;
	}
	result = PQexec(conn, session_settings);
	if (PQresultStatus(result) == PGRES_COMMAND_OK) {
		PQclear(result);
		return conn;
	}
	database_explain(conn, result, err);
	PQclear(result);
out:
	PQfinish(conn);
	return NULL;
}

enum exitcode
database_open(const char *conninfo, const char *password_file, PGconn **conn,
    struct err *err)
{
	char password[PASSWORD_SIZE];
	bool has_password = password_file[0] != '\0';

	if (conninfo_check(conninfo, err) == -1)
		return EXIT_CONFIG;
	if (has_password && password_read(password_file, password, err) == -1)
		return EXIT_CONFIG;
	*conn = connect_with(conninfo, has_password ? password : NULL, err);
	explicit_bzero(password, sizeof(password));
	return *conn ? EXIT_DONE : EXIT_DATABASE;
}

PGresult *
database_query(PGconn *conn, const char *sql, int n, const char *const *params,
    struct err *err)
{
	PGresult *result;
	ExecStatusType status;

	result = PQexecParams(conn, sql, n, NULL, params, NULL, NULL, 0);
	status = PQresultStatus(result);
	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
		return result;
	database_explain(conn, result, err);
	PQclear(result);
	return NULL;
}

enum exitcode
database_list(PGconn *conn, const char *sql, int n, const char *const *params,
    const struct table_column *columns, bool json, struct err *err)
{
	PGresult *result = database_query(conn, sql, n, params, err);

	if (!result)
		return EXIT_DATABASE;
	table_show(result, columns, json);
	PQclear(result);
	return EXIT_DONE;
}

enum exitcode
database_each_row(PGconn *conn, const char *sql, int n,
    const char *const *params, database_row_fn row, void *context,
    struct err *err)
{
	enum exitcode code = EXIT_DONE;
	PGresult *result;

	if (PQsendQueryParams(conn, sql, n, NULL, params, NULL, NULL, 0) == 0 ||
	    PQsetSingleRowMode(conn) == 0) {
		set_message(err, "", PQerrorMessage(conn));
		return EXIT_DATABASE;
	}
	while ((result = PQgetResult(conn)) != NULL) {
		if (PQresultStatus(result) == PGRES_SINGLE_TUPLE) {
			row(result, context);
		} else if (PQresultStatus(result) != PGRES_TUPLES_OK) {
			database_explain(conn, result, err);
			code = EXIT_DATABASE;
		}
		PQclear(result);
	}
	return code;
}

int
database_exec(PGconn *conn, const char *sql, int n, const char *const *params,
    struct err *err)
{
	PGresult *result = database_query(conn, sql, n, params, err);

	if (!result)
		return -1;
	PQclear(result);
	return 0;
}
