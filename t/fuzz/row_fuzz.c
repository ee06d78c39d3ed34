/* SPDX-License-Identifier: MIT */
/*
 * row_fuzz.c - whatever a worker left in its ring, only whole rows get through
 *
 * An input is one record of a ring.  It is added to a batch twice, of which the
 * second brings only repeats; then to one whose cache knows some of its events,
 * which loses some more, as the database would say; and once more as a single
 * tuple.  Which ones follows from the input.  Built without libFuzzer it runs
 * the files that are its arguments.
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

	for (row = 0; row < leaf->nrows; row++) {
		const char *at = batch_rows(leaf, row, row + 1, &bytes);

		tuple = block_of((const uint8_t *)at, bytes);
		assert(row_parse(tuple, bytes, values));
		check_values(tuple, bytes, values);
		assert(event_key_equal(leaf->rows[row].key,
		    event_key_of(values[FIELD_EVENT_ID].data,
			(size_t)values[FIELD_EVENT_ID].length)));
		free(tuple);
		total += bytes;
	}
	(void)batch_rows(leaf, 0, leaf->nrows, &bytes);
	assert(bytes == total && total == leaf->tuples.len);
	return total;
}

/* Reads all that a session's gain points to; its events lie between its times.
 */
static int64_t
check_session(const struct batch *batch, const struct session *session)
{
	struct buf order = BUF_INIT;
	const struct session_best *best;
	size_t i;

	for (i = 0; i < SESSION_VALUES; i++) {
		best = &session->values[i];
		if (best->value.len == 0)
			continue;
		free(block_of((const uint8_t *)session_bytes(&batch->sessions,
				  batch->leaves, &best->value),
		    best->value.len));
		assert(best->order.us >= session->times[SESSION_started_at] &&
		    best->order.us <= session->times[SESSION_ended_at]);
		if (session_order_append(&order, &batch->sessions,
			batch->leaves, &best->order) == -1)
			abort();
	}
	buf_free(&order);
	return session->counts[SESSION_event_count];
}

static void
check_batch(const struct batch *batch, size_t dead)
{
	size_t i, rows = 0, bytes = 0;
	int64_t events = 0;

	for (i = 0; i < batch->nleaves; i++) {
		rows += batch->leaves[i].nrows;
		bytes += check_leaf(&batch->leaves[i]);
	}
	assert(rows == batch->rows && bytes == batch->bytes);
	for (i = 0; i < batch->sessions.n; i++)
		events += check_session(batch, &batch->sessions.items[i]);
	assert((size_t)events + dead == rows);
}

/* What decides for some: follows from the input. */
static uint64_t chance;

static bool
some(void)
{
	chance = chance * UINT64_C(6364136223846793005) + 1;
	return chance >> 62 == 0;
}

static struct cached_session *
remember_session(struct session_cache *cache, const struct batch *batch,
    const struct session *session)
{
	const char *id =
	    session_bytes(&batch->sessions, batch->leaves, &session->id);
	struct cached_session *cached = session_cache_find(
	    cache, session->hash, session->project_id, id, session->id.len);

	if (cached == NULL)
		cached = session_cache_add(cache, session->hash,
		    session->project_id, id, session->id.len);
	assert(cached != NULL);
	return cached;
}

/* Some of the batch's events; how many. */
static size_t
remember_some(struct session_cache *cache, const struct batch *batch)
{
	const struct batch_row *row;
	struct cached_session *cached;
	size_t i, j, n = 0;

	for (i = 0; i < batch->nleaves; i++) {
		for (j = 0; j < batch->leaves[i].nrows; j++) {
			if (!some())
				continue;
			row = &batch->leaves[i].rows[j];
			cached = remember_session(
			    cache, batch, &batch->sessions.items[row->session]);
			if (cached_session_learn(cache, cached, row->key) == -1)
				abort();
			assert(cached_session_has(cached, row->key));
			n++;
		}
	}
	return n;
}

static size_t
mark_some(struct batch *batch, bool dead)
{
	struct batch_row *row;
	size_t i, j, n = 0;

	for (i = 0; i < batch->nleaves; i++) {
		for (j = 0; j < batch->leaves[i].nrows; j++) {
			row = &batch->leaves[i].rows[j];
			if (!some())
				continue;
			*(dead ? &row->is_dead : &row->is_repeat) = true;
			n++;
		}
	}
	return n;
}

static void
check_keys(struct batch *batch)
{
	const struct batch_leaf *leaf;
	const char *value;
	size_t i, j, bytes;

	for (i = 0; i < batch->sessions.n; i++)
		batch->sessions.items[i].session_key = (int64_t)i + 1;
	batch_write_session_keys(batch);
	for (i = 0; i < batch->nleaves; i++) {
		leaf = &batch->leaves[i];
		for (j = 0; j < leaf->nrows; j++) {
			value = batch_value(leaf, j, FIELD_SESSION_KEY, &bytes);
			assert(value != NULL && bytes == 8);
			assert((uint8_t)value[7] ==
			    (uint8_t)(leaf->rows[j].session + 1));
		}
	}
}

/* What a batch goes through when its cache and the database know a part. */
static void
check_repeats(const uint8_t *data, size_t size, const struct batch *all)
{
	struct session_cache *cache = session_cache_create(1 << 24);
	struct batch batch;
	size_t known, rows, marked;
	bool whole;

	assert(cache != NULL);
	batch_init(&batch, cache, NULL);
	known = remember_some(cache, all);
	if (batch_add(&batch, data, size, &whole) == -1)
		abort();
	check_batch(&batch, 0);
	/* It may have had room for months that the other had not. */
	assert(batch.rows + known >= all->rows && batch.repeats >= known);
	rows = batch.rows;
	marked = mark_some(&batch, false);
	batch_drop_repeats(&batch);
	assert(batch.rows == rows - marked);
	check_batch(&batch, 0);
	check_keys(&batch);
	marked = mark_some(&batch, true);
	batch_fold_again(&batch);
	check_batch(&batch, marked);
	batch_revive(&batch);
	check_batch(&batch, 0);
	batch_clear(&batch, size);
	session_cache_clear(cache);
	if (batch_add(&batch, data, size, &whole) == -1)
		abort();
	check_batch(&batch, 0);
	assert(batch.rows == all->rows && batch.bytes == all->bytes);
	batch_free(&batch);
	session_cache_destroy(cache);
}

static void
check_record(const uint8_t *data, size_t size)
{
	struct batch batch;
	uint64_t repeats;
	size_t rows;
	bool whole, again;

	batch_init(&batch, NULL, NULL);
	if (batch_add(&batch, data, size, &whole) == -1)
		abort();
	check_batch(&batch, 0);
	assert(batch.bytes <= size);
	check_repeats(data, size, &batch);
	rows = batch.rows;
	repeats = batch.repeats;
	/* A month that is known takes rows that a new one had no room for. */
	if (batch_add(&batch, data, size, &again) == -1)
		abort();
	check_batch(&batch, 0);
	assert(batch.rows == rows || !whole);
	assert(batch.repeats >= repeats + rows);
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

	chance = event_key_of(data, size).low;
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
