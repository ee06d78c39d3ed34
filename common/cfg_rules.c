/* SPDX-License-Identifier: MIT */
/*
 * cfg_rules.c - the rules between directives, one function each
 *
 * Bounds of a single directive stand in cfg.def and are checked when it is
 * read.  Whether files exist and are fit is not looked at here: the master has
 * that done in a child thrown away.
 */
#include "common/cfg_rules.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "common/row.h"

static int
rule_some_listener(const struct cfg *cfg, struct err *err)
{
	if (cfg->listen.n > 0 || cfg->listen_plain.n > 0)
		return 0;
	return err_set(
	    err, "nothing to listen on: give \"listen\" or \"listen_plain\"");
}

static int
rule_certificate(const struct cfg *cfg, struct err *err)
{
	if (!cfg_uses_tls(cfg))
		return 0;
	if (cfg->tls_certificate[0] == '\0')
		return err_set(err, "\"listen\" needs \"tls_certificate\"");
	if (cfg->tls_certificate_key[0] == '\0')
		return err_set(err, "\"listen\" needs \"tls_certificate_key\"");
	return 0;
}

/*
 * Else no request of the largest size could ever be read; a compressed body is
 * there twice.
 */
static int
rule_body_memory(const struct cfg *cfg, struct err *err)
{
	char have[CFG_NUMBER_TEXT], want[CFG_NUMBER_TEXT];
	size_t need = 2 * cfg->max_body + cfg->max_headers;

	if (cfg->body_memory >= need)
		return 0;
	cfg_number_format(CFG_TYPE_BYTES, cfg->body_memory, have);
	cfg_number_format(CFG_TYPE_BYTES, need, want);
	return err_set(err,
	    "\"body_memory\" of %s is less than two bodies of "
	    "\"max_body\" and \"max_headers\" together: at least %s",
	    have, want);
}

/* A ring with room for one largest body alone would stand still behind it. */
static int
rule_ring_size(const struct cfg *cfg, struct err *err)
{
	const size_t mega = 1u << 20;
	char have[CFG_NUMBER_TEXT], want[CFG_NUMBER_TEXT];
	size_t rows = (size_t)cfg->max_events * ROW_OVERHEAD_MAX;
	size_t need = 2 * (cfg->max_body + RECORD_HEAD_MAX + rows);

	if (cfg->ring_size >= need)
		return 0;
	cfg_number_format(CFG_TYPE_BYTES, cfg->ring_size, have);
	cfg_number_format(
	    CFG_TYPE_BYTES, (need + mega - 1) / mega * mega, want);
	return err_set(err,
	    "\"ring_size\" of %s does not hold two bodies of "
	    "\"max_body\" with \"max_events\": at least %s",
	    have, want);
}

static int
rule_two_users(const struct cfg *cfg, struct err *err)
{
	if (strcmp(cfg->worker_user, cfg->aggregator_user) != 0)
		return 0;
	return err_set(err,
	    "\"worker_user\" and \"aggregator_user\" are both "
	    "\"%.64s\": one could trace the other",
	    cfg->worker_user);
}

/* "password", also within "sslpassword", then blanks, then "=". */
static bool
conninfo_has_keyword(const char *conninfo)
{
	static const char word[] = "password";
	const char *p;

	for (p = conninfo; (p = strcasestr(p, word)) != NULL;) {
		p += sizeof(word) - 1;
		while (isspace((unsigned char)*p))
			p++;
		if (*p == '=')
			return true;
	}
	return false;
}

/* scheme://user:password@host */
static bool
conninfo_has_uri_password(const char *conninfo)
{
	const char *user = strstr(conninfo, "://");
	size_t len;

	if (user == NULL)
		return false;
	user += 3;
	len = strcspn(user, "/?");
	return memchr(user, '@', len) != NULL &&
	    memchr(user, ':', strcspn(user, "@")) != NULL;
}

static int
rule_no_password(const char *name, const char *conninfo, const char *file_name,
    struct err *err)
{
	if (!conninfo_has_keyword(conninfo) &&
	    !conninfo_has_uri_password(conninfo))
		return 0;
	return err_set(err,
	    "\"%s\" holds a password: it belongs in a file "
	    "named by \"%s\"",
	    name, file_name);
}

static int
rule_pg_conninfo(const struct cfg *cfg, struct err *err)
{
	return rule_no_password(
	    "conninfo", cfg->pg_conninfo, "password_file", err);
}

static int
rule_ctl_conninfo(const struct cfg *cfg, struct err *err)
{
	return rule_no_password(
	    "conninfo", cfg->ctl_conninfo, "password_file", err);
}

static int
rule_migrate_conninfo(const struct cfg *cfg, struct err *err)
{
	return rule_no_password("migrate_conninfo", cfg->ctl_migrate_conninfo,
	    "migrate_password_file", err);
}

#define ABOUT_MAX 4
#define ABOUT(...)                                                             \
	{                                                                      \
		__VA_ARGS__, CFG_ID_COUNT                                      \
	}

static const struct rule {
	int (*check)(const struct cfg *, struct err *);
	enum cfg_id about[ABOUT_MAX];
} rules[] = {
    {rule_some_listener, ABOUT(CFG_ID_listen, CFG_ID_listen_plain)},
    {rule_certificate,
	ABOUT(
	    CFG_ID_listen, CFG_ID_tls_certificate, CFG_ID_tls_certificate_key)},
    {rule_body_memory,
	ABOUT(CFG_ID_body_memory, CFG_ID_max_body, CFG_ID_max_headers)},
    {rule_ring_size,
	ABOUT(CFG_ID_ring_size, CFG_ID_max_body, CFG_ID_max_events)},
    {rule_two_users, ABOUT(CFG_ID_worker_user, CFG_ID_aggregator_user)},
    {rule_pg_conninfo, ABOUT(CFG_ID_pg_conninfo)},
    {rule_ctl_conninfo, ABOUT(CFG_ID_ctl_conninfo)},
    {rule_migrate_conninfo, ABOUT(CFG_ID_ctl_migrate_conninfo)},
};

static bool
rule_concerns(const struct rule *rule, unsigned who)
{
	const enum cfg_id *id;

	for (id = rule->about; *id != CFG_ID_COUNT; id++)
		if ((cfg_directives[*id].who & who) != 0)
			return true;
	return false;
}

int
cfg_rules_check(const struct cfg *cfg, unsigned who, const enum cfg_id **about,
    struct err *err)
{
	size_t i;

	for (i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (rule_concerns(&rules[i], who) &&
		    rules[i].check(cfg, err) == -1) {
			*about = rules[i].about;
			return -1;
		}
	return 0;
}
