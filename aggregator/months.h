/* SPDX-License-Identifier: MIT */
/*
 * months.h - which months of events have a partition; makes those that lack
 *
 * Runs in   aggregator
 * Owns      the list; borrows the control connection
 * Promises  this month and the next are made ahead; others when a batch asks.
 *           Never inside a batch's transaction: a connection of its own
 * Requires  months_connected() and months_lost() as the control connection
 *           comes and goes
 * Failure   a month that the database refuses for good is MONTH_REFUSED.  Any
 *           other that could not be made, because events is locked or for
 *           whatever reason, is tried again after a pause that doubles.  When
 *           the catalogue cannot be read, the connection is dropped
 * Blocking  never; changed() tells when the state of a month may have changed
 */
#ifndef PGD_AGGREGATOR_MONTHS_H
#define PGD_AGGREGATOR_MONTHS_H

#include <stdbool.h>
#include <stdint.h>

#include "aggregator/pg.h"

enum month_state {
	MONTH_UNKNOWN, /* ask with months_want() */
	MONTH_THERE,
	MONTH_REFUSED, /* out of the bounds of create_month() */
	MONTH_STUCK,   /* given up waiting for; still being tried */
};

#define MONTH_NAME 24

struct months;

struct months *months_create(
    struct pg *control, void (*changed)(void *arg), void *arg);
void months_destroy(struct months *);

void months_connected(struct months *);
void months_lost(struct months *);

/* month is its first microsecond, as timestamp_month_start(). */
enum month_state months_state(const struct months *, int64_t month);
void months_want(struct months *, int64_t month);
/* A month wanted is MONTH_STUCK from now on, until it is there. */
void months_give_up(struct months *, int64_t month);
/* Asks for this month and the next, tries again: several times a second. */
void months_ahead(struct months *);
/* A partition was not there: reads the catalogue again. */
void months_reload(struct months *);
/* The catalogue has been read and nothing is being made. */
bool months_is_settled(const struct months *);
/* The refused become unknown again: the clock goes on. */
void months_forget_refused(struct months *);

/* Of the partition, without its schema. */
void month_name(int64_t month, char name[MONTH_NAME]);

#endif
