/* SPDX-License-Identifier: MIT */
/*
 * listener.c - takes connections from inherited sockets
 *
 * The sockets are shared by all workers.  A new connection wakes all that are
 * idle, and one of them gets it: EPOLLEXCLUSIVE works only in the set that is
 * waited on, which is libevent's and cannot be told (measured: in a set of
 * their own that lies in libevent's, all are woken just the same).  With a
 * worker per core and connections that stay, that costs little.  A few are
 * taken at each wake-up, so that a burst spreads over the workers.
 */
#include "worker/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"

#define ACCEPTS_PER_WAKE 4
/* How long to leave the queue alone when the system is out of descriptors. */
#define REST_USEC 100000
/*
 * What the kernel may hold of answers that a client does not read; more would
 * be the system's memory, and write_timeout would never begin.
 */
#define SEND_BUFFER 131072

struct source {
	struct listener *listener;
	struct event *event;
	int fd;
	bool tls;
};

struct listener {
	struct source *sources;
	size_t n;
	struct event *rest;
	bool paused;
	bool resting;
	listener_accept accept;
	void *arg;
};

static void
listener_watch(struct listener *listener)
{
	bool watch = !listener->paused && !listener->resting;
	size_t i;

	for (i = 0; i < listener->n; i++) {
		if (watch)
			(void)event_add(listener->sources[i].event, NULL);
		else
			(void)event_del(listener->sources[i].event);
	}
}

static void
listener_rested(evutil_socket_t fd, short what, void *arg)
{
	struct listener *listener = arg;

	(void)fd;
	(void)what;
	listener->resting = false;
	listener_watch(listener);
}

/* Tries again later: spinning would take the processor from the others. */
static void
listener_rest(struct listener *listener)
{
	static struct log_throttle throttle;
	const struct timeval rest = {0, REST_USEC};
	const char *reason = strerror(errno);
	uint64_t dropped;

	if (log_throttled(&throttle, &dropped))
		log_warn("could not accept a connection: %s withheld=%llu",
		    reason, (unsigned long long)dropped);
	listener->resting = true;
	(void)event_add(listener->rest, &rest);
	listener_watch(listener);
}

/* Takes one connection; false when there is none, or none can be had now. */
static bool
source_take(const struct source *source)
{
	const int on = 1;
	int fd;

	fd = accept4(source->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd != -1) {
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		source->listener->accept(
		    source->listener->arg, fd, source->tls);
		return true;
	}
	switch (errno) {
	case EAGAIN:
	case EINTR:
	case ECONNABORTED:
	case EPERM: /* a firewall's word */
	case EPROTO:
		/* Nothing there, or it is about that one connection. */
		return false;
	default:
		/* No descriptors, no memory, or the socket was shut down. */
		listener_rest(source->listener);
		return false;
	}
}

static void
source_ready(evutil_socket_t fd, short what, void *arg)
{
	const struct source *source = arg;
	int taken;

	(void)fd;
	(void)what;
	for (taken = 0; taken < ACCEPTS_PER_WAKE; taken++) {
		if (source->listener->paused || source->listener->resting ||
		    !source_take(source))
			break;
	}
}

static int
source_open(struct source *source, struct listener *listener,
    struct event_base *base, const struct listen_socket *from)
{
	const int bytes = SEND_BUFFER;

	source->listener = listener;
	source->fd = from->fd;
	source->tls = from->tls;
	/* Connections inherit it. */
	(void)setsockopt(
	    from->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	source->event = event_new(
	    base, from->fd, EV_READ | EV_PERSIST, source_ready, source);
	return source->event == NULL ? -1 : 0;
}

struct listener *
listener_create(struct event_base *base, const struct listen_socket *sockets,
    size_t n, listener_accept accept, void *arg, struct err *err)
{
	struct listener *listener;
	size_t i;

	if ((listener = calloc(1, sizeof(*listener))) == NULL ||
	    (listener->sources = calloc(n, sizeof(*listener->sources))) == NULL)
		goto out;
	listener->accept = accept;
	listener->arg = arg;
	for (i = 0; i < n; i++) {
		listener->n++;
		if (source_open(&listener->sources[i], listener, base,
			&sockets[i]) == -1)
			goto out;
	}
	if ((listener->rest = evtimer_new(base, listener_rested, listener)) ==
	    NULL)
		goto out;
	listener_watch(listener);
	return listener;

out:
	(void)err_set(err, "could not watch the listening sockets");
	listener_destroy(listener);
	return NULL;
}

void
listener_destroy(struct listener *listener)
{
	size_t i;

	if (listener == NULL)
		return;
	for (i = 0; i < listener->n; i++) {
		if (listener->sources[i].event != NULL)
			event_free(listener->sources[i].event);
	}
	if (listener->rest != NULL)
		event_free(listener->rest);
	free(listener->sources);
	free(listener);
}

void
listener_finish(struct listener *listener)
{
	size_t i;

	for (i = 0; i < listener->n; i++) {
		while (!listener->paused && !listener->resting &&
		    source_take(&listener->sources[i]))
			;
	}
	listener_pause(listener);
}

void
listener_pause(struct listener *listener)
{
	listener->paused = true;
	listener_watch(listener);
}

void
listener_resume(struct listener *listener)
{
	if (!listener->paused)
		return;
	listener->paused = false;
	listener_watch(listener);
}
