/*
 * value.h
 *	  Kinds of values, single values, and batches of columns.
 *
 * A kind is how a value is represented; a type (schema.h) is a kind plus the
 * PostgreSQL type it stands for.  The representation is chosen so that no
 * value ever changes on the way through:
 *
 *	  kind			width	representation
 *	  BOOL			1		0 or 1
 *	  INT16			2		two's complement
 *	  INT32			4
 *	  INT64			8
 *	  FLOAT32		4		IEEE bits, NaN payload and -0 kept
 *	  FLOAT64		8
 *	  DECIMAL64		8		unscaled integer, precision 1..18; NaN = INT64_MAX
 *	  DECIMAL128	16		unscaled integer, precision 19..38; NaN = INT128_MAX
 *	  TEXT			var		UTF-8
 *	  BYTES			var		any bytes
 *	  UUID			16		network order
 *	  DATE			4		days since 2000-01-01; infinities INT32_MAX, INT32_MIN
 *	  TIME			8		microseconds since midnight, 0..86400000000
 *	  TIMESTAMP		8		microseconds since 2000-01-01 00:00, local time;
 *							infinities INT64_MAX, INT64_MIN
 *	  TIMESTAMPTZ	8		the same in UTC
 *	  JSON			var		UTF-8 text of a json or jsonb value
 *	  OTHER			var		UTF-8, the type's own text form: interval, numeric
 *							without precision, inet, enums, arrays and the rest
 *
 * DATE and the timestamps are PostgreSQL's own integers, so that they compare
 * as it compares them; parquet/ moves them to the Unix epoch.
 */
#ifndef REEF_BASE_VALUE_H
#define REEF_BASE_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

typedef enum ReefKind			/* stored; never renumber */
{
	REEF_KIND_BOOL = 1,
	REEF_KIND_INT16 = 2,
	REEF_KIND_INT32 = 3,
	REEF_KIND_INT64 = 4,
	REEF_KIND_FLOAT32 = 5,
	REEF_KIND_FLOAT64 = 6,
	REEF_KIND_DECIMAL64 = 7,
	REEF_KIND_DECIMAL128 = 8,
	REEF_KIND_TEXT = 9,
	REEF_KIND_BYTES = 10,
	REEF_KIND_UUID = 11,
	REEF_KIND_DATE = 12,
	REEF_KIND_TIME = 13,
	REEF_KIND_TIMESTAMP = 14,
	REEF_KIND_TIMESTAMPTZ = 15,
	REEF_KIND_JSON = 16,
	REEF_KIND_OTHER = 17,
} ReefKind;

#define REEF_KIND_MAX 17

/* No more aligned than other values: not every allocator aligns to 16 bytes,
 * PostgreSQL's does not. */
__extension__ typedef __int128 ReefInt128 __attribute__((aligned(8)));
__extension__ typedef unsigned __int128 ReefUint128 __attribute__((aligned(8)));

#define REEF_DECIMAL64_NAN INT64_MAX
#define REEF_DECIMAL128_NAN ((ReefInt128) (~(ReefUint128) 0 >> 1))

typedef struct ReefValue
{
	bool		is_null;
	union
	{
		bool		boolean;
		int16_t		int16;
		int32_t		int32;		/* DATE too */
		int64_t		int64;		/* DECIMAL64, TIME, TIMESTAMP, TIMESTAMPTZ too */
		float		float32;
		double		float64;
		ReefInt128	int128;		/* DECIMAL128 */
		uint8_t		uuid[16];
		ReefSlice	bytes;		/* TEXT, BYTES, JSON, OTHER */
	}			as;
} ReefValue;

/* Is this a number that storage may contain? */
extern bool reef_kind_is_valid(unsigned kind);
/* Bytes of a fixed-width kind, 0 for variable ones. */
extern int	reef_kind_width(ReefKind kind);
extern bool reef_kind_is_variable(ReefKind kind);
/* "int4", "text", ...: what the manifest and messages call a kind. */
extern const char *reef_kind_name(ReefKind kind);
/* The inverse; 0 if there is none. */
extern ReefKind reef_kind_of_name(const char *name);

/*
 * Total order within a kind, as PostgreSQL orders it: numbers by value with
 * NaN above everything and -0 equal to 0, the rest bytewise.  Not for nulls.
 */
extern int	reef_value_compare(ReefKind kind, const ReefValue *a,
							   const ReefValue *b);

/* ---- columns of many rows ---- */

/* Most rows of one batch. */
#define REEF_BATCH_MAX_ROWS 1024

/*
 * One column.  "values" is an array of the kind's C type (uint8_t for BOOL,
 * ReefSlice for variable kinds, 16-byte elements for UUID and DECIMAL128);
 * what it holds where nulls[i] is set is undefined.
 */
typedef struct ReefVector
{
	ReefKind	kind;
	const uint8_t *nulls;		/* one byte a row, 1 = null; NULL: no nulls */
	const void *values;
} ReefVector;

/*
 * A batch of rows.  Everything in it is borrowed until the next call on the
 * object that returned it.  When "selection" is not NULL only the rows
 * selection[0 .. row_count-1] of the vectors count, in that order.
 */
typedef struct ReefBatch
{
	int			row_count;
	const uint16_t *selection;
	int			column_count;
	ReefVector *columns;
	const int64_t *lsns;		/* by vector position; NULL if not asked for */
	const ReefSlice *keys;		/* encoded keys, likewise */
} ReefBatch;

/* Fetch one value of a vector (by vector position, not by selection). */
extern void reef_vector_get(const ReefVector *vector, int position,
							ReefValue *value);
/* Bytes one element of "values" takes. */
extern int	reef_vector_element_size(ReefKind kind);

#endif							/* REEF_BASE_VALUE_H */
