/* SPDX-License-Identifier: MIT */
/*
 * listen.h - the sockets that clients connect to
 *
 * The master binds them once and keeps them for life; every worker of every
 * generation inherits them, so that no reload loses a connection.
 *
 * Runs in   master
 * Owns      the descriptors, until listen_close()
 * Failure   -1, and which address could not be bound and why
 */
#ifndef PGD_MASTER_LISTEN_H
#define PGD_MASTER_LISTEN_H

#include <stddef.h>

#include "common/cfg.h"
#include "common/err.h"
#include "common/listen_socket.h"

struct listeners {
	struct listen_socket *items;
	size_t n;
};

int listen_open(
    struct listeners *, const struct cfg *, struct err *) MUST_CHECK;
void listen_close(struct listeners *);

#endif
