/* SPDX-License-Identifier: MIT */
/*
 * signals.h - what the master does on which signal: one table
 *
 * Runs in   master
 */
#ifndef PGD_MASTER_SIGNALS_H
#define PGD_MASTER_SIGNALS_H

#include "common/err.h"
#include "master/master.h"

/* Blocks the table's signals; from then on they come as events. */
int signals_open(struct master *, struct err *) MUST_CHECK;
void signals_close(struct master *);

/* The signal that "-s word" sends, or 0. */
int signals_by_word(const char *word);

#endif
