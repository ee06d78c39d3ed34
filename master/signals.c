/* SPDX-License-Identifier: MIT */
/*
 * signals.c - takes signals as events
 *
 * By signalfd and not by libevent's handlers: a handler writes to a socket that
 * a child shares until it has changed its own handling, and libevent knows one
 * base with signals per process, which a fork would inherit.  The functions of
 * the table run from the loop and may do anything.
 */
#include "master/signals.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/log.h"
#include "master/reload.h"

static const struct {
	int signo;
	const char *name;
	const char *word; /* of -s; NULL: none */
	void (*action)(struct master *);
} table[] = {
    {SIGTERM, "TERM", "stop", master_stop},
    {SIGINT, "INT", NULL, master_stop},
    {SIGQUIT, "QUIT", "quit", master_quit},
    {SIGHUP, "HUP", "reload", reload_request},
    {SIGCHLD, "CHLD", NULL, master_reap},
};

#define TABLE_ROWS (sizeof(table) / sizeof(table[0]))

static void
on_signal(evutil_socket_t fd, short what, void *arg)
{
	struct signalfd_siginfo info;
	size_t i;

	(void)what;
	while (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		for (i = 0; i < TABLE_ROWS; i++) {
			if ((uint32_t)table[i].signo != info.ssi_signo)
				continue;
			if (info.ssi_signo != SIGCHLD)
				log_info("signal %s", table[i].name);
			table[i].action(arg);
		}
}

int
signals_open(struct master *master, struct err *err)
{
	sigset_t set;
	size_t i;
	int fd;

	(void)sigemptyset(&set);
	for (i = 0; i < TABLE_ROWS; i++)
		(void)sigaddset(&set, table[i].signo);
	(void)signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) == -1 ||
	    (fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC)) == -1)
		return err_set(
		    err, "could not take signals: %s", strerror(errno));
	master->signal_event = event_new(
	    master->base, fd, EV_READ | EV_PERSIST, on_signal, master);
	if (master->signal_event == NULL)
		(void)close(fd);
	else if (event_add(master->signal_event, NULL) == 0)
		return 0;
	return err_set(err, "out of memory");
}

void
signals_close(struct master *master)
{
	int fd;

	if (master->signal_event == NULL)
		return;
	fd = event_get_fd(master->signal_event);
	event_free(master->signal_event);
	master->signal_event = NULL;
	(void)close(fd);
}

int
signals_by_word(const char *word)
{
	size_t i;

	for (i = 0; i < TABLE_ROWS; i++)
		if (table[i].word != NULL && strcmp(table[i].word, word) == 0)
			return table[i].signo;
	return 0;
}
