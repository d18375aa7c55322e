/*
 * test_parquet_writer.c
 *	  What is written is read back bit by bit.
 */
#include "parquet/writer.h"

#include "base/crc32c.h"
#include "parquet_fixture.h"
#include "unit.h"

/* The file's bounds and null counts, against every row. */
static void
check_summary(const ParquetRows *rows, const ReefParquetSummary *summary)
{
	for (int c = 0; c < rows->column_count; c++)
	{
		const ReefParquetColumnSummary *column = &summary->columns[c];
		ReefKind	kind = rows->columns[c].type.kind;
		size_t		null_count = 0;

		for (size_t r = 0; r < rows->row_count; r++)
		{
			const ReefValue *v = parquet_rows_at(rows, r, c);

			null_count += v->is_null;
			if (v->is_null || !column->has_min_max)
				continue;
			UNIT_CHECK(reef_value_compare(kind, &column->min, v) <= 0);
			UNIT_CHECK(reef_value_compare(kind, &column->max, v) >= 0);
		}
		UNIT_EQUAL_INT(column->null_count, null_count);
	}
}

static void
check_round_trip(ParquetRows *rows, const ReefParquetWriterOptions *options,
				 size_t batch_rows)
{
	ParquetFile file;
	ReefParquetSummary summary;
	ReefParquetWriter *writer;
	ReefError	err;

	reef_error_init(&err);
	parquet_rows_write(rows, options, batch_rows, &file, &summary, &writer);
	check_summary(rows, &summary);
	UNIT_EQUAL_INT(summary.row_count, rows->row_count);
	UNIT_EQUAL_INT(summary.size, file.bytes.size);
	UNIT_EQUAL_INT(summary.crc, reef_crc32c(0, file.bytes.data,
											file.bytes.size));
	reef_parquet_writer_free(writer);
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

UNIT_TEST(test_parquet_writer__bytes_do_not_depend_on_the_batches)
{
	ReefParquetWriterOptions options;
	ReefParquetSummary summary;
	ParquetRows rows;
	ParquetFile a;
	ParquetFile b;

	reef_parquet_writer_options_init(&options);
	options.page_rows = 50;
	options.row_group_rows = 300;
	parquet_rows_init_all(&rows, 1000);
	parquet_rows_fill(&rows, 10);
	parquet_rows_write(&rows, &options, 7, &a, &summary, NULL);
	parquet_rows_write(&rows, &options, 1000, &b, &summary, NULL);
	UNIT_EQUAL_BYTES(reef_buf_slice(&a.bytes), reef_buf_slice(&b.bytes));
	reef_buf_release(&a.bytes);
	reef_buf_release(&b.bytes);
	parquet_rows_release(&rows);
}

UNIT_TEST(test_parquet_writer__only_the_selected_rows_are_written_in_order)
{
	static const uint16_t selection[] = {5, 2, 9};
	static const int64_t expected[] = {50, 20, 90};
	int64_t		values[10];
	ReefVector	vector = {REEF_KIND_INT64, NULL, values};
	ReefBatch	batch = {0};
	ReefColumn	column = {0};
	ReefParquetWriterOptions options;
	ReefParquetWriter *writer;
	ReefParquetSummary summary;
	ParquetFile file = {0};
	ParquetRows rows;
	ReefKind	kind = REEF_KIND_INT64;
	ReefError	err;

	for (int i = 0; i < 10; i++)
		values[i] = i * 10;
	column.name = "n";
	column.type.kind = kind;
	batch.row_count = 3;
	batch.selection = selection;
	batch.column_count = 1;
	batch.columns = &vector;
	reef_buf_init(&file.bytes);
	reef_parquet_writer_options_init(&options);
	UNIT_OK(reef_parquet_writer_new(&options, &column, 1, parquet_file_append,
									&file, &writer, &err), &err);
	UNIT_OK(reef_parquet_writer_append(writer, &batch, &err), &err);
	UNIT_OK(reef_parquet_writer_finish(writer, NULL, 0, &summary, &err), &err);
	reef_parquet_writer_free(writer);
	parquet_rows_init(&rows, &kind, 1, 3);
	for (size_t i = 0; i < 3; i++)
	{
		parquet_rows_at(&rows, i, 0)->is_null = false;
		parquet_rows_at(&rows, i, 0)->as.int64 = expected[i];
	}
	UNIT_OK(parquet_file_read_all(&file, &rows, &err), &err);
	parquet_rows_release(&rows);
	reef_buf_release(&file.bytes);
}

/* Bounds of a file with these texts. */
static void
text_bounds(ReefKind kind, const ReefSlice *texts, int count,
			ReefParquetWriter **writer, ReefParquetColumnSummary *bounds)
{
	ReefParquetWriterOptions options;
	ReefParquetSummary summary;
	ParquetRows rows;
	ParquetFile file;

	reef_parquet_writer_options_init(&options);
	parquet_rows_init(&rows, &kind, 1, (size_t) count);
	for (int i = 0; i < count; i++)
	{
		parquet_rows_at(&rows, (size_t) i, 0)->is_null = false;
		parquet_rows_at(&rows, (size_t) i, 0)->as.bytes = texts[i];
	}
	parquet_rows_write(&rows, &options, 100, &file, &summary, writer);
	*bounds = summary.columns[0];
	reef_buf_release(&file.bytes);
	parquet_rows_release(&rows);
}

UNIT_TEST(test_parquet_writer__long_bounds_are_cut_and_the_upper_one_raised)
{
	ReefParquetColumnSummary bounds;
	ReefParquetWriter *writer;
	char		text[200] = {0};
	ReefSlice	slice = reef_slice(text, sizeof(text));

	memset(text, 'x', sizeof(text));
	text_bounds(REEF_KIND_TEXT, &slice, 1, &writer, &bounds);
	UNIT_CHECK(bounds.has_min_max);
	UNIT_EQUAL_BYTES(bounds.min.as.bytes, reef_slice(text, 64));
	text[63] = 'y';
	UNIT_EQUAL_BYTES(bounds.max.as.bytes, reef_slice(text, 64));
	reef_parquet_writer_free(writer);

	/* the cut does not split a character, nor does raising make a surrogate */
	memset(text, 'x', sizeof(text));
	memcpy(text + 58, "\xed\x9f\xbf" "\xf4\x8f\xbf\xbf" "tail", 11);
	text_bounds(REEF_KIND_TEXT, &slice, 1, &writer, &bounds);
	UNIT_EQUAL_BYTES(bounds.min.as.bytes, reef_slice(text, 61));
	memcpy(text + 58, "\xee\x80\x80", 3);
	UNIT_EQUAL_BYTES(bounds.max.as.bytes, reef_slice(text, 61));
	reef_parquet_writer_free(writer);

	memset(text, 0xff, sizeof(text));
	text_bounds(REEF_KIND_BYTES, &slice, 1, &writer, &bounds);
	UNIT_CHECK(!bounds.has_min_max);
	reef_parquet_writer_free(writer);
}

UNIT_TEST(test_parquet_writer__bounds_of_text_that_is_not_utf8_still_hold)
{
	for (int round = 0; round < 3000; round++)
	{
		ReefParquetColumnSummary bounds;
		ReefParquetWriter *writer;
		uint8_t		text[70] = {0};
		ReefSlice	slice = reef_slice(text, sizeof(text));

		for (size_t i = 0; i < sizeof(text); i++)
			text[i] = (uint8_t) (0xFF - unit_random_below(
				unit_random_below(2) == 0 ? 4 : 128));
		text_bounds(REEF_KIND_TEXT, &slice, 1, &writer, &bounds);
		if (bounds.has_min_max)
		{
			UNIT_CHECK(reef_slice_compare(bounds.min.as.bytes, slice) <= 0);
			UNIT_CHECK(reef_slice_compare(bounds.max.as.bytes, slice) >= 0);
		}
		reef_parquet_writer_free(writer);
	}
}

UNIT_TEST(test_parquet_writer__a_page_ends_early_when_values_are_large)
{
	static char text[400 * 1024];
	ReefKind	kinds[] = {REEF_KIND_INT64, REEF_KIND_TEXT};
	ReefParquetWriterOptions options;
	ReefParquetSummary summary;
	ReefParquetReader *reader;
	ParquetRows rows;
	ParquetFile file;
	ReefError	err;
	int			page_count;

	memset(text, 'x', sizeof(text));
	reef_parquet_writer_options_init(&options);
	parquet_rows_init(&rows, kinds, 2, 20);
	for (size_t i = 0; i < 20; i++)
	{
		parquet_rows_at(&rows, i, 1)->is_null = false;
		parquet_rows_at(&rows, i, 1)->as.bytes = reef_slice(text, sizeof(text) - i);
	}
	parquet_rows_write(&rows, &options, 20, &file, &summary, NULL);
	UNIT_OK(parquet_file_read_all(&file, &rows, &err), &err);
	UNIT_OK(reef_parquet_reader_open(parquet_file_read_at, &file,
									 file.bytes.size, "test", &reader, &err),
			&err);
	UNIT_OK(reef_parquet_reader_page_count(reader, 0, &page_count, &err),
			&err);
	UNIT_EQUAL_INT(page_count, 7);
	reef_parquet_reader_close(reader);
	reef_buf_release(&file.bytes);
	parquet_rows_release(&rows);
}
