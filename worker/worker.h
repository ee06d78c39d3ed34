/* SPDX-License-Identifier: MIT */
/*
 * worker.h - what the connections of a worker share
 *
 * Runs in   worker
 * Owns      everything in struct worker, from the start of the process to its
 *           exit; worker_main.c makes it
 */
#ifndef PGD_WORKER_WORKER_H
#define PGD_WORKER_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <event2/event.h>
#include <openssl/ssl.h>

#include "common/cfg.h"
#include "common/keytable.h"
#include "common/ring_writer.h"
#include "worker/decode.h"
#include "worker/inflate.h"
#include "worker/listener.h"

struct conn;
TAILQ_HEAD(conn_list, conn);

struct worker {
	const struct cfg *cfg;
	struct event_base *base;
	SSL_CTX *tls;
	struct listener *listener;
	struct keytable *keys;
	struct ring_writer ring;
	struct decoder *decoder;
	struct decode_reply reply; /* of the batch at hand; its buf is reused */
	struct buf scratch;        /* the answer's body at hand; reused */

	struct inflater *inflater; /* the first of inflating has it */
	size_t inflate_charged;    /* of body_bytes */

	struct conn_list conns;     /* all */
	struct conn_list inflating; /* or waiting for the inflater */
	struct conn_list waiting;   /* for the ring's tail, in its order */
	unsigned nconns;
	size_t body_bytes; /* beyond what all have; at most cfg->body_memory */
	bool draining;
};

#endif
