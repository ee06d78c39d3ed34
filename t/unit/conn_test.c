/* SPDX-License-Identifier: MIT */
/*
 * Whose turn it is to be inflated, and that whoever goes leaves no trace.
 *
 * Requests are answered, and bodies inflated, by functions below: a body takes
 * a step for each of its bytes, and the path says what becomes of its request.
 */
#include "worker/conn.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "worker/request.h"

#define CLIENTS_MAX 8

static struct cfg cfg;
static struct worker worker;
static size_t steps;   /* of the body at hand */
static char turns[64]; /* the paths, as their bodies were inflated */
static unsigned begun, ended;
static int clients[CLIENTS_MAX];
static size_t nclients;

/* --- what the connections are linked with --- */

void
listener_pause(struct listener *listener)
{
	(void)listener;
}

void
listener_resume(struct listener *listener)
{
	(void)listener;
}

void
inflate_begin(struct inflater *inflater, enum coding coding, size_t max)
{
	(void)inflater;
	(void)coding;
	(void)max;
	cr_assert_eq(begun, ended);
	begun++;
	steps = 0;
}

enum inflate_result
inflate_step(
    struct inflater *inflater, const char *body, size_t len, size_t most)
{
	(void)inflater;
	(void)body;
	(void)most;
	return ++steps < len ? INFLATE_MORE : INFLATE_DONE;
}

size_t
inflate_charge(const struct inflater *inflater)
{
	(void)inflater;
	return 0;
}

void
inflate_end(struct inflater *inflater)
{
	(void)inflater;
	ended++;
}

/* The letter of the path: a capital shows a key. */
static char
name_of(const struct conn *conn)
{
	return conn->in[conn->in_at + sizeof("POST /") - 1];
}

enum request_next
request_head(struct conn *conn)
{
	char name = name_of(conn);

	conn->keyed = name >= 'A' && name <= 'Z';
	return REQUEST_BODY;
}

enum request_next
request_body(struct conn *conn)
{
	(void)conn;
	return REQUEST_INFLATE;
}

const char *
request_body_data(const struct conn *conn)
{
	return conn->in + conn->in_at + conn->req.head_bytes;
}

static enum request_next
answer(struct conn *conn, const char *text)
{
	return buf_puts(&conn->out, text) == 0 ? REQUEST_ANSWER
					       : REQUEST_FAILED;
}

/* "x" and "X" come to nothing. */
enum request_next
request_inflated(struct conn *conn, enum inflate_result result)
{
	char name[] = {name_of(conn), '\0'};

	cr_assert_eq(result, INFLATE_DONE);
	strcat(turns, name);
	if (name[0] == 'x' || name[0] == 'X')
		return REQUEST_FAILED;
	return answer(conn, name);
}

/* Of a "z" not even the refusal can be built. */
enum request_next
request_refuse(struct conn *conn, int status, const char *detail)
{
	(void)detail;
	cr_assert_eq(status, 503);
	conn->close_after = true;
	return name_of(conn) == 'z' ? REQUEST_FAILED : answer(conn, "late");
}

enum request_next
request_not_safe(struct conn *conn)
{
	(void)conn;
	return REQUEST_FAILED;
}

/* --- the tests' own --- */

static void
start(void)
{
#define STATE(id, deadline) cfg.deadline = 60000;
	CONN_STATES(STATE)
#undef STATE
	cfg.worker_connections = CLIENTS_MAX;
	cfg.body_memory = cfg.max_body = 1 << 20;
	cfg.max_headers = 8192;
	cfg.max_header_count = 64;
	cfg.max_target = 1024;
	cfg.drain_size = 1024;
	worker.cfg = &cfg;
	worker.base = event_base_new();
	cr_assert_not_null(worker.base);
	TAILQ_INIT(&worker.conns);
	TAILQ_INIT(&worker.inflating);
	TAILQ_INIT(&worker.waiting);
}

/* Nothing is left when all clients have gone. */
static void
finish(void)
{
	while (nclients > 0)
		(void)close(clients[--nclients]);
	(void)event_base_loop(worker.base, 0);
	cr_expect(TAILQ_EMPTY(&worker.inflating));
	cr_expect(TAILQ_EMPTY(&worker.waiting));
	cr_expect(TAILQ_EMPTY(&worker.conns));
	cr_expect_eq(begun, ended);
	cr_expect_eq(worker.body_bytes, 0);
	event_base_free(worker.base);
}

TestSuite(conn, .init = start, .fini = finish, .timeout = 10);

/*
 * A client that sends a body of that length, and its connection until that has
 * its turn or waits for it.  Whoever is at work goes on by a few steps.
 */
static int
post(char name, size_t len)
{
	char text[512];
	int fds[2], n;
	struct conn *conn;

	n = snprintf(text, sizeof(text),
	    "POST /%c HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n%0*d",
	    name, len, (int)len, 0);
	cr_assert(n > 0 && n < (int)sizeof(text) && nclients < CLIENTS_MAX);
	cr_assert_eq(socketpair(AF_UNIX,
			 SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
	    0);
	cr_assert_eq(write(fds[0], text, (size_t)n), n);
	clients[nclients++] = fds[0];
	conn_start(&worker, fds[1], false);
	conn = TAILQ_LAST(&worker.conns, conn_list);
	while (conn->state != CONN_INFLATE)
		(void)event_base_loop(worker.base, EVLOOP_ONCE);
	return fds[0];
}

static void
run(void)
{
	do {
		(void)event_base_loop(worker.base, EVLOOP_ONCE);
	} while (!TAILQ_EMPTY(&worker.inflating));
}

/* What the client has got: "" before an answer, "gone" without one. */
static void
expect_got(int fd, const char *want)
{
	char got[16] = "";
	ssize_t n = read(fd, got, sizeof(got) - 1);

	if (n == 0)
		(void)strcpy(got, "gone");
	else if (n == -1)
		cr_expect_eq(errno, EAGAIN);
	cr_expect_str_eq(got, want);
}

Test(conn, one_body_after_the_other)
{
	int first = post('a', 50), second = post('b', 3);

	expect_got(first, "");
	run();
	cr_expect_str_eq(turns, "ab");
	expect_got(first, "a");
	expect_got(second, "b");
}

Test(conn, the_shortest_goes_first)
{
	(void)post('a', 90); /* at work: nobody goes before it */
	(void)post('b', 30);
	(void)post('c', 20);
	(void)post('d', 20);
	(void)post('e', 3);
	run();
	cr_expect_str_eq(turns, "aecdb");
}

Test(conn, a_key_goes_before_none)
{
	(void)post('a', 90);
	(void)post('b', 3);
	(void)post('C', 30);
	(void)post('D', 20);
	(void)post('e', 2);
	run();
	cr_expect_str_eq(turns, "aDCeb");
}

/* The one at work goes, and so does one that waits for its turn. */
Test(conn, whoever_goes_leaves_its_place)
{
	int gone = post('x', 50), next = post('a', 4), late = post('x', 5);

	run();
	expect_got(gone, "gone");
	expect_got(next, "a");
	expect_got(late, "gone");
}

static void
expire(struct conn *conn)
{
	conn->deadline_ms = 0;
	event_active(&conn->on_deadline, EV_TIMEOUT, 0);
}

Test(conn, whoever_is_late_leaves_its_place)
{
	int first = post('z', 50), second = post('a', 3), third = post('z', 3),
	    fourth = post('b', 3), fifth = post('c', 3);
	struct conn *conn = TAILQ_FIRST(&worker.conns);

	expire(conn); /* at work, and waiting; answered or not */
	expire(conn = TAILQ_NEXT(conn, entry));
	expire(conn = TAILQ_NEXT(conn, entry));
	expire(TAILQ_NEXT(conn, entry));
	run();
	expect_got(first, "gone");
	expect_got(second, "late");
	expect_got(third, "gone");
	expect_got(fourth, "late");
	expect_got(fifth, "c");
	cr_expect_str_eq(turns, "c");
}
