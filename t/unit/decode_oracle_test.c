/* SPDX-License-Identifier: MIT */
/*
 * The decoder against json-c, over generated documents: what is well-formed
 * must come out as json-c reads it, what json-c refuses must be refused.  The
 * other direction is not asked: json-c takes much that RFC 8259 forbids.
 *
 * DECODE_SEED chooses the documents; the seed is part of every message.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "t/unit/decode_kit.h"

#define DOCUMENTS 20000
#define MUTATIONS 60000
#define TEXT_MAX 16384

struct generator {
	uint64_t state;
	char text[TEXT_MAX];
	size_t len;
	unsigned depth;
};

/* xorshift64* */
static uint64_t
draw(struct generator *g, uint64_t below)
{
	g->state ^= g->state >> 12;
	g->state ^= g->state << 25;
	g->state ^= g->state >> 27;
	return (g->state * 0x2545f4914f6cdd1dULL >> 32) % below;
}

static uint64_t
seed(void)
{
	const char *text = getenv("DECODE_SEED");

	return text == NULL ? 20240115 : strtoull(text, NULL, 10);
}

static void
put(struct generator *g, const char *text)
{
	size_t len = strlen(text);

	cr_assert(g->len + len < sizeof(g->text));
	memcpy(g->text + g->len, text, len + 1);
	g->len += len;
}

static void
space(struct generator *g)
{
	static const char *const spaces[] = {"", "", "", "", " ", "\n", "\t "};

	put(g, spaces[draw(g, 7)]);
}

/* Nothing that json-c reads otherwise than RFC 8259, or we store otherwise. */
static void
string(struct generator *g)
{
	static const char *const parts[] = {"a", "Z", " ", "0123456789",
	    "the quick brown fox jumps over", "\\n", "\\\"", "\\\\", "\\/",
	    "\\u0041", "\\u00e4", "\\u20ac", "\\ud83d\\ude00", "\\\\u0000",
	    "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "'", "{", "}", "[",
	    "]", ":", ",", "\\t", "\x7f", "<b>", "%s"};

	put(g, "\"");
	for (uint64_t n = draw(g, 8); n > 0; n--) {
		put(g, parts[draw(g, sizeof(parts) / sizeof(parts[0]))]);
	}
	put(g, "\"");
}

static void
number(struct generator *g)
{
	char text[64];
	int whole = (int)draw(g, 100000) - 50000;

	switch (draw(g, 5)) {
	case 0:
		(void)snprintf(text, sizeof(text), "%d", whole);
		break;
	case 1:
		(void)snprintf(text, sizeof(text), "%d.%03u", whole,
		    (unsigned)draw(g, 1000));
		break;
	case 2:
		(void)snprintf(text, sizeof(text), "%dE%+d", whole,
		    (int)draw(g, 400) - 200);
		break;
	case 3:
		(void)snprintf(text, sizeof(text), "0.%u%ue-%u",
		    (unsigned)draw(g, 1000000000),
		    (unsigned)draw(g, 1000000000), (unsigned)draw(g, 100));
		break;
	default:
		(void)snprintf(
		    text, sizeof(text), "%" PRIu64, draw(g, UINT32_MAX) << 30);
		break;
	}
	put(g, text);
}

static void value(struct generator *);

static void
members(struct generator *g)
{
	uint64_t n = draw(g, 5);

	for (uint64_t i = 0; i < n; i++) {
		put(g, i == 0 ? "" : ",");
		space(g);
		string(g);
		space(g);
		put(g, ":");
		space(g);
		value(g);
		space(g);
	}
}

static void
elements(struct generator *g)
{
	uint64_t n = draw(g, 5);

	for (uint64_t i = 0; i < n; i++) {
		put(g, i == 0 ? "" : ",");
		space(g);
		value(g);
		space(g);
	}
}

static void
value(struct generator *g)
{
	uint64_t kinds = g->depth > 8 || g->len > TEXT_MAX / 4 ? 5 : 8;

	g->depth++;
	switch (draw(g, kinds)) {
	case 0:
		put(g, "null");
		break;
	case 1:
		put(g, "true");
		break;
	case 2:
		put(g, "false");
		break;
	case 3:
		number(g);
		break;
	case 4:
		string(g);
		break;
	case 5:
		put(g, "[");
		space(g);
		elements(g);
		put(g, "]");
		break;
	default:
		put(g, "{");
		space(g);
		members(g);
		put(g, "}");
		break;
	}
	g->depth--;
}

/* A batch of one event; metadata, page.title and one unknown member vary. */
static void
document(struct generator *g)
{
	g->len = 0;
	g->depth = 0;
	put(g, "{");
	space(g);
	put(g, "\"events\":[{" KIT_MEMBERS ",\"metadata\":{");
	members(g);
	put(g, "},\"page.title\":");
	string(g);
	put(g, ",\"x\":");
	value(g);
	put(g, "}]}");
}

static struct json_tokener *
tokener(void)
{
	struct json_tokener *tok = json_tokener_new_ex(1000);

	cr_assert(tok != NULL);
	json_tokener_set_flags(
	    tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	return tok;
}

/* NULL when json-c refuses it, or does not read it to its end. */
static struct json_object *
oracle(struct json_tokener *tok, const char *text, size_t len)
{
	struct json_object *object;

	json_tokener_reset(tok);
	object = json_tokener_parse_ex(tok, text, (int)len);
	if (json_tokener_get_error(tok) == json_tokener_success &&
	    json_tokener_get_parse_end(tok) == len) {
		return object;
	}
	json_object_put(object);
	return NULL;
}

static bool
same_json(struct json_tokener *tok, const char *text, struct json_object *want)
{
	struct json_object *got = oracle(tok, text, strlen(text));
	bool same = json_object_equal(got, want);

	json_object_put(got);
	return same;
}

static struct json_object *
first_event(struct json_object *body)
{
	return json_object_array_get_idx(
	    json_object_object_get(body, "events"), 0);
}

/* The row of the kit says what the event does. */
static void
compare(struct kit *kit, struct json_tokener *tok, struct json_object *event,
    const char *text)
{
	struct json_object *want = json_object_object_get(event, "page.title");
	struct row_value *title = &kit->values[FIELD_PAGE_TITLE];
	struct json_object *others = json_object_new_object();

	cr_assert(title->length == json_object_get_string_len(want) &&
		memcmp(title->data, json_object_get_string(want),
		    (size_t)title->length) == 0,
	    "%s", text);
	cr_assert(same_json(tok, kit_value(kit, FIELD_METADATA),
		      json_object_object_get(event, "metadata")),
	    "%s", text);
	want = json_object_object_get(event, "x");
	if (want == NULL) {
		cr_assert(kit->values[FIELD_ATTRIBUTES].length == -1);
	} else {
		json_object_object_add(others, "x", json_object_get(want));
		cr_assert(
		    same_json(tok, kit_value(kit, FIELD_ATTRIBUTES), others),
		    "%s", text);
	}
	json_object_put(others);
}

Test(decode_oracle, well_formed)
{
	struct generator *g = calloc(1, sizeof(*g));
	struct json_tokener *tok = tokener();
	struct kit kit;

	cr_assert(g != NULL);
	g->state = seed();
	kit_init(&kit);
	for (int i = 0; i < DOCUMENTS; i++) {
		struct json_object *body;

		document(g);
		body = oracle(tok, g->text, g->len);
		cr_assert(body != NULL, "json-c refuses: %s", g->text);
		cr_assert(kit_decode(&kit, g->text, g->len) == DECODE_OK,
		    "seed %llu, %s: %s", (unsigned long long)seed(),
		    kit.reply.fault, g->text);
		cr_assert(
		    kit.reply.accepted == 1, "%s: %s", kit.errors, g->text);
		cr_assert(kit_row(&kit, 0), "%s", g->text);
		compare(&kit, tok, first_event(body), g->text);
		json_object_put(body);
	}
	kit_fini(&kit);
	json_tokener_free(tok);
	free(g);
}

static void
mutate(struct generator *g)
{
	static const char bytes[] = "\"\\{}[]:,0123456789eE+-.ntfu \t\n\x01\xff"
				    "\xc3\xa4\x80\xed\xa0";
	size_t at = (size_t)draw(g, g->len);
	char c = bytes[draw(g, sizeof(bytes))]; /* its NUL too */

	switch (draw(g, 4)) {
	case 0:
		g->text[at] = c;
		break;
	case 1:
		memmove(g->text + at, g->text + at + 1, g->len - at);
		g->len--;
		break;
	case 2:
		memmove(g->text + at + 1, g->text + at, g->len - at + 1);
		g->text[at] = c;
		g->len++;
		break;
	default:
		g->len = at + 1;
		break;
	}
}

/* Broken somewhere, or not: json-c knows when it is. */
Test(decode_oracle, mutated)
{
	struct generator *g = calloc(1, sizeof(*g));
	struct json_tokener *tok = tokener();
	size_t refused = 0, taken = 0;
	struct kit kit;

	cr_assert(g != NULL);
	g->state = seed() + 1;
	kit_init(&kit);
	for (int i = 0; i < MUTATIONS; i++) {
		struct json_object *body;
		enum decode_result result;

		document(g);
		for (uint64_t n = draw(g, 3) + 1; n > 0 && g->len > 1; n--) {
			mutate(g);
		}
		body = oracle(tok, g->text, g->len);
		result = kit_decode(&kit, g->text, g->len);
		if (body == NULL) {
			cr_assert(
			    result != DECODE_OK || kit.reply.accepted == 0,
			    "seed %llu: %.*s", (unsigned long long)seed(),
			    (int)g->len, g->text);
			refused++;
		}
		if (result == DECODE_OK && kit.reply.accepted == 1) {
			cr_assert(kit_row(&kit, 0), "%s", g->text);
			taken++;
		}
		json_object_put(body);
	}
	/* else the generator is at fault */
	cr_expect(refused > MUTATIONS / 10, "%zu", refused);
	cr_expect(taken > MUTATIONS / 50, "%zu", taken);
	kit_fini(&kit);
	json_tokener_free(tok);
	free(g);
}
