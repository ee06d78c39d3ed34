/* SPDX-License-Identifier: MIT */
/*
 * What decides over a batch: whose fault a fault is, and positions read back as
 * they were written.  The rest needs PostgreSQL: t/integration.
 */
#include "aggregator/transaction.h"

#include <criterion/criterion.h>
#include <string.h>

Test(transaction, knows_whose_fault_it_is)
{
	static const struct {
		const char *sqlstate;
		bool in_copy;
		bool is_data;
		bool is_schema;
	} cases[] = {
	    {"22021", true, true, false},
	    {"22P02", false, true, false},
	    {"23502", true, true, false},
	    {"54000", true, true, false},
	    {"54000", false, false, false},
	    {"25006", true, false, false},
	    {"40001", true, false, false},
	    {"42P01", true, false, true},
	    {"42501", false, false, true},
	    {"3D000", false, false, true},
	    {"3F000", false, false, true},
	    {"53100", true, false, false},
	    {"57P01", true, false, false},
	    {"58030", true, false, false},
	    {"08006", true, false, false},
	    {"XX001", true, false, false},
	};
	struct pg_fault fault;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(&fault, 0, sizeof(fault));
		memcpy(fault.sqlstate, cases[i].sqlstate, PG_SQLSTATE);
		pg_classify(&fault, cases[i].in_copy);
		cr_expect_eq(
		    fault.is_data, cases[i].is_data, "%s", cases[i].sqlstate);
		cr_expect_eq(fault.is_schema, cases[i].is_schema, "%s",
		    cases[i].sqlstate);
	}
}

Test(transaction, writes_and_reads_positions)
{
	static const uint64_t positions[] = {0, 8, UINT64_C(1) << 62};
	uint64_t got[3] = {1, 1, 1};
	struct buf buf = BUF_INIT;

	cr_assert_eq(positions_append(&buf, positions, 3), 0);
	cr_assert_eq(buf_append(&buf, "", 1), 0);
	cr_expect_str_eq(buf.data, "{0,8,4611686018427387904}");
	cr_expect_eq(positions_parse(buf.data, got, 3), 0);
	cr_expect_eq(memcmp(got, positions, sizeof(got)), 0);
	buf_free(&buf);
}

Test(transaction, refuses_other_positions)
{
	static const char *const cases[] = {"", "{", "{}", "{1}", "{1,2,3}",
	    "{1,2", "{1,2}x", "{1,-2}", "{1, 2}", "{1,NULL}", "1,2",
	    "{{1},{2}}"};
	uint64_t got[2];
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_eq(
		    positions_parse(cases[i], got, 2), -1, "%s", cases[i]);
}
