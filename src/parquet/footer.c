/*
 * footer.c
 *	  The file's metadata: schema, row groups, key-values.
 *
 * Decoding copies what this implementation needs and passes over the rest.
 * Field numbers are those of parquet.thrift; each function below is one of
 * its structs, in the order of the fields there.
 */
#include "parquet/footer.h"

#include "parquet/thrift.h"

/* A non-negative i64, as sizes, counts and offsets are. */
static uint64_t
read_size(ReefReader *reader, const ReefThriftField *field)
{
	int64_t		v = reef_thrift_read_i64(reader, field);

	if (v < 0)
	{
		reader->failed = true;
		return 0;
	}
	return (uint64_t) v;
}

static uint64_t
read_size32(ReefReader *reader, const ReefThriftField *field)
{
	int32_t		v = reef_thrift_read_i32(reader, field);

	if (v < 0)
	{
		reader->failed = true;
		return 0;
	}
	return (uint64_t) v;
}

/* An array for the elements of the list that follows. */
static void *
read_array(ReefReader *reader, const ReefThriftField *field,
		   ReefThriftType element, size_t element_size, ReefArena *arena,
		   int *count)
{
	size_t		n = reef_thrift_read_list(reader, field, element);
	void	   *array;

	*count = 0;
	if (reader->failed || n > INT32_MAX)
	{
		reader->failed = true;
		return NULL;
	}
	array = reef_arena_calloc(arena, n * element_size);
	if (array == NULL && n > 0)
		reader->failed = true;
	else
		*count = (int) n;
	return array;
}

static void
decode_time_unit(ReefReader *reader, const ReefThriftField *outer, int *unit)
{
	ReefThriftField f = {0};

	reef_thrift_read_struct(reader, outer);
	while (reef_thrift_next(reader, &f))
	{
		*unit = f.id;
		reef_thrift_skip(reader, &f);
	}
}

/* What a choice of the union LogicalType contains. */
static void
decode_logical_content(ReefReader *reader, ReefParquetElement *element)
{
	ReefThriftField f = {0};

	while (reef_thrift_next(reader, &f))
	{
		if (element->logical == REEF_LOGICAL_DECIMAL && f.id == 1)
			element->scale = reef_thrift_read_i32(reader, &f);
		else if (element->logical == REEF_LOGICAL_DECIMAL && f.id == 2)
			element->precision = reef_thrift_read_i32(reader, &f);
		else if ((element->logical == REEF_LOGICAL_TIME ||
				  element->logical == REEF_LOGICAL_TIMESTAMP) && f.id == 1)
			element->is_utc = reef_thrift_read_bool(reader, &f);
		else if ((element->logical == REEF_LOGICAL_TIME ||
				  element->logical == REEF_LOGICAL_TIMESTAMP) && f.id == 2)
			decode_time_unit(reader, &f, &element->unit);
		else if (element->logical == REEF_LOGICAL_INTEGER && f.id == 1)
			element->bit_width = reef_thrift_read_i8(reader, &f);
		else if (element->logical == REEF_LOGICAL_INTEGER && f.id == 2)
			element->is_signed = reef_thrift_read_bool(reader, &f);
		else
			reef_thrift_skip(reader, &f);
	}
}

static void
decode_logical(ReefReader *reader, const ReefThriftField *outer,
			   ReefParquetElement *element)
{
	ReefThriftField f = {0};

	reef_thrift_read_struct(reader, outer);
	while (!reader->failed && reef_thrift_next(reader, &f))
	{
		element->logical = f.id;
		reef_thrift_read_struct(reader, &f);
		decode_logical_content(reader, element);
	}
}

static void
decode_element(ReefReader *reader, ReefParquetElement *element)
{
	ReefThriftField f = {0};

	element->physical = -1;
	element->converted = REEF_CONVERTED_NONE;
	while (reef_thrift_next(reader, &f))
		switch (f.id)
		{
			case 1:
				element->physical = reef_thrift_read_i32(reader, &f);
				break;
			case 2:
				element->length = reef_thrift_read_i32(reader, &f);
				break;
			case 3:
				element->repetition = reef_thrift_read_i32(reader, &f);
				break;
			case 4:
				element->name = reef_thrift_read_binary(reader, &f);
				break;
			case 5:
				element->child_count = reef_thrift_read_i32(reader, &f);
				break;
			case 6:
				element->converted = reef_thrift_read_i32(reader, &f);
				break;
			case 7:
				element->scale = reef_thrift_read_i32(reader, &f);
				break;
			case 8:
				element->precision = reef_thrift_read_i32(reader, &f);
				break;
			case 10:
				decode_logical(reader, &f, element);
				break;
			default:
				reef_thrift_skip(reader, &f);
		}
}

static void
decode_bounds(ReefReader *reader, const ReefThriftField *outer,
			  ReefParquetBounds *bounds)
{
	ReefThriftField f = {0};
	bool		has_min = false;
	bool		has_max = false;

	reef_thrift_read_struct(reader, outer);
	while (!reader->failed && reef_thrift_next(reader, &f))
		switch (f.id)
		{
			case 3:
				bounds->null_count = read_size(reader, &f);
				bounds->has_null_count = true;
				break;
			case 5:
				bounds->max = reef_thrift_read_binary(reader, &f);
				has_max = true;
				break;
			case 6:
				bounds->min = reef_thrift_read_binary(reader, &f);
				has_min = true;
				break;
			case 7:
				bounds->max_exact = reef_thrift_read_bool(reader, &f);
				break;
			case 8:
				bounds->min_exact = reef_thrift_read_bool(reader, &f);
				break;
			default:
				/* 1 and 2 are bounds in an order that nobody ever defined */
				reef_thrift_skip(reader, &f);
		}
	bounds->has_min_max = has_min && has_max;
}

/* The one encoding of all data pages, if there is just one. */
static int
decode_encoding_stats(ReefReader *reader, const ReefThriftField *outer)
{
	size_t		count = reef_thrift_read_list(reader, outer,
											  REEF_THRIFT_STRUCT);
	int			found = -1;
	bool		mixed = false;

	for (size_t i = 0; i < count && !reader->failed; i++)
	{
		ReefThriftField f = {0};
		int			type = -1;
		int			encoding = -1;

		while (reef_thrift_next(reader, &f))
		{
			if (f.id == 1)
				type = reef_thrift_read_i32(reader, &f);
			else if (f.id == 2)
				encoding = reef_thrift_read_i32(reader, &f);
			else
				reef_thrift_skip(reader, &f);
		}
		if (type == REEF_PAGE_DICTIONARY)
			continue;
		if (found >= 0 && found != encoding)
			mixed = true;
		found = encoding;
	}
	return mixed ? -1 : found;
}

static void
decode_chunk_meta(ReefReader *reader, const ReefThriftField *outer,
				  ReefParquetChunk *chunk)
{
	ReefThriftField f = {0};

	reef_thrift_read_struct(reader, outer);
	while (!reader->failed && reef_thrift_next(reader, &f))
		switch (f.id)
		{
			case 1:
				chunk->physical = reef_thrift_read_i32(reader, &f);
				break;
			case 4:
				chunk->codec = reef_thrift_read_i32(reader, &f);
				break;
			case 5:
				chunk->value_count = read_size(reader, &f);
				break;
			case 6:
				chunk->uncompressed_size = read_size(reader, &f);
				break;
			case 7:
				chunk->compressed_size = read_size(reader, &f);
				break;
			case 9:
				chunk->data_offset = read_size(reader, &f);
				break;
			case 11:
				chunk->dictionary_offset = read_size(reader, &f);
				break;
			case 12:
				decode_bounds(reader, &f, &chunk->bounds);
				break;
			case 13:
				chunk->encoding = decode_encoding_stats(reader, &f);
				break;
			case 14:
				chunk->bloom_offset = read_size(reader, &f);
				break;
			case 15:
				chunk->bloom_size = read_size32(reader, &f);
				break;
			default:
				reef_thrift_skip(reader, &f);
		}
}

static void
decode_chunk(ReefReader *reader, ReefParquetChunk *chunk)
{
	ReefThriftField f = {0};

	chunk->physical = -1;
	chunk->codec = -1;
	chunk->encoding = -1;
	while (reef_thrift_next(reader, &f))
		switch (f.id)
		{
			case 1:
				/* the chunk would be in another file */
				reader->failed = true;
				break;
			case 3:
				decode_chunk_meta(reader, &f, chunk);
				break;
			case 4:
				chunk->offset_index_offset = read_size(reader, &f);
				break;
			case 5:
				chunk->offset_index_size = read_size32(reader, &f);
				break;
			case 6:
				chunk->column_index_offset = read_size(reader, &f);
				break;
			case 7:
				chunk->column_index_size = read_size32(reader, &f);
				break;
			default:
				reef_thrift_skip(reader, &f);
		}
}

static void
decode_row_group(ReefReader *reader, ReefArena *arena,
				 ReefParquetRowGroup *group)
{
	ReefThriftField f = {0};

	while (reef_thrift_next(reader, &f))
		switch (f.id)
		{
			case 1:
				group->chunks = read_array(reader, &f, REEF_THRIFT_STRUCT,
										   sizeof(ReefParquetChunk), arena,
										   &group->chunk_count);
				for (int i = 0; i < group->chunk_count && !reader->failed; i++)
					decode_chunk(reader, &group->chunks[i]);
				break;
			case 2:
				group->total_size = read_size(reader, &f);
				break;
			case 3:
				group->row_count = read_size(reader, &f);
				break;
			default:
				reef_thrift_skip(reader, &f);
		}
}

static void
decode_pair(ReefReader *reader, ReefParquetPair *pair)
{
	ReefThriftField f = {0};

	while (reef_thrift_next(reader, &f))
	{
		if (f.id == 1)
			pair->key = reef_thrift_read_binary(reader, &f);
		else if (f.id == 2)
			pair->value = reef_thrift_read_binary(reader, &f);
		else
			reef_thrift_skip(reader, &f);
	}
}

ReefCode
reef_footer_decode(ReefSlice bytes, ReefArena *arena,
				   ReefParquetFooter *footer, ReefError *err)
{
	ReefReader	r;
	ReefThriftField f = {0};
	bool		has_row_count = false;

	memset(footer, 0, sizeof(*footer));
	reef_reader_init(&r, bytes);
	while (reef_thrift_next(&r, &f))
		switch (f.id)
		{
			case 2:
				footer->elements = read_array(&r, &f, REEF_THRIFT_STRUCT,
											  sizeof(ReefParquetElement),
											  arena, &footer->element_count);
				for (int i = 0; i < footer->element_count && !r.failed; i++)
					decode_element(&r, &footer->elements[i]);
				break;
			case 3:
				footer->row_count = read_size(&r, &f);
				has_row_count = true;
				break;
			case 4:
				footer->row_groups = read_array(&r, &f, REEF_THRIFT_STRUCT,
												sizeof(ReefParquetRowGroup),
												arena,
												&footer->row_group_count);
				for (int i = 0; i < footer->row_group_count && !r.failed; i++)
					decode_row_group(&r, arena, &footer->row_groups[i]);
				break;
			case 5:
				footer->pairs = read_array(&r, &f, REEF_THRIFT_STRUCT,
										   sizeof(ReefParquetPair), arena,
										   &footer->pair_count);
				for (int i = 0; i < footer->pair_count && !r.failed; i++)
					decode_pair(&r, &footer->pairs[i]);
				break;
			case 6:
				footer->created_by = reef_thrift_read_binary(&r, &f);
				break;
			default:
				reef_thrift_skip(&r, &f);
		}
	/* created_by is optional, but no writer that we know leaves it out */
	if (r.failed || reef_reader_left(&r) != 0 || !has_row_count ||
		footer->elements == NULL || footer->row_groups == NULL ||
		footer->created_by.size == 0)
		return reef_error_set(err, REEF_CORRUPT, "damaged parquet footer",
							  "not a complete FileMetaData at byte %zu of %zu",
							  r.offset, bytes.size);
	return REEF_OK;
}

static void
encode_time(ReefBuf *buf, int *last, const ReefParquetElement *element)
{
	int			inner = 0;
	int			unit = 0;

	reef_thrift_write_struct(buf, last, element->logical);
	reef_thrift_write_bool(buf, &inner, 1, element->is_utc);
	reef_thrift_write_struct(buf, &inner, 2);
	reef_thrift_write_empty(buf, &unit, element->unit);
	reef_thrift_write_stop(buf);
	reef_thrift_write_stop(buf);
}

static void
encode_logical(ReefBuf *buf, const ReefParquetElement *element)
{
	int			last = 0;
	int			inner = 0;

	switch (element->logical)
	{
		case REEF_LOGICAL_DECIMAL:
			reef_thrift_write_struct(buf, &last, element->logical);
			reef_thrift_write_i32(buf, &inner, 1, element->scale);
			reef_thrift_write_i32(buf, &inner, 2, element->precision);
			reef_thrift_write_stop(buf);
			break;
		case REEF_LOGICAL_TIME:
		case REEF_LOGICAL_TIMESTAMP:
			encode_time(buf, &last, element);
			break;
		case REEF_LOGICAL_INTEGER:
			reef_thrift_write_struct(buf, &last, element->logical);
			reef_thrift_write_i8(buf, &inner, 1, (int8_t) element->bit_width);
			reef_thrift_write_bool(buf, &inner, 2, element->is_signed);
			reef_thrift_write_stop(buf);
			break;
		default:
			reef_thrift_write_empty(buf, &last, element->logical);
	}
	reef_thrift_write_stop(buf);
}

static void
encode_element(ReefBuf *buf, const ReefParquetElement *element)
{
	int			last = 0;

	if (element->physical >= 0)
		reef_thrift_write_i32(buf, &last, 1, element->physical);
	if (element->length > 0)
		reef_thrift_write_i32(buf, &last, 2, element->length);
	if (element->physical >= 0)
		reef_thrift_write_i32(buf, &last, 3, element->repetition);
	reef_thrift_write_binary(buf, &last, 4, element->name);
	if (element->physical < 0)
		reef_thrift_write_i32(buf, &last, 5, element->child_count);
	if (element->converted != REEF_CONVERTED_NONE)
		reef_thrift_write_i32(buf, &last, 6, element->converted);
	if (element->logical == REEF_LOGICAL_DECIMAL)
	{
		reef_thrift_write_i32(buf, &last, 7, element->scale);
		reef_thrift_write_i32(buf, &last, 8, element->precision);
	}
	if (element->logical != REEF_LOGICAL_NONE)
	{
		reef_thrift_write_struct(buf, &last, 10);
		encode_logical(buf, element);
	}
	reef_thrift_write_stop(buf);
}

static void
encode_bounds(ReefBuf *buf, int *last, const ReefParquetBounds *bounds)
{
	int			inner = 0;

	reef_thrift_write_struct(buf, last, 12);
	if (bounds->has_null_count)
		reef_thrift_write_i64(buf, &inner, 3, (int64_t) bounds->null_count);
	if (bounds->has_min_max)
	{
		reef_thrift_write_binary(buf, &inner, 5, bounds->max);
		reef_thrift_write_binary(buf, &inner, 6, bounds->min);
		reef_thrift_write_bool(buf, &inner, 7, bounds->max_exact);
		reef_thrift_write_bool(buf, &inner, 8, bounds->min_exact);
	}
	reef_thrift_write_stop(buf);
}

static void
encode_encoding_count(ReefBuf *buf, ReefPageType type, int encoding, int count)
{
	int			last = 0;

	reef_thrift_write_i32(buf, &last, 1, (int32_t) type);
	reef_thrift_write_i32(buf, &last, 2, encoding);
	reef_thrift_write_i32(buf, &last, 3, count);
	reef_thrift_write_stop(buf);
}

static void
encode_chunk_meta(ReefBuf *buf, const ReefParquetChunk *chunk, ReefSlice name)
{
	bool		has_dictionary = chunk->dictionary_offset != 0;
	int			last = 0;

	reef_thrift_write_i32(buf, &last, 1, chunk->physical);
	reef_thrift_write_list(buf, &last, 2, REEF_THRIFT_I32,
						   has_dictionary ? 3 : 2);
	if (has_dictionary)
		reef_thrift_append_int(buf, REEF_ENCODING_PLAIN);
	reef_thrift_append_int(buf, chunk->encoding);
	reef_thrift_append_int(buf, REEF_ENCODING_RLE);
	reef_thrift_write_list(buf, &last, 3, REEF_THRIFT_BINARY, 1);
	reef_buf_append_slice(buf, name);
	reef_thrift_write_i32(buf, &last, 4, chunk->codec);
	reef_thrift_write_i64(buf, &last, 5, (int64_t) chunk->value_count);
	reef_thrift_write_i64(buf, &last, 6, (int64_t) chunk->uncompressed_size);
	reef_thrift_write_i64(buf, &last, 7, (int64_t) chunk->compressed_size);
	reef_thrift_write_i64(buf, &last, 9, (int64_t) chunk->data_offset);
	if (has_dictionary)
		reef_thrift_write_i64(buf, &last, 11,
							  (int64_t) chunk->dictionary_offset);
	encode_bounds(buf, &last, &chunk->bounds);
	reef_thrift_write_list(buf, &last, 13, REEF_THRIFT_STRUCT,
						   has_dictionary ? 2 : 1);
	if (has_dictionary)
		encode_encoding_count(buf, REEF_PAGE_DICTIONARY, REEF_ENCODING_PLAIN,
							  1);
	encode_encoding_count(buf, REEF_PAGE_DATA_V2, chunk->encoding,
						  chunk->page_count);
	if (chunk->bloom_offset != 0)
	{
		reef_thrift_write_i64(buf, &last, 14, (int64_t) chunk->bloom_offset);
		reef_thrift_write_i32(buf, &last, 15, (int32_t) chunk->bloom_size);
	}
	reef_thrift_write_stop(buf);
}

static void
encode_chunk(ReefBuf *buf, const ReefParquetChunk *chunk, ReefSlice name)
{
	int			last = 0;

	reef_thrift_write_i64(buf, &last, 2, 0);
	reef_thrift_write_struct(buf, &last, 3);
	encode_chunk_meta(buf, chunk, name);
	reef_thrift_write_i64(buf, &last, 4, (int64_t) chunk->offset_index_offset);
	reef_thrift_write_i32(buf, &last, 5, (int32_t) chunk->offset_index_size);
	if (chunk->column_index_offset != 0)
	{
		reef_thrift_write_i64(buf, &last, 6,
							  (int64_t) chunk->column_index_offset);
		reef_thrift_write_i32(buf, &last, 7,
							  (int32_t) chunk->column_index_size);
	}
	reef_thrift_write_stop(buf);
}

static void
encode_row_group(ReefBuf *buf, const ReefParquetFooter *footer, int group)
{
	const ReefParquetRowGroup *g = &footer->row_groups[group];
	uint64_t	compressed = 0;
	uint64_t	offset = 0;
	int			last = 0;

	for (int i = 0; i < g->chunk_count; i++)
		compressed += g->chunks[i].compressed_size;
	if (g->chunk_count > 0)
		offset = g->chunks[0].dictionary_offset != 0 ?
			g->chunks[0].dictionary_offset : g->chunks[0].data_offset;
	reef_thrift_write_list(buf, &last, 1, REEF_THRIFT_STRUCT,
						   (size_t) g->chunk_count);
	for (int i = 0; i < g->chunk_count; i++)
		encode_chunk(buf, &g->chunks[i], footer->elements[i + 1].name);
	reef_thrift_write_i64(buf, &last, 2, (int64_t) g->total_size);
	reef_thrift_write_i64(buf, &last, 3, (int64_t) g->row_count);
	reef_thrift_write_i64(buf, &last, 5, (int64_t) offset);
	reef_thrift_write_i64(buf, &last, 6, (int64_t) compressed);
	if (group <= INT16_MAX)
		reef_thrift_write_i16(buf, &last, 7, (int16_t) group);
	reef_thrift_write_stop(buf);
}

void
reef_footer_encode(ReefBuf *buf, ReefParquetFooter *footer)
{
	int			last = 0;

	reef_thrift_write_i32(buf, &last, 1, 2);	/* version */
	reef_thrift_write_list(buf, &last, 2, REEF_THRIFT_STRUCT,
						   (size_t) footer->element_count);
	for (int i = 0; i < footer->element_count; i++)
		encode_element(buf, &footer->elements[i]);
	reef_thrift_write_i64(buf, &last, 3, (int64_t) footer->row_count);
	reef_thrift_write_list(buf, &last, 4, REEF_THRIFT_STRUCT,
						   (size_t) footer->row_group_count);
	for (int i = 0; i < footer->row_group_count; i++)
		encode_row_group(buf, footer, i);
	reef_thrift_write_list(buf, &last, 5, REEF_THRIFT_STRUCT,
						   (size_t) footer->pair_count);
	for (int i = 0; i < footer->pair_count; i++)
	{
		int			inner = 0;

		reef_thrift_write_binary(buf, &inner, 1, footer->pairs[i].key);
		reef_thrift_write_binary(buf, &inner, 2, footer->pairs[i].value);
		footer->pairs[i].value_offset = buf->size -
			footer->pairs[i].value.size;
		reef_thrift_write_stop(buf);
	}
	reef_thrift_write_binary(buf, &last, 6, footer->created_by);
	/* every column is ordered as its type defines */
	reef_thrift_write_list(buf, &last, 7, REEF_THRIFT_STRUCT,
						   (size_t) footer->element_count - 1);
	for (int i = 1; i < footer->element_count; i++)
	{
		int			inner = 0;

		reef_thrift_write_empty(buf, &inner, 1);
		reef_thrift_write_stop(buf);
	}
	reef_thrift_write_stop(buf);
}
