/* SPDX-License-Identifier: MIT */
/*
 * auth_test.c - which key a request shows, and what is said of it
 *
 * Requests go through the parser, so that views are as they will be.
 */
#include "worker/auth.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "common/apikey.h"
#include "common/timestamp.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define TABLE_BYTES 65536
#define ORIGIN "https://a.example"

static struct keytable *writer, *reader;

static void
open_table(void)
{
	struct err err;
	int fd = keytable_create(TABLE_BYTES, &err);

	cr_assert_neq(fd, -1);
	writer = keytable_map(fd, true, &err);
	reader = keytable_map(fd, false, &err);
	cr_assert(writer != NULL && reader != NULL);
	(void)close(fd);
}

static void
close_table(void)
{
	keytable_unmap(reader);
	keytable_unmap(writer);
}

TestSuite(auth, .init = open_table, .fini = close_table);

static void
add_key(const char *text, uint8_t project, int64_t expires_us)
{
	uint8_t id[UUID_BYTES] = {project};
	uint8_t hash[APIKEY_HASH];

	cr_assert_eq(apikey_hash(text, strlen(text), hash), 0);
	cr_assert_eq(keytable_add_key(writer, hash, hash, id, expires_us), 0);
}

/* Projects 1, which takes any origin, and 2, which takes one. */
static void
fill_table(void)
{
	static const char *const origins[] = {ORIGIN};
	uint8_t org[UUID_BYTES] = {9}, id[UUID_BYTES] = {1};

	keytable_begin(writer);
	cr_assert_eq(
	    keytable_add_project(writer, org, id, "one", true, NULL, 0), 0);
	id[0] = 2;
	cr_assert_eq(
	    keytable_add_project(writer, org, id, "two", true, origins, 1), 0);
	add_key("good", 1, INT64_MAX);
	add_key("strict", 2, INT64_MAX);
	add_key("old", 1, timestamp_now() - 1);
	keytable_publish(writer);
}

static enum auth_result
check(const char *target, const char *headers, struct project *project,
    const char **detail)
{
	static const struct http_limits limits = {.max_headers = 4096,
	    .max_header_count = 10,
	    .max_target = 2048,
	    .max_body = 100};
	struct http_request req;
	struct http_fault fault;
	char head[4096];
	int n;

	n = snprintf(head, sizeof(head),
	    "POST /v1/events%s HTTP/1.1\r\nHost: a\r\n%s"
	    "Content-Length: 2\r\n\r\n",
	    target, headers);
	cr_assert(n > 0 && (size_t)n < sizeof(head));
	http_request_init(&req);
	cr_assert_eq(http_request_parse(&req, head, (size_t)n, &limits, &fault),
	    HTTP_DONE, "%s", head);
	*detail = NULL;
	return auth_check(reader, &req, head, project, detail);
}

static const struct {
	const char *target, *headers;
	enum auth_result want;
	const char *detail;
} cases[] = {
    {"", "", AUTH_NONE, NULL},
    {"?a=b", "", AUTH_NONE, NULL},
    {"", "X-PG-API-Key: good\r\n", AUTH_OK, NULL},
    {"", "Authorization: Bearer good\r\n", AUTH_OK, NULL},
    {"", "AUTHORIZATION: bEARER good\r\n", AUTH_OK, NULL},
    {"?api_key=good", "", AUTH_OK, NULL},
    {"?a=b&api_key=%67ood", "", AUTH_OK, NULL},
    /* The header wins, then Authorization, right or wrong. */
    {"?api_key=bad", "Authorization: Bearer bad\r\nX-PG-API-Key: good\r\n",
	AUTH_OK, NULL},
    {"?api_key=good", "Authorization: Bearer good\r\nX-PG-API-Key: bad\r\n",
	AUTH_REFUSED, "unknown API key"},
    {"?api_key=bad", "Authorization: Bearer good\r\n", AUTH_OK, NULL},
    {"?api_key=good", "Authorization: Bearer bad\r\n", AUTH_REFUSED,
	"unknown API key"},
    /* A key shown and empty is a key shown. */
    {"", "X-PG-API-Key:\r\n", AUTH_REFUSED, "unknown API key"},
    {"?api_key=", "", AUTH_REFUSED, "unknown API key"},
    {"", "Authorization: Bearer\r\n", AUTH_REFUSED,
	"Authorization is not a Bearer token"},
    {"", "Authorization: Basic Z29vZA==\r\n", AUTH_REFUSED,
	"Authorization is not a Bearer token"},
    {"", "Authorization: Bearergood\r\n", AUTH_REFUSED,
	"Authorization is not a Bearer token"},
    {"", "X-PG-API-Key: goo\r\n", AUTH_REFUSED, "unknown API key"},
    {"", "X-PG-API-Key: good2\r\n", AUTH_REFUSED, "unknown API key"},
    {"", "X-PG-API-Key: GOOD\r\n", AUTH_REFUSED, "unknown API key"},
    {"", "X-PG-API-Key: old\r\n", AUTH_REFUSED, "expired API key"},
    {"", "X-PG-API-Key: strict\r\n", AUTH_OK, NULL},
    {"", "X-PG-API-Key: strict\r\nOrigin: " ORIGIN "\r\n", AUTH_OK, NULL},
    {"", "X-PG-API-Key: strict\r\nOrigin: " ORIGIN ".b\r\n", AUTH_FORBIDDEN,
	NULL},
    {"", "X-PG-API-Key: good\r\nOrigin: null\r\n", AUTH_OK, NULL},
};

Test(auth, what_is_shown_decides)
{
	struct project project;
	const char *detail;
	enum auth_result got;
	size_t i;

	fill_table();
	for (i = 0; i < COUNT(cases); i++) {
		got =
		    check(cases[i].target, cases[i].headers, &project, &detail);
		cr_expect_eq(got, cases[i].want, "%s %s: %d", cases[i].target,
		    cases[i].headers, got);
		if (cases[i].detail != NULL && got == AUTH_REFUSED)
			cr_expect_str_eq(detail, cases[i].detail, "%s %s",
			    cases[i].target, cases[i].headers);
	}
}

Test(auth, the_project_is_the_keys)
{
	struct project project;
	const char *detail;

	fill_table();
	cr_assert_eq(check("?api_key=strict", "", &project, &detail), AUTH_OK);
	cr_expect_eq(project.id[0], 2);
	cr_expect_eq(project.org_id[0], 9);
}

Test(auth, a_key_without_end_is_refused)
{
	struct project project;
	char target[1200];
	const char *detail;

	fill_table();
	memcpy(target, "?api_key=", 9);
	memset(target + 9, 'x', 1000);
	target[1009] = '\0';
	cr_expect_eq(check(target, "", &project, &detail), AUTH_REFUSED);
}

/* Not known is not refused: the client shall try again. */
Test(auth, before_keys_are_known_nobody_is_judged)
{
	struct project project;
	const char *detail;

	cr_expect_eq(
	    check("?api_key=good", "", &project, &detail), AUTH_NOT_READY);
	cr_expect_eq(check("", "", &project, &detail), AUTH_NONE);
}
