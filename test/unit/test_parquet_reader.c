/*
 * test_parquet_reader.c
 *	  Damage is found, only what is needed is read, and the golden file of
 *	  format version 1 stays readable.
 */
#include "parquet/reader.h"

#include <stdio.h>
#include <stdlib.h>

#include "parquet_fixture.h"
#include "unit.h"

static void
small_file(ParquetRows *rows, ReefCompression compression, ParquetFile *file)
{
	ReefParquetWriterOptions options;
	ReefParquetSummary summary;

	reef_parquet_writer_options_init(&options);
	options.compression = compression;
	options.page_rows = 6;
	options.row_group_rows = 12;
	options.bloom_false_positives = 0.1;
	parquet_rows_init_all(rows, 16);
	rows->columns[REEF_KIND_INT64 - 1].has_bloom = true;
	parquet_rows_fill(rows, 20);
	/* columns that will be stored as a dictionary and as deltas */
	for (size_t r = 0; r < rows->row_count; r++)
	{
		ReefValue	v = {0};

		v.as.bytes = reef_slice_of_string(r % 2 == 0 ? "even" : "odd");
		*parquet_rows_at(rows, r, REEF_KIND_TEXT - 1) = v;
		v.as.int64 = (int64_t) r * 1000;
		*parquet_rows_at(rows, r, REEF_KIND_INT64 - 1) = v;
	}
	parquet_rows_write(rows, &options, 10, file, &summary, NULL);
}

UNIT_TEST(test_parquet_reader__every_flipped_bit_is_found)
{
	for (int compressed = 0; compressed < 2; compressed++)
	{
		ParquetRows rows;
		ParquetFile file;
		ReefError	err;

		small_file(&rows, compressed ? REEF_COMPRESSION_ZSTD :
				   REEF_COMPRESSION_NONE, &file);
		UNIT_OK(parquet_file_read_all(&file, &rows, &err), &err);
		for (size_t i = 0; i < file.bytes.size * 8; i++)
		{
			ReefCode	rc;

			file.bytes.data[i / 8] ^= (uint8_t) (1 << (i % 8));
			reef_error_init(&err);
			rc = parquet_file_read_all(&file, NULL, &err);
			if (rc != REEF_CORRUPT && rc != REEF_UNSUPPORTED &&
				rc != REEF_LIMIT)
				UNIT_FAIL("bit %zu of byte %zu of %zu: %s", i % 8, i / 8,
						  file.bytes.size, reef_code_name(rc));
			file.bytes.data[i / 8] ^= (uint8_t) (1 << (i % 8));
		}
		reef_buf_release(&file.bytes);
		parquet_rows_release(&rows);
	}
}

UNIT_TEST(test_parquet_reader__every_truncation_is_found)
{
	ParquetRows rows;
	ParquetFile file;
	ReefError	err;
	size_t		whole;

	small_file(&rows, REEF_COMPRESSION_ZSTD, &file);
	whole = file.bytes.size;
	for (size_t size = 0; size < whole; size++)
	{
		file.bytes.size = size;
		reef_error_init(&err);
		UNIT_CODE(parquet_file_read_all(&file, NULL, &err), REEF_CORRUPT,
				  &err);
	}
	reef_buf_release(&file.bytes);
	parquet_rows_release(&rows);
}
