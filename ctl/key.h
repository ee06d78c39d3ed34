/* SPDX-License-Identifier: MIT */
/*
 * key.h - API keys: made, listed, rotated, revoked
 *
 * Runs in   ctl
 * Promises  a key is shown once, before it counts; standard output gets it
 *           alone on a line, or JSON, for a script to take; words for a person
 *           go to standard error
 * Failure   EXIT_USAGE: a name or time that cannot be; EXIT_REFUSED: there is
 * no such project or key, or more than one; EXIT_OS: the key could not be
 * shown; and as admin_open()
 */
#ifndef PGD_CTL_KEY_H
#define PGD_CTL_KEY_H

#include "common/cfg.h"
#include "common/err.h"
#include "common/exitcode.h"
#include "ctl/command.h"

enum exitcode key_create(
    const struct cfg *, const struct command_args *, struct err *);
enum exitcode key_list(
    const struct cfg *, const struct command_args *, struct err *);
enum exitcode key_rotate(
    const struct cfg *, const struct command_args *, struct err *);
enum exitcode key_revoke(
    const struct cfg *, const struct command_args *, struct err *);

#endif
