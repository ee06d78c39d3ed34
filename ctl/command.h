/* SPDX-License-Identifier: MIT */
/*
 * command.h - the commands of productgraphctl, and their command lines
 *
 * Runs in   ctl
 * Owns      nothing; arguments are borrowed from argv
 * Failure   an exit code and the reason, which the caller prints
 *
 * A new command is a function, a row in commands[], and a paragraph in
 * productgraphctl(8).
 */
#ifndef PGD_CTL_COMMAND_H
#define PGD_CTL_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "common/cfg.h"
#include "common/err.h"
#include "common/exitcode.h"

/* Every option that some command takes. */
enum command_option {
	OPTION_ANY_ORIGIN,
	OPTION_CHECK,
	OPTION_EXPIRES,
	OPTION_GRACE,
	OPTION_JSON,
	OPTION_KEYLESS,
	OPTION_LIMIT,
	OPTION_NAME,
	OPTION_ORG,
	OPTION_ORIGIN,
	OPTION_PROJECT,
	OPTION_REQUIRE_KEY,
	OPTION_SESSION_TIMEOUT,
	OPTION_SLUG,
	OPTION_SQL_DIR,
	OPTION_COUNT
};

#define COMMAND_ORIGINS_MAX 100

struct command_args {
	const char *operand;              /* NULL for a command without one */
	const char *option[OPTION_COUNT]; /* NULL: not given */
	/* --origin is the one that may be given more than once. */
	const char *origins[COMMAND_ORIGINS_MAX];
	size_t norigins;
	bool help; /* -h: nothing else counts */
};

typedef enum exitcode (*command_fn)(
    const struct cfg *, const struct command_args *, struct err *);

struct command {
	const char *words;   /* one or two, with a space between */
	const char *operand; /* what the usage calls it; NULL: there is none */
	const char *usage;   /* what follows the words */
	unsigned allowed;    /* bits of enum command_option */
	unsigned required;
	command_fn run;
	const char *help;
};

/*
 * Reads the command's words and what follows them from argv.  NULL, with the
 * reason, when no command takes such a line.
 */
const struct command *command_parse(
    int argc, char **argv, struct command_args *, struct err *);
void command_print_help(FILE *);
void command_print_usage(FILE *, const struct command *);

#define COMMAND_LIMIT_TEXT 24
/* How many rows a list has without --limit. */
#define COMMAND_LIST_LIMIT "20"

/* What --limit says, or otherwise, as PostgreSQL reads it. */
int command_read_limit(const struct command_args *, const char *otherwise,
    char out[COMMAND_LIMIT_TEXT], struct err *) MUST_CHECK;

#endif
