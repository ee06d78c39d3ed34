/* SPDX-License-Identifier: MIT */
/*
 * ring_writer.c - the worker's side of a ring
 *
 * The memory orders are argued in ring_layout.h.
 */
#include "common/ring_writer.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

/* The eventfd's counter cannot fill up: the reader takes all of it. */
static void
wake_reader(int fd)
{
	const uint64_t one = 1;

	while (write(fd, &one, sizeof(one)) == -1 && errno == EINTR)
		;
}

void
ring_writer_init(struct ring_writer *writer, struct ring ring, int data_fd)
{
	writer->ring = ring;
	writer->data_fd = data_fd;
	/* Our own word: a predecessor in this slot published up to here. */
	writer->head =
	    atomic_load_explicit(&ring.header->head, memory_order_relaxed);
	if (!ring_holds(ring_writer_tail(writer), writer->head, ring.size)) {
		/* It was out of its mind: nothing of it can be read. */
		writer->head = ring_writer_tail(writer);
		atomic_store_explicit(
		    &ring.header->head, writer->head, memory_order_release);
	}
	/* It may have taken the reader's wish and died before it woke it. */
	wake_reader(data_fd);
}

uint64_t
ring_writer_tail(const struct ring_writer *writer)
{
	return atomic_load_explicit(
	    &writer->ring.header->tail, memory_order_acquire);
}

uint8_t *
ring_writer_space(struct ring_writer *writer, size_t *bytes)
{
	const struct ring *ring = &writer->ring;
	uint64_t used = writer->head - ring_writer_tail(writer);
	size_t start = (size_t)(writer->head % ring->size);

	if (used + sizeof(struct ring_record) > ring->size)
		*bytes = 0;
	else
		*bytes = ring->size - (size_t)used - sizeof(struct ring_record);
	if (*bytes > UINT32_MAX)
		*bytes = UINT32_MAX & ~(size_t)7;
	return ring->data + start + sizeof(struct ring_record);
}

uint64_t
ring_writer_publish(struct ring_writer *writer, size_t bytes)
{
	struct ring_header *header = writer->ring.header;
	struct ring_record *record;
	size_t space;
	uint8_t *payload;

	payload = ring_writer_space(writer, &space);
	assert(bytes > 0 && bytes <= space);
	record = (struct ring_record *)(void *)(payload - sizeof(*record));
	record->bytes = (uint32_t)bytes;
	record->check = RING_RECORD_CHECK(writer->head);
	writer->head += sizeof(*record) + RING_ALIGN(bytes);
	atomic_store_explicit(
	    &header->head, writer->head, memory_order_release);
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&header->sleeping, memory_order_relaxed) &&
	    atomic_exchange_explicit(
		&header->sleeping, 0, memory_order_relaxed))
		wake_reader(writer->data_fd);
	return writer->head;
}

bool
ring_writer_wait(struct ring_writer *writer, uint64_t seen)
{
	struct ring_header *header = writer->ring.header;

	atomic_store_explicit(&header->waiting, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	return ring_writer_tail(writer) == seen;
}
