/* SPDX-License-Identifier: MIT */
/*
 * field_names.h - from a member's name to the field it is
 *
 * Runs in   worker; pure
 * Promises  one probe and one comparison: the hash is perfect for the names of
 *           event_fields.def, found once by field_names_init()
 * Tests     t/unit/decode_test.c
 */
#ifndef PGD_WORKER_FIELD_NAMES_H
#define PGD_WORKER_FIELD_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/event_fields.h"

#define FIELD_NAMES_BITS 9

/* A field by its wire name is its number, by its alias FIELD_ALIAS more. */
#define FIELD_ALIAS FIELD_COUNT
#define FIELD_SLOTS (2 * FIELD_COUNT)
#define FIELD_UNKNOWN FIELD_SLOTS

struct field_names {
	uint64_t multiplier;
	uint8_t longest;
	uint8_t lengths[FIELD_SLOTS]; /* 0: no such name */
	uint8_t slots[1 << FIELD_NAMES_BITS];
};

/* False when no hash is perfect: two fields have the same name. */
bool field_names_init(struct field_names *);

/* The slot of a name, or FIELD_UNKNOWN. */
unsigned field_names_find(
    const struct field_names *, const char *name, size_t len);

/* The name of a slot. */
const char *field_slot_name(unsigned slot);

#endif
