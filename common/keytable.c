/* SPDX-License-Identifier: MIT */
/*
 * keytable.c - API keys and project settings in shared memory
 *
 *  page 0      half 0               half 1
 * +----------+--------------------+--------------------+
 * | header   | projects ... keys  | projects ... keys  |
 * +----------+--------------------+--------------------+
 *
 * A half holds one snapshot: projects from its front, each a fixed part and its
 * texts, and an open-addressing table of keys behind them.
 *
 * building  and  published  count snapshots; snapshot v lies in half v % 2.
 * Both are written by the aggregator alone.  It stores building = v + 1 before
 * it touches a byte of that half, then a full fence; and published = v + 1 with
 * release when all is in place.  A reader loads published (acquire) as v, reads
 * half v % 2, passes an acquire fence and loads building: while that is at most
 * v + 1, nobody has touched the half it read.  Else it reads again.  The bytes
 * it read meanwhile may be torn, so every offset is checked against the half.
 *
 * Keys are few (thousands) and change seldom: a new snapshot is written whole.
 */
#include "common/keytable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/timestamp.h"

#define KEYTABLE_MAGIC 0x50474b4559533032ull /* "PGKEYS02" */
#define KEYTABLE_PAGE 4096

struct keytable_header {
	uint64_t magic;
	uint64_t half_bytes;
	_Atomic uint64_t building;
	_Atomic uint64_t published;
	_Atomic uint64_t beat_ms; /* clock_ms() of the last sign of life */
	_Atomic uint32_t state;
};

_Static_assert(sizeof(struct keytable_header) <= KEYTABLE_PAGE, "one page");

/* Offsets are from the start of the half. */
struct half {
	uint32_t nprojects;
	uint32_t nkeys;
	uint32_t used;      /* bytes of header, projects and texts */
	uint32_t first_key; /* offset of nslots slots of keys */
	uint32_t nslots;    /* a power of two, or 0 */
	uint32_t nkeyless;  /* projects that need no key */
};

struct stored_project {
	uint8_t org_id[UUID_BYTES];
	uint8_t id[UUID_BYTES];
	uint32_t bytes; /* with its texts, a multiple of 8 */
	uint32_t norigins;
	uint16_t slug_len;
	uint8_t require_api_key;
	uint8_t zero;
	/* the slug, then each origin as uint16 length and text */
};

struct stored_key {
	uint8_t hash[APIKEY_HASH]; /* all zero: free */
	uint8_t id[UUID_BYTES];
	int64_t expires_us;
	uint32_t project; /* its offset */
	uint32_t zero;
};

struct keytable {
	struct keytable_header *header;
	size_t bytes;
	uint64_t building; /* the writer's: number of the next snapshot */
	uint32_t capacity; /* the writer's: slots once the first key is added */
	uint32_t cursor;   /* the writer's: offset of the project found last */
};

#define ALIGN8(n) (((n) + 7) & ~(size_t)7)

int
keytable_create(size_t size, struct err *err)
{
	struct keytable_header *header;
	size_t half =
	    (size + KEYTABLE_PAGE - 1) / KEYTABLE_PAGE * KEYTABLE_PAGE;
	int error, fd;

	if (half > UINT32_MAX)
		return err_set(
		    err, "key table of %zu bytes is too large", size);
	if ((fd = memfd_create("productgraph-keys", MFD_CLOEXEC)) == -1)
		return err_set(
		    err, "could not create the key table: %s", strerror(errno));
	error = posix_fallocate(fd, 0, (off_t)(KEYTABLE_PAGE + 2 * half));
	if (error != 0) {
		(void)close(fd);
		return err_set(err,
		    "could not allocate a key table of %zu bytes: %s", 2 * half,
		    strerror(error));
	}
	header = mmap(
	    NULL, KEYTABLE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (header == MAP_FAILED) {
		(void)close(fd);
		return err_set(
		    err, "could not map the key table: %s", strerror(errno));
	}
	header->magic = KEYTABLE_MAGIC;
	header->half_bytes = half;
	(void)munmap(header, KEYTABLE_PAGE);
	return fd;
}

struct keytable *
keytable_map(int fd, bool writable, struct err *err)
{
	struct keytable *table;
	struct stat st;
	void *base;

	if (fstat(fd, &st) == -1 || st.st_size <= KEYTABLE_PAGE) {
		(void)err_set(err, "not a key table: too small");
		return NULL;
	}
	base = mmap(NULL, (size_t)st.st_size,
	    writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED) {
		(void)err_set(
		    err, "could not map the key table: %s", strerror(errno));
		return NULL;
	}
	if ((table = calloc(1, sizeof(*table))) == NULL) {
		(void)munmap(base, (size_t)st.st_size);
		(void)err_set(err, "out of memory");
		return NULL;
	}
	table->header = base;
	table->bytes = (size_t)st.st_size;
	if (table->header->magic != KEYTABLE_MAGIC ||
	    KEYTABLE_PAGE + 2 * table->header->half_bytes != table->bytes) {
		(void)err_set(err, "not a key table: wrong header");
		keytable_unmap(table);
		return NULL;
	}
	return table;
}

void
keytable_unmap(struct keytable *table)
{
	if (table == NULL)
		return;
	(void)munmap(table->header, table->bytes);
	free(table);
}

static uint8_t *
table_half(const struct keytable *table, uint64_t version)
{
	return (uint8_t *)table->header + KEYTABLE_PAGE +
	    (version % 2) * table->header->half_bytes;
}

/* --- reader --- */

/* Begins a look; 0 when nothing was published. */
static uint64_t
look_begin(const struct keytable *table)
{
	return atomic_load_explicit(
	    &table->header->published, memory_order_acquire);
}

/* Whether what was read since look_begin() was one whole snapshot. */
static bool
look_valid(const struct keytable *table, uint64_t version)
{
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&table->header->building,
		   memory_order_relaxed) <= version + 1;
}

static bool
origin_allowed(const uint8_t *at, const uint8_t *end, uint32_t norigins,
    const char *origin, size_t len)
{
	uint16_t length;
	uint32_t i;

	if (norigins == 0 || origin == NULL)
		return true;
	for (i = 0; i < norigins; i++) {
		if ((size_t)(end - at) < sizeof(length))
			return false;
		memcpy(&length, at, sizeof(length));
		at += sizeof(length);
		if ((size_t)(end - at) < length)
			return false;
		if (length == len && memcmp(at, origin, len) == 0)
			return true;
		at += length;
	}
	return false;
}

/* Copies the project at offset out; false if that is no project. */
static bool
read_project(const struct keytable *table, const uint8_t *half, uint32_t offset,
    const char *origin, size_t origin_len, struct project *project)
{
	size_t size = (size_t)table->header->half_bytes;
	struct stored_project stored;
	const uint8_t *text;

	if (offset > size || size - offset < sizeof(stored))
		return false;
	memcpy(&stored, half + offset, sizeof(stored));
	if (stored.bytes < sizeof(stored) || stored.bytes > size - offset ||
	    stored.slug_len > stored.bytes - sizeof(stored) ||
	    stored.slug_len >= sizeof(project->slug))
		return false;
	text = half + offset + sizeof(stored);
	memcpy(project->org_id, stored.org_id, UUID_BYTES);
	memcpy(project->id, stored.id, UUID_BYTES);
	memset(project->key_id, 0, UUID_BYTES);
	project->require_api_key = stored.require_api_key != 0;
	project->slug_len = stored.slug_len;
	memcpy(project->slug, text, stored.slug_len);
	project->slug[stored.slug_len] = '\0';
	project->origin_allowed = origin_allowed(text + stored.slug_len,
	    half + offset + stored.bytes, stored.norigins, origin, origin_len);
	return true;
}

/* A key's hash is random already. */
static uint32_t
key_slot(const uint8_t hash[APIKEY_HASH], uint32_t nslots)
{
	uint32_t first;

	memcpy(&first, hash, sizeof(first));
	return first & (nslots - 1);
}

static bool
find_key(const struct keytable *table, const uint8_t *half,
    const uint8_t hash[APIKEY_HASH], struct stored_key *key)
{
	static const uint8_t none[APIKEY_HASH];
	size_t size = (size_t)table->header->half_bytes;
	struct half head;
	uint32_t i, slot;

	memcpy(&head, half, sizeof(head));
	if (head.nslots == 0 || (head.nslots & (head.nslots - 1)) != 0 ||
	    head.first_key > size ||
	    (size - head.first_key) / sizeof(*key) < head.nslots)
		return false;
	slot = key_slot(hash, head.nslots);
	for (i = 0; i < head.nslots; i++) {
		memcpy(key, half + head.first_key + slot * sizeof(*key),
		    sizeof(*key));
		if (memcmp(key->hash, hash, APIKEY_HASH) == 0)
			return true;
		if (memcmp(key->hash, none, APIKEY_HASH) == 0)
			return false;
		slot = (slot + 1) & (head.nslots - 1);
	}
	return false;
}

enum keytable_result
keytable_find_key(const struct keytable *table, const uint8_t hash[APIKEY_HASH],
    int64_t now_us, const char *origin, size_t origin_len,
    struct project *project)
{
	enum keytable_result result;
	const uint8_t *half;
	struct stored_key key;
	uint64_t version;

	do {
		if ((version = look_begin(table)) == 0)
			return KEYTABLE_EMPTY;
		half = table_half(table, version);
		if (!find_key(table, half, hash, &key) ||
		    !read_project(
			table, half, key.project, origin, origin_len, project))
			result = KEYTABLE_UNKNOWN;
		else if (key.expires_us <= now_us)
			result = KEYTABLE_EXPIRED;
		else
			result = KEYTABLE_FOUND;
	} while (!look_valid(table, version));
	if (result == KEYTABLE_FOUND)
		memcpy(project->key_id, key.id, UUID_BYTES);
	return result;
}

/* Walks all projects: a keyless batch comes seldom, and projects are few. */
static bool
find_project(const struct keytable *table, const uint8_t *half,
    const char *name, size_t len, const char *origin, size_t origin_len,
    struct project *project)
{
	size_t size = (size_t)table->header->half_bytes;
	uint8_t id[UUID_BYTES];
	bool is_uuid = uuid_parse(name, len, id);
	struct stored_project stored;
	struct half head;
	uint32_t i, offset;
	bool match;

	memcpy(&head, half, sizeof(head));
	offset = sizeof(head);
	for (i = 0; i < head.nprojects; i++) {
		if (offset > size || size - offset < sizeof(stored))
			return false;
		memcpy(&stored, half + offset, sizeof(stored));
		if (stored.bytes < sizeof(stored) + stored.slug_len ||
		    stored.bytes > size - offset)
			return false;
		match = is_uuid && memcmp(stored.id, id, UUID_BYTES) == 0;
		match = match ||
		    (!stored.require_api_key && stored.slug_len == len &&
			memcmp(half + offset + sizeof(stored), name, len) == 0);
		if (match)
			return read_project(
			    table, half, offset, origin, origin_len, project);
		offset += stored.bytes;
	}
	return false;
}

enum keytable_result
keytable_find_project(const struct keytable *table, const char *name,
    size_t len, const char *origin, size_t origin_len, struct project *project)
{
	uint64_t version;
	bool found;

	do {
		if ((version = look_begin(table)) == 0)
			return KEYTABLE_EMPTY;
		found = find_project(table, table_half(table, version), name,
		    len, origin, origin_len, project);
	} while (!look_valid(table, version));
	return found ? KEYTABLE_FOUND : KEYTABLE_UNKNOWN;
}

bool
keytable_has_keyless(const struct keytable *table)
{
	struct half head;
	uint64_t version;

	do {
		if ((version = look_begin(table)) == 0)
			return false;
		memcpy(&head, table_half(table, version), sizeof(head));
	} while (!look_valid(table, version));
	return head.nkeyless > 0;
}

enum keytable_state
keytable_state(const struct keytable *table, uint64_t *silent_ms)
{
	uint64_t beat =
	    atomic_load_explicit(&table->header->beat_ms, memory_order_relaxed);
	uint64_t now = clock_ms();

	*silent_ms = now > beat ? now - beat : 0;
	return (enum keytable_state)atomic_load_explicit(
	    &table->header->state, memory_order_relaxed);
}

/* --- writer --- */

void
keytable_set_state(struct keytable *table, enum keytable_state state)
{
	keytable_beat(table);
	atomic_store_explicit(
	    &table->header->state, (uint32_t)state, memory_order_relaxed);
}

void
keytable_beat(struct keytable *table)
{
	atomic_store_explicit(
	    &table->header->beat_ms, clock_ms(), memory_order_relaxed);
}

void
keytable_begin(struct keytable *table)
{
	struct half *half;

	table->building = 1 +
	    atomic_load_explicit(
		&table->header->published, memory_order_relaxed);
	atomic_store_explicit(
	    &table->header->building, table->building, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	half = (struct half *)(void *)table_half(table, table->building);
	memset(half, 0, sizeof(*half));
	half->used = sizeof(*half);
	table->capacity = 0;
	table->cursor = sizeof(*half);
}

static struct half *
building_half(struct keytable *table)
{
	return (struct half *)(void *)table_half(table, table->building);
}

enum keytable_added
keytable_add_project(struct keytable *table, const uint8_t org_id[UUID_BYTES],
    const uint8_t id[UUID_BYTES], const char *slug, bool require_api_key,
    const char *const *origins, size_t norigins)
{
	struct half *half = building_half(table);
	struct stored_project stored = {.require_api_key = require_api_key};
	size_t bytes, i, len, slug_len = strlen(slug);
	uint16_t length;
	uint8_t *at;

	if (slug_len >= sizeof(((struct project *)NULL)->slug) ||
	    norigins > UINT16_MAX)
		return KEYTABLE_TOO_LONG;
	bytes = sizeof(stored) + slug_len;
	for (i = 0; i < norigins; i++) {
		if ((len = strlen(origins[i])) > UINT16_MAX)
			return KEYTABLE_TOO_LONG;
		bytes += sizeof(length) + len;
	}
	bytes = ALIGN8(bytes);
	if (bytes > table->header->half_bytes - half->used)
		return KEYTABLE_FULL;
	memcpy(stored.org_id, org_id, UUID_BYTES);
	memcpy(stored.id, id, UUID_BYTES);
	stored.bytes = (uint32_t)bytes;
	stored.norigins = (uint32_t)norigins;
	stored.slug_len = (uint16_t)slug_len;
	at = (uint8_t *)half + half->used;
	memcpy(at, &stored, sizeof(stored));
	at += sizeof(stored);
	memcpy(at, slug, slug_len);
	at += slug_len;
	for (i = 0; i < norigins; i++) {
		length = (uint16_t)strlen(origins[i]);
		memcpy(at, &length, sizeof(length));
		memcpy(at + sizeof(length), origins[i], length);
		at += sizeof(length) + length;
	}
	half->used += (uint32_t)bytes;
	half->nprojects++;
	half->nkeyless += !require_api_key;
	return KEYTABLE_ADDED;
}

/* The largest power of two of slots that fits behind the projects. */
static void
keys_start(struct keytable *table, struct half *half)
{
	size_t room = ((size_t)table->header->half_bytes - half->used) /
	    sizeof(struct stored_key);
	uint32_t n = 1;

	while (n <= room / 2)
		n *= 2;
	table->capacity = room == 0 ? 0 : n;
	half->first_key = half->used;
	half->nslots = table->capacity;
	memset((uint8_t *)half + half->first_key, 0,
	    table->capacity * sizeof(struct stored_key));
}

/*
 * The offset of a project of the snapshot being built, or 0.  Goes round from
 * where the last one was found: keys come in the order of their projects.
 */
static uint32_t
project_offset(struct keytable *table, const uint8_t id[UUID_BYTES])
{
	const struct half *half = building_half(table);
	struct stored_project stored;
	uint32_t i;

	for (i = 0; i < half->nprojects; i++) {
		memcpy(&stored, (const uint8_t *)half + table->cursor,
		    sizeof(stored));
		if (memcmp(stored.id, id, UUID_BYTES) == 0)
			return table->cursor;
		table->cursor += stored.bytes;
		if (table->cursor == half->used)
			table->cursor = sizeof(*half);
	}
	return 0;
}

enum keytable_added
keytable_add_key(struct keytable *table, const uint8_t hash[APIKEY_HASH],
    const uint8_t id[UUID_BYTES], const uint8_t project_id[UUID_BYTES],
    int64_t expires_us)
{
	struct half *half = building_half(table);
	struct stored_key *keys, key = {.expires_us = expires_us};
	uint32_t slot;

	if (half->first_key == 0)
		keys_start(table, half);
	/* At most three in four taken, so that a search stays short. */
	if (half->nkeys + 1 > table->capacity / 4 * 3)
		return KEYTABLE_FULL;
	if ((key.project = project_offset(table, project_id)) == 0)
		return KEYTABLE_NO_PROJECT;
	memcpy(key.hash, hash, APIKEY_HASH);
	memcpy(key.id, id, UUID_BYTES);
	keys = (struct stored_key *)(void *)((uint8_t *)half + half->first_key);
	slot = key_slot(hash, half->nslots);
	while (keys[slot].project != 0)
		slot = (slot + 1) & (half->nslots - 1);
	keys[slot] = key;
	half->nkeys++;
	return KEYTABLE_ADDED;
}

void
keytable_publish(struct keytable *table)
{
	atomic_store_explicit(
	    &table->header->published, table->building, memory_order_release);
}
