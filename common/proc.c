/* SPDX-License-Identifier: MIT */
/*
 * proc.c - the prologue every process goes through
 *
 * Only the steps, no order: the order is each room's <room>_main().  Nothing
 * here is undone later, and no failure here is survived by a child.
 */
#include "common/proc.h"

#include <bsd/unistd.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <signal.h>
#include <unistd.h>

#include "common/log.h"

static const char *const proc_titles[PROC_COUNT] = {
#define PROC(id, title, doc) [PROC_##id] = title,
#include "common/proc.def"
};

static enum proc proc_self;

const char *
proc_title(enum proc proc)
{
	return proc_titles[proc];
}

enum proc
proc_current(void)
{
	return proc_self;
}

void
proc_enter(enum proc proc, int number)
{
	char prefix[64];

	proc_self = proc;
	if (number >= 0)
		(void)snprintf(
		    prefix, sizeof(prefix), "%s %d", proc_title(proc), number);
	else
		(void)snprintf(prefix, sizeof(prefix), "%s", proc_title(proc));
	log_set_prefix(prefix);
	/* The operator's command keeps its arguments for ps to show. */
	if (proc != PROC_CTL)
		setproctitle("-productgraphd: %s", prefix);
}

static int
compare_fds(const void *a, const void *b)
{
	const int *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

void
proc_close_others(int *keep, size_t n)
{
	unsigned next = STDERR_FILENO + 1;
	size_t i;

	qsort(keep, n, sizeof(*keep), compare_fds);
	for (i = 0; i < n; i++) {
		if (keep[i] < (int)next)
			continue;
		if (keep[i] > (int)next)
			(void)close_range(next, (unsigned)keep[i] - 1, 0);
		next = (unsigned)keep[i] + 1;
	}
	(void)close_range(next, ~0u, 0);
}

void
proc_raise_files(size_t n)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1 || limit.rlim_cur >= n)
		return;
	if (limit.rlim_max < n) {
		/* Only root may, and only as far as the kernel goes. */
		struct rlimit more = {n, n};

		if (setrlimit(RLIMIT_NOFILE, &more) == 0)
			return;
	}
	limit.rlim_cur = limit.rlim_max < n ? limit.rlim_max : n;
	if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
		log_warn("could not raise the limit of open files: %s",
		    strerror(errno));
	else if (limit.rlim_cur < n)
		log_warn("only %llu files may be open, %zu are wanted",
		    (unsigned long long)limit.rlim_cur, n);
}

static int
proc_become(const char *user, struct err *err)
{
	const struct passwd *pw;
	uid_t uid;
	gid_t gid;

	errno = 0;
	if ((pw = getpwnam(user)) == NULL)
		return err_set(err, "user \"%s\": %s", user,
		    errno == 0 ? "no such account" : strerror(errno));
	uid = pw->pw_uid;
	gid = pw->pw_gid;
	if (uid == 0 || gid == 0)
		return err_set(
		    err, "user \"%s\" is root or of its group", user);
	if (initgroups(user, gid) == -1 || setresgid(gid, gid, gid) == -1 ||
	    setresuid(uid, uid, uid) == -1)
		return err_set(err, "could not become user \"%s\": %s", user,
		    strerror(errno));
	return 0;
}

/* What cannot be taken back by trying is not there. */
static int
proc_prove(struct err *err)
{
	if (setuid(0) == 0 || seteuid(0) == 0 || setgid(0) == 0 ||
	    setgroups(0, NULL) == 0)
		return err_set(err, "privileges could be taken back");
	if (geteuid() == 0 || getuid() == 0 || getegid() == 0)
		return err_set(err, "still root after giving it up");
	return 0;
}

/*
 * The kernel forgets the death signal whenever credentials change, so this
 * comes after; and the master may have died before it was set.
 */
static int
proc_die_with(pid_t parent, struct err *err)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1)
		return err_set(err,
		    "could not tie the process to its "
		    "parent: %s",
		    strerror(errno));
	if (getppid() != parent)
		return err_set(err, "the parent is gone");
	return 0;
}

int
proc_drop(const char *user, pid_t parent, struct err *err)
{
	if (chdir("/") == -1)
		return err_set(
		    err, "could not change to \"/\": %s", strerror(errno));
	if (geteuid() == 0 &&
	    (proc_become(user, err) == -1 || proc_prove(err) == -1))
		return -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return err_set(err, "could not give up new privileges: %s",
		    strerror(errno));
	return proc_die_with(parent, err);
}

void
proc_scrub_environment(void)
{
	char **in, **out;

	for (in = out = environ; *in != NULL; in++) {
		if (strncmp(*in, "PG", 2) == 0)
			explicit_bzero(*in, strlen(*in));
		else
			*out++ = *in;
	}
	*out = NULL;
}
