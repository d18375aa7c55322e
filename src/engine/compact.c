/*
 * compact.c
 *	  Merging segments: fewer of them, and nothing in them that is hidden.
 *
 *	  pin manifest -> plan -> merge and write -> commit manifest
 *
 * A compaction changes no row: those that stay keep their LSN, which conditions
 * of transactions are checked against, and what goes is a row that a newer one
 * hides, or a tombstone that hides nothing any more [I8].  Folds go on meanwhile:
 * they add segments to level 0 whose rows are newer than all that is merged
 * here, so what is decided at the beginning holds at the end.  The manifest is
 * built on what they have committed, and only if all inputs are still in it.
 *
 * SUPERSEDING.  A segment says how many of its rows may hide older ones; 0 lets
 * readers skip it, so 0 must be true.  Which rows those are is not stored.  A
 * merged row counts if it, or a row of its key that it replaces, comes from a
 * segment that has any - a plain insert that replaces a tombstone hides from
 * then on what the tombstone hid - and there is an older segment, not merged,
 * that may have the key.  They cannot be more than those of the inputs.
 *
 * Level 1 has no older segments, so it has no tombstones and hides nothing.
 * That is why a part of level 0 goes there only with all older ones of level 0
 * that have keys in common with it (compact_plan.c).
 *
 * A crash leaves outputs that nobody references.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/compact_merge.h"
#include "engine/maintenance.h"

/* Rows between two looks at cancellation, progress and speed. */
#define CHECK_ROWS 1024

typedef struct Compaction
{
	ReefNamespace *ns;
	ReefArena	arena;
	uint64_t	incarnation;
	ReefSharedManifest *base_bytes; /* pinned */
	ReefLoadedManifest *loaded;
	const ReefManifest *base;	/* when the job began */
	ReefCompactPlan plan;
	const ReefSegmentMeta **inputs; /* by id */
	int			other_count;
	const ReefSegmentMeta **others; /* not merged, by key */
	int			next_other;		/* the first that begins above the row */
	int			near_count;
	const ReefSegmentMeta **near;	/* those that may have the row's key */
	uint64_t	rows_in;
	uint64_t	hiding_max;		/* superseding rows of the inputs */
	uint64_t	segment_rows;	/* of an output of the target size */

	ReefSegmentWriter *writer;	/* the last output so far; NULL before the
								 * first */
	uint64_t	writer_rows;
	uint64_t	writer_charged; /* its bytes that the throttle knows of */
	int			output_count;
	int			output_capacity;
	ReefSegmentMeta *outputs;	/* finished ones */
	uint64_t	rows_out;
	uint64_t	hiding;
	uint64_t	bytes_out;
	bool		has_copy;
	ReefBuf		dropped_key;	/* the last tombstone left out */
	uint64_t	dropped_lsn;
	ReefValue  *values;			/* one row */
	int64_t		throttle_start_us;
	uint64_t	throttle_bytes;
} Compaction;

/* ---- manifest ---- */

static int
compare_ids(const void *a, const void *b)
{
	const ReefSegmentMeta *const *left = a;
	const ReefSegmentMeta *const *right = b;

	return memcmp((*left)->id, (*right)->id, sizeof((*left)->id));
}

static bool
is_input(const Compaction *job, const ReefSegmentMeta *meta)
{
	return bsearch(&meta, job->inputs, (size_t) job->plan.input_count,
				   sizeof(*job->inputs), compare_ids) != NULL;
}

/* Does "b" come before "a" in a manifest?  Equal ones stay as they are. */
static bool
is_before(const ReefSegmentMeta *b, const ReefSegmentMeta *a)
{
	if (a->level != b->level)
		return b->level > a->level;
	if (a->level > 0)
		return reef_slice_compare(b->key_min, a->key_min) < 0;
	return b->lsn_max < a->lsn_max;
}

static void
append_sorted(ReefManifest *next, const ReefSegmentMeta *meta)
{
	int			place;

	for (place = next->segment_count++;
		 place > 0 && is_before(meta, &next->segments[place - 1]);
		 place--)
		next->segments[place] = next->segments[place - 1];
	next->segments[place] = *meta;
}

/* The base's segments with the outputs where the inputs' last one was: of
 * equal LSNs, rows of later segments are newer.  *is_stale: one is missing. */
static ReefCode
list_segments(const Compaction *job, const ReefManifest *base,
			  ReefArena *arena, ReefManifest *next, bool *is_stale,
			  ReefError *err)
{
	int			inputs_left = job->plan.input_count;
	size_t		size = sizeof(*next->segments) *
		((size_t) base->segment_count + (size_t) job->output_count + 1);
	int			i;
	int			o;

	next->segments = reef_arena_alloc(arena, size);
	if (next->segments == NULL)
		return reef_error_no_memory(err, size);
	for (i = 0; i < base->segment_count; i++)
	{
		if (!is_input(job, &base->segments[i]))
			append_sorted(next, &base->segments[i]);
		else if (--inputs_left == 0)
		{
			for (o = 0; o < job->output_count; o++)
				append_sorted(next, &job->outputs[o]);
		}
	}
	*is_stale = inputs_left > 0;
	return REEF_OK;
}

/*
 * With level 0 empty every stored row is a live one.  "rows_out" has those of
 * an output that is not finished yet, too.
 */
static void
count_rows(const Compaction *job, const ReefManifest *base,
		   ReefManifest *next)
{
	const ReefHost *host = job->ns->host;
	uint64_t	count = job->rows_out;
	char		line[300];
	int			i;

	next->live_row_count = base->live_row_count;
	if (job->plan.level == 0)
		return;
	for (i = 0; i < base->segment_count; i++)
	{
		if (is_input(job, &base->segments[i]))
			continue;
		if (base->segments[i].level == 0)
			return;
		count += base->segments[i].row_count;
	}
	if (count == base->live_row_count)
		return;
	snprintf(line, sizeof(line),
			 "namespace \"%.100s\" has %" PRIu64 " rows, and its manifest said %" PRIu64,
			 job->ns->name, count, base->live_row_count);
	host->log(host->arg, REEF_LOG_WARNING, line);
	next->live_row_count = count;
}

/* The base with the inputs replaced; a ReefManifestChange.build. */
static ReefCode
build_manifest(void *arg, const ReefManifest *base, ReefArena *arena,
			   ReefManifest *next, bool *is_stale, ReefError *err)
{
	const Compaction *job = arg;

	*next = *base;
	next->segment_count = 0;
	REEF_TRY(list_segments(job, base, arena, next, is_stale, err));
	if (!*is_stale)
		count_rows(job, base, next);
	return REEF_OK;
}

/* ---- outputs ---- */

static ReefCode
begin_output(Compaction *job, int level, ReefError *err)
{
	ReefNamespace *ns = job->ns;

	job->writer_rows = 0;
	job->writer_charged = 0;
	return reef_segment_writer_new(ns->store, ns->prefix, ns->settings,
								   job->base->namespace_id, &job->base->schema,
								   level, true, &job->writer, err);
}

static ReefCode
finish_output(Compaction *job, ReefError *err)
{
	ReefSegmentWriter *writer = job->writer;
	ReefSegmentMeta meta;

	job->writer = NULL;
	REEF_TRY(reef_segment_writer_finish(writer, &job->arena, &meta, err));
	if (job->output_count == job->output_capacity)
	{
		int			capacity = job->output_capacity * 2 + 8;
		ReefSegmentMeta *grown;

		grown = reef_arena_alloc(&job->arena,
								 sizeof(*grown) * (size_t) capacity);
		if (grown == NULL)
			return reef_error_no_memory(err, sizeof(*grown));
		if (job->output_count > 0)
			memcpy(grown, job->outputs,
				   sizeof(*grown) * (size_t) job->output_count);
		job->outputs = grown;
		job->output_capacity = capacity;
	}
	job->outputs[job->output_count++] = meta;
	job->bytes_out += meta.size;
	return REEF_OK;
}

/* The last one carries a copy of the manifest. */
static ReefCode
finish_last(Compaction *job, ReefError *err)
{
	const ReefManifest *base = job->base;
	ReefManifest copy;
	bool		is_stale;

	REEF_TRY(build_manifest(job, base, &job->arena, &copy, &is_stale, err));
	copy.version = base->version + 1;
	copy.parent_version = base->version;
	REEF_TRY(reef_segment_writer_set_manifest(job->writer, &copy,
											  &job->has_copy, err));
	return finish_output(job, err);
}

/* May a segment that is not merged have an older row of this key?  Rows come
 * in the order of keys. */
static bool
may_be_older(Compaction *job, const ReefCompactRow *row)
{
	int			count = 0;
	bool		is_older = false;
	int			i;

	while (job->next_other < job->other_count &&
		   reef_slice_compare(job->others[job->next_other]->key_min,
							  row->key) <= 0)
		job->near[job->near_count++] = job->others[job->next_other++];
	for (i = 0; i < job->near_count; i++)
	{
		if (reef_slice_compare(job->near[i]->key_max, row->key) < 0)
			continue;
		if (job->near[i]->lsn_min <= row->lsn)
			is_older = true;
		job->near[count++] = job->near[i];
	}
	job->near_count = count;
	return is_older;
}

static ReefCode
drop_tombstone(Compaction *job, const ReefCompactRow *row, ReefError *err)
{
	reef_buf_reset(&job->dropped_key);
	reef_buf_append(&job->dropped_key, row->key.data, row->key.size);
	job->dropped_lsn = row->lsn;
	return reef_buf_check(&job->dropped_key, err);
}

static ReefCode
write_row(Compaction *job, ReefCompactMerge *merge, const ReefCompactRow *row,
		  ReefError *err)
{
	bool		is_level_0 = job->plan.level == 0;
	bool		hides = false;

	if (is_level_0 && (row->is_tombstone || row->is_superseding))
		hides = may_be_older(job, row);
	if (row->is_tombstone && !hides)
		return drop_tombstone(job, row, err);
	hides = hides && row->is_superseding && job->hiding < job->hiding_max;
	if (job->writer != NULL && job->writer_rows >= job->segment_rows)
		REEF_TRY(finish_output(job, err));
	if (job->writer == NULL)
		REEF_TRY(begin_output(job, job->plan.level, err));
	REEF_TRY(reef_compact_merge_values(merge, job->values, err));
	job->writer_rows++;
	job->rows_out++;
	job->hiding += hides;
	return reef_segment_writer_add(job->writer, row->key, row->lsn,
								   row->is_tombstone, hides, job->values,
								   err);
}

static ReefCode
check_pace(Compaction *job, const ReefCompactMerge *merge, ReefError *err)
{
	const ReefHost *host = job->ns->host;
	uint64_t	size;

	if (host->cancelled(host->arg))
		return reef_error_set(err, REEF_CANCELLED,
							  "the compaction was cancelled", NULL);
	if (host->progress != NULL)
		host->progress(host->arg, "compacting",
					   reef_compact_merge_rows(merge), job->rows_in);
	if (job->writer == NULL)
		return REEF_OK;
	size = reef_segment_writer_size(job->writer);
	if (size <= job->writer_charged)
		return REEF_OK;
	size -= job->writer_charged;
	job->writer_charged += size;
	return reef_io_throttle(job->ns, &job->throttle_start_us,
							&job->throttle_bytes, size, err);
}

/*
 * No row is left, but without an output there would be no copy of the manifest,
 * and nothing to rebuild from (maintenance.h).
 */
static ReefCode
write_remainder(Compaction *job, ReefError *err)
{
	ReefSlice	key = reef_buf_slice(&job->dropped_key);

	REEF_TRY(begin_output(job, 0, err));
	REEF_TRY(reef_key_decode(key, &job->base->schema, &job->arena,
							 job->values, err));
	return reef_segment_writer_add(job->writer, key, job->dropped_lsn, true,
								   false, job->values, err);
}

static ReefCode
write_outputs(Compaction *job, ReefCompactMerge *merge, ReefError *err)
{
	ReefCompactRow row;
	bool		found = true;
	uint64_t	keys;

	for (keys = 0; found; keys++)
	{
		if (keys % CHECK_ROWS == 0)
			REEF_TRY(check_pace(job, merge, err));
		REEF_TRY(reef_compact_merge_next(merge, &row, &found, err));
		if (found)
			REEF_TRY(write_row(job, merge, &row, err));
	}
	if (job->writer == NULL)
		REEF_TRY(write_remainder(job, err));
	return finish_last(job, err);
}

/* ---- compact ---- */

static ReefCode
commit_outputs(Compaction *job, ReefCompactResult *result, ReefError *err)
{
	ReefManifestChange change = {.build = build_manifest, .arg = job};
	ReefManifest manifest;
	ReefManifestOutcome outcome;
	ReefCode	rc;

	change.incarnation = job->incarnation;
	change.copy_base_version = job->base->version;
	change.copy_applied_lsn = job->base->last_applied_lsn;
	if (!job->has_copy)
	{
		/* the copies that there are name what is about to become garbage */
		change.copy_base_version = UINT64_MAX - 1;
		change.copy_applied_lsn = 0;
	}
	rc = reef_manifest_commit(job->ns, &change, &job->arena, &manifest,
							  &outcome, err);
	if (outcome == REEF_MANIFEST_STALE)
		reef_outputs_delete(job->ns, job->outputs, job->output_count);
	if (rc != REEF_OK)
		return rc;
	result->is_stale = outcome != REEF_MANIFEST_COMMITTED;
	if (result->is_stale)
		return REEF_OK;

	result->compacted = true;
	result->segments_in = (uint64_t) job->plan.input_count;
	result->segments_out = (uint64_t) job->output_count;
	result->rows_in = job->rows_in;
	result->rows_out = job->rows_out;
	result->bytes_in = job->plan.bytes;
	result->bytes_out = job->bytes_out;
	result->manifest_version = manifest.version;
	atomic_fetch_add(&job->ns->shared->compact_count, 1);
	return REEF_OK;
}

static ReefCode
merge_inputs(Compaction *job, ReefError *err)
{
	ReefCompactMerge *merge;
	ReefCode	rc;

	REEF_TRY(reef_compact_merge_new(job->ns, job->base, &job->plan, &merge,
									err));
	rc = write_outputs(job, merge, err);
	reef_compact_merge_free(merge);
	reef_segment_writer_abort(job->writer);
	job->writer = NULL;
	atomic_fetch_add(&job->ns->shared->compact_bytes, job->bytes_out);
	if (rc != REEF_OK)
		reef_outputs_delete(job->ns, job->outputs, job->output_count);
	return rc;
}

static int
compare_keys(const void *a, const void *b)
{
	const ReefSegmentMeta *const *left = a;
	const ReefSegmentMeta *const *right = b;

	return reef_slice_compare((*left)->key_min, (*right)->key_min);
}

/* Tell the inputs from the others. */
static ReefCode
sort_segments(Compaction *job, ReefError *err)
{
	const ReefManifest *base = job->base;
	size_t		size = sizeof(*job->inputs) *
		((size_t) base->segment_count + 1);
	int			input_count = 0;
	int			i;

	job->inputs = reef_arena_alloc(&job->arena, size);
	job->others = reef_arena_alloc(&job->arena, size);
	job->near = reef_arena_alloc(&job->arena, size);
	if (job->inputs == NULL || job->others == NULL || job->near == NULL)
		return reef_error_no_memory(err, size);
	for (i = 0; i < base->segment_count; i++)
	{
		const ReefSegmentMeta *meta = &base->segments[i];

		if (input_count == job->plan.input_count ||
			job->plan.inputs[input_count] != i)
		{
			job->others[job->other_count++] = meta;
			continue;
		}
		job->inputs[input_count++] = meta;
		job->rows_in += meta->row_count;
		job->hiding_max += meta->superseding_count;
	}
	qsort(job->inputs, (size_t) input_count, sizeof(*job->inputs),
		  compare_ids);
	qsort(job->others, (size_t) job->other_count, sizeof(*job->others),
		  compare_keys);
	return REEF_OK;
}

/* What there is to do in all. */
static ReefCode
measure_inputs(Compaction *job, ReefError *err)
{
	size_t		size = sizeof(*job->values) *
		((size_t) job->base->schema.column_count + 1);
	double		segments;

	REEF_TRY(sort_segments(job, err));
	/* by the size that the inputs' rows have in files, not in memory */
	segments = (double) job->plan.bytes /
		(double) (job->ns->settings->target_segment_size + 1);
	job->segment_rows = segments <= 1 ? job->rows_in :
		(uint64_t) ((double) job->rows_in / segments);
	if (job->segment_rows == 0)
		job->segment_rows = 1;
	job->values = reef_arena_calloc(&job->arena, size);
	if (job->values == NULL)
		return reef_error_no_memory(err, size);
	return REEF_OK;
}

/* With the current manifest pinned. */
static ReefCode
compact_pinned(Compaction *job, bool full, ReefCompactResult *result,
			   ReefError *err)
{
	ReefNamespace *ns = job->ns;
	ReefPending pending;
	ReefCode	rc;

	if (job->base_bytes->size == 0)
		return REEF_OK;
	REEF_TRY(reef_loaded_manifest_get(ns, job->incarnation, job->base_bytes,
									  &job->loaded, err));
	job->base = &job->loaded->manifest;
	REEF_TRY(reef_compact_plan(job->base, ns->settings->target_segment_size,
							   full, &job->arena, &job->plan, err));
	if (job->plan.input_count == 0)
		return REEF_OK;
	REEF_TRY(measure_inputs(job, err));
	REEF_TRY(reef_pending_begin(ns, &pending, err));
	rc = merge_inputs(job, err);
	if (rc == REEF_OK)
		rc = commit_outputs(job, result, err);
	reef_pending_end(ns, &pending);
	return rc;
}

static ReefCode
compact_with_right(ReefNamespace *ns, bool full, ReefCompactResult *result,
				   ReefError *err)
{
	Compaction	job = {.ns = ns};
	uint64_t	version_max;
	ReefCode	rc;

	REEF_TRY(reef_namespace_open(ns, 0, err));
	job.base_bytes = reef_namespace_pin_manifest(ns->host, ns->shared,
												 &job.incarnation,
												 &version_max);
	if (job.base_bytes == NULL)
	{
		/* closed again at once: somebody else is at it */
		result->is_stale = true;
		return REEF_OK;
	}
	reef_arena_init(&job.arena, 0);
	reef_buf_init(&job.dropped_key);
	rc = compact_pinned(&job, full, result, err);
	reef_buf_release(&job.dropped_key);
	reef_arena_release(&job.arena);
	reef_loaded_manifest_release(job.loaded);
	reef_namespace_unpin(ns->host, ns->shared, job.base_bytes, NULL, 0);
	reef_namespace_trim(ns->host, ns->shared);
	return rc;
}

ReefCode
reef_compact(ReefNamespace *ns, bool full, ReefCompactResult *result,
			 ReefError *err)
{
	const ReefHost *host = ns->host;
	int			lock_number = ns->shared->lock_number;
	ReefCode	rc;

	memset(result, 0, sizeof(*result));
	if (reef_store_is_read_only(ns->store))
		return reef_error_set(err, REEF_READ_ONLY,
							  "the store is attached read-only",
							  "namespace \"%s\"", ns->name);
	rc = host->right_acquire(host->arg, lock_number, REEF_RIGHT_COMPACT,
							 ns->settings->commit_timeout_us);
	if (rc != REEF_OK)
		return reef_error_set(err, rc, "could not compact the namespace",
							  "another session compacts or collects namespace \"%s\"",
							  ns->name);
	rc = compact_with_right(ns, full, result, err);
	host->right_release(host->arg, lock_number, REEF_RIGHT_COMPACT);
	return rc;
}

bool
reef_namespace_needs_compaction(ReefNamespace *ns)
{
	ReefSharedManifest *bytes;
	ReefLoadedManifest *loaded = NULL;
	ReefCompactPlan plan = {0};
	uint64_t	incarnation;
	uint64_t	version_max;
	ReefArena	arena;
	ReefError	ignored;
	ReefCode	rc = REEF_OK;

	bytes = reef_namespace_pin_manifest(ns->host, ns->shared, &incarnation,
										&version_max);
	if (bytes == NULL)
		return false;
	reef_arena_init(&arena, 0);
	reef_error_init(&ignored);
	if (bytes->size > 0)
		rc = reef_loaded_manifest_get(ns, incarnation, bytes, &loaded,
									  &ignored);
	if (rc == REEF_OK && loaded != NULL)
		rc = reef_compact_plan(&loaded->manifest,
							   ns->settings->target_segment_size, false,
							   &arena, &plan, &ignored);
	reef_loaded_manifest_release(loaded);
	reef_arena_release(&arena);
	reef_namespace_unpin(ns->host, ns->shared, bytes, NULL, 0);
	return rc == REEF_OK && plan.input_count > 0;
}
