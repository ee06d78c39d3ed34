/* SPDX-License-Identifier: MIT */
/*
 * listener.h - takes connections from the sockets that the master bound
 *
 * Runs in   worker
 * Owns      its events; the sockets stay the master's
 * Promises  no spinning when descriptors run out
 */
#ifndef PGD_WORKER_LISTENER_H
#define PGD_WORKER_LISTENER_H

#include <stdbool.h>
#include <stddef.h>

#include <event2/event.h>

#include "common/err.h"
#include "common/listen_socket.h"

struct listener;

/* Takes over the descriptor fd. */
typedef void (*listener_accept)(void *arg, int fd, bool tls);

struct listener *listener_create(struct event_base *,
    const struct listen_socket *, size_t n, listener_accept, void *arg,
    struct err *);
void listener_destroy(struct listener *);

/* Takes whoever waits already, then pauses: they were let in. */
void listener_finish(struct listener *);

/* Leaves new connections in the kernel's queue until listener_resume(). */
void listener_pause(struct listener *);
void listener_resume(struct listener *);

#endif
