/* SPDX-License-Identifier: MIT */
/*
 * Every kind of field, what it takes, what it makes of it, and the words with
 * which it refuses the rest.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "t/unit/decode_kit.h"
#include "worker/field_names.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define RECEIVED "758635200000000"
/* U+FFFD */
#define FFFD "\xef\xbf\xbd"

struct field_case {
	const char *member; /* behind those of a whole event */
	const char *value;  /* NULL: refused */
	const char *error;
};

static void
check(
    struct kit *kit, enum field_id id, const struct field_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct field_case *c = &cases[i];
		char error[512];

		cr_expect(kit_member(kit, c->member) == DECODE_OK, "%s: %s",
		    c->member, kit->reply.fault);
		if (c->value == NULL) {
			(void)snprintf(error, sizeof(error),
			    "\"error\":\"%s\"}", c->error);
			cr_expect(strstr(kit->errors, error) != NULL, "%s: %s",
			    c->member, kit->errors);
			continue;
		}
		cr_expect(
		    kit->reply.accepted == 1, "%s: %s", c->member, kit->errors);
		if (kit_row(kit, 0)) {
			cr_expect_str_eq(
			    kit_value(kit, id), c->value, "%s", c->member);
		} else {
			cr_expect(false, "%s: no row", c->member);
		}
	}
}

#define CHECK(id, cases)                                                       \
	do {                                                                   \
		struct kit kit;                                                \
		kit_init(&kit);                                                \
		check(&kit, FIELD_##id, cases, COUNT(cases));                  \
		kit_fini(&kit);                                                \
	} while (0)

#define A50 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A255 A50 A50 A50 A50 A50 "aaaaa"
#define U5 "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xc3\xa4\xc3\xa4"
#define U50 U5 U5 U5 U5 U5 U5 U5 U5 U5 U5
#define U255 U50 U50 U50 U50 U50 U5

static const struct field_case ids[] = {
    {"\"event_id\":\"x\"", "x", NULL},
    {"\"event_id\":12", "12", NULL},
    {"\"event_id\":-0", "-0", NULL},
    {"\"event_id\":123456789012345678901234567890",
	"123456789012345678901234567890", NULL},
    {"\"event_id\":\"1.5\"", "1.5", NULL},
    {"\"event_id\":\" \"", " ", NULL},
    {"\"event_id\":\"" A255 "\"", A255, NULL},
    {"\"event_id\":\"" U255 "\"", U255, NULL},
    {"\"event_id\":\"a\\u0000\\ud800z\"", "a" FFFD FFFD "z", NULL},
    {"\"event_id\":\"a\",\"event_id\":\"b\"", "b", NULL},
    {"\"event_id\":\"" A255 "a\"", NULL,
	"event_id: longer than 255 characters"},
    {"\"event_id\":\"" U255 "a\"", NULL,
	"event_id: longer than 255 characters"},
    {"\"event_id\":\"\"", NULL, "event_id: must not be empty"},
    {"\"event_id\":null", NULL, "event_id: required"},
    {"\"event_id\":1.0", NULL, "event_id: not a string or an integer"},
    {"\"event_id\":1e2", NULL, "event_id: not a string or an integer"},
    {"\"event_id\":true", NULL, "event_id: not a string or an integer"},
    {"\"event_id\":{}", NULL, "event_id: not a string or an integer"},
    {"\"event_id\":[]", NULL, "event_id: not a string or an integer"},
};

Test(decode_fields, identifiers)
{
	CHECK(EVENT_ID, ids);
}

static const struct field_case optional_ids[] = {
    {"\"user.id\":\"\"", "", NULL},
    {"\"user.id\":null", "(null)", NULL},
    {"\"user.id\":\"u\",\"user.id\":null", "(null)", NULL},
    {"\"user.id\":7", "7", NULL},
    {"\"org.id\":\"acme\"", "(null)", NULL},
    {"\"user.id\":7.5", NULL, "user.id: not a string or an integer"},
    {"\"user.id\":\"" A255 "b\"", NULL, "user.id: longer than 255 characters"},
};

Test(decode_fields, optional_identifiers)
{
	CHECK(USER_ID, optional_ids);
}

static const struct field_case texts[] = {
    {"\"page.title\":\"Checkout\"", "Checkout", NULL},
    {"\"page.title\":\"\"", "", NULL},
    {"\"page.title\":null", "(null)", NULL},
    {"\"page.title\":1.50", "1.50", NULL},
    {"\"page.title\":1e5", "1e5", NULL},
    {"\"page.title\":true", "true", NULL},
    {"\"page.title\":false", "false", NULL},
    {"\"page.title\":[1, \"a\\n\"]", "[1, \"a\\n\"]", NULL},
    {"\"page.title\":{\"a\" : {}}", "{\"a\" : {}}", NULL},
    {"\"page.title\":[\"\\u0000\\u0041\"]", "[\"" FFFD "\\u0041\"]", NULL},
    {"\"page.title\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e4\\u20AC\"",
	"\"\\/\b\f\n\r\tA\xc3\xa4\xe2\x82\xac", NULL},
    {"\"page.title\":\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80", NULL},
    {"\"page.title\":\"\\uD83D\\uDE00x\"", "\xf0\x9f\x98\x80x", NULL},
    {"\"page.title\":\"\\ud83d\"", FFFD, NULL},
    {"\"page.title\":\"\\ud83dx\"", FFFD "x", NULL},
    {"\"page.title\":\"\\ude00\\ud83d\"", FFFD FFFD, NULL},
    {"\"page.title\":\"\\ud83d\\ud83d\\ude00\"", FFFD "\xf0\x9f\x98\x80", NULL},
    {"\"page.title\":\"\\ud83d\\n\"", FFFD "\n", NULL},
    {"\"page.title\":\"\\ud83d\\u0041\"", FFFD "A", NULL},
    {"\"page.title\":\"a\\u0000b\"", "a" FFFD "b", NULL},
    {"\"page.title\":\"\\\\u0000\"", "\\u0000", NULL},
    {"\"page.title\":\"\\\\\\u0000\"", "\\" FFFD, NULL},
    {"\"page.title\":\"\\ufffd\\uffff\\ue000\"",
	FFFD "\xef\xbf\xbf\xee\x80\x80", NULL},
    {"\"page.title\":\"\xf4\x8f\xbf\xbf\"", "\xf4\x8f\xbf\xbf", NULL},
    {"\"page.title\":\"" U255 A255 "\"", U255 A255, NULL},
    {"\"page.title\":\"\\\\N\\\\.\t\"", NULL, NULL},
    {"\"page.title\":1e309", NULL, "page.title: number out of range"},
    {"\"page.title\":[1e309]", NULL, "page.title: number out of range"},
    {"\"page.title\":\"\xff\"", NULL, "page.title: not valid UTF-8"},
    {"\"page.title\":[\"\xff\"]", NULL, "page.title: not valid UTF-8"},
    {"\"page.title\":\"\xff\",\"page.title\":\"a\"", NULL,
	"page.title: not valid UTF-8"},
};

Test(decode_fields, texts)
{
	struct kit kit;

	kit_init(&kit);
	for (size_t i = 0; i < COUNT(texts); i++) {
		if (texts[i].value == NULL && texts[i].error == NULL) {
			cr_expect(
			    kit_member(&kit, texts[i].member) == DECODE_BAD);
			continue;
		}
		check(&kit, FIELD_PAGE_TITLE, &texts[i], 1);
	}
	kit_fini(&kit);
}

static const struct field_case short_texts[] = {
    {"\"event.name\":\"" U255 "\"", U255, NULL},
    {"\"event.name\":\"" U255 "x\"", NULL,
	"event.name: longer than 255 characters"},
    {"\"event.name\":[\"" A255 "\"]", NULL,
	"event.name: longer than 255 characters"},
};

Test(decode_fields, texts_with_a_limit)
{
	CHECK(EVENT_NAME, short_texts);
}

/* Each byte that may be part of no character, and each cut. */
Test(decode_fields, broken_utf8)
{
	static const char *const broken[] = {"\x80", "\xbf", "\xc0\x80",
	    "\xc0\xaf", "\xc1\xbf", "\xc2", "\xc2\"", "\xc2\xc0",
	    "\xe0\x80\x80", "\xe0\x9f\xbf", "\xe2\x82", "\xe2\x82\x7f",
	    "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x80\x80\x80",
	    "\xf0\x8f\xbf\xbf", "\xf0\x9f\x98", "\xf4\x90\x80\x80",
	    "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80", "\xfe", "\xff", "a\xc3",
	    "\xef\xbb"};
	struct kit kit;

	kit_init(&kit);
	for (size_t i = 0; i < COUNT(broken); i++) {
		/* at every distance from the string's begin and end */
		for (int pad = 0; pad < 40; pad++) {
			char member[256];

			(void)snprintf(member, sizeof(member),
			    "\"page.title\":\"%.*s%s%.*s", pad, A50, broken[i],
			    pad / 2, A50);
			if (strchr(broken[i], '"') == NULL) {
				size_t end = strlen(member);

				memcpy(member + end, "\"", 2);
			} else {
				member[strcspn(member + 15, "\"") + 16] = '\0';
			}
			cr_expect(
			    kit_member(&kit, member) == DECODE_OK, "%zu", i);
			cr_expect(strstr(kit.errors,
				      "page.title: not valid UTF-8") != NULL,
			    "%zu: %s", i, kit.errors);
		}
	}
	kit_fini(&kit);
}

static const struct field_case types[] = {
    {"\"event.type\":\"page.view\"", "page.view", NULL},
    {"\"event.type\":\"page_view\"", "page.view", NULL},
    {"\"event.type\":\"journey_conversion\"", "journey.conversion", NULL},
    {"\"event.type\":\"snapshot_captured\"", "snapshot.captured", NULL},
    {"\"event.type\":\"error\"", "error", NULL},
    {"\"event.type\":\"cust\\u006fm\"", "custom", NULL},
    {"\"event.type\":\"page.vie\"", NULL,
	"event.type: unknown type \\\"page.vie\\\"; use \\\"custom\\\" with "
	"event.name"},
    {"\"event.type\":\"page.views\"", NULL,
	"event.type: unknown type \\\"page.views\\\"; use \\\"custom\\\" with "
	"event.name"},
    {"\"event.type\":\"Page.View\"", NULL,
	"event.type: unknown type \\\"Page.View\\\"; use \\\"custom\\\" with "
	"event.name"},
    {"\"event.type\":\"x\\\"y\"", NULL,
	"event.type: unknown type \\\"x\\\"y\\\"; use \\\"custom\\\" with "
	"event.name"},
    {"\"event.type\":\"\"", NULL, "event.type: must not be empty"},
    {"\"event.type\":null", NULL, "event.type: required"},
    {"\"event.type\":5", NULL, "event.type: not a string"},
    {"\"event.type\":[]", NULL, "event.type: not a string"},
    {"\"event.type\":\"" A50 "aaaaaaaaaaaaaaa\"", NULL,
	"event.type: longer than 64 characters"},
};

Test(decode_fields, types)
{
	CHECK(EVENT_TYPE, types);
}

Test(decode_fields, every_type_in_both_spellings)
{
	struct kit kit;

	kit_init(&kit);
	for (size_t i = 0; event_types[i] != NULL; i++) {
		char member[128];

		for (int k = 0; k < 2; k++) {
			(void)snprintf(member, sizeof(member),
			    "\"event.type\":\"%s\"", event_types[i]);
			for (char *at = member + 14; k == 1 && *at; at++) {
				if (*at == '.') {
					*at = '_';
				}
			}
			cr_expect(kit_member(&kit, member) == DECODE_OK);
			cr_assert(kit_row(&kit, 0), "%s", member);
			cr_expect_str_eq(
			    kit_value(&kit, FIELD_EVENT_TYPE), event_types[i]);
		}
	}
	kit_fini(&kit);
}

Test(decode_fields, unknown_types_stored)
{
	static const struct field_case stored[] = {
	    {"\"event.type\":\"my_type\"", "my_type", NULL},
	    {"\"event.type\":\"ui_click\"", "ui.click", NULL},
	    {"\"event.type\":\"" A50 "aaaaaaaaaaaaaa\"", A50 "aaaaaaaaaaaaaa",
		NULL},
	    {"\"event.type\":\"" A50 "aaaaaaaaaaaaaaa\"", NULL,
		"event.type: longer than 64 characters"},
	    {"\"event.type\":\"\"", NULL, "event.type: must not be empty"},
	};
	struct kit kit;

	kit_init(&kit);
	kit.cfg.unknown_event_types = CFG_UNKNOWN_STORE;
	check(&kit, FIELD_EVENT_TYPE, stored, COUNT(stored));
	kit_fini(&kit);
}

static const struct field_case times[] = {
    {"\"event.timestamp\":\"2024-01-15T11:00:00Z\"", "758631600000000", NULL},
    {"\"event.timestamp\":\"2024-01-15 12:00:00.5+01:00\"", "758631600500000",
	NULL},
    {"\"event.timestamp\":\"2024-01-15T11:00:00\\u002b0000\"",
	"758631600000000", NULL},
    /* just within an hour ahead, and just beyond */
    {"\"event.timestamp\":\"2024-01-15T13:00:00Z\"", "758638800000000", NULL},
    {"\"event.timestamp\":\"2024-01-15T13:00:00.000001Z\"", RECEIVED, NULL},
    {"\"event.timestamp\":\"2034-01-15T13:00:00Z\"", RECEIVED, NULL},
    {"\"event.timestamp\":\"9999-12-31T23:59:59Z\"", RECEIVED, NULL},
    /* 3650 days behind */
    {"\"event.timestamp\":\"2014-01-17T12:00:00Z\"", "443275200000000", NULL},
    {"\"event.timestamp\":\"2014-01-17T11:59:59.999999Z\"", RECEIVED, NULL},
    {"\"event.timestamp\":\"1970-01-01T00:00:00Z\"", RECEIVED, NULL},
    {"\"event.timestamp\":\"0001-01-01T00:00:00Z\"", RECEIVED, NULL},
    {"\"event.timestamp\":\"2016-12-31T23:59:60Z\"", "536544000000000", NULL},
    {"\"event.timestamp\":null", NULL, "event.timestamp: required"},
    {"\"event.timestamp\":\"\"", NULL,
	"event.timestamp: no date as yyyy-mm-dd"},
    {"\"event.timestamp\":1705312800", NULL, "event.timestamp: not a string"},
    {"\"event.timestamp\":{}", NULL, "event.timestamp: not a string"},
    {"\"event.timestamp\":\"2024-01-15T10:30:00\"", NULL,
	"event.timestamp: no time zone"},
    {"\"event.timestamp\":\"infinity\"", NULL,
	"event.timestamp: no date as yyyy-mm-dd"},
    {"\"event.timestamp\":\"0000-01-01T00:00:00Z\"", NULL,
	"event.timestamp: year out of range"},
};

Test(decode_fields, times)
{
	CHECK(TIMESTAMP, times);
}

static const struct field_case client_times[] = {
    {"\"event.timestamp\":\"2024-01-15T13:00:00Z\"", "(null)", NULL},
    {"\"event.timestamp\":\"2024-01-15T13:00:00.000001Z\"", "758638800000001",
	NULL},
    {"\"event.timestamp\":\"2014-01-17T11:59:59.999999Z\"", "443275199999999",
	NULL},
    {"\"event.timestamp\":\"1970-01-01T00:00:00Z\"", "-946684800000000", NULL},
};

Test(decode_fields, client_times)
{
	CHECK(CLIENT_TIMESTAMP, client_times);
}

static const struct field_case received[] = {
    {"\"received_at\":\"2020-01-01T00:00:00Z\"", RECEIVED, NULL},
};

Test(decode_fields, receipt_is_the_servers)
{
	CHECK(RECEIVED_AT, received);
}

static const struct field_case int8s[] = {
    {"\"event.sequence\":0", "0", NULL},
    {"\"event.sequence\":-0", "0", NULL},
    {"\"event.sequence\":200.0", "200", NULL},
    {"\"event.sequence\":2e2", "200", NULL},
    {"\"event.sequence\":2.00e2", "200", NULL},
    {"\"event.sequence\":20000e-2", "200", NULL},
    {"\"event.sequence\":0.0e5", "0", NULL},
    {"\"event.sequence\":9223372036854775807", "9223372036854775807", NULL},
    {"\"event.sequence\":-9223372036854775808", "-9223372036854775808", NULL},
    {"\"event.sequence\":9223372036854775807.000", "9223372036854775807", NULL},
    {"\"event.sequence\":\"42\"", "42", NULL},
    {"\"event.sequence\":\"-4.2e1\"", "-42", NULL},
    {"\"event.sequence\":\"4\\u0032\"", "42", NULL},
    {"\"event.sequence\":null", "(null)", NULL},
    {"\"event.sequence\":9223372036854775808", NULL,
	"event.sequence: out of range"},
    {"\"event.sequence\":-9223372036854775809", NULL,
	"event.sequence: out of range"},
    {"\"event.sequence\":18446744073709551616", NULL,
	"event.sequence: out of range"},
    {"\"event.sequence\":1e19", NULL, "event.sequence: out of range"},
    {"\"event.sequence\":1e400", NULL, "event.sequence: out of range"},
    {"\"event.sequence\":\"1e400\"", NULL, "event.sequence: out of range"},
    {"\"event.sequence\":1.5", NULL, "event.sequence: not an integer"},
    {"\"event.sequence\":1e-1", NULL, "event.sequence: not an integer"},
    {"\"event.sequence\":\"\"", NULL, "event.sequence: not an integer"},
    {"\"event.sequence\":\"x\"", NULL, "event.sequence: not an integer"},
    {"\"event.sequence\":\" 1\"", NULL, "event.sequence: not an integer"},
    {"\"event.sequence\":\"1 \"", NULL, "event.sequence: not an integer"},
    {"\"event.sequence\":\"+1\"", NULL, "event.sequence: not an integer"},
    {"\"event.sequence\":\"01\"", NULL, "event.sequence: not an integer"},
    {"\"event.sequence\":\"1\\u0000\"", NULL, "event.sequence: not an integer"},
    {"\"event.sequence\":true", NULL, "event.sequence: not an integer"},
    {"\"event.sequence\":[1]", NULL, "event.sequence: not an integer"},
};

Test(decode_fields, int8)
{
	CHECK(SEQUENCE, int8s);
}

static const struct field_case int4s[] = {
    {"\"api.status_code\":200", "200", NULL},
    {"\"api.status_code\":\"404\"", "404", NULL},
    {"\"api.status_code\":2147483647", "2147483647", NULL},
    {"\"api.status_code\":-2147483648", "-2147483648", NULL},
    {"\"api.status_code\":2147483648", NULL, "api.status_code: out of range"},
    {"\"api.status_code\":-2147483649", NULL, "api.status_code: out of range"},
    {"\"api.status_code\":\"4294967296\"", NULL,
	"api.status_code: out of range"},
    {"\"api.status_code\":200.5", NULL, "api.status_code: not an integer"},
    {"\"api.status_code\":\"OK\"", NULL, "api.status_code: not an integer"},
};

Test(decode_fields, int4)
{
	CHECK(API_STATUS_CODE, int4s);
}

static const struct field_case reals[] = {
    {"\"duration_ms\":0", "0", NULL},
    {"\"duration_ms\":-0.0", "-0", NULL},
    {"\"duration_ms\":12.5", "12.5", NULL},
    {"\"duration_ms\":0.1", "0.10000000000000001", NULL},
    {"\"duration_ms\":123456789.123456789", "123456789.12345679", NULL},
    {"\"duration_ms\":1e300", "1.0000000000000001e+300", NULL},
    {"\"duration_ms\":1.7976931348623157e308", "1.7976931348623157e+308", NULL},
    {"\"duration_ms\":5e-324", "4.9406564584124654e-324", NULL},
    {"\"duration_ms\":9007199254740993", "9007199254740992", NULL},
    {"\"duration_ms\":9007199254740993.0000000000000000001", "9007199254740994",
	NULL},
    {"\"duration_ms\":\"12.5\"", "12.5", NULL},
    {"\"duration_ms\":\"1e3\"", "1000", NULL},
    {"\"duration_ms\":null", "(null)", NULL},
    {"\"duration_ms\":1e309", NULL, "duration_ms: out of range"},
    {"\"duration_ms\":1.7976931348623159e308", NULL,
	"duration_ms: out of range"},
    {"\"duration_ms\":\"1e309\"", NULL, "duration_ms: out of range"},
    {"\"duration_ms\":1e-325", NULL, "duration_ms: out of range"},
    {"\"duration_ms\":\"NaN\"", NULL, "duration_ms: not a number"},
    {"\"duration_ms\":\"Infinity\"", NULL, "duration_ms: not a number"},
    {"\"duration_ms\":\"12ms\"", NULL, "duration_ms: not a number"},
    {"\"duration_ms\":\"0x10\"", NULL, "duration_ms: not a number"},
    {"\"duration_ms\":\"\"", NULL, "duration_ms: not a number"},
    {"\"duration_ms\":false", NULL, "duration_ms: not a number"},
    {"\"duration_ms\":{}", NULL, "duration_ms: not a number"},
};

Test(decode_fields, reals)
{
	CHECK(DURATION_MS, reals);
}

#define D40 "0.1234567890123456789012345678901234567890"

static const struct field_case objects[] = {
    {"\"metadata\":{}", "{}", NULL},
    {"\"metadata\":{ \"a\" : [1, 2.50, -0] }", "{ \"a\" : [1, 2.50, -0] }",
	NULL},
    {"\"metadata\":{\"a\":" D40 "}", "{\"a\":" D40 "}", NULL},
    {"\"metadata\":{\"a\":18446744073709551616}",
	"{\"a\":18446744073709551616}", NULL},
    {"\"metadata\":{\"a\":1,\"a\":2}", "{\"a\":1,\"a\":2}", NULL},
    {"\"metadata\":{\"a\":\"\\u0000\"}", "{\"a\":\"" FFFD "\"}", NULL},
    {"\"metadata\":{\"a\\u0000b\":1}", "{\"a" FFFD "b\":1}", NULL},
    {"\"metadata\":{\"a\":\"\\\\u0000\"}", "{\"a\":\"\\\\u0000\"}", NULL},
    {"\"metadata\":{\"a\":\"\\\\\\u0000\"}", "{\"a\":\"\\\\" FFFD "\"}", NULL},
    {"\"metadata\":{\"a\":[\"\\ud800\",\"\\ud83d\\ude00\\n\\\"\"]}",
	"{\"a\":[\"" FFFD "\",\"\\ud83d\\ude00\\n\\\"\"]}", NULL},
    {"\"metadata\":{\"\\ud800\\ud800\":\"\\udc00\"}",
	"{\"" FFFD FFFD "\":\"" FFFD "\"}", NULL},
    {"\"metadata\":{\"a\":1e308}", "{\"a\":1e308}", NULL},
    {"\"metadata\":{\"a\":-1.7e308}", "{\"a\":-1.7e308}", NULL},
    {"\"metadata\":{\"a\":1e-324}", "{\"a\":1e-324}", NULL},
    {"\"metadata\":{\"a\":0e308}", "{\"a\":0e308}", NULL},
    {"\"metadata\":{\"a\":1},\"metadata\":{\"b\":2}", "{\"b\":2}", NULL},
    {"\"metadata\":{\"a\":1e999},\"metadata\":{\"b\":2}", "{\"b\":2}", NULL},
    {"\"metadata\":null", "(null)", NULL},
    {"\"metadata\":[]", NULL, "metadata: not an object"},
    {"\"metadata\":\"{}\"", NULL, "metadata: not an object"},
    {"\"metadata\":1", NULL, "metadata: not an object"},
    {"\"metadata\":{\"a\":1e309}", NULL, "metadata: number out of range"},
    {"\"metadata\":{\"a\":[{\"b\":-1e309}]}", NULL,
	"metadata: number out of range"},
    {"\"metadata\":{\"a\":1.8e308}", NULL, "metadata: number out of range"},
    {"\"metadata\":{\"a\":1e131071}", NULL, "metadata: number out of range"},
    {"\"metadata\":{\"a\":1e-325}", NULL, "metadata: number out of range"},
    {"\"metadata\":{\"a\":1e-20000}", NULL, "metadata: number out of range"},
    {"\"metadata\":{\"a\":1e999999999}", NULL, "metadata: number out of range"},
    {"\"metadata\":{\"a\":1e99999999999999999999}", NULL,
	"metadata: number out of range"},
    {"\"metadata\":{\"a\":0e999999999}", NULL, "metadata: number out of range"},
    {"\"metadata\":{\"a\":0e-999999999}", NULL,
	"metadata: number out of range"},
    {"\"metadata\":{\"a\":\"\xc0\xaf\"}", NULL, "metadata: not valid UTF-8"},
    {"\"metadata\":{\"\xff\":1}", NULL, "metadata: not valid UTF-8"},
};

Test(decode_fields, objects)
{
	CHECK(METADATA, objects);
}

static const struct field_case others[] = {
    {"", "(null)", NULL},
    {"\"x\":1", "{\"x\":1}", NULL},
    {"\"x\":1,\"page.title\":\"t\", \"y\" : [ {} ]", "{\"x\":1,\"y\":[ {} ]}",
	NULL},
    {"\"x\":null", "(null)", NULL},
    {"\"x\":null,\"y\":null", "(null)", NULL},
    {"\"x\":1,\"x\":null", "(null)", NULL},
    {"\"x\":1,\"y\":\"\",\"x\":null", "{\"y\":\"\"}", NULL},
    {"\"x\":null,\"x\":1", "{\"x\":1}", NULL},
    {"\"x\":1,\"x\":null,\"x\":2,\"xy\":3,\"x\":4",
	"{\"x\":2,\"xy\":3,\"x\":4}", NULL},
    {"\"a\":1,\"c\":2,\"b\":3,\"c\":null,\"d\":null,\"a\":4,\"b\":null",
	"{\"a\":1,\"a\":4}", NULL},
    {"\"x\":1,\"x\":null,\"\\t\":2,\"y\":3,\"y\":null",
	"{\"\\t\":2,\"y\":3,\"y\":null}", NULL},
    {"\"x\":1,\"\\u0078\":null", "{\"x\":1,\"\\u0078\":null}", NULL},
    {"\"\\u0078\":1,\"x\":null", "{\"\\u0078\":1,\"x\":null}", NULL},
    {"\"x\":1,\"x\":2", "{\"x\":1,\"x\":2}", NULL},
    {"\"\":0", "{\"\":0}", NULL},
    {"\"x\":\"\\u0000\"", "{\"x\":\"" FFFD "\"}", NULL},
    {"\"org_id\":\"evil\"", "{\"org_id\":\"evil\"}", NULL},
    {"\"org_id\\u0000x\":1", "{\"org_id" FFFD "x\":1}", NULL},
    {"\"event_id\\u0000\":\"evil\"", "{\"event_id" FFFD "\":\"evil\"}", NULL},
    {"\"\\u0000event_id\":\"evil\"", "{\"" FFFD "event_id\":\"evil\"}", NULL},
    {"\"Event_Id\":\"E\"", "{\"Event_Id\":\"E\"}", NULL},
    {"\"timestamp\":1,\"session_id\":2,\"attributes\":3,\"received_at\":4",
	"{\"timestamp\":1,\"session_id\":2,\"attributes\":3,"
	"\"received_at\":4}",
	NULL},
    {"\"x\":18446744073709551616", "{\"x\":18446744073709551616}", NULL},
    {"\"x\":1e309", NULL, "x: number out of range"},
    {"\"x\":[1e309]", NULL, "x: number out of range"},
    {"\"x\":1,\"y\":[\"\xff\"]", NULL, "y: not valid UTF-8"},
};

Test(decode_fields, others)
{
	CHECK(ATTRIBUTES, others);
}

/* An escaped name is the name that it stands for. */
Test(decode_fields, escaped_names)
{
	static const struct field_case cases[] = {
	    {"\"page\\u002etitle\":\"t\"", "t", NULL},
	    {"\"\\u0070\\u0061\\u0067\\u0065\\u002e\\u0074\\u0069\\u0074"
	     "\\u006c\\u0065\":\"t\"",
		"t", NULL},
	    {"\"page.title\":\"a\",\"page\\u002etitle\":\"b\"", "b", NULL},
	    {"\"page.title\\u0000\":\"a\"", "(null)", NULL},
	    {"\"page\\/title\":\"a\"", "(null)", NULL},
	};

	CHECK(PAGE_TITLE, cases);
}

/* strtod() knows whether a number is too large. */
static void
check_far(struct kit *kit, const char *number)
{
	char member[512];

	(void)snprintf(member, sizeof(member), "\"x\":%s", number);
	cr_expect(kit_member(kit, member) == DECODE_OK);
	cr_expect(kit->reply.rejected == (isinf(strtod(number, NULL)) ? 1 : 0),
	    "%s", number);
}

/*
 * The least number that rounds to infinity, 2^1024 - 2^970, with something
 * behind it, cut short, and with any one digit another.
 */
Test(decode_fields, next_to_infinity)
{
	static const char least[] =
	    "17976931348623158079372897140530341507993413271003782693617377"
	    "89804449682927647509466490179775872070963302864166928879109465"
	    "55547851940402630657488671505820681908902000708383676273854845"
	    "81771153176447573027006985557136695962284291481986083493647529"
	    "2719074168444365510704342711559699508093042880177904174497792";
	static const char *const tails[] = {
	    "", ".0", ".00000000000000000001", "e0", "0e-1", "e-1", "e1"};
	int digits = (int)sizeof(least) - 1;
	char text[sizeof(least) + 32];
	struct kit kit;

	kit_init(&kit);
	for (size_t i = 0; i < COUNT(tails); i++) {
		(void)snprintf(text, sizeof(text), "%s%s", least, tails[i]);
		check_far(&kit, text);
	}
	for (int i = 1; i < digits; i++) {
		(void)snprintf(
		    text, sizeof(text), "%.*se%d", i, least, digits - i);
		check_far(&kit, text);
		for (int digit = 0; digit <= 9; digit++) {
			memcpy(text, least, sizeof(least));
			text[i] = "0123456789"[digit];
			check_far(&kit, text);
		}
	}
	kit_fini(&kit);
}

/* The largest exponents that may be, with many digits before and behind. */
Test(decode_fields, long_numbers)
{
	static const struct {
		size_t zeros_behind; /* of 0.000...1 */
		size_t digits;       /* of 999... */
		bool taken;
	} cases[] = {
	    {0, 308, true},
	    {0, 309, false},
	    {0, 5000, false},
	    {323, 0, true},
	    {324, 0, false},
	    {20000, 0, false},
	};
	struct kit kit;

	kit_init(&kit);
	for (size_t i = 0; i < COUNT(cases); i++) {
		char *member =
		    malloc(64 + cases[i].zeros_behind + cases[i].digits);
		char *at = stpcpy(member, "\"metadata\":{\"a\":");

		memset(at, '9', cases[i].digits);
		at += cases[i].digits;
		if (cases[i].digits == 0) {
			at = stpcpy(at, "0.");
			memset(at, '0', cases[i].zeros_behind);
			at += cases[i].zeros_behind;
			*at++ = '1';
		}
		(void)stpcpy(at, "}");
		cr_expect(kit_member(&kit, member) == DECODE_OK);
		cr_expect(kit.reply.accepted == cases[i].taken, "%zu: %s", i,
		    kit.errors);
		free(member);
	}
	kit_fini(&kit);
}

/* PostgreSQL's numeric has room for 16,383 digits behind the point. */
Test(decode_fields, digits_behind_the_point)
{
	struct kit kit;
	char *member = malloc(17000);

	kit_init(&kit);
	for (int digits = 16382; digits <= 16385; digits++) {
		char *at = stpcpy(member, "\"metadata\":{\"a\":1.");

		memset(at, '1', (size_t)digits);
		(void)stpcpy(at + digits, "}");
		cr_expect(kit_member(&kit, member) == DECODE_OK);
		cr_expect(
		    kit.reply.accepted == (digits <= 16383), "%d", digits);
		(void)stpcpy(at + digits, "e2}");
		cr_expect(kit_member(&kit, member) == DECODE_OK);
		cr_expect(kit.reply.accepted == 1, "%d with e2", digits);
		(void)stpcpy(at + digits, "e-2}");
		cr_expect(kit_member(&kit, member) == DECODE_OK);
		cr_expect(kit.reply.accepted == 0, "%d with e-2", digits);
	}
	free(member);
	kit_fini(&kit);
}

/* Every field of the table by its wire name lands in its column. */
Test(decode_fields, every_field)
{
	struct kit kit;

	kit_init(&kit);
	for (size_t i = 0; i < FIELD_COUNT; i++) {
		const struct field *f = &event_fields[i];
		char member[256];
		const char *text = f->kind == KIND_OBJECT ? "{\"a\":7}"
		    : f->kind == KIND_TYPE                ? "\"custom\""
		    : f->kind == KIND_UUID                ? "\"proj_demo\""
		    : f->kind == KIND_TIME ? "\"2000-01-01T00:00:00Z\""
					   : "7";

		if (f->need == NEED_SERVER) {
			continue;
		}
		(void)snprintf(
		    member, sizeof(member), "\"%s\":%s", f->wire, text);
		cr_expect(kit_member(&kit, member) == DECODE_OK);
		cr_assert(kit_row(&kit, 0), "%s", f->wire);
		cr_expect(kit.values[i].length > 0, "%s", f->wire);
		cr_expect(
		    kit.values[FIELD_ATTRIBUTES].length == -1, "%s", f->wire);
		if (f->kind == KIND_TEXT || f->kind == KIND_ID) {
			cr_expect_str_eq(
			    kit_value(&kit, (enum field_id)i), "7");
		}
	}
	kit_fini(&kit);
}

/* Strings of every length, plain, escaped and beyond ASCII, at any alignment.
 */
Test(decode_fields, every_length)
{
	static const char *const units[] = {
	    "a", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
	struct kit kit;

	kit_init(&kit);
	for (size_t u = 0; u < COUNT(units); u++) {
		for (size_t len = 0; len < 100; len++) {
			char member[1024], want[512];
			char *at = want;

			for (size_t i = 0; i < len; i++) {
				at = stpcpy(at, i % 7 == 3 ? "z" : units[u]);
			}
			*at = '\0';
			(void)snprintf(member, sizeof(member),
			    "\"page.title\":\"%s\"", want);
			cr_expect(kit_member(&kit, member) == DECODE_OK);
			cr_assert(kit_row(&kit, 0));
			cr_expect_str_eq(
			    kit_value(&kit, FIELD_PAGE_TITLE), want);
			(void)snprintf(member, sizeof(member),
			    "\"page.title\":\"%s\\n\"", want);
			(void)stpcpy(at, "\n");
			cr_expect(kit_member(&kit, member) == DECODE_OK);
			cr_assert(kit_row(&kit, 0));
			cr_expect_str_eq(
			    kit_value(&kit, FIELD_PAGE_TITLE), want);
		}
	}
	kit_fini(&kit);
}

Test(decode_fields, names)
{
	struct field_names names;
	char text[64];

	cr_assert(field_names_init(&names));
	for (unsigned slot = 0; slot < FIELD_SLOTS; slot++) {
		const char *name = field_slot_name(slot);
		size_t len = strlen(name);

		if (len == 0) {
			continue;
		}
		cr_expect(field_names_find(&names, name, len) == slot);
		cr_expect(
		    field_names_find(&names, name, len - 1) == FIELD_UNKNOWN);
		/* every other name with one bit changed is unknown */
		for (size_t bit = 0; bit < len * 8; bit++) {
			memcpy(text, name, len);
			text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
			cr_expect(field_names_find(&names, text, len) ==
			    FIELD_UNKNOWN);
		}
	}
	cr_expect(field_names_find(&names, "", 0) == FIELD_UNKNOWN);
	for (int c = 0; c < 256; c++) {
		text[0] = (char)c;
		cr_expect(field_names_find(&names, text, 1) == FIELD_UNKNOWN);
	}
}
