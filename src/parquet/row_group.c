/*
 * row_group.c
 *	  What is known about a row group's pages without reading them.
 *
 * Loaded when it is first asked for and kept until the reader is closed.
 */
#include "parquet/reader_state.h"

#include "base/crc32c.h"
#include "parquet/bloom.h"

#define MAX_BLOOM_SIZE (128u * 1024 * 1024 + 1024)
/* First guess at the size of a page header, and the most we try. */
#define HEADER_GUESS 256
#define MAX_HEADER_SIZE (1024 * 1024)

ReefCode
reef_row_group_page_error(const ReefParquetReader *reader, int row_group,
						  int page,
						  int column, ReefError *err)
{
	return reef_error_add(err,
						  "column \"%s\", row group %d, page %d of \"%s\"",
						  reader->schema.columns[column].name, row_group,
						  page, reader->name);
}

static ReefCode
group_state(ReefParquetReader *reader, int row_group, ReefGroupState **state,
			ReefError *err)
{
	ReefGroupState *s = &reader->groups[row_group];

	if (s->columns == NULL)
	{
		size_t		size = (size_t) reader->schema.column_count *
			sizeof(ReefColumnState);

		reef_arena_init(&s->arena, 0);
		s->columns = reef_arena_calloc(&s->arena, size);
		if (s->columns == NULL)
			return reef_error_no_memory(err, size);
	}
	*state = s;
	return REEF_OK;
}

void
reef_parquet_reader_forget_group(ReefParquetReader *reader, int row_group)
{
	ReefGroupState *state = &reader->groups[row_group];

	reef_arena_release(&state->arena);
	memset(state, 0, sizeof(*state));
}

/* In our files a row group's page indexes lie together under one checksum. */
static ReefCode
load_index_region(ReefParquetReader *reader, int row_group,
				  ReefGroupState *state,
				  ReefError *err)
{
	const ReefParquetRowGroup *group = &reader->footer.row_groups[row_group];
	uint64_t	start = UINT64_MAX;
	uint64_t	end = 0;
	uint64_t	sum = 0;

	for (int c = 0; c < group->chunk_count; c++)
	{
		const ReefParquetChunk *chunk = &group->chunks[c];
		uint64_t	first = chunk->column_index_size > 0 ?
			chunk->column_index_offset : chunk->offset_index_offset;
		uint64_t	last = chunk->offset_index_offset +
			chunk->offset_index_size;

		start = first < start ? first : start;
		end = last > end ? last : end;
		sum += chunk->column_index_size + chunk->offset_index_size;
	}
	if (start > end || end - start != sum)
		return reef_reader_corrupt(reader, err, "place of the page indexes");
	REEF_TRY(reef_reader_read_arena(reader, &state->arena, start, sum,
									&state->index,
									err));
	if (reef_crc32c(0, state->index.data, state->index.size) !=
		reader->origin.index_crcs[row_group])
		return reef_reader_corrupt(reader, err,
								   "checksum of the page indexes");
	state->index_offset = start;
	state->has_index = true;
	return REEF_OK;
}

static ReefCode
index_bytes(ReefParquetReader *reader, ReefGroupState *state, uint64_t offset,
			uint64_t size, ReefSlice *bytes, ReefError *err)
{
	if (!reader->origin.is_ours)
		return reef_reader_read_arena(reader, &state->arena, offset, size,
									  bytes,
									  err);
	if (offset < state->index_offset ||
		!reef_reader_is_inside(offset - state->index_offset, size,
							   state->index.size))
		return reef_reader_corrupt(reader, err, "place of the page indexes");
	*bytes = reef_slice(state->index.data + (offset - state->index_offset),
						(size_t) size);
	return REEF_OK;
}

/* Pages must cover the rows in order and lie in the chunk. */
static bool
check_pages(const ReefParquetChunk *chunk, const ReefOffsetIndex *index)
{
	uint64_t	start = reef_reader_chunk_start(chunk);
	uint64_t	end = start + chunk->compressed_size;

	if (index->page_count < 1 || index->pages[0].first_row != 0)
		return false;
	for (int i = 0; i < index->page_count; i++)
	{
		const ReefPageLocation *page = &index->pages[i];
		uint64_t	next = i + 1 < index->page_count ?
			index->pages[i + 1].first_row : chunk->value_count;

		if (page->offset < start || !reef_reader_is_inside(page->offset,
														   page->size, end) ||
			next <= page->first_row ||
			next - page->first_row > REEF_PAGE_MAX_ROWS)
			return false;
	}
	return true;
}

static ReefCode
load_page_index(ReefParquetReader *reader, ReefGroupState *state,
				const ReefParquetChunk *chunk, ReefColumnState *column,
				ReefError *err)
{
	ReefSlice	bytes;

	REEF_TRY(index_bytes(reader, state, chunk->offset_index_offset,
						 chunk->offset_index_size, &bytes, err));
	REEF_TRY(reef_offset_index_decode(bytes, &state->arena, &column->pages,
									  err));
	if (chunk->column_index_size > 0)
	{
		REEF_TRY(index_bytes(reader, state, chunk->column_index_offset,
							 chunk->column_index_size, &bytes, err));
		REEF_TRY(reef_column_index_decode(bytes, &state->arena,
										  &column->bounds, err));
		if (column->bounds.page_count != column->pages.page_count)
			return reef_reader_corrupt(reader, err,
									   "page indexes of different lengths");
		column->has_bounds = true;
	}
	return REEF_OK;
}

/* Fetch and decode the header of the page at the offset. */
static ReefCode
read_header(ReefParquetReader *reader, uint64_t offset, uint64_t end,
			ReefPageHeader *header, size_t *header_size, ReefError *err)
{
	for (uint64_t size = HEADER_GUESS; size <= MAX_HEADER_SIZE; size *= 8)
	{
		uint64_t	fetched = size < end - offset ? size : end - offset;

		reef_buf_reset(&reader->page);
		if (reef_buf_reserve(&reader->page, (size_t) fetched) == NULL)
			return reef_error_no_memory(err, (size_t) fetched);
		REEF_TRY(reef_reader_read(reader, offset, (size_t) fetched,
								  reader->page.data, err));
		if (reef_page_header_decode(reef_slice(reader->page.data,
											   (size_t) fetched),
									header, header_size))
			return REEF_OK;
		if (fetched < size)
			break;
	}
	return reef_reader_corrupt(reader, err, "page header");
}

/* Without a page index: from header to header. */
static ReefCode
walk_pages(ReefParquetReader *reader, ReefGroupState *state,
		   const ReefParquetChunk *chunk, ReefColumnState *column,
		   ReefError *err)
{
	uint64_t	offset = reef_reader_chunk_start(chunk);
	uint64_t	end = offset + chunk->compressed_size;
	uint64_t	first_row = 0;
	ReefBuf		found;
	ReefCode	rc = REEF_OK;

	reef_buf_init(&found);
	while (first_row < chunk->value_count)
	{
		ReefPageHeader header;
		ReefPageLocation page;
		size_t		header_size = 0;

		rc = read_header(reader, offset, end, &header, &header_size, err);
		if (rc == REEF_OK &&
			(header.compressed_size > end - offset - header_size ||
			 header.value_count > chunk->value_count - first_row))
			rc = reef_reader_corrupt(reader, err, "page header");
		if (rc != REEF_OK)
			break;
		page.offset = offset;
		page.first_row = first_row;
		page.size = (uint32_t) header_size + header.compressed_size;
		offset += page.size;
		if (header.type != REEF_PAGE_DATA && header.type != REEF_PAGE_DATA_V2)
			continue;
		first_row += header.value_count;
		if (header.value_count > 0)
			reef_buf_append(&found, &page, sizeof(page));
	}
	if (rc == REEF_OK)
		rc = reef_buf_check(&found, err);
	if (rc == REEF_OK)
		column->pages.pages = reef_arena_alloc(&state->arena, found.size);
	if (column->pages.pages != NULL)
	{
		memcpy(column->pages.pages, found.data, found.size);
		column->pages.page_count = (int) (found.size /
										  sizeof(ReefPageLocation));
	}
	else if (rc == REEF_OK)
		rc = reef_error_no_memory(err, found.size);
	reef_buf_release(&found);
	return rc;
}

ReefCode
reef_row_group_load_pages(ReefParquetReader *reader, int row_group, int column,
						  ReefColumnState **pages, ReefError *err)
{
	const ReefParquetChunk *chunk =
		&reader->footer.row_groups[row_group].chunks[column];
	ReefGroupState *state;
	ReefColumnState *c;
	ReefCode	rc;

	REEF_TRY(group_state(reader, row_group, &state, err));
	c = &state->columns[column];
	*pages = c;
	if (c->has_pages)
		return REEF_OK;
	if (reader->origin.is_ours && !state->has_index)
		REEF_TRY(load_index_region(reader, row_group, state, err));
	if (chunk->offset_index_size > 0)
		rc = load_page_index(reader, state, chunk, c, err);
	else if (reader->origin.is_ours)
		return reef_reader_corrupt(reader, err,
								   "a column without a page index");
	else
		rc = walk_pages(reader, state, chunk, c, err);
	if (rc == REEF_OK && !check_pages(chunk, &c->pages))
		rc = reef_reader_corrupt(reader, err, "places of pages");
	if (rc != REEF_OK)
		return reef_row_group_page_error(reader, row_group, 0, column, err);
	c->has_pages = true;
	return REEF_OK;
}

uint64_t
reef_row_group_page_end(const ReefParquetReader *reader, int row_group,
						const ReefOffsetIndex *index, int page)
{
	return page + 1 < index->page_count ? index->pages[page + 1].first_row :
		reader->footer.row_groups[row_group].row_count;
}

ReefCode
reef_parquet_reader_page_count(ReefParquetReader *reader, int row_group,
							   int *page_count, ReefError *err)
{
	ReefColumnState *first;

	REEF_TRY(reef_row_group_load_pages(reader, row_group, 0, &first, err));
	*page_count = first->pages.page_count;
	return REEF_OK;
}

ReefCode
reef_parquet_reader_page_rows(ReefParquetReader *reader, int row_group,
							  int page, uint32_t *first_row,
							  uint32_t *row_count, ReefError *err)
{
	ReefColumnState *first;
	uint64_t	row;

	REEF_TRY(reef_row_group_load_pages(reader, row_group, 0, &first, err));
	row = first->pages.pages[page].first_row;
	*first_row = (uint32_t) row;
	*row_count = (uint32_t) (reef_row_group_page_end(reader, row_group, &first->pages,
										  page) - row);
	return REEF_OK;
}

/* ---- statistics and bloom filters ---- */

static bool
decode_bounds(const ReefParquetReader *reader, int column, ReefSlice min,
			  ReefSlice max, ReefParquetStats *stats)
{
	ReefKind	kind = reader->schema.columns[column].type.kind;

	/* others leave NaN out of the bounds, which PostgreSQL has above all */
	if (!reader->origin.is_ours &&
		(kind == REEF_KIND_FLOAT32 || kind == REEF_KIND_FLOAT64))
		return false;
	return reef_physical_decode(kind, min, &stats->min) &&
		reef_physical_decode(kind, max, &stats->max);
}

ReefCode
reef_parquet_reader_stats(ReefParquetReader *reader, int row_group, int page,
						  int column, ReefParquetStats *stats, ReefError *err)
{
	ReefColumnState *c;

	memset(stats, 0, sizeof(*stats));
	if (page < 0)
	{
		const ReefParquetBounds *bounds =
			&reader->footer.row_groups[row_group].chunks[column].bounds;

		stats->has_null_count = bounds->has_null_count;
		stats->null_count = bounds->null_count;
		stats->has_min_max = bounds->has_min_max &&
			decode_bounds(reader, column, bounds->min, bounds->max, stats);
		return REEF_OK;
	}
	REEF_TRY(reef_row_group_load_pages(reader, row_group, column, &c, err));
	/* pages are those of the first column; others' may differ */
	if (!c->has_bounds || page >= c->bounds.page_count ||
		!reader->origin.is_ours)
		return REEF_OK;
	stats->has_null_count = c->bounds.has_null_counts;
	if (stats->has_null_count)
		stats->null_count = c->bounds.null_counts[page];
	stats->has_min_max = !c->bounds.null_pages[page] &&
		decode_bounds(reader, column, c->bounds.min[page],
					  c->bounds.max[page], stats);
	return REEF_OK;
}

ReefCode
reef_parquet_reader_bloom_check(ReefParquetReader *reader, int row_group,
								int column, const ReefValue *value,
								bool *may_contain, ReefError *err)
{
	const ReefParquetChunk *chunk =
		&reader->footer.row_groups[row_group].chunks[column];
	ReefGroupState *state;
	ReefSlice	bytes;

	*may_contain = true;
	if (chunk->bloom_offset == 0 || chunk->bloom_size == 0 ||
		chunk->bloom_size > MAX_BLOOM_SIZE)
		return REEF_OK;
	REEF_TRY(group_state(reader, row_group, &state, err));
	if (state->columns[column].bloom.data == NULL)
	{
		REEF_TRY(reef_reader_read_arena(reader, &state->arena,
										chunk->bloom_offset,
										chunk->bloom_size, &bytes, err));
		if (reader->origin.is_ours && reef_crc32c(0, bytes.data, bytes.size) !=
			reef_parquet_origin_bloom_crc(&reader->origin, &reader->footer,
										  row_group, column))
			return reef_reader_corrupt(reader, err,
									   "checksum of a bloom filter");
		state->columns[column].bloom = bytes;
	}
	if (!reef_bloom_check(state->columns[column].bloom,
						  reader->schema.columns[column].type.kind, value,
						  may_contain))
	{
		/* of a kind that we do not know: no help, no harm */
		if (reader->origin.is_ours)
			return reef_reader_corrupt(reader, err, "bloom filter");
		*may_contain = true;
	}
	return REEF_OK;
}
