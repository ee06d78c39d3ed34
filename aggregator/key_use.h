/* SPDX-License-Identifier: MIT */
/*
 * key_use.h - when each API key was used last, for api_keys.last_used_at
 *
 * Runs in   aggregator
 * Owns      the keys used since the last write; borrows the control connection
 * Promises  bounded memory, whatever ids workers make up: KEY_USE_MAX keys.
 *           Never holds up the control connection for long
 * Requires  key_use_connected() and key_use_lost() as the control connection
 *           comes and goes
 * Failure   what could not be written is written later; what finds no place is
 *           not noted until its next use
 * Blocking  never
 * Tests     t/unit/key_use_test.c, t/integration/test_keys.py
 */
#ifndef PGD_AGGREGATOR_KEY_USE_H
#define PGD_AGGREGATOR_KEY_USE_H

#include <stddef.h>
#include <stdint.h>

#include "aggregator/pg.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/uuid.h"

#define KEY_USE_MAX 4096

struct key_use;

/* At most one write in interval_ms; sooner only when there is no more room. */
struct key_use *key_use_create(struct pg *control, uint64_t interval_ms);
void key_use_destroy(struct key_use *);

void key_use_connected(struct key_use *);
void key_use_lost(struct key_use *);

/* ids: any number of UUID_BYTES; now_us as timestamp_now(). */
void key_use_note(
    struct key_use *, const uint8_t *ids, size_t bytes, int64_t now_us);

/* Writes what is due; to be called now and then. */
void key_use_beat(struct key_use *);
/* Writes what there is, if that is possible, and calls done(). */
void key_use_finish(struct key_use *, void (*done)(void *arg), void *arg);

/* The statements of the next write, terminated; empty when there is none. */
int key_use_build(const struct key_use *, struct buf *) MUST_CHECK;

#endif
