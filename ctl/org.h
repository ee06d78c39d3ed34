/* SPDX-License-Identifier: MIT */
/*
 * org.h - organisations, the tenants
 *
 * Runs in   ctl
 * Promises  standard output gets the id alone on a line, or JSON, for a script
 *           to take; words for a person go to standard error
 * Failure   EXIT_USAGE: a name or slug that cannot be; EXIT_REFUSED: it is
 *           taken; and as admin_open()
 */
#ifndef PGD_CTL_ORG_H
#define PGD_CTL_ORG_H

#include "common/cfg.h"
#include "common/err.h"
#include "common/exitcode.h"
#include "ctl/command.h"

enum exitcode org_create(
    const struct cfg *, const struct command_args *, struct err *);
enum exitcode org_list(
    const struct cfg *, const struct command_args *, struct err *);

#endif
