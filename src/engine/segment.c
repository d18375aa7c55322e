/*
 * segment.c
 *	  Reading a segment: its page tables, finding a key, fetching rows.
 *
 * A segment is sorted by key, and its page index says which values of the
 * first key column each page has.  That is turned into bounds of encoded keys
 * once, row group by row group as they are needed.  Finding a key then is a
 * binary search over bounds, one over a page - for which only the rows that
 * the search touches are encoded - and, if the page would have to be read,
 * before that a question to the bloom filter.
 */
#include "engine/segment_cache.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/document.h"
#include "format/layout.h"

/* ---- opening ---- */

/*
 * The bounds of a row group or page as encoded keys.  Statistics of floating
 * point columns leave NaN out, so they give no upper bound.
 */
static ReefCode
encode_bounds(ReefSegment *segment, const ReefParquetStats *stats,
			  ReefSlice *low, ReefSlice *high, ReefError *err)
{
	ReefKind	kind =
		segment->schema->columns[segment->key_columns[0]].type.kind;
	bool		is_float = kind == REEF_KIND_FLOAT32 ||
		kind == REEF_KIND_FLOAT64;
	size_t		end = reef_kind_is_variable(kind) ? 2 : 0;
	ReefBuf    *scratch = reef_segment_scratch(segment);

	*low = *high = reef_slice(NULL, 0);
	if (!stats->has_min_max)
		return REEF_OK;

	/* A bound of a variable kind is a prefix: leave the end mark out. */
	reef_key_append(scratch, kind, &stats->min);
	REEF_TRY(reef_buf_check(scratch, err));
	*low = reef_arena_copy(&segment->arena,
						   reef_slice(scratch->data, scratch->size - end));
	if (low->size != scratch->size - end)
		return reef_error_no_memory(err, scratch->size);
	if (is_float)
	{
		if (isnan(kind == REEF_KIND_FLOAT32 ? (double) stats->min.as.float32 :
				  stats->min.as.float64))
			*low = reef_slice(NULL, 0);
		return REEF_OK;
	}
	reef_buf_reset(scratch);
	reef_key_append(scratch, kind, &stats->max);
	REEF_TRY(reef_buf_check(scratch, err));
	*high = reef_arena_copy(&segment->arena,
							reef_slice(scratch->data, scratch->size - end));
	if (high->size != scratch->size - end)
		return reef_error_no_memory(err, scratch->size);
	return REEF_OK;
}

static ReefCode
find_columns(ReefSegment *segment, const ReefSchema *schema, ReefError *err)
{
	int			position;

	segment->schema = reef_parquet_reader_schema(segment->reader);
	segment->key_count = reef_schema_key_count(schema);
	if (segment->key_count == 0)
		return reef_error_set(err, REEF_BUG, "a namespace has no key",
							  "segment %s", segment->name);
	segment->key_columns = reef_arena_calloc(&segment->arena, sizeof(int) *
											 (size_t) segment->key_count);
	if (segment->key_columns == NULL)
		return reef_error_no_memory(err, sizeof(int));
	for (position = 1; position <= segment->key_count; position++)
	{
		int			column = reef_schema_key_column(schema, position);
		const char *name;

		if (column < 0)
			return reef_error_set(err, REEF_CORRUPT, "key has a gap",
								  "at position %d", position);
		name = schema->columns[column].name;
		column = reef_schema_find(segment->schema, name);
		if (column < 0)
			return reef_error_set(err, REEF_CORRUPT,
								  "segment lacks a key column",
								  "column \"%s\" of %s", name, segment->name);
		segment->key_columns[position - 1] = column;
	}
	segment->lsn_column = reef_schema_find(segment->schema, REEF_LSN_COLUMN);
	segment->op_column = reef_schema_find(segment->schema, REEF_OP_COLUMN);
	if (segment->lsn_column < 0 || segment->op_column < 0 ||
		segment->schema->columns[segment->lsn_column].type.kind !=
		REEF_KIND_INT64 ||
		segment->schema->columns[segment->op_column].type.kind !=
		REEF_KIND_INT32)
		return reef_error_set(err, REEF_CORRUPT,
							  "segment lacks a column of ours", "%s",
							  segment->name);
	return REEF_OK;
}

/* Is a number of the footer, if it is there, the description's? */
static ReefCode
check_number(const ReefParquetReader *reader, const char *name,
			 const char *pair, uint64_t expected, ReefError *err)
{
	const char *found = reef_parquet_reader_value(reader, pair);
	char		text[24];

	snprintf(text, sizeof(text), "%" PRIu64, expected);
	if (found == NULL || strcmp(found, text) == 0)
		return REEF_OK;
	return reef_error_set(err, REEF_CORRUPT,
						  "segment differs from its description",
						  "%s has %s %s instead of %s", name, pair, found,
						  text);
}

/*
 * A file does not know its own name, so another segment in its place is known
 * by what it has (its lowest key: check_first_key).
 */
ReefCode
reef_segment_check_footer(const ReefParquetReader *reader, const char *name,
						  const ReefSegmentMeta *meta,
						  const uint8_t *namespace_id, ReefError *err)
{
	const char *id = reef_parquet_reader_value(reader, "reef.namespace_id");
	uint64_t	rows = reef_parquet_reader_row_count(reader);
	char		expected[37];

	REEF_TRY(check_number(reader, name, "reef.tombstones",
						  meta->tombstone_count, err));
	/* an attached segment has no LSNs of its own */
	if (meta->lsn_min > 0)
	{
		REEF_TRY(check_number(reader, name, "reef.lsn_min", meta->lsn_min,
							  err));
		REEF_TRY(check_number(reader, name, "reef.lsn_max", meta->lsn_max,
							  err));
	}

	if (rows != meta->row_count)
		return reef_error_set(err, REEF_CORRUPT,
							  "segment differs from its description",
							  "%s has %" PRIu64 " rows instead of %" PRIu64,
							  name, rows, meta->row_count);
	if (namespace_id == NULL)
		return REEF_OK;
	reef_uuid_format(namespace_id, expected);
	if (id == NULL || strcmp(id, expected) != 0)
		return reef_error_set(err, REEF_CORRUPT,
							  "segment belongs to another namespace",
							  "%s has namespace id %s instead of %s",
							  name, id == NULL ? "(none)" : id, expected);
	return REEF_OK;
}

/* The bound of the first row group is the lowest key, or a prefix of it. */
static ReefCode
check_first_key(const ReefSegment *segment, const ReefSegmentMeta *meta,
				ReefError *err)
{
	ReefSlice	low;

	if (segment->group_count == 0)
		return REEF_OK;
	low = segment->groups[0].low;
	if (low.size == 0 || (low.size <= meta->key_min.size &&
						  memcmp(low.data, meta->key_min.data, low.size) == 0))
		return REEF_OK;
	return reef_error_set(err, REEF_CORRUPT,
						  "segment differs from its description",
						  "%s begins with another key", segment->name);
}

ReefCode
reef_segment_open(ReefSegment *segment, const ReefSegmentMeta *meta,
				  const ReefSchema *schema, const uint8_t *namespace_id,
				  ReefParquetReadAt read_at, ReefError *err)
{
	int			i;

	segment->row_count = meta->row_count;
	segment->tombstone_count = meta->tombstone_count;
	segment->lsn_min = meta->lsn_min;
	segment->lsn_max = meta->lsn_max;
	REEF_TRY(reef_parquet_reader_open(read_at, segment, meta->size,
									  segment->name, &segment->reader, err));
	REEF_TRY(reef_segment_check_footer(segment->reader, segment->name, meta,
									   namespace_id, err));
	REEF_TRY(find_columns(segment, schema, err));

	segment->groups =
		reef_arena_calloc(&segment->arena, sizeof(ReefRowGroup) * (size_t)
						  (reef_parquet_reader_row_group_count(segment->reader) + 1));
	if (segment->groups == NULL)
		return reef_error_no_memory(err, sizeof(ReefRowGroup));
	segment->group_count = reef_parquet_reader_row_group_count(segment->reader);
	for (i = 0; i < segment->group_count; i++)
		segment->groups[i].page_count = -1;
	for (i = 0; i < segment->group_count; i++)
	{
		ReefRowGroup *group = &segment->groups[i];
		ReefParquetStats stats;

		group->row_count = reef_parquet_reader_row_group_rows(segment->reader,
															  i);
		REEF_TRY(reef_parquet_reader_stats(segment->reader, i, -1,
										   segment->key_columns[0], &stats,
										   err));
		REEF_TRY(encode_bounds(segment, &stats, &group->low, &group->high,
							   err));
	}
	return check_first_key(segment, meta, err);
}

ReefCode
reef_segment_load_group(ReefSegment *segment, int row_group, ReefError *err)
{
	ReefRowGroup *group = &segment->groups[row_group];
	size_t		columns = (size_t) segment->schema->column_count + 1;
	int			count;
	int			i;

	if (group->page_count >= 0)
		return REEF_OK;
	REEF_TRY(reef_parquet_reader_page_count(segment->reader, row_group, &count,
											err));
	group->pages = reef_arena_calloc(&segment->arena, sizeof(ReefPageBounds) *
									 (size_t) (count + 1));
	group->slots = reef_arena_calloc(&segment->arena, sizeof(ReefPage *) *
									 columns * (size_t) (count + 1));
	if (group->pages == NULL || group->slots == NULL)
		return reef_error_no_memory(err, sizeof(ReefPage *) * columns);
	for (i = 0; i < count; i++)
	{
		ReefPageBounds *page = &group->pages[i];
		ReefParquetStats stats;

		REEF_TRY(reef_parquet_reader_page_rows(segment->reader, row_group, i,
											   &page->first_row,
											   &page->row_count, err));
		REEF_TRY(reef_parquet_reader_stats(segment->reader, row_group, i,
										   segment->key_columns[0], &stats,
										   err));
		REEF_TRY(encode_bounds(segment, &stats, &page->low, &page->high, err));
	}
	group->page_count = count;
	return REEF_OK;
}

/* ---- pages ---- */

/* Encode the keys of a page's rows, all of them. */
static ReefCode
fill_keys(ReefSegment *segment, ReefPage *page, ReefPage **columns,
		  ReefError *err)
{
	uint32_t	row_count = page->row_count;
	ReefBuf    *scratch = reef_segment_scratch(segment);
	ReefSlice  *keys;
	uint8_t    *bytes;
	size_t		start = 0;
	uint32_t	row;
	int			i;

	keys = reef_arena_alloc(&page->arena, sizeof(ReefSlice) *
							((size_t) row_count + 1));
	if (keys == NULL)
		return reef_error_no_memory(err, sizeof(ReefSlice) * row_count);
	for (row = 0; row < row_count; row++)
	{
		for (i = 0; i < segment->key_count; i++)
		{
			ReefValue	value;

			reef_vector_get(&columns[i]->vector, (int) row, &value);
			if (value.is_null)
				return reef_error_set(err, REEF_CORRUPT,
									  "stored row has no key",
									  "a key column of %s is null",
									  segment->name);
			reef_key_append(scratch, columns[i]->vector.kind, &value);
		}
		keys[row].size = scratch->size - start;
		start = scratch->size;
	}
	REEF_TRY(reef_buf_check(scratch, err));
	bytes = reef_arena_alloc(&page->arena, scratch->size + 1);
	if (bytes == NULL)
		return reef_error_no_memory(err, scratch->size);
	if (scratch->size > 0)
		memcpy(bytes, scratch->data, scratch->size);
	for (row = 0; row < row_count; row++)
	{
		keys[row].data = bytes;
		bytes += keys[row].size;
	}
	page->keys = keys;
	page->vector.kind = REEF_KIND_BYTES;
	page->vector.values = keys;
	return REEF_OK;
}

static ReefCode
pin_key_columns(ReefSegment *segment, int row_group, int page,
				ReefPageUse use, ReefPage **columns, ReefError *err)
{
	int			i;

	for (i = 0; i < segment->key_count; i++)
	{
		ReefCode	rc = reef_segment_pin(segment, row_group, page,
										  segment->key_columns[i], use,
										  &columns[i], err);

		if (rc != REEF_OK)
		{
			while (--i >= 0)
				reef_page_unpin(columns[i]);
			return rc;
		}
	}
	return REEF_OK;
}

static void
unpin_key_columns(const ReefSegment *segment, ReefPage **columns)
{
	int			i;

	for (i = 0; i < segment->key_count; i++)
		reef_page_unpin(columns[i]);
}

static ReefCode
read_keys(ReefSegment *segment, int row_group, int page, ReefPageUse use,
		  ReefPage *fresh, ReefError *err)
{
	ReefPage   *columns[REEF_COLUMN_MAX_COUNT];
	ReefCode	rc;

	REEF_TRY(pin_key_columns(segment, row_group, page, use, columns, err));
	rc = fill_keys(segment, fresh, columns, err);
	unpin_key_columns(segment, columns);
	return rc;
}

ReefCode
reef_segment_pin(ReefSegment *segment, int row_group, int page, int column,
				 ReefPageUse use, ReefPage **pinned, ReefError *err)
{
	ReefPage   *found = reef_page_find(segment, row_group, page, column, use);
	ReefCode	rc;

	*pinned = found;
	if (found != NULL)
	{
		reef_page_count_hit(segment);
		return REEF_OK;
	}
	found = reef_page_new(segment, row_group, page, column, use);
	if (found == NULL)
		return reef_error_no_memory(err, sizeof(*found));
	if (column == REEF_PAGE_KEYS)
		rc = read_keys(segment, row_group, page, use, found, err);
	else
		rc = reef_parquet_reader_read_page(segment->reader, row_group, page,
										   column, &found->arena,
										   &found->vector, err);
	if (rc != REEF_OK)
	{
		reef_page_forget(found);
		return rc;
	}
	reef_page_filled(found, use);
	*pinned = found;
	return REEF_OK;
}

/* Remember a pin that the caller will give back with all others. */
/* ---- finding ---- */

/* The keys of a page, encoded one by one as a search asks for them. */
typedef struct KeyPage
{
	ReefSegment *segment;
	ReefPage   *keys;			/* all encoded, if somebody needed that */
	ReefPage   *columns[REEF_COLUMN_MAX_COUNT];
	uint32_t	row_count;
} KeyPage;

static ReefCode
open_keys(KeyPage *page, ReefSegment *segment, int row_group, int number,
		  ReefError *err)
{
	page->segment = segment;
	page->row_count = segment->groups[row_group].pages[number].row_count;
	page->keys = NULL;
	/* asking the shared cache for all keys costs more than encoding a few */
	if (reef_page_is_here(segment, row_group, number, REEF_PAGE_KEYS))
		return reef_segment_pin(segment, row_group, number, REEF_PAGE_KEYS,
								REEF_PAGE_SOUGHT, &page->keys, err);
	return pin_key_columns(segment, row_group, number, REEF_PAGE_SOUGHT,
						   page->columns, err);
}

static void
close_keys(KeyPage *page)
{
	if (page->keys != NULL)
		reef_page_unpin(page->keys);
	else
		unpin_key_columns(page->segment, page->columns);
}

static ReefCode
row_key(KeyPage *page, uint32_t row, ReefSlice *key, ReefError *err)
{
	ReefBuf    *scratch;
	int			i;

	if (page->keys != NULL)
	{
		*key = page->keys->keys[row];
		return REEF_OK;
	}
	scratch = reef_segment_scratch(page->segment);
	for (i = 0; i < page->segment->key_count; i++)
	{
		ReefValue	value;

		reef_vector_get(&page->columns[i]->vector, (int) row, &value);
		if (value.is_null)
			return reef_error_set(err, REEF_CORRUPT, "stored row has no key",
								  "a key column of %s is null",
								  page->segment->name);
		reef_key_append(scratch, page->columns[i]->vector.kind, &value);
	}
	*key = reef_buf_slice(scratch);
	return reef_buf_check(scratch, err);
}

/* The first row for which compare() > limit. */
static ReefCode
search_rows(KeyPage *page, ReefKeyCompare compare, const void *arg, int limit,
			uint32_t *result, ReefError *err)
{
	uint32_t	first = 0;
	uint32_t	end = page->row_count;

	while (first < end)
	{
		uint32_t	middle = first + (end - first) / 2;
		ReefSlice	key;

		REEF_TRY(row_key(page, middle, &key, err));
		if (compare(arg, key) > limit)
			end = middle;
		else
			first = middle + 1;
	}
	*result = first;
	return REEF_OK;
}

ReefCode
reef_segment_rows(ReefSegment *segment, int row_group, int page,
				  ReefKeyCompare compare, const void *arg, uint32_t *first,
				  uint32_t *end, ReefError *err)
{
	KeyPage		keys;
	ReefCode	rc;

	REEF_TRY(open_keys(&keys, segment, row_group, page, err));
	rc = search_rows(&keys, compare, arg, -1, first, err);
	if (rc == REEF_OK)
		rc = search_rows(&keys, compare, arg, 0, end, err);
	close_keys(&keys);
	return rc;
}

/* The first row group, or page of a group, whose upper bound the key is not
 * beyond. */
static int
first_group(const ReefSegment *segment, ReefSlice key)
{
	int			first = 0;
	int			end = segment->group_count;

	while (first < end)
	{
		int			middle = first + (end - first) / 2;

		if (reef_key_is_beyond(key, segment->groups[middle].high))
			first = middle + 1;
		else
			end = middle;
	}
	return first;
}

static int
first_page(const ReefRowGroup *group, ReefSlice key)
{
	int			first = 0;
	int			end = group->page_count;

	while (first < end)
	{
		int			middle = first + (end - first) / 2;

		if (reef_key_is_beyond(key, group->pages[middle].high))
			first = middle + 1;
		else
			end = middle;
	}
	return first;
}

ReefCode
reef_segment_seek(ReefSegment *segment, ReefSlice key, int *row_group,
				  int *page, bool *found, ReefError *err)
{
	int			group = first_group(segment, key);

	*found = false;
	for (; group < segment->group_count; group++)
	{
		REEF_TRY(reef_segment_load_group(segment, group, err));
		*row_group = group;
		*page = first_page(&segment->groups[group], key);
		*found = *page < segment->groups[group].page_count;
		if (*found)
			break;
	}
	return REEF_OK;
}

ReefCode
reef_segment_next_page(ReefSegment *segment, int *row_group, int *page,
					   bool *found, ReefError *err)
{
	(*page)++;
	*found = *page < segment->groups[*row_group].page_count;
	while (!*found && *row_group + 1 < segment->group_count)
	{
		(*row_group)++;
		*page = 0;
		REEF_TRY(reef_segment_load_group(segment, *row_group, err));
		*found = segment->groups[*row_group].page_count > 0;
	}
	return REEF_OK;
}

/*
 * Ask the bloom filter of a single-column key.  Floating point keys are left
 * out: the filter knows bits, and 0 and -0 are one key.
 */
static ReefCode
check_bloom(ReefSegment *segment, int row_group, ReefSlice key,
			bool *may_contain, ReefError *err)
{
	int			column = segment->key_columns[0];
	ReefKind	kind = segment->schema->columns[column].type.kind;
	ReefReader	reader;
	ReefValue	value;

	*may_contain = true;
	if (segment->key_count > 1 || kind == REEF_KIND_FLOAT32 ||
		kind == REEF_KIND_FLOAT64)
		return REEF_OK;
	reef_reader_init(&reader, key);
	if (!reef_key_read(&reader, kind, reef_segment_scratch(segment), &value))
	{
		/* no value of the stored kind: a wider column has it, not this one */
		*may_contain = false;
		return REEF_OK;
	}
	return reef_parquet_reader_bloom_check(segment->reader, row_group, column,
										   &value, may_contain, err);
}

static int
compare_to_key(const void *arg, ReefSlice key)
{
	return reef_slice_compare(key, *(const ReefSlice *) arg);
}

/*
 * Which of the pages [first, end) of a row group has the key, if any: their
 * bounds do not tell, their first and last rows do.
 */
static ReefCode
find_in_pages(ReefSegment *segment, int row_group, int first, int end,
			  ReefSlice key, ReefRowPosition *position, bool *found,
			  ReefError *err)
{
	*found = false;
	while (first < end && !*found)
	{
		int			middle = first + (end - first) / 2;
		uint32_t	row;
		uint32_t	after;

		REEF_TRY(reef_segment_rows(segment, row_group, middle, compare_to_key,
								   &key, &row, &after, err));
		*found = after > row;
		position->row_group = row_group;
		position->page = middle;
		position->row = row;
		if (row == 0)
			end = middle;
		else
			first = middle + 1;
	}
	return REEF_OK;
}

static ReefCode
find_in_group(ReefSegment *segment, int row_group, ReefSlice key,
			  ReefRowPosition *position, bool *found, ReefError *err)
{
	const ReefRowGroup *group = &segment->groups[row_group];
	bool		may_contain = true;
	ReefPage   *keys;
	int			first;
	int			end;
	ReefCode	rc;

	*found = false;
	REEF_TRY(reef_segment_load_group(segment, row_group, err));
	first = first_page(group, key);
	for (end = first; end < group->page_count; end++)
	{
		if (reef_slice_compare(group->pages[end].low, key) > 0)
			break;
	}
	if (first == end)
		return REEF_OK;
	/* the filter is for pages that would have to be read */
	keys = reef_page_find(segment, row_group, first, segment->key_columns[0],
						  REEF_PAGE_SOUGHT);
	if (keys == NULL)
		REEF_TRY(check_bloom(segment, row_group, key, &may_contain, err));
	if (!may_contain)
		return REEF_OK;
	reef_segment_count_search(segment);
	rc = find_in_pages(segment, row_group, first, end, key, position, found,
					   err);
	reef_page_unpin(keys);
	return rc;
}

ReefCode
reef_segment_row_lsn(ReefSegment *segment, const ReefRowPosition *position,
					 uint64_t *lsn, ReefError *err)
{
	ReefPage   *page;
	ReefValue	value;

	*lsn = segment->lsn_max;
	if (segment->lsn_min == segment->lsn_max)
		return REEF_OK;
	REEF_TRY(reef_segment_pin(segment, position->row_group, position->page,
							  segment->lsn_column, REEF_PAGE_SOUGHT, &page,
							  err));
	reef_vector_get(&page->vector, (int) position->row, &value);
	if (!value.is_null)
		*lsn = (uint64_t) value.as.int64;
	reef_page_unpin(page);
	return REEF_OK;
}

ReefCode
reef_segment_row_is_tombstone(ReefSegment *segment,
							  const ReefRowPosition *position,
							  bool *is_tombstone, ReefError *err)
{
	ReefPage   *page;
	ReefValue	value;

	*is_tombstone = false;
	if (segment->tombstone_count == 0)
		return REEF_OK;
	REEF_TRY(reef_segment_pin(segment, position->row_group, position->page,
							  segment->op_column, REEF_PAGE_SOUGHT, &page,
							  err));
	reef_vector_get(&page->vector, (int) position->row, &value);
	*is_tombstone = !value.is_null && value.as.int32 != 0;
	reef_page_unpin(page);
	return REEF_OK;
}

ReefCode
reef_segment_find(ReefSegment *segment, ReefSlice key,
				  ReefRowPosition *position, bool *is_tombstone, uint64_t *lsn,
				  ReefError *err)
{
	bool		found = false;
	int			group;

	for (group = first_group(segment, key);
		 group < segment->group_count && !found &&
		 reef_slice_compare(segment->groups[group].low, key) <= 0;
		 group++)
		REEF_TRY(find_in_group(segment, group, key, position, &found, err));
	if (!found)
		return REEF_NOT_FOUND;
	REEF_TRY(reef_segment_row_is_tombstone(segment, position, is_tombstone,
										   err));
	return reef_segment_row_lsn(segment, position, lsn, err);
}

/* ---- documents ---- */

static ReefCode
read_value(ReefSegment *segment, const ReefRowPosition *position,
		   const ReefColumn *wanted, ReefArena *arena, ReefValue *value,
		   ReefError *err)
{
	int			column = reef_schema_find(segment->schema, wanted->name);
	const ReefType *stored;
	ReefPage   *page;
	ReefSlice	bytes;

	if (column < 0)
	{
		memset(value, 0, sizeof(*value));
		value->is_null = true;
		return REEF_OK;
	}
	stored = &segment->schema->columns[column].type;
	if (!reef_type_widens(stored, &wanted->type))
		return reef_error_set(err, REEF_TYPE_MISMATCH,
							  "column type differs from the stored one",
							  "column \"%s\" of %s", wanted->name,
							  segment->name);
	REEF_TRY(reef_segment_pin(segment, position->row_group, position->page,
							  column, REEF_PAGE_SOUGHT, &page, err));
	reef_vector_get(&page->vector, (int) position->row, value);
	if (!value->is_null && reef_kind_is_variable(stored->kind))
	{
		bytes = reef_arena_copy(arena, value->as.bytes);
		if (bytes.size != value->as.bytes.size)
		{
			reef_page_unpin(page);
			return reef_error_no_memory(err, value->as.bytes.size);
		}
		value->as.bytes = bytes;
	}
	reef_page_unpin(page);
	reef_value_widen(stored, &wanted->type, value);
	return REEF_OK;
}

ReefCode
reef_segment_document(ReefSegment *segment, const ReefRowPosition *position,
					  const ReefColumn *columns, int column_count,
					  ReefArena *arena, ReefValue *values, ReefError *err)
{
	int			i;

	for (i = 0; i < column_count; i++)
		REEF_TRY(read_value(segment, position, &columns[i], arena, &values[i],
							err));
	return REEF_OK;
}
