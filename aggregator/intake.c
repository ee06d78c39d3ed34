/* SPDX-License-Identifier: MIT */
/*
 * intake.c - the reading side of all rings
 *
 * Decides when a batch begins and ends, and sleeps when there is nothing.
 * What becomes of a batch is not known here.
 */
#include "aggregator/intake.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/event_fields.h"
#include "common/log.h"
#include "common/ring.h"
#include "common/ring_reader.h"
#include "common/timestamp.h"

/* Until memory is asked for again after there was none. */
#define NO_MEMORY_PAUSE_MS 1000

/* Times the configured size of a batch, kept between batches. */
#define KEEP_BATCHES 4

struct intake {
	size_t batch_rows;
	size_t batch_bytes;
	uint64_t batch_delay_ms;
	void (*wake)(void *arg);
	void *arg;

	struct ring_reader *readers;
	uint64_t *ends;
	uint64_t *marks; /* by slot: where intake_hurry() found its end */
	unsigned slots;
	unsigned mapped; /* readers that hold a mapping */
	unsigned turn;   /* the slot to take from next */
	int data_fd;
	struct event *readable; /* of data_fd */
	struct event *timer;    /* the end of the batch's delay */

	struct batch batch;
	bool begun;   /* something was taken since the last release */
	bool starved; /* of memory */
	uint64_t begun_ms;
	size_t records; /* taken, whatever was in them */

	uint64_t malformed; /* records, since the log was told */
	struct log_throttle throttle;
	struct log_throttle broken_throttle;
};

/* ---- taking records ------------------------------------------------------ */

static void
tell_malformed(struct intake *in, unsigned slot, const char *what)
{
	uint64_t withheld;

	in->malformed++;
	if (!log_throttled(&in->throttle, &withheld))
		return;
	log_error("%s from a worker, skipped; slot=%u count=%" PRIu64, what,
	    slot, in->malformed);
	in->malformed = 0;
}

static void
tell_broken(struct intake *in, unsigned slot)
{
	uint64_t withheld;

	if (log_throttled(&in->broken_throttle, &withheld))
		log_error("ring of a worker is broken, left out until the "
			  "worker is replaced; slot=%u",
		    slot);
}

static void
batch_took(struct intake *in, unsigned slot, uint64_t end)
{
	in->ends[slot] = end;
	if (!in->begun)
		in->begun_ms = clock_ms();
	in->begun = true;
	in->records++;
}

/* Takes one record.  False: there is none to be had, or no memory for it. */
static bool
intake_take(struct intake *in, unsigned slot)
{
	struct ring_reader *reader = &in->readers[slot];
	uint64_t end, before = reader->next;
	const uint8_t *payload;
	size_t bytes;
	bool whole;

	switch (ring_reader_next(reader, &payload, &bytes, &end)) {
	case RING_EMPTY:
		return false;
	case RING_BROKEN:
		tell_broken(in, slot);
		return false;
	case RING_CORRUPT:
		tell_malformed(in, slot, "malformed record");
		batch_took(in, slot, end);
		return true;
	case RING_RECORD:
		break;
	}
	if (batch_add(&in->batch, payload, bytes, &whole) == -1) {
		reader->next = before;
		in->starved = true;
		return false;
	}
	if (!whole)
		tell_malformed(in, slot, "malformed row");
	batch_took(in, slot, end);
	return true;
}

/* Repeats and empty records count too: a batch ends, whatever arrives. */
static bool
intake_is_full(const struct intake *in)
{
	return in->batch.rows + in->batch.repeats >= in->batch_rows ||
	    in->records >= in->batch_rows ||
	    in->batch.bytes >= in->batch_bytes ||
	    in->batch.nleaves >= BATCH_MONTHS_MAX;
}

/* A record from each ring in turn, until all are empty or the batch is full. */
static void
intake_gather(struct intake *in)
{
	unsigned empty = 0;

	in->starved = false;
	while (empty < in->slots && !intake_is_full(in) && !in->starved) {
		in->turn = (in->turn + 1) % in->slots;
		empty = intake_take(in, in->turn) ? 0 : empty + 1;
	}
}

/* ---- sleeping ------------------------------------------------------------ */

static void
intake_awake(struct intake *in)
{
	unsigned i;

	for (i = 0; i < in->slots; i++)
		ring_reader_awake(&in->readers[i]);
}

/* False: something has arrived meanwhile. */
static bool
intake_sleep(struct intake *in)
{
	bool quiet = true;
	unsigned i;

	for (i = 0; i < in->slots; i++)
		quiet = ring_reader_wait(&in->readers[i]) && quiet;
	if (!quiet)
		intake_awake(in);
	return quiet;
}

static void
intake_set_timer(struct intake *in, uint64_t ms)
{
	struct timeval tv;

	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000 * 1000);
	if (event_add(in->timer, &tv) == -1)
		log_error("could not set a timer for the batch");
}

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct intake *in = arg;
	uint64_t count;

	(void)fd;
	if (what & EV_READ) {
		while (read(in->data_fd, &count, sizeof(count)) == -1 &&
		    errno == EINTR)
			;
	}
	intake_awake(in);
	in->wake(in->arg);
}

enum intake_result
intake_collect(struct intake *in)
{
	uint64_t waited_ms;

	(void)event_del(in->timer);
	do {
		intake_gather(in);
		if (in->starved && !in->begun) {
			log_error("no memory for a batch");
			intake_set_timer(in, NO_MEMORY_PAUSE_MS);
			return INTAKE_GATHERING;
		}
		waited_ms = in->begun ? clock_ms() - in->begun_ms : 0;
		if (in->begun &&
		    (in->starved || intake_is_full(in) ||
			waited_ms >= in->batch_delay_ms))
			return INTAKE_BATCH;
	} while (!intake_sleep(in));
	if (!in->begun)
		return INTAKE_EMPTY;
	intake_set_timer(in, in->batch_delay_ms - waited_ms);
	return INTAKE_GATHERING;
}

/* ---- what became of the batch -------------------------------------------- */

struct batch *
intake_batch(struct intake *in)
{
	return &in->batch;
}

const uint64_t *
intake_ends(const struct intake *in)
{
	return in->ends;
}

static void
intake_begin(struct intake *in)
{
	unsigned i;

	batch_clear(&in->batch, KEEP_BATCHES * in->batch_bytes);
	in->begun = false;
	in->records = 0;
	for (i = 0; i < in->slots; i++)
		in->ends[i] = in->readers[i].next;
}

void
intake_release(struct intake *in)
{
	unsigned i;

	for (i = 0; i < in->slots; i++)
		ring_reader_release(&in->readers[i], in->ends[i]);
	intake_begin(in);
}

void
intake_resume(struct intake *in, const uint64_t *stored)
{
	unsigned i;

	for (i = 0; i < in->slots; i++)
		ring_reader_resume(&in->readers[i], stored[i]);
	intake_begin(in);
}

void
intake_hurry(struct intake *in)
{
	unsigned i;

	in->batch_delay_ms = 0;
	for (i = 0; i < in->slots; i++)
		in->marks[i] = ring_reader_end(&in->readers[i]);
}

bool
intake_is_past(const struct intake *in)
{
	unsigned i;

	for (i = 0; i < in->slots; i++) {
		if (in->readers[i].released < in->marks[i])
			return false;
	}
	return true;
}

/* ---- life ---------------------------------------------------------------- */

static int
intake_map(struct intake *in, const struct shm *shm, struct err *err)
{
	struct ring ring;
	unsigned i;

	in->readers = calloc(shm->slots, sizeof(*in->readers));
	in->ends = calloc(shm->slots, sizeof(*in->ends));
	in->marks = calloc(shm->slots, sizeof(*in->marks));
	if (in->readers == NULL || in->ends == NULL || in->marks == NULL)
		return err_set(err, "out of memory");
	in->slots = shm->slots;
	for (i = 0; i < shm->slots; i++) {
		if (ring_map(&ring, shm->ring_fds[i], event_fields_stamp(),
			err) == -1)
			return -1;
		in->mapped++;
		ring_reader_init(&in->readers[i], ring, shm->ack_fds[i]);
	}
	intake_begin(in);
	return 0;
}

static int
intake_listen(struct intake *in, struct event_base *base, struct err *err)
{
	in->readable =
	    event_new(base, in->data_fd, EV_READ | EV_PERSIST, on_wake, in);
	in->timer = evtimer_new(base, on_wake, in);
	if (in->readable == NULL || in->timer == NULL ||
	    event_add(in->readable, NULL) == -1)
		return err_set(err, "could not wait for the rings");
	return 0;
}

struct intake *
intake_create(struct event_base *base, const struct cfg *cfg,
    const struct shm *shm, struct session_cache *cache,
    const struct keytable *projects, void (*wake)(void *arg), void *arg,
    struct err *err)
{
	struct intake *in;

	if ((in = calloc(1, sizeof(*in))) == NULL) {
		(void)err_set(err, "out of memory");
		return NULL;
	}
	batch_init(&in->batch, cache, projects);
	in->batch_rows = cfg->batch_rows;
	in->batch_bytes = cfg->batch_bytes;
	in->batch_delay_ms = cfg->batch_delay_ms;
	in->wake = wake;
	in->arg = arg;
	in->data_fd = shm->data_fd;
	if (intake_map(in, shm, err) == -1 ||
	    intake_listen(in, base, err) == -1) {
		intake_destroy(in);
		return NULL;
	}
	return in;
}

void
intake_destroy(struct intake *in)
{
	unsigned i;

	if (in == NULL)
		return;
	if (in->readable != NULL)
		event_free(in->readable);
	if (in->timer != NULL)
		event_free(in->timer);
	for (i = 0; i < in->mapped; i++)
		ring_unmap(&in->readers[i].ring);
	batch_free(&in->batch);
	free(in->readers);
	free(in->ends);
	free(in->marks);
	free(in);
}
