/*
 * pending.c
 *	  Segments that are being written and that nothing names yet.
 *
 * To the collector they look like what a crash has left behind.  Those of its
 * own cluster it knows by the registry here: a slot of shared memory from
 * before the first segment is begun until the record or the manifest that
 * names them is durable, or will never be.  In this order, so that a collector
 * that lists segments, then reads the registry, then reads what is named, finds
 * each of them in one of the two [I9].
 *
 * Those of other clusters it cannot know, so it makes sure that they will never
 * be named, see gc.c: for a transaction's, by a fence.  Hence the rule for
 * attaching: no fence of another cluster between the LSN at which the first
 * segment was begun and the record.
 *
 *	  - Fences that come while memory stays open are seen one by one
 *		(foreign_fence_lsn).
 *	  - What memory was opened with may have applied any number of fences that
 *		nobody has seen.  So a memory that was opened after the first segment
 *		was begun says nothing: incarnation.  And the LSN is taken from a memory
 *		that is open, never from one that is about to be.
 *	  - The collector of our own cluster fences too, and its fence does not
 *		count as another's.  It has honoured our slot if that was taken before;
 *		so the slot must still be ours when the record is put.  (A session that
 *		dies while its transaction waits to be committed by another one gives
 *		the slot back; the transaction is refused then.)
 *
 * A record whose outcome is unknown may land late, after its transaction has
 * given the slot back.  But only the writer collects orphans: its takeover has
 * looked into that record's place, and its next fence is above.  What lands
 * there afterwards is not part of the history, and what was there before is
 * read, and protects its segments.
 */
#include "engine/maintenance.h"

#define BASE_ATTEMPTS_MAX 10

/* Slots that only jobs may take. */
#define PENDING_JOBS 4

/* ---- the registry ---- */

/* With the lock held, one of the first "limit"; -1: none. */
static int
take_slot(ReefNamespaceShared *shared, int limit, int64_t start_us)
{
	int			i;

	for (i = 0; i < limit; i++)
	{
		if (shared->pending[i].serial != 0)
			continue;
		shared->pending[i].serial = ++shared->last_pending_serial;
		shared->pending[i].start_us = start_us;
		return i;
	}
	return -1;
}

static ReefCode
begin(ReefNamespace *ns, int limit, ReefPending *pending, ReefError *err)
{
	int64_t		start_us;
	int			slot;

	*pending = -1;
	/* the clock first: from before the slot is taken nothing is begun */
	REEF_TRY(reef_store_now(ns->store, &start_us, err));
	reef_namespace_lock(ns->host, ns->shared, true);
	slot = take_slot(ns->shared, limit, start_us);
	reef_namespace_unlock(ns->host, ns->shared);
	if (slot < 0)
		return reef_error_set(err, REEF_LIMIT,
							  "too many large transactions at a time",
							  "%d transactions and jobs write segments of namespace \"%s\"",
							  limit, ns->name);
	ns->own_pending |= UINT64_C(1) << slot;
	*pending = slot;
	return REEF_OK;
}

ReefCode
reef_pending_begin(ReefNamespace *ns, ReefPending *pending, ReefError *err)
{
	return begin(ns, REEF_PENDING_MAX, pending, err);
}

/* Many transactions must not keep a fold from making room for them. */
ReefCode
reef_pending_begin_transaction(ReefNamespace *ns, ReefPending *pending,
							   ReefError *err)
{
	return begin(ns, REEF_PENDING_MAX - PENDING_JOBS, pending, err);
}

void
reef_pending_end(ReefNamespace *ns, ReefPending *pending)
{
	if (*pending < 0)
		return;
	reef_namespace_lock(ns->host, ns->shared, true);
	memset(&ns->shared->pending[*pending], 0, sizeof(ReefPendingSlot));
	reef_namespace_unlock(ns->host, ns->shared);
	ns->own_pending &= ~(UINT64_C(1) << *pending);
	*pending = -1;
}

void
reef_pending_end_all(ReefNamespace *ns)
{
	ReefPending pending;
	int			i;

	for (i = 0; i < REEF_PENDING_MAX; i++)
	{
		pending = (ns->own_pending >> i & 1) != 0 ? i : -1;
		reef_pending_end(ns, &pending);
	}
}

int64_t
reef_pending_oldest_us(ReefNamespace *ns)
{
	const ReefNamespaceShared *shared = ns->shared;
	int64_t		oldest_us = INT64_MAX;
	int			i;

	reef_namespace_lock(ns->host, shared, false);
	for (i = 0; i < REEF_PENDING_MAX; i++)
	{
		if (shared->pending[i].serial != 0 &&
			shared->pending[i].start_us < oldest_us)
			oldest_us = shared->pending[i].start_us;
	}
	reef_namespace_unlock(ns->host, shared);
	return oldest_us;
}

/* ---- what may be attached ---- */

ReefCode
reef_output_base_take(ReefNamespace *ns, ReefPending pending,
					  ReefOutputBase *base, ReefError *err)
{
	const ReefNamespaceShared *shared = ns->shared;
	int			i;

	for (i = 0; i < BASE_ATTEMPTS_MAX; i++)
	{
		bool		is_open;

		REEF_TRY(reef_namespace_open(ns, 0, err));
		reef_namespace_lock(ns->host, shared, false);
		is_open = shared->mode != REEF_MODE_CLOSED && shared->exists;
		base->lsn = shared->last_lsn;
		base->incarnation = shared->incarnation;
		base->pending_serial = shared->pending[pending].serial;
		reef_namespace_unlock(ns->host, shared);
		if (is_open)
			return REEF_OK;
	}
	return reef_error_set(err, REEF_UNAVAILABLE,
						  "could not open the namespace",
						  "namespace \"%s\" was closed again each of %d times",
						  ns->name, BASE_ATTEMPTS_MAX);
}

static bool
is_pending(const ReefNamespaceShared *shared, uint64_t serial)
{
	int			i;

	for (i = 0; i < REEF_PENDING_MAX; i++)
	{
		if (shared->pending[i].serial == serial)
			return true;
	}
	return false;
}

ReefCode
reef_output_base_check(ReefNamespace *ns, const ReefOutputBase *base,
					   ReefError *err)
{
	const ReefNamespaceShared *shared = ns->shared;
	const char *reason = NULL;

	reef_namespace_lock(ns->host, shared, false);
	if (shared->incarnation != base->incarnation)
		reason = "the namespace was read anew while rows were loaded, because another server wrote to it";
	else if (shared->foreign_fence_lsn > base->lsn)
		reason = "another server took over the namespace while rows were loaded";
	else if (!is_pending(shared, base->pending_serial))
		reason = "the session that loaded the rows has ended";
	reef_namespace_unlock(ns->host, shared);
	if (reason == NULL)
		return REEF_OK;
	return reef_error_set(err, REEF_CONFLICT,
						  "could not serialize access due to concurrent update",
						  "%s", reason);
}
