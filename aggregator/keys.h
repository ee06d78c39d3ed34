/* SPDX-License-Identifier: MIT */
/*
 * keys.h - brings API keys and project settings to the workers
 *
 * Runs in   aggregator
 * Owns      nothing; borrows the control connection and the key table
 * Promises  whatever changes in organizations, projects or api_keys, by any
 *           means, is read again at once: the database notifies.  Nothing is
 *           published that was not read in one snapshot
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

/* published() is called whenever a snapshot has been published. */
struct keys *keys_create(struct pg *control, struct keytable *,
    void (*published)(void *arg), void *arg);
void keys_destroy(struct keys *);

void keys_connected(struct keys *);
void keys_lost(struct keys *);
void keys_notified(struct keys *);

/*
 * Takes a text[] in binary format apart into strings, each allocated; their
 * number, or -1 when it is malformed, or KEYS_NO_MEMORY.  *strings is freed
 * with keys_free_strings().
 */
#define KEYS_NO_MEMORY (-2)
int keys_parse_array(const char *data, size_t len, char ***strings) MUST_CHECK;
void keys_free_strings(char **strings, int n);

#endif
