/*
 * view.c
 *	  What one snapshot sees of a namespace.
 *
 * A transaction's rows are in the memtable, each version with the xid that
 * decides whether a snapshot sees it, until a fold writes them to segments,
 * where they carry no xid any more.  So a snapshot may use a manifest only if
 * it covers every transaction folded into it; an older snapshot takes an older
 * manifest and more generations of the memtable, which are kept for it (see
 * reef_namespace_trim).  Both add up to the same rows [I5].
 *
 * The choice and the references are made under the namespace's lock in one go;
 * from then on the view needs nothing but what it has pinned.
 */
#include <assert.h>
#include <stdlib.h>

#include "engine/state.h"

/* Another process may close the namespace between our opening it and our
 * pinning it; a live writer cannot do that for ever. */
#define VIEW_PIN_ATTEMPTS_MAX 8

/* ---- decoded manifests ---- */

void
reef_loaded_manifest_release(ReefLoadedManifest *loaded)
{
	if (loaded == NULL || --loaded->references > 0)
		return;
	reef_arena_release(&loaded->arena);
	free(loaded);
}

ReefCode
reef_loaded_manifest_get(ReefNamespace *ns, uint64_t incarnation,
						 const ReefSharedManifest *shared_manifest,
						 ReefLoadedManifest **loaded, ReefError *err)
{
	ReefLoadedManifest *fresh = ns->loaded;
	char		key[REEF_OBJECT_KEY_SIZE];
	ReefCode	rc;

	if (fresh != NULL && fresh->incarnation == incarnation &&
		fresh->manifest.version == shared_manifest->version)
	{
		fresh->references++;
		*loaded = fresh;
		return REEF_OK;
	}

	fresh = calloc(1, sizeof(*fresh));
	if (fresh == NULL)
		return reef_error_no_memory(err, sizeof(*fresh));
	fresh->incarnation = incarnation;
	reef_arena_init(&fresh->arena, 0);
	reef_layout_manifest_key(ns->prefix, shared_manifest->version, key);
	rc = reef_manifest_decode(reef_slice(shared_manifest->bytes,
										 shared_manifest->size),
							  shared_manifest->version, key, &fresh->arena,
							  &fresh->manifest, err);
	if (rc != REEF_OK)
	{
		reef_arena_release(&fresh->arena);
		free(fresh);
		return rc;
	}
	/* one reference for being the most recent, one for the caller */
	fresh->references = 2;
	reef_loaded_manifest_release(ns->loaded);
	ns->loaded = fresh;
	*loaded = fresh;
	return REEF_OK;
}

/* ---- visibility ---- */

/* The hint is the one word of a transaction that readers write. */
static void
remember_state(const ReefApplied *applied, uint8_t hint)
{
	ReefApplied *writable = (ReefApplied *) (uintptr_t) applied;

	if (hint != REEF_XID_IN_PROGRESS)
		atomic_store_explicit(&writable->hint, hint, memory_order_relaxed);
}

bool
reef_applied_is_void(const ReefHost *host, const ReefApplied *applied)
{
	uint8_t		hint = atomic_load_explicit(&applied->hint,
											memory_order_relaxed);

	if (hint == REEF_XID_IN_PROGRESS && applied->full_xid != 0)
	{
		hint = (uint8_t) host->xid_state(host->arg, applied->full_xid);
		remember_state(applied, hint);
	}
	return hint == REEF_XID_ABORTED;
}

bool
reef_applied_visible(const ReefView *view, const ReefApplied *applied)
{
	const ReefHost *host = view->ns->host;
	uint8_t		hint;
	bool		is_visible;

	if (applied->lsn > view->lsn)
		return false;
	hint = atomic_load_explicit(&applied->hint, memory_order_relaxed);
	if (hint == REEF_XID_ABORTED)
		return false;
	if (applied->full_xid == 0)
		return true;
	if (view->sees_in_progress)
		return !reef_applied_is_void(host, applied);
	if (hint == REEF_XID_COMMITTED && view->snapshot == NULL)
		return true;
	is_visible = host->xid_visible(host->arg, view->snapshot,
								   applied->full_xid, &hint);
	remember_state(applied, hint);
	return is_visible;
}

ReefVersion *
reef_view_version(const ReefView *view, const ReefNode *node)
{
	ReefVersion *version = reef_node_newest(node);

	while (version != NULL && !reef_applied_visible(view, version->applied))
		version = version->older;
	return version;
}

/* ---- pinning ---- */

static int
choose_manifest(const ReefHost *host, const ReefNamespaceShared *shared,
				const ReefView *view)
{
	int			i;

	for (i = 0; i < shared->manifest_count; i++)
	{
		uint64_t	xid = shared->manifests[i]->folded_max_xid;

		if (xid == 0 || view->sees_in_progress ||
			host->snapshot_covers(host->arg, view->snapshot, xid))
			return i;
	}
	return -1;
}

/* With the lock held. */
static ReefCode
pin_locked(ReefView *view, ReefError *err)
{
	ReefNamespaceShared *shared = view->ns->shared;
	int			choice = choose_manifest(view->ns->host, shared, view);
	ReefGeneration *generation;
	ReefSharedManifest *manifest;
	int			count = 0;

	if (choice < 0)
		return reef_error_set(err, REEF_SNAPSHOT_TOO_OLD,
							  "snapshot too old",
							  "the rows that namespace \"%s\" had for it have been given up",
							  view->ns->name);
	manifest = shared->manifests[choice];
	for (generation = shared->oldest; generation != NULL;
		 generation = generation->newer)
		count++;
	view->generations = reef_arena_alloc(&view->arena,
										 sizeof(*view->generations) *
										 (size_t) count);
	if (view->generations == NULL)
		return reef_error_no_memory(err, sizeof(*view->generations));

	for (generation = shared->oldest; generation != NULL;
		 generation = generation->newer)
	{
		/*
		 * Conditions are checked against all there is: a key's version says
		 * more (who wrote it, under which xid) than its row in a segment.
		 */
		if (generation != shared->active && !view->sees_in_progress &&
			atomic_load(&generation->lsn_to) <= manifest->applied_lsn)
			continue;
		generation->references++;
		view->generations[view->generation_count++] = generation;
	}
	if (view->sees_in_progress)
	{
		view->oldest_manifest = shared->manifests[shared->manifest_count - 1];
		view->oldest_manifest->references++;
		shared->pins++;
	}
	manifest->references++;
	view->shared_manifest = manifest;
	view->exists = shared->exists;
	view->incarnation = shared->incarnation;
	view->lsn = shared->last_lsn;
	shared->pins++;
	return REEF_OK;
}

/* Oldest layout first, so that columns keep the order in which they came. */
static ReefCode
merge_layouts(ReefView *view, const ReefLayout *layout, ReefError *err)
{
	ReefSchema	merged;
	bool		changed;

	if (layout == NULL)
		return REEF_OK;
	REEF_TRY(merge_layouts(view, layout->next, err));
	if (!atomic_load_explicit(&layout->is_published, memory_order_acquire))
		return REEF_OK;
	REEF_TRY(reef_schema_merge(&view->arena, &view->schema, &layout->schema,
							   &merged, &changed, err));
	if (changed)
		view->schema = merged;
	return REEF_OK;
}

static ReefCode
complete_view(ReefView *view, ReefError *err)
{
	int			i;

	if (view->shared_manifest->size > 0)
	{
		REEF_TRY(reef_loaded_manifest_get(view->ns, view->incarnation,
										  view->shared_manifest,
										  &view->loaded, err));
		view->schema = view->loaded->manifest.schema;
	}
	for (i = 0; i < view->generation_count; i++)
		REEF_TRY(merge_layouts(view,
							   atomic_load_explicit(&view->generations[i]->layouts,
													memory_order_acquire),
							   err));
	return REEF_OK;
}

/* NULL when out of memory */
static ReefView *
view_new(ReefNamespace *ns, void *snapshot)
{
	ReefView   *view = calloc(1, sizeof(*view));

	if (view == NULL)
		return NULL;
	view->ns = ns;
	view->snapshot = snapshot;
	reef_arena_init(&view->arena, 0);
	ns->view_count++;
	return view;
}

/* *is_closed: nothing is pinned, open it again */
static ReefCode
pin_open(ReefView *view, bool *is_closed, ReefError *err)
{
	const ReefHost *host = view->ns->host;
	ReefNamespaceShared *shared = view->ns->shared;
	ReefCode	rc = REEF_OK;

	reef_namespace_lock(host, shared, true);
	*is_closed = shared->mode == REEF_MODE_CLOSED && !view->sees_in_progress;
	if (!*is_closed)
		rc = pin_locked(view, err);
	reef_namespace_unlock(host, shared);
	if (rc == REEF_OK && !*is_closed)
		rc = complete_view(view, err);
	return rc;
}

ReefCode
reef_view_pin(ReefNamespace *ns, void *snapshot, int64_t max_staleness_us,
			  ReefView **view, ReefError *err)
{
	ReefView   *fresh = view_new(ns, snapshot);
	bool		is_closed = true;
	ReefCode	rc = REEF_OK;
	int			i;

	if (fresh == NULL)
		return reef_error_no_memory(err, sizeof(*fresh));
	for (i = 0; i < VIEW_PIN_ATTEMPTS_MAX && is_closed && rc == REEF_OK; i++)
	{
		rc = reef_namespace_open(ns, max_staleness_us, err);
		if (rc == REEF_OK)
			rc = pin_open(fresh, &is_closed, err);
	}
	if (rc == REEF_OK && is_closed)
		rc = reef_error_set(err, REEF_UNAVAILABLE,
							"could not open the namespace",
							"namespace \"%s\" was closed again each of %d times",
							ns->name, VIEW_PIN_ATTEMPTS_MAX);
	if (rc != REEF_OK)
	{
		reef_view_unpin(fresh);
		return rc;
	}
	*view = fresh;
	return REEF_OK;
}

ReefCode
reef_view_pin_present(ReefNamespace *ns, ReefView **view, ReefError *err)
{
	ReefView   *fresh = view_new(ns, NULL);
	bool		is_closed;
	ReefCode	rc;

	if (fresh == NULL)
		return reef_error_no_memory(err, sizeof(*fresh));
	fresh->sees_in_progress = true;
	rc = pin_open(fresh, &is_closed, err);
	if (rc != REEF_OK)
	{
		reef_view_unpin(fresh);
		return rc;
	}
	*view = fresh;
	return REEF_OK;
}

void
reef_view_unpin(ReefView *view)
{
	ReefNamespace *ns;

	if (view == NULL)
		return;
	ns = view->ns;
	if (view->shared_manifest != NULL)
		reef_namespace_unpin(ns->host, ns->shared, view->shared_manifest,
							 view->generations, view->generation_count);
	if (view->oldest_manifest != NULL)
		reef_namespace_unpin(ns->host, ns->shared, view->oldest_manifest,
							 NULL, 0);
	reef_loaded_manifest_release(view->loaded);
	reef_arena_release(&view->arena);
	ns->view_count--;
	free(view);
}

/* ---- questions ---- */

const ReefSchema *
reef_view_schema(const ReefView *view)
{
	return &view->schema;
}

bool
reef_view_exists(const ReefView *view)
{
	return view->exists;
}

uint64_t
reef_view_lsn(const ReefView *view)
{
	return view->lsn;
}

uint64_t
reef_view_row_count(const ReefView *view)
{
	const ReefNamespaceShared *shared = view->ns->shared;
	int64_t		count = 0;
	int			i;

	if (view->loaded != NULL)
		count = (int64_t) view->loaded->manifest.live_row_count;

	/* the lock: a commit appends to the list of the active generation */
	reef_namespace_lock(view->ns->host, shared, false);
	for (i = 0; i < view->generation_count; i++)
	{
		const ReefApplied *applied = view->generations[i]->first_applied;

		for (; applied != NULL; applied = applied->next)
		{
			if (reef_applied_visible(view, applied))
				count += applied->row_count_delta;
		}
	}
	reef_namespace_unlock(view->ns->host, shared);
	return count < 0 ? 0 : (uint64_t) count;
}

uint64_t
reef_view_size(const ReefView *view)
{
	uint64_t	size = 0;
	int			i;

	if (view->loaded == NULL)
		return 0;
	for (i = 0; i < view->loaded->manifest.segment_count; i++)
		size += view->loaded->manifest.segments[i].size;
	return size;
}
