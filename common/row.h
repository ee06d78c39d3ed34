/* SPDX-License-Identifier: MIT */
/*
 * row.h - an event as PostgreSQL's binary COPY tuple, and the ring record that
 * brings it
 *
 * Runs in   worker (writes), aggregator (checks)
 *
 * A ring record is one accepted request: a struct record_head, agent_bytes of
 * User-Agent, padded to 8; then rows one behind the other, each a struct
 * row_head, then tuple_bytes of tuple, padded to 8.
 *
 * A tuple is, all in network order: int16 FIELD_COUNT; then for each field, in
 * the order of event_fields.def, int32 length (-1 for null) and the value in
 * its type's binary send format (text: its UTF-8; timestamptz: int64
 * microseconds since 2000-01-01 UTC; jsonb: a byte 1, then its text).
 *
 * Tests     t/unit/row_test.c
 */
#ifndef PGD_COMMON_ROW_H
#define PGD_COMMON_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/event_fields.h"
#include "common/uuid.h"

/* Counts the changes of what is described here; goes into the ring's stamp. */
#define RECORD_VERSION 2

struct record_head {
	uint8_t key_id[UUID_BYTES]; /* zero without a key */
	uint32_t agent_bytes;
	uint32_t zero;
};

/* Bytes of User-Agent that are kept. */
#define RECORD_AGENT_MAX 512

/* Most bytes that lie before the rows. */
#define RECORD_HEAD_MAX (sizeof(struct record_head) + RECORD_AGENT_MAX)

struct row_head {
	uint32_t tuple_bytes;
	uint32_t zero;
};

#define ROW_ALIGN(n) (((n) + 7) & ~(size_t)7)

/* Most bytes a row takes beyond those of the event's JSON text. */
#define ROW_OVERHEAD_MAX                                                       \
	(sizeof(struct row_head) + 8 + 2 + (size_t)FIELD_COUNT * (4 + 16))

/*
 * Where a tuple holds the value of SESSION_KEY, which the worker leaves zero:
 * behind two UUIDs and two times, each with its length.
 */
#define ROW_SESSION_KEY_AT                                                     \
	(2 + 2 * (4 + (size_t)UUID_BYTES) + 2 * (4 + 8) + (size_t)4)

/* What lies before a record's rows; points into the record. */
struct record {
	const uint8_t *key_id; /* UUID_BYTES */
	const char *agent;     /* UTF-8 without NUL */
	size_t agent_bytes;
	size_t rows_at;
};

/* Bytes of a User-Agent that a record keeps: text, up to a character's end. */
size_t record_agent_bytes(const char *agent, size_t len);

/* Where the rows begin behind a User-Agent of so many bytes. */
#define RECORD_ROWS_AT(agent_bytes)                                            \
	ROW_ALIGN(sizeof(struct record_head) + (agent_bytes))

/* agent_bytes: as record_agent_bytes() told.  Writes RECORD_ROWS_AT() bytes. */
void record_write_head(uint8_t *record, const uint8_t key_id[UUID_BYTES],
    const char *agent, size_t agent_bytes);

/*
 * False when bytes do not begin with a record's head.  A User-Agent that is no
 * text is cut where it ceases to be.  Never reads beyond bytes.
 */
bool record_parse(const uint8_t *, size_t bytes, struct record *);

/* A value inside a tuple; length -1 for null. */
struct row_value {
	const uint8_t *data;
	int32_t length;
};

/*
 * Takes a tuple apart into values[FIELD_COUNT].  False when it is not a tuple
 * of event_fields: wrong count, a length that does not fit its kind or the
 * tuple, null where a value is required.  Never reads beyond bytes.  In what it
 * took, SESSION_KEY lies at ROW_SESSION_KEY_AT.
 */
bool row_parse(
    const uint8_t *tuple, size_t bytes, struct row_value values[FIELD_COUNT]);

/* The int64 of a TIME value, microseconds since 2000-01-01 UTC. */
int64_t row_time(const struct row_value *);

#endif
