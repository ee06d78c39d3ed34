/* SPDX-License-Identifier: MIT */
/*
 * batch.c - gathers rows from ring records and sorts them by month
 *
 * One COPY per month, because the writer may copy into partitions alone.  A row
 * is looked at once: while it is taken, it also finds its session, is compared
 * with the events seen before, and is folded into what its session gains.
 * Rows that leave the batch later are few; then all is folded again.
 */
#include "aggregator/batch.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "common/row.h"
#include "common/timestamp.h"
#include "common/utf8.h"

/* Years 1 to 9999: what the calendar of timestamp.h covers. */
#define MICROSECONDS INT64_C(1000000)
#define FIRST_US (INT64_C(-63082281600) * MICROSECONDS)
#define LAST_US (INT64_C(252455616000) * MICROSECONDS - 1)

/* Places of a table that are kept for the next batch, per row of this. */
#define SPARE_PLACES 64

static size_t
row_start(const struct batch_leaf *leaf, size_t row)
{
	return row == 0 ? 0 : leaf->rows[row - 1].end;
}

static void
leaf_truncate(struct batch_leaf *leaf, size_t rows)
{
	leaf->nrows = rows;
	leaf->tuples.len = row_start(leaf, rows);
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

/* Room for one more row of so many bytes, so that appending cannot fail. */
static int
leaf_reserve(struct batch_leaf *leaf, size_t bytes)
{
	size_t cap = leaf->rows_cap == 0 ? 64 : leaf->rows_cap * 2;
	struct batch_row *rows;

	if (buf_reserve(&leaf->tuples, bytes) == -1)
		return -1;
	if (leaf->nrows < leaf->rows_cap)
		return 0;
	if ((rows = reallocarray(leaf->rows, cap, sizeof(*rows))) == NULL)
		return -1;
	leaf->rows = rows;
	leaf->rows_cap = cap;
	return 0;
}

/* ---- events seen --------------------------------------------------------- */

/* SDKs that count their events give the same ids in every session. */
static size_t
seen_first(const struct batch *batch, const struct batch_row *row)
{
	struct event_key key = row->key;

	key.low += row->session * UINT64_C(0x9e3779b97f4a7c15);
	return event_key_place(key) & (batch->seen_places - 1);
}

static const struct batch_row *
seen_row(const struct batch *batch, uint64_t seen)
{
	return &batch->leaves[(seen - 1) >> 32].rows[(uint32_t)(seen - 1)];
}

/* The place of the same event, or the free one where it would be. */
static size_t
seen_place(const struct batch *batch, const struct batch_row *row)
{
	size_t at = seen_first(batch, row);
	const struct batch_row *other;

	while (batch->seen[at] != 0) {
		other = seen_row(batch, batch->seen[at]);
		if (other->session == row->session &&
		    event_key_equal(other->key, row->key))
			break;
		at = (at + 1) & (batch->seen_places - 1);
	}
	return at;
}

static void
seen_add(struct batch *batch, size_t leaf, size_t row)
{
	size_t at = seen_place(batch, &batch->leaves[leaf].rows[row]);

	batch->seen[at] = ((uint64_t)leaf << 32 | row) + 1;
}

static void
seen_rebuild(struct batch *batch)
{
	size_t leaf, row;

	if (batch->seen_places > 0)
		memset(
		    batch->seen, 0, batch->seen_places * sizeof(*batch->seen));
	for (leaf = 0; leaf < batch->nleaves; leaf++) {
		for (row = 0; row < batch->leaves[leaf].nrows; row++)
			seen_add(batch, leaf, row);
	}
}

static int
seen_reserve(struct batch *batch)
{
	size_t places = batch->seen_places == 0 ? 1024 : batch->seen_places * 2;
	uint64_t *seen;

	if (batch->rows < batch->seen_places / 2)
		return 0;
	if ((seen = calloc(places, sizeof(*seen))) == NULL)
		return -1;
	free(batch->seen);
	batch->seen = seen;
	batch->seen_places = places;
	seen_rebuild(batch);
	return 0;
}

static bool
is_repeat(const struct batch *batch, const struct batch_row *row)
{
	const struct session *session = &batch->sessions.items[row->session];

	return batch->seen[seen_place(batch, row)] != 0 ||
	    (session->known == SESSION_CACHED &&
		cached_session_has(session->cached, row->key));
}

/* ---- folding ------------------------------------------------------------- */

static void
fold(struct batch *batch, size_t leaf, const struct batch_row *row,
    const uint8_t *tuple, size_t at, const struct row_value *values)
{
	const struct session_event event = {
	    .values = values,
	    .tuple = tuple,
	    .leaf = (uint32_t)leaf,
	    .at = at,
	    .agent = row->agent,
	};

	session_add(&batch->sessions.items[row->session], &batch->sessions,
	    batch->leaves, &event);
}

/* What sessions gain, of the rows that are there and alive. */
void
batch_fold_again(struct batch *batch)
{
	struct row_value values[FIELD_COUNT];
	const struct batch_leaf *leaf;
	const uint8_t *tuple;
	size_t i, row, start;

	sessions_restart(&batch->sessions);
	for (i = 0; i < batch->nleaves; i++) {
		leaf = &batch->leaves[i];
		for (row = 0; row < leaf->nrows; row++) {
			start = row_start(leaf, row);
			tuple = (const uint8_t *)leaf->tuples.data + start;
			if (!leaf->rows[row].is_dead &&
			    row_parse(
				tuple, leaf->rows[row].end - start, values))
				fold(batch, i, &leaf->rows[row], tuple, start,
				    values);
		}
	}
}

/* ---- taking rows --------------------------------------------------------- */

/* A row of a record on its way into the batch. */
struct incoming {
	const uint8_t *tuple;
	size_t bytes;
	struct row_value values[FIELD_COUNT];
	struct session_span agent;
};

/* The ids are sent to the database outside of any COPY: they must be text. */
static bool
is_text(const struct row_value *value)
{
	return utf8_length((const char *)value->data, (size_t)value->length) ==
	    (size_t)value->length;
}

/*
 * Sessions are found by their project: a worker that lies about whose it is
 * could give one tenant another's.  Most rows are of the tenant of the one
 * before.
 */
static bool
is_tenants(struct batch *batch, const struct row_value *values)
{
	const uint8_t *org = values[FIELD_ORG_ID].data;
	const uint8_t *id = values[FIELD_PROJECT_ID].data;
	struct project project;
	char name[UUID_TEXT];

	if (batch->projects == NULL)
		return true;
	if (memcmp(batch->tenant, org, UUID_BYTES) == 0 &&
	    memcmp(batch->tenant + UUID_BYTES, id, UUID_BYTES) == 0)
		return true;
	uuid_format(id, name);
	if (keytable_find_project(batch->projects, name, strlen(name), NULL, 0,
		&project) != KEYTABLE_FOUND ||
	    memcmp(project.org_id, org, UUID_BYTES) != 0)
		return false;
	memcpy(batch->tenant, org, UUID_BYTES);
	memcpy(batch->tenant + UUID_BYTES, id, UUID_BYTES);
	return true;
}

/* Finds the tuple at *at and moves *at behind it.  False: it is none. */
static bool
row_take(const struct buf *record, size_t *at, struct incoming *in)
{
	struct row_head head;
	size_t left = record->len - *at;

	if (left < sizeof(head))
		return false;
	memcpy(&head, record->data + *at, sizeof(head));
	left -= sizeof(head);
	if (head.zero != 0 || ROW_ALIGN((size_t)head.tuple_bytes) > left)
		return false;
	in->tuple = (const uint8_t *)record->data + *at + sizeof(head);
	in->bytes = head.tuple_bytes;
	if (!row_parse(in->tuple, in->bytes, in->values) ||
	    !is_text(&in->values[FIELD_EVENT_ID]) ||
	    !is_text(&in->values[FIELD_SESSION_ID]))
		return false;
	*at += sizeof(head) + ROW_ALIGN(in->bytes);
	return true;
}

/* The leaf of the row's month, made if need be.  1: a month too many. */
static int
row_choose_leaf(struct batch *batch, const struct incoming *in, size_t most)
{
	int64_t month = month_of(row_time(&in->values[FIELD_TIMESTAMP]));

	batch->last = leaf_find(batch, month);
	if (batch->last == most)
		return 1;
	return batch->last == batch->nleaves ? leaf_new(batch, month) : 0;
}

static int
row_append(
    struct batch *batch, const struct incoming *in, struct batch_row *row)
{
	struct batch_leaf *leaf = &batch->leaves[batch->last];
	size_t start = leaf->tuples.len;

	if (leaf_reserve(leaf, in->bytes) == -1 ||
	    buf_append(&leaf->tuples, in->tuple, in->bytes) == -1)
		return -1;
	row->end = leaf->tuples.len;
	leaf->rows[leaf->nrows] = *row;
	seen_add(batch, batch->last, leaf->nrows++);
	fold(batch, batch->last, row, in->tuple, start, in->values);
	batch->rows++;
	batch->bytes += in->bytes;
	return 0;
}

/* Adds a row, unless it is a repeat.  1: it is of a month too many. */
static int
row_add(struct batch *batch, const struct incoming *in, size_t most)
{
	const struct row_value *id = &in->values[FIELD_EVENT_ID];
	struct batch_row row = {
	    .key = event_key_of(id->data, (size_t)id->length),
	    .agent = in->agent,
	};
	int chosen;

	if (seen_reserve(batch) == -1 ||
	    sessions_find(&batch->sessions, in->values, &row.session) == -1)
		return -1;
	if (is_repeat(batch, &row)) {
		batch->repeats++;
		return 0;
	}
	if ((chosen = row_choose_leaf(batch, in, most)) != 0)
		return chosen;
	return row_append(batch, in, &row);
}

/* Most records have the key of the one before. */
static int
note_key(struct batch *batch, const uint8_t id[UUID_BYTES])
{
	static const uint8_t none[UUID_BYTES];
	const struct buf *keys = &batch->keys;

	if (memcmp(id, none, UUID_BYTES) == 0 ||
	    (keys->len > 0 &&
		memcmp(keys->data + keys->len - UUID_BYTES, id, UUID_BYTES) ==
		    0))
		return 0;
	return buf_append(&batch->keys, id, UUID_BYTES);
}

static int
batch_add_rows(struct batch *batch, bool *whole)
{
	const size_t most = batch->nleaves + BATCH_MONTHS_MAX;
	struct record record;
	struct incoming in;
	size_t at;
	int added;

	*whole = record_parse(
	    (const uint8_t *)batch->record.data, batch->record.len, &record);
	if (!*whole)
		return 0;
	if (sessions_keep(&batch->sessions, record.agent, record.agent_bytes,
		&in.agent) == -1)
		return -1;
	at = record.rows_at;
	while (*whole && at < batch->record.len) {
		*whole = row_take(&batch->record, &at, &in) &&
		    is_tenants(batch, in.values);
		if (!*whole)
			break;
		if ((added = row_add(batch, &in, most)) == -1)
			return -1;
		*whole = added == 0;
	}
	return note_key(batch, record.key_id);
}

int
batch_add(
    struct batch *batch, const uint8_t *payload, size_t bytes, bool *whole)
{
	size_t nleaves = batch->nleaves, rows = batch->rows;
	size_t total = batch->bytes, *before = NULL, i;
	size_t sessions = batch->sessions.n, texts = batch->sessions.texts.len;
	uint64_t repeats = batch->repeats;
	int ret = -1;

	buf_clear(&batch->record);
	if (buf_append(&batch->record, payload, bytes) == -1)
		return -1;
	if (nleaves > 0 && (before = calloc(nleaves, sizeof(*before))) == NULL)
		return -1;
	for (i = 0; i < nleaves; i++)
		before[i] = batch->leaves[i].nrows;
	if ((ret = batch_add_rows(batch, whole)) == -1) {
		for (i = 0; i < nleaves; i++)
			leaf_truncate(&batch->leaves[i], before[i]);
		batch->nleaves = nleaves;
		batch->rows = rows;
		batch->bytes = total;
		batch->repeats = repeats;
		sessions_truncate(&batch->sessions, sessions, texts);
		seen_rebuild(batch);
		batch_fold_again(batch);
	}
	free(before);
	return ret;
}

/* ---- rows that are there ------------------------------------------------- */

const char *
batch_rows(const struct batch_leaf *leaf, size_t from, size_t to, size_t *bytes)
{
	size_t start = row_start(leaf, from);

	*bytes = row_start(leaf, to) - start;
	return leaf->tuples.data + start;
}

const char *
batch_value(
    const struct batch_leaf *leaf, size_t row, enum field_id id, size_t *bytes)
{
	struct row_value values[FIELD_COUNT];
	const char *tuple = batch_rows(leaf, row, row + 1, bytes);

	if (!row_parse((const uint8_t *)tuple, *bytes, values) ||
	    values[id].length < 0)
		return NULL;
	*bytes = (size_t)values[id].length;
	return (const char *)values[id].data;
}

/* The rows that stay move down over those that go. */
static void
leaf_drop_repeats(struct batch *batch, struct batch_leaf *leaf)
{
	char *data = leaf->tuples.data;
	size_t row, kept = 0, start = 0, to = 0, bytes;

	for (row = 0; row < leaf->nrows; row++) {
		bytes = leaf->rows[row].end - start;
		if (leaf->rows[row].is_repeat) {
			batch->rows--;
			batch->bytes -= bytes;
			batch->repeats++;
		} else {
			memmove(data + to, data + start, bytes);
			to += bytes;
			start = leaf->rows[row].end;
			leaf->rows[kept] = leaf->rows[row];
			leaf->rows[kept++].end = to;
			continue;
		}
		start = leaf->rows[row].end;
	}
	leaf_truncate(leaf, kept);
}

void
batch_drop_repeats(struct batch *batch)
{
	size_t i;

	for (i = 0; i < batch->nleaves; i++)
		leaf_drop_repeats(batch, &batch->leaves[i]);
	seen_rebuild(batch);
	batch_fold_again(batch);
}

void
batch_revive(struct batch *batch)
{
	bool any = false;
	size_t i, row;

	for (i = 0; i < batch->nleaves; i++) {
		for (row = 0; row < batch->leaves[i].nrows; row++) {
			any = any || batch->leaves[i].rows[row].is_dead;
			batch->leaves[i].rows[row].is_dead = false;
		}
	}
	if (any)
		batch_fold_again(batch);
}

void
batch_write_session_keys(struct batch *batch)
{
	struct batch_leaf *leaf;
	uint64_t key;
	size_t i, row;

	for (i = 0; i < batch->nleaves; i++) {
		leaf = &batch->leaves[i];
		for (row = 0; row < leaf->nrows; row++) {
			key = htobe64((uint64_t)batch->sessions
					  .items[leaf->rows[row].session]
					  .session_key);
			memcpy(leaf->tuples.data + row_start(leaf, row) +
				ROW_SESSION_KEY_AT,
			    &key, sizeof(key));
		}
	}
}

/* ---- life ---------------------------------------------------------------- */

void
batch_init(struct batch *batch, struct session_cache *cache,
    const struct keytable *projects)
{
	memset(batch, 0, sizeof(*batch));
	batch->projects = projects;
	batch->sessions.cache = cache;
}

/*
 * The months of the next batch need not be those of this one, so memory goes
 * by position.  Unlucky orders could let every position grow to a whole batch.
 */
void
batch_clear(struct batch *batch, size_t keep_bytes)
{
	struct batch_leaf *leaf;
	size_t kept = 0, i;

	for (i = 0; i < batch->leaves_cap; i++) {
		leaf = &batch->leaves[i];
		kept += leaf->tuples.cap;
		if (kept > keep_bytes) {
			kept -= leaf->tuples.cap;
			buf_free(&leaf->tuples);
			free(leaf->rows);
			leaf->rows = NULL;
			leaf->rows_cap = 0;
		}
	}
	if (batch->record.cap > keep_bytes)
		buf_free(&batch->record);
	if (batch->keys.cap > keep_bytes)
		buf_free(&batch->keys);
	buf_clear(&batch->keys);
	/* Clearing a table is paid by every batch: only one of a size to it. */
	if (batch->seen_places > SPARE_PLACES * batch->rows ||
	    batch->seen_places * sizeof(*batch->seen) > keep_bytes) {
		free(batch->seen);
		batch->seen = NULL;
		batch->seen_places = 0;
	}
	batch->nleaves = batch->rows = batch->bytes = batch->last = 0;
	batch->repeats = 0;
	/* Projects may have gone since. */
	memset(batch->tenant, 0, sizeof(batch->tenant));
	seen_rebuild(batch);
	sessions_clear(&batch->sessions, keep_bytes);
}

void
batch_free(struct batch *batch)
{
	batch_clear(batch, 0);
	free(batch->leaves);
	buf_free(&batch->record);
	buf_free(&batch->keys);
	sessions_free(&batch->sessions);
	memset(batch, 0, sizeof(*batch));
}
