/* SPDX-License-Identifier: MIT */
/*
 * conn.c - a connection: its bytes, its state, its deadline
 *
 * Knows how bytes come and go and when a request is whole; what it is answered
 * is request.c's business.  A state's function does what can be done now and
 * says what it waits for; conn_run() goes round until nothing can be done.
 */
#include "worker/conn.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>
#include <openssl/err.h>

#include "common/log.h"
#include "common/timestamp.h"
#include "worker/answer.h"
#include "worker/request.h"

/* The first input buffer: a head, and most batches whole. */
#define IN_FIRST 16384
/* Turns of conn_run() before the others get theirs. */
#define TURNS_MAX 64

enum step {
	STEP_ON,    /* go round again */
	STEP_READ,  /* until the socket is readable */
	STEP_WRITE, /* until it is writable */
	STEP_PARK,  /* until the ring's tail moves or the deadline */
	STEP_CLOSE,
};

enum io {
	IO_OK,
	IO_READ,
	IO_WRITE,
	IO_EOF,
	IO_ERROR,
};

static enum step run_handshake(struct conn *);
static enum step run_idle(struct conn *);
static enum step run_head(struct conn *);
static enum step run_body(struct conn *);
static enum step run_wait(struct conn *);
static enum step run_write(struct conn *);
static enum step run_drain(struct conn *);

static const char too_many[] = "too many requests are being read";

#define TO(id) (1u << CONN_##id)

static const struct {
	enum step (*run)(struct conn *);
	unsigned next; /* states it may become */
} states[CONN_STATE_COUNT] = {
    [CONN_HANDSHAKE] = {run_handshake, TO(IDLE)},
    [CONN_IDLE] = {run_idle, TO(HEAD) | TO(WRITE) | TO(DRAIN)},
    [CONN_HEAD] = {run_head, TO(BODY) | TO(WAIT) | TO(WRITE)},
    [CONN_BODY] = {run_body, TO(WAIT) | TO(WRITE)},
    [CONN_WAIT] = {run_wait, TO(WRITE)},
    [CONN_WRITE] = {run_write, TO(IDLE) | TO(DRAIN)},
    [CONN_DRAIN] = {run_drain, 0},
};

static uint64_t
state_timeout(const struct conn *conn)
{
	const struct cfg *cfg = conn->worker->cfg;

	/* Who connects wants to say something now. */
	if (conn->state == CONN_IDLE && !conn->used)
		return cfg->header_timeout_ms;
	switch (conn->state) {
#define STATE(id, deadline)                                                    \
	case CONN_##id:                                                        \
		return cfg->deadline;
		CONN_STATES(STATE)
#undef STATE
	case CONN_STATE_COUNT:
		break;
	}
	return 0;
}

/*
 * A timer is moved only to an earlier time; one that fires too early is armed
 * for what is left.  So a request does not cost a change of the timer heap for
 * every state it passes.
 */
static void
conn_arm_timer(struct conn *conn, uint64_t now)
{
	uint64_t left = conn->deadline_ms > now ? conn->deadline_ms - now : 0;
	struct timeval tv = {
	    .tv_sec = (time_t)(left / 1000),
	    .tv_usec = (suseconds_t)(left % 1000 * 1000),
	};

	conn->timer_ms = conn->deadline_ms;
	(void)event_add(&conn->on_deadline, &tv);
}

static void
conn_enter(struct conn *conn, enum conn_state state)
{
	uint64_t now = clock_ms();

	conn->state = state;
	conn->deadline_ms = now + state_timeout(conn);
	if (conn->timer_ms == 0 || conn->timer_ms > conn->deadline_ms)
		conn_arm_timer(conn, now);
}

/* The one place that changes the state. */
static void
conn_move(struct conn *conn, enum conn_state state)
{
	assert((states[conn->state].next & 1u << state) != 0);
	conn_enter(conn, state);
}

static void
in_free(struct conn *conn)
{
	conn->worker->body_bytes -= conn->in_cap;
	free(conn->in);
	conn->in = NULL;
	conn->in_at = conn->in_len = conn->in_cap = 0;
}

static void
conn_destroy(struct conn *conn)
{
	struct worker *worker = conn->worker;

	if (conn->state == CONN_WAIT)
		TAILQ_REMOVE(&worker->waiting, conn, waiting);
	TAILQ_REMOVE(&worker->conns, conn, entry);
	(void)event_del(&conn->on_read);
	(void)event_del(&conn->on_write);
	(void)event_del(&conn->on_deadline);
	in_free(conn);
	buf_free(&conn->out);
	SSL_free(conn->ssl);
	(void)close(conn->fd);
	free(conn);
	worker->nconns--;
	if (worker->draining && worker->nconns == 0)
		(void)event_base_loopbreak(worker->base);
	else if (!worker->draining)
		listener_resume(worker->listener);
}

/* --- bytes --- */

static enum io
ssl_outcome(struct conn *conn, int result)
{
	switch (SSL_get_error(conn->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return IO_READ;
	case SSL_ERROR_WANT_WRITE:
		return IO_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		return IO_EOF;
	default:
		conn->broken = true;
		return IO_ERROR;
	}
}

static enum io
errno_outcome(enum io again)
{
	return errno == EAGAIN || errno == EINTR ? again : IO_ERROR;
}

static enum io
conn_read(struct conn *conn, char *data, size_t size, size_t *got)
{
	enum io io;
	ssize_t n;
	int rc;

	if (conn->ssl != NULL) {
		ERR_clear_error();
		rc = SSL_read_ex(conn->ssl, data, size, got);
		io = rc == 1 ? IO_OK : ssl_outcome(conn, rc);
	} else {
		n = recv(conn->fd, data, size, 0);
		*got = n > 0 ? (size_t)n : 0;
		io = n > 0 ? IO_OK : (n == 0 ? IO_EOF : errno_outcome(IO_READ));
	}
	if (io == IO_READ)
		conn->readable = false;
	return io;
}

static enum io
conn_write(struct conn *conn, const char *data, size_t size, size_t *put)
{
	ssize_t n;
	int rc;

	if (conn->ssl != NULL) {
		ERR_clear_error();
		rc = SSL_write_ex(conn->ssl, data, size, put);
		return rc == 1 ? IO_OK : ssl_outcome(conn, rc);
	}
	n = send(conn->fd, data, size, MSG_NOSIGNAL);
	*put = n > 0 ? (size_t)n : 0;
	return n >= 0 ? IO_OK : errno_outcome(IO_WRITE);
}

/* What to do when reading or writing did not go on. */
static enum step
io_step(enum io io)
{
	if (io == IO_READ)
		return STEP_READ;
	if (io == IO_WRITE)
		return STEP_WRITE;
	return STEP_CLOSE;
}

/*
 * Makes room behind what was read; most is what the request at hand can need in
 * all.  False when the worker's memory for bodies is used up.
 */
static bool
in_room(struct conn *conn, size_t most)
{
	struct worker *worker = conn->worker;
	size_t cap;
	char *in;

	if (conn->in_len < conn->in_cap)
		return true;
	if (conn->in_at > 0) {
		conn->in_len -= conn->in_at;
		memmove(conn->in, conn->in + conn->in_at, conn->in_len);
		conn->in_at = 0;
		return true;
	}
	/* By steps: a length that is only announced holds no memory. */
	cap = conn->in_cap == 0 ? IN_FIRST : conn->in_cap * 4;
	if (cap > most && most > conn->in_cap)
		cap = most;
	if (cap - conn->in_cap >
		worker->cfg->body_memory - worker->body_bytes ||
	    (in = realloc(conn->in, cap)) == NULL)
		return false;
	worker->body_bytes += cap - conn->in_cap;
	conn->in = in;
	conn->in_cap = cap;
	return true;
}

static enum io
in_fill(struct conn *conn, size_t *got)
{
	enum io io = conn_read(
	    conn, conn->in + conn->in_len, conn->in_cap - conn->in_len, got);

	if (io == IO_OK)
		conn->in_len += *got;
	return io;
}

static enum io
out_flush(struct conn *conn)
{
	enum io io;
	size_t put;

	while (conn->out_sent < conn->out.len) {
		io = conn_write(conn, conn->out.data + conn->out_sent,
		    conn->out.len - conn->out_sent, &put);
		if (io != IO_OK)
			return io;
		conn->out_sent += put;
	}
	buf_free(&conn->out);
	conn->out_sent = 0;
	return IO_OK;
}

/* --- states --- */

static enum step
run_handshake(struct conn *conn)
{
	enum io io;
	int rc;

	ERR_clear_error();
	if ((rc = SSL_accept(conn->ssl)) != 1) {
		io = ssl_outcome(conn, rc);
		return io_step(io);
	}
	conn_move(conn, CONN_IDLE);
	return STEP_ON;
}

static void
wait_for_ack(struct conn *conn)
{
	struct worker *worker = conn->worker;
	bool first = TAILQ_EMPTY(&worker->waiting);
	uint64_t tail;

	conn_move(conn, CONN_WAIT);
	TAILQ_INSERT_TAIL(&worker->waiting, conn, waiting);
	if (!first)
		return; /* whoever was first has asked to be woken */
	do {
		tail = ring_writer_tail(&worker->ring);
	} while (
	    tail < conn->position && !ring_writer_wait(&worker->ring, tail));
}

/* Its events are safe. */
static void
stop_waiting(struct conn *conn)
{
	TAILQ_REMOVE(&conn->worker->waiting, conn, waiting);
	conn_move(conn, CONN_WRITE);
}

/* Where request.c's verdict leads. */
static enum step
conn_next(struct conn *conn, enum request_next next)
{
	switch (next) {
	case REQUEST_BODY:
		conn_move(conn, CONN_BODY);
		return STEP_ON;
	case REQUEST_ANSWER:
		conn_move(conn, CONN_WRITE);
		return STEP_ON;
	case REQUEST_WAIT:
		wait_for_ack(conn);
		return STEP_ON;
	case REQUEST_FAILED:
		break;
	}
	return STEP_CLOSE;
}

/* The end of the request's bytes; what follows is the next one's. */
static size_t
request_end(const struct conn *conn)
{
	return conn->in_at + conn->req.head_bytes + conn->body_bytes;
}

static enum step
conn_refuse(struct conn *conn, int status, const char *detail)
{
	return conn_next(conn, request_refuse(conn, status, detail));
}

/* Reads the first bytes of a request, if there are any. */
static enum step
idle_read(struct conn *conn)
{
	size_t got;
	enum io io;

	if (!conn->readable &&
	    (conn->ssl == NULL || !SSL_has_pending(conn->ssl))) {
		in_free(conn);
		return STEP_READ;
	}
	conn->in_at = conn->in_len = 0;
	if (!in_room(conn, IN_FIRST))
		return conn_refuse(conn, 503, too_many);
	if ((io = in_fill(conn, &got)) == IO_OK)
		return STEP_ON;
	if (io == IO_READ)
		in_free(conn);
	return io_step(io);
}

static enum step
run_idle(struct conn *conn)
{
	http_request_init(&conn->req);
	http_chunks_init(&conn->chunks);
	conn->body_bytes = 0;
	conn->body_done = false;
	if (conn->in_len == conn->in_at)
		return idle_read(conn);
	conn_move(conn, CONN_HEAD);
	return STEP_ON;
}

static enum step
run_head(struct conn *conn)
{
	const struct cfg *cfg = conn->worker->cfg;
	const struct http_limits limits = {
	    .max_headers = cfg->max_headers,
	    .max_header_count = cfg->max_header_count,
	    .max_target = cfg->max_target,
	};
	struct http_fault fault;
	size_t got;
	enum io io;

	switch (http_request_parse(&conn->req, conn->in + conn->in_at,
	    conn->in_len - conn->in_at, &limits, &fault)) {
	case HTTP_DONE:
		conn->body_done = !conn->req.has_body;
		return conn_next(conn, request_head(conn));
	case HTTP_BAD:
		return conn_refuse(conn, fault.status, fault.detail);
	case HTTP_MORE:
		break;
	}
	/* One byte beyond the limit makes the parser say so. */
	if (!in_room(conn, cfg->max_headers + 1))
		return conn_refuse(conn, 503, too_many);
	io = in_fill(conn, &got);
	return io == IO_OK ? STEP_ON : io_step(io);
}

/* Takes the framing off what lies behind the body read so far. */
static enum http_result
take_chunks(struct conn *conn, struct http_fault *fault)
{
	size_t at = request_end(conn), body, used;
	size_t len = conn->in_len - at;
	enum http_result result;

	result = http_chunks_parse(&conn->chunks, conn->in + at, len,
	    conn->worker->cfg->max_body, &body, &used, fault);
	if (result == HTTP_BAD)
		return result;
	conn->body_bytes += body;
	memmove(conn->in + at + body, conn->in + at + used, len - used);
	conn->in_len = at + body + (len - used);
	return result;
}

static enum http_result
take_length(struct conn *conn)
{
	size_t have = conn->in_len - conn->in_at - conn->req.head_bytes;

	if (have < conn->req.content_length)
		return HTTP_MORE;
	conn->body_bytes = (size_t)conn->req.content_length;
	return HTTP_DONE;
}

/* All the bytes the request at hand can need. */
static size_t
request_most(const struct conn *conn)
{
	if (!conn->req.chunked)
		return conn->req.head_bytes + (size_t)conn->req.content_length;
	return conn->req.head_bytes + conn->worker->cfg->max_body + IN_FIRST;
}

static enum step
run_body(struct conn *conn)
{
	struct http_fault fault;
	size_t got;
	enum io io;

	/* "100 Continue", if anything; the client may be waiting for it. */
	if (conn->out.len > 0 && (io = out_flush(conn)) != IO_OK)
		return io_step(io);
	switch (
	    conn->req.chunked ? take_chunks(conn, &fault) : take_length(conn)) {
	case HTTP_DONE:
		conn->body_done = true;
		return conn_next(conn, request_body(conn));
	case HTTP_BAD:
		return conn_refuse(conn, fault.status, fault.detail);
	case HTTP_MORE:
		break;
	}
	if (!in_room(conn, request_most(conn)))
		return conn_refuse(conn, 503, too_many);
	io = in_fill(conn, &got);
	return io == IO_OK ? STEP_ON : io_step(io);
}

static enum step
run_wait(struct conn *conn)
{
	if (conn->position > ring_writer_tail(&conn->worker->ring))
		return STEP_PARK;
	stop_waiting(conn);
	return STEP_ON;
}

/*
 * Says goodbye and closes our side.  What the client still sends is read and
 * dropped, because closing with unread bytes is a reset, and a reset takes the
 * answer with it.
 */
static enum step
conn_goodbye(struct conn *conn)
{
	in_free(conn);
	if (conn->ssl != NULL && !conn->broken) {
		ERR_clear_error();
		(void)SSL_shutdown(conn->ssl);
	}
	(void)shutdown(conn->fd, SHUT_WR);
	conn_move(conn, CONN_DRAIN);
	return STEP_ON;
}

static enum step
run_write(struct conn *conn)
{
	enum io io;

	if ((io = out_flush(conn)) != IO_OK)
		return io_step(io);
	if (conn->close_after || conn->worker->draining)
		return conn_goodbye(conn);
	conn->used = true;
	conn->in_at = request_end(conn);
	/* The event loop tells if there is more. */
	conn->readable = false;
	conn_move(conn, CONN_IDLE);
	return STEP_ON;
}

/* Under TLS these are records nobody decrypts any more. */
static enum step
run_drain(struct conn *conn)
{
	static char dropped[65536];
	ssize_t n;

	n = recv(conn->fd, dropped, sizeof(dropped), 0);
	if (n == -1)
		return io_step(errno_outcome(IO_READ));
	conn->drained += (size_t)n;
	if (n == 0 || conn->drained > conn->worker->cfg->drain_size)
		return STEP_CLOSE;
	return STEP_ON;
}

/* --- events --- */

/* Goes on until something must be waited for; may destroy conn. */
static void
conn_run(struct conn *conn)
{
	int turns;

	for (turns = 0; turns < TURNS_MAX; turns++) {
		switch (states[conn->state].run(conn)) {
		case STEP_ON:
			continue;
		case STEP_READ:
			if (!conn->read_armed)
				(void)event_add(&conn->on_read, NULL);
			conn->read_armed = true;
			return;
		case STEP_WRITE:
			(void)event_add(&conn->on_write, NULL);
			return;
		case STEP_PARK:
			return;
		case STEP_CLOSE:
			conn_destroy(conn);
			return;
		}
	}
	event_active(&conn->on_read, EV_READ, 0);
}

/*
 * Reading stays armed between requests; it is taken off only when bytes arrive
 * that are not wanted yet, which most clients never cause.
 */
static void
on_read(evutil_socket_t fd, short what, void *arg)
{
	struct conn *conn = arg;

	(void)fd;
	(void)what;
	conn->readable = true;
	if (conn->state == CONN_WAIT ||
	    (conn->state == CONN_WRITE &&
		event_pending(&conn->on_write, EV_WRITE, NULL))) {
		(void)event_del(&conn->on_read);
		conn->read_armed = false;
	}
	conn_run(conn);
}

static void
on_write(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	conn_run(arg);
}

/* What a client learns whose time is up; nothing if it said nothing. */
static void
conn_expire(struct conn *conn)
{
	enum step step = STEP_CLOSE;

	switch (conn->state) {
	case CONN_IDLE:
		step = conn_goodbye(conn);
		break;
	case CONN_HEAD:
		step = conn_refuse(
		    conn, 408, "the headers did not arrive in time");
		break;
	case CONN_BODY:
		step =
		    conn_refuse(conn, 408, "the body did not arrive in time");
		break;
	case CONN_WAIT:
		TAILQ_REMOVE(&conn->worker->waiting, conn, waiting);
		step = conn_next(conn, request_not_safe(conn));
		break;
	case CONN_HANDSHAKE:
	case CONN_WRITE:
	case CONN_DRAIN:
	case CONN_STATE_COUNT:
		break;
	}
	if (step == STEP_CLOSE)
		conn_destroy(conn);
	else
		conn_run(conn);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct conn *conn = arg;
	uint64_t now = clock_ms();

	(void)fd;
	(void)what;
	if (now < conn->deadline_ms) {
		conn_arm_timer(conn, now);
		return;
	}
	conn->timer_ms = 0;
	conn_expire(conn);
}

void
conn_start(struct worker *worker, int fd, bool tls)
{
	struct conn *conn;

	if ((conn = calloc(1, sizeof(*conn))) == NULL ||
	    (tls && (conn->ssl = SSL_new(worker->tls)) == NULL) ||
	    (tls && SSL_set_fd(conn->ssl, fd) != 1)) {
		if (conn != NULL)
			SSL_free(conn->ssl);
		free(conn);
		(void)close(fd);
		return;
	}
	conn->worker = worker;
	conn->fd = fd;
	(void)event_assign(&conn->on_read, worker->base, fd,
	    EV_READ | EV_PERSIST, on_read, conn);
	(void)event_assign(
	    &conn->on_write, worker->base, fd, EV_WRITE, on_write, conn);
	(void)evtimer_assign(
	    &conn->on_deadline, worker->base, on_deadline, conn);
	TAILQ_INSERT_TAIL(&worker->conns, conn, entry);
	worker->nconns++;
	if (worker->nconns >= worker->cfg->worker_connections)
		listener_pause(worker->listener);
	conn_enter(conn, tls ? CONN_HANDSHAKE : CONN_IDLE);
	conn_run(conn);
}

void
conn_drain_all(struct worker *worker)
{
	struct conn *conn, *next;

	for (conn = TAILQ_FIRST(&worker->conns); conn != NULL; conn = next) {
		next = TAILQ_NEXT(conn, entry);
		if (conn->state != CONN_IDLE)
			continue;
		(void)conn_goodbye(conn);
		conn_run(conn);
	}
}

void
conn_acknowledge(struct worker *worker)
{
	struct conn *conn;
	uint64_t tail;

	do {
		tail = ring_writer_tail(&worker->ring);
		while ((conn = TAILQ_FIRST(&worker->waiting)) != NULL &&
		    conn->position <= tail) {
			stop_waiting(conn);
			conn_run(conn);
		}
	} while (!TAILQ_EMPTY(&worker->waiting) &&
	    !ring_writer_wait(&worker->ring, tail));
}
