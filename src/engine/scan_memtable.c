/*
 * scan_memtable.c
 *	  Batches out of skip lists: the memtable's and a transaction's own.
 *
 * Versions are gathered up to a batch, those that newer segments hide are
 * dropped, and the documents of the rest are decoded into columns.  Which of a
 * layout's columns go where is found out once for each layout.
 */
#include "engine/scan.h"

#include <stdlib.h>

ReefCode
reef_scan_reserve_rows(ReefScan *scan, ReefError *err)
{
	size_t		count = REEF_BATCH_MAX_ROWS;

	if (scan->hidden != NULL)
		return REEF_OK;
	scan->versions = reef_arena_alloc(&scan->arena,
									  sizeof(ReefVersion *) * count);
	scan->keys = reef_arena_alloc(&scan->arena, sizeof(ReefSlice) * count);
	scan->stamps = reef_arena_alloc(&scan->arena, sizeof(uint64_t) * count);
	scan->lsns = reef_arena_alloc(&scan->arena, sizeof(int64_t) * count);
	if (scan->versions == NULL || scan->keys == NULL ||
		scan->stamps == NULL || scan->lsns == NULL)
		return reef_error_no_memory(err, sizeof(ReefSlice) * count);
	scan->hidden = reef_arena_alloc(&scan->arena, count);
	if (scan->hidden == NULL)
		return reef_error_no_memory(err, count);
	return REEF_OK;
}

ReefCode
reef_scan_reserve_column(ReefScan *scan, int i, ReefError *err)
{
	ReefScanColumn *column = &scan->columns[i];
	size_t		size = (size_t)
		reef_vector_element_size(scan->wanted.columns[i].type.kind) *
		REEF_BATCH_MAX_ROWS;

	if (column->nulls != NULL)
		return REEF_OK;
	column->values = reef_arena_calloc(&scan->arena, size);
	if (column->values != NULL)
		column->nulls = reef_arena_calloc(&scan->arena, REEF_BATCH_MAX_ROWS);
	if (column->nulls == NULL)
		return reef_error_no_memory(err, size);
	return REEF_OK;
}

/* ---- documents ---- */

static ReefCode
find_layout_map(ReefScan *scan, const ReefLayout *layout,
				const ReefLayoutMap **result, ReefError *err)
{
	size_t		count = (size_t) layout->schema.column_count + 1;
	ReefLayoutMap *map = scan->layout_maps;

	while (map != NULL && map->layout != layout)
		map = map->next;
	if (map == NULL)
	{
		map = reef_arena_alloc(&scan->arena, sizeof(*map) + sizeof(int) *
							   (size_t) (scan->wanted.column_count + 1));
		if (map == NULL)
			return reef_error_no_memory(err, sizeof(*map));
		map->layout = layout;
		REEF_TRY(reef_scan_map_columns(scan, &layout->schema, map->columns,
									   err));
		map->next = scan->layout_maps;
		scan->layout_maps = map;
	}
	if ((int) count > scan->values_count)
	{
		ReefValue  *values = realloc(scan->values, sizeof(*values) * count);

		if (values == NULL)
			return reef_error_no_memory(err, sizeof(*values) * count);
		scan->values = values;
		scan->values_count = (int) count;
	}
	*result = map;
	return REEF_OK;
}

static void
put_value(ReefScanColumn *column, ReefKind kind, int row,
		  const ReefValue *value)
{
	size_t		size = (size_t) reef_vector_element_size(kind);
	uint8_t    *place = column->values + (size_t) row * size;

	switch (size)
	{
		case 1:
			*place = value->as.boolean;
			break;
		case 4:
			memcpy(place, &value->as, 4);
			break;
		case 8:
			memcpy(place, &value->as, 8);
			break;
		case 16:
			memcpy(place, &value->as, 16);
			break;
		default:
			memcpy(place, &value->as, size);
			break;
	}
}

static ReefCode
put_document(ReefScan *scan, const ReefLayoutMap *map,
			 const ReefVersion *version, int row, ReefError *err)
{
	const ReefSchema *stored = &map->layout->schema;
	int			i;

	REEF_TRY(reef_document_decode(version->document, stored->columns,
								  stored->column_count, scan->values, err));
	for (i = 0; i < scan->wanted.column_count; i++)
	{
		const ReefType *wanted = &scan->wanted.columns[i].type;
		int			from = map->columns[i];
		bool		is_null = from < 0 || scan->values[from].is_null;

		scan->columns[i].nulls[row] = is_null;
		if (is_null)
			continue;
		reef_value_widen(&stored->columns[from].type, wanted,
						 &scan->values[from]);
		put_value(&scan->columns[i], wanted->kind, row, &scan->values[from]);
	}
	return REEF_OK;
}

ReefCode
reef_scan_fill_rows(ReefScan *scan, ReefError *err)
{
	const ReefLayoutMap *map = NULL;
	int			i;

	reef_scan_begin_batch(scan, scan->gathered);
	if (scan->spec.want_keys)
		scan->batch.keys = scan->keys;
	if (scan->spec.want_lsns)
	{
		for (i = 0; i < scan->gathered; i++)
			scan->lsns[i] = scan->versions[i]->applied == NULL ? 0 :
				(int64_t) scan->versions[i]->applied->lsn;
		scan->batch.lsns = scan->lsns;
	}
	if (scan->wanted.column_count == 0)
		return REEF_OK;
	for (i = 0; i < scan->wanted.column_count; i++)
	{
		REEF_TRY(reef_scan_reserve_column(scan, i, err));
		scan->vectors[i].kind = scan->wanted.columns[i].type.kind;
		scan->vectors[i].nulls = scan->columns[i].nulls;
		scan->vectors[i].values = scan->columns[i].values;
	}
	for (i = 0; i < scan->gathered; i++)
	{
		const ReefVersion *version = scan->versions[i];

		if (map == NULL || map->layout != version->layout)
			REEF_TRY(find_layout_map(scan, version->layout, &map, err));
		REEF_TRY(put_document(scan, map, version, i, err));
	}
	return REEF_OK;
}

/* ---- gathering ---- */

/* The version of a node that the scan sees and that no segment has. */
static const ReefVersion *
seen_version(const ReefScan *scan, const ReefSource *source,
			 const ReefNode *node)
{
	const ReefVersion *version;

	if (source->is_own)
		return reef_own_version(node, scan->spec.cid);
	version = reef_view_version(scan->view, node);
	if (version != NULL &&
		version->applied->lsn <= reef_view_applied_lsn(scan->view))
		return NULL;
	return version;
}

/* Could there be an older row with this key anywhere? */
static bool
may_hide_others(const ReefVersion *version)
{
	return version->op == REEF_OP_DELETE || version->older != NULL ||
		version->condition != REEF_CONDITION_ABSENT;
}

/* Take versions from the list until a batch is full or the range ends. */
static ReefCode
gather(ReefScan *scan, ReefSource *source, ReefError *err)
{
	bool		has_older = scan->current + 1 < scan->source_count;

	scan->gathered = 0;
	for (; scan->node != NULL && scan->gathered < REEF_BATCH_MAX_ROWS;
		 scan->node = reef_skiplist_next(scan->node))
	{
		int			side = reef_range_compare(&scan->range, scan->node->key);
		const ReefVersion *version;
		uint64_t	stamp = REEF_STAMP_OWN_ROWS;

		if (side > 0)
		{
			scan->node = NULL;
			break;
		}
		if (side < 0)
			continue;
		version = seen_version(scan, source, scan->node);
		if (version == NULL)
			continue;
		if (!source->is_own)
			stamp = reef_applied_stamp(version->applied, true);
		if (has_older && may_hide_others(version))
			REEF_TRY(reef_mask_add(source, scan->node->key, stamp, err));
		if (version->op == REEF_OP_DELETE)
			continue;
		scan->versions[scan->gathered] = version;
		scan->keys[scan->gathered] = scan->node->key;
		scan->stamps[scan->gathered] = stamp;
		scan->gathered++;
	}
	return REEF_OK;
}

/* Drop what newer rows of other sources hide. */
static ReefCode
drop_hidden(ReefScan *scan, ReefSource *source, ReefError *err)
{
	ReefMaskRows rows;
	int			kept = 0;
	int			i;

	if (source->masker_count == 0 || scan->gathered == 0)
		return REEF_OK;
	memset(&rows, 0, sizeof(rows));
	memset(scan->hidden, 0, (size_t) scan->gathered);
	rows.keys = scan->keys;
	rows.count = (uint32_t) scan->gathered;
	rows.stamps = scan->stamps;
	rows.hidden = scan->hidden;
	REEF_TRY(reef_mask_apply(scan, source, &rows, err));
	for (i = 0; i < scan->gathered; i++)
	{
		if (scan->hidden[i] != 0)
			continue;
		scan->versions[kept] = scan->versions[i];
		scan->keys[kept] = scan->keys[i];
		kept++;
	}
	scan->gathered = kept;
	return REEF_OK;
}

ReefCode
reef_scan_next_rows(ReefScan *scan, ReefSource *source, ReefError *err)
{
	const ReefHost *host = scan->ns->host;

	if (!scan->is_begun)
	{
		REEF_TRY(reef_scan_reserve_rows(scan, err));
		scan->node = reef_skiplist_seek(source->rows, scan->range.low);
		scan->is_begun = true;
	}
	scan->gathered = 0;
	while (scan->gathered == 0 && scan->node != NULL)
	{
		if (host->cancelled(host->arg))
			return reef_error_set(err, REEF_CANCELLED, "cancelled", NULL);
		REEF_TRY(gather(scan, source, err));
		REEF_TRY(drop_hidden(scan, source, err));
	}
	scan->counters.memtable_rows += (uint64_t) scan->gathered;
	return reef_scan_fill_rows(scan, err);
}
