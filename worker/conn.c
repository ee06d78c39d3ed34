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
#include <unistd.h>

#include <event2/event.h>

#include "common/log.h"
#include "common/timestamp.h"
#include "worker/answer.h"
#include "worker/request.h"

/* Turns of conn_run() before the others get theirs. */
#define TURNS_MAX 64
/* How long a connection may stay idle once its worker is to end. */
#define DRAIN_IDLE_MS 1000

enum step {
	STEP_ON,    /* go round again */
	STEP_READ,  /* until the socket is readable */
	STEP_WRITE, /* until it is writable */
	STEP_PARK,  /* until the ring's tail moves or the deadline */
	STEP_YIELD, /* until the others had their turn */
	STEP_CLOSE,
};

static enum step run_handshake(struct conn *);
static enum step run_idle(struct conn *);
static enum step run_head(struct conn *);
static enum step run_body(struct conn *);
static enum step run_inflate(struct conn *);
static enum step run_wait(struct conn *);
static enum step run_write(struct conn *);
static enum step run_drain(struct conn *);
static void conn_leave(struct conn *);
static void conn_run(struct conn *);

static const char too_many[] = "too many requests are being read";

#define TO(id) (1u << CONN_##id)

static const struct {
	enum step (*run)(struct conn *);
	unsigned next; /* states it may become */
} states[CONN_STATE_COUNT] = {
    [CONN_HANDSHAKE] = {run_handshake, TO(IDLE)},
    [CONN_IDLE] = {run_idle, TO(HEAD) | TO(WRITE) | TO(DRAIN)},
    [CONN_HEAD] = {run_head, TO(BODY) | TO(INFLATE) | TO(WAIT) | TO(WRITE)},
    [CONN_BODY] = {run_body, TO(INFLATE) | TO(WAIT) | TO(WRITE)},
    [CONN_INFLATE] = {run_inflate, TO(WAIT) | TO(WRITE)},
    [CONN_WAIT] = {run_wait, TO(WRITE)},
    [CONN_WRITE] = {run_write, TO(IDLE) | TO(DRAIN)},
    [CONN_DRAIN] = {run_drain, 0},
};

static uint64_t
state_timeout(const struct conn *conn)
{
	const struct cfg *cfg = conn->worker->cfg;
	const uint64_t timeouts[CONN_STATE_COUNT] = {
#define STATE(id, deadline) [CONN_##id] = cfg->deadline,
	    CONN_STATES(STATE)
#undef STATE
	};

	if (conn->state == CONN_IDLE && conn->worker->draining)
		return DRAIN_IDLE_MS;
	/* Who connects wants to say something now. */
	if (conn->state == CONN_IDLE && !conn->used)
		return cfg->header_timeout_ms;
	return timeouts[conn->state];
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
	conn->entered_ms = now;
	conn->deadline_ms = now + state_timeout(conn);
	if (conn->timer_ms == 0 || conn->timer_ms > conn->deadline_ms)
		conn_arm_timer(conn, now);
}

/* The one place that changes the state, but for its first. */
static void
conn_move(struct conn *conn, enum conn_state state)
{
	assert((states[conn->state].next & 1u << state) != 0);
	conn_leave(conn);
	conn_enter(conn, state);
}

/* --- memory --- */

/* Of the worker's memory for requests and answers. */
static size_t
in_charge(size_t cap)
{
	return cap > CONN_OWN_BYTES ? cap - CONN_OWN_BYTES : 0;
}

/*
 * Whoever shows no key gets no more than half, so that strangers cannot keep
 * out those who show one.
 */
static size_t
memory_left(const struct conn *conn)
{
	const struct worker *worker = conn->worker;
	size_t most = worker->cfg->body_memory;

	if (!conn->keyed)
		most /= 2;
	return worker->body_bytes < most ? most - worker->body_bytes : 0;
}

static bool
in_resize(struct conn *conn, size_t cap)
{
	struct worker *worker = conn->worker;
	char *in = realloc(conn->in, cap);

	if (in == NULL)
		return false;
	worker->body_bytes -= in_charge(conn->in_cap);
	worker->body_bytes += in_charge(cap);
	conn->in = in;
	conn->in_cap = cap;
	return true;
}

static void
in_free(struct conn *conn)
{
	conn->worker->body_bytes -= in_charge(conn->in_cap);
	free(conn->in);
	conn->in = NULL;
	conn->in_at = conn->in_len = conn->in_cap = 0;
}

/*
 * Makes room behind what was read; most is what the request at hand can need in
 * all.  False when the worker's memory is used up.
 */
static bool
in_room(struct conn *conn, size_t most)
{
	size_t cap;

	if (conn->in_len < conn->in_cap)
		return true;
	if (conn->in_at > 0) {
		conn->in_len -= conn->in_at;
		memmove(conn->in, conn->in + conn->in_at, conn->in_len);
		conn->in_at = 0;
		return true;
	}
	/* By steps: a length that is only announced holds no memory. */
	cap = conn->in_cap == 0 ? CONN_OWN_BYTES : conn->in_cap * 2;
	if (cap > most && most > conn->in_cap && most > CONN_OWN_BYTES)
		cap = most;
	return in_charge(cap) - in_charge(conn->in_cap) <= memory_left(conn) &&
	    in_resize(conn, cap);
}

static enum wire_result
in_fill(struct conn *conn, size_t *got)
{
	enum wire_result result = wire_read(&conn->wire,
	    conn->in + conn->in_len, conn->in_cap - conn->in_len, got);

	if (result == WIRE_OK)
		conn->in_len += *got;
	return result;
}

/* The end of the request's bytes; what follows is the next one's. */
static size_t
request_end(const struct conn *conn)
{
	return conn->in_at + conn->req.head_bytes + conn->body_bytes;
}

/* The rows are in the ring: a large body is not kept until they are safe. */
static void
in_drop_body(struct conn *conn)
{
	size_t body = conn->in_at + conn->req.head_bytes;
	size_t end = request_end(conn);

	if (conn->in_cap <= CONN_OWN_BYTES)
		return;
	memmove(conn->in + body, conn->in + end, conn->in_len - end);
	conn->in_len -= end - body;
	conn->body_bytes = 0;
	(void)in_resize(conn,
	    conn->in_len < CONN_OWN_BYTES ? CONN_OWN_BYTES : conn->in_len);
}

/* An answer is never refused for its memory, but others wait for it. */
static void
out_charge(struct conn *conn)
{
	conn->worker->body_bytes -= conn->out_charged;
	conn->out_charged = conn->out.cap;
	conn->worker->body_bytes += conn->out_charged;
}

static void
out_free(struct conn *conn)
{
	buf_free(&conn->out);
	conn->out_sent = 0;
	out_charge(conn);
}

static enum wire_result
out_flush(struct conn *conn)
{
	enum wire_result result;
	size_t put;

	while (conn->out_sent < conn->out.len) {
		result =
		    wire_write(&conn->wire, conn->out.data + conn->out_sent,
			conn->out.len - conn->out_sent, &put);
		if (result != WIRE_OK)
			return result;
		conn->out_sent += put;
	}
	out_free(conn);
	return WIRE_OK;
}

static void
conn_destroy(struct conn *conn)
{
	struct worker *worker = conn->worker;

	conn_leave(conn);
	TAILQ_REMOVE(&worker->conns, conn, entry);
	(void)event_del(&conn->on_read);
	(void)event_del(&conn->on_write);
	(void)event_del(&conn->on_deadline);
	(void)event_del(&conn->on_turn);
	in_free(conn);
	out_free(conn);
	wire_close(&conn->wire);
	free(conn);
	worker->nconns--;
	if (worker->draining && worker->nconns == 0)
		(void)event_base_loopbreak(worker->base);
	else if (!worker->draining)
		listener_resume(worker->listener);
}

/* What to do when reading or writing did not go on. */
static enum step
wire_step(enum wire_result result)
{
	switch (result) {
	case WIRE_OK:
		return STEP_ON;
	case WIRE_AGAIN:
		/* OpenSSL may have worked through hundreds of records. */
		return STEP_YIELD;
	case WIRE_READ:
		return STEP_READ;
	case WIRE_WRITE:
		return STEP_WRITE;
	case WIRE_EOF:
	case WIRE_ERROR:
		break;
	}
	return STEP_CLOSE;
}

/* --- states --- */

static enum step
run_handshake(struct conn *conn)
{
	enum wire_result result = wire_handshake(&conn->wire);

	if (result == WIRE_OK)
		conn_move(conn, CONN_IDLE);
	return wire_step(result);
}

static void
wait_for_ack(struct conn *conn)
{
	struct worker *worker = conn->worker;
	bool first = TAILQ_EMPTY(&worker->waiting);
	uint64_t tail;

	in_drop_body(conn);
	conn_move(conn, CONN_WAIT);
	TAILQ_INSERT_TAIL(&worker->waiting, conn, waiting);
	if (!first)
		return; /* whoever was first has asked to be woken */
	do {
		tail = ring_writer_tail(&worker->ring);
	} while (
	    tail < conn->position && !ring_writer_wait(&worker->ring, tail));
}

/* The answer may go.  It promised to keep the connection open, if it did. */
static enum step
stop_waiting(struct conn *conn)
{
	conn_move(conn, CONN_WRITE);
	if (!conn->worker->draining || conn->close_after)
		return STEP_ON;
	conn->close_after = true;
	return answer_add_close(&conn->out) == 0 ? STEP_ON : STEP_CLOSE;
}

/* The text counts as what is read does. */
static void
inflate_recharge(struct worker *worker)
{
	worker->body_bytes -= worker->inflate_charged;
	worker->inflate_charged = inflate_charge(worker->inflater);
	worker->body_bytes += worker->inflate_charged;
}

/*
 * Whoever shows a key goes before who shows none, then the shorter body before
 * the longer: who sends long ones keeps nobody with a short one waiting, but
 * for the one at work.  Long ones may starve behind short ones, until their
 * deadline says 503.
 */
static bool
inflates_before(const struct conn *conn, const struct conn *other)
{
	if (conn->keyed != other->keyed)
		return conn->keyed;
	return conn->body_bytes < other->body_bytes;
}

/* Behind the one at work, and behind its equals. */
static void
inflate_queue(struct conn *conn)
{
	struct conn_list *list = &conn->worker->inflating;
	struct conn *other;

	TAILQ_FOREACH (other, list, waiting) {
		if (other != TAILQ_FIRST(list) &&
		    inflates_before(conn, other)) {
			TAILQ_INSERT_BEFORE(other, conn, waiting);
			return;
		}
	}
	TAILQ_INSERT_TAIL(list, conn, waiting);
}

static void
start_inflating(struct conn *conn)
{
	struct worker *worker = conn->worker;

	conn_move(conn, CONN_INFLATE);
	inflate_queue(conn);
	if (TAILQ_FIRST(&worker->inflating) == conn)
		inflate_begin(
		    worker->inflater, conn->coding, worker->cfg->max_body);
}

static void
stop_inflating(struct conn *conn)
{
	const struct timeval at_once = {0, 0};
	struct worker *worker = conn->worker;
	bool first = TAILQ_FIRST(&worker->inflating) == conn;

	TAILQ_REMOVE(&worker->inflating, conn, waiting);
	if (!first)
		return;
	inflate_end(worker->inflater);
	inflate_recharge(worker);
	if ((conn = TAILQ_FIRST(&worker->inflating)) == NULL)
		return;
	inflate_begin(worker->inflater, conn->coding, worker->cfg->max_body);
	(void)event_add(&conn->on_turn, &at_once);
}

/* Whichever way out, no list keeps who is not in its state. */
static void
conn_leave(struct conn *conn)
{
	if (conn->state == CONN_INFLATE)
		stop_inflating(conn);
	else if (conn->state == CONN_WAIT)
		TAILQ_REMOVE(&conn->worker->waiting, conn, waiting);
}

/* Where request.c's verdict leads. */
static enum step
conn_next(struct conn *conn, enum request_next next)
{
	out_charge(conn);
	switch (next) {
	case REQUEST_BODY:
		conn_move(conn, CONN_BODY);
		return STEP_ON;
	case REQUEST_INFLATE:
		start_inflating(conn);
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

static enum step
conn_refuse(struct conn *conn, int status, const char *detail)
{
	return conn_next(conn, request_refuse(conn, status, detail));
}

/* Reads the first bytes of a request, if there are any. */
static enum step
idle_read(struct conn *conn)
{
	enum wire_result result;
	size_t got;

	if (wire_is_dry(&conn->wire)) {
		in_free(conn);
		return STEP_READ;
	}
	conn->in_at = conn->in_len = 0;
	if (!in_room(conn, CONN_OWN_BYTES))
		return conn_refuse(conn, 503, too_many);
	result = in_fill(conn, &got);
	if (result == WIRE_READ)
		in_free(conn);
	return wire_step(result);
}

static enum step
run_idle(struct conn *conn)
{
	http_request_init(&conn->req);
	http_chunks_init(&conn->chunks);
	conn->body_bytes = 0;
	conn->body_done = false;
	conn->coding = CODING_NONE;
	conn->keyed = false;
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
	return wire_step(in_fill(conn, &got));
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
	return conn->req.head_bytes + conn->worker->cfg->max_body +
	    CONN_OWN_BYTES;
}

static enum step
run_body(struct conn *conn)
{
	enum wire_result result;
	struct http_fault fault;
	size_t got;

	/* "100 Continue", if anything; the client may be waiting for it. */
	if (conn->out.len > 0 && (result = out_flush(conn)) != WIRE_OK)
		return wire_step(result);
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
	return wire_step(in_fill(conn, &got));
}

/*
 * One body at a time, a step in a turn: whoever sends one that is dear keeps
 * only those behind it waiting, see inflates_before().
 */
static enum step
run_inflate(struct conn *conn)
{
	struct worker *worker = conn->worker;
	enum inflate_result result;

	if (TAILQ_FIRST(&worker->inflating) != conn)
		return STEP_PARK;
	result = inflate_step(worker->inflater, request_body_data(conn),
	    conn->body_bytes,
	    INFLATE_OWN_BYTES + worker->inflate_charged + memory_left(conn));
	inflate_recharge(worker);
	if (result == INFLATE_MORE)
		return STEP_YIELD;
	return conn_next(conn, request_inflated(conn, result));
}

static enum step
run_wait(struct conn *conn)
{
	if (conn->position > ring_writer_tail(&conn->worker->ring))
		return STEP_PARK;
	return stop_waiting(conn);
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
	wire_end(&conn->wire);
	conn_move(conn, CONN_DRAIN);
	return STEP_ON;
}

static enum step
run_write(struct conn *conn)
{
	enum wire_result result;

	if ((result = out_flush(conn)) != WIRE_OK)
		return wire_step(result);
	if (conn->close_after)
		return conn_goodbye(conn);
	conn->used = true;
	conn->in_at = request_end(conn);
	conn_move(conn, CONN_IDLE);
	/* It can be shed now, if there is no other place for a new one. */
	if (!conn->worker->draining)
		listener_resume(conn->worker->listener);
	/* The event loop tells if there is more to read. */
	conn->wire.readable = false;
	/* One request in a turn: who pipelines keeps nobody waiting. */
	return conn->in_len > conn->in_at ? STEP_YIELD : STEP_ON;
}

static enum step
run_drain(struct conn *conn)
{
	enum wire_result result;
	size_t dropped = 0;

	result = wire_drop(&conn->wire, &dropped);
	conn->drained += dropped;
	if (conn->drained > conn->worker->cfg->drain_size)
		return STEP_CLOSE;
	return wire_step(result);
}

/* --- events --- */

/* Goes on until something must be waited for; may destroy conn. */
static void
conn_run(struct conn *conn)
{
	const struct timeval at_once = {0, 0};
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
		case STEP_YIELD:
			turns = TURNS_MAX;
			break;
		}
	}
	/*
	 * Not event_active(): libevent runs what is active until nothing is,
	 * and never looks at the other sockets meanwhile.
	 */
	(void)event_add(&conn->on_turn, &at_once);
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
	conn->wire.readable = true;
	if (conn->state == CONN_INFLATE || conn->state == CONN_WAIT ||
	    (conn->state == CONN_WRITE &&
		event_pending(&conn->on_write, EV_WRITE, NULL))) {
		(void)event_del(&conn->on_read);
		conn->read_armed = false;
	}
	conn_run(conn);
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct conn *conn = arg;

	(void)fd;
	(void)what;
	conn->wire.readable = true;
	conn_run(conn);
}

static void
on_write(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	conn_run(arg);
}

/*
 * Too late, unless the ring says otherwise.  Whoever waits behind it must not
 * depend on a wake-up that this one had asked for.
 */
static void
expire_waiting(struct conn *conn)
{
	struct worker *worker = conn->worker;
	enum step step;

	if (conn->position > ring_writer_tail(&worker->ring)) {
		conn_move(conn, CONN_WRITE);
		step = request_not_safe(conn) == REQUEST_ANSWER ? STEP_ON
								: STEP_CLOSE;
		out_charge(conn);
	} else {
		step = stop_waiting(conn);
	}
	if (step == STEP_CLOSE)
		conn_destroy(conn);
	else
		conn_run(conn);
	conn_acknowledge(worker);
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
	case CONN_INFLATE:
		step = conn_refuse(conn, 503, too_many);
		break;
	case CONN_WAIT:
		expire_waiting(conn);
		return;
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

/*
 * Makes place for a new connection at the cost of one that says nothing: the
 * one idle longest, else the oldest that has not finished its handshake.  False
 * when all are busy.
 */
static bool
conn_shed(struct worker *worker)
{
	struct conn *conn, *idle = NULL, *mute = NULL;

	TAILQ_FOREACH (conn, &worker->conns, entry) {
		if (conn->state == CONN_IDLE &&
		    (idle == NULL || conn->entered_ms < idle->entered_ms))
			idle = conn;
		else if (conn->state == CONN_HANDSHAKE && mute == NULL)
			mute = conn;
	}
	if ((conn = idle != NULL ? idle : mute) == NULL)
		return false;
	wire_end(&conn->wire);
	conn_destroy(conn);
	return true;
}

void
conn_start(struct worker *worker, int fd, bool tls)
{
	struct conn *conn;

	if ((conn = calloc(1, sizeof(*conn))) == NULL ||
	    wire_open(&conn->wire, fd, tls ? worker->tls : NULL) == -1) {
		free(conn);
		(void)close(fd);
		return;
	}
	conn->worker = worker;
	(void)event_assign(&conn->on_read, worker->base, fd,
	    EV_READ | EV_PERSIST, on_read, conn);
	(void)event_assign(
	    &conn->on_write, worker->base, fd, EV_WRITE, on_write, conn);
	(void)evtimer_assign(
	    &conn->on_deadline, worker->base, on_deadline, conn);
	(void)evtimer_assign(&conn->on_turn, worker->base, on_turn, conn);
	/* This one is over the limit; the next ones wait in the kernel. */
	if (worker->nconns >= worker->cfg->worker_connections &&
	    !conn_shed(worker))
		listener_pause(worker->listener);
	TAILQ_INSERT_TAIL(&worker->conns, conn, entry);
	worker->nconns++;
	conn_enter(conn, tls ? CONN_HANDSHAKE : CONN_IDLE);
	conn_run(conn);
}

void
conn_drain_all(struct worker *worker)
{
	struct conn *conn;

	TAILQ_FOREACH (conn, &worker->conns, entry) {
		if (conn->state == CONN_IDLE)
			conn_enter(conn, CONN_IDLE);
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
		    conn->position <= tail)
			conn_run(conn); /* which finds that out itself */
	} while (!TAILQ_EMPTY(&worker->waiting) &&
	    !ring_writer_wait(&worker->ring, tail));
}
