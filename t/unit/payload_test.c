/* SPDX-License-Identifier: MIT */
/*
 * A dead letter's payload: every field of a tuple comes out, and what is no
 * tuple is refused without a word.
 */
#include "ctl/payload.h"

#include <criterion/criterion.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "common/event_fields.h"
#include "t/unit/tuple_kit.h"

/* The text, or NULL when the payload was refused. */
static char *
print(bool json, const uint8_t *payload, size_t len)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	bool ok;

	cr_assert(out != NULL);
	ok = json ? payload_json(out, payload, len)
		  : payload_print(out, payload, len);
	cr_assert(fclose(out) == 0);
	if (!ok) {
		cr_expect(size == 0, "printed %s", text);
		free(text);
		return NULL;
	}
	return text;
}

static void
expect_in(const char *text, const char *part)
{
	cr_expect(strstr(text, part) != NULL, "no %s in\n%s", part, text);
}

Test(payload, text_and_json)
{
	const struct tuple_kit kit = {.event_id = "evt\x1b",
	    .page_title = "caf\xe9 \"x\"",
	    .received_us = 0,
	    .timestamp_us = -1};
	uint8_t tuple[4096];
	size_t len = tuple_kit_tuple(tuple, &kit);
	char *text = print(false, tuple, len);

	cr_assert(text != NULL);
	expect_in(text, "received_at           2000-01-01T00:00:00.000000Z\n");
	expect_in(text, "timestamp             1999-12-31T23:59:59.999999Z\n");
	expect_in(text, "event_id              evt\\x1b\n");
	expect_in(text, "page_title            caf\\xe9 \"x\"\n");
	expect_in(text,
	    "org_id                01010101-0101-0101-0101-010101010101\n");
	cr_expect(strstr(text, "page_url") == NULL, "a null is shown");
	free(text);

	text = print(true, tuple, len);
	cr_assert(text != NULL);
	cr_expect(text[0] == '{' && text[strlen(text) - 1] == '}');
	expect_in(text, "\"event_id\":\"evt\\u001b\"");
	expect_in(text, "\"page_title\":\"caf\\\\xe9 \\\"x\\\"\"");
	expect_in(text, "\"timestamp\":\"1999-12-31T23:59:59.999999Z\"");
	for (size_t i = 0; i < FIELD_COUNT; i++) {
		char member[64];

		(void)snprintf(
		    member, sizeof(member), "\"%s\":", event_fields[i].column);
		expect_in(text, member);
	}
	expect_in(text, "\"page_url\":null");
	free(text);
}

/* Puts a value where the tuple has a null; returns the new length. */
static size_t
fill(uint8_t *tuple, size_t len, size_t field, const void *value, size_t bytes)
{
	uint32_t n;
	uint8_t *at = tuple + 2;

	for (size_t i = 0; i < field; i++) {
		memcpy(&n, at, sizeof(n));
		n = be32toh(n);
		at += sizeof(n) + (n == UINT32_MAX ? 0 : n);
	}
	memmove(at + 4 + bytes, at + 4, len - (size_t)(at + 4 - tuple));
	n = htobe32((uint32_t)bytes);
	memcpy(at, &n, sizeof(n));
	memcpy(at + 4, value, bytes);
	return len + bytes;
}

static uint64_t
real(double number)
{
	uint64_t bits;

	memcpy(&bits, &number, sizeof(bits));
	return htobe64(bits);
}

Test(payload, kinds)
{
	const struct tuple_kit kit = {.event_id = "e"};
	const uint64_t sequence = htobe64((uint64_t)-5);
	const uint32_t status = htobe32(404);
	const uint64_t tenth = real(0.1), third = real(1.0 / 3);
	const uint64_t nan = real(__builtin_nan("")), big = real(1e300);
	uint8_t tuple[4096];
	size_t len = tuple_kit_tuple(tuple, &kit);
	char *text;

	len = fill(tuple, len, FIELD_SEQUENCE, &sequence, 8);
	len = fill(tuple, len, FIELD_API_STATUS_CODE, &status, 4);
	len = fill(tuple, len, FIELD_API_DURATION_MS, &tenth, 8);
	len = fill(tuple, len, FIELD_DURATION_MS, &third, 8);
	len = fill(tuple, len, FIELD_PERFORMANCE_LCP_MS, &nan, 8);
	len = fill(tuple, len, FIELD_PERFORMANCE_CLS, &big, 8);
	len = fill(tuple, len, FIELD_METADATA, "\1{\"a\":}", 7);
	text = print(true, tuple, len);
	cr_assert(text != NULL);
	expect_in(text, "\"sequence\":-5,");
	expect_in(text, "\"api_status_code\":404,");
	expect_in(text, "\"api_duration_ms\":0.1,");
	expect_in(text, "\"duration_ms\":0.3333333333333333,");
	expect_in(text, "\"performance_lcp_ms\":\"nan\",");
	expect_in(text, "\"performance_cls\":1e+300,");
	/* Not JSON, so not embedded as such. */
	expect_in(text, "\"metadata\":\"{\\\"a\\\":}\",");
	free(text);
}

Test(payload, no_tuple)
{
	const struct tuple_kit kit = {.event_id = "e"};
	uint8_t tuple[4096];
	size_t len = tuple_kit_tuple(tuple, &kit);

	for (int json = 0; json < 2; json++) {
		cr_expect(print(json, tuple, 0) == NULL);
		cr_expect(print(json, tuple, len - 1) == NULL);
		cr_expect(print(json, (const uint8_t *)"rubbish", 7) == NULL);
	}
}
