/* SPDX-License-Identifier: MIT */
/*
 * conninfo.c - how to connect to PostgreSQL
 *
 * Parses with libpq's own parser, so the operator may write whatever libpq
 * understands, but for the password: it comes from a file that only its owner
 * may read, so that it is in no configuration that gets copied around.
 */
#include "aggregator/conninfo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PASSWORD_MAX 1024

/*
 * What we add to the operator's words.  A dead peer is noticed within 15 s;
 * read-write because after a fail-over the old primary may answer first.
 */
static const struct setting {
	const char *keyword;
	const char *value;
	bool fixed; /* even if the operator said otherwise */
} settings[] = {
    {"client_encoding", "UTF8", true},
    {"target_session_attrs", "read-write", true},
    {"application_name", "productgraph aggregator", false},
    {"keepalives_idle", "5", false},
    {"keepalives_interval", "5", false},
    {"keepalives_count", "2", false},
    {"tcp_user_timeout", "15000", false},
};

#define NSETTINGS (sizeof(settings) / sizeof(settings[0]))

/* Cuts what was read behind its first line. */
static int
password_line(char *line, size_t bytes, const char *path, struct err *err)
{
	size_t len = 0;

	while (len < bytes && line[len] != '\n' && line[len] != '\0')
		len++;
	if (len > 0 && line[len - 1] == '\r')
		len--;
	if (len == 0)
		return err_set(err, "password file \"%s\" is empty", path);
	if (len > PASSWORD_MAX)
		return err_set(err,
		    "password in \"%s\" is longer than %d bytes", path,
		    PASSWORD_MAX);
	line[len] = '\0';
	return 0;
}

static int
password_check_file(int fd, const char *path, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return err_set(err, "could not stat password file \"%s\": %s",
		    path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(err, "\"%s\" is not a regular file", path);
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		return err_set(err,
		    "password file \"%s\" is open to group or others; "
		    "its mode must be 0600 or less",
		    path);
	return 0;
}

/* Returns the password, the caller's to wipe and free, or NULL. */
static char *
password_read(const char *path, struct err *err)
{
	char *line = NULL, *password = NULL;
	ssize_t n;
	int fd;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) == -1) {
		(void)err_set(err, "could not open password file \"%s\": %s",
		    path, strerror(errno));
		return NULL;
	}
	if (password_check_file(fd, path, err) == -1)
		goto out;
	if ((line = calloc(1, PASSWORD_MAX + 3)) == NULL) {
		(void)err_set(err, "out of memory");
		goto out;
	}
	/* Room for "\r\n": what fills even that is too long. */
	if ((n = read(fd, line, PASSWORD_MAX + 2)) == -1) {
		(void)err_set(err, "could not read password file \"%s\": %s",
		    path, strerror(errno));
		goto out;
	}
	if (password_line(line, (size_t)n, path, err) == -1)
		goto out;
	password = line;
	line = NULL;
out:
	if (line != NULL) {
		explicit_bzero(line, PASSWORD_MAX + 2);
		free(line);
	}
	(void)close(fd);
	return password;
}

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
conninfo_fill(struct conninfo *info, struct err *err)
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
		info->values[n++] = settings[i].value;
	}
	for (option = info->options; option->keyword != NULL; option++) {
		if (option->val == NULL || is_fixed(option->keyword))
			continue;
		info->keywords[n] = option->keyword;
		info->values[n++] = option->val;
	}
	if (info->password != NULL) {
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
conninfo_create(const char *text, const char *password_file, struct err *err)
{
	struct conninfo *info;

	if ((info = calloc(1, sizeof(*info))) == NULL) {
		(void)err_set(err, "out of memory");
		return NULL;
	}
	if (conninfo_parse(info, text, err) == -1)
		goto out;
	if (password_file[0] != '\0' &&
	    (info->password = password_read(password_file, err)) == NULL)
		goto out;
	if (conninfo_fill(info, err) == -1)
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
	if (info->password != NULL) {
		explicit_bzero(info->password, strlen(info->password));
		free(info->password);
	}
	free(info);
}
