/*
 * dictionary.h
 *	  Distinct values of a column chunk, numbered in order of appearance.
 *
 * Built while rows arrive.  It gives itself up when it holds more than
 * REEF_DICTIONARY_MAX_SIZE bytes or when after the first values most of them
 * turned out to be distinct, so that columns without repetition pay for it
 * only at the beginning of each row group.
 */
#ifndef REEF_PARQUET_DICTIONARY_H
#define REEF_PARQUET_DICTIONARY_H

#include "base/value.h"

#define REEF_DICTIONARY_MAX_SIZE (1024 * 1024)

typedef struct ReefDictionary
{
	int			width;			/* bytes of a PLAIN value, 0: byte arrays */
	bool		is_given_up;
	ReefBuf		values;			/* PLAIN */
	ReefBuf		offsets;		/* uint32_t: where in "values" each begins */
	ReefBuf		indexes;		/* uint32_t for each value that was added */
	uint32_t   *slots;			/* hash table: 1 + number, 0 = free */
	uint32_t	slot_count;		/* power of two */
	uint32_t	count;			/* distinct values */
} ReefDictionary;

extern void reef_dictionary_init(ReefDictionary *dictionary, ReefKind kind);
extern void reef_dictionary_release(ReefDictionary *dictionary);
extern void reef_dictionary_reset(ReefDictionary *dictionary);
extern size_t reef_dictionary_memory(const ReefDictionary *dictionary);

/* Add count PLAIN values.  Out of memory gives the dictionary up, too. */
extern void reef_dictionary_add(ReefDictionary *dictionary, ReefSlice values,
								size_t count);

#endif							/* REEF_PARQUET_DICTIONARY_H */
