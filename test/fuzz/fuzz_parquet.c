/*
 * fuzz_parquet.c
 *	  Open bytes as a Parquet file and decode everything in it.
 *
 *	  clang -g -O1 -D_GNU_SOURCE -fsanitize=fuzzer,address,undefined -Isrc \
 *		 test/fuzz/fuzz_parquet.c src/base/[*].c src/parquet/[*].c \
 *		 -lzstd -llz4 -ljansson -lm
 *
 * Seeds: test/compat/v1/segment-basic.parquet, and files of other writers.
 * In files of ours checksums end nearly every mutation early; files of others
 * have none over their footer, and most writers none over their pages, so
 * they lead further.
 */
#include "parquet/reader.h"

typedef struct Input
{
	const uint8_t *data;
	size_t		size;
} Input;

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ReefCode
read_at(void *arg, uint64_t offset, size_t size, void *out, ReefError *err)
{
	const Input *input = arg;

	if (offset > input->size || size > input->size - offset)
		return reef_error_set(err, REEF_BUG, "read beyond the file", NULL);
	if (size > 0)
		memcpy(out, input->data + offset, size);
	return REEF_OK;
}

/* Look at every value, so that the sanitizers see what a caller would. */
static uint64_t
sum_values(const ReefVector *vector, uint32_t count)
{
	uint64_t	sum = 0;

	for (uint32_t i = 0; i < count; i++)
	{
		ReefValue	v;

		reef_vector_get(vector, (int) i, &v);
		if (v.is_null)
			continue;
		if (reef_kind_is_variable(vector->kind))
			for (size_t k = 0; k < v.as.bytes.size; k++)
				sum += v.as.bytes.data[k];
		else
			sum += v.as.uuid[0];
	}
	return sum;
}

static uint64_t
read_column(ReefParquetReader *reader, int group, int column,
			ReefArena *arena)
{
	ReefError	err;
	ReefParquetStats stats;
	ReefValue	value = {0};
	bool		may_contain;
	int			page_count;
	uint64_t	sum = 0;

	if (reef_parquet_reader_page_count(reader, group, &page_count, &err) !=
		REEF_OK)
		return 0;
	if (reef_parquet_reader_bloom_check(reader, group, column, &value,
										&may_contain, &err) == REEF_OK)
		sum += may_contain;
	for (int p = -1; p < page_count && p < 64; p++)
	{
		uint32_t	first;
		uint32_t	count;
		ReefVector	vector;

		if (reef_parquet_reader_stats(reader, group, p, column, &stats,
									  &err) == REEF_OK)
			sum += stats.null_count;
		if (p >= 0 &&
			reef_parquet_reader_page_rows(reader, group, p, &first, &count,
										  &err) == REEF_OK &&
			reef_parquet_reader_read_page(reader, group, p, column, arena,
										  &vector, &err) == REEF_OK)
			sum += sum_values(&vector, count);
		reef_arena_reset(arena);
	}
	return sum;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static volatile uint64_t sink;
	Input		input = {data, size};
	ReefParquetReader *reader;
	ReefArena	arena;
	ReefError	err;

	if (reef_parquet_reader_open(read_at, &input, size, "fuzz", &reader,
								 &err) != REEF_OK)
		return 0;
	reef_arena_init(&arena, 64 * 1024 * 1024);
	for (int g = 0; g < reef_parquet_reader_row_group_count(reader) && g < 8;
		 g++)
		for (int c = 0;
			 c < reef_parquet_reader_schema(reader)->column_count && c < 32;
			 c++)
			sink += read_column(reader, g, c, &arena);
	reef_arena_release(&arena);
	reef_parquet_reader_close(reader);
	return 0;
}
