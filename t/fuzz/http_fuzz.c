/* SPDX-License-Identifier: MIT */
/*
 * http_fuzz.c - any bytes, split anywhere, get the same verdict
 *
 * The first byte of an input chooses where the rest is split; the rest is a
 * connection: heads, and bodies behind them, until one is bad or unfinished.
 * Built without libFuzzer it runs the files that are its arguments.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/http_chunks.h"
#include "worker/http_request.h"

#define MAX_BODY 4096

static const struct http_limits limits = {
    .max_headers = 1024,
    .max_header_count = 16,
    .max_target = 256,
    .max_body = MAX_BODY,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What came of one request, however its bytes arrived. */
struct outcome {
	struct http_request req;
	enum http_result head;
	enum http_result framing; /* of a chunked body */
	struct http_fault fault;
	char body[MAX_BODY];
	size_t body_len;
	size_t used; /* bytes of the connection that the request took */
};

/* Bytes in a block of just their size, so that a sanitizer sees overreads. */
static char *
block_of(const char *bytes, size_t len)
{
	char *block = malloc(len > 0 ? len : 1);

	assert(block != NULL);
	memcpy(block, bytes, len);
	return block;
}

static void
read_head(struct outcome *out, const char *bytes, size_t len, size_t step)
{
	size_t have = step < len ? step : len;
	char *block;

	http_request_init(&out->req);
	for (;;) {
		block = block_of(bytes, have);
		out->head = http_request_parse(
		    &out->req, block, have, &limits, &out->fault);
		free(block);
		if (out->head != HTTP_MORE || have == len)
			return;
		have = len - have < step ? len : have + step;
	}
}

static void
read_chunks(struct outcome *out, const char *bytes, size_t len, size_t step)
{
	struct http_chunks chunks;
	size_t part, body, used;
	char *block;

	http_chunks_init(&chunks);
	out->framing = HTTP_MORE;
	while (out->framing == HTTP_MORE && len > 0) {
		part = step < len ? step : len;
		block = block_of(bytes, part);
		out->framing = http_chunks_parse(&chunks, block, part,
		    limits.max_body, &body, &used, &out->fault);
		assert(body <= used && used <= part);
		assert(out->framing != HTTP_MORE || used == part);
		assert(body <= MAX_BODY - out->body_len);
		memcpy(out->body + out->body_len, block, body);
		free(block);
		out->body_len += body;
		out->used += used;
		assert(chunks.body == out->body_len);
		bytes += part;
		len -= part;
	}
}

static void
check_view(struct http_view view, size_t head_bytes)
{
	assert(view.at <= head_bytes && view.len <= head_bytes - view.at);
}

static void
check_head(const struct http_request *req, size_t len)
{
	size_t i;

	assert(req->head_bytes <= len);
	assert(req->head_bytes <= limits.max_headers);
	assert(!req->chunked || req->content_length == 0);
	assert(!req->expect_continue || req->has_body);
	assert(req->path.at != 0 && req->path.len > 0);
	check_view(req->path, req->head_bytes);
	check_view(req->query, req->head_bytes);
	check_view(req->method_name, req->head_bytes);
	for (i = 0; i < HTTP_HEADER_COUNT; i++)
		check_view(req->headers[i], req->head_bytes);
}

static void
read_request(struct outcome *out, const char *bytes, size_t len, size_t step)
{
	memset(out, 0, sizeof(*out));
	read_head(out, bytes, len, step);
	if (out->head != HTTP_DONE)
		return;
	check_head(&out->req, len);
	out->used = out->req.head_bytes;
	if (out->req.chunked)
		read_chunks(out, bytes + out->used, len - out->used, step);
	else if (out->req.content_length <= len - out->used)
		out->used += (size_t)out->req.content_length;
	else
		out->framing = HTTP_MORE;
}

static void
check_same(const struct outcome *a, const struct outcome *b)
{
	assert(a->head == b->head);
	/* Padding is the same too: http_request_init() clears it. */
	/* NOLINTNEXTLINE(*memory-comparison,cert-exp42-c,cert-flp37-c) */
	assert(memcmp(&a->req, &b->req, sizeof(a->req)) == 0);
	assert(a->framing == b->framing);
	assert(a->fault.status == b->fault.status);
	assert(a->fault.detail == b->fault.detail);
	assert(a->used == b->used);
	assert(a->body_len == b->body_len);
	assert(memcmp(a->body, b->body, a->body_len) == 0);
}

static void
check_query(const struct http_request *req, const char *bytes)
{
	char out[16];
	char *query = block_of(bytes + req->query.at, req->query.len);
	size_t len;

	if (http_query_param(query, req->query.len, "k", out, sizeof(out),
		&len) == HTTP_DONE) {
		assert(len < sizeof(out));
		assert(strlen(out) == len);
	}
	(void)http_list_has(query, req->query.len, "close");
	free(query);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct outcome whole, bytewise, split;
	const char *bytes = (const char *)data + 1;
	size_t len, step;

	if (size == 0)
		return 0;
	step = (size_t)data[0] + 1;
	for (len = size - 1; len > 0; len -= whole.used) {
		read_request(&whole, bytes, len, len);
		read_request(&bytewise, bytes, len, 1);
		read_request(&split, bytes, len, step);
		check_same(&whole, &bytewise);
		check_same(&whole, &split);
		if (whole.head != HTTP_DONE || whole.framing == HTTP_BAD ||
		    (whole.req.has_body && whole.framing == HTTP_MORE))
			break;
		check_query(&whole.req, bytes);
		bytes += whole.used;
	}
	return 0;
}

#ifndef FUZZ_WITH_LIBFUZZER

static int
run_file(const char *path)
{
	static uint8_t data[1 << 20];
	FILE *file = fopen(path, "rb");
	uint8_t *input;
	size_t size;

	if (file == NULL) {
		perror(path);
		return -1;
	}
	size = fread(data, 1, sizeof(data), file);
	(void)fclose(file);
	input = (uint8_t *)block_of((const char *)data, size);
	(void)LLVMFuzzerTestOneInput(input, size);
	free(input);
	return 0;
}

int
main(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++) {
		if (run_file(argv[i]) == -1)
			return 1;
	}
	return 0;
}

#endif
