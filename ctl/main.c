/* SPDX-License-Identifier: MIT */
/*
 * main.c - productgraphctl, the operator's command
 *
 * Reads the command line and the configuration, runs one command, prints the
 * reason when that failed, and exits with one of exitcode.h.  It speaks to
 * PostgreSQL alone, never to the daemon: the daemon hears of what changed from
 * the database.
 */
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cfg.h"
#include "common/err.h"
#include "common/exitcode.h"

#include "ctl/command.h"
#include "ctl/escape.h"

static int
fail(enum exitcode code, const struct err *err)
{
	/* The reason may quote what is in the database. */
	fputs("productgraphctl: ", stderr);
	(void)escape_print(
	    stderr, err->text, strlen(err->text), SIZE_MAX, ESCAPE_TEXT);
	fputc('\n', stderr);
	if (code == EXIT_USAGE)
		fprintf(stderr, "Try \"productgraphctl -h\".\n");
	return (int)code;
}

/* Whoever has not installed it yet has his file elsewhere. */
static int
fail_to_load(const char *path, struct err *err)
{
	struct err first = *err;

	if (strcmp(path, PGD_CONFIG) == 0 && access(path, R_OK) == -1)
		(void)err_set(err, "%.400s; -c FILE names another", first.text);
	return fail(EXIT_CONFIG, err);
}

static int
run(const struct command *command, const char *cfg_path,
    const struct command_args *args)
{
	struct err err = {""};
	struct cfg *cfg;
	enum exitcode code;

	cfg = cfg_load_for(PROC_CTL, cfg_path, &err);
	if (!cfg)
		return fail_to_load(cfg_path, &err);
	code = command->run(cfg, args, &err);
	cfg_destroy(cfg);
	if (code == EXIT_DONE && fflush(stdout) == EOF) {
		code = EXIT_OS;
		(void)err_set(&err, "could not write to standard output: %m");
	}
	return code == EXIT_DONE ? (int)code : fail(code, &err);
}

int
main(int argc, char **argv)
{
	static const struct option long_options[] = {
	    {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'V'},
	    {NULL, 0, NULL, 0},
	};
	const char *cfg_path = PGD_CONFIG;
	const struct command *command;
	struct command_args args;
	struct err err = {""};
	int c;

	/* "+": what follows the command is the command's to read. */
	while (
	    (c = getopt_long(argc, argv, "+c:hV", long_options, NULL)) != -1) {
		switch (c) {
		case 'c':
			cfg_path = optarg;
			break;
		case 'h':
			command_print_help(stdout);
			return EXIT_DONE;
		case 'V':
			puts("productgraphctl " PGD_VERSION);
			return EXIT_DONE;
		default:
			command_print_help(stderr);
			return EXIT_USAGE;
		}
	}
	command = command_parse(argc - optind, argv + optind, &args, &err);
	if (!command)
		return fail(EXIT_USAGE, &err);
	if (args.help) {
		command_print_usage(stdout, command);
		return EXIT_DONE;
	}
	return run(command, cfg_path, &args);
}
