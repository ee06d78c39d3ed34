/* SPDX-License-Identifier: MIT */
/*
 * cfg.h - the configuration, immutable once loaded
 *
 * Runs in   all; the file is read in the master and in productgraphctl
 * Owns      struct cfg and all its strings
 * Promises  every value lies within the bounds of cfg.def, and the rules
 *           between directives hold
 * Failure   NULL and file, line, what was wrong, what is allowed
 * Tests     t/unit/cfg_test.c
 */
#ifndef PGD_COMMON_CFG_H
#define PGD_COMMON_CFG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/err.h"
#include "common/proc.h"

struct cfg_list {
	char **items;
	size_t n;
};

/* COUNT BYTES MSEC TEXT PATH LIST WORD, as members. */
#define CFG_C_COUNT uint32_t
#define CFG_C_BYTES size_t
#define CFG_C_MSEC uint64_t
#define CFG_C_TEXT char *
#define CFG_C_PATH char *
#define CFG_C_LIST struct cfg_list
#define CFG_C_WORD int

struct cfg {
#define DIRECTIVE(                                                             \
    section, name, type, member, def, min, max, words, when, who, doc)         \
	CFG_C_##type member;
#include "common/cfg.def"
};

enum cfg_unknown_types {
	CFG_UNKNOWN_REJECT,
	CFG_UNKNOWN_STORE,
};

/* Returns a new object that the caller destroys, or NULL. */
struct cfg *cfg_load(const char *path, struct err *);
/*
 * The same for one process, which may ask for less: rules between directives
 * that it does not read are not applied.
 */
struct cfg *cfg_load_for(enum proc, const char *path, struct err *);
/* The defaults alone; for tests and for documents. */
struct cfg *cfg_default(void);
void cfg_destroy(struct cfg *);

/* Returns a copy that holds only what proc may see; the rest is empty or 0. */
struct cfg *cfg_slice(const struct cfg *, enum proc);

/* Writes a file that loads to the same configuration (-T). */
void cfg_dump(const struct cfg *, FILE *);
/* Writes the reference of all directives in mdoc. */
void cfg_print_mdoc(FILE *);
/*
 * Writes the names, comma separated, of directives that differ and that a
 * reload cannot change; returns how many.
 */
size_t cfg_restart_needed(
    const struct cfg *old, const struct cfg *new, char *names, size_t size);
/*
 * Puts old's values of all that a reload cannot change into new, so that
 * nothing is half applied; -1 when the rules do not hold for that mixture.
 */
int cfg_keep_restart(
    struct cfg *new, const struct cfg *old, struct err *) MUST_CHECK;
/* True when something that proc may see differs. */
bool cfg_differs(const struct cfg *, const struct cfg *, enum proc);
/*
 * True when certificate and key are needed.  Rules, check and worker all ask
 * here, so that none demands what another does without.
 */
bool cfg_uses_tls(const struct cfg *);

#endif
