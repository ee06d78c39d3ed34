/* SPDX-License-Identifier: MIT */
/*
 * wire.c - the bytes of a connection, plain or over TLS
 *
 * Our own SSL_read() and SSL_write() on the socket.  OpenSSL's AUTO_RETRY is
 * off (tls.c), so that a client that sends records without data, KeyUpdates for
 * one, gets one of them looked at in a turn and no more.
 */
#include "worker/wire.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

int
wire_open(struct wire *wire, int fd, SSL_CTX *tls)
{
	*wire = (struct wire){.fd = fd};
	if (tls == NULL)
		return 0;
	if ((wire->ssl = SSL_new(tls)) != NULL &&
	    SSL_set_fd(wire->ssl, fd) == 1)
		return 0;
	SSL_free(wire->ssl);
	return -1;
}

void
wire_close(struct wire *wire)
{
	SSL_free(wire->ssl);
	(void)close(wire->fd);
}

/*
 * Without AUTO_RETRY a record that held no data is SSL_ERROR_WANT_READ too.
 * The socket's BIO clears errno before each read(2), so EAGAIN is there only
 * if the last one found the socket empty.
 */
static enum wire_result
wire_ssl_outcome(struct wire *wire, int result)
{
	int error = errno;

	switch (SSL_get_error(wire->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return error == EAGAIN ? WIRE_READ : WIRE_AGAIN;
	case SSL_ERROR_WANT_WRITE:
		return WIRE_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		return WIRE_EOF;
	default:
		wire->broken = true;
		return WIRE_ERROR;
	}
}

static void
wire_ssl_prepare(void)
{
	/* What an earlier call on another connection left would be ours. */
	ERR_clear_error();
	errno = 0;
}

static enum wire_result
wire_errno_outcome(enum wire_result again)
{
	return errno == EAGAIN || errno == EINTR ? again : WIRE_ERROR;
}

enum wire_result
wire_handshake(struct wire *wire)
{
	int rc;

	wire_ssl_prepare();
	rc = SSL_accept(wire->ssl);
	return rc == 1 ? WIRE_OK : wire_ssl_outcome(wire, rc);
}

static enum wire_result
wire_receive(struct wire *wire, char *data, size_t size, size_t *got)
{
	ssize_t n;
	int rc;

	if (wire->ssl != NULL) {
		wire_ssl_prepare();
		rc = SSL_read_ex(wire->ssl, data, size, got);
		return rc == 1 ? WIRE_OK : wire_ssl_outcome(wire, rc);
	}
	n = recv(wire->fd, data, size, 0);
	*got = n > 0 ? (size_t)n : 0;
	if (n == -1)
		return wire_errno_outcome(WIRE_READ);
	return n == 0 ? WIRE_EOF : WIRE_OK;
}

enum wire_result
wire_read(struct wire *wire, char *data, size_t size, size_t *got)
{
	enum wire_result result = wire_receive(wire, data, size, got);

	if (result == WIRE_READ)
		wire->readable = false;
	return result;
}

enum wire_result
wire_write(struct wire *wire, const char *data, size_t size, size_t *put)
{
	ssize_t n;
	int rc;

	if (wire->ssl != NULL) {
		wire_ssl_prepare();
		rc = SSL_write_ex(wire->ssl, data, size, put);
		return rc == 1 ? WIRE_OK : wire_ssl_outcome(wire, rc);
	}
	n = send(wire->fd, data, size, MSG_NOSIGNAL);
	*put = n > 0 ? (size_t)n : 0;
	return n >= 0 ? WIRE_OK : wire_errno_outcome(WIRE_WRITE);
}

bool
wire_is_dry(const struct wire *wire)
{
	return !wire->readable &&
	    (wire->ssl == NULL || !SSL_has_pending(wire->ssl));
}

void
wire_end(struct wire *wire)
{
	if (wire->ssl != NULL && !wire->broken &&
	    SSL_is_init_finished(wire->ssl)) {
		wire_ssl_prepare();
		(void)SSL_shutdown(wire->ssl);
	}
	(void)shutdown(wire->fd, SHUT_WR);
}

/* Under TLS these are records nobody decrypts any more. */
enum wire_result
wire_drop(struct wire *wire, size_t *dropped)
{
	static char bytes[65536];
	ssize_t n;

	n = recv(wire->fd, bytes, sizeof(bytes), 0);
	if (n == -1)
		return wire_errno_outcome(WIRE_READ);
	*dropped = (size_t)n;
	return n == 0 ? WIRE_EOF : WIRE_OK;
}
