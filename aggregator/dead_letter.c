/* SPDX-License-Identifier: MIT */
/*
 * dead_letter.c - makes an INSERT that cannot fail from a row that did
 *
 * A dead letter that PostgreSQL refused too would hold up every batch behind
 * it, so each value is one that it must take.
 */
#include "aggregator/dead_letter.h"

#include <endian.h>
#include <string.h>

#include "common/row.h"
#include "common/utf8.h"

const char dead_letter_sql[] =
    "INSERT INTO public.dead_letters (org_id, project_id, received_at,"
    " sqlstate, message, event_id, payload)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7)";

enum {
	ORG_ID,
	PROJECT_ID,
	RECEIVED_AT,
	SQLSTATE,
	MESSAGE,
	EVENT_ID,
	PAYLOAD
};

/* A century around the epoch of 2000: no clock of ours is outside. */
#define CENTURY_US (INT64_C(3155760000) * 1000000)

static void
set_bytes(struct dead_letter *letter, int param, const void *data, size_t len)
{
	letter->values[param] = data;
	letter->lengths[param] = (int)len;
}

static void
set_value(struct dead_letter *letter, int param, const struct row_value *value)
{
	set_bytes(letter, param, value->data, (size_t)value->length);
}

static void
set_received_at(
    struct dead_letter *letter, const struct row_value *value, int64_t now_us)
{
	int64_t us = row_time(value);

	if (us < -CENTURY_US || us > CENTURY_US)
		us = now_us;
	letter->received_at = htobe64((uint64_t)us);
	set_bytes(letter, RECEIVED_AT, &letter->received_at,
	    sizeof(letter->received_at));
}

void
dead_letter_fill(struct dead_letter *letter, const char *tuple, size_t bytes,
    const char *sqlstate, const char *message, int64_t now_us)
{
	struct row_value values[FIELD_COUNT];
	const struct row_value *event_id = &values[FIELD_EVENT_ID];
	int i;

	memset(letter, 0, sizeof(*letter));
	for (i = 0; i < DEAD_LETTER_PARAMS; i++)
		letter->formats[i] = 1;
	if (!row_parse((const uint8_t *)tuple, bytes, values))
		return;
	set_value(letter, ORG_ID, &values[FIELD_ORG_ID]);
	set_value(letter, PROJECT_ID, &values[FIELD_PROJECT_ID]);
	set_received_at(letter, &values[FIELD_RECEIVED_AT], now_us);
	(void)snprintf(
	    letter->sqlstate, sizeof(letter->sqlstate), "%s", sqlstate);
	set_bytes(letter, SQLSTATE, letter->sqlstate, strlen(letter->sqlstate));
	/* It may have been cut in the middle of a character. */
	(void)err_set(&letter->message, "%s", message);
	set_bytes(letter, MESSAGE, letter->message.text,
	    utf8_length(letter->message.text, strlen(letter->message.text)));
	if (utf8_length((const char *)event_id->data,
		(size_t)event_id->length) == (size_t)event_id->length)
		set_value(letter, EVENT_ID, event_id);
	set_bytes(letter, PAYLOAD, tuple, bytes);
}
