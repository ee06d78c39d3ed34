/* SPDX-License-Identifier: MIT */
/*
 * batch.c - gathers rows from ring records and sorts them by month
 *
 * One COPY per month, because the writer may copy into partitions alone.  What
 * a value means is not looked at, but for the timestamp that says which month.
 */
#include "aggregator/batch.h"

#include <stdlib.h>
#include <string.h>

#include "common/row.h"
#include "common/timestamp.h"

/* Years 1 to 9999: what the calendar of timestamp.h covers. */
#define MICROSECONDS INT64_C(1000000)
#define FIRST_US (INT64_C(-63082281600) * MICROSECONDS)
#define LAST_US (INT64_C(252455616000) * MICROSECONDS - 1)

static void
leaf_truncate(struct batch_leaf *leaf, size_t rows)
{
	leaf->rows = rows;
	leaf->ends.len = rows * sizeof(size_t);
	leaf->tuples.len = 0;
	if (rows > 0)
		memcpy(&leaf->tuples.len,
		    leaf->ends.data + leaf->ends.len - sizeof(size_t),
		    sizeof(size_t));
}

static int
leaf_new(struct batch *batch, int64_t month)
{
	struct batch_leaf *leaves, *leaf;
	size_t cap = batch->leaves_cap == 0 ? 4 : batch->leaves_cap * 2;

	if (batch->nleaves == batch->leaves_cap) {
		leaves = realloc(batch->leaves, cap * sizeof(*leaves));
		if (leaves == NULL)
			return -1;
		memset(leaves + batch->leaves_cap, 0,
		    (cap - batch->leaves_cap) * sizeof(*leaves));
		batch->leaves = leaves;
		batch->leaves_cap = cap;
	}
	leaf = &batch->leaves[batch->nleaves++];
	leaf->month = month;
	leaf_truncate(leaf, 0);
	return 0;
}

static int64_t
month_of(int64_t us)
{
	if (us < FIRST_US || us > LAST_US)
		return BATCH_NO_MONTH;
	return timestamp_month_start(us, NULL);
}

/* Almost always the leaf of the row before; nleaves when there is none. */
static size_t
leaf_find(const struct batch *batch, int64_t month)
{
	size_t i;

	if (batch->last < batch->nleaves &&
	    batch->leaves[batch->last].month == month)
		return batch->last;
	for (i = 0; i < batch->nleaves; i++) {
		if (batch->leaves[i].month == month)
			break;
	}
	return i;
}

static int
leaf_append(struct batch_leaf *leaf, const uint8_t *tuple, size_t bytes)
{
	size_t end = leaf->tuples.len + bytes;

	if (buf_reserve(&leaf->ends, sizeof(end)) == -1 ||
	    buf_append(&leaf->tuples, tuple, bytes) == -1)
		return -1;
	leaf->rows++;
	return buf_append(&leaf->ends, &end, sizeof(end));
}

/* Finds the tuple at *at and moves *at behind it.  False: it is none. */
static bool
row_take(const struct buf *record, size_t *at, const uint8_t **tuple,
    size_t *bytes, int64_t *us)
{
	struct row_value values[FIELD_COUNT];
	struct row_head head;
	size_t left = record->len - *at;

	if (left < sizeof(head))
		return false;
	memcpy(&head, record->data + *at, sizeof(head));
	left -= sizeof(head);
	if (head.zero != 0 || ROW_ALIGN((size_t)head.tuple_bytes) > left)
		return false;
	*tuple = (const uint8_t *)record->data + *at + sizeof(head);
	*bytes = head.tuple_bytes;
	if (!row_parse(*tuple, *bytes, values))
		return false;
	*us = row_time(&values[FIELD_TIMESTAMP]);
	*at += sizeof(head) + ROW_ALIGN(*bytes);
	return true;
}

static int
batch_add_rows(struct batch *batch, bool *whole)
{
	const size_t most = batch->nleaves + BATCH_MONTHS_MAX;
	struct record record;
	const uint8_t *tuple;
	size_t at, bytes;
	int64_t month, us;

	if (!record_parse((const uint8_t *)batch->record.data,
		batch->record.len, &record)) {
		*whole = false;
		return 0;
	}
	at = record.rows_at;
	while (at < batch->record.len) {
		if (!row_take(&batch->record, &at, &tuple, &bytes, &us)) {
			*whole = false;
			break;
		}
		month = month_of(us);
		batch->last = leaf_find(batch, month);
		if (batch->last == most) {
			*whole = false;
			break;
		}
		if (batch->last == batch->nleaves &&
		    leaf_new(batch, month) == -1)
			return -1;
		if (leaf_append(&batch->leaves[batch->last], tuple, bytes) ==
		    -1)
			return -1;
		batch->rows++;
		batch->bytes += bytes;
	}
	return 0;
}

int
batch_add(
    struct batch *batch, const uint8_t *payload, size_t bytes, bool *whole)
{
	size_t nleaves = batch->nleaves, rows = batch->rows;
	size_t total = batch->bytes, *before = NULL, i;
	int ret = -1;

	*whole = true;
	buf_clear(&batch->record);
	if (buf_append(&batch->record, payload, bytes) == -1)
		return -1;
	if (nleaves > 0 && (before = calloc(nleaves, sizeof(*before))) == NULL)
		return -1;
	for (i = 0; i < nleaves; i++)
		before[i] = batch->leaves[i].rows;
	if ((ret = batch_add_rows(batch, whole)) == -1) {
		for (i = 0; i < nleaves; i++)
			leaf_truncate(&batch->leaves[i], before[i]);
		batch->nleaves = nleaves;
		batch->rows = rows;
		batch->bytes = total;
	}
	free(before);
	return ret;
}

static size_t
row_end(const struct batch_leaf *leaf, size_t row)
{
	size_t end;

	memcpy(&end, leaf->ends.data + row * sizeof(end), sizeof(end));
	return end;
}

const char *
batch_rows(const struct batch_leaf *leaf, size_t from, size_t to, size_t *bytes)
{
	size_t start = from == 0 ? 0 : row_end(leaf, from - 1);

	*bytes = row_end(leaf, to - 1) - start;
	return leaf->tuples.data + start;
}

/*
 * The months of the next batch need not be those of this one, so memory goes
 * by position.  Unlucky orders could let every position grow to a whole batch.
 */
void
batch_clear(struct batch *batch, size_t keep_bytes)
{
	size_t kept = 0, i;

	for (i = 0; i < batch->leaves_cap; i++) {
		kept += batch->leaves[i].tuples.cap;
		if (kept > keep_bytes) {
			kept -= batch->leaves[i].tuples.cap;
			buf_free(&batch->leaves[i].tuples);
			buf_free(&batch->leaves[i].ends);
		}
	}
	if (batch->record.cap > keep_bytes)
		buf_free(&batch->record);
	batch->nleaves = batch->rows = batch->bytes = batch->last = 0;
}

void
batch_free(struct batch *batch)
{
	batch_clear(batch, 0);
	free(batch->leaves);
	buf_free(&batch->record);
	memset(batch, 0, sizeof(*batch));
}
