/* SPDX-License-Identifier: MIT */
/*
 * cfg_value.h - the table of directives, and their values from and to text
 *
 * For cfg*.c, and its numbers for ctl/; everybody else reads the members of
 * struct cfg.
 *
 * Runs in   anywhere
 * Owns      nothing; values belong to their struct cfg
 * Promises  a value that was set lies within the bounds of cfg.def; a failed
 *           set leaves the value it found
 * Failure   -1 and a sentence that names the directive, what is wrong and what
 *           is allowed; the caller puts file and line before it
 */
#ifndef PGD_COMMON_CFG_VALUE_H
#define PGD_COMMON_CFG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/cfg.h"
#include "common/err.h"

/* The types of cfg.def. */
enum cfg_type {
	CFG_TYPE_COUNT,
	CFG_TYPE_BYTES,
	CFG_TYPE_MSEC,
	CFG_TYPE_TEXT,
	CFG_TYPE_PATH,
	CFG_TYPE_LIST,
	CFG_TYPE_WORD,
};

enum cfg_id {
#define DIRECTIVE(                                                             \
    section, name, type, member, def, min, max, words, when, who, doc)         \
	CFG_ID_##member,
#include "common/cfg.def"
	CFG_ID_COUNT
};

struct cfg_directive {
	const char *section; /* "" for the top level */
	const char *name;
	enum cfg_type type;
	size_t offset; /* of the member in struct cfg */
	const char *def;
	uint64_t min;
	uint64_t max;
	const char *words;
	bool reload; /* SIGHUP suffices */
	unsigned who;
	const char *doc;
};

extern const struct cfg_directive cfg_directives[CFG_ID_COUNT];

/* Sets a value from text; appends it to a LIST. */
int cfg_value_set(const struct cfg_directive *, struct cfg *, const char *text,
    struct err *) MUST_CHECK;
/* Sets the default, whatever was there; -1 when memory is exhausted. */
int cfg_value_set_default(
    const struct cfg_directive *, struct cfg *) MUST_CHECK;
int cfg_value_copy(const struct cfg_directive *, struct cfg *to,
    const struct cfg *from) MUST_CHECK;
bool cfg_value_equal(
    const struct cfg_directive *, const struct cfg *, const struct cfg *);
/* Wipes it: 0, empty text, empty list.  -1 when memory is exhausted. */
int cfg_value_clear(const struct cfg_directive *, struct cfg *) MUST_CHECK;
/* Wipes and frees; only cfg_value_set_default() may follow. */
void cfg_value_free(const struct cfg_directive *, struct cfg *);

/* Writes the value as it stands behind the "=" in a file. */
void cfg_value_print(const struct cfg_directive *, const struct cfg *, FILE *);

/*
 * Numbers as everywhere in ProductGraph, on a command line too.  Reads one with
 * its unit, UINT64_MAX when it is too large; NULL, or what a number of the type
 * looks like ("a whole number").
 */
const char *cfg_number_parse(
    enum cfg_type, const char *text, uint64_t *) MUST_CHECK;
/* A number with the largest unit of the type that divides it. */
#define CFG_NUMBER_TEXT 32
void cfg_number_format(enum cfg_type, uint64_t, char out[CFG_NUMBER_TEXT]);

#endif
