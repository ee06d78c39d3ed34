/* SPDX-License-Identifier: MIT */
/*
 * schema.h - have the tables the columns that are written
 *
 * Runs in   aggregator; pure: the catalogue's answer in, verdict out
 * Failure   -1 and the first column that differs, and what to do
 * Tests     t/unit/schema_test.c
 */
#ifndef PGD_AGGREGATOR_SCHEMA_H
#define PGD_AGGREGATOR_SCHEMA_H

#include <libpq-fe.h>

#include "common/err.h"

/* Columns of events and session_state: table, name, type, must be given. */
extern const char schema_sql[];

int schema_check(const PGresult *, struct err *) MUST_CHECK;

#endif
