/* SPDX-License-Identifier: MIT */
/*
 * session.h - the sessions of a project, and the events of one
 *
 * Runs in   ctl
 * Promises  a session of a hundred thousand events takes no more memory than
 *           one of ten
 * Failure   EXIT_USAGE: a limit that cannot be; EXIT_REFUSED: no such
 *           organisation, project or session; and as admin_open()
 */
#ifndef PGD_CTL_SESSION_H
#define PGD_CTL_SESSION_H

#include "common/cfg.h"
#include "common/err.h"
#include "common/exitcode.h"
#include "ctl/command.h"

enum exitcode session_list(
    const struct cfg *, const struct command_args *, struct err *);
enum exitcode session_show(
    const struct cfg *, const struct command_args *, struct err *);

#endif
