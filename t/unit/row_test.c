/* SPDX-License-Identifier: MIT */
/*
 * The check of a tuple and of a record's head: a sound one is taken apart, and
 * no change of a byte or of the length makes it read where it must not.
 */
#include "common/row.h"

#include <criterion/criterion.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

struct tuple {
	uint8_t data[4096];
	size_t len;
	size_t at[FIELD_COUNT]; /* of each field's length */
};

static void
put(struct tuple *t, const void *data, size_t len)
{
	memcpy(t->data + t->len, data, len);
	t->len += len;
}

static void
put32(struct tuple *t, uint32_t value)
{
	uint32_t n = htobe32(value);

	put(t, &n, sizeof(n));
}

/* Shortest value of a kind. */
static size_t
shortest(enum field_kind kind)
{
	switch (kind) {
	case KIND_UUID:
		return 16;
	case KIND_TIME:
	case KIND_INT8:
	case KIND_REAL:
		return 8;
	case KIND_INT4:
		return 4;
	case KIND_OBJECT:
	case KIND_REST:
		return 3;
	default:
		return 1;
	}
}

static bool
is_always_there(size_t id)
{
	return event_fields[id].need == NEED_REQUIRED || id == FIELD_ORG_ID ||
	    id == FIELD_RECEIVED_AT || id == FIELD_SESSION_KEY;
}

/* A tuple with every value, or with those that must be. */
static void
make(struct tuple *t, bool all)
{
	uint16_t count = htobe16(FIELD_COUNT);

	memset(t, 0, sizeof(*t));
	put(t, &count, sizeof(count));
	for (size_t i = 0; i < FIELD_COUNT; i++) {
		const struct field *f = &event_fields[i];
		size_t len = shortest(f->kind);
		bool must = is_always_there(i);

		t->at[i] = t->len;
		if (!all && !must) {
			put32(t, (uint32_t)-1);
			continue;
		}
		put32(t, (uint32_t)len);
		put(t, "\1{}xxxxxxxxxxxxx", len);
	}
}

/* In a block of exactly that size, for the sanitizer's sake. */
static bool
parse(const uint8_t *data, size_t len, struct row_value values[FIELD_COUNT])
{
	uint8_t *exact = malloc(len + (len == 0));
	bool ok;

	cr_assert(exact != NULL);
	memcpy(exact, data, len);
	ok = row_parse(exact, len, values);
	free(exact);
	return ok;
}

Test(row, sound)
{
	struct row_value values[FIELD_COUNT];
	struct tuple t;

	make(&t, true);
	cr_assert(row_parse(t.data, t.len, values));
	for (size_t i = 0; i < FIELD_COUNT; i++) {
		cr_expect(values[i].data == t.data + t.at[i] + 4);
		cr_expect(
		    (size_t)values[i].length == shortest(event_fields[i].kind));
	}
	make(&t, false);
	cr_assert(row_parse(t.data, t.len, values));
	cr_expect(values[FIELD_METADATA].length == -1);
	cr_expect(values[FIELD_EVENT_ID].length == 1);
	cr_expect(
	    values[FIELD_SESSION_KEY].data == t.data + ROW_SESSION_KEY_AT);
	cr_expect(values[FIELD_SESSION_KEY].length == 8);
}

Test(row, every_other_length_is_refused)
{
	struct row_value values[FIELD_COUNT];
	struct tuple t;

	make(&t, true);
	for (size_t len = 0; len < t.len; len++) {
		cr_assert(!parse(t.data, len, values), "%zu", len);
	}
	t.len++;
	cr_expect(!parse(t.data, t.len, values));
}

Test(row, null_where_a_value_is_required)
{
	struct row_value values[FIELD_COUNT];
	struct tuple t;

	for (size_t i = 0; i < FIELD_COUNT; i++) {
		const struct field *f = &event_fields[i];
		size_t len = shortest(f->kind);
		uint8_t *at;

		make(&t, true);
		at = t.data + t.at[i];
		memset(at, 0xff, 4);
		memmove(at + 4, at + 4 + len, t.len - t.at[i] - 4 - len);
		t.len -= len;
		cr_expect(parse(t.data, t.len, values) == !is_always_there(i),
		    "%s", f->column);
	}
}

Test(row, lengths_that_lie)
{
	static const uint32_t lengths[] = {
	    0, 2, 5, 7, 9, 15, 17, 4000, 0x7fffffff, 0x80000000, 0xfffffffe};
	struct row_value values[FIELD_COUNT];
	struct tuple t;

	for (size_t i = 0; i < FIELD_COUNT; i++) {
		for (size_t k = 0; k < sizeof(lengths) / 4; k++) {
			uint32_t n = htobe32(lengths[k]);

			make(&t, true);
			memcpy(t.data + t.at[i], &n, sizeof(n));
			cr_expect(!parse(t.data, t.len, values), "%s %u",
			    event_fields[i].column, lengths[k]);
		}
	}
}

Test(row, count)
{
	struct row_value values[FIELD_COUNT];
	struct tuple t;

	make(&t, true);
	t.data[1]++;
	cr_expect(!parse(t.data, t.len, values));
	t.data[1]--;
	t.data[0] = 0xff;
	cr_expect(!parse(t.data, t.len, values));
}

Test(row, jsonb)
{
	struct row_value values[FIELD_COUNT];
	struct tuple t;

	make(&t, true);
	t.data[t.at[FIELD_METADATA] + 4] = 2;
	cr_expect(!parse(t.data, t.len, values), "another version");
	make(&t, true);
	t.data[t.at[FIELD_ATTRIBUTES] + 5] = '[';
	cr_expect(!parse(t.data, t.len, values), "not an object");
}

Test(row, identifier_longer_than_its_limit)
{
	struct row_value values[FIELD_COUNT];
	struct tuple t;
	uint32_t n = htobe32(255 * 4 + 1);
	uint8_t *at;

	make(&t, true);
	at = t.data + t.at[FIELD_EVENT_ID];
	memcpy(at, &n, sizeof(n));
	memmove(at + 5 + 255 * 4, at + 5, t.len - t.at[FIELD_EVENT_ID] - 5);
	t.len += 255 * 4;
	cr_expect(!parse(t.data, t.len, values));
}

Test(row, time)
{
	static const uint8_t bytes[8] = {
	    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe};
	struct row_value value = {bytes, 8};

	cr_expect(row_time(&value) == -2);
}

/* --- a record's head --- */

#define ROOM (RECORD_HEAD_MAX + 8)

static const uint8_t key_id[UUID_BYTES] = {1, 2, 3, 4};

/* Writes a head as a worker does; the length of what it wrote. */
static size_t
write_head(uint8_t *record, const char *agent, size_t len)
{
	size_t bytes = record_agent_bytes(agent, len);

	memset(record, 0xee, ROOM);
	record_write_head(record, key_id, agent, bytes);
	cr_expect(record[RECORD_ROWS_AT(bytes)] == 0xee);
	return RECORD_ROWS_AT(bytes);
}

/* In a block of exactly that size. */
static bool
parse_head(const uint8_t *data, size_t len, size_t *agent_bytes)
{
	uint8_t *exact = malloc(len + (len == 0));
	struct record record;
	bool ok;

	cr_assert(exact != NULL);
	memcpy(exact, data, len);
	ok = record_parse(exact, len, &record);
	if (ok) {
		cr_expect(record.rows_at <= len && record.rows_at % 8 == 0);
		*agent_bytes = record.agent_bytes;
	}
	free(exact);
	return ok;
}

Test(record, comes_back)
{
	uint8_t bytes[ROOM];
	struct record record;
	char agent[RECORD_AGENT_MAX];

	memset(agent, 'a', sizeof(agent));
	for (size_t len = 0; len <= sizeof(agent); len++) {
		size_t end = write_head(bytes, agent, len);

		cr_assert(record_parse(bytes, end, &record), "%zu", len);
		cr_expect(record.rows_at == end);
		cr_expect(memcmp(record.key_id, key_id, UUID_BYTES) == 0);
		cr_expect(record.agent_bytes == len);
		cr_expect(memcmp(record.agent, agent, len) == 0);
		for (size_t i = sizeof(struct record_head) + len; i < end;
		     i++) {
			cr_expect(bytes[i] == 0, "padding");
		}
	}
}

Test(record, agent_is_cut)
{
	char agent[RECORD_AGENT_MAX + 2];

	memset(agent, 'a', sizeof(agent));
	cr_expect(record_agent_bytes(NULL, 0) == 0);
	cr_expect(record_agent_bytes(agent, sizeof(agent)) == RECORD_AGENT_MAX);
	/* a character of two bytes lies across the limit */
	memcpy(agent + RECORD_AGENT_MAX - 1, "\xc3\xa4", 2);
	cr_expect(
	    record_agent_bytes(agent, sizeof(agent)) == RECORD_AGENT_MAX - 1);
	cr_expect(record_agent_bytes("ab\xff"
				     "c",
		      4) == 2);
}

Test(record, every_shorter_one_is_refused)
{
	uint8_t bytes[ROOM];
	size_t end = write_head(bytes, "agent", 5), agent_bytes;

	for (size_t len = 0; len < end; len++) {
		cr_expect(!parse_head(bytes, len, &agent_bytes), "%zu", len);
	}
	cr_expect(parse_head(bytes, end, &agent_bytes));
	cr_expect(parse_head(bytes, end + 8, &agent_bytes));
}

Test(record, heads_that_lie)
{
	static const uint32_t lengths[] = {
	    RECORD_AGENT_MAX + 1, 0x7fffffff, 0x80000000, 0xffffffff};
	uint8_t bytes[2 * ROOM];
	size_t agent_bytes = 0;

	memset(bytes, 0, sizeof(bytes));
	(void)write_head(bytes, "agent", 5);
	for (size_t i = 0; i < sizeof(lengths) / 4; i++) {
		memcpy(bytes + offsetof(struct record_head, agent_bytes),
		    &lengths[i], 4);
		cr_expect(!parse_head(bytes, sizeof(bytes), &agent_bytes), "%u",
		    lengths[i]);
	}
	(void)write_head(bytes, "agent", 5);
	bytes[offsetof(struct record_head, zero)] = 1;
	cr_expect(!parse_head(bytes, sizeof(bytes), &agent_bytes));
	/* the worker is not believed to have looked at the text */
	(void)write_head(bytes, "agent", 5);
	bytes[sizeof(struct record_head) + 3] = 0xff;
	cr_expect(parse_head(bytes, sizeof(bytes), &agent_bytes));
	cr_expect(agent_bytes == 3);
}
