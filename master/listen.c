/* SPDX-License-Identifier: MIT */
/*
 * listen.c - binds the addresses of "listen" and "listen_plain"
 *
 * Accepts nothing.  One socket per address and family, without SO_REUSEPORT:
 * closing one of several such sockets would lose the connections in its queue.
 */
#include "master/listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/address.h"
#include "common/log.h"

#define LISTEN_BACKLOG 4096

/* -1 with errno. */
static int
listen_bind(const struct address *address)
{
	const int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
	const int on = 1;
	int fd, saved, family = address->addr.ss_family;

	if ((fd = socket(family, type, 0)) == -1)
		return -1;
	/* "*" has a socket of each family; neither may take both. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	    (family != AF_INET6 ||
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) ==
		    0) &&
	    bind(fd, (const struct sockaddr *)&address->addr, address->len) ==
		0 &&
	    listen(fd, LISTEN_BACKLOG) == 0)
		return fd;
	saved = errno;
	(void)close(fd);
	errno = saved;
	return -1;
}

static int
listen_add(struct listeners *listeners, int fd, bool tls)
{
	struct listen_socket *items;

	items =
	    reallocarray(listeners->items, listeners->n + 1, sizeof(*items));
	if (items == NULL)
		return -1;
	items[listeners->n++] = (struct listen_socket){fd, tls};
	listeners->items = items;
	return 0;
}

/* A machine without one of the families can still listen on "*". */
static bool
family_is_missing(size_t naddresses)
{
	return naddresses > 1 &&
	    (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL);
}

static int
listen_text(
    struct listeners *listeners, const char *text, bool tls, struct err *err)
{
	struct address addresses[2];
	size_t i, bound = 0, n = address_parse(text, addresses);
	int fd;

	for (i = 0; i < n; i++) {
		fd = listen_bind(&addresses[i]);
		if (fd == -1 && family_is_missing(n))
			continue;
		if (fd == -1)
			return err_set(err, "could not bind \"%s\": %s", text,
			    strerror(errno));
		bound++;
		if (listen_add(listeners, fd, tls) == -1) {
			(void)close(fd);
			return err_set(err, "out of memory");
		}
	}
	if (bound == 0)
		return err_set(err, "could not bind \"%s\": %s", text,
		    strerror(EAFNOSUPPORT));
	log_debug("listening on \"%s\" tls=%d", text, tls);
	return 0;
}

int
listen_open(struct listeners *listeners, const struct cfg *cfg, struct err *err)
{
	size_t i;

	for (i = 0; i < cfg->listen.n; i++)
		if (listen_text(listeners, cfg->listen.items[i], true, err) ==
		    -1)
			return -1;
	for (i = 0; i < cfg->listen_plain.n; i++)
		if (listen_text(listeners, cfg->listen_plain.items[i], false,
			err) == -1)
			return -1;
	return 0;
}

void
listen_close(struct listeners *listeners)
{
	while (listeners->n > 0)
		(void)close(listeners->items[--listeners->n].fd);
	free(listeners->items);
	listeners->items = NULL;
}
