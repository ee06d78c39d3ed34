/* SPDX-License-Identifier: MIT */
/*
 * worker_main.h - a worker, from its fork to its exit
 *
 * Runs in   worker
 * Requires  the descriptors of the boot struct open; all others it closes
 * Promises  does not return; exits with one of exitcode.h
 */
#ifndef PGD_WORKER_WORKER_MAIN_H
#define PGD_WORKER_WORKER_MAIN_H

#include <stddef.h>
#include <sys/types.h>

#include "common/cfg.h"
#include "common/listen_socket.h"
#include "common/shm.h"

struct worker_boot {
	const struct cfg *cfg; /* sliced for the worker */
	const struct shm *shm;
	unsigned number; /* from 0, within the generation */
	unsigned slot;
	pid_t master;
	int control_fd;
	int log_fd; /* SOCK_SEQPACKET, to the master; already in use by log.c */
	const struct listen_socket *listeners;
	size_t nlisteners;
};

_Noreturn void worker_main(const struct worker_boot *);

/*
 * Loads certificate and key and completes a handshake with itself.  For the
 * master's check of a configuration, in a child that is thrown away.
 */
int worker_check_tls(const struct cfg *, struct err *) MUST_CHECK;

#endif
