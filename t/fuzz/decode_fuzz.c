/* SPDX-License-Identifier: MIT */
/*
 * decode_fuzz.c - any bytes as a body: every row that comes out is one, and the
 * account adds up
 *
 * The first byte of an input chooses with or without a key, the limits and the
 * room for rows; the rest is the body.  Built without libFuzzer it runs the
 * files that are its arguments.
 */
#include <assert.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/row.h"
#include "t/unit/decode_kit.h"

#define KEYLESS 1
#define SMALL_LIMITS 2
#define LITTLE_ROOM 4
#define STORE_TYPES 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct kit *
the_kit(void)
{
	static struct kit kit;

	if (kit.decoder == NULL) {
		kit_init(&kit);
	}
	return &kit;
}

/* The elements that the account holds; -1 when it is no JSON. */
static int
count_errors(const struct kit *kit)
{
	size_t size = kit->reply.errors.len + 3;
	char *text = malloc(size);
	struct json_object *list;
	int n = -1;

	assert(text != NULL);
	(void)snprintf(text, size, "[%.*s]", (int)kit->reply.errors.len,
	    kit->reply.errors.len == 0 ? "" : kit->reply.errors.data);
	list = json_tokener_parse(text);
	if (list != NULL) {
		n = (int)json_object_array_length(list);
	}
	json_object_put(list);
	free(text);
	return n;
}

static uint32_t
count_rows(const struct kit *kit)
{
	struct row_value values[FIELD_COUNT];
	struct record record;
	size_t at;
	uint32_t n = 0;

	if (kit->reply.rows_bytes == 0) {
		return 0;
	}
	if (!record_parse(kit->rows, kit->reply.rows_bytes, &record)) {
		abort();
	}
	at = record.rows_at;
	assert(at < kit->reply.rows_bytes);
	while (at < kit->reply.rows_bytes) {
		struct row_head head;
		bool sound;

		assert(kit->reply.rows_bytes - at >= sizeof(head));
		memcpy(&head, kit->rows + at, sizeof(head));
		at += sizeof(head);
		assert(head.zero == 0);
		assert(head.tuple_bytes <= kit->reply.rows_bytes - at);
		sound = row_parse(kit->rows + at, head.tuple_bytes, values);
		assert(sound);
		at = ROW_ALIGN(at + head.tuple_bytes);
		n++;
	}
	assert(at == kit->reply.rows_bytes);
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kit *kit = the_kit();
	uint8_t how;

	if (size == 0) {
		return 0;
	}
	how = data[0];
	kit->project = how & KEYLESS ? NULL : &kit->key;
	kit->cfg.max_events = how & SMALL_LIMITS ? 3 : 1000;
	kit->cfg.max_event = how & SMALL_LIMITS ? 300 : 102400;
	kit->rows_size = how & LITTLE_ROOM ? 2048 : 0;
	kit->cfg.unknown_event_types =
	    how & STORE_TYPES ? CFG_UNKNOWN_STORE : CFG_UNKNOWN_REJECT;
	if (kit_decode(kit, (const char *)data + 1, size - 1) == DECODE_OK) {
		assert(count_rows(kit) == kit->reply.accepted);
		assert(count_errors(kit) == (int)kit->reply.rejected);
		assert(kit->reply.accepted + kit->reply.rejected <=
		    kit->cfg.max_events);
	} else {
		assert((kit->result == DECODE_BAD) ==
		    (kit->reply.fault[0] != '\0'));
	}
	return 0;
}

#ifndef FUZZ_WITH_LIBFUZZER

static int
run_file(const char *path)
{
	static uint8_t data[1 << 20];
	FILE *file = fopen(path, "rb");
	size_t size;

	if (file == NULL) {
		perror(path);
		return -1;
	}
	size = fread(data, 1, sizeof(data), file);
	(void)fclose(file);
	return LLVMFuzzerTestOneInput(data, size);
}

int
main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (run_file(argv[i]) == -1) {
			return 1;
		}
	}
	return 0;
}

#endif
