/*
 * page.h
 *	  Decode one page that has been fetched: decompress, levels, values.
 */
#ifndef REEF_PARQUET_PAGE_H
#define REEF_PARQUET_PAGE_H

#include "base/arena.h"
#include "parquet/footer.h"
#include "parquet/type.h"

/* Most rows of a page, and most bytes once decompressed, that we read. */
#define REEF_PAGE_MAX_ROWS (16 * 1024 * 1024)
#define REEF_PAGE_MAX_SIZE (512u * 1024 * 1024)

/* The decoded dictionary of a column chunk. */
typedef struct ReefPageDictionary
{
	size_t		count;
	const void *values;			/* of the kind's element type */
} ReefPageDictionary;

/* What there is to know about the column for decoding its pages. */
typedef struct ReefPageColumn
{
	ReefKind	kind;
	int			physical;		/* ReefPhysicalType */
	bool		is_optional;
	bool		is_exact;		/* no encoding may be padded: it is ours */
	int			codec;			/* Parquet's number */
	ReefBuf    *scratch;		/* reused from page to page */
	const ReefPageDictionary *dictionary;	/* NULL: none */
} ReefPageColumn;

/* "body" is what follows the header; sizes in the header have been compared
 * with it.  The result is in the arena or points into the dictionary. */
extern ReefCode reef_page_decode(const ReefPageColumn *column,
								 const ReefPageHeader *header, ReefSlice body,
								 ReefArena *arena, ReefVector *vector,
								 ReefError *err) REEF_MUST_CHECK;

extern ReefCode reef_page_decode_dictionary(const ReefPageColumn *column,
											const ReefPageHeader *header,
											ReefSlice body, ReefArena *arena,
											ReefPageDictionary *dictionary,
											ReefError *err) REEF_MUST_CHECK;

#endif							/* REEF_PARQUET_PAGE_H */
