/* SPDX-License-Identifier: MIT */
/*
 * keys.h - brings API keys and project settings to the workers
 *
 * Runs in   aggregator
 * Owns      nothing; borrows the control connection and the key table
 * Promises  whatever changes in organizations, projects or api_keys, by any
 *           means, is read again at once: the database notifies.  However often
 *           it does, from one reading to the next pass KEYS_PAUSE_MS.  Nothing
 *           is published that was not read in one snapshot
 * Requires  keys_connected(), keys_lost() and keys_notified() as the control
 *           connection comes, goes and calls
 * Failure   the last published keys stay; the connection is dropped, and after
 *           the next one everything is read anew
 * Tests     t/unit/keys_test.c
 */
#ifndef PGD_AGGREGATOR_KEYS_H
#define PGD_AGGREGATOR_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "aggregator/pg.h"
#include "common/keytable.h"

struct keys;

struct keys_handler {
	/* What is published was read since keys_connected(), keys_distrust().
	 */
	void (*sound)(void *arg);
	/* Something has changed since; it will be read. */
	void (*doubtful)(void *arg);
	void *arg;
};

/* From one reading to the next, at least. */
#define KEYS_PAUSE_MS 100

struct keys *keys_create(struct event_base *, struct pg *control,
    struct keytable *, const struct keys_handler *);
void keys_destroy(struct keys *);

void keys_connected(struct keys *);
void keys_lost(struct keys *);
void keys_notified(struct keys *);
/* What was read until now, or is being read, no longer counts. */
void keys_distrust(struct keys *);

/*
 * Takes a text[] in binary format apart into strings, each allocated; their
 * number, or -1 when it is malformed, or KEYS_NO_MEMORY.  *strings is freed
 * with keys_free_strings().
 */
#define KEYS_NO_MEMORY (-2)
int keys_parse_array(const char *data, size_t len, char ***strings) MUST_CHECK;
void keys_free_strings(char **strings, int n);

#endif
