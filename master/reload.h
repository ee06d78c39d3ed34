/* SPDX-License-Identifier: MIT */
/*
 * reload.h - a new generation with a new configuration, or nothing
 *
 * Runs in   master
 * Promises  the configuration in use is replaced as a whole, when every new
 *           worker serves with it, and is untouched by anything that goes
 *           wrong before
 */
#ifndef PGD_MASTER_RELOAD_H
#define PGD_MASTER_RELOAD_H

#include "master/master.h"

/*
 * Opens the log anew; begins a reload, or notes that one is to follow that
 * under way.
 */
void reload_request(struct master *);
/* Begins one that was noted, if it can be done now. */
void reload_resume(struct master *);

/* A worker of the next generation serves. */
void reload_started(struct master *);
/* A worker of the next generation died before all of it served. */
void reload_abort(struct master *, const char *reason);

#endif
