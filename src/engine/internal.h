/*
 * internal.h
 *	  What the engine's files share with one another and with nobody else.
 *
 * SHARED STATE.  ReefNamespaceShared is guarded by the host lock
 * `lock_number` for memory operations, except what only the holder of
 * REEF_RIGHT_COMMIT changes (marked [C]: readable without the lock by that
 * holder).
 *
 *	  closed --open--> reader --takeover--> writer
 *	     ^                ^                    |
 *	     |                +---- unknown -------+   outcome of a put unknown, or
 *	     +------------------- fenced ----------+   fenced: see commit.c
 *
 * MANIFESTS IN USE.  manifests[0] is the current one, the rest are older ones
 * that some snapshot may still need: a snapshot must not use a manifest into
 * which a transaction was folded that it does not cover
 * (ReefHost.snapshot_covers of folded_max_xid).  With manifest i belong all
 * generations of the chain with LSNs above its applied_lsn.
 */
#ifndef REEF_ENGINE_INTERNAL_H
#define REEF_ENGINE_INTERNAL_H

#include "engine/memtable.h"
#include "engine/reef.h"
#include "engine/segment.h"
#include "format/layout.h"
#include "format/manifest.h"
#include "format/wal.h"
#include "store/store.h"

#define REEF_SHARED_MANIFESTS_MAX 16
#define REEF_PENDING_ABORTS_MAX 256
#define REEF_PENDING_MAX 64

typedef enum ReefNamespaceMode
{
	REEF_MODE_CLOSED = 0,
	REEF_MODE_READER = 1,		/* recovered; may be behind another writer */
	REEF_MODE_WRITER = 2,		/* our fence is in place */
} ReefNamespaceMode;

/* A manifest's bytes in shared memory, for every process to decode. */
typedef struct ReefSharedManifest
{
	uint64_t	version;
	uint64_t	applied_lsn;
	uint64_t	folded_max_xid;	/* highest xid in it that was ever ours */
	int			references;		/* pins, + 1 while listed */
	struct ReefSharedManifest *next_of_all;
	size_t		size;			/* of the bytes */
	size_t		allocated;
	uint8_t		bytes[];
} ReefSharedManifest;

typedef struct ReefPendingAbort
{
	uint64_t	lsn;
	uint32_t	frame;
	bool		is_dependent;	/* another namespace decides the transaction,
								 * and has: no fence makes it final here */
} ReefPendingAbort;

/* Somebody writes segments that nothing names yet, see maintenance.h. */
typedef struct ReefPendingSlot
{
	uint64_t	serial;			/* never used twice; 0: free */
	int64_t		start_us;		/* store time */
} ReefPendingSlot;

/*
 * Where the namespace stood when a transaction began to write segments of its
 * own, and what keeps them from the collector.
 */
typedef struct ReefOutputBase
{
	uint64_t	lsn;
	uint64_t	incarnation;
	uint64_t	pending_serial;
} ReefOutputBase;

/* How far other namespaces were when decisions were marked, see settle.c. */
#define REEF_SETTLING_MAX 8

typedef struct ReefSettlingParticipant
{
	char		name[REEF_NAMESPACE_MAX_SIZE + 1];
	uint64_t	settled_lsn;	/* it will not ask for decisions up to here */
	uint64_t	applied_lsn;	/* mark: of decisions up to here; 0: none ... */
	uint64_t	lsn;			/* ... and the participant's highest then */
} ReefSettlingParticipant;

typedef struct ReefSettling
{
	uint8_t		namespace_id[16];	/* that the marks belong to */
	int			count;
	ReefSettlingParticipant participants[REEF_SETTLING_MAX];
} ReefSettling;

struct ReefNamespaceShared
{
	int			lock_number;
	ReefNamespaceMode mode;		/* [C] */
	bool		exists;			/* [C] false: nothing stored yet */
	uint64_t	incarnation;	/* [C] counts reopenings: a process whose copy
								 * is older must not trust its pins for writes */
	uint8_t		namespace_id[16];	/* [C] */
	uint64_t	epoch;			/* [C] highest seen; ours when writer */
	uint64_t	last_lsn;		/* [C] last record known and applied */
	uint32_t	last_crc;		/* [C] its header CRC */
	int64_t		refreshed_us;	/* [C] host clock, last refresh or open */
	int64_t		full_refresh_store_us;	/* [C] store clock, last LIST */
	int64_t		hold_off_until_us;	/* [C] do not take over again before */
	bool		is_suspect;		/* [C] reader that was the writer until a put
								 * did not end durable */
	uint64_t	manifest_version_max;	/* highest number listed, readable or
										 * not */
	uint64_t	foreign_fence_lsn;	/* [C] last fence of another cluster: what
									 * is below it can no longer be voided */
	uint64_t	writer_lsn;		/* [C] of the fence that made us the writer */
	uint64_t	undecided_lsn;	/* [C] the record after last_lsn exists, but is
								 * not applied: another namespace has yet to
								 * decide a transaction of it; 0: none */
	int64_t		undecided_since_us;	/* [C] host clock */
	bool		is_unconfirmed;	/* [C] another namespace has committed something
								 * that is in memory, but may still void it */
	bool		is_in_doubt;	/* what is in memory of transactions that other
								 * namespaces decide may be wrong: the next user
								 * takes over from what is stored */
	ReefSettling settling;

	int			manifest_count;
	ReefSharedManifest *manifests[REEF_SHARED_MANIFESTS_MAX];	/* newest first */
	ReefSharedManifest *all_manifests;	/* those listed and those that only
										 * views still pin, of earlier
										 * incarnations too: their segments
										 * must stay [I5] */
	ReefGeneration *oldest;		/* the chain of generations */
	ReefGeneration *active;		/* its newest */
	ReefGeneration *spare;		/* set aside, so that the active one can be
								 * sealed when memory is used up; may be NULL */
	uint64_t	folded_xid;		/* folded_max_xid of the current manifest */
	uint64_t	forgotten_xid;	/* highest xid of ours that reopenings have
								 * made committed for everybody */

	int			pending_abort_count;
	ReefPendingAbort pending_aborts[REEF_PENDING_ABORTS_MAX];
	bool		has_unqueued_aborts;	/* the queue was full: nothing but
										 * aborts is committed until they are
										 * durable */

	ReefPendingSlot pending[REEF_PENDING_MAX];
	uint64_t	last_pending_serial;

	_Atomic int64_t last_row_id;	/* hidden keys */
	_Atomic uint64_t commits;
	_Atomic uint64_t records;
	_Atomic uint64_t fences;
	/* bytes since the entry was made: of documents and keys committed, and
	 * put for them */
	_Atomic uint64_t user_bytes;
	_Atomic uint64_t wal_bytes;
	_Atomic uint64_t fold_bytes;
	_Atomic uint64_t compact_bytes;
	_Atomic uint64_t manifest_bytes;
	_Atomic uint64_t fold_count;
	_Atomic uint64_t compact_count;
	int			pins;
};

/* A manifest decoded in this process. */
typedef struct ReefLoadedManifest
{
	int			references;
	uint64_t	incarnation;	/* of the shared state it belongs to */
	ReefArena	arena;
	ReefManifest manifest;
} ReefLoadedManifest;

struct ReefNamespace
{
	const ReefHost *host;
	const ReefEngineSettings *settings;
	ReefStore  *store;
	ReefNamespaceShared *shared;
	char		name[REEF_NAMESPACE_MAX_SIZE + 1];
	char		prefix[REEF_OBJECT_KEY_SIZE];
	ReefSegmentCache *segments;
	ReefLoadedManifest *loaded;	/* most recently used one */
	int			view_count;		/* open views, for assertions */
	bool		has_fenced_others;	/* by a takeover through this handle */
	uint64_t	own_pending;	/* slots of this process, a bit each */
};

struct ReefView
{
	ReefNamespace *ns;
	void	   *snapshot;		/* the host's */
	uint64_t	lsn;			/* versions above it are not part of the view */
	bool		exists;
	bool		sees_in_progress;	/* everything not void counts as committed:
									 * for checking conditions */
	uint64_t	incarnation;	/* of the shared state when pinned */
	ReefSharedManifest *shared_manifest;	/* pinned; NULL: no manifest yet */
	ReefLoadedManifest *loaded; /* NULL likewise */
	ReefSharedManifest *oldest_manifest;	/* pinned, if sees_in_progress: what
											 * the generations attach is named
											 * from there on */
	int			generation_count;
	ReefGeneration **generations;	/* oldest first, pinned */
	ReefSchema	schema;			/* manifest's and layouts' columns merged */
	ReefArena	arena;
};

/* The value 0 in hint means "ask the host". */
extern bool reef_applied_visible(const ReefView *view, const ReefApplied *applied);
/* Is it certain that this transaction is void? */
extern bool reef_applied_is_void(const ReefHost *host, const ReefApplied *applied);

/* The newest version of a node that the view sees; NULL: none.  A delete is a
 * version. */
extern ReefVersion *reef_view_version(const ReefView *view, const ReefNode *node);

/*
 * Look one key up in a view, newest first: generations, attached segments,
 * segments.  REEF_NOT_FOUND: no row (or a tombstone).  *lsn is the row's.
 * values (may be NULL) get the columns asked for, copied into the arena.
 */
extern ReefCode reef_view_lookup(ReefView *view, ReefSlice key,
								 const ReefColumn *columns, int column_count,
								 ReefArena *arena, ReefValue *values,
								 uint64_t *lsn, ReefError *err)
			REEF_MUST_CHECK;

/* Load, verify and decode; the newest readable one, found by LIST.
 * REEF_NOT_FOUND if there is none at all. */
extern ReefCode reef_manifest_load(ReefNamespace *ns, uint64_t version,
								   ReefArena *arena, ReefManifest *manifest,
								   ReefBuf *bytes, ReefError *err)
			REEF_MUST_CHECK;
extern ReefCode reef_manifest_load_current(ReefNamespace *ns, ReefArena *arena,
										   ReefManifest *manifest,
										   ReefBuf *bytes, ReefError *err)
			REEF_MUST_CHECK;

/*
 * Bring the shared state up: recovery if closed, refresh if a reader whose
 * state is older than max_staleness_us.  Takes the commit right if it has
 * something to do.
 */
extern ReefCode reef_namespace_open(ReefNamespace *ns, int64_t max_staleness_us,
									ReefError *err) REEF_MUST_CHECK;
/* The same for somebody who holds the commit right. */
extern ReefCode reef_recover(ReefNamespace *ns, ReefError *err) REEF_MUST_CHECK;
extern ReefCode reef_refresh(ReefNamespace *ns, ReefError *err) REEF_MUST_CHECK;
/* Become the writer; caller holds the commit right. */
extern ReefCode reef_takeover(ReefNamespace *ns, ReefError *err) REEF_MUST_CHECK;
/* Forget the memtable (pinned parts live on until unpinned). */
extern void reef_namespace_close_shared(const ReefHost *host,
										ReefNamespaceShared *shared);

/*
 * Apply one frame of a record to the active generation: prepare (may fail),
 * then publish (cannot).  Used by commit and by recovery alike.  resolved
 * documents of patches come from `resolve` (the frame's own in commit, a
 * lookup in recovery).
 */
typedef struct ReefApplication ReefApplication;
typedef ReefCode (*ReefResolvePatch) (void *arg, const ReefOp *op,
									  const ReefSchema *schema, int op_index,
									  ReefSlice *document,
									  ReefSchema *document_schema,
									  ReefError *err);
extern ReefCode reef_application_prepare(ReefNamespace *ns, ReefArena *arena,
										 ReefSlice frame, uint64_t lsn,
										 uint32_t frame_index,
										 uint64_t full_xid, int64_t time_ms,
										 ReefResolvePatch resolve, void *arg,
										 ReefApplication **application,
										 ReefError *err) REEF_MUST_CHECK;
extern void reef_application_publish(ReefNamespace *ns,
									 ReefApplication *application);

/* A prepared transaction in shared memory; the bytes behind it are the WAL
 * frame, then the resolved documents of its patches in order, each as u32
 * size + bytes, by the frame's own column table. */
struct ReefFrame
{
	size_t		allocated;
	_Atomic uint32_t state;		/* ReefFrameState */
	uint64_t	lsn;
	uint32_t	frame_index;
	uint64_t	full_xid;
	uint64_t	validated_lsn;	/* when its conditions were checked, every
								 * version up to here was taken into account,
								 * undecided ones included (so not the LSN of
								 * a view that did not see those) */
	uint64_t	incarnation;	/* of the shared state it was validated in */
	bool		has_outputs;	/* it attaches segments ... */
	ReefOutputBase outputs;		/* ... begun when this was so */
	bool		is_dependent;	/* another namespace decides it */
	uint64_t	decider_term;	/* it decides for others, and only in this term
								 * (writer_lsn) of this namespace id's; 0: it does
								 * not */
	uint8_t		decider_namespace[REEF_GROUP_NAMESPACE_SIZE];
	ReefError	error;
	size_t		wal_size;
	size_t		resolved_size;
	uint8_t		bytes[];
};

#endif							/* REEF_ENGINE_INTERNAL_H */
