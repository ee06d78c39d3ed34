/* SPDX-License-Identifier: MIT */
/*
 * table.c - prints what PostgreSQL answered
 *
 * Tables look as psql's do.  A cell is cut so that a line of strangers' long
 * values can still be read; a record has room for any identifier, and JSON has
 * every byte.
 */
#include "ctl/table.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/escape.h"
#include "ctl/when.h"

/* In a table: more than any id or time. */
#define CELL_MAX 60

/* In a sentence: the longest identifier of an event, or slug. */
#define VALUE_MAX 255

/* In a record: what PostgreSQL said about a dead letter, as long as stored. */
#define RECORD_MAX 512

/* A width; more columns than any of our results has. */
#define COLUMNS_MAX 64

/* Of pg_type.dat; they are fixed for ever, and libpq has no header for them. */
enum type {
	TYPE_BOOL = 16,
	TYPE_INT8 = 20,
	TYPE_INT2 = 21,
	TYPE_INT4 = 23,
	TYPE_JSON = 114,
	TYPE_FLOAT4 = 700,
	TYPE_FLOAT8 = 701,
	TYPE_TIMESTAMPTZ = 1184,
	TYPE_NUMERIC = 1700,
	TYPE_JSONB = 3802,
};

static bool
type_is_number(Oid type)
{
	switch (type) {
	case TYPE_INT8:
	case TYPE_INT2:
	case TYPE_INT4:
	case TYPE_FLOAT4:
	case TYPE_FLOAT8:
	case TYPE_NUMERIC:
		return true;
	default:
		return false;
	}
}

static bool
is_duration(Oid type, const char *member)
{
	size_t len = member ? strlen(member) : 0;

	return len > 3 && strcmp(member + len - 3, "_ms") == 0 &&
	    type_is_number(type);
}

/* NaN and the infinities are numbers to PostgreSQL, but not to JSON. */
static bool
json_has_number(const char *text)
{
	return text[strspn(text, "-")] >= '0' && text[strspn(text, "-")] <= '9';
}

#define TIME_TEXT 64

/*
 * "2026-01-31 12:00:00.5+00" with T, all six digits and Z, so that such texts
 * have one length and sort as times do; for people to the second.  Infinity,
 * and years before 1, stay as they are.
 */
static void
format_time(const char *text, bool json, char out[TIME_TEXT])
{
	size_t len = strlen(text);
	const char *space = strchr(text, ' ');
	const char *digits;
	size_t clock;

	if (!space || strcmp(text + len - 3, "+00") != 0) {
		(void)snprintf(out, TIME_TEXT, "%s", text);
		return;
	}
	clock = strcspn(space + 1, ".+");
	if (!json) {
		(void)snprintf(out, TIME_TEXT, "%.*sZ",
		    (int)(space + 1 - text + (ptrdiff_t)clock), text);
		return;
	}
	digits = space + 1 + clock;
	digits += *digits == '.';
	len = strcspn(digits, "+");
	(void)snprintf(out, TIME_TEXT, "%.*sT%.*s.%.*s%.*sZ",
	    (int)(space - text), text, (int)clock, space + 1, (int)len, digits,
	    len < 6 ? (int)(6 - len) : 0, "000000");
}

void
table_json_value(
    FILE *out, const PGresult *result, int row, int column, const char *member)
{
	const char *text = PQgetvalue(result, row, column);
	size_t len = (size_t)PQgetlength(result, row, column);
	Oid type = PQftype(result, column);
	char spelt[TIME_TEXT];

	if (member) {
		escape_print_json(out, member, strlen(member));
		(void)putc(':', out);
	}
	if (PQgetisnull(result, row, column))
		(void)fputs("null", out);
	else if (type == TYPE_BOOL)
		(void)fputs(text[0] == 't' ? "true" : "false", out);
	else if (type == TYPE_TIMESTAMPTZ) {
		format_time(text, true, spelt);
		escape_print_json(out, spelt, strlen(spelt));
	} else if (type == TYPE_JSON || type == TYPE_JSONB ||
	    (type_is_number(type) && json_has_number(text)))
		(void)escape_print(
		    out, text, len, SIZE_MAX, ESCAPE_JSON_TOKENS);
	else
		escape_print_json(out, text, len);
}

static bool
is_end(const struct table_column *column)
{
	return !column->member && !column->title;
}

void
table_json_members(FILE *out, const PGresult *result, int row,
    const struct table_column *columns)
{
	int n = PQnfields(result);
	bool first = true;
	int i;

	for (i = 0; i < n && !(columns && is_end(&columns[i])); i++) {
		const char *member =
		    columns ? columns[i].member : PQfname(result, i);

		if (!member)
			continue;
		if (!first)
			(void)putc(',', out);
		table_json_value(out, result, row, i, member);
		first = false;
	}
}

void
table_json_object(FILE *out, const PGresult *result, int row,
    const struct table_column *columns)
{
	(void)putc('{', out);
	table_json_members(out, result, row, columns);
	(void)putc('}', out);
}

void
table_json(
    FILE *out, const PGresult *result, const struct table_column *columns)
{
	int rows = PQntuples(result);
	int row;

	(void)putc('[', out);
	for (row = 0; row < rows; row++) {
		(void)fputs(row == 0 ? "\n" : ",\n", out);
		table_json_object(out, result, row, columns);
	}
	(void)fputs(rows == 0 ? "]\n" : "\n]\n", out);
}

static size_t
print_short(FILE *out, const char *text, size_t max)
{
	return escape_print(out, text, strlen(text), max, ESCAPE_TEXT);
}

static size_t
print_value(FILE *out, const PGresult *result, int row, int column,
    const char *member, size_t max)
{
	const char *text = PQgetvalue(result, row, column);
	Oid type = PQftype(result, column);
	char duration[WHEN_TEXT];
	char spelt[TIME_TEXT];

	if (PQgetisnull(result, row, column))
		return 0;
	if (type == TYPE_BOOL)
		return print_short(out, text[0] == 't' ? "yes" : "no", max);
	if (is_duration(type, member)) {
		when_format_duration(strtoll(text, NULL, 10), duration);
		return print_short(out, duration, max);
	}
	if (type == TYPE_TIMESTAMPTZ) {
		format_time(text, false, spelt);
		return print_short(out, spelt, max);
	}
	return print_short(out, text, max);
}

size_t
table_print_value(
    FILE *out, const PGresult *result, int row, int column, const char *member)
{
	return print_value(out, result, row, column, member, VALUE_MAX);
}

static size_t
print_cell(
    FILE *out, const PGresult *result, int row, int column, const char *member)
{
	return print_value(out, result, row, column, member, CELL_MAX);
}

static void
pad(FILE *out, size_t n, char with)
{
	while (n-- > 0)
		(void)putc(with, out);
}

/* The widths of all columns that are shown; returns the last one's number. */
static int
measure(const PGresult *result, const struct table_column *columns,
    size_t width[COLUMNS_MAX])
{
	int n = PQnfields(result);
	int last = -1;
	int row, i;

	for (i = 0; i < n && i < COLUMNS_MAX && !is_end(&columns[i]); i++) {
		if (!columns[i].title)
			continue;
		last = i;
		width[i] = strlen(columns[i].title);
		for (row = 0; row < PQntuples(result); row++) {
			size_t len =
			    print_cell(NULL, result, row, i, columns[i].member);

			width[i] = len > width[i] ? len : width[i];
		}
	}
	return last;
}

/* Row -1 is the heads, -2 the line below them. */
static void
print_row(FILE *out, const PGresult *result, int row,
    const struct table_column *columns, const size_t *width, int last)
{
	bool first = true;
	int i;

	for (i = 0; i <= last; i++) {
		bool right = row >= 0 && type_is_number(PQftype(result, i));
		size_t len;

		if (!columns[i].title)
			continue;
		if (!first)
			(void)fputs(row == -2 ? "+" : " |", out);
		first = false;
		if (row == -2) {
			pad(out, width[i] + 2, '-');
			continue;
		}
		len = row == -1
		    ? strlen(columns[i].title)
		    : print_cell(NULL, result, row, i, columns[i].member);
		pad(out, right ? width[i] - len + 1 : 1, ' ');
		if (row == -1)
			(void)fputs(columns[i].title, out);
		else
			(void)print_cell(
			    out, result, row, i, columns[i].member);
		pad(out, right || i == last ? 0 : width[i] - len, ' ');
	}
	(void)putc('\n', out);
}

void
table_print(
    FILE *out, const PGresult *result, const struct table_column *columns)
{
	size_t width[COLUMNS_MAX];
	int rows = PQntuples(result);
	int last = measure(result, columns, width);
	int row;

	for (row = -1; row < rows; row++) {
		print_row(out, result, row, columns, width, last);
		if (row == -1)
			print_row(out, result, -2, columns, width, last);
	}
	(void)fprintf(out, rows == 1 ? "(%d row)\n" : "(%d rows)\n", rows);
}

void
table_print_record(FILE *out, const PGresult *result, int row,
    const struct table_column *columns)
{
	int n = PQnfields(result);
	size_t widest = 0;
	int i;

	for (i = 0; i < n && !is_end(&columns[i]); i++)
		if (columns[i].title && strlen(columns[i].title) > widest)
			widest = strlen(columns[i].title);
	for (i = 0; i < n && !is_end(&columns[i]); i++) {
		if (!columns[i].title || PQgetisnull(result, row, i))
			continue;
		(void)fputs(columns[i].title, out);
		pad(out, widest + 2 - strlen(columns[i].title), ' ');
		(void)print_value(
		    out, result, row, i, columns[i].member, RECORD_MAX);
		(void)putc('\n', out);
	}
}

void
table_show(
    const PGresult *result, const struct table_column *columns, bool json)
{
	(json ? table_json : table_print)(stdout, result, columns);
}

void
table_show_one(
    const PGresult *result, const struct table_column *columns, bool json)
{
	if (json) {
		table_json_object(stdout, result, 0, columns);
		(void)putc('\n', stdout);
	} else {
		table_print_record(stdout, result, 0, columns);
	}
}
