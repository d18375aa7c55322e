/*
 * parquet_fixture.c
 */
#include "parquet_fixture.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "unit.h"

ReefCode
parquet_file_append(void *arg, ReefSlice bytes, ReefError *err)
{
	ParquetFile *file = arg;

	reef_buf_append(&file->bytes, bytes.data, bytes.size);
	return reef_buf_check(&file->bytes, err);
}

ReefCode
parquet_file_read_at(void *arg, uint64_t offset, size_t size, void *out,
					 ReefError *err)
{
	ParquetFile *file = arg;

	if (offset > file->bytes.size || size > file->bytes.size - offset)
		return reef_error_set(err, REEF_BUG, "read beyond the file", NULL);
	file->read_count++;
	file->read_size += size;
	if (size > 0)
		memcpy(out, file->bytes.data + offset, size);
	return REEF_OK;
}

void
parquet_rows_init(ParquetRows *rows, const ReefKind *kinds, int column_count,
				  size_t row_count)
{
	size_t		count = row_count * (size_t) column_count;

	reef_arena_init(&rows->arena, 0);
	rows->column_count = column_count;
	rows->columns = reef_arena_calloc(&rows->arena, (size_t) column_count *
									  sizeof(ReefColumn));
	rows->row_count = row_count;
	rows->values = reef_arena_calloc(&rows->arena, count * sizeof(ReefValue));
	for (int i = 0; i < column_count; i++)
	{
		ReefColumn *column = &rows->columns[i];

		column->name = reef_kind_name(kinds[i]);
		column->type.kind = kinds[i];
		column->type.length = -1;
		if (kinds[i] == REEF_KIND_DECIMAL64)
			column->type.precision = 15;
		if (kinds[i] == REEF_KIND_DECIMAL128)
			column->type.precision = 30;
		if (column->type.precision > 0)
			column->type.scale = 2;
	}
	for (size_t i = 0; i < count; i++)
		rows->values[i].is_null = true;
}

void
parquet_rows_init_all(ParquetRows *rows, size_t row_count)
{
	ReefKind	kinds[REEF_KIND_MAX];

	for (int i = 0; i < REEF_KIND_MAX; i++)
		kinds[i] = (ReefKind) (i + 1);
	parquet_rows_init(rows, kinds, REEF_KIND_MAX, row_count);
}

void
parquet_rows_release(ParquetRows *rows)
{
	reef_arena_release(&rows->arena);
}

ReefValue *
parquet_rows_at(const ParquetRows *rows, size_t row, int column)
{
	return &rows->values[row * (size_t) rows->column_count + (size_t) column];
}

static double
edge_double(void)
{
	static const double edges[] = {0.0, -0.0, INFINITY, -INFINITY, DBL_MAX,
	DBL_MIN, DBL_TRUE_MIN, -1.5, 1.0 / 3};

	return edges[unit_random_below(sizeof(edges) / sizeof(edges[0]))];
}

/* Integers: small ones, the ends of the range, anything. */
static int64_t
random_integer(int bits)
{
	uint64_t	v = unit_random();

	switch (unit_random_below(4))
	{
		case 0:
			v = unit_random_below(3) - 1;
			break;
		case 1:
			v = (UINT64_C(1) << (bits - 1)) - 1 - unit_random_below(2);
			break;
		case 2:
			v = ~((UINT64_C(1) << (bits - 1)) - 1) + unit_random_below(2);
			break;
		default:
			break;
	}
	return (int64_t) (v << (64 - bits)) >> (64 - bits);
}

static ReefSlice
random_bytes(ReefArena *arena, bool is_text)
{
	static const char *const words[] = {"", "a", "ab", "\xc3\xa9", "\xf4\x8f\xbf\xbf",
	"quick brown fox", "\x7f", "\xed\x9f\xbf"};
	size_t		count = unit_random_below(8) == 0 ? 30 : unit_random_below(4);
	ReefBuf		buf;
	ReefSlice	copy;

	reef_buf_init(&buf);
	for (size_t i = 0; i < count; i++)
	{
		const char *word = words[unit_random_below(8)];

		reef_buf_append(&buf, word, strlen(word));
		if (!is_text)
			reef_buf_append_u8(&buf, unit_random_below(3) == 0 ? 0 :
							   unit_random_below(2) == 0 ? 255 :
							   (uint8_t) unit_random());
	}
	copy = reef_arena_copy(arena, reef_buf_slice(&buf));
	reef_buf_release(&buf);
	return copy;
}

static int64_t
random_timestamp(void)
{
	static const int64_t edges[] = {INT64_MAX, INT64_MIN, 0, -1,
		-INT64_C(211813488000000000),	/* 4714-11-24 BC */
		INT64_C(9223371331199999999),	/* the last one */
		INT64_C(9222425352054775806), INT64_C(9222425352054775807),
		INT64_C(9222425352054775808),
	-INT64_C(63082281600000000)};	/* 0001-01-01 */

	if (unit_random_below(2) == 0)
		return edges[unit_random_below(10)];
	return (int64_t) unit_random_below(UINT64_C(800000000000000));
}

ReefValue
parquet_random_value(ReefArena *arena, ReefKind kind)
{
	ReefValue	v = {0};
	uint32_t	bits;
	uint64_t	bits64;

	switch (kind)
	{
		case REEF_KIND_BOOL:
			v.as.boolean = unit_random_below(2) == 1;
			break;
		case REEF_KIND_INT16:
			v.as.int16 = (int16_t) random_integer(16);
			break;
		case REEF_KIND_INT32:
			v.as.int32 = (int32_t) random_integer(32);
			break;
		case REEF_KIND_INT64:
		case REEF_KIND_DECIMAL64:
			v.as.int64 = random_integer(64);
			break;
		case REEF_KIND_FLOAT32:
			bits = (uint32_t) unit_random();
			memcpy(&v.as.float32, &bits, sizeof(bits));
			if (unit_random_below(2) == 0)
				v.as.float32 = (float) edge_double();
			break;
		case REEF_KIND_FLOAT64:
			bits64 = unit_random();
			if (unit_random_below(4) == 0)
				bits64 |= UINT64_C(0x7ff0000000000000);	/* NaN with a payload */
			memcpy(&v.as.float64, &bits64, sizeof(bits64));
			if (unit_random_below(2) == 0)
				v.as.float64 = edge_double();
			break;
		case REEF_KIND_DECIMAL128:
			v.as.int128 = unit_random_below(4) == 0 ? REEF_DECIMAL128_NAN :
				(ReefInt128) random_integer(64) *
				((ReefInt128) 1 << (8 * unit_random_below(8)));
			break;
		case REEF_KIND_UUID:
			for (int i = 0; i < 16; i++)
				v.as.uuid[i] = (uint8_t) unit_random();
			break;
		case REEF_KIND_DATE:
			v.as.int32 = unit_random_below(8) == 0 ? INT32_MAX :
				unit_random_below(8) == 0 ? INT32_MIN :
				unit_random_below(8) == 0 ? -2451507 :
				unit_random_below(8) == 0 ? 2145031948 :
				(int32_t) unit_random_below(20000) - 10000;
			break;
		case REEF_KIND_TIME:
			v.as.int64 = (int64_t) unit_random_below(UINT64_C(86400000001));
			break;
		case REEF_KIND_TIMESTAMP:
		case REEF_KIND_TIMESTAMPTZ:
			v.as.int64 = random_timestamp();
			break;
		case REEF_KIND_TEXT:
		case REEF_KIND_JSON:
		case REEF_KIND_OTHER:
			v.as.bytes = random_bytes(arena, true);
			break;
		case REEF_KIND_BYTES:
			v.as.bytes = random_bytes(arena, false);
			break;
	}
	return v;
}

void
parquet_rows_fill(ParquetRows *rows, unsigned null_percent)
{
	for (size_t r = 0; r < rows->row_count; r++)
		for (int c = 0; c < rows->column_count; c++)
		{
			ReefValue  *v = parquet_rows_at(rows, r, c);

			if (unit_random_below(100) < null_percent)
				v->is_null = true;
			else
				*v = parquet_random_value(&rows->arena,
										  rows->columns[c].type.kind);
		}
}

bool
parquet_values_identical(ReefKind kind, const ReefValue *a, const ReefValue *b)
{
	if (a->is_null || b->is_null)
		return a->is_null == b->is_null;
	if (reef_kind_is_variable(kind))
		return reef_slice_equal(a->as.bytes, b->as.bytes);
	return memcmp(&a->as, &b->as, (size_t) reef_kind_width(kind)) == 0;
}

/* Rows first .. first + count - 1 as vectors. */
static void
build_batch(const ParquetRows *rows, size_t first, size_t count,
			ReefArena *arena, ReefBatch *batch)
{
	memset(batch, 0, sizeof(*batch));
	batch->row_count = (int) count;
	batch->column_count = rows->column_count;
	batch->columns = reef_arena_calloc(arena, (size_t) rows->column_count *
									   sizeof(ReefVector));
	for (int c = 0; c < rows->column_count; c++)
	{
		ReefKind	kind = rows->columns[c].type.kind;
		size_t		width = (size_t) reef_vector_element_size(kind);
		uint8_t    *nulls = reef_arena_calloc(arena, count);
		uint8_t    *values = reef_arena_calloc(arena, count * width);
		bool		has_nulls = false;

		for (size_t i = 0; i < count; i++)
		{
			const ReefValue *v = parquet_rows_at(rows, first + i, c);

			nulls[i] = v->is_null;
			has_nulls |= v->is_null;
			memcpy(values + i * width, &v->as, width);
		}
		batch->columns[c].kind = kind;
		batch->columns[c].nulls = has_nulls ? nulls : NULL;
		batch->columns[c].values = values;
	}
}

void
parquet_rows_write(const ParquetRows *rows,
				   const ReefParquetWriterOptions *options, size_t batch_rows,
				   ParquetFile *file, ReefParquetSummary *summary,
				   ReefParquetWriter **writer)
{
	static const ReefParquetKeyValue pairs[] = {{"reef.namespace", "s/t"}};
	ReefParquetWriter *w;
	ReefArena	arena;
	ReefError	err;

	reef_error_init(&err);
	memset(file, 0, sizeof(*file));
	reef_buf_init(&file->bytes);
	UNIT_OK(reef_parquet_writer_new(options, rows->columns,
									rows->column_count, parquet_file_append,
									file, &w, &err), &err);
	reef_arena_init(&arena, 0);
	for (size_t first = 0; first < rows->row_count; first += batch_rows)
	{
		size_t		left = rows->row_count - first;
		ReefBatch	batch;

		build_batch(rows, first, left < batch_rows ? left : batch_rows,
					&arena, &batch);
		UNIT_OK(reef_parquet_writer_append(w, &batch, &err), &err);
		reef_arena_reset(&arena);
	}
	reef_arena_release(&arena);
	UNIT_OK(reef_parquet_writer_finish(w, pairs, 1, summary, &err), &err);
	if (writer != NULL)
		*writer = w;
	else
		reef_parquet_writer_free(w);
}

/* Bounds hold for every value of the page, in PostgreSQL's order. */
static void
check_page(const ParquetRows *rows, size_t first, size_t count, int column,
		   const ReefVector *vector, const ReefParquetStats *stats)
{
	ReefKind	kind = rows->columns[column].type.kind;
	size_t		null_count = 0;

	for (size_t i = 0; i < count; i++)
	{
		const ReefValue *expected = parquet_rows_at(rows, first + i, column);
		ReefValue	v;

		reef_vector_get(vector, (int) i, &v);
		if (!parquet_values_identical(kind, &v, expected))
			UNIT_FAIL("row %zu of column %s differs", first + i,
					  reef_kind_name(kind));
		null_count += expected->is_null;
		if (stats->has_min_max && !expected->is_null)
		{
			UNIT_CHECK(reef_value_compare(kind, &stats->min, expected) <= 0);
			UNIT_CHECK(reef_value_compare(kind, &stats->max, expected) >= 0);
		}
	}
	if (stats->has_null_count)
		UNIT_EQUAL_INT(stats->null_count, null_count);
	UNIT_CHECK((vector->nulls == NULL) == (null_count == 0));
}

static ReefCode
read_group(ReefParquetReader *reader, int group, size_t base,
		   const ParquetRows *rows, ReefArena *arena, ReefError *err)
{
	const ReefSchema *schema = reef_parquet_reader_schema(reader);
	int			page_count;

	REEF_TRY(reef_parquet_reader_page_count(reader, group, &page_count, err));
	for (int p = 0; p < page_count; p++)
		for (int c = 0; c < schema->column_count; c++)
		{
			uint32_t	first;
			uint32_t	count;
			ReefVector	vector;
			ReefParquetStats stats;

			REEF_TRY(reef_parquet_reader_page_rows(reader, group, p, &first,
												   &count, err));
			REEF_TRY(reef_parquet_reader_stats(reader, group, p, c, &stats,
											   err));
			REEF_TRY(reef_parquet_reader_read_page(reader, group, p, c, arena,
												   &vector, err));
			if (rows != NULL)
			{
				check_page(rows, base + first, count, c, &vector, &stats);
				REEF_TRY(reef_parquet_reader_stats(reader, group, -1, c,
												   &stats, err));
				stats.has_null_count = false;
				check_page(rows, base + first, count, c, &vector, &stats);
			}
			reef_arena_reset(arena);
		}
	for (int c = 0; c < schema->column_count; c++)
	{
		ReefValue	v = {0};
		bool		may_contain;

		if (rows != NULL)
			v = *parquet_rows_at(rows, base, c);
		REEF_TRY(reef_parquet_reader_bloom_check(reader, group, c, &v,
												 &may_contain, err));
		UNIT_CHECK(rows == NULL || v.is_null || may_contain);
	}
	return REEF_OK;
}

ReefCode
parquet_file_read_all(ParquetFile *file, const ParquetRows *rows,
					  ReefError *err)
{
	ReefParquetReader *reader;
	ReefArena	arena;
	ReefCode	rc;
	uint64_t	base = 0;

	rc = reef_parquet_reader_open(parquet_file_read_at, file,
								  file->bytes.size, "test.parquet", &reader,
								  err);
	if (rc != REEF_OK)
		return rc;
	reef_arena_init(&arena, 64 * 1024 * 1024);
	for (int g = 0; g < reef_parquet_reader_row_group_count(reader) &&
		 rc == REEF_OK; g++)
	{
		rc = read_group(reader, g, base, rows, &arena, err);
		base += reef_parquet_reader_row_group_rows(reader, g);
	}
	if (rc == REEF_OK && rows != NULL)
		UNIT_EQUAL_INT(base, rows->row_count);
	reef_arena_release(&arena);
	reef_parquet_reader_close(reader);
	return rc;
}
