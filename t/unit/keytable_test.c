/* SPDX-License-Identifier: MIT */
/*
 * keytable_test.c - keys and projects in shared memory, also while they change
 */
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "common/keytable.h"
#include "common/timestamp.h"

static struct keytable *
table_of(size_t size, struct keytable **reader)
{
	struct keytable *table;
	struct err err;
	int fd = keytable_create(size, &err);

	cr_assert_neq(fd, -1);
	table = keytable_map(fd, true, &err);
	cr_assert_not_null(table, "%s", err.text);
	*reader = keytable_map(fd, false, &err);
	cr_assert_not_null(*reader);
	(void)close(fd);
	return table;
}

/* An id, or a hash, that differs for each n. */
static const uint8_t *
bytes_of(unsigned n)
{
	static uint8_t bytes[4][APIKEY_HASH];
	static unsigned turn;
	uint8_t *out = bytes[turn++ % 4];

	memset(out, 0, APIKEY_HASH);
	out[0] = (uint8_t)(n * 7);
	out[5] = 1;
	memcpy(out + 8, &n, sizeof(n));
	return out;
}

static enum keytable_result
find(struct keytable *table, unsigned key, struct project *project)
{
	return keytable_find_key(
	    table, bytes_of(key), timestamp_now(), NULL, 0, project);
}

Test(keytable, empty_until_published)
{
	struct keytable *writer, *reader;
	struct project project;
	uint64_t silent;

	writer = table_of(65536, &reader);
	cr_assert_eq(keytable_state(reader, &silent), KEYTABLE_STARTING);
	cr_assert_eq(find(reader, 1, &project), KEYTABLE_EMPTY);
	keytable_begin(writer);
	cr_assert_eq(find(reader, 1, &project), KEYTABLE_EMPTY);
	keytable_publish(writer);
	cr_assert_eq(find(reader, 1, &project), KEYTABLE_UNKNOWN);
	keytable_set_state(writer, KEYTABLE_READY);
	cr_assert_eq(keytable_state(reader, &silent), KEYTABLE_READY);
	cr_assert_lt(silent, 5000);
}

Test(keytable, a_key_leads_to_its_project)
{
	const char *origins[] = {"https://a.example", "null"};
	struct keytable *writer, *reader;
	struct project p;
	int64_t now = timestamp_now();

	writer = table_of(65536, &reader);
	keytable_begin(writer);
	cr_assert_eq(keytable_add_project(writer, bytes_of(100), bytes_of(1),
			 "closed", true, origins, 2),
	    0);
	cr_assert_eq(keytable_add_project(writer, bytes_of(100), bytes_of(2),
			 "open", false, NULL, 0),
	    0);
	cr_assert_eq(keytable_add_key(writer, bytes_of(11), bytes_of(51),
			 bytes_of(1), INT64_MAX),
	    0);
	cr_assert_eq(keytable_add_key(writer, bytes_of(12), bytes_of(12),
			 bytes_of(2), now - 1),
	    0);
	cr_assert_eq(keytable_add_key(
			 writer, bytes_of(13), bytes_of(13), bytes_of(3), now),
	    KEYTABLE_NO_PROJECT, "no such project");
	keytable_publish(writer);

	cr_assert_eq(find(reader, 11, &p), KEYTABLE_FOUND);
	cr_assert_eq(memcmp(p.id, bytes_of(1), UUID_BYTES), 0);
	cr_assert_eq(memcmp(p.org_id, bytes_of(100), UUID_BYTES), 0);
	cr_assert_eq(memcmp(p.key_id, bytes_of(51), UUID_BYTES), 0);
	cr_assert_str_eq(p.slug, "closed");
	cr_assert(p.require_api_key);
	cr_assert(p.origin_allowed, "no origin named");
	cr_assert_eq(find(reader, 12, &p), KEYTABLE_EXPIRED);
	cr_assert_eq(find(reader, 13, &p), KEYTABLE_UNKNOWN);
}

Test(keytable, origins)
{
	static const struct {
		const char *origin;
		bool allowed;
	} cases[] = {
	    {"https://a.example", true},
	    {"null", true},
	    {"https://a.exampl", false},
	    {"https://a.example:8443", false},
	    {"HTTPS://A.EXAMPLE", false},
	    {"", false},
	};
	const char *origins[] = {"https://a.example", "null"};
	struct keytable *writer, *reader;
	struct project p;
	size_t i;

	writer = table_of(65536, &reader);
	keytable_begin(writer);
	cr_assert_eq(keytable_add_project(writer, bytes_of(1), bytes_of(1),
			 "slug", true, origins, 2),
	    0);
	cr_assert_eq(keytable_add_key(writer, bytes_of(1), bytes_of(1),
			 bytes_of(1), INT64_MAX),
	    0);
	keytable_publish(writer);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_expect_eq(keytable_find_key(reader, bytes_of(1), 0,
				 cases[i].origin, strlen(cases[i].origin), &p),
		    KEYTABLE_FOUND);
		cr_expect_eq(
		    p.origin_allowed, cases[i].allowed, "%s", cases[i].origin);
	}
}

Test(keytable, a_project_by_uuid_or_by_the_slug_of_one_without_keys)
{
	struct keytable *writer, *reader;
	char text[UUID_TEXT];
	static const uint8_t none[UUID_BYTES];
	struct project p = {.key_id = {1}};

	writer = table_of(65536, &reader);
	keytable_begin(writer);
	cr_assert_eq(keytable_add_project(writer, bytes_of(1), bytes_of(1),
			 "closed", true, NULL, 0),
	    0);
	cr_assert_eq(keytable_add_project(writer, bytes_of(1), bytes_of(2),
			 "open", false, NULL, 0),
	    0);
	keytable_publish(writer);
	cr_assert(keytable_has_keyless(reader));
	cr_assert_eq(keytable_find_project(reader, "open", 4, NULL, 0, &p),
	    KEYTABLE_FOUND);
	cr_assert_eq(memcmp(p.id, bytes_of(2), UUID_BYTES), 0);
	cr_assert_eq(memcmp(p.key_id, none, UUID_BYTES), 0, "of no key");
	cr_assert_eq(keytable_find_project(reader, "closed", 6, NULL, 0, &p),
	    KEYTABLE_UNKNOWN);
	cr_assert_eq(keytable_find_project(reader, "ope", 3, NULL, 0, &p),
	    KEYTABLE_UNKNOWN);
	uuid_format(bytes_of(1), text);
	cr_assert_eq(
	    keytable_find_project(reader, text, strlen(text), NULL, 0, &p),
	    KEYTABLE_FOUND);
	cr_assert(p.require_api_key);
}

Test(keytable, a_full_table_says_so_and_leaves_the_old_one)
{
	struct keytable *writer, *reader;
	struct project p;
	unsigned n;

	writer = table_of(65536, &reader);
	keytable_begin(writer);
	cr_assert_eq(keytable_add_project(writer, bytes_of(1), bytes_of(1),
			 "slug", true, NULL, 0),
	    0);
	cr_assert_eq(keytable_add_key(writer, bytes_of(1), bytes_of(1),
			 bytes_of(1), INT64_MAX),
	    0);
	keytable_publish(writer);
	keytable_begin(writer);
	cr_assert_eq(keytable_add_project(writer, bytes_of(1), bytes_of(1),
			 "slug", true, NULL, 0),
	    0);
	for (n = 0; keytable_add_key(writer, bytes_of(n), bytes_of(n),
			bytes_of(1), INT64_MAX) == 0;
	     n++)
		;
	cr_assert_gt(n, 300);
	cr_assert_eq(keytable_add_key(writer, bytes_of(n), bytes_of(n),
			 bytes_of(1), INT64_MAX),
	    KEYTABLE_FULL);
	/* Never published: given up, or killed. */
	cr_assert_eq(find(reader, 1, &p), KEYTABLE_FOUND);
	cr_assert_not(keytable_has_keyless(reader));
	cr_assert_eq(find(reader, n - 1, &p), KEYTABLE_UNKNOWN);
	/* The next one begins afresh. */
	keytable_begin(writer);
	keytable_publish(writer);
	cr_assert_eq(find(reader, 1, &p), KEYTABLE_UNKNOWN);
}

Test(keytable, many_keys_are_all_found)
{
	struct keytable *writer, *reader;
	struct project p;
	char slug[32];
	unsigned n;

	writer = table_of(1048576, &reader);
	keytable_begin(writer);
	for (n = 0; n < 1000; n++) {
		(void)snprintf(slug, sizeof(slug), "p%u", n);
		cr_assert_eq(keytable_add_project(writer, bytes_of(1),
				 bytes_of(n + 1), slug, true, NULL, 0),
		    0);
	}
	for (n = 0; n < 5000; n++)
		cr_assert_eq(keytable_add_key(writer, bytes_of(n), bytes_of(n),
				 bytes_of(n % 1000 + 1), INT64_MAX),
		    0);
	keytable_publish(writer);
	for (n = 0; n < 5000; n++) {
		(void)snprintf(slug, sizeof(slug), "p%u", n % 1000);
		cr_assert_eq(find(reader, n, &p), KEYTABLE_FOUND, "%u", n);
		cr_assert_str_eq(p.slug, slug);
	}
	cr_assert_eq(find(reader, 5000, &p), KEYTABLE_UNKNOWN);
}

/* Publishes for ever; slug and id always belong together. */
static void
publish_for_ever(struct keytable *writer)
{
	char slug[32];
	unsigned n;

	for (n = 0;; n++) {
		(void)snprintf(slug, sizeof(slug), "slug-%u", n);
		keytable_begin(writer);
		if (keytable_add_project(writer, bytes_of(n), bytes_of(n), slug,
			true, NULL, 0) != KEYTABLE_ADDED ||
		    keytable_add_key(writer, bytes_of(7), bytes_of(7),
			bytes_of(n), INT64_MAX) != KEYTABLE_ADDED)
			_exit(1);
		keytable_publish(writer);
	}
}

Test(keytable, readers_see_whole_snapshots_while_they_change, .timeout = 60)
{
	struct keytable *writer, *reader;
	unsigned i, n, changes = 0, last = UINT32_MAX;
	struct project p;
	char slug[32];
	pid_t pid;

	writer = table_of(65536, &reader);
	if ((pid = fork()) == 0)
		publish_for_ever(writer);
	while (find(reader, 7, &p) == KEYTABLE_EMPTY)
		;
	for (i = 0; i < 200000 || changes < 100; i++) {
		cr_assert_eq(find(reader, 7, &p), KEYTABLE_FOUND);
		memcpy(&n, p.id + 8, sizeof(n));
		(void)snprintf(slug, sizeof(slug), "slug-%u", n);
		cr_assert_str_eq(p.slug, slug);
		changes += n != last;
		last = n;
	}
	/* Killed wherever it was, it leaves a whole one. */
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	cr_assert_eq(find(reader, 7, &p), KEYTABLE_FOUND);
	keytable_begin(writer);
	keytable_publish(writer);
	cr_assert_eq(find(reader, 7, &p), KEYTABLE_UNKNOWN);
}

Test(keytable, a_reader_cannot_write)
{
	struct keytable *writer, *reader;
	int status;
	pid_t pid;

	writer = table_of(65536, &reader);
	(void)writer;
	if ((pid = fork()) == 0) {
		keytable_beat(reader);
		_exit(0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_not(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
