/*
 * state.h
 *	  How the engine's writing side changes a namespace's shared state.
 *
 * Order of rights: compact, fold, then commit or manifest, never both of these
 * at a time.  Lock order: a right, then the namespace's lock.  The lock is held
 * for memory operations only.  Whatever only the holder of the commit right
 * changes is changed under the lock too, because others read it under the
 * lock; the holder itself reads it without.
 */
#ifndef REEF_ENGINE_STATE_H
#define REEF_ENGINE_STATE_H

#include "engine/internal.h"

/* ---- namespace.c ---- */

extern void reef_namespace_lock(const ReefHost *host,
								const ReefNamespaceShared *shared,
								bool exclusive);
extern void reef_namespace_unlock(const ReefHost *host,
								  const ReefNamespaceShared *shared);

/* A manifest's bytes in shared memory with one reference, which the list
 * takes over when it is pushed.  No bytes: version 0, nothing stored yet. */
extern ReefCode reef_shared_manifest_new(const ReefHost *host,
										 const ReefManifest *manifest,
										 ReefSlice bytes,
										 uint64_t folded_max_xid,
										 ReefSharedManifest **shared_manifest,
										 ReefError *err) REEF_MUST_CHECK;
extern void reef_shared_manifest_free(const ReefHost *host,
									  ReefSharedManifest *shared_manifest);
/* Make it the current one; the caller holds the lock.  A predecessor of the
 * same rows gives way to it, the oldest when the list is full. */
extern void reef_namespace_push_manifest(const ReefHost *host,
										 ReefNamespaceShared *shared,
										 ReefSharedManifest *shared_manifest);

/* End the active generation at last_lsn and begin another; the caller holds
 * the commit right. */
extern ReefCode reef_namespace_seal(const ReefHost *host,
									ReefNamespaceShared *shared,
									ReefError *err) REEF_MUST_CHECK;
/* Set a generation aside for the next sealing, if there is memory. */
extern void reef_namespace_set_aside(const ReefHost *host,
									 ReefNamespaceShared *shared);
/* As reef_namespace_trim; "force" gives up what only an unpinned snapshot
 * might still want. */
extern void reef_namespace_trim_retained(const ReefHost *host,
										 ReefNamespaceShared *shared,
										 bool force);
/* The record has been applied to the active generation: make it part of what
 * the next view sees.  The caller holds the commit right. */
extern void reef_namespace_advance(ReefNamespace *ns,
								   const ReefWalHeader *header);
/* Let go of references (the lock is taken). */
extern void reef_namespace_unpin(const ReefHost *host,
								 ReefNamespaceShared *shared,
								 ReefSharedManifest *shared_manifest,
								 ReefGeneration **generations, int count);

/* ---- view.c ---- */

/* A view of the state as it is, whatever the mode: for the holder of the commit
 * right.  Everything that is not void counts as committed. */
extern ReefCode reef_view_pin_present(ReefNamespace *ns, ReefView **view,
									  ReefError *err) REEF_MUST_CHECK;
/* Decode a shared manifest, or find it decoded. */
extern ReefCode reef_loaded_manifest_get(ReefNamespace *ns,
										 uint64_t incarnation,
										 const ReefSharedManifest *bytes,
										 ReefLoadedManifest **loaded,
										 ReefError *err) REEF_MUST_CHECK;
extern void reef_loaded_manifest_release(ReefLoadedManifest *loaded);	/* accepts NULL */

/* ---- manifest_load.c ---- */

/* Numbers of the stored manifests above "after", ascending, in the arena. */
extern ReefCode reef_manifest_list(ReefNamespace *ns, uint64_t after,
								   ReefArena *arena, uint64_t **versions,
								   int *count, ReefError *err)
			REEF_MUST_CHECK;
/*
 * As reef_manifest_load_current; *version_max is the highest number that is
 * taken, whether or not its object can be read.
 */
extern ReefCode reef_manifest_find_current(ReefNamespace *ns, ReefArena *arena,
										   ReefManifest *manifest,
										   ReefBuf *bytes,
										   uint64_t *version_max,
										   ReefError *err) REEF_MUST_CHECK;

/* ---- record.c ---- */

/* A record that has been read and checked against its name. */
typedef struct ReefRecord
{
	ReefWalHeader header;
	ReefSlice  *frames;			/* [frame_count] */
	bool	   *is_void;		/* [frame_count] */
	bool	   *needs_abort;	/* [frame_count] void, but not in the log */
} ReefRecord;

/* REEF_NOT_FOUND if there is no such record; all in the arena. */
extern ReefCode reef_record_load(ReefNamespace *ns, uint64_t lsn,
								 ReefArena *arena, ReefRecord *record,
								 ReefError *err) REEF_MUST_CHECK;
/* Is it of this namespace, and the successor of the record with this CRC? */
extern ReefCode reef_record_check(ReefNamespace *ns, const ReefRecord *record,
								  const uint8_t namespace_id[16],
								  uint32_t previous_crc, ReefError *err)
			REEF_MUST_CHECK;
/* Apply a record that others wrote, or an earlier life of ours. */
extern ReefCode reef_record_apply(ReefNamespace *ns, const ReefRecord *record,
								  ReefError *err) REEF_MUST_CHECK;

/* ---- recover.c ---- */

/*
 * reef_recover and reef_refresh for who is going to be the writer: transactions
 * that other namespaces have not decided yet are decided.
 */
extern ReefCode reef_recover_for_takeover(ReefNamespace *ns, ReefError *err)
			REEF_MUST_CHECK;
/*
 * Apply the records after last_lsn until the first free number, or until one
 * that has something undecided (shared->undecided_lsn).  *must_reopen: they
 * cannot be added to what is in memory, and nothing was.
 */
extern ReefCode reef_replay_following(ReefNamespace *ns, bool is_takeover,
									  bool *must_reopen, ReefError *err)
			REEF_MUST_CHECK;

/* ---- commit.c ---- */

/* The outcome of a put is not "durable": the next record needs a new fence, the
 * next reader looks at the store. */
extern void reef_namespace_step_down(ReefNamespace *ns, bool is_fenced);

/* ---- takeover.c ---- */

/*
 * The writer puts one more fence, as a barrier (see gc.c).  The caller holds the
 * commit right.  After any error this cluster is not the writer any more.
 */
extern ReefCode reef_fence_renew(ReefNamespace *ns, ReefError *err)
			REEF_MUST_CHECK;

/* After being fenced, wait at least half of this and at most all of it. */
#define REEF_TAKEOVER_HOLD_OFF_MAX_US INT64_C(400000)

/* The next record of this cluster, with a new nonce. */
extern void reef_wal_header_init(ReefNamespace *ns, ReefWalHeader *header);

/* ---- put.c ---- */

typedef enum ReefPutOutcome
{
	REEF_PUT_DURABLE,
	REEF_PUT_NOWHERE,			/* certainly not there, and never will be */
	REEF_PUT_LOST,				/* another record has the slot; ours is nowhere */
	REEF_PUT_UNKNOWN
} ReefPutOutcome;

/*
 * Put a record into its slot and find out what became of it; err says why if
 * it is not durable.
 */
extern ReefPutOutcome reef_record_put(ReefNamespace *ns,
									  const ReefWalHeader *header,
									  ReefSlice bytes, ReefError *err);

/* ---- validate.c ---- */

/*
 * Reject the frames whose conditions do not hold any more (state, error).
 * A code other than REEF_OK means that it could not be found out.
 */
extern ReefCode reef_frames_validate(ReefNamespace *ns, ReefFrame **frames,
									 int count, ReefArena *arena,
									 ReefError *err) REEF_MUST_CHECK;

/* ---- idempotency.c ---- */

/* Did a transaction with this key commit, as far as the view sees? */
extern bool reef_idempotency_is_known(const ReefView *view, ReefSlice key);
/* Sort them, and of each key leave the youngest; how many are left. */
extern int	reef_idempotency_unique(ReefIdempotencyEntry *entries, int count);

/* ---- frame.c ---- */

extern void reef_frame_finish(ReefFrame *frame, ReefFrameState state,
							  const ReefError *err);

/* ---- application.c ---- */

/* Bytes of the keys and documents, and of the attached segments. */
extern void reef_application_sizes(const ReefApplication *application,
								   uint64_t *user_bytes,
								   uint64_t *attached_bytes);
/* Find a transaction in the chain of generations; NULL if it is not there. */
extern ReefApplied *reef_applied_find(const ReefNamespaceShared *shared,
									  uint64_t lsn, uint32_t frame);

/* ---- abort.c ---- */

/* Queue an abort; false (and a warning) if the queue is full.  The caller holds
 * the lock. */
extern bool reef_pending_abort_add(ReefNamespaceShared *shared, uint64_t lsn,
								   uint32_t frame, bool is_dependent);
/* Queue what is void up to "lsn" and in nobody's queue. */
extern void reef_pending_aborts_collect(const ReefHost *host,
										ReefNamespaceShared *shared,
										uint64_t lsn);
/* Append a frame of the pending aborts; *count says how many there are. */
extern ReefCode reef_pending_aborts_encode(const ReefHost *host,
										   ReefNamespaceShared *shared,
										   ReefBuf *out, int *count,
										   ReefError *err) REEF_MUST_CHECK;
/* The first "count" are durable. */
extern void reef_pending_aborts_drop(const ReefHost *host,
									 ReefNamespaceShared *shared, int count);

#endif							/* REEF_ENGINE_STATE_H */
