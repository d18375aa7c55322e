/*
 * parquet_cells.c
 *	  Print the cells of a Parquet file for comparison with another reader.
 *
 *	  parquet_cells write FILE CODEC	writes a file of all kinds
 *	  parquet_cells read FILE			prints "row column value" lines
 *
 * Values are printed as Parquet stores them: integers of the Unix epoch,
 * unscaled decimals, the bits of floats, the bytes of text, all of them as
 * numbers or hexadecimal digits.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "parquet/reader.h"
#include "parquet/type.h"
#include "parquet/writer.h"

#define ROW_COUNT 5000

static void
check(ReefCode rc, const ReefError *err)
{
	if (rc == REEF_OK)
		return;
	fprintf(stderr, "%s: %s: %s\n", reef_code_name(rc), err->message,
			err->detail);
	exit(1);
}

static ReefCode
write_to(void *arg, ReefSlice bytes, ReefError *err)
{
	if (fwrite(bytes.data, 1, bytes.size, arg) != bytes.size)
		return reef_error_set(err, REEF_NO_SPACE, "could not write", NULL);
	return REEF_OK;
}

static ReefCode
read_from(void *arg, uint64_t offset, size_t size, void *out, ReefError *err)
{
	if (fseek(arg, (long) offset, SEEK_SET) != 0 ||
		fread(out, 1, size, arg) != size)
		return reef_error_set(err, REEF_CORRUPT, "could not read", NULL);
	return REEF_OK;
}

/* Row by row the edges of the kind, then ordinary values; every 7th is null. */
static ReefValue
make_value(ReefKind kind, int row, ReefArena *arena)
{
	static const double doubles[] = {0.0, -0.0, INFINITY, -INFINITY, NAN,
	1.0 / 3, -1e300};
	static const int64_t integers[] = {0, -1, 1, INT64_MAX, INT64_MIN,
	INT64_MAX - 1, INT64_MIN + 1};
	static const int64_t timestamps[] = {INT64_MAX, INT64_MIN, 0,
		-INT64_C(211813488000000000), INT64_C(9223371331199999999),
	INT64_C(9222425352054775807), -INT64_C(63082281600000000)};
	static const char *const texts[] = {"", "a", "\xc3\xa9", "\xf0\x9f\x90\xa0",
	"1", "[]", "null"};
	static const char *const jsons[] = {"0", "\"\"", "{}", "\"\xc3\xa9\"", "1",
	"[]", "null"};
	int			edge = row % 7;
	ReefValue	v = {0};

	v.is_null = row % 7 == 6 && row % 3 != 0;
	v.as.int64 = row % 100 == 0 ? integers[edge] : (int64_t) row * 1000003;
	switch (kind)
	{
		case REEF_KIND_BOOL:
			v.as.boolean = row % 3 == 0;
			break;
		case REEF_KIND_INT16:
			v.as.int16 = (int16_t) v.as.int64;
			break;
		case REEF_KIND_INT32:
			v.as.int32 = (int32_t) v.as.int64;
			break;
		case REEF_KIND_DATE:
			v.as.int32 = row % 50 == 0 ? INT32_MAX : row % 50 == 1 ?
				INT32_MIN : row % 50 == 2 ? -2451507 : row;
			break;
		case REEF_KIND_FLOAT32:
			v.as.float32 = (float) doubles[edge];
			break;
		case REEF_KIND_FLOAT64:
			v.as.float64 = row % 10 == 0 ? doubles[edge] : row / 7.0;
			break;
		case REEF_KIND_INT64:
		case REEF_KIND_DECIMAL64:
			break;
		case REEF_KIND_TIME:
			v.as.int64 = row == 0 ? INT64_C(86399999999) : row;
			break;
		case REEF_KIND_TIMESTAMP:
		case REEF_KIND_TIMESTAMPTZ:
			v.as.int64 = row % 100 < 7 ? timestamps[edge] :
				(int64_t) row * 1000000;
			break;
		case REEF_KIND_DECIMAL128:
			v.as.int128 = row == 0 ? REEF_DECIMAL128_NAN :
				(ReefInt128) v.as.int64 * 1000000007 * (row % 2 == 0 ? 1 : -1);
			break;
		case REEF_KIND_UUID:
			for (int i = 0; i < 16; i++)
				v.as.uuid[i] = (uint8_t) (row * (i + 3));
			break;
		case REEF_KIND_TEXT:
		case REEF_KIND_JSON:
		case REEF_KIND_OTHER:
			v.as.bytes = reef_slice_of_string(kind == REEF_KIND_JSON ?
											   jsons[edge] : texts[edge]);
			if (row >= 3000 && kind == REEF_KIND_TEXT)
			{
				char		buf[100];

				snprintf(buf, sizeof(buf), "row %d", row);
				v.as.bytes = reef_slice_of_string(reef_arena_strdup(arena,
																	buf));
			}
			break;
		case REEF_KIND_BYTES:
			v.as.bytes = reef_slice("\0\377\0z", (size_t) (row % 5));
			break;
	}
	return v;
}

static void
write_file(const char *path, ReefCompression codec)
{
	ReefColumn	columns[REEF_KIND_MAX] = {0};
	ReefVector	vectors[REEF_KIND_MAX];
	ReefBatch	batch = {0};
	ReefParquetWriterOptions options;
	ReefParquetWriter *writer;
	ReefParquetSummary summary;
	ReefArena	arena;
	ReefError	err;
	FILE	   *f = fopen(path, "wb");

	if (f == NULL)
		exit(1);
	reef_arena_init(&arena, 0);
	for (int i = 0; i < REEF_KIND_MAX; i++)
	{
		columns[i].type.kind = (ReefKind) (i + 1);
		columns[i].name = reef_kind_name(columns[i].type.kind);
		columns[i].type.precision = i + 1 == REEF_KIND_DECIMAL64 ? 18 : 38;
		columns[i].type.scale = 3;
		columns[i].has_bloom = i % 2 == 0;
	}
	reef_parquet_writer_options_init(&options);
	options.compression = codec;
	options.page_rows = 300;
	options.row_group_rows = 2000;
	check(reef_parquet_writer_new(&options, columns, REEF_KIND_MAX, write_to,
								  f, &writer, &err), &err);
	for (int row = 0; row < ROW_COUNT; row += batch.row_count)
	{
		batch.row_count = ROW_COUNT - row < 1000 ? ROW_COUNT - row : 1000;
		batch.column_count = REEF_KIND_MAX;
		batch.columns = vectors;
		for (int c = 0; c < REEF_KIND_MAX; c++)
		{
			ReefKind	kind = columns[c].type.kind;
			size_t		size = (size_t) reef_vector_element_size(kind);
			uint8_t    *nulls = reef_arena_calloc(&arena, 1000);
			uint8_t    *values = reef_arena_calloc(&arena, 1000 * size);

			for (int i = 0; i < batch.row_count; i++)
			{
				ReefValue	v = make_value(kind, row + i, &arena);

				nulls[i] = v.is_null;
				memcpy(values + (size_t) i * size, &v.as, size);
			}
			vectors[c].kind = kind;
			vectors[c].nulls = nulls;
			vectors[c].values = values;
		}
		check(reef_parquet_writer_append(writer, &batch, &err), &err);
	}
	check(reef_parquet_writer_finish(writer, NULL, 0, &summary, &err), &err);
	reef_parquet_writer_free(writer);
	reef_arena_release(&arena);
	if (fclose(f) != 0)
		exit(1);
}

static void
print_value(ReefKind kind, const ReefValue *v)
{
	uint8_t		scratch[REEF_PHYSICAL_MAX_WIDTH];
	ReefSlice	bytes;

	if (v->is_null)
	{
		printf("null\n");
		return;
	}
	if ((kind == REEF_KIND_FLOAT32 && isnan(v->as.float32)) ||
		(kind == REEF_KIND_FLOAT64 && isnan(v->as.float64)))
	{
		printf("nan\n");
		return;
	}
	if (!reef_physical_encode(kind, v, scratch, &bytes))
		exit(1);
	if (kind == REEF_KIND_BOOL)
		printf("%d\n", scratch[0]);
	else if (reef_kind_is_variable(kind) || bytes.size == 16)
	{
		for (size_t i = 0; i < bytes.size; i++)
			printf("%02x", bytes.data[i]);
		printf("\n");
	}
	else if (kind == REEF_KIND_FLOAT32)
		printf("%08x\n", reef_get_u32(scratch));
	else if (kind == REEF_KIND_FLOAT64)
		printf("%016llx\n", (unsigned long long) reef_get_u64(scratch));
	else if (bytes.size == 4)
		printf("%d\n", (int32_t) reef_get_u32(scratch));
	else
		printf("%lld\n", (long long) (int64_t) reef_get_u64(scratch));
}

static void
read_file(const char *path)
{
	ReefParquetReader *reader;
	ReefArena	arena;
	ReefError	err;
	long		size;
	uint64_t	base = 0;
	FILE	   *f = fopen(path, "rb");

	if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (size = ftell(f)) < 0)
		exit(1);
	reef_arena_init(&arena, 0);
	check(reef_parquet_reader_open(read_from, f, (uint64_t) size, path,
								   &reader, &err), &err);
	for (int g = 0; g < reef_parquet_reader_row_group_count(reader); g++)
	{
		const ReefSchema *schema = reef_parquet_reader_schema(reader);
		int			page_count;

		check(reef_parquet_reader_page_count(reader, g, &page_count, &err),
			  &err);
		for (int p = 0; p < page_count; p++)
			for (int c = 0; c < schema->column_count; c++)
			{
				uint32_t	first;
				uint32_t	count;
				ReefVector	vector;

				check(reef_parquet_reader_page_rows(reader, g, p, &first,
													&count, &err), &err);
				check(reef_parquet_reader_read_page(reader, g, p, c, &arena,
													&vector, &err), &err);
				for (uint32_t i = 0; i < count; i++)
				{
					ReefValue	v;

					reef_vector_get(&vector, (int) i, &v);
					printf("%llu %s ", (unsigned long long) (base + first + i),
						   schema->columns[c].name);
					print_value(vector.kind, &v);
				}
				reef_arena_reset(&arena);
			}
		base += reef_parquet_reader_row_group_rows(reader, g);
	}
	reef_parquet_reader_close(reader);
	reef_arena_release(&arena);
	(void) fclose(f);			/* only read from */
}

int
main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "write") == 0)
		write_file(argv[2], (ReefCompression) atoi(argv[3]));
	else if (argc == 3 && strcmp(argv[1], "read") == 0)
		read_file(argv[2]);
	else
		return 2;
	return 0;
}
