/*
 * reader.h
 *	  Read the Parquet files that writer.h writes (and, as far as the subset
 *	  goes, others' flat files).  Does no I/O: asks a callback for bytes.
 *
 * Everything read is untrusted: every length is checked against the file and
 * against limits before memory is taken, page CRCs are verified before a page
 * is decoded, and a damaged byte is REEF_CORRUPT with column, row group and
 * page in the detail, never data.
 */
#ifndef REEF_PARQUET_READER_H
#define REEF_PARQUET_READER_H

#include "base/arena.h"
#include "base/schema.h"

typedef struct ReefParquetReader ReefParquetReader;

/* Read exactly size bytes at offset into "out". */
typedef ReefCode (*ReefParquetReadAt) (void *arg, uint64_t offset, size_t size,
									   void *out, ReefError *err);

/*
 * Reads and checks the footer (and, lazily, the page indexes).  "name" is
 * used in messages and copied.
 */
extern ReefCode reef_parquet_reader_open(ReefParquetReadAt read_at, void *arg,
										 uint64_t file_size, const char *name,
										 ReefParquetReader **reader,
										 ReefError *err) REEF_MUST_CHECK;
extern void reef_parquet_reader_close(ReefParquetReader *reader);	/* accepts NULL */

/* The columns as stored; borrowed until close.  pg_type is NULL unless the
 * file's own "reef.schema" key-value says it. */
extern const ReefSchema *reef_parquet_reader_schema(const ReefParquetReader *reader);
extern uint64_t reef_parquet_reader_row_count(const ReefParquetReader *reader);
extern int	reef_parquet_reader_row_group_count(const ReefParquetReader *reader);
extern uint64_t reef_parquet_reader_row_group_rows(const ReefParquetReader *reader,
												   int row_group);
/* NULL if there is no such footer pair; borrowed until close. */
extern const char *reef_parquet_reader_value(const ReefParquetReader *reader,
											 const char *key);

/*
 * Pages of a row group: the reader presents the pages of the row group's
 * first column as *the* pages; in our own files all columns agree.  first_row
 * is relative to the row group.
 */
extern ReefCode reef_parquet_reader_page_count(ReefParquetReader *reader,
											   int row_group, int *page_count,
											   ReefError *err) REEF_MUST_CHECK;
extern ReefCode reef_parquet_reader_page_rows(ReefParquetReader *reader,
											  int row_group, int page,
											  uint32_t *first_row,
											  uint32_t *row_count,
											  ReefError *err) REEF_MUST_CHECK;

/* Statistics of one column in one page (page -1: the whole row group). */
typedef struct ReefParquetStats
{
	bool		has_min_max;
	bool		has_null_count;
	uint64_t	null_count;
	ReefValue	min;			/* lower bound, bytes borrowed until close */
	ReefValue	max;			/* upper bound */
} ReefParquetStats;

extern ReefCode reef_parquet_reader_stats(ReefParquetReader *reader,
										  int row_group, int page, int column,
										  ReefParquetStats *stats,
										  ReefError *err) REEF_MUST_CHECK;

/* False only if the column certainly does not contain the value. */
extern ReefCode reef_parquet_reader_bloom_check(ReefParquetReader *reader,
												int row_group, int column,
												const ReefValue *value,
												bool *may_contain,
												ReefError *err)
			REEF_MUST_CHECK;

/*
 * Decode one page of one column into a vector of its stored kind.  The
 * vector's memory comes from the arena (dictionary strings may point into a
 * dictionary that the reader keeps until close).
 */
extern ReefCode reef_parquet_reader_read_page(ReefParquetReader *reader,
											  int row_group, int page,
											  int column, ReefArena *arena,
											  ReefVector *vector,
											  ReefError *err) REEF_MUST_CHECK;

/* Forget what was loaded of a row group: page indexes and dictionaries, with
 * all that points into them. */
extern void reef_parquet_reader_forget_group(ReefParquetReader *reader,
											 int row_group);

#endif							/* REEF_PARQUET_READER_H */
