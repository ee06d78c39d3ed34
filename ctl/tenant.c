/* SPDX-License-Identifier: MIT */
/*
 * tenant.c - makes organisations, projects and API keys
 *
 * Each command is one row.  The daemon is not told: the tables notify its
 * aggregator, which publishes them to the workers.
 */
#include "ctl/tenant.h"

#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "common/apikey.h"
#include "common/uuid.h"

#include "ctl/database.h"
#include "ctl/slug.h"

#define NAME_MAX_BYTES 255

static int
check_name(const char *name, struct err *err)
{
	size_t len = strlen(name);

	if (len == 0 || len > NAME_MAX_BYTES) {
		return err_set(err, "a name has 1 to %d bytes, not %zu",
		    NAME_MAX_BYTES, len);
	}
	return 0;
}

static enum exitcode
open_as_admin(const struct cfg *cfg, PGconn **conn, struct err *err)
{
	return database_open(
	    cfg->ctl_conninfo, cfg->ctl_password_file, conn, err);
}

/*
 * Runs a statement that returns one UUID or no row.  1 and the UUID, 0 when
 * there was no row, -1 when it failed.
 */
static int
query_id(PGconn *conn, const char *sql, int n, const char *const *params,
    char id[UUID_TEXT], struct err *err)
{
	PGresult *result = database_query(conn, sql, n, params, err);
	int rows;

	if (!result)
		return -1;
	rows = PQntuples(result);
	if (rows > 0)
		(void)snprintf(id, UUID_TEXT, "%s", PQgetvalue(result, 0, 0));
	PQclear(result);
	return rows > 0;
}

static int
find_org(PGconn *conn, const char *slug, char id[UUID_TEXT], struct err *err)
{
	const char *const params[] = {slug};

	switch (query_id(conn, "SELECT id FROM organizations WHERE slug = $1",
	    1, params, id, err)) {
	case 1:
		return 0;
	case 0:
		return err_set(err, "no organisation \"%.200s\"", slug);
	default:
		return -1;
	}
}

static int
find_project(PGconn *conn, const char *org, const char *slug,
    char org_id[UUID_TEXT], char id[UUID_TEXT], struct err *err)
{
	const char *const params[] = {org_id, slug};

	if (find_org(conn, org, org_id, err) == -1)
		return -1;
	switch (query_id(conn,
	    "SELECT id FROM projects WHERE org_id = $1 AND slug = $2", 2,
	    params, id, err)) {
	case 1:
		return 0;
	case 0:
		return err_set(err,
		    "no project \"%.200s\" in organisation \"%.200s\"", slug,
		    org);
	default:
		return -1;
	}
}

enum exitcode
tenant_org_create(
    const struct cfg *cfg, const struct command_args *args, struct err *err)
{
	char slug[SLUG_TEXT];
	char id[UUID_TEXT];
	const char *const params[] = {args->name, slug};
	PGconn *conn = NULL;
	enum exitcode code;
	int made;

	if (check_name(args->name, err) == -1 ||
	    slug_choose(args->option[OPTION_SLUG], args->name, slug, err) == -1)
		return EXIT_USAGE;
	code = open_as_admin(cfg, &conn, err);
	if (code != EXIT_DONE)
		return code;
	made = query_id(conn,
	    "INSERT INTO organizations (name, slug) VALUES ($1, $2) "
	    "ON CONFLICT DO NOTHING RETURNING id",
	    2, params, id, err);
	PQfinish(conn);
	if (made == 0) {
		(void)err_set(
		    err, "slug \"%s\" is taken by an organisation", slug);
	}
	if (made != 1)
		return EXIT_DATABASE;
	puts(id);
	fprintf(
	    stderr, "organisation \"%s\" made, slug=%s\n", args->name, slug);
	return EXIT_DONE;
}

/* 0 and the id, or -1 and the reason. */
static int
insert_project(PGconn *conn, const struct command_args *args, const char *slug,
    char id[UUID_TEXT], struct err *err)
{
	bool keyless = args->option[OPTION_KEYLESS] != NULL;
	char org_id[UUID_TEXT];
	const char *const params[] = {
	    org_id, args->name, slug, keyless ? "false" : "true"};
	int made;

	if (find_org(conn, args->option[OPTION_ORG], org_id, err) == -1)
		return -1;
	made = query_id(conn,
	    "INSERT INTO projects (org_id, name, slug, require_api_key) "
	    "VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING id",
	    4, params, id, err);
	if (made == 0) {
		return err_set(err, "slug \"%s\" is taken by a project%s", slug,
		    keyless ? " of this organisation, or by a project of "
			      "another that needs no key either"
			    : " of this organisation");
	}
	return made == 1 ? 0 : -1;
}

enum exitcode
tenant_project_create(
    const struct cfg *cfg, const struct command_args *args, struct err *err)
{
	char slug[SLUG_TEXT];
	char id[UUID_TEXT];
	PGconn *conn = NULL;
	enum exitcode code;
	int made;

	if (check_name(args->name, err) == -1 ||
	    slug_choose(args->option[OPTION_SLUG], args->name, slug, err) == -1)
		return EXIT_USAGE;
	code = open_as_admin(cfg, &conn, err);
	if (code != EXIT_DONE)
		return code;
	made = insert_project(conn, args, slug, id, err);
	PQfinish(conn);
	if (made == -1)
		return EXIT_DATABASE;
	puts(id);
	fprintf(stderr, "project \"%s\" made, slug=%s%s\n", args->name, slug,
	    args->option[OPTION_KEYLESS] ? " keyless=true" : "");
	return EXIT_DONE;
}

/* As PostgreSQL reads a bytea. */
static void
format_bytea(const uint8_t hash[APIKEY_HASH], char out[2 * APIKEY_HASH + 3])
{
	size_t i;

	memcpy(out, "\\x", 3);
	for (i = 0; i < APIKEY_HASH; i++)
		(void)snprintf(out + 2 + 2 * i, 3, "%02x", hash[i]);
}

static int
insert_key(PGconn *conn, const struct command_args *args, const char *key,
    struct err *err)
{
	char org_id[UUID_TEXT];
	char project_id[UUID_TEXT];
	char prefix[APIKEY_PREFIX + 1];
	char hash_text[2 * APIKEY_HASH + 3];
	uint8_t hash[APIKEY_HASH];
	const char *const params[] = {
	    org_id, project_id, args->name, prefix, hash_text};

	if (apikey_hash(key, strlen(key), hash) == -1)
		return err_set(err, "could not hash the key");
	format_bytea(hash, hash_text);
	(void)snprintf(prefix, sizeof(prefix), "%.*s", APIKEY_PREFIX, key);
	if (find_project(conn, args->option[OPTION_ORG],
		args->option[OPTION_PROJECT], org_id, project_id, err) == -1)
		return -1;
	return database_exec(conn,
	    "INSERT INTO api_keys (org_id, project_id, name, prefix, "
	    "key_sha256) VALUES ($1, $2, $3, $4, $5)",
	    5, params, err);
}

/*
 * The key is shown before it counts: one that could not be written out would
 * be valid for ever and known to nobody.
 */
static enum exitcode
key_insert_and_show(PGconn *conn, const struct command_args *args,
    const char *key, struct err *err)
{
	if (database_exec(conn, "BEGIN", 0, NULL, err) == -1 ||
	    insert_key(conn, args, key, err) == -1)
		return EXIT_DATABASE;
	puts(key);
	if (fflush(stdout) == EOF) {
		(void)err_set(err,
		    "could not show the key, so none was made: "
		    "%m");
		return EXIT_OS;
	}
	if (database_exec(conn, "COMMIT", 0, NULL, err) == -1) {
		struct err first = *err;

		(void)err_set(
		    err, "the key above is not valid: %.400s", first.text);
		return EXIT_DATABASE;
	}
	return EXIT_DONE;
}

enum exitcode
tenant_key_create(
    const struct cfg *cfg, const struct command_args *args, struct err *err)
{
	char key[APIKEY_TEXT];
	PGconn *conn = NULL;
	enum exitcode code;

	if (check_name(args->name, err) == -1)
		return EXIT_USAGE;
	if (apikey_make(key, err) == -1)
		return EXIT_OS;
	code = open_as_admin(cfg, &conn, err);
	if (code == EXIT_DONE) {
		code = key_insert_and_show(conn, args, key, err);
		PQfinish(conn);
	}
	if (code == EXIT_DONE) {
		fprintf(stderr,
		    "key \"%s\" of project \"%s\" made, prefix=%.*s; "
		    "it is not stored and cannot be shown again\n",
		    args->name, args->option[OPTION_PROJECT], APIKEY_PREFIX,
		    key);
	}
	OPENSSL_cleanse(key, sizeof(key));
	return code;
}
