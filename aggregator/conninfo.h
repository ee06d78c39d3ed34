/* SPDX-License-Identifier: MIT */
/*
 * conninfo.h - how to connect: the operator's string, the password from its
 * file, and what we insist on
 *
 * Runs in   aggregator; in the master's check of a configuration, in a child
 *           that is thrown away
 * Owns      copies of everything, the password among them, until
 *           conninfo_destroy() wipes them
 * Failure   NULL and the reason
 * Blocking  reads the password file: before the event loop only
 * Tests     t/unit/conninfo_test.c
 */
#ifndef PGD_AGGREGATOR_CONNINFO_H
#define PGD_AGGREGATOR_CONNINFO_H

#include <libpq-fe.h>

#include "common/err.h"
#include "common/password.h"

/* Which of the two connections. */
enum conninfo_use {
	CONNINFO_DATA,
	CONNINFO_CONTROL,
	CONNINFO_USES
};

struct conninfo {
	/* For PQconnectStartParams(): NULL at the end, expand_dbname 0. */
	const char **keywords;
	const char **values;
	/* private: what values point into */
	PQconninfoOption *options;
	char password[PASSWORD_SIZE];
};

/* password_file may be "": no password. */
struct conninfo *conninfo_create(const char *text, const char *password_file,
    enum conninfo_use, struct err *);
void conninfo_destroy(struct conninfo *);

#endif
