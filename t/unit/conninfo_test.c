/* SPDX-License-Identifier: MIT */
/*
 * What libpq is told: the operator's words, ours, and a password that only its
 * owner could read.
 */
#include "aggregator/conninfo.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* libpq lets the last of several values win. */
static const char *
value_of(const struct conninfo *info, const char *keyword)
{
	const char *value = NULL;
	size_t i;

	for (i = 0; info->keywords[i] != NULL; i++) {
		if (strcmp(info->keywords[i], keyword) == 0)
			value = info->values[i];
	}
	return value;
}

Test(conninfo, merges_what_we_insist_on)
{
	static const struct {
		const char *name;
		const char *text;
		const char *keyword;
		const char *value;
	} cases[] = {
	    {"his", "host=/run dbname=x", "host", "/run"},
	    {"a URL", "postgresql://u@h:5433/d", "port", "5433"},
	    {"ours", "dbname=x", "tcp_user_timeout", "15000"},
	    {"a name", "dbname=x", "application_name", "productgraphd data"},
	    {"ours, if he says nothing", "application_name=me",
		"application_name", "me"},
	    {"ours, whatever he says", "client_encoding=LATIN1",
		"client_encoding", "UTF8"},
	    {"never a stand-by", "target_session_attrs=any",
		"target_session_attrs", "read-write"},
	    {"no password", "dbname=x", "password", NULL},
	};
	struct conninfo *info;
	struct err err;
	const char *value;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		info = conninfo_create(cases[i].text, "", CONNINFO_DATA, &err);
		cr_assert_not_null(info, "%s: %s", cases[i].name, err.text);
		value = value_of(info, cases[i].keyword);
		cr_expect(value == cases[i].value ||
			(value != NULL && cases[i].value != NULL &&
			    strcmp(value, cases[i].value) == 0),
		    "%s: %s", cases[i].name, value);
		conninfo_destroy(info);
	}
}

/* Who looks at pg_stat_activity can tell them apart. */
Test(conninfo, differs_by_use)
{
	struct conninfo *control, *named;
	struct err err;

	control = conninfo_create("dbname=x", "", CONNINFO_CONTROL, &err);
	named = conninfo_create(
	    "dbname=x tcp_user_timeout=9", "", CONNINFO_CONTROL, &err);
	cr_assert(control != NULL && named != NULL, "%s", err.text);
	cr_expect_str_eq(
	    value_of(control, "application_name"), "productgraphd control");
	cr_expect_str_eq(value_of(control, "tcp_user_timeout"), "3000");
	cr_expect_str_eq(value_of(named, "tcp_user_timeout"), "9");
	conninfo_destroy(control);
	conninfo_destroy(named);
}

Test(conninfo, refuses)
{
	static const struct {
		const char *name;
		const char *text;
		const char *says;
	} cases[] = {
	    {"unknown word", "dbnam=x", "invalid connection option"},
	    {"no value", "dbname", "missing \"=\""},
	    {"a password", "dbname=x password=y", "password_file"},
	    {"a password in a URL", "postgresql://u:p@h/d", "password_file"},
	};
	struct err err;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		err.text[0] = '\0';
		cr_expect_null(
		    conninfo_create(cases[i].text, "", CONNINFO_DATA, &err),
		    "%s", cases[i].name);
		cr_expect(strstr(err.text, cases[i].says) != NULL, "%s: %s",
		    cases[i].name, err.text);
		cr_expect(strchr(err.text, '\n') == NULL, "%s: %s",
		    cases[i].name, err.text);
	}
}

Test(conninfo, reads_the_password)
{
	char longest[1024 + 1], longer[1025 + 1];
	const struct {
		const char *name;
		const char *content;
		mode_t mode;
		const char *password; /* NULL: refused */
	} cases[] = {
	    {"a line", "secret\n", 0600, "secret"},
	    {"no newline", "secret", 0400, "secret"},
	    {"of Windows", "secret\r\nmore\r\n", 0600, "secret"},
	    {"blanks are part of it", " a b \n", 0600, " a b "},
	    {"first line only", "one\ntwo\n", 0600, "one"},
	    {"longest", longest, 0600, longest},
	    {"longer", longer, 0600, NULL},
	    {"empty", "", 0600, NULL},
	    {"empty line", "\nsecret\n", 0600, NULL},
	    {"open to the group", "secret\n", 0640, NULL},
	    {"open to all", "secret\n", 0604, NULL},
	};
	char path[] = "/tmp/conninfo_test.XXXXXX";
	struct conninfo *info;
	struct err err;
	const char *value;
	FILE *file;
	size_t i;
	int fd;

	memset(longest, 'x', sizeof(longest) - 1);
	memset(longer, 'x', sizeof(longer) - 1);
	longest[sizeof(longest) - 1] = longer[sizeof(longer) - 1] = '\0';
	cr_assert_neq(fd = mkstemp(path), -1);
	cr_assert_eq(close(fd), 0);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_assert_eq(chmod(path, 0600), 0);
		cr_assert_not_null(file = fopen(path, "w"));
		cr_assert_geq(fputs(cases[i].content, file), 0);
		cr_assert_eq(fclose(file), 0);
		cr_assert_eq(chmod(path, cases[i].mode), 0);
		err.text[0] = '\0';
		info = conninfo_create("dbname=x", path, CONNINFO_DATA, &err);
		cr_expect_eq(info != NULL, cases[i].password != NULL, "%s: %s",
		    cases[i].name, err.text);
		if (info == NULL) {
			cr_expect(strstr(err.text, path) != NULL, "%s: %s",
			    cases[i].name, err.text);
			continue;
		}
		value = value_of(info, "password");
		cr_expect_str_eq(value, cases[i].password, "%s: \"%s\"",
		    cases[i].name, value);
		conninfo_destroy(info);
	}
	cr_expect_eq(unlink(path), 0);
	cr_expect_null(conninfo_create("dbname=x", path, CONNINFO_DATA, &err));
	cr_expect_null(
	    conninfo_create("dbname=x", "/dev/null", CONNINFO_DATA, &err));
}
