/*
 * abort.c
 *	  Voiding a transaction whose record is durable already.
 *
 * PostgreSQL may still roll back after our put succeeded.  The transaction is
 * void in memory at once, by its xid; in the store it is void when a later
 * record says so.  Until then the abort waits in a queue that the namespace's
 * next record begins with.  A fold does not pass a void transaction whose
 * abort is not durable: a server that recovers from an older manifest must
 * come to the same rows [I3].
 *
 * A fence of another server makes everything below it final, so an abort that
 * comes after one comes too late, and only a warning is left.
 */
#include <stdio.h>

#include "engine/state.h"

bool
reef_pending_abort_add(ReefNamespaceShared *shared, uint64_t lsn,
					   uint32_t frame, bool is_dependent)
{
	ReefPendingAbort *pending;
	int			i;

	for (i = 0; i < shared->pending_abort_count; i++)
	{
		if (shared->pending_aborts[i].lsn == lsn &&
			shared->pending_aborts[i].frame == frame)
			return true;
	}
	if (shared->pending_abort_count == REEF_PENDING_ABORTS_MAX)
		return false;
	pending = &shared->pending_aborts[shared->pending_abort_count++];
	pending->lsn = lsn;
	pending->frame = frame;
	pending->is_dependent = is_dependent;
	return true;
}

void
reef_commit_void(ReefNamespace *ns, const ReefFrame *frame)
{
	ReefNamespaceShared *shared = ns->shared;
	ReefApplied *applied;
	bool		is_durable;
	bool		is_final;
	bool		is_queued = true;
	char		line[300];

	reef_namespace_lock(ns->host, shared, true);
	applied = reef_applied_find(shared, frame->lsn, frame->frame_index);
	is_durable = applied != NULL && atomic_load(&applied->abort_is_durable);

	/*
	 * What another namespace decides no fence here makes final.  A fold
	 * elsewhere, or here after memory was read anew, has taken the
	 * transaction for committed; the fence may be below that.  Memory that
	 * knows of the fence was read after it, and must keep the rows.
	 */
	is_final = !frame->is_dependent && !is_durable &&
		(frame->lsn < shared->foreign_fence_lsn ||
		 (shared->manifest_count > 0 &&
		  frame->lsn <= shared->manifests[0]->applied_lsn));
	if (applied != NULL && !is_final)
	{
		atomic_store(&applied->hint, REEF_XID_ABORTED);
		atomic_store(&applied->is_voided, true);
	}
	if (!is_final && !is_durable &&
		(shared->manifest_count == 0 ||
		 frame->lsn > shared->manifests[0]->applied_lsn))
		is_queued = reef_pending_abort_add(shared, frame->lsn,
										   frame->frame_index,
										   frame->is_dependent);
	if (!is_queued)
		shared->has_unqueued_aborts = true;
	reef_namespace_unlock(ns->host, shared);

	if (is_final)
		snprintf(line, sizeof(line),
				 "record %llu of namespace \"%.100s\" was made final by another server before its transaction was rolled back here",
				 (unsigned long long) frame->lsn, ns->name);
	else if (!is_queued)
		snprintf(line, sizeof(line),
				 "more than %d rolled back transactions of namespace \"%.100s\" wait for their abort record",
				 REEF_PENDING_ABORTS_MAX, ns->name);
	else
		return;
	ns->host->log(ns->host->arg, REEF_LOG_WARNING, line);
}

bool
reef_namespace_has_pending_aborts(const ReefNamespaceShared *shared)
{
	/* a hint for a worker, who looks again with the commit right */
	return shared->pending_abort_count > 0;
}

/*
 * Is it for us to void it?  That its xid has aborted says nothing about a
 * transaction that another namespace decides, until somebody has seen to that.
 */
static bool
is_ours_to_void(const ReefHost *host, const ReefApplied *applied)
{
	if (atomic_load(&applied->abort_is_durable) ||
		!reef_applied_is_void(host, applied))
		return false;
	return applied->group == NULL || !applied->group->is_dependent ||
		atomic_load(&applied->is_voided);
}

/* Queue the void transactions up to "lsn" that nobody has queued. */
void
reef_pending_aborts_collect(const ReefHost *host, ReefNamespaceShared *shared,
							uint64_t lsn)
{
	ReefGeneration *generation;
	ReefApplied *applied;
	bool		is_complete = true;

	reef_namespace_lock(host, shared, true);
	for (generation = shared->oldest;
		 generation != NULL && generation->lsn_from < lsn;
		 generation = generation->newer)
	{
		if (atomic_load(&generation->lsn_to) <= shared->manifests[0]->applied_lsn)
			continue;
		for (applied = generation->first_applied; applied != NULL;
			 applied = applied->next)
		{
			if (applied->lsn <= lsn && is_ours_to_void(host, applied) &&
				!reef_pending_abort_add(shared, applied->lsn, applied->frame,
										applied->group != NULL &&
										applied->group->is_dependent))
				is_complete = false;
		}
	}
	if (is_complete && lsn >= shared->last_lsn)
		shared->has_unqueued_aborts = false;
	reef_namespace_unlock(host, shared);
}

ReefCode
reef_pending_aborts_encode(const ReefHost *host, ReefNamespaceShared *shared,
						   ReefBuf *out, int *count, ReefError *err)
{
	ReefPendingAbort pending[REEF_PENDING_ABORTS_MAX];
	ReefFrameHeader header = {0};
	ReefFrameWriter *writer;
	ReefCode	rc;
	int			i;

	reef_namespace_lock(host, shared, false);
	*count = shared->pending_abort_count;
	memcpy(pending, shared->pending_aborts, sizeof(pending[0]) *
		   (size_t) *count);
	reef_namespace_unlock(host, shared);
	if (*count == 0)
		return REEF_OK;

	REEF_TRY(reef_frame_writer_new(&header, &writer, err));
	for (i = 0; i < *count; i++)
	{
		ReefOp		op = {0};

		op.kind = REEF_OP_ABORT;
		op.abort_lsn = pending[i].lsn;
		op.abort_frame = pending[i].frame;
		reef_frame_writer_add(writer, &op);
	}
	rc = reef_frame_writer_finish(writer, 0, out, err);
	reef_frame_writer_free(writer);
	return rc;
}

void
reef_pending_aborts_drop(const ReefHost *host, ReefNamespaceShared *shared,
						 int count)
{
	reef_namespace_lock(host, shared, true);
	shared->pending_abort_count -= count;
	memmove(&shared->pending_aborts[0], &shared->pending_aborts[count],
			sizeof(shared->pending_aborts[0]) *
			(size_t) shared->pending_abort_count);
	reef_namespace_unlock(host, shared);
}
