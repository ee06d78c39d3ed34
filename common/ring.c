/* SPDX-License-Identifier: MIT */
/*
 * ring.c - makes and maps a ring
 *
 * Knows the layout, not the protocol: that is in the two sides' files.
 */
#include "common/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int
ring_create(size_t size, uint64_t layout, struct err *err)
{
	struct ring_header *header;
	int fd, error;

	if (size == 0 || size % RING_HEADER_BYTES != 0)
		return err_set(err, "ring size %zu is not a multiple of %d",
		    size, RING_HEADER_BYTES);
	if ((fd = memfd_create("productgraph-ring", MFD_CLOEXEC)) == -1)
		return err_set(
		    err, "could not create a ring: %s", strerror(errno));
	/*
	 * Allocated, not only reserved: a page that is missing later would be
	 * a SIGBUS in whoever touches it first.
	 */
	error = posix_fallocate(fd, 0, (off_t)(RING_HEADER_BYTES + size));
	if (error != 0) {
		(void)close(fd);
		return err_set(err,
		    "could not allocate a ring of %zu bytes: %s", size,
		    strerror(error));
	}
	header = mmap(
	    NULL, RING_HEADER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (header == MAP_FAILED) {
		(void)close(fd);
		return err_set(
		    err, "could not map a ring: %s", strerror(errno));
	}
	header->magic = RING_MAGIC;
	header->size = size;
	header->layout = layout;
	(void)munmap(header, RING_HEADER_BYTES);
	return fd;
}

/* The size of the ring's data, from a header that was checked, or 0. */
static size_t
ring_data_size(int fd, uint64_t layout, struct err *err)
{
	struct stat st;
	const struct ring_header *header;
	size_t size;

	if (fstat(fd, &st) == -1 || st.st_size <= RING_HEADER_BYTES) {
		(void)err_set(err, "not a ring: too small");
		return 0;
	}
	header = mmap(NULL, RING_HEADER_BYTES, PROT_READ, MAP_SHARED, fd, 0);
	if (header == MAP_FAILED) {
		(void)err_set(err, "could not map a ring: %s", strerror(errno));
		return 0;
	}
	size = 0;
	if (header->magic != RING_MAGIC ||
	    header->size != (uint64_t)st.st_size - RING_HEADER_BYTES)
		(void)err_set(err, "not a ring: wrong header");
	else if (header->layout != layout)
		(void)err_set(err, "the ring holds rows of another version");
	else
		size = (size_t)header->size;
	(void)munmap((void *)(uintptr_t)header, RING_HEADER_BYTES);
	return size;
}

int
ring_map(struct ring *ring, int fd, uint64_t layout, struct err *err)
{
	const int prot = PROT_READ | PROT_WRITE;
	uint8_t *base;
	size_t size;

	if ((size = ring_data_size(fd, layout, err)) == 0)
		return -1;
	/* Reserve the whole range first, so that nothing else lands in it. */
	base = mmap(NULL, RING_HEADER_BYTES + 2 * size, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return err_set(
		    err, "could not map a ring: %s", strerror(errno));
	if (mmap(base, RING_HEADER_BYTES + size, prot, MAP_SHARED | MAP_FIXED,
		fd, 0) == MAP_FAILED ||
	    mmap(base + RING_HEADER_BYTES + size, size, prot,
		MAP_SHARED | MAP_FIXED, fd, RING_HEADER_BYTES) == MAP_FAILED) {
		(void)err_set(err, "could not map a ring: %s", strerror(errno));
		(void)munmap(base, RING_HEADER_BYTES + 2 * size);
		return -1;
	}
	ring->header = (struct ring_header *)(void *)base;
	ring->data = base + RING_HEADER_BYTES;
	ring->size = size;
	return 0;
}

void
ring_unmap(struct ring *ring)
{
	if (ring->header == NULL)
		return;
	(void)munmap(ring->header, RING_HEADER_BYTES + 2 * ring->size);
	ring->header = NULL;
	ring->data = NULL;
	ring->size = 0;
}
