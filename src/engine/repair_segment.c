/*
 * repair_segment.c
 *	  Save what can be read of a damaged segment.
 *
 * A page whose checksum is right is what was written, and pages of all columns
 * begin at the same rows: so exactly those rows are lost of which some column's
 * page does not decode.  A row is never put together from less.
 *
 * How many of the rows hide an older one is known for the whole segment only;
 * that of the copy is the most it can be.
 */
#include <inttypes.h>

#include "engine/repair.h"

typedef struct Rewriting
{
	ReefRepair *repair;
	const ReefSegmentMeta *from;
	char		key[REEF_OBJECT_KEY_SIZE];
	ReefSegmentCache *cache;
	ReefSegment *segment;
	ReefSchema	schema;			/* of the file, without our columns */
	int		   *columns;		/* its columns in the file */
	ReefPage  **pages;			/* [file column], pinned */
	ReefPage   *keys;
	ReefValue  *values;
	ReefSegmentWriter *writer;	/* NULL: nobody wants the rows, or not yet */
	bool		is_attached;
	ReefSalvage *salvage;

	/* a run of rows that are lost */
	uint64_t	lost_rows;
	ReefBuf		last_key;		/* before it */
	ReefError	problem;
} Rewriting;

/* ---- what is lost ---- */

static ReefCode
report_lost(Rewriting *rewriting, ReefSlice next_key, ReefError *err)
{
	ReefRepair *repair = rewriting->repair;
	const ReefSegmentMeta *from = rewriting->from;
	ReefSlice	before = reef_buf_slice(&rewriting->last_key);
	bool		has_before = before.size > 0;
	bool		has_next = next_key.size > 0;
	char		low[300];
	char		high[300];

	if (rewriting->lost_rows == 0)
		return REEF_OK;
	reef_key_describe(has_before ? before : from->key_min,
					  &rewriting->schema, low, sizeof(low));
	reef_key_describe(has_next ? next_key : from->key_max,
					  &rewriting->schema, high, sizeof(high));
	REEF_TRY(reef_action_report(repair, err, "lost documents", rewriting->key,
								"%" PRIu64 " rows of records %" PRIu64 " to %" PRIu64 ", keys %s %s %s %s: %s",
								rewriting->lost_rows, from->lsn_min,
								from->lsn_max, has_before ? "above" : "from",
								low, has_next ? "below" : "to", high,
								rewriting->problem.detail));
	rewriting->salvage->lost_rows += rewriting->lost_rows;
	rewriting->salvage->lost_places++;
	rewriting->lost_rows = 0;
	return REEF_OK;
}

/* Is it damage?  Then these rows are lost, and the walk goes on. */
static ReefCode
lose_rows(Rewriting *rewriting, uint64_t rows, ReefCode rc,
		  const ReefError *found, ReefError *err)
{
	if (!reef_verify_is_damage(rc, found))
	{
		*err = *found;
		return rc;
	}
	if (rewriting->lost_rows == 0)
		rewriting->problem = *found;
	rewriting->lost_rows += rows;
	return REEF_OK;
}

/* ---- rows ---- */

static void
unpin_pages(Rewriting *rewriting)
{
	int			i;

	reef_page_unpin(rewriting->keys);
	rewriting->keys = NULL;
	for (i = 0; i < rewriting->segment->schema->column_count; i++)
	{
		reef_page_unpin(rewriting->pages[i]);
		rewriting->pages[i] = NULL;
	}
}

static ReefCode
pin_pages(Rewriting *rewriting, int group, int page, ReefError *err)
{
	int			i;

	for (i = 0; i < rewriting->segment->schema->column_count; i++)
		REEF_TRY(reef_segment_pin(rewriting->segment, group, page, i,
								  REEF_PAGE_PASSED, &rewriting->pages[i],
								  err));
	return reef_segment_pin(rewriting->segment, group, page, REEF_PAGE_KEYS,
							REEF_PAGE_PASSED, &rewriting->keys, err);
}

static ReefCode
write_row(Rewriting *rewriting, uint32_t row, ReefError *err)
{
	ReefSegment *segment = rewriting->segment;
	ReefSalvage *salvage = rewriting->salvage;
	ReefValue	lsn;
	ReefValue	op;
	int			i;

	salvage->rows++;
	if (rewriting->writer == NULL)
		return REEF_OK;
	for (i = 0; i < rewriting->schema.column_count; i++)
		reef_vector_get(&rewriting->pages[rewriting->columns[i]]->vector,
						(int) row, &rewriting->values[i]);
	reef_vector_get(&rewriting->pages[segment->lsn_column]->vector, (int) row,
					&lsn);
	reef_vector_get(&rewriting->pages[segment->op_column]->vector, (int) row,
					&op);
	return reef_segment_writer_add(rewriting->writer,
								   rewriting->keys->keys[row],
								   lsn.is_null ? rewriting->from->lsn_max :
								   (uint64_t) lsn.as.int64,
								   !op.is_null && op.as.int32 != 0,
								   salvage->rows <=
								   rewriting->from->superseding_count,
								   rewriting->values, err);
}

static ReefCode
copy_page(Rewriting *rewriting, int group, int page, ReefError *err)
{
	uint32_t	row_count = rewriting->segment->groups[group].pages[page].row_count;
	ReefError	found;
	ReefSlice	last;
	uint32_t	row;
	ReefCode	rc;

	reef_error_init(&found);
	rc = pin_pages(rewriting, group, page, &found);
	if (rc != REEF_OK)
		return lose_rows(rewriting, row_count, rc, &found, err);
	REEF_TRY(report_lost(rewriting, rewriting->keys->keys[0], err));
	for (row = 0; row < row_count; row++)
		REEF_TRY(write_row(rewriting, row, err));
	last = rewriting->keys->keys[row_count - 1];
	reef_buf_reset(&rewriting->last_key);
	reef_buf_append(&rewriting->last_key, last.data, last.size);
	return reef_buf_check(&rewriting->last_key, err);
}

static ReefCode
copy_group(Rewriting *rewriting, int group, ReefError *err)
{
	ReefSegment *segment = rewriting->segment;
	ReefError	found;
	ReefCode	rc;
	int			page;

	reef_error_init(&found);
	rc = reef_segment_load_group(segment, group, &found);
	if (rc != REEF_OK)
		return lose_rows(rewriting, segment->groups[group].row_count, rc,
						 &found, err);
	for (page = 0; page < segment->groups[group].page_count; page++)
	{
		REEF_TRY(reef_verify_step(&rewriting->repair->verify, 0, err));
		rc = copy_page(rewriting, group, page, err);
		unpin_pages(rewriting);
		if (rc != REEF_OK)
			return rc;
	}
	return REEF_OK;
}

static ReefCode
copy_rows(Rewriting *rewriting, ReefError *err)
{
	int			group;

	for (group = 0; group < rewriting->segment->group_count; group++)
		REEF_TRY(copy_group(rewriting, group, err));
	return report_lost(rewriting, reef_slice(NULL, 0), err);
}

/* ---- segment ---- */

/* The columns of the file; filters that were asked for are asked for again. */
static ReefCode
set_schema(Rewriting *rewriting, const ReefSchema *wanted, ReefArena *arena,
		   ReefError *err)
{
	const ReefSchema *stored = rewriting->segment->schema;
	size_t		count = (size_t) stored->column_count;
	int			i;

	rewriting->schema.columns = reef_arena_calloc(arena, count *
												  sizeof(ReefColumn));
	rewriting->columns = reef_arena_calloc(arena, count * sizeof(int));
	rewriting->pages = reef_arena_calloc(arena, count * sizeof(ReefPage *));
	rewriting->values = reef_arena_calloc(arena, count * sizeof(ReefValue));
	if (rewriting->schema.columns == NULL || rewriting->columns == NULL ||
		rewriting->pages == NULL || rewriting->values == NULL)
		return reef_error_no_memory(err, count * sizeof(ReefColumn));
	for (i = 0; i < stored->column_count; i++)
	{
		ReefColumn *column;
		int			place;

		if (i == rewriting->segment->lsn_column ||
			i == rewriting->segment->op_column)
			continue;
		column = &rewriting->schema.columns[rewriting->schema.column_count];
		*column = stored->columns[i];
		place = reef_schema_find(wanted, column->name);
		if (place >= 0)
		{
			column->key_position = wanted->columns[place].key_position;
			column->has_bloom = wanted->columns[place].has_bloom;
		}
		rewriting->columns[rewriting->schema.column_count++] = i;
	}
	return REEF_OK;
}

static ReefCode
finish(Rewriting *rewriting, const ReefManifest *copy, ReefSegmentMeta *meta,
	   ReefError *err)
{
	ReefSegmentWriter *writer = rewriting->writer;
	bool		is_carried;

	if (copy != NULL)
		REEF_TRY(reef_segment_writer_set_manifest(writer, copy, &is_carried,
												  err));
	rewriting->writer = NULL;
	REEF_TRY(reef_segment_writer_finish(writer, &rewriting->repair->arena,
										meta, err));
	if (rewriting->is_attached)
		meta->lsn_min = meta->lsn_max = rewriting->from->lsn_max;
	return REEF_OK;
}

/* Twice if rows are to be written: a segment must have some. */
static ReefCode
rewrite(Rewriting *rewriting, const ReefManifest *copy, ReefSegmentMeta *meta,
		bool *is_empty, ReefError *err)
{
	ReefRepair *repair = rewriting->repair;
	ReefActionVisitor visit = repair->visit;
	ReefCode	rc;

	REEF_TRY(copy_rows(rewriting, err));
	*is_empty = rewriting->salvage->rows == 0;
	if (*is_empty || repair->dry_run)
		return REEF_OK;
	REEF_TRY(reef_segment_writer_new(repair->ns->store, repair->ns->prefix,
									 repair->ns->settings,
									 repair->namespace_id,
									 &rewriting->schema, rewriting->from->level,
									 !rewriting->is_attached,
									 &rewriting->writer, err));
	/* what is lost has been reported */
	memset(rewriting->salvage, 0, sizeof(*rewriting->salvage));
	reef_buf_reset(&rewriting->last_key);
	repair->visit = NULL;
	rc = copy_rows(rewriting, err);
	repair->visit = visit;
	if (rc != REEF_OK)
		return rc;
	return finish(rewriting, copy, meta, err);
}

ReefCode
reef_repair_rewrite(ReefRepair *repair, const ReefSegmentMeta *from,
					const ReefSchema *schema, const ReefManifest *copy,
					ReefSegmentMeta *meta, ReefSalvage *salvage,
					bool *is_empty, ReefError *err)
{
	Rewriting	rewriting = {
		.repair = repair,
		.from = from,
		.salvage = salvage
	};
	ReefNamespace *ns = repair->ns;
	ReefArena	arena;
	ReefCode	rc;

	memset(salvage, 0, sizeof(*salvage));
	*is_empty = true;
	reef_layout_segment_key(ns->prefix, from->id, rewriting.key);
	REEF_TRY(reef_segment_cache_new(ns->host, ns->store, ns->prefix,
									&repair->verify.settings, &rewriting.cache,
									err));
	reef_segment_cache_set_namespace(rewriting.cache, repair->namespace_id);
	reef_arena_init(&arena, 0);
	reef_buf_init(&rewriting.last_key);
	rc = reef_segment_get(rewriting.cache, from, schema, &rewriting.segment,
						  err);
	if (rc == REEF_OK)
	{
		rewriting.is_attached =
			reef_parquet_reader_value(rewriting.segment->reader,
									  "reef.lsn_min") == NULL;
		rc = set_schema(&rewriting, schema, &arena, err);
		if (rc == REEF_OK)
			rc = rewrite(&rewriting, copy, meta, is_empty, err);
		reef_segment_release(rewriting.segment);
	}
	reef_segment_writer_abort(rewriting.writer);
	reef_buf_release(&rewriting.last_key);
	reef_segment_cache_free(rewriting.cache);
	reef_arena_release(&arena);
	return rc;
}
