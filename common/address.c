/* SPDX-License-Identifier: MIT */
/*
 * address.c - reads an address to listen on
 *
 * Host names are not taken: what a server listens on should not depend on what
 * a resolver says at its start.
 */
#include "common/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

/* 0 when it is no port; the port of a listener is never 0. */
static in_port_t
address_port(const char *text)
{
	unsigned port = 0;
	size_t i;

	for (i = 0; text[i] >= '0' && text[i] <= '9' && i < 5; i++)
		port = port * 10 + (unsigned)(text[i] - '0');
	if (text[i] != '\0' || port > 65535)
		return 0;
	return htons((in_port_t)port);
}

static void
address_set4(struct address *out, const struct in_addr *ip, in_port_t port)
{
	struct sockaddr_in sin = {
	    .sin_family = AF_INET, .sin_addr = *ip, .sin_port = port};

	memset(out, 0, sizeof(*out));
	memcpy(&out->addr, &sin, sizeof(sin));
	out->len = sizeof(sin);
}

static void
address_set6(struct address *out, const struct in6_addr *ip, in_port_t port)
{
	struct sockaddr_in6 sin6 = {
	    .sin6_family = AF_INET6, .sin6_addr = *ip, .sin6_port = port};

	memset(out, 0, sizeof(*out));
	memcpy(&out->addr, &sin6, sizeof(sin6));
	out->len = sizeof(sin6);
}

size_t
address_parse(const char *text, struct address out[2])
{
	char host[INET6_ADDRSTRLEN];
	struct in_addr any = {htonl(INADDR_ANY)}, ip;
	struct in6_addr ip6;
	const char *colon = strrchr(text, ':');
	bool bracketed;
	in_port_t port;
	size_t len;

	if (colon == NULL || (port = address_port(colon + 1)) == 0)
		return 0;
	len = (size_t)(colon - text);
	if (len == 1 && text[0] == '*') {
		address_set6(&out[0], &in6addr_any, port);
		address_set4(&out[1], &any, port);
		return 2;
	}
	bracketed = len > 2 && text[0] == '[' && text[len - 1] == ']';
	if (bracketed) {
		text++;
		len -= 2;
	}
	if (len >= sizeof(host))
		return 0;
	memcpy(host, text, len);
	host[len] = '\0';
	if (bracketed && inet_pton(AF_INET6, host, &ip6) == 1)
		address_set6(&out[0], &ip6, port);
	else if (!bracketed && inet_pton(AF_INET, host, &ip) == 1)
		address_set4(&out[0], &ip, port);
	else
		return 0;
	return 1;
}
