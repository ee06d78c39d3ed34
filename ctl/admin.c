/* SPDX-License-Identifier: MIT */
/*
 * admin.c - refuses a database that other SQL files than ours have made
 *
 * What a column means is known for one version only.  The program's version is
 * the number of SQL files it was built with, counted by the Makefile.
 */
#include "ctl/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/database.h"

#define UNDEFINED_TABLE "42P01"
#define INSUFFICIENT_PRIVILEGE "42501"

#define MIGRATE "run \"productgraphctl migrate\""

static enum exitcode
judge_version(long version, struct err *err)
{
	if (version == 0) {
		(void)err_set(
		    err, "the database has not been migrated; " MIGRATE);
		return EXIT_PENDING;
	}
	if (version < PGD_SCHEMA_VERSION) {
		(void)err_set(err,
		    "the database is at version %ld, this program needs "
		    "%d; " MIGRATE,
		    version, PGD_SCHEMA_VERSION);
		return EXIT_PENDING;
	}
	if (version > PGD_SCHEMA_VERSION) {
		(void)err_set(err,
		    "the database is at version %ld, newer than this program "
		    "(%d); use the productgraphctl of that release",
		    version, PGD_SCHEMA_VERSION);
		return EXIT_CONFIG;
	}
	return EXIT_DONE;
}

/* Why the record of versions could not be read. */
static enum exitcode
judge_failure(const PGconn *conn, const PGresult *result, struct err *err)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	if (state && strcmp(state, UNDEFINED_TABLE) == 0)
		return judge_version(0, err);
	/* Only since version 7 may the administrator read it. */
	if (state && strcmp(state, INSUFFICIENT_PRIVILEGE) == 0) {
		(void)err_set(err,
		    "the database is older than this program, which needs "
		    "version %d; " MIGRATE,
		    PGD_SCHEMA_VERSION);
		return EXIT_PENDING;
	}
	database_explain(conn, result, err);
	return EXIT_DATABASE;
}

static enum exitcode
check_version(PGconn *conn, struct err *err)
{
	enum exitcode code;
	PGresult *result;

	result = PQexec(conn,
	    "SELECT coalesce(max(version), 0) FROM public.schema_migrations");
	if (PQresultStatus(result) == PGRES_TUPLES_OK)
		code = judge_version(
		    strtol(PQgetvalue(result, 0, 0), NULL, 10), err);
	else
		code = judge_failure(conn, result, err);
	PQclear(result);
	return code;
}

enum exitcode
admin_open(const struct cfg *cfg, PGconn **conn, struct err *err)
{
	enum exitcode code;

	code =
	    database_open(cfg->ctl_conninfo, cfg->ctl_password_file, conn, err);
	if (code != EXIT_DONE)
		return code;
	code = check_version(*conn, err);
	if (code != EXIT_DONE) {
		PQfinish(*conn);
		*conn = NULL;
	}
	return code;
}
