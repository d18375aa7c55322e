/*
 * writer.h
 *	  Write a Parquet file of flat, optional columns, streaming.
 *
 * Rows arrive as batches; pages of all columns of a row group begin at the
 * same rows, so that "page i" means the same rows in every column.  Output
 * bytes depend on the input alone (no clock, no randomness).
 */
#ifndef REEF_PARQUET_WRITER_H
#define REEF_PARQUET_WRITER_H

#include "base/schema.h"

typedef struct ReefParquetWriter ReefParquetWriter;

typedef enum ReefCompression	/* Parquet's own numbers */
{
	REEF_COMPRESSION_NONE = 0,
	REEF_COMPRESSION_ZSTD = 6,
	REEF_COMPRESSION_LZ4_RAW = 7,
} ReefCompression;

typedef struct ReefParquetWriterOptions
{
	ReefCompression compression;
	int			compression_level;
	int			page_rows;		/* rows a page, the last of a group may be shorter */
	int			row_group_rows;
	size_t		row_group_bytes;	/* encoded, soft */
	double		bloom_false_positives;	/* for columns with has_bloom */
} ReefParquetWriterOptions;

extern void reef_parquet_writer_options_init(ReefParquetWriterOptions *options);

/* Where the bytes go, in order; called with at most a row group at a time. */
typedef ReefCode (*ReefParquetSink) (void *arg, ReefSlice bytes, ReefError *err);

/* A footer key-value pair. */
typedef struct ReefParquetKeyValue
{
	const char *key;
	const char *value;
} ReefParquetKeyValue;

/* What a writer knows when it is done. */
typedef struct ReefParquetColumnSummary
{
	uint64_t	null_count;
	bool		has_min_max;
	ReefValue	min;			/* bytes borrowed from the writer until free */
	ReefValue	max;
} ReefParquetColumnSummary;

typedef struct ReefParquetSummary
{
	uint64_t	row_count;
	uint64_t	size;			/* bytes of the file */
	uint32_t	crc;			/* CRC32C of the whole file */
	const ReefParquetColumnSummary *columns;
} ReefParquetSummary;

/* The columns are copied. */
extern ReefCode reef_parquet_writer_new(const ReefParquetWriterOptions *options,
										const ReefColumn *columns,
										int column_count,
										ReefParquetSink sink, void *sink_arg,
										ReefParquetWriter **writer,
										ReefError *err) REEF_MUST_CHECK;
extern void reef_parquet_writer_free(ReefParquetWriter *writer);	/* accepts NULL */

/* Append the batch's rows (its selection, if it has one); vectors are in the
 * order of the writer's columns and of their kinds. */
extern ReefCode reef_parquet_writer_append(ReefParquetWriter *writer,
										   const ReefBatch *batch,
										   ReefError *err) REEF_MUST_CHECK;

/* Bytes held in memory at the moment. */
extern size_t reef_parquet_writer_memory(const ReefParquetWriter *writer);

/*
 * CRC32C of all bytes that went to the sink so far.  Just before the footer
 * this is the "CRC32C of the file up to the footer" that finish() adds as the
 * key-value pair "reef.body_crc32c".
 */
extern ReefCode reef_parquet_writer_finish(ReefParquetWriter *writer,
										   const ReefParquetKeyValue *pairs,
										   int pair_count,
										   ReefParquetSummary *summary,
										   ReefError *err) REEF_MUST_CHECK;

#endif							/* REEF_PARQUET_WRITER_H */
