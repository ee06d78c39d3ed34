/* SPDX-License-Identifier: MIT */
/*
 * Sets a decoder up as a worker has it, with a key table in real shared memory,
 * and reads back the rows it writes.  Judges nothing.
 */
#include "t/unit/decode_kit.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/uuid.h"

static void
must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "kit: %s\n", what);
		abort();
	}
}

static void
add_project(struct keytable *keys, const char *uuid, const char *slug,
    bool require_api_key, const char *origin)
{
	uint8_t id[UUID_BYTES];
	uint8_t org[UUID_BYTES];

	must(uuid_parse(uuid, strlen(uuid), id), "uuid");
	memset(org, 0xaa, sizeof(org));
	must(keytable_add_project(keys, org, id, slug, require_api_key, &origin,
		 origin == NULL ? 0 : 1) == 0,
	    "keytable_add_project");
}

static struct keytable *
make_keys(void)
{
	struct err err;
	int fd = keytable_create(65536, &err);
	struct keytable *keys;

	must(fd != -1, "keytable_create");
	keys = keytable_map(fd, true, &err);
	must(keys != NULL, "keytable_map");
	close(fd);
	keytable_begin(keys);
	add_project(keys, KIT_DEMO, "proj_demo", false, NULL);
	add_project(keys, KIT_OTHER, "proj_other", false, "https://a.example");
	add_project(keys, "0190d0d0-0000-7000-8000-0000000000d2", "proj_key",
	    true, NULL);
	keytable_publish(keys);
	return keys;
}

void
kit_init(struct kit *kit)
{
	memset(kit, 0, sizeof(*kit));
	kit->cfg.max_events = 1000;
	kit->cfg.max_event = 102400;
	kit->cfg.max_clock_ahead_ms = 3600 * 1000ULL;
	kit->cfg.max_event_age_ms = 3650 * 86400 * 1000ULL;
	kit->cfg.unknown_event_types = CFG_UNKNOWN_REJECT;
	kit->keys = make_keys();
	must(keytable_find_project(kit->keys, "proj_demo", 9, NULL, 0,
		 &kit->key) == KEYTABLE_FOUND,
	    "keytable_find_project");
	kit->project = &kit->key;
	kit->decoder = decoder_create(&kit->cfg);
	must(kit->decoder != NULL, "decoder_create");
}

void
kit_fini(struct kit *kit)
{
	decoder_destroy(kit->decoder);
	keytable_unmap(kit->keys);
	buf_free(&kit->reply.errors);
	free(kit->rows);
}

enum decode_result
kit_decode(struct kit *kit, const char *body, size_t len)
{
	struct decode_request request;
	char *exact = malloc(len + (len == 0));
	size_t n;

	must(exact != NULL, "malloc");
	memcpy(exact, body, len);
	memset(&request, 0, sizeof(request));
	request.body = exact;
	request.len = len;
	request.project = kit->project;
	request.keys = kit->keys;
	request.origin = kit->origin;
	request.origin_len = kit->origin == NULL ? 0 : strlen(kit->origin);
	request.agent = kit->agent;
	request.agent_len = kit->agent == NULL ? 0 : strlen(kit->agent);
	request.received_at_us = KIT_NOW;
	request.rows_size = kit->rows_size;
	if (request.rows_size == 0) {
		/* an event takes two bytes at least, with its comma */
		n = len / 3 < kit->cfg.max_events ? len / 3
						  : kit->cfg.max_events;
		request.rows_size =
		    RECORD_HEAD_MAX + len + (n + 1) * ROW_OVERHEAD_MAX;
	}
	free(kit->rows);
	kit->rows = malloc(request.rows_size);
	must(kit->rows != NULL, "malloc");
	request.rows = kit->rows;
	kit->result = decode_batch(kit->decoder, &request, &kit->reply);
	free(exact);
	n = kit->reply.errors.len;
	if (n >= sizeof(kit->errors)) {
		n = sizeof(kit->errors) - 1;
	}
	memcpy(kit->errors, n == 0 ? "" : kit->reply.errors.data, n);
	kit->errors[n] = '\0';
	return kit->result;
}

static enum decode_result
decode_between(
    struct kit *kit, const char *before, const char *text, const char *after)
{
	size_t size = strlen(before) + strlen(text) + strlen(after) + 1;
	char *body = malloc(size);
	enum decode_result result;

	must(body != NULL, "malloc");
	(void)snprintf(body, size, "%s%s%s", before, text, after);
	result = kit_decode(kit, body, size - 1);
	free(body);
	return result;
}

enum decode_result
kit_events(struct kit *kit, const char *events)
{
	return decode_between(kit, "{\"events\":[", events, "]}");
}

enum decode_result
kit_member(struct kit *kit, const char *member)
{
	return decode_between(kit,
	    member[0] == '\0' ? "{\"events\":[{" KIT_MEMBERS
			      : "{\"events\":[{" KIT_MEMBERS ",",
	    member, "}]}");
}

bool
kit_row(struct kit *kit, size_t n)
{
	size_t at;

	if (!record_parse(kit->rows, kit->reply.rows_bytes, &kit->record)) {
		return false;
	}
	at = kit->record.rows_at;
	for (;;) {
		struct row_head head;

		if (kit->reply.rows_bytes - at < sizeof(head)) {
			return false;
		}
		memcpy(&head, kit->rows + at, sizeof(head));
		if (head.tuple_bytes >
			kit->reply.rows_bytes - at - sizeof(head) ||
		    head.zero != 0 ||
		    !row_parse(kit->rows + at + sizeof(head), head.tuple_bytes,
			kit->values)) {
			return false;
		}
		if (n-- == 0) {
			return true;
		}
		at += ROW_ALIGN(sizeof(head) + head.tuple_bytes);
	}
}

static const char *
real_text(const struct row_value *value, char *text, size_t size)
{
	int64_t bits = row_time(value);
	double real;

	memcpy(&real, &bits, sizeof(real));
	(void)snprintf(text, size, "%.17g", real);
	return text;
}

static const char *
int4_text(const struct row_value *value, char *text, size_t size)
{
	uint32_t n;

	memcpy(&n, value->data, sizeof(n));
	(void)snprintf(text, size, "%d", (int32_t)be32toh(n));
	return text;
}

const char *
kit_value(struct kit *kit, enum field_id id)
{
	static char text[1 << 17];
	const struct row_value *value = &kit->values[id];

	if (value->length == -1) {
		return "(null)";
	}
	switch (event_fields[id].kind) {
	case KIND_UUID:
		uuid_format(value->data, text);
		return text;
	case KIND_TIME:
	case KIND_INT8:
		(void)snprintf(
		    text, sizeof(text), "%lld", (long long)row_time(value));
		return text;
	case KIND_INT4:
		return int4_text(value, text, sizeof(text));
	case KIND_REAL:
		return real_text(value, text, sizeof(text));
	case KIND_OBJECT:
	case KIND_REST:
		(void)snprintf(text, sizeof(text), "%.*s", value->length - 1,
		    (const char *)value->data + 1);
		return text;
	default:
		(void)snprintf(text, sizeof(text), "%.*s", value->length,
		    (const char *)value->data);
		return text;
	}
}
