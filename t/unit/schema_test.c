/* SPDX-License-Identifier: MIT */
/*
 * The comparison of the table with event_fields.def, over answers of a
 * catalogue made by hand.
 */
#include "aggregator/schema.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <string.h>

#include "common/event_fields.h"

struct change {
	const char *name;
	const char *column; /* the one that differs; NULL: none */
	const char *type;   /* its type; NULL: it is not there */
	bool extra;         /* one that events have not */
	bool needed;        /* which must have a value */
	const char *says;   /* part of the reason; NULL: it fits */
};

static void
set(PGresult *result, int row, const char *name, const char *type, bool needed)
{
	char text[128];
	const char *values[] = {name, type, needed ? "t" : "f"};
	int i;

	for (i = 0; i < 3; i++) {
		(void)snprintf(text, sizeof(text), "%s", values[i]);
		cr_assert(PQsetvalue(result, row, i, text, (int)strlen(text)));
	}
}

static PGresult *
answer(const struct change *change)
{
	PGresAttDesc columns[3] = {{.name = (char[]){"n"}},
	    {.name = (char[]){"t"}}, {.name = (char[]){"r"}}};
	PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	const struct field *field;
	int id, row = 0;

	cr_assert(PQsetResultAttrs(result, 3, columns));
	for (id = 0; id < FIELD_COUNT; id++) {
		field = &event_fields[id];
		if (change->extra || change->column == NULL ||
		    strcmp(change->column, field->column) != 0)
			set(result, row++, field->column,
			    field_kind_sql(field->kind),
			    field->need == NEED_REQUIRED);
		else if (change->type != NULL)
			set(result, row++, field->column, change->type, false);
	}
	if (change->extra)
		set(result, row, change->column, change->type, change->needed);
	return result;
}

Test(schema, compares_every_column)
{
	static const struct change changes[] = {
	    {"as it should be", NULL, NULL, false, false, NULL},
	    {"a column is missing", "page_url", NULL, false, false,
		"no column \"page_url\""},
	    {"the last is missing", "attributes", NULL, false, false,
		"no column \"attributes\""},
	    {"another type", "timestamp", "timestamp without time zone", false,
		false, "is timestamp without time zone, not"},
	    {"one more", "session_key", "bigint", true, false, NULL},
	    {"one more that is needed", "tenant", "text", true, true,
		"\"tenant\" of table \"events\" must have a value"},
	};
	PGresult *result;
	struct err err;
	size_t i;
	int ret;

	for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		result = answer(&changes[i]);
		err.text[0] = '\0';
		ret = schema_check(result, &err);
		cr_expect_eq(ret, changes[i].says == NULL ? 0 : -1, "%s: %s",
		    changes[i].name, err.text);
		if (changes[i].says != NULL)
			cr_expect(strstr(err.text, changes[i].says) != NULL,
			    "%s: %s", changes[i].name, err.text);
		PQclear(result);
	}
}

Test(schema, says_what_to_do_without_a_table)
{
	PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	struct err err;

	cr_expect_eq(schema_check(result, &err), -1);
	cr_expect(strstr(err.text, "productgraphctl migrate") != NULL, "%s",
	    err.text);
	PQclear(result);
}
