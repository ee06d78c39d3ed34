/* SPDX-License-Identifier: MIT */
/*
 * address.h - the form of an address to listen on
 *
 * Runs in   anywhere; pure: text in, socket addresses out, nothing is resolved
 * Failure   0: the text is none of address:port, [address]:port and *:port,
 *           with a numeric address and a port from 1 to 65535
 * Tests     t/unit/cfg_test.c
 */
#ifndef PGD_COMMON_ADDRESS_H
#define PGD_COMMON_ADDRESS_H

#include <stddef.h>
#include <sys/socket.h>

#define ADDRESS_FORM "address:port, [address]:port or *:port"

struct address {
	struct sockaddr_storage addr;
	socklen_t len;
};

/* Returns how many addresses it means: 2, of both families, for *:port. */
size_t address_parse(const char *text, struct address out[2]);

#endif
