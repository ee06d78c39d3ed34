/* SPDX-License-Identifier: MIT */
/*
 * project.h - the projects of organisations
 *
 * Runs in   ctl
 * Promises  standard output gets the id alone on a line, or JSON, for a script
 *           to take; words for a person go to standard error
 * Failure   EXIT_USAGE: a name or slug that cannot be; EXIT_REFUSED: the slug
 * is taken, or there is no such organisation; and as admin_open()
 */
#ifndef PGD_CTL_PROJECT_H
#define PGD_CTL_PROJECT_H

#include "common/cfg.h"
#include "common/err.h"
#include "common/exitcode.h"
#include "ctl/command.h"

enum exitcode project_create(
    const struct cfg *, const struct command_args *, struct err *);
enum exitcode project_list(
    const struct cfg *, const struct command_args *, struct err *);

#endif
