/*
 * delta.h
 *	  DELTA_BINARY_PACKED: differences of integers, bit-packed in blocks.
 *
 *	  page := varint(block size) varint(miniblocks per block)
 *			  varint(total count) zigzag(first value) block*
 *	  block := zigzag(smallest difference) bit width of each miniblock
 *			   miniblock*
 *
 * We write blocks of 128 differences in four miniblocks.  Arithmetic wraps, so
 * that any two integers have a difference.
 */
#ifndef REEF_PARQUET_DELTA_H
#define REEF_PARQUET_DELTA_H

#include "base/bytes.h"

/* From little-endian values of 4 or 8 bytes. */
extern void reef_delta_encode(ReefBuf *buf, const uint8_t *values, int width,
							  size_t count);

/*
 * Decode count values; false if the bytes are too few or, when "exact", too
 * many (some writers pad).  Values of 32-bit columns are right in their lower
 * 32 bits.
 */
extern bool reef_delta_decode(ReefSlice bytes, bool exact, int64_t *values,
							  size_t count);

#endif							/* REEF_PARQUET_DELTA_H */
