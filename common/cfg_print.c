/* SPDX-License-Identifier: MIT */
/*
 * cfg_print.c - the configuration and its reference, as text
 *
 * Both are printed from the table of directives, so neither can go stale.
 */
#include <string.h>

#include "common/cfg.h"
#include "common/cfg_value.h"

/* Sections follow one another in cfg.def; indentation tells them apart. */
void
cfg_dump(const struct cfg *cfg, FILE *out)
{
	const struct cfg_directive *d;
	const char *section = "";

	for (d = cfg_directives; d < cfg_directives + CFG_ID_COUNT; d++) {
		if (strcmp(d->section, section) != 0) {
			(void)fprintf(out, "%s\n%s {\n",
			    section[0] == '\0' ? "" : "}\n", d->section);
			section = d->section;
		}
		(void)fprintf(
		    out, "%s%s = ", section[0] == '\0' ? "" : "\t", d->name);
		cfg_value_print(d, cfg, out);
		(void)putc('\n', out);
	}
	if (section[0] != '\0')
		(void)fputs("}\n", out);
}

/* What stands behind the "=" in the reference. */
static const char *
type_word(enum cfg_type type)
{
	switch (type) {
	case CFG_TYPE_COUNT:
		return "number";
	case CFG_TYPE_BYTES:
		return "size";
	case CFG_TYPE_MSEC:
		return "time";
	case CFG_TYPE_TEXT:
		return "text";
	case CFG_TYPE_PATH:
		return "path";
	case CFG_TYPE_LIST:
		return "{ address, ... }";
	case CFG_TYPE_WORD:
		return "word";
	}
	return "";
}

/*
 * Sentences as mdoc text: each on a line of its own, lines kept short, no
 * backslash, and none that begins like a macro.
 */
static void
mdoc_text(const char *text, FILE *out)
{
	size_t len, column = 0;

	for (; *text != '\0'; text += len + strspn(text + len, " ")) {
		len = strcspn(text, " ");
		if (column > 0)
			(void)putc(column + len > 70 ? '\n' : ' ', out);
		if (column + len > 70)
			column = 0;
		if (column == 0 && (*text == '.' || *text == '\''))
			(void)fputs("\\&", out);
		(void)fprintf(out, "%.*s", (int)len, text);
		column += len + 1;
		if (text[len - 1] == '.' && text[len] != '\0') {
			(void)putc('\n', out);
			column = 0;
		}
	}
	(void)putc('\n', out);
}

static void
mdoc_words(const char *words, FILE *out)
{
	(void)fputs("One of\n.Cm ", out);
	for (; *words != '\0'; words++) {
		if (*words == '|')
			(void)fputs(" ,\n.Cm ", out);
		else
			(void)putc(*words, out);
	}
	(void)fputs(" .\n", out);
}

static void
mdoc_range(const struct cfg_directive *d, FILE *out)
{
	char min[CFG_NUMBER_TEXT], max[CFG_NUMBER_TEXT];

	switch (d->type) {
	case CFG_TYPE_COUNT:
	case CFG_TYPE_BYTES:
	case CFG_TYPE_MSEC:
		cfg_number_format(d->type, d->min, min);
		cfg_number_format(d->type, d->max, max);
		(void)fprintf(out, "From %s to %s.\n", min, max);
		return;
	case CFG_TYPE_TEXT:
	case CFG_TYPE_PATH:
		(void)fprintf(
		    out, "At most %llu bytes.\n", (unsigned long long)d->max);
		return;
	case CFG_TYPE_LIST:
		(void)fprintf(
		    out, "At most %llu entries.\n", (unsigned long long)d->max);
		return;
	case CFG_TYPE_WORD:
		mdoc_words(d->words, out);
		return;
	}
}

static void
mdoc_default(const struct cfg_directive *d, FILE *out)
{
	if (d->def[0] == '\0')
		(void)fputs("Default: empty.\n", out);
	else
		(void)fprintf(out, "Default:\n.Ql %s .\n", d->def);
}

static const char *
when_used(const struct cfg_directive *d)
{
	if (d->who == 1u << PROC_CTL)
		return "Used at the next command.";
	return d->reload ? "A reload suffices to change it."
			 : "To change it takes a restart.";
}

static void
mdoc_readers(const struct cfg_directive *d, FILE *out)
{
	const char *between = "Read by";
	unsigned proc;

	for (proc = 0; proc < PROC_COUNT; proc++) {
		if ((d->who & (1u << proc)) == 0)
			continue;
		(void)fprintf(out, "%s %s", between, proc_title(proc));
		between = ",";
	}
	(void)fprintf(out, ".\n%s\n", when_used(d));
}

static void
mdoc_directive(const struct cfg_directive *d, FILE *out)
{
	(void)fprintf(
	    out, ".It Ic %s Li = Ar %s\n", d->name, type_word(d->type));
	mdoc_text(d->doc, out);
	mdoc_default(d, out);
	mdoc_range(d, out);
	mdoc_readers(d, out);
}

void
cfg_print_mdoc(FILE *out)
{
	const struct cfg_directive *d;
	const char *section = NULL;

	for (d = cfg_directives; d < cfg_directives + CFG_ID_COUNT; d++) {
		if (section == NULL || strcmp(d->section, section) != 0) {
			if (section != NULL)
				(void)fputs(".El\n", out);
			section = d->section;
			(void)fprintf(out, ".Ss %s\n.Bl -tag -width Ds\n",
			    section[0] == '\0' ? "Top level" : section);
		}
		mdoc_directive(d, out);
	}
	(void)fputs(".El\n", out);
}
