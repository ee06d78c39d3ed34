/* SPDX-License-Identifier: MIT */
/*
 * json_number.c - numbers as clients send them
 *
 * A few digits nearly always, which the first lines of each function deal with;
 * anything RFC 8259 allows otherwise, which is brought to digits and an
 * exponent first.  Syntax is json.c's.
 */
#include "worker/json_number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * No two doubles and no midpoint between two differ only behind so many
 * significant digits: 767 are needed, and one that says that more followed.
 */
#define DIGITS_MAX 768

/* An exponent beyond this is as good as any other beyond it. */
#define EXPONENT_MAX 1000000000

#define MAGNITUDE_MAX 308
#define MAGNITUDE_MIN (-324)
#define NUMERIC_SCALE_MAX 16383

/*
 * Half way from the largest double to what would follow it, 2^1024 - 2^970:
 * from here on the nearest double is an infinity.
 */
static const char infinite[] =
    "17976931348623158079372897140530341507993413271003782693617377"
    "89804449682927647509466490179775872070963302864166928879109465"
    "55547851940402630657488671505820681908902000708383676273854845"
    "81771153176447573027006985557136695962284291481986083493647529"
    "2719074168444365510704342711559699508093042880177904174497792";

/* digits * 10^exponent, without zeros at either end. */
struct decimal {
	bool negative;
	size_t ndigits; /* 0: zero */
	int64_t exponent;
	int64_t sent_exponent;
	int64_t scale; /* digits behind the decimal point, written out */
	char digits[DIGITS_MAX + 2];
};

static int64_t
read_exponent(const char *at, const char *end)
{
	int64_t value = 0;
	bool negative = *at == '-';

	at += *at == '-' || *at == '+';
	for (; at < end && value < EXPONENT_MAX; at++) {
		value = value * 10 + (*at - '0');
	}
	return negative ? -value : value;
}

static void
read_decimal(const char *at, size_t len, struct decimal *d)
{
	const char *end = at + len;
	int64_t fraction = 0, dropped = 0;
	bool behind_point = false, more = false;

	d->negative = *at == '-';
	d->ndigits = 0;
	d->sent_exponent = 0;
	for (at += d->negative; at < end; at++) {
		if (*at == '.') {
			behind_point = true;
			continue;
		}
		if (*at == 'e' || *at == 'E') {
			d->sent_exponent = read_exponent(at + 1, end);
			break;
		}
		fraction += behind_point;
		if (d->ndigits == DIGITS_MAX) {
			dropped++;
			more |= *at != '0';
		} else if (d->ndigits > 0 || *at != '0') {
			d->digits[d->ndigits++] = *at;
		}
	}
	d->scale = fraction - d->sent_exponent;
	d->exponent = d->sent_exponent - fraction + dropped;
	if (more) {
		d->digits[d->ndigits++] = '1';
		d->exponent--;
	}
	while (d->ndigits > 0 && d->digits[d->ndigits - 1] == '0') {
		d->ndigits--;
		d->exponent++;
	}
}

/* As an integer and an exponent, so that no locale's point matters. */
static bool
decimal_to_real(const struct decimal *d, double *out)
{
	char text[DIGITS_MAX + 40];

	if (d->ndigits == 0) {
		*out = d->negative ? -0.0 : 0.0;
		return true;
	}
	(void)snprintf(text, sizeof(text), "%s%.*se%lld",
	    d->negative ? "-" : "", (int)d->ndigits, d->digits,
	    (long long)d->exponent);
	*out = strtod(text, NULL);
	return isfinite(*out);
}

/*
 * Of a number between 1e308 and 1e309.  By its digits, since scanning must cost
 * no strtod() per number.
 */
static bool
rounds_to_infinity(const struct decimal *d)
{
	size_t len = sizeof(infinite) - 1;
	int order =
	    memcmp(d->digits, infinite, d->ndigits < len ? d->ndigits : len);

	return order > 0 || (order == 0 && d->ndigits >= len);
}

bool
json_number_is_far(const char *text, size_t len)
{
	struct decimal d;
	int64_t magnitude;

	read_decimal(text, len, &d);
	magnitude = d.ndigits == 0 ? d.sent_exponent
				   : d.exponent + (int64_t)d.ndigits - 1;
	if (magnitude > MAGNITUDE_MAX || magnitude < MAGNITUDE_MIN ||
	    d.scale > NUMERIC_SCALE_MAX) {
		return true;
	}
	return magnitude == MAGNITUDE_MAX && rounds_to_infinity(&d);
}

static enum json_number_result
signed_value(bool negative, uint64_t value, int64_t *out)
{
	if (value > (uint64_t)INT64_MAX + negative) {
		return JSON_NUMBER_RANGE;
	}
	/* in unsigned arithmetic: the least int64 has no positive twin */
	*out = (int64_t)(negative ? 0 - value : value);
	return JSON_NUMBER_OK;
}

static enum json_number_result
decimal_to_int(const struct decimal *d, int64_t *out)
{
	uint64_t value = 0;
	int64_t zeros = d->exponent;

	if (d->ndigits == 0) {
		*out = 0;
		return JSON_NUMBER_OK;
	}
	if (zeros < 0) {
		return JSON_NUMBER_NOT_WHOLE;
	}
	/* 19 digits fit 64 bits without a sign */
	if ((int64_t)d->ndigits + zeros > 19) {
		return JSON_NUMBER_RANGE;
	}
	for (size_t i = 0; i < d->ndigits; i++) {
		value = value * 10 + (uint64_t)(d->digits[i] - '0');
	}
	while (zeros-- > 0) {
		value *= 10;
	}
	return signed_value(d->negative, value, out);
}

enum json_number_result
json_number_int(const char *text, size_t len, int64_t *out)
{
	struct decimal d;
	bool negative = *text == '-';
	uint64_t value = 0;
	size_t i = negative;

	if (len - i <= 18) {
		while (i < len && text[i] >= '0' && text[i] <= '9') {
			value = value * 10 + (uint64_t)(text[i++] - '0');
		}
		if (i == len) {
			return signed_value(negative, value, out);
		}
	}
	read_decimal(text, len, &d);
	return decimal_to_int(&d, out);
}

bool
json_number_real(const char *text, size_t len, double *out)
{
	static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7,
	    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16};
	struct decimal d;
	bool negative = *text == '-';
	uint64_t value = 0;
	size_t i = negative;
	size_t point = len;

	/* Both exact in a double, so their quotient is the nearest one. */
	if (len - i <= 16) {
		for (; i < len; i++) {
			if (text[i] == '.') {
				point = i + 1;
			} else if (text[i] >= '0' && text[i] <= '9') {
				value = value * 10 + (uint64_t)(text[i] - '0');
			} else {
				break;
			}
		}
		if (i == len && value <= 1ULL << 53) {
			*out = (double)value / powers[len - point];
			*out = negative ? -*out : *out;
			return true;
		}
	}
	read_decimal(text, len, &d);
	return decimal_to_real(&d, out);
}
