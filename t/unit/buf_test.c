/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <criterion/criterion.h>

#include "common/buf.h"

static bool
holds(const struct buf *buf, const char *text)
{
	return buf->len == strlen(text) &&
	    memcmp(buf->data, text, buf->len) == 0;
}

Test(buf, grows_and_keeps_what_it_holds)
{
	struct buf buf = BUF_INIT;
	int i;

	for (i = 0; i < 10000; i++)
		cr_assert_eq(buf_printf(&buf, "%d,", i % 10), 0);
	cr_assert_eq(buf.len, 20000);
	cr_assert_eq(memcmp(buf.data + 19990, "5,6,7,8,9,", 10), 0);
	buf_clear(&buf);
	cr_assert_eq(buf.len, 0);
	cr_assert_gt(buf.cap, 0);
	buf_free(&buf);
	cr_assert_null(buf.data);
}

Test(buf, a_failed_append_changes_nothing)
{
	struct buf buf = {.limit = 8};

	cr_assert_eq(buf_puts(&buf, "12345678"), 0);
	cr_assert_eq(buf_puts(&buf, "9"), -1);
	cr_assert_eq(buf_printf(&buf, "%d", 9), -1);
	cr_assert_eq(buf_reserve(&buf, SIZE_MAX), -1);
	cr_assert(holds(&buf, "12345678"));
	buf_free(&buf);
}

Test(buf, json_strings)
{
	static const struct {
		const char *text;
		const char *json;
	} cases[] = {
	    {"", "\"\""},
	    {"plain", "\"plain\""},
	    {"a\"b\\c", "\"a\\\"b\\\\c\""},
	    {"\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\""},
	    {"\x01\x1f\x7f", "\"\\u0001\\u001f\x7f\""},
	    {"\xc3\xa4\xf0\x9f\x98\x80", "\"\xc3\xa4\xf0\x9f\x98\x80\""},
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf buf = BUF_INIT;

		cr_expect_eq(
		    buf_json_string(&buf, cases[i].text, strlen(cases[i].text)),
		    0);
		cr_expect(holds(&buf, cases[i].json), "%s", cases[i].json);
		buf_free(&buf);
	}
}
