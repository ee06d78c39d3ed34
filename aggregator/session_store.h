/* SPDX-License-Identifier: MIT */
/*
 * session_store.h - the sessions of a batch, in the database
 *
 * Before a batch's rows are stored, session_store_learn():
 *
 *   look up   sessions that the cache does not know: their keys, or a new one
 *   load      the events of those that are there, into the cache
 *   probe     the events of those that are too large for it, or too much for
 *             one batch
 *
 * after which the batch holds no event that is stored, and its rows their
 * session's key.  After its rows, session_store_merge(): new sessions are
 * inserted, known ones updated.  After the commit, session_store_keep().
 *
 * Another node may write the same session meanwhile.  Then its event_count, or
 * its being there, is not what the batch began with: merge says so, and the
 * batch is to be done again from session_store_forget() on.
 *
 * Runs in   aggregator
 * Owns      the requests; borrows the batch and the connection from a call
 *           until done(), or until the connection is lost
 * Failure   done() with the fault; nothing is known then
 * Blocking  never
 */
#ifndef PGD_AGGREGATOR_SESSION_STORE_H
#define PGD_AGGREGATOR_SESSION_STORE_H

#include "aggregator/batch.h"
#include "aggregator/pg.h"
#include "aggregator/session_cache.h"

enum store_result {
	STORE_DONE,
	STORE_CHANGED, /* by somebody else: roll back, forget, do it again */
	STORE_FAILED,
};

/* fault is set for STORE_FAILED alone; borrowed for the call. */
typedef void session_done_fn(
    void *arg, enum store_result, const struct pg_fault *);

struct session_store;

/* NULL when there is no memory. */
struct session_store *session_store_create(struct pg *, struct session_cache *,
    session_done_fn *learnt, session_done_fn *merged, void *arg);
void session_store_destroy(struct session_store *);

/* In a transaction of read committed, both. */
void session_store_learn(struct session_store *, struct batch *);
void session_store_merge(struct session_store *, struct batch *);

/* The batch is committed: what it brought goes into the cache. */
void session_store_keep(struct session_store *, struct batch *);
/* What the cache says of the batch's sessions is not so. */
void session_store_forget(struct session_store *, struct batch *);

#endif
