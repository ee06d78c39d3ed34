/* SPDX-License-Identifier: MIT */
/*
 * reload.c - builds the next generation beside the current one
 *
 * Nothing of the configuration in use is changed in place.  There are slots for
 * two generations, so a third waits until the oldest has ended.
 */
#include "master/reload.h"

#include "common/log.h"
#include "master/check.h"

#define ABORT_GRACE_MS 1000

/* Every slot of the generation to come is free, and the aggregator stays. */
static bool
reload_is_possible(const struct master *master)
{
	unsigned i;

	if (master->phase != MASTER_RUNNING || master->next != NULL ||
	    master->aggregator.state == CHILD_ENDING)
		return false;
	for (i = 0; i < master->shm->workers; i++)
		if (master_worker(master, master->generation + 1, i)->pid != 0)
			return false;
	return true;
}

/* The file as a configuration that can be changed to without a restart. */
static struct cfg *
reload_read(const struct master *master)
{
	char names[256];
	struct cfg *cfg;
	struct err err;

	if ((cfg = cfg_load(master->path, &err)) == NULL)
		goto out;
	if (cfg_restart_needed(master->cfg, cfg, names, sizeof(names)) > 0)
		log_warn("needs a restart, stays as it is: %s", names);
	if (cfg_keep_restart(cfg, master->cfg, &err) == -1 ||
	    check_config(cfg, &err) == -1)
		goto out;
	return cfg;

out:
	cfg_destroy(cfg);
	log_error("reload failed, nothing has changed: %s", err.text);
	return NULL;
}

static void
reload_begin(struct master *master)
{
	unsigned i;

	master->reload_pending = false;
	if ((master->next = reload_read(master)) == NULL)
		return;
	log_info("reload: starting generation %u", master->generation + 1);
	for (i = 0; i < master->shm->workers; i++)
		child_start(master_worker(master, master->generation + 1, i),
		    master->generation + 1);
}

void
reload_request(struct master *master)
{
	struct err err;

	/* Whoever rotates the log waits for no reload. */
	if (master_open_log(master, &err) == -1)
		log_error("%s", err.text);
	if (master->phase == MASTER_QUITTING ||
	    master->phase == MASTER_STOPPING)
		return;
	if (reload_is_possible(master)) {
		reload_begin(master);
		return;
	}
	if (!master->reload_pending)
		log_info("reload waits for what is under way");
	master->reload_pending = true;
}

void
reload_resume(struct master *master)
{
	if (master->reload_pending && reload_is_possible(master))
		reload_begin(master);
}

/* --- its end --- */

static void
reload_drain_old(struct master *master, unsigned generation)
{
	struct child *child;
	unsigned i;

	for (i = 0; i < master->shm->workers; i++) {
		child = master_worker(master, generation, i);
		if (child->pid != 0)
			child_end(
			    child, CONTROL_DRAIN, master->cfg->stop_timeout_ms);
		else
			child_cancel(child);
	}
}

/*
 * There is one aggregator at a time: the next starts when this one has ended,
 * and the rings hold what comes meanwhile.
 */
static void
reload_replace_aggregator(struct master *master)
{
	struct child *child = &master->aggregator;

	if (child->pid != 0) {
		child_end(child, CONTROL_DRAIN,
		    master->cfg->stop_timeout_ms + AGGREGATOR_GRACE_MS);
		return;
	}
	child_cancel(child);
	child_start(child, master->generation);
}

/*
 * Its connections are kept where they can be.  The password it read when it
 * started: another one in the same file is for another aggregator to read.
 */
static bool
reload_concerns_aggregator(const struct master *master)
{
	struct stamp now = stamp_of(master->next->pg_password_file);

	return master->aggregator.state == CHILD_FAILED ||
	    cfg_differs(master->cfg, master->next, PROC_AGGREGATOR) ||
	    !stamp_equal(&now, &master->aggregator.password);
}

static void
reload_commit(struct master *master)
{
	struct cfg *old = master->cfg;
	bool replace = reload_concerns_aggregator(master);

	master->cfg = master->next;
	master->next = NULL;
	master->generation++;
	cfg_destroy(old);
	log_set_level((enum log_level)master->cfg->log_level);
	log_info("reload done generation=%u", master->generation);
	reload_drain_old(master, master->generation - 1);
	if (replace)
		reload_replace_aggregator(master);
}

void
reload_started(struct master *master)
{
	if (!master_is_serving(master, master->generation + 1))
		return;
	reload_commit(master);
	reload_resume(master);
}

void
reload_abort(struct master *master, const char *reason)
{
	struct child *child;
	unsigned i;

	cfg_destroy(master->next);
	master->next = NULL;
	log_error("reload failed, the old generation stays: %s", reason);
	for (i = 0; i < master->shm->workers; i++) {
		child = master_worker(master, master->generation + 1, i);
		if (child->pid != 0)
			child_end(child, CONTROL_STOP, ABORT_GRACE_MS);
		else
			child_cancel(child);
	}
}
