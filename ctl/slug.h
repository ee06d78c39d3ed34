/* SPDX-License-Identifier: MIT */
/*
 * slug.h - the names and the short names of organisations and projects
 *
 * Runs in   ctl
 * Promises  a slug is 1 to 255 of a-z, 0-9, "_" and "-", the first a letter or
 *           a digit, and no UUID: an event names its project by either, so
 *           the two must not be confused
 */
#ifndef PGD_CTL_SLUG_H
#define PGD_CTL_SLUG_H

#include "common/err.h"

#define SLUG_TEXT 256 /* with the terminator */

/* A name, of a key too, is free text of 1 to 255 bytes. */
int slug_check_name(const char *name, struct err *) MUST_CHECK;

/* given, if it is a slug; without it (NULL), one made from an ASCII name. */
int slug_choose(const char *given, const char *name, char out[SLUG_TEXT],
    struct err *) MUST_CHECK;

#endif
