/*
 * scan.c
 *	  Scans: one view and one transaction's own writes, as batches of rows.
 *
 * A scan emits its sources one after another, newest first, each row from the
 * source that has its newest version; mask.c knows which rows those are not.
 * The output has no order, so nothing is merged row by row, and a batch can
 * point straight into decoded pages.
 *
 * A range of one key takes another way: reef_view_locate() finds where the row
 * is, and only the page that has it is touched.
 *
 * Own rows are those of commands before the scan's.  If a scan is positioned
 * at a command in whose midst the transaction's buffer was written out as a
 * segment - only a cursor that is older than other commands of its transaction
 * can be - its rows cannot be told apart any more: REEF_SNAPSHOT_TOO_OLD.
 */
#include "engine/scan.h"

#include <stdlib.h>

ReefCode
reef_scan_map_columns(const ReefScan *scan, const ReefSchema *stored, int *map,
					  ReefError *err)
{
	int			i;

	for (i = 0; i < scan->wanted.column_count; i++)
	{
		const ReefColumn *wanted = &scan->wanted.columns[i];
		const ReefType *type;

		map[i] = reef_schema_find(stored, wanted->name);
		if (map[i] < 0)
			continue;
		type = &stored->columns[map[i]].type;
		if (!reef_type_widens(type, &wanted->type))
			return reef_error_set(err, REEF_TYPE_MISMATCH,
								  "column type differs from the stored one",
								  "column \"%s\" is stored as %s and read as %s",
								  wanted->name,
								  type->pg_type != NULL ? type->pg_type :
								  reef_kind_name(type->kind),
								  wanted->type.pg_type != NULL ?
								  wanted->type.pg_type :
								  reef_kind_name(wanted->type.kind));
	}
	return REEF_OK;
}

/* Those of the manifest, attached ones and the transaction's own. */
static int
count_segments(const ReefScan *scan)
{
	const ReefView *view = scan->view;
	const ReefOwnSegment *own;
	int			segments = 0;
	int			i;

	if (view->loaded != NULL)
		segments = view->loaded->manifest.segment_count;
	for (i = 0; i < view->generation_count; i++)
	{
		ReefAttached *attached;

		attached = atomic_load_explicit(&view->generations[i]->first_attached,
										memory_order_acquire);
		for (; attached != NULL && attached->applied->lsn <= view->lsn;
			 attached = atomic_load_explicit(&attached->next,
											 memory_order_acquire))
			segments++;
	}
	if (scan->spec.txn != NULL)
	{
		for (own = reef_txn_segments(scan->spec.txn); own != NULL;
			 own = own->older)
			segments++;
	}
	return segments;
}

ReefCode
reef_scan_open(ReefView *view, const ReefScanSpec *spec, ReefScan **result,
			   ReefError *err)
{
	ReefScan   *scan = calloc(1, sizeof(*scan));
	ReefSchema	wanted = {spec->column_count, NULL};
	size_t		count = (size_t) spec->column_count + 1;
	ReefCode	rc;

	*result = NULL;
	if (scan == NULL)
		return reef_error_no_memory(err, sizeof(*scan));
	scan->view = view;
	scan->ns = view->ns;
	scan->spec = *spec;
	reef_arena_init(&scan->arena, 0);
	reef_arena_init(&scan->restart_arena, 0);
	reef_buf_init(&scan->low);
	reef_buf_init(&scan->high);
	/* reef_schema_copy does not change what it copies */
	wanted.columns = (ReefColumn *) (uintptr_t) spec->columns;
	rc = reef_schema_copy(&scan->arena, &wanted, &scan->wanted, err);
	if (rc == REEF_OK)
	{
		scan->vectors = reef_arena_calloc(&scan->arena,
										  sizeof(ReefVector) * count);
		scan->columns = reef_arena_calloc(&scan->arena,
										  sizeof(ReefScanColumn) * count);
		if (scan->vectors == NULL || scan->columns == NULL)
			rc = reef_error_no_memory(err, sizeof(ReefScanColumn) * count);
	}
	if (rc != REEF_OK)
	{
		reef_scan_close(scan);
		return rc;
	}
	scan->spec.columns = scan->wanted.columns;
	scan->counters.segments = (uint64_t) count_segments(scan);
	*result = scan;
	return REEF_OK;
}

/* Give back what belongs to the last restart. */
static void
reset_scan(ReefScan *scan)
{
	int			i;

	reef_scan_unpin_pages(scan);
	for (i = 0; i < scan->source_count; i++)
	{
		free(scan->sources[i].hiding_keys);
		free(scan->sources[i].hiding_stamps);
		reef_segment_release(scan->sources[i].segment);
	}
	scan->source_count = 0;
	scan->sources = NULL;
	reef_own_rows_unpin(scan->own_rows);
	scan->own_rows = NULL;
	reef_arena_reset(&scan->restart_arena);
	scan->current = 0;
	scan->is_begun = false;
	scan->is_done = false;
	scan->is_positioned = false;
	scan->node = NULL;
	scan->gathered = 0;
	scan->has_page = false;
	scan->bare_rows = 0;
	scan->pages_passed = 0;
}

void
reef_scan_close(ReefScan *scan)
{
	int			i;

	if (scan == NULL)
		return;
	reset_scan(scan);
	for (i = 0; i < REEF_POINT_SEGMENTS; i++)
		reef_segment_release(scan->points[i].segment);
	free(scan->page_hidden);
	free(scan->page_stamps);
	free(scan->values);
	reef_buf_release(&scan->low);
	reef_buf_release(&scan->high);
	reef_arena_release(&scan->arena);
	reef_arena_release(&scan->restart_arena);
	free(scan);
}

const ReefScanCounters *
reef_scan_counters(const ReefScan *scan)
{
	return &scan->counters;
}

/* ---- sources ---- */

/* Does the scan see this segment of its own transaction, all or nothing? */
static ReefCode
check_own_segment(const ReefScan *scan, const ReefOwnSegment *segment,
				  bool *is_seen, ReefError *err)
{
	*is_seen = !segment->is_dead && segment->cid_max < scan->spec.cid;
	if (segment->is_dead || *is_seen || segment->cid_min >= scan->spec.cid)
		return REEF_OK;
	return reef_error_set(err, REEF_SNAPSHOT_TOO_OLD, "snapshot too old",
						  "the transaction has written out rows of commands both before and after this cursor's");
}

static ReefSource *
add_source(ReefScan *scan, uint64_t stamp_min, uint64_t stamp_max)
{
	ReefSource *source = &scan->sources[scan->source_count++];

	memset(source, 0, sizeof(*source));
	source->stamp_min = stamp_min;
	source->stamp_max = stamp_max;
	return source;
}

static bool
in_range(const ReefScan *scan, const ReefSegmentMeta *meta)
{
	return reef_range_overlaps(&scan->range, meta->key_min, meta->key_max);
}

static ReefCode
add_own_sources(ReefScan *scan, ReefError *err)
{
	const ReefOwnSegment *segment;
	ReefSource *source;

	if (scan->spec.txn == NULL)
		return REEF_OK;
	scan->own_rows = reef_own_rows_pin(scan->spec.txn);
	if (scan->own_rows->list.node_count > 0)
	{
		source = add_source(scan, REEF_STAMP_OWN_ROWS, REEF_STAMP_OWN_ROWS);
		source->is_own = true;
		source->rows = &scan->own_rows->list;
	}
	for (segment = reef_txn_segments(scan->spec.txn); segment != NULL;
		 segment = segment->older)
	{
		bool		is_seen;

		REEF_TRY(check_own_segment(scan, segment, &is_seen, err));
		if (!is_seen || !in_range(scan, &segment->meta))
			continue;
		source = add_source(scan, REEF_STAMP_OWN_SEGMENTS,
							REEF_STAMP_OWN_SEGMENTS);
		source->is_own = true;
		source->meta = &segment->meta;
	}
	return REEF_OK;
}

/* Newest first; the list runs the other way round. */
static void
add_attached(ReefScan *scan, ReefAttached *attached)
{
	int			first = scan->source_count;
	int			last;

	for (; attached != NULL;
		 attached = atomic_load_explicit(&attached->next,
										 memory_order_acquire))
	{
		uint64_t	stamp = reef_applied_stamp(attached->applied, false);
		ReefSource *source;

		if (attached->applied->lsn > scan->view->lsn)
			break;
		if (!reef_view_sees_attached(scan->view, attached) ||
			!in_range(scan, &attached->meta))
			continue;
		source = add_source(scan, stamp, stamp);
		source->meta = &attached->meta;
		source->lsn = attached->applied->lsn;
	}
	for (last = scan->source_count - 1; first < last; first++, last--)
	{
		ReefSource	swapped = scan->sources[first];

		scan->sources[first] = scan->sources[last];
		scan->sources[last] = swapped;
	}
}

static void
add_view_sources(ReefScan *scan)
{
	const ReefView *view = scan->view;
	ReefSource *source;
	int			i;

	for (i = view->generation_count - 1; i >= 0; i--)
	{
		ReefGeneration *generation = view->generations[i];

		if (reef_skiplist_seek(&generation->rows,
							   reef_slice(NULL, 0)) != NULL)
		{
			source = add_source(scan,
								reef_stamp_of_lsn(generation->lsn_from + 1),
								reef_stamp_of_lsn(view->lsn + 1) - 1);
			/* of the newest one lsn_to grows; the view does not */
			if (i + 1 < view->generation_count)
				source->stamp_max =
					reef_stamp_of_lsn(atomic_load(&generation->lsn_to) + 1) - 1;
			source->rows = &generation->rows;
		}
		add_attached(scan, atomic_load_explicit(&generation->first_attached,
												memory_order_acquire));
	}
	if (view->loaded == NULL)
		return;
	for (i = view->loaded->manifest.segment_count - 1; i >= 0; i--)
	{
		const ReefSegmentMeta *meta = &view->loaded->manifest.segments[i];

		if (!in_range(scan, meta))
			continue;
		source = add_source(scan, reef_stamp_of_lsn(meta->lsn_min),
							reef_stamp_of_lsn(meta->lsn_max));
		source->meta = meta;
	}
}

/* How many sources there may be. */
static int
count_sources(const ReefScan *scan)
{
	return 1 + scan->view->generation_count + count_segments(scan);
}

static ReefCode
plan_sources(ReefScan *scan, ReefError *err)
{
	size_t		count = (size_t) count_sources(scan);

	scan->sources = reef_arena_alloc(&scan->restart_arena,
									 sizeof(ReefSource) * count);
	if (scan->sources == NULL)
		return reef_error_no_memory(err, sizeof(ReefSource) * count);
	REEF_TRY(add_own_sources(scan, err));
	add_view_sources(scan);
	return reef_mask_plan(scan, err);
}

ReefCode
reef_scan_restart(ReefScan *scan, const ReefKeyRange *range, ReefError *err)
{
	reset_scan(scan);
	memset(&scan->range, 0, sizeof(scan->range));
	if (range != NULL)
	{
		reef_buf_reset(&scan->low);
		reef_buf_reset(&scan->high);
		reef_buf_append(&scan->low, range->low.data, range->low.size);
		if (!range->is_prefix)
			reef_buf_append(&scan->high, range->high.data, range->high.size);
		REEF_TRY(reef_buf_check(&scan->low, err));
		REEF_TRY(reef_buf_check(&scan->high, err));
		scan->range = *range;
		scan->range.low = reef_buf_slice(&scan->low);
		scan->range.high = reef_buf_slice(&scan->high);
		if (range->is_prefix)
			scan->range.high.size = 0;
	}
	scan->is_point = reef_range_is_point(&scan->range);
	if (!scan->is_point)
		REEF_TRY(plan_sources(scan, err));
	scan->is_positioned = true;
	return REEF_OK;
}

/* ---- rows ---- */

void
reef_scan_begin_batch(ReefScan *scan, int row_count)
{
	memset(&scan->batch, 0, sizeof(scan->batch));
	scan->batch.row_count = row_count;
	scan->batch.column_count = scan->wanted.column_count;
	scan->batch.columns = scan->vectors;
}

static ReefCode
fill_version(ReefScan *scan, const ReefVersion *version, ReefError *err)
{
	if (version->op == REEF_OP_DELETE)
		return REEF_OK;
	scan->counters.memtable_rows++;
	REEF_TRY(reef_scan_reserve_rows(scan, err));
	scan->versions[0] = version;
	scan->keys[0] = scan->range.low;
	scan->gathered = 1;
	return reef_scan_fill_rows(scan, err);
}

/* Look in the transaction's own writes; *found also for a deleted row. */
static ReefCode
find_own_point(ReefScan *scan, bool *found, ReefError *err)
{
	ReefSlice	key = scan->range.low;
	const ReefOwnSegment *own;
	const ReefVersion *version = NULL;
	ReefNode   *node;

	*found = false;
	scan->own_rows = reef_own_rows_pin(scan->spec.txn);
	node = reef_skiplist_find(&scan->own_rows->list, key);
	if (node != NULL)
		version = reef_own_version(node, scan->spec.cid);
	if (version != NULL)
	{
		*found = true;
		return fill_version(scan, version, err);
	}
	for (own = reef_txn_segments(scan->spec.txn); own != NULL && !*found;
		 own = own->older)
	{
		ReefSegment *segment;
		ReefRowPosition position;
		bool		is_seen;
		bool		is_tombstone;
		uint64_t	lsn;
		ReefCode	rc;

		if (!in_range(scan, &own->meta))
			continue;
		REEF_TRY(check_own_segment(scan, own, &is_seen, err));
		if (!is_seen)
			continue;
		REEF_TRY(reef_view_segment(scan->view, &own->meta,
								   reef_txn_schema(scan->spec.txn), &segment,
								   err));
		rc = reef_segment_find(segment, key, &position, &is_tombstone, &lsn,
							   err);
		*found = rc == REEF_OK;
		if (rc == REEF_OK)
			rc = reef_scan_fill_point(scan, segment, &position, 0, err);
		reef_segment_release(segment);
		if (rc != REEF_OK && rc != REEF_NOT_FOUND)
			return rc;
	}
	return REEF_OK;
}

static ReefCode
next_point(ReefScan *scan, ReefError *err)
{
	ReefLocation location;
	bool		found = false;
	ReefCode	rc;

	if (scan->is_done)
		return REEF_OK;
	scan->is_done = true;
	scan->counters.lookups++;
	if (scan->spec.txn != NULL)
		REEF_TRY(find_own_point(scan, &found, err));
	if (found)
		return REEF_OK;
	rc = reef_view_locate(scan->view, scan->range.low, 0, &location, err);
	if (rc != REEF_OK)
		return rc == REEF_NOT_FOUND ? REEF_OK : rc;
	if (location.version != NULL)
		rc = fill_version(scan, location.version, err);
	else if (!location.is_deleted)
		rc = reef_scan_fill_point(scan, location.segment, &location.position,
								  location.lsn, err);
	reef_segment_release(location.segment);
	return rc;
}

static ReefCode
next_rows(ReefScan *scan, ReefError *err)
{
	while (scan->current < scan->source_count)
	{
		ReefSource *source = &scan->sources[scan->current];

		if (source->rows != NULL)
			REEF_TRY(reef_scan_next_rows(scan, source, err));
		else
			REEF_TRY(reef_scan_next_page_rows(scan, source, err));
		if (scan->batch.row_count > 0)
			return REEF_OK;
		scan->current++;
		scan->is_begun = false;
	}
	return REEF_OK;
}

ReefCode
reef_scan_next(ReefScan *scan, ReefBatch **batch, ReefError *err)
{
	const ReefHost *host = scan->ns->host;
	ReefSegmentCounters before =
		*reef_segment_cache_counters(scan->ns->segments);
	const ReefSegmentCounters *after;
	ReefCode	rc;

	reef_scan_begin_batch(scan, 0);
	*batch = &scan->batch;
	if (host->cancelled(host->arg))
		return reef_error_set(err, REEF_CANCELLED, "cancelled", NULL);
	if (!scan->is_positioned)
		return reef_error_set(err, REEF_BUG, "scan is not positioned", NULL);
	if (scan->is_point)
	{
		reef_scan_unpin_pages(scan);
		rc = next_point(scan, err);
	}
	else
		rc = next_rows(scan, err);
	after = reef_segment_cache_counters(scan->ns->segments);
	scan->counters.pages_read += after->pages_read - before.pages_read;
	scan->counters.pages_cached += after->pages_cached - before.pages_cached;
	scan->counters.lookup_reads += after->groups_sought -
		before.groups_sought;
	scan->counters.bytes_read += after->bytes_read - before.bytes_read;
	scan->counters.blocks_hit += after->blocks_hit - before.blocks_hit;
	scan->counters.blocks_missed += after->blocks_missed -
		before.blocks_missed;
	return rc;
}
