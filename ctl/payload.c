/* SPDX-License-Identifier: MIT */
/*
 * payload.c - prints a tuple of event_fields.def
 */
#include "ctl/payload.h"

#include <endian.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/event_fields.h"
#include "common/row.h"
#include "common/uuid.h"

#include "ctl/escape.h"
#include "ctl/when.h"

#define NUMBER_TEXT 64

static uint64_t
get64(const uint8_t *at)
{
	uint64_t n;

	memcpy(&n, at, sizeof(n));
	return be64toh(n);
}

static int32_t
get32(const uint8_t *at)
{
	uint32_t n;

	memcpy(&n, at, sizeof(n));
	return (int32_t)be32toh(n);
}

/* The fewest digits that are read back as the same number. */
static bool
format_real(const uint8_t *at, char out[NUMBER_TEXT])
{
	uint64_t bits = get64(at);
	double number;
	int digits;

	memcpy(&number, &bits, sizeof(number));
	for (digits = 15; digits <= 17; digits++) {
		(void)snprintf(out, NUMBER_TEXT, "%.*g", digits, number);
		if (strtod(out, NULL) == number)
			break;
	}
	return isfinite(number);
}

/* What needs no escaping; whether JSON has it without quotes. */
static bool
format_fixed(
    enum field_kind kind, const struct row_value *value, char out[NUMBER_TEXT])
{
	switch (kind) {
	case KIND_UUID:
		uuid_format(value->data, out);
		return false;
	case KIND_TIME:
		when_format(row_time(value), out);
		return false;
	case KIND_INT4:
		(void)snprintf(
		    out, NUMBER_TEXT, "%" PRId32, get32(value->data));
		return true;
	case KIND_INT8:
		(void)snprintf(
		    out, NUMBER_TEXT, "%" PRId64, (int64_t)get64(value->data));
		return true;
	case KIND_REAL:
		return format_real(value->data, out);
	case KIND_ID:
	case KIND_TEXT:
	case KIND_TYPE:
	case KIND_OBJECT:
	case KIND_REST:
	case KIND_COUNT:
		break;
	}
	out[0] = '\0';
	return false;
}

static void
print_value(
    FILE *out, enum field_kind kind, const struct row_value *value, bool json)
{
	/* jsonb begins with the version of its format. */
	size_t skip = kind == KIND_OBJECT || kind == KIND_REST;
	const char *text = (const char *)value->data + skip;
	size_t len = (size_t)value->length - skip;
	char fixed[NUMBER_TEXT];
	bool bare = format_fixed(kind, value, fixed);

	if (fixed[0] != '\0') {
		text = fixed;
		len = strlen(fixed);
	}
	if (json && !bare)
		escape_print_json(out, text, len);
	else
		(void)escape_print(out, text, len, SIZE_MAX, ESCAPE_TEXT);
}

bool
payload_print(FILE *out, const uint8_t *payload, size_t len)
{
	struct row_value values[FIELD_COUNT];
	size_t i;

	if (!row_parse(payload, len, values))
		return false;
	for (i = 0; i < FIELD_COUNT; i++) {
		if (values[i].length == -1)
			continue;
		(void)fprintf(out, "%-22s", event_fields[i].column);
		print_value(out, event_fields[i].kind, &values[i], false);
		(void)putc('\n', out);
	}
	return true;
}

bool
payload_json(FILE *out, const uint8_t *payload, size_t len)
{
	struct row_value values[FIELD_COUNT];
	size_t i;

	if (!row_parse(payload, len, values))
		return false;
	for (i = 0; i < FIELD_COUNT; i++) {
		(void)fprintf(out, "%s\"%s\":", i == 0 ? "{" : ",",
		    event_fields[i].column);
		if (values[i].length == -1)
			(void)fputs("null", out);
		else
			print_value(
			    out, event_fields[i].kind, &values[i], true);
	}
	(void)putc('}', out);
	return true;
}
