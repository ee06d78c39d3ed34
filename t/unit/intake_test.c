/* SPDX-License-Identifier: MIT */
/*
 * Whatever one worker writes into its ring, the others' records go on being
 * taken; and a drain ends, whatever comes after it began.
 */
#include "aggregator/intake.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "common/event_fields.h"
#include "common/ring.h"
#include "common/ring_writer.h"
#include "t/unit/tuple_kit.h"

#define SLOTS 2 /* one worker, two generations */
#define MONTH_US (INT64_C(32) * 86400 * 1000000)

static struct cfg cfg;
static struct shm *shm;
static struct event_base *base;
static struct intake *in;
static struct ring rings[SLOTS];
static struct ring_writer writers[SLOTS];

static void
on_wake(void *arg)
{
	(void)arg;
}

static void
set_up(uint32_t batch_rows)
{
	struct err err;
	unsigned i;

	shm = shm_create(1, 65536, 65536, &err);
	cr_assert_not_null(shm, "%s", err.text);
	cfg.batch_rows = batch_rows;
	cfg.batch_bytes = 1048576;
	cfg.batch_delay_ms = 0;
	base = event_base_new();
	in = intake_create(base, &cfg, shm, NULL, NULL, on_wake, NULL, &err);
	cr_assert_not_null(in, "%s", err.text);
	for (i = 0; i < SLOTS; i++) {
		cr_assert_eq(ring_map(&rings[i], shm->ring_fds[i],
				 event_fields_stamp(), &err),
		    0);
		ring_writer_init(&writers[i], rings[i], shm->data_fd);
	}
}

static void
tear_down(void)
{
	unsigned i;

	intake_destroy(in);
	event_base_free(base);
	for (i = 0; i < SLOTS; i++)
		ring_unmap(&rings[i]);
	shm_destroy(shm);
}

/* A repeat would be left out.  Good until the next call. */
static const char *
unique(void)
{
	static char text[32];
	static unsigned n;

	(void)snprintf(text, sizeof(text), "id %u", n++);
	return text;
}

/* A record of rows, each a month later than the one before. */
static void
publish(unsigned slot, size_t rows)
{
	struct tuple_kit kit = {
	    .timestamp_us = 0, .received_us = 0, .event_id = "id"};
	size_t space, len, i;
	uint8_t *at = ring_writer_space(&writers[slot], &space);

	cr_assert_geq(space, TUPLE_KIT_MAX);
	len = tuple_kit_head(at, 1, "agent");
	for (i = 0; i < rows; i++) {
		cr_assert_geq(space, len + TUPLE_KIT_MAX);
		kit.timestamp_us = (int64_t)i * MONTH_US;
		kit.event_id = unique();
		len += tuple_kit_row(at + len, &kit);
	}
	(void)ring_writer_publish(&writers[slot], len);
}

static void
expect_batch(size_t rows)
{
	cr_assert_eq(intake_collect(in), INTAKE_BATCH);
	cr_expect_eq(intake_batch(in)->rows, rows);
	intake_release(in);
}

static void
set_head(unsigned slot, uint64_t head)
{
	atomic_store(&rings[slot].header->head, head);
}

Test(intake, a_broken_ring_costs_no_other)
{
	static const uint64_t heads[] = {UINT64_C(0xfffffffffffffff8),
	    UINT64_MAX, UINT64_C(1) << 62, 4, UINT64_C(1) << 20};
	size_t i;

	set_up(100);
	for (i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		set_head(1, heads[i]);
		cr_expect_eq(intake_collect(in), INTAKE_EMPTY);
		publish(0, 1);
		expect_batch(1);
		cr_expect_lt(intake_ends(in)[1], UINT64_C(1) << 62);
	}
	/* It ends with the worker that broke it. */
	ring_writer_init(&writers[1], rings[1], shm->data_fd);
	publish(1, 1);
	expect_batch(1);
	tear_down();
}

Test(intake, a_drain_ends_with_what_was_there_when_it_began)
{
	set_up(1);
	publish(0, 1);
	publish(1, 1);
	intake_hurry(in);
	cr_expect_not(intake_is_past(in));
	publish(0, 1);
	publish(1, 1);
	expect_batch(1);
	cr_expect_not(intake_is_past(in));
	expect_batch(1);
	cr_expect(intake_is_past(in));
	/* There is more. */
	cr_expect_eq(intake_collect(in), INTAKE_BATCH);
	tear_down();
}

Test(intake, a_drain_waits_for_no_broken_ring)
{
	set_up(100);
	publish(0, 1);
	set_head(1, UINT64_MAX);
	intake_hurry(in);
	expect_batch(1);
	cr_expect(intake_is_past(in));
	tear_down();
}

Test(intake, a_batch_of_many_months_is_full)
{
	size_t i;

	set_up(10000);
	for (i = 0; i < 3; i++)
		publish(0, 50);
	/* Each has the same months: one batch.  Then two of a month more. */
	expect_batch(150);
	publish(0, BATCH_MONTHS_MAX);
	publish(0, 1);
	expect_batch(BATCH_MONTHS_MAX);
	expect_batch(1);
	tear_down();
}

Test(intake, goes_on_where_the_database_says)
{
	uint64_t stored[SLOTS] = {0};

	set_up(100);
	publish(0, 1);
	stored[0] = writers[0].head;
	publish(0, 2);
	cr_assert_eq(intake_collect(in), INTAKE_BATCH);
	cr_expect_eq(intake_batch(in)->rows, 3);
	intake_resume(in, stored);
	expect_batch(2);
	/* In no ring: counts for nothing. */
	publish(0, 1);
	stored[0] = writers[0].head + 8;
	intake_resume(in, stored);
	expect_batch(1);
	tear_down();
}
