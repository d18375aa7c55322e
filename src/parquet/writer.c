/*
 * writer.c
 *	  Rows to row groups, and what describes them at the end of the file.
 *
 * A row group is collected as a whole, because only then it is known which
 * encoding pays; so the memory of a writer is that of one row group, plus the
 * page indexes, which Parquet wants behind all data.  A page ends at page_rows
 * rows, or earlier when a column's part of it reaches REEF_PARQUET_PAGE_SIZE
 * bytes, in all columns at the same row.
 */
#include "parquet/writer.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "parquet/bloom.h"
#include "parquet/chunk.h"

/* Bytes of one column's values that end a page. */
#define REEF_PARQUET_PAGE_SIZE (1024 * 1024)

struct ReefParquetWriter
{
	ReefParquetWriterOptions options;
	ReefChunkCodec codec;
	ReefSchema	schema;
	ReefParquetSink sink;
	void	   *sink_arg;
	ReefChunk  *chunks;			/* one a column */
	ReefChunkScratch scratch;
	ReefBuf		out;			/* on its way to the sink */
	ReefBuf		indexes;		/* page indexes of all row groups so far */
	ReefBuf		index_crcs;		/* hex digits */
	ReefBuf		bloom_crcs;		/* likewise */
	ReefBuf		groups;			/* ReefParquetRowGroup */
	ReefArena	arena;			/* schema, footer structures, summary */
	ReefParquetColumnSummary *summary;
	ReefStats  *totals;			/* of each column over the whole file */
	bool	   *is_bounded;		/* no row group lacks bounds so far */
	uint64_t	offset;			/* bytes that went to the sink */
	uint32_t	crc;			/* of them */
	uint64_t	row_count;
	bool		is_finished;
};

void
reef_parquet_writer_options_init(ReefParquetWriterOptions *options)
{
	memset(options, 0, sizeof(*options));
	options->compression = REEF_COMPRESSION_ZSTD;
	options->compression_level = 1;
	options->page_rows = 4096;
	options->row_group_rows = 131072;
	options->row_group_bytes = 32 * 1024 * 1024;
	options->bloom_false_positives = 0.01;
}

static ReefCode
check_options(const ReefParquetWriterOptions *options, ReefCodec *codec,
			  ReefError *err)
{
	if (options->page_rows < 1 || options->row_group_rows < 1 ||
		options->bloom_false_positives <= 0 ||
		options->bloom_false_positives >= 1)
		return reef_error_set(err, REEF_INVALID, "bad parquet option",
							  "page_rows %d, row_group_rows %d, bloom_false_positives %g",
							  options->page_rows, options->row_group_rows,
							  options->bloom_false_positives);
	switch (options->compression)
	{
		case REEF_COMPRESSION_NONE:
			*codec = REEF_CODEC_NONE;
			return REEF_OK;
		case REEF_COMPRESSION_ZSTD:
			*codec = REEF_CODEC_ZSTD;
			return REEF_OK;
		case REEF_COMPRESSION_LZ4_RAW:
			*codec = REEF_CODEC_LZ4;
			return REEF_OK;
	}
	return reef_error_set(err, REEF_INVALID, "bad parquet option",
						  "compression %d", (int) options->compression);
}

static ReefCode
write_bytes(ReefParquetWriter *writer, ReefSlice bytes, ReefError *err)
{
	REEF_TRY(writer->sink(writer->sink_arg, bytes, err));
	writer->crc = reef_crc32c(writer->crc, bytes.data, bytes.size);
	writer->offset += bytes.size;
	return REEF_OK;
}

/* Hand "out" over and empty it. */
static ReefCode
write_out(ReefParquetWriter *writer, ReefError *err)
{
	REEF_TRY(reef_buf_check(&writer->out, err));
	if (writer->out.size > 0)
		REEF_TRY(write_bytes(writer, reef_buf_slice(&writer->out), err));
	reef_buf_reset(&writer->out);
	return REEF_OK;
}

static ReefCode
init_columns(ReefParquetWriter *writer, const ReefColumn *columns, int count,
			 ReefError *err)
{
	ReefSchema	schema = {0};
	size_t		n = (size_t) count;

	schema.column_count = count;
	schema.columns = reef_arena_calloc(&writer->arena,
									   n * sizeof(ReefColumn));
	writer->summary = reef_arena_calloc(&writer->arena,
										n * sizeof(*writer->summary));
	writer->totals = reef_arena_calloc(&writer->arena,
									   n * sizeof(*writer->totals));
	writer->is_bounded = reef_arena_calloc(&writer->arena,
										   n * sizeof(bool));
	writer->chunks = calloc(n > 0 ? n : 1, sizeof(ReefChunk));
	if (schema.columns == NULL || writer->summary == NULL ||
		writer->totals == NULL || writer->is_bounded == NULL ||
		writer->chunks == NULL)
		return reef_error_no_memory(err, n * sizeof(ReefChunk));
	for (int i = 0; i < count; i++)
	{
		schema.columns[i] = columns[i];
		writer->is_bounded[i] = true;
	}
	REEF_TRY(reef_schema_copy(&writer->arena, &schema, &writer->schema, err));
	for (int i = 0; i < count; i++)
		reef_chunk_init(&writer->chunks[i],
						writer->schema.columns[i].type.kind);
	return REEF_OK;
}

ReefCode
reef_parquet_writer_new(const ReefParquetWriterOptions *options,
						const ReefColumn *columns, int column_count,
						ReefParquetSink sink, void *sink_arg,
						ReefParquetWriter **writer, ReefError *err)
{
	ReefParquetWriter *w;
	ReefCodec	codec = REEF_CODEC_NONE;
	ReefCode	rc;

	*writer = NULL;
	REEF_TRY(check_options(options, &codec, err));
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return reef_error_no_memory(err, sizeof(*w));
	w->options = *options;
	w->codec.codec = codec;
	w->codec.level = options->compression_level;
	w->sink = sink;
	w->sink_arg = sink_arg;
	reef_arena_init(&w->arena, 0);
	reef_buf_init(&w->out);
	reef_buf_init(&w->indexes);
	reef_buf_init(&w->index_crcs);
	reef_buf_init(&w->bloom_crcs);
	reef_buf_init(&w->groups);
	reef_buf_init(&w->scratch.encoded);
	reef_buf_init(&w->scratch.compressed);
	reef_buf_init(&w->scratch.levels);
	rc = init_columns(w, columns, column_count, err);
	if (rc != REEF_OK)
	{
		reef_parquet_writer_free(w);
		return rc;
	}
	reef_buf_append(&w->out, REEF_PARQUET_MAGIC, 4);
	*writer = w;
	return REEF_OK;
}

void
reef_parquet_writer_free(ReefParquetWriter *writer)
{
	if (writer == NULL)
		return;
	if (writer->chunks != NULL)
		for (int i = 0; i < writer->schema.column_count; i++)
			reef_chunk_release(&writer->chunks[i]);
	free(writer->chunks);
	reef_buf_release(&writer->out);
	reef_buf_release(&writer->indexes);
	reef_buf_release(&writer->index_crcs);
	reef_buf_release(&writer->bloom_crcs);
	reef_buf_release(&writer->groups);
	reef_buf_release(&writer->scratch.encoded);
	reef_buf_release(&writer->scratch.compressed);
	reef_buf_release(&writer->scratch.levels);
	reef_arena_release(&writer->arena);
	free(writer);
}

size_t
reef_parquet_writer_memory(const ReefParquetWriter *writer)
{
	size_t		size = writer->out.capacity + writer->indexes.capacity +
		writer->groups.capacity + writer->arena.size +
		writer->scratch.encoded.capacity +
		writer->scratch.compressed.capacity;

	for (int i = 0; i < writer->schema.column_count; i++)
		size += reef_chunk_memory(&writer->chunks[i]);
	return size;
}

/* The index of one column chunk's pages; none if a page has no bounds. */
static bool
build_column_index(const ReefChunkResult *result, ReefKind kind,
				   const ReefParquetChunk *meta, ReefArena *arena,
				   ReefColumnIndex *index)
{
	size_t		count = (size_t) result->page_count;
	bool		ascending = true;
	bool		descending = true;
	const ReefStats *previous = NULL;

	index->page_count = result->page_count;
	index->null_counts = result->null_counts;
	index->null_pages = reef_arena_calloc(arena, count * sizeof(bool));
	index->min = reef_arena_calloc(arena, count * sizeof(ReefSlice));
	index->max = reef_arena_calloc(arena, count * sizeof(ReefSlice));
	if (index->null_pages == NULL || index->min == NULL || index->max == NULL)
		return false;
	for (int i = 0; i < result->page_count; i++)
	{
		const ReefStats *s = &result->stats[i];
		uint64_t	next_row = i + 1 < result->page_count ?
			result->locations[i + 1].first_row : meta->value_count;

		if (result->null_counts[i] ==
			next_row - result->locations[i].first_row)
		{
			index->null_pages[i] = true;
			continue;
		}
		if (!s->has_min_max)
			return false;
		index->min[i] = s->min;
		index->max[i] = s->max;
		if (previous != NULL)
		{
			int			min_order = reef_stats_compare(kind, previous->min,
													   s->min);
			int			max_order = reef_stats_compare(kind, previous->max,
													   s->max);

			ascending &= min_order <= 0 && max_order <= 0;
			descending &= min_order >= 0 && max_order >= 0;
		}
		previous = s;
	}
	index->boundary_order = ascending ? REEF_BOUNDARY_ASCENDING :
		descending ? REEF_BOUNDARY_DESCENDING : REEF_BOUNDARY_UNORDERED;
	return true;
}

/* Page bounds to chunk bounds to the file's. */
static ReefCode
add_bounds(ReefParquetWriter *writer, int column,
		   const ReefChunkResult *result, ReefParquetChunk *meta,
		   ReefError *err)
{
	ReefKind	kind = writer->schema.columns[column].type.kind;
	ReefParquetColumnSummary *summary = &writer->summary[column];
	ReefStats	total = {0};
	bool		bounded = true;

	for (int i = 0; i < result->page_count; i++)
	{
		uint64_t	next_row = i + 1 < result->page_count ?
			result->locations[i + 1].first_row : meta->value_count;
		uint64_t	rows = next_row - result->locations[i].first_row;

		meta->bounds.null_count += result->null_counts[i];
		if (result->null_counts[i] == rows)
			continue;
		if (!result->stats[i].has_min_max)
			bounded = false;
		else if (!total.has_min_max)
			reef_stats_copy(&total, &result->stats[i]);
		else
			reef_stats_merge(kind, &total, &result->stats[i]);
	}
	meta->bounds.has_null_count = true;
	summary->null_count += meta->bounds.null_count;
	if (!bounded)
		writer->is_bounded[column] = false;
	if (!bounded || !total.has_min_max)
		return REEF_OK;
	if (!writer->totals[column].has_min_max)
		reef_stats_copy(&writer->totals[column], &total);
	else
		reef_stats_merge(kind, &writer->totals[column], &total);
	meta->bounds.has_min_max = true;
	meta->bounds.min_exact = total.min_exact;
	meta->bounds.max_exact = total.max_exact;
	meta->bounds.min = reef_arena_copy(&writer->arena, total.min);
	meta->bounds.max = reef_arena_copy(&writer->arena, total.max);
	if (meta->bounds.min.size != total.min.size ||
		meta->bounds.max.size != total.max.size)
		return reef_error_no_memory(err, total.min.size + total.max.size);
	return REEF_OK;
}

/* Encode one column of the row group and send it off. */
static ReefCode
write_chunk(ReefParquetWriter *writer, int column, ReefParquetChunk *meta,
			ReefArena *arena, ReefError *err)
{
	ReefKind	kind = writer->schema.columns[column].type.kind;
	ReefChunkResult result;
	ReefColumnIndex column_index = {0};
	ReefOffsetIndex offset_index = {0};
	uint64_t	base = writer->offset;
	size_t		before;

	REEF_TRY(reef_chunk_encode(&writer->chunks[column], writer->codec,
							   &writer->scratch, arena, &writer->out, &result,
							   err));
	REEF_TRY(write_out(writer, err));
	*meta = result.meta;
	meta->codec = (int) writer->options.compression;
	meta->data_offset += base;
	if (result.has_dictionary)
		meta->dictionary_offset = base;
	for (int i = 0; i < result.page_count; i++)
		result.locations[i].offset += base;
	REEF_TRY(add_bounds(writer, column, &result, meta, err));

	/* index offsets count from the first index byte until the file is done */
	if (build_column_index(&result, kind, meta, arena, &column_index))
	{
		before = writer->indexes.size;
		reef_column_index_encode(&writer->indexes, &column_index);
		meta->column_index_offset = before;
		meta->column_index_size = writer->indexes.size - before;
	}
	before = writer->indexes.size;
	offset_index.page_count = result.page_count;
	offset_index.pages = result.locations;
	reef_offset_index_encode(&writer->indexes, &offset_index);
	meta->offset_index_offset = before;
	meta->offset_index_size = writer->indexes.size - before;
	return reef_buf_check(&writer->indexes, err);
}

/* A bloom filter stands right behind its row group. */
static ReefCode
write_bloom(ReefParquetWriter *writer, int column, ReefParquetChunk *meta,
			ReefError *err)
{
	const ReefChunk *chunk = &writer->chunks[column];

	reef_bloom_encode(&writer->out, chunk->kind,
					  reef_buf_slice(&chunk->values), chunk->value_count,
					  chunk->dictionary.is_given_up ? chunk->value_count :
					  chunk->dictionary.count,
					  writer->options.bloom_false_positives);
	meta->bloom_offset = writer->offset;
	meta->bloom_size = writer->out.size;
	reef_buf_printf(&writer->bloom_crcs, "%08x",
					reef_crc32c(0, writer->out.data, writer->out.size));
	return write_out(writer, err);
}

static ReefCode
flush_row_group(ReefParquetWriter *writer, ReefError *err)
{
	int			count = writer->schema.column_count;
	ReefParquetRowGroup group = {0};
	size_t		index_start = writer->indexes.size;
	ReefArena	arena;
	ReefCode	rc = REEF_OK;

	group.row_count = writer->chunks[0].row_count;
	group.chunk_count = count;
	group.chunks = reef_arena_calloc(&writer->arena, (size_t) count *
									 sizeof(ReefParquetChunk));
	if (group.chunks == NULL)
		return reef_error_no_memory(err, (size_t) count *
									sizeof(ReefParquetChunk));
	REEF_TRY(write_out(writer, err));	/* the magic, once */
	reef_arena_init(&arena, 0);
	for (int i = 0; i < count && rc == REEF_OK; i++)
	{
		rc = write_chunk(writer, i, &group.chunks[i], &arena, err);
		group.total_size += group.chunks[i].uncompressed_size;
		reef_arena_reset(&arena);
	}
	reef_arena_release(&arena);
	for (int i = 0; i < count && rc == REEF_OK; i++)
		if (writer->schema.columns[i].has_bloom)
			rc = write_bloom(writer, i, &group.chunks[i], err);
	if (rc != REEF_OK)
		return rc;
	reef_buf_printf(&writer->index_crcs, "%08x",
					reef_crc32c(0, writer->indexes.data + index_start,
								writer->indexes.size - index_start));
	reef_buf_append(&writer->groups, &group, sizeof(group));
	writer->row_count += group.row_count;
	for (int i = 0; i < count; i++)
		reef_chunk_reset(&writer->chunks[i]);
	return reef_buf_check(&writer->groups, err);
}

static void
cut_pages(ReefParquetWriter *writer)
{
	for (int i = 0; i < writer->schema.column_count; i++)
		reef_chunk_cut_page(&writer->chunks[i]);
}

/* Rows that go into the present page, at least one. */
static size_t
page_room(const ReefParquetWriter *writer, const ReefBatch *batch,
		  size_t first, size_t left)
{
	const ReefChunkPage *page = &writer->chunks[0].page;
	size_t		room = (size_t) writer->options.page_rows - page->row_count;
	size_t		group_room = (size_t) writer->options.row_group_rows -
		writer->chunks[0].row_count;

	room = room < left ? room : left;
	room = room < group_room ? room : group_room;
	if (room > REEF_BATCH_MAX_ROWS)
		room = REEF_BATCH_MAX_ROWS;
	for (int c = 0; c < writer->schema.column_count; c++)
	{
		const ReefVector *vector = &batch->columns[c];
		size_t		size = writer->chunks[c].page.size;

		if (!reef_kind_is_variable(vector->kind))
			continue;
		for (size_t i = 0; i < room; i++)
		{
			size_t		position = batch->selection != NULL ?
				batch->selection[first + i] : first + i;

			if (vector->nulls != NULL && vector->nulls[position] != 0)
				continue;
			size += 4 + ((const ReefSlice *) vector->values)[position].size;
			if (size >= REEF_PARQUET_PAGE_SIZE)
				room = i + 1;
		}
	}
	return room;
}

/* End the page and the row group where they are full. */
static ReefCode
cut_where_full(ReefParquetWriter *writer, ReefError *err)
{
	uint32_t	row_count = writer->chunks[0].row_count;
	bool		page_is_full = writer->chunks[0].page.row_count >=
		(uint32_t) writer->options.page_rows;
	size_t		size = 0;

	for (int i = 0; i < writer->schema.column_count; i++)
	{
		if (writer->chunks[i].page.size >= REEF_PARQUET_PAGE_SIZE)
			page_is_full = true;
		size += writer->chunks[i].values.size;
	}
	if (row_count >= (uint32_t) writer->options.row_group_rows)
		page_is_full = true;
	if (!page_is_full)
		return REEF_OK;
	cut_pages(writer);
	if (row_count >= (uint32_t) writer->options.row_group_rows ||
		size >= writer->options.row_group_bytes)
		return flush_row_group(writer, err);
	return REEF_OK;
}

static ReefCode
check_batch(const ReefParquetWriter *writer, const ReefBatch *batch,
			ReefError *err)
{
	if (writer->is_finished)
		return reef_error_set(err, REEF_BUG,
							  "parquet writer is finished already", NULL);
	if (batch->column_count != writer->schema.column_count)
		return reef_error_set(err, REEF_BUG, "batch does not fit the file",
							  "%d columns instead of %d", batch->column_count,
							  writer->schema.column_count);
	for (int i = 0; i < batch->column_count; i++)
		if (batch->columns[i].kind != writer->schema.columns[i].type.kind)
			return reef_error_set(err, REEF_BUG, "batch does not fit the file",
								  "column \"%s\" is of kind %s instead of %s",
								  writer->schema.columns[i].name,
								  reef_kind_name(batch->columns[i].kind),
								  reef_kind_name(writer->schema.columns[i].type.kind));
	return REEF_OK;
}

ReefCode
reef_parquet_writer_append(ReefParquetWriter *writer, const ReefBatch *batch,
						   ReefError *err)
{
	size_t		count = (size_t) batch->row_count;
	size_t		first = 0;

	REEF_TRY(check_batch(writer, batch, err));
	while (first < count)
	{
		size_t		room = page_room(writer, batch, first, count - first);

		for (int i = 0; i < writer->schema.column_count; i++)
		{
			ReefCode	rc = reef_chunk_append(&writer->chunks[i],
											   &batch->columns[i],
											   batch->selection, first, room,
											   err);

			if (rc != REEF_OK)
				return reef_error_add(err, "column \"%s\"",
									  writer->schema.columns[i].name);
		}
		first += room;
		REEF_TRY(cut_where_full(writer, err));
	}
	return REEF_OK;
}

/* Kinds and PostgreSQL types, which Parquet's own schema does not hold. */
static void
describe_columns(const ReefParquetWriter *writer, ReefBuf *buf)
{
	for (int i = 0; i < writer->schema.column_count; i++)
	{
		const ReefColumn *column = &writer->schema.columns[i];

		reef_buf_printf(buf, "%s %d %d %s\n",
						reef_kind_name(column->type.kind),
						(int) column->type.length, column->key_position,
						column->type.pg_type != NULL ?
						column->type.pg_type : "");
	}
}

static void
set_pair(ReefParquetPair *pair, const char *key, ReefSlice value)
{
	pair->key = reef_slice_of_string(key);
	pair->value = value;
}

/* Index offsets become the file's. */
static void
settle_index_offsets(ReefParquetFooter *footer, uint64_t base)
{
	for (int g = 0; g < footer->row_group_count; g++)
		for (int c = 0; c < footer->row_groups[g].chunk_count; c++)
		{
			ReefParquetChunk *chunk = &footer->row_groups[g].chunks[c];

			chunk->offset_index_offset += base;
			if (chunk->column_index_size > 0)
				chunk->column_index_offset += base;
		}
}

static ReefCode
build_elements(ReefParquetWriter *writer, ReefParquetFooter *footer,
			   ReefError *err)
{
	int			count = writer->schema.column_count + 1;

	footer->element_count = count;
	footer->elements = reef_arena_calloc(&writer->arena, (size_t) count *
										 sizeof(ReefParquetElement));
	if (footer->elements == NULL)
		return reef_error_no_memory(err, (size_t) count *
									sizeof(ReefParquetElement));
	footer->elements[0].physical = -1;
	footer->elements[0].converted = REEF_CONVERTED_NONE;
	footer->elements[0].child_count = count - 1;
	footer->elements[0].name = reef_slice_of_string("schema");
	for (int i = 1; i < count; i++)
	{
		reef_element_of_column(&writer->schema.columns[i - 1],
							   &footer->elements[i]);
		for (int g = 0; g < footer->row_group_count; g++)
			footer->row_groups[g].chunks[i - 1].physical =
				footer->elements[i].physical;
	}
	return REEF_OK;
}

/* Encode the footer with the checksum's digits as zeros, then put them in. */
static ReefCode
write_footer(ReefParquetWriter *writer, ReefParquetFooter *footer,
			 const ReefParquetPair *crc_pair, ReefError *err)
{
	ReefBuf    *out = &writer->out;
	char		digits[REEF_PARQUET_CRC_DIGITS + 1];

	reef_footer_encode(out, footer);
	REEF_TRY(reef_buf_check(out, err));
	if (out->size > INT32_MAX)
		return reef_error_set(err, REEF_LIMIT, "parquet footer is too large",
							  "%zu bytes", out->size);
	(void) snprintf(digits, sizeof(digits), "%08x",
					reef_crc32c(0, out->data, out->size));
	memcpy(out->data + crc_pair->value_offset, digits,
		   REEF_PARQUET_CRC_DIGITS);
	reef_buf_append_u32(out, (uint32_t) out->size);
	reef_buf_append(out, REEF_PARQUET_MAGIC, 4);
	return write_out(writer, err);
}

static ReefCode
finish_file(ReefParquetWriter *writer, const ReefParquetKeyValue *pairs,
			int pair_count, ReefBuf *columns, ReefError *err)
{
	ReefParquetFooter footer = {0};
	char		body_crc[REEF_PARQUET_CRC_DIGITS + 1];
	uint64_t	index_base = writer->offset;
	ReefParquetPair *p;
	const ReefParquetPair *crc_pair;

	footer.row_count = writer->row_count;
	footer.row_groups = (ReefParquetRowGroup *) (void *) writer->groups.data;
	footer.row_group_count = (int) (writer->groups.size /
									sizeof(ReefParquetRowGroup));
	footer.created_by = reef_slice_of_string(REEF_PARQUET_CREATED_BY);
	settle_index_offsets(&footer, index_base);
	REEF_TRY(build_elements(writer, &footer, err));
	if (writer->indexes.size > 0)
		REEF_TRY(write_bytes(writer, reef_buf_slice(&writer->indexes), err));

	p = reef_arena_calloc(&writer->arena, ((size_t) pair_count + 5) *
						  sizeof(ReefParquetPair));
	if (p == NULL)
		return reef_error_no_memory(err, ((size_t) pair_count + 5) *
									sizeof(ReefParquetPair));
	footer.pairs = p;
	footer.pair_count = pair_count + 5;
	describe_columns(writer, columns);
	REEF_TRY(reef_buf_check(columns, err));
	REEF_TRY(reef_buf_check(&writer->index_crcs, err));
	REEF_TRY(reef_buf_check(&writer->bloom_crcs, err));
	(void) snprintf(body_crc, sizeof(body_crc), "%08x", writer->crc);
	set_pair(p++, REEF_PARQUET_KEY_COLUMNS, reef_buf_slice(columns));
	set_pair(p++, REEF_PARQUET_KEY_BODY_CRC, reef_slice_of_string(body_crc));
	set_pair(p++, REEF_PARQUET_KEY_BLOOM_CRC,
			 reef_buf_slice(&writer->bloom_crcs));
	set_pair(p++, REEF_PARQUET_KEY_INDEX_CRC,
			 reef_buf_slice(&writer->index_crcs));
	crc_pair = p;
	set_pair(p++, REEF_PARQUET_KEY_FOOTER_CRC,
			 reef_slice_of_string("00000000"));
	for (int i = 0; i < pair_count; i++)
		set_pair(p++, pairs[i].key, reef_slice_of_string(pairs[i].value));
	return write_footer(writer, &footer, crc_pair, err);
}

static ReefCode
fill_summary(ReefParquetWriter *writer, ReefParquetSummary *summary,
			 ReefError *err)
{
	summary->row_count = writer->row_count;
	summary->size = writer->offset;
	summary->crc = writer->crc;
	summary->columns = writer->summary;
	for (int i = 0; i < writer->schema.column_count; i++)
	{
		ReefParquetColumnSummary *column = &writer->summary[i];
		const ReefStats *total = &writer->totals[i];
		ReefKind	kind = writer->schema.columns[i].type.kind;

		if (!total->has_min_max || !writer->is_bounded[i])
			continue;
		if (!reef_physical_decode(kind, total->min, &column->min) ||
			!reef_physical_decode(kind, total->max, &column->max))
			return reef_error_set(err, REEF_BUG,
								  "bounds cannot be read back",
								  "column \"%s\"",
								  writer->schema.columns[i].name);
		column->has_min_max = true;
	}
	return REEF_OK;
}

ReefCode
reef_parquet_writer_finish(ReefParquetWriter *writer,
						   const ReefParquetKeyValue *pairs, int pair_count,
						   ReefParquetSummary *summary, ReefError *err)
{
	ReefBuf		columns;
	ReefCode	rc;

	if (writer->is_finished)
		return reef_error_set(err, REEF_BUG,
							  "parquet writer is finished already", NULL);
	if (writer->schema.column_count > 0 && writer->chunks[0].row_count > 0)
	{
		if (writer->chunks[0].page.row_count > 0)
			cut_pages(writer);
		REEF_TRY(flush_row_group(writer, err));
	}
	REEF_TRY(write_out(writer, err));
	reef_buf_init(&columns);
	rc = finish_file(writer, pairs, pair_count, &columns, err);
	reef_buf_release(&columns);
	if (rc != REEF_OK)
		return rc;
	writer->is_finished = true;
	return fill_summary(writer, summary, err);
}
