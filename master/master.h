/* SPDX-License-Identifier: MIT */
/*
 * master.h - the supervisor
 *
 * Runs in   master
 * Owns      the configuration, listeners, shared memory, children, pid file
 * Promises  its event base is alone with it: no child touches it; it does not
 *           die of anything a child says or does
 *
 *                      HUP: reload_begin()
 *   STARTING --------> RUNNING <------------------------+
 *     |  all children    |   \--> next != NULL: a new   |
 *     |  have STARTED    |        generation is starting| reload_commit()
 *     |                  |        beside the old one ---+ or reload_abort()
 *     |                  |
 *     |                  +-- QUIT: master_quit() --> QUITTING
 *     |                  |      workers drain, then the aggregator
 *     +------------------+-- TERM, INT: master_stop() --> STOPPING
 *                               everybody at once
 */
#ifndef PGD_MASTER_MASTER_H
#define PGD_MASTER_MASTER_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>

#include "common/cfg.h"
#include "common/shm.h"
#include "master/child.h"
#include "master/listen.h"

enum master_phase {
	MASTER_STARTING, /* not everybody has been up once */
	MASTER_RUNNING,
	MASTER_QUITTING,
	MASTER_STOPPING,
};

struct master {
	const char *path; /* of the configuration, absolute */
	bool foreground;
	enum master_phase phase;
	int exit_code;

	struct cfg *cfg;     /* what the current generation runs with */
	struct cfg *next;    /* what the next is starting with, or NULL */
	unsigned generation; /* the current one; the next has one more */
	bool reload_pending; /* HUP came when it could not be done yet */
	uint64_t quit_by_ms; /* when QUITTING has to be over */

	struct event_base *base;
	struct event *signal_event;
	struct event *start_timer;
	struct listeners listeners;
	struct shm *shm;
	struct child *workers; /* shm->slots of them: by shm_slot() */
	struct child aggregator;
	int log_fd;
	int ready_fd; /* to whoever waits for us to be up, or -1 */
};

/*
 * Takes cfg and runs until told to stop.  Returns the exit code.  ready_fd is
 * daemon_detach()'s, -1 in the foreground.
 */
int master_run(
    struct cfg *take_cfg, const char *path, bool foreground, int ready_fd);

/* --- for the other files of this room --- */

/*
 * The aggregator ends by itself when stop_timeout has passed.  Killed at the
 * same moment it could not say so; a worker has nothing to say.
 */
#define AGGREGATOR_GRACE_MS 2000

/* What signals do. */
void master_stop(struct master *);
void master_quit(struct master *);
void master_reap(struct master *);

/* What a child causes by saying that it serves. */
void master_child_started(struct master *, struct child *);

/* The configuration a child of that generation runs with. */
const struct cfg *master_cfg_of(const struct master *, const struct child *);
struct child *master_worker(
    const struct master *, unsigned generation, unsigned number);
/* True when all workers of a generation serve. */
bool master_is_serving(const struct master *, unsigned generation);

/* Opens the log that cfg names, anew if it was open. */
int master_open_log(struct master *, struct err *) MUST_CHECK;

#endif
