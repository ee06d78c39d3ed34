/* SPDX-License-Identifier: MIT */
/*
 * dead_letters.c - lists them, and takes one apart
 *
 * Their project may be gone: then its id stands for its name.
 */
#include "ctl/dead_letters.h"

#include <stdio.h>
#include <string.h>

#include "common/uuid.h"

#include "ctl/admin.h"
#include "ctl/database.h"
#include "ctl/find.h"
#include "ctl/payload.h"
#include "ctl/table.h"

#define SELECT_DEAD_LETTERS                                                    \
	"SELECT d.id, d.received_at, coalesce(o.slug, d.org_id::text), "       \
	"coalesce(p.slug, d.project_id::text), d.event_id, d.sqlstate, "       \
	"d.message, d.payload FROM dead_letters d "                            \
	"LEFT JOIN projects p ON p.id = d.project_id "                         \
	"LEFT JOIN organizations o ON o.id = d.org_id "

#define PAYLOAD 7

/* All but the payload. */
static const struct table_column columns[] = {
    {"id", "id"},
    {"received_at", "received"},
    {"org", "org"},
    {"project", "project"},
    {"event_id", "event id"},
    {"sqlstate", "sqlstate"},
    {"message", "message"},
    {NULL, NULL},
};

enum exitcode
dead_letters_list(
    const struct cfg *cfg, const struct command_args *args, struct err *err)
{
	char limit[COMMAND_LIMIT_TEXT];
	const char *const params[] = {
	    args->option[OPTION_ORG], args->option[OPTION_PROJECT], limit};
	PGconn *conn = NULL;
	enum exitcode code;

	if (command_read_limit(args, COMMAND_LIST_LIMIT, limit, err) == -1)
		return EXIT_USAGE;
	code = admin_open(cfg, &conn, err);
	if (code == EXIT_DONE)
		code = find_scope(conn, params[0], params[1], err);
	if (code == EXIT_DONE) {
		code = database_list(conn,
		    SELECT_DEAD_LETTERS
		    "WHERE ($1::text IS NULL OR o.slug = $1) "
		    "AND ($2::text IS NULL OR p.slug = $2) "
		    "ORDER BY d.received_at DESC, d.id LIMIT $3::bigint",
		    3, params, columns, args->option[OPTION_JSON] != NULL, err);
	}
	PQfinish(conn);
	return code;
}

static void
show_json(const PGresult *letter, const uint8_t *payload, size_t len)
{
	const char *hex = PQgetvalue(letter, 0, PAYLOAD);

	putchar('{');
	table_json_members(stdout, letter, 0, columns);
	fputs(",\"payload\":", stdout);
	if (!payload_json(stdout, payload, len))
		fputs("null", stdout);
	/* Behind "\x". */
	printf(",\"payload_hex\":\"%s\"}\n", hex + strcspn(hex, "x") + 1);
}

static void
show_text(const PGresult *letter, const uint8_t *payload, size_t len)
{
	const char *hex = PQgetvalue(letter, 0, PAYLOAD);

	table_print_record(stdout, letter, 0, columns);
	putchar('\n');
	if (payload_print(stdout, payload, len))
		return;
	printf("The payload (%zu bytes) is not an event as this release "
	       "writes one:\n%s\n",
	    len, hex + strcspn(hex, "x") + 1);
}

static enum exitcode
find_and_show(PGconn *conn, const struct command_args *args, struct err *err)
{
	const char *const params[] = {args->operand};
	enum exitcode code = EXIT_DONE;
	uint8_t *payload = NULL;
	PGresult *letter;
	size_t len;

	letter = database_query(
	    conn, SELECT_DEAD_LETTERS "WHERE d.id = $1", 1, params, err);
	if (!letter)
		return EXIT_DATABASE;
	if (PQntuples(letter) == 0) {
		(void)err_set(err, "no dead letter %s", args->operand);
		code = EXIT_REFUSED;
		goto out;
	}
	payload = PQunescapeBytea(
	    (const unsigned char *)PQgetvalue(letter, 0, PAYLOAD), &len);
	if (!payload) {
		(void)err_set(err, "no memory for the payload");
		code = EXIT_OS;
		goto out;
	}
	if (args->option[OPTION_JSON])
		show_json(letter, payload, len);
	else
		show_text(letter, payload, len);
out:
	PQfreemem(payload);
	PQclear(letter);
	return code;
}

enum exitcode
dead_letters_show(
    const struct cfg *cfg, const struct command_args *args, struct err *err)
{
	const char *id = args->operand;
	uint8_t uuid[UUID_BYTES];
	PGconn *conn = NULL;
	enum exitcode code;

	if (!uuid_parse(id, strlen(id), uuid)) {
		(void)err_set(err,
		    "\"%.100s\" is not the id of a dead letter, a UUID: see "
		    "\"dead-letters list\"",
		    id);
		return EXIT_USAGE;
	}
	code = admin_open(cfg, &conn, err);
	if (code == EXIT_DONE)
		code = find_and_show(conn, args, err);
	PQfinish(conn);
	return code;
}
