/* SPDX-License-Identifier: MIT */
/*
 * readiness.c - joins what is known of the database and of the keys
 *
 * A key that was revoked while nobody could tell us must not work once the
 * database is back: so the keys are read again before the workers are told.
 */
#include "aggregator/readiness.h"

#include <stdlib.h>

#include "common/log.h"

struct readiness {
	struct keytable *table;
	struct event *grace;        /* runs while keys are in doubt */
	enum keytable_state told;   /* to the workers */
	enum keytable_state writer; /* KEYTABLE_STARTING: nothing yet */
	bool sound;                 /* keys */
};

static bool
in_grace(const struct readiness *readiness)
{
	return event_pending(readiness->grace, EV_TIMEOUT, NULL) != 0;
}

static enum keytable_state
state_now(const struct readiness *readiness)
{
	const bool starting = readiness->writer == KEYTABLE_STARTING;

	if (!starting && readiness->writer != KEYTABLE_READY)
		return readiness->writer;
	if (readiness->sound)
		return starting ? readiness->told : KEYTABLE_READY;
	if (in_grace(readiness) || readiness->told == KEYTABLE_STARTING)
		return readiness->told;
	return KEYTABLE_DATABASE_AWAY;
}

static void
tell(struct readiness *readiness)
{
	readiness->told = state_now(readiness);
	keytable_set_state(readiness->table, readiness->told);
}

/* Only what was told can hold a little longer. */
static void
grace_begin(struct readiness *readiness)
{
	const struct timeval tv = {
	    .tv_sec = READINESS_GRACE_MS / 1000,
	    .tv_usec = READINESS_GRACE_MS % 1000 * 1000,
	};

	if (readiness->told != KEYTABLE_READY || in_grace(readiness))
		return;
	if (event_add(readiness->grace, &tv) == -1)
		log_error("could not set a timer for API keys");
}

static void
on_grace(evutil_socket_t fd, short what, void *arg)
{
	struct readiness *readiness = arg;

	(void)fd;
	(void)what;
	readiness->sound = false;
	log_warn("reading the API keys takes longer than %d ms, or the "
		 "connection for them is away: no events are accepted until "
		 "they are read",
	    READINESS_GRACE_MS);
	tell(readiness);
}

bool
readiness_writer(struct readiness *readiness, enum keytable_state state)
{
	const enum keytable_state before = readiness->writer;
	const bool back = state == KEYTABLE_READY && before != KEYTABLE_READY &&
	    before != KEYTABLE_STARTING;

	readiness->writer = state;
	if (back)
		readiness->sound = false;
	if (state != KEYTABLE_READY)
		(void)event_del(readiness->grace);
	tell(readiness);
	return back;
}

void
readiness_keys_doubtful(struct readiness *readiness)
{
	grace_begin(readiness);
}

void
readiness_keys_lost(struct readiness *readiness)
{
	readiness->sound = false;
	grace_begin(readiness);
	tell(readiness);
}

void
readiness_keys_sound(struct readiness *readiness)
{
	(void)event_del(readiness->grace);
	readiness->sound = true;
	tell(readiness);
}

struct readiness *
readiness_create(struct event_base *base, struct keytable *table)
{
	struct readiness *readiness;
	uint64_t silent_ms;

	if ((readiness = calloc(1, sizeof(*readiness))) == NULL)
		return NULL;
	readiness->table = table;
	readiness->told = keytable_state(table, &silent_ms);
	readiness->writer = KEYTABLE_STARTING;
	readiness->grace = evtimer_new(base, on_grace, readiness);
	if (readiness->grace == NULL) {
		free(readiness);
		return NULL;
	}
	grace_begin(readiness);
	return readiness;
}

void
readiness_destroy(struct readiness *readiness)
{
	if (readiness == NULL)
		return;
	event_free(readiness->grace);
	free(readiness);
}
