/*
 * convert.h
 *	  The inside of a converter, for keyrange.c, which turns the values of
 *	  expressions into keys, and convert_numeric.c.
 */
#ifndef REEF_PG_CONVERT_H
#define REEF_PG_CONVERT_H

#include "postgres.h"

#include "fmgr.h"

#include "pg/reef_fdw.h"

typedef struct ReefPgColumnConverter
{
	ReefType	type;
	Oid			base_type;		/* below all domains */
	NameData	name;			/* of the attribute; empty for expressions */
	bool		is_padded;		/* char(n): stored without trailing blanks */
	int			padded_length;	/* characters, or -1 */
	bool		uses_io;		/* through the type's text form */
	FmgrInfo	output;
	FmgrInfo	input;
	Oid			input_param;
} ReefPgColumnConverter;

struct ReefPgConverter
{
	int			column_count;
	ReefPgColumnConverter *columns;
	AttrNumber *attributes;		/* of the columns */
	bool		uses_io;		/* any column does */
	bool		uses_names;		/* ... and its text form has names in it */
	bool		uses_money;
};

extern void reefpg_column_converter_init(ReefPgColumnConverter *column,
										 Oid type, int32 typmod);
/* datum must not be null */
extern void reefpg_column_value(ReefPgColumnConverter *column, Datum datum,
								ReefValue *value);

/* How a numeric fits a scale. */
typedef enum ReefPgNumericFit
{
	REEFPG_NUMERIC_EXACT,
	REEFPG_NUMERIC_INEXACT,		/* *unscaled is the next lower */
	REEFPG_NUMERIC_NAN,
	REEFPG_NUMERIC_TOO_LOW,		/* -Infinity, or below -10^38 unscaled */
	REEFPG_NUMERIC_TOO_HIGH
} ReefPgNumericFit;

extern ReefPgNumericFit reefpg_numeric_unscale(Datum numeric, int scale,
											   ReefInt128 *unscaled);
extern Datum reefpg_numeric_of_int64(int64 unscaled, int scale);
extern Datum reefpg_numeric_of_int128(ReefInt128 unscaled, int scale);
extern Datum reefpg_numeric_nan(void);

#endif							/* REEF_PG_CONVERT_H */
