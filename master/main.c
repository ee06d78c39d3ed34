/* SPDX-License-Identifier: MIT */
/*
 * main.c - the command line of productgraphd
 *
 * Reads the options and the configuration and does the one thing asked for.
 * Whatever is wrong with either is said here, before anything is started.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <bsd/unistd.h>
#include <event2/event.h>

#include "common/cfg.h"
#include "common/event_fields.h"
#include "common/exitcode.h"
#include "common/proc.h"
#include "master/check.h"
#include "master/daemon.h"
#include "master/master.h"
#include "master/signals.h"

#ifndef PGD_VERSION
#define PGD_VERSION "unreleased"
#endif
#ifndef PGD_CONFIG
#define PGD_CONFIG "/etc/productgraph.conf"
#endif

enum mode {
	MODE_RUN,
	MODE_TEST,
	MODE_DUMP,
	MODE_SIGNAL,
};

/* An option that has no letter. */
#define OPTION_PRINT 256

struct options {
	enum mode mode;
	const char *path;
	const char *word;     /* of -s */
	const char *pid_file; /* of -p, for -s; NULL: the configuration's */
	bool foreground;
};

static int
complain(int code, const char *what)
{
	(void)fprintf(stderr, "productgraphd: %s\n", what);
	return code;
}

/* --- what needs no configuration --- */

static int
usage(FILE *out, int code)
{
	(void)fputs(
	    "usage: productgraphd [-c file] [-f]\n"
	    "       productgraphd [-c file] -t | -T\n"
	    "       productgraphd [-c file] [-p file] -s stop | quit | reload\n"
	    "       productgraphd --print mdoc-directives | fields-markdown\n"
	    "       productgraphd -V | -h\n"
	    "\n"
	    "  -c file  configuration (default: " PGD_CONFIG ")\n"
	    "  -f       stay in the foreground\n"
	    "  -p file  pid file of the daemon to signal\n"
	    "  -t       test the configuration and exit\n"
	    "  -T       test it and print it, defaults included\n"
	    "  -s word  send the running daemon a signal\n"
	    "  -V       print version and build options\n",
	    out);
	return code;
}

static int
print_version(void)
{
	(void)printf("productgraphd %s\n", PGD_VERSION);
	(void)printf("compiler %s\n", __VERSION__);
	(void)printf("configuration %s\n", PGD_CONFIG);
	(void)printf("libevent %s\n", event_get_version());
#ifdef HAVE_ZSTD
	(void)printf("zstd yes\n");
#else
	(void)printf("zstd no\n");
#endif
#ifdef __SANITIZE_ADDRESS__
	(void)printf("sanitizers address, undefined\n");
#endif
	return EXIT_DONE;
}

static int
print_part(const char *what)
{
	static const struct {
		const char *name;
		void (*print)(FILE *);
	} parts[] = {
	    {"mdoc-directives", cfg_print_mdoc},
	    {"fields-markdown", event_fields_print_markdown},
	};
	size_t i;

	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (strcmp(parts[i].name, what) == 0) {
			parts[i].print(stdout);
			return fflush(stdout) == 0 ? EXIT_DONE : EXIT_OS;
		}
	return usage(stderr, EXIT_USAGE);
}

/* --- what does --- */

static int
test_config(const struct cfg *cfg, const struct options *options)
{
	struct err err;

	if (check_config(cfg, &err) == -1)
		return complain(EXIT_CONFIG, err.text);
	if (options->mode == MODE_DUMP) {
		cfg_dump(cfg, stdout);
		return fflush(stdout) == 0 ? EXIT_DONE : EXIT_OS;
	}
	(void)fprintf(stderr, "productgraphd: configuration \"%s\" is fine\n",
	    options->path);
	return EXIT_DONE;
}

/* The process that holds the lock on the pid file, or 0. */
static pid_t
running_pid(const char *path)
{
	char text[32] = "";
	int fd, locked;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return 0;
	locked = flock(fd, LOCK_SH | LOCK_NB) == -1 && errno == EWOULDBLOCK;
	if (locked && read(fd, text, sizeof(text) - 1) < 1)
		locked = 0;
	(void)close(fd);
	return locked ? (pid_t)strtol(text, NULL, 10) : 0;
}

static int
send_signal(int signo, const char *pid_file)
{
	pid_t pid = running_pid(pid_file);
	struct err err;

	if (pid <= 0) {
		(void)err_set(
		    &err, "not running, as \"%.400s\" has it", pid_file);
		return complain(EXIT_OS, err.text);
	}
	if (kill(pid, signo) == -1) {
		(void)err_set(&err, "could not signal process %d: %s", (int)pid,
		    strerror(errno));
		return complain(EXIT_OS, err.text);
	}
	return EXIT_DONE;
}

/*
 * A reload that would fail is refused here already, where the caller sees it:
 * the daemon can tell its log alone.  A broken file must not keep anybody from
 * ending the daemon, and a guess could end another: with -p it is not needed.
 */
static int
signal_daemon(const struct options *options)
{
	int code, signo = signals_by_word(options->word);
	struct cfg *cfg;
	struct err err;

	if (signo != SIGHUP && options->pid_file != NULL)
		return send_signal(signo, options->pid_file);
	if ((cfg = cfg_load(options->path, &err)) == NULL) {
		code = complain(EXIT_CONFIG, err.text);
		if (signo != SIGHUP)
			(void)complain(code,
			    "without that file, name the daemon's pid file: "
			    "-p file");
		return code;
	}
	if (signo == SIGHUP && check_config(cfg, &err) == -1)
		code = complain(EXIT_CONFIG, err.text);
	else
		code = send_signal(signo,
		    options->pid_file == NULL ? cfg->pid_file
					      : options->pid_file);
	cfg_destroy(cfg);
	return code;
}

/* Absolute, because the daemon reads it again from "/". */
static int
run(struct cfg *take_cfg, const struct options *options)
{
	char *path = realpath(options->path, NULL);
	struct err err;
	int code, fd = -1, keep[1];

	/* What the caller left open is none of the daemon's business. */
	proc_close_others(keep, 0);
	if (path == NULL || chdir("/") == -1) {
		cfg_destroy(take_cfg);
		free(path);
		return complain(EXIT_OS, strerror(errno));
	}
	if (!options->foreground && (fd = daemon_detach(&err)) == -1) {
		cfg_destroy(take_cfg);
		free(path);
		return complain(EXIT_OS, err.text);
	}
	code = master_run(take_cfg, path, options->foreground, fd);
	free(path);
	return code;
}

static int
with_config(const struct options *options)
{
	struct cfg *cfg;
	struct err err;
	int code;

	if ((cfg = cfg_load(options->path, &err)) == NULL)
		return complain(EXIT_CONFIG, err.text);
	if (options->mode == MODE_RUN)
		return run(cfg, options);
	code = test_config(cfg, options);
	cfg_destroy(cfg);
	return code;
}

int
main(int argc, char **argv)
{
	static const struct option long_options[] = {
	    {"print", required_argument, NULL, OPTION_PRINT},
	    {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'V'},
	    {NULL, 0, NULL, 0},
	};
	struct options options = {.mode = MODE_RUN, .path = PGD_CONFIG};
	int c;

	/* Whoever ignored it for us would have our children vanish unseen. */
	(void)signal(SIGCHLD, SIG_DFL);
	/* Before the titles' code copies the environment. */
	proc_scrub_environment();
	proc_title_init(argc, argv);
	while ((c = getopt_long(
		    argc, argv, "c:fhp:s:tTV", long_options, NULL)) != -1) {
		switch (c) {
		case 'c':
			options.path = optarg;
			break;
		case 'f':
			options.foreground = true;
			break;
		case 's':
			options.mode = MODE_SIGNAL;
			options.word = optarg;
			break;
		case 't':
			options.mode = MODE_TEST;
			break;
		case 'T':
			options.mode = MODE_DUMP;
			break;
		case 'p':
			options.pid_file = optarg;
			break;
		case OPTION_PRINT:
			return print_part(optarg);
		case 'V':
			return print_version();
		case 'h':
			return usage(stdout, EXIT_DONE);
		default:
			return usage(stderr, EXIT_USAGE);
		}
	}
	if (optind < argc ||
	    (options.mode == MODE_SIGNAL) !=
		(options.word != NULL && signals_by_word(options.word) != 0) ||
	    (options.mode != MODE_SIGNAL && options.pid_file != NULL))
		return usage(stderr, EXIT_USAGE);
	if (options.mode == MODE_SIGNAL)
		return signal_daemon(&options);
	return with_config(&options);
}
