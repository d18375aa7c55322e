/*
 * repair_build.c
 *	  From what is left to segments and a manifest.
 *
 * The base and the records are put together in a namespace of one's own: a
 * shared state that nobody else knows, so that nothing changes for readers
 * before the repair is done, and a dry run is the same without the puts.  The
 * rows of the records are then folded into level-0 segments as in any fold, so
 * that the next manifest has applied everything up to the repair's fence and
 * what was wrong with the log below it means nothing any more.
 *
 * The last segment written carries a copy of the manifest (maintenance.h).  To
 * have one, the smallest of all segments is written once more.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "engine/fold_merge.h"
#include "engine/maintenance.h"
#include "engine/repair_build.h"

/* ---- scratch ---- */

/* A base that was not found by its name is far below the next version, so that
 * nobody who sleeps with a manifest that is gone can supersede that one. */
#define VERSION_DISTANCE (UINT64_C(1) << 32)

static uint64_t
next_version(const ReefRepair *repair)
{
	uint64_t	version = repair->version_max;

	if (version < repair->base.version)
		version = repair->base.version;
	return version + (repair->newest_version == 0 ? VERSION_DISTANCE : 1);
}

/* The base without what cannot be opened, as the version to come. */
static ReefCode
encode_base(ReefRepair *repair, ReefBuf *bytes, ReefManifest *manifest,
			ReefError *err)
{
	int			i;

	*manifest = repair->base;
	manifest->parent_version = repair->base.version;
	manifest->version = next_version(repair);
	manifest->segment_count = 0;
	manifest->segments = reef_arena_alloc(&repair->arena,
										  sizeof(*manifest->segments) *
										  ((size_t) repair->base.segment_count + 1));
	if (manifest->segments == NULL)
		return reef_error_no_memory(err, sizeof(*manifest->segments));
	for (i = 0; i < repair->base.segment_count; i++)
	{
		if (repair->segments[i].state.is_open)
			manifest->segments[manifest->segment_count++] =
				repair->segments[i].meta;
	}
	return reef_manifest_encode(manifest, bytes, err);
}

static ReefCode
install_base(ReefRepair *repair, ReefError *err)
{
	const ReefHost *host = repair->ns->host;
	ReefNamespaceShared *shared = repair->shared;
	const ReefNamespaceShared *real = repair->ns->shared;
	ReefSharedManifest *shared_manifest;
	ReefManifest manifest;
	ReefBuf		bytes;
	ReefCode	rc = REEF_OK;

	reef_buf_init(&bytes);
	if (repair->base.version > 0)
		rc = encode_base(repair, &bytes, &manifest, err);
	if (rc == REEF_OK)
		rc = reef_shared_manifest_new(host, bytes.size > 0 ? &manifest : NULL,
									  reef_buf_slice(&bytes), 0,
									  &shared_manifest, err);
	reef_buf_release(&bytes);
	if (rc != REEF_OK)
		return rc;
	reef_namespace_lock(host, shared, true);
	reef_namespace_push_manifest(host, shared, shared_manifest);
	shared->pending_abort_count = real->pending_abort_count;
	memcpy(shared->pending_aborts, real->pending_aborts,
		   sizeof(shared->pending_aborts));
	shared->exists = true;
	memcpy(shared->namespace_id, repair->namespace_id, 16);
	shared->epoch = repair->base.epoch;
	shared->last_lsn = repair->base.last_applied_lsn;
	shared->last_crc = repair->base.last_applied_crc;
	reef_namespace_unlock(host, shared);

	REEF_TRY(reef_generation_new(host, repair->base.last_applied_lsn,
								 &shared->active, err));
	shared->oldest = shared->active;
	shared->active->last_epoch = repair->base.epoch;
	shared->active->last_crc = repair->base.last_applied_crc;
	shared->mode = REEF_MODE_READER;
	return REEF_OK;
}

ReefCode
reef_repair_scratch_open(ReefRepair *repair, ReefError *err)
{
	ReefNamespace *ns = repair->ns;

	repair->shared = calloc(1, reef_namespace_shared_size());
	if (repair->shared == NULL)
		return reef_error_no_memory(err, reef_namespace_shared_size());
	reef_namespace_shared_init(repair->shared, ns->shared->lock_number);
	REEF_TRY(reef_namespace_attach(ns->host, &repair->verify.settings,
								   ns->store, ns->name, repair->shared,
								   &repair->scratch, err));
	return install_base(repair, err);
}

void
reef_repair_scratch_release(ReefRepair *repair)
{
	reef_view_unpin(repair->view);
	reef_namespace_detach(repair->scratch);
	if (repair->shared != NULL)
		reef_namespace_close_shared(repair->ns->host, repair->shared);
	free(repair->shared);
	repair->view = NULL;
	repair->scratch = NULL;
	repair->shared = NULL;
}

/* ---- segments ---- */

static ReefCode
report_lost_segment(ReefRepair *repair, const ReefSegmentMeta *meta,
					const ReefSegmentState *state, ReefError *err)
{
	char		key[REEF_OBJECT_KEY_SIZE];
	char		low[300];
	char		high[300];

	reef_layout_segment_key(repair->ns->prefix, meta->id, key);
	reef_key_describe(meta->key_min, reef_view_schema(repair->view), low,
					  sizeof(low));
	reef_key_describe(meta->key_max, reef_view_schema(repair->view), high,
					  sizeof(high));
	return reef_action_report(repair, err, "lost documents", key,
							  "%" PRIu64 " rows of records %" PRIu64 " to %" PRIu64 ", keys from %s to %s: the segment is %s",
							  meta->row_count, meta->lsn_min, meta->lsn_max,
							  low, high, state->is_present ?
							  "damaged beyond reading" : "missing");
}

static ReefCode
report_older(ReefRepair *repair, const ReefSegmentMeta *meta,
			 uint64_t lost_rows, ReefError *err)
{
	char		key[REEF_OBJECT_KEY_SIZE];
	uint64_t	keys = meta->superseding_count < lost_rows ?
		meta->superseding_count : lost_rows;

	if (keys == 0)
		return REEF_OK;
	reef_layout_segment_key(repair->ns->prefix, meta->id, key);
	return reef_action_report(repair, err, "older versions", key,
							  "older versions of up to %" PRIu64 " keys may be there again, deleted ones among them",
							  keys);
}

/* What is left of a segment: in *meta, or nothing. */
static ReefCode
save_segment(ReefRepair *repair, const ReefSegmentState *state,
			 ReefSegmentMeta *meta, bool *is_lost, ReefError *err)
{
	ReefSegmentMeta saved = *meta;
	ReefSalvage salvage = {0};
	char		key[REEF_OBJECT_KEY_SIZE];

	*is_lost = false;
	if (state->is_sound)
		return REEF_OK;
	if (!state->is_open)
	{
		*is_lost = true;
		REEF_TRY(report_lost_segment(repair, meta, state, err));
		return report_older(repair, meta, meta->row_count, err);
	}
	REEF_TRY(reef_repair_rewrite(repair, meta, reef_view_schema(repair->view),
								 NULL, &saved, &salvage, is_lost, err));
	REEF_TRY(report_older(repair, meta, salvage.lost_rows, err));
	if (*is_lost)
		return REEF_OK;
	reef_layout_segment_key(repair->ns->prefix, meta->id, key);
	*meta = saved;
	return reef_action_report(repair, err, "salvage", key,
							  "%" PRIu64 " rows are saved in a new segment",
							  salvage.rows);
}

static const ReefSegmentState *
attached_state(const ReefRepair *repair, const uint8_t id[16])
{
	static const ReefSegmentState sound = {true, true, true, false};
	const ReefRepairSegment *attached;

	for (attached = repair->attached; attached != NULL;
		 attached = attached->next)
	{
		if (memcmp(attached->meta.id, id, 16) == 0)
			return &attached->state;
	}
	return &sound;
}

/* Level 1 by key, then level 0 in the order of highest LSNs. */
static ReefCode
add_segment(ReefRepair *repair, const ReefSegmentState *state,
			const ReefSegmentMeta *from, ReefError *err)
{
	ReefManifest *next = &repair->next;
	ReefSegmentMeta meta = *from;
	bool		is_lost;
	int			place;

	REEF_TRY(save_segment(repair, state, &meta, &is_lost, err));
	if (is_lost)
		return REEF_OK;
	for (place = next->segment_count++;
		 place > 0 && meta.level == 0 && next->segments[place - 1].level == 0 &&
		 next->segments[place - 1].lsn_max > meta.lsn_max; place--)
		next->segments[place] = next->segments[place - 1];
	next->segments[place] = meta;
	return REEF_OK;
}

static ReefCode
write_tail(ReefRepair *repair, ReefFoldOutput *output, ReefError *err)
{
	output->arena = &repair->arena;
	if (repair->dry_run)
		return REEF_OK;
	return reef_fold_write(repair->scratch, reef_view_schema(repair->view),
						   &repair->shared->active, 1, output, err);
}

static ReefCode
collect_segments(ReefRepair *repair, ReefError *err)
{
	ReefManifest *next = &repair->next;
	ReefFoldOutput output = {0};
	const ReefRepairSegment *attached;
	size_t		count = (size_t) repair->base.segment_count + 1;
	int			i;

	REEF_TRY(write_tail(repair, &output, err));
	for (attached = repair->attached; attached != NULL;
		 attached = attached->next)
		count++;
	count += (size_t) output.segment_count;
	next->segments = reef_arena_alloc(&repair->arena,
									  sizeof(*next->segments) * count);
	if (next->segments == NULL)
		return reef_error_no_memory(err, sizeof(*next->segments) * count);
	for (i = 0; i < repair->base.segment_count; i++)
		REEF_TRY(add_segment(repair, &repair->segments[i].state,
							 &repair->base.segments[i], err));
	for (i = 0; i < output.segment_count; i++)
		REEF_TRY(add_segment(repair,
							 attached_state(repair, output.segments[i].id),
							 &output.segments[i], err));
	for (attached = repair->attached; repair->dry_run && attached != NULL;
		 attached = attached->next)
		REEF_TRY(add_segment(repair, &attached->state, &attached->meta, err));
	return REEF_OK;
}

/* ---- manifest ---- */

static bool
has_key(const ReefManifest *manifest, ReefSlice key)
{
	int			i;

	for (i = 0; i < manifest->idempotency_count; i++)
	{
		if (reef_slice_equal(manifest->idempotency[i].key, key))
			return true;
	}
	return false;
}

/* Those of the tail first: a key that was used again has the newer entry. */
static ReefCode
carry_idempotency(ReefRepair *repair, ReefError *err)
{
	const ReefManifest *base = &repair->base;
	ReefManifest *next = &repair->next;
	const ReefApplied *applied;
	size_t		count = (size_t) base->idempotency_count + 1;
	int			i;

	for (applied = repair->shared->active->first_applied; applied != NULL;
		 applied = applied->next)
		count++;
	next->idempotency = reef_arena_alloc(&repair->arena, count *
										 sizeof(*next->idempotency));
	if (next->idempotency == NULL)
		return reef_error_no_memory(err, count * sizeof(*next->idempotency));
	for (applied = repair->shared->active->first_applied; applied != NULL;
		 applied = applied->next)
	{
		ReefIdempotencyEntry *entry =
			&next->idempotency[next->idempotency_count];

		if (applied->idempotency_key.size == 0 ||
			has_key(next, applied->idempotency_key))
			continue;
		entry->key = applied->idempotency_key;
		entry->lsn = applied->lsn;
		entry->time_ms = applied->time_ms;
		next->idempotency_count++;
	}
	for (i = 0; i < base->idempotency_count; i++)
	{
		if (!has_key(next, base->idempotency[i].key))
			next->idempotency[next->idempotency_count++] =
				base->idempotency[i];
	}
	return REEF_OK;
}

/* A segment may hide rows of which it knew nothing: what had deleted them is
 * lost. */
static ReefCode
count_rows(ReefRepair *repair, ReefError *err)
{
	ReefManifest *next = &repair->next;
	bool		is_exact;
	int			i;

	reef_verify_begin_phase(&repair->verify, "counting rows", 0);
	REEF_TRY(reef_verify_rows(&repair->verify, next->segments,
							  next->segment_count, &next->schema,
							  repair->namespace_id, &next->live_row_count,
							  &is_exact, err));
	for (i = 0; !is_exact && i < next->segment_count; i++)
		next->segments[i].superseding_count = next->segments[i].row_count;
	return REEF_OK;
}

static bool
is_ours(const ReefRepair *repair, const uint8_t id[16])
{
	const ReefRepairSegment *attached;
	int			i;

	for (i = 0; i < repair->base.segment_count; i++)
	{
		if (memcmp(repair->base.segments[i].id, id, 16) == 0)
			return false;
	}
	for (attached = repair->attached; attached != NULL;
		 attached = attached->next)
	{
		if (memcmp(attached->meta.id, id, 16) == 0)
			return false;
	}
	return true;
}

/* Write the smallest segment again, with a copy of all the rest. */
static ReefCode
carry_copy(ReefRepair *repair, ReefError *err)
{
	ReefManifest *next = &repair->next;
	ReefManifest copy = *next;
	ReefSegmentMeta meta;
	ReefSalvage salvage;
	bool		is_empty;
	int			smallest = 0;
	int			i;

	if (next->segment_count == 0)
		return REEF_OK;
	for (i = 1; i < next->segment_count; i++)
	{
		if (next->segments[i].size < next->segments[smallest].size)
			smallest = i;
	}
	meta = next->segments[smallest];
	copy.segments = reef_arena_alloc(&repair->arena, sizeof(*copy.segments) *
									 (size_t) copy.segment_count);
	if (copy.segments == NULL)
		return reef_error_no_memory(err, sizeof(*copy.segments));
	copy.segment_count = 0;
	for (i = 0; i < next->segment_count; i++)
	{
		if (i != smallest)
			copy.segments[copy.segment_count++] = next->segments[i];
	}
	copy.rebuildable_lsn = next->last_applied_lsn;
	REEF_TRY(reef_repair_rewrite(repair, &next->segments[smallest],
								 &next->schema, &copy, &meta, &salvage,
								 &is_empty, err));
	if (salvage.lost_rows > 0 || is_empty)
		return reef_error_set(err, REEF_CORRUPT,
							  "a segment was damaged while it was repaired",
							  "namespace \"%s\"", repair->ns->name);
	/* what this repair has written itself is not needed twice */
	if (is_ours(repair, next->segments[smallest].id))
		reef_outputs_delete(repair->ns, &next->segments[smallest], 1);
	meta.superseding_count = next->segments[smallest].superseding_count;
	next->segments[smallest] = meta;
	next->rebuildable_lsn = next->last_applied_lsn;
	return REEF_OK;
}

ReefCode
reef_repair_build(ReefRepair *repair, ReefError *err)
{
	const ReefHost *host = repair->ns->host;
	ReefManifest *next = &repair->next;

	REEF_TRY(reef_view_pin_present(repair->scratch, &repair->view, err));
	memset(next, 0, sizeof(*next));
	next->version = next_version(repair);
	next->parent_version = repair->base.version;
	memcpy(next->namespace_id, repair->namespace_id, 16);
	next->epoch = repair->fence.epoch;
	next->last_applied_lsn = repair->fence.lsn;
	next->last_applied_crc = repair->fence.crc;
	next->time_ms = host->now_us(host->arg) / 1000;
	next->rebuildable_lsn = repair->base.rebuildable_lsn;
	next->schema = *reef_view_schema(repair->view);
	REEF_TRY(collect_segments(repair, err));
	if (repair->dry_run)
		return REEF_OK;
	REEF_TRY(carry_idempotency(repair, err));
	REEF_TRY(reef_transactions_carry(host, &repair->base,
									 &repair->shared->active, 1,
									 &repair->arena, next, err));
	REEF_TRY(count_rows(repair, err));
	REEF_TRY(carry_copy(repair, err));
	reef_buf_reset(&repair->bytes);
	return reef_manifest_encode(next, &repair->bytes, err);
}
