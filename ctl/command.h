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

#include <stdio.h>

#include "common/cfg.h"
#include "common/err.h"
#include "common/exitcode.h"

/* Every option that some command takes. */
enum command_option {
	OPTION_KEYLESS,
	OPTION_ORG,
	OPTION_PROJECT,
	OPTION_SLUG,
	OPTION_SQL_DIR,
	OPTION_COUNT
};

struct command_args {
	const char *name; /* the operand; NULL for a command without one */
	const char *option[OPTION_COUNT]; /* NULL: not given */
};

typedef enum exitcode (*command_fn)(
    const struct cfg *, const struct command_args *, struct err *);

struct command {
	const char *words; /* one or two, with a space between */
	const char *usage; /* what follows the words */
	unsigned allowed;  /* bits of enum command_option */
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

#endif
