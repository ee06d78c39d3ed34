/* SPDX-License-Identifier: MIT */
/*
 * command.c - the table of commands, and its one reader of command lines
 *
 * Checks that a command gets the operand and the options it takes.  What they
 * mean is the command's own business.
 */
#include "ctl/command.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "ctl/migrate.h"
#include "ctl/tenant.h"

#define BIT(option) (1u << OPTION_##option)

static const struct command commands[] = {
    {"migrate", "[--sql-dir DIR]", BIT(SQL_DIR), 0, migrate_run,
	"bring the database to the version of this program"},
    {"org create", "NAME [--slug SLUG]", BIT(SLUG), 0, tenant_org_create,
	"make an organisation; prints its id"},
    {"project create", "--org SLUG NAME [--slug SLUG] [--keyless]",
	BIT(ORG) | BIT(SLUG) | BIT(KEYLESS), BIT(ORG), tenant_project_create,
	"make a project; prints its id"},
    {"key create", "--org SLUG --project SLUG NAME", BIT(ORG) | BIT(PROJECT),
	BIT(ORG) | BIT(PROJECT), tenant_key_create,
	"make an API key; prints it, this once"},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

/* The values are enum command_option, out of the way of getopt's '?'. */
#define OPTION_VALUE 256

static const struct option options[] = {
    {"keyless", no_argument, NULL, OPTION_VALUE + OPTION_KEYLESS},
    {"org", required_argument, NULL, OPTION_VALUE + OPTION_ORG},
    {"project", required_argument, NULL, OPTION_VALUE + OPTION_PROJECT},
    {"slug", required_argument, NULL, OPTION_VALUE + OPTION_SLUG},
    {"sql-dir", required_argument, NULL, OPTION_VALUE + OPTION_SQL_DIR},
    {NULL, 0, NULL, 0},
};

_Static_assert(sizeof(options) / sizeof(options[0]) == OPTION_COUNT + 1,
    "every option has a name");

void
command_print_help(FILE *out)
{
	size_t i;

	fputs("usage: productgraphctl [-c FILE] COMMAND\n"
	      "       productgraphctl -h | -V\n\n",
	    out);
	for (i = 0; i < COMMAND_COUNT; i++) {
		fprintf(out, "  %s %s\n        %s\n", commands[i].words,
		    commands[i].usage, commands[i].help);
	}
	fputs("\n"
	      "  -c FILE        configuration (default: " PGD_CONFIG ")\n"
	      "  -h, --help     print this\n"
	      "  -V, --version  print the version\n",
	    out);
}

/* Whether argv begins with the words; how many they are is in *used. */
static bool
command_matches(const char *words, int argc, char **argv, int *used)
{
	const char *space = strchr(words, ' ');
	size_t first = space ? (size_t)(space - words) : strlen(words);

	*used = space ? 2 : 1;
	return argc >= *used && strlen(argv[0]) == first &&
	    memcmp(argv[0], words, first) == 0 &&
	    (!space || strcmp(argv[1], space + 1) == 0);
}

/* What can stand behind a first word; "" when it begins no command of two. */
static void
command_list_second_words(const char *first, char *out, size_t size)
{
	size_t len = strlen(first);
	size_t used = 0;
	size_t i;

	out[0] = '\0';
	for (i = 0; i < COMMAND_COUNT && used < size; i++) {
		const char *words = commands[i].words;

		if (strncmp(words, first, len) == 0 && words[len] == ' ')
			used += (size_t)snprintf(out + used, size - used,
			    "%s%s", used > 0 ? ", " : "", words + len + 1);
	}
}

/* Why no command begins so. */
static void
command_explain_unknown(int argc, char **argv, struct err *err)
{
	char second[128];

	if (argc == 0) {
		(void)err_set(err, "no command given");
		return;
	}
	command_list_second_words(argv[0], second, sizeof(second));
	if (argc == 1 && second[0] != '\0') {
		(void)err_set(err, "%s: what? %s", argv[0], second);
	} else {
		(void)err_set(err, "unknown command \"%s%s%s\"", argv[0],
		    argc > 1 ? " " : "", argc > 1 ? argv[1] : "");
	}
}

static const struct command *
command_find(int argc, char **argv, int *used, struct err *err)
{
	size_t i;

	for (i = 0; i < COMMAND_COUNT; i++)
		if (command_matches(commands[i].words, argc, argv, used))
			return &commands[i];
	command_explain_unknown(argc, argv, err);
	return NULL;
}

static int
command_read_options(const struct command *command, int argc, char **argv,
    struct command_args *args, struct err *err)
{
	int c;

	opterr = 0;
	optind = 0; /* glibc: begin anew, with another argv */
	while ((c = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		int id = c - OPTION_VALUE;

		if (c == ':') {
			return err_set(err, "%s: \"%s\" needs a value",
			    command->words, argv[optind - 1]);
		}
		if (c == '?') {
			return err_set(err, "%s: no such option \"%s\"",
			    command->words, argv[optind - 1]);
		}
		if (!(command->allowed & (1u << id))) {
			return err_set(err, "%s: does not take \"--%s\"",
			    command->words, options[id].name);
		}
		args->option[id] = optarg ? optarg : "";
	}
	return 0;
}

static int
command_check_required(const struct command *command,
    const struct command_args *args, struct err *err)
{
	unsigned id;

	for (id = 0; id < OPTION_COUNT; id++) {
		if (command->required & (1u << id) && !args->option[id]) {
			return err_set(err, "%s: needs --%s", command->words,
			    options[id].name);
		}
	}
	return 0;
}

/* The operand: one where the usage shows a NAME, else none. */
static int
command_read_operand(const struct command *command, int argc, char **argv,
    struct command_args *args, struct err *err)
{
	bool wanted = strstr(command->usage, "NAME") != NULL;

	if (argc > wanted) {
		return err_set(err, "%s: \"%s\" is one argument too many",
		    command->words, argv[wanted]);
	}
	if (argc < wanted)
		return err_set(err, "%s: needs a NAME", command->words);
	args->name = wanted ? argv[0] : NULL;
	return 0;
}

const struct command *
command_parse(int argc, char **argv, struct command_args *args, struct err *err)
{
	const struct command *command;
	int used;

	memset(args, 0, sizeof(*args));
	command = command_find(argc, argv, &used, err);
	if (!command)
		return NULL;
	/* getopt passes over argv[0]: the last of the command's words. */
	argc -= used - 1;
	argv += used - 1;
	if (command_read_options(command, argc, argv, args, err) == -1 ||
	    command_check_required(command, args, err) == -1 ||
	    command_read_operand(
		command, argc - optind, argv + optind, args, err) == -1)
		return NULL;
	return command;
}
