/* SPDX-License-Identifier: MIT */
/*
 * migration_files.h - the numbered SQL files of a directory
 *
 * Runs in   ctl
 * Owns      struct migration_files and all it points to, until
 *           migration_files_free()
 * Promises  items[i] is version i + 1: there is no gap, no version twice
 * Failure   -1 and the reason, which names the file; nothing to free
 */
#ifndef PGD_CTL_MIGRATION_FILES_H
#define PGD_CTL_MIGRATION_FILES_H

#include <stddef.h>

#include "common/err.h"

#define MIGRATION_CHECKSUM_TEXT 65 /* SHA-256 in hexadecimal, terminated */

struct migration {
	char *name; /* of the file: NNNN_name.sql */
	char *sql;
	char checksum[MIGRATION_CHECKSUM_TEXT];
};

struct migration_files {
	struct migration *items;
	size_t n;
};

int migration_files_load(
    struct migration_files *, const char *dir, struct err *) MUST_CHECK;
void migration_files_free(struct migration_files *);

#endif
