/* SPDX-License-Identifier: MIT */
/*
 * worker_main.c - a worker, from its fork to its exit
 *
 * Runs as   worker_user, in "/", with no way back to root
 * Speaks to clients; the aggregator through its ring and two eventfds; the
 *           master through the control socket and the log
 * Holds     TLS key, key table (read only), one ring; no database credential,
 *           no writable file
 * Waits for sockets, timers, the ring's tail, the master; in one event loop
 * Dies by   the master's word, the master's death, or its own broken invariant
 * Leaves    published records, which the aggregator stores all the same
 * Is replaced by the master, in the same slot
 */
#include "worker/worker_main.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/control.h"
#include "common/event_fields.h"
#include "common/exitcode.h"
#include "common/log.h"
#include "common/proc.h"
#include "worker/conn.h"
#include "worker/tls.h"
#include "worker/worker.h"

/* Descriptors beyond connections: rings, eventfds, epoll, control, log. */
#define FILES_EXTRA 64

struct process {
	struct worker worker;
	const struct worker_boot *boot;
	struct event *control;
	struct event *acks;
	int ack_fd;
};

static _Noreturn void
die(enum exitcode code, const struct err *err)
{
	log_error("%s", err->text);
	exit((int)code);
}

/* 4: closes every descriptor that is not the worker's by name. */
static void
keep_descriptors(const struct worker_boot *boot)
{
	const struct shm *shm = boot->shm;
	size_t i, n = 0, most = boot->nlisteners + 6;
	int *keep;

	if ((keep = calloc(most, sizeof(*keep))) == NULL)
		exit(EXIT_OS);
	keep[n++] = boot->control_fd;
	keep[n++] = boot->log_fd;
	keep[n++] = shm->ring_fds[boot->slot];
	keep[n++] = shm->ack_fds[boot->slot];
	keep[n++] = shm->data_fd;
	keep[n++] = shm->keytable_ro_fd;
	for (i = 0; i < boot->nlisteners; i++)
		keep[n++] = boot->listeners[i].fd;
	proc_close_others(keep, n);
	free(keep);
}

/* Maps its ring and the key table; their descriptors are not needed again. */
static int
map_memory(
    struct worker *worker, const struct worker_boot *boot, struct err *err)
{
	const struct shm *shm = boot->shm;
	struct ring ring;

	if (ring_map(&ring, shm->ring_fds[boot->slot], event_fields_stamp(),
		err) == -1)
		return -1;
	ring_writer_init(&worker->ring, ring, shm->data_fd);
	worker->keys = keytable_map(shm->keytable_ro_fd, false, err);
	if (worker->keys == NULL)
		return -1;
	(void)close(shm->ring_fds[boot->slot]);
	(void)close(shm->keytable_ro_fd);
	return 0;
}

static void
drain(struct worker *worker)
{
	if (worker->draining)
		return;
	listener_finish(worker->listener);
	worker->draining = true;
	conn_drain_all(worker);
	if (worker->nconns == 0)
		(void)event_base_loopbreak(worker->base);
}

/* The first handler of the loop: it may do anything. */
static void
on_control(evutil_socket_t fd, short what, void *arg)
{
	struct process *process = arg;
	enum control_kind kind;

	(void)what;
	switch (control_receive(fd, &kind)) {
	case CONTROL_NONE:
		return;
	case CONTROL_GOT:
		if (kind == CONTROL_DRAIN) {
			drain(&process->worker);
			return;
		}
		break;
	case CONTROL_GONE:
	case CONTROL_WRONG:
		break;
	}
	(void)event_base_loopbreak(process->worker.base);
}

static void
on_acks(evutil_socket_t fd, short what, void *arg)
{
	struct process *process = arg;
	uint64_t count;

	(void)what;
	/* One read takes the whole count. */
	if (read(fd, &count, sizeof(count)) == -1 && errno == EINTR)
		return;
	conn_acknowledge(&process->worker);
}

static void
on_accept(void *arg, int fd, bool tls)
{
	conn_start(arg, fd, tls);
}

static int
start(struct process *process, struct err *err)
{
	const struct worker_boot *boot = process->boot;
	struct worker *worker = &process->worker;

	TAILQ_INIT(&worker->conns);
	TAILQ_INIT(&worker->inflating);
	TAILQ_INIT(&worker->waiting);
	if (map_memory(worker, boot, err) == -1)
		return -1;
	if ((worker->decoder = decoder_create(worker->cfg)) == NULL ||
	    (worker->inflater = inflater_create()) == NULL ||
	    (worker->base = event_base_new()) == NULL)
		return err_set(err, "out of memory");
	process->control = event_new(worker->base, boot->control_fd,
	    EV_READ | EV_PERSIST, on_control, process);
	process->acks = event_new(worker->base, process->ack_fd,
	    EV_READ | EV_PERSIST, on_acks, process);
	if (process->control == NULL || process->acks == NULL ||
	    event_add(process->control, NULL) == -1 ||
	    event_add(process->acks, NULL) == -1)
		return err_set(err, "could not watch the master");
	worker->listener = listener_create(worker->base, boot->listeners,
	    boot->nlisteners, on_accept, worker, err);
	if (worker->listener == NULL)
		return -1;
	if (control_send(boot->control_fd, CONTROL_STARTED) == -1)
		return err_set(err, "could not tell the master");
	return 0;
}

void
worker_main(const struct worker_boot *boot)
{
	static struct process process;
	struct worker *worker = &process.worker;
	struct err err;
	int code;

	/* Steps as in proc.h; 1 and 2 were boot.c's. */
	/* 3: name */
	proc_enter(PROC_WORKER, (int)boot->number);
	process.boot = boot;
	process.ack_fd = boot->shm->ack_fds[boot->slot];
	worker->cfg = boot->cfg;
	/* 4: descriptors of others */
	keep_descriptors(boot);
	/* 5: limits */
	proc_raise_files(worker->cfg->worker_connections + FILES_EXTRA);
	/* 6: the one secret, while root can still read it */
	if (cfg_uses_tls(worker->cfg) &&
	    (worker->tls = tls_create(worker->cfg, &err)) == NULL)
		die(EXIT_CONFIG, &err);
	/* 7: no way back */
	code = proc_drop(worker->cfg->worker_user, boot->master, &err);
	if (code != 0)
		die((enum exitcode)code, &err);
	/* 8 and 9: memory before sockets, because the first connection may
	 * come with the listener */
	if (start(&process, &err) == -1)
		die(EXIT_OS, &err);
	/* 10: the loop */
	(void)event_base_dispatch(worker->base);
	exit(EXIT_DONE);
}
