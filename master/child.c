/* SPDX-License-Identifier: MIT */
/*
 * child.c - starts, commands and buries one child process
 *
 * Decides nothing about the others and keeps no list of them.
 */
#include "master/child.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/exitcode.h"
#include "common/log.h"
#include "common/timestamp.h"
#include "master/boot.h"
#include "master/master.h"

#define START_TIMEOUT_MS 30000
#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 5000
/*
 * More lines than a log socket holds: what comes after that many is said by
 * somebody else, whom a child that was taken over left behind.
 */
#define LAST_WORDS_ROUNDS 16
/*
 * A life after which the back-off is forgotten: whoever is killed once a second
 * is back at once, and a crash loop costs no more than two starts a second.
 */
#define LIFE_LONG_MS 500

/* The ends of a child's sockets; [0] is the master's. */
struct channels {
	int control[2];
	int log[2];
};

#define TO(state) (1u << CHILD_##state)

static const struct {
	const char *name;
	unsigned moves;
} states[CHILD_STATE_COUNT] = {
    [CHILD_NONE] = {"none", TO(DUE) | TO(STARTING) | TO(FAILED)},
    [CHILD_DUE] = {"due", TO(NONE) | TO(STARTING)},
    [CHILD_STARTING] = {"starting", TO(NONE) | TO(SERVING) | TO(ENDING)},
    [CHILD_SERVING] = {"serving", TO(NONE) | TO(ENDING)},
    [CHILD_ENDING] = {"ending", TO(NONE)},
    [CHILD_FAILED] = {"failed", TO(NONE)},
};

/*
 * The one place that sets the state.  To be told the same thing again, with
 * another deadline, is no move.  A wrong one is our fault; the master says so
 * and lives on.
 */
static void
child_move(struct child *child, enum child_state state)
{
	if (child->state == state)
		return;
	if ((states[child->state].moves & 1u << state) == 0)
		log_error("%s cannot go from %s to %s: a fault of ours",
		    child->name, states[child->state].name, states[state].name);
	child->state = state;
}

static void
close_pair(int fds[2])
{
	int i;

	for (i = 0; i < 2; i++)
		if (fds[i] != -1)
			(void)close(fds[i]);
}

static int
channels_open(struct channels *channels, struct err *err)
{
	*channels = (struct channels){{-1, -1}, {-1, -1}};
	if (control_pair(channels->control, err) == -1)
		return -1;
	if (log_pair(channels->log, err) == -1) {
		close_pair(channels->control);
		return -1;
	}
	return 0;
}

static void
set_timer(struct child *child, uint64_t ms)
{
	struct timeval tv = {
	    .tv_sec = (time_t)(ms / 1000),
	    .tv_usec = (suseconds_t)(ms % 1000 * 1000),
	};

	if (event_add(child->timer, &tv) == -1)
		log_error("could not set a timer for %s", child->name);
}

/* --- events --- */

/* Of all that a child may say, the master understands one thing. */
static void
on_control(evutil_socket_t fd, short what, void *arg)
{
	struct child *child = arg;
	enum control_kind kind;

	(void)what;
	switch (control_receive(fd, &kind)) {
	case CONTROL_NONE:
		return;
	case CONTROL_GOT:
		if (kind == CONTROL_STARTED && child->state == CHILD_STARTING) {
			child_move(child, CHILD_SERVING);
			(void)event_del(child->timer);
			master_child_started(child->master, child);
			return;
		}
		/* It may have started just before it was told to end. */
		if (kind == CONTROL_STARTED && child->state == CHILD_ENDING)
			return;
		break;
	case CONTROL_WRONG:
		break;
	case CONTROL_GONE:
		/* It is on its way out, or nobody could command it again. */
		(void)event_del(child->control_event);
		child_kill(child);
		return;
	}
	log_error("%s sent what is no message of ours: killed", child->who);
	(void)event_del(child->control_event);
	child_kill(child);
}

static void
on_log(evutil_socket_t fd, short what, void *arg)
{
	struct child *child = arg;

	(void)what;
	if (log_relay(fd, child->who) == LOG_RELAYED_LAST)
		(void)event_del(child->log_event);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct child *child = arg;

	(void)fd;
	(void)what;
	switch (child->state) {
	case CHILD_DUE:
		child_start(child, child->generation);
		return;
	case CHILD_STARTING:
		log_error("%s is not up after %d s: killed", child->who,
		    START_TIMEOUT_MS / 1000);
		break;
	case CHILD_ENDING:
		log_warn("%s did not end in time: killed", child->who);
		break;
	case CHILD_NONE:
	case CHILD_SERVING:
	case CHILD_FAILED:
	case CHILD_STATE_COUNT:
		return;
	}
	child_kill(child);
}

/* --- life --- */

int
child_init(struct child *child, struct master *master, enum proc proc,
    unsigned number, struct err *err)
{
	*child = (struct child){
	    .master = master,
	    .proc = proc,
	    .number = number,
	    .control_fd = -1,
	    .log_fd = -1,
	};
	if (proc == PROC_WORKER)
		(void)snprintf(child->name, sizeof(child->name), "%s %u",
		    proc_title(proc), number);
	else
		(void)snprintf(
		    child->name, sizeof(child->name), "%s", proc_title(proc));
	child->timer = evtimer_new(master->base, on_timer, child);
	return child->timer == NULL ? err_set(err, "out of memory") : 0;
}

/* Events go before their descriptors: epoll is told while they still exist. */
static void
child_release(struct child *child)
{
	if (child->control_event != NULL)
		event_free(child->control_event);
	if (child->log_event != NULL)
		event_free(child->log_event);
	child->control_event = child->log_event = NULL;
	if (child->control_fd != -1)
		(void)close(child->control_fd);
	if (child->log_fd != -1)
		(void)close(child->log_fd);
	child->control_fd = child->log_fd = -1;
}

void
child_fini(struct child *child)
{
	child_release(child);
	if (child->timer != NULL)
		event_free(child->timer);
	child->timer = NULL;
}

static int
child_watch(struct child *child, struct event_base *base)
{
	const short what = EV_READ | EV_PERSIST;

	child->control_event =
	    event_new(base, child->control_fd, what, on_control, child);
	child->log_event = event_new(base, child->log_fd, what, on_log, child);
	if (child->control_event == NULL || child->log_event == NULL ||
	    event_add(child->control_event, NULL) == -1 ||
	    event_add(child->log_event, NULL) == -1)
		return -1;
	return 0;
}

/*
 * All signals the master handles are blocked, here and in the child until it
 * has put its own handling in place, so none is lost or taken by the wrong one.
 */
static int
child_fork(struct child *child, struct err *err)
{
	struct channels channels;
	pid_t pid, parent = getpid();

	if (channels_open(&channels, err) == -1)
		return -1;
	(void)fflush(NULL);
	if ((pid = fork()) == -1) {
		(void)err_set(err, "fork: %s", strerror(errno));
		close_pair(channels.control);
		close_pair(channels.log);
		return -1;
	}
	if (pid == 0)
		boot_child(child->master, child, parent, channels.control[1],
		    channels.log[1]);
	(void)close(channels.control[1]);
	(void)close(channels.log[1]);
	child->control_fd = channels.control[0];
	child->log_fd = channels.log[0];
	child->pid = pid;
	return 0;
}

void
child_start(struct child *child, unsigned generation)
{
	const struct cfg *cfg;
	struct err err;

	child->generation = generation;
	cfg = master_cfg_of(child->master, child);
	/* Before it is read: what is newer than that is seen as newer. */
	if (child->proc == PROC_AGGREGATOR)
		child->password = stamp_of(cfg->pg_password_file);
	child->started_ms = clock_ms();
	if (child_fork(child, &err) == -1) {
		log_error("could not start %s: %s", child->name, err.text);
		child_schedule(child);
		return;
	}
	(void)snprintf(child->who, sizeof(child->who), "%s[%d]", child->name,
	    (int)child->pid);
	child_move(child, CHILD_STARTING);
	set_timer(child, START_TIMEOUT_MS);
	if (child_watch(child, child->master->base) == -1) {
		log_error("out of memory: %s killed", child->who);
		child_kill(child);
		return;
	}
	log_debug("started %s generation=%u", child->who, generation);
}

void
child_schedule(struct child *child)
{
	if (clock_ms() - child->started_ms >= LIFE_LONG_MS)
		child->backoff_ms = 0;
	child_move(child, CHILD_DUE);
	set_timer(child, child->backoff_ms);
	if (child->backoff_ms > 0)
		log_info("%s is started again in %llu ms", child->name,
		    (unsigned long long)child->backoff_ms);
	child->backoff_ms =
	    child->backoff_ms == 0 ? BACKOFF_FIRST_MS : 2 * child->backoff_ms;
	if (child->backoff_ms > BACKOFF_MAX_MS)
		child->backoff_ms = BACKOFF_MAX_MS;
}

void
child_end(struct child *child, enum control_kind kind, uint64_t timeout_ms)
{
	child_move(child, CHILD_ENDING);
	set_timer(child, timeout_ms);
	/*
	 * A child is told two things in its whole life, and its socket holds
	 * hundreds: when this fails, nobody is listening any more.
	 */
	if (control_send(child->control_fd, kind) == -1)
		child_kill(child);
}

void
child_kill(const struct child *child)
{
	if (child->pid > 0)
		(void)kill(child->pid, SIGKILL);
}

void
child_cancel(struct child *child)
{
	(void)event_del(child->timer);
	child_move(child, CHILD_NONE);
	child->backoff_ms = 0;
}

void
child_give_up(struct child *child)
{
	child_move(child, CHILD_FAILED);
	log_error("%s is not started again before the next reload", child->who);
}

/* --- end --- */

static const char *
exit_words(int code)
{
	switch ((enum exitcode)code) {
	case EXIT_DONE:
		return "done";
	case EXIT_USAGE:
		return "started wrongly";
	case EXIT_DATABASE:
		return "the database is away";
	case EXIT_INTERNAL:
		return "an internal error";
	case EXIT_OS:
		return "the system refused something";
	case EXIT_CONFIG:
		return "the configuration is at fault";
	case EXIT_REFUSED:
	case EXIT_PENDING:
		break; /* productgraphctl's */
	}
	return "unknown";
}

static void
log_exit(const struct child *child, int status)
{
	const char *name;

	if (WIFSIGNALED(status)) {
		name = sigabbrev_np(WTERMSIG(status));
		log_error("%s was killed by signal %d (%s)", child->who,
		    WTERMSIG(status), name == NULL ? "?" : name);
	} else if (child->state == CHILD_ENDING && WEXITSTATUS(status) == 0) {
		log_info("%s ended", child->who);
	} else {
		log_error("%s exited with code %d: %s", child->who,
		    WEXITSTATUS(status), exit_words(WEXITSTATUS(status)));
	}
}

void
child_reaped(struct child *child, int status)
{
	int i = 0;

	/* Its last words, which say why it died. */
	while (child->log_fd != -1 && i++ < LAST_WORDS_ROUNDS &&
	    log_relay(child->log_fd, child->who) == LOG_RELAYED_SOME)
		;
	log_exit(child, status);
	child_release(child);
	(void)event_del(child->timer);
	child->pid = 0;
	child_move(child, CHILD_NONE);
}
