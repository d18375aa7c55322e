/*
 * chunk.c
 *	  Collect a column's values and turn them into pages.
 */
#include "parquet/chunk.h"

#include "parquet/crc32.h"
#include "parquet/delta.h"
#include "parquet/plain.h"
#include "parquet/rle.h"

void
reef_chunk_init(ReefChunk *chunk, ReefKind kind)
{
	memset(chunk, 0, sizeof(*chunk));
	chunk->kind = kind;
	reef_buf_init(&chunk->values);
	reef_buf_init(&chunk->nulls);
	reef_buf_init(&chunk->pages);
	reef_dictionary_init(&chunk->dictionary, kind);
}

void
reef_chunk_release(ReefChunk *chunk)
{
	reef_buf_release(&chunk->values);
	reef_buf_release(&chunk->nulls);
	reef_buf_release(&chunk->pages);
	reef_dictionary_release(&chunk->dictionary);
}

void
reef_chunk_reset(ReefChunk *chunk)
{
	reef_buf_reset(&chunk->values);
	reef_buf_reset(&chunk->nulls);
	reef_buf_reset(&chunk->pages);
	reef_dictionary_reset(&chunk->dictionary);
	memset(&chunk->page, 0, sizeof(chunk->page));
	chunk->row_count = 0;
	chunk->value_count = 0;
}

size_t
reef_chunk_memory(const ReefChunk *chunk)
{
	return chunk->values.capacity + chunk->nulls.capacity +
		chunk->pages.capacity + reef_dictionary_memory(&chunk->dictionary);
}

ReefCode
reef_chunk_append(ReefChunk *chunk, const ReefVector *vector,
				  const uint16_t *selection, size_t first, size_t count,
				  ReefError *err)
{
	uint16_t	positions[REEF_BATCH_MAX_ROWS];
	size_t		value_count = 0;
	size_t		before = chunk->values.size;
	uint8_t    *nulls = reef_buf_reserve(&chunk->nulls, count);

	if (nulls == NULL)
		return reef_error_no_memory(err, count);
	for (size_t i = 0; i < count; i++)
	{
		uint16_t	position = selection != NULL ? selection[first + i] :
			(uint16_t) (first + i);
		uint8_t		is_null = vector->nulls != NULL &&
			vector->nulls[position] != 0;

		nulls[i] = is_null;
		positions[value_count] = position;
		value_count += !is_null;
	}
	REEF_TRY(reef_plain_append(&chunk->values, vector, positions, value_count,
							   err));
	if (value_count > 0)
		reef_dictionary_add(&chunk->dictionary,
							reef_slice(chunk->values.data + before,
									   chunk->values.size - before),
							value_count);
	chunk->nulls.size += count;
	chunk->row_count += (uint32_t) count;
	chunk->value_count += (uint32_t) value_count;
	chunk->page.row_count += (uint32_t) count;
	chunk->page.value_count += (uint32_t) value_count;
	chunk->page.size = chunk->values.size - chunk->page.offset;
	return REEF_OK;
}

void
reef_chunk_cut_page(ReefChunk *chunk)
{
	reef_buf_append(&chunk->pages, &chunk->page, sizeof(chunk->page));
	memset(&chunk->page, 0, sizeof(chunk->page));
	chunk->page.first_row = chunk->row_count;
	chunk->page.first_value = chunk->value_count;
	chunk->page.offset = chunk->values.size;
}

/* Append header, levels and values as one page; returns through meta what
 * they add to the chunk's sizes. */
static ReefCode
append_page(ReefPageHeader *header, ReefSlice levels, ReefSlice values,
			ReefChunkCodec codec, ReefChunkScratch *scratch, ReefBuf *out,
			ReefParquetChunk *meta, ReefError *err)
{
	size_t		before = out->size;

	header->is_compressed = codec.codec != REEF_CODEC_NONE && values.size > 0;
	header->uncompressed_size = (uint32_t) (levels.size + values.size);
	if (levels.size + values.size > INT32_MAX)
		return reef_error_set(err, REEF_LIMIT, "parquet page is too large",
							  "%zu bytes", levels.size + values.size);
	if (header->is_compressed)
	{
		reef_buf_reset(&scratch->compressed);
		REEF_TRY(reef_compress(codec.codec, codec.level, values,
							   &scratch->compressed, err));
		/* only a v2 page can say that it is not compressed after all */
		if (header->type == REEF_PAGE_DATA_V2 &&
			scratch->compressed.size >= values.size - values.size / 32)
			header->is_compressed = false;
		else
			values = reef_buf_slice(&scratch->compressed);
	}
	header->compressed_size = (uint32_t) (levels.size + values.size);
	header->crc = reef_crc32(reef_crc32(0, levels.data, levels.size),
							 values.data, values.size);
	header->has_crc = true;
	reef_page_header_encode(out, header);
	meta->uncompressed_size += out->size - before + header->uncompressed_size;
	reef_buf_append(out, levels.data, levels.size);
	reef_buf_append(out, values.data, values.size);
	meta->compressed_size += out->size - before;
	return reef_buf_check(out, err);
}

static ReefCode
append_dictionary(const ReefChunk *chunk, ReefChunkCodec codec,
				  ReefChunkScratch *scratch, ReefBuf *out,
				  ReefParquetChunk *meta, ReefError *err)
{
	ReefPageHeader header = {0};

	header.type = REEF_PAGE_DICTIONARY;
	header.value_count = chunk->dictionary.count;
	header.encoding = REEF_ENCODING_PLAIN;
	return append_page(&header, reef_slice(NULL, 0),
					   reef_buf_slice(&chunk->dictionary.values), codec,
					   scratch, out, meta, err);
}

/* The page's values in the chosen encoding. */
static ReefSlice
encode_values(const ReefChunk *chunk, const ReefChunkPage *page,
			  ReefEncoding encoding, ReefBuf *encoded)
{
	ReefSlice	plain = reef_slice(chunk->values.data + page->offset,
								   page->size);
	int			bit_width;

	if (page->value_count == 0)
		return reef_slice(NULL, 0);
	reef_buf_reset(encoded);
	switch (encoding)
	{
		case REEF_ENCODING_RLE_DICTIONARY:
			bit_width = reef_rle_bit_width(chunk->dictionary.count - 1);
			reef_buf_append_u8(encoded, (uint8_t) bit_width);
			reef_rle_encode(encoded, (const uint32_t *) (const void *)
							chunk->dictionary.indexes.data +
							page->first_value, page->value_count, bit_width);
			return reef_buf_slice(encoded);
		case REEF_ENCODING_DELTA_BINARY_PACKED:
			reef_delta_encode(encoded, plain.data,
							  reef_physical_width(chunk->kind),
							  page->value_count);
			return reef_buf_slice(encoded);
		default:
			if (chunk->kind != REEF_KIND_BOOL)
				return plain;
			reef_plain_pack_booleans(encoded, plain.data, page->value_count);
			return reef_buf_slice(encoded);
	}
}

static bool
has_deltas(ReefKind kind)
{
	switch (kind)
	{
		case REEF_KIND_INT16:
		case REEF_KIND_INT32:
		case REEF_KIND_INT64:
		case REEF_KIND_DECIMAL64:
		case REEF_KIND_DATE:
		case REEF_KIND_TIME:
		case REEF_KIND_TIMESTAMP:
		case REEF_KIND_TIMESTAMPTZ:
			return true;
		default:
			return false;
	}
}

static ReefCode
stored_size(ReefSlice bytes, ReefChunkCodec codec, ReefChunkScratch *scratch,
			size_t *size, ReefError *err)
{
	reef_buf_reset(&scratch->compressed);
	REEF_TRY(reef_compress(codec.codec, codec.level, bytes,
						   &scratch->compressed, err));
	*size = scratch->compressed.size;
	return REEF_OK;
}

/* What the chunk would take if all its pages were like this one. */
static ReefCode
estimate(const ReefChunk *chunk, const ReefChunkPage *page,
		 ReefEncoding encoding, ReefChunkCodec codec,
		 ReefChunkScratch *scratch, double *size, ReefError *err)
{
	ReefSlice	bytes = encode_values(chunk, page, encoding,
									  &scratch->encoded);
	size_t		page_size;
	size_t		dictionary_size = 0;

	REEF_TRY(reef_buf_check(&scratch->encoded, err));
	REEF_TRY(stored_size(bytes, codec, scratch, &page_size, err));
	if (encoding == REEF_ENCODING_RLE_DICTIONARY)
		REEF_TRY(stored_size(reef_buf_slice(&chunk->dictionary.values), codec,
							 scratch, &dictionary_size, err));
	*size = (double) dictionary_size + (double) page_size *
		((double) chunk->value_count / (double) page->value_count);
	return REEF_OK;
}

/*
 * Try each encoding that the kind has on one page in the middle.  How well
 * the result compresses decides, which no count of distinct values tells: a
 * column of prices is smaller as plain integers, one of flags as indexes.
 */
static ReefCode
choose_encoding(const ReefChunk *chunk, ReefChunkCodec codec,
				ReefChunkScratch *scratch, ReefEncoding *encoding,
				ReefError *err)
{
	const ReefChunkPage *pages = (const ReefChunkPage *) (const void *)
		chunk->pages.data;
	size_t		count = chunk->pages.size / sizeof(*pages);
	size_t		sample = count / 2;
	double		size;
	double		best;

	*encoding = REEF_ENCODING_PLAIN;
	if (chunk->value_count == 0 || (chunk->dictionary.is_given_up &&
									!has_deltas(chunk->kind)))
		return REEF_OK;
	while (pages[sample].value_count == 0)
		sample = (sample + 1) % count;
	REEF_TRY(estimate(chunk, &pages[sample], REEF_ENCODING_PLAIN, codec,
					  scratch, &best, err));
	if (!chunk->dictionary.is_given_up)
	{
		REEF_TRY(estimate(chunk, &pages[sample], REEF_ENCODING_RLE_DICTIONARY,
						  codec, scratch, &size, err));
		if (size < best)
		{
			*encoding = REEF_ENCODING_RLE_DICTIONARY;
			best = size;
		}
	}
	if (has_deltas(chunk->kind))
	{
		REEF_TRY(estimate(chunk, &pages[sample],
						  REEF_ENCODING_DELTA_BINARY_PACKED, codec, scratch,
						  &size, err));
		/* decoding it is slower, so it has to be worth it */
		if (size < best * 0.9)
			*encoding = REEF_ENCODING_DELTA_BINARY_PACKED;
	}
	return REEF_OK;
}

static ReefCode
append_data_page(const ReefChunk *chunk, const ReefChunkPage *page,
				 ReefEncoding encoding, ReefChunkCodec codec,
				 ReefChunkScratch *scratch, ReefBuf *out,
				 ReefParquetChunk *meta, ReefError *err)
{
	ReefPageHeader header = {0};
	const uint8_t *nulls = NULL;
	ReefSlice	values;

	header.type = REEF_PAGE_DATA_V2;
	header.value_count = page->row_count;
	header.row_count = page->row_count;
	header.null_count = page->row_count - page->value_count;
	header.encoding = encoding;
	if (header.null_count > 0)
		nulls = chunk->nulls.data + page->first_row;
	reef_buf_reset(&scratch->levels);
	reef_rle_encode_levels(&scratch->levels, nulls, page->row_count);
	header.definition_size = (uint32_t) scratch->levels.size;
	values = encode_values(chunk, page, encoding, &scratch->encoded);
	REEF_TRY(reef_buf_check(&scratch->levels, err));
	REEF_TRY(reef_buf_check(&scratch->encoded, err));
	return append_page(&header, reef_buf_slice(&scratch->levels), values,
					   codec, scratch, out, meta, err);
}

ReefCode
reef_chunk_encode(ReefChunk *chunk, ReefChunkCodec codec,
				  ReefChunkScratch *scratch, ReefArena *arena, ReefBuf *out,
				  ReefChunkResult *result, ReefError *err)
{
	const ReefChunkPage *pages = (const ReefChunkPage *) (const void *)
		chunk->pages.data;
	size_t		count = chunk->pages.size / sizeof(*pages);
	size_t		start = out->size;
	ReefEncoding encoding;

	REEF_TRY(reef_buf_check(&chunk->pages, err));
	REEF_TRY(choose_encoding(chunk, codec, scratch, &encoding, err));
	memset(result, 0, sizeof(*result));
	result->page_count = (int) count;
	result->locations = reef_arena_calloc(arena,
										  count * sizeof(ReefPageLocation));
	result->stats = reef_arena_calloc(arena, count * sizeof(ReefStats));
	result->null_counts = reef_arena_calloc(arena, count * sizeof(uint64_t));
	if (result->locations == NULL || result->stats == NULL ||
		result->null_counts == NULL)
		return reef_error_no_memory(err, count * sizeof(ReefStats));
	result->meta.encoding = encoding;
	result->meta.value_count = chunk->row_count;
	result->meta.page_count = (int) count;
	result->has_dictionary = encoding == REEF_ENCODING_RLE_DICTIONARY;
	if (result->has_dictionary)
		REEF_TRY(append_dictionary(chunk, codec, scratch, out, &result->meta,
								   err));
	result->meta.data_offset = out->size - start;
	for (size_t i = 0; i < count; i++)
	{
		const ReefChunkPage *page = &pages[i];
		size_t		before = out->size;

		REEF_TRY(append_data_page(chunk, page, encoding, codec, scratch, out,
								  &result->meta, err));
		result->locations[i].offset = before - start;
		result->locations[i].size = (uint32_t) (out->size - before);
		result->locations[i].first_row = page->first_row;
		result->null_counts[i] = page->row_count - page->value_count;
		reef_stats_compute(chunk->kind,
						   reef_slice(chunk->values.data + page->offset,
									  page->size),
						   page->value_count, &result->stats[i]);
	}
	return REEF_OK;
}
