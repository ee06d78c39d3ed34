/* SPDX-License-Identifier: MIT */
/*
 * check.c - looks up accounts and loads secrets in a child thrown away
 *
 * Judges no secret itself: the rooms that use them say whether they can.
 */
#include "master/check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aggregator/aggregator_main.h"
#include "common/log.h"
#include "worker/worker_main.h"

static int
check_account(
    const char *directive, const char *user, uid_t *uid, struct err *err)
{
	struct err why;

	if (proc_account(user, uid, &why) == 0)
		return 0;
	return err_set(err, "\"%s\": %.400s", directive, why.text);
}

/* Who is not root gives his children no other account. */
static int
check_accounts(const struct cfg *cfg, struct err *err)
{
	uid_t worker, aggregator;

	if (geteuid() != 0)
		return 0;
	if (check_account("worker_user", cfg->worker_user, &worker, err) ==
		-1 ||
	    check_account("aggregator_user", cfg->aggregator_user, &aggregator,
		err) == -1)
		return -1;
	if (worker == aggregator)
		return err_set(err,
		    "\"worker_user\" and \"aggregator_user\" are both user "
		    "id %u: one could trace the other",
		    (unsigned)worker);
	return 0;
}

/* Each room sees its slice, as it will when it runs. */
static int
check_all(const struct cfg *cfg, struct err *err)
{
	struct cfg *worker = cfg_slice(cfg, PROC_WORKER);
	struct cfg *aggregator = cfg_slice(cfg, PROC_AGGREGATOR);

	if (worker == NULL || aggregator == NULL)
		return err_set(err, "out of memory");
	if (check_accounts(cfg, err) == -1)
		return -1;
	if (cfg_uses_tls(worker) && worker_check_tls(worker, err) == -1)
		return -1;
	return aggregator_check(aggregator, err);
}

/* Its answer: nothing when all is well, else the reason. */
_Noreturn static void
check_child(const struct cfg *cfg, int fd)
{
	struct err err;
	sigset_t none;
	ssize_t n = 0;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGALRM, SIG_DFL);
	(void)alarm(CHECK_TIMEOUT_S);
	if (check_all(cfg, &err) == -1)
		n = write(fd, err.text, strlen(err.text));
	_exit(n < 0);
}

static size_t
read_answer(int fd, char *text, size_t size)
{
	size_t used = 0;
	ssize_t n;

	do {
		n = read(fd, text + used, size - 1 - used);
		if (n > 0)
			used += (size_t)n;
	} while (n > 0 || (n == -1 && errno == EINTR));
	text[used] = '\0';
	return used;
}

int
check_config(const struct cfg *cfg, struct err *err)
{
	int fds[2], status;
	size_t used;
	pid_t pid, reaped;

	if (pipe2(fds, O_CLOEXEC) == -1)
		return err_set(
		    err, "could not create a pipe: %s", strerror(errno));
	if ((pid = fork()) == 0)
		check_child(cfg, fds[1]);
	(void)close(fds[1]);
	if (pid == -1) {
		(void)close(fds[0]);
		return err_set(err, "fork: %s", strerror(errno));
	}
	used = read_answer(fds[0], err->text, sizeof(err->text));
	(void)close(fds[0]);
	do
		reaped = waitpid(pid, &status, 0);
	while (reaped == -1 && errno == EINTR);
	if (used > 0)
		return -1;
	if (reaped != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(err,
		    "the check of accounts, certificate and password "
		    "did not come to an end");
	return 0;
}
