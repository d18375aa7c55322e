/*
 * page_index.c
 *	  What describes single pages: page headers, ColumnIndex, OffsetIndex.
 *
 * A page's header precedes it; the indexes repeat for all pages of a column
 * chunk what a reader needs to fetch or skip one page without the others.
 */
#include "parquet/footer.h"

#include "parquet/thrift.h"

static uint32_t
read_count(ReefReader *reader, const ReefThriftField *field)
{
	int32_t		v = reef_thrift_read_i32(reader, field);

	if (v < 0)
	{
		reader->failed = true;
		return 0;
	}
	return (uint32_t) v;
}

static void
decode_data_v1(ReefReader *reader, ReefPageHeader *header)
{
	ReefThriftField f = {0};

	header->level_encoding = REEF_ENCODING_RLE;
	while (reef_thrift_next(reader, &f))
		switch (f.id)
		{
			case 1:
				header->value_count = read_count(reader, &f);
				break;
			case 2:
				header->encoding = reef_thrift_read_i32(reader, &f);
				break;
			case 3:
				header->level_encoding = reef_thrift_read_i32(reader, &f);
				break;
			default:
				reef_thrift_skip(reader, &f);
		}
}

static void
decode_data_v2(ReefReader *reader, ReefPageHeader *header)
{
	ReefThriftField f = {0};

	header->is_compressed = true;
	while (reef_thrift_next(reader, &f))
		switch (f.id)
		{
			case 1:
				header->value_count = read_count(reader, &f);
				break;
			case 2:
				header->null_count = read_count(reader, &f);
				break;
			case 3:
				header->row_count = read_count(reader, &f);
				break;
			case 4:
				header->encoding = reef_thrift_read_i32(reader, &f);
				break;
			case 5:
				header->definition_size = read_count(reader, &f);
				break;
			case 6:
				header->repetition_size = read_count(reader, &f);
				break;
			case 7:
				header->is_compressed = reef_thrift_read_bool(reader, &f);
				break;
			default:
				reef_thrift_skip(reader, &f);
		}
}

static void
decode_dictionary(ReefReader *reader, ReefPageHeader *header)
{
	ReefThriftField f = {0};

	while (reef_thrift_next(reader, &f))
		switch (f.id)
		{
			case 1:
				header->value_count = read_count(reader, &f);
				break;
			case 2:
				header->encoding = reef_thrift_read_i32(reader, &f);
				break;
			default:
				reef_thrift_skip(reader, &f);
		}
}

bool
reef_page_header_decode(ReefSlice bytes, ReefPageHeader *header, size_t *size)
{
	ReefReader	r;
	ReefThriftField f = {0};
	int			content = 0;

	memset(header, 0, sizeof(*header));
	header->type = -1;
	header->encoding = -1;
	reef_reader_init(&r, bytes);
	while (reef_thrift_next(&r, &f))
		switch (f.id)
		{
			case 1:
				header->type = reef_thrift_read_i32(&r, &f);
				break;
			case 2:
				header->uncompressed_size = read_count(&r, &f);
				break;
			case 3:
				header->compressed_size = read_count(&r, &f);
				break;
			case 4:
				header->crc = (uint32_t) reef_thrift_read_i32(&r, &f);
				header->has_crc = true;
				break;
			case 5:
			case 7:
			case 8:
				content = f.id;
				reef_thrift_read_struct(&r, &f);
				if (r.failed)
					break;
				if (f.id == 5)
					decode_data_v1(&r, header);
				else if (f.id == 7)
					decode_dictionary(&r, header);
				else
					decode_data_v2(&r, header);
				break;
			default:
				reef_thrift_skip(&r, &f);
		}
	*size = r.offset;
	if (r.failed)
		return false;
	/* the type says which of the structs must be there */
	return (header->type == REEF_PAGE_DATA && content == 5) ||
		(header->type == REEF_PAGE_DICTIONARY && content == 7) ||
		(header->type == REEF_PAGE_DATA_V2 && content == 8) ||
		(header->type == REEF_PAGE_INDEX && content == 0);
}

void
reef_page_header_encode(ReefBuf *buf, const ReefPageHeader *header)
{
	int			last = 0;
	int			inner = 0;

	reef_thrift_write_i32(buf, &last, 1, header->type);
	reef_thrift_write_i32(buf, &last, 2, (int32_t) header->uncompressed_size);
	reef_thrift_write_i32(buf, &last, 3, (int32_t) header->compressed_size);
	reef_thrift_write_i32(buf, &last, 4, (int32_t) header->crc);
	if (header->type == REEF_PAGE_DICTIONARY)
	{
		reef_thrift_write_struct(buf, &last, 7);
		reef_thrift_write_i32(buf, &inner, 1, (int32_t) header->value_count);
		reef_thrift_write_i32(buf, &inner, 2, header->encoding);
	}
	else
	{
		reef_thrift_write_struct(buf, &last, 8);
		reef_thrift_write_i32(buf, &inner, 1, (int32_t) header->value_count);
		reef_thrift_write_i32(buf, &inner, 2, (int32_t) header->null_count);
		reef_thrift_write_i32(buf, &inner, 3, (int32_t) header->row_count);
		reef_thrift_write_i32(buf, &inner, 4, header->encoding);
		reef_thrift_write_i32(buf, &inner, 5,
							  (int32_t) header->definition_size);
		reef_thrift_write_i32(buf, &inner, 6,
							  (int32_t) header->repetition_size);
		reef_thrift_write_bool(buf, &inner, 7, header->is_compressed);
	}
	reef_thrift_write_stop(buf);
	reef_thrift_write_stop(buf);
}

static void
decode_location(ReefReader *reader, ReefPageLocation *page)
{
	ReefThriftField f = {0};
	int64_t		offset = -1;
	int64_t		first_row = -1;

	while (reef_thrift_next(reader, &f))
		switch (f.id)
		{
			case 1:
				offset = reef_thrift_read_i64(reader, &f);
				break;
			case 2:
				page->size = read_count(reader, &f);
				break;
			case 3:
				first_row = reef_thrift_read_i64(reader, &f);
				break;
			default:
				reef_thrift_skip(reader, &f);
		}
	if (offset < 0 || first_row < 0)
		reader->failed = true;
	page->offset = (uint64_t) offset;
	page->first_row = (uint64_t) first_row;
}

ReefCode
reef_offset_index_decode(ReefSlice bytes, ReefArena *arena,
						 ReefOffsetIndex *index, ReefError *err)
{
	ReefReader	r;
	ReefThriftField f = {0};
	size_t		count;

	memset(index, 0, sizeof(*index));
	reef_reader_init(&r, bytes);
	while (reef_thrift_next(&r, &f))
	{
		if (f.id != 1 || index->pages != NULL)
		{
			reef_thrift_skip(&r, &f);
			continue;
		}
		count = reef_thrift_read_list(&r, &f, REEF_THRIFT_STRUCT);
		if (count > INT32_MAX)
			break;
		index->pages = reef_arena_calloc(arena,
										 count * sizeof(ReefPageLocation));
		if (index->pages == NULL && count > 0)
			return reef_error_no_memory(err, count * sizeof(ReefPageLocation));
		index->page_count = (int) count;
		for (int i = 0; i < index->page_count && !r.failed; i++)
			decode_location(&r, &index->pages[i]);
	}
	if (r.failed || reef_reader_left(&r) != 0)
		return reef_error_set(err, REEF_CORRUPT, "damaged parquet page index",
							  "not a complete OffsetIndex at byte %zu of %zu",
							  r.offset, bytes.size);
	return REEF_OK;
}

void
reef_offset_index_encode(ReefBuf *buf, const ReefOffsetIndex *index)
{
	int			last = 0;

	reef_thrift_write_list(buf, &last, 1, REEF_THRIFT_STRUCT,
						   (size_t) index->page_count);
	for (int i = 0; i < index->page_count; i++)
	{
		int			inner = 0;

		reef_thrift_write_i64(buf, &inner, 1,
							  (int64_t) index->pages[i].offset);
		reef_thrift_write_i32(buf, &inner, 2, (int32_t) index->pages[i].size);
		reef_thrift_write_i64(buf, &inner, 3,
							  (int64_t) index->pages[i].first_row);
		reef_thrift_write_stop(buf);
	}
	reef_thrift_write_stop(buf);
}

/* An array of the list's length; all lists of an index are equally long. */
static void *
read_page_array(ReefReader *reader, const ReefThriftField *field,
				ReefThriftType element, size_t element_size,
				ReefArena *arena, int *count)
{
	size_t		n = reef_thrift_read_list(reader, field, element);
	void	   *array = NULL;

	if (n > INT32_MAX || (*count >= 0 && *count != (int) n))
		reader->failed = true;
	if (!reader->failed)
		array = reef_arena_calloc(arena, n * element_size);
	if (array == NULL)
		reader->failed = true;
	else
		*count = (int) n;
	return array;
}

static void
decode_slices(ReefReader *reader, ReefSlice *slices, int count)
{
	for (int i = 0; i < count && !reader->failed; i++)
		slices[i] = reef_thrift_element_binary(reader);
}

static void
decode_null_counts(ReefReader *reader, ReefColumnIndex *index, int count)
{
	for (int i = 0; i < count && !reader->failed; i++)
	{
		int64_t		v = reef_thrift_element_i64(reader);

		if (v < 0)
			reader->failed = true;
		index->null_counts[i] = (uint64_t) v;
	}
	index->has_null_counts = true;
}

ReefCode
reef_column_index_decode(ReefSlice bytes, ReefArena *arena,
						 ReefColumnIndex *index, ReefError *err)
{
	ReefReader	r;
	ReefThriftField f = {0};
	int			count = -1;

	memset(index, 0, sizeof(*index));
	reef_reader_init(&r, bytes);
	while (!r.failed && reef_thrift_next(&r, &f))
		switch (f.id)
		{
			case 1:
				index->null_pages = read_page_array(&r, &f, REEF_THRIFT_TRUE,
													sizeof(bool), arena,
													&count);
				for (int i = 0; i < count && !r.failed; i++)
					index->null_pages[i] = reef_thrift_element_bool(&r);
				break;
			case 2:
				index->min = read_page_array(&r, &f, REEF_THRIFT_BINARY,
											 sizeof(ReefSlice), arena,
											 &count);
				decode_slices(&r, index->min, count);
				break;
			case 3:
				index->max = read_page_array(&r, &f, REEF_THRIFT_BINARY,
											 sizeof(ReefSlice), arena,
											 &count);
				decode_slices(&r, index->max, count);
				break;
			case 4:
				index->boundary_order = reef_thrift_read_i32(&r, &f);
				break;
			case 5:
				index->null_counts = read_page_array(&r, &f, REEF_THRIFT_I64,
													 sizeof(uint64_t), arena,
													 &count);
				decode_null_counts(&r, index, count);
				break;
			default:
				reef_thrift_skip(&r, &f);
		}
	if (r.failed || reef_reader_left(&r) != 0 || index->null_pages == NULL ||
		index->min == NULL || index->max == NULL)
		return reef_error_set(err, REEF_CORRUPT, "damaged parquet page index",
							  "not a complete ColumnIndex at byte %zu of %zu",
							  r.offset, bytes.size);
	index->page_count = count;
	return REEF_OK;
}

void
reef_column_index_encode(ReefBuf *buf, const ReefColumnIndex *index)
{
	size_t		count = (size_t) index->page_count;
	int			last = 0;

	reef_thrift_write_list(buf, &last, 1, REEF_THRIFT_TRUE, count);
	for (size_t i = 0; i < count; i++)
		reef_buf_append_u8(buf, index->null_pages[i] ? 1 : 2);
	reef_thrift_write_list(buf, &last, 2, REEF_THRIFT_BINARY, count);
	for (size_t i = 0; i < count; i++)
		reef_buf_append_slice(buf, index->min[i]);
	reef_thrift_write_list(buf, &last, 3, REEF_THRIFT_BINARY, count);
	for (size_t i = 0; i < count; i++)
		reef_buf_append_slice(buf, index->max[i]);
	reef_thrift_write_i32(buf, &last, 4, index->boundary_order);
	reef_thrift_write_list(buf, &last, 5, REEF_THRIFT_I64, count);
	for (size_t i = 0; i < count; i++)
		reef_thrift_append_int(buf, (int64_t) index->null_counts[i]);
	reef_thrift_write_stop(buf);
}
