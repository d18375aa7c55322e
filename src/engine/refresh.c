/*
 * refresh.c
 *	  Opening a namespace for reading, and keeping up with another writer.
 *
 * A reader asks for the record after its last one; 404 means that there is
 * none, unless the record was folded and collected before we asked.  That takes
 * the collector at least a grace window from the manifest that we may not have
 * seen, so the answer is trusted while the last LIST of manifests is younger
 * than half of it; after that the reader lists them again (DESIGN 3.6).
 */
#include "engine/state.h"

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
	REEF_TRY(reef_replay_following(ns, &must_reopen, err));
	if (must_reopen)
		return reopen(ns, err);

	REEF_TRY(reef_store_now(ns->store, &now_store_us, err));
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
	answer = shared->mode == REEF_MODE_WRITER ||
		(shared->mode == REEF_MODE_READER &&
		 age_us >= 0 && age_us < max_staleness_us);
	reef_namespace_unlock(ns->host, shared);
	return answer;
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
	if (ns->shared->mode == REEF_MODE_CLOSED)
		rc = reef_recover(ns, err);
	else if (!is_fresh(ns, max_staleness_us))
		rc = reef_refresh(ns, err);
	host->right_release(host->arg, lock_number, REEF_RIGHT_COMMIT);
	return rc;
}
