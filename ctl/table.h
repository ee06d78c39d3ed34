/* SPDX-License-Identifier: MIT */
/*
 * table.h - rows of a result, as a table for people or as JSON for programs
 *
 * How a value is written follows from its type in PostgreSQL: in JSON numbers
 * are numbers with all their digits, times ISO 8601 in UTC to the microsecond,
 * null is null and json is itself.  A column whose JSON member ends in "_ms" is
 * a duration, which people read as "1m3s".
 *
 * Runs in   ctl
 * Requires  a connection set up by database_open(): UTF-8, UTC, ISO dates
 * Promises  what strangers wrote reaches no terminal but through escape.h
 * Tests     t/unit/table_test.c
 */
#ifndef PGD_CTL_TABLE_H
#define PGD_CTL_TABLE_H

#include <stdbool.h>
#include <stdio.h>

#include <libpq-fe.h>

/*
 * What becomes of the columns of a result, by position.  Behind the last is one
 * with neither; columns of the result from there on are not printed.
 */
struct table_column {
	const char *member; /* in JSON; NULL: not there.  Public: it is in the
			     * manual. */
	const char *title;  /* for people; NULL: not shown */
};

/* A table with its heads and "(N rows)"; a cell ends after 60 characters. */
void table_print(FILE *, const PGresult *, const struct table_column *);
/* One row, a line for each column; nulls are left out, and a value ends after
 * 512 characters. */
void table_print_record(
    FILE *, const PGresult *, int row, const struct table_column *);

/* An array of objects, a line for each, and a newline. */
void table_json(FILE *, const PGresult *, const struct table_column *);
/*
 * One row as an object, or what is between its braces; without columns the
 * members are all of the result's, by its names.
 */
void table_json_object(
    FILE *, const PGresult *, int row, const struct table_column *);
void table_json_members(
    FILE *, const PGresult *, int row, const struct table_column *);
/* One value; column counts from 0. */
void table_json_value(
    FILE *, const PGresult *, int row, int column, const char *member);

/* The whole result, on standard output, one way or the other. */
void table_show(const PGresult *, const struct table_column *, bool json);
/* Its only row; in JSON an object and no array. */
void table_show_one(const PGresult *, const struct table_column *, bool json);

/* One value as people read it, at most 255 characters of it. */
size_t table_print_value(
    FILE *, const PGresult *, int row, int column, const char *member);

#endif
