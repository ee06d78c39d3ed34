/* SPDX-License-Identifier: MIT */
/*
 * check.h - are the files and accounts that a configuration names fit for use?
 *
 * Runs in   master; the looking is done in a child thrown away, so that no
 *           secret ever enters the master's memory
 * Blocking  up to CHECK_TIMEOUT_S, when a file lies on a disk that hangs
 * Failure   -1 and the reason
 */
#ifndef PGD_MASTER_CHECK_H
#define PGD_MASTER_CHECK_H

#include "common/cfg.h"
#include "common/err.h"

#define CHECK_TIMEOUT_S 10

int check_config(const struct cfg *, struct err *) MUST_CHECK;

#endif
