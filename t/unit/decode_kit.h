/* SPDX-License-Identifier: MIT */
/*
 * decode_kit.h - what the decoder's tests share: a key table, a batch, its rows
 *
 * Owns      everything of a struct kit, until kit_fini()
 * Promises  the body lies in a block of exactly its size, so that a sanitizer
 *           sees the first byte read behind it; so do the rows
 */
#ifndef PGD_T_UNIT_DECODE_KIT_H
#define PGD_T_UNIT_DECODE_KIT_H

#include <stddef.h>
#include <stdint.h>

#include "common/cfg.h"
#include "common/keytable.h"
#include "common/row.h"
#include "worker/decode.h"

/* 2024-01-15 12:00:00 UTC */
#define KIT_NOW 758635200000000LL

#define KIT_DEMO "0190d0d0-0000-7000-8000-0000000000d0"
#define KIT_OTHER "0190d0d0-0000-7000-8000-0000000000d1"

/* Members that make an event whole; what follows them wins over them. */
#define KIT_MEMBERS                                                            \
	"\"event_id\":\"e1\",\"project_id\":\"proj_demo\","                    \
	"\"session.id\":\"s1\",\"event.type\":\"custom\","                     \
	"\"event.timestamp\":\"2024-01-15T10:30:00Z\""
#define KIT_EVENT "{" KIT_MEMBERS "}"

struct kit {
	struct cfg cfg;
	struct keytable *keys;
	struct project key; /* the key's project: proj_demo */
	const struct project *project;
	const char *origin;
	const char *agent; /* NULL: none */
	struct decoder *decoder;
	size_t rows_size; /* 0: enough */
	uint8_t *rows;
	struct decode_reply reply;
	enum decode_result result;
	struct record record; /* of the row last taken apart */
	struct row_value values[FIELD_COUNT];
	char errors[8192]; /* reply.errors, terminated, cut */
};

void kit_init(struct kit *);
void kit_fini(struct kit *);

enum decode_result kit_decode(struct kit *, const char *body, size_t len);
/* {"events":[...]} around the text. */
enum decode_result kit_events(struct kit *, const char *events);
/* A batch of one whole event with these members behind its own, or none. */
enum decode_result kit_member(struct kit *, const char *member);

/* Takes row n apart into values; false when it is none. */
bool kit_row(struct kit *, size_t n);
/* The field in the row last taken apart, as text; "(null)". */
const char *kit_value(struct kit *, enum field_id);

#endif
