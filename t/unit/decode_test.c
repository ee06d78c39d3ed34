/* SPDX-License-Identifier: MIT */
/*
 * The decoder as a worker calls it: bodies, batches, projects, and what RFC
 * 8259 has to say.  The values of fields are in decode_fields_test.c, the
 * comparison with json-c in decode_oracle_test.c.
 *
 * Linked with malloc, calloc, realloc and reallocarray wrapped, to count them,
 * and so with what a client might make the decoder do too often: memcmp, strtod
 * and keytable_find_project.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/uuid.h"
#include "t/unit/decode_kit.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* --- allocations --- */

static size_t allocations;

void *__real_malloc(size_t);
void *__real_calloc(size_t, size_t);
void *__real_realloc(void *, size_t);
void *__real_reallocarray(void *, size_t, size_t);
void *__wrap_malloc(size_t);
void *__wrap_calloc(size_t, size_t);
void *__wrap_realloc(void *, size_t);
void *__wrap_reallocarray(void *, size_t, size_t);

void *
__wrap_malloc(size_t size)
{
	allocations++;
	return __real_malloc(size);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	allocations++;
	return __real_calloc(n, size);
}

void *
__wrap_realloc(void *old, size_t size)
{
	allocations++;
	return __real_realloc(old, size);
}

void *
__wrap_reallocarray(void *old, size_t n, size_t size)
{
	allocations++;
	return __real_reallocarray(old, n, size);
}

/* --- work --- */

static size_t comparisons;
static size_t conversions;
static size_t lookups;

int __real_memcmp(const void *, const void *, size_t);
int __wrap_memcmp(const void *, const void *, size_t);
double __real_strtod(const char *, char **);
double __wrap_strtod(const char *, char **);
enum keytable_result __real_keytable_find_project(const struct keytable *,
    const char *, size_t, const char *, size_t, struct project *);
enum keytable_result __wrap_keytable_find_project(const struct keytable *,
    const char *, size_t, const char *, size_t, struct project *);

int
__wrap_memcmp(const void *a, const void *b, size_t len)
{
	comparisons++;
	return __real_memcmp(a, b, len);
}

double
__wrap_strtod(const char *text, char **end)
{
	conversions++;
	return __real_strtod(text, end);
}

enum keytable_result
__wrap_keytable_find_project(const struct keytable *table, const char *name,
    size_t len, const char *origin, size_t origin_len, struct project *project)
{
	lookups++;
	return __real_keytable_find_project(
	    table, name, len, origin, origin_len, project);
}

/* Text of n copies of part, with a separator; to be freed. */
static char *
repeat(const char *before, const char *part, const char *separator, size_t n,
    const char *after)
{
	size_t one = strlen(part) + strlen(separator);
	char *text = malloc(strlen(before) + n * one + strlen(after) + 1);
	char *at = text;

	cr_assert(text != NULL);
	at = stpcpy(at, before);
	for (size_t i = 0; i < n; i++) {
		at = stpcpy(at, part);
		if (i + 1 < n) {
			at = stpcpy(at, separator);
		}
	}
	(void)stpcpy(at, after);
	return text;
}

Test(decode, no_allocation_per_event)
{
	char *events[2];
	size_t counts[2];
	struct kit kit;

	kit_init(&kit);
	/* good ones, odd ones and bad ones; warmed up by the first round */
	events[0] = repeat("{\"events\":[",
	    KIT_EVENT ",{" KIT_MEMBERS ",\"x\":[{\"\\u0000\":[1e5,\"\\n\"]}],"
		      "\"page.title\":\"a\\tb\",\"metadata\":{\"k\":[[]]}},{}",
	    ",", 2, "]}");
	events[1] = repeat("{\"events\":[",
	    KIT_EVENT ",{" KIT_MEMBERS ",\"x\":[{\"\\u0000\":[1e5,\"\\n\"]}],"
		      "\"page.title\":\"a\\tb\",\"metadata\":{\"k\":[[]]}},{}",
	    ",", 300, "]}");
	cr_assert(kit_decode(&kit, events[1], strlen(events[1])) == DECODE_OK);
	cr_expect(kit.reply.accepted == 600 && kit.reply.rejected == 300);
	for (int i = 0; i < 2; i++) {
		allocations = 0;
		cr_assert(kit_decode(&kit, events[i], strlen(events[i])) ==
		    DECODE_OK);
		counts[i] = allocations;
	}
	/* the kit's own two, of body and rows */
	cr_expect(counts[0] == 2, "%zu", counts[0]);
	cr_expect(counts[1] == 2, "%zu", counts[1]);
	free(events[0]);
	free(events[1]);
	kit_fini(&kit);
}

/* --- bodies --- */

static const struct {
	const char *name;
	const char *body;
	const char *fault;
} bad_bodies[] = {
    {"empty", "", "invalid JSON at byte 0: unexpected end"},
    {"space only", " \r\n\t", "invalid JSON at byte 4: unexpected end"},
    {"cut", "{\"events\":[", "invalid JSON at byte 11: unexpected end"},
    {"cut in a string", "{\"events\":[{\"ab",
	"invalid JSON at byte 15: unexpected end"},
    {"cut behind a name", "{\"events\"",
	"invalid JSON at byte 9: unexpected end"},
    {"byte order mark", "\xef\xbb\xbf{\"events\":[]}",
	"invalid JSON at byte 0: a byte order mark"},
    {"array", "[]", "the body is not an object"},
    {"number", "1", "the body is not an object"},
    {"string", "\"events\"", "the body is not an object"},
    {"null", "null", "the body is not an object"},
    {"broken array", "[1,]", "invalid JSON at byte 3: expected a value"},
    {"no events", "{}", "\"events\" is missing"},
    {"no events, others", "{\"event\":[],\"Events\":[]}",
	"\"events\" is missing"},
    {"events null", "{\"events\":null}", "\"events\" is not an array"},
    {"events an object", "{\"events\":{}}", "\"events\" is not an array"},
    {"events a string", "{\"events\":\"[]\"}", "\"events\" is not an array"},
    {"events last not an array", "{\"events\":[],\"events\":1}",
	"\"events\" is not an array"},
    {"trailing comma", "{\"events\":[],}",
	"invalid JSON at byte 13: expected a name in quotes"},
    {"trailing text", "{\"events\":[]}x",
	"invalid JSON at byte 13: something behind the end"},
    {"two documents", "{\"events\":[]} {\"events\":[]}",
	"invalid JSON at byte 14: something behind the end"},
    {"trailing comma in events", "{\"events\":[" KIT_EVENT ",]}",
	"invalid JSON at byte 135: expected a value"},
    {"no comma", "{\"events\":[1 2]}",
	"invalid JSON at byte 13: expected a comma or ]"},
    {"wrong bracket", "{\"events\":[1}",
	"invalid JSON at byte 12: expected a comma or ]"},
    {"wrong brace", "{\"events\":[{\"a\":1]]}",
	"invalid JSON at byte 17: expected a comma or }"},
    {"UTF-8 broken beside the events", "{\"a\":\"\xff\",\"events\":[]}",
	"invalid JSON at byte 6: not valid UTF-8 behind it"},
    {"UTF-8 broken in a name", "{\"\xff\":1,\"events\":[]}",
	"invalid JSON at byte 2: not valid UTF-8 behind it"},
    {"UTF-8 broken deep inside",
	"{\"a\":[[{\"b\":\"\xc0\xaf\"}]],\"events\":[]}",
	"invalid JSON at byte 5: not valid UTF-8 behind it"},
    {"UTF-8 outside a string", "{\"events\":[\xc3\xa4]}",
	"invalid JSON at byte 11: expected a value"},
};

Test(decode, bad_bodies)
{
	struct kit kit;

	kit_init(&kit);
	for (size_t i = 0; i < COUNT(bad_bodies); i++) {
		cr_expect(kit_decode(&kit, bad_bodies[i].body,
			      strlen(bad_bodies[i].body)) == DECODE_BAD,
		    "%s", bad_bodies[i].name);
		cr_expect_str_eq(kit.reply.fault, bad_bodies[i].fault, "%s",
		    bad_bodies[i].name);
	}
	cr_expect(
	    kit_decode(&kit, "{\"events\":[]}\0", 14) == DECODE_BAD, "NUL");
	cr_expect(kit_decode(&kit, "{\"events\":[\0]}", 14) == DECODE_BAD);
	kit_fini(&kit);
}

static const struct {
	const char *name;
	const char *body;
	uint32_t accepted;
	uint32_t rejected;
} good_bodies[] = {
    {"none", "{\"events\":[]}", 0, 0},
    {"none, with space", " \t\r\n{ \"events\" : [ ] } \n", 0, 0},
    {"one", "{\"events\":[" KIT_EVENT "]}", 1, 0},
    {"one, spaced out", "{ \"events\" : [\n" KIT_EVENT "\t,\r" KIT_EVENT " ] }",
	2, 0},
    {"others before and behind",
	"{\"a\":{\"events\":[1]},\"events\":[" KIT_EVENT "],\"z\":[1,{}]}", 1,
	0},
    {"the last events win", "{\"events\":[1,2],\"events\":[" KIT_EVENT "]}", 1,
	0},
    {"the last events win, fewer",
	"{\"events\":[" KIT_EVENT "," KIT_EVENT "],\"events\":[]}", 0, 0},
    {"an array at last", "{\"events\":5,\"events\":[" KIT_EVENT "]}", 1, 0},
    {"an escaped name", "{\"\\u0065vent\\u0073\":[" KIT_EVENT "]}", 1, 0},
    {"a name cut by NUL is another", "{\"events\":[],\"events\\u0000\":[1,2]}",
	0, 0},
    {"far numbers elsewhere are nobody's", "{\"a\":1e999999999,\"events\":[]}",
	0, 0},
    {"no objects", "{\"events\":[1,\"a\",null,true,[],[{}]]}", 0, 6},
    {"one bad between good", "{\"events\":[" KIT_EVENT ",{}," KIT_EVENT "]}", 2,
	1},
};

Test(decode, good_bodies)
{
	struct kit kit;

	kit_init(&kit);
	for (size_t i = 0; i < COUNT(good_bodies); i++) {
		enum decode_result result = kit_decode(
		    &kit, good_bodies[i].body, strlen(good_bodies[i].body));

		cr_expect(result == DECODE_OK, "%s: %s", good_bodies[i].name,
		    kit.reply.fault);
		cr_expect(kit.reply.accepted == good_bodies[i].accepted, "%s",
		    good_bodies[i].name);
		cr_expect(kit.reply.rejected == good_bodies[i].rejected, "%s",
		    good_bodies[i].name);
	}
	kit_fini(&kit);
}

/* Cut anywhere, a body is refused, and nothing behind the cut is read. */
Test(decode, every_prefix_is_refused)
{
	static const char body[] =
	    "{\"a\":[-1.5e+3,true,{\"b\":null}],\"events\":[" KIT_EVENT
	    ",{\"x\":\"\\ud83d\\ude00\\n\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\","
	    "\"y\":[false]}]}";
	struct kit kit;

	kit_init(&kit);
	for (size_t len = 0; len < sizeof(body) - 1; len++) {
		cr_assert(
		    kit_decode(&kit, body, len) == DECODE_BAD, "%zu", len);
	}
	cr_assert(kit_decode(&kit, body, sizeof(body) - 1) == DECODE_OK);
	kit_fini(&kit);
}

/* --- RFC 8259, as the value of a member --- */

static const struct {
	const char *text;
	bool valid;
} values[] = {
    {"0", true},
    {"-0", true},
    {"-0.0e-0", true},
    {"1.5", true},
    {"1E5", true},
    {"1e+5", true},
    {"123456789012345678901234567890", true},
    {"\"\"", true},
    {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00aF\"", true},
    {"\"\x7f\"", true},
    {"\"\\u0000\"", true},
    {"\"\\ud83d\\ude00\"", true},
    {"\"\\ud83d\"", true},
    {"\"\\ude00\\ud83d\"", true},
    {"\"\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\xf4\x8f\xbf\xbf\"", true},
    {"[]", true},
    {"[ ]", true},
    {"[1,[2,[3]]]", true},
    {"{}", true},
    {"{ \"\" : { } }", true},
    {"{\"a\":1,\"a\":2}", true},
    {"true", true},
    {"false", true},
    {"null", true},
    {"NaN", false},
    {"nan", false},
    {"Infinity", false},
    {"-Infinity", false},
    {"+1", false},
    {"-", false},
    {"--1", false},
    {"-01", false},
    {"01", false},
    {"00", false},
    {"2.", false},
    {".5", false},
    {"-.5", false},
    {"0.e1", false},
    {"1e", false},
    {"1e+", false},
    {"1e1.5", false},
    {"1.2.3", false},
    {"0x10", false},
    {"1_000", false},
    {"1 000", false},
    {"True", false},
    {"TRUE", false},
    {"tru", false},
    {"truee", false},
    {"nul", false},
    {"nullx", false},
    {"undefined", false},
    {"'a'", false},
    {"\"a", false},
    {"a", false},
    {"\"a\tb\"", false},
    {"\"a\nb\"", false},
    {"\"a\x01\"", false},
    {"\"\x1f\"", false},
    {"\"\\x41\"", false},
    {"\"\\a\"", false},
    {"\"\\'\"", false},
    {"\"\\0\"", false},
    {"\"\\", false},
    {"\"\\u\"", false},
    {"\"\\u12\"", false},
    {"\"\\u123g\"", false},
    {"\"\\u 123\"", false},
    {"\"\\U0041\"", false},
    {"\"\\ud83d\\u\"", false},
    {"\"\\ud83d\\u12\"", false},
    {"[1,]", false},
    {"[,1]", false},
    {"[,]", false},
    {"[1,,2]", false},
    {"[1 2]", false},
    {"[1", false},
    {"[1}", false},
    {"[[]", false},
    {"]", false},
    {"{\"a\":1,}", false},
    {"{,}", false},
    {"{\"a\"}", false},
    {"{\"a\":}", false},
    {"{\"a\" 1}", false},
    {"{\"a\"::1}", false},
    {"{a:1}", false},
    {"{1:1}", false},
    {"{'a':1}", false},
    {"{\"a\":1 \"b\":2}", false},
    {"{\"a\":1]", false},
    {"{\"a\":1", false},
    {"{[]:1}", false},
    {"{\"a\",1}", false},
    {"// comment\n1", false},
    {"/* comment */1", false},
    {"1 // comment", false},
    {"# comment\n1", false},
    {"\f1", false},
    {"\v1", false},
    {"\xc2\xa0"
     "1",
	false},
    {"", false},
    {",", false},
    {":", false},
    {"<null>", false},
    {"*", false},
};

/* In the body, in an unknown member, and deep inside metadata. */
Test(decode, rfc_8259)
{
	static const char *const places[][2] = {
	    {"{\"events\":[" KIT_EVENT "],\"v\":", "}"},
	    {"{\"events\":[{" KIT_MEMBERS ",\"v\":", "}]}"},
	    {"{\"events\":[{" KIT_MEMBERS ",\"metadata\":{\"v\":[", "]}}]}"},
	    {"{\"events\":[{" KIT_MEMBERS ",\"metadata\":{\"v\":[{\"v\":",
		"}]}}]}"},
	};
	struct kit kit;

	kit_init(&kit);
	for (size_t i = 0; i < COUNT(values); i++) {
		for (size_t k = 0; k < COUNT(places); k++) {
			char body[1024];
			enum decode_result result;
			int len = snprintf(body, sizeof(body), "%s%s%s",
			    places[k][0], values[i].text, places[k][1]);

			if (values[i].text[0] == '\0' && k == 2) {
				continue; /* an empty array is one */
			}
			result = kit_decode(&kit, body, (size_t)len);
			cr_expect(result ==
				(values[i].valid ? DECODE_OK : DECODE_BAD),
			    "%s in place %zu: %s", values[i].text, k,
			    kit.reply.fault);
			cr_expect(!values[i].valid || kit.reply.accepted == 1,
			    "%s in place %zu: %s", values[i].text, k,
			    kit.errors);
		}
	}
	kit_fini(&kit);
}

/* --- the account --- */

static const struct {
	const char *name;
	const char *events;
	const char *errors;
} accounts[] = {
    {"the contract's example",
	KIT_EVENT ",{\"event_id\":\"evt_2\",\"project_id\":\"proj_demo\","
		  "\"event.type\":\"custom\","
		  "\"event.timestamp\":\"2024-01-15T10:30:00Z\"}",
	"{\"index\":1,\"event_id\":\"evt_2\",\"field\":\"session.id\","
	"\"error\":\"session.id: required\"}"},
    {"no objects", "1,[]",
	"{\"index\":0,\"event_id\":null,\"field\":\"event\","
	"\"error\":\"event: not an object\"},"
	"{\"index\":1,\"event_id\":null,\"field\":\"event\","
	"\"error\":\"event: not an object\"}"},
    {"the first field in the table's order",
	"{\"event_id\":\"a\\\"b\\n\\u00e4\\u0000\"}",
	"{\"index\":0,\"event_id\":\"a\\\"b\\n\xc3\xa4\xef\xbf\xbd\","
	"\"field\":\"project_id\",\"error\":\"project_id: required\"}"},
    {"an identifier that is a number", "{\"event_id\":-12}",
	"{\"index\":0,\"event_id\":\"-12\",\"field\":\"project_id\","
	"\"error\":\"project_id: required\"}"},
    {"an identifier that is none", "{\"event_id\":1.0}",
	"{\"index\":0,\"event_id\":null,\"field\":\"project_id\","
	"\"error\":\"project_id: required\"}"},
    {"an identifier that is empty", "{\"event_id\":\"\"}",
	"{\"index\":0,\"event_id\":null,\"field\":\"project_id\","
	"\"error\":\"project_id: required\"}"},
    {"an identifier that is not UTF-8", "{\"event_id\":\"\xff\"}",
	"{\"index\":0,\"event_id\":null,\"field\":\"event_id\","
	"\"error\":\"event_id: not valid UTF-8\"}"},
    {"the last identifier", "{\"event_id\":\"a\",\"event_id\":\"b\"}",
	"{\"index\":0,\"event_id\":\"b\",\"field\":\"project_id\","
	"\"error\":\"project_id: required\"}"},
    {"structure before fields", "{\"x\":\"\xff\"}",
	"{\"index\":0,\"event_id\":null,\"field\":\"x\","
	"\"error\":\"x: not valid UTF-8\"}"},
    {"an escaped name is told as it reads", "{\"\\u0078\\t\":\"\xff\"}",
	"{\"index\":0,\"event_id\":null,\"field\":\"x\\t\","
	"\"error\":\"x\\t: not valid UTF-8\"}"},
    {"a name that cannot be told", "{\"x\xff\":1}",
	"{\"index\":0,\"event_id\":null,\"field\":\"event\","
	"\"error\":\"event: not valid UTF-8\"}"},
    {"a name too long to tell",
	"{\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\""
	":\"\xff\"}",
	"{\"index\":0,\"event_id\":null,\"field\":\"event\","
	"\"error\":\"event: not valid UTF-8\"}"},
};

Test(decode, accounts)
{
	struct kit kit;

	kit_init(&kit);
	for (size_t i = 0; i < COUNT(accounts); i++) {
		cr_expect(kit_events(&kit, accounts[i].events) == DECODE_OK,
		    "%s", accounts[i].name);
		cr_expect_str_eq(
		    kit.errors, accounts[i].errors, "%s", accounts[i].name);
	}
	kit_fini(&kit);
}

/* --- limits --- */

Test(decode, events_of_a_batch)
{
	struct kit kit;
	char *events;

	kit_init(&kit);
	kit.cfg.max_events = 3;
	events = repeat("", KIT_EVENT, ",", 3, "");
	cr_expect(kit_events(&kit, events) == DECODE_OK);
	cr_expect(kit.reply.accepted == 3);
	free(events);
	events = repeat("", "{}", ",", 4, "");
	cr_expect(kit_events(&kit, events) == DECODE_BAD);
	cr_expect_str_eq(kit.reply.fault, "more than 3 events");
	free(events);
	kit_fini(&kit);
}

/* All "events" of a body together, though only the last one counts. */
Test(decode, events_of_all_events)
{
	static const struct {
		bool key;
		const char *events;
		enum decode_result result;
	} cases[] = {
	    {true, "1],\"events\":[],\"events\":[1,2", DECODE_OK},
	    {true, "1],\"events\":[],\"events\":[1,2,3", DECODE_BAD},
	    {true, "1,2,3],\"events\":[1],\"events\":[", DECODE_BAD},
	    {false, "1,2],\"events\":[1,2", DECODE_BAD},
	    {false, "{\"project_id\":\"x\"},2,3", DECODE_UNAUTHORIZED},
	    {false, "{\"project_id\":\"x\"},2,3,4", DECODE_BAD},
	};
	struct kit kit;

	kit_init(&kit);
	kit.cfg.max_events = 3;
	for (size_t i = 0; i < COUNT(cases); i++) {
		kit.project = cases[i].key ? &kit.key : NULL;
		cr_expect(kit_events(&kit, cases[i].events) == cases[i].result,
		    "%zu: %s", i, kit.reply.fault);
		cr_expect_str_eq(kit.reply.fault,
		    cases[i].result == DECODE_BAD ? "more than 3 events" : "");
	}
	kit_fini(&kit);
}

Test(decode, one_bad_of_a_thousand)
{
	struct kit kit;
	char *events = repeat("{},", KIT_EVENT, ",", 999, "");

	kit_init(&kit);
	cr_expect(kit_events(&kit, events) == DECODE_OK);
	cr_expect(kit.reply.accepted == 999 && kit.reply.rejected == 1);
	cr_expect(kit_row(&kit, 998) && !kit_row(&kit, 999));
	free(events);
	kit_fini(&kit);
}

Test(decode, length_of_an_event)
{
	size_t fixed = sizeof("{" KIT_MEMBERS ",\"page.title\":\"\"}") - 1;
	struct kit kit;
	char *member;

	kit_init(&kit);
	for (size_t beyond = 0; beyond < 2; beyond++) {
		member = repeat("\"page.title\":\"", "x", "",
		    kit.cfg.max_event - fixed + beyond, "\"");
		cr_expect(kit_member(&kit, member) == DECODE_OK);
		cr_expect(kit.reply.accepted == 1 - beyond);
		cr_expect(kit.reply.rejected == beyond);
		free(member);
	}
	cr_expect_str_eq(kit.errors,
	    "{\"index\":0,\"event_id\":\"e1\",\"field\":\"event\","
	    "\"error\":\"event: longer than 102400 bytes\"}");
	kit_fini(&kit);
}

/* Containers of one kind, or of both by turns, around a value. */
static char *
nested(const char *name, size_t depth, int kind)
{
	char *text = malloc(strlen(name) + depth * 7 + 16);
	char *at;

	cr_assert(text != NULL);
	at = text + sprintf(text, "\"%s\":", name);
	for (size_t i = 0; i < depth; i++) {
		bool object = kind == 1 || (kind == 2 && i % 2 == 0);

		at = stpcpy(at, object ? "{\"a\":" : "[");
	}
	at = stpcpy(at, "1");
	for (size_t i = depth; i-- > 0;) {
		bool object = kind == 1 || (kind == 2 && i % 2 == 0);

		*at++ = object ? '}' : ']';
	}
	*at = '\0';
	return text;
}

Test(decode, depth)
{
	static const size_t depths[] = {
	    1, 2, 31, 32, 33, 64, 65, 511, 512, 513, 100000};
	struct kit kit;

	kit_init(&kit);
	kit.cfg.max_event = 1 << 20;
	for (int kind = 0; kind < 3; kind++) {
		for (size_t i = 0; i < COUNT(depths); i++) {
			char *member = nested("x", depths[i], kind);
			bool deep = depths[i] > 32;

			cr_expect(kit_member(&kit, member) == DECODE_OK);
			cr_expect(kit.reply.rejected == deep, "%d %zu", kind,
			    depths[i]);
			cr_expect(!deep ||
				strstr(kit.errors,
				    "\"x: nested deeper than 32\"") != NULL,
			    "%s", kit.errors);
			free(member);
		}
	}
	kit_fini(&kit);
}

/* Beyond the limit the structure is still read, strictly. */
Test(decode, depth_unbalanced)
{
	char *member = nested("metadata", 100000, 2);
	struct kit kit;

	kit_init(&kit);
	member[strlen(member) - 50000] ^= ']' ^ '}';
	cr_expect(kit_member(&kit, member) == DECODE_BAD);
	free(member);
	member = repeat("\"x\":", "[", "", 100000, "");
	cr_expect(kit_member(&kit, member) == DECODE_BAD);
	free(member);
	kit_fini(&kit);
}

/* n members "0":0, "1":0 ... */
static char *
members(const char *before, size_t n, const char *after)
{
	char *text = malloc(strlen(before) + strlen(after) + n * 16 + 1);
	char *at;

	cr_assert(text != NULL);
	at = stpcpy(text, before);
	for (size_t i = 0; i < n; i++) {
		at += sprintf(at, "%s\"%zu\":0", i == 0 ? "" : ",", i);
	}
	(void)stpcpy(at, after);
	return text;
}

Test(decode, members)
{
	static const struct {
		const char *before;
		size_t n;
		const char *after;
		const char *error; /* NULL: accepted */
	} cases[] = {
	    {"", 995, "", NULL},
	    {"", 996, "", "event: more than 1000 members"},
	    {"", 10000, "", "event: more than 1000 members"},
	    {"\"metadata\":{", 1000, "}", NULL},
	    {"\"metadata\":{", 1001, "}", "metadata: more than 1000 members"},
	    {"\"x\":[{", 1001, "}]", "x: more than 1000 members"},
	    {"\"x\":[[[{", 1001, "}]]]", "x: more than 1000 members"},
	    {"\"x\":[{", 600, "},{\"a\":1}]", NULL},
	    {"\"x\":{\"y\":{\"a\":1},", 999, "}", NULL},
	    {"\"x\":{\"y\":{\"a\":1},", 1000, "}", "x: more than 1000 members"},
	};
	struct kit kit;

	kit_init(&kit);
	kit.cfg.max_event = 1 << 20;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char *member =
		    members(cases[i].before, cases[i].n, cases[i].after);

		cr_expect(kit_member(&kit, member) == DECODE_OK);
		cr_expect((kit.reply.rejected == 0) == (cases[i].error == NULL),
		    "%zu: %s", i, kit.errors);
		cr_expect(cases[i].error == NULL ||
			strstr(kit.errors, cases[i].error) != NULL,
		    "%zu: %s", i, kit.errors);
		free(member);
	}
	kit_fini(&kit);
}

/*
 * Nulls among unknown members are compared with those before them only when the
 * event is within its limits, and then not with each.
 */
Test(decode, nulls_beyond_the_limits)
{
	const size_t nulls = 20000;
	char *member = members("", 999, ",");
	char *behind = repeat(member, "\"xxx\":null", ",", nulls, "");
	struct kit kit;

	kit_init(&kit);
	for (int i = 0; i < 2; i++) {
		kit.cfg.max_event = i == 0 ? 102400 : 1 << 20;
		comparisons = 0;
		cr_expect(kit_member(&kit, behind) == DECODE_OK);
		/* each null is compared with "null" */
		cr_expect(comparisons < 2 * nulls, "%zu", comparisons);
		cr_expect_str_eq(kit.errors,
		    i == 0 ? "{\"index\":0,\"event_id\":\"e1\",\"field\":"
			     "\"event\",\"error\":\"event: longer than "
			     "102400 bytes\"}"
			   : "{\"index\":0,\"event_id\":\"e1\",\"field\":"
			     "\"event\",\"error\":\"event: more than 1000 "
			     "members\"}");
	}
	free(behind);
	free(member);
	kit_fini(&kit);
}

Test(decode, nulls_within_the_limits)
{
	char text[16384] = "";
	char *at = text;
	struct kit kit;

	kit_init(&kit);
	/* the even ones are taken back, and null never was another hundred */
	for (int i = 0; i < 500; i++) {
		at += sprintf(at, "\"%03d\":%d,", i, i);
	}
	for (int i = 0; i < 495; i++) {
		at += sprintf(at, "\"%03d\":null,", i * 2 % 600);
	}
	at[-1] = '\0';
	comparisons = 0;
	cr_expect(kit_member(&kit, text) == DECODE_OK);
	cr_expect(comparisons < 12000, "%zu", comparisons);
	cr_assert(kit_row(&kit, 0), "%s", kit.errors);
	at = stpcpy(text, "{");
	for (int i = 1; i < 500; i += 2) {
		at += sprintf(at, "\"%03d\":%d,", i, i);
	}
	at[-1] = '}';
	cr_expect_str_eq(kit_value(&kit, FIELD_ATTRIBUTES), text);
	kit_fini(&kit);
}

/* Digits tell whether a double can hold a number, wherever it is. */
Test(decode, numbers_are_not_converted_to_be_scanned)
{
	char *bodies[2];
	struct kit kit;

	bodies[0] = repeat("{\"a\":[", "1e308", ",", 1000, "],\"events\":[]}");
	bodies[1] = repeat("{\"events\":[{" KIT_MEMBERS ",\"x\":[",
	    "-17976931348623158e292", ",", 1000, "]}]}");
	kit_init(&kit);
	for (uint32_t i = 0; i < 2; i++) {
		conversions = 0;
		cr_expect(kit_decode(&kit, bodies[i], strlen(bodies[i])) ==
		    DECODE_OK);
		cr_expect(kit.reply.accepted == i, "%s", kit.errors);
		cr_expect(conversions == 0, "%zu", conversions);
		free(bodies[i]);
	}
	kit_fini(&kit);
}

/*
 * Room for the event's text and ROW_OVERHEAD_MAX is what it takes; that this is
 * enough for any event is shown by the event that needs most: every field has
 * its shortest text and its longest value.
 */
Test(decode, room)
{
	static const char event[] =
	    "{\"event_id\":1,\"project_id\":\"proj_demo\",\"session.id\":1,"
	    "\"event.type\":\"error\",\"event.sequence\":1,"
	    "\"event.timestamp\":\"1970-01-01 00:00:00Z\","
	    "\"ui.scroll.position\":1,\"api.status_code\":1,"
	    "\"api.duration_ms\":1,\"duration_ms\":1,"
	    "\"performance.lcp_ms\":1,\"performance.fid_ms\":1,"
	    "\"performance.inp_ms\":1,\"performance.cls\":1,"
	    "\"performance.ttfb_ms\":1,\"metadata\":{},\"\":1}";
	static const char agent[] = "agent/1.0";
	size_t need = RECORD_ROWS_AT(sizeof(agent) - 1) + sizeof(event) - 1 +
	    ROW_OVERHEAD_MAX;
	struct kit kit;

	kit_init(&kit);
	kit.agent = agent;
	kit.rows_size = need;
	cr_expect(kit_events(&kit, event) == DECODE_OK);
	cr_expect(kit.reply.accepted == 1, "%s", kit.errors);
	cr_expect(kit.reply.rows_bytes <= need);
	cr_assert(kit_row(&kit, 0));
	cr_expect_str_neq(kit_value(&kit, FIELD_CLIENT_TIMESTAMP), "(null)");
	kit.rows_size = need - 1;
	cr_expect(kit_events(&kit, event) == DECODE_FULL);
	kit.rows_size = 8;
	cr_expect(kit_events(&kit, event) == DECODE_FULL);
	cr_expect(kit_events(&kit, "1") == DECODE_OK, "takes no room");
	cr_expect(kit.reply.rows_bytes == 0);
	kit_fini(&kit);
}

/* What the record says of the request, before its first row. */
Test(decode, record_head)
{
	static const uint8_t none[UUID_BYTES];
	char agent[RECORD_AGENT_MAX + 3];
	struct kit kit;

	kit_init(&kit);
	memset(kit.key.key_id, 7, UUID_BYTES);
	kit.agent = "agent\xff/1.0";
	cr_expect(kit_events(&kit, KIT_EVENT) == DECODE_OK);
	cr_assert(kit_row(&kit, 0));
	cr_expect(memcmp(kit.record.key_id, kit.key.key_id, UUID_BYTES) == 0);
	cr_expect(kit.record.agent_bytes == 5);
	cr_expect(memcmp(kit.record.agent, "agent", 5) == 0);
	cr_expect_str_eq(kit_value(&kit, FIELD_SESSION_KEY), "0");
	memset(agent, 'x', sizeof(agent) - 1);
	agent[sizeof(agent) - 1] = '\0';
	kit.agent = agent;
	cr_expect(kit_events(&kit, "1," KIT_EVENT) == DECODE_OK);
	cr_assert(kit_row(&kit, 0));
	cr_expect(kit.record.agent_bytes == RECORD_AGENT_MAX);
	/* without a key */
	kit.project = NULL;
	kit.agent = NULL;
	cr_expect(kit_events(&kit, KIT_EVENT) == DECODE_OK);
	cr_assert(kit_row(&kit, 0));
	cr_expect(memcmp(kit.record.key_id, none, UUID_BYTES) == 0);
	cr_expect(kit.record.agent_bytes == 0);
	kit_fini(&kit);
}

/*
 * The bound itself: what a row takes that is no text of the event.  Text is
 * never longer than the JSON it came from, and its length takes 4 bytes.
 */
Test(decode, overhead_is_a_bound)
{
	size_t most = sizeof(struct row_head) + 7 + 2;

	for (size_t i = 0; i < FIELD_COUNT; i++) {
		switch (event_fields[i].kind) {
		case KIND_UUID:
			most += 4 + UUID_BYTES;
			break;
		case KIND_TIME:
		case KIND_INT8:
		case KIND_REAL:
		case KIND_INT4:
			most += 4 + 8;
			break;
		case KIND_OBJECT:
		case KIND_REST:
			/* its version, and the braces of the attributes */
			most += 4 + 1 + 2;
			break;
		default:
			most += 4;
			break;
		}
	}
	/* short text is copied 32 bytes at a time */
	cr_expect(most + 32 <= ROW_OVERHEAD_MAX, "%zu", most);
}

/* --- projects --- */

#define EVENT_OF(project) "{" KIT_MEMBERS ",\"project_id\":" project "}"

static const struct {
	const char *name;
	bool key;
	const char *origin;
	const char *events;
	enum decode_result result;
	uint32_t accepted;
	const char *error; /* in the account, NULL: none */
} projects[] = {
    {"key, by slug", true, NULL, EVENT_OF("\"proj_demo\""), DECODE_OK, 1, NULL},
    {"key, by UUID", true, NULL, EVENT_OF("\"" KIT_DEMO "\""), DECODE_OK, 1,
	NULL},
    {"key, by UUID in capitals", true, NULL,
	EVENT_OF("\"0190D0D0-0000-7000-8000-0000000000D0\""), DECODE_OK, 1,
	NULL},
    {"key, slug in capitals", true, NULL, EVENT_OF("\"PROJ_DEMO\""), DECODE_OK,
	0, "project_id: not the project of this API key"},
    {"key, escaped slug", true, NULL, EVENT_OF("\"proj\\u005fdemo\""),
	DECODE_OK, 1, NULL},
    {"key, another's", true, NULL, EVENT_OF("\"proj_other\""), DECODE_OK, 0,
	"project_id: not the project of this API key"},
    {"key, no project", true, NULL, EVENT_OF("null"), DECODE_OK, 0,
	"project_id: required"},
    {"key, empty", true, NULL, EVENT_OF("\"\""), DECODE_OK, 0,
	"project_id: must not be empty"},
    {"key, not a name", true, NULL, EVENT_OF("[]"), DECODE_OK, 0,
	"project_id: not a string or an integer"},
    {"key, a number", true, NULL, EVENT_OF("12"), DECODE_OK, 0,
	"project_id: not the project of this API key"},
    {"key, NUL behind the slug", true, NULL, EVENT_OF("\"proj_demo\\u0000\""),
	DECODE_OK, 0, "project_id: not the project of this API key"},
    {"key, by the newer name", true, NULL,
	EVENT_OF("null,\"product_id\":\"proj_demo\""), DECODE_OK, 1, NULL},
    {"key, another's by the newer name", true, NULL,
	EVENT_OF("null,\"product_id\":\"proj_other\""), DECODE_OK, 0,
	"{\"index\":0,\"event_id\":\"e1\",\"field\":\"product_id\",\"error\":"
	"\"product_id: not the project of this API key\"}"},
    {"key, by both", true, NULL,
	EVENT_OF("\"proj_demo\",\"product_id\":\"proj_demo\""), DECODE_OK, 1,
	NULL},
    {"key, by both, one escaped", true, NULL,
	EVENT_OF("\"proj_demo\",\"product_id\":\"proj_dem\\u006f\""), DECODE_OK,
	1, NULL},
    {"key, by both, UUID in either case", true, NULL,
	EVENT_OF("\"" KIT_DEMO
		 "\",\"product_id\":\"0190D0D0-0000-7000-8000-0000000000D0\""),
	DECODE_OK, 1, NULL},
    {"key, two that differ", true, NULL,
	EVENT_OF("\"proj_demo\",\"product_id\":\"proj_other\""), DECODE_OK, 0,
	"{\"index\":0,\"event_id\":\"e1\",\"field\":\"product_id\",\"error\":"
	"\"product_id: differs from project_id\"}"},
    {"key, two of which one is none", true, NULL,
	EVENT_OF("\"proj_demo\",\"product_id\":{}"), DECODE_OK, 0,
	"product_id: differs from project_id"},
    {"key, the other taken back", true, NULL,
	EVENT_OF("\"proj_demo\",\"product_id\":1,\"product_id\":null"),
	DECODE_OK, 1, NULL},
    {"keyless", false, NULL, KIT_EVENT "," KIT_EVENT, DECODE_OK, 2, NULL},
    {"keyless, by UUID", false, NULL, EVENT_OF("\"" KIT_DEMO "\""), DECODE_OK,
	1, NULL},
    {"keyless, slug and UUID", false, NULL,
	KIT_EVENT "," EVENT_OF("\"" KIT_DEMO "\""), DECODE_OK, 2, NULL},
    {"keyless, two projects", false, NULL,
	KIT_EVENT "," EVENT_OF("\"proj_other\""), DECODE_OK, 1,
	"{\"index\":1,\"event_id\":\"e1\",\"field\":\"project_id\",\"error\":"
	"\"project_id: not the project of this batch\"}"},
    {"keyless, the first names none", false, NULL, "{}," KIT_EVENT, DECODE_OK,
	1,
	"{\"index\":0,\"event_id\":null,\"field\":\"project_id\",\"error\":"
	"\"project_id: required\"}"},
    {"keyless, the first differs in itself", false, NULL,
	EVENT_OF("\"proj_demo\",\"product_id\":\"proj_other\"") "," KIT_EVENT,
	DECODE_OK, 1, "product_id: differs from project_id"},
    {"keyless, a bad event decides too", false, NULL,
	EVENT_OF("\"proj_demo\",\"event_id\":null"), DECODE_OK, 0,
	"event_id: required"},
    {"keyless, unknown", false, NULL, EVENT_OF("\"nobody\""),
	DECODE_UNAUTHORIZED, 0, NULL},
    {"keyless, needs a key", false, NULL, EVENT_OF("\"proj_key\""),
	DECODE_UNAUTHORIZED, 0, NULL},
    {"keyless, needs a key, by UUID", false, NULL,
	EVENT_OF("\"0190d0d0-0000-7000-8000-0000000000d2\""),
	DECODE_UNAUTHORIZED, 0, NULL},
    {"keyless, unknown first", false, NULL,
	EVENT_OF("\"nobody\"") "," KIT_EVENT, DECODE_UNAUTHORIZED, 0, NULL},
    {"keyless, names none", false, NULL, "{},{}", DECODE_UNAUTHORIZED, 0, NULL},
    {"keyless, no objects", false, NULL, "1", DECODE_UNAUTHORIZED, 0, NULL},
    {"keyless, no events", false, NULL, "", DECODE_OK, 0, NULL},
    {"keyless, unknown and broken", false, NULL, EVENT_OF("\"nobody\"") ",",
	DECODE_BAD, 0, NULL},
    {"keyless, the last events decide", false, NULL,
	EVENT_OF("\"nobody\"") "],\"events\":[" KIT_EVENT, DECODE_OK, 1, NULL},
    {"keyless, origin allowed", false, "https://a.example",
	EVENT_OF("\"proj_other\""), DECODE_OK, 1, NULL},
    {"keyless, origin not allowed", false, "https://b.example",
	EVENT_OF("\"proj_other\""), DECODE_FORBIDDEN, 0, NULL},
    {"keyless, any origin", false, "null", KIT_EVENT, DECODE_OK, 1, NULL},
};

Test(decode, projects)
{
	struct kit kit;

	kit_init(&kit);
	for (size_t i = 0; i < COUNT(projects); i++) {
		enum decode_result result;

		kit.project = projects[i].key ? &kit.key : NULL;
		kit.origin = projects[i].origin;
		result = kit_events(&kit, projects[i].events);
		cr_expect(result == projects[i].result, "%s: %d",
		    projects[i].name, (int)result);
		if (result != DECODE_OK) {
			continue;
		}
		cr_expect(kit.reply.accepted == projects[i].accepted, "%s: %s",
		    projects[i].name, kit.errors);
		cr_expect(projects[i].error == NULL
			? kit.errors[0] == '\0'
			: strstr(kit.errors, projects[i].error) != NULL,
		    "%s: %s", projects[i].name, kit.errors);
	}
	kit_fini(&kit);
}

#define NEXT_EVENTS "],\"events\":["

/* Once by a name, however many "events" begin with it. */
Test(decode, lookups_of_a_project)
{
	static const struct {
		const char *events;
		size_t lookups;
		enum decode_result result;
	} cases[] = {
	    {KIT_EVENT "," KIT_EVENT, 1, DECODE_OK},
	    {KIT_EVENT NEXT_EVENTS KIT_EVENT NEXT_EVENTS NEXT_EVENTS KIT_EVENT,
		1, DECODE_OK},
	    {EVENT_OF("\"nobody\"") NEXT_EVENTS NEXT_EVENTS EVENT_OF(
		 "\"nobody\"") "," KIT_EVENT,
		1, DECODE_UNAUTHORIZED},
	    {EVENT_OF("\"proj_key\"")
		    NEXT_EVENTS EVENT_OF("\"proj\\u005fkey\""),
		1, DECODE_UNAUTHORIZED},
	    {EVENT_OF("\"nobody\"") NEXT_EVENTS KIT_EVENT, 2, DECODE_OK},
	    {KIT_EVENT NEXT_EVENTS EVENT_OF("\"nobody\""), 2,
		DECODE_UNAUTHORIZED},
	};
	struct kit kit;

	kit_init(&kit);
	kit.project = NULL;
	for (size_t i = 0; i < COUNT(cases); i++) {
		lookups = 0;
		cr_expect(kit_events(&kit, cases[i].events) == cases[i].result,
		    "%zu", i);
		cr_expect(lookups == cases[i].lookups, "%zu: %zu", i, lookups);
	}
	/* nothing is remembered from one batch to the next */
	kit.origin = "https://b.example";
	cr_expect(
	    kit_events(&kit, EVENT_OF("\"proj_other\"")) == DECODE_FORBIDDEN);
	kit.origin = "https://a.example";
	cr_expect(kit_events(&kit, EVENT_OF("\"proj_other\"")) == DECODE_OK);
	kit_fini(&kit);
}

Test(decode, project_of_the_reply)
{
	struct kit kit;
	char text[UUID_TEXT];

	kit_init(&kit);
	cr_expect(kit_events(&kit, "") == DECODE_OK);
	cr_expect_str_eq(kit.reply.project.slug, "proj_demo");
	kit.project = NULL;
	cr_expect(kit_events(&kit, KIT_EVENT) == DECODE_OK);
	uuid_format(kit.reply.project.id, text);
	cr_expect_str_eq(text, KIT_DEMO);
	cr_assert(kit_row(&kit, 0));
	cr_expect_str_eq(kit_value(&kit, FIELD_PROJECT_ID), KIT_DEMO);
	cr_expect_str_eq(kit_value(&kit, FIELD_ORG_ID),
	    "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa");
	kit_fini(&kit);
}
