/* SPDX-License-Identifier: MIT */
/*
 * The cache knows what a plain model knows, and takes the memory it says.
 */
#include "aggregator/session_cache.h"

#include <criterion/criterion.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODEL_SESSIONS 40
#define MODEL_KEYS 60
#define STEPS 200000
#define MANY 20000
#define MEGABYTE ((size_t)1 << 20)

TestSuite(session_cache, .init = event_key_seed);

static const uint8_t project[2][UUID_BYTES] = {{1}, {2}};

static uint64_t
random_next(void)
{
	static uint64_t state = 88172645463325252;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state >> 16;
}

static struct event_key
hash_of(unsigned of, const char *id)
{
	return event_key_of_session(project[of], id, strlen(id));
}

static struct cached_session *
find(struct session_cache *cache, unsigned of, const char *id)
{
	return session_cache_find(
	    cache, hash_of(of, id), project[of], id, strlen(id));
}

static struct cached_session *
add(struct session_cache *cache, unsigned of, const char *id)
{
	struct cached_session *session = session_cache_add(
	    cache, hash_of(of, id), project[of], id, strlen(id));

	cr_assert_not_null(session);
	return session;
}

static struct cached_session *
add_number(struct session_cache *cache, size_t i)
{
	char id[32];

	(void)snprintf(id, sizeof(id), "session %zu", i);
	return add(cache, 0, id);
}

static struct cached_session *
find_number(struct session_cache *cache, size_t i)
{
	char id[32];

	(void)snprintf(id, sizeof(id), "session %zu", i);
	return find(cache, 0, id);
}

static struct event_key
key_of(size_t i)
{
	return event_key_of(&i, sizeof(i));
}

static void
learn(struct session_cache *cache, struct cached_session *session, size_t i)
{
	cr_assert_eq(cached_session_learn(cache, session, key_of(i)), 0);
}

/* ---- against a model ----------------------------------------------------- */

static struct {
	bool there;
	bool large;
	bool keys[MODEL_KEYS];
	size_t nkeys;
	uint64_t used;
} model[MODEL_SESSIONS];

static void
model_name(size_t i, char id[32])
{
	(void)snprintf(id, 32, "session %zu", i / 2);
}

static struct cached_session *
model_find(struct session_cache *cache, size_t i)
{
	char id[32];

	model_name(i, id);
	return find(cache, i % 2, id);
}

static void
model_forget(size_t i)
{
	memset(&model[i], 0, sizeof(model[i]));
}

static void
model_learn(struct session_cache *cache, size_t i, size_t key)
{
	struct cached_session *session = model_find(cache, i);

	learn(cache, session, key);
	if (model[i].large)
		return;
	if (model[i].nkeys == session_cache_most_keys(cache)) {
		model[i].large = true;
	} else if (!model[i].keys[key]) {
		model[i].keys[key] = true;
		model[i].nkeys++;
	}
}

static void
model_compare(struct session_cache *cache)
{
	const struct cached_session *session;
	size_t i, j, there = 0;

	for (i = 0; i < MODEL_SESSIONS; i++) {
		session = model_find(cache, i);
		cr_assert_eq(session != NULL, model[i].there, "%zu", i);
		there += model[i].there;
		if (!model[i].there)
			continue;
		cr_assert_eq(session->is_large, model[i].large);
		for (j = 0; j < MODEL_KEYS && !model[i].large; j++)
			cr_assert_eq(cached_session_has(session, key_of(j)),
			    model[i].keys[j], "key %zu of %zu", j, i);
	}
	cr_assert_eq(session_cache_sessions(cache), there);
}

/* Those that went were used before all that stayed. */
static void
model_trim(struct session_cache *cache)
{
	uint64_t newest_gone = 0, oldest = UINT64_MAX;
	size_t i;

	session_cache_trim(cache);
	for (i = 0; i < MODEL_SESSIONS; i++) {
		if (!model[i].there)
			continue;
		if (model_find(cache, i) != NULL) {
			if (model[i].used < oldest)
				oldest = model[i].used;
			continue;
		}
		if (model[i].used > newest_gone)
			newest_gone = model[i].used;
		model_forget(i);
	}
	cr_assert_lt(newest_gone, oldest);
}

static void
model_step(struct session_cache *cache, uint64_t now)
{
	size_t i = random_next() % MODEL_SESSIONS;
	char id[32];

	if (!model[i].there) {
		model_name(i, id);
		(void)add(cache, i % 2, id);
		model[i].there = true;
		model[i].used = now;
		return;
	}
	switch (random_next() % 64) {
	case 0:
		session_cache_forget(cache, model_find(cache, i));
		model_forget(i);
		break;
	case 1:
		cached_session_enlarge(cache, model_find(cache, i));
		model[i].large = true;
		break;
	case 2:
	case 3:
		session_cache_touch(cache, model_find(cache, i));
		model[i].used = now;
		break;
	case 4:
		model_trim(cache);
		break;
	default:
		model_learn(cache, i, random_next() % MODEL_KEYS);
		break;
	}
}

Test(session_cache, is_what_a_model_is)
{
	/* A session may have 32 keys, and not all sessions that. */
	struct session_cache *cache = session_cache_create(32 << 10);
	uint64_t step;

	cr_assert_not_null(cache);
	cr_assert_eq(session_cache_most_keys(cache), 32);
	for (step = 1; step <= STEPS; step++) {
		model_step(cache, step);
		if (step % 64 == 0)
			model_compare(cache);
	}
	session_cache_clear(cache);
	cr_expect_eq(session_cache_bytes(cache), 0);
	session_cache_destroy(cache);
}

/* ---- what it is asked ---------------------------------------------------- */

Test(session_cache, tells_projects_and_ids_apart)
{
	struct session_cache *cache = session_cache_create(MEGABYTE);
	struct cached_session *a = add(cache, 0, "id"), *b;

	cr_expect_null(find(cache, 1, "id"));
	b = add(cache, 1, "id");
	cr_expect_neq(a, b);
	cr_expect_eq(find(cache, 0, "id"), a);
	cr_expect_eq(find(cache, 1, "id"), b);
	learn(cache, a, 1);
	cr_expect_not(cached_session_has(b, key_of(1)));
	/* Of one hash, as by chance: each part is compared. */
	cr_expect_null(
	    session_cache_find(cache, hash_of(0, "id"), project[1], "id", 2));
	cr_expect_null(
	    session_cache_find(cache, hash_of(0, "id"), project[0], "iD", 2));
	cr_expect_null(
	    session_cache_find(cache, hash_of(0, "id"), project[0], "id\0", 3));
	cr_expect_null(
	    session_cache_find(cache, hash_of(0, "id"), project[0], "i", 1));
	session_cache_destroy(cache);
}

Test(session_cache, begins_without_events)
{
	struct session_cache *cache = session_cache_create(MEGABYTE);
	const struct cached_session *session = add(cache, 0, "id");

	cr_expect_not(session->is_large);
	cr_expect_not(cached_session_has(session, key_of(0)));
	cr_expect_eq(session->event_count, 0);
	cr_expect_eq(session->started_us, INT64_MAX);
	cr_expect_eq(session->ended_us, INT64_MIN);
	session_cache_destroy(cache);
}

/* Halves that are zero, and keys that want one place. */
Test(session_cache, learns_odd_keys)
{
	static const struct event_key keys[] = {{0, 1}, {0, UINT64_MAX},
	    {UINT64_MAX, 0}, {1, 0}, {1, 1}, {9, 0}, {UINT64_MAX, UINT64_MAX},
	    {7, 7}, {15, 7}, {23, 7}, {31, 7}, {39, 7}};
	const size_t n = sizeof(keys) / sizeof(keys[0]);
	struct session_cache *cache = session_cache_create(MEGABYTE);
	struct cached_session *session = add(cache, 0, "id");
	size_t i, j;

	for (i = 0; i < n; i++) {
		cr_assert_eq(cached_session_learn(cache, session, keys[i]), 0);
		cr_assert_eq(cached_session_learn(cache, session, keys[i]), 0);
		for (j = 0; j < n; j++)
			cr_expect_eq(cached_session_has(session, keys[j]),
			    j <= i, "%zu of %zu", j, i);
	}
	cr_expect_eq(session->nkeys, n);
	session_cache_destroy(cache);
}

/* ---- memory -------------------------------------------------------------- */

static size_t
allocated(void)
{
	return mallinfo2().uordblks;
}

#if defined(__SANITIZE_ADDRESS__)
#define MALLOC_IS_ANOTHER true
#else
#define MALLOC_IS_ANOTHER false
#endif

/* What it says is what malloc() gave, give or take what malloc() adds. */
Test(session_cache, says_what_it_takes)
{
	size_t before = allocated(), i, j, taken;
	struct session_cache *cache = session_cache_create(64 * MEGABYTE);
	struct cached_session *session;

	for (i = 0; i < MANY; i++) {
		session = add_number(cache, i);
		for (j = 0; j < i % 40; j++)
			learn(cache, session, j);
	}
	taken = allocated() - before;
	if (!MALLOC_IS_ANOTHER) {
		cr_expect_gt(session_cache_bytes(cache), taken / 100 * 95);
		cr_expect_lt(session_cache_bytes(cache), taken / 100 * 105);
	}
	session_cache_clear(cache);
	session_cache_trim(cache);
	cr_expect_eq(session_cache_sessions(cache), 0);
	/* Chains alone, and they only while there is room. */
	cr_expect_lt(session_cache_bytes(cache), MANY * 16);
	session_cache_destroy(cache);
}

Test(session_cache, goes_back_to_nothing)
{
	struct session_cache *cache = session_cache_create(MEGABYTE);
	struct cached_session *session = add(cache, 0, "id");
	size_t i, bytes;

	bytes = session_cache_bytes(cache);
	for (i = 0; i < 500; i++)
		learn(cache, session, i);
	/* 500 of three fourths of 1024 */
	cr_expect_eq(session_cache_bytes(cache), bytes + 1024 * 16 + 16);
	cached_session_enlarge(cache, session);
	cr_expect_eq(session_cache_bytes(cache), bytes);
	session_cache_forget(cache, session);
	cr_expect_eq(session_cache_bytes(cache), 0);
	cr_expect_null(find(cache, 0, "id"));
	session_cache_destroy(cache);
}

Test(session_cache, keeps_what_was_used_last)
{
	struct session_cache *cache = session_cache_create(MEGABYTE);
	size_t i, kept;

	for (i = 0; i < MANY; i++)
		(void)add_number(cache, i);
	cr_expect_gt(session_cache_bytes(cache), MEGABYTE);
	session_cache_touch(cache, find_number(cache, 0));
	session_cache_trim(cache);
	cr_expect_leq(session_cache_bytes(cache), MEGABYTE);
	kept = session_cache_sessions(cache);
	cr_expect_gt(kept, MEGABYTE / 250);
	cr_expect_not_null(find_number(cache, 0));
	for (i = 1; i < MANY; i++)
		cr_assert_eq(
		    find_number(cache, i) != NULL, i > MANY - kept, "%zu", i);
	/* It is enough: no more goes. */
	session_cache_trim(cache);
	cr_expect_eq(session_cache_sessions(cache), kept);
	session_cache_destroy(cache);
}

/* More chains than the cache may have bytes: it must be of use again. */
Test(session_cache, outlives_a_batch_much_larger_than_itself)
{
	struct session_cache *cache = session_cache_create(64 << 10);
	size_t i;

	for (i = 0; i < 10 * MANY; i++)
		(void)add_number(cache, i);
	session_cache_trim(cache);
	cr_expect_leq(session_cache_bytes(cache), 64 << 10);
	cr_expect_gt(session_cache_sessions(cache), 100);
	cr_expect_not_null(find_number(cache, 10 * MANY - 1));
	for (i = 0; i < 10; i++)
		(void)add_number(cache, i);
	session_cache_trim(cache);
	for (i = 0; i < 10; i++)
		cr_expect_not_null(find_number(cache, i));
	session_cache_destroy(cache);
}

Test(session_cache, of_no_bytes_keeps_nothing)
{
	struct session_cache *cache = session_cache_create(0);
	struct cached_session *session = add(cache, 0, "id");

	cr_expect_eq(session_cache_most_keys(cache), 0);
	learn(cache, session, 1);
	cr_expect(session->is_large);
	session_cache_trim(cache);
	cr_expect_null(find(cache, 0, "id"));
	cr_expect_eq(session_cache_sessions(cache), 0);
	cr_expect_eq(session_cache_bytes(cache), 0);
	session_cache_destroy(cache);
}

Test(session_cache, keeps_a_large_session_without_its_keys)
{
	struct session_cache *cache = session_cache_create(MEGABYTE);
	struct cached_session *session = add(cache, 0, "id");
	size_t most = session_cache_most_keys(cache), i, bytes;

	bytes = session_cache_bytes(cache);
	for (i = 0; i < most; i++)
		learn(cache, session, i);
	cr_expect_not(session->is_large);
	cr_expect(cached_session_has(session, key_of(0)));
	cr_expect_lt(session_cache_bytes(cache), MEGABYTE / 16);
	learn(cache, session, most);
	cr_expect(session->is_large);
	cr_expect_eq(session_cache_bytes(cache), bytes);
	/* It has grown too large once, and begins no new table. */
	learn(cache, session, most + 1);
	cr_expect_eq(session_cache_bytes(cache), bytes);
	cr_expect_null(session->keys);
	session_cache_destroy(cache);
}
