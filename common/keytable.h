/* SPDX-License-Identifier: MIT */
/*
 * keytable.h - API keys and project settings in shared memory, and whether
 * events can be accepted
 *
 * Two whole snapshots lie side by side.  The aggregator builds the next in the
 * one not in use and publishes it with one store; a worker looks up in the one
 * published and afterwards sees whether it was overwritten meanwhile, and if
 * so looks again.  A publisher killed half way leaves the published one whole.
 * No reader waits for anybody.
 *
 * Runs in   master (keytable_create), worker (reader), aggregator (writer)
 * Owns      the mapping, until keytable_unmap()
 * Requires  one writer at a time; readers map it read only
 * Tests     t/unit/keytable_test.c
 */
#ifndef PGD_COMMON_KEYTABLE_H
#define PGD_COMMON_KEYTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/apikey.h"
#include "common/err.h"
#include "common/uuid.h"

struct keytable; /* a mapping */

/* Why events cannot be accepted; what /ready says. */
enum keytable_state {
	KEYTABLE_STARTING, /* nothing published yet */
	KEYTABLE_READY,
	KEYTABLE_DATABASE_AWAY,
	KEYTABLE_DATABASE_UNFIT, /* not migrated, or of another version */
};

/* What a worker needs to know of a project; a copy, the caller's. */
struct project {
	uint8_t org_id[UUID_BYTES];
	uint8_t id[UUID_BYTES];
	uint8_t key_id[UUID_BYTES]; /* of the key it was found by, or zero */
	bool require_api_key;
	bool origin_allowed; /* of the origin asked for */
	size_t slug_len;
	char slug[256];
};

enum keytable_result {
	KEYTABLE_FOUND,
	KEYTABLE_UNKNOWN,
	KEYTABLE_EXPIRED,
	KEYTABLE_EMPTY, /* no snapshot was ever published */
};

/* Why something could not be added to a snapshot. */
enum keytable_added {
	KEYTABLE_ADDED,
	KEYTABLE_FULL,
	KEYTABLE_TOO_LONG,   /* the slug, or an origin, or too many of them */
	KEYTABLE_NO_PROJECT, /* the key's was not added */
};

int keytable_create(size_t size, struct err *) MUST_CHECK;
struct keytable *keytable_map(int fd, bool writable, struct err *);
void keytable_unmap(struct keytable *);

/* --- reader --- */

/*
 * The key's project.  now_us as timestamp_now().  origin may be NULL: no origin
 * was named, which is always allowed.
 */
enum keytable_result keytable_find_key(const struct keytable *,
    const uint8_t hash[APIKEY_HASH], int64_t now_us, const char *origin,
    size_t origin_len, struct project *);

/* By UUID, or by the slug of a project that needs no key. */
enum keytable_result keytable_find_project(const struct keytable *,
    const char *name, size_t len, const char *origin, size_t origin_len,
    struct project *);

/* Whether there is any project that needs no key. */
bool keytable_has_keyless(const struct keytable *);

/* The state the aggregator last told, and for how long it has been silent. */
enum keytable_state keytable_state(
    const struct keytable *, uint64_t *silent_ms);

/* --- writer --- */

void keytable_set_state(struct keytable *, enum keytable_state);
/* The sign of life; sets the time. */
void keytable_beat(struct keytable *);

/* Begins the next snapshot. */
void keytable_begin(struct keytable *);
/* Adds a project; origins are its allowed ones, none for any. */
enum keytable_added keytable_add_project(struct keytable *,
    const uint8_t org_id[UUID_BYTES], const uint8_t id[UUID_BYTES],
    const char *slug, bool require_api_key, const char *const *origins,
    size_t norigins) MUST_CHECK;
/*
 * After all projects, best in their order.  expires_us: INT64_MAX for never.
 */
enum keytable_added keytable_add_key(struct keytable *,
    const uint8_t hash[APIKEY_HASH], const uint8_t id[UUID_BYTES],
    const uint8_t project_id[UUID_BYTES], int64_t expires_us) MUST_CHECK;
void keytable_publish(struct keytable *);

#endif
