/* SPDX-License-Identifier: MIT */
/*
 * tls.h - the worker's TLS: version 1.3 alone, ALPN "http/1.1"
 *
 * Runs in   worker, and a child of the master that only checks
 * Owns      nothing; the caller frees the SSL_CTX
 * Failure   NULL and the reason, with OpenSSL's own words
 */
#ifndef PGD_WORKER_TLS_H
#define PGD_WORKER_TLS_H

#include <openssl/ssl.h>

#include "common/cfg.h"

/* Reads certificate and key, so it is called before privileges are dropped. */
SSL_CTX *tls_create(const struct cfg *, struct err *);

#endif
