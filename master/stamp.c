/* SPDX-License-Identifier: MIT */
/*
 * stamp.c - tells one state of a file from another without reading it
 *
 * By the time of the inode's change, which, other than that of its contents,
 * nobody can set back.
 */
#include "master/stamp.h"

#include <sys/stat.h>

struct stamp
stamp_of(const char *path)
{
	struct stat st;

	if (stat(path, &st) == -1)
		return (struct stamp){.inode = 0};
	return (struct stamp){
	    .device = st.st_dev,
	    .inode = st.st_ino,
	    .size = st.st_size,
	    .changed = st.st_ctim,
	};
}

bool
stamp_equal(const struct stamp *a, const struct stamp *b)
{
	return a->device == b->device && a->inode == b->inode &&
	    a->size == b->size && a->changed.tv_sec == b->changed.tv_sec &&
	    a->changed.tv_nsec == b->changed.tv_nsec;
}
