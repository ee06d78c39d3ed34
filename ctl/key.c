/* SPDX-License-Identifier: MIT */
/*
 * key.c - makes, lists, rotates and revokes API keys
 *
 * The daemon is not told: the table notifies its aggregator, which publishes
 * the keys to the workers.
 */
#include "ctl/key.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "common/timestamp.h"

#include "ctl/admin.h"
#include "ctl/database.h"
#include "ctl/find.h"
#include "ctl/key_row.h"
#include "ctl/slug.h"
#include "ctl/when.h"

#define DAY_MS UINT64_C(86400000)
#define GRACE_MAX_MS (365 * DAY_MS)

/* What --expires says, as PostgreSQL reads it; NULL without it. */
static int
read_expires(const struct command_args *args, char text[WHEN_TEXT],
    const char **expires, struct err *err)
{
	const char *given = args->option[OPTION_EXPIRES];
	struct err reason;
	int64_t us;

	*expires = NULL;
	if (!given)
		return 0;
	if (when_parse(given, timestamp_now(), &us, &reason) == -1)
		return err_set(err, "--expires: %.400s", reason.text);
	when_format(us, text);
	*expires = text;
	return 0;
}

/* A value of a sentence for people; a time that is null is "never". */
static void
say(const char *before, const PGresult *result, int column)
{
	(void)fputs(before, stderr);
	if (PQgetisnull(result, 0, column))
		(void)fputs("never", stderr);
	else
		(void)table_print_value(stderr, result, 0, column, NULL);
}

static void
say_made(const PGresult *made, const PGresult *old)
{
	say("key \"", made, KEY_NAME);
	say("\" of project \"", made, KEY_PROJECT);
	say("\" made, prefix=", made, KEY_PREFIX);
	say(" expires=", made, KEY_EXPIRES);
	(void)fputs("; it is not stored and cannot be shown again\n", stderr);
	if (old) {
		bool ended =
		    strcmp(PQgetvalue(old, 0, KEY_STATE), "expired") == 0;

		say("the old one, ", old, KEY_PREFIX);
		say(ended ? ", ended at " : ", ends at ", old, KEY_EXPIRES);
		(void)fputc('\n', stderr);
	}
}

/* It had an end, and whoever counted on that has to know. */
static void
warn_of_earlier_end(const PGresult *before, int row, const PGresult *old)
{
	if (PQgetisnull(before, row, KEY_EXPIRES) ||
	    strcmp(PQgetvalue(before, row, KEY_EXPIRES),
		PQgetvalue(old, 0, KEY_EXPIRES)) == 0)
		return;
	say("warning: the old one, ", old, KEY_PREFIX);
	say(", ends at ", old, KEY_EXPIRES);
	(void)fputs(", earlier than at ", stderr);
	(void)table_print_value(stderr, before, row, KEY_EXPIRES, NULL);
	(void)fputs(" as it would have\n", stderr);
}

/* The new key, and with a rotation the row of the old one. */
static void
show_json(const char *key, const PGresult *made, const PGresult *old)
{
	printf("{\"key\":\"%s\",", key);
	table_json_members(stdout, made, 0, key_columns);
	if (old) {
		fputs(",\"replaces\":", stdout);
		table_json_object(stdout, old, 0, key_columns);
	}
	puts("}");
}

/*
 * A COMMIT failed.  PostgreSQL refused it if the connection stands; else it may
 * have been done before the connection broke.
 */
static void
explain_commit(const PGconn *conn, struct err *err)
{
	struct err first = *err;

	if (PQstatus(conn) == CONNECTION_OK)
		(void)err_set(
		    err, "the key above is not valid: %.400s", first.text);
	else
		(void)err_set(err,
		    "the key above may not be valid, see \"key list\": "
		    "%.400s",
		    first.text);
}

/*
 * The end of the transaction that made a key.  The key is shown before it
 * counts: one that could not be written out would be valid for ever and known
 * to nobody.
 */
static enum exitcode
show_and_commit(PGconn *conn, const struct command_args *args, const char *key,
    const PGresult *made, const PGresult *old, struct err *err)
{
	if (args->option[OPTION_JSON])
		show_json(key, made, old);
	else
		puts(key);
	if (fflush(stdout) == EOF) {
		(void)err_set(err,
		    "could not show the key, so none was made: "
		    "%m");
		return EXIT_OS;
	}
	if (database_exec(conn, "COMMIT", 0, NULL, err) == -1) {
		explain_commit(conn, err);
		return EXIT_DATABASE;
	}
	if (!args->option[OPTION_JSON])
		say_made(made, old);
	return EXIT_DONE;
}

static enum exitcode
insert_and_show(PGconn *conn, const struct command_args *args, const char *key,
    const char *expires, struct err *err)
{
	char org_id[UUID_TEXT], project_id[UUID_TEXT], id[UUID_TEXT];
	PGresult *made = NULL;
	enum exitcode code;

	if (database_exec(conn, "BEGIN", 0, NULL, err) == -1)
		return EXIT_DATABASE;
	code = find_project(conn, args->option[OPTION_ORG],
	    args->option[OPTION_PROJECT], org_id, project_id, err);
	if (code != EXIT_DONE)
		return code;
	if (key_row_insert(conn, org_id, project_id, args->operand, key,
		expires, id, err) == -1 ||
	    !(made = key_row_get(conn, id, err)))
		return EXIT_DATABASE;
	code = show_and_commit(conn, args, key, made, NULL, err);
	PQclear(made);
	return code;
}

enum exitcode
key_create(
    const struct cfg *cfg, const struct command_args *args, struct err *err)
{
	char expires_text[WHEN_TEXT];
	char key[APIKEY_TEXT];
	const char *expires;
	PGconn *conn = NULL;
	enum exitcode code;

	if (slug_check_name(args->operand, err) == -1 ||
	    read_expires(args, expires_text, &expires, err) == -1)
		return EXIT_USAGE;
	if (apikey_make(key, err) == -1)
		return EXIT_OS;
	code = admin_open(cfg, &conn, err);
	if (code == EXIT_DONE)
		code = insert_and_show(conn, args, key, expires, err);
	PQfinish(conn);
	OPENSSL_cleanse(key, sizeof(key));
	return code;
}

enum exitcode
key_list(
    const struct cfg *cfg, const struct command_args *args, struct err *err)
{
	const char *const params[] = {
	    args->option[OPTION_ORG], args->option[OPTION_PROJECT]};
	PGconn *conn = NULL;
	enum exitcode code;

	code = admin_open(cfg, &conn, err);
	if (code == EXIT_DONE)
		code = find_scope(conn, params[0], params[1], err);
	if (code == EXIT_DONE) {
		code = database_list(conn,
		    SELECT_KEYS "WHERE ($1::text IS NULL OR o.slug = $1) "
				"AND ($2::text IS NULL OR p.slug = $2) "
				"ORDER BY o.slug, p.slug, k.created_at, k.id",
		    2, params, key_columns, args->option[OPTION_JSON] != NULL,
		    err);
	}
	PQfinish(conn);
	return code;
}

/* --- rotate --- */

/* The old key, which ends after the grace unless it ended earlier anyway. */
static PGresult *
let_end(PGconn *conn, const char *id, const char *grace_ms, struct err *err)
{
	const char *const params[] = {id, grace_ms};

	if (database_exec(conn,
		"UPDATE api_keys SET expires_at = least(expires_at, "
		"now() + $2::bigint * interval '1 millisecond') WHERE id = $1",
		2, params, err) == -1)
		return NULL;
	return key_row_get(conn, id, err);
}

/* Inside a transaction, with the old key's row locked. */
static enum exitcode
replace(PGconn *conn, const struct command_args *args, const PGresult *found,
    int row, const char *expires, const char *grace_ms, struct err *err)
{
	const char *old_id = PQgetvalue(found, row, KEY_ID);
	const char *name = PQgetvalue(found, row, KEY_NAME);
	char org_id[UUID_TEXT], project_id[UUID_TEXT], id[UUID_TEXT];
	char key[APIKEY_TEXT];
	enum exitcode code;
	PGresult *made = NULL;
	PGresult *old = NULL;

	if (apikey_make(key, err) == -1)
		return EXIT_OS;
	code = find_project(conn, args->option[OPTION_ORG],
	    args->option[OPTION_PROJECT], org_id, project_id, err);
	if (code != EXIT_DONE)
		return code;
	code = EXIT_DATABASE;
	if (key_row_insert(
		conn, org_id, project_id, name, key, expires, id, err) == 0 &&
	    (made = key_row_get(conn, id, err)) != NULL &&
	    (old = let_end(conn, old_id, grace_ms, err)) != NULL)
		code = show_and_commit(conn, args, key, made, old, err);
	if (code == EXIT_DONE)
		warn_of_earlier_end(found, row, old);
	PQclear(made);
	PQclear(old);
	OPENSSL_cleanse(key, sizeof(key));
	return code;
}

static enum exitcode
find_and_replace(PGconn *conn, const struct command_args *args,
    const char *expires, const char *grace_ms, struct err *err)
{
	char org_id[UUID_TEXT], project_id[UUID_TEXT];
	PGresult *found = NULL;
	enum exitcode code;
	int row;

	if (database_exec(conn, "BEGIN", 0, NULL, err) == -1)
		return EXIT_DATABASE;
	code = find_project(conn, args->option[OPTION_ORG],
	    args->option[OPTION_PROJECT], org_id, project_id, err);
	if (code == EXIT_DONE)
		code =
		    key_row_find(conn, args->operand, args->option[OPTION_ORG],
			args->option[OPTION_PROJECT], &found, &row, err);
	if (code == EXIT_DONE && !PQgetisnull(found, row, KEY_REVOKED)) {
		(void)err_set(err,
		    "key %s is revoked: make another with \"key create\"",
		    PQgetvalue(found, row, KEY_PREFIX));
		code = EXIT_REFUSED;
	}
	if (code == EXIT_DONE)
		code = replace(conn, args, found, row, expires, grace_ms, err);
	PQclear(found);
	return code;
}

enum exitcode
key_rotate(
    const struct cfg *cfg, const struct command_args *args, struct err *err)
{
	const char *grace = args->option[OPTION_GRACE];
	char expires_text[WHEN_TEXT], grace_ms[24];
	uint64_t grace_number = DAY_MS;
	const char *expires;
	struct err reason;
	PGconn *conn = NULL;
	enum exitcode code;

	if (grace &&
	    when_parse_duration(
		grace, 0, GRACE_MAX_MS, &grace_number, &reason) == -1) {
		(void)err_set(err, "--grace: %.400s", reason.text);
		return EXIT_USAGE;
	}
	if (read_expires(args, expires_text, &expires, err) == -1 ||
	    key_row_check_called(args->operand, err) == -1)
		return EXIT_USAGE;
	(void)snprintf(grace_ms, sizeof(grace_ms), "%" PRIu64, grace_number);
	code = admin_open(cfg, &conn, err);
	if (code == EXIT_DONE)
		code = find_and_replace(conn, args, expires, grace_ms, err);
	PQfinish(conn);
	return code;
}

/* --- revoke --- */

static void
show_revoked(const PGresult *key, bool before, bool json)
{
	if (json) {
		table_show_one(key, key_columns, true);
		return;
	}
	say("key \"", key, KEY_NAME);
	say("\" (", key, KEY_PREFIX);
	say(") of project \"", key, KEY_PROJECT);
	say(before ? "\" was revoked already, at " : "\" revoked at ", key,
	    KEY_REVOKED);
	(void)fputc('\n', stderr);
}

static enum exitcode
find_and_revoke(PGconn *conn, const struct command_args *args, struct err *err)
{
	const char *id;
	PGresult *found = NULL;
	PGresult *key = NULL;
	enum exitcode code;
	int row;

	if (database_exec(conn, "BEGIN", 0, NULL, err) == -1)
		return EXIT_DATABASE;
	code = find_scope(
	    conn, args->option[OPTION_ORG], args->option[OPTION_PROJECT], err);
	if (code == EXIT_DONE)
		code =
		    key_row_find(conn, args->operand, args->option[OPTION_ORG],
			args->option[OPTION_PROJECT], &found, &row, err);
	if (code != EXIT_DONE)
		goto out;
	id = PQgetvalue(found, row, KEY_ID);
	code = EXIT_DATABASE;
	if (database_exec(conn,
		"UPDATE api_keys SET revoked_at = now() "
		"WHERE id = $1 AND revoked_at IS NULL",
		1, &id, err) == -1 ||
	    !(key = key_row_get(conn, id, err)) ||
	    database_exec(conn, "COMMIT", 0, NULL, err) == -1)
		goto out;
	show_revoked(key, !PQgetisnull(found, row, KEY_REVOKED),
	    args->option[OPTION_JSON] != NULL);
	code = EXIT_DONE;
out:
	PQclear(key);
	PQclear(found);
	return code;
}

enum exitcode
key_revoke(
    const struct cfg *cfg, const struct command_args *args, struct err *err)
{
	PGconn *conn = NULL;
	enum exitcode code;

	if (key_row_check_called(args->operand, err) == -1)
		return EXIT_USAGE;
	code = admin_open(cfg, &conn, err);
	if (code == EXIT_DONE)
		code = find_and_revoke(conn, args, err);
	PQfinish(conn);
	return code;
}
