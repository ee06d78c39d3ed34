/* SPDX-License-Identifier: MIT */
/*
 * ring_test.c - the ring, both sides, in one and in two processes
 *
 * Death at every step is shown by single-stepping a child through the
 * operation: what the other side sees after each machine instruction is what
 * it would see had the child been killed there.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "common/ring_reader.h"
#include "common/ring_writer.h"

#define SIZE (64 * 1024)
#define LAYOUT 42

struct pair {
	struct ring ring;
	int fd;
	int data_fd;
	int ack_fd;
	struct ring_writer writer;
	struct ring_reader reader;
};

static bool
signalled(int fd)
{
	uint64_t count;

	return read(fd, &count, sizeof(count)) == sizeof(count);
}

static void
pair_init(struct pair *pair)
{
	struct err err;

	pair->fd = ring_create(SIZE, LAYOUT, &err);
	cr_assert_neq(pair->fd, -1, "%s", err.text);
	cr_assert_eq(ring_map(&pair->ring, pair->fd, LAYOUT, &err), 0);
	pair->data_fd = eventfd(0, EFD_NONBLOCK);
	pair->ack_fd = eventfd(0, EFD_NONBLOCK);
	ring_writer_init(&pair->writer, pair->ring, pair->data_fd);
	(void)signalled(pair->data_fd);
	ring_reader_init(&pair->reader, pair->ring, pair->ack_fd);
}

static bool
put(struct ring_writer *writer, const void *bytes, size_t n, uint64_t *end)
{
	size_t space;
	uint8_t *at = ring_writer_space(writer, &space);

	if (space < n)
		return false;
	memcpy(at, bytes, n);
	*end = ring_writer_publish(writer, n);
	return true;
}

/* True when the next record is exactly these bytes. */
static bool
got(struct ring_reader *reader, const void *bytes, size_t n, uint64_t *end)
{
	const uint8_t *payload;
	size_t len;

	return ring_reader_next(reader, &payload, &len, end) == RING_RECORD &&
	    len == n && memcmp(payload, bytes, n) == 0;
}

static bool
empty(struct ring_reader *reader)
{
	const uint8_t *payload;
	uint64_t end;
	size_t len;

	return ring_reader_next(reader, &payload, &len, &end) == RING_EMPTY;
}

Test(ring, records_come_out_in_order_and_whole)
{
	struct pair p;
	uint64_t end[2], out;

	pair_init(&p);
	cr_assert(empty(&p.reader));
	cr_assert(put(&p.writer, "first", 5, &end[0]));
	cr_assert(put(&p.writer, "2", 1, &end[1]));
	cr_assert(got(&p.reader, "first", 5, &out));
	cr_assert_eq(out, end[0]);
	cr_assert(got(&p.reader, "2", 1, &out));
	cr_assert_eq(out, end[1]);
	cr_assert(empty(&p.reader));
	cr_assert_eq(ring_writer_tail(&p.writer), 0);
	ring_reader_release(&p.reader, out);
	cr_assert_eq(ring_writer_tail(&p.writer), end[1]);
}

Test(ring, full_is_said_and_released_space_comes_back)
{
	char big[SIZE / 2 - 64];
	uint64_t end, out;
	struct pair p;
	size_t i;

	pair_init(&p);
	memset(big, 'x', sizeof(big));
	cr_assert(put(&p.writer, big, sizeof(big), &end));
	cr_assert(put(&p.writer, big, sizeof(big), &end));
	cr_assert_not(put(&p.writer, big, sizeof(big), &end));
	/* Round and round: a record is contiguous wherever it begins. */
	for (i = 0; i < 100; i++) {
		size_t first = sizeof(big) - (i < 2 ? 0 : i - 2);

		cr_assert(got(&p.reader, big, first, &out), "%zu", i);
		ring_reader_release(&p.reader, out);
		cr_assert(put(&p.writer, big, sizeof(big) - i, &end));
	}
}

Test(ring, a_full_ring_has_space_zero_or_what_is_left)
{
	char all[SIZE - sizeof(struct ring_record)];
	struct pair p;
	uint64_t end;
	size_t space;

	pair_init(&p);
	memset(all, 'x', sizeof(all));
	(void)ring_writer_space(&p.writer, &space);
	cr_assert_eq(space, sizeof(all));
	cr_assert(put(&p.writer, all, sizeof(all), &end));
	(void)ring_writer_space(&p.writer, &space);
	cr_assert_eq(space, 0);
	cr_assert(got(&p.reader, all, sizeof(all), &end));
}

Test(ring, sleepers_are_woken_once_and_only_then)
{
	struct pair p;
	uint64_t end;

	pair_init(&p);
	cr_assert(put(&p.writer, "a", 1, &end));
	cr_assert_not(signalled(p.data_fd), "nobody slept");
	cr_assert_not(ring_reader_wait(&p.reader), "a record is there");
	ring_reader_awake(&p.reader);
	cr_assert(got(&p.reader, "a", 1, &end));
	cr_assert(ring_reader_wait(&p.reader));
	cr_assert(put(&p.writer, "b", 1, &end));
	cr_assert(put(&p.writer, "c", 1, &end));
	cr_assert(signalled(p.data_fd));
	cr_assert_not(signalled(p.data_fd));

	ring_reader_release(&p.reader, 16);
	cr_assert_not(signalled(p.ack_fd), "the writer did not wait");
	cr_assert_not(ring_writer_wait(&p.writer, 0), "it has moved");
	cr_assert(ring_writer_wait(&p.writer, 16));
	ring_reader_release(&p.reader, 32);
	cr_assert(signalled(p.ack_fd));
}

Test(ring, a_successor_of_either_side_goes_on)
{
	struct ring_reader reader;
	struct ring_writer writer;
	struct pair p;
	uint64_t a, b, out;

	pair_init(&p);
	cr_assert(put(&p.writer, "a", 1, &a));
	ring_writer_init(&writer, p.ring, p.data_fd);
	cr_assert(put(&writer, "b", 1, &b));
	cr_assert(got(&p.reader, "a", 1, &out));
	ring_reader_release(&p.reader, a);
	/* The predecessor had not released b: it comes again. */
	cr_assert(got(&p.reader, "b", 1, &out));
	ring_reader_init(&reader, p.ring, p.ack_fd);
	cr_assert(got(&reader, "b", 1, &out));
	cr_assert_eq(out, b);
	/* A position that the ring does not have is not believed. */
	ring_reader_init(&reader, p.ring, p.ack_fd);
	ring_reader_resume(&reader, b + 8);
	cr_assert(got(&reader, "b", 1, &out));
	/* Or it had, and the database knows. */
	ring_reader_init(&reader, p.ring, p.ack_fd);
	ring_reader_resume(&reader, b);
	cr_assert(empty(&reader));
	cr_assert_eq(ring_writer_tail(&writer), b);
}

Test(ring, what_is_no_record_is_skipped)
{
	static const struct {
		char name[32];
		uint64_t head;
		uint32_t bytes;
		uint32_t check;
	} cases[] = {
	    {"record beyond the head", 64, 4000, RING_RECORD_CHECK(0)},
	    {"length near overflow", 64, UINT32_MAX, RING_RECORD_CHECK(0)},
	    {"no record", 64, 8, 7},
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ring_record record = {cases[i].bytes, cases[i].check};
		struct ring_writer next;
		const uint8_t *payload;
		struct pair p;
		uint64_t end;
		size_t len;

		pair_init(&p);
		memcpy(p.ring.data, &record, sizeof(record));
		atomic_store(&p.ring.header->head, cases[i].head);
		cr_expect_eq(ring_reader_next(&p.reader, &payload, &len, &end),
		    RING_CORRUPT, "%s", cases[i].name);
		cr_expect(empty(&p.reader), "%s: skipped", cases[i].name);
		ring_reader_release(&p.reader, end);
		ring_writer_init(&next, p.ring, p.data_fd);
		cr_expect(put(&next, "well", 4, &end), "%s", cases[i].name);
		cr_expect(got(&p.reader, "well", 4, &end), "%s", cases[i].name);
		ring_unmap(&p.ring);
	}
}

/*
 * A position is never taken from a writer: it would end up in the database and
 * stop the rings of all others.
 */
Test(ring, a_head_that_is_no_position_takes_the_ring_out)
{
	static const struct {
		char name[32];
		uint64_t head;
		uint64_t tail; /* a writer can write that word too */
	} cases[] = {
	    {"beyond the ring", SIZE + 64, 24},
	    {"before the tail", 16, 24},
	    {"far before the tail", (uint64_t)-64, 24},
	    {"between words", 29, 24},
	    {"beyond bigint", UINT64_C(1) << 63, 24},
	    {"beyond all, tail too", UINT64_C(1) << 63,
		(UINT64_C(1) << 63) - 8},
	    {"a tail between words", 13, 13},
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ring_writer next;
		const uint8_t *payload;
		struct pair p;
		uint64_t end;
		size_t len;

		pair_init(&p);
		cr_assert(put(&p.writer, "0123456789abcdef", 16, &end));
		cr_assert(got(&p.reader, "0123456789abcdef", 16, &end));
		ring_reader_release(&p.reader, end);
		atomic_store(&p.ring.header->head, cases[i].head);
		atomic_store(&p.ring.header->tail, cases[i].tail);
		cr_expect_eq(ring_reader_next(&p.reader, &payload, &len, &end),
		    RING_BROKEN, "%s", cases[i].name);
		cr_expect_eq(p.reader.next, 24, "%s", cases[i].name);
		cr_expect(ring_reader_wait(&p.reader),
		    "%s: nothing to wake up for", cases[i].name);
		/* The successor of that writer finds its way. */
		ring_writer_init(&next, p.ring, p.data_fd);
		cr_expect(signalled(p.data_fd), "%s", cases[i].name);
		cr_expect(put(&next, "well", 4, &end), "%s", cases[i].name);
		cr_expect(got(&p.reader, "well", 4, &end), "%s", cases[i].name);
		ring_reader_release(&p.reader, end);
		cr_expect_eq(ring_writer_tail(&next), 40, "%s", cases[i].name);
		ring_unmap(&p.ring);
	}
}

/* Killed between taking the other's wish to be woken and waking it. */
Test(ring, a_successor_wakes_whom_its_predecessor_left_asleep)
{
	struct ring_writer writer;
	struct ring_reader reader;
	struct pair p;
	uint64_t end;

	pair_init(&p);
	(void)signalled(p.data_fd);
	cr_assert(ring_reader_wait(&p.reader));
	atomic_store(&p.ring.header->sleeping, 0);
	ring_writer_init(&writer, p.ring, p.data_fd);
	cr_assert(signalled(p.data_fd));

	cr_assert(put(&writer, "a", 1, &end));
	cr_assert(ring_writer_wait(&writer, 0));
	atomic_store(&p.ring.header->waiting, 0);
	ring_reader_init(&reader, p.ring, p.ack_fd);
	ring_reader_resume(&reader, end);
	cr_assert(signalled(p.ack_fd));
	cr_assert_eq(ring_writer_tail(&writer), end);
}

Test(ring, another_layout_is_refused)
{
	struct err err;
	struct ring ring;
	int fd = ring_create(SIZE, 1, &err);

	cr_assert_eq(ring_map(&ring, fd, 2, &err), -1);
	cr_assert_str_eq(err.text, "the ring holds rows of another version");
	cr_assert_eq(ring_create(SIZE + 4096, 1, &err), -1);
}

/* --- two processes --- */

#define RECORDS 200000

static size_t
length_of(unsigned i)
{
	return 1 + i * 2654435761u % 1499;
}

static void
sleep_on(int fd)
{
	struct pollfd pfd = {fd, POLLIN, 0};

	/* A wake-up that is lost shows as this timeout. */
	if (poll(&pfd, 1, 10000) != 1)
		_exit(3);
	(void)signalled(fd);
}

static void
write_many(struct pair *p)
{
	char bytes[1500];
	uint64_t end, tail;
	unsigned i;

	for (i = 0; i < RECORDS; i++) {
		memset(bytes, (int)(i % 251), sizeof(bytes));
		for (;;) {
			tail = ring_writer_tail(&p->writer);
			if (put(&p->writer, bytes, length_of(i), &end))
				break;
			if (ring_writer_wait(&p->writer, tail))
				sleep_on(p->ack_fd);
		}
	}
	_exit(0);
}

Test(ring, two_processes_lose_no_record_and_no_wake_up, .timeout = 60)
{
	char bytes[1500];
	uint64_t end;
	struct pair p;
	unsigned i;
	pid_t pid;
	int status;

	pair_init(&p);
	if ((pid = fork()) == 0)
		write_many(&p);
	for (i = 0; i < RECORDS; i++) {
		while (empty(&p.reader)) {
			if (ring_reader_wait(&p.reader))
				sleep_on(p.data_fd);
		}
		/* empty() took it: look again from where it began. */
		p.reader.next = ring_writer_tail(&p.writer);
		memset(bytes, (int)(i % 251), sizeof(bytes));
		cr_assert(got(&p.reader, bytes, length_of(i), &end), "%u", i);
		ring_reader_release(&p.reader, end);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* --- death at every step --- */

/* Lets the child run one instruction; false once it has ended. */
static bool
step(pid_t pid)
{
	int status;

	cr_assert_eq(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFSTOPPED(status);
}

static pid_t
traced(void (*run)(struct pair *), struct pair *p)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		(void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		(void)raise(SIGSTOP);
		run(p);
		_exit(0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFSTOPPED(status));
	return pid;
}

static void
kill_child(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

static void
publish_one(struct pair *p)
{
	uint64_t end;

	(void)put(&p->writer, "whole", 5, &end);
}

/* What the reader finds when the writer goes no further; counts it. */
static void
look(struct pair *p, unsigned *seen, unsigned *unseen)
{
	struct ring_reader reader;
	uint64_t end;

	ring_reader_init(&reader, p->ring, p->ack_fd);
	if (empty(&reader)) {
		(*unseen)++;
		return;
	}
	ring_reader_init(&reader, p->ring, p->ack_fd);
	cr_assert(got(&reader, "whole", 5, &end));
	(*seen)++;
}

Test(ring, a_writer_stopped_at_any_step_shows_all_or_nothing, .timeout = 120)
{
	unsigned seen = 0, unseen = 0;
	struct pair p;
	pid_t pid;

	pair_init(&p);
	cr_assert(ring_reader_wait(&p.reader));
	pid = traced(publish_one, &p);
	while (step(pid))
		look(&p, &seen, &unseen);
	cr_assert_gt(seen, 0);
	cr_assert_gt(unseen, 0);
	cr_assert(signalled(p.data_fd));
}

Test(ring, a_successor_goes_on_wherever_a_writer_was_killed, .timeout = 120)
{
	unsigned kill_at, steps, kills = 0;
	bool done = false;

	/* About thirty places, closer together than the operation is long. */
	for (kill_at = 1; !done; kill_at += 1 + kill_at / 4) {
		struct ring_writer successor;
		uint64_t end;
		struct pair p;
		pid_t pid;

		pair_init(&p);
		pid = traced(publish_one, &p);
		for (steps = 0; steps < kill_at && !done; steps++)
			done = !step(pid);
		if (!done) {
			kill_child(pid);
			kills++;
		}
		ring_writer_init(&successor, p.ring, p.data_fd);
		cr_assert(put(&successor, "next", 4, &end));
		if (!got(&p.reader, "next", 4, &end)) {
			p.reader.next = 0;
			cr_assert(got(&p.reader, "whole", 5, &end));
			cr_assert(got(&p.reader, "next", 4, &end));
		}
	}
	cr_assert_gt(kills, 5);
}

static void
release_one(struct pair *p)
{
	ring_reader_release(&p->reader, 24);
}

Test(ring, a_reader_killed_at_any_step_released_all_or_nothing, .timeout = 60)
{
	unsigned before = 0, after = 0;
	uint64_t end, tail;
	struct pair p;
	pid_t pid;

	pair_init(&p);
	cr_assert(put(&p.writer, "0123456789abcdef", 16, &end));
	cr_assert_eq(end, 24);
	cr_assert(ring_writer_wait(&p.writer, 0));
	pid = traced(release_one, &p);
	while (step(pid)) {
		tail = ring_writer_tail(&p.writer);
		cr_assert(tail == 0 || tail == 24);
		if (tail == 0)
			before++;
		else
			after++;
	}
	cr_assert_gt(before, 0);
	cr_assert_gt(after, 0);
	cr_assert(signalled(p.ack_fd));
}
