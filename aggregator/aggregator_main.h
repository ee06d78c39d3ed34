/* SPDX-License-Identifier: MIT */
/*
 * aggregator_main.h - the aggregator, from its fork to its exit
 *
 * Runs in   aggregator
 * Requires  the descriptors of the boot struct open; all others it closes
 * Promises  does not return; exits with one of exitcode.h
 */
#ifndef PGD_AGGREGATOR_AGGREGATOR_MAIN_H
#define PGD_AGGREGATOR_AGGREGATOR_MAIN_H

#include <sys/types.h>

#include "common/cfg.h"
#include "common/shm.h"

struct aggregator_boot {
	const struct cfg *cfg; /* sliced for the aggregator */
	const struct shm *shm;
	pid_t master;
	int control_fd;
	int log_fd; /* SOCK_SEQPACKET, to the master; already in use by log.c */
};

_Noreturn void aggregator_main(const struct aggregator_boot *);

/* Reads the password file and parses conninfo; connects to nothing. */
int aggregator_check(const struct cfg *, struct err *) MUST_CHECK;

#endif
