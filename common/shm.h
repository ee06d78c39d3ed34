/* SPDX-License-Identifier: MIT */
/*
 * shm.h - the shared memory of the daemon: rings, wake-ups, key table
 *
 * Runs in   master (creates); children inherit the descriptors by number
 * Owns      the descriptors, until shm_destroy()
 * Promises  memory is allocated for real: no SIGBUS later
 *
 * Slots: ring and wake-up of worker n of generation g have the number
 * (g % 2) * workers + n, so that a reload can start new workers while the old
 * ones finish.  A slot outlives its worker.
 */
#ifndef PGD_COMMON_SHM_H
#define PGD_COMMON_SHM_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct shm {
	uint8_t id[16];   /* random; names this set of rings in the database */
	unsigned workers; /* per generation */
	unsigned slots;   /* two generations */
	size_t ring_size; /* bytes of data in each ring */
	int *ring_fds;    /* memfds, one per slot */
	int *ack_fds;     /* eventfds, one per slot: wakes the worker */
	int data_fd;      /* eventfd: wakes the aggregator */
	int keytable_fd;  /* memfd, for the aggregator */
	int keytable_ro_fd; /* the same, read only, for workers */
	size_t keytable_size;
};

struct shm *shm_create(
    unsigned workers, size_t ring_size, size_t keytable_size, struct err *);
void shm_destroy(struct shm *);

static inline unsigned
shm_slot(const struct shm *shm, unsigned generation, unsigned worker)
{
	return (generation % 2) * shm->workers + worker;
}

#endif
