/* SPDX-License-Identifier: MIT */
/*
 * proc.h - what every process of the daemon does at its start
 *
 * Runs in   master (its own kind only) and children right after their fork
 * Promises  a child that returns from proc_drop() holds no privilege it could
 *           take back
 * Failure   an exit code and the reason; a child exits on it
 *
 * A child goes through these steps in this order; the first two are boot.c's,
 * all others its <room>_main()'s:
 *
 *   1  signals: proc_signals()
 *   2  its part of the configuration; all the rest is wiped
 *   3  name: proc_enter()
 *   4  descriptors of others: proc_close_others()
 *   5  limits: proc_raise_files()
 *   6  secrets, while root can still read them
 *   7  privileges, directory, parent: proc_drop()
 *   8  memory, event base and all that hangs on it
 *   9  CONTROL_STARTED
 *  10  the loop
 */
#ifndef PGD_COMMON_PROC_H
#define PGD_COMMON_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/err.h"

enum proc {
#define PROC(id, title) PROC_##id,
#include "common/proc.def"
	PROC_COUNT
};

/* The bit of a process in the mask of cfg.def. */
#define WHO(id) (1u << PROC_##id)

const char *proc_title(enum proc);

/* Before proc_enter(), and before the arguments are looked at. */
void proc_title_init(int argc, char **argv);

/*
 * Whether the daemon may give its children to user: 0 and the uid, or the exit
 * code and the reason.  Looks into the system's accounts, which may block.
 */
int proc_account(const char *user, uid_t *, struct err *) MUST_CHECK;

/*
 * For a child: ignores what a terminal sends to the whole group, because the
 * master says over the control socket what it means, and SIGPIPE; and unblocks
 * what the master had blocked for the fork.
 */
void proc_signals(void);

/*
 * Sets the title ("productgraphd: worker 2") and the log
 * prefix ("worker 2").  number is -1 for a process that exists once.
 */
void proc_enter(enum proc, int number);

/* Closes every descriptor above 2 that is not in keep; sorts keep. */
void proc_close_others(int *keep, size_t n);

/* Raises RLIMIT_NOFILE to at least n, as far as the system lets us. */
void proc_raise_files(size_t n);

/*
 * Becomes user with its groups, changes to "/", proves that root cannot be
 * taken back, sets no_new_privs, and arranges to be killed with the parent.
 * When not started as root it keeps the user and does the rest.  0, or the exit
 * code and the reason: EXIT_CONFIG when the account is at fault.
 */
int proc_drop(const char *user, pid_t parent, struct err *) MUST_CHECK;

/*
 * Wipes from the environment what belongs to libpq (PG*), in place, so that
 * no credential shows in any child's /proc/PID/environ.  First thing in main.
 */
void proc_scrub_environment(void);

#endif
