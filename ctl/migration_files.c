/* SPDX-License-Identifier: MIT */
/*
 * migration_files.c - reads NNNN_name.sql, in order
 *
 * Names that do not end in .sql are passed over (a README, an editor's
 * leavings); one that does and has no number is an error, because it would
 * never be applied.  What was applied already is not known here.
 */
#include "ctl/migration_files.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#define VERSION_DIGITS 4
#define SUFFIX ".sql"
#define FILE_MAX_BYTES (16u << 20)

static int
has_suffix(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] != '.' && len > strlen(SUFFIX) &&
	    strcmp(entry->d_name + len - strlen(SUFFIX), SUFFIX) == 0;
}

/* The version of a file, 0 when its name does not say. */
static size_t
version_of(const char *name)
{
	size_t version = 0;
	int i;

	for (i = 0; i < VERSION_DIGITS; i++) {
		if (name[i] < '0' || name[i] > '9')
			return 0;
		version = version * 10 + (size_t)(name[i] - '0');
	}
	return name[VERSION_DIGITS] == '_' ? version : 0;
}

static int
check_order(struct dirent **entries, size_t n, const char *dir, struct err *err)
{
	size_t i;

	if (n == 0)
		return err_set(err, "no SQL files in \"%s\"", dir);
	for (i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;
		size_t version = version_of(name);

		if (version == 0) {
			return err_set(err,
			    "\"%s/%s\" is not named NNNN_name.sql, "
			    "from 0001 on",
			    dir, name);
		}
		if (version <= i) {
			return err_set(err,
			    "\"%s\" and \"%s\" in \"%s\" have the same number",
			    entries[i - 1]->d_name, name, dir);
		}
		if (version > i + 1) {
			return err_set(err,
			    "version %zu is missing in \"%s\": "
			    "the next file is \"%s\"",
			    i + 1, dir, name);
		}
	}
	return 0;
}

/* Room for one byte more than allowed, to notice; the last is the NUL. */
static char *
read_whole(const char *path, size_t *len, struct err *err)
{
	char *text = malloc(FILE_MAX_BYTES + 2);
	FILE *file = fopen(path, "re");
	char *fitted;
	bool failed;

	if (!text || !file) {
		(void)err_set(err, "could not open \"%s\": %m", path);
		free(text);
		if (file)
			fclose(file);
		return NULL;
	}
	*len = fread(text, 1, FILE_MAX_BYTES + 1, file);
	failed = ferror(file) != 0;
	fclose(file);
	if (failed || *len > FILE_MAX_BYTES) {
		(void)err_set(err, "could not read \"%s\": %s", path,
		    failed ? "input error" : "larger than 16 MB");
		free(text);
		return NULL;
	}
	text[*len] = '\0';
	fitted = realloc(text, *len + 1);
	if (fitted)
		text = fitted;
	return text;
}

static int
checksum(const char *text, size_t len, char out[MIGRATION_CHECKSUM_TEXT])
{
	uint8_t hash[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	unsigned i;

	if (EVP_Digest(text, len, hash, &n, EVP_sha256(), NULL) != 1)
		return -1;
	for (i = 0; i < n; i++)
		(void)snprintf(out + (size_t)2 * i, 3, "%02x", hash[i]);
	return 0;
}

/* What was made is freed by migration_files_free(), on failure too. */
static int
load_one(struct migration *migration, const char *dir, const char *name,
    struct err *err)
{
	char *path = NULL;
	size_t len;
	int ret = -1;

	migration->name = strdup(name);
	if (!migration->name || asprintf(&path, "%s/%s", dir, name) == -1)
		return err_set(err, "no memory for \"%s\"", name);
	migration->sql = read_whole(path, &len, err);
	if (!migration->sql)
		goto out;
	/* libpq takes a C string: it would stop there and say nothing. */
	if (memchr(migration->sql, '\0', len)) {
		(void)err_set(err, "\"%s\" holds a NUL byte", path);
		goto out;
	}
	if (checksum(migration->sql, len, migration->checksum) == -1) {
		(void)err_set(err, "could not hash \"%s\"", path);
		goto out;
	}
	ret = 0;
out:
	free(path);
	return ret;
}

static int
load_all(struct migration_files *files, const char *dir,
    struct dirent **entries, size_t n, struct err *err)
{
	files->items = calloc(n, sizeof(*files->items));
	if (!files->items)
		return err_set(err, "no memory for %zu files", n);
	while (files->n < n) {
		size_t i = files->n++;

		if (load_one(&files->items[i], dir, entries[i]->d_name, err) ==
		    -1) {
			migration_files_free(files);
			return -1;
		}
	}
	return 0;
}

int
migration_files_load(
    struct migration_files *files, const char *dir, struct err *err)
{
	struct dirent **entries;
	int ret = -1;
	int n;

	memset(files, 0, sizeof(*files));
	/* alphasort() is by number: the program sets no locale. */
	n = scandir(dir, &entries, has_suffix, alphasort);
	if (n == -1)
		return err_set(err, "could not read directory \"%s\": %m", dir);
	if (check_order(entries, (size_t)n, dir, err) == 0)
		ret = load_all(files, dir, entries, (size_t)n, err);
	while (n > 0)
		free(entries[--n]);
	free(entries);
	return ret;
}

void
migration_files_free(struct migration_files *files)
{
	size_t i;

	for (i = 0; i < files->n; i++) {
		free(files->items[i].name);
		free(files->items[i].sql);
	}
	free(files->items);
	memset(files, 0, sizeof(*files));
}
