/* SPDX-License-Identifier: MIT */
/*
 * Escaping: what a terminal or JSON would act on is spelled out, all else
 * stays, and the columns are those that were printed.
 */
#include "ctl/escape.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *in;
	const char *text;
	const char *json;
	size_t columns; /* of text */
} cases[] = {
    {"", "", "", 0},
    {"plain", "plain", "plain", 5},
    {"a\"b\\c/", "a\"b\\c/", "a\\\"b\\\\c/", 6},
    {"\n\t\r\b\f", "\\n\\t\\r\\b\\f", "\\n\\t\\r\\b\\f", 10},
    {"\x1b[2J\a\x7f", "\\x1b[2J\\x07\\x7f", "\\u001b[2J\\u0007\\u007f", 15},
    {"\x01", "\\x01", "\\u0001", 4},
    {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f", 4},
    {"\xe2\x82\xac\xf0\x9f\x98\x80", "\xe2\x82\xac\xf0\x9f\x98\x80",
	"\xe2\x82\xac\xf0\x9f\x98\x80", 2},
    /* C1 controls, and marks of direction */
    {"\xc2\x9b"
     "2J",
	"\\u009b2J", "\\u009b2J", 8},
    {"\xc2\xa0", "\xc2\xa0", "\xc2\xa0", 1},
    {"\xe2\x80\xae", "\\u202e", "\\u202e", 6},
    {"\xe2\x80\x8f", "\\u200f", "\\u200f", 6},
    {"\xe2\x81\xa6", "\\u2066", "\\u2066", 6},
    {"\xd8\x9c", "\\u061c", "\\u061c", 6},
    /* no UTF-8: alone, cut short, too long, surrogates, too large */
    {"\xff", "\\xff", "\\\\xff", 4},
    {"\x80"
     "a",
	"\\x80a", "\\\\x80a", 5},
    {"\xc3", "\\xc3", "\\\\xc3", 4},
    {"\xc3(", "\\xc3(", "\\\\xc3(", 5},
    {"\xe2\x82", "\\xe2\\x82", "\\\\xe2\\\\x82", 8},
    {"\xc0\xaf", "\\xc0\\xaf", "\\\\xc0\\\\xaf", 8},
    {"\xe0\x80\xaf", "\\xe0\\x80\\xaf", "\\\\xe0\\\\x80\\\\xaf", 12},
    {"\xed\xa0\x80", "\\xed\\xa0\\x80", "\\\\xed\\\\xa0\\\\x80", 12},
    {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80", "\\\\xf4\\\\x90\\\\x80\\\\x80",
	16},
};

/* What was printed; the columns that it said. */
static char *
print(const char *in, size_t len, size_t max, enum escape how, size_t *columns)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	cr_assert(out != NULL);
	*columns = escape_print(out, in, len, max, how);
	cr_assert(fclose(out) == 0);
	return text;
}

static void
expect(const char *in, enum escape how, const char *want, size_t columns)
{
	size_t len = strlen(in), got;
	/* in a block of exactly that size, for the sanitizer's sake */
	char *exact = malloc(len + (len == 0));
	char *text;

	memcpy(exact, in, len);
	text = print(exact, len, SIZE_MAX, how, &got);
	cr_expect_str_eq(text, want);
	cr_expect(columns == SIZE_MAX || got == columns, "%s: %zu", want, got);
	cr_expect(
	    escape_print(NULL, exact, len, SIZE_MAX, how) == got, "%s", want);
	free(text);
	free(exact);
}

Test(escape, cases)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		expect(
		    cases[i].in, ESCAPE_TEXT, cases[i].text, cases[i].columns);
		expect(cases[i].in, ESCAPE_JSON, cases[i].json, SIZE_MAX);
	}
}

Test(escape, json_that_is_json_already)
{
	expect("{\"a\\n\": \"\xc2\x9b\x7f\"}", ESCAPE_JSON_TOKENS,
	    "{\"a\\n\": \"\\u009b\\u007f\"}", SIZE_MAX);
}

Test(escape, nul)
{
	size_t columns;
	char *text = print("a\0b", 3, SIZE_MAX, ESCAPE_TEXT, &columns);

	cr_expect_str_eq(text, "a\\x00b");
	free(text);
}

Test(escape, cut)
{
	static const struct {
		size_t max;
		const char *text;
		size_t columns;
	} cut[] = {{0, "...", 3}, {1, "\xc3\xbc...", 4},
	    {2, "\xc3\xbc\\x1b...", 8}, {3, "\xc3\xbc\\x1bx", 6}};
	size_t columns;
	char *text;

	for (size_t i = 0; i < sizeof(cut) / sizeof(cut[0]); i++) {
		text = print(
		    "\xc3\xbc\x1bx", 4, cut[i].max, ESCAPE_TEXT, &columns);
		cr_expect_str_eq(text, cut[i].text);
		cr_expect(columns == cut[i].columns, "%zu", columns);
		free(text);
	}
}
