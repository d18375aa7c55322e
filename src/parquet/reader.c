/*
 * reader.c
 *	  Open a Parquet file by its footer and decode single pages of it.
 *
 * Only the footer is read at opening.  A row group's page index is read as a
 * whole when it is first asked for, a dictionary when the first page that
 * needs it is read, a page with one call when it is decoded.  Files of others
 * need not have a page index; then the page headers of a column chunk are
 * walked once, and where its pages do not start at the rows where those of
 * the first column do, the vector is put together from several pages.
 *
 * In a file of ours (footer.h) every page header must say what footer and
 * page index say, because the header is the one thing no checksum covers.
 */
#include "parquet/reader.h"

#include <stdlib.h>

#include "parquet/crc32.h"
#include "parquet/reader_state.h"

/* Read from the end of the file at opening, and kept. */
#define TAIL_SIZE (64 * 1024)
#define MAX_FOOTER_SIZE (256u * 1024 * 1024)
/* Memory of the decoded footer for each stored byte; entries are small. */
#define FOOTER_GROWTH 32

/* ---- opening ---- */

ReefCode
reef_reader_corrupt(const ReefParquetReader *reader, ReefError *err,
					const char *what)
{
	return reef_error_set(err, REEF_CORRUPT, "damaged parquet file",
						  "\"%s\": %s", reader->name, what);
}

ReefCode
reef_reader_read(ReefParquetReader *reader, uint64_t offset, size_t size,
				 void *out,
				 ReefError *err)
{
	uint64_t	tail_offset = reader->file_size - reader->tail_size;

	if (offset > reader->file_size || size > reader->file_size - offset)
		return reef_reader_corrupt(reader, err,
								   "a reference beyond the end of the file");
	if (offset >= tail_offset && reader->tail != NULL)
	{
		if (size > 0)
			memcpy(out, reader->tail + (offset - tail_offset), size);
		return REEF_OK;
	}
	return reader->read_at(reader->arg, offset, size, out, err);
}

ReefCode
reef_reader_read_arena(ReefParquetReader *reader, ReefArena *arena,
					   uint64_t offset,
					   uint64_t size, ReefSlice *bytes, ReefError *err)
{
	uint8_t    *out;

	if (offset > reader->file_size || size > reader->file_size - offset)
		return reef_reader_corrupt(reader, err,
								   "a reference beyond the end of the file");
	out = reef_arena_alloc(arena, (size_t) size);
	if (out == NULL)
		return reef_error_no_memory(err, (size_t) size);
	REEF_TRY(reef_reader_read(reader, offset, (size_t) size, out, err));
	*bytes = reef_slice(out, (size_t) size);
	return REEF_OK;
}

/* The file's end, and where the footer is. */
static ReefCode
read_tail(ReefParquetReader *reader, uint32_t *footer_size, ReefError *err)
{
	size_t		size = reader->file_size < TAIL_SIZE ?
		(size_t) reader->file_size : TAIL_SIZE;
	uint8_t    *tail;

	if (size < 12)
		return reef_reader_corrupt(reader, err,
								   "too short to be a parquet file");
	tail = malloc(size);
	if (tail == NULL)
		return reef_error_no_memory(err, size);
	reader->tail_size = size;
	reader->tail = tail;
	REEF_TRY(reader->read_at(reader->arg, reader->file_size - size, size, tail,
							 err));
	*footer_size = reef_get_u32(tail + size - 8);
	if (memcmp(tail + size - 4, REEF_PARQUET_MAGIC, 4) != 0)
		return reef_reader_corrupt(reader, err,
								   "it does not end as a parquet file does");
	if (size == reader->file_size && memcmp(tail, REEF_PARQUET_MAGIC, 4) != 0)
		return reef_reader_corrupt(reader, err,
								   "it does not begin as a parquet file does");
	if (*footer_size > reader->file_size - 12 ||
		*footer_size > MAX_FOOTER_SIZE)
		return reef_reader_corrupt(reader, err, "size of the footer");
	return REEF_OK;
}

static ReefCode
read_footer(ReefParquetReader *reader, ReefError *err)
{
	uint32_t	size = 0;
	ReefSlice	bytes;

	REEF_TRY(read_tail(reader, &size, err));
	reader->footer_offset = reader->file_size - 8 - size;
	reader->arena.limit = (size_t) size * FOOTER_GROWTH + 1024 * 1024;
	REEF_TRY(reef_reader_read_arena(reader, &reader->arena,
									reader->footer_offset,
									size, &bytes, err));
	if (reef_footer_decode(bytes, &reader->arena, &reader->footer, err) !=
		REEF_OK)
		return reef_error_add(err, "\"%s\"", reader->name);
	if (reef_parquet_origin_verify(&reader->footer, bytes, &reader->arena,
								   &reader->origin, err) != REEF_OK)
		return reef_error_add(err, "\"%s\"", reader->name);
	return REEF_OK;
}

static ReefCode
build_schema(ReefParquetReader *reader, ReefError *err)
{
	const ReefParquetFooter *footer = &reader->footer;
	int			count = footer->element_count - 1;

	if (count < 0 || footer->elements[0].physical >= 0 ||
		footer->elements[0].child_count < 0)
		return reef_reader_corrupt(reader, err, "the schema has no root");
	if (count > REEF_COLUMN_MAX_COUNT)
		return reef_error_set(err, REEF_UNSUPPORTED,
							  "parquet file has too many columns",
							  "\"%s\": %d", reader->name, count);
	reader->schema.column_count = count;
	reader->schema.columns = reef_arena_calloc(&reader->arena, (size_t) count *
											   sizeof(ReefColumn));
	if (reader->schema.columns == NULL)
		return reef_error_no_memory(err, (size_t) count * sizeof(ReefColumn));
	for (int i = 0; i < count; i++)
	{
		const ReefParquetElement *element = &footer->elements[i + 1];
		ReefColumn *column = &reader->schema.columns[i];

		if (element->physical < 0 || element->child_count != 0)
			return reef_error_set(err, REEF_UNSUPPORTED,
								  "parquet file has nested columns",
								  "\"%s\", schema element %d", reader->name,
								  i + 1);
		if (reef_element_type(element, &column->type, err) != REEF_OK)
			return reef_error_add(err, "\"%s\"", reader->name);
		column->name = reef_arena_strndup(&reader->arena, element->name.data,
										  element->name.size);
		if (column->name == NULL)
			return reef_error_no_memory(err, element->name.size);
		column->not_null = element->repetition == REEF_REPETITION_REQUIRED;
	}
	if (footer->elements[0].child_count != count)
		return reef_reader_corrupt(reader, err,
								   "the schema's root has other columns");
	if (reef_parquet_origin_describe(&reader->origin, footer, &reader->arena,
									 &reader->schema, err) != REEF_OK)
		return reef_error_add(err, "\"%s\"", reader->name);
	return REEF_OK;
}

uint64_t
reef_reader_chunk_start(const ReefParquetChunk *chunk)
{
	if (chunk->dictionary_offset != 0 &&
		chunk->dictionary_offset < chunk->data_offset)
		return chunk->dictionary_offset;
	return chunk->data_offset;
}

bool
reef_reader_is_inside(uint64_t offset, uint64_t size, uint64_t end)
{
	return offset <= end && size <= end - offset;
}

static bool
check_chunk(const ReefParquetReader *reader, const ReefParquetRowGroup *group,
			int column)
{
	const ReefParquetChunk *chunk = &group->chunks[column];
	uint64_t	start = reef_reader_chunk_start(chunk);
	uint64_t	end = reader->footer_offset;

	return chunk->physical == reader->footer.elements[column + 1].physical &&
		chunk->value_count == group->row_count &&
		start >= 4 && reef_reader_is_inside(start, chunk->compressed_size,
											end) &&
		chunk->data_offset - start <= chunk->compressed_size &&
		reef_reader_is_inside(chunk->offset_index_offset,
							  chunk->offset_index_size, end) &&
		reef_reader_is_inside(chunk->column_index_offset,
							  chunk->column_index_size, end) &&
		reef_reader_is_inside(chunk->bloom_offset, chunk->bloom_size, end);
}

static ReefCode
check_row_groups(ReefParquetReader *reader, ReefError *err)
{
	uint64_t	left = reader->footer.row_count;
	size_t		size = (size_t) reader->footer.row_group_count *
		sizeof(ReefGroupState);

	for (int g = 0; g < reader->footer.row_group_count; g++)
	{
		const ReefParquetRowGroup *group = &reader->footer.row_groups[g];

		if (group->row_count > left ||
			group->chunk_count != reader->schema.column_count)
			return reef_reader_corrupt(reader, err,
									   "row counts or columns of row groups");
		left -= group->row_count;
		for (int c = 0; c < group->chunk_count; c++)
			if (!check_chunk(reader, group, c))
				return reef_error_set(err, REEF_CORRUPT,
									  "damaged parquet footer",
									  "\"%s\": row group %d, column \"%s\"",
									  reader->name, g,
									  reader->schema.columns[c].name);
	}
	if (left != 0)
		return reef_reader_corrupt(reader, err, "row counts of row groups");
	reader->groups = reef_arena_calloc(&reader->arena, size);
	if (reader->groups == NULL)
		return reef_error_no_memory(err, size);
	return REEF_OK;
}

ReefCode
reef_parquet_reader_open(ReefParquetReadAt read_at, void *arg,
						 uint64_t file_size, const char *name,
						 ReefParquetReader **reader, ReefError *err)
{
	ReefParquetReader *r = calloc(1, sizeof(*r));
	ReefCode	rc;

	*reader = NULL;
	if (r == NULL)
		return reef_error_no_memory(err, sizeof(*r));
	r->read_at = read_at;
	r->arg = arg;
	r->file_size = file_size;
	reef_arena_init(&r->arena, 0);
	reef_buf_init(&r->page);
	reef_buf_init(&r->scratch);
	r->name = reef_arena_strdup(&r->arena, name);
	if (r->name == NULL)
		rc = reef_error_no_memory(err, strlen(name));
	else
		rc = read_footer(r, err);
	if (rc == REEF_OK)
		rc = build_schema(r, err);
	if (rc == REEF_OK)
		rc = check_row_groups(r, err);
	if (rc != REEF_OK)
	{
		reef_parquet_reader_close(r);
		return rc;
	}
	*reader = r;
	return REEF_OK;
}

void
reef_parquet_reader_close(ReefParquetReader *reader)
{
	if (reader == NULL)
		return;
	if (reader->groups != NULL)
		for (int g = 0; g < reader->footer.row_group_count; g++)
			reef_arena_release(&reader->groups[g].arena);
	free(reader->tail);
	reef_buf_release(&reader->page);
	reef_buf_release(&reader->scratch);
	reef_arena_release(&reader->arena);
	free(reader);
}

/* ---- what the footer says ---- */

const ReefSchema *
reef_parquet_reader_schema(const ReefParquetReader *reader)
{
	return &reader->schema;
}

uint64_t
reef_parquet_reader_row_count(const ReefParquetReader *reader)
{
	return reader->footer.row_count;
}

int
reef_parquet_reader_row_group_count(const ReefParquetReader *reader)
{
	return reader->footer.row_group_count;
}

uint64_t
reef_parquet_reader_row_group_rows(const ReefParquetReader *reader,
								   int row_group)
{
	return reader->footer.row_groups[row_group].row_count;
}

const char *
reef_parquet_reader_value(const ReefParquetReader *reader, const char *key)
{
	return reef_parquet_origin_value(&reader->origin, key);
}

/* ---- pages ---- */

/*
 * In a file of ours every field of the header must be there as we write it:
 * a field with a damaged number would otherwise pass as one that we do not
 * know.
 */
static bool
is_own_header(ReefParquetReader *reader, const ReefPageHeader *header,
			  ReefSlice bytes)
{
	reef_buf_reset(&reader->scratch);
	reef_page_header_encode(&reader->scratch, header);
	return header->has_crc && !reader->scratch.failed &&
		reef_slice_equal(reef_buf_slice(&reader->scratch), bytes);
}

/* Fetch a page; header, and body in reader->page. */
static ReefCode
fetch_page(ReefParquetReader *reader, uint64_t offset, uint32_t size,
		   ReefPageHeader *header, ReefSlice *body, ReefError *err)
{
	size_t		header_size;

	if (!reef_reader_is_inside(offset, size, reader->footer_offset))
		return reef_reader_corrupt(reader, err,
								   "a reference beyond the end of the file");
	reef_buf_reset(&reader->page);
	if (reef_buf_reserve(&reader->page, size) == NULL)
		return reef_error_no_memory(err, size);
	REEF_TRY(reef_reader_read(reader, offset, size, reader->page.data, err));
	if (!reef_page_header_decode(reef_slice(reader->page.data, size), header,
								 &header_size))
		return reef_error_set(err, REEF_CORRUPT, "damaged parquet page",
							  "page header");
	if (header->compressed_size != size - header_size)
		return reef_error_set(err, REEF_CORRUPT, "damaged parquet page",
							  "header and page index disagree on the size");
	*body = reef_slice(reader->page.data + header_size, size - header_size);
	if (reader->origin.is_ours &&
		!is_own_header(reader, header, reef_slice(reader->page.data,
												  header_size)))
		return reef_error_set(err, REEF_CORRUPT, "damaged parquet page",
							  "page header");
	if (header->has_crc &&
		header->crc != reef_crc32(0, body->data, body->size))
		return reef_error_set(err, REEF_CORRUPT, "damaged parquet page",
							  "checksum");
	return REEF_OK;
}

static void
page_column(ReefParquetReader *reader, int row_group, int column,
			ReefPageColumn *out)
{
	const ReefParquetElement *element = &reader->footer.elements[column + 1];

	memset(out, 0, sizeof(*out));
	out->kind = reader->schema.columns[column].type.kind;
	out->physical = element->physical;
	out->is_optional = element->repetition == REEF_REPETITION_OPTIONAL;
	out->is_exact = reader->origin.is_ours;
	out->codec = reader->footer.row_groups[row_group].chunks[column].codec;
	out->scratch = &reader->scratch;
}

/* The dictionary lies between the chunk's start and its first data page. */
static ReefCode
load_dictionary(ReefParquetReader *reader, int row_group, int column,
				ReefGroupState *state, ReefError *err)
{
	const ReefParquetChunk *chunk =
		&reader->footer.row_groups[row_group].chunks[column];
	ReefColumnState *c = &state->columns[column];
	uint64_t	start = reef_reader_chunk_start(chunk);
	uint64_t	size = c->pages.pages[0].offset - start;
	ReefPageColumn context;
	ReefPageHeader header;
	ReefPageDictionary *dictionary;
	ReefSlice	body;

	if (size == 0)
		return REEF_OK;
	if (size > UINT32_MAX)
		return reef_error_set(err, REEF_CORRUPT, "damaged parquet page",
							  "size of the dictionary");
	dictionary = reef_arena_calloc(&state->arena, sizeof(*dictionary));
	if (dictionary == NULL)
		return reef_error_no_memory(err, sizeof(*dictionary));
	REEF_TRY(fetch_page(reader, start, (uint32_t) size, &header, &body, err));
	if (reader->origin.is_ours && header.encoding != REEF_ENCODING_PLAIN)
		return reef_error_set(err, REEF_CORRUPT, "damaged parquet page",
							  "dictionary in encoding %d", header.encoding);
	page_column(reader, row_group, column, &context);
	REEF_TRY(reef_page_decode_dictionary(&context, &header, body,
										 &state->arena, dictionary, err));
	c->dictionary = dictionary;
	return REEF_OK;
}

/* What no checksum covers must agree with what one does. */
static ReefCode
check_own_header(const ReefParquetChunk *chunk, const ReefPageHeader *header,
				 uint64_t row_count, ReefError *err)
{
	if (header->type != REEF_PAGE_DATA_V2 ||
		header->encoding != chunk->encoding ||
		header->value_count != row_count)
		return reef_error_set(err, REEF_CORRUPT, "damaged parquet page",
							  "header does not agree with the footer: type %d, encoding %d, %u rows",
							  header->type, header->encoding,
							  header->value_count);
	return REEF_OK;
}

/* Decode one stored page of a column. */
static ReefCode
read_stored_page(ReefParquetReader *reader, int row_group, int page,
				 int column, ReefArena *arena, ReefVector *vector,
				 ReefError *err)
{
	const ReefParquetChunk *chunk =
		&reader->footer.row_groups[row_group].chunks[column];
	ReefGroupState *state = &reader->groups[row_group];
	ReefColumnState *c = &state->columns[column];
	const ReefPageLocation *location = &c->pages.pages[page];
	uint64_t	row_count = reef_row_group_page_end(reader, row_group,
													&c->pages, page) -
		location->first_row;
	ReefPageColumn context;
	ReefPageHeader header;
	ReefSlice	body;

	if (c->dictionary == NULL)
		REEF_TRY(load_dictionary(reader, row_group, column, state, err));
	REEF_TRY(fetch_page(reader, location->offset, location->size, &header,
						&body, err));
	if (reader->origin.is_ours)
		REEF_TRY(check_own_header(chunk, &header, row_count, err));
	if (header.value_count != row_count ||
		(header.type != REEF_PAGE_DATA && header.type != REEF_PAGE_DATA_V2))
		return reef_error_set(err, REEF_CORRUPT, "damaged parquet page",
							  "%u rows instead of %llu", header.value_count,
							  (unsigned long long) row_count);
	page_column(reader, row_group, column, &context);
	context.dictionary = c->dictionary;
	return reef_page_decode(&context, &header, body, arena, vector, err);
}

/* Put together rows first .. end - 1 from the pages that they lie in. */
static ReefCode
read_rows(ReefParquetReader *reader, int row_group, int column, uint64_t first,
		  uint64_t end, ReefArena *arena, ReefVector *vector, ReefError *err)
{
	const ReefOffsetIndex *index =
		&reader->groups[row_group].columns[column].pages;
	size_t		element_size = (size_t)
		reef_vector_element_size(reader->schema.columns[column].type.kind);
	size_t		count = (size_t) (end - first);
	uint8_t    *values = reef_arena_alloc(arena, count * element_size);
	uint8_t    *nulls = reef_arena_calloc(arena, count);

	if (values == NULL || nulls == NULL)
		return reef_error_no_memory(err, count * element_size);
	for (int p = 0; p < index->page_count; p++)
	{
		uint64_t	page_first = index->pages[p].first_row;
		uint64_t	page_end = reef_row_group_page_end(reader, row_group,
													   index, p);
		uint64_t	from = page_first > first ? page_first : first;
		uint64_t	to = page_end < end ? page_end : end;
		ReefVector	part;

		if (from >= to)
			continue;
		REEF_TRY(read_stored_page(reader, row_group, p, column, arena, &part,
								  err));
		memcpy(values + (from - first) * element_size,
			   (const uint8_t *) part.values +
			   (from - page_first) * element_size,
			   (size_t) (to - from) * element_size);
		if (part.nulls != NULL)
			memcpy(nulls + (from - first), part.nulls + (from - page_first),
				   (size_t) (to - from));
	}
	vector->kind = reader->schema.columns[column].type.kind;
	vector->values = values;
	vector->nulls = memchr(nulls, 1, count) != NULL ? nulls : NULL;
	return REEF_OK;
}

ReefCode
reef_parquet_reader_read_page(ReefParquetReader *reader, int row_group,
							  int page, int column, ReefArena *arena,
							  ReefVector *vector, ReefError *err)
{
	ReefColumnState *first;
	ReefColumnState *c;
	uint64_t	start;
	uint64_t	end;
	ReefCode	rc;

	REEF_TRY(reef_row_group_load_pages(reader, row_group, 0, &first, err));
	REEF_TRY(reef_row_group_load_pages(reader, row_group, column, &c, err));
	start = first->pages.pages[page].first_row;
	end = reef_row_group_page_end(reader, row_group, &first->pages, page);
	if (page < c->pages.page_count && c->pages.pages[page].first_row == start &&
		reef_row_group_page_end(reader, row_group, &c->pages, page) == end)
		rc = read_stored_page(reader, row_group, page, column, arena, vector,
							  err);
	else if (reader->origin.is_ours)
		rc = reef_reader_corrupt(reader, err, "columns with different pages");
	else
		rc = read_rows(reader, row_group, column, start, end, arena, vector,
					   err);
	if (rc != REEF_OK)
		return reef_row_group_page_error(reader, row_group, page, column, err);
	return REEF_OK;
}
