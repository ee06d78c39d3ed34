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

#include "common/cfg_value.h"

#include "ctl/dead_letters.h"
#include "ctl/key.h"
#include "ctl/migrate.h"
#include "ctl/org.h"
#include "ctl/project.h"
#include "ctl/project_set.h"
#include "ctl/session.h"

#define BIT(option) (1u << OPTION_##option)

static const struct command commands[] = {
    {"migrate", NULL, "[--check] [--sql-dir DIR]", BIT(CHECK) | BIT(SQL_DIR), 0,
	migrate_run, "bring the database to the version of this program"},
    {"org create", "NAME", "NAME [--slug SLUG]", BIT(SLUG), 0, org_create,
	"make an organisation; prints its id"},
    {"org list", NULL, "", 0, 0, org_list, "list the organisations"},
    {"project create", "NAME", "--org SLUG NAME [--slug SLUG] [--keyless]",
	BIT(ORG) | BIT(SLUG) | BIT(KEYLESS), BIT(ORG), project_create,
	"make a project; prints its id"},
    {"project list", NULL, "[--org SLUG]", BIT(ORG), 0, project_list,
	"list projects and their settings"},
    {"project set", NULL,
	"--org SLUG --project SLUG [--name NAME] [--require-key yes|no]\n"
	"        [--origin ORIGIN]... [--any-origin] [--session-timeout TIME]",
	BIT(ORG) | BIT(PROJECT) | BIT(NAME) | BIT(REQUIRE_KEY) | BIT(ORIGIN) |
	    BIT(ANY_ORIGIN) | BIT(SESSION_TIMEOUT),
	BIT(ORG) | BIT(PROJECT), project_set,
	"change a project; prints what has changed"},
    {"key create", "NAME", "--org SLUG --project SLUG NAME [--expires WHEN]",
	BIT(ORG) | BIT(PROJECT) | BIT(EXPIRES), BIT(ORG) | BIT(PROJECT),
	key_create, "make an API key; prints it, this once"},
    {"key list", NULL, "[--org SLUG [--project SLUG]]", BIT(ORG) | BIT(PROJECT),
	0, key_list, "list API keys"},
    {"key rotate", "KEY",
	"--org SLUG --project SLUG KEY [--grace TIME] [--expires WHEN]",
	BIT(ORG) | BIT(PROJECT) | BIT(GRACE) | BIT(EXPIRES),
	BIT(ORG) | BIT(PROJECT), key_rotate,
	"replace an API key; the old one ends after the grace (24h)"},
    {"key revoke", "KEY", "[--org SLUG [--project SLUG]] KEY",
	BIT(ORG) | BIT(PROJECT), 0, key_revoke, "end an API key at once"},
    {"session list", NULL, "--org SLUG --project SLUG [--limit N]",
	BIT(ORG) | BIT(PROJECT) | BIT(LIMIT), BIT(ORG) | BIT(PROJECT),
	session_list, "list a project's sessions, the newest first"},
    {"session show", "SESSION", "--org SLUG --project SLUG SESSION [--limit N]",
	BIT(ORG) | BIT(PROJECT) | BIT(LIMIT), BIT(ORG) | BIT(PROJECT),
	session_show, "print a session and its events"},
    {"dead-letters list", NULL, "[--org SLUG [--project SLUG]] [--limit N]",
	BIT(ORG) | BIT(PROJECT) | BIT(LIMIT), 0, dead_letters_list,
	"list events that PostgreSQL refused, the newest first"},
    {"dead-letters show", "ID", "ID", 0, 0, dead_letters_show,
	"print one of them, field by field"},
};

#define LIMIT_MAX 1000000

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

/* The values are enum command_option, out of the way of getopt's '?'. */
#define OPTION_VALUE 256

#define OPTION(name, argument, id)                                             \
	[OPTION_##id] = {name, argument, NULL, OPTION_VALUE + OPTION_##id}

static const struct option options[] = {
    OPTION("any-origin", no_argument, ANY_ORIGIN),
    OPTION("check", no_argument, CHECK),
    OPTION("expires", required_argument, EXPIRES),
    OPTION("grace", required_argument, GRACE),
    OPTION("json", no_argument, JSON),
    OPTION("keyless", no_argument, KEYLESS),
    OPTION("limit", required_argument, LIMIT),
    OPTION("name", required_argument, NAME),
    OPTION("org", required_argument, ORG),
    OPTION("origin", required_argument, ORIGIN),
    OPTION("project", required_argument, PROJECT),
    OPTION("require-key", required_argument, REQUIRE_KEY),
    OPTION("session-timeout", required_argument, SESSION_TIMEOUT),
    OPTION("slug", required_argument, SLUG),
    OPTION("sql-dir", required_argument, SQL_DIR),
    [OPTION_COUNT] = {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

_Static_assert(sizeof(options) / sizeof(options[0]) == OPTION_COUNT + 2,
    "every option has a name");

void
command_print_help(FILE *out)
{
	size_t i;

	fputs("usage: productgraphctl [-c FILE] COMMAND\n"
	      "       productgraphctl -h | -V\n\n",
	    out);
	for (i = 0; i < COMMAND_COUNT; i++) {
		fprintf(out, "  %s%s%s\n        %s\n", commands[i].words,
		    commands[i].usage[0] == '\0' ? "" : " ", commands[i].usage,
		    commands[i].help);
	}
	fputs("\n"
	      "Each takes --json, to print JSON, and -h, to print its usage.\n"
	      "\n"
	      "  -c FILE        configuration (default: " PGD_CONFIG ")\n"
	      "  -h, --help     print this\n"
	      "  -V, --version  print the version\n",
	    out);
}

void
command_print_usage(FILE *out, const struct command *command)
{
	fprintf(out,
	    "usage: productgraphctl [-c FILE] %s %s%s[--json]\n        %s\n",
	    command->words, command->usage,
	    command->usage[0] == '\0' ? "" : " ", command->help);
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

/* Whether an option can be, here and so often. */
static int
command_check_option(const struct command *command,
    const struct command_args *args, int id, struct err *err)
{
	if (id != OPTION_JSON && !(command->allowed & (1u << id))) {
		return err_set(err, "%s: does not take \"--%s\"",
		    command->words, options[id].name);
	}
	if (id == OPTION_ORIGIN && args->norigins == COMMAND_ORIGINS_MAX) {
		return err_set(err, "%s: more than %d origins", command->words,
		    COMMAND_ORIGINS_MAX);
	}
	if (id != OPTION_ORIGIN && args->option[id]) {
		return err_set(err, "%s: \"--%s\" is given twice",
		    command->words, options[id].name);
	}
	return 0;
}

/* In a word of several letters getopt stands still: the letter is at fault. */
static int
command_refuse_option(
    const struct command *command, const char *word, struct err *err)
{
	const char letter[] = {'-', (char)optopt, '\0'};
	bool one = optopt != 0 && optopt != 'h' && optopt < OPTION_VALUE;

	return err_set(err,
	    "%s: no such option \"%s\" (an operand that begins with \"-\" "
	    "goes behind \"--\")",
	    command->words, one ? letter : word);
}

static int
command_read_options(const struct command *command, int argc, char **argv,
    struct command_args *args, struct err *err)
{
	int c;

	opterr = 0;
	optind = 0; /* glibc: begin anew, with another argv */
	while ((c = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		int id = c - OPTION_VALUE;

		if (c == 'h') {
			args->help = true;
			return 0;
		}
		if (c == ':') {
			return err_set(err, "%s: \"%s\" needs a value",
			    command->words, argv[optind - 1]);
		}
		if (c == '?') {
			return command_refuse_option(
			    command, argv[optind - 1], err);
		}
		if (command_check_option(command, args, id, err) == -1)
			return -1;
		args->option[id] = optarg ? optarg : "";
		if (id == OPTION_ORIGIN)
			args->origins[args->norigins++] = optarg;
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
	/* A project's slug means nothing without its organisation's. */
	if (args->option[OPTION_PROJECT] && !args->option[OPTION_ORG]) {
		return err_set(
		    err, "%s: --project needs --org", command->words);
	}
	return 0;
}

static int
command_read_operand(const struct command *command, int argc, char **argv,
    struct command_args *args, struct err *err)
{
	bool wanted = command->operand != NULL;

	if (argc > wanted) {
		return err_set(err, "%s: \"%s\" is one argument too many",
		    command->words, argv[wanted]);
	}
	if (argc < wanted) {
		return err_set(err, "%s: needs %s %s", command->words,
		    strchr("AEIO", command->operand[0]) ? "an" : "a",
		    command->operand);
	}
	args->operand = wanted ? argv[0] : NULL;
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
	if (command_read_options(command, argc, argv, args, err) == -1)
		return NULL;
	if (args->help)
		return command;
	if (command_check_required(command, args, err) == -1 ||
	    command_read_operand(
		command, argc - optind, argv + optind, args, err) == -1)
		return NULL;
	return command;
}

int
command_read_limit(const struct command_args *args, const char *otherwise,
    char out[COMMAND_LIMIT_TEXT], struct err *err)
{
	const char *text = args->option[OPTION_LIMIT];
	uint64_t n;

	if (!text)
		text = otherwise;
	if (cfg_number_parse(CFG_TYPE_COUNT, text, &n) || n == 0 ||
	    n > LIMIT_MAX) {
		return err_set(err,
		    "--limit: \"%.64s\" is not a whole number from 1 to %d",
		    text, LIMIT_MAX);
	}
	(void)snprintf(out, COMMAND_LIMIT_TEXT, "%d", (int)n);
	return 0;
}
