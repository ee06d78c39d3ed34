/* SPDX-License-Identifier: MIT */
/*
 * find.h - the organisation and the project that a command line names
 *
 * Runs in   ctl
 * Failure   EXIT_REFUSED: there is none of that name; EXIT_DATABASE
 */
#ifndef PGD_CTL_FIND_H
#define PGD_CTL_FIND_H

#include <libpq-fe.h>

#include "common/err.h"
#include "common/exitcode.h"
#include "common/uuid.h"

enum exitcode find_org(
    PGconn *, const char *slug, char id[UUID_TEXT], struct err *) MUST_CHECK;
enum exitcode find_project(PGconn *, const char *org, const char *slug,
    char org_id[UUID_TEXT], char id[UUID_TEXT], struct err *) MUST_CHECK;

/*
 * For a list that --org and --project may narrow: whether what they name is
 * there.  Either may be NULL.
 */
enum exitcode find_scope(
    PGconn *, const char *org, const char *project, struct err *) MUST_CHECK;

#endif
