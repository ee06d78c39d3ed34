/* SPDX-License-Identifier: MIT */
/*
 * migrate.h - brings the database to the version of the SQL files
 *
 * Runs in   ctl
 * Promises  whole versions only: a file and the record of it are one
 *           transaction; two at once are one after the other; --check changes
 *           nothing
 * Failure   EXIT_PENDING: --check found files to apply; EXIT_CONFIG: the files
 *           have a gap, differ from what was applied, or are older than the
 *           database; EXIT_DATABASE: PostgreSQL is away or refused a
 *           statement; earlier versions stay applied
 */
#ifndef PGD_CTL_MIGRATE_H
#define PGD_CTL_MIGRATE_H

#include "common/cfg.h"
#include "common/err.h"
#include "common/exitcode.h"
#include "ctl/command.h"

enum exitcode migrate_run(
    const struct cfg *, const struct command_args *, struct err *);

#endif
