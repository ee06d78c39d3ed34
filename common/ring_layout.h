/* SPDX-License-Identifier: MIT */
/*
 * ring_layout.h - the bytes of a ring, for its two sides and its maker alone
 *
 *  header                         data                      (mapped twice)
 * +--------+---------+---------+ +---------------------------+ - - - - - - +
 * | fixed  | writer  | reader  | | data, size bytes          | same data   |
 * +--------+---------+---------+ +---------------------------+ - - - - - - +
 *
 * Positions count bytes since the ring was made, 64 bits, and only grow; a
 * position p lies at data[p % size].  The data is mapped twice in a row, so a
 * record never wraps in the address space.
 *
 * Who writes which word, in which order, and why that is enough:
 *
 * fixed    written by the master before any child exists; read by both.
 * head     written by the worker alone: a release-store after the record's
 *          bytes are complete.  The reader's acquire-load of it therefore sees
 *          those bytes.  A worker killed before the store leaves nothing
 *          visible; its successor goes on at the published head.
 * waiting  1 while the worker wants to be woken when tail moves.  Set by the
 *          worker, then a full fence, then it looks at tail again before it
 *          sleeps.  Taken (exchanged for 0) by the reader after it moved tail
 *          and passed a full fence.  Store then load on both sides: with the
 *          fences at least one of them sees the other's store, so either the
 *          worker sees the new tail or the reader sees waiting.
 * tail     written by the aggregator alone: a release-store when everything
 *          before it is safe (acknowledged) and its bytes may be used again.
 *          The worker's acquire-load orders its writing over them after that.
 * sleeping 1 while the aggregator wants to be woken when head moves; the
 *          same dance with the sides exchanged.
 *
 * Whoever takes waiting or sleeping and is killed before it wakes the other has
 * left it asleep for good; so each side wakes the other once when it begins.
 *
 * The words of the two sides lie in different cache lines.
 *
 * Invariants
 *  1. tail <= head <= tail + size.
 *  2. Between tail and head lie whole records, each a multiple of 8 bytes.
 *  3. Positions are multiples of 8 below RING_POSITION_MAX.
 *  4. The reader believes nothing the writer wrote but checks it: the worker
 *     talks to strangers.  Where it stands itself it keeps in its own memory,
 *     since a worker can write every word here.  If (2) is broken it skips to
 *     head; if (1) or (3), there is nothing to be found in this ring until the
 *     worker is replaced: the successor begins at tail.
 */
#ifndef PGD_COMMON_RING_LAYOUT_H
#define PGD_COMMON_RING_LAYOUT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RING_MAGIC 0x50474452494e4731ull /* "PGDRING1" */
#define RING_CACHE_LINE 64
/* A multiple of every page size there is, because the data is mapped alone. */
#define RING_HEADER_BYTES 65536
/* Beyond what is ever reached, and PostgreSQL's bigint can hold it. */
#define RING_POSITION_MAX (UINT64_C(1) << 62)

struct ring_header {
	uint64_t magic;
	uint64_t size;
	uint64_t layout; /* event_fields_stamp(): both sides agree on rows */

	_Alignas(RING_CACHE_LINE) _Atomic uint64_t head;
	_Atomic uint32_t waiting;

	_Alignas(RING_CACHE_LINE) _Atomic uint64_t tail;
	_Atomic uint32_t sleeping;
};

_Static_assert(sizeof(struct ring_header) <= RING_HEADER_BYTES, "it fits");
_Static_assert(offsetof(struct ring_header, head) / RING_CACHE_LINE !=
	offsetof(struct ring_header, tail) / RING_CACHE_LINE,
    "the sides' words share no cache line");

/* Before each record's payload. */
struct ring_record {
	uint32_t bytes; /* of the payload, without this header and padding */
	uint32_t check; /* RING_RECORD_CHECK(position) */
};

/* Invariants 1 and 3. */
static inline bool
ring_holds(uint64_t tail, uint64_t head, uint64_t size)
{
	return tail % 8 == 0 && head % 8 == 0 && head < RING_POSITION_MAX &&
	    head - tail <= size;
}

#define RING_ALIGN(n) (((n) + 7) & ~(size_t)7)
#define RING_RECORD_CHECK(position)                                            \
	((uint32_t)(((position) >> 3) ^ 0x52454331u)) /* "REC1" */

#endif
