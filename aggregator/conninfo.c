/* SPDX-License-Identifier: MIT */
/*
 * conninfo.c - how to connect to PostgreSQL
 *
 * Parses with libpq's own parser, so the operator may write whatever libpq
 * understands, but for the password: it comes from a file.
 */
#include "aggregator/conninfo.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/*
 * What we add to the operator's words.  read-write because after a fail-over
 * the old primary may answer first.  A dead peer is noticed within 15 s; on the
 * control connection, over which little goes and by which revoked keys are
 * learnt of, within 3 s.
 */
static const struct setting {
	const char *keyword;
	const char *values[CONNINFO_USES];
	bool fixed; /* even if the operator said otherwise */
} settings[] = {
    {"client_encoding", {"UTF8", "UTF8"}, true},
    {"target_session_attrs", {"read-write", "read-write"}, true},
    {"application_name", {"productgraphd data", "productgraphd control"},
	false},
    {"keepalives_idle", {"5", "1"}, false},
    {"keepalives_interval", {"5", "1"}, false},
    {"keepalives_count", {"2", "2"}, false},
    {"tcp_user_timeout", {"15000", "3000"}, false},
};

#define NSETTINGS (sizeof(settings) / sizeof(settings[0]))

static bool
is_fixed(const char *keyword)
{
	size_t i;

	for (i = 0; i < NSETTINGS; i++) {
		if (settings[i].fixed &&
		    strcmp(settings[i].keyword, keyword) == 0)
			return true;
	}
	return false;
}

/* libpq lets the last of several values win. */
static int
conninfo_fill(struct conninfo *info, enum conninfo_use use, struct err *err)
{
	const PQconninfoOption *option;
	size_t i, n = 0, most = NSETTINGS + 2;

	for (option = info->options; option->keyword != NULL; option++)
		most++;
	info->keywords = calloc(most, sizeof(*info->keywords));
	info->values = calloc(most, sizeof(*info->values));
	if (info->keywords == NULL || info->values == NULL)
		return err_set(err, "out of memory");
	for (i = 0; i < NSETTINGS; i++) {
		info->keywords[n] = settings[i].keyword;
		info->values[n++] = settings[i].values[use];
	}
	for (option = info->options; option->keyword != NULL; option++) {
		if (option->val == NULL || is_fixed(option->keyword))
			continue;
		info->keywords[n] = option->keyword;
		info->values[n++] = option->val;
	}
	if (info->password[0] != '\0') {
		info->keywords[n] = "password";
		info->values[n] = info->password;
	}
	return 0;
}

static int
conninfo_parse(struct conninfo *info, const char *text, struct err *err)
{
	const PQconninfoOption *option;
	char *why = NULL;

	info->options = PQconninfoParse(text, &why);
	if (info->options == NULL) {
		if (why != NULL)
			why[strcspn(why, "\n")] = '\0';
		(void)err_set(err, "postgres conninfo: %s",
		    why != NULL ? why : "out of memory");
		PQfreemem(why);
		return -1;
	}
	for (option = info->options; option->keyword != NULL; option++) {
		if (strcmp(option->keyword, "password") == 0 &&
		    option->val != NULL)
			return err_set(err,
			    "postgres conninfo: holds a password; "
			    "it belongs into password_file");
	}
	return 0;
}

struct conninfo *
conninfo_create(const char *text, const char *password_file,
    enum conninfo_use use, struct err *err)
{
	struct conninfo *info;

	if ((info = calloc(1, sizeof(*info))) == NULL) {
		(void)err_set(err, "out of memory");
		return NULL;
	}
	if (conninfo_parse(info, text, err) == -1)
		goto out;
	if (password_file[0] != '\0' &&
	    password_read(password_file, info->password, err) == -1)
		goto out;
	if (conninfo_fill(info, use, err) == -1)
		goto out;
	return info;

out:
	conninfo_destroy(info);
	return NULL;
}

void
conninfo_destroy(struct conninfo *info)
{
	if (info == NULL)
		return;
	free(info->keywords);
	free(info->values);
	PQconninfoFree(info->options);
	explicit_bzero(info->password, sizeof(info->password));
	free(info);
}
