/* SPDX-License-Identifier: MIT */
/*
 * session_columns.h - session_columns.def as arrays
 *
 * Runs in   aggregator; pure
 */
#ifndef PGD_AGGREGATOR_SESSION_COLUMNS_H
#define PGD_AGGREGATOR_SESSION_COLUMNS_H

#include "common/event_fields.h"

enum session_time {
#define SESSION_TIME(column, merge) SESSION_##column,
#include "aggregator/session_columns.def"
	SESSION_TIMES
};

enum session_count {
#define SESSION_COUNT(column, event_type) SESSION_##column,
#include "aggregator/session_columns.def"
	SESSION_COUNTS
};

enum session_value {
#define SESSION_VALUE(column, merge, source) SESSION_##column,
#include "aggregator/session_columns.def"
	SESSION_VALUES
};

enum session_merge {
	SESSION_LEAST,
	SESSION_GREATEST,
	SESSION_FIRST,
	SESSION_LAST,
};

/* As a source of values: not a field, but the request's User-Agent. */
#define FIELD_AGENT FIELD_COUNT

struct session_time_column {
	const char *name;
	enum session_merge merge;
};

struct session_count_column {
	const char *name;
	const char *event_type;
};

struct session_value_column {
	const char *name;
	enum session_merge merge;
	unsigned source; /* enum field_id or FIELD_AGENT */
};

extern const struct session_time_column session_times[SESSION_TIMES];
extern const struct session_count_column session_counts[SESSION_COUNTS];
extern const struct session_value_column session_values[SESSION_VALUES];

#endif
