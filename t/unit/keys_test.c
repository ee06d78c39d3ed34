/* SPDX-License-Identifier: MIT */
/*
 * A text[] as PostgreSQL sends it: sound ones are taken apart, others are
 * refused, because a project without its origins would allow any.
 */
#include "aggregator/keys.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define HEAD "\0\0\0\1\0\0\0\0\0\0\0\31"
#define TWO HEAD "\0\0\0\2\0\0\0\1"

Test(keys, takes_arrays_apart)
{
	static const struct {
		const char *name;
		const char *data;
		size_t len;
		int n; /* -1: refused */
	} cases[] = {
	    {"empty", "\0\0\0\0\0\0\0\0\0\0\0\31", 12, 0},
	    {"two", TWO "\0\0\0\1a\0\0\0\3b,c", 32, 2},
	    {"one is empty", TWO "\0\0\0\0\0\0\0\3b,c", 31, 2},
	    {"nothing", "", 0, -1},
	    {"cut in the head", "\0\0\0\1\0\0\0\0", 8, -1},
	    {"cut in the size", HEAD "\0\0", 14, -1},
	    {"cut in an element", TWO "\0\0\0\1a\0\0\0\3b", 30, -1},
	    {"one too few", TWO "\0\0\0\1a", 25, -1},
	    {"something behind", TWO "\0\0\0\1a\0\0\0\3b,cd", 33, -1},
	    {"null element", TWO "\0\0\0\1a\377\377\377\377", 29, -1},
	    {"two dimensions", "\0\0\0\2\0\0\0\0\0\0\0\31", 12, -1},
	    {"more than there can be", HEAD "\377\377\377\377\0\0\0\1", 20, -1},
	};
	char **strings;
	size_t i;
	int n;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		n = keys_parse_array(cases[i].data, cases[i].len, &strings);
		cr_expect_eq(n, cases[i].n, "%s: %d", cases[i].name, n);
		if (n == 2)
			cr_expect_str_eq(strings[1], "b,c", "%s: \"%s\"",
			    cases[i].name, strings[1]);
		keys_free_strings(strings, n);
	}
}
