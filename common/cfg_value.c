/* SPDX-License-Identifier: MIT */
/*
 * cfg_value.c - what a directive's value means, by its type
 *
 * Knows types and bounds, nothing of single directives, of files or of lines.
 * Defaults are text and are read by the same code as the operator's values.
 */
#include "common/cfg_value.h"

#include <stdlib.h>
#include <string.h>

#include "common/address.h"

#define CFG_WHEN_RELOAD true
#define CFG_WHEN_RESTART false

const struct cfg_directive cfg_directives[CFG_ID_COUNT] = {
#define DIRECTIVE(                                                             \
    section, name, type, member, def, min, max, words, when, who, doc)         \
	{section, name, CFG_TYPE_##type, offsetof(struct cfg, member), def,    \
	    min, max, words, CFG_WHEN_##when, who, doc},
#include "common/cfg.def"
};

/* Every row has a sentence, a unit's bounds, and somebody who reads it. */
#define DIRECTIVE(                                                             \
    section, name, type, member, def, min, max, words, when, who, doc)         \
	_Static_assert(sizeof(doc) > 1, name " has no sentence");              \
	_Static_assert((who) != 0, name " is read by nobody");                 \
	_Static_assert((max) > 0 || CFG_TYPE_##type == CFG_TYPE_WORD,          \
	    name " has no bounds");
#include "common/cfg.def"

/* Units from the largest down; the last multiplies by 1. */
struct unit {
	const char *suffix;
	uint64_t factor;
};

static const struct unit bytes_units[] = {
    {"g", 1ull << 30},
    {"m", 1ull << 20},
    {"k", 1ull << 10},
    {"", 1},
};

static const struct unit msec_units[] = {
    {"d", 86400000},
    {"h", 3600000},
    {"m", 60000},
    {"s", 1000},
    {"ms", 1},
};

static const struct unit count_units[] = {
    {"", 1},
};

/* What the numeric types differ in. */
static const struct number {
	const struct unit *units;
	size_t nunits;
	const char *form;
} numbers[] = {
    [CFG_TYPE_COUNT] = {count_units, 1, "a whole number"},
    [CFG_TYPE_BYTES] = {bytes_units, 4,
	"a size: a whole number, with k, m or g for units of 1024"},
    [CFG_TYPE_MSEC] = {msec_units, 5,
	"a time: a whole number and ms, s, m, h or d"},
};

static void *
cfg_member(const struct cfg_directive *d, struct cfg *cfg)
{
	return (char *)cfg + d->offset;
}

static const void *
cfg_member_const(const struct cfg_directive *d, const struct cfg *cfg)
{
	return (const char *)cfg + d->offset;
}

static uint64_t
cfg_number_get(const struct cfg_directive *d, const struct cfg *cfg)
{
	const void *member = cfg_member_const(d, cfg);

	switch (d->type) {
	case CFG_TYPE_COUNT:
		return *(const uint32_t *)member;
	case CFG_TYPE_BYTES:
		return *(const size_t *)member;
	case CFG_TYPE_MSEC:
		return *(const uint64_t *)member;
	case CFG_TYPE_WORD:
		return (uint64_t) * (const int *)member;
	case CFG_TYPE_TEXT:
	case CFG_TYPE_PATH:
	case CFG_TYPE_LIST:
		break;
	}
	abort();
}

static void
cfg_number_put(const struct cfg_directive *d, struct cfg *cfg, uint64_t n)
{
	void *member = cfg_member(d, cfg);

	switch (d->type) {
	case CFG_TYPE_COUNT:
		*(uint32_t *)member = (uint32_t)n;
		return;
	case CFG_TYPE_BYTES:
		*(size_t *)member = (size_t)n;
		return;
	case CFG_TYPE_MSEC:
		*(uint64_t *)member = n;
		return;
	case CFG_TYPE_WORD:
		*(int *)member = (int)n;
		return;
	case CFG_TYPE_TEXT:
	case CFG_TYPE_PATH:
	case CFG_TYPE_LIST:
		break;
	}
	abort();
}

static bool
cfg_is_text(const struct cfg_directive *d)
{
	return d->type == CFG_TYPE_TEXT || d->type == CFG_TYPE_PATH;
}

/* --- from text --- */

/* The number before the unit; too large a one becomes UINT64_MAX. */
static const char *
number_digits(const char *text, uint64_t *n)
{
	const char *p;

	*n = 0;
	for (p = text; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(*n, 10, n) ||
		    __builtin_add_overflow(*n, (uint64_t)(*p - '0'), n))
			*n = UINT64_MAX;
	return p == text ? NULL : p;
}

static const struct unit *
number_unit(const struct number *number, const char *suffix, uint64_t n)
{
	const struct unit *units = number->units;
	size_t i;

	for (i = 0; i < number->nunits; i++)
		if (strcmp(units[i].suffix, suffix) == 0)
			return &units[i];
	/* Nothing is nothing in any unit. */
	if (*suffix == '\0' && n == 0)
		return &units[number->nunits - 1];
	return NULL;
}

const char *
cfg_number_parse(enum cfg_type type, const char *text, uint64_t *n)
{
	const struct number *number = &numbers[type];
	const struct unit *unit;
	const char *suffix;

	if ((suffix = number_digits(text, n)) == NULL ||
	    (unit = number_unit(number, suffix, *n)) == NULL)
		return number->form;
	if (__builtin_mul_overflow(*n, unit->factor, n))
		*n = UINT64_MAX;
	return NULL;
}

static int
cfg_set_number(const struct cfg_directive *d, struct cfg *cfg, const char *text,
    struct err *err)
{
	char min[CFG_NUMBER_TEXT], max[CFG_NUMBER_TEXT];
	const char *form;
	uint64_t n;

	if ((form = cfg_number_parse(d->type, text, &n)) != NULL)
		return err_set(
		    err, "\"%s\": \"%.64s\" is not %s", d->name, text, form);
	if (n < d->min || n > d->max) {
		cfg_number_format(d->type, d->min, min);
		cfg_number_format(d->type, d->max, max);
		return err_set(err, "\"%s\": %.64s is out of bounds: %s to %s",
		    d->name, text, min, max);
	}
	cfg_number_put(d, cfg, n);
	return 0;
}

/* The words of a directive, with commas: "error, warn, info, debug". */
static void
words_list(const char *words, char *out, size_t size)
{
	size_t used = 0;

	for (; *words != '\0' && used + 3 < size; words++) {
		if (*words != '|') {
			out[used++] = *words;
			continue;
		}
		out[used++] = ',';
		out[used++] = ' ';
	}
	out[used] = '\0';
}

/* The index-th word; its length in *len; NULL behind the last. */
static const char *
words_at(const char *words, size_t index, size_t *len)
{
	for (;; words += *len + 1) {
		*len = strcspn(words, "|");
		if (index-- == 0)
			return words;
		if (words[*len] == '\0')
			return NULL;
	}
}

static int
cfg_set_word(const struct cfg_directive *d, struct cfg *cfg, const char *text,
    struct err *err)
{
	const char *word;
	char list[256];
	size_t i, len;

	for (i = 0; (word = words_at(d->words, i, &len)) != NULL; i++)
		if (strlen(text) == len && memcmp(word, text, len) == 0) {
			cfg_number_put(d, cfg, i);
			return 0;
		}
	words_list(d->words, list, sizeof(list));
	return err_set(
	    err, "\"%s\": \"%.64s\" is not one of %s", d->name, text, list);
}

static void
cfg_free_text(char *text)
{
	if (text != NULL)
		explicit_bzero(text, strlen(text));
	free(text);
}

static int
cfg_put_text(const struct cfg_directive *d, struct cfg *cfg, const char *text)
{
	char **member = cfg_member(d, cfg);
	char *copy;

	if ((copy = strdup(text)) == NULL)
		return -1;
	cfg_free_text(*member);
	*member = copy;
	return 0;
}

static int
cfg_set_text(const struct cfg_directive *d, struct cfg *cfg, const char *text,
    struct err *err)
{
	size_t len = strlen(text);
	const char *p;

	if (len < d->min)
		return err_set(err, "\"%s\" must not be empty", d->name);
	if (len > d->max)
		return err_set(err, "\"%s\" is longer than %llu bytes", d->name,
		    (unsigned long long)d->max);
	for (p = text; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 127)
			return err_set(
			    err, "\"%s\" holds a control character", d->name);
	/* Relative to what, in a process that works in "/"? */
	if (d->type == CFG_TYPE_PATH && len > 0 && text[0] != '/')
		return err_set(err,
		    "\"%s\": \"%.128s\" is not an absolute path", d->name,
		    text);
	if (cfg_put_text(d, cfg, text) == -1)
		return err_set(err, "out of memory");
	return 0;
}

static int
cfg_append(const struct cfg_directive *d, struct cfg *cfg, const char *text)
{
	struct cfg_list *list = cfg_member(d, cfg);
	char **items;

	items = reallocarray(list->items, list->n + 1, sizeof(*items));
	if (items == NULL)
		return -1;
	list->items = items;
	if ((items[list->n] = strdup(text)) == NULL)
		return -1;
	list->n++;
	return 0;
}

/* The only lists there are hold addresses to listen on. */
static int
cfg_set_item(const struct cfg_directive *d, struct cfg *cfg, const char *text,
    struct err *err)
{
	const struct cfg_list *list = cfg_member(d, cfg);
	struct address address[2];

	if (list->n >= d->max)
		return err_set(err, "\"%s\" has more than %llu entries",
		    d->name, (unsigned long long)d->max);
	if (address_parse(text, address) == 0)
		return err_set(err,
		    "\"%s\": \"%.128s\" is not " ADDRESS_FORM ", in quotes",
		    d->name, text);
	if (cfg_append(d, cfg, text) == -1)
		return err_set(err, "out of memory");
	return 0;
}

int
cfg_value_set(const struct cfg_directive *d, struct cfg *cfg, const char *text,
    struct err *err)
{
	switch (d->type) {
	case CFG_TYPE_COUNT:
	case CFG_TYPE_BYTES:
	case CFG_TYPE_MSEC:
		return cfg_set_number(d, cfg, text, err);
	case CFG_TYPE_WORD:
		return cfg_set_word(d, cfg, text, err);
	case CFG_TYPE_TEXT:
	case CFG_TYPE_PATH:
		return cfg_set_text(d, cfg, text, err);
	case CFG_TYPE_LIST:
		return cfg_set_item(d, cfg, text, err);
	}
	abort();
}

/* --- life --- */

static void
cfg_free_list(struct cfg_list *list)
{
	while (list->n > 0)
		cfg_free_text(list->items[--list->n]);
	free(list->items);
	list->items = NULL;
}

void
cfg_value_free(const struct cfg_directive *d, struct cfg *cfg)
{
	char **text;

	if (d->type == CFG_TYPE_LIST) {
		cfg_free_list(cfg_member(d, cfg));
	} else if (cfg_is_text(d)) {
		text = cfg_member(d, cfg);
		cfg_free_text(*text);
		*text = NULL;
	} else {
		cfg_number_put(d, cfg, 0);
	}
}

int
cfg_value_clear(const struct cfg_directive *d, struct cfg *cfg)
{
	cfg_value_free(d, cfg);
	return cfg_is_text(d) ? cfg_put_text(d, cfg, "") : 0;
}

int
cfg_value_set_default(const struct cfg_directive *d, struct cfg *cfg)
{
	struct err err;

	cfg_value_free(d, cfg);
	if (d->type == CFG_TYPE_LIST && d->def[0] == '\0')
		return 0;
	return cfg_value_set(d, cfg, d->def, &err);
}

int
cfg_value_copy(
    const struct cfg_directive *d, struct cfg *to, const struct cfg *from)
{
	const struct cfg_list *list;
	char *const *text;
	size_t i;

	if (d->type == CFG_TYPE_LIST) {
		cfg_value_free(d, to);
		list = cfg_member_const(d, from);
		for (i = 0; i < list->n; i++)
			if (cfg_append(d, to, list->items[i]) == -1)
				return -1;
		return 0;
	}
	if (cfg_is_text(d)) {
		text = cfg_member_const(d, from);
		return cfg_put_text(d, to, *text);
	}
	cfg_number_put(d, to, cfg_number_get(d, from));
	return 0;
}

static bool
cfg_equal_lists(const struct cfg_list *a, const struct cfg_list *b)
{
	size_t i;

	if (a->n != b->n)
		return false;
	for (i = 0; i < a->n; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return true;
}

bool
cfg_value_equal(
    const struct cfg_directive *d, const struct cfg *a, const struct cfg *b)
{
	char *const *text_a, *const *text_b;

	if (d->type == CFG_TYPE_LIST)
		return cfg_equal_lists(
		    cfg_member_const(d, a), cfg_member_const(d, b));
	if (cfg_is_text(d)) {
		text_a = cfg_member_const(d, a);
		text_b = cfg_member_const(d, b);
		return strcmp(*text_a, *text_b) == 0;
	}
	return cfg_number_get(d, a) == cfg_number_get(d, b);
}

/* --- to text --- */

void
cfg_number_format(enum cfg_type type, uint64_t n, char out[CFG_NUMBER_TEXT])
{
	const struct number *number = &numbers[type];
	size_t i = 0;

	/* 0 is divided by every unit, and needs none. */
	while (n > 0 && n % number->units[i].factor != 0)
		i++;
	(void)snprintf(out, CFG_NUMBER_TEXT, "%llu%s",
	    (unsigned long long)(n / number->units[i].factor),
	    n == 0 ? "" : number->units[i].suffix);
}

/* In single quotes libConfuse replaces nothing but \\ and \'. */
static void
cfg_print_quoted(const char *text, FILE *out)
{
	(void)putc('\'', out);
	for (; *text != '\0'; text++) {
		if (*text == '\'' || *text == '\\')
			(void)putc('\\', out);
		(void)putc(*text, out);
	}
	(void)putc('\'', out);
}

static void
cfg_print_list(const struct cfg_list *list, FILE *out)
{
	size_t i;

	(void)fputs("{", out);
	for (i = 0; i < list->n; i++) {
		(void)fputs(i == 0 ? " " : ", ", out);
		cfg_print_quoted(list->items[i], out);
	}
	(void)fputs(list->n == 0 ? "}" : " }", out);
}

void
cfg_value_print(const struct cfg_directive *d, const struct cfg *cfg, FILE *out)
{
	char text[CFG_NUMBER_TEXT];
	const char *word;
	size_t len;

	switch (d->type) {
	case CFG_TYPE_COUNT:
	case CFG_TYPE_BYTES:
	case CFG_TYPE_MSEC:
		cfg_number_format(d->type, cfg_number_get(d, cfg), text);
		(void)fputs(text, out);
		return;
	case CFG_TYPE_WORD:
		word = words_at(d->words, cfg_number_get(d, cfg), &len);
		(void)fprintf(out, "%.*s", (int)len, word);
		return;
	case CFG_TYPE_TEXT:
	case CFG_TYPE_PATH:
		cfg_print_quoted(*(char *const *)cfg_member_const(d, cfg), out);
		return;
	case CFG_TYPE_LIST:
		cfg_print_list(cfg_member_const(d, cfg), out);
		return;
	}
}
