/* SPDX-License-Identifier: MIT */
/*
 * Origins: what browsers send is taken, what they never send is refused.
 */
#include "ctl/origin.h"

#include <criterion/criterion.h>
#include <string.h>

static const char *const good[] = {
    "https://shop.example",
    "http://localhost",
    "http://localhost:3000",
    "https://shop.example:8443",
    "http://shop.example:443",
    "https://127.0.0.1",
    "http://[::1]:8080",
    "http://[2001:db8::1]",
    "https://xn--bcher-kva.example",
    "capacitor://localhost",
    "chrome-extension://abcdefghijklmnop",
    "null",
};

static const struct {
	const char *origin;
	const char *says;
} bad[] = {
    {"", "is empty"},
    {"*", "no scheme"},
    {"shop.example", "no scheme"},
    {"//shop.example", "no scheme"},
    {"https:shop.example", "no scheme"},
    {"https://", "no host"},
    {"https:///x", "no host"},
    {"https://shop.example/", "without \"/\""},
    {"https://shop.example/cart", "without \"/\""},
    {"https://shop.example:8443/", "port"},
    {"https://Shop.example", "small letters"},
    {"HTTPS://shop.example", "small letters"},
    {"Null", "small letters"},
    {"https://shop.example:443", "leaves out the port"},
    {"http://shop.example:80", "leaves out the port"},
    {"https://shop.example:", "port"},
    {"https://shop.example:0", "port"},
    {"https://shop.example:0443", "port"},
    {"https://shop.example:65536", "port"},
    {"https://shop.example:99999999999999999999", "port"},
    {"https://shop.example:x", "port"},
    {"https://a b", "character"},
    {"https://user@shop.example", "character"},
    {"https://shop.example?x", "character"},
    {"https://shop.example https://other.example", "character"},
    {"https://b\xc3\xbc"
     "cher.example",
	"character"},
    {"https://*.shop.example", "no host"},
    {"https://[::1", "no end"},
    {"https://[]", "no end"},
};

Test(origin, good)
{
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct err err = {""};

		cr_expect(origin_check(good[i], &err) == 0, "%s", err.text);
	}
}

Test(origin, bad)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err err = {""};

		cr_expect(origin_check(bad[i].origin, &err) == -1, "%s",
		    bad[i].origin);
		cr_expect(strstr(err.text, bad[i].says) != NULL, "%s: %s",
		    bad[i].origin, err.text);
	}
}

Test(origin, longest)
{
	struct err err = {""};
	char text[257] = "https://";

	memset(text + 8, 'a', 247);
	text[255] = '\0';
	cr_expect(origin_check(text, &err) == 0, "%s", err.text);
	text[255] = 'a';
	text[256] = '\0';
	cr_expect(origin_check(text, &err) == -1);
	cr_expect(strstr(err.text, "255 bytes") != NULL, "%s", err.text);
}
