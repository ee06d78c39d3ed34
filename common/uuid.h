/* SPDX-License-Identifier: MIT */
/*
 * uuid.h - UUIDs as 16 bytes
 *
 * Runs in   anywhere
 * Tests     t/unit/uuid_test.c
 */
#ifndef PGD_COMMON_UUID_H
#define PGD_COMMON_UUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UUID_BYTES 16
#define UUID_TEXT 37 /* with the terminator */

/* 8-4-4-4-12 hexadecimal digits of either case, nothing else. */
bool uuid_parse(const char *text, size_t len, uint8_t out[UUID_BYTES]);
void uuid_format(const uint8_t uuid[UUID_BYTES], char out[UUID_TEXT]);

#endif
