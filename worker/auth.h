/* SPDX-License-Identifier: MIT */
/*
 * auth.h - which API key a request shows, and whose it is
 *
 * Runs in   worker
 * Promises  the key's text is kept nowhere and logged nowhere
 */
#ifndef PGD_WORKER_AUTH_H
#define PGD_WORKER_AUTH_H

#include "common/keytable.h"
#include "worker/http_request.h"

enum auth_result {
	AUTH_OK,        /* project is the key's */
	AUTH_NONE,      /* no key shown: the events decide */
	AUTH_REFUSED,   /* 401: *detail says why */
	AUTH_FORBIDDEN, /* 403: the key's project does not allow the origin */
	AUTH_NOT_READY, /* 503: no keys are known yet */
};

/* data is the request's first byte. */
enum auth_result auth_check(const struct keytable *,
    const struct http_request *, const char *data, struct project *,
    const char **detail);

#endif
