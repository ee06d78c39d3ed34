/* SPDX-License-Identifier: MIT */
/*
 * daemon.c - forks the daemon and waits for its report
 *
 * Standard error stays until the report, so that what goes wrong at the start
 * is said where somebody reads it.
 */
#include "master/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/exitcode.h"

/* A daemon that dies without a report has failed. */
_Noreturn static void
daemon_wait(pid_t pid, int fd)
{
	unsigned char code;
	int status;
	ssize_t n;

	do
		n = read(fd, &code, sizeof(code));
	while (n == -1 && errno == EINTR);
	if (n == (ssize_t)sizeof(code))
		_exit(code);
	if (waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	    WEXITSTATUS(status) != 0)
		_exit(WEXITSTATUS(status));
	_exit(EXIT_INTERNAL);
}

int
daemon_detach(struct err *err)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) == -1)
		return err_set(
		    err, "could not create a pipe: %s", strerror(errno));
	if ((pid = fork()) == -1)
		return err_set(err, "fork: %s", strerror(errno));
	if (pid > 0) {
		(void)close(fds[1]);
		daemon_wait(pid, fds[0]);
	}
	(void)close(fds[0]);
	if (setsid() == -1)
		return err_set(err, "setsid: %s", strerror(errno));
	return fds[1];
}

void
daemon_let_go(void)
{
	int fd, i;

	if ((fd = open("/dev/null", O_RDWR | O_CLOEXEC)) == -1)
		return;
	for (i = STDIN_FILENO; i <= STDERR_FILENO; i++)
		(void)dup2(fd, i);
	if (fd > STDERR_FILENO)
		(void)close(fd);
}

void
daemon_report(int fd, int code)
{
	unsigned char byte = (unsigned char)code;
	ssize_t n;

	if (fd == -1)
		return;
	if (code == 0)
		daemon_let_go();
	do
		n = write(fd, &byte, sizeof(byte));
	while (n == -1 && errno == EINTR);
	(void)close(fd);
}
