/* SPDX-License-Identifier: MIT */
/*
 * proc.h - what every process of the daemon does at its start, in this order
 *
 * Runs in   master (its own kind only) and children right after their fork
 * Promises  a child that returns from proc_drop() holds no privilege it could
 *           take back
 * Failure   -1 and the reason; a child exits on it
 */
#ifndef PGD_COMMON_PROC_H
#define PGD_COMMON_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/err.h"

enum proc {
#define PROC(id, title, doc) PROC_##id,
#include "common/proc.def"
	PROC_COUNT
};

/* The bit of a process in the mask of cfg.def. */
#define WHO(id) (1u << PROC_##id)

const char *proc_title(enum proc);

/*
 * Remembers the kind, sets the title ("productgraphd: worker 2") and the log
 * prefix ("worker 2").  number is -1 for a process that exists once.
 */
void proc_enter(enum proc, int number);
enum proc proc_current(void);

/* Closes every descriptor above 2 that is not in keep; sorts keep. */
void proc_close_others(int *keep, size_t n);

/* Raises RLIMIT_NOFILE to at least n, as far as the system lets us. */
void proc_raise_files(size_t n);

/*
 * Becomes user with its groups, changes to "/", proves that root cannot be
 * taken back, sets no_new_privs, and arranges to be killed with the parent.
 * When not started as root it keeps the user and does the rest.
 */
int proc_drop(const char *user, pid_t parent, struct err *) MUST_CHECK;

/*
 * Wipes from the environment what belongs to libpq (PG*), in place, so that
 * no credential shows in any child's /proc/PID/environ.  First thing in main.
 */
void proc_scrub_environment(void);

#endif
