/* SPDX-License-Identifier: MIT */
/*
 * migrate.c - applies the SQL files that were not applied yet
 *
 * Knows of the schema only its own record, schema_migrations, which it makes
 * before the first file so that the files can grant it.  There is no way back:
 * a mistake is repaired by the next file.
 *
 * Invariants
 *  1. Everything from the look at the record to the last commit happens under
 *     one advisory lock of the session, which ends with the connection.
 *  2. Rows of schema_migrations are versions 1 to n, without a gap, and each
 *     is committed together with its file or not at all.
 */
#include "ctl/migrate.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/database.h"
#include "ctl/migration_files.h"

/* Any number that nobody else locks: "PGDMIGR" in ASCII. */
#define LOCK_KEY "22596356816848722"

static const char sql_make_record[] =
    "CREATE TABLE IF NOT EXISTS public.schema_migrations ("
    "version int PRIMARY KEY, "
    "name text NOT NULL, "
    "checksum text NOT NULL, "
    "applied_at timestamptz NOT NULL DEFAULT now())";

/* Waits as long as another migration takes, and says so. */
static int
lock(PGconn *conn, struct err *err)
{
	PGresult *result;
	bool got;

	result = database_query(
	    conn, "SELECT pg_try_advisory_lock(" LOCK_KEY ")", 0, NULL, err);
	if (!result)
		return -1;
	got = PQgetvalue(result, 0, 0)[0] == 't';
	PQclear(result);
	if (got)
		return 0;
	fprintf(stderr, "waiting for another migration to end\n");
	return database_exec(
	    conn, "SELECT pg_advisory_lock(" LOCK_KEY ")", 0, NULL, err);
}

static int
check_applied_one(const PGresult *applied, int row,
    const struct migration_files *files, struct err *err)
{
	long version = strtol(PQgetvalue(applied, row, 0), NULL, 10);
	const char *name = PQgetvalue(applied, row, 1);
	const struct migration *file = &files->items[row];

	if (version != row + 1) {
		return err_set(err,
		    "the database has version %ld applied but not version %d",
		    version, row + 1);
	}
	if (strcmp(PQgetvalue(applied, row, 2), file->checksum) != 0) {
		return err_set(
		    err, "\"%s\" has changed since it was applied", file->name);
	}
	if (strcmp(name, file->name) != 0) {
		return err_set(err, "\"%s\" was applied under the name \"%s\"",
		    file->name, name);
	}
	return 0;
}

/* Whether what was applied is how the files begin. */
static int
check_applied(const PGresult *applied, const struct migration_files *files,
    struct err *err)
{
	int rows = PQntuples(applied);
	int row;

	if ((size_t)rows > files->n) {
		return err_set(err,
		    "the database is at version %s (\"%s\"), newer than the "
		    "files, which end with \"%s\"",
		    PQgetvalue(applied, rows - 1, 0),
		    PQgetvalue(applied, rows - 1, 1),
		    files->items[files->n - 1].name);
	}
	for (row = 0; row < rows; row++)
		if (check_applied_one(applied, row, files, err) == -1)
			return -1;
	return 0;
}

/* PostgreSQL counts characters from 1; the line is what a person looks for. */
static unsigned
line_of(const char *sql, const char *position)
{
	unsigned long left = position ? strtoul(position, NULL, 10) : 0;
	unsigned line = 1;

	for (; left > 1 && *sql != '\0'; sql++) {
		if (((unsigned char)sql[1] & 0xc0) != 0x80)
			left--;
		line += *sql == '\n';
	}
	return line;
}

/* Many statements at once: the simple protocol, and no parameters. */
static int
run_file(PGconn *conn, const struct migration *file, struct err *err)
{
	PGresult *result = PQexec(conn, file->sql);
	ExecStatusType status = PQresultStatus(result);
	const char *position;
	struct err reason;
	int ret = 0;

	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK &&
	    status != PGRES_EMPTY_QUERY) {
		database_explain(conn, result, &reason);
		position =
		    PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);
		ret = position
		    ? err_set(err, "%.80s:%u: %.400s", file->name,
			  line_of(file->sql, position), reason.text)
		    : err_set(err, "%.80s: %.400s", file->name, reason.text);
	}
	PQclear(result);
	return ret;
}

static int
apply(
    PGconn *conn, const struct migration *file, size_t version, struct err *err)
{
	char number[24];
	const char *const params[] = {number, file->name, file->checksum};

	(void)snprintf(number, sizeof(number), "%zu", version);
	if (database_exec(conn, "BEGIN", 0, NULL, err) == -1 ||
	    run_file(conn, file, err) == -1)
		return -1;
	if (PQtransactionStatus(conn) != PQTRANS_INTRANS) {
		return err_set(err,
		    "\"%s\" ends the transaction it runs in: repair the file "
		    "and the database by hand",
		    file->name);
	}
	/* A file may work as the owner; the record is not the owner's. */
	if (database_exec(conn, "RESET ROLE", 0, NULL, err) == -1 ||
	    database_exec(conn,
		"INSERT INTO public.schema_migrations "
		"(version, name, checksum) VALUES ($1, $2, $3)",
		3, params, err) == -1 ||
	    database_exec(conn, "COMMIT", 0, NULL, err) == -1)
		return -1;
	printf("applied %s\n", file->name);
	/* Each when it is true: the next may take long, or fail. */
	(void)fflush(stdout);
	return 0;
}

static enum exitcode
apply_new(PGconn *conn, const struct migration_files *files, struct err *err)
{
	PGresult *applied;
	size_t version;
	int fits;

	if (lock(conn, err) == -1 ||
	    database_exec(conn, sql_make_record, 0, NULL, err) == -1)
		return EXIT_DATABASE;
	applied = database_query(conn,
	    "SELECT version, name, checksum FROM public.schema_migrations "
	    "ORDER BY version",
	    0, NULL, err);
	if (!applied)
		return EXIT_DATABASE;
	fits = check_applied(applied, files, err);
	version = (size_t)PQntuples(applied);
	PQclear(applied);
	if (fits == -1)
		return EXIT_CONFIG;
	if (version == files->n)
		printf("up to date at version %zu\n", version);
	for (; version < files->n; version++)
		if (apply(conn, &files->items[version], version + 1, err) == -1)
			return EXIT_DATABASE;
	return EXIT_DONE;
}

enum exitcode
migrate_run(
    const struct cfg *cfg, const struct command_args *args, struct err *err)
{
	const char *dir = args->option[OPTION_SQL_DIR];
	struct migration_files files;
	PGconn *conn = NULL;
	enum exitcode code;

	if (migration_files_load(&files, dir ? dir : PGD_SQLDIR, err) == -1)
		return EXIT_CONFIG;
	code = database_open(cfg->ctl_migrate_conninfo,
	    cfg->ctl_migrate_password_file, &conn, err);
	if (code == EXIT_DONE) {
		code = apply_new(conn, &files, err);
		PQfinish(conn);
	}
	migration_files_free(&files);
	return code;
}
