/*
 * parquet_bench.c
 *	  How fast segments are written and pages decoded, on one core.
 *
 *	  cc -O2 -D_GNU_SOURCE -Isrc -o parquet_bench test/bench/parquet_bench.c \
 *		 src/base/[*].c src/parquet/[*].c -lzstd -llz4 -ljansson -lm
 *	  parquet_bench [rows [page_rows]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "parquet/reader.h"
#include "parquet/writer.h"

#define COLUMN_COUNT 8
#define BATCH_ROWS 1024

static const char *const names[COLUMN_COUNT] = {"sorted key", "random int64",
	"price decimal", "low cardinality int", "timestamp", "flag text",
"comment text", "double"};
static const ReefKind kinds[COLUMN_COUNT] = {REEF_KIND_INT64, REEF_KIND_INT64,
	REEF_KIND_DECIMAL64, REEF_KIND_INT32, REEF_KIND_TIMESTAMP, REEF_KIND_TEXT,
REEF_KIND_TEXT, REEF_KIND_FLOAT64};

static uint64_t state = 88172645463325252u;

static uint64_t
next_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static double
now(void)
{
	struct timespec t;

	(void) clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static void
check(ReefCode rc, const ReefError *err)
{
	if (rc == REEF_OK)
		return;
	fprintf(stderr, "%s: %s\n", err->message, err->detail);
	exit(1);
}

static ReefCode
append(void *arg, ReefSlice bytes, ReefError *err)
{
	reef_buf_append(arg, bytes.data, bytes.size);
	return reef_buf_check(arg, err);
}

static ReefCode
read_at(void *arg, uint64_t offset, size_t size, void *out, ReefError *err)
{
	(void) err;					/* memory does not fail */
	memcpy(out, ((ReefBuf *) arg)->data + offset, size);
	return REEF_OK;
}

/* Returns the bytes of raw values. */
static size_t
fill(int column, size_t row, size_t count, void *values, char *text)
{
	static const char *const flags[] = {"DELIVER IN PERSON", "COLLECT COD",
	"NONE", "TAKE BACK RETURN"};
	static const char *const words[] = {"carefully ", "final ", "deposits ",
		"sleep ", "quickly ", "regular ", "packages ", "above ", "the ",
	"furiously ", "ironic ", "requests ", "about ", "pending ", "even ", "foxes "};
	int64_t    *i64 = values;
	size_t		size = 0;

	for (size_t i = 0; i < count; i++)
		switch (column)
		{
			case 0:
				i64[i] = (int64_t) ((row + i) * 4 / 3);
				break;
			case 1:
				i64[i] = (int64_t) (next_random() % 200000);
				break;
			case 2:
				i64[i] = (int64_t) (next_random() % 10000000);
				break;
			case 3:
				((int32_t *) values)[i] = (int32_t) (next_random() % 50);
				break;
			case 4:
				i64[i] = (int64_t) ((row + i) * 1000000 + next_random() % 1000000);
				break;
			case 5:
				((ReefSlice *) values)[i] =
					reef_slice_of_string(flags[next_random() % 4]);
				size += ((ReefSlice *) values)[i].size;
				break;
			case 6:
				{
					char	   *start = text;

					for (int w = 0; w < 4; w++)
						text = stpcpy(text, words[next_random() % 16]);
					((ReefSlice *) values)[i] =
						reef_slice(start, (size_t) (text - start));
					size += (size_t) (text - start);
					break;
				}
			default:
				((double *) values)[i] = (double) next_random() / 1e9;
		}
	return column == 3 ? 4 * count : size > 0 ? size : 8 * count;
}

static void
bench_read(ReefBuf *file, int named, size_t raw)
{
	ReefParquetReader *reader;
	ReefArena	arena;
	ReefError	err;
	uint64_t	rows = 0;
	double		start;
	double		seconds;
	int			rounds = 5;

	check(reef_parquet_reader_open(read_at, file, file->size, "bench",
								   &reader, &err), &err);
	reef_arena_init(&arena, 0);
	start = now();
	for (int round = 0; round < rounds; round++)
		for (int g = 0; g < reef_parquet_reader_row_group_count(reader); g++)
		{
			int			page_count;

			check(reef_parquet_reader_page_count(reader, g, &page_count, &err),
				  &err);
			for (int p = 0; p < page_count; p++)
			{
				uint32_t	first;
				uint32_t	count;
				ReefVector	vector;

				check(reef_parquet_reader_page_rows(reader, g, p, &first,
													&count, &err), &err);
				check(reef_parquet_reader_read_page(reader, g, p, 0,
													&arena, &vector, &err),
					  &err);
				rows += count;
				reef_arena_reset(&arena);
			}
		}
	seconds = now() - start;
	printf("  read %-20s %7.0f M values/s  %7.0f MB/s\n", names[named],
		   (double) rows / seconds / 1e6,
		   (double) raw * rounds / seconds / 1e6);
	reef_arena_release(&arena);
	reef_parquet_reader_close(reader);
}

static void
bench(ReefCompression compression, const char *name, size_t row_count,
	  int page_rows)
{
	ReefColumn	columns[COLUMN_COUNT] = {0};
	ReefVector	vectors[COLUMN_COUNT] = {0};
	ReefBatch	batch = {0};
	ReefParquetWriterOptions options;
	ReefParquetSummary summary;
	ReefBuf		file;
	ReefError	err;
	size_t		raw[COLUMN_COUNT] = {0};
	size_t		total = 0;
	double		seconds = 0;

	reef_parquet_writer_options_init(&options);
	options.compression = compression;
	if (page_rows > 0)
		options.page_rows = page_rows;
	for (int c = 0; c < COLUMN_COUNT; c++)
	{
		ReefParquetWriter *writer;
		static uint64_t values[BATCH_ROWS * 2];
		static char text[BATCH_ROWS * 64];
		double		start;
		double		spent = 0;
		size_t		memory = 0;

		columns[0].name = names[c];
		columns[0].type.kind = kinds[c];
		columns[0].type.precision = 15;
		columns[0].type.length = -1;
		reef_buf_init(&file);
		check(reef_parquet_writer_new(&options, columns, 1, append, &file,
									  &writer, &err), &err);
		state = 88172645463325252u;
		for (size_t row = 0; row < row_count; row += BATCH_ROWS)
		{
			raw[c] += fill(c, row, BATCH_ROWS, values, text);
			vectors[0].kind = kinds[c];
			vectors[0].values = values;
			batch.row_count = BATCH_ROWS;
			batch.column_count = 1;
			batch.columns = vectors;
			start = now();
			check(reef_parquet_writer_append(writer, &batch, &err), &err);
			spent += now() - start;
			if (reef_parquet_writer_memory(writer) > memory)
				memory = reef_parquet_writer_memory(writer);
		}
		start = now();
		check(reef_parquet_writer_finish(writer, NULL, 0, &summary, &err),
			  &err);
		spent += now() - start;
		printf("%-5s write %-20s %7.0f MB/s  ratio %5.2f  memory %zu kB\n",
			   name, names[c], (double) raw[c] / spent / 1e6,
			   (double) raw[c] / (double) file.size, memory / 1024);
		reef_parquet_writer_free(writer);
		total += raw[c];
		seconds += spent;
		bench_read(&file, c, raw[c]);
		reef_buf_release(&file);
	}
	printf("%-5s write all columns %7.0f MB/s\n\n", name,
		   (double) total / seconds / 1e6);
}

int
main(int argc, char **argv)
{
	size_t		row_count = argc > 1 ? (size_t) atol(argv[1]) : 1024 * 1024;
	int			page_rows = argc > 2 ? atoi(argv[2]) : 0;

	bench(REEF_COMPRESSION_NONE, "none", row_count, page_rows);
	bench(REEF_COMPRESSION_ZSTD, "zstd", row_count, page_rows);
	bench(REEF_COMPRESSION_LZ4_RAW, "lz4", row_count, page_rows);
	return 0;
}
