/* SPDX-License-Identifier: MIT */
/*
 * event_row.h - an event's values, checked and coerced, as a row of the ring
 *
 * Runs in   worker; pure
 * Requires  an event of sound structure, of the project given; room for its
 *           bytes and ROW_OVERHEAD_MAX
 * Failure   false: the fault names the first field, in the order of
 *           event_fields.def, that cannot be stored; nothing was written that
 *           counts
 * Tests     t/unit/decode_test.c
 */
#ifndef PGD_WORKER_EVENT_ROW_H
#define PGD_WORKER_EVENT_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cfg.h"
#include "common/keytable.h"
#include "worker/event.h"

/* What is the same for all events of a batch. */
struct event_context {
	const struct cfg *cfg;
	const struct project *project; /* NULL: none is known (yet) */
	const char *not_the_project;   /* why an event of another is rejected */
	int64_t received_at_us;
	const char *body_end;
};

/* *bytes: of the row with its head, a multiple of 8. */
bool event_write_row(const struct event *, const struct event_context *,
    uint8_t *row, size_t *bytes, struct event_fault *);

#endif
