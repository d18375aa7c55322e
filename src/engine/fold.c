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
 *	  seal -> write segments -> put manifest -> list -> install -> trim
 *
 * A crash before the put leaves segments that nobody references, after it a
 * manifest that recovery finds.  The list after the put is for a maintainer
 * that slept: its manifest may have landed on a number that was collected, and
 * then there is a higher one, our version is not the truth, and no memory may
 * be freed on its account [I1].
 *
 * A void transaction is not written, and the manifest moves past it; but not
 * before its abort record is durable, so that whoever falls back to an older
 * manifest, or writes the next one elsewhere, comes to the same rows [I3].
 */
#include <stdlib.h>

#include "engine/fold_merge.h"

/* How long to wait for the commit right, which is needed only to seal. */
#define SEAL_TIMEOUT_US INT64_C(5000000)

#define FOLD_REBASES_MAX 5

typedef struct Fold
{
	ReefNamespace *ns;
	ReefArena	arena;
	ReefView   *view;			/* keeps base manifest and generations */
	int64_t		start_store_us;
	ReefGeneration **generations;	/* to fold, oldest first */
	int			generation_count;
	bool		is_waiting;		/* some transaction has not ended */
	ReefFoldOutput output;
	ReefManifest base;			/* what the new manifest is built on */
	uint64_t	copy_base_version;	/* what the copy in the last segment is */
	uint64_t	version;		/* to put */
	ReefManifest manifest;		/* the new one ... */
	ReefBuf		bytes;			/* ... encoded ... */
	ReefSharedManifest *shared_manifest;	/* ... and in shared memory */
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
	if (shared->mode != REEF_MODE_WRITER)
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
carry_idempotency(Fold *fold, ReefError *err)
{
	const ReefHost *host = fold->ns->host;
	int64_t		oldest_ms = host->now_us(host->arg) / 1000 -
		fold->ns->settings->idempotency_retention_ms;
	ReefManifest *manifest = &fold->manifest;
	int			count = fold->base.idempotency_count +
		add_new_idempotency(fold, NULL);
	int			i;

	manifest->idempotency_count = 0;
	manifest->idempotency = reef_arena_calloc(&fold->arena,
											  sizeof(*manifest->idempotency) *
											  ((size_t) count + 1));
	if (manifest->idempotency == NULL)
		return reef_error_no_memory(err, sizeof(*manifest->idempotency));
	for (i = 0; i < fold->base.idempotency_count; i++)
	{
		if (fold->base.idempotency[i].time_ms >= oldest_ms)
			manifest->idempotency[manifest->idempotency_count++] =
				fold->base.idempotency[i];
	}
	manifest->idempotency_count +=
		add_new_idempotency(fold,
							manifest->idempotency + manifest->idempotency_count);
	return REEF_OK;
}

static ReefCode
list_segments(Fold *fold, ReefError *err)
{
	ReefManifest *manifest = &fold->manifest;

	manifest->segment_count = fold->base.segment_count +
		fold->output.segment_count;
	manifest->segments = reef_arena_alloc(&fold->arena,
										  sizeof(*manifest->segments) *
										  ((size_t) manifest->segment_count + 1));
	if (manifest->segments == NULL)
		return reef_error_no_memory(err, sizeof(*manifest->segments));
	if (fold->base.segment_count > 0)
		memcpy(manifest->segments, fold->base.segments,
			   sizeof(*manifest->segments) * (size_t) fold->base.segment_count);
	if (fold->output.segment_count > 0)
		memcpy(manifest->segments + fold->base.segment_count,
			   fold->output.segments, sizeof(*manifest->segments) *
			   (size_t) fold->output.segment_count);
	return REEF_OK;
}

/* All but what tells it from others of equal contents. */
static ReefCode
fill_manifest(Fold *fold, ReefError *err)
{
	ReefNamespace *ns = fold->ns;
	const ReefGeneration *last = fold->generations[fold->generation_count - 1];
	ReefManifest *manifest = &fold->manifest;
	int64_t		row_count = (int64_t) fold->base.live_row_count +
		row_count_delta(fold);

	if (row_count < 0)
		return reef_error_set(err, REEF_BUG, "the row count is negative",
							  "namespace \"%s\" would have %lld rows",
							  ns->name, (long long) row_count);
	memset(manifest, 0, sizeof(*manifest));
	memcpy(manifest->namespace_id, ns->shared->namespace_id, 16);
	manifest->epoch = last->last_epoch;
	manifest->last_applied_lsn = atomic_load(&last->lsn_to);
	manifest->last_applied_crc = last->last_crc;
	manifest->live_row_count = (uint64_t) row_count;
	manifest->schema = *reef_view_schema(fold->view);
	REEF_TRY(list_segments(fold, err));
	return carry_idempotency(fold, err);
}

static ReefCode
make_manifest(Fold *fold, ReefError *err)
{
	const ReefHost *host = fold->ns->host;
	ReefManifest *manifest = &fold->manifest;

	REEF_TRY(fill_manifest(fold, err));
	manifest->version = fold->version;
	manifest->parent_version = fold->base.version;
	manifest->time_ms = host->now_us(host->arg) / 1000;
	if (fold->output.has_copy &&
		fold->copy_base_version == fold->base.version)
		manifest->rebuildable_lsn = manifest->last_applied_lsn;
	else
		manifest->rebuildable_lsn = fold->base.rebuildable_lsn;
	reef_buf_reset(&fold->bytes);
	return reef_manifest_encode(manifest, &fold->bytes, err);
}

/* What the last segment says of all others; equal for equal inputs. */
static ReefCode
describe(void *arg, const ReefFoldOutput *output, ReefManifest *copy,
		 ReefError *err)
{
	Fold	   *fold = arg;

	(void) output;
	REEF_TRY(fill_manifest(fold, err));
	fold->copy_base_version = fold->base.version;
	*copy = fold->manifest;
	copy->version = fold->base.version + 1;
	copy->parent_version = fold->base.version;
	copy->time_ms = fold->base.time_ms;
	copy->rebuildable_lsn = fold->base.rebuildable_lsn;
	return REEF_OK;
}

/*
 * Memory for the new manifest.  When there is none left even so, the fold goes
 * on without: once the manifest is stored, all memory can be given back and
 * the namespace read anew, and refusing to fold would leave it full for ever.
 */
static ReefCode
reserve_shared(Fold *fold, ReefError *err)
{
	const ReefHost *host = fold->ns->host;
	ReefNamespaceShared *shared = fold->ns->shared;
	uint64_t	max_xid = shared->folded_xid;
	ReefCode	rc;
	int			i;

	if (fold->shared_manifest != NULL)
		reef_shared_manifest_free(host, fold->shared_manifest);
	fold->shared_manifest = NULL;
	for (i = 0; i < fold->generation_count; i++)
	{
		if (max_xid < fold->generations[i]->max_xid)
			max_xid = fold->generations[i]->max_xid;
	}
	rc = reef_shared_manifest_new(host, &fold->manifest,
								  reef_buf_slice(&fold->bytes), max_xid,
								  &fold->shared_manifest, err);
	if (rc == REEF_LIMIT)
	{
		reef_namespace_trim_retained(host, shared, true);
		rc = reef_shared_manifest_new(host, &fold->manifest,
									  reef_buf_slice(&fold->bytes), max_xid,
									  &fold->shared_manifest, err);
	}
	return rc == REEF_LIMIT ? REEF_OK : rc;
}

/* ---- put ---- */

/*
 * A collector takes segments that nothing references once they are old, and
 * cannot know that we are still at it [I9].
 */
static ReefCode
check_outputs(Fold *fold, ReefError *err)
{
	ReefNamespace *ns = fold->ns;
	int64_t		now_us;
	int			i;

	REEF_TRY(reef_store_now(ns->store, &now_us, err));
	if (now_us - fold->start_store_us <= ns->settings->gc_grace_us / 2)
		return REEF_OK;
	for (i = 0; i < fold->output.segment_count; i++)
	{
		char		key[REEF_OBJECT_KEY_SIZE];
		ReefObjectInfo object;
		ReefCode	rc;

		reef_layout_segment_key(ns->prefix, fold->output.segments[i].id, key);
		rc = reef_store_head(ns->store, key, &object, err);
		if (rc == REEF_NOT_FOUND)
			return reef_error_set(err, REEF_UNAVAILABLE,
								  "the fold took too long",
								  "segment \"%s\" was collected before the manifest named it",
								  key);
		if (rc != REEF_OK)
			return rc;
	}
	return REEF_OK;
}

/* REEF_OK: it is there.  REEF_CONFLICT: another one has the number. */
static ReefCode
put_manifest(Fold *fold, ReefError *err)
{
	ReefNamespace *ns = fold->ns;
	const ReefHost *host = ns->host;
	int64_t		deadline_us = host->now_us(host->arg) +
		ns->settings->commit_timeout_us;
	char		key[REEF_OBJECT_KEY_SIZE];
	bool		is_ambiguous = false;

	reef_layout_manifest_key(ns->prefix, fold->version, key);
	for (;;)
	{
		ReefBuf		found;
		bool		is_ours;
		ReefCode	rc;

		rc = reef_store_put_if_absent(ns->store, key,
									  reef_buf_slice(&fold->bytes), err);
		if (rc == REEF_OK)
			return REEF_OK;
		if (rc == REEF_CONFLICT || rc == REEF_UNCERTAIN)
			is_ambiguous = true;
		if (!is_ambiguous)
			return rc;

		reef_buf_init(&found);
		rc = reef_store_get(ns->store, key, &found, err);
		is_ours = rc == REEF_OK &&
			reef_slice_equal(reef_buf_slice(&found),
							 reef_buf_slice(&fold->bytes));
		reef_buf_release(&found);
		if (is_ours)
			return REEF_OK;
		if (rc == REEF_OK)
			return REEF_CONFLICT;
		if (host->now_us(host->arg) > deadline_us ||
			host->wait(host->arg, NULL, 0, INT64_C(100000)) != REEF_OK)
			return reef_error_set(err, REEF_UNCERTAIN,
								  "the outcome of the fold is unknown",
								  "object \"%s\"", key);
	}
}

/*
 * Another manifest has our number.  If it has applied what ours is built on and
 * no more, ours can follow it; otherwise somebody else folds here.
 */
static ReefCode
rebase(Fold *fold, bool *is_stale, ReefError *err)
{
	uint64_t	base_lsn = fold->base.last_applied_lsn;
	uint64_t	version_max;
	ReefBuf		bytes;
	ReefCode	rc;

	reef_buf_init(&bytes);
	rc = reef_manifest_find_current(fold->ns, &fold->arena, &fold->base,
									&bytes, &version_max, err);
	reef_buf_release(&bytes);
	if (rc != REEF_OK)
		return rc;
	*is_stale = fold->base.last_applied_lsn != base_lsn ||
		memcmp(fold->base.namespace_id, fold->ns->shared->namespace_id,
			   16) != 0;
	fold->version = version_max + 1;
	return REEF_OK;
}

/* *is_stale: the namespace is not what we think it is. */
static ReefCode
commit_manifest(Fold *fold, bool *is_stale, ReefError *err)
{
	uint64_t   *versions;
	int			count;
	ReefCode	rc = REEF_CONFLICT;
	int			i;

	*is_stale = false;
	for (i = 0; i < FOLD_REBASES_MAX && rc == REEF_CONFLICT; i++)
	{
		if (i > 0)
			REEF_TRY(rebase(fold, is_stale, err));
		if (*is_stale)
			return REEF_OK;
		REEF_TRY(make_manifest(fold, err));
		REEF_TRY(reserve_shared(fold, err));
		REEF_TRY(check_outputs(fold, err));
		rc = put_manifest(fold, err);
	}
	if (rc == REEF_CONFLICT)
		return reef_error_set(err, REEF_UNAVAILABLE,
							  "could not commit a manifest",
							  "somebody else was faster %d times in namespace \"%s\"",
							  FOLD_REBASES_MAX, fold->ns->name);
	if (rc != REEF_OK)
		return rc;
	REEF_TRY(reef_manifest_list(fold->ns, fold->version, &fold->arena,
								&versions, &count, err));
	*is_stale = count > 0;
	return REEF_OK;
}

/* ---- install ---- */

/* Not if the namespace was reopened meanwhile: then it was read from what is
 * stored, our manifest included. */
static void
install(Fold *fold)
{
	const ReefHost *host = fold->ns->host;
	ReefNamespaceShared *shared = fold->ns->shared;

	reef_namespace_lock(host, shared, true);
	if (shared->incarnation == fold->view->incarnation)
	{
		reef_namespace_push_manifest(host, shared, fold->shared_manifest);
		fold->shared_manifest = NULL;
	}
	reef_namespace_unlock(host, shared);
}

/* The state in memory is not that of the store: let the next user read it. */
static ReefCode
reload(ReefNamespace *ns, uint64_t incarnation, ReefError *err)
{
	const ReefHost *host = ns->host;
	ReefNamespaceShared *shared = ns->shared;
	ReefCode	rc;

	rc = host->right_acquire(host->arg, shared->lock_number,
							 REEF_RIGHT_COMMIT,
							 ns->settings->commit_timeout_us);
	if (rc != REEF_OK)
		return reef_error_set(err, rc, "could not reload the namespace",
							  "namespace \"%s\" has a newer manifest than this server's memory",
							  ns->name);
	if (shared->incarnation == incarnation)
		reef_namespace_close_shared(host, shared);
	host->right_release(host->arg, shared->lock_number, REEF_RIGHT_COMMIT);
	return REEF_OK;
}

/* ---- fold ---- */

static ReefCode
fold_generations(Fold *fold, ReefFoldResult *result, ReefError *err)
{
	bool		is_stale;

	REEF_TRY(reef_store_now(fold->ns->store, &fold->start_store_us, err));
	fold->output.arena = &fold->arena;
	fold->output.describe = describe;
	fold->output.describe_arg = fold;
	REEF_TRY(reef_fold_write(fold->ns, reef_view_schema(fold->view),
							 fold->generations, fold->generation_count,
							 &fold->output, err));
	REEF_TRY(commit_manifest(fold, &is_stale, err));
	if (is_stale)
		return reload(fold->ns, fold->view->incarnation, err);
	if (fold->shared_manifest == NULL)
		REEF_TRY(reload(fold->ns, fold->view->incarnation, err));
	else
		install(fold);

	result->folded = true;
	result->rows = fold->output.rows;
	result->segments = (uint64_t) fold->output.segment_count;
	result->bytes = fold->output.bytes;
	result->manifest_version = fold->manifest.version;
	result->last_applied_lsn = fold->manifest.last_applied_lsn;
	return REEF_OK;
}

static ReefCode
fold_chosen(Fold *fold, ReefFoldResult *result, ReefError *err)
{
	REEF_TRY(reef_view_pin_present(fold->ns, &fold->view, err));
	REEF_TRY(choose(fold, err));
	result->waiting = fold->is_waiting && fold->generation_count == 0;
	if (fold->generation_count == 0)
		return REEF_OK;
	if (fold->view->loaded != NULL)
		fold->base = fold->view->loaded->manifest;
	reef_namespace_lock(fold->ns->host, fold->ns->shared, false);
	fold->version = fold->ns->shared->manifest_version_max + 1;
	reef_namespace_unlock(fold->ns->host, fold->ns->shared);
	return fold_generations(fold, result, err);
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
	reef_buf_init(&fold.bytes);
	rc = fold_chosen(&fold, result, err);
	if (fold.shared_manifest != NULL)
		reef_shared_manifest_free(ns->host, fold.shared_manifest);
	reef_view_unpin(fold.view);
	reef_buf_release(&fold.bytes);
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
