/* SPDX-License-Identifier: MIT */
/*
 * session_columns.c - the arrays
 */
#include "aggregator/session_columns.h"

const struct session_time_column session_times[SESSION_TIMES] = {
#define SESSION_TIME(column, merge) {#column, SESSION_##merge},
#include "aggregator/session_columns.def"
};

const struct session_count_column session_counts[SESSION_COUNTS] = {
#define SESSION_COUNT(column, event_type) {#column, event_type},
#include "aggregator/session_columns.def"
};

const struct session_value_column session_values[SESSION_VALUES] = {
#define SESSION_VALUE(column, merge, source)                                   \
	{#column, SESSION_##merge, (unsigned)FIELD_##source},
#include "aggregator/session_columns.def"
};
