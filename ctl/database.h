/* SPDX-License-Identifier: MIT */
/*
 * database.h - a connection to PostgreSQL, for one command
 *
 * Runs in   ctl
 * Owns      a PGconn is the caller's, to be PQfinish()ed; so is a PGresult
 * Failure   the reason, on one line, as PostgreSQL or libpq gives it
 * Blocking  always
 */
#ifndef PGD_CTL_DATABASE_H
#define PGD_CTL_DATABASE_H

#include <stdbool.h>

#include <libpq-fe.h>

#include "common/err.h"
#include "common/exitcode.h"

/*
 * EXIT_DONE and a connection in *conn; or EXIT_CONFIG, when conninfo or the
 * password file is at fault; or EXIT_DATABASE, when PostgreSQL is away or does
 * not let us in.  password_file may be "".
 */
enum exitcode database_open(const char *conninfo, const char *password_file,
    PGconn **conn, struct err *) MUST_CHECK;

/* One statement with n parameters in text form; NULL when it failed. */
PGresult *database_query(PGconn *, const char *sql, int n,
    const char *const *params, struct err *) MUST_CHECK;

struct table_column;

/* The same, and prints the rows by table_show(). */
enum exitcode database_list(PGconn *, const char *sql, int n,
    const char *const *params, const struct table_column *, bool json,
    struct err *) MUST_CHECK;

/*
 * The same, one row after the other as they come, each as row 0 of a result: a
 * hundred thousand of them take no more memory than one.
 */
typedef void (*database_row_fn)(const PGresult *, void *context);

enum exitcode database_each_row(PGconn *, const char *sql, int n,
    const char *const *params, database_row_fn, void *context,
    struct err *) MUST_CHECK;

/* The same, for a statement whose rows nobody wants. */
int database_exec(PGconn *, const char *sql, int n, const char *const *params,
    struct err *) MUST_CHECK;

/* Puts why a result is no success into err, with a hint where we have one. */
void database_explain(const PGconn *, const PGresult *, struct err *);

#endif
