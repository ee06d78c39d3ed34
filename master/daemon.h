/* SPDX-License-Identifier: MIT */
/*
 * daemon.h - into the background, without a lie about having got there
 *
 * Runs in   master
 * Promises  the process that was called returns when the daemon is up or has
 *           failed, with the daemon's word for it
 */
#ifndef PGD_MASTER_DAEMON_H
#define PGD_MASTER_DAEMON_H

#include "common/err.h"

/*
 * Returns, in the daemon, the descriptor to report on.  The process that was
 * called waits here and exits.
 */
int daemon_detach(struct err *) MUST_CHECK;

/*
 * Reports the exit code that the waiting process shall have and closes fd; 0
 * says that the daemon is up, and standard input and outputs are let go.
 */
void daemon_report(int fd, int code);

/* Puts /dev/null in the place of standard input and outputs. */
void daemon_let_go(void);

#endif
