/* SPDX-License-Identifier: MIT */
/*
 * inflate_fuzz.c - any bytes inflate to a bounded text, or are refused
 *
 * The first byte of an input chooses the coding and the longest text; the rest
 * is the body.  It must be read the same twice, by a decoder that has just read
 * something else; a longer text may be allowed without changing it.  Built
 * without libFuzzer it runs the files that are its arguments.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/inflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST ((size_t)3 * INFLATE_OWN_BYTES)

static const enum coding codings[] = {
    CODING_GZIP,
    CODING_DEFLATE,
    CODING_ZSTD,
};

/* What came of a body. */
struct outcome {
	enum inflate_result result;
	char text[MOST];
	size_t len;
	char fault[80];
};

static void
inflate_body(struct inflater *inf, struct outcome *out, enum coding coding,
    const char *body, size_t len, size_t max)
{
	const char *text;

	inflate_begin(inf, coding, max);
	do {
		out->result = inflate_step(inf, body, len, MOST);
		text = inflate_text(inf, &out->len);
		assert(out->len <= max);
		assert(inflate_charge(inf) <= MOST - INFLATE_OWN_BYTES);
	} while (out->result == INFLATE_MORE);
	assert(out->len <= MOST);
	memcpy(out->text, text, out->len);
	(void)snprintf(
	    out->fault, sizeof(out->fault), "%s", inflate_fault(inf));
	assert((out->result == INFLATE_BAD) == (out->fault[0] != '\0'));
	inflate_end(inf);
	assert(inflate_charge(inf) == 0);
}

static bool
is_same_text(const struct outcome *a, const struct outcome *b)
{
	return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct inflater *inf;
	static struct outcome first, again, more;
	enum coding coding;
	const char *body;
	size_t max;

	if (size == 0)
		return 0;
	if (inf == NULL)
		inf = inflater_create();
	assert(inf != NULL);
	coding = codings[data[0] % 3];
	if (coding == CODING_ZSTD && coding_find("zstd", 4) != CODING_ZSTD)
		return 0;
	/* from 64 bytes to 2 MB, which is more than the memory */
	max = (size_t)64 << (data[0] / 3 % 16);
	body = (const char *)data + 1;

	inflate_body(inf, &first, coding, body, size - 1, max);
	inflate_body(inf, &again, coding, body, (size - 1) / 2, max);
	inflate_body(inf, &again, coding, body, size - 1, max);
	assert(first.result == again.result && is_same_text(&first, &again));
	assert(strcmp(first.fault, again.fault) == 0);
	inflate_body(inf, &more, coding, body, size - 1, max * 2);
	if (first.result == INFLATE_DONE)
		assert(
		    more.result == INFLATE_DONE && is_same_text(&first, &more));
	if (more.result == INFLATE_LONG)
		assert(first.result != INFLATE_DONE);
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
	/* In a block of just its size, so that a sanitizer sees overreads. */
	input = malloc(size > 0 ? size : 1);
	assert(input != NULL);
	memcpy(input, data, size);
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
