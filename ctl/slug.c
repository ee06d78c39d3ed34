/* SPDX-License-Identifier: MIT */
/*
 * slug.c - checks a slug, or makes one from a name
 *
 * Whether it is still free is for the database to say.
 */
#include "ctl/slug.h"

#include <stdbool.h>
#include <string.h>

#include "common/uuid.h"

#define NAME_MAX_BYTES 255
#define SLUG_FIRST "abcdefghijklmnopqrstuvwxyz0123456789"
#define SLUG_REST SLUG_FIRST "_-"

int
slug_check_name(const char *name, struct err *err)
{
	size_t len = strlen(name);

	if (len == 0 || len > NAME_MAX_BYTES) {
		return err_set(err, "a name has 1 to %d bytes, not %zu",
		    NAME_MAX_BYTES, len);
	}
	return 0;
}

static bool
is_slug(const char *text)
{
	size_t len = strlen(text);

	return len > 0 && len < SLUG_TEXT && strspn(text, SLUG_FIRST) > 0 &&
	    strspn(text, SLUG_REST) == len;
}

/* Letters of other alphabets would be lost, and the name's sense with them. */
static bool
is_ascii(const char *name)
{
	while (*name != '\0' && !((unsigned char)*name & 0x80))
		name++;
	return *name == '\0';
}

/* Letters become small; everything between words becomes one "-". */
static void
slug_from_name(const char *name, char out[SLUG_TEXT])
{
	size_t n = 0;
	bool gap = false;

	for (; *name != '\0' && n + gap + 1 < SLUG_TEXT; name++) {
		char c = *name;

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if (c == '-' || !strchr(n == 0 ? SLUG_FIRST : SLUG_REST, c)) {
			gap = n > 0;
			continue;
		}
		if (gap) {
			out[n++] = '-';
			gap = false;
		}
		out[n++] = c;
	}
	out[n] = '\0';
}

int
slug_choose(
    const char *given, const char *name, char out[SLUG_TEXT], struct err *err)
{
	uint8_t uuid[UUID_BYTES];
	size_t len;

	if (!given) {
		slug_from_name(name, out);
		if (out[0] == '\0' || !is_ascii(name)) {
			return err_set(err,
			    "no slug can be made from the name \"%.200s\": "
			    "give one with --slug",
			    name);
		}
		given = out;
	}
	if (!is_slug(given)) {
		return err_set(err,
		    "\"%.200s\" is not a slug: 1 to 255 of a-z, 0-9, "
		    "\"_\" and \"-\", the first a letter or a digit",
		    given);
	}
	len = strlen(given);
	if (uuid_parse(given, len, uuid))
		return err_set(err, "\"%s\" is a UUID, not a slug", given);
	memmove(out, given, len + 1);
	return 0;
}
