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

/* The same, for a statement whose rows nobody wants. */
int database_exec(PGconn *, const char *sql, int n, const char *const *params,
    struct err *) MUST_CHECK;

/* Puts why a result is no success into err, with a hint where we have one. */
void database_explain(const PGconn *, const PGresult *, struct err *);

#endif
