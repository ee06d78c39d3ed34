/* SPDX-License-Identifier: MIT */
/*
 * session_sql.c - the text of the statements about sessions
 *
 * The columns come from session_columns.def; each is a parameter, an array,
 * that is unnested beside the others.
 */
#include "aggregator/session_sql.h"

#include <stdbool.h>

#include "aggregator/session_columns.h"

const char session_lookup_sql[] =
    "SELECT n.i, s.session_key, s.event_count, s.started_at, s.ended_at,"
    " CASE WHEN s.session_key IS NULL"
    " THEN nextval('public.session_keys') END"
    " FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY"
    " AS n(project_id, session_id, i)"
    " LEFT JOIN public.session_state s USING (project_id, session_id)";

/*
 * The outer bounds let the planner leave out months, the inner the executor.
 * OFFSET 0 keeps the planner from turning the loop around: new partitions have
 * no statistics, and it would rather read one than trust an index.
 */
const char session_load_sql[] =
    "SELECT n.i, e.event_id"
    " FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[])"
    " WITH ORDINALITY AS n(session_key, started_at, ended_at, i),"
    " LATERAL (SELECT event_id FROM public.events"
    " WHERE session_key = n.session_key"
    " AND \"timestamp\" BETWEEN n.started_at AND n.ended_at"
    " AND \"timestamp\" BETWEEN ($4::timestamptz[])[1]"
    " AND ($4::timestamptz[])[2] OFFSET 0) AS e";

const char session_probe_sql[] =
    "SELECT n.i"
    " FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[],"
    " $4::text[])"
    " WITH ORDINALITY AS n(session_key, started_at, ended_at, event_id, i)"
    " WHERE EXISTS (SELECT FROM public.events e"
    " WHERE e.session_key = n.session_key"
    " AND public.event_hash(e.event_id) = public.event_hash(n.event_id)"
    " AND e.event_id = n.event_id"
    " AND e.\"timestamp\" BETWEEN n.started_at AND n.ended_at"
    " AND e.\"timestamp\" BETWEEN ($5::timestamptz[])[1]"
    " AND ($5::timestamptz[])[2] OFFSET 0)";

static int
append_columns(struct buf *sql)
{
	size_t i;

	for (i = 0; i < SESSION_TIMES; i++) {
		if (buf_printf(sql, ", %s", session_times[i].name) == -1)
			return -1;
	}
	for (i = 0; i < SESSION_COUNTS; i++) {
		if (buf_printf(sql, ", %s", session_counts[i].name) == -1)
			return -1;
	}
	for (i = 0; i < SESSION_VALUES; i++) {
		if (buf_printf(sql, ", %s, %s_order", session_values[i].name,
			session_values[i].name) == -1)
			return -1;
	}
	return 0;
}

/* The arrays of append_columns(), from $first on. */
static int
append_arrays(struct buf *sql, int first)
{
	size_t i;

	for (i = 0; i < SESSION_TIMES; i++) {
		if (buf_printf(sql, ", $%d::timestamptz[]", first++) == -1)
			return -1;
	}
	for (i = 0; i < SESSION_COUNTS; i++) {
		if (buf_printf(sql, ", $%d::bigint[]", first++) == -1)
			return -1;
	}
	for (i = 0; i < SESSION_VALUES; i++, first += 2) {
		if (buf_printf(sql, ", $%d::text[], $%d::bytea[]", first,
			first + 1) == -1)
			return -1;
	}
	return 0;
}

int
session_insert_sql(struct buf *sql)
{
	if (buf_puts(sql,
		"INSERT INTO public.session_state"
		" (session_key, org_id, project_id, session_id") == -1 ||
	    append_columns(sql) == -1 ||
	    buf_puts(sql,
		") SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::uuid[],"
		" $4::text[]") == -1 ||
	    append_arrays(sql, 5) == -1 ||
	    buf_puts(sql, ") ON CONFLICT DO NOTHING") == -1)
		return -1;
	return buf_append(sql, "", 1);
}

/* How each column takes in what the batch has of it; nulls are left out. */
static int
append_merges(struct buf *sql)
{
	const char *name, *least;
	size_t i;

	for (i = 0; i < SESSION_TIMES; i++) {
		name = session_times[i].name;
		least = session_times[i].merge == SESSION_LEAST ? "least"
								: "greatest";
		if (buf_printf(sql, ", %s = %s(s.%s, n.%s)", name, least, name,
			name) == -1)
			return -1;
	}
	for (i = 0; i < SESSION_COUNTS; i++) {
		name = session_counts[i].name;
		if (buf_printf(sql, ", %s = s.%s + n.%s", name, name, name) ==
		    -1)
			return -1;
	}
	for (i = 0; i < SESSION_VALUES; i++) {
		bool first = session_values[i].merge == SESSION_FIRST;

		name = session_values[i].name;
		if (buf_printf(sql,
			", %s = CASE WHEN s.%s_order IS NULL"
			" OR n.%s_order %c s.%s_order THEN n.%s ELSE s.%s END"
			", %s_order = %s(s.%s_order, n.%s_order)",
			name, name, name, first ? '<' : '>', name, name, name,
			name, first ? "least" : "greatest", name, name) == -1)
			return -1;
	}
	return 0;
}

int
session_update_sql(struct buf *sql)
{
	if (buf_puts(sql,
		"UPDATE public.session_state AS s SET updated_at = now()") ==
		-1 ||
	    append_merges(sql) == -1 ||
	    buf_puts(sql, " FROM unnest($1::bigint[], $2::bigint[]") == -1 ||
	    append_arrays(sql, 3) == -1 ||
	    buf_puts(sql, ") AS n(session_key, expected") == -1 ||
	    append_columns(sql) == -1 ||
	    buf_puts(sql,
		") WHERE s.session_key = n.session_key"
		" AND s.event_count = n.expected") == -1)
		return -1;
	return buf_append(sql, "", 1);
}
