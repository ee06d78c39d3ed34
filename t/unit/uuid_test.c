/* SPDX-License-Identifier: MIT */
/* UUIDs: what is one, what is none, and the way there and back. */
#include "common/uuid.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct {
	const char *name;
	const char *text;
	const char *back; /* NULL: refused */
} cases[] = {
    {"lower case", "00112233-4455-6677-8899-aabbccddeeff",
	"00112233-4455-6677-8899-aabbccddeeff"},
    {"upper case", "00112233-4455-6677-8899-AABBCCDDEEFF",
	"00112233-4455-6677-8899-aabbccddeeff"},
    {"mixed case", "00112233-4455-6677-8899-AabBcCDdEefF",
	"00112233-4455-6677-8899-aabbccddeeff"},
    {"nil", "00000000-0000-0000-0000-000000000000",
	"00000000-0000-0000-0000-000000000000"},
    {"empty", "", NULL},
    {"no hyphens", "00112233445566778899aabbccddeeff", NULL},
    {"braces", "{00112233-4455-6677-8899-aabbccddeef}", NULL},
    {"a digit less", "00112233-4455-6677-8899-aabbccddeef", NULL},
    {"a digit more", "00112233-4455-6677-8899-aabbccddeeff0", NULL},
    {"hyphen displaced", "0011223-34455-6677-8899-aabbccddeeff", NULL},
    {"a digit for a hyphen", "00112233-4455-6677-88990aabbccddeeff", NULL},
    {"hyphen as a digit", "0011223--4455-6677-8899-aabbccddeeff", NULL},
    {"not hexadecimal", "00112233-4455-6677-8899-aabbccddeefg", NULL},
    {"space", "00112233-4455-6677-8899-aabbccddeef ", NULL},
    {"at sign", "@0112233-4455-6677-8899-aabbccddeeff", NULL},
    {"grave accent", "`0112233-4455-6677-8899-aabbccddeeff", NULL},
    {"beyond ASCII",
	"\xc3\xa9"
	"12233-4455-6677-8899-aabbccddeeff",
	NULL},
};

Test(uuid, cases)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t uuid[UUID_BYTES];
		char text[UUID_TEXT];
		bool ok =
		    uuid_parse(cases[i].text, strlen(cases[i].text), uuid);

		cr_expect(ok == (cases[i].back != NULL), "%s", cases[i].name);
		if (ok && cases[i].back != NULL) {
			uuid_format(uuid, text);
			cr_expect_str_eq(
			    text, cases[i].back, "%s", cases[i].name);
		}
	}
}

Test(uuid, refused_leaves_output_alone)
{
	uint8_t uuid[UUID_BYTES] = {42};

	cr_expect(
	    !uuid_parse("10112233-4455-6677-8899-aabbccddeefg", 36, uuid));
	cr_expect(uuid[0] == 42);
}

Test(uuid, every_byte_in_every_place)
{
	for (unsigned value = 0; value < 256; value++) {
		for (size_t place = 0; place < UUID_BYTES; place++) {
			uint8_t in[UUID_BYTES] = {0};
			uint8_t out[UUID_BYTES];
			char text[UUID_TEXT];

			in[place] = (uint8_t)value;
			uuid_format(in, text);
			cr_assert(uuid_parse(text, UUID_TEXT - 1, out));
			cr_assert(memcmp(in, out, sizeof(in)) == 0);
		}
	}
}
