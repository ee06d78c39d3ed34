/* SPDX-License-Identifier: MIT */
/*
 * json.h - walks over JSON text, strictly as RFC 8259 has it
 *
 * Runs in   worker; pure
 * Owns      the stack of open containers, one bit each, until json_fini()
 * Promises  reads no byte outside [begin, end); no recursion; memory only for
 *           containers nested deeper than ever before, one bit each
 * Failure   false, with fault saying what is wrong at at; or no_memory
 * Tests     t/unit/decode_test.c, t/fuzz/decode_fuzz.c
 *
 * What breaks the structure is a fault.  What leaves it readable is a flag of
 * the value it is in, and whoever wants the value decides.
 */
#ifndef PGD_WORKER_JSON_H
#define PGD_WORKER_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 32     /* containers within each other in a value */
#define JSON_MEMBERS_MAX 1000 /* of an object */

enum json_type {
	JSON_NULL,
	JSON_FALSE,
	JSON_TRUE,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

/*
 * Flags of a value, or of anything inside it: a backslash, so that the text is
 * not what it stands for; an escaped U+0000 or half a surrogate pair; bytes
 * that are no UTF-8; a number with a fraction or an exponent; one that neither
 * double nor numeric can hold; each limit above exceeded.
 */
#define JSON_ESCAPED 0x01
#define JSON_REPLACED 0x02
#define JSON_NOT_UTF8 0x04
#define JSON_NOT_WHOLE 0x08
#define JSON_FAR 0x10
#define JSON_DEEP 0x20
#define JSON_WIDE 0x40

struct json_value {
	const char *at; /* of a string: behind the quote */
	uint32_t len;   /* of a string: without the quotes */
	uint8_t type;
	uint8_t flags;
};

struct json {
	const char *begin;
	const char *at;
	const char *end;
	const char *fault;
	bool no_memory;
	uint64_t *stack;
	size_t stack_words;
};

void json_init(struct json *);
void json_fini(struct json *);
/* Keeps the stack. */
void json_start(struct json *, const char *text, size_t len);

/* Sets the fault, at at, and returns false. */
bool json_fail(struct json *, const char *at, const char *fault);

/* Any value; at is at its first byte and ends behind its last. */
bool json_value(struct json *, struct json_value *);

/* A member's name, the colon, and the space up to the value. */
bool json_name(struct json *, struct json_value *);

/*
 * Steps into a container, whose first byte at is at.  True: at is where its
 * first element or member must be.  False: it was empty, at is behind it.
 */
bool json_enter(struct json *, char close);
/* Behind an element or member: *more says the same of the next one. */
bool json_next(struct json *, char close, bool *more);

/* Where the number at at ends, and its flags; NULL when it is none. */
const char *json_number_end(const char *at, const char *end, unsigned *flags);

static inline void
json_space(struct json *json)
{
	while (json->at < json->end &&
	    (*json->at == ' ' || *json->at == '\n' || *json->at == '\r' ||
		*json->at == '\t')) {
		json->at++;
	}
}

/* A string with its quotes, anything else as it is. */
static inline const char *
json_text(const struct json_value *value, size_t *len)
{
	size_t quote = value->type == JSON_STRING;

	*len = value->len + 2 * quote;
	return value->at - quote;
}

#endif
