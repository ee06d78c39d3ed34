/* SPDX-License-Identifier: MIT */
/*
 * control.c - sends and receives control messages
 *
 * Does not know who may say what: the master judges what a child says, and the
 * child what the master says.
 */
#include "common/control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

_Static_assert(sizeof(struct control_msg) == 8, "no padding on the wire");

int
control_pair(int fds[2], struct err *err)
{
	const int type = SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC;

	if (socketpair(AF_UNIX, type, 0, fds) == -1)
		return err_set(
		    err, "could not create a socket pair: %s", strerror(errno));
	return 0;
}

int
control_send(int fd, enum control_kind kind)
{
	struct control_msg msg = {CONTROL_VERSION, (uint32_t)kind};
	ssize_t n;

	do
		n = send(fd, &msg, sizeof(msg), MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n == -1 && errno == EINTR);
	return n == (ssize_t)sizeof(msg) ? 0 : -1;
}

static int
control_is_kind(uint32_t kind)
{
	switch (kind) {
	case CONTROL_STARTED:
	case CONTROL_DRAIN:
	case CONTROL_STOP:
		return 1;
	default:
		return 0;
	}
}

enum control_result
control_receive(int fd, enum control_kind *kind)
{
	struct control_msg msg;
	ssize_t n;

	/* With MSG_TRUNC the length is the sender's, however long. */
	do
		n = recv(fd, &msg, sizeof(msg), MSG_DONTWAIT | MSG_TRUNC);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return errno == EAGAIN ? CONTROL_NONE : CONTROL_GONE;
	if (n == 0)
		return CONTROL_GONE;
	if (n != (ssize_t)sizeof(msg) || msg.version != CONTROL_VERSION ||
	    !control_is_kind(msg.kind))
		return CONTROL_WRONG;
	*kind = (enum control_kind)msg.kind;
	return CONTROL_GOT;
}
