/* SPDX-License-Identifier: MIT */
/*
 * The statements about sessions: every column of session_columns.def is there,
 * each with a parameter of its own.  What they do is seen in
 * t/integration/test_sessions.py.
 */
#include "aggregator/session_sql.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/session_columns.h"

#define GAINS (SESSION_TIMES + SESSION_COUNTS + 2 * SESSION_VALUES)

/* Every parameter from $1 to the last, once; their number. */
static long
parameters(const char *sql)
{
	const char *at = sql;
	long n = 0;

	while ((at = strchr(at, '$')) != NULL) {
		n++;
		cr_assert_eq(strtol(++at, NULL, 10), n, "%s", at);
	}
	return n;
}

static void
expect(const char *sql, const char *fmt, const char *name)
{
	char text[256];
	size_t i, j;

	for (i = j = 0; fmt[i] != '\0'; i++) {
		if (fmt[i] == '@')
			j += (size_t)snprintf(
			    text + j, sizeof(text) - j, "%s", name);
		else
			text[j++] = fmt[i];
		cr_assert_lt(j, sizeof(text) - 1);
	}
	text[j] = '\0';
	cr_expect(strstr(sql, text) != NULL, "no \"%s\" in %s", text, sql);
}

Test(session_sql, inserts_every_column)
{
	struct buf sql = BUF_INIT;
	size_t i;

	cr_assert_eq(session_insert_sql(&sql), 0);
	cr_expect_eq(parameters(sql.data), 4 + GAINS);
	for (i = 0; i < SESSION_TIMES; i++)
		expect(sql.data, ", @", session_times[i].name);
	for (i = 0; i < SESSION_COUNTS; i++)
		expect(sql.data, ", @", session_counts[i].name);
	for (i = 0; i < SESSION_VALUES; i++)
		expect(sql.data, ", @, @_order", session_values[i].name);
	buf_free(&sql);
}

Test(session_sql, merges_every_column_in_its_way)
{
	struct buf sql = BUF_INIT;
	size_t i;

	cr_assert_eq(session_update_sql(&sql), 0);
	cr_expect_eq(parameters(sql.data), 2 + GAINS);
	for (i = 0; i < SESSION_TIMES; i++)
		expect(sql.data,
		    session_times[i].merge == SESSION_LEAST
			? ", @ = least(s.@, n.@)"
			: ", @ = greatest(s.@, n.@)",
		    session_times[i].name);
	for (i = 0; i < SESSION_COUNTS; i++)
		expect(sql.data, ", @ = s.@ + n.@", session_counts[i].name);
	for (i = 0; i < SESSION_VALUES; i++)
		expect(sql.data,
		    session_values[i].merge == SESSION_FIRST
			? "n.@_order < s.@_order THEN n.@ ELSE s.@ END, "
			  "@_order = least(s.@_order, n.@_order)"
			: "n.@_order > s.@_order THEN n.@ ELSE s.@ END, "
			  "@_order = greatest(s.@_order, n.@_order)",
		    session_values[i].name);
	buf_free(&sql);
}
