/* SPDX-License-Identifier: MIT */
/*
 * session_cache.h - the sessions seen lately, and the keys of their events
 *
 * What is here is what the database holds: a batch asks, and adds what it
 * brought after its commit.  So nothing has to be withdrawn when a batch fails,
 * and a session that is not here costs a query, never an event.
 *
 * Runs in   aggregator; pure
 * Owns      its sessions; a pointer to one is borrowed until the next
 *           session_cache_trim() or _clear()
 * Promises  at most the bytes given and those of an empty cache, after
 *           session_cache_trim(), which drops what was used longest ago.  A
 *           session of more than session_cache_most_keys() events is kept
 *           without their keys
 * Failure   NULL or -1 when there is no memory; a session that could not learn
 *           a key is to be forgotten, so that what is here is never a part
 * Tests     t/unit/session_cache_test.c
 */
#ifndef PGD_AGGREGATOR_SESSION_CACHE_H
#define PGD_AGGREGATOR_SESSION_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "aggregator/event_key.h"
#include "common/err.h"
#include "common/uuid.h"

struct cached_session {
	int64_t session_key;
	int64_t event_count; /* as the database has it */
	int64_t started_us;  /* the events lie between; as timestamp_now() */
	int64_t ended_us;
	bool is_large; /* its keys are not here: ask the database */

	/* private */
	LIST_ENTRY(cached_session) chain;
	TAILQ_ENTRY(cached_session) age;
	struct event_key hash;
	struct event_key *keys; /* a table with free places */
	size_t nkeys;
	size_t places;
	uint8_t project_id[UUID_BYTES];
	uint32_t id_len;
	char id[];
};

struct session_cache;

struct session_cache *session_cache_create(size_t bytes);
void session_cache_destroy(struct session_cache *);

/* How many events a session may have and its keys be kept. */
size_t session_cache_most_keys(const struct session_cache *);

/* NULL when it is not here.  hash is event_key_of_session() of the rest. */
struct cached_session *session_cache_find(struct session_cache *,
    struct event_key hash, const uint8_t project_id[UUID_BYTES], const char *id,
    size_t id_len);

/* Adds one that is not here, without events. */
struct cached_session *session_cache_add(struct session_cache *,
    struct event_key hash, const uint8_t project_id[UUID_BYTES], const char *id,
    size_t id_len);

/* Not for one that is_large. */
bool cached_session_has(const struct cached_session *, struct event_key);
int cached_session_learn(
    struct session_cache *, struct cached_session *, struct event_key);

/* It holds, or will hold, more keys than fit: keeps it without them. */
void cached_session_enlarge(struct session_cache *, struct cached_session *);

/* It was used: it goes last. */
void session_cache_touch(struct session_cache *, struct cached_session *);
void session_cache_forget(struct session_cache *, struct cached_session *);
void session_cache_trim(struct session_cache *);
void session_cache_clear(struct session_cache *);

/* For tests and the log. */
size_t session_cache_bytes(const struct session_cache *);
size_t session_cache_sessions(const struct session_cache *);

#endif
