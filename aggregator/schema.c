/* SPDX-License-Identifier: MIT */
/*
 * schema.c - compares the table of events with event_fields.def
 *
 * Columns that we do not send may be there, as long as a row without them can
 * be stored: a newer release has migrated first.
 */
#include "aggregator/schema.h"

#include <stdbool.h>
#include <string.h>

#include "common/event_fields.h"

#define ADVICE "run \"productgraphctl migrate\" of the same release"

const char schema_sql[] =
    "SELECT attname, format_type(atttypid, atttypmod),"
    " attnotnull AND NOT atthasdef AND attidentity = ''"
    " FROM pg_attribute WHERE attrelid = to_regclass('public.events')"
    " AND attnum > 0 AND NOT attisdropped";

/* Number of the row of a column, or -1. */
static int
column_find(const PGresult *columns, const char *name)
{
	int i;

	for (i = 0; i < PQntuples(columns); i++) {
		if (strcmp(PQgetvalue(columns, i, 0), name) == 0)
			return i;
	}
	return -1;
}

static bool
column_is_sent(const char *name)
{
	int id;

	for (id = 0; id < FIELD_COUNT; id++) {
		if (strcmp(event_fields[id].column, name) == 0)
			return true;
	}
	return false;
}

static int
field_check(const PGresult *columns, const struct field *field, struct err *err)
{
	const char *want = field_kind_sql(field->kind);
	int i = column_find(columns, field->column);

	if (i == -1)
		return err_set(err,
		    "table \"events\" has no column \"%s\"; " ADVICE,
		    field->column);
	if (strcmp(PQgetvalue(columns, i, 1), want) != 0)
		return err_set(err,
		    "column \"%s\" of table \"events\" is %s, not %s; " ADVICE,
		    field->column, PQgetvalue(columns, i, 1), want);
	return 0;
}

int
schema_check(const PGresult *columns, struct err *err)
{
	int i;

	if (PQntuples(columns) == 0)
		return err_set(
		    err, "the database has no table \"events\"; " ADVICE);
	for (i = 0; i < FIELD_COUNT; i++) {
		if (field_check(columns, &event_fields[i], err) == -1)
			return -1;
	}
	for (i = 0; i < PQntuples(columns); i++) {
		if (PQgetvalue(columns, i, 2)[0] == 't' &&
		    !column_is_sent(PQgetvalue(columns, i, 0)))
			return err_set(err,
			    "column \"%s\" of table \"events\" must have a "
			    "value and this release knows none",
			    PQgetvalue(columns, i, 0));
	}
	return 0;
}
