/*
 * namespace.c
 *	  A namespace's shared state: its memory, its handles, its life and end.
 *
 * The entry itself is fixed-size memory of the host.  What hangs from it -
 * manifests and memtable generations - is counted: one reference for being
 * listed, one for each view that pins it.  Whoever takes the last one away
 * frees it, outside the lock.  So forgetting the state (another server took
 * over, or the entry is wanted for another namespace) needs to wait for
 * nobody: readers keep what they pinned.
 */
#include <assert.h>
#include <stdlib.h>

#include "engine/maintenance.h"
#include "parquet/writer.h"

void
reef_engine_settings_init(ReefEngineSettings *settings)
{
	memset(settings, 0, sizeof(*settings));
	settings->commit_timeout_us = INT64_C(30) * 1000000;
	settings->gc_grace_us = INT64_C(3600) * 1000000;
	settings->transaction_buffer_size = (size_t) 64 * 1024 * 1024;
	settings->target_segment_size = (size_t) 128 * 1024 * 1024;
	settings->idempotency_retention_ms = INT64_C(24) * 3600 * 1000;
	settings->compression = REEF_COMPRESSION_ZSTD;
	settings->compression_level = 3;
	settings->page_cache_size = (size_t) 64 * 1024 * 1024;
}

size_t
reef_namespace_shared_size(void)
{
	return sizeof(ReefNamespaceShared);
}

void
reef_namespace_shared_init(ReefNamespaceShared *shared, int lock_number)
{
	memset(shared, 0, sizeof(*shared));
	shared->lock_number = lock_number;
	/* 0 is what a frame or a decoded manifest of no incarnation says */
	shared->incarnation = 1;
}

void
reef_namespace_lock(const ReefHost *host, const ReefNamespaceShared *shared,
					bool exclusive)
{
	host->lock(host->arg, shared->lock_number, exclusive);
}

void
reef_namespace_unlock(const ReefHost *host, const ReefNamespaceShared *shared)
{
	host->unlock(host->arg, shared->lock_number);
}

/* ---- references ---- */

ReefCode
reef_shared_manifest_new(const ReefHost *host, const ReefManifest *manifest,
						 ReefSlice bytes, uint64_t folded_max_xid,
						 ReefSharedManifest **shared_manifest, ReefError *err)
{
	size_t		allocated = sizeof(ReefSharedManifest) + bytes.size;
	ReefSharedManifest *fresh;

	allocated = (allocated + REEF_SHARED_PAGE_SIZE - 1) /
		REEF_SHARED_PAGE_SIZE * REEF_SHARED_PAGE_SIZE;
	fresh = host->shared_alloc(host->arg, allocated);
	if (fresh == NULL)
		return reef_error_set(err, REEF_LIMIT,
							  "memory for a manifest is used up",
							  "%zu bytes are needed", allocated);
	memset(fresh, 0, sizeof(*fresh));
	if (manifest != NULL)
	{
		fresh->version = manifest->version;
		fresh->applied_lsn = manifest->last_applied_lsn;
	}
	fresh->folded_max_xid = folded_max_xid;
	fresh->references = 1;
	fresh->size = bytes.size;
	fresh->allocated = allocated;
	if (bytes.size > 0)
		memcpy(fresh->bytes, bytes.data, bytes.size);
	*shared_manifest = fresh;
	return REEF_OK;
}

void
reef_shared_manifest_free(const ReefHost *host,
						  ReefSharedManifest *shared_manifest)
{
	host->shared_free(host->arg, shared_manifest, shared_manifest->allocated);
}

/* With the lock held.  Freeing takes only memory operations, so it may stay
 * under the lock too. */
static void
release_manifest(const ReefHost *host, ReefNamespaceShared *shared,
				 ReefSharedManifest *shared_manifest)
{
	ReefSharedManifest **link = &shared->all_manifests;

	assert(shared_manifest->references > 0);
	if (--shared_manifest->references > 0)
		return;
	while (*link != shared_manifest)
		link = &(*link)->next_of_all;
	*link = shared_manifest->next_of_all;
	reef_shared_manifest_free(host, shared_manifest);
}

static void
release_generation(const ReefHost *host, ReefGeneration *generation)
{
	assert(generation->references > 0);
	if (--generation->references == 0)
		reef_generation_free(host, generation);
}

void
reef_namespace_push_manifest(const ReefHost *host, ReefNamespaceShared *shared,
							 ReefSharedManifest *shared_manifest)
{
	ReefSharedManifest *previous = shared->manifest_count == 0 ? NULL :
		shared->manifests[0];

	shared_manifest->next_of_all = shared->all_manifests;
	shared->all_manifests = shared_manifest;
	if (shared->manifest_version_max < shared_manifest->version)
		shared->manifest_version_max = shared_manifest->version;

	/*
	 * A compaction's has the rows of the one before: whoever may use that may
	 * use this.
	 */
	if (previous != NULL &&
		previous->applied_lsn == shared_manifest->applied_lsn &&
		previous->folded_max_xid == shared_manifest->folded_max_xid)
	{
		shared->manifests[0] = shared_manifest;
		release_manifest(host, shared, previous);
		return;
	}
	if (shared->manifest_count == REEF_SHARED_MANIFESTS_MAX)
		release_manifest(host, shared,
						 shared->manifests[--shared->manifest_count]);
	memmove(&shared->manifests[1], &shared->manifests[0],
			sizeof(shared->manifests[0]) * (size_t) shared->manifest_count);
	shared->manifests[0] = shared_manifest;
	shared->manifest_count++;
	shared->folded_xid = shared_manifest->folded_max_xid;
}

void
reef_namespace_unpin(const ReefHost *host, ReefNamespaceShared *shared,
					 ReefSharedManifest *shared_manifest,
					 ReefGeneration **generations, int count)
{
	int			i;

	reef_namespace_lock(host, shared, true);
	release_manifest(host, shared, shared_manifest);
	for (i = 0; i < count; i++)
		release_generation(host, generations[i]);
	shared->pins--;
	reef_namespace_unlock(host, shared);
}

/* Drop the generations that every listed manifest has applied. */
static void
drop_applied_generations(const ReefHost *host, ReefNamespaceShared *shared)
{
	uint64_t	floor;

	floor = shared->manifests[shared->manifest_count - 1]->applied_lsn;
	while (shared->oldest != shared->active &&
		   atomic_load(&shared->oldest->lsn_to) <= floor)
	{
		ReefGeneration *generation = shared->oldest;

		shared->oldest = generation->newer;
		release_generation(host, generation);
	}
}

void
reef_namespace_trim_retained(const ReefHost *host, ReefNamespaceShared *shared,
							 bool force)
{
	uint64_t	horizon = host->xid_horizon(host->arg);

	reef_namespace_lock(host, shared, true);
	while (shared->manifest_count > 1)
	{
		ReefSharedManifest *older;

		/*
		 * The oldest is needed as long as some snapshot does not cover what
		 * the next one has folded [I5].
		 */
		older = shared->manifests[shared->manifest_count - 1];
		if (!force &&
			shared->manifests[shared->manifest_count - 2]->folded_max_xid >=
			horizon)
			break;
		shared->manifest_count--;
		release_manifest(host, shared, older);
	}
	if (shared->manifest_count > 0)
		drop_applied_generations(host, shared);
	reef_namespace_unlock(host, shared);
}

void
reef_namespace_trim(const ReefHost *host, ReefNamespaceShared *shared)
{
	reef_namespace_trim_retained(host, shared, false);
	reef_namespace_set_aside(host, shared);
}

/* ---- generations ---- */

/*
 * A fold frees memory, but begins by sealing, which needs some: a generation
 * set aside beforehand keeps a full memtable from being stuck.
 */
void
reef_namespace_set_aside(const ReefHost *host, ReefNamespaceShared *shared)
{
	ReefGeneration *generation;
	ReefError	err;
	bool		is_wanted;

	reef_namespace_lock(host, shared, false);
	is_wanted = shared->spare == NULL && shared->active != NULL;
	reef_namespace_unlock(host, shared);
	if (!is_wanted)
		return;

	reef_error_init(&err);
	if (reef_generation_new(host, 0, &generation, &err) != REEF_OK)
		return;
	reef_namespace_lock(host, shared, true);
	if (shared->spare == NULL && shared->active != NULL)
	{
		shared->spare = generation;
		generation = NULL;
	}
	reef_namespace_unlock(host, shared);
	if (generation != NULL)
		reef_generation_free(host, generation);
}

ReefCode
reef_namespace_seal(const ReefHost *host, ReefNamespaceShared *shared,
					ReefError *err)
{
	ReefGeneration *fresh = NULL;

	if (shared->spare == NULL)
		REEF_TRY(reef_generation_new(host, shared->last_lsn, &fresh, err));

	reef_namespace_lock(host, shared, true);
	if (fresh == NULL)
	{
		fresh = shared->spare;
		shared->spare = NULL;
	}
	fresh->lsn_from = shared->last_lsn;
	atomic_store(&fresh->lsn_to, shared->last_lsn);
	fresh->last_epoch = shared->epoch;
	fresh->last_crc = shared->last_crc;
	shared->active->is_sealed = true;
	shared->active->newer = fresh;
	shared->active = fresh;
	reef_namespace_unlock(host, shared);
	return REEF_OK;
}

void
reef_namespace_advance(ReefNamespace *ns, const ReefWalHeader *header)
{
	ReefNamespaceShared *shared = ns->shared;
	ReefGeneration *active = shared->active;

	reef_namespace_lock(ns->host, shared, true);
	shared->exists = true;
	memcpy(shared->namespace_id, header->namespace_id, 16);
	shared->last_lsn = header->lsn;
	shared->last_crc = header->crc;
	if (shared->epoch < header->epoch)
		shared->epoch = header->epoch;
	if (header->frame_count == 0 &&
		memcmp(header->cluster_id, ns->settings->cluster_id, 16) != 0)
		shared->foreign_fence_lsn = header->lsn;
	active->last_crc = header->crc;
	active->last_epoch = shared->epoch;
	active->record_count++;
	atomic_store(&active->lsn_to, header->lsn);
	reef_namespace_unlock(ns->host, shared);
}

/* ---- end ---- */

/* The highest xid that decides, or has decided, what a snapshot sees. */
static uint64_t
max_xid(const ReefNamespaceShared *shared)
{
	uint64_t	xid = shared->forgotten_xid;
	const ReefGeneration *generation;

	if (xid < shared->folded_xid)
		xid = shared->folded_xid;
	for (generation = shared->oldest; generation != NULL;
		 generation = generation->newer)
	{
		if (xid < generation->max_xid)
			xid = generation->max_xid;
	}
	return xid;
}

/*
 * Forget everything but the pending aborts, which are known nowhere else, and
 * the namespace id that they belong to; views keep what they pinned.  What
 * comes back from the store carries no xids, so snapshots that do not cover
 * those we had must not use it [I5].
 */
static void
forget(const ReefHost *host, ReefNamespaceShared *shared)
{
	shared->forgotten_xid = max_xid(shared);
	while (shared->manifest_count > 0)
		release_manifest(host, shared,
						 shared->manifests[--shared->manifest_count]);
	while (shared->oldest != NULL)
	{
		ReefGeneration *generation = shared->oldest;

		shared->oldest = generation->newer;
		release_generation(host, generation);
	}
	shared->active = NULL;
	if (shared->spare != NULL)
		release_generation(host, shared->spare);
	shared->spare = NULL;

	shared->mode = REEF_MODE_CLOSED;
	shared->exists = false;
	shared->is_suspect = false;
	shared->incarnation++;
	shared->epoch = 0;
	shared->last_lsn = 0;
	shared->last_crc = 0;
	shared->refreshed_us = 0;
	shared->full_refresh_store_us = 0;
	shared->manifest_version_max = 0;
	shared->foreign_fence_lsn = 0;
	/* undecided_lsn and its time stay: closing decides nothing */
	shared->is_unconfirmed = false;
	shared->is_in_doubt = false;
	shared->folded_xid = 0;
}

void
reef_namespace_close_shared(const ReefHost *host, ReefNamespaceShared *shared)
{
	reef_namespace_lock(host, shared, true);
	forget(host, shared);
	reef_namespace_unlock(host, shared);
}

static bool
has_pending(const ReefNamespaceShared *shared)
{
	int			i;

	for (i = 0; i < REEF_PENDING_MAX; i++)
	{
		if (shared->pending[i].serial != 0)
			return true;
	}
	return false;
}

ReefCode
reef_namespace_shared_reset(const ReefHost *host, ReefNamespaceShared *shared,
							bool force, ReefError *err)
{
	uint64_t	applied_lsn = 0;

	reef_namespace_lock(host, shared, true);
	if (shared->pins > 0 || has_pending(shared))
	{
		reef_namespace_unlock(host, shared);
		return reef_error_set(err, REEF_UNAVAILABLE,
							  "the namespace is being read or written", NULL);
	}
	if (shared->manifest_count > 0)
		applied_lsn = shared->manifests[0]->applied_lsn;
	if (!force && max_xid(shared) >= host->xid_horizon(host->arg))
	{
		reef_namespace_unlock(host, shared);
		return reef_error_set(err, REEF_UNAVAILABLE,
							  "the namespace has rows that old snapshots must not see",
							  NULL);
	}
	if (!force &&
		(shared->last_lsn > applied_lsn || shared->pending_abort_count > 0))
	{
		reef_namespace_unlock(host, shared);
		return reef_error_set(err, REEF_UNAVAILABLE,
							  "the namespace has records that are not folded",
							  NULL);
	}
	forget(host, shared);
	shared->pending_abort_count = 0;
	shared->has_unqueued_aborts = false;
	shared->forgotten_xid = 0;
	shared->hold_off_until_us = 0;
	memset(&shared->settling, 0, sizeof(shared->settling));
	atomic_store(&shared->last_row_id, 0);
	atomic_store(&shared->commits, 0);
	atomic_store(&shared->records, 0);
	atomic_store(&shared->fences, 0);
	atomic_store(&shared->user_bytes, 0);
	atomic_store(&shared->wal_bytes, 0);
	atomic_store(&shared->fold_bytes, 0);
	atomic_store(&shared->compact_bytes, 0);
	atomic_store(&shared->manifest_bytes, 0);
	atomic_store(&shared->fold_count, 0);
	atomic_store(&shared->compact_count, 0);
	reef_namespace_unlock(host, shared);
	return REEF_OK;
}

/* ---- handles ---- */

ReefCode
reef_namespace_attach(const ReefHost *host, const ReefEngineSettings *settings,
					  ReefStore *store, const char *name,
					  ReefNamespaceShared *shared, ReefNamespace **ns,
					  ReefError *err)
{
	ReefNamespace *fresh = calloc(1, sizeof(*fresh));
	ReefCode	rc;

	if (fresh == NULL)
		return reef_error_no_memory(err, sizeof(*fresh));
	fresh->host = host;
	fresh->settings = settings;
	fresh->store = store;
	fresh->shared = shared;
	rc = reef_layout_namespace_prefix(name, fresh->prefix, err);
	if (rc == REEF_OK)
	{
		/* the prefix exists, so the name is short enough */
		memcpy(fresh->name, name, strlen(name) + 1);
		rc = reef_segment_cache_new(host, store, fresh->prefix, settings,
									&fresh->segments, err);
	}
	if (rc != REEF_OK)
	{
		free(fresh);
		return rc;
	}
	*ns = fresh;
	return REEF_OK;
}

void
reef_namespace_detach(ReefNamespace *ns)
{
	if (ns == NULL)
		return;
	assert(ns->view_count == 0);
	reef_pending_end_all(ns);
	reef_loaded_manifest_release(ns->loaded);
	reef_segment_cache_free(ns->segments);
	free(ns);
}

void
reef_namespace_abandon(ReefNamespace *ns)
{
	reef_pending_end_all(ns);
	reef_segment_cache_abandon(ns->segments);
}

const char *
reef_namespace_name(const ReefNamespace *ns)
{
	return ns->name;
}

ReefNamespaceShared *
reef_namespace_shared(const ReefNamespace *ns)
{
	return ns->shared;
}

void
reef_namespace_status(const ReefHost *host, ReefNamespaceShared *shared,
					  ReefNamespaceStatus *status)
{
	ReefGeneration *generation;

	memset(status, 0, sizeof(*status));
	reef_namespace_lock(host, shared, false);
	status->is_open = shared->mode != REEF_MODE_CLOSED;
	status->is_writer = shared->mode == REEF_MODE_WRITER;
	status->last_lsn = shared->last_lsn;
	status->epoch = shared->epoch;
	if (shared->manifest_count > 0)
	{
		status->last_applied_lsn = shared->manifests[0]->applied_lsn;
		status->manifest_version = shared->manifests[0]->version;
	}
	for (generation = shared->oldest; generation != NULL;
		 generation = generation->newer)
	{
		status->generations++;
		status->memtable_bytes += atomic_load(&generation->size);
		if (atomic_load(&generation->lsn_to) <= status->last_applied_lsn)
			continue;
		status->unfolded_records += generation->record_count;
		if (generation->first_applied == NULL)
			continue;
		status->unfolded_bytes += atomic_load(&generation->size);
		if (status->oldest_unfolded_us == 0)
			status->oldest_unfolded_us = generation->first_applied_us;
	}
	status->pins = (uint64_t) shared->pins;
	status->has_pending_aborts = shared->pending_abort_count > 0;
	reef_namespace_unlock(host, shared);
	status->commits = atomic_load(&shared->commits);
	status->records = atomic_load(&shared->records);
	status->fences = atomic_load(&shared->fences);
	status->user_bytes = atomic_load(&shared->user_bytes);
	status->wal_bytes = atomic_load(&shared->wal_bytes);
	status->fold_bytes = atomic_load(&shared->fold_bytes);
	status->compact_bytes = atomic_load(&shared->compact_bytes);
	status->manifest_bytes = atomic_load(&shared->manifest_bytes);
	status->fold_count = atomic_load(&shared->fold_count);
	status->compact_count = atomic_load(&shared->compact_count);
}
