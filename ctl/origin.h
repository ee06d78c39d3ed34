/* SPDX-License-Identifier: MIT */
/*
 * origin.h - the origins that a project lists
 *
 * A worker compares a listed origin with the bytes of the Origin header, so one
 * that no browser would send is refused here, where somebody sees it.
 *
 * Runs in   ctl
 * Failure   -1 and a sentence that quotes the origin and says what is wrong
 * Tests     t/unit/origin_test.c
 */
#ifndef PGD_CTL_ORIGIN_H
#define PGD_CTL_ORIGIN_H

#include "common/err.h"

/* scheme://host, with a port unless it is the scheme's own; or "null". */
int origin_check(const char *origin, struct err *) MUST_CHECK;

#endif
