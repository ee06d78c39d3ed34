/* SPDX-License-Identifier: MIT */
/*
 * listener.h - takes connections from the sockets that the master bound
 *
 * Runs in   worker
 * Owns      an epoll set of its own; the sockets stay the master's
 * Promises  each new connection wakes one worker, not all; no spinning when
 *           descriptors run out
 */
#ifndef PGD_WORKER_LISTENER_H
#define PGD_WORKER_LISTENER_H

#include <stdbool.h>
#include <stddef.h>

#include <event2/event.h>

#include "common/err.h"
#include "worker/worker_main.h"

struct listener;

/* Takes over the descriptor fd. */
typedef void (*listener_accept)(void *arg, int fd, bool tls);

struct listener *listener_create(struct event_base *,
    const struct worker_listener *, size_t n, listener_accept, void *arg,
    struct err *);
void listener_destroy(struct listener *);

/* Leaves new connections in the kernel's queue until listener_resume(). */
void listener_pause(struct listener *);
void listener_resume(struct listener *);

#endif
