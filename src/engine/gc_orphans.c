/*
 * gc_orphans.c
 *	  Segments that no manifest names, and how to be sure of it.
 *
 * The steps and why they are safe are in gc.c.  Here is what they are made of:
 * the list of candidates shrinks by everything that turns out to be needed, and
 * whatever casts doubt ends the attempt without deleting anything.  The next run
 * begins anew.
 */
#include "engine/gc.h"

#include <stdlib.h>

/*
 * A segment that was begun after its job had asked for the store's time should
 * be younger than that; but stores give Last-Modified in whole seconds, and one
 * of many machines has many clocks.
 */
#define PENDING_MARGIN_US INT64_C(10000000)

ReefCode
reef_gc_add_orphan(ReefGc *gc, const ReefObjectInfo *object,
				   const uint8_t id[16], ReefError *err)
{
	ReefGcOrphan *orphan;

	if (gc->orphan_count == gc->orphan_capacity)
	{
		size_t		capacity = gc->orphan_capacity * 2 + 16;
		ReefGcOrphan *orphans = reallocarray(gc->orphans, capacity,
											 sizeof(*orphans));

		if (orphans == NULL)
			return reef_error_no_memory(err, capacity * sizeof(*orphans));
		gc->orphans = orphans;
		gc->orphan_capacity = capacity;
	}
	orphan = &gc->orphans[gc->orphan_count++];
	memset(orphan, 0, sizeof(*orphan));
	memcpy(orphan->id, id, sizeof(orphan->id));
	orphan->size = object->size;
	orphan->modified_us = object->modified_us;
	return REEF_OK;
}

/* ---- what is needed ---- */

static int
compare_orphans(const void *a, const void *b)
{
	const ReefGcOrphan *x = a;
	const ReefGcOrphan *y = b;

	return memcmp(x->id, y->id, sizeof(x->id));
}

static void
need(ReefGc *gc, const uint8_t id[16])
{
	ReefGcOrphan wanted;
	ReefGcOrphan *orphan;

	memcpy(wanted.id, id, sizeof(wanted.id));
	orphan = bsearch(&wanted, gc->orphans, gc->orphan_count, sizeof(wanted),
					 compare_orphans);
	if (orphan != NULL)
		orphan->is_needed = true;
}

static bool
has_any(const ReefGc *gc)
{
	size_t		i;

	for (i = 0; i < gc->orphan_count; i++)
	{
		if (!gc->orphans[i].is_needed)
			return true;
	}
	return false;
}

static void
need_pending(ReefGc *gc)
{
	int64_t		oldest_us = reef_pending_oldest_us(gc->ns);
	size_t		i;

	for (i = 0; i < gc->orphan_count; i++)
	{
		if (oldest_us == INT64_MAX ||
			gc->orphans[i].modified_us < oldest_us - PENDING_MARGIN_US)
			continue;
		gc->orphans[i].is_needed = true;
		reef_gc_ask_again(gc);
	}
}

static ReefCode
need_attached_by_frame(ReefGc *gc, ReefSlice frame, ReefArena *arena,
					   ReefError *err)
{
	ReefFrameReader reader;
	ReefOp		op;
	ReefCode	rc;

	REEF_TRY(reef_frame_reader_init(&reader, frame, arena, err));
	while ((rc = reef_frame_reader_next(&reader, &op, err)) == REEF_OK)
	{
		if (op.kind == REEF_OP_ATTACH)
			need(gc, op.segment->id);
	}
	return rc == REEF_NOT_FOUND ? REEF_OK : rc;
}

static ReefCode
need_attached_by_record(ReefGc *gc, uint64_t lsn, ReefError *err)
{
	ReefRecord	record;
	ReefArena	arena;
	ReefCode	rc;
	uint32_t	i;

	reef_arena_init(&arena, 0);
	rc = reef_record_load(gc->ns, lsn, &arena, &record, err);
	for (i = 0; rc == REEF_OK && i < record.header.frame_count; i++)
		rc = need_attached_by_frame(gc, record.frames[i], &arena, err);
	reef_arena_release(&arena);
	return rc;
}

/*
 * Look for attached segments in these records.  What is at or below "applied"
 * need not be there, and may be anything.  *is_complete is set to false if one
 * above is missing.
 */
static ReefCode
need_attached(ReefGc *gc, uint64_t first, uint64_t last, uint64_t applied,
			  bool *is_complete, ReefError *err)
{
	const ReefHost *host = gc->ns->host;
	uint64_t	lsn;

	for (lsn = first; lsn <= last; lsn++)
	{
		ReefCode	rc = need_attached_by_record(gc, lsn, err);

		if (host->progress != NULL)
			host->progress(host->arg, "looking for orphans", lsn - first,
						   last - first + 1);
		if (lsn <= applied && (rc == REEF_NOT_FOUND || rc == REEF_CORRUPT ||
							   rc == REEF_UNSUPPORTED))
			continue;
		if (rc == REEF_NOT_FOUND)
		{
			*is_complete = false;
			return REEF_OK;
		}
		if (rc == REEF_CORRUPT || rc == REEF_UNSUPPORTED)
			return reef_error_add(err, "nothing is collected before the namespace has been repaired");
		if (rc != REEF_OK)
			return rc;
	}
	return REEF_OK;
}

static ReefCode
need_named_by(ReefGc *gc, uint64_t version, ReefError *err)
{
	ReefManifest manifest;
	ReefArena	arena;
	ReefBuf		bytes;
	ReefCode	rc;
	int			i;

	reef_arena_init(&arena, 0);
	reef_buf_init(&bytes);
	rc = reef_manifest_load(gc->ns, version, &arena, &manifest, &bytes, err);
	for (i = 0; rc == REEF_OK && i < manifest.segment_count; i++)
		need(gc, manifest.segments[i].id);
	reef_buf_release(&bytes);
	reef_arena_release(&arena);
	return rc;
}

/* What manifests name that came after the first list.  *is_highest: none is
 * above "highest". */
static ReefCode
need_named_since(ReefGc *gc, uint64_t highest, bool *is_highest,
				 ReefError *err)
{
	uint64_t	known = gc->manifests[gc->manifest_count - 1].version;
	ReefArena	arena;
	uint64_t   *versions;
	int			count;
	ReefCode	rc;
	int			i;

	reef_arena_init(&arena, 0);
	rc = reef_manifest_list(gc->ns, known, &arena, &versions, &count, err);
	for (i = 0; rc == REEF_OK && i < count; i++)
		rc = need_named_by(gc, versions[i], err);
	*is_highest = rc == REEF_OK &&
		(count == 0 || versions[count - 1] <= highest);
	reef_arena_release(&arena);
	return rc;
}

/* ---- barriers ---- */

typedef struct Barriers
{
	bool		are_up;
	uint64_t	fence_lsn;
	uint64_t	version;		/* of the manifest */
	uint64_t	applied_lsn;	/* of the manifest */
} Barriers;

static ReefCode
put_fence(ReefGc *gc, Barriers *barriers, bool *is_up, ReefError *err)
{
	ReefNamespace *ns = gc->ns;
	const ReefHost *host = ns->host;
	ReefNamespaceShared *shared = ns->shared;
	ReefCode	rc;

	*is_up = false;
	rc = host->right_acquire(host->arg, shared->lock_number, REEF_RIGHT_COMMIT,
							 ns->settings->commit_timeout_us);
	if (rc != REEF_OK)
		return reef_error_set(err, rc, "could not collect garbage",
							  "namespace \"%s\" is busy", ns->name);
	if (shared->mode == REEF_MODE_WRITER && !shared->is_in_doubt &&
		shared->incarnation == gc->incarnation)
	{
		rc = reef_fence_renew(ns, err);
		*is_up = rc == REEF_OK;
		barriers->fence_lsn = shared->last_lsn;
	}
	host->right_release(host->arg, shared->lock_number, REEF_RIGHT_COMMIT);
	/* another cluster writes here now: its collector is to do this */
	if (rc == REEF_FENCED)
		return REEF_OK;
	if (rc == REEF_UNCERTAIN)
	{
		/* of the fence, that is; nobody's transaction is in doubt */
		err->code = REEF_UNAVAILABLE;
		rc = err->code;
	}
	return rc;
}

static ReefCode
copy_manifest(void *arg, const ReefManifest *base, ReefArena *arena,
			  ReefManifest *next, bool *is_stale, ReefError *err)
{
	(void) arg;
	(void) arena;
	(void) err;
	*next = *base;
	*is_stale = base->version == 0;
	return REEF_OK;
}

static ReefCode
put_manifest(ReefGc *gc, Barriers *barriers, ReefError *err)
{
	ReefManifestChange change = {
		.incarnation = gc->incarnation,
		.build = copy_manifest,
		.copy_base_version = UINT64_MAX
	};
	ReefManifestOutcome outcome;
	ReefManifest committed;
	ReefArena	arena;
	ReefCode	rc;

	reef_arena_init(&arena, 0);
	rc = reef_manifest_commit(gc->ns, &change, &arena, &committed, &outcome,
							  err);
	barriers->are_up = rc == REEF_OK && outcome == REEF_MANIFEST_COMMITTED;
	if (barriers->are_up)
	{
		barriers->version = committed.version;
		barriers->applied_lsn = committed.last_applied_lsn;
	}
	reef_arena_release(&arena);
	if (rc == REEF_UNCERTAIN)
	{
		err->code = REEF_UNAVAILABLE;
		rc = err->code;
	}
	return rc;
}

/* ---- the steps ---- */

/* Steps 3 to 5.  *is_certain false: give up. */
static ReefCode
make_certain(ReefGc *gc, bool *is_certain, ReefError *err)
{
	Barriers	barriers = {0};
	bool		is_up;

	*is_certain = false;
	REEF_TRY(put_fence(gc, &barriers, &is_up, err));
	if (!is_up)
		return REEF_OK;
	REEF_TRY(put_manifest(gc, &barriers, err));
	if (!barriers.are_up)
		return REEF_OK;
	REEF_TRY(need_named_since(gc, barriers.version, is_certain, err));
	if (!*is_certain)
		return REEF_OK;
	return need_attached(gc, gc->highest + 1, barriers.fence_lsn,
						 barriers.applied_lsn, is_certain, err);
}

static ReefCode
take(ReefGc *gc, ReefError *err)
{
	size_t		i;

	for (i = 0; i < gc->orphan_count; i++)
	{
		const ReefGcOrphan *orphan = &gc->orphans[i];
		ReefObjectInfo object;

		if (orphan->is_needed)
			continue;
		memset(&object, 0, sizeof(object));
		reef_layout_segment_key(gc->ns->prefix, orphan->id, object.key);
		object.size = orphan->size;
		object.modified_us = orphan->modified_us;
		REEF_TRY(reef_gc_take(gc, &object, "orphaned segment", err));
	}
	return reef_gc_flush(gc, err);
}

ReefCode
reef_gc_take_orphans(ReefGc *gc, ReefError *err)
{
	bool		is_certain = true;

	if (gc->orphan_count == 0)
		return REEF_OK;
	/* (the list is in the order of the names, or should be) */
	qsort(gc->orphans, gc->orphan_count, sizeof(*gc->orphans),
		  compare_orphans);
	need_pending(gc);
	if (has_any(gc) && gc->lowest_kept != 0)
		REEF_TRY(need_attached(gc, gc->lowest_kept, gc->highest,
							   gc->current_lsn, &is_certain, err));
	if (!is_certain || !has_any(gc))
		return REEF_OK;
	if (gc->dry_run)
		REEF_TRY(need_named_since(gc, UINT64_MAX, &is_certain, err));
	else
		REEF_TRY(make_certain(gc, &is_certain, err));
	return is_certain ? take(gc, err) : REEF_OK;
}
