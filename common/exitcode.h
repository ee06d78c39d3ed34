/* SPDX-License-Identifier: MIT */
/*
 * exitcode.h - what an exit status of one of our processes means
 *
 * The numbers are those of sysexits.h, which service managers know.
 */
#ifndef PGD_COMMON_EXITCODE_H
#define PGD_COMMON_EXITCODE_H

enum exitcode {
	EXIT_DONE = 0,      /* did what it was asked to do */
	EXIT_USAGE = 64,    /* command line not understood */
	EXIT_REFUSED = 65,  /* ctl: what was named is not there, or is taken */
	EXIT_DATABASE = 69, /* ctl: PostgreSQL away or refused */
	EXIT_INTERNAL = 70, /* our fault; the master starts another */
	EXIT_OS = 71,       /* the system refused fork, memory or a socket */
	EXIT_PENDING = 75,  /* ctl: the database wants "migrate" first */
	EXIT_CONFIG = 78,   /* the configuration is at fault: no respawn */
};

#endif
