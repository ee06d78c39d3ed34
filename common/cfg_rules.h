/* SPDX-License-Identifier: MIT */
/*
 * cfg_rules.h - what must hold between directives
 *
 * Runs in   anywhere; pure
 * Failure   -1, a sentence, and in *about the directives it is about, ended by
 *           CFG_ID_COUNT: static, the caller's to read
 */
#ifndef PGD_COMMON_CFG_RULES_H
#define PGD_COMMON_CFG_RULES_H

#include "common/cfg.h"
#include "common/cfg_value.h"
#include "common/err.h"

#define CFG_RULES_ALL (~0u)

/* Those rules that are about a directive one of who (bits) reads. */
int cfg_rules_check(const struct cfg *, unsigned who, const enum cfg_id **about,
    struct err *) MUST_CHECK;

#endif
