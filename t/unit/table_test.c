/* SPDX-License-Identifier: MIT */
/*
 * Tables and JSON from a result that no server made.
 */
#include "ctl/table.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define BOOL 16
#define INT8 20
#define TEXT 25
#define JSON 114
#define FLOAT8 701
#define TIMESTAMPTZ 1184

/* A result with these columns; value() fills it. */
static PGresult *
make(int n, const Oid *types)
{
	PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	PGresAttDesc columns[8];
	static char name[] = "column";

	memset(columns, 0, sizeof(columns));
	for (int i = 0; i < n; i++) {
		columns[i].name = name;
		columns[i].typid = types[i];
	}
	cr_assert(PQsetResultAttrs(result, n, columns));
	return result;
}

static void
value(PGresult *result, int row, int column, const char *text)
{
	char copy[640];

	if (text)
		(void)snprintf(copy, sizeof(copy), "%s", text);
	cr_assert(PQsetvalue(result, row, column, text ? copy : NULL,
	    text ? (int)strlen(text) : -1));
}

typedef void (*print_fn)(FILE *, const PGresult *, const struct table_column *);

static void
expect(print_fn print, const PGresult *result,
    const struct table_column *columns, const char *want)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	cr_assert(out != NULL);
	print(out, result, columns);
	cr_assert(fclose(out) == 0);
	cr_expect_str_eq(text, want);
	free(text);
}

static void
first_record(
    FILE *out, const PGresult *result, const struct table_column *columns)
{
	table_print_record(out, result, 0, columns);
}

static const struct table_column two[] = {
    {"name", "name"}, {"n", "count"}, {NULL, NULL}};

Test(table, empty)
{
	static const Oid types[] = {TEXT, INT8};
	PGresult *result = make(2, types);

	expect(table_print, result, two,
	    " name | count\n"
	    "------+-------\n"
	    "(0 rows)\n");
	expect(table_json, result, two, "[]\n");
	PQclear(result);
}

Test(table, widths_and_sides)
{
	static const Oid types[] = {TEXT, INT8};
	PGresult *result = make(2, types);

	value(result, 0, 0,
	    "gr\xc3\xbc\xc3\x9f"
	    "e");
	value(result, 0, 1, "7");
	expect(table_print, result, two,
	    " name  | count\n"
	    "-------+-------\n"
	    " gr\xc3\xbc\xc3\x9f"
	    "e |     7\n"
	    "(1 row)\n");
	value(result, 1, 0, NULL);
	value(result, 1, 1, "1234567");
	value(result, 2, 0, "\x1b");
	value(result, 2, 1, NULL);
	expect(table_print, result, two,
	    " name  | count\n"
	    "-------+---------\n"
	    " gr\xc3\xbc\xc3\x9f"
	    "e |       7\n"
	    "       | 1234567\n"
	    " \\x1b  |        \n"
	    "(3 rows)\n");
	expect(table_json, result, two,
	    "[\n{\"name\":\"gr\xc3\xbc\xc3\x9f"
	    "e\",\"n\":7},\n"
	    "{\"name\":null,\"n\":1234567},\n"
	    "{\"name\":\"\\u001b\",\"n\":null}\n]\n");
	PQclear(result);
}

Test(table, types)
{
	static const Oid types[] = {
	    BOOL, FLOAT8, TIMESTAMPTZ, JSON, INT8, TEXT, TEXT};
	static const struct table_column columns[] = {{"yes", "yes"},
	    {"real", "real"}, {"at", "at"}, {"list", NULL}, {"took_ms", "took"},
	    {NULL, "people"}, {NULL, NULL}};
	PGresult *result = make(7, types);

	value(result, 0, 0, "t");
	value(result, 0, 1, "0.1");
	value(result, 0, 2, "2024-01-15 12:00:00.5+00");
	value(result, 0, 3, "[\"a\", 1.10]");
	value(result, 0, 4, "61000");
	value(result, 0, 5, "only");
	value(result, 0, 6, "behind the end");
	value(result, 1, 0, "f");
	value(result, 1, 1, "NaN");
	value(result, 1, 2, "infinity");
	value(result, 1, 3, NULL);
	value(result, 1, 4, NULL);
	value(result, 1, 5, NULL);
	value(result, 1, 6, NULL);
	expect(table_json, result, columns,
	    "[\n{\"yes\":true,\"real\":0.1,\"at\":\"2024-01-15T12:00:00."
	    "500000Z\","
	    "\"list\":[\"a\", 1.10],\"took_ms\":61000},\n"
	    "{\"yes\":false,\"real\":\"NaN\",\"at\":\"infinity\","
	    "\"list\":null,\"took_ms\":null}\n]\n");
	expect(table_print, result, columns,
	    " yes | real | at                   | took | people\n"
	    "-----+------+----------------------+------+--------\n"
	    " yes |  0.1 | 2024-01-15 12:00:00Z | 1m1s | only\n"
	    " no  |  NaN | infinity             |      | \n"
	    "(2 rows)\n");
	expect(first_record, result, columns,
	    "yes     yes\n"
	    "real    0.1\n"
	    "at      2024-01-15 12:00:00Z\n"
	    "took    1m1s\n"
	    "people  only\n");
	PQclear(result);
}

Test(table, longest_cell)
{
	static const Oid types[] = {TEXT};
	static const struct table_column one[] = {{"x", "x"}, {NULL, NULL}};
	PGresult *result = make(1, types);
	char text[600], dashes[80], line[640];

	memset(dashes, '-', sizeof(dashes));
	memset(text, 'a', 512);
	text[512] = '\0';
	value(result, 0, 0, text);
	(void)snprintf(line, sizeof(line), "x  %.512s\n", text);
	expect(first_record, result, one, line);
	text[512] = 'a';
	text[513] = '\0';
	value(result, 0, 0, text);
	(void)snprintf(line, sizeof(line), "x  %.512s...\n", text);
	expect(first_record, result, one, line);
	text[60] = '\0';
	value(result, 0, 0, text);
	(void)snprintf(
	    line, sizeof(line), " x\n%.62s\n %.60s\n(1 row)\n", dashes, text);
	expect(table_print, result, one, line);
	text[60] = 'a';
	text[61] = '\0';
	value(result, 0, 0, text);
	(void)snprintf(line, sizeof(line), " x\n%.65s\n %.60s...\n(1 row)\n",
	    dashes, text);
	expect(table_print, result, one, line);
	PQclear(result);
}
