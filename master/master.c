/* SPDX-License-Identifier: MIT */
/*
 * master.c - starts the daemon, keeps it whole, ends it
 *
 * Here is decided what the life and death of a child means: start another, give
 * up, go on with a reload, or end.  How a child is started and ended is in
 * child.c, the reload in reload.c.  The master parses nothing a client sent and
 * does not talk to PostgreSQL.
 */
#include "master/master.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bsd/libutil.h>

#include "common/exitcode.h"
#include "common/log.h"
#include "common/timestamp.h"
#include "master/check.h"
#include "master/daemon.h"
#include "master/reload.h"
#include "master/signals.h"

#define WORKERS_MAX 256
#define STOP_GRACE_MS 1000
#define START_TIMEOUT_S 60

/* --- children --- */

struct child *
master_worker(const struct master *master, unsigned generation, unsigned number)
{
	return &master->workers[shm_slot(master->shm, generation, number)];
}

const struct cfg *
master_cfg_of(const struct master *master, const struct child *child)
{
	if (master->next != NULL && child->proc == PROC_WORKER &&
	    child->generation == master->generation + 1)
		return master->next;
	return master->cfg;
}

bool
master_is_serving(const struct master *master, unsigned generation)
{
	unsigned i;

	for (i = 0; i < master->shm->workers; i++)
		if (master_worker(master, generation, i)->state !=
		    CHILD_SERVING)
			return false;
	return true;
}

/* Slot by slot, the aggregator last; NULL behind it. */
static struct child *
master_child(struct master *master, unsigned index)
{
	if (index < master->shm->slots)
		return &master->workers[index];
	return index == master->shm->slots ? &master->aggregator : NULL;
}

static struct child *
master_find(struct master *master, pid_t pid)
{
	struct child *child;
	unsigned i;

	for (i = 0; (child = master_child(master, i)) != NULL; i++)
		if (child->pid == pid)
			return child;
	return NULL;
}

static bool
master_has_workers(struct master *master)
{
	const struct child *child;
	unsigned i;

	for (i = 0; (child = master_child(master, i)) != NULL; i++)
		if (child->proc == PROC_WORKER && child->pid != 0)
			return true;
	return false;
}

static void
master_end(struct master *master)
{
	(void)event_base_loopbreak(master->base);
}

/* --- stop and quit --- */

static void
master_end_child(
    struct child *child, enum control_kind kind, uint64_t timeout_ms)
{
	if (child->pid != 0)
		child_end(child, kind, timeout_ms);
	else
		child_cancel(child);
}

static bool
master_is_empty(struct master *master)
{
	return !master_has_workers(master) && master->aggregator.pid == 0;
}

/* Nobody waits for the start any longer. */
static void
master_enter_end(struct master *master, enum master_phase phase)
{
	master->phase = phase;
	(void)event_del(master->start_timer);
}

void
master_stop(struct master *master)
{
	struct child *child;
	unsigned i;

	if (master->phase == MASTER_STOPPING)
		return;
	master_enter_end(master, MASTER_STOPPING);
	for (i = 0; (child = master_child(master, i)) != NULL; i++)
		master_end_child(child, CONTROL_STOP, STOP_GRACE_MS);
	if (master_is_empty(master))
		master_end(master);
}

/*
 * The requests in flight in the workers need the aggregator to their end.  It
 * gets what they left of the time.
 */
static void
master_quit_aggregator(struct master *master)
{
	uint64_t now = clock_ms();
	uint64_t left = master->quit_by_ms > now ? master->quit_by_ms - now : 0;

	master_end_child(
	    &master->aggregator, CONTROL_DRAIN, left + AGGREGATOR_GRACE_MS);
	if (master->aggregator.pid == 0)
		master_end(master);
}

void
master_quit(struct master *master)
{
	unsigned i;

	if (master->phase == MASTER_STOPPING ||
	    master->phase == MASTER_QUITTING)
		return;
	master_enter_end(master, MASTER_QUITTING);
	master->quit_by_ms = clock_ms() + master->cfg->stop_timeout_ms;
	for (i = 0; i < master->shm->slots; i++)
		master_end_child(&master->workers[i], CONTROL_DRAIN,
		    master->cfg->stop_timeout_ms);
	if (!master_has_workers(master))
		master_quit_aggregator(master);
}

static void
master_fail(struct master *master, int code)
{
	master->exit_code = code;
	master_stop(master);
}

/* --- what children do --- */

static void
master_ready(struct master *master)
{
	master->phase = MASTER_RUNNING;
	(void)event_del(master->start_timer);
	log_info("ready workers=%u listeners=%zu", master->shm->workers,
	    master->listeners.n);
	log_echo_errors(-1);
	daemon_report(master->ready_fd, EXIT_DONE);
	master->ready_fd = -1;
	reload_resume(master);
}

void
master_child_started(struct master *master, struct child *child)
{
	log_debug("%s serves", child->who);
	if (master->phase == MASTER_STARTING &&
	    master_is_serving(master, master->generation) &&
	    master->aggregator.state == CHILD_SERVING)
		master_ready(master);
	else if (master->next != NULL && child->proc == PROC_WORKER &&
	    child->generation == master->generation + 1)
		reload_started(master);
}

/* Another start would find the same configuration and fail in the same way. */
static void
master_give_up(struct master *master, struct child *child)
{
	unsigned i;

	if (master->phase == MASTER_STARTING) {
		master_fail(master, EXIT_CONFIG);
		return;
	}
	child_give_up(child);
	if (child->proc == PROC_AGGREGATOR)
		return;
	for (i = 0; i < master->shm->workers; i++)
		if (master_worker(master, master->generation, i)->state !=
		    CHILD_FAILED)
			return;
	log_error("no worker is left, nobody serves: correct the "
		  "configuration and reload");
}

static void
master_replace(struct master *master, struct child *child, int status)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_CONFIG)
		master_give_up(master, child);
	else
		child_schedule(child);
}

/* Whoever quits drains workers first; until then the aggregator is needed. */
static void
master_gone_quitting(
    struct master *master, struct child *child, enum child_state was)
{
	if (child->proc == PROC_WORKER) {
		if (!master_has_workers(master))
			master_quit_aggregator(master);
	} else if (was == CHILD_ENDING && !master_has_workers(master)) {
		master_end(master);
	} else {
		child_schedule(child);
	}
}

static void
master_gone_running(struct master *master, struct child *child,
    enum child_state was, int status)
{
	bool is_next = child->proc == PROC_WORKER && master->next != NULL &&
	    child->generation == master->generation + 1;

	if (was == CHILD_ENDING && child->proc == PROC_AGGREGATOR)
		child_start(child, master->generation);
	else if (is_next)
		reload_abort(master, child->who);
	else if (was != CHILD_ENDING)
		master_replace(master, child, status);
	reload_resume(master);
}

static void
master_gone(struct master *master, struct child *child, int status)
{
	enum child_state was = child->state;

	child_reaped(child, status);
	switch (master->phase) {
	case MASTER_STOPPING:
		if (master_is_empty(master))
			master_end(master);
		return;
	case MASTER_QUITTING:
		master_gone_quitting(master, child, was);
		return;
	case MASTER_STARTING:
	case MASTER_RUNNING:
		master_gone_running(master, child, was, status);
		return;
	}
}

/* One signal may stand for several deaths. */
void
master_reap(struct master *master)
{
	struct child *child;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if ((child = master_find(master, pid)) != NULL)
			master_gone(master, child, status);
}

static void
on_start_timeout(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	log_error("not up after %d s", START_TIMEOUT_S);
	master_fail(arg, EXIT_INTERNAL);
}

/* --- log --- */

int
master_open_log(struct master *master, struct err *err)
{
	const char *path = master->cfg->log_file;
	int fd;

	if (path[0] == '\0')
		return 0;
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
	if (fd == -1)
		return err_set(
		    err, "could not open \"%s\": %s", path, strerror(errno));
	log_to_fd(fd);
	if (master->log_fd != -1)
		(void)close(master->log_fd);
	master->log_fd = fd;
	return 0;
}

static int
master_start_log(struct master *master, struct err *err)
{
	log_set_level((enum log_level)master->cfg->log_level);
	if (master->cfg->log_file[0] != '\0') {
		log_echo_errors(STDERR_FILENO);
		return master_open_log(master, err);
	}
	if (!master->foreground) {
		log_echo_errors(STDERR_FILENO);
		log_to_syslog();
	}
	return 0;
}

/* --- start and end --- */

static unsigned
count_workers(const struct cfg *cfg)
{
	cpu_set_t cores;
	int n;

	if (cfg->workers > 0)
		return cfg->workers;
	if (sched_getaffinity(0, sizeof(cores), &cores) == -1)
		return 1;
	n = CPU_COUNT(&cores);
	return n < 1 ? 1 : n > WORKERS_MAX ? WORKERS_MAX : (unsigned)n;
}

static int
master_open_children(struct master *master, struct err *err)
{
	unsigned i, workers = master->shm->workers;

	master->workers = calloc(master->shm->slots, sizeof(*master->workers));
	if (master->workers == NULL)
		return err_set(err, "out of memory");
	for (i = 0; i < master->shm->slots; i++)
		if (child_init(&master->workers[i], master, PROC_WORKER,
			i % workers, err) == -1)
			return -1;
	return child_init(&master->aggregator, master, PROC_AGGREGATOR, 0, err);
}

static int
master_open_loop(struct master *master, struct err *err)
{
	const struct timeval timeout = {START_TIMEOUT_S, 0};

	master->base = event_base_new();
	if (master->base == NULL)
		return err_set(err, "could not make an event loop");
	master->start_timer =
	    evtimer_new(master->base, on_start_timeout, master);
	if (master->start_timer == NULL ||
	    event_add(master->start_timer, &timeout) == -1)
		return err_set(err, "out of memory");
	return signals_open(master, err);
}

/* Returns 0 or an exit code, with the reason in err. */
static int
master_open(struct master *master, struct err *err)
{
	const struct cfg *cfg = master->cfg;

	if (check_config(cfg, err) == -1)
		return EXIT_CONFIG;
	if (listen_open(&master->listeners, cfg, err) == -1)
		return EXIT_OS;
	master->shm = shm_create(
	    count_workers(cfg), cfg->ring_size, cfg->key_table_size, err);
	if (master->shm == NULL || master_open_loop(master, err) == -1 ||
	    master_open_children(master, err) == -1)
		return EXIT_OS;
	return 0;
}

static void
master_close(struct master *master)
{
	unsigned i;

	for (i = 0; master->workers != NULL && i < master->shm->slots; i++)
		child_fini(&master->workers[i]);
	free(master->workers);
	child_fini(&master->aggregator);
	signals_close(master);
	if (master->start_timer != NULL)
		event_free(master->start_timer);
	if (master->base != NULL)
		event_base_free(master->base);
	shm_destroy(master->shm);
	listen_close(&master->listeners);
	cfg_destroy(master->cfg);
	cfg_destroy(master->next);
	if (master->log_fd != -1) {
		log_to_fd(STDERR_FILENO);
		(void)close(master->log_fd);
	}
}

static int
master_loop(struct master *master)
{
	unsigned i;

	if (geteuid() != 0)
		log_warn("not started as root: workers and aggregator share "
			 "one account and are not kept from each other");
	log_info("starting workers=%u config=\"%s\"", master->shm->workers,
	    master->path);
	child_start(&master->aggregator, master->generation);
	for (i = 0; i < master->shm->workers; i++)
		child_start(master_worker(master, master->generation, i),
		    master->generation);
	if (event_base_dispatch(master->base) == -1) {
		log_error("the event loop failed");
		return EXIT_INTERNAL;
	}
	return master->exit_code;
}

static struct pidfh *
master_lock(const char *path, struct err *err)
{
	struct pidfh *lock;
	pid_t other = 0;

	if ((lock = pidfile_open(path, 0644, &other)) != NULL)
		return lock;
	if (errno == EEXIST)
		(void)err_set(err, "already running, pid %d", (int)other);
	else
		(void)err_set(
		    err, "could not create \"%s\": %s", path, strerror(errno));
	return NULL;
}

int
master_run(
    struct cfg *take_cfg, const char *path, bool foreground, int ready_fd)
{
	struct master master = {
	    .path = path,
	    .foreground = foreground,
	    .cfg = take_cfg,
	    .log_fd = -1,
	    .ready_fd = ready_fd,
	};
	struct pidfh *lock = NULL;
	struct err err;
	int code = EXIT_OS;

	proc_enter(PROC_MASTER, -1);
	if (master_start_log(&master, &err) == -1 ||
	    (lock = master_lock(master.cfg->pid_file, &err)) == NULL)
		goto out;
	if ((code = master_open(&master, &err)) != 0)
		goto out;
	if (pidfile_write(lock) == -1) {
		code = EXIT_OS;
		(void)err_set(&err, "could not write \"%s\": %s",
		    master.cfg->pid_file, strerror(errno));
		goto out;
	}
	code = master_loop(&master);
	log_info("stopped");
	err.text[0] = '\0';
out:
	if (code != 0 && err.text[0] != '\0')
		log_error("%s", err.text);
	if (lock != NULL)
		(void)pidfile_remove(lock);
	daemon_report(master.ready_fd, code == 0 ? EXIT_INTERNAL : code);
	master_close(&master);
	return code;
}
