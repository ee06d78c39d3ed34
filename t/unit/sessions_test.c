/* SPDX-License-Identifier: MIT */
/*
 * What a session gains is the same in whatever order its events come, and is
 * what a plain look at all of them says.
 */
#include "aggregator/sessions.h"

#include <criterion/criterion.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/batch.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define RANDOM_EVENTS 12
#define ROUNDS 2000
#define PAIRS 200000
#define MANY 100000
#define DUMP 1024

TestSuite(sessions, .init = event_key_seed);

/* An event: what is NULL is null. */
struct given {
	int64_t us;
	bool has_sequence;
	int64_t sequence;
	const char *agent;
	const char *texts[FIELD_COUNT];
};

static struct sessions sessions;
static struct batch_leaf leaves[2];

static void
set_up(void)
{
	memset(&sessions, 0, sizeof(sessions));
	memset(leaves, 0, sizeof(leaves));
}

static void
tear_down(void)
{
	sessions_free(&sessions);
	buf_free(&leaves[0].tuples);
	buf_free(&leaves[1].tuples);
}

static uint64_t
random_next(void)
{
	static uint64_t state = 88172645463325252;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state >> 16;
}

/* ---- events -------------------------------------------------------------- */

static void
put(struct row_value *value, const void *bytes, size_t len)
{
	struct buf *tuples = &leaves[0].tuples;

	*value = (struct row_value){NULL, -1};
	if (bytes == NULL)
		return;
	/* Space before it, so that no value lies where its tuple begins. */
	cr_assert_eq(buf_append(tuples, "-", 1), 0);
	value->data = (const uint8_t *)(uintptr_t)tuples->len;
	value->length = (int32_t)len;
	cr_assert_eq(buf_append(tuples, bytes, len), 0);
}

/* Puts an event's values into the leaf, as if they were a tuple. */
static void
put_event(const struct given *given, struct row_value values[FIELD_COUNT])
{
	static const uint8_t org[UUID_BYTES] = {7}, project[UUID_BYTES] = {8};
	uint64_t us = htobe64((uint64_t)given->us);
	uint64_t sequence = htobe64((uint64_t)given->sequence);
	size_t i, len;

	for (i = 0; i < FIELD_COUNT; i++) {
		len = given->texts[i] == NULL ? 0 : strlen(given->texts[i]);
		put(&values[i], given->texts[i], len);
	}
	put(&values[FIELD_ORG_ID], org, sizeof(org));
	put(&values[FIELD_PROJECT_ID], project, sizeof(project));
	put(&values[FIELD_TIMESTAMP], &us, sizeof(us));
	if (given->has_sequence)
		put(&values[FIELD_SEQUENCE], &sequence, sizeof(sequence));
	if (values[FIELD_SESSION_ID].length == -1)
		put(&values[FIELD_SESSION_ID], "session", 7);
	if (values[FIELD_EVENT_TYPE].length == -1)
		put(&values[FIELD_EVENT_TYPE], "ui.click", 8);
	/* Now that they move no more. */
	for (i = 0; i < FIELD_COUNT; i++) {
		if (values[i].length != -1)
			values[i].data =
			    (const uint8_t *)leaves[0].tuples.data +
			    (uintptr_t)values[i].data;
	}
}

static struct session *
add(const struct given *given)
{
	struct row_value values[FIELD_COUNT];
	struct session_event event = {.values = values};
	struct session *session;
	uint32_t number;

	event.at = leaves[0].tuples.len;
	put_event(given, values);
	event.tuple = (const uint8_t *)leaves[0].tuples.data + event.at;
	cr_assert_eq(sessions_find(&sessions, values, &number), 0);
	cr_assert_lt(number, sessions.n);
	session = &sessions.items[number];
	if (given->agent != NULL)
		cr_assert_eq(sessions_keep(&sessions, given->agent,
				 strlen(given->agent), &event.agent),
		    0);
	session_add(session, &sessions, leaves, &event);
	return session;
}

/* ---- what a session gains ------------------------------------------------ */

static bool
is_value(
    const struct session *session, enum session_value column, const char *want)
{
	const struct session_span *span = &session->values[column].value;

	return span->len == strlen(want) &&
	    (span->len == 0 ||
		memcmp(session_bytes(&sessions, leaves, span), want,
		    span->len) == 0);
}

static void
dump(const struct session *session, char text[DUMP])
{
	const struct session_span *span;
	int len;
	size_t i;

	len = snprintf(text, DUMP, "%ld %ld %ld %ld %ld",
	    (long)session->times[SESSION_started_at],
	    (long)session->times[SESSION_ended_at],
	    (long)session->counts[SESSION_event_count],
	    (long)session->counts[SESSION_page_count],
	    (long)session->counts[SESSION_error_count]);
	for (i = 0; i < SESSION_VALUES; i++) {
		span = &session->values[i].value;
		len += snprintf(text + len, DUMP - (size_t)len, " %s='%.*s'",
		    session_values[i].name, (int)span->len,
		    span->len == 0 ? ""
				   : session_bytes(&sessions, leaves, span));
		cr_assert_lt(len, DUMP);
	}
}

/* Texts without NUL: strcmp() is the order of bytes and of length. */
static bool
is_before(const struct given *a, const struct given *b)
{
	if (a->us != b->us)
		return a->us < b->us;
	if (a->has_sequence != b->has_sequence)
		return b->has_sequence;
	if (a->has_sequence && a->sequence != b->sequence)
		return a->sequence < b->sequence;
	return strcmp(a->texts[FIELD_EVENT_ID], b->texts[FIELD_EVENT_ID]) < 0;
}

static const char *
plain_value(const struct given *given, size_t n, size_t column)
{
	const bool first = session_values[column].merge == SESSION_FIRST;
	const struct given *best = NULL;
	const char *text, *value = "";
	size_t i;

	for (i = 0; i < n; i++) {
		text = session_values[column].source == FIELD_AGENT
		    ? given[i].agent
		    : given[i].texts[session_values[column].source];
		if (text == NULL || text[0] == '\0' ||
		    (best != NULL &&
			(first ? is_before(best, &given[i])
			       : is_before(&given[i], best))))
			continue;
		best = &given[i];
		value = text;
	}
	return value;
}

static void
plain_dump(const struct given *given, size_t n, char text[DUMP])
{
	int64_t least = INT64_MAX, most = INT64_MIN;
	long pages = 0, errors = 0;
	const char *type;
	size_t i;
	int len;

	for (i = 0; i < n; i++) {
		least = given[i].us < least ? given[i].us : least;
		most = given[i].us > most ? given[i].us : most;
		type = given[i].texts[FIELD_EVENT_TYPE];
		pages += type != NULL && strcmp(type, "page.view") == 0;
		errors += type != NULL && strcmp(type, "error") == 0;
	}
	len = snprintf(text, DUMP, "%ld %ld %ld %ld %ld", (long)least,
	    (long)most, (long)n, pages, errors);
	for (i = 0; i < SESSION_VALUES; i++)
		len += snprintf(text + len, DUMP - (size_t)len, " %s='%s'",
		    session_values[i].name, plain_value(given, n, i));
}

static void
expect_gain(const struct given *given, const size_t *order, size_t n)
{
	char want[DUMP], got[DUMP];
	const struct session *session = NULL;
	size_t i;

	set_up();
	for (i = 0; i < n; i++)
		session = add(&given[order[i]]);
	plain_dump(given, n, want);
	dump(session, got);
	cr_assert_str_eq(got, want);
	tear_down();
}

/* ---- the fold ------------------------------------------------------------ */

Test(sessions, gain_what_their_columns_say)
{
	static const struct given given[] = {
	    {.us = 20,
		.agent = "late agent",
		.texts = {[FIELD_EVENT_ID] = "a",
		    [FIELD_EVENT_TYPE] = "page.view",
		    [FIELD_USER_ID] = "late user",
		    [FIELD_ANONYMOUS_ID] = "late device",
		    [FIELD_PAGE_PATH] = "/late",
		    [FIELD_JOURNEY_STEP_ID] = "late step",
		    [FIELD_CONVERSION_STATUS] = "late status"}},
	    {.us = -10,
		.agent = "early agent",
		.texts = {[FIELD_EVENT_ID] = "b",
		    [FIELD_EVENT_TYPE] = "error",
		    [FIELD_USER_ID] = "early user",
		    [FIELD_ANONYMOUS_ID] = "early device",
		    [FIELD_PAGE_PATH] = "/early",
		    [FIELD_JOURNEY_STEP_ID] = "early step",
		    [FIELD_CONVERSION_STATUS] = "early status"}},
	    {.us = 30,
		.texts = {[FIELD_EVENT_ID] = "c",
		    [FIELD_EVENT_TYPE] = "error.boundary"}},
	    {.us = -20,
		.agent = "",
		.texts = {[FIELD_EVENT_ID] = "d",
		    [FIELD_EVENT_TYPE] = "page.view",
		    [FIELD_USER_ID] = "",
		    [FIELD_PAGE_PATH] = ""}},
	};
	const struct session *session = NULL;
	size_t i;

	set_up();
	for (i = 0; i < COUNT(given); i++)
		session = add(&given[i]);
	cr_expect_eq(sessions.n, 1);
	cr_expect_eq(session->times[SESSION_started_at], -20);
	cr_expect_eq(session->times[SESSION_ended_at], 30);
	cr_expect_eq(session->counts[SESSION_event_count], 4);
	cr_expect_eq(session->counts[SESSION_page_count], 2);
	cr_expect_eq(session->counts[SESSION_error_count], 1);
	cr_expect(is_value(session, SESSION_user_id, "early user"));
	cr_expect(is_value(session, SESSION_anonymous_id, "early device"));
	cr_expect(is_value(session, SESSION_entry_page, "/early"));
	cr_expect(is_value(session, SESSION_exit_page, "/late"));
	cr_expect(is_value(session, SESSION_last_journey_step_id, "late step"));
	cr_expect(is_value(session, SESSION_conversion_status, "late status"));
	cr_expect(is_value(session, SESSION_user_agent, "early agent"));
	cr_expect_eq(session->known, SESSION_UNKNOWN);
	tear_down();
}

Test(sessions, gain_nothing_of_what_is_not_there)
{
	static const struct given given = {
	    .texts = {[FIELD_EVENT_ID] = "a", [FIELD_USER_ID] = ""}};
	const struct session *session;
	size_t i;

	set_up();
	session = add(&given);
	for (i = 0; i < SESSION_VALUES; i++)
		cr_expect_eq(session->values[i].value.len, 0);
	sessions_restart(&sessions);
	cr_expect_eq(session->counts[SESSION_event_count], 0);
	cr_expect_eq(session->times[SESSION_started_at], INT64_MAX);
	cr_expect_eq(session->times[SESSION_ended_at], INT64_MIN);
	tear_down();
}

/* Sorted: each is before the next. */
static const struct given sorted[] = {
    {.us = INT64_MIN, .texts = {[FIELD_EVENT_ID] = "z"}},
    {.us = -1, .texts = {[FIELD_EVENT_ID] = "z"}},
    {.us = 0, .texts = {[FIELD_EVENT_ID] = "A"}},
    {.us = 0, .texts = {[FIELD_EVENT_ID] = "a"}},
    {.us = 0, .texts = {[FIELD_EVENT_ID] = "aa"}},
    {.us = 0, .texts = {[FIELD_EVENT_ID] = "ab"}},
    {.us = 0, .texts = {[FIELD_EVENT_ID] = "b"}},
    {.us = 0, .texts = {[FIELD_EVENT_ID] = "\xc3\xa9"}},
    {.us = 0,
	.has_sequence = true,
	.sequence = INT64_MIN,
	.texts = {[FIELD_EVENT_ID] = "b"}},
    {.us = 0,
	.has_sequence = true,
	.sequence = -1,
	.texts = {[FIELD_EVENT_ID] = "b"}},
    {.us = 0,
	.has_sequence = true,
	.sequence = 0,
	.texts = {[FIELD_EVENT_ID] = "a"}},
    {.us = 0,
	.has_sequence = true,
	.sequence = 0,
	.texts = {[FIELD_EVENT_ID] = "b"}},
    {.us = 0,
	.has_sequence = true,
	.sequence = INT64_MAX,
	.texts = {[FIELD_EVENT_ID] = "a"}},
    {.us = 1, .texts = {[FIELD_EVENT_ID] = "a"}},
    {.us = INT64_MAX, .texts = {[FIELD_EVENT_ID] = "a"}},
};

Test(sessions, decide_first_and_last_in_order)
{
	const size_t n = COUNT(sorted);
	const struct session *session;
	struct given a, b;
	size_t i;

	for (i = 0; i < 2 * n * n; i++) {
		a = sorted[i / 2 / n];
		b = sorted[i / 2 % n];
		if (i / 2 / n >= i / 2 % n)
			continue;
		a.texts[FIELD_PAGE_PATH] = "/a";
		b.texts[FIELD_PAGE_PATH] = "/b";
		set_up();
		(void)add(i % 2 == 0 ? &a : &b);
		session = add(i % 2 == 0 ? &b : &a);
		cr_expect(is_value(session, SESSION_entry_page, "/a") &&
			is_value(session, SESSION_exit_page, "/b"),
		    "%zu and %zu, %zu", i / 2 / n, i / 2 % n, i % 2);
		tear_down();
	}
}

/* Heap's algorithm; every order of a handful of events that tie in parts. */
Test(sessions, gain_the_same_in_every_order)
{
	static const struct given given[] = {
	    {.us = 5,
		.agent = "one",
		.texts = {[FIELD_EVENT_ID] = "a",
		    [FIELD_PAGE_PATH] = "/1",
		    [FIELD_EVENT_TYPE] = "page.view"}},
	    {.us = 5,
		.agent = "two",
		.texts = {[FIELD_EVENT_ID] = "ab",
		    [FIELD_USER_ID] = "u2",
		    [FIELD_PAGE_PATH] = "/2"}},
	    {.us = 5,
		.has_sequence = true,
		.sequence = INT64_MIN,
		.texts = {[FIELD_EVENT_ID] = "c", [FIELD_USER_ID] = "u3"}},
	    {.us = 5,
		.has_sequence = true,
		.sequence = INT64_MAX,
		.agent = "four",
		.texts = {[FIELD_EVENT_ID] = "a2", [FIELD_PAGE_PATH] = "/4"}},
	    {.us = 5,
		.has_sequence = true,
		.sequence = 0,
		.texts = {[FIELD_EVENT_ID] = "e", [FIELD_PAGE_PATH] = ""}},
	    {.us = 4,
		.texts =
		    {[FIELD_EVENT_ID] = "z", [FIELD_CONVERSION_STATUS] = "s6"}},
	    {.us = 6,
		.texts = {[FIELD_EVENT_ID] = "0",
		    [FIELD_USER_ID] = "",
		    [FIELD_CONVERSION_STATUS] = "s7"}},
	};
	size_t order[COUNT(given)], stack[COUNT(given)] = {0}, i, other, swap;

	for (i = 0; i < COUNT(given); i++)
		order[i] = i;
	expect_gain(given, order, COUNT(given));
	for (i = 1; i < COUNT(given);) {
		if (stack[i] >= i) {
			stack[i++] = 0;
			continue;
		}
		other = i % 2 == 0 ? 0 : stack[i];
		swap = order[i];
		order[i] = order[other];
		order[other] = swap;
		expect_gain(given, order, COUNT(given));
		stack[i]++;
		i = 1;
	}
}

static const char *
random_of(const char *const *texts, size_t n)
{
	return texts[random_next() % n];
}

static void
random_event(struct given *given, size_t i)
{
	static const char *const ids[RANDOM_EVENTS] = {"a", "b", "aa", "ab",
	    "A", "0", "\xc3\xa9", "\xf0\x9f\x98\x80", "\x7f", "\x01", "aaa",
	    "ba"};
	static const char *const texts[] = {NULL, "", "x", "y", "xx"};
	static const char *const types[] = {
	    NULL, "page.view", "error", "page", "error.boundary"};
	static const int64_t numbers[] = {INT64_MIN, -1, 0, 1, INT64_MAX};

	memset(given, 0, sizeof(*given));
	given->us = numbers[random_next() % COUNT(numbers)];
	given->has_sequence = random_next() % 2;
	given->sequence =
	    given->has_sequence ? numbers[random_next() % COUNT(numbers)] : 0;
	given->agent = random_of(texts, COUNT(texts));
	given->texts[FIELD_EVENT_ID] = ids[i];
	given->texts[FIELD_EVENT_TYPE] = random_of(types, COUNT(types));
	given->texts[FIELD_USER_ID] = random_of(texts, COUNT(texts));
	given->texts[FIELD_ANONYMOUS_ID] = random_of(texts, COUNT(texts));
	given->texts[FIELD_PAGE_PATH] = random_of(texts, COUNT(texts));
	given->texts[FIELD_JOURNEY_STEP_ID] = random_of(texts, COUNT(texts));
	given->texts[FIELD_CONVERSION_STATUS] = random_of(texts, COUNT(texts));
}

Test(sessions, gain_what_a_plain_look_says)
{
	struct given given[RANDOM_EVENTS];
	size_t order[RANDOM_EVENTS], round, i, j;

	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < RANDOM_EVENTS; i++) {
			random_event(&given[i], i);
			j = random_next() % (i + 1);
			order[i] = order[j];
			order[j] = i;
		}
		expect_gain(given, order, RANDOM_EVENTS);
	}
}

/* ---- the order as it is stored ------------------------------------------- */

static void
keep_order(struct session_order *order, const struct given *given)
{
	const char *id = given->texts[FIELD_EVENT_ID];

	*order = (struct session_order){
	    .us = given->us,
	    .has_sequence = given->has_sequence,
	    .sequence = given->sequence,
	};
	cr_assert_eq(
	    sessions_keep(&sessions, id, strlen(id), &order->event_id), 0);
}

/* As PostgreSQL compares bytea. */
static bool
bytes_before(const struct buf *a, const struct buf *b)
{
	int order = memcmp(a->data, b->data, a->len < b->len ? a->len : b->len);

	return order != 0 ? order < 0 : a->len < b->len;
}

static void
expect_order(const struct given *a, const struct given *b)
{
	static struct buf bytes[2];
	struct session_order orders[2];

	sessions_clear(&sessions, 4096);
	buf_clear(&bytes[0]);
	buf_clear(&bytes[1]);
	keep_order(&orders[0], a);
	keep_order(&orders[1], b);
	cr_assert_eq(
	    session_order_append(&bytes[0], &sessions, leaves, &orders[0]), 0);
	cr_assert_eq(
	    session_order_append(&bytes[1], &sessions, leaves, &orders[1]), 0);
	cr_assert_eq(bytes_before(&bytes[0], &bytes[1]), is_before(a, b));
	cr_assert_eq(bytes_before(&bytes[1], &bytes[0]), is_before(b, a));
}

Test(sessions, store_the_order_as_bytes)
{
	struct given a, b;
	size_t i, j;

	set_up();
	for (i = 0; i < COUNT(sorted); i++) {
		for (j = 0; j < COUNT(sorted); j++)
			expect_order(&sorted[i], &sorted[j]);
	}
	for (i = 0; i < PAIRS; i++) {
		random_event(&a, random_next() % RANDOM_EVENTS);
		random_event(&b, random_next() % RANDOM_EVENTS);
		if (i % 2 == 0) {
			a.us = (int64_t)(random_next() << 20);
			b.sequence = -(int64_t)random_next();
			a.sequence = b.sequence + (int64_t)i % 3 - 1;
		}
		expect_order(&a, &b);
	}
	tear_down();
}

/* It is in the database: it cannot change. */
Test(sessions, store_the_order_in_these_bytes)
{
	static const struct given given = {.us = -2,
	    .has_sequence = true,
	    .sequence = 258,
	    .texts = {[FIELD_EVENT_ID] = "id"}};
	static const struct given none = {
	    .us = 1, .texts = {[FIELD_EVENT_ID] = "id"}};
	struct session_order order;
	struct buf bytes = BUF_INIT;

	set_up();
	keep_order(&order, &given);
	cr_assert_eq(
	    session_order_append(&bytes, &sessions, leaves, &order), 0);
	keep_order(&order, &none);
	cr_assert_eq(
	    session_order_append(&bytes, &sessions, leaves, &order), 0);
	cr_assert_eq(bytes.len, 38);
	cr_expect_arr_eq(bytes.data,
	    "\x7f\xff\xff\xff\xff\xff\xff\xfe\1\x80\0\0\0\0\0\1\2id"
	    "\x80\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0id",
	    38);
	buf_free(&bytes);
	tear_down();
}

/* ---- which session ------------------------------------------------------- */

static uint32_t
find(uint8_t project, const char *id, size_t len)
{
	uint8_t org_id[UUID_BYTES] = {7}, project_id[UUID_BYTES] = {project};
	struct row_value values[FIELD_COUNT] = {
	    [FIELD_ORG_ID] = {org_id, UUID_BYTES},
	    [FIELD_PROJECT_ID] = {project_id, UUID_BYTES},
	    [FIELD_SESSION_ID] = {(const uint8_t *)id, (int32_t)len},
	};
	uint32_t number;

	cr_assert_eq(sessions_find(&sessions, values, &number), 0);
	return number;
}

static const struct session *
session_of(uint8_t project, const char *id)
{
	uint32_t number = find(project, id, strlen(id));

	return &sessions.items[number];
}

Test(sessions, are_of_a_project_and_an_id)
{
	uint32_t a, b, c, d;

	set_up();
	a = find(1, "id", 2);
	b = find(2, "id", 2);
	c = find(1, "i", 1);
	d = find(1, "id2", 3);
	cr_expect_eq(sessions.n, 4);
	cr_expect_eq(find(1, "id", 2), a);
	cr_expect_eq(find(2, "id", 2), b);
	cr_expect_eq(find(1, "i", 1), c);
	cr_expect_eq(find(1, "id2", 3), d);
	cr_expect_eq(sessions.n, 4);
	cr_expect_eq(sessions.items[b].project_id[0], 2);
	cr_expect_eq(sessions.items[b].org_id[0], 7);
	cr_expect_arr_eq(
	    session_bytes(&sessions, leaves, &sessions.items[d].id), "id2", 3);
	tear_down();
}

Test(sessions, may_be_many)
{
	uint32_t i;

	set_up();
	for (i = 0; i < MANY; i++)
		cr_assert_eq(find(1, (const char *)&i, sizeof(i)), i);
	for (i = 0; i < MANY; i++)
		cr_assert_eq(find(1, (const char *)&i, sizeof(i)), i);
	sessions_truncate(&sessions, 10, 10 * sizeof(i));
	for (i = 0; i < 10; i++)
		cr_assert_eq(find(1, (const char *)&i, sizeof(i)), i);
	i = MANY / 2;
	cr_assert_eq(find(1, (const char *)&i, sizeof(i)), 10);
	/* Eleven do not keep the table of many. */
	sessions_clear(&sessions, SIZE_MAX);
	cr_expect_eq(sessions.cap, 0);
	for (i = 0; i < MANY; i++)
		cr_assert_eq(find(1, (const char *)&i, sizeof(i)), i);
	/* What is kept is clean; what is too much is not kept. */
	sessions_clear(&sessions, SIZE_MAX);
	cr_expect_gt(sessions.cap, 0);
	for (i = 0; i < MANY; i++)
		cr_assert_eq(find(1, (const char *)&i, sizeof(i)), i);
	sessions_clear(&sessions, 4096);
	cr_expect_eq(sessions.cap, 0);
	cr_expect_leq(sessions.texts.cap, 4096);
	cr_assert_eq(find(1, (const char *)&i, sizeof(i)), 0);
	tear_down();
}

Test(sessions, recall_what_the_cache_knows)
{
	static const uint8_t project[UUID_BYTES] = {1};
	struct session_cache *cache = session_cache_create(1 << 20);
	struct cached_session *known, *large;
	const struct session *session;

	set_up();
	sessions.cache = cache;
	known = session_cache_add(
	    cache, event_key_of_session(project, "a", 1), project, "a", 1);
	known->session_key = 11;
	known->event_count = 12;
	known->started_us = 13;
	known->ended_us = 14;
	large = session_cache_add(
	    cache, event_key_of_session(project, "b", 1), project, "b", 1);
	cached_session_enlarge(cache, large);
	session = session_of(1, "a");
	cr_expect_eq(session->known, SESSION_CACHED);
	cr_expect_eq(session->cached, known);
	cr_expect_eq(session->session_key, 11);
	cr_expect_eq(session->event_count, 12);
	cr_expect_eq(session->started_us, 13);
	cr_expect_eq(session->ended_us, 14);
	session = session_of(1, "b");
	cr_expect_eq(session->known, SESSION_PROBED);
	cr_expect_eq(session->cached, large);
	session = session_of(2, "a");
	cr_expect_eq(session->known, SESSION_UNKNOWN);
	cr_expect_null(session->cached);
	sessions_unlearn(&sessions);
	cr_expect_eq(sessions.items[0].known, SESSION_UNKNOWN);
	cr_expect_null(sessions.items[0].cached);
	tear_down();
	session_cache_destroy(cache);
}
