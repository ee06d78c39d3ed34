/* SPDX-License-Identifier: MIT */
/*
 * boot.c - makes of a fork of the master a worker or the aggregator
 *
 * Here alone the master's memory and a child's meet.  The master's event base
 * is left as it is: its epoll set is shared with the master, and the child
 * closes its descriptor with all others in its own prologue.
 */
#include "master/boot.h"

#include <stddef.h>
#include <stdlib.h>

#include "aggregator/aggregator_main.h"
#include "common/exitcode.h"
#include "common/log.h"
#include "common/proc.h"
#include "master/daemon.h"
#include "master/master.h"
#include "worker/worker_main.h"

/* The child's part of the configuration; the whole of it is wiped. */
static struct cfg *
boot_slice(struct master *master, const struct child *child)
{
	struct cfg *slice =
	    cfg_slice(master_cfg_of(master, child), child->proc);

	cfg_destroy(master->cfg);
	cfg_destroy(master->next);
	master->cfg = master->next = NULL;
	return slice;
}

_Noreturn static void
boot_worker(const struct master *master, const struct child *child,
    const struct cfg *cfg, pid_t parent, int control_fd, int log_fd)
{
	struct worker_boot boot = {
	    .cfg = cfg,
	    .shm = master->shm,
	    .number = child->number,
	    .slot = shm_slot(master->shm, child->generation, child->number),
	    .master = parent,
	    .control_fd = control_fd,
	    .log_fd = log_fd,
	    .listeners = master->listeners.items,
	    .nlisteners = master->listeners.n,
	};

	worker_main(&boot);
}

_Noreturn static void
boot_aggregator(const struct master *master, const struct cfg *cfg,
    pid_t parent, int control_fd, int log_fd)
{
	struct aggregator_boot boot = {
	    .cfg = cfg,
	    .shm = master->shm,
	    .master = parent,
	    .control_fd = control_fd,
	    .log_fd = log_fd,
	};

	aggregator_main(&boot);
}

_Noreturn void
boot_child(struct master *master, const struct child *child, pid_t parent,
    int control_fd, int log_fd)
{
	struct cfg *cfg;

	/* 1: signals; the numbers are those of proc.h */
	proc_signals();
	/* The first children are forked while the start can still be seen. */
	if (!master->foreground)
		daemon_let_go();
	log_to_master(log_fd);
	/* 2: configuration */
	if ((cfg = boot_slice(master, child)) == NULL) {
		log_error("out of memory");
		exit(EXIT_OS);
	}
	log_set_level((enum log_level)cfg->log_level);
	if (child->proc == PROC_WORKER)
		boot_worker(master, child, cfg, parent, control_fd, log_fd);
	boot_aggregator(master, cfg, parent, control_fd, log_fd);
}
