/* SPDX-License-Identifier: MIT */
/*
 * password.c - a password from a file
 *
 * Refuses a file that others may read, as libpq does with ~/.pgpass.
 */
#include "common/password.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
		    "password file \"%s\" is open to group or others "
		    "(mode %04o): make it 0600",
		    path, (unsigned)(st.st_mode & 07777));
	return 0;
}

/* Cuts what was read behind its first line. */
static int
password_line(char *line, size_t bytes, const char *path,
    char password[PASSWORD_SIZE], struct err *err)
{
	size_t len;

	line[bytes] = '\0';
	len = strcspn(line, "\r\n");
	if (len == 0)
		return err_set(err, "password file \"%s\" is empty", path);
	if (len >= PASSWORD_SIZE)
		return err_set(err, "the password in \"%s\" is too long", path);
	memcpy(password, line, len);
	password[len] = '\0';
	return 0;
}

int
password_read(const char *path, char password[PASSWORD_SIZE], struct err *err)
{
	char line[PASSWORD_SIZE + 1];
	int fd, ret = -1;
	ssize_t n;

	/* O_NONBLOCK: a FIFO is an error, not something to wait for. */
	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) == -1)
		return err_set(err, "could not open password file \"%s\": %s",
		    path, strerror(errno));
	if (password_check_file(fd, path, err) == -1)
		goto out;
	/* One byte more than fits: what fills even that is too long. */
	if ((n = read(fd, line, PASSWORD_SIZE)) == -1) {
		(void)err_set(err, "could not read password file \"%s\": %s",
		    path, strerror(errno));
		goto out;
	}
	ret = password_line(line, (size_t)n, path, password, err);
	explicit_bzero(line, sizeof(line));
out:
	(void)close(fd);
	return ret;
}
