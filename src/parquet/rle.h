/*
 * rle.h
 *	  Parquet's hybrid of run-length and bit-packed integers: definition levels
 *	  and dictionary indexes.
 *
 *	  run := varint(count << 1) value		ceil(bit width / 8) bytes
 *		   | varint(groups << 1 | 1) bits	8 * groups values, low bits first
 */
#ifndef REEF_PARQUET_RLE_H
#define REEF_PARQUET_RLE_H

#include "base/bytes.h"

#define REEF_RLE_MAX_BIT_WIDTH 32

/* Bits that values up to "max" need. */
extern int	reef_rle_bit_width(uint32_t max);

extern void reef_rle_encode(ReefBuf *buf, const uint32_t *values, size_t count,
							int bit_width);
/* Definition levels of an optional column: 0 where nulls[i], else 1.  nulls
 * may be NULL. */
extern void reef_rle_encode_levels(ReefBuf *buf, const uint8_t *nulls,
								   size_t count);

/*
 * Decode count values; false if the bytes are too few or, when "exact", too
 * many (some writers pad).  Values are not checked against anything but the
 * bit width.
 */
extern bool reef_rle_decode(ReefSlice bytes, int bit_width, bool exact,
							uint32_t *values, size_t count);
/* The inverse of encode_levels; also counts the nulls. */
extern bool reef_rle_decode_levels(ReefSlice bytes, bool exact, uint8_t *nulls,
								   size_t count, size_t *null_count);

/* count values of bit_width (at most 32) bits, low bits first.  "size" is the
 * number of bytes at "bits" and must suffice. */
extern void reef_bits_unpack(const uint8_t *bits, size_t size, int bit_width,
							 uint32_t *values, size_t count);
extern void reef_bits_pack(ReefBuf *buf, const uint32_t *values, size_t count,
						   int bit_width);

#endif							/* REEF_PARQUET_RLE_H */
