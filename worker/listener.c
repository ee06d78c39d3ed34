/* SPDX-License-Identifier: MIT */
/*
 * listener.c - takes connections from inherited sockets
 *
 * The sockets are shared by all workers.  libevent's own epoll set cannot be
 * told EPOLLEXCLUSIVE, so they lie in a set of their own that can, and that set
 * is one readable descriptor to libevent.  A few connections are taken at each
 * wake-up, so that a burst spreads over the workers.
 */
#include "worker/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"

#define ACCEPTS_PER_WAKE 4
/* How long to leave the queue alone when the system is out of descriptors. */
#define REST_USEC 100000

struct listener {
	int epoll_fd;
	struct event *ready;
	struct event *rest;
	bool paused;
	bool resting;
	listener_accept accept;
	void *arg;
};

static void
listener_watch(struct listener *listener)
{
	if (listener->paused || listener->resting)
		(void)event_del(listener->ready);
	else
		(void)event_add(listener->ready, NULL);
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

static void
listener_out_of_files(struct listener *listener)
{
	static struct log_throttle throttle;
	const struct timeval rest = {0, REST_USEC};
	uint64_t dropped;

	if (log_throttled(&throttle, &dropped))
		log_warn("could not accept a connection: %s withheld=%llu",
		    strerror(errno), (unsigned long long)dropped);
	listener->resting = true;
	(void)event_add(listener->rest, &rest);
	listener_watch(listener);
}

/* Takes one connection; false when there is none, or none can be had now. */
static bool
listener_take(struct listener *listener, const struct worker_listener *from)
{
	const int on = 1;
	int fd;

	fd = accept4(from->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd == -1) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM)
			listener_out_of_files(listener);
		/* Everything else is about that one connection. */
		return false;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	listener->accept(listener->arg, fd, from->tls);
	return true;
}

static void
listener_ready(evutil_socket_t fd, short what, void *arg)
{
	struct listener *listener = arg;
	struct epoll_event events[8];
	int i, n, taken;

	(void)fd;
	(void)what;
	n = epoll_wait(listener->epoll_fd, events, 8, 0);
	for (i = 0; i < n; i++) {
		for (taken = 0; taken < ACCEPTS_PER_WAKE; taken++) {
			if (listener->paused || listener->resting ||
			    !listener_take(listener, events[i].data.ptr))
				break;
		}
	}
}

struct listener *
listener_create(struct event_base *base, const struct worker_listener *sockets,
    size_t n, listener_accept accept, void *arg, struct err *err)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE};
	struct listener *listener;
	size_t i;

	if ((listener = calloc(1, sizeof(*listener))) == NULL) {
		(void)err_set(err, "out of memory");
		return NULL;
	}
	listener->accept = accept;
	listener->arg = arg;
	if ((listener->epoll_fd = epoll_create1(EPOLL_CLOEXEC)) == -1)
		goto out;
	for (i = 0; i < n; i++) {
		event.data.ptr = (void *)(uintptr_t)&sockets[i];
		if (epoll_ctl(listener->epoll_fd, EPOLL_CTL_ADD, sockets[i].fd,
			&event) == -1)
			goto out;
	}
	listener->ready = event_new(base, listener->epoll_fd,
	    EV_READ | EV_PERSIST, listener_ready, listener);
	listener->rest = evtimer_new(base, listener_rested, listener);
	if (listener->ready == NULL || listener->rest == NULL)
		goto out;
	listener_watch(listener);
	return listener;

out:
	(void)err_set(
	    err, "could not watch the listening sockets: %s", strerror(errno));
	listener_destroy(listener);
	return NULL;
}

void
listener_destroy(struct listener *listener)
{
	if (listener == NULL)
		return;
	if (listener->ready != NULL)
		event_free(listener->ready);
	if (listener->rest != NULL)
		event_free(listener->rest);
	if (listener->epoll_fd != -1)
		(void)close(listener->epoll_fd);
	free(listener);
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
