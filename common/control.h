/* SPDX-License-Identifier: MIT */
/*
 * control.h - the few messages between the master and a child
 *
 * Runs in   master and children
 * Promises  fixed size, over a SOCK_SEQPACKET pair: read whole or not at all
 * Blocking  never
 * Tests     t/unit/control_test.c
 */
#ifndef PGD_COMMON_CONTROL_H
#define PGD_COMMON_CONTROL_H

#include <stdint.h>

#include "common/err.h"

enum control_kind {
	CONTROL_STARTED = 1, /* child: serving */
	CONTROL_DRAIN = 2,   /* master: finish what is in flight, then exit 0 */
	CONTROL_STOP = 3,    /* master: exit 0 now */
};

struct control_msg {
	uint32_t version;
	uint32_t kind;
};

#define CONTROL_VERSION 1

enum control_result {
	CONTROL_GOT,
	CONTROL_NONE,  /* nothing waits */
	CONTROL_GONE,  /* the other side has closed */
	CONTROL_WRONG, /* not a message of ours */
};

int control_pair(int fds[2], struct err *) MUST_CHECK;
/*
 * -1 when it could not be sent: the other side is gone, or has not read what
 * waits for it.  Messages are few, so the caller takes either for its end.
 */
int control_send(int fd, enum control_kind) MUST_CHECK;
enum control_result control_receive(int fd, enum control_kind *);

#endif
