/* SPDX-License-Identifier: MIT */
/*
 * stamp.h - was a file replaced or written to since?
 *
 * For secrets, which the master may look at from outside alone.
 *
 * Runs in   master
 * Owns      nothing
 * Blocking  as long as stat(2) does
 * Failure   a file that cannot be looked at is like no file; the check of the
 *           configuration says why
 */
#ifndef PGD_MASTER_STAMP_H
#define PGD_MASTER_STAMP_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

struct stamp {
	dev_t device;
	ino_t inode; /* 0: no file */
	off_t size;
	struct timespec changed;
};

struct stamp stamp_of(const char *path);
bool stamp_equal(const struct stamp *, const struct stamp *);

#endif
