/*
 * fold_merge.c
 *	  From memtable generations to level-0 segments.
 *
 * A key may have versions in several generations; its row is the newest one
 * that is not void.  Whether the row may hide one below the window is decided
 * by the oldest that is not void: written under "absent" it found nothing
 * there.  A key that was absent before and is deleted after leaves no row.
 * Where segments were attached in the window, one of them may have brought the
 * key between two of its versions; then a key with several hides.
 *
 * Attached segments are files already and become level-0 segments as they are.
 * Their rows and those of the memtable must not overlap in LSNs, or the order
 * of segments would no longer be the order of versions [I8]: so the memtable is
 * written in groups, cut at the LSNs of the attached segments,
 *
 *	  rows below a1 | attached at a1 | rows from a1 to below a2 | attached at a2 |
 *
 * rows at a1 itself after the segment, for within one record attached rows
 * are the older ones.  Oldest first, this is the order in the manifest.
 *
 * The last segment carries a copy of the manifest, so a segment is finished
 * only when another one begins, or nothing comes any more.
 */
#include "engine/fold_merge.h"

/* Rows between two questions whether to stop. */
#define CANCEL_CHECK_ROWS 1024

/* ---- merge ---- */

ReefCode
reef_fold_merge_init(ReefFoldMerge *merge, const ReefHost *host,
					 ReefGeneration **generations, int count,
					 ReefArena *arena, ReefError *err)
{
	int			i;

	merge->host = host;
	merge->count = count;
	merge->generations = generations;
	merge->nodes = reef_arena_alloc(arena, sizeof(*merge->nodes) *
									(size_t) count);
	if (merge->nodes == NULL)
		return reef_error_no_memory(err, sizeof(*merge->nodes));
	merge->has_attached = false;
	for (i = 0; i < count; i++)
	{
		merge->nodes[i] = reef_skiplist_seek(&generations[i]->rows,
											 reef_slice(NULL, 0));
		if (atomic_load(&generations[i]->first_attached) != NULL)
			merge->has_attached = true;
	}
	return REEF_OK;
}

/* Take this key's versions from every generation and step over it. */
static void
take_key(ReefFoldMerge *merge, ReefSlice key, ReefFoldRow *row)
{
	const ReefVersion *oldest = NULL;
	int			i;

	row->key = key;
	row->newest = NULL;
	for (i = merge->count - 1; i >= 0; i--)
	{
		const ReefVersion *version;

		if (merge->nodes[i] == NULL ||
			!reef_slice_equal(merge->nodes[i]->key, key))
			continue;
		for (version = reef_node_newest(merge->nodes[i]); version != NULL;
			 version = version->older)
		{
			if (reef_applied_is_void(merge->host, version->applied))
				continue;
			if (row->newest == NULL)
				row->newest = version;
			oldest = version;
		}
		merge->nodes[i] = reef_skiplist_next(merge->nodes[i]);
	}
	row->is_superseding = oldest != NULL &&
		(oldest->condition != REEF_CONDITION_ABSENT ||
		 (merge->has_attached && row->newest != oldest));
}

bool
reef_fold_merge_next(ReefFoldMerge *merge, ReefFoldRow *row)
{
	for (;;)
	{
		const ReefNode *smallest = NULL;
		int			i;

		for (i = 0; i < merge->count; i++)
		{
			if (merge->nodes[i] != NULL &&
				(smallest == NULL ||
				 reef_slice_compare(merge->nodes[i]->key, smallest->key) < 0))
				smallest = merge->nodes[i];
		}
		if (smallest == NULL)
			return false;
		take_key(merge, smallest->key, row);
		if (row->newest != NULL &&
			(row->newest->op != REEF_OP_DELETE || row->is_superseding))
			return true;
	}
}

/* ---- write ---- */

/* One group of rows on its way into segments. */
typedef struct Writing
{
	ReefNamespace *ns;
	const ReefSchema *schema;
	ReefFoldOutput *output;
	ReefSegmentWriter *writer;	/* NULL before the first segment */
	bool		is_cut;			/* the next row begins another segment */
	ReefArena	row_arena;
	ReefValue  *values;			/* [schema->column_count] */
	ReefValue  *stored;			/* [by the layout] */
	const ReefLayout *layout;	/* that column_map is for */
	int		   *column_map;		/* layout column -> schema column */
	uint64_t	rows;
} Writing;

/*
 * The manifest's list is in the order of highest LSNs.  The segments of one
 * group, which have no keys in common, come in the order of keys.
 */
static ReefCode
append_segment(ReefFoldOutput *output, const ReefSegmentMeta *meta,
			   ReefError *err)
{
	int			place;

	if (output->segment_count == output->capacity)
	{
		int			capacity = output->capacity * 2 + 8;
		ReefSegmentMeta *grown;

		grown = reef_arena_alloc(output->arena, sizeof(*grown) *
								 (size_t) capacity);
		if (grown == NULL)
			return reef_error_no_memory(err, sizeof(*grown));
		if (output->segment_count > 0)
			memcpy(grown, output->segments, sizeof(*grown) *
				   (size_t) output->segment_count);
		output->segments = grown;
		output->capacity = capacity;
	}
	for (place = output->segment_count++;
		 place > 0 && output->segments[place - 1].lsn_max > meta->lsn_max;
		 place--)
		output->segments[place] = output->segments[place - 1];
	output->segments[place] = *meta;
	return REEF_OK;
}

static ReefCode
finish_segment(Writing *writing, ReefError *err)
{
	ReefSegmentWriter *writer = writing->writer;
	ReefSegmentMeta meta;

	if (writer == NULL)
		return REEF_OK;
	writing->writer = NULL;
	REEF_TRY(reef_segment_writer_finish(writer, writing->output->arena, &meta,
										err));
	writing->output->written_count++;
	writing->output->bytes += meta.size;
	return append_segment(writing->output, &meta, err);
}

static ReefCode
map_layout(Writing *writing, const ReefLayout *layout, ReefError *err)
{
	int			i;

	writing->layout = layout;
	for (i = 0; i < layout->schema.column_count; i++)
	{
		const ReefColumn *column = &layout->schema.columns[i];

		writing->column_map[i] = reef_schema_find(writing->schema,
												  column->name);
		if (writing->column_map[i] < 0)
			return reef_error_set(err, REEF_BUG,
								  "a column is missing from the merged schema",
								  "column \"%s\"", column->name);
	}
	return REEF_OK;
}

static ReefCode
decode_version(Writing *writing, const ReefFoldRow *row, ReefError *err)
{
	const ReefLayout *layout = row->newest->layout;
	int			i;

	for (i = 0; i < writing->schema->column_count; i++)
		writing->values[i].is_null = true;
	if (row->newest->op == REEF_OP_DELETE)
		return reef_key_decode(row->key, writing->schema, &writing->row_arena,
							   writing->values, err);

	if (layout != writing->layout)
		REEF_TRY(map_layout(writing, layout, err));
	REEF_TRY(reef_document_decode(row->newest->document,
								  layout->schema.columns,
								  layout->schema.column_count,
								  writing->stored, err));
	for (i = 0; i < layout->schema.column_count; i++)
	{
		int			place = writing->column_map[i];

		reef_value_widen(&layout->schema.columns[i].type,
						 &writing->schema->columns[place].type,
						 &writing->stored[i]);
		writing->values[place] = writing->stored[i];
	}
	return REEF_OK;
}

static ReefCode
write_row(Writing *writing, const ReefFoldRow *row, ReefError *err)
{
	ReefNamespace *ns = writing->ns;

	if (writing->rows % CANCEL_CHECK_ROWS == 0)
	{
		if (ns->host->cancelled(ns->host->arg))
			return reef_error_set(err, REEF_CANCELLED, "folding was cancelled",
								  NULL);
		if (ns->host->progress != NULL)
			ns->host->progress(ns->host->arg, "writing rows", writing->rows,
							   0);
	}
	writing->rows++;
	if (writing->writer != NULL &&
		(writing->is_cut || reef_segment_writer_size(writing->writer) >=
		 ns->settings->target_segment_size))
		REEF_TRY(finish_segment(writing, err));
	if (writing->writer == NULL)
		REEF_TRY(reef_segment_writer_new(ns->store, ns->prefix, ns->settings,
										 ns->shared->namespace_id,
										 writing->schema, 0, true,
										 &writing->writer, err));
	writing->is_cut = false;
	reef_arena_reset(&writing->row_arena);
	REEF_TRY(decode_version(writing, row, err));
	writing->output->rows++;
	return reef_segment_writer_add(writing->writer, row->key,
								   row->newest->applied->lsn,
								   row->newest->op == REEF_OP_DELETE,
								   row->is_superseding, writing->values, err);
}

/* The rows whose newest version has an LSN in [low, high). */
static ReefCode
write_group(Writing *writing, ReefFoldMerge *merge, uint64_t low,
			uint64_t high, ReefError *err)
{
	ReefFoldRow row;

	while (reef_fold_merge_next(merge, &row))
	{
		uint64_t	lsn = row.newest->applied->lsn;

		if (lsn >= low && lsn < high)
			REEF_TRY(write_row(writing, &row, err));
	}
	writing->is_cut = true;
	return REEF_OK;
}

static ReefCode
write_range(Writing *writing, ReefGeneration **generations, int count,
			uint64_t low, uint64_t high, ReefError *err)
{
	ReefFoldMerge merge;
	ReefArena	arena;
	ReefCode	rc;

	if (low >= high)
		return REEF_OK;
	reef_arena_init(&arena, 0);
	rc = reef_fold_merge_init(&merge, writing->ns->host, generations, count,
							  &arena, err);
	if (rc == REEF_OK)
		rc = write_group(writing, &merge, low, high, err);
	reef_arena_release(&arena);
	return rc;
}

static ReefCode
write_all(Writing *writing, ReefGeneration **generations, int count,
		  ReefError *err)
{
	const ReefHost *host = writing->ns->host;
	uint64_t	low = 0;
	int			i;

	for (i = 0; i < count; i++)
	{
		const ReefAttached *attached;

		attached = atomic_load(&generations[i]->first_attached);
		for (; attached != NULL; attached = atomic_load(&attached->next))
		{
			if (reef_applied_is_void(host, attached->applied))
				continue;
			REEF_TRY(write_range(writing, generations, count, low,
								 attached->applied->lsn, err));
			low = attached->applied->lsn;
			REEF_TRY(append_segment(writing->output, &attached->meta, err));
		}
	}
	return write_range(writing, generations, count, low, UINT64_MAX, err);
}

/* The last segment, with everything before it known. */
static ReefCode
finish_last(Writing *writing, ReefError *err)
{
	ReefFoldOutput *output = writing->output;
	ReefManifest copy;

	if (writing->writer != NULL && output->describe != NULL)
	{
		REEF_TRY(output->describe(output->describe_arg, output, &copy, err));
		REEF_TRY(reef_segment_writer_set_manifest(writing->writer, &copy,
												  &output->has_copy, err));
	}
	return finish_segment(writing, err);
}

ReefCode
reef_fold_write(ReefNamespace *ns, const ReefSchema *schema,
				ReefGeneration **generations, int count,
				ReefFoldOutput *output, ReefError *err)
{
	Writing		writing = {.ns = ns, .schema = schema, .output = output};
	size_t		columns = (size_t) schema->column_count + 1;
	ReefCode	rc;

	/* a layout has at most the columns of the merged schema */
	writing.values = reef_arena_calloc(output->arena,
									   columns * sizeof(*writing.values));
	writing.stored = reef_arena_calloc(output->arena,
									   columns * sizeof(*writing.stored));
	writing.column_map = reef_arena_calloc(output->arena, columns *
										   sizeof(*writing.column_map));
	if (writing.values == NULL || writing.stored == NULL ||
		writing.column_map == NULL)
		return reef_error_no_memory(err, columns * sizeof(ReefValue));

	reef_arena_init(&writing.row_arena, 0);
	rc = write_all(&writing, generations, count, err);
	if (rc == REEF_OK)
		rc = finish_last(&writing, err);
	reef_segment_writer_abort(writing.writer);
	reef_arena_release(&writing.row_arena);
	return rc;
}
