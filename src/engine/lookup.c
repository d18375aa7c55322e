/*
 * lookup.c
 *	  One key in one view: where is its newest row?
 *
 * Generations are asked newest first, each with the segments its records
 * attached, then the manifest's segments.  As soon as a row is found, only
 * what might hold a newer one is asked: its LSN range must reach above the
 * row's.  That usually is nothing, so a lookup costs one skip list search a
 * generation and at most a few segments, chosen by their key ranges.
 */
#include "engine/scan.h"

uint64_t
reef_applied_stamp(const ReefApplied *applied, bool is_row)
{
	return reef_stamp_of_lsn(applied->lsn) | (uint64_t) applied->frame << 1 |
		(is_row ? 1 : 0);
}

uint64_t
reef_view_applied_lsn(const ReefView *view)
{
	return view->loaded == NULL ? 0 :
		view->loaded->manifest.last_applied_lsn;
}

bool
reef_view_sees_attached(const ReefView *view, const ReefAttached *attached)
{
	return attached->applied->lsn > reef_view_applied_lsn(view) &&
		reef_applied_visible(view, attached->applied);
}

ReefCode
reef_view_segment(ReefView *view, const ReefSegmentMeta *meta,
				  const ReefSchema *schema, ReefSegment **segment,
				  ReefError *err)
{
	reef_segment_cache_set_namespace(view->ns->segments,
									 view->ns->shared->namespace_id);
	return reef_segment_get(view->ns->segments, meta, schema, segment, err);
}

static bool
meta_has_key(const ReefSegmentMeta *meta, ReefSlice key)
{
	return reef_slice_compare(key, meta->key_min) >= 0 &&
		reef_slice_compare(key, meta->key_max) <= 0;
}

/*
 * Look into a segment.  "attached_stamp" is that of all its rows; 0: each has
 * its own.  A row older than what has been found is not taken.
 */
static ReefCode
locate_in_segment(ReefView *view, const ReefSegmentMeta *meta,
				  const ReefApplied *applied, ReefSlice key,
				  uint64_t after_lsn, ReefLocation *location, ReefError *err)
{
	ReefSegment *segment;
	ReefRowPosition position;
	bool		is_tombstone;
	uint64_t	lsn;
	uint64_t	stamp;
	ReefCode	rc;

	REEF_TRY(reef_view_segment(view, meta, &view->schema, &segment, err));
	rc = reef_segment_find(segment, key, &position, &is_tombstone, &lsn, err);
	if (rc != REEF_OK)
	{
		reef_segment_release(segment);
		return rc == REEF_NOT_FOUND ? REEF_OK : rc;
	}
	if (applied != NULL)
	{
		lsn = applied->lsn;
		stamp = reef_applied_stamp(applied, false);
	}
	else
		stamp = reef_stamp_of_lsn(lsn);
	if (lsn <= after_lsn || stamp <= location->stamp)
	{
		reef_segment_release(segment);
		return REEF_OK;
	}
	reef_segment_release(location->segment);
	location->version = NULL;
	location->segment = segment;
	location->position = position;
	location->is_deleted = is_tombstone;
	location->lsn = lsn;
	location->stamp = stamp;
	return REEF_OK;
}

static ReefCode
locate_in_generation(ReefView *view, ReefGeneration *generation, ReefSlice key,
					 uint64_t after_lsn, ReefLocation *location,
					 ReefError *err)
{
	ReefNode   *node = reef_skiplist_find(&generation->rows, key);
	ReefVersion *version = NULL;
	ReefAttached *attached;

	if (node != NULL)
		version = reef_view_version(view, node);
	if (version != NULL && version->applied->lsn > after_lsn &&
		version->applied->lsn > reef_view_applied_lsn(view))
	{
		location->version = version;
		location->is_deleted = version->op == REEF_OP_DELETE;
		location->lsn = version->applied->lsn;
		location->stamp = reef_applied_stamp(version->applied, true);
	}
	attached = atomic_load_explicit(&generation->first_attached,
									memory_order_acquire);
	while (attached != NULL)
	{
		if (attached->applied->lsn > after_lsn &&
			reef_applied_stamp(attached->applied, false) > location->stamp &&
			meta_has_key(&attached->meta, key) &&
			reef_view_sees_attached(view, attached))
			REEF_TRY(locate_in_segment(view, &attached->meta,
									   attached->applied, key, after_lsn,
									   location, err));
		attached = atomic_load_explicit(&attached->next,
										memory_order_acquire);
	}
	return REEF_OK;
}

/* The only level-1 segment that may have the key; level 1 comes first in the
 * list, disjoint and by key. */
static int
find_level_1(const ReefManifest *manifest, int level_1_count, ReefSlice key)
{
	int			first = 0;
	int			end = level_1_count;

	while (first < end)
	{
		int			middle = first + (end - first) / 2;

		if (reef_slice_compare(manifest->segments[middle].key_max, key) < 0)
			first = middle + 1;
		else
			end = middle;
	}
	return first;
}

static ReefCode
locate_in_manifest(ReefView *view, ReefSlice key, uint64_t after_lsn,
				   ReefLocation *location, ReefError *err)
{
	const ReefManifest *manifest = &view->loaded->manifest;
	int			i;

	for (i = manifest->segment_count - 1; i >= 0; i--)
	{
		const ReefSegmentMeta *meta = &manifest->segments[i];

		if (meta->level > 0)
		{
			int			place = find_level_1(manifest, i + 1, key);

			if (place > i)
				break;
			meta = &manifest->segments[place];
		}
		if (meta->lsn_max > location->lsn && meta->lsn_max > after_lsn &&
			meta_has_key(meta, key))
			REEF_TRY(locate_in_segment(view, meta, NULL, key, after_lsn,
									   location, err));
		if (meta->level > 0)
			break;
	}
	return REEF_OK;
}

ReefCode
reef_view_locate(ReefView *view, ReefSlice key, uint64_t after_lsn,
				 ReefLocation *location, ReefError *err)
{
	ReefCode	rc = REEF_OK;
	int			i;

	memset(location, 0, sizeof(*location));
	for (i = view->generation_count - 1;
		 i >= 0 && rc == REEF_OK && location->stamp == 0; i--)
		rc = locate_in_generation(view, view->generations[i], key, after_lsn,
								  location, err);
	if (rc == REEF_OK && location->stamp == 0 && view->loaded != NULL &&
		view->loaded->manifest.segment_count > 0)
		rc = locate_in_manifest(view, key, after_lsn, location, err);
	if (rc != REEF_OK)
	{
		reef_segment_release(location->segment);
		location->segment = NULL;
		return rc;
	}
	return location->stamp == 0 ? REEF_NOT_FOUND : REEF_OK;
}

/* The columns asked for out of a version's document. */
static ReefCode
version_values(const ReefVersion *version, const ReefColumn *columns,
			   int column_count, ReefArena *arena, ReefValue *values,
			   ReefError *err)
{
	const ReefSchema *stored = &version->layout->schema;
	ReefValue  *all;
	int			i;

	all = reef_arena_alloc(arena, sizeof(ReefValue) *
						   (size_t) (stored->column_count + 1));
	if (all == NULL)
		return reef_error_no_memory(err, sizeof(ReefValue));
	REEF_TRY(reef_document_decode(version->document, stored->columns,
								  stored->column_count, all, err));
	for (i = 0; i < column_count; i++)
	{
		int			column = reef_schema_find(stored, columns[i].name);
		const ReefType *type;

		if (column < 0)
		{
			memset(&values[i], 0, sizeof(values[i]));
			values[i].is_null = true;
			continue;
		}
		type = &stored->columns[column].type;
		if (!reef_type_widens(type, &columns[i].type))
			return reef_error_set(err, REEF_TYPE_MISMATCH,
								  "column type differs from the stored one",
								  "column \"%s\"", columns[i].name);
		values[i] = all[column];
		if (!values[i].is_null && reef_kind_is_variable(type->kind))
		{
			values[i].as.bytes = reef_arena_copy(arena, all[column].as.bytes);
			if (values[i].as.bytes.size != all[column].as.bytes.size)
				return reef_error_no_memory(err, all[column].as.bytes.size);
		}
		reef_value_widen(type, &columns[i].type, &values[i]);
	}
	return REEF_OK;
}

ReefCode
reef_view_lookup(ReefView *view, ReefSlice key, const ReefColumn *columns,
				 int column_count, ReefArena *arena, ReefValue *values,
				 uint64_t *lsn, ReefError *err)
{
	ReefLocation location;
	ReefCode	rc = REEF_OK;

	REEF_TRY(reef_view_locate(view, key, 0, &location, err));
	if (location.is_deleted)
		rc = REEF_NOT_FOUND;
	else if (values != NULL && location.version != NULL)
		rc = version_values(location.version, columns, column_count, arena,
							values, err);
	else if (values != NULL)
		rc = reef_segment_document(location.segment, &location.position,
								   columns, column_count, arena, values, err);
	*lsn = location.lsn;
	reef_segment_release(location.segment);
	return rc;
}
