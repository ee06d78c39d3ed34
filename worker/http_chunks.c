/* SPDX-License-Identifier: MIT */
/*
 * http_chunks.c - chunked framing as an automaton over single bytes
 *
 * Only the data between sizes is moved in blocks.  The automaton's whole memory
 * is struct http_chunks, so a size line or a trailer without end costs the
 * client's time and none of our memory.
 */
#include "worker/http_chunks.h"

#include <string.h>

#include "worker/http_syntax.h"

#define SIZE_DIGITS 16 /* always fit 64 bits */
#define LINE_MAX_BYTES 1024
#define TRAILER_MAX_BYTES 8192

enum {
	CHUNK_SIZE,
	CHUNK_EXTENSION,
	CHUNK_SIZE_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	CHUNK_TRAILER, /* first byte of a trailer, or of the last line */
	CHUNK_TRAILER_NAME,
	CHUNK_TRAILER_VALUE,
	CHUNK_TRAILER_LF,
	CHUNK_LAST_LF,
	CHUNK_END,
};

void
http_chunks_init(struct http_chunks *chunks)
{
	memset(chunks, 0, sizeof(*chunks));
	chunks->state = CHUNK_SIZE;
}

static int
chunk_size(struct http_chunks *chunks, unsigned char c, uint64_t max_body,
    struct http_fault *fault)
{
	int digit = http_hex(c);

	if (digit != -1 && chunks->line_bytes < SIZE_DIGITS) {
		chunks->left = chunks->left << 4 | (unsigned)digit;
		chunks->line_bytes++;
		return 0;
	}
	if (chunks->line_bytes == 0 || (c != '\r' && c != ';'))
		return http_refuse(fault, 400,
		    "the size of a chunk is not a hexadecimal number");
	if (chunks->left > max_body - chunks->body)
		return http_refuse(fault, 413, "the body is too long");
	chunks->line_bytes++;
	chunks->state = c == ';' ? CHUNK_EXTENSION : CHUNK_SIZE_LF;
	return 0;
}

static int
chunk_extension(
    struct http_chunks *chunks, unsigned char c, struct http_fault *fault)
{
	if (++chunks->line_bytes > LINE_MAX_BYTES)
		return http_refuse(
		    fault, 400, "the extension of a chunk is too long");
	if (c == '\r')
		chunks->state = CHUNK_SIZE_LF;
	else if (!http_is_field(c))
		return http_refuse(fault, 400,
		    "the extension of a chunk has a control character");
	return 0;
}

static int
chunk_trailer(
    struct http_chunks *chunks, unsigned char c, struct http_fault *fault)
{
	bool first = chunks->state == CHUNK_TRAILER;

	if (++chunks->trailer_bytes > TRAILER_MAX_BYTES)
		return http_refuse(fault, 400, "the trailers are too long");
	if (chunks->state == CHUNK_TRAILER_VALUE) {
		if (c == '\r')
			chunks->state = CHUNK_TRAILER_LF;
		else if (!http_is_field(c))
			return http_refuse(
			    fault, 400, "a trailer has a control character");
		return 0;
	}
	if (http_is_token(c))
		chunks->state = CHUNK_TRAILER_NAME;
	else if (c == ':' && !first)
		chunks->state = CHUNK_TRAILER_VALUE;
	else if (c == '\r' && first)
		chunks->state = CHUNK_LAST_LF;
	else
		return http_refuse(
		    fault, 400, "a trailer is not a name, a colon and a value");
	return 0;
}

/* The byte that must come now, and what comes behind it. */
static int
chunk_expect(struct http_chunks *chunks, unsigned char c, char expected,
    int next, struct http_fault *fault)
{
	if (c != (unsigned char)expected)
		return http_refuse(
		    fault, 400, "a chunk or its size does not end with CR LF");
	chunks->state = next;
	return 0;
}

static int
chunk_byte(struct http_chunks *chunks, unsigned char c, uint64_t max_body,
    struct http_fault *fault)
{
	switch (chunks->state) {
	case CHUNK_SIZE:
		return chunk_size(chunks, c, max_body, fault);
	case CHUNK_EXTENSION:
		return chunk_extension(chunks, c, fault);
	case CHUNK_SIZE_LF:
		chunks->line_bytes = 0;
		return chunk_expect(chunks, c, '\n',
		    chunks->left == 0 ? CHUNK_TRAILER : CHUNK_DATA, fault);
	case CHUNK_DATA_CR:
		return chunk_expect(chunks, c, '\r', CHUNK_DATA_LF, fault);
	case CHUNK_DATA_LF:
		return chunk_expect(chunks, c, '\n', CHUNK_SIZE, fault);
	case CHUNK_TRAILER_LF:
		return chunk_expect(chunks, c, '\n', CHUNK_TRAILER, fault);
	case CHUNK_LAST_LF:
		return chunk_expect(chunks, c, '\n', CHUNK_END, fault);
	default:
		return chunk_trailer(chunks, c, fault);
	}
}

/* Moves what is there of the chunk's data; returns how much. */
static size_t
chunk_data(struct http_chunks *chunks, char *to, const char *from, size_t len)
{
	if (len > chunks->left)
		len = (size_t)chunks->left;
	if (to != from)
		memmove(to, from, len);
	chunks->left -= len;
	chunks->body += len;
	if (chunks->left == 0)
		chunks->state = CHUNK_DATA_CR;
	return len;
}

enum http_result
http_chunks_parse(struct http_chunks *chunks, char *data, size_t len,
    uint64_t max_body, size_t *body, size_t *used, struct http_fault *fault)
{
	size_t moved;

	*body = 0;
	*used = 0;
	while (*used < len && chunks->state != CHUNK_END) {
		if (chunks->state == CHUNK_DATA) {
			moved = chunk_data(
			    chunks, data + *body, data + *used, len - *used);
			*body += moved;
			*used += moved;
			continue;
		}
		if (chunk_byte(chunks, (unsigned char)data[*used], max_body,
			fault) == -1)
			return HTTP_BAD;
		++*used;
	}
	return chunks->state == CHUNK_END ? HTTP_DONE : HTTP_MORE;
}
