/*
 * chunk.h
 *	  The writer's side of a column chunk: one column of one row group.
 *
 * Values are collected in PLAIN form with a byte a row for nulls; pages are
 * only marks.  When the row group is complete the encoding is chosen from
 * what is there and all pages are encoded with it.
 */
#ifndef REEF_PARQUET_CHUNK_H
#define REEF_PARQUET_CHUNK_H

#include "base/compress.h"
#include "parquet/dictionary.h"
#include "parquet/footer.h"
#include "parquet/stats.h"

typedef struct ReefChunkPage
{
	uint32_t	first_row;
	uint32_t	row_count;
	uint32_t	first_value;
	uint32_t	value_count;
	size_t		offset;			/* in the collected values */
	size_t		size;
} ReefChunkPage;

typedef struct ReefChunk
{
	ReefKind	kind;
	ReefBuf		values;			/* PLAIN, booleans unpacked */
	ReefBuf		nulls;			/* one byte a row */
	ReefBuf		pages;			/* ReefChunkPage */
	ReefDictionary dictionary;
	ReefChunkPage page;			/* the one being filled */
	uint32_t	row_count;
	uint32_t	value_count;
} ReefChunk;

/* How the pages are compressed. */
typedef struct ReefChunkCodec
{
	ReefCodec	codec;
	int			level;
} ReefChunkCodec;

/* Space that encoding needs and that all columns can share. */
typedef struct ReefChunkScratch
{
	ReefBuf		encoded;
	ReefBuf		compressed;
	ReefBuf		levels;
} ReefChunkScratch;

/* What encoding a chunk yields. */
typedef struct ReefChunkResult
{
	ReefParquetChunk meta;		/* offsets count from the chunk's first byte;
								 * no index, no bloom filter, no bounds */
	ReefPageLocation *locations;	/* likewise; these from the arena */
	ReefStats  *stats;			/* of each page */
	uint64_t   *null_counts;
	int			page_count;
	bool		has_dictionary;
} ReefChunkResult;

extern void reef_chunk_init(ReefChunk *chunk, ReefKind kind);
extern void reef_chunk_release(ReefChunk *chunk);
/* Empty, memory kept. */
extern void reef_chunk_reset(ReefChunk *chunk);
extern size_t reef_chunk_memory(const ReefChunk *chunk);

/* Rows first .. first + count - 1 of the batch; count is at most
 * REEF_BATCH_MAX_ROWS. */
extern ReefCode reef_chunk_append(ReefChunk *chunk, const ReefVector *vector,
								  const uint16_t *selection, size_t first,
								  size_t count, ReefError *err)
			REEF_MUST_CHECK;
/* End the page here. */
extern void reef_chunk_cut_page(ReefChunk *chunk);

/* Append the chunk's bytes to *out. */
extern ReefCode reef_chunk_encode(ReefChunk *chunk, ReefChunkCodec codec,
								  ReefChunkScratch *scratch, ReefArena *arena,
								  ReefBuf *out, ReefChunkResult *result,
								  ReefError *err) REEF_MUST_CHECK;

#endif							/* REEF_PARQUET_CHUNK_H */
