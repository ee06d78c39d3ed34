/* SPDX-License-Identifier: MIT */
/*
 * json.c - the scanner below everything the decoder does
 *
 * One pass over the bytes, in which strings, numbers and structure are checked
 * and UTF-8 is validated.  It reports where values lie and what is odd about
 * them.  It builds nothing and knows nothing of events.
 */
#include "worker/json.h"

#include <stdlib.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "worker/json_number.h"

/*
 * A number without an exponent and no longer than this is in range whatever
 * its digits are; only others are looked at closely.
 */
#define NEAR_NUMBER 300

void
json_init(struct json *json)
{
	memset(json, 0, sizeof(*json));
}

void
json_fini(struct json *json)
{
	free(json->stack);
	json->stack = NULL;
	json->stack_words = 0;
}

void
json_start(struct json *json, const char *text, size_t len)
{
	json->begin = json->at = text;
	json->end = text + len;
	json->fault = NULL;
	json->no_memory = false;
}

bool
json_fail(struct json *json, const char *at, const char *fault)
{
	json->at = at;
	json->fault = at == json->end ? "unexpected end" : fault;
	return false;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/*
 * The first byte from at on that is not plain: a quote, a backslash, a control
 * character or part of a character beyond ASCII.
 */
static inline const char *
plain_end(const char *at, const char *end)
{
#ifdef __SSE2__
	const __m128i quote = _mm_set1_epi8('"');
	const __m128i backslash = _mm_set1_epi8('\\');
	const __m128i space = _mm_set1_epi8(' ');

	while (end - at >= 16) {
		__m128i bytes =
		    _mm_loadu_si128((const __m128i *)(const void *)at);
		/* signed: what is beyond ASCII is less than a space too */
		__m128i stops = _mm_or_si128(_mm_cmplt_epi8(bytes, space),
		    _mm_or_si128(_mm_cmpeq_epi8(bytes, quote),
			_mm_cmpeq_epi8(bytes, backslash)));
		unsigned mask = (unsigned)_mm_movemask_epi8(stops);

		if (mask != 0) {
			return at + __builtin_ctz(mask);
		}
		at += 16;
	}
#endif
	while (
	    at < end && *at != '"' && *at != '\\' && (signed char)*at >= ' ') {
		at++;
	}
	return at;
}

static bool
continues(
    const char *at, const char *end, unsigned char low, unsigned char high)
{
	unsigned char c;

	if (at >= end) {
		return false;
	}
	c = (unsigned char)*at;
	return c >= low && c <= high;
}

/*
 * Length of the character at at, which is beyond ASCII, or 0: RFC 3629, table
 * of well-formed sequences.
 */
static size_t
utf8_length(const char *at, const char *end)
{
	unsigned char c = (unsigned char)*at;
	unsigned char low = 0x80, high = 0xbf;

	if (c >= 0xc2 && c <= 0xdf) {
		return continues(at + 1, end, low, high) ? 2 : 0;
	}
	if (c >= 0xe0 && c <= 0xef) {
		low = c == 0xe0 ? 0xa0 : low;
		high = c == 0xed ? 0x9f : high;
		return continues(at + 1, end, low, high) &&
			continues(at + 2, end, 0x80, 0xbf)
		    ? 3
		    : 0;
	}
	if (c >= 0xf0 && c <= 0xf4) {
		low = c == 0xf0 ? 0x90 : low;
		high = c == 0xf4 ? 0x8f : high;
		return continues(at + 1, end, low, high) &&
			continues(at + 2, end, 0x80, 0xbf) &&
			continues(at + 3, end, 0x80, 0xbf)
		    ? 4
		    : 0;
	}
	return 0;
}

/* The run of bytes beyond ASCII at at. */
static const char *
skip_utf8(const char *at, const char *end, unsigned *flags)
{
	while (at < end && (signed char)*at < 0) {
		size_t len = utf8_length(at, end);

		if (len == 0) {
			*flags |= JSON_NOT_UTF8;
			len = 1;
		}
		at += len;
	}
	return at;
}

/* The code unit of an escape \uXXXX, or -1. */
static int
code_unit(const char *at, const char *end)
{
	int unit = 0;

	if (end - at < 6 || at[0] != '\\' || at[1] != 'u') {
		return -1;
	}
	for (int i = 2; i < 6; i++) {
		char c = (char)(at[i] | 0x20);

		if (is_digit(at[i])) {
			unit = unit << 4 | (c - '0');
		} else if (c >= 'a' && c <= 'f') {
			unit = unit << 4 | (c - 'a' + 10);
		} else {
			return -1;
		}
	}
	return unit;
}

/* The escape at at; NULL when there is no such. */
static const char *
skip_escape(const char *at, const char *end, unsigned *flags)
{
	int unit;

	*flags |= JSON_ESCAPED;
	if (end - at < 2) {
		return NULL;
	}
	if (at[1] != 'u') {
		return at[1] != '\0' && strchr("\"\\/bfnrt", at[1]) != NULL
		    ? at + 2
		    : NULL;
	}
	unit = code_unit(at, end);
	if (unit < 0) {
		return NULL;
	}
	at += 6;
	if (unit >= 0xd800 && unit <= 0xdbff) {
		unit = code_unit(at, end);
		if (unit >= 0xdc00 && unit <= 0xdfff) {
			return at + 6;
		}
		*flags |= JSON_REPLACED;
	} else if (unit == 0 || (unit >= 0xdc00 && unit <= 0xdfff)) {
		*flags |= JSON_REPLACED;
	}
	return at;
}

static bool
scan_string(struct json *json, struct json_value *out)
{
	const char *begin = json->at + 1;
	const char *at = begin;
	const char *end = json->end;
	unsigned flags = 0;

	for (;;) {
		const char *next;

		at = plain_end(at, end);
		if (at == end) {
			return json_fail(json, at, "unexpected end");
		}
		if (*at == '"') {
			break;
		}
		if (*at == '\\') {
			next = skip_escape(at, end, &flags);
			if (next == NULL) {
				return json_fail(json, at, "no such escape");
			}
		} else if ((signed char)*at < 0) {
			next = skip_utf8(at, end, &flags);
		} else {
			return json_fail(
			    json, at, "control character in a string");
		}
		at = next;
	}
	out->at = begin;
	out->len = (uint32_t)(at - begin);
	out->type = JSON_STRING;
	out->flags = (uint8_t)flags;
	json->at = at + 1;
	return true;
}

static const char *
skip_digits(const char *at, const char *end)
{
	while (at < end && is_digit(*at)) {
		at++;
	}
	return at;
}

const char *
json_number_end(const char *begin, const char *end, unsigned *flags)
{
	const char *at = begin;
	const char *digits;
	bool exponent = false;

	*flags = 0;
	at += at < end && *at == '-';
	digits = at;
	at = skip_digits(at, end);
	if (at == digits || (*digits == '0' && at - digits > 1)) {
		return NULL;
	}
	if (at < end && *at == '.') {
		*flags = JSON_NOT_WHOLE;
		digits = ++at;
		at = skip_digits(at, end);
		if (at == digits) {
			return NULL;
		}
	}
	if (at < end && (*at == 'e' || *at == 'E')) {
		*flags = JSON_NOT_WHOLE;
		exponent = true;
		at++;
		at += at < end && (*at == '+' || *at == '-');
		digits = at;
		at = skip_digits(at, end);
		if (at == digits) {
			return NULL;
		}
	}
	if ((exponent || at - begin > NEAR_NUMBER) &&
	    json_number_is_far(begin, (size_t)(at - begin))) {
		*flags |= JSON_FAR;
	}
	return at;
}

static bool
scan_number(struct json *json, struct json_value *out)
{
	unsigned flags;
	const char *end = json_number_end(json->at, json->end, &flags);

	if (end == NULL) {
		return json_fail(json, json->at, "malformed number");
	}
	out->at = json->at;
	out->len = (uint32_t)(end - json->at);
	out->type = JSON_NUMBER;
	out->flags = (uint8_t)flags;
	json->at = end;
	return true;
}

static bool
scan_word(struct json *json, const char *word, enum json_type type,
    struct json_value *out)
{
	size_t len = strlen(word);

	if ((size_t)(json->end - json->at) < len ||
	    memcmp(json->at, word, len) != 0) {
		return json_fail(json, json->at, "expected a value");
	}
	out->at = json->at;
	out->len = (uint32_t)len;
	out->type = (uint8_t)type;
	out->flags = 0;
	json->at += len;
	return true;
}

/* A value that is not a container. */
static inline bool
scan_scalar(struct json *json, struct json_value *out)
{
	if (json->at == json->end) {
		return json_fail(json, json->at, "unexpected end");
	}
	switch (*json->at) {
	case '"':
		return scan_string(json, out);
	case 't':
		return scan_word(json, "true", JSON_TRUE, out);
	case 'f':
		return scan_word(json, "false", JSON_FALSE, out);
	case 'n':
		return scan_word(json, "null", JSON_NULL, out);
	default:
		if (*json->at != '-' && !is_digit(*json->at)) {
			return json_fail(json, json->at, "expected a value");
		}
		return scan_number(json, out);
	}
}

bool
json_name(struct json *json, struct json_value *name)
{
	if (json->at == json->end || *json->at != '"') {
		return json_fail(json, json->at, "expected a name in quotes");
	}
	if (!scan_string(json, name)) {
		return false;
	}
	json_space(json);
	if (json->at == json->end || *json->at != ':') {
		return json_fail(json, json->at, "expected a colon");
	}
	json->at++;
	json_space(json);
	return true;
}

bool
json_enter(struct json *json, char close)
{
	json->at++;
	json_space(json);
	if (json->at < json->end && *json->at == close) {
		json->at++;
		return false;
	}
	return true;
}

bool
json_next(struct json *json, char close, bool *more)
{
	json_space(json);
	if (json->at < json->end && *json->at == ',') {
		json->at++;
		json_space(json);
		*more = true;
		return true;
	}
	if (json->at == json->end || *json->at != close) {
		return json_fail(json, json->at,
		    close == '}' ? "expected a comma or }"
				 : "expected a comma or ]");
	}
	json->at++;
	*more = false;
	return true;
}

/* --- containers, to any depth --- */

/* Where the walk through a container is. */
struct walk {
	struct json *json;
	size_t depth;
	unsigned flags;
	uint32_t members[JSON_DEPTH_MAX + 1]; /* by depth, of objects */
};

static bool
walk_is_object(const struct walk *walk)
{
	size_t bit = walk->depth - 1;

	return (walk->json->stack[bit / 64] >> (bit % 64)) & 1;
}

static bool
stack_grow(struct json *json)
{
	size_t words = json->stack_words * 2 + 8;
	uint64_t *stack = reallocarray(json->stack, words, sizeof(*stack));

	if (stack == NULL) {
		json->no_memory = true;
		return json_fail(json, json->at, "out of memory");
	}
	json->stack = stack;
	json->stack_words = words;
	return true;
}

static bool
walk_push(struct walk *walk, bool object)
{
	struct json *json = walk->json;
	size_t bit = walk->depth;

	if (bit / 64 == json->stack_words && !stack_grow(json)) {
		return false;
	}
	json->stack[bit / 64] &= ~(1ULL << (bit % 64));
	json->stack[bit / 64] |= (uint64_t)object << (bit % 64);
	walk->depth++;
	if (walk->depth > JSON_DEPTH_MAX) {
		walk->flags |= JSON_DEEP;
	} else {
		walk->members[walk->depth] = 0;
	}
	return true;
}

/* Behind a comma or an opening bracket: a member's name comes first. */
static bool
walk_begin(struct walk *walk)
{
	struct json_value name = {0};

	if (!walk_is_object(walk)) {
		return true;
	}
	if (walk->depth <= JSON_DEPTH_MAX &&
	    ++walk->members[walk->depth] > JSON_MEMBERS_MAX) {
		walk->flags |= JSON_WIDE;
	}
	if (!json_name(walk->json, &name)) {
		return false;
	}
	walk->flags |= name.flags;
	return true;
}

/* Behind a value: closes what ends here, up to the next value. */
static bool
walk_leave(struct walk *walk)
{
	while (walk->depth > 0) {
		bool more = false;

		if (!json_next(
			walk->json, walk_is_object(walk) ? '}' : ']', &more)) {
			return false;
		}
		if (more) {
			return walk_begin(walk);
		}
		walk->depth--;
	}
	return true;
}

/* At a container's first byte: up to its first value, or behind it. */
static bool
walk_enter(struct walk *walk)
{
	bool object = *walk->json->at == '{';

	if (!walk_push(walk, object)) {
		return false;
	}
	if (json_enter(walk->json, object ? '}' : ']')) {
		return walk_begin(walk);
	}
	walk->depth--;
	return walk_leave(walk);
}

static bool
at_container(const struct json *json)
{
	return json->at < json->end && (*json->at == '{' || *json->at == '[');
}

static bool
scan_container(struct json *json, struct json_value *out)
{
	const char *begin = json->at;
	struct walk walk;
	struct json_value inner;

	walk.json = json;
	walk.depth = 0;
	walk.flags = 0;
	do {
		if (at_container(json)) {
			if (!walk_enter(&walk)) {
				return false;
			}
			continue;
		}
		if (!scan_scalar(json, &inner)) {
			return false;
		}
		walk.flags |= inner.flags;
		if (!walk_leave(&walk)) {
			return false;
		}
	} while (walk.depth > 0);
	out->at = begin;
	out->len = (uint32_t)(json->at - begin);
	out->type = *begin == '{' ? JSON_OBJECT : JSON_ARRAY;
	out->flags = (uint8_t)walk.flags;
	return true;
}

bool
json_value(struct json *json, struct json_value *out)
{
	return at_container(json) ? scan_container(json, out)
				  : scan_scalar(json, out);
}
