/* SPDX-License-Identifier: MIT */
/*
 * inflate.c - a compressed body to the text it stands for
 *
 * A body is one or more parts: members of gzip, frames of zstd.  A step ends
 * after so many bytes in or out, because both can be dear: a megabyte of zlib's
 * smallest blocks takes 200 ms and has no text at all.  What a part says about
 * its length is believed only where it says too much.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "worker/inflate.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ZLIB_CONST
#include <zlib.h>
#ifdef HAVE_ZSTD
#include <zstd.h>
#include <zstd_errors.h>
#endif

/* Of a step. */
#define STEP_IN 16384
#define STEP_OUT (256 * 1024)

/* How zlib's windowBits choose the format; 15 is the largest window. */
#define BITS_RAW (-15)
#define BITS_ZLIB 15
#define BITS_GZIP (15 + 16)

#define GZIP_MEMBER_MIN 18     /* header and trailer */
#define DEFLATE_RATIO_MAX 1032 /* 258 bytes for two bits */

#define ZSTD_WINDOW_LOG 23 /* 8 MB: RFC 9659 */
#define ZSTD_FRAME_MAGIC 0xfd2fb528u
#define ZSTD_SKIP_MAGIC 0x184d2a50u /* and the next 15 */

struct inflater {
	z_stream zlib;
#ifdef HAVE_ZSTD
	ZSTD_DCtx *zstd;
#endif

	/* The body at hand. */
	enum coding coding;
	size_t max;
	size_t used;      /* of the body */
	bool inside;      /* a part */
	size_t announced; /* length of the text with this part, or 0 */
	char *text;
	size_t text_len;
	size_t text_cap;
	char fault[64];
};

/* What a decoder may read and write; it moves the pointers. */
struct span {
	const char *in;
	size_t in_len;
	char *out;
	size_t out_len;
};

#ifdef HAVE_ZSTD
const char coding_names[] = "gzip, deflate, zstd";
#else
const char coding_names[] = "gzip, deflate";
#endif

static const struct {
	const char *name;
	enum coding coding;
} codings[] = {
    {"", CODING_NONE},
    {"identity", CODING_IDENTITY},
    {"gzip", CODING_GZIP},
    {"x-gzip", CODING_GZIP},
    {"deflate", CODING_DEFLATE},
#ifdef HAVE_ZSTD
    {"zstd", CODING_ZSTD},
#endif
};

enum coding
coding_find(const char *value, size_t len)
{
	size_t i;

	for (i = 0; i < sizeof(codings) / sizeof(codings[0]); i++) {
		if (strlen(codings[i].name) == len &&
		    strncasecmp(codings[i].name, value, len) == 0)
			return codings[i].coding;
	}
	return CODING_UNKNOWN;
}

bool
coding_is_gzip(const char *body, size_t len)
{
	return len >= 2 && memcmp(body, "\x1f\x8b", 2) == 0;
}

static uint32_t
read_le32(const char *bytes)
{
	const unsigned char *b = (const unsigned char *)bytes;

	return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 |
	    (uint32_t)b[3] << 24;
}

/* --- gzip and deflate --- */

/*
 * The last member's length, modulo 2^32, ends a body that is sound; such a one
 * has at least so much text.  What no deflate could reach is not that length:
 * then the body was cut, or goes on, and is to be told so.
 */
static bool
gzip_says_long(const char *in, size_t len, size_t max)
{
	uint32_t says;

	if (len < GZIP_MEMBER_MIN)
		return false;
	says = read_le32(in + len - 4);
	return says > max && says / DEFLATE_RATIO_MAX <= len;
}

/* What follows the first member must be another. */
static enum inflate_result
gzip_start(struct inflater *inf, const char *in, size_t len)
{
	if (len >= 2 && !coding_is_gzip(in, len))
		return INFLATE_BAD;
	if (inf->used == 0 && gzip_says_long(in, len, inf->max))
		return INFLATE_LONG;
	(void)inflateReset2(&inf->zlib, BITS_GZIP);
	return INFLATE_MORE;
}

/*
 * No encoder begins a bare stream as zlib's format does: it would have to set
 * bits of padding.
 */
static bool
is_zlib(const char *in, size_t len)
{
	const unsigned char *b = (const unsigned char *)in;

	return len >= 2 && (b[0] & 0x0f) == Z_DEFLATED && b[0] >> 4 <= 7 &&
	    (b[0] << 8 | b[1]) % 31 == 0;
}

static enum inflate_result
deflate_start(struct inflater *inf, const char *in, size_t len)
{
	if (inf->used > 0)
		return INFLATE_BAD;
	(void)inflateReset2(
	    &inf->zlib, is_zlib(in, len) ? BITS_ZLIB : BITS_RAW);
	return INFLATE_MORE;
}

/* A span is never longer than a step, so it fits zlib's 32 bits. */
static enum inflate_result
zlib_go(struct inflater *inf, struct span *span)
{
	z_stream *zlib = &inf->zlib;
	int rc;

	zlib->next_in = (const Bytef *)span->in;
	zlib->avail_in = (uInt)span->in_len;
	zlib->next_out = (Bytef *)span->out;
	zlib->avail_out = (uInt)span->out_len;
	rc = inflate(zlib, Z_NO_FLUSH);
	span->in_len = zlib->avail_in;
	span->out_len = zlib->avail_out;
	switch (rc) {
	case Z_OK:
	case Z_BUF_ERROR: /* nothing to do it with */
		return INFLATE_MORE;
	case Z_STREAM_END:
		return INFLATE_DONE;
	case Z_MEM_ERROR:
		return INFLATE_NO_ROOM;
	default:
		return INFLATE_BAD;
	}
}

/* --- zstd --- */

#ifdef HAVE_ZSTD

/* Looks at the magic itself: the library may know formats older than it. */
static enum inflate_result
zstd_start(struct inflater *inf, const char *in, size_t len)
{
	unsigned long long size;
	uint32_t magic;

	if (len >= 4) {
		magic = read_le32(in);
		if (magic != ZSTD_FRAME_MAGIC &&
		    (magic & 0xfffffff0u) != ZSTD_SKIP_MAGIC)
			return INFLATE_BAD;
	}
	size = ZSTD_getFrameContentSize(in, len);
	if (size != ZSTD_CONTENTSIZE_UNKNOWN &&
	    size != ZSTD_CONTENTSIZE_ERROR) {
		if (size > inf->max - inf->text_len)
			return INFLATE_LONG;
		inf->announced = inf->text_len + (size_t)size;
	}
	(void)ZSTD_DCtx_reset(inf->zstd, ZSTD_reset_session_only);
	return INFLATE_MORE;
}

static enum inflate_result
zstd_failed(struct inflater *inf, size_t error)
{
	switch (ZSTD_getErrorCode(error)) {
	case ZSTD_error_memory_allocation:
		return INFLATE_NO_ROOM;
	case ZSTD_error_frameParameter_windowTooLarge:
		(void)snprintf(inf->fault, sizeof(inf->fault),
		    "the zstd body needs a window larger than 8 MB");
		return INFLATE_BAD;
	default:
		return INFLATE_BAD;
	}
}

static enum inflate_result
zstd_go(struct inflater *inf, struct span *span)
{
	ZSTD_inBuffer in = {span->in, span->in_len, 0};
	ZSTD_outBuffer out = {span->out, span->out_len, 0};
	size_t rc = ZSTD_decompressStream(inf->zstd, &out, &in);

	span->in_len -= in.pos;
	span->out_len -= out.pos;
	if (ZSTD_isError(rc))
		return zstd_failed(inf, rc);
	return rc == 0 ? INFLATE_DONE : INFLATE_MORE;
}

static bool
zstd_create(struct inflater *inf)
{
	inf->zstd = ZSTD_createDCtx();
	return inf->zstd != NULL &&
	    !ZSTD_isError(ZSTD_DCtx_setParameter(
		inf->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG));
}

static void
zstd_destroy(struct inflater *inf)
{
	(void)ZSTD_freeDCtx(inf->zstd);
}

#else

static bool
zstd_create(struct inflater *inf)
{
	(void)inf;
	return true;
}

static void
zstd_destroy(struct inflater *inf)
{
	(void)inf;
}

#endif

/* --- any of them --- */

static const struct {
	const char *name;
	/* A part begins at in: prepares; INFLATE_BAD: it cannot be one. */
	enum inflate_result (*start)(
	    struct inflater *, const char *in, size_t len);
	/* INFLATE_DONE: the part is. */
	enum inflate_result (*go)(struct inflater *, struct span *);
} decoders[CODING_COUNT] = {
    [CODING_GZIP] = {"gzip", gzip_start, zlib_go},
    [CODING_DEFLATE] = {"deflate", deflate_start, zlib_go},
#ifdef HAVE_ZSTD
    [CODING_ZSTD] = {"zstd", zstd_start, zstd_go},
#endif
};

struct inflater *
inflater_create(void)
{
	struct inflater *inf = calloc(1, sizeof(*inf));

	if (inf == NULL)
		return NULL;
	inf->text_cap = INFLATE_OWN_BYTES;
	inf->text = malloc(inf->text_cap);
	if (inf->text != NULL && inflateInit2(&inf->zlib, BITS_GZIP) == Z_OK &&
	    zstd_create(inf))
		return inf;
	inflater_destroy(inf);
	return NULL;
}

void
inflater_destroy(struct inflater *inf)
{
	if (inf == NULL)
		return;
	(void)inflateEnd(&inf->zlib);
	zstd_destroy(inf);
	free(inf->text);
	free(inf);
}

void
inflate_begin(struct inflater *inf, enum coding coding, size_t max)
{
	inf->coding = coding;
	inf->max = max;
	inf->used = 0;
	inf->inside = false;
	inf->announced = 0;
	inf->text_len = 0;
	inf->fault[0] = '\0';
}

/* Says what is wrong, unless a decoder knew better. */
static enum inflate_result
inflate_refuse(struct inflater *inf, const char *before, const char *behind)
{
	if (inf->fault[0] == '\0')
		(void)snprintf(inf->fault, sizeof(inf->fault), "%s%s%s", before,
		    decoders[inf->coding].name, behind);
	return INFLATE_BAD;
}

/* Makes room behind the text; max is another matter. */
static bool
text_room(struct inflater *inf, size_t most)
{
	size_t cap = inf->text_cap * 2;
	char *text;

	if (inf->text_len < inf->text_cap)
		return true;
	if (cap < inf->announced)
		cap = inf->announced;
	if (cap > inf->max)
		cap = inf->max;
	if (cap > most)
		cap = most;
	if (cap <= inf->text_cap || (text = realloc(inf->text, cap)) == NULL)
		return false;
	inf->text = text;
	inf->text_cap = cap;
	return true;
}

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static enum inflate_result
part_start(struct inflater *inf, const char *body, size_t len)
{
	enum inflate_result result =
	    decoders[inf->coding].start(inf, body + inf->used, len - inf->used);

	inf->inside = result == INFLATE_MORE;
	if (result != INFLATE_BAD)
		return result;
	if (inf->used == 0)
		return inflate_refuse(inf, "the body is not ", "");
	return inflate_refuse(inf, "the ", " body has bytes behind its end");
}

/* Goes on within a part, by no more than in_max and out_max bytes. */
static enum inflate_result
part_go(struct inflater *inf, const char *body, size_t len, size_t *in_max,
    size_t *out_max)
{
	char beyond; /* when the text is as long as it may be */
	bool full = inf->text_len == inf->max;
	size_t room = least(inf->text_cap, inf->max) - inf->text_len;
	struct span span = {
	    .in = body + inf->used,
	    .in_len = least(len - inf->used, *in_max),
	    .out = full ? &beyond : inf->text + inf->text_len,
	    .out_len = full ? 1 : least(room, *out_max),
	};
	size_t in_len = span.in_len, out_len = span.out_len;
	enum inflate_result result = decoders[inf->coding].go(inf, &span);

	inf->used += in_len - span.in_len;
	*in_max -= in_len - span.in_len;
	if (full && span.out_len == 0)
		return INFLATE_LONG;
	inf->text_len += out_len - span.out_len;
	*out_max -= out_len - span.out_len;
	if (result == INFLATE_BAD)
		return inflate_refuse(inf, "the ", " body is damaged");
	if (result == INFLATE_MORE && inf->used == len && span.out_len > 0)
		return inflate_refuse(inf, "the ", " body ends too early");
	if (result != INFLATE_DONE)
		return result;
	inf->inside = false;
	return inf->used == len ? INFLATE_DONE : INFLATE_MORE;
}

enum inflate_result
inflate_step(struct inflater *inf, const char *body, size_t len, size_t most)
{
	size_t in_max = STEP_IN, out_max = STEP_OUT;
	enum inflate_result result = INFLATE_MORE;

	while (result == INFLATE_MORE && in_max > 0 && out_max > 0) {
		if (!inf->inside)
			result = part_start(inf, body, len);
		if (result != INFLATE_MORE)
			break;
		if (inf->text_len < inf->max && !text_room(inf, most))
			return INFLATE_NO_ROOM;
		result = part_go(inf, body, len, &in_max, &out_max);
	}
	return result;
}

const char *
inflate_text(const struct inflater *inf, size_t *len)
{
	*len = inf->text_len;
	return inf->text;
}

const char *
inflate_fault(const struct inflater *inf)
{
	return inf->fault;
}

size_t
inflate_charge(const struct inflater *inf)
{
	return inf->text_cap - INFLATE_OWN_BYTES;
}

void
inflate_end(struct inflater *inf)
{
	char *text;

	inf->text_len = 0;
	if (inf->text_cap == INFLATE_OWN_BYTES ||
	    (text = realloc(inf->text, INFLATE_OWN_BYTES)) == NULL)
		return;
	inf->text = text;
	inf->text_cap = INFLATE_OWN_BYTES;
}
