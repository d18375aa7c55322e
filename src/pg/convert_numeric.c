/*
 * convert_numeric.c
 *	  numeric(p,s) to an unscaled integer and back, without arithmetic calls.
 *
 * PostgreSQL keeps the struct of a numeric private and offers only text or
 * its own arithmetic to get at the digits, which costs more per value than
 * all the rest of a row.  Its stored form, however, cannot change, because
 * pg_upgrade keeps the files: base-10000 digits behind a header of 2 bytes
 * (short form) or 4 (long form), the same since 9.1.  So it is read and built
 * here directly; the regression tests compare with what numeric_in makes.
 *
 *	  header, 2 bytes in the machine's order, its two high bits say which form:
 *	  11	special: c000 NaN, d000 Infinity, f000 -Infinity
 *	  10	short: 2000 negative, 1f80 display scale, 007f weight, signed
 *	  0x	long: 4000 negative, 3fff display scale; weight in the next 2 bytes
 *
 * The value is the sum of digit[i] * 10000^(weight - i).
 */
#include "postgres.h"

#include "fmgr.h"

#include "pg/convert.h"

#define HEADER_FORM_MASK 0xC000
#define HEADER_SPECIAL 0xC000
#define HEADER_NAN 0xC000
#define HEADER_NEGATIVE_INFINITY 0xF000
#define HEADER_SHORT 0x8000
#define SHORT_NEGATIVE 0x2000
#define SHORT_SCALE_SHIFT 7
#define SHORT_WEIGHT_SIGN 0x0040
#define SHORT_WEIGHT_MASK 0x003F
#define LONG_NEGATIVE 0x4000

#define DIGIT_BASE 10000
#define DIGIT_WIDTH 4
/* 39 decimal digits, which need not begin or end at a digit's border */
#define MAX_DIGITS 11

static const int power_of_ten[] = {1, 10, 100, 1000, 10000};

/* 10^38: one more than the largest unscaled value of a DECIMAL128 */
static ReefUint128
decimal_limit(void)
{
	return (ReefUint128) UINT64CONST(10000000000000000000) *
		UINT64CONST(10000000000000000000);
}

typedef struct NumericParts
{
	bool		is_negative;
	int			weight;
	int			digit_count;
	const char *digits;			/* int16 each, not aligned */
} NumericParts;

static int
digit_at(const NumericParts *parts, int i)
{
	int16		digit;

	memcpy(&digit, parts->digits + i * sizeof(int16), sizeof(int16));
	return digit;
}

/*
 * *magnitude = |value| * 10^scale, rounded towards zero; false if it is 10^38
 * or more.
 */
static bool
scale_magnitude(const NumericParts *parts, int scale, ReefUint128 *magnitude,
				bool *is_exact)
{
	ReefUint128 sum = 0;
	int			exponent = DIGIT_WIDTH * parts->weight + scale;
	int			i;

	*is_exact = true;
	for (i = 0; i < parts->digit_count; i++, exponent -= DIGIT_WIDTH)
	{
		int			digit = digit_at(parts, i);

		if (exponent >= 0)
		{
			if (__builtin_mul_overflow(sum, (ReefUint128) DIGIT_BASE, &sum))
				return false;
			sum += digit;
		}
		else if (exponent > -DIGIT_WIDTH)
		{
			int			cut = power_of_ten[-exponent];

			if (__builtin_mul_overflow(sum, (ReefUint128) (DIGIT_BASE / cut),
									   &sum))
				return false;
			sum += digit / cut;
			if (digit % cut != 0)
				*is_exact = false;
		}
		else if (digit != 0)
			*is_exact = false;
	}
	/* The digits that were stripped from the end are zeros. */
	for (exponent += DIGIT_WIDTH; exponent > 0 && sum != 0; exponent--)
	{
		if (__builtin_mul_overflow(sum, (ReefUint128) 10, &sum))
			return false;
	}
	*magnitude = sum;
	return sum < decimal_limit();
}

ReefPgNumericFit
reefpg_numeric_unscale(Datum numeric, int scale, ReefInt128 *unscaled)
{
	struct varlena *bytes = PG_DETOAST_DATUM_PACKED(numeric);
	const char *data = VARDATA_ANY(bytes);
	int			size = VARSIZE_ANY_EXHDR(bytes);
	NumericParts parts;
	ReefUint128 magnitude;
	bool		is_exact;
	uint16		header;
	int			header_size = sizeof(uint16);

	memcpy(&header, data, sizeof(header));
	if ((header & HEADER_FORM_MASK) == HEADER_SPECIAL)
	{
		if (header == HEADER_NAN)
			return REEFPG_NUMERIC_NAN;
		return header == HEADER_NEGATIVE_INFINITY ?
			REEFPG_NUMERIC_TOO_LOW : REEFPG_NUMERIC_TOO_HIGH;
	}
	if (header & HEADER_SHORT)
	{
		parts.is_negative = (header & SHORT_NEGATIVE) != 0;
		parts.weight = header & SHORT_WEIGHT_MASK;
		if (header & SHORT_WEIGHT_SIGN)
			parts.weight |= ~SHORT_WEIGHT_MASK;
	}
	else
	{
		int16		weight;

		memcpy(&weight, data + sizeof(uint16), sizeof(weight));
		parts.is_negative = (header & LONG_NEGATIVE) != 0;
		parts.weight = weight;
		header_size += sizeof(int16);
	}
	parts.digits = data + header_size;
	parts.digit_count = (size - header_size) / (int) sizeof(int16);

	if (!scale_magnitude(&parts, scale, &magnitude, &is_exact))
		return parts.is_negative ?
			REEFPG_NUMERIC_TOO_LOW : REEFPG_NUMERIC_TOO_HIGH;
	*unscaled = (ReefInt128) magnitude;
	if (parts.is_negative)
		*unscaled = -*unscaled - (is_exact ? 0 : 1);
	return is_exact ? REEFPG_NUMERIC_EXACT : REEFPG_NUMERIC_INEXACT;
}

/*
 * digits[first .. MAX_DIGITS - 1], the last of which stands for
 * 10000^lowest_weight, as a numeric in its canonical form.
 */
static Datum
build_numeric(const int16 *digits, int first, int lowest_weight,
			  bool is_negative, int scale)
{
	int			last = MAX_DIGITS - 1;
	int			weight;
	int			count;
	int			size;
	uint16		header;
	char	   *numeric;

	while (first <= last && digits[first] == 0)
		first++;
	weight = lowest_weight + (MAX_DIGITS - 1) - first;
	while (last >= first && digits[last] == 0)
		last--;
	count = last - first + 1;
	if (count == 0)
	{
		weight = 0;
		is_negative = false;
	}
	/* scale <= 38 and |weight| <= 11 always fit the short form */
	header = HEADER_SHORT | (is_negative ? SHORT_NEGATIVE : 0) |
		(uint16) (scale << SHORT_SCALE_SHIFT) |
		(weight < 0 ? SHORT_WEIGHT_SIGN : 0) | (weight & SHORT_WEIGHT_MASK);

	size = VARHDRSZ + (int) sizeof(header) + count * (int) sizeof(int16);
	numeric = palloc(size);
	SET_VARSIZE(numeric, size);
	memcpy(numeric + VARHDRSZ, &header, sizeof(header));
	memcpy(numeric + VARHDRSZ + sizeof(header), digits + first,
		   count * sizeof(int16));
	return PointerGetDatum(numeric);
}

/*
 * Split off the lowest digit, which holds only the decimals that the scale
 * leaves over.  Returns how many decimals that were (4 if it is a whole one).
 */
static int
lowest_width(int scale)
{
	int			partial = scale % DIGIT_WIDTH;

	return partial == 0 ? DIGIT_WIDTH : partial;
}

Datum
reefpg_numeric_of_int64(int64 unscaled, int scale)
{
	uint64		rest = unscaled < 0 ? -(uint64) unscaled : (uint64) unscaled;
	int			width = lowest_width(scale);
	int			lowest_weight = -((scale + DIGIT_WIDTH - 1) / DIGIT_WIDTH);
	int16		digits[MAX_DIGITS];
	int			first = MAX_DIGITS - 1;

	digits[first] = (int16) (rest % power_of_ten[width] *
							 power_of_ten[DIGIT_WIDTH - width]);
	rest /= power_of_ten[width];
	while (rest != 0)
	{
		digits[--first] = (int16) (rest % DIGIT_BASE);
		rest /= DIGIT_BASE;
	}
	return build_numeric(digits, first, lowest_weight, unscaled < 0, scale);
}

Datum
reefpg_numeric_of_int128(ReefInt128 unscaled, int scale)
{
	ReefUint128 rest = unscaled < 0 ?
		-(ReefUint128) unscaled : (ReefUint128) unscaled;
	int			width = lowest_width(scale);
	int			lowest_weight = -((scale + DIGIT_WIDTH - 1) / DIGIT_WIDTH);
	int16		digits[MAX_DIGITS];
	int			first = MAX_DIGITS - 1;

	if (rest <= PG_INT64_MAX)
		return reefpg_numeric_of_int64((int64) unscaled, scale);

	digits[first] = (int16) ((int) (rest % (unsigned) power_of_ten[width]) *
							 power_of_ten[DIGIT_WIDTH - width]);
	rest /= (unsigned) power_of_ten[width];
	while (rest != 0 && first > 0)
	{
		digits[--first] = (int16) (rest % DIGIT_BASE);
		rest /= DIGIT_BASE;
	}
	return build_numeric(digits, first, lowest_weight, unscaled < 0, scale);
}

Datum
reefpg_numeric_nan(void)
{
	uint16		header = HEADER_NAN;
	char	   *numeric = palloc(VARHDRSZ + sizeof(header));

	SET_VARSIZE(numeric, VARHDRSZ + sizeof(header));
	memcpy(numeric + VARHDRSZ, &header, sizeof(header));
	return PointerGetDatum(numeric);
}
