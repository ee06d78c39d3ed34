/* SPDX-License-Identifier: MIT */
/*
 * log.h - one line per event of the daemon's life
 *
 * Runs in   all
 * Promises  a line is written whole; never blocks: a child's lines go over a
 *           SOCK_SEQPACKET pair to the master, and what did not fit is counted
 * and told with the next line that does Form      2026-11-20T23:31:28.123Z info
 * master[123]: text Wording   lower case, no full stop, names quoted, key=value
 * at the end Tests     t/unit/log_test.c
 */
#ifndef PGD_COMMON_LOG_H
#define PGD_COMMON_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/* The order of the words of log_level in cfg.def. */
enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

#define LOG_LINE_MAX 2048

/* To a descriptor the caller keeps (standard error or a file). */
void log_to_fd(int fd);
/* To syslog, facility daemon. */
void log_to_syslog(void);
/* To the master: fd is this child's end of the pair. */
void log_to_master(int fd);
/* Errors go to fd as well, for whoever started the daemon; -1: no longer. */
void log_echo_errors(int fd);
void log_set_level(enum log_level);
void log_set_prefix(const char *);

void log_error(const char *, ...) PRINTF_LIKE(1, 2);
void log_warn(const char *, ...) PRINTF_LIKE(1, 2);
void log_info(const char *, ...) PRINTF_LIKE(1, 2);
void log_debug(const char *, ...) PRINTF_LIKE(1, 2);

/* Sockets for a child's lines: fds[0] is the master's, fds[1] the child's. */
int log_pair(int fds[2], struct err *) MUST_CHECK;

/*
 * The master's side: takes the lines waiting on fd and writes each as one of
 * who ("worker 2[123]").  What is no well-formed line of ours is dropped,
 * control characters are replaced: the sender talks to strangers.
 */
enum log_relayed {
	LOG_RELAYED_ALL,  /* nothing waits now */
	LOG_RELAYED_SOME, /* a fair share was taken; more may wait */
	LOG_RELAYED_LAST, /* the other side has closed, or the socket failed */
};
enum log_relayed log_relay(int fd, const char *who);

/*
 * True when a line a stranger can trigger may be printed now: once per
 * interval and place.  *dropped gets the number withheld since the last one.
 */
struct log_throttle {
	uint64_t next_ms;
	uint64_t dropped;
};
int log_throttled(struct log_throttle *, uint64_t *dropped);

#endif
