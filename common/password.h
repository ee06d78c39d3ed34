/* SPDX-License-Identifier: MIT */
/*
 * password.h - a password from the file that the configuration names
 *
 * Runs in   aggregator and ctl; in the master's check of a configuration, in a
 *           child that is thrown away
 * Owns      nothing; the caller wipes the buffer
 * Failure   -1 and the reason, which names the file and never the password
 * Blocking  reads a file: before the event loop only
 * Tests     t/unit/conninfo_test.c, t/integration/test_ctl.py
 */
#ifndef PGD_COMMON_PASSWORD_H
#define PGD_COMMON_PASSWORD_H

#include "common/err.h"

/* Bytes of the longest password and its terminator. */
#define PASSWORD_SIZE 1025

/*
 * The first line of a regular file that only its owner can read, without its
 * end.  Not the environment, not the configuration: both get copied around.
 */
int password_read(
    const char *path, char password[PASSWORD_SIZE], struct err *) MUST_CHECK;

#endif
