/* SPDX-License-Identifier: MIT */
/*
 * shm.c - makes the daemon's shared memory
 *
 * Only makes it: what lies in it is the business of ring*.c and keytable.c.
 */
#include "common/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/event_fields.h"
#include "common/keytable.h"
#include "common/ring.h"

static int
shm_eventfd(struct err *err)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd == -1)
		return err_set(
		    err, "could not create an eventfd: %s", strerror(errno));
	return fd;
}

/*
 * The same memory once more, read only: a mapping of such a descriptor cannot
 * be made writable, which one of the original could.
 */
static int
shm_reopen_read_only(int fd, struct err *err)
{
	char path[32];
	int ro;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if ((ro = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return err_set(
		    err, "could not open \"%s\": %s", path, strerror(errno));
	return ro;
}

static int
shm_fill(struct shm *shm, struct err *err)
{
	unsigned i;

	if (getrandom(shm->id, sizeof(shm->id), 0) != sizeof(shm->id))
		return err_set(err, "no random numbers: %s", strerror(errno));
	if ((shm->data_fd = shm_eventfd(err)) == -1)
		return -1;
	for (i = 0; i < shm->slots; i++) {
		shm->ring_fds[i] =
		    ring_create(shm->ring_size, event_fields_stamp(), err);
		if (shm->ring_fds[i] == -1)
			return -1;
		if ((shm->ack_fds[i] = shm_eventfd(err)) == -1)
			return -1;
	}
	shm->keytable_fd = keytable_create(shm->keytable_size, err);
	if (shm->keytable_fd == -1)
		return -1;
	shm->keytable_ro_fd = shm_reopen_read_only(shm->keytable_fd, err);
	return shm->keytable_ro_fd == -1 ? -1 : 0;
}

struct shm *
shm_create(
    unsigned workers, size_t ring_size, size_t keytable_size, struct err *err)
{
	struct shm *shm;
	unsigned i;

	if ((shm = calloc(1, sizeof(*shm))) == NULL)
		goto out;
	shm->workers = workers;
	shm->slots = 2 * workers;
	/* Whole pages, because the ring is mapped twice in a row. */
	shm->ring_size = (ring_size + RING_HEADER_BYTES - 1) /
	    RING_HEADER_BYTES * RING_HEADER_BYTES;
	shm->keytable_size = keytable_size;
	shm->data_fd = shm->keytable_fd = shm->keytable_ro_fd = -1;
	shm->ring_fds = calloc(shm->slots, sizeof(*shm->ring_fds));
	shm->ack_fds = calloc(shm->slots, sizeof(*shm->ack_fds));
	if (shm->ring_fds == NULL || shm->ack_fds == NULL) {
		shm->slots = 0;
		goto out;
	}
	for (i = 0; i < shm->slots; i++)
		shm->ring_fds[i] = shm->ack_fds[i] = -1;
	if (shm_fill(shm, err) == -1) {
		shm_destroy(shm);
		return NULL;
	}
	return shm;

out:
	(void)err_set(err, "out of memory");
	shm_destroy(shm);
	return NULL;
}

static void
shm_close(int fd)
{
	if (fd != -1)
		(void)close(fd);
}

void
shm_destroy(struct shm *shm)
{
	unsigned i;

	if (shm == NULL)
		return;
	for (i = 0; shm->ring_fds != NULL && i < shm->slots; i++)
		shm_close(shm->ring_fds[i]);
	for (i = 0; shm->ack_fds != NULL && i < shm->slots; i++)
		shm_close(shm->ack_fds[i]);
	shm_close(shm->data_fd);
	shm_close(shm->keytable_fd);
	shm_close(shm->keytable_ro_fd);
	free(shm->ring_fds);
	free(shm->ack_fds);
	free(shm);
}
