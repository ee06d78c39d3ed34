/* SPDX-License-Identifier: MIT */
/*
 * conn.h - a connection: its bytes, its state, its deadline
 *
 * Runs in   worker
 * Owns      descriptor, TLS state and buffers, until it destroys itself
 * Promises  in every state a deadline runs; memory is bounded: CONN_OWN_BYTES
 *           of input for each of worker_connections, INFLATE_OWN_BYTES of text
 *           for all, and body_memory for all that goes beyond
 *           A body to be inflated waits for the one at work and for shorter
 *           ones: a short one not for a queue of long ones, which in turn may
 *           starve until ack_timeout (503); those with a key come first
 * Blocking  never
 * Tests     t/unit/conn_test.c, t/integration/test_encodings.py
 *
 *                 accepted
 *        TLS |                | plain
 *            v                |
 *        HANDSHAKE -----------+--> IDLE <---------------------+
 *                                   | first byte              |
 *                                   v                         |
 *                  answered early  HEAD                       |
 *              +--------------------|                         |
 *              |                    v                         |
 *              |<----------------- BODY -------+ compressed   |
 *              |  answered at once  |          v              |
 *              |<-------------------|------ INFLATE           |
 *              |                    |<---------+              |
 *              |                    | published               |
 *              |                    v                         |
 *              |                   WAIT  for the ring's tail  |
 *              v                    |                         |
 *            WRITE <----------------+                         |
 *              | all sent                         keep-alive  |
 *              +----------------------------------------------+
 *              | else
 *              v
 *            DRAIN  what the client still sends, then it is gone
 *
 * Every arrow is conn_move(); any state may end at once on a broken connection.
 */
#ifndef PGD_WORKER_CONN_H
#define PGD_WORKER_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event_struct.h>

#include "worker/http_chunks.h"
#include "worker/http_request.h"
#include "worker/inflate.h"
#include "worker/wire.h"
#include "worker/worker.h"

/* STATE(id, deadline) - deadline is a directive's member of struct cfg */
#define CONN_STATES(STATE)                                                     \
	STATE(HANDSHAKE, handshake_timeout_ms)                                 \
	STATE(IDLE, keepalive_timeout_ms)                                      \
	STATE(HEAD, header_timeout_ms)                                         \
	STATE(BODY, body_timeout_ms)                                           \
	STATE(INFLATE, ack_timeout_ms)                                         \
	STATE(WAIT, ack_timeout_ms)                                            \
	STATE(WRITE, write_timeout_ms)                                         \
	STATE(DRAIN, drain_timeout_ms)

enum conn_state {
#define STATE(id, deadline) CONN_##id,
	CONN_STATES(STATE)
#undef STATE
	CONN_STATE_COUNT
};

/*
 * What a connection may always have: a head, and most batches whole.  So
 * /health is answered, and heads are read, when all other memory is used up.
 */
#define CONN_OWN_BYTES 16384

struct conn {
	struct worker *worker;
	TAILQ_ENTRY(conn) entry;   /* of worker->conns, oldest first */
	TAILQ_ENTRY(conn) waiting; /* its turn, in INFLATE and WAIT alone */
	struct wire wire;
	enum conn_state state;
	bool used; /* has answered a request before */
	struct event on_read;
	struct event on_write;
	struct event on_deadline;
	struct event on_turn; /* its next, after it yielded */
	bool read_armed;
	uint64_t entered_ms; /* its state */
	uint64_t deadline_ms;
	uint64_t timer_ms; /* when on_deadline fires; 0: not armed */

	/* Input; the request at hand begins at in + in_at. */
	char *in;
	size_t in_at;
	size_t in_len;
	size_t in_cap;

	/* The request at hand. */
	struct http_request req;
	struct http_chunks chunks;
	size_t body_bytes; /* read so far, without framing */
	bool body_done;
	enum coding coding; /* of the body */
	bool keyed;         /* project is the API key's */
	struct project project;
	uint64_t position; /* in WAIT: the ring position to wait for */

	/* Output. */
	struct buf out;
	size_t out_sent;
	size_t out_charged; /* of worker->body_bytes */
	bool close_after;
	size_t drained;
};

/* Takes over the descriptor; closes it on any failure. */
void conn_start(struct worker *, int fd, bool tls);

/*
 * Every connection ends with its next answer, or after a second without a
 * request: an answer that promised to keep it open may just have been sent.
 */
void conn_drain_all(struct worker *);

/* Answers whoever waited for a position the ring's tail has reached. */
void conn_acknowledge(struct worker *);

#endif
