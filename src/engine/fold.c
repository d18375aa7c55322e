/*
 * fold.c
 *	  From the memtable to segments and a new manifest.
 *
 * The memtable is a cache of the log's tail; a fold makes the tail short again.
 * It takes the oldest sealed generations in which every transaction has ended
 * (a segment carries no xids, so nothing undecided may get into one), writes
 * them as level-0 segments, and commits a manifest that has applied their
 * records.  Commits go on meanwhile in the active generation.
 *
 *	  seal -> write segments -> commit manifest -> trim
 *
 * A crash before the manifest's put leaves segments that nobody references,
 * after it a manifest that recovery finds.  Compactions may commit manifests
 * while the segments are written: ours only adds to what is there.
 *
 * A void transaction is not written, and the manifest moves past it; but not
 * before its abort record is durable, so that whoever falls back to an older
 * manifest, or writes the next one elsewhere, comes to the same rows [I3].
 */
#include <stdlib.h>

#include "engine/decide.h"
#include "engine/fold_merge.h"
#include "engine/maintenance.h"

/* How long to wait for the commit right, which is needed only to seal. */
#define SEAL_TIMEOUT_US INT64_C(5000000)

typedef struct Fold
{
	ReefNamespace *ns;
	ReefArena	arena;
	ReefView   *view;			/* keeps base manifest and generations */
	ReefGeneration **generations;	/* to fold, oldest first */
	int			generation_count;
	bool		is_waiting;		/* some transaction has not ended */
	ReefFoldOutput output;
} Fold;

/* ---- plan ---- */

static bool
has_rows(const ReefGeneration *generation)
{
	return generation->first_applied != NULL;
}

/* Under the namespace's lock: is there anything that is not folded? */
static bool
has_unfolded(const ReefNamespaceShared *shared)
{
	const ReefGeneration *generation;

	for (generation = shared->oldest; generation != NULL;
		 generation = generation->newer)
	{
		if (has_rows(generation) &&
			atomic_load(&generation->lsn_to) > shared->manifests[0]->applied_lsn)
			return true;
	}
	return false;
}

static bool
has_unfolded_sealed(const ReefNamespaceShared *shared)
{
	const ReefGeneration *generation;

	for (generation = shared->oldest; generation != shared->active;
		 generation = generation->newer)
	{
		if (atomic_load(&generation->lsn_to) > shared->manifests[0]->applied_lsn)
			return true;
	}
	return false;
}

/*
 * With the commit right: be the writer (a reader's memory may miss records),
 * put the aborts, seal.  A generation that is sealed already and waits for its
 * transactions comes first; sealing more would only cut the memtable into
 * slices.
 */
static ReefCode
seal(ReefNamespace *ns, bool *has_work, ReefError *err)
{
	ReefNamespaceShared *shared = ns->shared;
	bool		must_seal;

	if (shared->mode == REEF_MODE_CLOSED)
		REEF_TRY(reef_recover(ns, err));
	reef_namespace_lock(ns->host, shared, false);
	*has_work = has_unfolded(shared);
	reef_namespace_unlock(ns->host, shared);
	if (!*has_work)
		return REEF_OK;
	if (shared->mode != REEF_MODE_WRITER || shared->is_in_doubt)
		REEF_TRY(reef_takeover(ns, err));
	reef_pending_aborts_collect(ns->host, shared, shared->last_lsn);
	if (reef_namespace_has_pending_aborts(shared))
		REEF_TRY(reef_commit_pending_aborts(ns, err));

	reef_namespace_lock(ns->host, shared, false);
	must_seal = has_rows(shared->active) && !has_unfolded_sealed(shared);
	reef_namespace_unlock(ns->host, shared);
	if (must_seal)
		return reef_namespace_seal(ns->host, shared, err);
	return REEF_OK;
}

static ReefCode
seal_with_right(ReefNamespace *ns, bool *has_work, bool *is_busy,
				ReefError *err)
{
	const ReefHost *host = ns->host;
	int			lock_number = ns->shared->lock_number;
	ReefCode	rc;

	*has_work = false;
	rc = host->right_acquire(host->arg, lock_number, REEF_RIGHT_COMMIT,
							 SEAL_TIMEOUT_US);
	*is_busy = rc == REEF_UNAVAILABLE;
	if (*is_busy)
		return REEF_OK;
	if (rc != REEF_OK)
		return reef_error_set(err, rc, "could not fold the namespace",
							  "namespace \"%s\"", ns->name);
	rc = seal(ns, has_work, err);
	host->right_release(host->arg, lock_number, REEF_RIGHT_COMMIT);
	return rc;
}

/* Have all transactions ended, and are the void ones void in the store? */
static bool
is_finished(const ReefHost *host, const ReefGeneration *generation)
{
	const ReefApplied *applied;

	for (applied = generation->first_applied; applied != NULL;
		 applied = applied->next)
	{
		if (reef_applied_is_void(host, applied))
		{
			if (!atomic_load(&applied->abort_is_durable))
				return false;
		}
		else if (applied->full_xid != 0 &&
				 atomic_load(&applied->hint) != REEF_XID_COMMITTED)
			return false;
	}
	return true;
}

/* The longest run of sealed generations that can be folded now. */
static ReefCode
choose(Fold *fold, ReefError *err)
{
	ReefView   *view = fold->view;
	uint64_t	applied_lsn = view->shared_manifest->applied_lsn;
	int			i;

	fold->generations = reef_arena_alloc(&fold->arena,
										 sizeof(*fold->generations) *
										 (size_t) view->generation_count);
	if (fold->generations == NULL)
		return reef_error_no_memory(err, sizeof(*fold->generations));
	for (i = 0; i < view->generation_count; i++)
	{
		ReefGeneration *generation = view->generations[i];

		if (atomic_load(&generation->lsn_to) <= applied_lsn)
			continue;
		if (!generation->is_sealed)
			break;
		if (!is_finished(fold->ns->host, generation))
		{
			fold->is_waiting = true;
			break;
		}
		fold->generations[fold->generation_count++] = generation;
	}
	return REEF_OK;
}

/* ---- manifest ---- */

static int64_t
row_count_delta(const Fold *fold)
{
	int64_t		delta = 0;
	int			i;

	for (i = 0; i < fold->generation_count; i++)
	{
		const ReefApplied *applied = fold->generations[i]->first_applied;

		for (; applied != NULL; applied = applied->next)
		{
			if (!reef_applied_is_void(fold->ns->host, applied))
				delta += applied->row_count_delta;
		}
	}
	return delta;
}

static int
add_new_idempotency(const Fold *fold, ReefIdempotencyEntry *entries)
{
	int			count = 0;
	int			i;

	for (i = 0; i < fold->generation_count; i++)
	{
		const ReefApplied *applied = fold->generations[i]->first_applied;

		for (; applied != NULL; applied = applied->next)
		{
			if (applied->idempotency_key.size == 0 ||
				reef_applied_is_void(fold->ns->host, applied))
				continue;
			if (entries != NULL)
			{
				entries[count].key = applied->idempotency_key;
				entries[count].lsn = applied->lsn;
				entries[count].time_ms = applied->time_ms;
			}
			count++;
		}
	}
	return count;
}

/* Keys inside their retention stay, also across folds [I6]. */
static ReefCode
carry_idempotency(const Fold *fold, const ReefManifest *base,
				  ReefArena *arena, ReefManifest *manifest, ReefError *err)
{
	const ReefHost *host = fold->ns->host;
	int64_t		oldest_ms = host->now_us(host->arg) / 1000 -
		fold->ns->settings->idempotency_retention_ms;
	int			count = base->idempotency_count +
		add_new_idempotency(fold, NULL);
	int			i;

	manifest->idempotency_count = 0;
	manifest->idempotency = reef_arena_calloc(arena,
											  sizeof(*manifest->idempotency) *
											  ((size_t) count + 1));
	if (manifest->idempotency == NULL)
		return reef_error_no_memory(err, sizeof(*manifest->idempotency));
	for (i = 0; i < base->idempotency_count; i++)
	{
		if (base->idempotency[i].time_ms >= oldest_ms)
			manifest->idempotency[manifest->idempotency_count++] =
				base->idempotency[i];
	}
	manifest->idempotency_count +=
		add_new_idempotency(fold,
							manifest->idempotency + manifest->idempotency_count);
	manifest->idempotency_count =
		reef_idempotency_unique(manifest->idempotency,
								manifest->idempotency_count);
	return REEF_OK;
}

/* The manifest that the job began with. */
static const ReefManifest *
base_of(const Fold *fold)
{
	static const ReefManifest nothing;

	return fold->view->loaded == NULL ? &nothing :
		&fold->view->loaded->manifest;
}

static ReefCode
list_segments(const Fold *fold, const ReefManifest *base, ReefArena *arena,
			  ReefManifest *manifest, ReefError *err)
{
	const ReefFoldOutput *output = &fold->output;

	manifest->segment_count = base->segment_count + output->segment_count;
	manifest->segments = reef_arena_alloc(arena,
										  sizeof(*manifest->segments) *
										  ((size_t) manifest->segment_count + 1));
	if (manifest->segments == NULL)
		return reef_error_no_memory(err, sizeof(*manifest->segments));
	if (base->segment_count > 0)
		memcpy(manifest->segments, base->segments,
			   sizeof(*manifest->segments) * (size_t) base->segment_count);
	if (output->segment_count > 0)
		memcpy(manifest->segments + base->segment_count, output->segments,
			   sizeof(*manifest->segments) * (size_t) output->segment_count);
	return REEF_OK;
}

/* The base with the generations applied; a ReefManifestChange.build. */
static ReefCode
build_manifest(void *arg, const ReefManifest *base, ReefArena *arena,
			   ReefManifest *next, bool *is_stale, ReefError *err)
{
	const Fold *fold = arg;
	ReefNamespace *ns = fold->ns;
	const ReefGeneration *last = fold->generations[fold->generation_count - 1];
	int64_t		row_count = (int64_t) base->live_row_count +
		row_count_delta(fold);

	/* only the holder of the fold right moves this */
	*is_stale = base->last_applied_lsn !=
		fold->view->shared_manifest->applied_lsn;
	if (*is_stale)
		return REEF_OK;
	if (row_count < 0)
		return reef_error_set(err, REEF_BUG, "the row count is negative",
							  "namespace \"%s\" would have %lld rows",
							  ns->name, (long long) row_count);
	memset(next, 0, sizeof(*next));
	memcpy(next->namespace_id, ns->shared->namespace_id, 16);
	next->epoch = last->last_epoch;
	next->last_applied_lsn = atomic_load(&last->lsn_to);
	next->last_applied_crc = last->last_crc;
	next->live_row_count = (uint64_t) row_count;
	next->schema = *reef_view_schema(fold->view);
	REEF_TRY(reef_transactions_carry(ns->host, base, fold->generations,
									 fold->generation_count, arena, next,
									 err));
	REEF_TRY(list_segments(fold, base, arena, next, err));
	return carry_idempotency(fold, base, arena, next, err);
}

/*
 * The manifest as it will be if nobody else commits one before; equal for equal
 * inputs.  What the last segment says of all others.
 */
static ReefCode
describe(void *arg, const ReefFoldOutput *output, ReefManifest *copy,
		 ReefError *err)
{
	const Fold *fold = arg;
	const ReefManifest *base = base_of(fold);
	bool		is_stale;

	(void) output;
	REEF_TRY(build_manifest(arg, base, fold->output.arena, copy, &is_stale,
							err));
	copy->version = base->version + 1;
	copy->parent_version = base->version;
	copy->time_ms = base->time_ms;
	copy->rebuildable_lsn = base->rebuildable_lsn;
	return REEF_OK;
}

static uint64_t
max_xid(const Fold *fold)
{
	uint64_t	xid = 0;
	int			i;

	for (i = 0; i < fold->generation_count; i++)
	{
		if (xid < fold->generations[i]->max_xid)
			xid = fold->generations[i]->max_xid;
	}
	return xid;
}

/* ---- fold ---- */

static bool
is_attached(const Fold *fold, const ReefSegmentMeta *meta)
{
	int			i;

	for (i = 0; i < fold->generation_count; i++)
	{
		const ReefAttached *attached;

		attached = atomic_load(&fold->generations[i]->first_attached);
		for (; attached != NULL; attached = atomic_load(&attached->next))
		{
			if (memcmp(attached->meta.id, meta->id, sizeof(meta->id)) == 0)
				return true;
		}
	}
	return false;
}

/* What we wrote: an attached segment is its record's. */
static void
delete_outputs(const Fold *fold)
{
	int			i;

	for (i = 0; i < fold->output.segment_count; i++)
	{
		if (!is_attached(fold, &fold->output.segments[i]))
			reef_outputs_delete(fold->ns, &fold->output.segments[i], 1);
	}
}

static ReefCode
commit_outputs(Fold *fold, ReefFoldResult *result, ReefError *err)
{
	ReefManifestChange change = {.build = build_manifest, .arg = fold};
	ReefManifest manifest;
	ReefManifestOutcome outcome;
	ReefCode	rc;

	change.incarnation = fold->view->incarnation;
	change.folded_max_xid = max_xid(fold);
	change.copy_base_version = fold->output.has_copy ?
		base_of(fold)->version : UINT64_MAX;
	change.copy_applied_lsn =
		atomic_load(&fold->generations[fold->generation_count - 1]->lsn_to);
	rc = reef_manifest_commit(fold->ns, &change, &fold->arena, &manifest,
							  &outcome, err);
	if (outcome == REEF_MANIFEST_STALE)
		delete_outputs(fold);
	if (rc != REEF_OK || outcome != REEF_MANIFEST_COMMITTED)
		return rc;

	result->folded = true;
	result->rows = fold->output.rows;
	result->segments = (uint64_t) fold->output.segment_count;
	result->bytes = fold->output.bytes;
	result->manifest_version = manifest.version;
	result->last_applied_lsn = manifest.last_applied_lsn;
	atomic_fetch_add(&fold->ns->shared->fold_count, 1);
	return REEF_OK;
}

static ReefCode
fold_generations(Fold *fold, ReefFoldResult *result, ReefError *err)
{
	ReefCode	rc;

	fold->output.arena = &fold->arena;
	fold->output.describe = describe;
	fold->output.describe_arg = fold;
	rc = reef_fold_write(fold->ns, reef_view_schema(fold->view),
						 fold->generations, fold->generation_count,
						 &fold->output, err);
	atomic_fetch_add(&fold->ns->shared->fold_bytes, fold->output.bytes);
	if (rc != REEF_OK)
	{
		delete_outputs(fold);
		return rc;
	}
	return commit_outputs(fold, result, err);
}

static ReefCode
fold_chosen(Fold *fold, ReefFoldResult *result, ReefError *err)
{
	ReefPending pending;
	ReefCode	rc;

	REEF_TRY(reef_view_pin_present(fold->ns, &fold->view, err));
	REEF_TRY(choose(fold, err));
	result->waiting = fold->is_waiting && fold->generation_count == 0;
	if (fold->generation_count == 0)
		return REEF_OK;
	REEF_TRY(reef_pending_begin(fold->ns, &pending, err));
	rc = fold_generations(fold, result, err);
	reef_pending_end(fold->ns, &pending);
	return rc;
}

static ReefCode
fold_with_right(ReefNamespace *ns, ReefFoldResult *result, ReefError *err)
{
	Fold		fold = {.ns = ns};
	bool		has_work;
	bool		is_busy;
	ReefCode	rc;

	REEF_TRY(seal_with_right(ns, &has_work, &is_busy, err));
	result->waiting = is_busy;
	if (!has_work)
		return REEF_OK;
	reef_arena_init(&fold.arena, 0);
	rc = fold_chosen(&fold, result, err);
	reef_view_unpin(fold.view);
	reef_arena_release(&fold.arena);
	reef_namespace_trim(ns->host, ns->shared);
	return rc;
}

ReefCode
reef_fold(ReefNamespace *ns, ReefFoldResult *result, ReefError *err)
{
	const ReefHost *host = ns->host;
	int			lock_number = ns->shared->lock_number;
	ReefCode	rc;

	memset(result, 0, sizeof(*result));
	rc = host->right_acquire(host->arg, lock_number, REEF_RIGHT_FOLD,
							 ns->settings->commit_timeout_us);
	if (rc != REEF_OK)
		return reef_error_set(err, rc, "could not fold the namespace",
							  "namespace \"%s\" is being folded by another session",
							  ns->name);
	rc = fold_with_right(ns, result, err);
	host->right_release(host->arg, lock_number, REEF_RIGHT_FOLD);
	return rc;
}
