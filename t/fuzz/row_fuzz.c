/* SPDX-License-Identifier: MIT */
/*
 * row_fuzz.c - whatever a worker left in its ring, only whole rows get through
 *
 * An input is one record of a ring.  It is added to a batch twice, and once
 * more as a single tuple.  Built without libFuzzer it runs the files that are
 * its arguments.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/batch.h"
#include "common/row.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bytes in a block of just their size, so that a sanitizer sees overreads. */
static uint8_t *
block_of(const uint8_t *bytes, size_t len)
{
	uint8_t *block = malloc(len > 0 ? len : 1);

	assert(block != NULL);
	memcpy(block, bytes, len);
	return block;
}

/* A tuple is what its values and their lengths are, without a gap. */
static void
check_values(const uint8_t *tuple, size_t bytes,
    const struct row_value values[FIELD_COUNT])
{
	const uint8_t *at = tuple + sizeof(int16_t);
	int i;

	for (i = 0; i < FIELD_COUNT; i++) {
		at += sizeof(int32_t);
		assert(values[i].length >= -1);
		if (values[i].length == -1)
			continue;
		assert(values[i].data == at);
		at += values[i].length;
	}
	assert(at == tuple + bytes);
}

static size_t
check_leaf(const struct batch_leaf *leaf)
{
	struct row_value values[FIELD_COUNT];
	size_t row, bytes, total = 0;
	uint8_t *tuple;

	assert(leaf->rows > 0);
	for (row = 0; row < leaf->rows; row++) {
		const char *at = batch_rows(leaf, row, row + 1, &bytes);

		tuple = block_of((const uint8_t *)at, bytes);
		assert(row_parse(tuple, bytes, values));
		check_values(tuple, bytes, values);
		free(tuple);
		total += bytes;
	}
	(void)batch_rows(leaf, 0, leaf->rows, &bytes);
	assert(bytes == total && total == leaf->tuples.len);
	return total;
}

static void
check_batch(const struct batch *batch)
{
	size_t i, rows = 0, bytes = 0;

	for (i = 0; i < batch->nleaves; i++) {
		rows += batch->leaves[i].rows;
		bytes += check_leaf(&batch->leaves[i]);
	}
	assert(rows == batch->rows && bytes == batch->bytes);
}

static void
check_record(const uint8_t *data, size_t size)
{
	struct batch batch = BATCH_INIT;
	size_t rows, bytes;
	bool whole, again;

	if (batch_add(&batch, data, size, &whole) == -1)
		abort();
	check_batch(&batch);
	rows = batch.rows;
	bytes = batch.bytes;
	assert(bytes <= size);
	/* A month that is known takes rows that a new one had no room for. */
	if (batch_add(&batch, data, size, &again) == -1)
		abort();
	check_batch(&batch);
	assert(batch.rows >= 2 * rows && batch.bytes >= 2 * bytes);
	assert(again || !whole);
	batch_clear(&batch, 0);
	assert(batch.rows == 0 && batch.bytes == 0 && batch.nleaves == 0);
	batch_free(&batch);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct row_value values[FIELD_COUNT];
	uint8_t *block = block_of(data, size);

	check_record(block, size);
	if (row_parse(block, size, values))
		check_values(block, size, values);
	free(block);
	return 0;
}

#ifndef FUZZ_WITH_LIBFUZZER

static int
run_file(const char *path)
{
	static uint8_t data[1 << 20];
	FILE *file = fopen(path, "rb");
	size_t size;

	if (file == NULL) {
		perror(path);
		return -1;
	}
	size = fread(data, 1, sizeof(data), file);
	(void)fclose(file);
	(void)LLVMFuzzerTestOneInput(data, size);
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
