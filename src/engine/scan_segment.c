/*
 * scan_segment.c
 *	  Batches out of segments, page by page.
 *
 * A page that is neither at the edge of the range nor partly hidden needs
 * nothing but the columns asked for, and its batches point into them.  If no
 * columns are asked for it is not read at all, and if that holds for a whole
 * segment not even its footer is: its description says how many rows it has.
 */
#include "engine/scan.h"

#include <assert.h>
#include <stdlib.h>

#include "base/document.h"

void
reef_scan_unpin_pages(ReefScan *scan)
{
	int			i;

	if (scan->columns_pinned)
	{
		for (i = 0; i < scan->wanted.column_count; i++)
		{
			reef_page_unpin(scan->columns[i].page);
			scan->columns[i].page = NULL;
		}
		scan->columns_pinned = false;
	}
	reef_page_unpin(scan->page_keys);
	reef_page_unpin(scan->page_lsns);
	scan->page_keys = NULL;
	scan->page_lsns = NULL;
}

ReefCode
reef_scan_open_source(ReefScan *scan, ReefSource *source, ReefError *err)
{
	size_t		size = sizeof(int) * (size_t) (scan->wanted.column_count + 1);

	if (source->segment != NULL)
		return REEF_OK;
	source->columns = reef_arena_alloc(&scan->restart_arena, size);
	if (source->columns == NULL)
		return reef_error_no_memory(err, size);
	/* the view of a new namespace has no columns yet, its writer has */
	REEF_TRY(reef_view_segment(scan->view, source->meta,
							   source->is_own ?
							   reef_txn_schema(scan->spec.txn) :
							   &scan->view->schema, &source->segment, err));
	return reef_scan_map_columns(scan, source->segment->schema,
								 source->columns, err);
}

/* ---- the batch ---- */

static ReefCode
pin_columns(ReefScan *scan, ReefSegment *segment, const int *map,
			ReefError *err)
{
	int			i;

	if (scan->columns_pinned)
		return REEF_OK;
	scan->columns_pinned = true;
	for (i = 0; i < scan->wanted.column_count; i++)
	{
		scan->columns[i].page = NULL;
		if (map[i] >= 0)
			REEF_TRY(reef_segment_pin(segment, scan->row_group, scan->page,
									  map[i], reef_scan_page_use(scan),
									  &scan->columns[i].page, err));
	}
	/* of a point lookup the key is known, and all keys of a page are many */
	if (scan->spec.want_keys && scan->page_keys == NULL && !scan->is_point)
		REEF_TRY(reef_segment_pin(segment, scan->row_group, scan->page,
								  REEF_PAGE_KEYS, reef_scan_page_use(scan),
								  &scan->page_keys, err));
	if (scan->spec.want_lsns && scan->page_lsns == NULL &&
		segment->lsn_min != segment->lsn_max)
		REEF_TRY(reef_segment_pin(segment, scan->row_group, scan->page,
								  segment->lsn_column,
								  reef_scan_page_use(scan), &scan->page_lsns,
								  err));
	return REEF_OK;
}

/* Convert "count" values from "at" on into the column's own memory. */
static void
widen_values(const ReefVector *vector, uint32_t at, int count,
			 const ReefType *stored, const ReefType *wanted, uint8_t *out)
{
	int			i;

	if (vector->kind == REEF_KIND_INT16 && wanted->kind == REEF_KIND_INT32)
	{
		const int16_t *from = (const int16_t *) vector->values + at;

		for (i = 0; i < count; i++)
			((int32_t *) (void *) out)[i] = from[i];
		return;
	}
	if (vector->kind == REEF_KIND_INT16 && wanted->kind == REEF_KIND_INT64)
	{
		const int16_t *from = (const int16_t *) vector->values + at;

		for (i = 0; i < count; i++)
			((int64_t *) (void *) out)[i] = from[i];
		return;
	}
	if (vector->kind == REEF_KIND_INT32 && wanted->kind == REEF_KIND_INT64)
	{
		const int32_t *from = (const int32_t *) vector->values + at;

		for (i = 0; i < count; i++)
			((int64_t *) (void *) out)[i] = from[i];
		return;
	}
	for (i = 0; i < count; i++)
	{
		size_t		size = (size_t) reef_vector_element_size(wanted->kind);
		ReefValue	value;

		reef_vector_get(vector, (int) at + i, &value);
		if (value.is_null)
			continue;
		reef_value_widen(stored, wanted, &value);
		memcpy(out + (size_t) i * size, &value.as, size);
	}
}

/* Make column i of the batch the rows of its page from "at" on. */
static ReefCode
set_column(ReefScan *scan, const ReefSegment *segment, const int *map, int i,
		   uint32_t at, int count, ReefError *err)
{
	const ReefType *wanted = &scan->wanted.columns[i].type;
	ReefVector *vector = &scan->vectors[i];
	const ReefVector *stored;

	vector->kind = wanted->kind;
	if (map[i] < 0)
	{
		REEF_TRY(reef_scan_reserve_column(scan, i, err));
		memset(scan->columns[i].nulls, 1, (size_t) count);
		vector->nulls = scan->columns[i].nulls;
		vector->values = scan->columns[i].values;
		return REEF_OK;
	}
	stored = &scan->columns[i].page->vector;
	vector->nulls = stored->nulls == NULL ? NULL : stored->nulls + at;
	if (stored->kind == wanted->kind)
	{
		vector->values = (const uint8_t *) stored->values +
			(size_t) at * (size_t) reef_vector_element_size(wanted->kind);
		return REEF_OK;
	}
	REEF_TRY(reef_scan_reserve_column(scan, i, err));
	widen_values(stored, at, count, &segment->schema->columns[map[i]].type,
				 wanted, scan->columns[i].values);
	vector->values = scan->columns[i].values;
	return REEF_OK;
}

/* "lsn" is that of all rows, or UINT64_MAX: each has its own. */
static ReefCode
set_lsns(ReefScan *scan, const ReefSegment *segment, uint64_t lsn,
		 uint32_t at, int count, ReefError *err)
{
	const ReefVector *vector;
	int			i;

	if (!scan->spec.want_lsns)
		return REEF_OK;
	if (lsn == UINT64_MAX && scan->page_lsns != NULL &&
		scan->page_lsns->vector.nulls == NULL)
	{
		scan->batch.lsns = (const int64_t *)
			scan->page_lsns->vector.values + at;
		return REEF_OK;
	}
	REEF_TRY(reef_scan_reserve_rows(scan, err));
	vector = lsn == UINT64_MAX && scan->page_lsns != NULL ?
		&scan->page_lsns->vector : NULL;
	if (lsn == UINT64_MAX)
		lsn = segment->lsn_max;
	for (i = 0; i < count; i++)
	{
		scan->lsns[i] = (int64_t) lsn;
		if (vector != NULL && vector->nulls[at + (uint32_t) i] == 0)
			scan->lsns[i] =
				((const int64_t *) vector->values)[at + (uint32_t) i];
	}
	scan->batch.lsns = scan->lsns;
	return REEF_OK;
}

/* Point the batch at "count" rows of the current page. */
static ReefCode
set_rows(ReefScan *scan, ReefSegment *segment, const int *map, uint64_t lsn,
		 uint32_t at, int count, ReefError *err)
{
	int			i;

	REEF_TRY(pin_columns(scan, segment, map, err));
	reef_scan_begin_batch(scan, count);
	for (i = 0; i < scan->wanted.column_count; i++)
		REEF_TRY(set_column(scan, segment, map, i, at, count, err));
	if (scan->spec.want_keys)
		scan->batch.keys = scan->is_point ? &scan->range.low :
			scan->page_keys->keys + at;
	return set_lsns(scan, segment, lsn, at, count, err);
}

/* The columns of a segment that point lookups use, found or made. */
static ReefCode
point_columns(ReefScan *scan, ReefSegment *segment, int **map, ReefError *err)
{
	ReefPointSegment *point;
	int			i;

	for (i = 0; i < REEF_POINT_SEGMENTS; i++)
	{
		if (scan->points[i].segment == segment)
		{
			*map = scan->points[i].columns;
			return REEF_OK;
		}
	}
	point = &scan->points[scan->next_point];
	scan->next_point = (scan->next_point + 1) % REEF_POINT_SEGMENTS;
	reef_segment_release(point->segment);
	point->segment = NULL;
	if (point->columns == NULL)
		point->columns =
			reef_arena_alloc(&scan->arena, sizeof(int) *
							 (size_t) (scan->wanted.column_count + 1));
	if (point->columns == NULL)
		return reef_error_no_memory(err, sizeof(int));
	REEF_TRY(reef_scan_map_columns(scan, segment->schema, point->columns,
								   err));
	segment->references++;
	point->segment = segment;
	*map = point->columns;
	return REEF_OK;
}

ReefCode
reef_scan_fill_point(ReefScan *scan, ReefSegment *segment,
					 const ReefRowPosition *position, uint64_t lsn,
					 ReefError *err)
{
	int		   *map = NULL;

	REEF_TRY(point_columns(scan, segment, &map, err));
	scan->row_group = position->row_group;
	scan->page = position->page;
	return set_rows(scan, segment, map, lsn, position->row, 1, err);
}

/* ---- pages ---- */

/* Are rows only counted? */
static bool
is_bare(const ReefScan *scan)
{
	return scan->wanted.column_count == 0 && !scan->spec.want_keys &&
		!scan->spec.want_lsns;
}

static ReefCode
begin_segment(ReefScan *scan, ReefSource *source, ReefError *err)
{
	const ReefSegmentMeta *meta = source->meta;
	bool		may_hide = true;
	bool		found;

	scan->is_begun = true;
	scan->has_page = false;
	if (is_bare(scan) && meta->tombstone_count == 0 &&
		reef_range_compare(&scan->range, meta->key_min) == 0 &&
		reef_range_compare(&scan->range, meta->key_max) == 0)
		REEF_TRY(reef_mask_check(scan, source, meta->key_min, meta->key_max,
								 &may_hide, err));
	if (!may_hide)
	{
		scan->bare_rows = meta->row_count;
		scan->row_group = -1;
		return REEF_OK;
	}
	REEF_TRY(reef_scan_open_source(scan, source, err));
	scan->counters.segments_read++;
	REEF_TRY(reef_segment_seek(source->segment, scan->range.low,
							   &scan->row_group, &scan->page, &found, err));
	if (!found)
		scan->row_group = -1;
	else
	{
		scan->counters.row_groups_read++;
		scan->page--;			/* next_page goes to it */
	}
	return REEF_OK;
}

/* Room for a page's flags, cleared. */
static ReefCode
reserve_hidden(ReefScan *scan, uint32_t row_count, ReefError *err)
{
	if (scan->page_hidden_size < row_count)
	{
		uint8_t    *hidden = realloc(scan->page_hidden, row_count);

		if (hidden == NULL)
			return reef_error_no_memory(err, row_count);
		scan->page_hidden = hidden;
		scan->page_hidden_size = row_count;
	}
	memset(scan->page_hidden, 0, row_count);
	scan->has_hidden = true;
	return REEF_OK;
}

/* The stamps of a page's rows, each with its own LSN. */
static ReefCode
fill_stamps(ReefScan *scan, const ReefSegment *segment, uint32_t row_count,
			ReefError *err)
{
	const ReefVector *vector = &scan->page_lsns->vector;
	uint32_t	i;

	if (scan->page_stamps_size < row_count)
	{
		uint64_t   *stamps = realloc(scan->page_stamps,
									 sizeof(*stamps) * row_count);

		if (stamps == NULL)
			return reef_error_no_memory(err, sizeof(*stamps) * row_count);
		scan->page_stamps = stamps;
		scan->page_stamps_size = row_count;
	}
	for (i = 0; i < row_count; i++)
	{
		uint64_t	lsn = segment->lsn_max;

		if (vector->nulls == NULL || vector->nulls[i] == 0)
			lsn = (uint64_t) ((const int64_t *) vector->values)[i];
		scan->page_stamps[i] = reef_stamp_of_lsn(lsn);
	}
	return REEF_OK;
}

/* Flag the rows of the page that newer sources hide. */
static ReefCode
mask_page(ReefScan *scan, ReefSource *source, const ReefPageBounds *bounds,
		  ReefError *err)
{
	ReefSegment *segment = source->segment;
	ReefMaskRows rows;
	bool		may_hide;

	REEF_TRY(reef_mask_check(scan, source, bounds->low, bounds->high,
							 &may_hide, err));
	if (!may_hide)
		return REEF_OK;
	memset(&rows, 0, sizeof(rows));
	rows.stamp = source->stamp_max;
	REEF_TRY(reef_segment_pin(segment, scan->row_group, scan->page,
							  REEF_PAGE_KEYS, reef_scan_page_use(scan),
								  &scan->page_keys, err));
	if (source->needs_stamps && source->stamp_min != source->stamp_max)
	{
		REEF_TRY(reef_segment_pin(segment, scan->row_group, scan->page,
								  segment->lsn_column,
								  reef_scan_page_use(scan), &scan->page_lsns,
								  err));
		REEF_TRY(fill_stamps(scan, segment, bounds->row_count, err));
		rows.stamps = scan->page_stamps + scan->row;
	}
	REEF_TRY(reserve_hidden(scan, bounds->row_count, err));
	rows.keys = scan->page_keys->keys + scan->row;
	rows.count = scan->row_end - scan->row;
	rows.hidden = scan->page_hidden + scan->row;
	REEF_TRY(reef_mask_apply(scan, source, &rows, err));
	scan->has_hidden = rows.hidden_count > 0;
	if (rows.hidden_count == rows.count)
		scan->row = scan->row_end;
	return REEF_OK;
}

/* Flag the tombstones of the page. */
static ReefCode
hide_tombstones(ReefScan *scan, ReefSource *source, uint32_t row_count,
				ReefError *err)
{
	ReefPage   *ops;
	uint32_t	i;
	ReefCode	rc = REEF_OK;

	if (source->segment->tombstone_count == 0)
		return REEF_OK;
	REEF_TRY(reef_segment_pin(source->segment, scan->row_group, scan->page,
							  source->segment->op_column,
							  reef_scan_page_use(scan), &ops, err));
	for (i = scan->row; i < scan->row_end && rc == REEF_OK; i++)
	{
		if ((ops->vector.nulls != NULL && ops->vector.nulls[i] != 0) ||
			((const int32_t *) ops->vector.values)[i] == 0)
			continue;
		if (!scan->has_hidden)
			rc = reserve_hidden(scan, row_count, err);
		if (rc == REEF_OK)
			scan->page_hidden[i] = 1;
	}
	reef_page_unpin(ops);
	return rc;
}

/* Find out which rows of the page the scan wants. */
static ReefCode
begin_page(ReefScan *scan, ReefSource *source, const ReefPageBounds *bounds,
		   ReefError *err)
{
	scan->has_hidden = false;
	scan->row = 0;
	scan->row_end = bounds->row_count;
	if (!reef_range_contains(&scan->range, bounds->low, bounds->high))
		REEF_TRY(reef_segment_rows(source->segment, scan->row_group,
								   scan->page, reef_range_compare,
								   &scan->range, &scan->row, &scan->row_end,
								   err));
	if (scan->row < scan->row_end && source->masker_count > 0)
		REEF_TRY(mask_page(scan, source, bounds, err));
	if (scan->row < scan->row_end)
		REEF_TRY(hide_tombstones(scan, source, bounds->row_count, err));
	if (is_bare(scan) && !scan->has_hidden)
	{
		scan->bare_rows = scan->row_end - scan->row;
		scan->row = scan->row_end;
	}
	scan->has_page = scan->row < scan->row_end;
	return REEF_OK;
}

/* Go to the next page that has rows for the scan; row_group -1 at the end. */
static ReefCode
next_page(ReefScan *scan, ReefSource *source, ReefError *err)
{
	const ReefHost *host = scan->ns->host;

	while (scan->row_group >= 0 && !scan->has_page && scan->bare_rows == 0)
	{
		int			group = scan->row_group;
		const ReefPageBounds *bounds;
		bool		found;

		if (host->cancelled(host->arg))
			return reef_error_set(err, REEF_CANCELLED, "cancelled", NULL);
		reef_scan_unpin_pages(scan);
		REEF_TRY(reef_segment_next_page(source->segment, &scan->row_group,
										&scan->page, &found, err));
		if (!found)
		{
			scan->row_group = -1;
			break;
		}
		scan->counters.row_groups_read += scan->row_group != group;
		scan->pages_passed++;
		bounds = &source->segment->groups[scan->row_group].pages[scan->page];
		if (reef_range_overlaps(&scan->range, bounds->low, bounds->high))
			REEF_TRY(begin_page(scan, source, bounds, err));
		else if (reef_range_compare(&scan->range, bounds->low) > 0)
			scan->row_group = -1;
	}
	return REEF_OK;
}

/* The next rows of the page; the batch may stay empty. */
static ReefCode
next_page_batch(ReefScan *scan, ReefSource *source, ReefError *err)
{
	uint32_t	at = scan->row;
	uint32_t	left = scan->row_end - at;
	int			count = left < REEF_BATCH_MAX_ROWS ? (int) left :
		REEF_BATCH_MAX_ROWS;
	uint64_t	lsn = UINT64_MAX;
	int			visible = 0;
	int			i;

	scan->row += (uint32_t) count;
	scan->has_page = scan->row < scan->row_end;
	if (scan->has_hidden && scan->selection == NULL)
	{
		scan->selection = reef_arena_alloc(&scan->arena, sizeof(uint16_t) *
										   REEF_BATCH_MAX_ROWS);
		if (scan->selection == NULL)
			return reef_error_no_memory(err, sizeof(uint16_t));
	}
	for (i = 0; scan->has_hidden && i < count; i++)
	{
		if (scan->page_hidden[at + (uint32_t) i] == 0)
			scan->selection[visible++] = (uint16_t) i;
	}
	if (scan->has_hidden && visible == 0)
		return REEF_OK;
	if (source->is_own || source->lsn > 0)
		lsn = source->lsn;
	REEF_TRY(set_rows(scan, source->segment, source->columns, lsn, at, count,
					  err));
	if (scan->has_hidden && visible < count)
	{
		scan->batch.selection = scan->selection;
		scan->batch.row_count = visible;
	}
	return REEF_OK;
}

ReefCode
reef_scan_next_page_rows(ReefScan *scan, ReefSource *source, ReefError *err)
{
	if (!scan->is_begun)
		REEF_TRY(begin_segment(scan, source, err));
	for (;;)
	{
		if (scan->bare_rows > 0)
		{
			int			count = scan->bare_rows < REEF_BATCH_MAX_ROWS ?
				(int) scan->bare_rows : REEF_BATCH_MAX_ROWS;

			reef_scan_begin_batch(scan, count);
			scan->bare_rows -= (uint64_t) count;
			return REEF_OK;
		}
		if (scan->has_page)
			REEF_TRY(next_page_batch(scan, source, err));
		else if (scan->row_group < 0)
			break;
		else
			REEF_TRY(next_page(scan, source, err));
		if (scan->batch.row_count > 0)
			return REEF_OK;
	}
	reef_scan_unpin_pages(scan);
	reef_segment_release(source->segment);
	source->segment = NULL;
	return REEF_OK;
}
