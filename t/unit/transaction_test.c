/* SPDX-License-Identifier: MIT */
/*
 * Positions are read back as they were written, and nothing else is taken for
 * them.  The rest needs PostgreSQL: t/integration/test_aggregator.py.
 */
#include "aggregator/transaction.h"

#include <criterion/criterion.h>
#include <string.h>

Test(transaction, writes_and_reads_positions)
{
	static const uint64_t positions[] = {0, 8, (UINT64_C(1) << 62) - 8};
	uint64_t got[3] = {1, 1, 1};
	struct buf buf = BUF_INIT;

	cr_assert_eq(positions_append(&buf, positions, 3), 0);
	cr_assert_eq(buf_append(&buf, "", 1), 0);
	cr_expect_str_eq(buf.data, "{0,8,4611686018427387896}");
	cr_expect_eq(positions_parse(buf.data, got, 3), 0);
	cr_expect_eq(memcmp(got, positions, sizeof(got)), 0);
	buf_free(&buf);
}

Test(transaction, refuses_other_positions)
{
	static const char *const cases[] = {"", "{", "{}", "{1}", "{1,2,3}",
	    "{1,2", "{1,2}x", "{1,-2}", "{1, 2}", "{1,NULL}", "1,2",
	    "{{1},{2}}", "{1,4611686018427387904}", "{1,18446744073709551608}",
	    "{1,99999999999999999999}"};
	uint64_t got[2];
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_eq(
		    positions_parse(cases[i], got, 2), -1, "%s", cases[i]);
}
