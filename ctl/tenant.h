/* SPDX-License-Identifier: MIT */
/*
 * tenant.h - organisations, projects and API keys
 *
 * Runs in   ctl
 * Promises  standard output gets the id, or the key, alone on a line, for a
 *           script to take; words for a person go to standard error
 * Failure   EXIT_USAGE: a name or slug that cannot be; EXIT_DATABASE: it is
 *           taken, or what it belongs to does not exist
 */
#ifndef PGD_CTL_TENANT_H
#define PGD_CTL_TENANT_H

#include "common/cfg.h"
#include "common/err.h"
#include "common/exitcode.h"
#include "ctl/command.h"

enum exitcode tenant_org_create(
    const struct cfg *, const struct command_args *, struct err *);
enum exitcode tenant_project_create(
    const struct cfg *, const struct command_args *, struct err *);
enum exitcode tenant_key_create(
    const struct cfg *, const struct command_args *, struct err *);

#endif
