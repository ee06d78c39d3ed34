/* SPDX-License-Identifier: MIT */
/*
 * admin.h - a connection as the administrator, to a database that fits
 *
 * Runs in   ctl
 * Owns      the PGconn is the caller's, to be PQfinish()ed
 * Promises  the database is at the version of this program's SQL files
 * Failure   as database_open(); EXIT_PENDING when the database is older, or
 *           empty; EXIT_CONFIG when it is newer than the program
 */
#ifndef PGD_CTL_ADMIN_H
#define PGD_CTL_ADMIN_H

#include <libpq-fe.h>

#include "common/cfg.h"
#include "common/err.h"
#include "common/exitcode.h"

enum exitcode admin_open(
    const struct cfg *, PGconn **, struct err *) MUST_CHECK;

#endif
