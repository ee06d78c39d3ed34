/* SPDX-License-Identifier: MIT */
/*
 * aggregator_main.c - the process that writes to PostgreSQL
 *
 * Who starts it     the master, by fork; it restarts it when it dies
 * What it owns      two connections to PostgreSQL and the password for them
 * What it shares    the rings (reader), the key table (writer), wake-ups
 * What it waits for rings, PostgreSQL, the master; all in one event loop
 * When it dies      its successor reads the progress row and goes on
 * When others die   worker: nothing to do, the ring stays.  PostgreSQL: it
 *                   connects again; workers answer 503.  Master: it exits
 * What it must not  read a client's socket; believe what a worker wrote
 */
#include "aggregator/aggregator_main.h"

#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "aggregator/conninfo.h"
#include "aggregator/event_key.h"
#include "aggregator/key_use.h"
#include "aggregator/keys.h"
#include "aggregator/months.h"
#include "aggregator/pg.h"
#include "aggregator/readiness.h"
#include "aggregator/writer.h"
#include "common/control.h"
#include "common/exitcode.h"
#include "common/keytable.h"
#include "common/log.h"
#include "common/proc.h"
#include "common/timestamp.h"

#define BEAT_US 500000

struct aggregator {
	const struct aggregator_boot *boot;
	struct event_base *base;
	struct conninfo *data_info;
	struct conninfo *control_info;
	struct keytable *table;
	struct readiness *readiness;
	struct pg *control; /* the connection for all but batches */
	struct keys *keys;
	struct key_use *key_use;
	struct months *months;
	struct writer *writer;
	struct event *master; /* something from the master */
	struct event *beat;
	struct event *deadline; /* of draining */
	bool sound;             /* keys, since the control connection stands */
	enum exitcode code;
};

static void
aggregator_stop(struct aggregator *aggregator, enum exitcode code)
{
	aggregator->code = code;
	(void)event_base_loopbreak(aggregator->base);
}

/* ---- the data connection ------------------------------------------------- */

/* What serves one connection serves the other. */
static void
on_told(void *arg, enum keytable_state state)
{
	struct aggregator *aggregator = arg;

	if (!readiness_writer(aggregator->readiness, state))
		return;
	keys_distrust(aggregator->keys);
	pg_hurry(aggregator->control);
}

static void
on_stored(void *arg, const struct batch *batch)
{
	struct aggregator *aggregator = arg;

	key_use_note(aggregator->key_use, (const uint8_t *)batch->keys.data,
	    batch->keys.len, timestamp_now());
}

static void
on_beat(evutil_socket_t fd, short what, void *arg)
{
	struct aggregator *aggregator = arg;

	(void)fd;
	(void)what;
	keytable_beat(aggregator->table);
	months_ahead(aggregator->months);
	key_use_beat(aggregator->key_use);
}

/* ---- the control connection ---------------------------------------------- */

static void
control_check(struct aggregator *aggregator)
{
	if (aggregator->sound && months_is_settled(aggregator->months))
		pg_settled(aggregator->control);
}

static void
on_keys_sound(void *arg)
{
	struct aggregator *aggregator = arg;

	aggregator->sound = true;
	readiness_keys_sound(aggregator->readiness);
	control_check(aggregator);
}

static void
on_keys_doubtful(void *arg)
{
	struct aggregator *aggregator = arg;

	readiness_keys_doubtful(aggregator->readiness);
}

static void
on_months_changed(void *arg)
{
	struct aggregator *aggregator = arg;

	control_check(aggregator);
	writer_months_changed(aggregator->writer);
}

static void
on_control_ready(void *arg)
{
	struct aggregator *aggregator = arg;

	keys_connected(aggregator->keys);
	months_connected(aggregator->months);
	key_use_connected(aggregator->key_use);
	writer_hurry(aggregator->writer);
}

static void
on_control_lost(void *arg)
{
	struct aggregator *aggregator = arg;

	aggregator->sound = false;
	keys_lost(aggregator->keys);
	months_lost(aggregator->months);
	readiness_keys_lost(aggregator->readiness);
	key_use_lost(aggregator->key_use);
}

static void
on_control_notified(void *arg)
{
	struct aggregator *aggregator = arg;

	keys_notified(aggregator->keys);
}

/* ---- the master ---------------------------------------------------------- */

static void
on_finished(void *arg)
{
	aggregator_stop(arg, EXIT_DONE);
}

static void
on_drained(void *arg)
{
	struct aggregator *aggregator = arg;

	key_use_finish(aggregator->key_use, on_finished, aggregator);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	log_warn(
	    "stop_timeout has passed, what the rings hold stays unwritten");
	aggregator_stop(arg, EXIT_DONE);
}

static void
aggregator_drain(struct aggregator *aggregator)
{
	uint64_t ms = aggregator->boot->cfg->stop_timeout_ms;
	const struct timeval tv = {
	    .tv_sec = (time_t)(ms / 1000),
	    .tv_usec = (suseconds_t)(ms % 1000 * 1000),
	};

	if (event_add(aggregator->deadline, &tv) == -1)
		log_warn("could not set a timer, draining without a deadline");
	writer_drain(aggregator->writer);
}

static void
on_master(evutil_socket_t fd, short what, void *arg)
{
	struct aggregator *aggregator = arg;
	enum control_kind kind;

	(void)what;
	switch (control_receive(fd, &kind)) {
	case CONTROL_GOT:
		break;
	case CONTROL_NONE:
		return;
	case CONTROL_GONE:
		aggregator_stop(aggregator, EXIT_DONE);
		return;
	case CONTROL_WRONG:
		log_error("the master sent something unknown");
		aggregator_stop(aggregator, EXIT_INTERNAL);
		return;
	}
	if (kind == CONTROL_DRAIN)
		aggregator_drain(aggregator);
	else if (kind == CONTROL_STOP)
		aggregator_stop(aggregator, EXIT_DONE);
}

/* ---- set-up -------------------------------------------------------------- */

static int
aggregator_connections(struct aggregator *aggregator, struct err *err)
{
	const struct cfg *cfg = aggregator->boot->cfg;
	const struct pg_handler control = {
	    .ready = on_control_ready,
	    .lost = on_control_lost,
	    .notified = on_control_notified,
	    .arg = aggregator,
	};
	const struct keys_handler keys = {
	    .sound = on_keys_sound,
	    .doubtful = on_keys_doubtful,
	    .arg = aggregator,
	};
	const struct writer_handler writer = {
	    .told = on_told,
	    .stored = on_stored,
	    .drained = on_drained,
	    .arg = aggregator,
	};

	aggregator->control = pg_create(aggregator->base, "control connection",
	    aggregator->control_info, cfg->pg_connect_timeout_ms,
	    cfg->pg_retry_max_ms, &control);
	if (aggregator->control == NULL)
		return err_set(err, "out of memory");
	aggregator->readiness =
	    readiness_create(aggregator->base, aggregator->table);
	aggregator->keys = keys_create(
	    aggregator->base, aggregator->control, aggregator->table, &keys);
	aggregator->key_use =
	    key_use_create(aggregator->control, cfg->key_use_interval_ms);
	aggregator->months =
	    months_create(aggregator->control, on_months_changed, aggregator);
	if (aggregator->readiness == NULL || aggregator->keys == NULL ||
	    aggregator->key_use == NULL || aggregator->months == NULL)
		return err_set(err, "out of memory");
	aggregator->writer = writer_create(aggregator->base, cfg,
	    aggregator->boot->shm, aggregator->table, aggregator->data_info,
	    aggregator->months, &writer, err);
	return aggregator->writer == NULL ? -1 : 0;
}

static int
aggregator_events(struct aggregator *aggregator, struct err *err)
{
	const struct timeval beat = {0, BEAT_US};
	struct event_base *base = aggregator->base;

	aggregator->master = event_new(base, aggregator->boot->control_fd,
	    EV_READ | EV_PERSIST, on_master, aggregator);
	aggregator->beat = event_new(base, -1, EV_PERSIST, on_beat, aggregator);
	aggregator->deadline = evtimer_new(base, on_deadline, aggregator);
	if (aggregator->master == NULL || aggregator->beat == NULL ||
	    aggregator->deadline == NULL ||
	    event_add(aggregator->master, NULL) == -1 ||
	    event_add(aggregator->beat, &beat) == -1)
		return err_set(err, "could not set up the event loop");
	return 0;
}

/* The writer before the control connection, which wakes it. */
static int
aggregator_init(struct aggregator *aggregator, struct err *err)
{
	const struct shm *shm = aggregator->boot->shm;

	if ((aggregator->base = event_base_new()) == NULL)
		return err_set(err, "could not make an event loop");
	aggregator->table = keytable_map(shm->keytable_fd, true, err);
	if (aggregator->table == NULL)
		return -1;
	event_key_seed();
	if (aggregator_connections(aggregator, err) == -1 ||
	    aggregator_events(aggregator, err) == -1)
		return -1;
	writer_start(aggregator->writer);
	pg_start(aggregator->control);
	if (control_send(aggregator->boot->control_fd, CONTROL_STARTED) == -1)
		return err_set(err, "could not report to the master");
	return 0;
}

static void
event_free_any(struct event *event)
{
	if (event != NULL)
		event_free(event);
}

static void
aggregator_fini(struct aggregator *aggregator)
{
	event_free_any(aggregator->master);
	event_free_any(aggregator->beat);
	event_free_any(aggregator->deadline);
	writer_destroy(aggregator->writer);
	readiness_destroy(aggregator->readiness);
	keys_destroy(aggregator->keys);
	key_use_destroy(aggregator->key_use);
	months_destroy(aggregator->months);
	pg_destroy(aggregator->control);
	keytable_unmap(aggregator->table);
	conninfo_destroy(aggregator->data_info);
	conninfo_destroy(aggregator->control_info);
	if (aggregator->base != NULL)
		event_base_free(aggregator->base);
}

/* ---- the prologue -------------------------------------------------------- */

static void
close_others(const struct aggregator_boot *boot)
{
	const struct shm *shm = boot->shm;
	int *keep;
	size_t n = 0;
	unsigned i;

	if ((keep = calloc(2 * shm->slots + 4, sizeof(*keep))) == NULL) {
		log_error("out of memory");
		exit(EXIT_OS);
	}
	for (i = 0; i < shm->slots; i++) {
		keep[n++] = shm->ring_fds[i];
		keep[n++] = shm->ack_fds[i];
	}
	keep[n++] = shm->data_fd;
	keep[n++] = shm->keytable_fd;
	keep[n++] = boot->control_fd;
	keep[n++] = boot->log_fd;
	proc_close_others(keep, n);
	free(keep);
}

static int
aggregator_conninfo(struct aggregator *aggregator, struct err *err)
{
	const struct cfg *cfg = aggregator->boot->cfg;

	aggregator->data_info = conninfo_create(
	    cfg->pg_conninfo, cfg->pg_password_file, CONNINFO_DATA, err);
	if (aggregator->data_info == NULL)
		return -1;
	aggregator->control_info = conninfo_create(
	    cfg->pg_conninfo, cfg->pg_password_file, CONNINFO_CONTROL, err);
	return aggregator->control_info == NULL ? -1 : 0;
}

static _Noreturn void
give_up(const struct err *err, enum exitcode code)
{
	log_error("%s", err->text);
	exit((int)code);
}

_Noreturn void
aggregator_main(const struct aggregator_boot *boot)
{
	struct aggregator aggregator = {.boot = boot};
	struct err err;
	int code;

	/* Steps as in proc.h; 1 and 2 were boot.c's. */
	/* 3: name */
	proc_enter(PROC_AGGREGATOR, -1);
	/* 4: descriptors of others */
	close_others(boot);
	/* 5: limits; two connections and the rings fit any */
	/* 6: the one secret, while root can still read it */
	if (aggregator_conninfo(&aggregator, &err) == -1)
		give_up(&err, EXIT_CONFIG);
	/* 7: no way back */
	code = proc_drop(boot->cfg->aggregator_user, boot->master, &err);
	if (code != 0)
		give_up(&err, (enum exitcode)code);
	/* 8 and 9: memory, an event base of our own, what hangs on it */
	if (aggregator_init(&aggregator, &err) == -1)
		give_up(&err, EXIT_INTERNAL);

	/* 10: the loop */
	aggregator.code = EXIT_INTERNAL;
	(void)event_base_dispatch(aggregator.base);
	aggregator_fini(&aggregator);
	exit((int)aggregator.code);
}

int
aggregator_check(const struct cfg *cfg, struct err *err)
{
	struct conninfo *info;

	info = conninfo_create(
	    cfg->pg_conninfo, cfg->pg_password_file, CONNINFO_DATA, err);
	if (info == NULL)
		return -1;
	conninfo_destroy(info);
	return 0;
}
