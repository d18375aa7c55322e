/*
 * reader_state.h
 *	  What reader.c (the file, single pages) and row_group.c (page indexes,
 *	  statistics, bloom filters) share.
 */
#ifndef REEF_PARQUET_READER_STATE_H
#define REEF_PARQUET_READER_STATE_H

#include "parquet/origin.h"
#include "parquet/page.h"
#include "parquet/reader.h"

typedef struct ReefColumnState
{
	bool		has_pages;
	ReefOffsetIndex pages;
	bool		has_bounds;
	ReefColumnIndex bounds;
	ReefPageDictionary *dictionary;
	ReefSlice	bloom;			/* data NULL: not read yet */
} ReefColumnState;

typedef struct ReefGroupState
{
	ReefArena	arena;			/* of everything below */
	ReefColumnState *columns;		/* NULL: nothing loaded */
	bool		has_index;
	ReefSlice	index;			/* all page indexes, if they are ours */
	uint64_t	index_offset;
} ReefGroupState;

struct ReefParquetReader
{
	ReefParquetReadAt read_at;
	void	   *arg;
	uint64_t	file_size;
	char	   *name;
	ReefArena	arena;
	ReefParquetFooter footer;
	uint64_t	footer_offset;
	ReefSchema	schema;
	ReefParquetOrigin origin;
	uint8_t    *tail;			/* the file's last bytes */
	size_t		tail_size;
	ReefGroupState *groups;
	ReefBuf		page;			/* as fetched */
	ReefBuf		scratch;		/* decompressed, if not wanted for longer */
};

extern ReefCode reef_reader_corrupt(const ReefParquetReader *reader,
									ReefError *err, const char *what);
/* Bytes of the file, checked to be in it. */
extern ReefCode reef_reader_read(ReefParquetReader *reader, uint64_t offset,
								 size_t size, void *out, ReefError *err)
			REEF_MUST_CHECK;
extern ReefCode reef_reader_read_arena(ReefParquetReader *reader,
									   ReefArena *arena, uint64_t offset,
									   uint64_t size, ReefSlice *bytes,
									   ReefError *err) REEF_MUST_CHECK;
/* Where the dictionary, or else the first data page begins. */
extern uint64_t reef_reader_chunk_start(const ReefParquetChunk *chunk);
extern bool reef_reader_is_inside(uint64_t offset, uint64_t size,
								  uint64_t end);

/* The pages of one column of a row group, loaded if they are not yet. */
extern ReefCode reef_row_group_load_pages(ReefParquetReader *reader,
										  int row_group, int column,
										  ReefColumnState **pages, ReefError *err)
			REEF_MUST_CHECK;
/* The row behind the page's last one. */
extern uint64_t reef_row_group_page_end(const ReefParquetReader *reader,
										int row_group,
										const ReefOffsetIndex *index,
										int page);
/* Add to an error which page it is about. */
extern ReefCode reef_row_group_page_error(const ReefParquetReader *reader,
										  int row_group, int page, int column,
										  ReefError *err);

#endif							/* REEF_PARQUET_READER_STATE_H */
