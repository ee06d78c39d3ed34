/* SPDX-License-Identifier: MIT */
/*
 * tuple_kit.h - makes records as a worker would, for tests of the aggregator
 *
 * Owns      nothing; writes where it is told, 8-byte aligned
 */
#ifndef PGD_T_UNIT_TUPLE_KIT_H
#define PGD_T_UNIT_TUPLE_KIT_H

#include <stddef.h>
#include <stdint.h>

/* What differs between rows; the rest is fixed or null, as NULL is here. */
struct tuple_kit {
	int64_t timestamp_us;
	int64_t received_us;
	const char *event_id;
	const char *page_title;
	const char *session_id; /* NULL: "session" */
	const char *event_type; /* NULL: "page.view" */
	const char *user_id;
	const char *page_path;
	const int64_t *sequence;
	char project; /* each byte of its id; 0: 2 */
};

/* Most bytes that a row of short texts takes, or a head of one. */
#define TUPLE_KIT_MAX 1024

/* Writes the tuple and returns its length. */
size_t tuple_kit_tuple(uint8_t *, const struct tuple_kit *);
/* Writes head, tuple and padding and returns their length. */
size_t tuple_kit_row(uint8_t *, const struct tuple_kit *);

/*
 * Writes the head that a record begins with and returns its length; key is each
 * byte of the key's id.
 */
size_t tuple_kit_head(uint8_t *, char key, const char *agent);

#endif
