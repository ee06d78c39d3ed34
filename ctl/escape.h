/* SPDX-License-Identifier: MIT */
/*
 * escape.h - text that strangers wrote, made fit for a terminal
 *
 * Runs in   ctl
 * Promises  no control character, no mark that turns the direction of writing
 *           and no byte that is not UTF-8 comes out as it went in; all else
 *           does
 * Tests     t/unit/escape_test.c
 */
#ifndef PGD_CTL_ESCAPE_H
#define PGD_CTL_ESCAPE_H

#include <stddef.h>
#include <stdio.h>

enum escape {
	ESCAPE_TEXT,        /* "\n", "\x1b", "\u202e"; quotes and "\" stay */
	ESCAPE_JSON,        /* inside a JSON string; a wrong byte is "\\xff" */
	ESCAPE_JSON_TOKENS, /* what is JSON already; quotes and "\" stay */
};

/*
 * Writes the first max code points, and "..." when more follow; SIZE_MAX for
 * all.  Returns how many columns that takes at one to a character, which is
 * too few for wide ones.  Without a file (NULL) it only counts.
 */
size_t escape_print(
    FILE *, const char *text, size_t len, size_t max, enum escape);

/* A whole JSON string, with its quotes. */
void escape_print_json(FILE *, const char *text, size_t len);

#endif
