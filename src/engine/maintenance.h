/*
 * maintenance.h
 *	  What jobs that write segments and manifests share.
 *
 * A JOB (fold, compaction, repair, rebuild) writes segments first and then
 * commits a manifest that names them.  Two things can go wrong in between, and
 * neither may depend on a clock:
 *
 *	  - Somebody else commits a manifest.  Within a cluster manifests are
 *		committed one after the other under REEF_RIGHT_MANIFEST, each built on
 *		the current one in memory; so a job can go on after another job of its
 *		own cluster.  A manifest of another cluster ends the job: its put finds
 *		the number taken, or the list after it a higher one, or memory was read
 *		anew (incarnation).  Its outputs are never rebased onto a foreign
 *		manifest, because
 *	  - a collector may have taken them for orphans.  A collector respects what
 *		is pending in its own cluster (the registry below).  Before it deletes
 *		segments that no manifest names, it puts barriers: a fence and a
 *		manifest of its own, put after it has listed the segments.  Whoever
 *		wrote one of these in another cluster began before the barriers, and
 *		can neither attach it (a fence of another cluster lies between: see
 *		ReefOutputBase) nor commit a manifest on what it began with.
 *
 * So it does not matter how long anybody sleeps between any two steps [I1] [I9].
 *
 * REBUILDING.  The last segment that a job writes carries, in its footer, a
 * copy of the manifest that the job is going to commit, without that segment
 * itself: compressed, so about as many bytes as the manifest.  With all
 * manifests gone the newest copy all of whose segments exist, and the records
 * above its last_applied_lsn, are the namespace.  A copy may lack what another
 * job of the cluster committed meanwhile, so each manifest says up to which LSN
 * some copy is complete (rebuildable_lsn), and records above that are not
 * collected.  A job that replaces segments must therefore write one, or nothing
 * would be left to rebuild from: a compaction that leaves no row writes one
 * tombstone, of any key, in level 0.
 */
#ifndef REEF_ENGINE_MAINTENANCE_H
#define REEF_ENGINE_MAINTENANCE_H

#include "engine/state.h"

/* ---- manifest_commit.c ---- */

typedef struct ReefManifestChange
{
	/* of the shared state when the job began */
	uint64_t	incarnation;

	/*
	 * Fill *next, all but version, parent_version and time_ms, from "base", the
	 * current manifest (version 0 and empty if there is none).  What is put
	 * into *next lives in the arena or as long as the change.  *is_stale: the
	 * base is not one that the job can be built on; nothing is committed.
	 * Called with the manifest right; no I/O.
	 */
	ReefCode	(*build) (void *arg, const ReefManifest *base,
						  ReefArena *arena, ReefManifest *next,
						  bool *is_stale, ReefError *err);
	void	   *arg;

	/* highest xid of ours in what the job folds; 0: none */
	uint64_t	folded_max_xid;

	/*
	 * Version of the manifest whose copy, with the job applied, is in the
	 * footer of the job's last segment; UINT64_MAX if the job wrote none.
	 * Decides rebuildable_lsn, see above.
	 */
	uint64_t	copy_base_version;
	/* last_applied_lsn of that copy */
	uint64_t	copy_applied_lsn;
} ReefManifestChange;

typedef enum ReefManifestOutcome
{
	REEF_MANIFEST_COMMITTED,
	REEF_MANIFEST_STALE,		/* not committed and never will be; if memory
								 * was out of date it has been closed */
	REEF_MANIFEST_UNKNOWN		/* memory has been closed.  The outputs must be
								 * left to the collector.  With REEF_OK: another
								 * cluster's manifest is beyond ours, and may
								 * or may not be built on it */
} ReefManifestOutcome;

/*
 * Commit the next manifest: acquire REEF_RIGHT_MANIFEST, build on the current
 * one, put, list, install in shared memory.  A code other than REEF_OK comes
 * with REEF_MANIFEST_STALE (certainly not committed) or _UNKNOWN.  The caller
 * holds the right of its job, and neither the commit right nor a lock.  *committed is a copy
 * in the arena of what was committed.
 */
extern ReefCode reef_manifest_commit(ReefNamespace *ns,
									 const ReefManifestChange *change,
									 ReefArena *arena,
									 ReefManifest *committed,
									 ReefManifestOutcome *outcome,
									 ReefError *err) REEF_MUST_CHECK;

/*
 * The current manifest, pinned alone: a long job must not keep generations in
 * memory as a view does.  NULL if the namespace is not open.  Give it back with
 * reef_namespace_unpin.
 */
extern ReefSharedManifest *reef_namespace_pin_manifest(const ReefHost *host,
													   ReefNamespaceShared *shared,
													   uint64_t *incarnation,
													   uint64_t *version_max);

/* Make memory be read anew by its next user, unless it has been since.  Waits
 * for the commit right. */
extern ReefCode reef_namespace_reload(ReefNamespace *ns, uint64_t incarnation,
									  ReefError *err) REEF_MUST_CHECK;

/* Delete what a job wrote that certainly no manifest will ever name; best
 * effort. */
extern void reef_outputs_delete(ReefNamespace *ns,
								const ReefSegmentMeta *segments, int count);

/*
 * Sleep as long as settings->maintenance_io_limit demands after "bytes" more
 * have been read or written since *window_start_us, *window_bytes (both the
 * caller's, 0 at first).  REEF_CANCELLED.
 */
extern ReefCode reef_io_throttle(ReefNamespace *ns, int64_t *window_start_us,
								 uint64_t *window_bytes, uint64_t bytes,
								 ReefError *err) REEF_MUST_CHECK;

/* ---- pending.c ---- */

/*
 * Somebody of this cluster is writing segments that nothing names yet.  Begin
 * before the first object is begun; end when the outcome is known, or when the
 * segments have been given up.  A process that ends gives back its own
 * (reef_namespace_abandon).  REEF_LIMIT if too many are open.
 */
typedef int ReefPending;		/* -1: none */

extern ReefCode reef_pending_begin(ReefNamespace *ns, ReefPending *pending,
								   ReefError *err) REEF_MUST_CHECK;
/* The same for a transaction, which leaves some places to jobs. */
extern ReefCode reef_pending_begin_transaction(ReefNamespace *ns,
											   ReefPending *pending,
											   ReefError *err) REEF_MUST_CHECK;
extern void reef_pending_end(ReefNamespace *ns, ReefPending *pending);
/* All that this process has begun. */
extern void reef_pending_end_all(ReefNamespace *ns);

/*
 * Store time before which no pending job of this cluster began; INT64_MAX if
 * there is none.  A segment modified before it is nobody's output here (leave
 * a margin for the resolution of the store's clock).
 */
extern int64_t reef_pending_oldest_us(ReefNamespace *ns);

/*
 * Take down where the namespace stands, for a transaction that is about to
 * begin segments of its own and has begun to be pending.  Opens the namespace,
 * and brings a reader's memory up to date: the older it is, the more stands
 * between it and the commit.
 */
extern ReefCode reef_output_base_take(ReefNamespace *ns, ReefPending pending,
									  ReefOutputBase *base, ReefError *err)
			REEF_MUST_CHECK;

/*
 * May what was begun there be attached by the next record?  REEF_CONFLICT if a
 * fence of another cluster came since, memory has been read anew, or the
 * transaction is not pending any more.  A final answer for the holder of the
 * commit right.
 */
extern ReefCode reef_output_base_check(ReefNamespace *ns,
									   const ReefOutputBase *base,
									   ReefError *err) REEF_MUST_CHECK;

#endif							/* REEF_ENGINE_MAINTENANCE_H */
