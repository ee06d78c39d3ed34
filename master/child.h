/* SPDX-License-Identifier: MIT */
/*
 * child.h - one child process: its start, its sockets, its timer, its end
 *
 * Mechanism only: when a child is started, replaced or given up is decided in
 * master.c and reload.c.
 *
 * Runs in   master
 * Owns      the master's ends of the child's two sockets, and the timer
 * Promises  a child that does not start, end or speak as it should is killed
 *
 *            child_give_up()          child_schedule()
 *   FAILED <----------------- NONE -----------------> DUE
 *      |                      ^ |^                     ||
 *      +-- child_cancel() ----+ |+--- child_cancel() --+|
 *                               |                       |
 *                 child_start() |                       | timer:
 *                               v                       | child_start()
 *         +---------------- STARTING <------------------+
 *         |                     | CONTROL_STARTED
 *         | child_end()         v
 *         |                  SERVING
 *         |                     | child_end()
 *         |                     v
 *         +----------------> ENDING
 *
 * child_reaped() leads from the lower three, which have a process, to NONE.
 */
#ifndef PGD_MASTER_CHILD_H
#define PGD_MASTER_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <event2/event.h>

#include "common/control.h"
#include "common/err.h"
#include "common/proc.h"
#include "master/stamp.h"

struct master;

enum child_state {
	CHILD_NONE,     /* no process, none is due */
	CHILD_DUE,      /* no process; the timer starts one */
	CHILD_STARTING, /* has not said STARTED; the timer kills it */
	CHILD_SERVING,
	CHILD_ENDING, /* told to end; the timer kills it */
	CHILD_FAILED, /* no process: its configuration is at fault */
	CHILD_STATE_COUNT
};

struct child {
	struct master *master;
	enum proc proc;
	unsigned number; /* within the generation */
	unsigned generation;
	char name[32]; /* "worker 2" */
	char who[64];  /* "worker 2[123]" */
	enum child_state state;
	pid_t pid; /* 0: no process */
	int control_fd;
	int log_fd;
	struct event *control_event;
	struct event *log_event;
	struct event *timer;
	struct stamp password; /* the aggregator's file, when it started */
	uint64_t started_ms;
	uint64_t backoff_ms; /* before the next start */
};

int child_init(struct child *, struct master *, enum proc, unsigned number,
    struct err *) MUST_CHECK;
void child_fini(struct child *);

/* Forks.  When that fails it is tried again after the back-off. */
void child_start(struct child *, unsigned generation);
/* Starts another one: at once after a long life, else after the back-off. */
void child_schedule(struct child *);
/* Tells it CONTROL_DRAIN or CONTROL_STOP, and kills it after timeout_ms. */
void child_end(struct child *, enum control_kind, uint64_t timeout_ms);
void child_kill(const struct child *);
/* It is not started again; only for a child without a process. */
void child_give_up(struct child *);
/* Nothing is due any longer; only for a child without a process. */
void child_cancel(struct child *);
/* Its process is gone: logs how and lets go of all that belonged to it. */
void child_reaped(struct child *, int status);

#endif
