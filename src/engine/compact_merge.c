/*
 * compact_merge.c
 *	  The rows of some segments as one sorted sequence, newest wins.
 *
 * Problem: segments may be far larger than memory, and there may be hundreds
 * of them; reading them must not push out of the page caches what queries
 * need.
 *
 * Mechanism: each run is read through a cursor of its own that has one segment
 * open at a time, and of that one page of every column decoded; values other
 * than keys are decoded when a row of the page is wanted.  What a reader
 * remembers of a row group is dropped behind it.  Bytes are fetched ahead
 * through a few windows a cursor, because a page is small and a request is not.
 *
 * Consequence: memory is runs times columns times a page, plus
 * READ_AHEAD_BYTES, however many rows there are.
 *
 * Of rows with one key the highest LSN wins; in an attached segment, where LSNs
 * are null, all rows have the segment's.  Nothing read is trusted: keys must
 * ascend, and lie in the range that the manifest says.
 */
#include "engine/compact_merge.h"

#include <stdlib.h>

#include "base/document.h"
#include "engine/maintenance.h"
#include "engine/segment_cache.h"

/* For all cursors together, but each window has at least WINDOW_MIN_BYTES. */
#define READ_AHEAD_BYTES (32u * 1024 * 1024)
#define WINDOW_MIN_BYTES (32u * 1024)
#define WINDOW_MAX_BYTES (512u * 1024)
/* Besides one for each column: page indexes, dictionaries. */
#define EXTRA_WINDOWS 4

/* Bytes of a segment that were fetched ahead. */
typedef struct Window
{
	uint64_t	offset;
	size_t		size;
	uint8_t    *data;			/* [merge->window_size], allocated at first use */
	uint64_t	last_use;
} Window;

/* Where one run stands. */
typedef struct Cursor
{
	ReefCompactMerge *merge;
	int			segment_count;
	const ReefSegmentMeta **segments;	/* by key */
	int			next_segment;

	/* the open segment; NULL at the end of the run */
	const ReefSegmentMeta *meta;
	char		name[REEF_OBJECT_KEY_SIZE];
	ReefParquetReader *reader;
	int		   *columns;		/* by the manifest's column: stored one or -1 */
	int			lsn_column;
	int			op_column;
	int			group;
	int			page;
	int			page_count;

	/* the open page */
	uint32_t	row;
	uint32_t	row_count;
	ReefArena	arena;
	ReefVector *vectors;		/* by stored column */
	bool	   *is_loaded;
	ReefBuf		key_bytes;
	ReefSlice  *keys;
	ReefBuf		last_key;		/* of the page before */

	Window	   *windows;		/* [merge->window_count] */
	uint64_t	use;
} Cursor;

struct ReefCompactMerge
{
	ReefNamespace *ns;
	const ReefSchema *schema;
	ReefArena	arena;
	int			key_count;
	int		   *key_columns;	/* by position, the manifest's */
	int			cursor_count;
	Cursor	   *cursors;		/* of one LSN, rows of a later one are newer */
	int			window_count;
	size_t		window_size;
	Cursor	   *current;		/* has the row that was returned last */
	bool	   *is_passed;		/* [cursor_count] stands on that key */
	uint64_t	rows;
	int64_t		throttle_start_us;
	uint64_t	throttle_bytes;
};

/* ---- bytes ---- */

static ReefCode
fetch(Cursor *cursor, uint64_t offset, size_t size, void *out, ReefError *err)
{
	ReefCompactMerge *merge = cursor->merge;
	ReefCode	rc = reef_store_get_range(merge->ns->store, cursor->name,
										  offset, size, out, err);

	if (rc == REEF_NOT_FOUND)
		return reef_error_set(err, REEF_CORRUPT, "stored segment is missing",
							  "object \"%s\"", cursor->name);
	if (rc != REEF_OK)
		return rc;
	return reef_io_throttle(merge->ns, &merge->throttle_start_us,
							&merge->throttle_bytes, size, err);
}

/* The window that has these bytes, or the one to be used for them. */
static Window *
find_window(Cursor *cursor, uint64_t offset, size_t size)
{
	Window	   *oldest = &cursor->windows[0];
	int			i;

	for (i = 0; i < cursor->merge->window_count; i++)
	{
		Window	   *window = &cursor->windows[i];

		if (offset >= window->offset && size <= window->size &&
			offset - window->offset <= window->size - size)
			return window;
		if (window->last_use < oldest->last_use)
			oldest = window;
	}
	oldest->size = 0;
	return oldest;
}

static ReefCode
read_at(void *arg, uint64_t offset, size_t size, void *out, ReefError *err)
{
	Cursor	   *cursor = arg;
	size_t		window_size = cursor->merge->window_size;
	uint64_t	left = cursor->meta->size - offset;
	Window	   *window;

	if (size > window_size / 2)
		return fetch(cursor, offset, size, out, err);
	window = find_window(cursor, offset, size);
	window->last_use = ++cursor->use;
	if (window->size == 0)
	{
		if (window->data == NULL)
			window->data = malloc(window_size);
		if (window->data == NULL)
			return reef_error_no_memory(err, window_size);
		if (window_size > left)
			window_size = (size_t) left;
		REEF_TRY(fetch(cursor, offset, window_size, window->data, err));
		window->offset = offset;
		window->size = window_size;
	}
	if (size > 0)
		memcpy(out, window->data + (offset - window->offset), size);
	return REEF_OK;
}

/* ---- pages ---- */

static ReefCode
corrupt(const Cursor *cursor, const char *what, ReefError *err)
{
	return reef_error_set(err, REEF_CORRUPT, "damaged segment",
						  "\"%s\": %s (row group %d, page %d)", cursor->name,
						  what, cursor->group, cursor->page);
}

static ReefCode
load_column(Cursor *cursor, int column, const ReefVector **vector,
			ReefError *err)
{
	*vector = &cursor->vectors[column];
	if (cursor->is_loaded[column])
		return REEF_OK;
	cursor->is_loaded[column] = true;
	return reef_parquet_reader_read_page(cursor->reader, cursor->group,
										 cursor->page, column, &cursor->arena,
										 &cursor->vectors[column], err);
}

/* Encode the keys of the page's rows; they must ascend. */
static ReefCode
load_keys(Cursor *cursor, ReefError *err)
{
	ReefCompactMerge *merge = cursor->merge;
	size_t		size = sizeof(ReefSlice) * ((size_t) cursor->row_count + 1);
	ReefSlice	previous = reef_buf_slice(&cursor->last_key);
	const uint8_t *bytes;
	size_t		start = 0;
	uint32_t	row;
	int			i;

	cursor->keys = reef_arena_alloc(&cursor->arena, size);
	if (cursor->keys == NULL)
		return reef_error_no_memory(err, size);
	reef_buf_reset(&cursor->key_bytes);
	for (row = 0; row < cursor->row_count; row++)
	{
		for (i = 0; i < merge->key_count; i++)
		{
			const ReefVector *vector;
			ReefValue	value;

			REEF_TRY(load_column(cursor,
								 cursor->columns[merge->key_columns[i]],
								 &vector, err));
			reef_vector_get(vector, (int) row, &value);
			if (value.is_null)
				return corrupt(cursor, "a key column is null", err);
			reef_key_append(&cursor->key_bytes, vector->kind, &value);
		}
		cursor->keys[row].size = cursor->key_bytes.size - start;
		start = cursor->key_bytes.size;
	}
	REEF_TRY(reef_buf_check(&cursor->key_bytes, err));
	bytes = cursor->key_bytes.data;
	for (row = 0; row < cursor->row_count; row++)
	{
		cursor->keys[row].data = bytes;
		bytes += cursor->keys[row].size;
		if (reef_slice_compare(cursor->keys[row], cursor->meta->key_min) < 0 ||
			reef_slice_compare(cursor->keys[row], cursor->meta->key_max) > 0)
			return corrupt(cursor, "a key is outside of its range", err);
		if (previous.size > 0 &&
			reef_slice_compare(previous, cursor->keys[row]) >= 0)
			return corrupt(cursor, "keys are not in order", err);
		previous = cursor->keys[row];
	}
	reef_buf_reset(&cursor->last_key);
	reef_buf_append(&cursor->last_key, previous.data, previous.size);
	return reef_buf_check(&cursor->last_key, err);
}

static ReefCode
open_page(Cursor *cursor, ReefError *err)
{
	const ReefHost *host = cursor->merge->ns->host;
	uint32_t	first_row;

	if (host->cancelled(host->arg))
		return reef_error_set(err, REEF_CANCELLED,
							  "the compaction was cancelled", NULL);
	reef_arena_reset(&cursor->arena);
	memset(cursor->is_loaded, 0,
		   (size_t) reef_parquet_reader_schema(cursor->reader)->column_count);
	cursor->row = 0;
	REEF_TRY(reef_parquet_reader_page_rows(cursor->reader, cursor->group,
										   cursor->page, &first_row,
										   &cursor->row_count, err));
	return load_keys(cursor, err);
}

/* ---- segments ---- */

static void
close_segment(Cursor *cursor)
{
	int			i;

	reef_parquet_reader_close(cursor->reader);
	cursor->reader = NULL;
	cursor->meta = NULL;
	for (i = 0; i < cursor->merge->window_count; i++)
		cursor->windows[i].size = 0;
}

/* Where the stored columns are, and whether they fit. */
static ReefCode
map_columns(Cursor *cursor, ReefError *err)
{
	const ReefSchema *stored = reef_parquet_reader_schema(cursor->reader);
	const ReefSchema *schema = cursor->merge->schema;
	int			known = 0;
	int			i;

	cursor->lsn_column = reef_schema_find(stored, REEF_LSN_COLUMN);
	cursor->op_column = reef_schema_find(stored, REEF_OP_COLUMN);
	if (cursor->lsn_column < 0 || cursor->op_column < 0 ||
		stored->columns[cursor->lsn_column].type.kind != REEF_KIND_INT64 ||
		stored->columns[cursor->op_column].type.kind != REEF_KIND_INT32)
		return corrupt(cursor, "a column of ours is missing", err);
	for (i = 0; i < schema->column_count; i++)
	{
		const ReefColumn *column = &schema->columns[i];
		int			place = reef_schema_find(stored, column->name);

		cursor->columns[i] = place;
		if (place < 0 && column->key_position > 0)
			return corrupt(cursor, "a key column is missing", err);
		if (place < 0)
			continue;
		known++;
		if (!reef_type_widens(&stored->columns[place].type, &column->type))
			return corrupt(cursor,
						   "a column's type is not one of the manifest's",
						   err);
	}
	/* writing it without them would lose them */
	if (known + 2 != stored->column_count)
		return corrupt(cursor, "a column is unknown to the manifest", err);
	return REEF_OK;
}

static ReefCode
open_segment(Cursor *cursor, ReefError *err)
{
	ReefCompactMerge *merge = cursor->merge;
	size_t		columns;

	cursor->meta = cursor->segments[cursor->next_segment++];
	cursor->group = -1;
	cursor->page = -1;
	cursor->page_count = 0;
	reef_buf_reset(&cursor->last_key);
	reef_layout_segment_key(merge->ns->prefix, cursor->meta->id,
							cursor->name);
	REEF_TRY(reef_parquet_reader_open(read_at, cursor, cursor->meta->size,
									  cursor->name, &cursor->reader, err));
	REEF_TRY(reef_segment_check_footer(cursor->reader, cursor->name,
									   cursor->meta,
									   merge->ns->shared->namespace_id, err));
	REEF_TRY(map_columns(cursor, err));
	columns = (size_t) reef_parquet_reader_schema(cursor->reader)->column_count;
	free(cursor->vectors);
	free(cursor->is_loaded);
	cursor->vectors = calloc(columns, sizeof(*cursor->vectors));
	cursor->is_loaded = calloc(columns, sizeof(*cursor->is_loaded));
	if (cursor->vectors == NULL || cursor->is_loaded == NULL)
		return reef_error_no_memory(err, columns * sizeof(ReefVector));
	return REEF_OK;
}

/* Go to the next page of the segment; *found false at its end. */
static ReefCode
next_page(Cursor *cursor, bool *found, ReefError *err)
{
	ReefParquetReader *reader = cursor->reader;

	cursor->page++;
	while (cursor->page >= cursor->page_count)
	{
		*found = cursor->group + 1 <
			reef_parquet_reader_row_group_count(reader);
		if (!*found)
			return REEF_OK;
		if (cursor->group >= 0)
			reef_parquet_reader_forget_group(reader, cursor->group);
		cursor->group++;
		cursor->page = 0;
		REEF_TRY(reef_parquet_reader_page_count(reader, cursor->group,
												&cursor->page_count, err));
	}
	*found = true;
	return open_page(cursor, err);
}

/* Go to the next row of the run; cursor->meta is NULL at its end. */
static ReefCode
advance(Cursor *cursor, ReefError *err)
{
	bool		found;

	cursor->row++;
	while (cursor->meta == NULL || cursor->row >= cursor->row_count)
	{
		if (cursor->meta == NULL)
		{
			if (cursor->next_segment == cursor->segment_count)
				return REEF_OK;
			REEF_TRY(open_segment(cursor, err));
		}
		REEF_TRY(next_page(cursor, &found, err));
		if (!found)
			close_segment(cursor);
	}
	return REEF_OK;
}

static ReefCode
row_lsn(Cursor *cursor, uint64_t *lsn, ReefError *err)
{
	const ReefVector *vector;
	ReefValue	value;

	*lsn = cursor->meta->lsn_max;
	if (cursor->meta->lsn_min == cursor->meta->lsn_max)
		return REEF_OK;
	REEF_TRY(load_column(cursor, cursor->lsn_column, &vector, err));
	reef_vector_get(vector, (int) cursor->row, &value);
	if (value.is_null || (uint64_t) value.as.int64 < cursor->meta->lsn_min ||
		(uint64_t) value.as.int64 > cursor->meta->lsn_max)
		return corrupt(cursor, "an LSN is outside of its range", err);
	*lsn = (uint64_t) value.as.int64;
	return REEF_OK;
}

static ReefCode
row_is_tombstone(Cursor *cursor, bool *is_tombstone, ReefError *err)
{
	const ReefVector *vector;
	ReefValue	value;

	*is_tombstone = false;
	if (cursor->meta->tombstone_count == 0)
		return REEF_OK;
	REEF_TRY(load_column(cursor, cursor->op_column, &vector, err));
	reef_vector_get(vector, (int) cursor->row, &value);
	*is_tombstone = !value.is_null && value.as.int32 != 0;
	return REEF_OK;
}

/* ---- merge ---- */

static int
compare_keys(const void *a, const void *b)
{
	const ReefSegmentMeta *const *left = a;
	const ReefSegmentMeta *const *right = b;

	return reef_slice_compare((*left)->key_min, (*right)->key_min);
}

/* Memory of a cursor; it stands before its first row. */
static ReefCode
init_cursor(ReefCompactMerge *merge, Cursor *cursor,
			const ReefManifest *manifest, const ReefCompactPlan *plan, int run,
			ReefError *err)
{
	size_t		size = sizeof(*cursor->segments) *
		((size_t) plan->input_count + 1);
	int			i;

	cursor->merge = merge;
	cursor->segments = reef_arena_alloc(&merge->arena, size);
	cursor->columns = reef_arena_calloc(&merge->arena,
										sizeof(int) * ((size_t) merge->schema->column_count + 1));
	cursor->windows = reef_arena_calloc(&merge->arena,
										sizeof(Window) * (size_t) merge->window_count);
	if (cursor->segments == NULL || cursor->columns == NULL ||
		cursor->windows == NULL)
		return reef_error_no_memory(err, size);
	for (i = 0; i < plan->input_count; i++)
	{
		if (plan->runs[i] == run)
			cursor->segments[cursor->segment_count++] =
				&manifest->segments[plan->inputs[i]];
	}
	qsort(cursor->segments, (size_t) cursor->segment_count,
		  sizeof(*cursor->segments), compare_keys);
	return REEF_OK;
}

static ReefCode
init_merge(ReefCompactMerge *merge, const ReefManifest *manifest,
		   const ReefCompactPlan *plan, ReefError *err)
{
	size_t		count = (size_t) plan->run_count;
	size_t		windows;
	int			i;

	merge->key_count = reef_schema_key_count(merge->schema);
	merge->window_count = merge->schema->column_count + 2 + EXTRA_WINDOWS;
	windows = (size_t) merge->window_count * (count + 1);
	merge->window_size = READ_AHEAD_BYTES / windows;
	if (merge->window_size < WINDOW_MIN_BYTES)
		merge->window_size = WINDOW_MIN_BYTES;
	if (merge->window_size > WINDOW_MAX_BYTES)
		merge->window_size = WINDOW_MAX_BYTES;
	merge->key_columns = reef_arena_calloc(&merge->arena, sizeof(int) *
										   ((size_t) merge->key_count + 1));
	merge->cursors = reef_arena_calloc(&merge->arena,
									   sizeof(Cursor) * (count + 1));
	merge->is_passed = reef_arena_calloc(&merge->arena, count + 1);
	if (merge->key_columns == NULL || merge->cursors == NULL ||
		merge->is_passed == NULL)
		return reef_error_no_memory(err, sizeof(Cursor) * count);
	for (i = 0; i < merge->key_count; i++)
		merge->key_columns[i] = reef_schema_key_column(merge->schema, i + 1);
	for (i = 0; i < plan->run_count; i++)
	{
		Cursor	   *cursor = &merge->cursors[i];

		reef_arena_init(&cursor->arena, 0);
		reef_buf_init(&cursor->key_bytes);
		reef_buf_init(&cursor->last_key);
		merge->cursor_count++;
		REEF_TRY(init_cursor(merge, cursor, manifest, plan, i, err));
		/* the first call goes to its first row */
		merge->is_passed[i] = true;
	}
	return REEF_OK;
}

ReefCode
reef_compact_merge_new(ReefNamespace *ns, const ReefManifest *manifest,
					   const ReefCompactPlan *plan, ReefCompactMerge **result,
					   ReefError *err)
{
	ReefCompactMerge *merge = calloc(1, sizeof(*merge));
	ReefCode	rc;

	*result = NULL;
	if (merge == NULL)
		return reef_error_no_memory(err, sizeof(*merge));
	merge->ns = ns;
	merge->schema = &manifest->schema;
	reef_arena_init(&merge->arena, 0);
	rc = init_merge(merge, manifest, plan, err);
	if (rc != REEF_OK)
	{
		reef_compact_merge_free(merge);
		return rc;
	}
	*result = merge;
	return REEF_OK;
}

void
reef_compact_merge_free(ReefCompactMerge *merge)
{
	int			i;
	int			w;

	if (merge == NULL)
		return;
	for (i = 0; i < merge->cursor_count; i++)
	{
		Cursor	   *cursor = &merge->cursors[i];

		reef_parquet_reader_close(cursor->reader);
		for (w = 0; cursor->windows != NULL && w < merge->window_count; w++)
			free(cursor->windows[w].data);
		free(cursor->vectors);
		free(cursor->is_loaded);
		reef_buf_release(&cursor->key_bytes);
		reef_buf_release(&cursor->last_key);
		reef_arena_release(&cursor->arena);
	}
	reef_arena_release(&merge->arena);
	free(merge);
}

/* Which cursors stand on the lowest key? */
static const Cursor *
find_lowest(ReefCompactMerge *merge)
{
	const Cursor *lowest = NULL;
	int			i;

	for (i = 0; i < merge->cursor_count; i++)
	{
		const Cursor *cursor = &merge->cursors[i];
		int			order = 1;

		merge->is_passed[i] = false;
		if (cursor->meta == NULL)
			continue;
		if (lowest != NULL)
			order = reef_slice_compare(lowest->keys[lowest->row],
									   cursor->keys[cursor->row]);
		if (order > 0)
		{
			lowest = cursor;
			memset(merge->is_passed, 0, (size_t) i);
		}
		merge->is_passed[i] = order >= 0;
	}
	return lowest;
}

ReefCode
reef_compact_merge_next(ReefCompactMerge *merge, ReefCompactRow *row,
						bool *found, ReefError *err)
{
	const Cursor *lowest;
	int			i;

	for (i = 0; i < merge->cursor_count; i++)
	{
		if (!merge->is_passed[i])
			continue;
		if (merge->current != NULL)
			merge->rows++;
		REEF_TRY(advance(&merge->cursors[i], err));
	}
	lowest = find_lowest(merge);
	*found = lowest != NULL;
	if (!*found)
		return REEF_OK;

	memset(row, 0, sizeof(*row));
	row->key = lowest->keys[lowest->row];
	for (i = 0; i < merge->cursor_count; i++)
	{
		Cursor	   *cursor = &merge->cursors[i];
		uint64_t	lsn;

		if (!merge->is_passed[i])
			continue;
		REEF_TRY(row_lsn(cursor, &lsn, err));
		if (cursor->meta->superseding_count > 0)
			row->is_superseding = true;
		if (lsn < row->lsn)
			continue;
		row->lsn = lsn;
		merge->current = cursor;
	}
	return row_is_tombstone(merge->current, &row->is_tombstone, err);
}

ReefCode
reef_compact_merge_values(ReefCompactMerge *merge, ReefValue *values,
						  ReefError *err)
{
	Cursor	   *cursor = merge->current;
	const ReefSchema *stored = reef_parquet_reader_schema(cursor->reader);
	int			i;

	for (i = 0; i < merge->schema->column_count; i++)
	{
		int			place = cursor->columns[i];
		const ReefVector *vector;

		memset(&values[i], 0, sizeof(values[i]));
		values[i].is_null = true;
		if (place < 0)
			continue;
		REEF_TRY(load_column(cursor, place, &vector, err));
		reef_vector_get(vector, (int) cursor->row, &values[i]);
		reef_value_widen(&stored->columns[place].type,
						 &merge->schema->columns[i].type, &values[i]);
	}
	return REEF_OK;
}

uint64_t
reef_compact_merge_rows(const ReefCompactMerge *merge)
{
	return merge->rows;
}
