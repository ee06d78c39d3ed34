/* SPDX-License-Identifier: MIT */
/*
 * ring_reader.c - the aggregator's side of a ring
 *
 * The memory orders are argued in ring_layout.h.  Believes nothing that the
 * worker wrote: a record's header is copied once and the copy is checked.
 */
#include "common/ring_reader.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void
ring_reader_init(struct ring_reader *reader, struct ring ring, int ack_fd)
{
	reader->ring = ring;
	reader->ack_fd = ack_fd;
	/* Our own word: a predecessor acknowledged up to here. */
	reader->next =
	    atomic_load_explicit(&ring.header->tail, memory_order_relaxed);
}

static uint64_t
reader_head(const struct ring_reader *reader)
{
	return atomic_load_explicit(
	    &reader->ring.header->head, memory_order_acquire);
}

/*
 * The writer broke an invariant: whatever lies before its head is lost, and
 * the two sides agree again from there on, even if that is no position at all.
 */
static enum ring_result
reader_skip(struct ring_reader *reader, uint64_t head, uint64_t *end)
{
	reader->next = *end = head;
	return RING_CORRUPT;
}

enum ring_result
ring_reader_next(struct ring_reader *reader, const uint8_t **payload,
    size_t *bytes, uint64_t *end)
{
	const struct ring *ring = &reader->ring;
	uint64_t head = reader_head(reader);
	uint64_t ready = head - reader->next;
	struct ring_record record;
	const uint8_t *at;

	if (ready == 0)
		return RING_EMPTY;
	at = ring->data + reader->next % ring->size;
	if (ready < sizeof(record) || ready > ring->size || head % 8 != 0)
		return reader_skip(reader, head, end);
	memcpy(&record, at, sizeof(record));
	if (record.check != RING_RECORD_CHECK(reader->next) ||
	    RING_ALIGN((size_t)record.bytes) > ready - sizeof(record))
		return reader_skip(reader, head, end);
	*payload = at + sizeof(record);
	*bytes = record.bytes;
	reader->next += sizeof(record) + RING_ALIGN((size_t)record.bytes);
	*end = reader->next;
	return RING_RECORD;
}

/* The eventfd's counter cannot fill up: the worker takes all of it. */
static void
wake_writer(int fd)
{
	const uint64_t one = 1;

	while (write(fd, &one, sizeof(one)) == -1 && errno == EINTR)
		;
}

void
ring_reader_release(struct ring_reader *reader, uint64_t position)
{
	struct ring_header *header = reader->ring.header;

	if (position ==
	    atomic_load_explicit(&header->tail, memory_order_relaxed))
		return;
	atomic_store_explicit(&header->tail, position, memory_order_release);
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&header->waiting, memory_order_relaxed) &&
	    atomic_exchange_explicit(&header->waiting, 0, memory_order_relaxed))
		wake_writer(reader->ack_fd);
}

bool
ring_reader_resume(struct ring_reader *reader, uint64_t position)
{
	uint64_t tail = atomic_load_explicit(
	    &reader->ring.header->tail, memory_order_relaxed);
	uint64_t head = reader_head(reader);

	if (position % 8 != 0 || position - tail > head - tail ||
	    head - tail > reader->ring.size)
		return false;
	reader->next = position;
	ring_reader_release(reader, position);
	return true;
}

bool
ring_reader_wait(struct ring_reader *reader)
{
	atomic_store_explicit(
	    &reader->ring.header->sleeping, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	return reader_head(reader) == reader->next;
}

void
ring_reader_awake(struct ring_reader *reader)
{
	atomic_store_explicit(
	    &reader->ring.header->sleeping, 0, memory_order_relaxed);
}
