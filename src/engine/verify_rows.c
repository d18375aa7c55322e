/*
 * verify_rows.c
 *	  How many rows are live in a set of segments, counted key by key.
 *
 * All segments are merged: one cursor for the run of level 1, one for each
 * segment of level 0, newest on top where keys are equal.  That reads the key
 * columns only, and what is in memory is one page a cursor.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "engine/verify.h"

typedef struct RowCursor
{
	int			rank;			/* newer segments have higher ones */
	int			first;			/* segments [first, end), one after another */
	int			end;
	ReefSegment *segment;		/* NULL: at the end */
	int			group;
	int			page;
	uint32_t	row;
	ReefPage   *keys;
	ReefPage   *ops;			/* NULL: no tombstones */
} RowCursor;

typedef struct RowMerge
{
	ReefVerify *verify;
	const ReefSegmentMeta *segments;
	const ReefSchema *schema;
	ReefSegmentCache *cache;
	RowCursor  *cursors;
	int			count;
	RowCursor **heap;			/* lowest key on top, newest of equal ones */
	int			heap_count;
	uint64_t   *hiding;			/* [segment] rows that hide an older one */
	ReefBuf		key;
	uint64_t	live_rows;
} RowMerge;

/* ---- cursors ---- */

static void
unpin(RowCursor *cursor)
{
	reef_page_unpin(cursor->keys);
	reef_page_unpin(cursor->ops);
	cursor->keys = NULL;
	cursor->ops = NULL;
}

static ReefCode
pin(RowMerge *merge, RowCursor *cursor, ReefError *err)
{
	ReefSegment *segment = cursor->segment;

	cursor->row = 0;
	REEF_TRY(reef_verify_step(merge->verify, 0, err));
	REEF_TRY(reef_segment_pin(segment, cursor->group, cursor->page,
							  REEF_PAGE_KEYS, REEF_PAGE_PASSED, &cursor->keys,
							  err));
	if (segment->tombstone_count == 0)
		return REEF_OK;
	return reef_segment_pin(segment, cursor->group, cursor->page,
							segment->op_column, REEF_PAGE_PASSED, &cursor->ops,
							err);
}

static ReefCode
open_first(RowMerge *merge, RowCursor *cursor, ReefError *err)
{
	bool		found = false;

	while (!found && cursor->first < cursor->end)
	{
		REEF_TRY(reef_segment_get(merge->cache,
								  &merge->segments[cursor->first],
								  merge->schema, &cursor->segment, err));
		cursor->group = 0;
		cursor->page = -1;
		found = cursor->segment->group_count > 0;
		if (found)
		{
			REEF_TRY(reef_segment_load_group(cursor->segment, 0, err));
			REEF_TRY(reef_segment_next_page(cursor->segment, &cursor->group,
											&cursor->page, &found, err));
		}
		if (found)
			return pin(merge, cursor, err);
		reef_segment_release(cursor->segment);
		cursor->segment = NULL;
		cursor->first++;
	}
	return REEF_OK;
}

static ReefCode
advance(RowMerge *merge, RowCursor *cursor, ReefError *err)
{
	bool		found;

	if (++cursor->row < cursor->keys->row_count)
		return REEF_OK;
	unpin(cursor);
	REEF_TRY(reef_segment_next_page(cursor->segment, &cursor->group,
									&cursor->page, &found, err));
	if (found)
		return pin(merge, cursor, err);
	reef_segment_release(cursor->segment);
	cursor->segment = NULL;
	cursor->first++;
	return open_first(merge, cursor, err);
}

static ReefSlice
cursor_key(const RowCursor *cursor)
{
	return cursor->keys->keys[cursor->row];
}

static bool
is_tombstone(const RowCursor *cursor)
{
	ReefValue	value;

	if (cursor->ops == NULL)
		return false;
	reef_vector_get(&cursor->ops->vector, (int) cursor->row, &value);
	return !value.is_null && value.as.int32 != 0;
}

/* ---- heap ---- */

static bool
goes_first(const RowCursor *a, const RowCursor *b)
{
	int			order = reef_slice_compare(cursor_key(a), cursor_key(b));

	return order < 0 || (order == 0 && a->rank > b->rank);
}

static void
sift_down(RowMerge *merge, int place)
{
	RowCursor **heap = merge->heap;

	for (;;)
	{
		int			child = 2 * place + 1;
		RowCursor  *moved = heap[place];

		if (child >= merge->heap_count)
			return;
		if (child + 1 < merge->heap_count &&
			goes_first(heap[child + 1], heap[child]))
			child++;
		if (!goes_first(heap[child], moved))
			return;
		heap[place] = heap[child];
		heap[child] = moved;
		place = child;
	}
}

static ReefCode
advance_top(RowMerge *merge, ReefError *err)
{
	RowCursor  *top = merge->heap[0];

	REEF_TRY(advance(merge, top, err));
	if (top->segment == NULL)
		merge->heap[0] = merge->heap[--merge->heap_count];
	sift_down(merge, 0);
	return REEF_OK;
}

/* ---- merge ---- */

static ReefCode
open_cursors(RowMerge *merge, int segment_count, ReefError *err)
{
	int			first = 0;
	int			i;

	while (first < segment_count && merge->segments[first].level > 0)
		first++;
	if (first > 0)
	{
		merge->cursors[0].end = first;
		merge->count = 1;
	}
	for (; first < segment_count; first++)
	{
		RowCursor  *cursor = &merge->cursors[merge->count];

		cursor->rank = merge->count++;
		cursor->first = first;
		cursor->end = first + 1;
	}
	for (i = 0; i < merge->count; i++)
	{
		REEF_TRY(open_first(merge, &merge->cursors[i], err));
		if (merge->cursors[i].segment != NULL)
			merge->heap[merge->heap_count++] = &merge->cursors[i];
	}
	for (i = merge->heap_count / 2 - 1; i >= 0; i--)
		sift_down(merge, i);
	return REEF_OK;
}

/*
 * What lies on a row must count as superseding.  What lies on a tombstone need
 * not, although there may be a row below that: it was inserted where the key was
 * absent, and the tombstone hides the row.
 */
static ReefCode
count_key(RowMerge *merge, ReefError *err)
{
	RowCursor  *newest = merge->heap[0];
	int			segment = newest->first;
	ReefSlice	key = cursor_key(newest);

	if (!is_tombstone(newest))
		merge->live_rows++;
	reef_buf_reset(&merge->key);
	reef_buf_append(&merge->key, key.data, key.size);
	REEF_TRY(reef_buf_check(&merge->key, err));
	REEF_TRY(advance_top(merge, err));
	while (merge->heap_count > 0 &&
		   reef_slice_equal(cursor_key(merge->heap[0]),
							reef_buf_slice(&merge->key)))
	{
		if (!is_tombstone(merge->heap[0]))
			merge->hiding[segment]++;
		segment = merge->heap[0]->first;
		REEF_TRY(advance_top(merge, err));
	}
	return REEF_OK;
}

static ReefCode
check_hiding(RowMerge *merge, int segment_count, bool *is_exact,
			 ReefError *err)
{
	int			i;

	*is_exact = true;
	for (i = 0; i < segment_count; i++)
	{
		const ReefSegmentMeta *meta = &merge->segments[i];
		char		key[REEF_OBJECT_KEY_SIZE];

		if (merge->hiding[i] <= meta->superseding_count)
			continue;
		*is_exact = false;
		reef_layout_segment_key(merge->verify->ns->prefix, meta->id, key);
		REEF_TRY(reef_finding_report(merge->verify, err, REEF_SEVERITY_ERROR,
									 key, "superseding",
									 "%" PRIu64 " rows hide older ones, but only %" PRIu64 " are said to",
									 merge->hiding[i],
									 meta->superseding_count));
	}
	return REEF_OK;
}

static ReefCode
merge_rows(RowMerge *merge, int segment_count, bool *is_exact, ReefError *err)
{
	REEF_TRY(open_cursors(merge, segment_count, err));
	while (merge->heap_count > 0)
		REEF_TRY(count_key(merge, err));
	return check_hiding(merge, segment_count, is_exact, err);
}

ReefCode
reef_verify_rows(ReefVerify *verify, const ReefSegmentMeta *segments,
				 int count, const ReefSchema *schema,
				 const uint8_t namespace_id[16], uint64_t *live_rows,
				 bool *is_exact, ReefError *err)
{
	RowMerge	merge = {
		.verify = verify,
		.segments = segments,
		.schema = schema
	};
	size_t		size = (size_t) count + 1;
	ReefArena	arena;
	ReefCode	rc;
	int			i;

	*live_rows = 0;
	*is_exact = true;
	if (count == 0)
		return REEF_OK;
	reef_arena_init(&arena, 0);
	reef_buf_init(&merge.key);
	merge.cursors = reef_arena_calloc(&arena, sizeof(*merge.cursors) * size);
	merge.heap = reef_arena_calloc(&arena, sizeof(*merge.heap) * size);
	merge.hiding = reef_arena_calloc(&arena, sizeof(*merge.hiding) * size);
	if (merge.cursors == NULL || merge.heap == NULL || merge.hiding == NULL)
		rc = reef_error_no_memory(err, sizeof(*merge.cursors) * size);
	else
		rc = reef_segment_cache_new(verify->ns->host, verify->ns->store,
									verify->ns->prefix, &verify->settings,
									&merge.cache, err);
	if (rc == REEF_OK)
	{
		reef_segment_cache_set_namespace(merge.cache, namespace_id);
		rc = merge_rows(&merge, count, is_exact, err);
	}
	for (i = 0; i < merge.count; i++)
	{
		unpin(&merge.cursors[i]);
		reef_segment_release(merge.cursors[i].segment);
	}
	*live_rows = merge.live_rows;
	reef_segment_cache_free(merge.cache);
	reef_buf_release(&merge.key);
	reef_arena_release(&arena);
	return rc;
}
