/* SPDX-License-Identifier: MIT */
/*
 * field_names.c - a perfect hash over the fields' names
 *
 * Wire names and aliases.  The first eight bytes, the last eight and the length
 * tell all of them apart; a multiplier that spreads them without a collision is
 * searched at start, which takes some tens of tries.  Names that are longer or
 * shorter than all, or that only look alike, are told apart by the comparison.
 */
#include "worker/field_names.h"

#include <string.h>

#define TRIES 1000000

static uint64_t
load64(const char *at)
{
	uint64_t n;

	memcpy(&n, at, sizeof(n));
	return n;
}

static uint64_t
load32(const char *at)
{
	uint32_t n;

	memcpy(&n, at, sizeof(n));
	return n;
}

static inline uint64_t
digest(const char *name, size_t len)
{
	uint64_t first, last;

	if (len >= 8) {
		first = load64(name);
		last = load64(name + len - 8);
	} else if (len >= 4) {
		first = load32(name);
		last = load32(name + len - 4);
	} else {
		first = 0;
		last = 0;
		for (size_t i = 0; i < len; i++) {
			first = first << 8 | (unsigned char)name[i];
		}
	}
	return first ^ (last << 29 | last >> 35) ^ len << 56;
}

static inline size_t
bucket(uint64_t sum, uint64_t multiplier)
{
	return (size_t)(sum * multiplier >> (64 - FIELD_NAMES_BITS));
}

const char *
field_slot_name(unsigned slot)
{
	return slot < FIELD_ALIAS ? event_fields[slot].wire
				  : event_fields[slot - FIELD_ALIAS].alias;
}

static bool
fill(struct field_names *names)
{
	memset(names->slots, FIELD_UNKNOWN, sizeof(names->slots));
	for (unsigned slot = 0; slot < FIELD_SLOTS; slot++) {
		size_t len = names->lengths[slot];
		size_t i;

		if (len == 0) {
			continue;
		}
		i = bucket(
		    digest(field_slot_name(slot), len), names->multiplier);
		if (names->slots[i] != FIELD_UNKNOWN) {
			return false;
		}
		names->slots[i] = (uint8_t)slot;
	}
	return true;
}

bool
field_names_init(struct field_names *names)
{
	_Static_assert(FIELD_UNKNOWN <= UINT8_MAX, "slots are bytes");

	memset(names, 0, sizeof(*names));
	for (unsigned slot = 0; slot < FIELD_SLOTS; slot++) {
		size_t len = strlen(field_slot_name(slot));

		names->lengths[slot] = (uint8_t)len;
		if (len > names->longest) {
			names->longest = (uint8_t)len;
		}
	}
	names->multiplier = 0x9e3779b97f4a7c15ULL;
	for (int i = 0; i < TRIES; i++) {
		if (fill(names)) {
			return true;
		}
		/* any sequence that visits odd numbers will do */
		names->multiplier = names->multiplier * 0x5851f42d4c957f2dULL +
		    0x14057b7ef76ULL;
		names->multiplier |= 1;
	}
	return false;
}

unsigned
field_names_find(const struct field_names *names, const char *name, size_t len)
{
	unsigned slot =
	    names->slots[bucket(digest(name, len), names->multiplier)];

	if (slot == FIELD_UNKNOWN || names->lengths[slot] != len ||
	    memcmp(field_slot_name(slot), name, len) != 0) {
		return FIELD_UNKNOWN;
	}
	return slot;
}
