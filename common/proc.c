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

#include "common/exitcode.h"
#include "common/log.h"

static const char *const proc_titles[PROC_COUNT] = {
#define PROC(id, title) [PROC_##id] = title,
#include "common/proc.def"
};

/* The memory that ps shows, and how much of it the program's name took. */
static char *proc_name;
static size_t proc_name_len;

const char *
proc_title(enum proc proc)
{
	return proc_titles[proc];
}

void
proc_signals(void)
{
	static const int ignored[] = {
	    SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGPIPE};
	sigset_t none;
	size_t i;

	for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		(void)signal(ignored[i], SIG_IGN);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

void
proc_title_init(int argc, char **argv)
{
	proc_name = argv[0];
	proc_name_len = strlen(argv[0]);
	setproctitle_init(argc, argv, environ);
}

/*
 * libbsd leaves a dot where the program's name ended, if that is behind the
 * end of the title: ps would show it.
 */
static void
proc_set_title(const char *what)
{
	setproctitle("-productgraphd: %s", what);
	if (proc_name != NULL && strlen(proc_name) < proc_name_len)
		proc_name[proc_name_len] = '\0';
}

void
proc_enter(enum proc proc, int number)
{
	char prefix[64];

	if (number >= 0)
		(void)snprintf(
		    prefix, sizeof(prefix), "%s %d", proc_title(proc), number);
	else
		(void)snprintf(prefix, sizeof(prefix), "%s", proc_title(proc));
	log_set_prefix(prefix);
	/* The operator's command keeps its arguments for ps to show. */
	if (proc != PROC_CTL)
		proc_set_title(prefix);
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

/* getpwnam(3): these, and 0, are how an account that is not there looks. */
static bool
proc_is_unknown(int error)
{
	return error == 0 || error == ENOENT || error == ESRCH ||
	    error == EBADF || error == EPERM;
}

static int
proc_find(const char *user, uid_t *uid, gid_t *gid, struct err *err)
{
	const struct passwd *pw;
	int error;

	errno = 0;
	if ((pw = getpwnam(user)) == NULL) {
		error = errno;
		if (proc_is_unknown(error)) {
			(void)err_set(
			    err, "user \"%s\": no such account", user);
			return EXIT_CONFIG;
		}
		(void)err_set(err, "user \"%s\": %s", user, strerror(error));
		return EXIT_OS;
	}
	*uid = pw->pw_uid;
	*gid = pw->pw_gid;
	if (*uid != 0 && *gid != 0)
		return 0;
	(void)err_set(err, "user \"%s\" is root or of its group", user);
	return EXIT_CONFIG;
}

int
proc_account(const char *user, uid_t *uid, struct err *err)
{
	gid_t gid;

	return proc_find(user, uid, &gid, err);
}

static int
proc_become(const char *user, struct err *err)
{
	uid_t uid;
	gid_t gid;
	int code;

	if ((code = proc_find(user, &uid, &gid, err)) != 0)
		return code;
	if (initgroups(user, gid) == 0 && setresgid(gid, gid, gid) == 0 &&
	    setresuid(uid, uid, uid) == 0)
		return 0;
	(void)err_set(
	    err, "could not become user \"%s\": %s", user, strerror(errno));
	return EXIT_OS;
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

/* What needs no root, and so is done by whoever the process is by now. */
static int
proc_settle(pid_t parent, struct err *err)
{
	if (chdir("/") == -1)
		return err_set(
		    err, "could not change to \"/\": %s", strerror(errno));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return err_set(err, "could not give up new privileges: %s",
		    strerror(errno));
	return proc_die_with(parent, err);
}

int
proc_drop(const char *user, pid_t parent, struct err *err)
{
	bool root = geteuid() == 0;
	int code;

	if (root && (code = proc_become(user, err)) != 0)
		return code;
	if ((root && proc_prove(err) == -1) || proc_settle(parent, err) == -1)
		return EXIT_OS;
	return 0;
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
