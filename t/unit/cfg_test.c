/* SPDX-License-Identifier: MIT */
/*
 * cfg_test.c - what the configuration file may say, and what is said about a
 * wrong one, word by word
 *
 * Files are read for real, in a directory of the test's own.
 */
#include "common/cfg.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "common/address.h"

/* Behind a case's text, so that all else is in order; and its line. */
#define PLAIN "http { listen = {} listen_plain = { '127.0.0.1:80' } }\n"
#define PATH_MAX_TEXT 64

static char test_dir[PATH_MAX_TEXT];

static void
enter_directory(void)
{
	(void)snprintf(test_dir, sizeof(test_dir), "/tmp/cfg_test.XXXXXX");
	cr_assert_not_null(mkdtemp(test_dir));
	cr_assert_eq(chdir(test_dir), 0);
	cr_assert_eq(setenv("CFG_TEST", "from the environment", 1), 0);
}

static void
leave_directory(void)
{
	(void)unlink("t.conf");
	(void)unlink("inc.conf");
	(void)unlink("sub/a.conf");
	(void)unlink("sub/b.conf");
	(void)rmdir("sub");
	cr_expect_eq(rmdir(test_dir), 0);
}

static void
write_file(const char *path, const char *text, const char *more)
{
	FILE *f = fopen(path, "w");

	cr_assert_not_null(f);
	cr_assert(fputs(text, f) >= 0 && fputs(more, f) >= 0);
	cr_assert_eq(fclose(f), 0);
}

static struct cfg *
load(const char *text)
{
	struct err err;
	struct cfg *cfg;

	write_file("t.conf", text, PLAIN);
	cfg = cfg_load("t.conf", &err);
	cr_assert_not_null(cfg, "%s", err.text);
	return cfg;
}

static char *
dump(const struct cfg *cfg)
{
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	cr_assert_not_null(f);
	cfg_dump(cfg, f);
	cr_assert_eq(fclose(f), 0);
	return text;
}

TestSuite(cfg, .init = enter_directory, .fini = leave_directory);

/* --- what is refused --- */

static const struct {
	const char *name;
	const char *text;
	const char *message; /* behind "t.conf:" */
} bad[] = {
    {"unknown at the top", "workrs = 3\n",
	"1: unknown directive \"workrs\" at the top level; the nearest is "
	"\"workers\" at the top level"},
    {"unknown in a section", "\n\nhttp {\n  max_bdy = 3\n}\n",
	"4: unknown directive \"max_bdy\" in section \"http\"; the nearest "
	"is \"max_body\" in section \"http\""},
    {"nearest of two prefers the section", "ctl { conifo = 'x' }\n",
	"1: unknown directive \"conifo\" in section \"ctl\"; the nearest "
	"is \"conninfo\" in section \"ctl\""},
    {"unknown and near to nothing", "xyzzyx = 3\n",
	"1: unknown directive \"xyzzyx\" at the top level"},
    {"unknown section", "htp { }\n",
	"1: unknown directive \"htp\" at the top level"},
    {"misplaced at the top", "# c\nmax_body = 1m\n",
	"2: \"max_body\" is misplaced at the top level: it belongs in "
	"section \"http\""},
    {"misplaced in a section", "http {\n/* c\n */ workers = 3\n}\n",
	"3: \"workers\" is misplaced in section \"http\": it belongs at "
	"the top level"},
    {"misplaced by a path", "'http|max_body' = 1m\n",
	"1: no sub-section title/index for 'http'"},
    {"given twice", "workers = 3\n# c\nworkers = 3\n",
	"3: \"workers\" is given twice, first at t.conf:1"},
    {"given twice in two sections",
	"http { max_body = 1m }\nhttp { max_body = 1m }\n",
	"2: \"max_body\" is given twice, first at t.conf:1"},
    {"list given twice", "http {\nlisten = {'*:1', '*:2'}\nlisten = '*:3'\n}\n",
	"3: \"listen\" is given twice, first at t.conf:2"},
    {"list emptied afterwards", "http {\nlisten = {'*:1'}\nlisten = {}\n}\n",
	"4: \"listen\" is given twice, first at t.conf:2"},
    {"no number", "workers = two\n",
	"1: \"workers\": \"two\" is not a whole number"},
    {"count with a unit", "workers = 2k\n",
	"1: \"workers\": \"2k\" is not a whole number"},
    {"negative", "workers = -1\n",
	"1: \"workers\": \"-1\" is not a whole number"},
    {"empty number", "workers = ''\n",
	"1: \"workers\": \"\" is not a whole number"},
    {"count too large", "workers = 257\n",
	"1: \"workers\": 257 is out of bounds: 0 to 256"},
    {"count far too large", "workers = 99999999999999999999999\n",
	"1: \"workers\": 99999999999999999999999 is out of bounds: 0 to "
	"256"},
    {"bad unit of size", "ring_size = 32q\n",
	"1: \"ring_size\": \"32q\" is not a size: a whole number, with k, "
	"m or g for units of 1024"},
    {"unit in capitals", "ring_size = 32M\n",
	"1: \"ring_size\": \"32M\" is not a size: a whole number, with k, "
	"m or g for units of 1024"},
    {"size too small", "ring_size = 1023k\n",
	"1: \"ring_size\": 1023k is out of bounds: 1m to 4g"},
    {"size beyond 64 bits", "ring_size = 99999999999999999g\n",
	"1: \"ring_size\": 99999999999999999g is out of bounds: 1m to "
	"4g"},
    {"time without a unit", "stop_timeout = 30\n",
	"1: \"stop_timeout\": \"30\" is not a time: a whole number and ms, "
	"s, m, h or d"},
    {"time out of bounds", "stop_timeout = 2h\n",
	"1: \"stop_timeout\": 2h is out of bounds: 100ms to 1h"},
    {"time of a fraction", "stop_timeout = 1.5s\n",
	"1: \"stop_timeout\": \"1.5s\" is not a time: a whole number and "
	"ms, s, m, h or d"},
    {"unknown word", "log_level = loud\n",
	"1: \"log_level\": \"loud\" is not one of error, warn, info, "
	"debug"},
    {"part of a word", "log_level = war\n",
	"1: \"log_level\": \"war\" is not one of error, warn, info, "
	"debug"},
    {"empty text", "worker_user = ''\n",
	"1: \"worker_user\" must not be empty"},
    {"control character", "node = \"a\\nb\"\n",
	"1: \"node\" holds a control character"},
    {"relative path", "log_file = 'x.log'\n",
	"1: \"log_file\": \"x.log\" is not an absolute path"},
    {"address without a port", "http { listen = '127.0.0.1' }\n",
	"1: \"listen\": \"127.0.0.1\" is not address:port, [address]:port "
	"or *:port, in quotes"},
    {"address without quotes", "http { listen = *:80 }\n",
	"1: \"listen\": \":80\" is not address:port, [address]:port or "
	"*:port, in quotes"},
    {"line of a list's second entry",
	"http {\nlisten = { '*:1',\n'localhost:80' } }\n",
	"3: \"listen\": \"localhost:80\" is not address:port, "
	"[address]:port or *:port, in quotes"},
    {"no equal sign", "\nworkers 3\n",
	"2: missing equal sign after option 'workers'"},
    {"list for a number", "workers = { 3 }\n", "1: unexpected token '{'"},
    {"brace too many", "}\n", "1: unexpected closing brace"},
    {"section never closed", "# c\nhttp {\n max_body = 1m\n",
	"2: \"{\" is never closed"},
    {"text never closed", "\nnode = \"x\nworkers = 3\n",
	"2: a quoted text is never closed"},
    {"comment never closed", "\n/* x\nworkers = 3\n/",
	"2: a comment is never closed"},
    {"include of a missing file", "\ninclude('nope.conf')\n",
	"2: could not open \"nope.conf\": No such file or directory"},
    {"include of two files", "include('a', 'b')\n",
	"1: include takes one file name"},
    {"include of itself", "include('t.conf')\n",
	"1: files include each other more than 8 deep"},
    {"password in conninfo", "postgres {\nconninfo = 'password = x' }\n",
	"2: \"conninfo\" holds a password: it belongs in a file named by "
	"\"password_file\""},
    {"password of a key", "postgres {\nconninfo = 'sslPassword=x' }\n",
	"2: \"conninfo\" holds a password: it belongs in a file named by "
	"\"password_file\""},
    {"password in a URI", "ctl { conninfo = 'postgres://u:p@h/d' }\n",
	"1: \"conninfo\" holds a password: it belongs in a file named by "
	"\"password_file\""},
    {"password for migrations", "ctl { migrate_conninfo='password=x' }\n",
	"1: \"migrate_conninfo\" holds a password: it belongs in a file "
	"named by \"migrate_password_file\""},
    {"one user for both", "worker_user = 'www'\n# c\naggregator_user = 'www'\n",
	"3: \"worker_user\" and \"aggregator_user\" are both \"www\": one "
	"could trace the other"},
    {"body memory", "http {\n body_memory = 10m\n}\n",
	"2: \"body_memory\" of 10m is less than two bodies of \"max_body\" "
	"and \"max_headers\" together: at least 20512k"},
    {"ring for two bodies", "\nring_size = 16m\nhttp { max_events = 1 }\n",
	"3: \"ring_size\" of 16m does not hold two bodies of \"max_body\" "
	"with \"max_events\": at least 21m"},
};

Test(cfg, says_where_and_what_is_wrong)
{
	char want[512];
	struct cfg *cfg;
	struct err err;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		write_file("t.conf", bad[i].text,
		    strstr(bad[i].message, "never") == NULL ? PLAIN : "");
		(void)snprintf(want, sizeof(want), "t.conf:%s", bad[i].message);
		err.text[0] = '\0';
		cfg = cfg_load("t.conf", &err);
		cr_expect_null(cfg, "%s", bad[i].name);
		cr_expect_str_eq(
		    err.text, want, "%s: \"%s\"", bad[i].name, err.text);
		cfg_destroy(cfg);
	}
}

/* What is missing is missing at the end of the file. */
static const struct {
	const char *name;
	const char *text;
	const char *message;
} incomplete[] = {
    {"empty file", "", "t.conf:1: \"listen\" needs \"tls_certificate\""},
    {"comments alone", "# a\n# b\n",
	"t.conf:2: \"listen\" needs \"tls_certificate\""},
    {"certificate without key", "\nhttp { tls_certificate = '/c' }\n\n",
	"t.conf:2: \"listen\" needs \"tls_certificate_key\""},
    {"nothing to listen on", "http {\nlisten = {}\n}\n",
	"t.conf:3: nothing to listen on: give \"listen\" or "
	"\"listen_plain\""},
};

Test(cfg, says_what_is_missing)
{
	struct cfg *cfg;
	struct err err;
	size_t i;

	for (i = 0; i < sizeof(incomplete) / sizeof(incomplete[0]); i++) {
		write_file("t.conf", incomplete[i].text, "");
		cfg = cfg_load("t.conf", &err);
		cr_expect_null(cfg, "%s", incomplete[i].name);
		cr_expect_str_eq(err.text, incomplete[i].message, "%s: \"%s\"",
		    incomplete[i].name, err.text);
	}
}

/* But a process is not asked for what others need. */
Test(cfg, rules_of_one_process)
{
	struct cfg *cfg;
	struct err err;
	size_t i;

	for (i = 0; i < sizeof(incomplete) / sizeof(incomplete[0]); i++) {
		write_file("t.conf", incomplete[i].text, "");
		cfg = cfg_load_for(PROC_CTL, "t.conf", &err);
		cr_expect_not_null(cfg, "%s", incomplete[i].name);
		cfg_destroy(cfg);
		cr_expect_null(cfg_load_for(PROC_MASTER, "t.conf", &err));
	}
	write_file("t.conf", "ctl { conninfo = 'password=x' }\n", "");
	cr_expect_null(cfg_load_for(PROC_CTL, "t.conf", &err));
	cr_expect_not_null(strstr(err.text, "holds a password"));
}

Test(cfg, refuses_what_is_no_file_of_text)
{
	struct err err;
	FILE *f;

	cr_expect_null(cfg_load("nope.conf", &err));
	cr_expect_str_eq(err.text,
	    "nope.conf: could not open it: No such file or directory");
	cr_expect_null(cfg_load("/", &err));
	cr_expect_str_eq(err.text, "/: is not a regular file");
	cr_assert_not_null(f = fopen("t.conf", "w"));
	cr_assert_eq(fwrite("workers = 1\0\n", 1, 13, f), 13);
	cr_assert_eq(fclose(f), 0);
	cr_expect_null(cfg_load("t.conf", &err));
	cr_expect_str_eq(err.text, "t.conf:1: is not a text file");
}

/* A reload must not wear out: nothing of a failed load stays behind. */
Test(cfg, fails_as_often_as_asked)
{
	struct cfg *cfg;
	struct err err;
	int i;

	write_file("t.conf", "include('inc.conf')\n", PLAIN);
	for (i = 0; i < 50; i++) {
		write_file("inc.conf", "workers = 'x\n", "");
		cr_assert_null(cfg_load("t.conf", &err));
		cr_assert_str_eq(
		    err.text, "inc.conf:1: a quoted text is never closed");
		write_file("inc.conf", "workers = \"\\777\"\n", "");
		cr_assert_null(cfg_load("t.conf", &err));
		cr_assert_str_eq(
		    err.text, "inc.conf:1: invalid octal number '\\777'");
	}
	write_file("inc.conf", "workers = 7\n", "");
	cr_assert_not_null(cfg = cfg_load("t.conf", &err), "%s", err.text);
	cr_expect_eq(cfg->workers, 7);
	cfg_destroy(cfg);
}

/* --- what is taken --- */

Test(cfg, reads_every_type)
{
	struct cfg *cfg = load("// comments of all kinds\n"
			       "workers = 3 # behind a value\n"
			       "log_level = \"debug\"\n"
			       "ring_size = /* here, too */ 65536k\n"
			       "node = 'it\\'s ${CFG_TEST} # \\\\'\n"
			       "stop_timeout = 90s\n"
			       "http {\n"
			       "  keepalive_timeout = 0\n"
			       "  max_event = 4096\n"
			       "  unknown_event_types = store\n"
			       "}\n");

	cr_expect_eq(cfg->workers, 3);
	cr_expect_eq(cfg->log_level, 3);
	cr_expect_eq(cfg->ring_size, 64u << 20);
	cr_expect_str_eq(cfg->node, "it's ${CFG_TEST} # \\");
	cr_expect_eq(cfg->stop_timeout_ms, 90000);
	cr_expect_eq(cfg->keepalive_timeout_ms, 0);
	cr_expect_eq(cfg->max_event, 4096);
	cr_expect_eq(cfg->unknown_event_types, CFG_UNKNOWN_STORE);
	cr_expect_eq(cfg->listen.n, 0);
	cr_assert_eq(cfg->listen_plain.n, 1);
	cr_expect_str_eq(cfg->listen_plain.items[0], "127.0.0.1:80");
	cr_expect_eq(cfg->batch_rows, 10000);
	cfg_destroy(cfg);
}

/* Documented in productgraph.conf(5): single quotes are literal. */
Test(cfg, replaces_variables_in_double_quotes_alone)
{
	struct cfg *cfg = load("node = \"${CFG_TEST}\"\n");

	cr_expect_str_eq(cfg->node, "from the environment");
	cfg_destroy(cfg);
}

Test(cfg, includes_relative_to_the_including_file)
{
	struct cfg *cfg;

	cr_assert_eq(mkdir("sub", 0700), 0);
	write_file(
	    "sub/a.conf", "max_events = 7\n# c\ninclude('b.conf')\n", "");
	write_file("sub/b.conf", "max_body = 2m\n", "");
	cfg = load("http {\n include('sub/a.conf')\n max_event = 1k }\n");
	cr_expect_eq(cfg->max_events, 7);
	cr_expect_eq(cfg->max_body, 2u << 20);
	cr_expect_eq(cfg->max_event, 1024);
	cfg_destroy(cfg);
}

Test(cfg, names_the_included_file)
{
	struct err err;

	write_file("t.conf", "\nhttp {\n include('inc.conf')\n}\n", "");
	write_file("inc.conf", "# c\nmax_body = 2q\n", "");
	cr_expect_null(cfg_load("t.conf", &err));
	cr_expect_str_eq(err.text,
	    "inc.conf:2: \"max_body\": \"2q\" is not a "
	    "size: a whole number, with k, m or g for units of 1024");
	write_file("inc.conf", "listen = {}\nworkers = 2\n", "");
	cr_expect_null(cfg_load("t.conf", &err));
	cr_expect_str_eq(err.text,
	    "inc.conf:2: \"workers\" is misplaced in "
	    "section \"http\": it belongs at the top level");
}

/* --- dump, slice, compare --- */

static const char *const dumped[] = {
    "",
    "node = 'a\\'b\\\\n\\\\\\\\ ${CFG_TEST} \" # /* {'\n",
    "workers = 256 log_level = error stop_timeout = 100ms\n",
    "ring_size = 24m key_table_size = 65537\n",
    "http { retry_after = 3600s keepalive_timeout = 0 drain_size = 0 }\n",
    "http { tls_certificate = '/c' tls_certificate_key = '/k' }\n",
    "ctl { conninfo = \"host='/tmp' dbname=x\" }\n",
};

Test(cfg, dumps_what_loads_to_the_same)
{
	struct cfg *first, *second;
	char *before, *after;
	struct err err;
	size_t i;

	for (i = 0; i < sizeof(dumped) / sizeof(dumped[0]); i++) {
		first = load(dumped[i]);
		before = dump(first);
		write_file("t.conf", before, "");
		second = cfg_load("t.conf", &err);
		cr_assert_not_null(second, "%zu: %s", i, err.text);
		after = dump(second);
		cr_expect_str_eq(before, after, "%zu", i);
		free(before);
		free(after);
		cfg_destroy(first);
		cfg_destroy(second);
	}
}

/* The defaults alone lack a certificate, and only that. */
Test(cfg, defaults_need_only_a_certificate)
{
	struct cfg *cfg = cfg_default(), *loaded;
	char *before = dump(cfg), *after;
	struct err err;

	write_file("t.conf", before, "");
	cr_expect_null(cfg_load("t.conf", &err));
	cr_expect_not_null(strstr(err.text, "tls_certificate"), "%s", err.text);
	cfg->listen_plain = cfg->listen;
	cfg->listen = (struct cfg_list){NULL, 0};
	free(before);
	before = dump(cfg);
	write_file("t.conf", before, "");
	cr_assert_not_null(loaded = cfg_load("t.conf", &err), "%s", err.text);
	after = dump(loaded);
	cr_expect_str_eq(before, after);
	free(before);
	free(after);
	cfg_destroy(cfg);
	cfg_destroy(loaded);
}

/* Else a worker would load what the check did not look at, or the reverse. */
Test(cfg, a_worker_knows_as_the_master_does_whether_tls_is_used)
{
	struct cfg *cfg = cfg_default(), *plain = load("");
	struct cfg *slice = cfg_slice(cfg, PROC_WORKER);

	cr_expect(cfg_uses_tls(cfg));
	cr_expect(cfg_uses_tls(slice));
	cfg_destroy(slice);
	slice = cfg_slice(plain, PROC_WORKER);
	cr_expect_not(cfg_uses_tls(plain));
	cr_expect_not(cfg_uses_tls(slice));
	cfg_destroy(slice);
	cfg_destroy(plain);
	cfg_destroy(cfg);
}

Test(cfg, slices_by_process)
{
	struct cfg *cfg = load("node = 'n'\n"
			       "postgres { password_file = '/p' }\n"
			       "http { tls_certificate_key = '/k' }\n");
	struct cfg *worker = cfg_slice(cfg, PROC_WORKER);
	struct cfg *aggregator = cfg_slice(cfg, PROC_AGGREGATOR);
	struct cfg *master = cfg_slice(cfg, PROC_MASTER);

	cr_expect_str_eq(worker->tls_certificate_key, "/k");
	cr_expect_eq(worker->max_body, cfg->max_body);
	cr_expect_str_eq(worker->pg_password_file, "");
	cr_expect_str_eq(worker->pg_conninfo, "");
	cr_expect_str_eq(worker->ctl_conninfo, "");
	cr_expect_str_eq(worker->node, "");
	cr_expect_eq(worker->batch_rows, 0);
	cr_expect_eq(worker->listen_plain.n, 0);

	cr_expect_str_eq(aggregator->pg_password_file, "/p");
	cr_expect_str_eq(aggregator->pg_conninfo, cfg->pg_conninfo);
	cr_expect_str_eq(aggregator->node, "n");
	cr_expect_str_eq(aggregator->tls_certificate_key, "");
	cr_expect_eq(aggregator->max_body, 0);

	cr_expect_str_eq(master->ctl_conninfo, "");
	cr_expect_eq(master->listen_plain.n, 1);
	cr_expect_neq(master->listen_plain.items, cfg->listen_plain.items);
	cfg_destroy(cfg);
	cfg_destroy(worker);
	cfg_destroy(aggregator);
	cfg_destroy(master);
}

Test(cfg, names_what_needs_a_restart)
{
	struct cfg *old = load("workers = 2\n");
	struct cfg *new = load("workers = 3 ring_size = 64m\n"
			       "http { max_events = 5 }\n");
	char names[64], few[4];
	struct err err;

	cr_expect_eq(cfg_restart_needed(old, old, names, sizeof(names)), 0);
	cr_expect_str_eq(names, "");
	cr_expect_eq(cfg_restart_needed(old, new, names, sizeof(names)), 2);
	cr_expect_str_eq(names, "workers, ring_size");
	cr_expect_eq(cfg_restart_needed(old, new, few, sizeof(few)), 2);
	cr_expect_str_eq(few, "wor");

	cr_expect_eq(cfg_keep_restart(new, old, &err), 0);
	cr_expect_eq(new->workers, 2);
	cr_expect_eq(new->ring_size, old->ring_size);
	cr_expect_eq(new->max_events, 5);
	cr_expect_eq(cfg_restart_needed(old, new, names, sizeof(names)), 0);
	cfg_destroy(old);
	cfg_destroy(new);
}

/* Larger bodies alone would not fit the rings that are there. */
Test(cfg, keeps_the_rules_without_a_restart)
{
	struct cfg *old = load("");
	struct cfg *new =
	    load("ring_size = 128m http { max_body = 50m max_events = 1"
		 " body_memory = 128m }\n");
	struct err err;

	cr_expect_eq(cfg_keep_restart(new, old, &err), -1);
	cr_expect_str_eq(err.text,
	    "without a restart: \"ring_size\" of 32m "
	    "does not hold two bodies of \"max_body\" with \"max_events\": at "
	    "least 101m");
	cfg_destroy(old);
	cfg_destroy(new);
}

Test(cfg, knows_whom_a_change_concerns)
{
	struct cfg *a = load("");
	struct cfg *b = load("postgres { batch_rows = 5 }\n");

	cr_expect_not(cfg_differs(a, a, PROC_AGGREGATOR));
	cr_expect(cfg_differs(a, b, PROC_AGGREGATOR));
	cr_expect_not(cfg_differs(a, b, PROC_WORKER));
	cfg_destroy(a);
	cfg_destroy(b);
}

Test(cfg, prints_a_reference_of_every_directive)
{
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	cfg_print_mdoc(f);
	cr_assert_eq(fclose(f), 0);
#define DIRECTIVE(                                                             \
    section, name, type, member, def, min, max, words, when, who, doc)         \
	cr_expect_not_null(                                                    \
	    strstr(text, ".It Ic " name " Li = Ar "), "%s", name);
#include "common/cfg.def"
	free(text);
}

/* --- addresses --- */

static const struct {
	const char *text;
	size_t n;
} addresses[] = {
    {"*:80", 2},
    {"127.0.0.1:65535", 1},
    {"[::1]:1", 1},
    {"[::]:8443", 1},
    {"[::ffff:1.2.3.4]:80", 1},
    {"", 0},
    {":80", 0},
    {"*", 0},
    {"*:", 0},
    {"*:0", 0},
    {"*:65536", 0},
    {"*:080000", 0},
    {"*:+80", 0},
    {"*: 80", 0},
    {"*:80x", 0},
    {"**:80", 0},
    {"127.0.0.1", 0},
    {"127.1:80", 0},
    {"256.0.0.1:80", 0},
    {"::1:80", 0},
    {"[::1]", 0},
    {"[::1]80", 0},
    {"[127.0.0.1]:80", 0},
    {"[]:80", 0},
    {"[::1:80", 0},
    {"localhost:80", 0},
    {"[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:80", 0},
};

Test(cfg, knows_the_form_of_an_address)
{
	struct address out[2];
	size_t i;

	for (i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
		cr_expect_eq(address_parse(addresses[i].text, out),
		    addresses[i].n, "%s", addresses[i].text);
}
