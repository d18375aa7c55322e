/*
 * type.h
 *	  How each kind is stored in Parquet.
 *
 *	  kind			physical			logical
 *	  BOOL			BOOLEAN				-
 *	  INT16			INT32				INTEGER(16, signed)
 *	  INT32, INT64	INT32, INT64		-
 *	  FLOAT32/64	FLOAT, DOUBLE		-
 *	  DECIMAL64		INT64				DECIMAL(precision, scale)
 *	  DECIMAL128	FIXED(16)			DECIMAL(precision, scale), big-endian
 *	  TEXT, OTHER	BYTE_ARRAY			STRING
 *	  BYTES			BYTE_ARRAY			-
 *	  UUID			FIXED(16)			UUID
 *	  DATE			INT32				DATE
 *	  TIME			INT64				TIME(MICROS, local)
 *	  TIMESTAMP		INT64				TIMESTAMP(MICROS, local)
 *	  TIMESTAMPTZ	INT64				TIMESTAMP(MICROS, UTC)
 *	  JSON			BYTE_ARRAY			JSON
 *
 * Days and timestamps move to the Unix epoch; the infinities become MAX and
 * -MAX of the integer, which DuckDB reads as infinities too.  PostgreSQL
 * timestamps whose move would overflow (years 294247 to 294276) are stored as
 * REEF_TIMESTAMP_EXCESS_BASE plus the excess, a range that no PostgreSQL
 * timestamp comes to lie in; the order is lost there, so such values have no
 * bounds.  Decimal NaN is the same largest integer as in value.h.
 */
#ifndef REEF_PARQUET_TYPE_H
#define REEF_PARQUET_TYPE_H

#include "base/schema.h"
#include "parquet/footer.h"

#define REEF_DATE_EPOCH_MOVE 10957	/* days from 1970-01-01 to 2000-01-01 */
#define REEF_TIMESTAMP_EPOCH_MOVE INT64_C(946684800000000)
#define REEF_TIMESTAMP_EXCESS_BASE INT64_C(-4000000000000000000)

/* Bytes of one PLAIN value; 0 for byte arrays, 1 for booleans (by themselves;
 * a page packs eight into a byte). */
extern int	reef_physical_width(ReefKind kind);

/* The schema element of a column; its name points into the column. */
extern void reef_element_of_column(const ReefColumn *column,
								   ReefParquetElement *element);

/* The type that a leaf is read as; REEF_UNSUPPORTED names the column. */
extern ReefCode reef_element_type(const ReefParquetElement *element,
								  ReefType *type, ReefError *err)
			REEF_MUST_CHECK;
/* Is this how a column of the type is stored? */
extern bool reef_element_is_of(const ReefParquetElement *element,
							   const ReefType *type);

/* Epoch moves; false if there is no place for the value. */
extern bool reef_date_to_unix(int32_t date, int32_t *unix_days);
extern bool reef_date_of_unix(int32_t unix_days, int32_t *date);
extern bool reef_timestamp_to_unix(int64_t timestamp, int64_t *unix_micros);
extern bool reef_timestamp_of_unix(int64_t unix_micros, int64_t *timestamp);
/* Is the stored form outside the order of timestamps? */
extern bool reef_timestamp_is_excess(int64_t unix_micros);

#define REEF_PHYSICAL_MAX_WIDTH 16

/*
 * One value in PLAIN form without a byte array's length: bytes of the value
 * itself for variable kinds, else in "scratch".  False if it has no form.
 */
extern bool reef_physical_encode(ReefKind kind, const ReefValue *value,
								 uint8_t scratch[REEF_PHYSICAL_MAX_WIDTH],
								 ReefSlice *bytes);
/* The inverse, for bounds; false if the bytes are not of the kind. */
extern bool reef_physical_decode(ReefKind kind, ReefSlice bytes,
								 ReefValue *value);

#endif							/* REEF_PARQUET_TYPE_H */
