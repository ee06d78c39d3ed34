/* SPDX-License-Identifier: MIT */
/*
 * event_fields.h - the columns of an event, as an array
 *
 * Runs in   anywhere
 * Tests     t/unit/event_fields_test.c
 */
#ifndef PGD_COMMON_EVENT_FIELDS_H
#define PGD_COMMON_EVENT_FIELDS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum field_id {
#define FIELD(id, wire, alias, column, kind, need, max_chars, doc) FIELD_##id,
#include "common/event_fields.def"
	FIELD_COUNT
};

enum field_kind {
	KIND_UUID,
	KIND_TIME,
	KIND_ID,
	KIND_TEXT,
	KIND_TYPE,
	KIND_INT4,
	KIND_INT8,
	KIND_REAL,
	KIND_OBJECT,
	KIND_REST,
	KIND_COUNT
};

enum field_need {
	NEED_SERVER,
	NEED_REQUIRED,
	NEED_OPTIONAL,
};

struct field {
	const char *wire;
	const char *alias;
	const char *column;
	enum field_kind kind;
	enum field_need need;
	uint32_t max_chars;
	const char *doc;
};

extern const struct field event_fields[FIELD_COUNT];

/* Name of the column's type in PostgreSQL (format_type()'s spelling). */
const char *field_kind_sql(enum field_kind);

/* The types of event.type, NULL at the end, spelt with the dot. */
extern const char *const event_types[];

/* Differs whenever the layout of a ring record differs. */
uint64_t event_fields_stamp(void);

/* The column list of the COPY statement, every name in double quotes. */
const char *event_fields_columns(void);

/* Writes the field reference as a Markdown table. */
void event_fields_print_markdown(FILE *);

#endif
