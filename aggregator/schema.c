/* SPDX-License-Identifier: MIT */
/*
 * schema.c - compares the tables with event_fields.def and session_columns.def
 *
 * Columns that we do not send may be there, as long as a row without them can
 * be stored: a newer release has migrated first.
 */
#include "aggregator/schema.h"

#include <stdbool.h>
#include <string.h>

#include "aggregator/session_columns.h"
#include "common/event_fields.h"

#define ADVICE "run \"productgraphctl migrate\" of the same release"

const char schema_sql[] =
    "SELECT relname, attname, format_type(atttypid, atttypmod),"
    " attnotnull AND NOT atthasdef AND attidentity = ''"
    " FROM pg_attribute JOIN pg_class c ON c.oid = attrelid"
    " WHERE attrelid IN (to_regclass('public.events'),"
    " to_regclass('public.session_state'))"
    " AND attnum > 0 AND NOT attisdropped";

enum {
	TABLE,
	NAME,
	TYPE,
	NEEDED
};

/* A column that is sent. */
struct column {
	const char *table;
	const char *name;
	const char *type;
};

/* Those of session_columns.def, and what says which session it is. */
static const struct column session_columns[] = {
    {"session_state", "session_key", "bigint"},
    {"session_state", "org_id", "uuid"},
    {"session_state", "project_id", "uuid"},
    {"session_state", "session_id", "text"},
#define SESSION_TIME(column, merge)                                            \
	{"session_state", #column, "timestamp with time zone"},
#define SESSION_COUNT(column, event_type) {"session_state", #column, "bigint"},
#define SESSION_VALUE(column, merge, source)                                   \
	{"session_state", #column, "text"},                                    \
	    {"session_state", #column "_order", "bytea"},
#include "aggregator/session_columns.def"
};

#define SESSION_COLUMNS (sizeof(session_columns) / sizeof(session_columns[0]))
#define COLUMNS (FIELD_COUNT + SESSION_COLUMNS)

static struct column
column_at(size_t i)
{
	if (i >= FIELD_COUNT)
		return session_columns[i - FIELD_COUNT];
	return (struct column){"events", event_fields[i].column,
	    field_kind_sql(event_fields[i].kind)};
}

static bool
is_of(const PGresult *found, int row, const struct column *column)
{
	return strcmp(PQgetvalue(found, row, TABLE), column->table) == 0 &&
	    strcmp(PQgetvalue(found, row, NAME), column->name) == 0;
}

static int
column_check(
    const PGresult *found, const struct column *column, struct err *err)
{
	int row = 0;

	while (row < PQntuples(found) && !is_of(found, row, column))
		row++;
	if (row == PQntuples(found))
		return err_set(err,
		    "table \"%s\" has no column \"%s\"; " ADVICE, column->table,
		    column->name);
	if (strcmp(PQgetvalue(found, row, TYPE), column->type) != 0)
		return err_set(err,
		    "column \"%s\" of table \"%s\" is %s, not %s; " ADVICE,
		    column->name, column->table, PQgetvalue(found, row, TYPE),
		    column->type);
	return 0;
}

static int
table_check(const PGresult *found, const char *table, struct err *err)
{
	int row;

	for (row = 0; row < PQntuples(found); row++) {
		if (strcmp(PQgetvalue(found, row, TABLE), table) == 0)
			return 0;
	}
	return err_set(err, "the database has no table \"%s\"; " ADVICE, table);
}

/* A column of theirs must be ours, or do without a value. */
static int
known_check(const PGresult *found, int row, struct err *err)
{
	struct column column;
	size_t i;

	if (PQgetvalue(found, row, NEEDED)[0] != 't')
		return 0;
	for (i = 0; i < COLUMNS; i++) {
		column = column_at(i);
		if (is_of(found, row, &column))
			return 0;
	}
	return err_set(err,
	    "column \"%s\" of table \"%s\" must have a value and this release "
	    "knows none",
	    PQgetvalue(found, row, NAME), PQgetvalue(found, row, TABLE));
}

int
schema_check(const PGresult *found, struct err *err)
{
	struct column column;
	size_t i;
	int row;

	if (table_check(found, "events", err) == -1 ||
	    table_check(found, "session_state", err) == -1)
		return -1;
	for (i = 0; i < COLUMNS; i++) {
		column = column_at(i);
		if (column_check(found, &column, err) == -1)
			return -1;
	}
	for (row = 0; row < PQntuples(found); row++) {
		if (known_check(found, row, err) == -1)
			return -1;
	}
	return 0;
}
