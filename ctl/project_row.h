/* SPDX-License-Identifier: MIT */
/*
 * project_row.h - the rows of projects, with all their settings
 *
 * Runs in   ctl
 * Owns      a PGresult is the caller's, to be PQclear()ed
 */
#ifndef PGD_CTL_PROJECT_ROW_H
#define PGD_CTL_PROJECT_ROW_H

#include <libpq-fe.h>

#include "common/err.h"
#include "common/exitcode.h"
#include "ctl/table.h"

/* project_columns[], in their order. */
#define SELECT_PROJECTS                                                        \
	"SELECT o.slug, p.slug, p.name, p.id, p.require_api_key, "             \
	"to_json(p.allowed_origins), "                                         \
	"CASE WHEN p.allowed_origins = '{}' THEN 'any' "                       \
	"ELSE array_to_string(p.allowed_origins, ' ') END, "                   \
	"(extract(epoch FROM p.session_timeout) * 1000)::bigint, "             \
	"p.created_at, p.updated_at "                                          \
	"FROM projects p JOIN organizations o ON o.id = p.org_id "

extern const struct table_column project_columns[];

/* The project of that id, its row locked; NULL when that failed. */
PGresult *project_row_get(PGconn *, const char *id, struct err *) MUST_CHECK;

/*
 * Refuses (EXIT_REFUSED) to let two projects answer to one slug without a key,
 * and says whose it is.  id is the project's own, NULL for one to be made.  The
 * index is what keeps them apart; this is for the words.
 */
enum exitcode project_row_check_keyless(
    PGconn *, const char *id, const char *slug, struct err *) MUST_CHECK;

#endif
