/* SPDX-License-Identifier: MIT */
/*
 * session_cache.c - a table of sessions by age, each with a table of keys
 *
 * Who is remembered is decided here; what is a repeat, by whoever asks.
 */
#include "aggregator/session_cache.h"

#include <stdlib.h>
#include <string.h>

/* What malloc() adds, give or take: the limit is on what is really used. */
#define MALLOC_BYTES 16

#define FIRST_CHAINS 1024
#define FIRST_PLACES 8

/* One session may have this part of the cache for its keys. */
#define LARGE_PART 64

LIST_HEAD(chain, cached_session);

struct session_cache {
	size_t limit;
	size_t bytes;
	size_t sessions;
	struct chain *chains;
	size_t nchains;
	TAILQ_HEAD(, cached_session) ages; /* the last was used last */
};

/* ---- the keys of a session ----------------------------------------------- */

size_t
session_cache_most_keys(const struct session_cache *cache)
{
	return cache->limit / LARGE_PART / sizeof(struct event_key);
}

static size_t
keys_bytes(size_t places)
{
	return places == 0 ? 0
			   : places * sizeof(struct event_key) + MALLOC_BYTES;
}

/* The place of the key, or the free one where it would be. */
static size_t
keys_place(const struct event_key *keys, size_t places, struct event_key key)
{
	size_t at = event_key_place(key) & (places - 1);

	while (!event_key_is_none(keys[at]) && !event_key_equal(keys[at], key))
		at = (at + 1) & (places - 1);
	return at;
}

bool
cached_session_has(const struct cached_session *session, struct event_key key)
{
	if (session->places == 0)
		return false;
	return !event_key_is_none(
	    session->keys[keys_place(session->keys, session->places, key)]);
}

static int
keys_grow(struct session_cache *cache, struct cached_session *session)
{
	size_t places =
	    session->places == 0 ? FIRST_PLACES : session->places * 2;
	struct event_key *keys = calloc(places, sizeof(*keys));
	size_t i;

	if (keys == NULL)
		return -1;
	for (i = 0; i < session->places; i++) {
		if (!event_key_is_none(session->keys[i]))
			keys[keys_place(keys, places, session->keys[i])] =
			    session->keys[i];
	}
	cache->bytes += keys_bytes(places) - keys_bytes(session->places);
	free(session->keys);
	session->keys = keys;
	session->places = places;
	return 0;
}

int
cached_session_learn(struct session_cache *cache,
    struct cached_session *session, struct event_key key)
{
	size_t at;

	if (session->is_large)
		return 0;
	if (session->nkeys >= session_cache_most_keys(cache)) {
		cached_session_enlarge(cache, session);
		return 0;
	}
	/* A fourth stays free, so that a search ends soon. */
	if (session->nkeys + 1 > session->places / 4 * 3 &&
	    keys_grow(cache, session) == -1)
		return -1;
	at = keys_place(session->keys, session->places, key);
	if (event_key_is_none(session->keys[at]))
		session->nkeys++;
	session->keys[at] = key;
	return 0;
}

void
cached_session_enlarge(
    struct session_cache *cache, struct cached_session *session)
{
	cache->bytes -= keys_bytes(session->places);
	free(session->keys);
	session->keys = NULL;
	session->nkeys = session->places = 0;
	session->is_large = true;
}

/* ---- sessions ------------------------------------------------------------ */

static size_t
session_bytes(size_t id_len)
{
	return sizeof(struct cached_session) + id_len + MALLOC_BYTES;
}

/* The first ones are always there: the least that a cache is. */
static size_t
chains_bytes(size_t nchains)
{
	return (nchains - FIRST_CHAINS) * sizeof(struct chain);
}

static struct chain *
chain_of(const struct session_cache *cache, struct event_key hash)
{
	return &cache->chains[event_key_place(hash) & (cache->nchains - 1)];
}

struct cached_session *
session_cache_find(struct session_cache *cache, struct event_key hash,
    const uint8_t project_id[UUID_BYTES], const char *id, size_t id_len)
{
	struct cached_session *session;

	LIST_FOREACH (session, chain_of(cache, hash), chain) {
		if (event_key_equal(session->hash, hash) &&
		    session->id_len == id_len &&
		    memcmp(session->project_id, project_id, UUID_BYTES) == 0 &&
		    memcmp(session->id, id, id_len) == 0)
			return session;
	}
	return NULL;
}

/* Without memory for other chains the old ones just stay. */
static bool
chains_resize(struct session_cache *cache, size_t nchains)
{
	struct chain *chains = calloc(nchains, sizeof(*chains));
	struct cached_session *session;

	if (chains == NULL)
		return false;
	cache->bytes -= chains_bytes(cache->nchains);
	cache->bytes += chains_bytes(nchains);
	free(cache->chains);
	cache->chains = chains;
	cache->nchains = nchains;
	TAILQ_FOREACH (session, &cache->ages, age)
		LIST_INSERT_HEAD(
		    chain_of(cache, session->hash), session, chain);
	return true;
}

struct cached_session *
session_cache_add(struct session_cache *cache, struct event_key hash,
    const uint8_t project_id[UUID_BYTES], const char *id, size_t id_len)
{
	struct cached_session *session = calloc(1, sizeof(*session) + id_len);

	if (session == NULL)
		return NULL;
	session->hash = hash;
	session->started_us = INT64_MAX;
	session->ended_us = INT64_MIN;
	session->id_len = (uint32_t)id_len;
	memcpy(session->project_id, project_id, UUID_BYTES);
	memcpy(session->id, id, id_len);
	if (cache->sessions == cache->nchains)
		(void)chains_resize(cache, cache->nchains * 2);
	LIST_INSERT_HEAD(chain_of(cache, hash), session, chain);
	TAILQ_INSERT_TAIL(&cache->ages, session, age);
	cache->sessions++;
	cache->bytes += session_bytes(id_len);
	return session;
}

void
session_cache_touch(struct session_cache *cache, struct cached_session *session)
{
	TAILQ_REMOVE(&cache->ages, session, age);
	TAILQ_INSERT_TAIL(&cache->ages, session, age);
}

void
session_cache_forget(
    struct session_cache *cache, struct cached_session *session)
{
	LIST_REMOVE(session, chain);
	TAILQ_REMOVE(&cache->ages, session, age);
	cache->sessions--;
	cache->bytes -=
	    session_bytes(session->id_len) + keys_bytes(session->places);
	free(session->keys);
	free(session);
}

/* One large batch must not leave a small cache with nothing but chains. */
static bool
chains_shrink(struct session_cache *cache)
{
	return cache->nchains > FIRST_CHAINS &&
	    cache->sessions < cache->nchains / 4 &&
	    chains_resize(cache, cache->nchains / 2);
}

void
session_cache_trim(struct session_cache *cache)
{
	while (cache->bytes > cache->limit && !TAILQ_EMPTY(&cache->ages)) {
		if (!chains_shrink(cache))
			session_cache_forget(cache, TAILQ_FIRST(&cache->ages));
	}
}

void
session_cache_clear(struct session_cache *cache)
{
	while (!TAILQ_EMPTY(&cache->ages))
		session_cache_forget(cache, TAILQ_FIRST(&cache->ages));
}

size_t
session_cache_bytes(const struct session_cache *cache)
{
	return cache->bytes;
}

size_t
session_cache_sessions(const struct session_cache *cache)
{
	return cache->sessions;
}

/* ---- life ---------------------------------------------------------------- */

struct session_cache *
session_cache_create(size_t bytes)
{
	struct session_cache *cache = calloc(1, sizeof(*cache));

	if (cache == NULL)
		return NULL;
	cache->limit = bytes;
	cache->nchains = FIRST_CHAINS;
	TAILQ_INIT(&cache->ages);
	cache->chains = calloc(cache->nchains, sizeof(*cache->chains));
	if (cache->chains == NULL) {
		free(cache);
		return NULL;
	}
	return cache;
}

void
session_cache_destroy(struct session_cache *cache)
{
	if (cache == NULL)
		return;
	session_cache_clear(cache);
	free(cache->chains);
	free(cache);
}
