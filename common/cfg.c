/* SPDX-License-Identifier: MIT */
/*
 * cfg.c - the life of a configuration: made, sliced, compared, wiped
 *
 * Every function is a walk over the table of directives; what a type means
 * stands in cfg_value.c, the file's form in cfg_file.c, rules between
 * directives in cfg_rules.c.
 */
#include "common/cfg.h"

#include <stdlib.h>
#include <string.h>

#include "common/cfg_file.h"
#include "common/cfg_rules.h"
#include "common/cfg_value.h"

#define FOREACH_DIRECTIVE(d)                                                   \
	for ((d) = cfg_directives; (d) < cfg_directives + CFG_ID_COUNT; (d)++)

struct cfg *
cfg_default(void)
{
	const struct cfg_directive *d;
	struct cfg *cfg;

	if ((cfg = calloc(1, sizeof(*cfg))) == NULL)
		return NULL;
	FOREACH_DIRECTIVE(d)
	if (cfg_value_set_default(d, cfg) == -1) {
		cfg_destroy(cfg);
		return NULL;
	}
	return cfg;
}

static struct cfg *
load(const char *path, unsigned who, struct err *err)
{
	struct cfg *cfg;

	if ((cfg = cfg_default()) == NULL) {
		(void)err_set(err, "%.200s: out of memory", path);
		return NULL;
	}
	if (cfg_file_read(path, who, cfg, err) == -1) {
		cfg_destroy(cfg);
		return NULL;
	}
	return cfg;
}

struct cfg *
cfg_load(const char *path, struct err *err)
{
	return load(path, CFG_RULES_ALL, err);
}

struct cfg *
cfg_load_for(enum proc proc, const char *path, struct err *err)
{
	return load(path, 1u << proc, err);
}

void
cfg_destroy(struct cfg *cfg)
{
	const struct cfg_directive *d;

	if (cfg == NULL)
		return;
	FOREACH_DIRECTIVE(d)
	cfg_value_free(d, cfg);
	free(cfg);
}

struct cfg *
cfg_slice(const struct cfg *cfg, enum proc proc)
{
	const struct cfg_directive *d;
	struct cfg *slice;
	int ret;

	if ((slice = calloc(1, sizeof(*slice))) == NULL)
		return NULL;
	FOREACH_DIRECTIVE(d)
	{
		if ((d->who & (1u << proc)) != 0)
			ret = cfg_value_copy(d, slice, cfg);
		else
			ret = cfg_value_clear(d, slice);
		if (ret == -1) {
			cfg_destroy(slice);
			return NULL;
		}
	}
	return slice;
}

/* Appends ", name" as far as it fits. */
static void
names_add(char *names, size_t size, const char *name)
{
	size_t used = strlen(names);

	(void)snprintf(
	    names + used, size - used, "%s%s", used == 0 ? "" : ", ", name);
}

size_t
cfg_restart_needed(
    const struct cfg *old, const struct cfg *new, char *names, size_t size)
{
	const struct cfg_directive *d;
	size_t n = 0;

	names[0] = '\0';
	FOREACH_DIRECTIVE(d)
	if (!d->reload && !cfg_value_equal(d, old, new)) {
		names_add(names, size, d->name);
		n++;
	}
	return n;
}

int
cfg_keep_restart(struct cfg *new, const struct cfg *old, struct err *err)
{
	const struct cfg_directive *d;
	const enum cfg_id *about;
	struct err broken;

	FOREACH_DIRECTIVE(d)
	if (!d->reload && cfg_value_copy(d, new, old) == -1)
		return err_set(err, "out of memory");
	if (cfg_rules_check(new, CFG_RULES_ALL, &about, &broken) == -1)
		return err_set(err, "without a restart: %.400s", broken.text);
	return 0;
}

bool
cfg_differs(const struct cfg *a, const struct cfg *b, enum proc proc)
{
	const struct cfg_directive *d;

	FOREACH_DIRECTIVE(d)
	if ((d->who & (1u << proc)) != 0 && !cfg_value_equal(d, a, b))
		return true;
	return false;
}

bool
cfg_uses_tls(const struct cfg *cfg)
{
	return cfg->listen.n > 0;
}
