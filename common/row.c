/* SPDX-License-Identifier: MIT */
/*
 * row.c - writes a record's head; takes apart what is not to be trusted
 *
 * The aggregator's look at a tuple before it is sent to PostgreSQL: is it what
 * event_fields.def describes, from its first byte to its last?  Lengths and
 * presence are checked here; what only PostgreSQL can judge (the encoding of
 * text, the syntax of jsonb) is left to it and to the dead letters.
 */
#include "common/row.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

#include "common/utf8.h"

static_assert(RECORD_HEAD_MAX % 8 == 0, "the largest head needs no padding");

/* All that lie before SESSION_KEY are never null and of one length. */
static_assert(FIELD_ORG_ID == 0 && FIELD_PROJECT_ID == 1 &&
	FIELD_RECEIVED_AT == 2 && FIELD_TIMESTAMP == 3 &&
	FIELD_SESSION_KEY == 4,
    "ROW_SESSION_KEY_AT counts on these fields");

size_t
record_agent_bytes(const char *agent, size_t len)
{
	return utf8_length(
	    agent, len < RECORD_AGENT_MAX ? len : RECORD_AGENT_MAX);
}

void
record_write_head(uint8_t *record, const uint8_t key_id[UUID_BYTES],
    const char *agent, size_t agent_bytes)
{
	struct record_head head = {.agent_bytes = (uint32_t)agent_bytes};
	size_t end = sizeof(head) + agent_bytes;

	memcpy(head.key_id, key_id, UUID_BYTES);
	memcpy(record, &head, sizeof(head));
	if (agent_bytes > 0) {
		memcpy(record + sizeof(head), agent, agent_bytes);
	}
	memset(record + end, 0, RECORD_ROWS_AT(agent_bytes) - end);
}

bool
record_parse(const uint8_t *bytes, size_t len, struct record *record)
{
	struct record_head head;

	if (len < sizeof(head)) {
		return false;
	}
	memcpy(&head, bytes, sizeof(head));
	if (head.zero != 0 || head.agent_bytes > RECORD_AGENT_MAX ||
	    RECORD_ROWS_AT(head.agent_bytes) > len) {
		return false;
	}
	record->key_id = bytes + offsetof(struct record_head, key_id);
	record->agent = (const char *)bytes + sizeof(head);
	record->agent_bytes = utf8_length(record->agent, head.agent_bytes);
	record->rows_at = RECORD_ROWS_AT(head.agent_bytes);
	return true;
}

static uint16_t
get16(const uint8_t *at)
{
	uint16_t n;

	memcpy(&n, at, sizeof(n));
	return be16toh(n);
}

static uint32_t
get32(const uint8_t *at)
{
	uint32_t n;

	memcpy(&n, at, sizeof(n));
	return be32toh(n);
}

/* Of what the server adds, the rest may be null. */
static bool
never_null(enum field_id id)
{
	return event_fields[id].need == NEED_REQUIRED || id == FIELD_ORG_ID ||
	    id == FIELD_RECEIVED_AT || id == FIELD_SESSION_KEY;
}

static bool
text_fits(const struct field *f, uint32_t length)
{
	/* a code point takes up to four bytes */
	if (f->max_chars > 0 && length > f->max_chars * 4) {
		return false;
	}
	return length > 0 || f->need != NEED_REQUIRED;
}

/* Version 1, then an object: "{}" at least. */
static bool
jsonb_fits(const uint8_t *at, uint32_t length)
{
	return length >= 3 && at[0] == 1 && at[1] == '{';
}

static bool
value_fits(const struct field *f, const uint8_t *at, uint32_t length)
{
	switch (f->kind) {
	case KIND_UUID:
		return length == 16;
	case KIND_TIME:
	case KIND_INT8:
	case KIND_REAL:
		return length == 8;
	case KIND_INT4:
		return length == 4;
	case KIND_ID:
	case KIND_TEXT:
	case KIND_TYPE:
		return text_fits(f, length);
	case KIND_OBJECT:
	case KIND_REST:
		return jsonb_fits(at, length);
	case KIND_COUNT:
		break;
	}
	return false;
}

bool
row_parse(
    const uint8_t *tuple, size_t bytes, struct row_value values[FIELD_COUNT])
{
	const uint8_t *at = tuple;
	const uint8_t *end = tuple + bytes;

	if (bytes < 2 || get16(at) != FIELD_COUNT) {
		return false;
	}
	at += 2;
	for (size_t i = 0; i < FIELD_COUNT; i++) {
		uint32_t length;

		if (end - at < 4) {
			return false;
		}
		length = get32(at);
		at += 4;
		values[i].data = at;
		values[i].length = (int32_t)length;
		if (values[i].length == -1) {
			if (never_null((enum field_id)i)) {
				return false;
			}
			continue;
		}
		if (length > (size_t)(end - at) || length > INT32_MAX ||
		    !value_fits(&event_fields[i], at, length)) {
			return false;
		}
		at += length;
	}
	return at == end;
}

int64_t
row_time(const struct row_value *value)
{
	uint64_t n;

	memcpy(&n, value->data, sizeof(n));
	return (int64_t)be64toh(n);
}
