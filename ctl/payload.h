/* SPDX-License-Identifier: MIT */
/*
 * payload.h - the event inside a dead letter, field by field
 *
 * PostgreSQL refused it, so nothing is taken for granted but what row_parse()
 * has found: text may be no UTF-8, json no JSON.
 *
 * Runs in   ctl
 * Failure   false, and nothing printed, when the bytes are no tuple of
 *           event_fields.def: another release may have written them
 * Tests     t/unit/payload_test.c
 */
#ifndef PGD_CTL_PAYLOAD_H
#define PGD_CTL_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A line for each field that is not null. */
bool payload_print(FILE *, const uint8_t *, size_t);
/* An object with every field; members are named as the columns. */
bool payload_json(FILE *, const uint8_t *, size_t);

#endif
