/* SPDX-License-Identifier: MIT */
/*
 * apikey.c - makes and hashes API keys
 *
 * Knows the format and nothing else: who may use a key, and until when, is in
 * the database.  A plain SHA-256 is enough to store a key by, because a key is
 * 256 random bits and not a password that somebody chose.
 */
#include "common/apikey.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#define KEY_MARK "pgk_"
#define KEY_MARK_CHARS (sizeof(KEY_MARK) - 1)
#define KEY_RANDOM_BYTES 32
#define KEY_RANDOM_CHARS 43 /* 256 bits, 6 to a character, no padding */

_Static_assert(KEY_MARK_CHARS + KEY_RANDOM_CHARS + 1 == APIKEY_TEXT,
    "a key fits its buffer and fills it");

/* To the alphabet of URLs and headers (RFC 4648, section 5). */
static void
make_url_safe(char *text)
{
	for (; *text != '\0'; text++)
		if (*text == '+')
			*text = '-';
		else if (*text == '/')
			*text = '_';
}

int
apikey_make(char out[APIKEY_TEXT], struct err *err)
{
	unsigned char random[KEY_RANDOM_BYTES];
	unsigned char text[4 * ((KEY_RANDOM_BYTES + 2) / 3) + 1];

	if (RAND_bytes(random, sizeof(random)) != 1)
		return err_set(err, "no random bytes to make a key from");
	(void)EVP_EncodeBlock(text, random, sizeof(random));
	memcpy(out, KEY_MARK, KEY_MARK_CHARS);
	memcpy(out + KEY_MARK_CHARS, text, KEY_RANDOM_CHARS);
	out[APIKEY_TEXT - 1] = '\0';
	make_url_safe(out);
	OPENSSL_cleanse(random, sizeof(random));
	OPENSSL_cleanse(text, sizeof(text));
	return 0;
}

bool
apikey_says_more_than_prefix(const char *text)
{
	size_t len = strlen(text);

	return len > APIKEY_PREFIX &&
	    strncmp(text, KEY_MARK, KEY_MARK_CHARS) == 0 &&
	    strspn(text,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789-_") == len;
}

int
apikey_hash(const char *text, size_t len, uint8_t out[APIKEY_HASH])
{
	if (EVP_Digest(text, len, out, NULL, EVP_sha256(), NULL) != 1)
		return -1;
	return 0;
}
