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
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/database.h"
#include "ctl/escape.h"
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
		    "the database is at version %s (\"%.80s\"), newer than "
		    "this program, whose files end with \"%.80s\"; use the "
		    "productgraphctl of that release",
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
	const char *position, *hint;
	struct err reason;
	int ret = 0;

	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK &&
	    status != PGRES_EMPTY_QUERY) {
		database_explain(conn, result, &reason);
		position =
		    PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);
		hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
		ret = position
		    ? err_set(err, "%.80s:%u: %.300s%s%.100s", file->name,
			  line_of(file->sql, position), reason.text,
			  hint ? "; " : "", hint ? hint : "")
		    : err_set(err, "%.80s: %.300s%s%.100s", file->name,
			  reason.text, hint ? "; " : "", hint ? hint : "");
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
	return 0;
}

/* One name; with JSON the rest of the line is print_end()'s. */
static void
print_name(const char *what, const char *name, bool first, bool json)
{
	if (!json) {
		printf("%s ", what);
		(void)escape_print(
		    stdout, name, strlen(name), SIZE_MAX, ESCAPE_TEXT);
		putchar('\n');
		/* Each when it is true: the next may take long, or fail. */
		(void)fflush(stdout);
		return;
	}
	if (!first)
		putchar(',');
	escape_print_json(stdout, name, strlen(name));
}

static void
print_begin(const char *what, bool json)
{
	if (json)
		printf("{\"%s\":[", what);
}

/* version is what the database has now. */
static void
print_end(size_t version, size_t newest, bool json)
{
	if (json)
		printf("],\"version\":%zu,\"newest\":%zu}\n", version, newest);
}

/* Everything from a version on, as far as it goes. */
static enum exitcode
apply_from(PGconn *conn, const struct migration_files *files, size_t version,
    bool json, struct err *err)
{
	enum exitcode code = EXIT_DONE;
	size_t first = version;

	if (version == files->n && !json)
		printf("up to date at version %zu\n", version);
	print_begin("applied", json);
	for (; version < files->n; version++) {
		const struct migration *file = &files->items[version];

		if (apply(conn, file, version + 1, err) == -1) {
			code = EXIT_DATABASE;
			break;
		}
		print_name("applied", file->name, version == first, json);
	}
	print_end(version, files->n, json);
	return code;
}

static enum exitcode
print_pending(const struct migration_files *files, size_t version, bool json,
    struct err *err)
{
	size_t i;

	if (version == files->n && !json)
		printf("up to date at version %zu\n", version);
	print_begin("pending", json);
	for (i = version; i < files->n; i++)
		print_name("pending", files->items[i].name, i == version, json);
	print_end(version, files->n, json);
	if (version == files->n)
		return EXIT_DONE;
	(void)err_set(err,
	    "the database is at version %zu, the files end with %zu; run "
	    "\"productgraphctl migrate\"",
	    version, files->n);
	return EXIT_PENDING;
}

/*
 * How many of the files the database has, in version; EXIT_CONFIG when what it
 * has is not how the files begin.
 */
static enum exitcode
read_version(PGconn *conn, const struct migration_files *files, size_t *version,
    struct err *err)
{
	PGresult *applied;
	int fits;

	applied = database_query(conn,
	    "SELECT version, name, checksum FROM public.schema_migrations "
	    "ORDER BY version",
	    0, NULL, err);
	if (!applied)
		return EXIT_DATABASE;
	fits = check_applied(applied, files, err);
	*version = (size_t)PQntuples(applied);
	PQclear(applied);
	return fits == -1 ? EXIT_CONFIG : EXIT_DONE;
}

static enum exitcode
apply_new(PGconn *conn, const struct migration_files *files, bool json,
    struct err *err)
{
	enum exitcode code;
	size_t version;

	if (lock(conn, err) == -1 ||
	    database_exec(conn, sql_make_record, 0, NULL, err) == -1)
		return EXIT_DATABASE;
	code = read_version(conn, files, &version, err);
	if (code != EXIT_DONE)
		return code;
	return apply_from(conn, files, version, json, err);
}

/* Changes nothing and waits for nobody. */
static enum exitcode
check(PGconn *conn, const struct migration_files *files, bool json,
    struct err *err)
{
	enum exitcode code = EXIT_DONE;
	size_t version = 0;
	PGresult *result;
	bool made;

	result = database_query(conn,
	    "SELECT to_regclass('public.schema_migrations') IS NOT NULL", 0,
	    NULL, err);
	if (!result)
		return EXIT_DATABASE;
	made = PQgetvalue(result, 0, 0)[0] == 't';
	PQclear(result);
	if (made)
		code = read_version(conn, files, &version, err);
	if (code != EXIT_DONE)
		return code;
	return print_pending(files, version, json, err);
}

enum exitcode
migrate_run(
    const struct cfg *cfg, const struct command_args *args, struct err *err)
{
	const char *dir = args->option[OPTION_SQL_DIR];
	struct migration_files files;
	PGconn *conn = NULL;
	enum exitcode code;

	if (migration_files_load(&files, dir ? dir : PGD_SQLDIR, err) == -1) {
		struct err first = *err;

		if (!dir)
			(void)err_set(err,
			    "%.400s; --sql-dir DIR names another", first.text);
		return EXIT_CONFIG;
	}
	code = database_open(cfg->ctl_migrate_conninfo,
	    cfg->ctl_migrate_password_file, &conn, err);
	if (code == EXIT_DONE) {
		code = (args->option[OPTION_CHECK] ? check : apply_new)(
		    conn, &files, args->option[OPTION_JSON] != NULL, err);
		PQfinish(conn);
	}
	migration_files_free(&files);
	return code;
}
