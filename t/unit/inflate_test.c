/* SPDX-License-Identifier: MIT */
/*
 * inflate_test.c - compressed bodies, sound, cut, spoiled and far too long
 *
 * Bodies are made with the libraries' own encoders; each is tested in a block
 * of just its size, so that a sanitizer sees overreads.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "worker/inflate.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include <zlib.h>
#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

#include "common/buf.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define MEGA ((size_t)1 << 20)
#define MAX (10 * MEGA)
#define ALL SIZE_MAX

#define BITS_RAW (-15)
#define BITS_ZLIB 15
#define BITS_GZIP (15 + 16)
#define NO_BITS 0 /* zstd */

static const struct kind {
	const char *name;
	enum coding coding;
	int bits;
	bool checked; /* has a checksum over its text */
} kinds[] = {
    {"gzip", CODING_GZIP, BITS_GZIP, true},
    {"zlib", CODING_DEFLATE, BITS_ZLIB, true},
    {"raw deflate", CODING_DEFLATE, BITS_RAW, false},
#ifdef HAVE_ZSTD
    {"zstd", CODING_ZSTD, NO_BITS, true},
#endif
};

static struct inflater *inf;

static void
set_up(void)
{
	inf = inflater_create();
	cr_assert_not_null(inf);
}

static void
tear_down(void)
{
	inflater_destroy(inf);
}

TestSuite(inflate, .init = set_up, .fini = tear_down);

/* --- making bodies --- */

static void
deflate_onto(struct buf *body, int bits, const char *text, size_t len)
{
	z_stream zlib = {0};
	size_t most;

	cr_assert_eq(
	    deflateInit2(&zlib, 6, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY),
	    Z_OK);
	most = deflateBound(&zlib, len);
	cr_assert_eq(buf_reserve(body, most), 0);
	zlib.next_in = (Bytef *)(uintptr_t)text;
	zlib.avail_in = (uInt)len;
	zlib.next_out = (Bytef *)body->data + body->len;
	zlib.avail_out = (uInt)most;
	cr_assert_eq(deflate(&zlib, Z_FINISH), Z_STREAM_END);
	body->len += most - zlib.avail_out;
	(void)deflateEnd(&zlib);
}

#ifdef HAVE_ZSTD
static void
zstd_onto(struct buf *body, const char *text, size_t len, int window_log,
    bool says_length)
{
	ZSTD_CCtx *zstd = ZSTD_createCCtx();
	ZSTD_inBuffer in = {text, len, 0};
	ZSTD_inBuffer none = {NULL, 0, 0};
	ZSTD_outBuffer out = {0};

	out.size = ZSTD_compressBound(len) + 64;
	cr_assert_eq(buf_reserve(body, out.size), 0);
	out.dst = body->data + body->len;
	(void)ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1);
	if (window_log != 0)
		(void)ZSTD_CCtx_setParameter(
		    zstd, ZSTD_c_windowLog, window_log);
	if (says_length)
		(void)ZSTD_CCtx_setPledgedSrcSize(zstd, len);
	(void)ZSTD_compressStream2(zstd, &out, &in, ZSTD_e_continue);
	cr_assert_eq(ZSTD_compressStream2(zstd, &out, &none, ZSTD_e_end), 0);
	body->len += out.pos;
	(void)ZSTD_freeCCtx(zstd);
}
#endif

static void
pack_onto(
    struct buf *body, const struct kind *kind, const char *text, size_t len)
{
	if (kind->bits != NO_BITS)
		deflate_onto(body, kind->bits, text, len);
#ifdef HAVE_ZSTD
	else
		zstd_onto(body, text, len, 0, true);
#endif
}

/* Something like JSON that compresses as JSON does. */
static char *
some_text(size_t len)
{
	char *text = malloc(len + 64);
	size_t at, n = 0;

	cr_assert_not_null(text);
	for (at = 0; at < len; n++)
		at += (size_t)snprintf(text + at, 64, "{\"id\":\"%zx\"},",
		    n * 2654435761u % 1000003);
	return text;
}

/* --- inflating them --- */

static unsigned steps;

static enum inflate_result
inflate_all(
    enum coding coding, const char *body, size_t len, size_t max, size_t most)
{
	char *block = malloc(len > 0 ? len : 1);
	enum inflate_result result;
	size_t text_len;

	cr_assert_not_null(block);
	if (len > 0)
		memcpy(block, body, len);
	steps = 0;
	inflate_begin(inf, coding, max);
	do {
		result = inflate_step(inf, block, len, most);
		steps++;
		(void)inflate_text(inf, &text_len);
		cr_assert_leq(text_len, max);
	} while (result == INFLATE_MORE);
	free(block);
	cr_assert_eq(result == INFLATE_BAD, inflate_fault(inf)[0] != '\0');
	return result;
}

static bool
text_is(const char *want, size_t want_len)
{
	size_t len;
	const char *text = inflate_text(inf, &len);

	return len == want_len && memcmp(text, want, len) == 0;
}

static void
expect_bad(enum coding coding, const char *body, size_t len, const char *fault)
{
	cr_expect_eq(inflate_all(coding, body, len, MAX, ALL), INFLATE_BAD);
	cr_expect_str_eq(inflate_fault(inf), fault);
	inflate_end(inf);
}

/* --- names --- */

Test(inflate, codings_are_found_by_name)
{
	static const struct {
		const char *value;
		enum coding coding;
	} cases[] = {
	    {"", CODING_NONE},
	    {"identity", CODING_IDENTITY},
	    {"gzip", CODING_GZIP},
	    {"GZip", CODING_GZIP},
	    {"x-gzip", CODING_GZIP},
	    {"deflate", CODING_DEFLATE},
#ifdef HAVE_ZSTD
	    {"zstd", CODING_ZSTD},
	    {"ZSTD", CODING_ZSTD},
#else
	    {"zstd", CODING_UNKNOWN},
#endif
	    {"br", CODING_UNKNOWN},
	    {"gzi", CODING_UNKNOWN},
	    {"gzipp", CODING_UNKNOWN},
	    {"gzip, gzip", CODING_UNKNOWN},
	    {"gzip,", CODING_UNKNOWN},
	    {"identity, gzip", CODING_UNKNOWN},
	    {"*", CODING_UNKNOWN},
	};
	size_t i;

	for (i = 0; i < COUNT(cases); i++)
		cr_expect_eq(
		    coding_find(cases[i].value, strlen(cases[i].value)),
		    cases[i].coding, "%s", cases[i].value);
	cr_expect(coding_is_gzip("\x1f\x8b", 2));
	cr_expect_not(coding_is_gzip("\x1f\x8b", 1));
	cr_expect_not(coding_is_gzip("{}", 2));
	cr_expect_not(coding_is_gzip("", 0));
}

/* --- what is sound --- */

Test(inflate, every_length_in_every_coding)
{
	static const size_t lengths[] = {0, 1, 2, 100, 16383, 16384, 65535,
	    65536, 65537, 131072, 262144, 262145, 1000000, MAX};
	char *text = some_text(MAX);
	size_t i, k;

	for (k = 0; k < COUNT(kinds); k++)
		for (i = 0; i < COUNT(lengths); i++) {
			struct buf body = BUF_INIT;

			pack_onto(&body, &kinds[k], text, lengths[i]);
			cr_expect_eq(inflate_all(kinds[k].coding, body.data,
					 body.len, MAX, ALL),
			    INFLATE_DONE, "%s %zu", kinds[k].name, lengths[i]);
			cr_expect(text_is(text, lengths[i]));
			inflate_end(inf);
			buf_free(&body);
		}
	free(text);
}

Test(inflate, what_does_not_compress)
{
	size_t i, k, len = 300000;
	char *text = malloc(len);
	unsigned seed = 1;

	cr_assert_not_null(text);
	for (i = 0; i < len; i++)
		text[i] = (char)((seed = seed * 1103515245 + 12345) >> 16);
	for (k = 0; k < COUNT(kinds); k++) {
		struct buf body = BUF_INIT;

		pack_onto(&body, &kinds[k], text, len);
		cr_expect_geq(body.len, len);
		cr_expect_eq(
		    inflate_all(kinds[k].coding, body.data, body.len, len, ALL),
		    INFLATE_DONE);
		cr_expect(text_is(text, len));
		buf_free(&body);
	}
	free(text);
}

/* Members of gzip and frames of zstd add up; deflate has no such thing. */
Test(inflate, parts_one_after_another)
{
	static const char *const parts[] = {"{\"events\":", "", "[", "]}"};
	size_t i, k;

	for (k = 0; k < COUNT(kinds); k++) {
		struct buf body = BUF_INIT;

		for (i = 0; i < COUNT(parts); i++)
			pack_onto(&body, &kinds[k], parts[i], strlen(parts[i]));
		if (kinds[k].coding == CODING_DEFLATE) {
			expect_bad(CODING_DEFLATE, body.data, body.len,
			    "the deflate body has bytes behind its end");
		} else {
			cr_expect_eq(inflate_all(kinds[k].coding, body.data,
					 body.len, MAX, ALL),
			    INFLATE_DONE);
			cr_expect(text_is("{\"events\":[]}", 13));
		}
		buf_free(&body);
	}
}

Test(inflate, gzip_with_everything_in_its_header)
{
	/* gzip -n would leave these out: extra, name, comment, header's CRC */
	struct buf body = BUF_INIT;
	z_stream zlib = {0};
	gz_header header = {
	    .text = 1,
	    .time = 1,
	    .extra = (Bytef *)"extra",
	    .extra_len = 5,
	    .name = (Bytef *)"name",
	    .comment = (Bytef *)"comment",
	    .hcrc = 1,
	};

	(void)deflateInit2(&zlib, 9, Z_DEFLATED, BITS_GZIP, 8, Z_FILTERED);
	(void)deflateSetHeader(&zlib, &header);
	cr_assert_eq(buf_reserve(&body, 256), 0);
	zlib.next_in = (Bytef *)"{}";
	zlib.avail_in = 2;
	zlib.next_out = (Bytef *)body.data;
	zlib.avail_out = 256;
	cr_assert_eq(deflate(&zlib, Z_FINISH), Z_STREAM_END);
	body.len = 256 - zlib.avail_out;
	(void)deflateEnd(&zlib);
	cr_expect_eq(inflate_all(CODING_GZIP, body.data, body.len, MAX, ALL),
	    INFLATE_DONE);
	cr_expect(text_is("{}", 2));
	buf_free(&body);
}

/* --- limits --- */

Test(inflate, the_longest_text_and_one_byte_more)
{
	static const size_t lengths[] = {1, 100, 65536, 65537, 200000};
	char *text = some_text(200000);
	size_t i, k;

	for (k = 0; k < COUNT(kinds); k++)
		for (i = 0; i < COUNT(lengths); i++) {
			struct buf body = BUF_INIT;

			pack_onto(&body, &kinds[k], text, lengths[i]);
			cr_expect_eq(inflate_all(kinds[k].coding, body.data,
					 body.len, lengths[i], ALL),
			    INFLATE_DONE, "%s %zu", kinds[k].name, lengths[i]);
			cr_expect(text_is(text, lengths[i]));
			cr_expect_leq(inflate_charge(inf), lengths[i]);
			inflate_end(inf);
			cr_expect_eq(inflate_all(kinds[k].coding, body.data,
					 body.len, lengths[i] - 1, ALL),
			    INFLATE_LONG, "%s %zu", kinds[k].name, lengths[i]);
			inflate_end(inf);
			buf_free(&body);
		}
	free(text);
}

/* What a body says about its length is no more than a hint. */
Test(inflate, the_last_member_does_not_hide_the_first)
{
	char *text = some_text(200000);
	struct buf body = BUF_INIT;

	deflate_onto(&body, BITS_GZIP, text, 200000);
	deflate_onto(&body, BITS_GZIP, "", 0);
	cr_expect_eq(inflate_all(CODING_GZIP, body.data, body.len, 199999, ALL),
	    INFLATE_LONG);
	cr_expect_eq(inflate_all(CODING_GZIP, body.data, body.len, 200000, ALL),
	    INFLATE_DONE);
	buf_free(&body);
	free(text);
}

static void
expect_long_at_once(enum coding coding, const char *body, size_t len)
{
	size_t text_len;

	cr_expect_eq(inflate_all(coding, body, len, MAX, ALL), INFLATE_LONG);
	cr_expect_eq(steps, 1);
	(void)inflate_text(inf, &text_len);
	cr_expect_eq(text_len, 0);
	cr_expect_eq(inflate_charge(inf), 0);
}

Test(inflate, a_bomb_that_says_so_is_refused_unread)
{
	char *zeros = calloc(1, MAX + 1);
	size_t k;

	cr_assert_not_null(zeros);
	for (k = 0; k < COUNT(kinds); k++) {
		struct buf body = BUF_INIT;

		pack_onto(&body, &kinds[k], zeros, MAX + 1);
		if (kinds[k].coding != CODING_DEFLATE)
			expect_long_at_once(
			    kinds[k].coding, body.data, body.len);
		else
			cr_expect_eq(inflate_all(CODING_DEFLATE, body.data,
					 body.len, MAX, ALL),
			    INFLATE_LONG);
		inflate_end(inf);
		buf_free(&body);
	}
	free(zeros);
}

Test(inflate, memory_stays_within_what_is_allowed)
{
	const size_t most = 3 * INFLATE_OWN_BYTES + 1;
	char *text = some_text(MAX);
	size_t k;

	for (k = 0; k < COUNT(kinds); k++) {
		struct buf small = BUF_INIT, fits = BUF_INIT, large = BUF_INIT;

		pack_onto(&small, &kinds[k], text, INFLATE_OWN_BYTES);
		pack_onto(&fits, &kinds[k], text, most);
		pack_onto(&large, &kinds[k], text, most + 1);
		cr_expect_eq(inflate_all(kinds[k].coding, small.data, small.len,
				 MAX, INFLATE_OWN_BYTES),
		    INFLATE_DONE);
		cr_expect_eq(inflate_charge(inf), 0);
		cr_expect_eq(inflate_all(kinds[k].coding, large.data, large.len,
				 MAX, most),
		    INFLATE_NO_ROOM, "%s", kinds[k].name);
		cr_expect_leq(inflate_charge(inf), most - INFLATE_OWN_BYTES);
		inflate_end(inf);
		cr_expect_eq(inflate_charge(inf), 0);
		/* A length of exactly what it may have is the limit's case. */
		cr_expect_eq(inflate_all(kinds[k].coding, fits.data, fits.len,
				 most, most),
		    INFLATE_DONE);
		inflate_end(inf);
		buf_free(&small);
		buf_free(&fits);
		buf_free(&large);
	}
	free(text);
}

static size_t
allocated(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

Test(inflate, nothing_is_kept_from_body_to_body)
{
	char *text = some_text(MAX);
	size_t before = 0, k;
	int round;

	for (k = 0; k < COUNT(kinds); k++) {
		struct buf body = BUF_INIT;

		pack_onto(&body, &kinds[k], text, MAX);
		for (round = 0; round < 20; round++) {
			/* The first makes what the decoder keeps. */
			if (round == 1)
				before = allocated();
			(void)inflate_all(kinds[k].coding, body.data,
			    round % 2 == 0 ? body.len : body.len / 2, MAX, ALL);
			inflate_end(inf);
		}
		cr_expect_leq(allocated(), before, "%s", kinds[k].name);
		buf_free(&body);
	}
	free(text);
}

/* --- a step is short --- */

Test(inflate, much_text_takes_many_steps)
{
	char *zeros = calloc(1, MAX);
	size_t k;

	cr_assert_not_null(zeros);
	for (k = 0; k < COUNT(kinds); k++) {
		struct buf body = BUF_INIT;

		pack_onto(&body, &kinds[k], zeros, MAX);
		cr_expect_eq(
		    inflate_all(kinds[k].coding, body.data, body.len, MAX, ALL),
		    INFLATE_DONE);
		cr_expect_geq(steps, 40, "%s", kinds[k].name);
		inflate_end(inf);
		buf_free(&body);
	}
	free(zeros);
}

Test(inflate, so_do_many_bytes_without_text)
{
	const size_t parts = 20000;
	size_t i, k;

	for (k = 0; k < COUNT(kinds); k++) {
		struct buf body = BUF_INIT;

		if (kinds[k].coding == CODING_DEFLATE)
			continue;
		for (i = 0; i < parts; i++)
			pack_onto(&body, &kinds[k], "", 0);
		cr_expect_eq(
		    inflate_all(kinds[k].coding, body.data, body.len, MAX, ALL),
		    INFLATE_DONE);
		cr_expect(text_is("", 0));
		cr_expect_geq(steps, body.len / 16384, "%s", kinds[k].name);
		buf_free(&body);
	}
}

/* --- what is not sound --- */

Test(inflate, every_cut)
{
	char *text = some_text(500);
	size_t k, len;

	for (k = 0; k < COUNT(kinds); k++) {
		struct buf body = BUF_INIT;

		pack_onto(&body, &kinds[k], text, 500);
		for (len = 0; len < body.len; len++)
			cr_expect_eq(inflate_all(kinds[k].coding, body.data,
					 len, UINT32_MAX, ALL),
			    INFLATE_BAD, "%s %zu", kinds[k].name, len);
		buf_free(&body);
	}
	free(text);
}

/* Refused or, where nothing checks it, another text within the limit. */
Test(inflate, every_byte_spoiled)
{
	char *text = some_text(200);
	enum inflate_result result;
	unsigned char *bytes;
	unsigned value;
	size_t at, k;

	for (k = 0; k < COUNT(kinds); k++) {
		struct buf body = BUF_INIT;

		pack_onto(&body, &kinds[k], text, 200);
		bytes = (unsigned char *)body.data;
		for (at = 0; at < body.len; at++)
			for (value = 1; value < 256; value++) {
				bytes[at] ^= (unsigned char)value;
				result = inflate_all(kinds[k].coding, body.data,
				    body.len, 1000, ALL);
				bytes[at] ^= (unsigned char)value;
				if (result == INFLATE_DONE && kinds[k].checked)
					cr_expect(text_is(text, 200),
					    "%s %zu %u", kinds[k].name, at,
					    value);
			}
		cr_expect_eq(
		    inflate_all(kinds[k].coding, body.data, body.len, MAX, ALL),
		    INFLATE_DONE);
		buf_free(&body);
	}
	free(text);
}

Test(inflate, bytes_behind_the_end)
{
	char want[64];
	size_t k;

	for (k = 0; k < COUNT(kinds); k++) {
		struct buf body = BUF_INIT;

		pack_onto(&body, &kinds[k], "{}", 2);
		cr_assert_eq(buf_puts(&body, "{\"events\":[]}"), 0);
		(void)snprintf(want, sizeof(want),
		    "the %s body has bytes behind its end",
		    kinds[k].bits == NO_BITS         ? "zstd"
			: kinds[k].bits == BITS_GZIP ? "gzip"
						     : "deflate");
		expect_bad(kinds[k].coding, body.data, body.len, want);
		buf_free(&body);
	}
}

#define S(literal) literal, sizeof(literal) - 1

Test(inflate, says_what_is_wrong)
{
	static const struct {
		enum coding coding;
		const char *body;
		size_t len;
		const char *fault;
	} cases[] = {
	    {CODING_GZIP, S(""), "the gzip body ends too early"},
	    {CODING_GZIP, S("\x1f\x8b\x08"), "the gzip body ends too early"},
	    {CODING_GZIP, S("{\"events\":[]}"), "the body is not gzip"},
	    {CODING_GZIP, S("\x1f\x8b{}"), "the gzip body is damaged"},
	    {CODING_DEFLATE, S(""), "the deflate body ends too early"},
	    {CODING_DEFLATE, S("\x78\x9c"), "the deflate body ends too early"},
	    {CODING_DEFLATE, S("{\"events\":[]}"),
		"the deflate body is damaged"},
	    /* wants a dictionary */
	    {CODING_DEFLATE, S("\x78\xbb\0\0\0\1\3\0"),
		"the deflate body is damaged"},
#ifdef HAVE_ZSTD
	    {CODING_ZSTD, S(""), "the zstd body ends too early"},
	    {CODING_ZSTD, S("\x28\xb5\x2f\xfd"),
		"the zstd body ends too early"},
	    {CODING_ZSTD, S("{\"events\":[]}"), "the body is not zstd"},
	    /* a format older than the standard's */
	    {CODING_ZSTD, S("\x27\xb5\x2f\xfd\0\0\0\0"),
		"the body is not zstd"},
	    /* wants a dictionary */
	    {CODING_ZSTD, S("\x28\xb5\x2f\xfd\x21\x01\x02\x11\0\0{}"),
		"the zstd body is damaged"},
#endif
	};
	size_t i;

	for (i = 0; i < COUNT(cases); i++)
		expect_bad(cases[i].coding, cases[i].body, cases[i].len,
		    cases[i].fault);
}

#ifdef HAVE_ZSTD
Test(inflate, a_window_of_8_mb_and_a_larger_one)
{
	struct buf fits = BUF_INIT, large = BUF_INIT;
	char *text = some_text(MAX);

	zstd_onto(&fits, text, MAX, 23, false);
	zstd_onto(&large, text, MAX, 24, false);
	cr_expect_eq(inflate_all(CODING_ZSTD, fits.data, fits.len, MAX, ALL),
	    INFLATE_DONE);
	cr_expect(text_is(text, MAX));
	inflate_end(inf);
	expect_bad(CODING_ZSTD, large.data, large.len,
	    "the zstd body needs a window larger than 8 MB");
	buf_free(&fits);
	buf_free(&large);
	free(text);
}

Test(inflate, zstd_that_does_not_say_its_length)
{
	char *text = some_text(300000);
	struct buf body = BUF_INIT;

	zstd_onto(&body, text, 300000, 0, false);
	cr_expect_eq(inflate_all(CODING_ZSTD, body.data, body.len, 300000, ALL),
	    INFLATE_DONE);
	cr_expect(text_is(text, 300000));
	cr_expect_eq(inflate_all(CODING_ZSTD, body.data, body.len, 299999, ALL),
	    INFLATE_LONG);
	inflate_end(inf);
	buf_free(&body);
	free(text);
}

Test(inflate, zstd_skips_what_is_to_be_skipped)
{
	struct buf body = BUF_INIT;

	cr_assert_eq(buf_append(&body, "\x5f\x2a\x4d\x18\3\0\0\0abc", 11), 0);
	zstd_onto(&body, "{}", 2, 0, true);
	cr_assert_eq(buf_append(&body, "\x50\x2a\x4d\x18\0\0\0\0", 8), 0);
	cr_expect_eq(inflate_all(CODING_ZSTD, body.data, body.len, 2, ALL),
	    INFLATE_DONE);
	cr_expect(text_is("{}", 2));
	buf_free(&body);
}
#endif
