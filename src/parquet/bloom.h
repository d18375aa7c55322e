/*
 * bloom.h
 *	  Parquet's split block bloom filter over XXH64.
 *
 * A filter is a BloomFilterHeader and blocks of eight 32-bit words.  A value's
 * hash chooses a block with its upper half and a bit in each of the words
 * with its lower half.  Hashed are the PLAIN bytes (without the size of a byte
 * array).  So that equal values of PostgreSQL are never missed, a float zero
 * is entered with both signs, and a NaN also as the one canonical NaN that a
 * search for any NaN asks for.
 */
#ifndef REEF_PARQUET_BLOOM_H
#define REEF_PARQUET_BLOOM_H

#include "base/value.h"

#define REEF_BLOOM_BLOCK_SIZE 32

extern uint64_t reef_xxh64(const void *data, size_t size, uint64_t seed);

/* Append the filter of collected PLAIN values (plain.h), sized for "distinct"
 * of them and the false positive rate. */
extern void reef_bloom_encode(ReefBuf *buf, ReefKind kind, ReefSlice values,
							  size_t count, size_t distinct,
							  double false_positives);

/*
 * Look a value up in a stored filter.  False if the bytes are not a filter of
 * this kind; else *may_contain is set.
 */
extern bool reef_bloom_check(ReefSlice filter, ReefKind kind,
							 const ReefValue *value, bool *may_contain);

#endif							/* REEF_PARQUET_BLOOM_H */
