/*
 * parquet_fixture.h
 *	  Rows in memory as the tests' truth, written to and compared with Parquet
 *	  files in memory.
 */
#ifndef REEF_UNIT_PARQUET_FIXTURE_H
#define REEF_UNIT_PARQUET_FIXTURE_H

#include "base/arena.h"
#include "base/schema.h"
#include "parquet/reader.h"
#include "parquet/writer.h"

/* A file in memory; counts what a reader asks for. */
typedef struct ParquetFile
{
	ReefBuf		bytes;
	size_t		read_count;
	size_t		read_size;
} ParquetFile;

typedef struct ParquetRows
{
	ReefArena	arena;
	int			column_count;
	ReefColumn *columns;
	size_t		row_count;
	ReefValue  *values;			/* row by row */
} ParquetRows;

extern ReefCode parquet_file_append(void *arg, ReefSlice bytes,
									ReefError *err);
extern ReefCode parquet_file_read_at(void *arg, uint64_t offset, size_t size,
									 void *out, ReefError *err);

/* Room for the rows, all null; columns are named by their kind. */
extern void parquet_rows_init(ParquetRows *rows, const ReefKind *kinds,
							  int column_count, size_t row_count);
/* The same with a column for each kind. */
extern void parquet_rows_init_all(ParquetRows *rows, size_t row_count);
extern void parquet_rows_release(ParquetRows *rows);
extern ReefValue *parquet_rows_at(const ParquetRows *rows, size_t row,
								  int column);
/* Values in which edges are frequent; a null_share of 100 is all. */
extern void parquet_rows_fill(ParquetRows *rows, unsigned null_percent);
extern ReefValue parquet_random_value(ReefArena *arena, ReefKind kind);
/* The same bits, not merely equal. */
extern bool parquet_values_identical(ReefKind kind, const ReefValue *a,
									 const ReefValue *b);

/* Write in batches of batch_rows; the writer is freed unless it is asked for
 * (its summary borrows from it). */
extern void parquet_rows_write(const ParquetRows *rows,
							   const ReefParquetWriterOptions *options,
							   size_t batch_rows, ParquetFile *file,
							   ReefParquetSummary *summary,
							   ReefParquetWriter **writer);
/* Decode everything and look into all statistics and bloom filters; compare
 * with the rows unless they are NULL. */
extern ReefCode parquet_file_read_all(ParquetFile *file,
									  const ParquetRows *rows,
									  ReefError *err);

#endif							/* REEF_UNIT_PARQUET_FIXTURE_H */
