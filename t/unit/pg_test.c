/* SPDX-License-Identifier: MIT */
/*
 * Whose fault a fault is, which decides over a row or a batch.  The rest needs
 * PostgreSQL: t/integration/test_aggregator.py.
 */
#include "aggregator/pg.h"

#include <criterion/criterion.h>
#include <string.h>

Test(pg, knows_whose_fault_it_is)
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
