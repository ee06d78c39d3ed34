/* SPDX-License-Identifier: MIT */
/*
 * event_fields.c - what is made of event_fields.def at run time
 *
 * The array of descriptors, the column list of the COPY statement, the stamp of
 * the row's layout and the field reference.  Nothing here reads or writes an
 * event.
 */
#include "common/event_fields.h"

#include <assert.h>
#include <string.h>

#include "common/row.h"

/* A field set fits one machine word. */
static_assert(FIELD_COUNT <= 64, "more fields than bits");

#define NEED_SERVER_OK(wire) (sizeof(wire) == 1)
#define NEED_REQUIRED_OK(wire) (sizeof(wire) > 1)
#define NEED_OPTIONAL_OK(wire) (sizeof(wire) > 1)

/*
 * Whoever adds a row is told here what is wrong with it: a wire name is for
 * what clients send and for nothing else, identifiers are keys and so have a
 * longest value, and every field is explained.
 */
#define FIELD(id, wire, alias, column, kind, need, max_chars, doc)             \
	static_assert(NEED_##need##_OK(wire), column ": wire name and need");  \
	static_assert(KIND_##kind != KIND_ID || (max_chars) > 0,               \
	    column ": an identifier needs a limit");                           \
	static_assert(sizeof(doc) > 1, column ": needs a sentence");
#include "common/event_fields.def"

const struct field event_fields[FIELD_COUNT] = {
#define FIELD(id, wire, alias, column, kind, need, max_chars, doc)             \
	[FIELD_##id] = {                                                       \
	    wire, alias, column, KIND_##kind, NEED_##need, max_chars, doc},
#include "common/event_fields.def"
};

const char *const event_types[] = {
    "page.view",
    "page.leave",
    "ui.click",
    "ui.input",
    "ui.scroll",
    "ui.focus",
    "ui.blur",
    "ui.submit",
    "state.change",
    "api.request",
    "api.response",
    "journey.step",
    "journey.conversion",
    "snapshot.captured",
    "error",
    "performance",
    "custom",
    NULL,
};

/* What PostgreSQL calls a kind, and what the field reference does. */
static const struct {
	const char *sql;
	const char *words;
} kinds[KIND_COUNT] = {
    [KIND_UUID] = {"uuid", "slug or UUID"},
    [KIND_TIME] = {"timestamp with time zone", "timestamp"},
    [KIND_ID] = {"text", "text or integer"},
    [KIND_TEXT] = {"text", "text"},
    [KIND_TYPE] = {"text", "an event type"},
    [KIND_INT4] = {"integer", "integer of 32 bits"},
    [KIND_INT8] = {"bigint", "integer of 64 bits"},
    [KIND_REAL] = {"double precision", "number"},
    [KIND_OBJECT] = {"jsonb", "object"},
    [KIND_REST] = {"jsonb", "object"},
};

const char *
field_kind_sql(enum field_kind kind)
{
	return kinds[kind].sql;
}

/* FNV-1a */
static uint64_t
hash_bytes(uint64_t hash, const void *data, size_t len)
{
	const unsigned char *at = data;

	for (size_t i = 0; i < len; i++) {
		hash = (hash ^ at[i]) * 0x100000001b3ULL;
	}
	return hash;
}

uint64_t
event_fields_stamp(void)
{
	static const unsigned char version = RECORD_VERSION;
	uint64_t hash = hash_bytes(0xcbf29ce484222325ULL, &version, 1);

	for (size_t i = 0; i < FIELD_COUNT; i++) {
		const struct field *f = &event_fields[i];
		unsigned char tail[2] = {
		    (unsigned char)f->kind, (unsigned char)f->need};

		/* with its terminator, so that no two lists run together */
		hash = hash_bytes(hash, f->column, strlen(f->column) + 1);
		hash = hash_bytes(hash, tail, sizeof(tail));
	}
	return hash;
}

const char *
event_fields_columns(void)
{
	/* Every row begins with a separator; the first one is stepped over. */
	static const char columns[] =
#define FIELD(id, wire, alias, column, kind, need, max_chars, doc)             \
	", \"" column "\""
#include "common/event_fields.def"
	    ;

	return columns + 2;
}

static void
print_row(const struct field *f, FILE *out)
{
	static const char *const needs[] = {
	    [NEED_SERVER] = "", [NEED_REQUIRED] = "yes", [NEED_OPTIONAL] = ""};

	if (f->need == NEED_SERVER) {
		fputs("| (set by the server) ", out);
	} else {
		fprintf(out, "| `%s`", f->wire);
		if (f->alias[0] != '\0') {
			fprintf(out, ", `%s`", f->alias);
		}
		fputc(' ', out);
	}
	fprintf(out, "| `%s` | %s | %s | %s | ", f->column, kinds[f->kind].sql,
	    f->need == NEED_SERVER ? "" : kinds[f->kind].words, needs[f->need]);
	if (f->max_chars > 0) {
		fprintf(out, "%u", f->max_chars);
	}
	fprintf(out, " | %s |\n", f->doc);
}

void
event_fields_print_markdown(FILE *out)
{
	fputs("| wire name | column | stored as | takes | required "
	      "| characters | |\n"
	      "|---|---|---|---|---|---|---|\n",
	    out);
	for (size_t i = 0; i < FIELD_COUNT; i++) {
		print_row(&event_fields[i], out);
	}
}
