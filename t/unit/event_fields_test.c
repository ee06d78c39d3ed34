/* SPDX-License-Identifier: MIT */
/* The list of fields: is it as its users may expect, and what it prints? */
#include "common/event_fields.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test(event_fields, rows_agree_with_their_numbers)
{
	cr_expect_str_eq(event_fields[FIELD_ORG_ID].column, "org_id");
	cr_expect_str_eq(event_fields[FIELD_SESSION_ID].wire, "session.id");
	cr_expect_str_eq(event_fields[FIELD_PROJECT_ID].alias, "product_id");
	cr_expect(event_fields[FIELD_ATTRIBUTES].kind == KIND_REST);
	cr_expect(FIELD_ATTRIBUTES == FIELD_COUNT - 1 || FIELD_COUNT > 54);
}

/* Of wire names and aliases together, and of columns, each is unique. */
Test(event_fields, names_are_unique)
{
	for (size_t i = 0; i < FIELD_COUNT; i++) {
		const struct field *a = &event_fields[i];

		cr_expect(a->column[0] != '\0' && a->doc[0] != '\0');
		cr_expect(a->wire[0] == '\0' || strcmp(a->wire, a->alias) != 0);
		for (size_t k = i + 1; k < FIELD_COUNT; k++) {
			const struct field *b = &event_fields[k];

			cr_expect_str_neq(a->column, b->column);
			cr_expect(a->wire[0] == '\0' ||
				(strcmp(a->wire, b->wire) != 0 &&
				    strcmp(a->wire, b->alias) != 0),
			    "%s", a->wire);
		}
	}
}

Test(event_fields, required_fields_are_those_of_the_contract)
{
	static const char *const required[] = {"project_id", "event.timestamp",
	    "event_id", "session.id", "event.type"};
	size_t n = 0;

	for (size_t i = 0; i < FIELD_COUNT; i++) {
		if (event_fields[i].need == NEED_REQUIRED) {
			cr_assert(n < 5);
			cr_expect_str_eq(event_fields[i].wire, required[n]);
			n++;
		}
	}
	cr_expect(n == 5);
}

Test(event_fields, every_kind_has_a_type)
{
	for (int kind = 0; kind < KIND_COUNT; kind++) {
		cr_expect(field_kind_sql((enum field_kind)kind) != NULL);
	}
	cr_expect_str_eq(field_kind_sql(KIND_TIME), "timestamp with time zone");
}

Test(event_fields, columns)
{
	const char *columns = event_fields_columns();
	const char *tail = ", \"metadata\", \"attributes\"";
	size_t commas = 0;

	for (const char *at = columns; *at != '\0'; at++) {
		commas += *at == ',';
	}
	cr_expect(commas == FIELD_COUNT - 1);
	cr_expect(strncmp(columns, "\"org_id\", \"project_id\", ", 24) == 0);
	cr_expect_str_eq(columns + strlen(columns) - strlen(tail), tail);
}

Test(event_fields, stamp_is_stable)
{
	cr_expect(event_fields_stamp() == event_fields_stamp());
	cr_expect(event_fields_stamp() != 0);
}

Test(event_fields, types)
{
	size_t n = 0;

	while (event_types[n] != NULL) {
		cr_expect(strchr(event_types[n], '_') == NULL);
		n++;
	}
	cr_expect(n == 17);
}

Test(event_fields, markdown)
{
	char *text = NULL;
	size_t len, lines = 0;
	FILE *out = open_memstream(&text, &len);

	cr_assert(out != NULL);
	event_fields_print_markdown(out);
	fclose(out);
	for (size_t i = 0; i < len; i++) {
		lines += text[i] == '\n';
	}
	cr_expect(lines == FIELD_COUNT + 2);
	cr_expect(strstr(text,
		      "| `project_id`, `product_id` | `project_id` | uuid | "
		      "slug or UUID | yes | 255 |") != NULL,
	    "%s", text);
	free(text);
}
