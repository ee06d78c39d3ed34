/* SPDX-License-Identifier: MIT */
/*
 * pg_array.c - writes what array_recv() reads
 *
 * Network order: int32 dimensions, int32 1 when there may be nulls, int32 the
 * element's type, int32 elements, int32 lower bound; then each element, int32
 * length (-1: null) and its bytes.
 */
#include "aggregator/pg_array.h"

#include <endian.h>
#include <string.h>

#define HEAD_BYTES 20
#define COUNT_AT 12

static int
add_int4(struct buf *buf, uint32_t value)
{
	uint32_t n = htobe32(value);

	return buf_append(buf, &n, sizeof(n));
}

int
pg_array_begin(struct pg_array *array, enum pg_type type)
{
	struct buf *buf = &array->bytes;

	array->n = 0;
	buf_clear(buf);
	if (buf_reserve(buf, HEAD_BYTES) == -1 || add_int4(buf, 1) == -1 ||
	    add_int4(buf, 1) == -1 || add_int4(buf, (uint32_t)type) == -1 ||
	    add_int4(buf, 0) == -1 || add_int4(buf, 1) == -1)
		return -1;
	return 0;
}

int
pg_array_add(struct pg_array *array, const void *value, size_t len)
{
	if (buf_reserve(&array->bytes, 4 + len) == -1 ||
	    add_int4(&array->bytes, (uint32_t)len) == -1)
		return -1;
	array->n++;
	return buf_append(&array->bytes, value, len);
}

int
pg_array_add_null(struct pg_array *array)
{
	if (add_int4(&array->bytes, UINT32_MAX) == -1)
		return -1;
	array->n++;
	return 0;
}

int
pg_array_add_int8(struct pg_array *array, int64_t value)
{
	uint64_t n = htobe64((uint64_t)value);

	return pg_array_add(array, &n, sizeof(n));
}

void
pg_array_end(struct pg_array *array)
{
	uint32_t n = htobe32(array->n);

	memcpy(array->bytes.data + COUNT_AT, &n, sizeof(n));
}

void
pg_array_free(struct pg_array *array)
{
	buf_free(&array->bytes);
	array->n = 0;
}
