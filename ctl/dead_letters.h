/* SPDX-License-Identifier: MIT */
/*
 * dead_letters.h - events that were accepted but that PostgreSQL refused
 *
 * Runs in   ctl
 * Failure   EXIT_USAGE: a limit or id that cannot be; EXIT_REFUSED: no such
 *           organisation, project or dead letter; and as admin_open()
 */
#ifndef PGD_CTL_DEAD_LETTERS_H
#define PGD_CTL_DEAD_LETTERS_H

#include "common/cfg.h"
#include "common/err.h"
#include "common/exitcode.h"
#include "ctl/command.h"

enum exitcode dead_letters_list(
    const struct cfg *, const struct command_args *, struct err *);
enum exitcode dead_letters_show(
    const struct cfg *, const struct command_args *, struct err *);

#endif
