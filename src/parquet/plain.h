/*
 * plain.h
 *	  PLAIN encoding: values one after the other, fixed ones little-endian,
 *	  byte arrays behind their 4-byte size, booleans eight to a byte.
 *
 * The writer collects a column in this form (booleans unpacked, one to a
 * byte), so that statistics, bloom filters and all encodings start from the
 * same bytes.
 */
#ifndef REEF_PARQUET_PLAIN_H
#define REEF_PARQUET_PLAIN_H

#include "base/value.h"

/*
 * Append the vector's values at the given positions.  REEF_INVALID if a value
 * has no place in the stored range (type.h), REEF_LIMIT for one that is too
 * long.
 */
extern ReefCode reef_plain_append(ReefBuf *buf, const ReefVector *vector,
								  const uint16_t *positions, size_t count,
								  ReefError *err) REEF_MUST_CHECK;

/* Pack collected booleans into bits. */
extern void reef_plain_pack_booleans(ReefBuf *buf, const uint8_t *values,
									 size_t count);

/*
 * Decode exactly count values from exactly these bytes into an array of the
 * kind's element type.  "values" may be the address of the bytes for kinds of
 * fixed width except BOOL and INT16 (which change their width).  Slices of
 * variable kinds point into the bytes.  False if the bytes do not fit.
 */
extern bool reef_plain_decode(ReefKind kind, ReefSlice bytes, void *values,
							  size_t count);

/* The same from values of 32 or 64 bits that another encoding produced. */
extern bool reef_plain_convert_int32(ReefKind kind, const int32_t *in,
									 void *values, size_t count);
extern bool reef_plain_convert_int64(ReefKind kind, const int64_t *in,
									 void *values, size_t count);

#endif							/* REEF_PARQUET_PLAIN_H */
