/* SPDX-License-Identifier: MIT */
/*
 * http_target.h - the target of a request, and the host it names
 *
 * Runs in   worker; pure; called by http_request.c
 * Owns      nothing
 * Tests     t/unit/http_request_test.c
 */
#ifndef PGD_WORKER_HTTP_TARGET_H
#define PGD_WORKER_HTTP_TARGET_H

#include "worker/http_request.h"

/*
 * Judges the target by the request's method and sets path, query and, for one
 * in absolute form, parse.authority, which must be the Host.
 */
int http_target_parse(struct http_request *, const char *data,
    struct http_view target, struct http_fault *) MUST_CHECK;

/* host or host:port, and nothing else */
bool http_host_is_valid(const char *host, size_t len);

#endif
