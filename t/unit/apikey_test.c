/* SPDX-License-Identifier: MIT */
/*
 * apikey_test.c - the form of a key, and that a hash is SHA-256
 *
 * That keys are unpredictable cannot be tested; that they differ can.
 */
#include "common/apikey.h"

#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#define ALPHABET                                                               \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
#define KEYS 1000

static int
compare_keys(const void *a, const void *b)
{
	return strcmp(a, b);
}

Test(apikey, has_the_form_of_its_header)
{
	char key[APIKEY_TEXT];
	struct err err;
	int i;

	/* Often enough that every character of the alphabet comes up. */
	for (i = 0; i < KEYS; i++) {
		memset(key, 'X', sizeof(key));
		cr_assert_eq(apikey_make(key, &err), 0);
		cr_assert_eq(memcmp(key, "pgk_", 4), 0, "%.47s", key);
		cr_assert_eq(key[APIKEY_TEXT - 1], '\0');
		cr_assert_eq(strlen(key), APIKEY_TEXT - 1, "%s", key);
		cr_assert_eq(strspn(key, ALPHABET), APIKEY_TEXT - 1, "%s", key);
	}
}

Test(apikey, differs_each_time_and_soon)
{
	static char keys[KEYS][APIKEY_TEXT];
	struct err err;
	int i;

	for (i = 0; i < KEYS; i++)
		cr_assert_eq(apikey_make(keys[i], &err), 0);
	qsort(keys, KEYS, sizeof(keys[0]), compare_keys);
	for (i = 1; i < KEYS; i++) {
		/* Even the part that may be shown tells keys apart. */
		cr_assert_neq(memcmp(keys[i - 1], keys[i], APIKEY_PREFIX), 0);
	}
}

/* FIPS 180-4's own examples, and a text with a NUL in the middle. */
static const struct {
	const char *name;
	const char *text;
	size_t len;
	const char *hash;
} hashes[] = {
    {"empty", "", 0,
	"e3b0c44298fc1c149afbf4c8996fb924"
	"27ae41e4649b934ca495991b7852b855"},
    {"abc", "abc", 3,
	"ba7816bf8f01cfea414140de5dae2223"
	"b00361a396177a9cb410ff61f20015ad"},
    {"two blocks", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	56,
	"248d6a61d20638b8e5c026930c3e6039"
	"a33ce45964ff2167f6ecedd419db06c1"},
    {"NUL inside", "abc\0def", 7,
	"516a5e926ce20c5f4d80f00e1a01abdf"
	"14986def6588d6abeed9fce090bc660c"},
};

static void
hex(const uint8_t *bytes, size_t n, char *out)
{
	size_t i;

	for (i = 0; i < n; i++)
		(void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

Test(apikey, hash_is_sha256)
{
	uint8_t hash[APIKEY_HASH];
	char text[2 * APIKEY_HASH + 1];
	size_t i;

	for (i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
		cr_expect_eq(
		    apikey_hash(hashes[i].text, hashes[i].len, hash), 0);
		hex(hash, sizeof(hash), text);
		cr_expect_str_eq(text, hashes[i].hash, "%s", hashes[i].name);
	}
}

Test(apikey, more_than_its_prefix)
{
	char key[APIKEY_TEXT];
	struct err err;

	cr_assert_eq(apikey_make(key, &err), 0);
	cr_expect(apikey_says_more_than_prefix(key));
	key[APIKEY_PREFIX + 1] = '\0';
	cr_expect(apikey_says_more_than_prefix(key));
	key[APIKEY_PREFIX] = '\0';
	cr_expect_not(apikey_says_more_than_prefix(key));
	cr_expect_not(apikey_says_more_than_prefix(""));
	cr_expect_not(apikey_says_more_than_prefix("pgk_ of the web site"));
	cr_expect_not(apikey_says_more_than_prefix(
	    "12345678-1234-1234-1234-123456789012"));
}
