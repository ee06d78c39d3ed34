/* SPDX-License-Identifier: MIT */
/*
 * project_set.h - the settings of a project
 *
 * Runs in   ctl
 * Promises  all settings of a command line or none; standard output gets what
 *           has changed, or JSON
 * Failure   EXIT_USAGE: a setting that cannot be; EXIT_REFUSED: there is no
 * such organisation or project, or another needs no key under its slug; and as
 * admin_open()
 */
#ifndef PGD_CTL_PROJECT_SET_H
#define PGD_CTL_PROJECT_SET_H

#include "common/cfg.h"
#include "common/err.h"
#include "common/exitcode.h"
#include "ctl/command.h"

enum exitcode project_set(
    const struct cfg *, const struct command_args *, struct err *);

#endif
