/*
 * gc_manifests.c
 *	  Which manifests are still needed, and what they need.
 *
 * A manifest becomes garbage when the next one is put: from then on nobody
 * opens it, but who has it open may go on for a grace window.  So it is the
 * store's time of the *next* one that counts.  Those that are garbage for
 * longer are always the oldest ones, and all above are retained: as a whole,
 * with their segments, and with the records above their last_applied_lsn, so
 * that falling back to any of them loses nothing.
 *
 * Views of our own cluster may be older than any grace.  A view that reads
 * through manifest v may also read segments that it knows from records, which
 * are named by manifests above v only.  So everything from the oldest manifest
 * that anybody here pins upwards is retained, as a long transaction keeps dead
 * rows of a heap table.
 *
 * All are read, whatever memory says.  If one cannot be, nothing is collected:
 * it might be the only one that names a segment, and repair needs all it can
 * get.
 */
#include "engine/gc.h"

#include <stdlib.h>

/* ---- named segments ---- */

static int
compare_named(const void *a, const void *b)
{
	const ReefGcNamed *x = a;
	const ReefGcNamed *y = b;

	return memcmp(x->id, y->id, sizeof(x->id));
}

static ReefCode
add_named(ReefGcNamedSet *set, const ReefManifest *manifest, ReefError *err)
{
	size_t		count = set->count + (size_t) manifest->segment_count;
	int			i;

	if (count > set->capacity)
	{
		size_t		capacity = count * 2;
		ReefGcNamed *items = reallocarray(set->items, capacity,
										  sizeof(*items));

		if (items == NULL)
			return reef_error_no_memory(err, capacity * sizeof(*items));
		set->items = items;
		set->capacity = capacity;
	}
	for (i = 0; i < manifest->segment_count; i++)
	{
		ReefGcNamed *named = &set->items[set->count++];

		memcpy(named->id, manifest->segments[i].id, sizeof(named->id));
		named->lsn_max = manifest->segments[i].lsn_max;
	}
	return REEF_OK;
}

/* Sort; manifests that follow each other name mostly the same ones. */
static void
settle_named(ReefGcNamedSet *set)
{
	size_t		kept = 0;
	size_t		i;

	if (set->count == 0)
		return;
	qsort(set->items, set->count, sizeof(*set->items), compare_named);
	for (i = 1; i < set->count; i++)
	{
		ReefGcNamed *last = &set->items[kept];

		if (memcmp(last->id, set->items[i].id, sizeof(last->id)) != 0)
			set->items[++kept] = set->items[i];
		else if (last->lsn_max < set->items[i].lsn_max)
			last->lsn_max = set->items[i].lsn_max;
	}
	set->count = kept + 1;
}

const ReefGcNamed *
reef_gc_find_named(const ReefGcNamedSet *set, const uint8_t id[16])
{
	ReefGcNamed wanted;

	if (set->count == 0)
		return NULL;
	memcpy(wanted.id, id, sizeof(wanted.id));
	return bsearch(&wanted, set->items, set->count, sizeof(wanted),
				   compare_named);
}

/* ---- load ---- */

static ReefCode
note_manifest(ReefGc *gc, const ReefObjectInfo *object,
			  const ReefObjectName *name, ReefError *err)
{
	ReefGcManifest *manifest;

	if ((gc->manifest_count & (gc->manifest_count - 1)) == 0)
	{
		size_t		capacity = (size_t) gc->manifest_count * 2 + 1;
		ReefGcManifest *manifests = reallocarray(gc->manifests, capacity,
												 sizeof(*manifests));

		if (manifests == NULL)
			return reef_error_no_memory(err, capacity * sizeof(*manifests));
		gc->manifests = manifests;
	}
	manifest = &gc->manifests[gc->manifest_count++];
	manifest->version = name->number;
	manifest->size = object->size;
	manifest->modified_us = object->modified_us;
	return REEF_OK;
}

/* The oldest that somebody in this cluster reads. */
static uint64_t
oldest_pinned(const ReefGc *gc)
{
	const ReefNamespaceShared *shared = gc->ns->shared;
	const ReefSharedManifest *manifest;
	uint64_t	oldest = UINT64_MAX;

	reef_namespace_lock(gc->ns->host, shared, false);
	for (manifest = shared->all_manifests; manifest != NULL;
		 manifest = manifest->next_of_all)
	{
		if (manifest->version < oldest)
			oldest = manifest->version;
	}
	reef_namespace_unlock(gc->ns->host, shared);
	return oldest;
}

static void
find_expired(ReefGc *gc)
{
	uint64_t	pinned = oldest_pinned(gc);
	int			i;

	for (i = 0; i + 1 < gc->manifest_count; i++)
	{
		/* one that came late, on a number that was collected, does not make
		 * the one before it older than it is */
		if (!reef_gc_is_due(gc, gc->manifests[i + 1].modified_us))
			break;
		if (gc->manifests[i].version >= pinned)
		{
			reef_gc_ask_again(gc);
			break;
		}
	}
	gc->expired_count = i;
}

/* What the i-th one needs. */
static ReefCode
note_needs(ReefGc *gc, int i, const ReefManifest *manifest, ReefError *err)
{
	bool		is_current = i == gc->manifest_count - 1;

	if (is_current)
	{
		memcpy(gc->namespace_id, manifest->namespace_id, 16);
		gc->current_lsn = manifest->last_applied_lsn;
		gc->record_floor = manifest->rebuildable_lsn;
	}
	else if (memcmp(gc->namespace_id, manifest->namespace_id, 16) != 0)
	{
		char		key[REEF_OBJECT_KEY_SIZE];

		reef_layout_manifest_key(gc->ns->prefix, manifest->version, key);
		return reef_error_set(err, REEF_CORRUPT,
							  "manifest belongs to another namespace",
							  "object \"%s\"", key);
	}
	if (i < gc->expired_count)
		return add_named(&gc->expired, manifest, err);
	if (gc->record_floor > manifest->last_applied_lsn)
		gc->record_floor = manifest->last_applied_lsn;
	return add_named(&gc->retained, manifest, err);
}

static ReefCode
load_one(ReefGc *gc, int i, ReefError *err)
{
	const ReefHost *host = gc->ns->host;
	ReefManifest manifest;
	ReefArena	arena;
	ReefBuf		bytes;
	ReefCode	rc;

	if (host->progress != NULL)
		host->progress(host->arg, "reading manifests",
					   (uint64_t) (gc->manifest_count - i),
					   (uint64_t) gc->manifest_count);
	reef_arena_init(&arena, 0);
	reef_buf_init(&bytes);
	rc = reef_manifest_load(gc->ns, gc->manifests[i].version, &arena,
							&manifest, &bytes, err);
	if (rc == REEF_OK)
		rc = note_needs(gc, i, &manifest, err);
	reef_buf_release(&bytes);
	reef_arena_release(&arena);
	return rc;
}

ReefCode
reef_gc_load_manifests(ReefGc *gc, ReefError *err)
{
	int			i;

	REEF_TRY(reef_gc_list(gc, REEF_OBJECT_MANIFEST, "", note_manifest, err));
	if (gc->manifest_count == 0)
		return REEF_OK;
	find_expired(gc);
	for (i = gc->manifest_count - 1; i >= 0; i--)
	{
		ReefCode	rc = load_one(gc, i, err);

		/* another collector was faster, which has no say in what we keep */
		if (rc == REEF_NOT_FOUND && i < gc->manifest_count - 1)
			continue;
		if (rc == REEF_CORRUPT || rc == REEF_UNSUPPORTED)
			return reef_error_add(err, "nothing is collected before the namespace has been repaired");
		if (rc == REEF_NOT_FOUND)
			return reef_error_set(err, REEF_UNAVAILABLE,
								  "could not read the current manifest",
								  "namespace \"%s\" changed while garbage was looked for",
								  gc->ns->name);
		if (rc != REEF_OK)
			return rc;
	}
	settle_named(&gc->retained);
	settle_named(&gc->expired);
	gc->floor_since_us = gc->manifests[gc->expired_count].modified_us;
	return REEF_OK;
}

/* ---- delete ---- */

ReefCode
reef_gc_take_manifests(ReefGc *gc, ReefError *err)
{
	ReefObjectInfo object;
	int			i;

	for (i = 0; i < gc->expired_count; i++)
	{
		memset(&object, 0, sizeof(object));
		reef_layout_manifest_key(gc->ns->prefix, gc->manifests[i].version,
								 object.key);
		object.size = gc->manifests[i].size;
		object.modified_us = gc->manifests[i].modified_us;
		REEF_TRY(reef_gc_take(gc, &object, "old manifest", err));
	}
	return reef_gc_flush(gc, err);
}
