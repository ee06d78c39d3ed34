/* SPDX-License-Identifier: MIT */
/* Where text ends and bytes begin. */
#include "common/utf8.h"

#include <criterion/criterion.h>

Test(utf8, length)
{
	static const struct {
		const char *name;
		const char *text;
		size_t len;
		size_t good;
	} cases[] = {
	    {"nothing", "", 0, 0},
	    {"ASCII", "abc", 3, 3},
	    {"NUL", "a\0b", 3, 1},
	    {"two bytes", "\xc3\xa4", 2, 2},
	    {"three bytes", "\xe2\x82\xac", 3, 3},
	    {"four bytes", "\xf0\x9f\x98\x80", 4, 4},
	    {"last of all", "\xf4\x8f\xbf\xbf", 4, 4},
	    {"beyond it", "\xf4\x90\x80\x80", 4, 0},
	    {"cut in two", "a\xe2\x82", 3, 1},
	    {"continuation alone", "a\x80", 2, 1},
	    {"overlong of two", "\xc0\x80", 2, 0},
	    {"overlong of three", "\xe0\x9f\xbf", 3, 0},
	    {"overlong of four", "\xf0\x8f\xbf\xbf", 4, 0},
	    {"surrogate", "\xed\xa0\x80", 3, 0},
	    {"before surrogates", "\xed\x9f\xbf", 3, 3},
	    {"0xff", "\xff", 1, 0},
	    {"bad third byte", "\xe2\x82\x41", 3, 0},
	};
	size_t i, got;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		got = utf8_length(cases[i].text, cases[i].len);
		cr_expect_eq(got, cases[i].good, "%s: %zu, not %zu",
		    cases[i].name, got, cases[i].good);
	}
}

Test(utf8, next)
{
	static const struct {
		const char *text;
		size_t left;
		size_t len;
		uint32_t point;
	} cases[] = {
	    {"ab", 2, 1, 'a'},
	    {"\0a", 2, 1, 0},
	    {"\x7f", 1, 1, 0x7f},
	    {"\xc2\x80z", 3, 2, 0x80},
	    {"\xdf\xbf", 2, 2, 0x7ff},
	    {"\xe0\xa0\x80", 3, 3, 0x800},
	    {"\xed\x9f\xbf", 3, 3, 0xd7ff},
	    {"\xef\xbf\xbf", 3, 3, 0xffff},
	    {"\xf0\x90\x80\x80", 4, 4, 0x10000},
	    {"\xf4\x8f\xbf\xbf", 4, 4, 0x10ffff},
	    {"\xf4\x90\x80\x80", 4, 0, 0},
	    {"\xed\xa0\x80", 3, 0, 0},
	    {"\xe0\x9f\xbf", 3, 0, 0},
	    {"\xe2\x82\xac", 2, 0, 0},
	    {"\x80", 1, 0, 0},
	    {"\xff", 1, 0, 0},
	};
	uint32_t point;
	size_t i, got;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		got = utf8_next(cases[i].text, cases[i].left, &point);
		cr_expect(got == cases[i].len && point == cases[i].point,
		    "%zu: %zu, U+%04X", i, got, point);
	}
}
