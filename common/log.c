/* SPDX-License-Identifier: MIT */
/*
 * log.c - writes log lines, or sends them to the process that does
 *
 * A child's line is one message: a byte of level, then the text.  Who sent it
 * the master knows by the socket, so that no child can speak in another's
 * name.
 */
#include "common/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "common/timestamp.h"

#define LOG_WHO_MAX 64
#define LOG_THROTTLE_MS 1000
/* Lines taken from one child in a row, so that none keeps the others waiting */
#define LOG_RELAY_MAX 64

enum log_target {
	LOG_TARGET_FD,
	LOG_TARGET_SYSLOG,
	LOG_TARGET_MASTER,
};

/* The log is one of the few things a process has exactly one of. */
static struct {
	enum log_target target;
	int fd;
	int echo_fd;
	enum log_level level;
	uint64_t dropped;
	char prefix[LOG_WHO_MAX];
} the_log = {
    .fd = STDERR_FILENO,
    .echo_fd = -1,
    .level = LOG_LEVEL_INFO,
    .prefix = "productgraph",
};

static const struct {
	const char *word;
	int priority;
} log_levels[] = {
    [LOG_LEVEL_ERROR] = {"error", LOG_ERR},
    [LOG_LEVEL_WARN] = {"warn", LOG_WARNING},
    [LOG_LEVEL_INFO] = {"info", LOG_INFO},
    [LOG_LEVEL_DEBUG] = {"debug", LOG_DEBUG},
};

void
log_to_fd(int fd)
{
	the_log.target = LOG_TARGET_FD;
	the_log.fd = fd;
}

void
log_to_syslog(void)
{
	openlog("productgraphd", LOG_PID | LOG_NDELAY, LOG_DAEMON);
	the_log.target = LOG_TARGET_SYSLOG;
}

void
log_to_master(int fd)
{
	the_log.target = LOG_TARGET_MASTER;
	the_log.fd = fd;
	the_log.echo_fd = -1;
	the_log.dropped = 0;
}

void
log_echo_errors(int fd)
{
	the_log.echo_fd = fd;
}

void
log_set_level(enum log_level level)
{
	the_log.level = level;
}

void
log_set_prefix(const char *prefix)
{
	(void)snprintf(the_log.prefix, sizeof(the_log.prefix), "%s", prefix);
}

int
log_pair(int fds[2], struct err *err)
{
	/*
	 * Not SOCK_DGRAM, which the kernel bounds to a handful of messages: a
	 * child that says more in a burst would lose most of it.
	 */
	const int type = SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC;

	if (socketpair(AF_UNIX, type, 0, fds) == -1)
		return err_set(
		    err, "could not create a socket pair: %s", strerror(errno));
	return 0;
}

/* --- one line out --- */

/* Whoever reads the log on a terminal must not be played with. */
static void
log_sanitise(char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 127)
			text[i] = '?';
}

static void
log_time(char out[32])
{
	struct timespec now;
	struct tm tm;
	size_t n;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)gmtime_r(&now.tv_sec, &tm);
	n = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(
	    out + n, 32 - n, ".%03dZ", (int)(now.tv_nsec / 1000000 % 1000));
}

/*
 * A pipe that nobody reads would block a write; one that polls as writable has
 * room for PIPE_BUF bytes, which is more than a line.
 */
static int
log_write(int fd, const char *line, size_t len)
{
	struct pollfd pfd = {.fd = fd, .events = POLLOUT};
	ssize_t n;

	if (poll(&pfd, 1, 0) != 1 || (pfd.revents & POLLOUT) == 0)
		return -1;
	do
		n = write(fd, line, len);
	while (n == -1 && errno == EINTR);
	return n == (ssize_t)len ? 0 : -1;
}

static void
log_echo(enum log_level level, const char *who, const char *text)
{
	char line[LOG_LINE_MAX + LOG_WHO_MAX + 32];
	int n;

	if (the_log.echo_fd == -1 || level != LOG_LEVEL_ERROR)
		return;
	n = snprintf(line, sizeof(line), "productgraphd: %s%s%s\n", who,
	    *who == '\0' ? "" : ": ", text);
	(void)log_write(the_log.echo_fd, line, (size_t)n);
}

static int
log_line(enum log_level level, const char *who, const char *text)
{
	char line[LOG_LINE_MAX + LOG_WHO_MAX + 64], when[32];
	int n;

	if (the_log.target == LOG_TARGET_SYSLOG) {
		syslog(log_levels[level].priority, "%s %s: %s",
		    log_levels[level].word, who, text);
		return 0;
	}
	log_time(when);
	n = snprintf(line, sizeof(line), "%s %s %s: %s\n", when,
	    log_levels[level].word, who, text);
	return log_write(the_log.fd, line, (size_t)n);
}

static int
log_datagram(enum log_level level, const char *text, size_t len)
{
	char message[1 + LOG_LINE_MAX];
	ssize_t n;

	message[0] = (char)level;
	memcpy(message + 1, text, len);
	do
		n = send(
		    the_log.fd, message, 1 + len, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n == -1 && errno == EINTR);
	return n == -1 ? -1 : 0;
}

static int
log_emit(enum log_level level, const char *text, size_t len)
{
	char who[LOG_WHO_MAX + 16];

	if (the_log.target == LOG_TARGET_MASTER)
		return log_datagram(level, text, len);
	log_echo(level, "", text);
	(void)snprintf(
	    who, sizeof(who), "%s[%d]", the_log.prefix, (int)getpid());
	return log_line(level, who, text);
}

static void PRINTF_LIKE(2, 0)
    log_format(enum log_level level, const char *fmt, va_list ap)
{
	char text[LOG_LINE_MAX];
	size_t len;

	if (level > the_log.level)
		return;
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	len = strlen(text);
	if (the_log.dropped > 0) {
		(void)snprintf(text + len, sizeof(text) - len,
		    " log_dropped=%llu", (unsigned long long)the_log.dropped);
		len = strlen(text);
	}
	log_sanitise(text, len);
	if (log_emit(level, text, len) == -1)
		the_log.dropped++;
	else
		the_log.dropped = 0;
}

void
log_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_format(LOG_LEVEL_ERROR, fmt, ap);
	va_end(ap);
}

void
log_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_format(LOG_LEVEL_WARN, fmt, ap);
	va_end(ap);
}

void
log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_format(LOG_LEVEL_INFO, fmt, ap);
	va_end(ap);
}

void
log_debug(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_format(LOG_LEVEL_DEBUG, fmt, ap);
	va_end(ap);
}

/* --- lines of others --- */

static void
log_relay_line(const char *who, char *message, size_t len)
{
	unsigned level = (unsigned char)message[0];

	/* What is above the level was sent before a reload lowered it. */
	if (len < 2 || len > LOG_LINE_MAX || level > the_log.level)
		return;
	message[len] = '\0';
	log_sanitise(message + 1, len - 1);
	log_echo((enum log_level)level, who, message + 1);
	if (log_line((enum log_level)level, who, message + 1) == -1)
		the_log.dropped++;
}

enum log_relayed
log_relay(int fd, const char *who)
{
	char message[LOG_LINE_MAX + 2];
	int lines;
	ssize_t n;

	for (lines = 0; lines < LOG_RELAY_MAX; lines++) {
		do
			n = recv(fd, message, sizeof(message) - 1,
			    MSG_DONTWAIT | MSG_TRUNC);
		while (n == -1 && errno == EINTR);
		if (n == -1)
			return errno == EAGAIN ? LOG_RELAYED_ALL
					       : LOG_RELAYED_LAST;
		if (n == 0)
			return LOG_RELAYED_LAST;
		log_relay_line(who, message, (size_t)n);
	}
	return LOG_RELAYED_SOME;
}

int
log_throttled(struct log_throttle *throttle, uint64_t *dropped)
{
	uint64_t now = clock_ms();

	if (now < throttle->next_ms) {
		throttle->dropped++;
		return 0;
	}
	*dropped = throttle->dropped;
	throttle->dropped = 0;
	throttle->next_ms = now + LOG_THROTTLE_MS;
	return 1;
}
