/* SPDX-License-Identifier: MIT */
/*
 * The comparison of the tables with event_fields.def and session_columns.def,
 * over answers of a catalogue made by hand.
 */
#include "aggregator/schema.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <string.h>

#include "common/event_fields.h"

struct change {
	const char *name;
	const char *table;
	const char *column; /* the one that differs; NULL: none */
	const char *type;   /* its type; NULL: it is not there */
	bool extra;         /* one that we do not send */
	bool needed;        /* which must have a value */
	const char *says;   /* part of the reason; NULL: it fits */
};

struct answer {
	PGresult *result;
	int row;
	const struct change *change;
};

static void
set(struct answer *answer, const char *table, const char *name,
    const char *type, bool needed)
{
	char text[128];
	const char *values[] = {table, name, type, needed ? "t" : "f"};
	int i;

	for (i = 0; i < 4; i++) {
		(void)snprintf(text, sizeof(text), "%s", values[i]);
		cr_assert(PQsetvalue(
		    answer->result, answer->row, i, text, (int)strlen(text)));
	}
	answer->row++;
}

/* A column as it should be, unless it is the one that differs. */
static void
put(struct answer *answer, const char *table, const char *name,
    const char *type, bool needed)
{
	const struct change *change = answer->change;

	if (change->extra || change->column == NULL ||
	    strcmp(change->table, table) != 0 ||
	    strcmp(change->column, name) != 0)
		set(answer, table, name, type, needed);
	else if (change->type != NULL)
		set(answer, table, name, change->type, false);
}

static void
put_sessions(struct answer *answer)
{
	const char *table = "session_state";

	put(answer, table, "session_key", "bigint", true);
	put(answer, table, "org_id", "uuid", true);
	put(answer, table, "project_id", "uuid", true);
	put(answer, table, "session_id", "text", true);
#define SESSION_TIME(column, merge)                                            \
	put(answer, table, #column, "timestamp with time zone", true);
#define SESSION_COUNT(column, event_type)                                      \
	put(answer, table, #column, "bigint", true);
#define SESSION_VALUE(column, merge, source)                                   \
	put(answer, table, #column, "text", false);                            \
	put(answer, table, #column "_order", "bytea", false);
#include "aggregator/session_columns.def"
}

static PGresult *
make_answer(const struct change *change)
{
	PGresAttDesc columns[4] = {{.name = (char[]){"r"}},
	    {.name = (char[]){"n"}}, {.name = (char[]){"t"}},
	    {.name = (char[]){"m"}}};
	struct answer answer = {
	    .result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK),
	    .change = change,
	};
	int id;

	cr_assert(PQsetResultAttrs(answer.result, 4, columns));
	for (id = 0; id < FIELD_COUNT; id++)
		put(&answer, "events", event_fields[id].column,
		    field_kind_sql(event_fields[id].kind),
		    event_fields[id].need == NEED_REQUIRED);
	put_sessions(&answer);
	if (change->extra)
		set(&answer, change->table, change->column, change->type,
		    change->needed);
	return answer.result;
}

Test(schema, compares_every_column)
{
	static const struct change changes[] = {
	    {"as it should be", NULL, NULL, NULL, false, false, NULL},
	    {"a column is missing", "events", "page_url", NULL, false, false,
		"\"events\" has no column \"page_url\""},
	    {"the last is missing", "events", "attributes", NULL, false, false,
		"no column \"attributes\""},
	    {"another type", "events", "timestamp",
		"timestamp without time zone", false, false,
		"is timestamp without time zone, not"},
	    {"one of sessions is missing", "session_state", "user_agent_order",
		NULL, false, false,
		"\"session_state\" has no column \"user_agent_order\""},
	    {"another type in sessions", "session_state", "event_count",
		"integer", false, false, "is integer, not bigint"},
	    {"one more", "events", "tenth", "bigint", true, false, NULL},
	    {"one more that is needed", "events", "tenant", "text", true, true,
		"\"tenant\" of table \"events\" must have a value"},
	    {"one more of sessions", "session_state", "score", "real", true,
		true, "\"score\" of table \"session_state\" must have"},
	};
	PGresult *result;
	struct err err;
	size_t i;
	int ret;

	for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		result = make_answer(&changes[i]);
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
