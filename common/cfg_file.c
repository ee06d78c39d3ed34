/* SPDX-License-Identifier: MIT */
/*
 * cfg_file.c - the form of productgraph.conf: names, sections, lists, includes
 *
 * libConfuse reads the form and hands over every value as text with its file
 * and line; what a value means stands in cfg_value.c.  Values are converted as
 * they come, so that errors come in the order of the file.
 *
 * Four things libConfuse 3.3 does not do well are done here: it counts a
 * comment's lines twice (so comments are blanked out before it sees them),
 * does not notice a section that is never closed, keeps a file open after an
 * error in an included one, and exits on a read error (so files are read here
 * and handed over as memory).  It replaces ${NAME} by the environment's, in
 * double quotes and outside of quotes; in single quotes it does not.
 */
#include "common/cfg_file.h"

#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/cfg_rules.h"
#include "common/cfg_value.h"

#define FILE_BYTES_MAX (1u << 20)
#define INCLUDE_DEPTH_MAX 8
#define FILES_MAX 64 /* read altogether */
#define SECTIONS_MAX 8
#define OPTIONS_MAX (CFG_ID_COUNT + SECTIONS_MAX + 2)

/* Where a directive was given. */
struct place {
	char *file; /* NULL: nowhere */
	int line;
};

struct loader {
	struct cfg *cfg;
	struct err *err;
	bool failed;
	struct place given[CFG_ID_COUNT];
	const char *section; /* that the file being read was included into */
	unsigned depth;
	int last_line; /* of the first file */
	/*
	 * Kept to the end: freeing one resets the scanner, which may still be
	 * in the midst of another.
	 */
	cfg_t *files[FILES_MAX];
	size_t nfiles;
};

/* libConfuse's callbacks take no argument of ours. */
static struct loader *loading;

static int loader_read(const char *, const char *section);

/* --- errors --- */

/* Keeps the first: what libConfuse says after it is a consequence. */
static int PRINTF_LIKE(3, 4)
    fail(const char *file, int line, const char *fmt, ...)
{
	struct err what;
	va_list ap;

	if (loading->failed)
		return -1;
	va_start(ap, fmt);
	(void)vsnprintf(what.text, sizeof(what.text), fmt, ap);
	va_end(ap);
	loading->failed = true;
	if (line == 0)
		return err_set(loading->err, "%.200s: %.300s", file, what.text);
	return err_set(
	    loading->err, "%.200s:%d: %.300s", file, line, what.text);
}

/* Levenshtein's distance; names longer than the table are far from all. */
static size_t
name_distance(const char *a, const char *b)
{
	size_t row[64], i, j, diagonal, above;
	size_t len = strlen(b);

	if (strlen(a) >= 64 || len >= 64)
		return 64;
	for (j = 0; j <= len; j++)
		row[j] = j;
	for (i = 1; a[i - 1] != '\0'; i++) {
		diagonal = row[0];
		row[0] = i;
		for (j = 1; j <= len; j++) {
			above = row[j];
			row[j] = diagonal + (a[i - 1] != b[j - 1]);
			if (row[j] > above + 1)
				row[j] = above + 1;
			if (row[j] > row[j - 1] + 1)
				row[j] = row[j - 1] + 1;
			diagonal = above;
		}
	}
	return row[len];
}

static const char *
section_words(const char *section, char *out, size_t size)
{
	if (section[0] == '\0')
		return "at the top level";
	(void)snprintf(out, size, "in section \"%s\"", section);
	return out;
}

/* The directive of that name in another section. */
static const struct cfg_directive *
find_elsewhere(const char *name)
{
	size_t i;

	for (i = 0; i < CFG_ID_COUNT; i++)
		if (strcmp(cfg_directives[i].name, name) == 0)
			return &cfg_directives[i];
	return NULL;
}

/* A third of the letters may be wrong; among equals, the same section's. */
static const struct cfg_directive *
find_nearest(const char *name, const char *section)
{
	const struct cfg_directive *d, *nearest = NULL;
	size_t i, score, best = 2 * (strlen(name) / 3 + 1);

	for (i = 0; i < CFG_ID_COUNT; i++) {
		d = &cfg_directives[i];
		score = 2 * name_distance(name, d->name) +
		    (strcmp(section, d->section) != 0);
		if (score <= best) {
			best = score - 1;
			nearest = d;
		}
	}
	return nearest;
}

static void
fail_unknown(const char *file, int line, const char *name, const char *section)
{
	char here[80], there[80];
	const char *where = section_words(section, here, sizeof(here));
	const struct cfg_directive *d;

	if ((d = find_elsewhere(name)) != NULL)
		(void)fail(file, line,
		    "\"%s\" is misplaced %s: it belongs "
		    "%s",
		    name, where,
		    section_words(d->section, there, sizeof(there)));
	else if ((d = find_nearest(name, section)) != NULL)
		(void)fail(file, line,
		    "unknown directive \"%.64s\" %s; the "
		    "nearest is \"%s\" %s",
		    name, where, d->name,
		    section_words(d->section, there, sizeof(there)));
	else
		(void)fail(
		    file, line, "unknown directive \"%.64s\" %s", name, where);
}

/* An included file has no name of a section: it is where it was included. */
static const char *
section_of(const cfg_t *conf)
{
	return strcmp(conf->name, "root") == 0 ? loading->section : conf->name;
}

static void PRINTF_LIKE(2, 0) on_error(cfg_t *conf, const char *fmt, va_list ap)
{
	char text[256];

	/* The one message that we can better. */
	if (strcmp(fmt, "no such option '%s'") == 0) {
		fail_unknown(conf->filename, conf->line, va_arg(ap, char *),
		    section_of(conf));
		return;
	}
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	(void)fail(conf->filename, conf->line, "%s", text);
}

/* --- values --- */

static const struct cfg_directive *
find_directive(const char *section, const char *name)
{
	size_t i;

	for (i = 0; i < CFG_ID_COUNT; i++)
		if (strcmp(cfg_directives[i].section, section) == 0 &&
		    strcmp(cfg_directives[i].name, name) == 0)
			return &cfg_directives[i];
	return NULL;
}

/* A first value replaces the default and may come only once. */
static int
note_given(const struct cfg_directive *d, const cfg_t *conf)
{
	struct place *place = &loading->given[d - cfg_directives];

	if (place->file != NULL)
		return fail(conf->filename, conf->line,
		    "\"%s\" is given twice, first at %s:%d", d->name,
		    place->file, place->line);
	if ((place->file = strdup(conf->filename)) == NULL)
		return fail(conf->filename, conf->line, "out of memory");
	place->line = conf->line;
	if (d->type == CFG_TYPE_LIST)
		cfg_value_free(d, loading->cfg);
	return 0;
}

static int
on_value(cfg_t *conf, cfg_opt_t *opt, const char *text, void *result)
{
	const struct cfg_directive *d =
	    find_directive(section_of(conf), opt->name);
	struct err err;

	/* libConfuse takes "http|listen" for a path into a section. */
	if (d == NULL) {
		fail_unknown(
		    conf->filename, conf->line, opt->name, section_of(conf));
		return -1;
	}
	/* The value has been counted already; further ones are a list's. */
	if (opt->nvalues == 1 && note_given(d, conf) == -1)
		return -1;
	if (cfg_value_set(d, loading->cfg, text, &err) == -1)
		return fail(conf->filename, conf->line, "%s", err.text);
	*(const char **)result = text;
	return 0;
}

/* For the empty list libConfuse calls nobody. */
static int
take_empty_lists(cfg_t *conf, const char *section)
{
	const struct cfg_directive *d;
	cfg_opt_t *opt;
	unsigned i;

	for (opt = conf->opts; opt->name != NULL; opt++) {
		if (opt->type == CFGT_SEC) {
			for (i = 0; i < cfg_opt_size(opt); i++)
				if (take_empty_lists(cfg_opt_getnsec(opt, i),
					opt->name) == -1)
					return -1;
			continue;
		}
		if ((opt->flags & CFGF_LIST) == 0 || opt->nvalues > 0 ||
		    (opt->flags & CFGF_MODIFIED) == 0 ||
		    (d = find_directive(section, opt->name)) == NULL)
			continue;
		if (note_given(d, conf) == -1)
			return -1;
	}
	return 0;
}

/* --- includes --- */

/* Relative to the file that includes it: a daemon works in "/". */
static int
include_path(const char *including, const char *name, char *out, size_t size)
{
	const char *slash = strrchr(including, '/');
	int dir = slash == NULL ? 0 : (int)(slash - including) + 1;
	int n;

	if (name[0] == '/')
		dir = 0;
	n = snprintf(out, size, "%.*s%s", dir, including, name);
	return n < 0 || (size_t)n >= size ? -1 : 0;
}

static int
on_include(cfg_t *conf, cfg_opt_t *opt, int argc, const char **argv)
{
	const char *outer = loading->section;
	char path[4096];
	int ret;

	(void)opt;
	if (argc != 1)
		return fail(
		    conf->filename, conf->line, "include takes one file name");
	if (loading->depth >= INCLUDE_DEPTH_MAX)
		return fail(conf->filename, conf->line,
		    "files include each other more than %d deep",
		    INCLUDE_DEPTH_MAX);
	if (include_path(conf->filename, argv[0], path, sizeof(path)) == -1)
		return fail(
		    conf->filename, conf->line, "name of a file is too long");
	/* The line to correct is the one that names it. */
	if (access(path, R_OK) == -1)
		return fail(conf->filename, conf->line,
		    "could not open \"%.200s\": %s", path, strerror(errno));
	loading->depth++;
	loading->section = section_of(conf);
	ret = loader_read(path, loading->section);
	loading->section = outer;
	loading->depth--;
	return ret;
}

/* --- files --- */

static int
read_all(int fd, struct buf *text)
{
	ssize_t n;

	do {
		if (buf_reserve(text, 4096) == -1) {
			errno = EFBIG;
			return -1;
		}
		n = read(fd, text->data + text->len, text->cap - text->len);
		if (n > 0)
			text->len += (size_t)n;
	} while (n > 0 || (n == -1 && errno == EINTR));
	return n == -1 ? -1 : 0;
}

static int
slurp(const char *path, struct buf *text)
{
	struct stat st;
	int fd, ret = -1;

	text->limit = FILE_BYTES_MAX;
	/* Non-blocking for the sake of a FIFO of that name. */
	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) == -1)
		return fail(path, 0, "could not open it: %s", strerror(errno));
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode))
		(void)fail(path, 0, "is not a regular file");
	else if (read_all(fd, text) == -1)
		(void)fail(path, 0, "could not read it: %s", strerror(errno));
	else
		ret = 0;
	(void)close(fd);
	return ret;
}

static bool
is_comment(const char *p, const char *end)
{
	return *p == '#' ||
	    (end - p > 1 && p[0] == '/' && (p[1] == '/' || p[1] == '*'));
}

static char *
comment_end(char *p, char *end)
{
	size_t left = (size_t)(end - p);
	char *stop;

	if (p[0] == '#' || p[1] == '/') {
		stop = memchr(p, '\n', left);
		return stop == NULL ? end : stop;
	}
	stop = memmem(p + 2, left - 2, "*/", 2);
	return stop == NULL ? NULL : stop + 2;
}

static char *
string_end(char *p, char *end)
{
	char quote = *p;

	for (p++; p < end && *p != quote; p++)
		if (*p == '\\')
			p++;
	return p < end ? p + 1 : NULL;
}

/* Behind the comment, the string or the character at p; NULL: it has no end. */
static char *
token_end(char *p, char *end)
{
	if (is_comment(p, end))
		return comment_end(p, end);
	if (*p == '"' || *p == '\'')
		return string_end(p, end);
	return p + 1;
}

/* Keeps the lines. */
static void
blank(char *p, const char *end)
{
	for (; p < end; p++)
		if (*p != '\n')
			*p = ' ';
}

static int
count_lines(const char *p, const char *end)
{
	int n = 0;

	for (; p < end; p++)
		n += *p == '\n';
	return n;
}

/*
 * Blanks comments out and finds what was never closed.  Returns the number of
 * the last line.
 */
static int
prepare(const char *path, struct buf *text)
{
	char *p = text->data, *end = text->data + text->len, *stop;
	int line = 1, depth = 0, opened = 0;

	if (memchr(p, '\0', text->len) != NULL)
		return fail(path, 1, "is not a text file");
	for (; p < end; p = stop) {
		if ((stop = token_end(p, end)) == NULL)
			return fail(path, line, "%s is never closed",
			    *p == '/' ? "a comment" : "a quoted text");
		if (*p == '{' && depth++ == 0)
			opened = line;
		else if (*p == '}' && depth > 0)
			depth--;
		line += count_lines(p, stop);
		if (is_comment(p, end))
			blank(p, stop);
	}
	if (depth > 0)
		return fail(path, opened, "\"{\" is never closed");
	return text->data[text->len - 1] == '\n' ? line - 1 : line;
}

/* The options libConfuse shall know in a section; returns how many. */
static size_t
section_options(const char *section, cfg_opt_t *opts)
{
	const struct cfg_directive *d;
	cfg_opt_t include = CFG_FUNC("include", on_include);
	size_t n = 0;

	for (d = cfg_directives; d < cfg_directives + CFG_ID_COUNT; d++) {
		cfg_opt_t text =
		    CFG_STR_CB(d->name, NULL, CFGF_NODEFAULT, on_value);
		cfg_opt_t list =
		    CFG_STR_LIST_CB(d->name, NULL, CFGF_NODEFAULT, on_value);

		if (strcmp(d->section, section) == 0)
			opts[n++] = d->type == CFG_TYPE_LIST ? list : text;
	}
	opts[n++] = include;
	return n;
}

/*
 * A scanner for a file whose top is in section.  Sections may come more than
 * once, so that an included file can add to one.
 */
static cfg_t *
scanner_create(const char *section)
{
	cfg_opt_t top[OPTIONS_MAX], inner[SECTIONS_MAX][OPTIONS_MAX];
	const cfg_opt_t end = CFG_END();
	const char *last = "";
	size_t i, n, sections = 0;

	n = section_options(section, top);
	for (i = 0; i < CFG_ID_COUNT && section[0] == '\0'; i++) {
		if (strcmp(cfg_directives[i].section, last) == 0)
			continue;
		last = cfg_directives[i].section;
		inner[sections][section_options(last, inner[sections])] = end;
		cfg_opt_t sec =
		    CFG_SEC((char *)last, inner[sections], CFGF_MULTI);
		top[n++] = sec;
		sections++;
	}
	top[n] = end;
	return cfg_init(top, CFGF_NONE);
}

static int
scan(const char *path, const char *section, const struct buf *text)
{
	cfg_t *conf;
	FILE *in;
	int ret;

	if (loading->nfiles == FILES_MAX)
		return fail(path, 1, "is one file too many: %d", FILES_MAX);
	if ((conf = scanner_create(section)) == NULL)
		return fail(path, 1, "out of memory");
	loading->files[loading->nfiles++] = conf;
	(void)cfg_set_error_function(conf, on_error);
	conf->filename = strdup(path);
	in = fmemopen(text->data, text->len, "r");
	if (conf->filename == NULL || in == NULL) {
		ret = fail(path, 1, "out of memory");
	} else if (cfg_parse_fp(conf, in) != CFG_SUCCESS) {
		ret = fail(path, conf->line, "syntax error");
	} else {
		ret = take_empty_lists(conf, section);
	}
	if (in != NULL)
		(void)fclose(in);
	return ret;
}

static int
loader_read(const char *path, const char *section)
{
	struct buf text = BUF_INIT;
	int line = 1, ret = -1;

	if (slurp(path, &text) == -1)
		goto out;
	if (text.len > 0) {
		if ((line = prepare(path, &text)) == -1 ||
		    scan(path, section, &text) == -1)
			goto out;
	}
	loading->last_line = line;
	ret = 0;
out:
	buf_free(&text);
	return ret;
}

/*
 * A broken rule is reported where the last of its directives was given in the
 * first file, or where none was, at its end, where it was still missing.
 */
static int
check_rules(const char *path, unsigned who)
{
	const enum cfg_id *about;
	const struct place *place, *at = NULL;
	struct err err;

	if (cfg_rules_check(loading->cfg, who, &about, &err) == 0)
		return 0;
	for (; *about != CFG_ID_COUNT; about++) {
		place = &loading->given[*about];
		if (place->file != NULL &&
		    (at == NULL || place->line > at->line))
			at = place;
	}
	if (at == NULL)
		return fail(path, loading->last_line, "%s", err.text);
	return fail(at->file, at->line, "%s", err.text);
}

int
cfg_file_read(const char *path, unsigned who, struct cfg *cfg, struct err *err)
{
	struct loader loader = {.cfg = cfg, .err = err, .section = ""};
	size_t i;
	int ret;

	loading = &loader;
	ret = loader_read(path, "");
	if (ret == 0)
		ret = check_rules(path, who);
	for (i = 0; i < loader.nfiles; i++)
		(void)cfg_free(loader.files[i]);
	for (i = 0; i < CFG_ID_COUNT; i++)
		free(loader.given[i].file);
	loading = NULL;
	return ret;
}
