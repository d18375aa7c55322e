/*
 * refresh.c
 *	  Opening a namespace for reading, and keeping up with another writer.
 *
 * A reader asks for the record after its last one; 404 means that there is
 * none, unless the record was folded and collected before we asked.  That takes
 * the collector at least a grace window from the manifest that we may not have
 * seen, so the answer is trusted while the last LIST of manifests is younger
 * than half of it; after that the reader lists them again (DESIGN 3.6).
 *
 * A transaction that another namespace has not decided makes a reader stop
 * before its record.  Mostly that is a commit under way, and gone in a moment;
 * but if its server has died, acknowledged records may be behind it, and nobody
 * else may ever come.  So what stays undecided for a while is decided by taking
 * the namespace over, if we may write there.  (The clock decides only when.)
 */
#include "engine/state.h"

#define UNDECIDED_WAIT_US INT64_C(1000000)
#define UNDECIDED_SLICE_US INT64_C(50000)

static ReefCode
reopen(ReefNamespace *ns, ReefError *err)
{
	reef_namespace_close_shared(ns->host, ns->shared);
	return reef_recover(ns, err);
}

/*
 * A newer manifest also means that the old one's segments are garbage now, so
 * the reader moves on to it even if it has all the records.
 */
static ReefCode
list_again(ReefNamespace *ns, int64_t now_store_us, ReefError *err)
{
	ReefNamespaceShared *shared = ns->shared;
	ReefArena	arena;
	uint64_t   *versions;
	int			count;
	ReefCode	rc;

	reef_arena_init(&arena, 0);
	rc = reef_manifest_list(ns, shared->manifest_version_max, &arena,
							&versions, &count, err);
	reef_arena_release(&arena);
	if (rc != REEF_OK)
		return rc;
	if (count > 0)
		return reopen(ns, err);
	reef_namespace_lock(ns->host, shared, true);
	shared->full_refresh_store_us = now_store_us;
	reef_namespace_unlock(ns->host, shared);
	return REEF_OK;
}

ReefCode
reef_refresh(ReefNamespace *ns, ReefError *err)
{
	ReefNamespaceShared *shared = ns->shared;
	bool		must_reopen;
	int64_t		now_store_us;

	if (!shared->exists)
		return reopen(ns, err);
	REEF_TRY(reef_replay_following(ns, false, &must_reopen, err));
	if (must_reopen)
		return reopen(ns, err);

	REEF_TRY(reef_store_time_answered(ns->store, &now_store_us, err));
	if (now_store_us - shared->full_refresh_store_us >=
		ns->settings->gc_grace_us / 2)
		REEF_TRY(list_again(ns, now_store_us, err));
	reef_namespace_lock(ns->host, shared, true);
	shared->refreshed_us = ns->host->now_us(ns->host->arg);
	reef_namespace_unlock(ns->host, shared);
	return REEF_OK;
}

static bool
is_fresh(ReefNamespace *ns, int64_t max_staleness_us)
{
	ReefNamespaceShared *shared = ns->shared;
	int64_t		age_us;
	bool		answer;

	reef_namespace_lock(ns->host, shared, false);
	age_us = ns->host->now_us(ns->host->arg) - shared->refreshed_us;
	/* a clock that was set back makes nothing fresh */
	answer = !shared->is_in_doubt &&
		(shared->mode == REEF_MODE_WRITER ||
		 (shared->mode == REEF_MODE_READER &&
		  age_us >= 0 && age_us < max_staleness_us));
	reef_namespace_unlock(ns->host, shared);
	return answer;
}

/* Has the same record stayed undecided? */
static bool
is_stuck(ReefNamespace *ns)
{
	const ReefNamespaceShared *shared = ns->shared;
	int64_t		age_us = ns->host->now_us(ns->host->arg) -
		shared->undecided_since_us;

	return shared->undecided_lsn != 0 &&
		(age_us < 0 || age_us >= UNDECIDED_WAIT_US);
}

/* Who has nothing older to go on with waits for it. */
static ReefCode
wait_for_decision(ReefNamespace *ns, ReefError *err)
{
	const ReefHost *host = ns->host;
	uint64_t	lsn = ns->shared->undecided_lsn;

	while (ns->shared->undecided_lsn == lsn && !is_stuck(ns))
	{
		if (host->wait(host->arg, NULL, 0, UNDECIDED_SLICE_US) != REEF_OK)
			return reef_error_set(err, REEF_CANCELLED,
								  "opening was cancelled", NULL);
		REEF_TRY(reef_refresh(ns, err));
	}
	return REEF_OK;
}

static ReefCode
see_to_undecided(ReefNamespace *ns, bool was_closed, ReefError *err)
{
	ReefCode	rc;

	if (ns->shared->undecided_lsn == 0 || reef_store_is_read_only(ns->store))
		return REEF_OK;
	if (was_closed)
		REEF_TRY(wait_for_decision(ns, err));
	if (!is_stuck(ns))
		return REEF_OK;
	rc = reef_takeover(ns, err);
	/* who may not write stays with what was */
	if (rc != REEF_READ_ONLY && rc != REEF_DENIED)
		return rc;
	return ns->shared->mode == REEF_MODE_CLOSED ? reef_recover(ns, err) :
		REEF_OK;
}

static ReefCode
open_with_right(ReefNamespace *ns, int64_t max_staleness_us, ReefError *err)
{
	bool		was_closed = ns->shared->mode == REEF_MODE_CLOSED;

	if (ns->shared->is_in_doubt)
		return reef_takeover(ns, err);
	if (was_closed)
		REEF_TRY(reef_recover(ns, err));
	else if (!is_fresh(ns, max_staleness_us))
		REEF_TRY(reef_refresh(ns, err));
	return see_to_undecided(ns, was_closed, err);
}

ReefCode
reef_namespace_open(ReefNamespace *ns, int64_t max_staleness_us,
					ReefError *err)
{
	const ReefHost *host = ns->host;
	int			lock_number = ns->shared->lock_number;
	ReefCode	rc;

	if (is_fresh(ns, max_staleness_us))
		return REEF_OK;
	rc = host->right_acquire(host->arg, lock_number, REEF_RIGHT_COMMIT,
							 ns->settings->commit_timeout_us);
	if (rc != REEF_OK)
		return reef_error_set(err, rc, "could not open the namespace",
							  "namespace \"%s\" is being opened or written by another session",
							  ns->name);
	/* somebody may have done it while we waited */
	rc = open_with_right(ns, max_staleness_us, err);
	host->right_release(host->arg, lock_number, REEF_RIGHT_COMMIT);
	return rc;
}
