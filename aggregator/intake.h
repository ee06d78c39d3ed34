/* SPDX-License-Identifier: MIT */
/*
 * intake.h - takes what all rings hold into batches
 *
 * Runs in   aggregator
 * Owns      the mappings of the rings and the batch
 * Promises  a record stays in its ring until the batch that holds it is
 *           released, so a batch can be dropped and gathered again
 * Requires  one batch at a time
 * Failure   a worker's malformed bytes are counted, told to the log at most
 *           once per interval, and skipped; a ring whose head is no position is
 *           left out.  Without memory the batch ends early
 * Blocking  never; wake() says that intake_collect() is worth another call
 */
#ifndef PGD_AGGREGATOR_INTAKE_H
#define PGD_AGGREGATOR_INTAKE_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>

#include "aggregator/batch.h"
#include "common/cfg.h"
#include "common/err.h"
#include "common/shm.h"

enum intake_result {
	INTAKE_EMPTY,     /* the rings are; wake() follows */
	INTAKE_GATHERING, /* a batch has begun; wake() follows */
	INTAKE_BATCH,     /* a batch is to be written */
};

struct intake;

/* The cache of sessions and the table of projects are borrowed. */
struct intake *intake_create(struct event_base *, const struct cfg *,
    const struct shm *, struct session_cache *, const struct keytable *,
    void (*wake)(void *arg), void *arg, struct err *);
void intake_destroy(struct intake *);

enum intake_result intake_collect(struct intake *);
struct batch *intake_batch(struct intake *);
/* By slot: the position that is safe once the batch is. */
const uint64_t *intake_ends(const struct intake *);

/* The batch is safe: acknowledges it to the workers and begins the next. */
void intake_release(struct intake *);

/*
 * Drops the batch and goes on at what the database holds, by slot: what lies
 * before is acknowledged.  A position that is in no ring counts for nothing.
 */
void intake_resume(struct intake *, const uint64_t *stored);

/*
 * From now on a batch does not wait for more, and what the rings hold at this
 * moment is remembered.
 */
void intake_hurry(struct intake *);
/* After intake_hurry(): all that was remembered has been released. */
bool intake_is_past(const struct intake *);

#endif
