/*
 * gc.c
 *	  Deleting what nothing can need any more.
 *
 * An object is deleted when nobody can need it, and nobody has been able to for
 * a grace window of the store's time: a reader elsewhere may hold a manifest
 * that is not current any more, and nobody knows of it.  What decides is the
 * moment at which the object became garbage, not its own age.
 *
 *	  object		needed by					garbage since Last-Modified of
 *	  manifest		being current				the next manifest
 *	  record		manifests that have not		the oldest manifest that is
 *					applied it, a rebuild		retained
 *	  segment		manifests that name it		the same
 *	  ... that no	a record above				itself, but see below
 *	  manifest
 *	  names
 *	  fence			everybody, for ever
 *
 * What is retained gc_manifests.c decides.  Records are deleted up to the lowest
 * last_applied_lsn of all that is retained, so that each of them is good enough
 * to start from, and not above rebuildable_lsn (maintenance.h).  Segments go
 * before the manifests that name them: whoever finds the manifests gone finds
 * nothing left of them, and an interrupted run goes on where it stopped.  Names
 * that are not ours, and quarantine, are never touched [I9].
 *
 * Everything is decided by what is listed and read now, not by memory; memory
 * only adds what must stay.  If it is behind what is listed, it is closed, and
 * nothing is collected this time.
 *
 * LATE MANIFESTS.  A maintainer that slept may put a manifest on a number that
 * was collected.  It is not the highest, so it means nothing and soon expires;
 * but it may name a segment that a record above the current manifest attaches.
 * Such a one has that record's LSN, so what an expired manifest names is
 * deleted only if it is not above the current last_applied_lsn.  What is left is
 * an orphan, or will be.
 *
 * ORPHANS are segments that no listed manifest names: what a crash leaves behind,
 * or a transaction that failed.  They are told from somebody's work in progress
 * not by their age but like this (gc_orphans.c), in this order, each step of
 * which may be followed by a year of sleep:
 *
 *	  1. segments are listed: the candidates
 *	  2. the registry of what is pending here (pending.c)
 *	  3. a fence of ours is put		  }  barriers, and only by the
 *	  4. a manifest of ours is put	  }  writer; if anybody is in the way: stop
 *	  5. manifests since then, and records up to the fence, are read: what they
 *		 name is no orphan
 *	  6. the rest is deleted
 *
 * Who can still name a candidate after 5?  It was written before 1.
 *
 *	  - A transaction of another cluster began before 1, so our fence lies
 *		between, and its record is refused (reef_output_base_check).  Or its
 *		record was put before the fence, and was read in 5.
 *	  - A job of another cluster began on a manifest before ours.  Its put finds
 *		its number taken, or a higher one in the list after it; it is never
 *		built on ours (maintenance.h).
 *	  - A transaction or job of this cluster was pending in 2, or had ended; then
 *		what it named was there before 3, and was read in 5.  If it was pending
 *		then, and gave up its place, its record is refused as well.
 *	  - A put of this cluster whose outcome was unknown: below our fence, or at
 *		our manifest's number or below.  See pending.c.
 *
 * Step 5 reads all records that this run does not delete, and not just those
 * above last_applied_lsn: a transaction that was rolled back after its record
 * was durable never gets into a manifest, but a reader elsewhere may have seen
 * what it attached, for as long as the grace window of its record.
 */
#include "engine/decide.h"
#include "engine/gc.h"

#include <stdio.h>
#include <stdlib.h>

/* Objects of one LIST. */
#define PAGE_SIZE 1000

/* Ask again for what waits for a reason without a time. */
#define ASK_AGAIN_MIN_US INT64_C(60000000)

struct ReefGcBatch
{
	int			count;
	ReefObjectInfo objects[REEF_STORE_DELETE_MAX];
	ReefDeletion deletions[REEF_STORE_DELETE_MAX];
	const char *reason;			/* the same for all */
};

/* ---- time ---- */

static void
note_due(ReefGc *gc, int64_t due_us)
{
	if (gc->result->next_due_us == 0 || gc->result->next_due_us > due_us)
		gc->result->next_due_us = due_us;
}

bool
reef_gc_is_due(ReefGc *gc, int64_t since_us)
{
	int64_t		due_us = since_us + gc->ns->settings->gc_grace_us;

	if (due_us <= gc->now_us)
		return true;
	note_due(gc, due_us);
	return false;
}

void
reef_gc_ask_again(ReefGc *gc)
{
	int64_t		delay_us = gc->ns->settings->gc_grace_us;

	note_due(gc, gc->now_us +
			 (delay_us > ASK_AGAIN_MIN_US ? delay_us : ASK_AGAIN_MIN_US));
}

/* ---- deleting ---- */

static ReefCode
report(ReefGc *gc, int i, ReefError *err)
{
	const ReefGcBatch *batch = gc->batch;
	ReefGarbage garbage = {
		.key = batch->objects[i].key,
		.size = batch->objects[i].size,
		.modified_us = batch->objects[i].modified_us,
		.reason = batch->reason,
		.failed = batch->deletions[i].outcome != REEF_OK,
		.problem = batch->deletions[i].problem
	};

	if (garbage.failed)
	{
		gc->result->failures++;
		gc->failures++;
	}
	else
	{
		gc->result->objects++;
		gc->result->bytes += garbage.size;
	}
	return gc->visit == NULL ? REEF_OK : gc->visit(gc->arg, &garbage, err);
}

ReefCode
reef_gc_flush(ReefGc *gc, ReefError *err)
{
	ReefGcBatch *batch = gc->batch;
	int			count = batch->count;
	int			i;

	batch->count = 0;
	for (i = 0; i < count; i++)
	{
		memset(&batch->deletions[i], 0, sizeof(batch->deletions[i]));
		batch->deletions[i].key = batch->objects[i].key;
	}
	if (!gc->dry_run)
		REEF_TRY(reef_store_delete_many(gc->ns->store, batch->deletions, count,
										err));
	for (i = 0; i < count; i++)
		REEF_TRY(report(gc, i, err));
	return REEF_OK;
}

ReefCode
reef_gc_take(ReefGc *gc, const ReefObjectInfo *object, const char *reason,
			 ReefError *err)
{
	ReefGcBatch *batch = gc->batch;

	if (batch->count == REEF_STORE_DELETE_MAX ||
		(batch->count > 0 && batch->reason != reason))
		REEF_TRY(reef_gc_flush(gc, err));
	batch->reason = reason;
	batch->objects[batch->count++] = *object;
	return REEF_OK;
}

/* ---- listing ---- */

static ReefCode
visit_page(ReefGc *gc, ReefObjectKind kind, const ReefObjectList *page,
		   ReefGcVisitor visit, ReefError *err)
{
	size_t		i;

	for (i = 0; i < page->count; i++)
	{
		ReefObjectName name;

		reef_layout_parse(gc->ns->prefix, page->objects[i].key, &name);
		if (name.kind == kind)
			REEF_TRY(visit(gc, &page->objects[i], &name, err));
	}
	return REEF_OK;
}

ReefCode
reef_gc_list(ReefGc *gc, ReefObjectKind kind, const char *start_after,
			 ReefGcVisitor visit, ReefError *err)
{
	const ReefHost *host = gc->ns->host;
	char		prefix[REEF_OBJECT_KEY_SIZE];
	char		last[REEF_OBJECT_KEY_SIZE];
	ReefObjectList page;
	uint64_t	done = 0;
	ReefCode	rc;

	reef_layout_list_prefix(gc->ns->prefix, kind, prefix);
	snprintf(last, sizeof(last), "%s", start_after);
	reef_object_list_init(&page);
	do
	{
		page.count = 0;
		rc = reef_store_list(gc->ns->store, prefix, last, PAGE_SIZE, &page,
							 err);
		if (rc == REEF_OK && page.count > 0)
		{
			snprintf(last, sizeof(last), "%s",
					 page.objects[page.count - 1].key);
			rc = visit_page(gc, kind, &page, visit, err);
		}
		done += page.count;
		if (host->progress != NULL)
			host->progress(host->arg, "listing objects", done, 0);
	} while (rc == REEF_OK && page.count >= PAGE_SIZE);
	reef_object_list_release(&page);
	return rc;
}

/* ---- records ---- */

static ReefCode
visit_record(ReefGc *gc, const ReefObjectInfo *object,
			 const ReefObjectName *name, ReefError *err)
{
	uint64_t	expected = gc->highest < gc->current_lsn ?
		gc->current_lsn + 1 : gc->highest + 1;

	if (name->number > gc->current_lsn && name->number != expected)
		gc->has_hole = true;
	gc->highest = name->number;
	/* a fence is nothing but its header */
	if (object->size <= REEF_WAL_HEADER_SIZE)
		return REEF_OK;
	if (name->number <= gc->record_floor &&
		reef_gc_is_due(gc, gc->floor_since_us))
		return reef_gc_take(gc, object, "applied record", err);
	if (gc->lowest_kept == 0)
		gc->lowest_kept = name->number;
	return REEF_OK;
}

/* ---- segments ---- */

static ReefCode
visit_segment(ReefGc *gc, const ReefObjectInfo *object,
			  const ReefObjectName *name, ReefError *err)
{
	const ReefGcNamed *expired;

	if (reef_gc_find_named(&gc->retained, name->uuid) != NULL)
		return REEF_OK;
	expired = reef_gc_find_named(&gc->expired, name->uuid);
	if (expired != NULL && expired->lsn_max <= gc->current_lsn)
	{
		if (reef_gc_is_due(gc, gc->floor_since_us))
			return reef_gc_take(gc, object, "replaced segment", err);
		return REEF_OK;
	}
	if (!gc->is_writer || gc->has_hole ||
		!reef_gc_is_due(gc, object->modified_us))
		return REEF_OK;
	return reef_gc_add_orphan(gc, object, name->uuid, err);
}

/* ---- the whole ---- */

static void
look_at_memory(ReefGc *gc)
{
	const ReefNamespaceShared *shared = gc->ns->shared;

	reef_namespace_lock(gc->ns->host, shared, false);
	gc->is_writer = shared->mode == REEF_MODE_WRITER && !shared->is_in_doubt;
	gc->incarnation = shared->incarnation;
	reef_namespace_unlock(gc->ns->host, shared);
}

/* Does memory know of the manifest that is current?  Asked after the list, so
 * that one of our own that came meanwhile is known. */
static bool
is_behind(const ReefGc *gc)
{
	const ReefNamespaceShared *shared = gc->ns->shared;
	bool		answer;

	reef_namespace_lock(gc->ns->host, shared, false);
	answer = shared->mode != REEF_MODE_CLOSED &&
		shared->incarnation == gc->incarnation &&
		shared->manifest_version_max <
		gc->manifests[gc->manifest_count - 1].version;
	reef_namespace_unlock(gc->ns->host, shared);
	return answer;
}

static ReefCode
collect(ReefGc *gc, ReefError *err)
{
	uint64_t	undeleted;

	REEF_TRY(reef_store_now(gc->ns->store, &gc->now_us, err));
	look_at_memory(gc);
	REEF_TRY(reef_gc_load_manifests(gc, err));
	if (gc->manifest_count == 0)
		return REEF_OK;
	if (is_behind(gc))
	{
		note_due(gc, gc->now_us);
		return reef_namespace_reload(gc->ns, gc->incarnation, err);
	}

	REEF_TRY(reef_gc_list(gc, REEF_OBJECT_WAL, "", visit_record, err));
	REEF_TRY(reef_gc_flush(gc, err));
	gc->failures = 0;
	REEF_TRY(reef_gc_list(gc, REEF_OBJECT_SEGMENT, "", visit_segment, err));
	REEF_TRY(reef_gc_flush(gc, err));
	undeleted = gc->failures;
	REEF_TRY(reef_gc_take_orphans(gc, err));
	/* they say what is still to be deleted */
	if (undeleted == 0)
		REEF_TRY(reef_gc_take_manifests(gc, err));
	return REEF_OK;
}

static ReefCode
collect_with_right(ReefGc *gc, ReefError *err)
{
	ReefCode	rc;

	gc->batch = malloc(sizeof(*gc->batch));
	if (gc->batch == NULL)
		return reef_error_no_memory(err, sizeof(*gc->batch));
	gc->batch->count = 0;
	rc = collect(gc, err);
	free(gc->batch);
	free(gc->manifests);
	free(gc->retained.items);
	free(gc->expired.items);
	free(gc->orphans);
	return rc;
}

ReefCode
reef_gc(ReefNamespace *ns, bool dry_run, ReefGarbageVisitor visit, void *arg,
		ReefGcResult *result, ReefError *err)
{
	const ReefHost *host = ns->host;
	int			lock_number = ns->shared->lock_number;
	ReefGc		gc = {
		.ns = ns,
		.dry_run = dry_run,
		.visit = visit,
		.arg = arg,
		.result = result
	};
	ReefCode	rc;

	memset(result, 0, sizeof(*result));
	if (!dry_run && reef_store_is_read_only(ns->store))
		return reef_error_set(err, REEF_READ_ONLY,
							  "the store is attached read-only",
							  "namespace \"%s\"", ns->name);
	rc = host->right_acquire(host->arg, lock_number, REEF_RIGHT_COMPACT,
							 ns->settings->commit_timeout_us);
	if (rc != REEF_OK)
		return reef_error_set(err, rc, "could not collect garbage",
							  "namespace \"%s\" is being compacted or collected by another session",
							  ns->name);
	rc = collect_with_right(&gc, err);
	if (rc == REEF_OK && !dry_run)
		rc = reef_transactions_settle(ns, err);
	host->right_release(host->arg, lock_number, REEF_RIGHT_COMPACT);
	return rc;
}
