/* SPDX-License-Identifier: MIT */
/*
 * tuple_kit.c - makes rows as a worker would
 *
 * On purpose not with the worker's own encoder: the aggregator is tested
 * against the format, not against the other side's idea of it.
 */
#include "t/unit/tuple_kit.h"

#include <endian.h>
#include <string.h>

#include "common/row.h"

static uint8_t *
put(uint8_t *at, const void *data, size_t len)
{
	memcpy(at, data, len);
	return at + len;
}

static uint8_t *
put_length(uint8_t *at, int32_t length)
{
	uint32_t n = htobe32((uint32_t)length);

	return put(at, &n, sizeof(n));
}

static uint8_t *
put_text(uint8_t *at, const char *text)
{
	if (text == NULL)
		return put_length(at, -1);
	at = put_length(at, (int32_t)strlen(text));
	return put(at, text, strlen(text));
}

static uint8_t *
put_int8(uint8_t *at, int64_t value)
{
	uint64_t n = htobe64((uint64_t)value);

	return put(put_length(at, sizeof(n)), &n, sizeof(n));
}

static uint8_t *
put_uuid(uint8_t *at, char digit)
{
	at = put_length(at, 16);
	memset(at, digit, 16);
	return at + 16;
}

static uint8_t *
put_field(uint8_t *at, int id, const struct tuple_kit *kit)
{
	switch (id) {
	case FIELD_ORG_ID:
		return put_uuid(at, 1);
	case FIELD_PROJECT_ID:
		return put_uuid(at, kit->project ? kit->project : 2);
	case FIELD_RECEIVED_AT:
		return put_int8(at, kit->received_us);
	case FIELD_TIMESTAMP:
		return put_int8(at, kit->timestamp_us);
	case FIELD_SESSION_KEY:
		return put_int8(at, 0);
	case FIELD_EVENT_ID:
		return put_text(at, kit->event_id);
	case FIELD_SESSION_ID:
		return put_text(
		    at, kit->session_id ? kit->session_id : "session");
	case FIELD_EVENT_TYPE:
		return put_text(
		    at, kit->event_type ? kit->event_type : "page.view");
	case FIELD_SEQUENCE:
		return kit->sequence ? put_int8(at, *kit->sequence)
				     : put_length(at, -1);
	case FIELD_USER_ID:
		return put_text(at, kit->user_id);
	case FIELD_PAGE_PATH:
		return put_text(at, kit->page_path);
	case FIELD_PAGE_TITLE:
		return put_text(at, kit->page_title);
	default:
		return put_length(at, -1);
	}
}

size_t
tuple_kit_tuple(uint8_t *to, const struct tuple_kit *kit)
{
	uint16_t count = htobe16(FIELD_COUNT);
	uint8_t *at = put(to, &count, sizeof(count));
	int id;

	for (id = 0; id < FIELD_COUNT; id++)
		at = put_field(at, id, kit);
	return (size_t)(at - to);
}

size_t
tuple_kit_row(uint8_t *to, const struct tuple_kit *kit)
{
	struct row_head head = {0, 0};
	size_t bytes = tuple_kit_tuple(to + sizeof(head), kit);

	head.tuple_bytes = (uint32_t)bytes;
	memcpy(to, &head, sizeof(head));
	memset(to + sizeof(head) + bytes, 0, ROW_ALIGN(bytes) - bytes);
	return sizeof(head) + ROW_ALIGN(bytes);
}

size_t
tuple_kit_head(uint8_t *to, char key, const char *agent)
{
	struct record_head head = {.agent_bytes = (uint32_t)strlen(agent)};
	size_t bytes = sizeof(head) + strlen(agent);

	memset(head.key_id, key, sizeof(head.key_id));
	(void)put(put(to, &head, sizeof(head)), agent, strlen(agent));
	memset(to + bytes, 0, ROW_ALIGN(bytes) - bytes);
	return ROW_ALIGN(bytes);
}
