/* SPDX-License-Identifier: MIT */
/*
 * cfg_file.h - reads productgraph.conf into a struct cfg
 *
 * Runs in   wherever the file is read: master, ctl
 * Requires  one call at a time in a process: libConfuse's scanner is global
 * Failure   -1 and "file:line: what"; the struct may then hold anything
 * Blocking  on the disk
 */
#ifndef PGD_COMMON_CFG_FILE_H
#define PGD_COMMON_CFG_FILE_H

#include "common/cfg.h"
#include "common/err.h"

/*
 * cfg holds the defaults; what the file gives replaces them.  who: whose rules
 * must hold, as in cfg_rules_check().
 */
int cfg_file_read(
    const char *path, unsigned who, struct cfg *, struct err *) MUST_CHECK;

#endif
