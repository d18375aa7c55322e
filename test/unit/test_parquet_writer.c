/*
 * test_parquet_writer.c
 *	  What is written is read back bit by bit.
 */
#include "parquet/writer.h"

#include "base/crc32c.h"
#include "parquet_fixture.h"
#include "unit.h"

static void
check_round_trip(ParquetRows *rows, const ReefParquetWriterOptions *options,
				 size_t batch_rows)
{
	ParquetFile file;
	ReefParquetSummary summary;
	ReefError	err;

	reef_error_init(&err);
	parquet_rows_write(rows, options, batch_rows, &file, &summary, NULL);
	UNIT_EQUAL_INT(summary.row_count, rows->row_count);
	UNIT_EQUAL_INT(summary.size, file.bytes.size);
	UNIT_EQUAL_INT(summary.crc, reef_crc32c(0, file.bytes.data,
											file.bytes.size));
	UNIT_OK(parquet_file_read_all(&file, rows, &err), &err);
	reef_buf_release(&file.bytes);
}

UNIT_TEST(test_parquet_writer__all_kinds_survive_with_edge_values)
{
	static const ReefCompression codecs[] = {REEF_COMPRESSION_NONE,
	REEF_COMPRESSION_ZSTD, REEF_COMPRESSION_LZ4_RAW};
	static const unsigned null_percents[] = {0, 1, 30, 99, 100};

	for (int codec = 0; codec < 3; codec++)
		for (int n = 0; n < 5; n++)
		{
			ReefParquetWriterOptions options;
			ParquetRows rows;

			reef_parquet_writer_options_init(&options);
			options.compression = codecs[codec];
			options.page_rows = 100;
			options.row_group_rows = 1000;
			parquet_rows_init_all(&rows, 2345);
			for (int i = 0; i < rows.column_count; i += 2)
				rows.columns[i].has_bloom = true;
			parquet_rows_fill(&rows, null_percents[n]);
			check_round_trip(&rows, &options, 77);
			parquet_rows_release(&rows);
		}
}

UNIT_TEST(test_parquet_writer__any_number_of_rows_around_page_boundaries)
{
	static const size_t counts[] = {0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33,
	63, 64, 65, 128, 129};

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
	{
		ReefParquetWriterOptions options;
		ParquetRows rows;

		reef_parquet_writer_options_init(&options);
		options.page_rows = 8;
		options.row_group_rows = 32;
		parquet_rows_init_all(&rows, counts[i]);
		parquet_rows_fill(&rows, 20);
		check_round_trip(&rows, &options, 5);
		parquet_rows_release(&rows);
	}
}
