/* SPDX-License-Identifier: MIT */
/*
 * tls.c - the worker's TLS context
 *
 * No session tickets: each worker would make keys of its own, and a client that
 * writes and closes at once can lose its data to a ticket it never read
 * (OpenSSL issues 6342, 10880).  No early data: it can be replayed.
 */
#include "worker/tls.h"

#include <string.h>

#include <openssl/err.h>

#include "worker/worker_main.h"

static int
tls_error(struct err *err, const char *what, const char *path)
{
	char text[256];

	ERR_error_string_n(ERR_peek_last_error(), text, sizeof(text));
	ERR_clear_error();
	return err_set(err, "%s \"%s\": %s", what, path, text);
}

static int
tls_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
    const unsigned char *in, unsigned int in_len, void *arg)
{
	static const unsigned char ours[] = "\x08http/1.1";
	unsigned char *chosen;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours) - 1, in,
		in_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* A daemon has nobody to ask for a passphrase. */
static int
tls_no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return 0;
}

static int
tls_load(SSL_CTX *ctx, const struct cfg *cfg, struct err *err)
{
	SSL_CTX_set_default_passwd_cb(ctx, tls_no_passphrase);
	if (SSL_CTX_use_certificate_chain_file(ctx, cfg->tls_certificate) != 1)
		return tls_error(
		    err, "could not load certificate", cfg->tls_certificate);
	if (SSL_CTX_use_PrivateKey_file(
		ctx, cfg->tls_certificate_key, SSL_FILETYPE_PEM) != 1)
		return tls_error(
		    err, "could not load key", cfg->tls_certificate_key);
	if (SSL_CTX_check_private_key(ctx) != 1)
		return tls_error(err, "certificate does not match key",
		    cfg->tls_certificate_key);
	return 0;
}

SSL_CTX *
tls_create(const struct cfg *cfg, struct err *err)
{
	SSL_CTX *ctx;

	if ((ctx = SSL_CTX_new(TLS_server_method())) == NULL) {
		(void)tls_error(err, "could not make", "TLS context");
		return NULL;
	}
	SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
	SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx,
	    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* One record without data in a turn: wire.c. */
	SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY);
	/* One read system call for a record, not two. */
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_num_tickets(ctx, 0);
	(void)SSL_CTX_set_max_early_data(ctx, 0);
	SSL_CTX_set_alpn_select_cb(ctx, tls_alpn, NULL);
	if (tls_load(ctx, cfg, err) == -1) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

/* Lets the two ends talk over a pair of memory BIOs until both are done. */
static int
tls_handshake_with_self(SSL *server, SSL *client)
{
	BIO *a, *b;
	int turns;

	if (BIO_new_bio_pair(&a, 0, &b, 0) != 1)
		return -1;
	SSL_set_bio(server, a, a);
	SSL_set_bio(client, b, b);
	SSL_set_accept_state(server);
	SSL_set_connect_state(client);
	/* A TLS 1.3 handshake takes three flights. */
	for (turns = 0; turns < 8; turns++) {
		(void)SSL_do_handshake(client);
		(void)SSL_do_handshake(server);
		if (SSL_is_init_finished(client) &&
		    SSL_is_init_finished(server))
			return 0;
	}
	return -1;
}

int
worker_check_tls(const struct cfg *cfg, struct err *err)
{
	SSL_CTX *server_ctx, *client_ctx = NULL;
	SSL *server = NULL, *client = NULL;
	int ret = -1;

	if ((server_ctx = tls_create(cfg, err)) == NULL)
		return -1;
	client_ctx = SSL_CTX_new(TLS_client_method());
	if (client_ctx == NULL || (server = SSL_new(server_ctx)) == NULL ||
	    (client = SSL_new(client_ctx)) == NULL ||
	    tls_handshake_with_self(server, client) == -1) {
		(void)tls_error(
		    err, "no handshake with certificate", cfg->tls_certificate);
		goto out;
	}
	ret = 0;
out:
	SSL_free(server);
	SSL_free(client);
	SSL_CTX_free(client_ctx);
	SSL_CTX_free(server_ctx);
	return ret;
}
