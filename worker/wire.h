/* SPDX-License-Identifier: MIT */
/*
 * wire.h - the bytes of a connection, plain or over TLS
 *
 * Runs in   worker
 * Owns      descriptor and TLS state, until wire_close()
 * Blocking  never: what cannot be done now says what it waits for
 */
#ifndef PGD_WORKER_WIRE_H
#define PGD_WORKER_WIRE_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>

#include "common/err.h"

enum wire_result {
	WIRE_OK,
	WIRE_AGAIN, /* nothing yet, but there may be more to read right now */
	WIRE_READ,  /* not before the socket is readable */
	WIRE_WRITE, /* not before it is writable */
	WIRE_EOF,
	WIRE_ERROR,
};

struct wire {
	int fd;
	SSL *ssl;      /* NULL: plain */
	bool readable; /* the socket may hold bytes that were not read */
	bool broken;   /* TLS failed: say no goodbye */
};

/* Takes over fd, which it leaves open on failure.  tls NULL: plain. */
int wire_open(struct wire *, int fd, SSL_CTX *tls) MUST_CHECK;
void wire_close(struct wire *);

enum wire_result wire_handshake(struct wire *);
enum wire_result wire_read(struct wire *, char *, size_t, size_t *got);
enum wire_result wire_write(struct wire *, const char *, size_t, size_t *put);

/* Whether a read would be in vain until the socket is readable again. */
bool wire_is_dry(const struct wire *);

/* Says goodbye, by close_notify under TLS, and ends our direction. */
void wire_end(struct wire *);
/* After wire_end(): reads and drops some; WIRE_OK: go on. */
enum wire_result wire_drop(struct wire *, size_t *dropped);

#endif
