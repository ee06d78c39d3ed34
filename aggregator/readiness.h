/* SPDX-License-Identifier: MIT */
/*
 * readiness.h - what the workers are told of the database
 *
 * Events are accepted while they can be stored and while the keys are those of
 * the database.  Of the first the writer speaks, of the second keys.h.
 *
 * Runs in   aggregator
 * Owns      a timer; borrows the key table
 * Promises  KEYTABLE_READY is told only while the keys are sound: read on a
 *           connection that stands, and since the database was last away.  They
 *           may be in doubt for READINESS_GRACE_MS while nothing else changes,
 *           so that a connection can be made again unnoticed
 * Tests     t/unit/readiness_test.c
 */
#ifndef PGD_AGGREGATOR_READINESS_H
#define PGD_AGGREGATOR_READINESS_H

#include <stdbool.h>

#include <event2/event.h>

#include "common/keytable.h"

/*
 * A revoked key ends within a second, which leaves the workers a tenth to see
 * what they are told.  It is no less, because every change is read whole: that
 * of one key among 300,000 takes some 600 ms, and is no reason to refuse the
 * events of all.
 */
#define READINESS_GRACE_MS 900

struct readiness;

/*
 * Nothing is told before there is something to tell: the word of an aggregator
 * that was killed, and its keys, hold for the grace.
 */
struct readiness *readiness_create(struct event_base *, struct keytable *);
void readiness_destroy(struct readiness *);

/*
 * KEYTABLE_READY, KEYTABLE_DATABASE_AWAY or _UNFIT.  True: the database is back
 * and the keys are no longer sound; they are to be read again.
 */
bool readiness_writer(struct readiness *, enum keytable_state) MUST_CHECK;

/* Something of the keys has changed, and is still to be read. */
void readiness_keys_doubtful(struct readiness *);
/* Nothing more is heard of the keys. */
void readiness_keys_lost(struct readiness *);
/* They are those of the database. */
void readiness_keys_sound(struct readiness *);

#endif
