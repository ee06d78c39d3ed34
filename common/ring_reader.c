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
	uint64_t tail =
	    atomic_load_explicit(&ring.header->tail, memory_order_relaxed);

	reader->ring = ring;
	reader->ack_fd = ack_fd;
	reader->released = tail % 8 == 0 && tail < RING_POSITION_MAX ? tail : 0;
	reader->next = reader->released;
}

static uint64_t
reader_head(const struct ring_reader *reader)
{
	return atomic_load_explicit(
	    &reader->ring.header->head, memory_order_acquire);
}

static bool
reader_is_sane(const struct ring_reader *reader, uint64_t head)
{
	return ring_holds(reader->released, head, reader->ring.size) &&
	    head >= reader->next;
}

/* Whatever lies before the head is lost. */
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
	if (!reader_is_sane(reader, head)) {
		/* A successor begins at tail: let it find the right one. */
		atomic_store_explicit(&ring->header->tail, reader->released,
		    memory_order_release);
		return RING_BROKEN;
	}
	at = ring->data + reader->next % ring->size;
	/* Both are multiples of 8, so there is a header at least. */
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

static void
reader_move_tail(struct ring_reader *reader, uint64_t position)
{
	reader->released = position;
	atomic_store_explicit(
	    &reader->ring.header->tail, position, memory_order_release);
	atomic_thread_fence(memory_order_seq_cst);
}

void
ring_reader_release(struct ring_reader *reader, uint64_t position)
{
	struct ring_header *header = reader->ring.header;

	if (position == reader->released)
		return;
	reader_move_tail(reader, position);
	if (atomic_load_explicit(&header->waiting, memory_order_relaxed) &&
	    atomic_exchange_explicit(&header->waiting, 0, memory_order_relaxed))
		wake_writer(reader->ack_fd);
}

void
ring_reader_resume(struct ring_reader *reader, uint64_t position)
{
	uint64_t head = reader_head(reader);
	uint64_t ahead = position - reader->released;

	/*
	 * The database is never behind tail, unless it was restored; and never
	 * ahead of head, unless the worker lies.
	 */
	if (!ring_holds(reader->released, head, reader->ring.size) ||
	    position % 8 != 0 || ahead > head - reader->released)
		position = reader->released;
	reader->next = position;
	reader_move_tail(reader, position);
	atomic_store_explicit(
	    &reader->ring.header->waiting, 0, memory_order_relaxed);
	wake_writer(reader->ack_fd);
}

uint64_t
ring_reader_end(const struct ring_reader *reader)
{
	uint64_t head = reader_head(reader);

	return reader_is_sane(reader, head) ? head : reader->next;
}

bool
ring_reader_wait(struct ring_reader *reader)
{
	uint64_t head;

	atomic_store_explicit(
	    &reader->ring.header->sleeping, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	head = reader_head(reader);
	return head == reader->next || !reader_is_sane(reader, head);
}

void
ring_reader_awake(struct ring_reader *reader)
{
	atomic_store_explicit(
	    &reader->ring.header->sleeping, 0, memory_order_relaxed);
}
