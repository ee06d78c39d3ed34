/* SPDX-License-Identifier: MIT */
/*
 * listen_socket.h - a socket that clients connect to, and how they speak on it
 *
 * Runs in   master, which binds it, and workers, which inherit it
 * Owns      nothing: a value, passed through the fork
 */
#ifndef PGD_COMMON_LISTEN_SOCKET_H
#define PGD_COMMON_LISTEN_SOCKET_H

#include <stdbool.h>

struct listen_socket {
	int fd;
	bool tls;
};

#endif
