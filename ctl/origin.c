/* SPDX-License-Identifier: MIT */
/*
 * origin.c - whether a browser could send this in its Origin header
 *
 * A browser serialises an origin (RFC 6454, section 6.2): scheme and host in
 * small letters, a host of other alphabets as "xn--", no port that the scheme
 * implies, and nothing behind.
 */
#include "ctl/origin.h"

#include <stdbool.h>
#include <string.h>

#define ORIGIN_MAX_BYTES 255
#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyz"

static int
complain(const char *origin, const char *what, struct err *err)
{
	return err_set(err,
	    "\"%.100s\" is not an origin: %s (expected is what a browser "
	    "sends, such as https://shop.example)",
	    origin, what);
}

/* Why the port, with its colon, cannot be; NULL when it can. */
static const char *
port_fault(const char *scheme, size_t scheme_len, const char *port)
{
	static const struct {
		const char *scheme;
		const char *port;
	} implied[] = {{"http", ":80"}, {"https", ":443"}};
	unsigned long number = 0;
	const char *p;
	size_t i;

	for (p = port + 1; *p >= '0' && *p <= '9' && number <= 65535; p++)
		number = number * 10 + (unsigned long)(*p - '0');
	if (*p != '\0' || port[1] == '0' || number == 0 || number > 65535)
		return "its port is not one of 1 to 65535";
	for (i = 0; i < sizeof(implied) / sizeof(implied[0]); i++)
		if (strlen(implied[i].scheme) == scheme_len &&
		    memcmp(scheme, implied[i].scheme, scheme_len) == 0 &&
		    strcmp(port, implied[i].port) == 0)
			return "a browser leaves out the port that the scheme "
			       "implies";
	return NULL;
}

static const char *
origin_fault(const char *origin)
{
	size_t scheme = strspn(origin, LETTERS DIGITS "+-.");
	const char *host = origin + scheme + strlen("://");
	size_t len;

	if (origin[0] == '\0')
		return "it is empty";
	if (strlen(origin) > ORIGIN_MAX_BYTES)
		return "it is longer than 255 bytes";
	if (strpbrk(origin, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
		return "a browser sends small letters";
	if (scheme == 0 || strncmp(origin + scheme, "://", 3) != 0)
		return "it has no scheme";
	if (host[0] == '[') {
		len = 1 + strspn(host + 1, DIGITS "abcdef:.");
		if (len == 1 || host[len] != ']')
			return "its IPv6 address has no end";
		len++;
	} else {
		len = strspn(host, LETTERS DIGITS "-._");
	}
	if (len == 0)
		return "it has no host";
	if (host[len] == '/')
		return "it ends with the host and port, without \"/\" or path";
	if (host[len] == ':')
		return port_fault(origin, scheme, host + len);
	if (host[len] != '\0')
		return "its host holds a character that none does";
	return NULL;
}

int
origin_check(const char *origin, struct err *err)
{
	const char *fault;

	/* Of a file, of a sandboxed frame: several browsers' one name. */
	if (strcmp(origin, "null") == 0)
		return 0;
	fault = origin_fault(origin);
	return fault ? complain(origin, fault, err) : 0;
}
