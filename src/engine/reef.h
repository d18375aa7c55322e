/*
 * reef.h
 *	  The storage engine's public face: all that pg/ (and the tests) see.
 *
 * A namespace is one table in a store.  Its state in a cluster - memtable,
 * LSNs, the manifests in use - lives in shared memory (ReefNamespaceShared)
 * and is touched by many processes; each process works on it through a handle
 * of its own (ReefNamespace), which also holds what cannot be shared: the
 * store connection, decoded manifests, open segments.
 *
 * Life of a write: reef_txn_new .. insert/update/delete .. reef_txn_prepare
 * gives a frame in shared memory; whoever holds the commit right passes the
 * waiting frames to reef_commit, which validates them, puts one record and
 * applies it to the memtable.  Life of a read: reef_view_pin picks a manifest
 * and the memtable generations after it, reef_scan_open reads them together
 * with the transaction's own writes.  Life of a fold: reef_fold.
 *
 * Handles and everything reached from them belong to one process.  All
 * functions may block on the store unless said otherwise, ask the host for
 * cancellation, and hold no host lock while they block.
 */
#ifndef REEF_ENGINE_REEF_H
#define REEF_ENGINE_REEF_H

#include "base/arena.h"
#include "base/document.h"
#include "base/error.h"
#include "base/host.h"
#include "base/schema.h"
#include "base/value.h"

struct ReefStore;

typedef struct ReefNamespaceShared ReefNamespaceShared;
typedef struct ReefNamespace ReefNamespace;
typedef struct ReefView ReefView;
typedef struct ReefScan ReefScan;
typedef struct ReefTxn ReefTxn;
typedef struct ReefFrame ReefFrame;
typedef struct ReefPageCache ReefPageCache;

/* handles  */

typedef struct ReefEngineSettings
{
	uint8_t		cluster_id[16];	/* this server start */
	int64_t		commit_timeout_us;	/* deadline of a record's put */
	int64_t		gc_grace_us;	/* how long garbage is kept, store time */
	size_t		transaction_buffer_size;	/* bytes before a transaction
											 * writes segments of its own */
	size_t		target_segment_size;	/* bytes of a Parquet file */
	int64_t		maintenance_io_limit;	/* bytes a second that compaction and
										 * verification read and write; 0: no
										 * limit */
	int64_t		idempotency_retention_ms;	/* how long keys are remembered */
	int			compression;	/* ReefCompression */
	int			compression_level;
	size_t		page_cache_size;	/* bytes of decoded pages a process keeps
									 * that are not in page_cache */
	ReefPageCache *page_cache;	/* shared by all processes; NULL: none */
} ReefEngineSettings;

extern void reef_engine_settings_init(ReefEngineSettings *settings);

/* Locks of the host that a page cache takes, one after the other. */
#define REEF_PAGE_CACHE_LOCKS 32

/*
 * The page cache of a cluster: a table of this many bytes at an address that
 * is the same in all processes, for pages of up to "budget" bytes in all from
 * the host's cache_alloc, which gives no more than that.
 */
extern size_t reef_page_cache_shared_size(size_t budget);
extern void reef_page_cache_init(ReefPageCache *cache, size_t budget,
								 int first_lock);

/* Bytes of shared memory of one namespace's entry (memtable not included). */
extern size_t reef_namespace_shared_size(void);
/* Initialise an entry; lock_number names its lock and rights in the host. */
extern void reef_namespace_shared_init(ReefNamespaceShared *shared,
									   int lock_number);
/*
 * Give back all shared memory of an entry so that it can be reused for
 * another namespace.  REEF_UNAVAILABLE, and nothing done, while somebody pins
 * it or it has records that are not folded and must not be dropped silently
 * (they are safe in the store: "force" forgets them).  No I/O.
 */
extern ReefCode reef_namespace_shared_reset(const ReefHost *host,
											ReefNamespaceShared *shared,
											bool force, ReefError *err)
			REEF_MUST_CHECK;

/*
 * Make a handle.  No I/O.  host, settings (read at every use, so the caller
 * may change them) and store are borrowed until detach.  "name" is the
 * namespace as the user writes it: "public/orders".
 */
extern ReefCode reef_namespace_attach(const ReefHost *host,
									  const ReefEngineSettings *settings,
									  struct ReefStore *store,
									  const char *name,
									  ReefNamespaceShared *shared,
									  ReefNamespace **ns, ReefError *err)
			REEF_MUST_CHECK;
extern void reef_namespace_detach(ReefNamespace *ns);	/* accepts NULL */
/* A process that ends without closing what it has open gives back what others
 * would wait for; the handle must not be used any more. */
extern void reef_namespace_abandon(ReefNamespace *ns);
extern const char *reef_namespace_name(const ReefNamespace *ns);
extern ReefNamespaceShared *reef_namespace_shared(const ReefNamespace *ns);

/* reading  */

/*
 * Pin what one snapshot reads: the newest manifest all of whose folded
 * transactions the snapshot covers, and the memtable generations after it.
 * Opens the namespace (recovery) if no process of the cluster has yet, and on
 * a cluster that is not the writer refreshes it unless it was refreshed less
 * than max_staleness_us ago.  A namespace that does not exist reads as empty.
 *
 * "snapshot" is opaque, for the host's xid callbacks, and must stay valid while
 * the view is pinned; NULL is "as of now".  REEF_SNAPSHOT_TOO_OLD if what it
 * needs was given up.
 */
extern ReefCode reef_view_pin(ReefNamespace *ns, void *snapshot,
							  int64_t max_staleness_us, ReefView **view,
							  ReefError *err) REEF_MUST_CHECK;
extern void reef_view_unpin(ReefView *view);	/* accepts NULL; no I/O */

/* The namespace's schema as this view knows it (stored order); borrowed until
 * unpin.  No columns if the namespace does not exist. */
extern const ReefSchema *reef_view_schema(const ReefView *view);
extern bool reef_view_exists(const ReefView *view);
/* Highest LSN the view contains. */
extern uint64_t reef_view_lsn(const ReefView *view);
/* Exact number of live rows as of now, counting only what is folded or
 * committed for everybody; for planning and statistics. */
extern uint64_t reef_view_row_count(const ReefView *view);
/* Bytes of the live segments. */
extern uint64_t reef_view_size(const ReefView *view);

/* A range of encoded keys; {NULL,0} bounds are open. */
typedef struct ReefKeyRange
{
	ReefSlice	low;
	ReefSlice	high;
	bool		low_exclusive;
	bool		high_exclusive;
	bool		is_prefix;		/* low is a key prefix: all keys that begin with
								 * it; high is ignored */
} ReefKeyRange;

typedef struct ReefScanSpec
{
	/* Columns wanted, with the types to return them as.  A column that is not
	 * stored reads as NULL; one whose stored type does not widen to the wanted
	 * one is REEF_TYPE_MISMATCH.  May be empty (count(*)). */
	const ReefColumn *columns;
	int			column_count;
	bool		want_keys;		/* fill batch->keys */
	bool		want_lsns;		/* fill batch->lsns; 0: the transaction's own */
	/* The transaction's own writes to see: those of commands before "cid". */
	ReefTxn    *txn;			/* NULL: none */
	uint32_t	cid;
} ReefScanSpec;

/* What a scan has done, for EXPLAIN. */
typedef struct ReefScanCounters
{
	uint64_t	segments;		/* live in the view */
	uint64_t	segments_read;
	uint64_t	row_groups_read;
	uint64_t	pages_read;		/* decoded, all columns */
	uint64_t	pages_cached;	/* found decoded */
	uint64_t	bytes_read;		/* from the store or its local cache */
	uint64_t	rows_masked;	/* hidden by newer versions */
	uint64_t	memtable_rows;
	uint64_t	lookups;
	uint64_t	lookup_reads;	/* row groups that lookups had to look into */
	uint64_t	blocks_hit;		/* found in the local cache */
	uint64_t	blocks_missed;	/* fetched for it */
} ReefScanCounters;

/* The view must stay pinned while the scan is open.  No I/O until restart. */
extern ReefCode reef_scan_open(ReefView *view, const ReefScanSpec *spec,
							   ReefScan **scan, ReefError *err)
			REEF_MUST_CHECK;
/*
 * Position before the first row of a range (NULL: everything).  May be called
 * again and again; a range of exactly one key is a point lookup.  The range is
 * copied.
 */
extern ReefCode reef_scan_restart(ReefScan *scan, const ReefKeyRange *range,
								  ReefError *err) REEF_MUST_CHECK;
/*
 * The next rows, in no particular order; row_count 0 at the end.  The batch is
 * borrowed until the next call on the scan.
 */
extern ReefCode reef_scan_next(ReefScan *scan, ReefBatch **batch,
							   ReefError *err) REEF_MUST_CHECK;
extern const ReefScanCounters *reef_scan_counters(const ReefScan *scan);
extern void reef_scan_close(ReefScan *scan);	/* accepts NULL; no I/O */

/* writing  */

/*
 * One transaction's writes to one namespace, in this process's memory.  The
 * schema is what the writing table declares (copied); without key columns the
 * engine adds REEF_HIDDEN_KEY_COLUMN and fills it.  Opens the namespace, and
 * fails with REEF_TYPE_MISMATCH / REEF_COLUMN_MISMATCH if the schema does not
 * fit what is stored, REEF_READ_ONLY if the store is attached so.
 */
extern ReefCode reef_txn_new(ReefNamespace *ns, const ReefSchema *schema,
							 ReefTxn **txn, ReefError *err) REEF_MUST_CHECK;
/* Also abandons segments it wrote; no error, bounded I/O.  Accepts NULL. */
extern void reef_txn_free(ReefTxn *txn);

/*
 * Values are passed in the kinds that the table declares, also where a wider
 * type is stored; two tables of one transaction that declare a column with
 * different kinds are REEF_TYPE_MISMATCH.
 *
 * Tables with other columns may write to the same namespace in the same
 * transaction: add the columns of another schema.  On return column_map[i] is
 * the position of schema column i in the values arrays below.
 */
extern ReefCode reef_txn_add_schema(ReefTxn *txn, const ReefSchema *schema,
									int *column_map, ReefError *err)
			REEF_MUST_CHECK;
/* Number of values in the arrays below (the hidden key is not one). */
extern int	reef_txn_column_count(const ReefTxn *txn);

/* Where a write stands in its transaction. */
typedef struct ReefTxnPoint
{
	int			level;			/* subtransaction nest level, 1 = top */
	uint32_t	cid;			/* command; a scan sees those before its own */
} ReefTxnPoint;

/* A row as a scan returned it. */
typedef struct ReefRowId
{
	ReefSlice	key;
	uint64_t	lsn;			/* 0: written by this transaction */
} ReefRowId;

typedef enum ReefInsertMode
{
	REEF_INSERT_ERROR,			/* REEF_KEY_EXISTS if the key is there */
	REEF_INSERT_NOTHING,		/* *inserted = false then */
	REEF_INSERT_REPLACE			/* the new document replaces the old one;
								 * *inserted = false if this command has
								 * written the row already */
} ReefInsertMode;

/*
 * A row that another transaction has written but not yet ended exists (a heap
 * table would wait: the caller's row locks do); one that it has deleted is
 * REEF_CONFLICT.
 */

extern ReefCode reef_txn_insert(ReefTxn *txn, ReefTxnPoint point,
								const ReefValue *values, ReefInsertMode mode,
								bool *inserted, ReefError *err)
			REEF_MUST_CHECK;

/*
 * Replace the row "old" by "values"; changed[i] says which columns differ (the
 * record stores just these unless the key changes; what the table does not
 * know keeps its value).  *applied is false, and nothing happens, if this
 * command, or since an older cursor read it this transaction, has already
 * changed the row.
 * REEF_CONFLICT if the row is no longer what the scan saw; REEF_KEY_EXISTS if
 * the new key is taken.
 */
extern ReefCode reef_txn_update(ReefTxn *txn, ReefTxnPoint point,
								const ReefRowId *old, const ReefValue *values,
								const bool *changed, bool *applied,
								ReefError *err) REEF_MUST_CHECK;
extern ReefCode reef_txn_delete(ReefTxn *txn, ReefTxnPoint point,
								const ReefRowId *old, bool *applied,
								ReefError *err) REEF_MUST_CHECK;

/* Undo everything of this level and above / make it the parent's.  No I/O,
 * never fails. */
extern void reef_txn_abort_level(ReefTxn *txn, int level);
extern void reef_txn_release_level(ReefTxn *txn, int level);

/*
 * Apply the transaction at most once per key and namespace, as long as the key
 * is remembered.  *is_known: it was applied already, so the caller discards its
 * writes.  A transaction that commits the key before this one does makes it a
 * REEF_CONFLICT.  REEF_LIMIT if the key is too long, REEF_INVALID if it is
 * empty.
 */
extern ReefCode reef_txn_set_idempotency_key(ReefTxn *txn, ReefSlice key,
											 bool *is_known, ReefError *err)
			REEF_MUST_CHECK;

/* Has it anything to commit? */
extern bool reef_txn_is_empty(const ReefTxn *txn);
extern size_t reef_txn_memory(const ReefTxn *txn);
/* Let go of the memory that it pins to check conditions; what is written
 * afterwards pins anew. */
extern void reef_txn_unpin(ReefTxn *txn);
/* Bytes of the keys and documents that were written, however they are stored. */
extern uint64_t reef_txn_written_bytes(const ReefTxn *txn);

/*
 * Encode the transaction into shared memory, ready for anybody to commit.
 * full_xid is what versions carry for visibility (0: visible at once).
 * coupling may be NULL.  The frame is freed with reef_frame_free after its
 * outcome is known.  REEF_LIMIT when shared memory is used up: wait for a
 * fold and try again.
 */
extern ReefCode reef_txn_prepare(ReefTxn *txn, uint64_t full_xid,
								 const ReefCoupling *coupling,
								 ReefFrame **frame, ReefError *err)
			REEF_MUST_CHECK;

/* transactions over several namespaces  */

/* Bytes of a transaction id that are its decider's namespace id. */
#define REEF_GROUP_NAMESPACE_SIZE 8

/*
 * One transaction that writes several namespaces of one store location.  The
 * one with the greatest name, the decider, is the last of the array; the
 * frames are to be committed in the order of the array, each when all before
 * it are durable [I2].
 */
typedef struct ReefTxnGroup
{
	uint8_t		id[16];
	int			count;			/* at least 2 */
	ReefNamespace **namespaces;
	uint64_t	decider_term;	/* as whose writer the decider's frame is valid:
								 * the LSN of the fence */
} ReefTxnGroup;

/*
 * Begin: sorts the array, which is borrowed as long as the group, and makes
 * sure that all exist and are ours to write.  No right may be held.
 * REEF_UNSUPPORTED if the namespaces are not of one location.
 */
extern ReefCode reef_group_begin(ReefTxnGroup *group,
								 ReefNamespace **namespaces, int count,
								 ReefError *err) REEF_MUST_CHECK;
/* Make a transaction part of the group, before it is prepared (with a xid). */
extern void reef_txn_join_group(ReefTxn *txn, const ReefTxnGroup *group);

typedef enum ReefFrameState
{
	REEF_FRAME_WAITING = 0,
	REEF_FRAME_DURABLE = 1,		/* in record *lsn, applied to the memtable */
	REEF_FRAME_REJECTED = 2,	/* certainly nowhere; the error says why */
	REEF_FRAME_UNKNOWN = 3		/* nobody can say: 08007 */
} ReefFrameState;

/* No I/O, any process. */
extern ReefFrameState reef_frame_state(const ReefFrame *frame);
extern uint64_t reef_frame_lsn(const ReefFrame *frame);
extern void reef_frame_error(const ReefFrame *frame, ReefError *err);
extern size_t reef_frame_size(const ReefFrame *frame);
extern void reef_frame_free(const ReefHost *host, ReefFrame *frame);

/*
 * Commit waiting frames as one record.  The caller holds REEF_RIGHT_COMMIT.
 * Takes the namespace over first if this cluster is not its writer.  Every
 * frame leaves with a state other than WAITING, whatever the return code; the
 * code is about the record as a whole (REEF_OK even if some frames were
 * rejected).
 */
extern ReefCode reef_commit(ReefNamespace *ns, ReefFrame **frames, int count,
							ReefError *err) REEF_MUST_CHECK;

/*
 * A durable frame's local transaction aborted: void it.  Marks it in memory
 * and queues an abort for the namespace's next record; no I/O.
 */
extern void reef_commit_void(ReefNamespace *ns, const ReefFrame *frame);
/*
 * The local transaction of a group aborted, or will: see to it that it is void
 * everywhere, or committed everywhere.  frames[i] is the durable frame of
 * group->namespaces[i], or NULL.  "decider" is what became of the decider's:
 * REJECTED also if it was never prepared.  Takes the commit rights itself, each
 * for at most timeout_us.  REEF_OK: it is void, at once in memory and, if need
 * be with the next records, in the store.  Anything else: nobody knows yet, and
 * the next user of the namespaces finds out.
 */
extern ReefCode reef_group_void(const ReefTxnGroup *group,
								ReefFrame *const *frames,
								ReefFrameState decider, int64_t timeout_us,
								ReefError *err) REEF_MUST_CHECK;
/*
 * Nobody could call reef_group_void to its end.  No I/O, memory only: the next
 * users of the namespaces find out.
 */
extern void reef_group_doubt(const ReefTxnGroup *group,
							 ReefFrame *const *frames);
/* Put the queued aborts in a record of their own; caller holds the right. */
extern ReefCode reef_commit_pending_aborts(ReefNamespace *ns, ReefError *err)
			REEF_MUST_CHECK;
extern bool reef_namespace_has_pending_aborts(const ReefNamespaceShared *shared);

/* maintenance  */

typedef struct ReefFoldResult
{
	bool		folded;			/* false: nothing to do, or not yet possible */
	bool		waiting;		/* not yet: transactions are unfinished */
	uint64_t	rows;			/* rows written, tombstones included */
	uint64_t	segments;
	uint64_t	bytes;
	uint64_t	manifest_version;
	uint64_t	last_applied_lsn;
} ReefFoldResult;

/* Fold what is finished into level-0 segments and commit a manifest.  Takes
 * the fold right itself. */
extern ReefCode reef_fold(ReefNamespace *ns, ReefFoldResult *result,
						  ReefError *err) REEF_MUST_CHECK;

typedef struct ReefCompactResult
{
	bool		compacted;		/* false: nothing worth doing */
	bool		is_stale;		/* somebody else changed the namespace meanwhile;
								 * the work was thrown away */
	uint64_t	segments_in;
	uint64_t	segments_out;
	uint64_t	rows_in;
	uint64_t	rows_out;
	uint64_t	bytes_in;
	uint64_t	bytes_out;
	uint64_t	manifest_version;
} ReefCompactResult;

/*
 * Merge segments, if their shape makes it worth it; "full": all of them into one
 * clean sorted run of level 1.  One merge a call: call again while it
 * compacted.  Takes the compaction right itself.  Memory is bounded, whatever
 * is merged; settings->maintenance_io_limit bounds the speed.
 */
extern ReefCode reef_compact(ReefNamespace *ns, bool full,
							 ReefCompactResult *result, ReefError *err)
			REEF_MUST_CHECK;
/* Would reef_compact find something worth doing?  From memory, no I/O. */
extern bool reef_namespace_needs_compaction(ReefNamespace *ns);

/* One object that reef_gc deleted, or would delete. */
typedef struct ReefGarbage
{
	const char *key;			/* below the location */
	uint64_t	size;
	int64_t		modified_us;	/* store time */
	const char *reason;			/* "applied record", "old manifest", "replaced
								 * segment", "orphaned segment" */
	bool		failed;			/* the store refused to delete it */
	const char *problem;		/* why */
} ReefGarbage;

typedef ReefCode (*ReefGarbageVisitor) (void *arg, const ReefGarbage *garbage,
										ReefError *err);

typedef struct ReefGcResult
{
	uint64_t	objects;		/* deleted, or to be deleted if dry_run */
	uint64_t	bytes;
	uint64_t	failures;
	int64_t		next_due_us;	/* store time when something known now becomes
								 * old enough; 0: nothing waits */
} ReefGcResult;

/*
 * Delete what nothing can need any more and has been garbage for longer than
 * settings->gc_grace_us of store time.  Takes the compaction right itself.
 * Orphaned segments are collected only by the namespace's writer.  visit may be
 * NULL.
 */
extern ReefCode reef_gc(ReefNamespace *ns, bool dry_run,
						ReefGarbageVisitor visit, void *arg,
						ReefGcResult *result, ReefError *err) REEF_MUST_CHECK;

/* verify, repair, rebuild: everything from the store, nothing from memory */

typedef enum ReefSeverity
{
	REEF_SEVERITY_INFO,			/* nothing is wrong: an orphan, say */
	REEF_SEVERITY_WARNING,		/* no row is affected now, but redundancy or
								 * space is */
	REEF_SEVERITY_ERROR			/* rows are lost, or cannot be read */
} ReefSeverity;

typedef struct ReefFinding
{
	ReefSeverity severity;
	const char *object;			/* key below the location; "" for the whole */
	const char *check_name;		/* "missing", "checksum", "chain", ... listed
								 * in verify.c */
	const char *detail;
} ReefFinding;

typedef ReefCode (*ReefFindingVisitor) (void *arg, const ReefFinding *finding,
										ReefError *err);

/* Look at every object; "deep" decodes every page.  REEF_OK with findings is
 * the answer; a code is only for what stopped the walk.  Writes nothing. */
extern ReefCode reef_verify(ReefNamespace *ns, bool deep,
							ReefFindingVisitor visit, void *arg,
							ReefError *err) REEF_MUST_CHECK;

/* One thing that repair or rebuild did, would do, or has to report. */
typedef struct ReefAction
{
	const char *action;			/* "quarantine", "lost documents", "manifest",
								 * ... listed in repair.c */
	const char *object;
	const char *detail;
} ReefAction;

typedef ReefCode (*ReefActionVisitor) (void *arg, const ReefAction *action,
									   ReefError *err);

/*
 * Make the namespace whole again from what can be read: set aside (quarantine,
 * never delete) what cannot, commit a manifest of the rest, and say exactly
 * what is lost.  Takes all rights; fences the namespace.
 */
extern ReefCode reef_repair(ReefNamespace *ns, bool dry_run,
							ReefActionVisitor visit, void *arg,
							ReefError *err) REEF_MUST_CHECK;
/* Make a manifest from segments and records alone, whatever manifests there
 * are. */
extern ReefCode reef_rebuild(ReefNamespace *ns, bool dry_run,
							 ReefActionVisitor visit, void *arg,
							 ReefError *err) REEF_MUST_CHECK;

/* Free generations and manifests that no snapshot needs.  No I/O. */
extern void reef_namespace_trim(const ReefHost *host,
								ReefNamespaceShared *shared);

/* What a worker needs to decide, read without I/O and without a handle. */
typedef struct ReefNamespaceStatus
{
	bool		is_open;
	bool		is_writer;
	uint64_t	last_lsn;
	uint64_t	last_applied_lsn;
	uint64_t	manifest_version;
	uint64_t	epoch;
	uint64_t	memtable_bytes;	/* all generations */
	uint64_t	unfolded_bytes;	/* not yet folded */
	uint64_t	unfolded_records;
	int64_t		oldest_unfolded_us;	/* when its record was applied; 0: none */
	uint64_t	generations;
	uint64_t	pins;
	bool		has_pending_aborts;
	uint64_t	commits;		/* transactions made durable here */
	uint64_t	records;		/* records put here, fences excluded */
	uint64_t	fences;			/* takeovers */
	/* What was written here, in bytes.  The sum of the puts over user_bytes is
	 * the write amplification. */
	uint64_t	user_bytes;		/* keys and documents committed; of a bulk
								 * load its segments */
	uint64_t	wal_bytes;		/* put: records, ... */
	uint64_t	fold_bytes;		/* ... segments of folds and bulk loads, ... */
	uint64_t	compact_bytes;	/* ... segments of compactions, ... */
	uint64_t	manifest_bytes; /* ... manifests */
	uint64_t	fold_count;
	uint64_t	compact_count;
} ReefNamespaceStatus;

extern void reef_namespace_status(const ReefHost *host,
								  ReefNamespaceShared *shared,
								  ReefNamespaceStatus *status);

/* administration  */

/* One line of reef_segments / reef_manifests / reef_wal. */
typedef struct ReefSegmentInfo
{
	char		id[37];
	int			level;
	uint64_t	row_count;
	uint64_t	tombstone_count;
	uint64_t	superseding_count;
	uint64_t	lsn_min;
	uint64_t	lsn_max;
	uint64_t	size;
	char		key[901];		/* of the object, below the location */
	/* lowest and highest row key; borrowed for the call */
	ReefSlice	key_min;
	ReefSlice	key_max;
} ReefSegmentInfo;

typedef struct ReefObjectLine
{
	uint64_t	number;			/* version or LSN */
	uint64_t	size;
	int64_t		modified_us;
	bool		is_current;		/* manifests: the highest; wal: above applied */
	char		key[901];
	/* after reading it; readable = false says why in problem */
	bool		readable;
	char		problem[300];
	uint64_t	epoch;
	int64_t		time_ms;
	uint64_t	last_applied_lsn;	/* manifests */
	uint64_t	row_count;			/* manifests */
	uint64_t	segment_count;		/* manifests */
	uint32_t	frame_count;		/* wal; 0 is a fence */
} ReefObjectLine;

/* Call back once a line, in order; a code other than OK stops and is
 * returned. */
typedef ReefCode (*ReefSegmentVisitor) (void *arg, const ReefSegmentInfo *info,
										ReefError *err);
typedef ReefCode (*ReefObjectVisitor) (void *arg, const ReefObjectLine *line,
									   ReefError *err);

extern ReefCode reef_view_segments(const ReefView *view,
								   ReefSegmentVisitor visit, void *arg,
								   ReefError *err) REEF_MUST_CHECK;
/* An encoded key's values, at the places of the schema's key columns. */
extern ReefCode reef_key_decode(ReefSlice key, const ReefSchema *schema,
								ReefArena *arena, ReefValue *values,
								ReefError *err) REEF_MUST_CHECK;
extern ReefCode reef_namespace_manifests(ReefNamespace *ns,
										 ReefObjectVisitor visit, void *arg,
										 ReefError *err) REEF_MUST_CHECK;
extern ReefCode reef_namespace_wal(ReefNamespace *ns, ReefObjectVisitor visit,
								   void *arg, ReefError *err) REEF_MUST_CHECK;

/* Names ("schema/table") of all namespaces below the store's location, or of
 * those under "schema/" if schema is not NULL. */
typedef ReefCode (*ReefNameVisitor) (void *arg, const char *name,
									 ReefError *err);
extern ReefCode reef_store_namespaces(struct ReefStore *store,
									  const char *schema,
									  ReefNameVisitor visit, void *arg,
									  ReefError *err) REEF_MUST_CHECK;

/*
 * May this handle's store be read?  Lists the manifests and gets the newest one
 * with the store's own credentials, whatever is in memory.
 */
extern ReefCode reef_namespace_read_check(ReefNamespace *ns, ReefError *err)
			REEF_MUST_CHECK;

/*
 * Delete every object of the namespace.  Cannot be undone.  Fences go last:
 * a writer elsewhere meets a missing namespace, not a half one.
 */
extern ReefCode reef_namespace_drop(ReefNamespace *ns, uint64_t *objects,
									ReefError *err) REEF_MUST_CHECK;

#endif							/* REEF_ENGINE_REEF_H */
