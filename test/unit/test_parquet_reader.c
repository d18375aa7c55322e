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
		/* a page without values: nothing in it tells its encoding */
		v.is_null = r >= 6 && r < 12;
		*parquet_rows_at(rows, r, REEF_KIND_TEXT - 1) = v;
		v.is_null = false;
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

/* What test/compat/v1/segment-basic.parquet holds; never change it. */
static void
golden_rows(ParquetRows *rows)
{
	static const char *const texts[] = {"", "a", "reef \xf0\x9f\x90\xa0", "zz"};

	parquet_rows_init_all(rows, 25);
	rows->columns[REEF_KIND_INT64 - 1].has_bloom = true;
	rows->columns[REEF_KIND_INT64 - 1].key_position = 1;
	rows->columns[REEF_KIND_TEXT - 1].type.pg_type = "character varying(10)";
	rows->columns[REEF_KIND_TEXT - 1].type.length = 10;
	for (int r = 0; r < 25; r++)
		for (int c = 0; c < rows->column_count; c++)
		{
			ReefValue  *v = parquet_rows_at(rows, (size_t) r, c);
			ReefKind	kind = rows->columns[c].type.kind;

			if (r % 5 == 4 && kind != REEF_KIND_INT64)
				continue;
			memset(v, 0, sizeof(*v));
			if (reef_kind_is_variable(kind))
				v->as.bytes = reef_slice_of_string(texts[r % 4]);
			else if (kind == REEF_KIND_FLOAT32)
				v->as.float32 = (float) r / 4;
			else if (kind == REEF_KIND_FLOAT64)
				v->as.float64 = (double) r / 3;
			else if (kind == REEF_KIND_UUID)
				memset(v->as.uuid, r, sizeof(v->as.uuid));
			else if (kind == REEF_KIND_BOOL)
				v->as.boolean = r % 2 == 0;
			else if (kind == REEF_KIND_DECIMAL128)
				v->as.int128 = (ReefInt128) (r - 3) * INT64_MAX;
			else if (kind == REEF_KIND_INT16)
				v->as.int16 = (int16_t) (r * 1000);
			else if (reef_kind_width(kind) == 4)
				v->as.int32 = r * 100000 - 5;
			else
				v->as.int64 = r * INT64_C(10000000000) + 7;
		}
}

static void
write_golden(const ParquetRows *rows, ParquetFile *file)
{
	ReefParquetWriterOptions options;
	ReefParquetSummary summary;

	reef_parquet_writer_options_init(&options);
	/* the bytes of compressed pages would depend on the library's version */
	options.compression = REEF_COMPRESSION_NONE;
	options.page_rows = 8;
	options.row_group_rows = 16;
	parquet_rows_write(rows, &options, 10, file, &summary, NULL);
}

static void
load_golden(ParquetFile *file)
{
	FILE	   *f = fopen("test/compat/v1/segment-basic.parquet", "rb");
	char		part[4096];
	size_t		n;

	UNIT_CHECK(f != NULL);
	memset(file, 0, sizeof(*file));
	reef_buf_init(&file->bytes);
	while ((n = fread(part, 1, sizeof(part), f)) > 0)
		reef_buf_append(&file->bytes, part, n);
	UNIT_EQUAL_INT(fclose(f), 0);
}

UNIT_TEST(test_parquet_reader__the_golden_file_stays_readable)
{
	ParquetRows rows;
	ParquetFile file;
	ReefError	err;

	golden_rows(&rows);
	load_golden(&file);
	UNIT_OK(parquet_file_read_all(&file, &rows, &err), &err);
	reef_buf_release(&file.bytes);
	parquet_rows_release(&rows);
}

UNIT_TEST(test_parquet_reader__the_same_rows_give_the_golden_bytes)
{
	ParquetRows rows;
	ParquetFile golden;
	ParquetFile file;

	golden_rows(&rows);
	load_golden(&golden);
	write_golden(&rows, &file);
	UNIT_EQUAL_BYTES(reef_buf_slice(&file.bytes),
					 reef_buf_slice(&golden.bytes));
	reef_buf_release(&file.bytes);
	reef_buf_release(&golden.bytes);
	parquet_rows_release(&rows);
}

UNIT_TEST(test_parquet_reader__the_schema_comes_back_with_its_types)
{
	ParquetFile file;
	ReefParquetReader *reader;
	const ReefSchema *schema;
	const ReefColumn *text;
	ReefError	err;

	load_golden(&file);
	UNIT_OK(reef_parquet_reader_open(parquet_file_read_at, &file,
									 file.bytes.size, "golden", &reader, &err),
			&err);
	schema = reef_parquet_reader_schema(reader);
	UNIT_EQUAL_INT(schema->column_count, REEF_KIND_MAX);
	for (int i = 0; i < schema->column_count; i++)
		UNIT_EQUAL_INT(schema->columns[i].type.kind, i + 1);
	text = &schema->columns[REEF_KIND_TEXT - 1];
	UNIT_EQUAL_STRING(text->type.pg_type, "character varying(10)");
	UNIT_EQUAL_INT(text->type.length, 10);
	UNIT_EQUAL_INT(schema->columns[REEF_KIND_INT64 - 1].key_position, 1);
	UNIT_CHECK(schema->columns[REEF_KIND_INT64 - 1].has_bloom);
	UNIT_EQUAL_INT(schema->columns[REEF_KIND_DECIMAL64 - 1].type.precision,
				   15);
	UNIT_EQUAL_STRING(reef_parquet_reader_value(reader, "reef.namespace"),
					  "s/t");
	UNIT_CHECK(reef_parquet_reader_value(reader, "reef.nothing") == NULL);
	reef_parquet_reader_close(reader);
	reef_buf_release(&file.bytes);
}

UNIT_TEST(test_parquet_reader__one_page_costs_one_read)
{
	static const ReefKind kinds[] = {REEF_KIND_INT64, REEF_KIND_FLOAT64,
	REEF_KIND_UUID};
	ReefParquetWriterOptions options;
	ReefParquetSummary summary;
	ReefParquetReader *reader;
	ParquetRows rows;
	ParquetFile file;
	ReefVector	vector;
	ReefArena	arena;
	ReefError	err;
	size_t		before;

	reef_parquet_writer_options_init(&options);
	options.compression = REEF_COMPRESSION_NONE;
	options.page_rows = 500;
	parquet_rows_init(&rows, kinds, 3, 20000);
	parquet_rows_fill(&rows, 0);
	parquet_rows_write(&rows, &options, 1000, &file, &summary, NULL);
	UNIT_OK(reef_parquet_reader_open(parquet_file_read_at, &file,
									 file.bytes.size, "test", &reader, &err),
			&err);
	UNIT_EQUAL_INT(file.read_count, 1);
	reef_arena_init(&arena, 0);
	UNIT_OK(reef_parquet_reader_read_page(reader, 0, 3, 2, &arena, &vector,
										  &err), &err);
	before = file.read_size;
	file.read_count = 0;
	UNIT_OK(reef_parquet_reader_read_page(reader, 0, 7, 2, &arena, &vector,
										  &err), &err);
	UNIT_EQUAL_INT(file.read_count, 1);
	UNIT_CHECK(file.read_size - before < 500 * 16 + 200);
	reef_arena_release(&arena);
	reef_parquet_reader_close(reader);
	reef_buf_release(&file.bytes);
	parquet_rows_release(&rows);
}
