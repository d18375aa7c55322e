/*
 * memtable.h
 *	  Generations of the memtable: skip lists in shared memory.
 *
 * Many processes read while one changes.  The one is whoever holds
 * REEF_RIGHT_COMMIT; readers take no lock at all.  That works because nothing
 * a reader can reach is ever changed in place, except three words that are
 * written atomically: the next pointers of the skip list, the newest version
 * of a node, and the hint of a transaction.  A node or version is filled
 * completely, then published with a release store; readers load with acquire.
 * Memory goes back only as a whole generation, when nobody refers to it.
 *
 * The same structure, in private memory, holds a transaction's own writes
 * (txn.c); there the allocator is an arena and versions carry a point instead
 * of a transaction.
 */
#ifndef REEF_ENGINE_MEMTABLE_H
#define REEF_ENGINE_MEMTABLE_H

#include <stdatomic.h>

#include "base/document.h"
#include "base/host.h"
#include "format/wal.h"

#define REEF_SKIPLIST_MAX_HEIGHT 16

/* A transaction over several namespaces, as one of them has it. */
typedef struct ReefAppliedGroup
{
	bool		is_dependent;	/* another namespace decides it; what follows is
								 * known to who decides */
	uint8_t		id[16];
	int			participant_count;
	ReefSlice  *participants;	/* names of the others */
} ReefAppliedGroup;

/*
 * One transaction applied to a memtable.  Every version points to one, so that
 * its fate is found, and cached, once for all its rows.
 */
typedef struct ReefApplied
{
	uint64_t	lsn;
	uint32_t	frame;			/* index in the record */
	uint64_t	full_xid;		/* 0: committed for everybody */
	_Atomic uint8_t hint;		/* ReefXidState, 0 = not known yet */
	_Atomic bool abort_is_durable;	/* a record of the store voids it */
	_Atomic bool is_voided;		/* somebody said so: if another namespace
								 * decides it, an aborted xid is not enough */
	const ReefAppliedGroup *group;	/* NULL: of this namespace alone */
	int64_t		row_count_delta;
	ReefSlice	idempotency_key;
	int64_t		time_ms;
	struct ReefApplied *next;	/* in order of application, from the
								 * generation's head */
} ReefApplied;

/* A column table in the memory of the versions that use it. */
typedef struct ReefLayout
{
	ReefSchema	schema;
	_Atomic bool is_published;	/* false: only by prepared applications */
	struct ReefLayout *next;	/* of the generation; interned there */
} ReefLayout;

typedef struct ReefVersion
{
	struct ReefVersion *older;	/* next older version of the same key */
	const ReefApplied *applied; /* NULL in a transaction's own buffer */
	const ReefLayout *layout;	/* NULL for deletes */
	ReefSlice	document;		/* full, resolved */
	uint8_t		op;				/* REEF_OP_PUT or REEF_OP_DELETE: what readers
								 * see */
	uint8_t		condition;		/* ReefConditionKind it was validated under */
	uint8_t		is_dead;		/* own buffer: undone by a savepoint rollback */
	/* own buffer only: */
	int32_t		level;
	uint32_t	cid;
	uint64_t	base_lsn;		/* REEF_CONDITION_LSN */
	const uint16_t *patch_columns;	/* columns changed since base, for the
									 * record; NULL: whole document */
	int32_t		patch_column_count;
} ReefVersion;

typedef struct ReefNode
{
	ReefSlice	key;			/* stored behind the node */
	_Atomic(ReefVersion *) newest;
	uint8_t		height;
	_Atomic(struct ReefNode *) next[];	/* [height] */
} ReefNode;

/* Where the memory comes from; NULL when there is none left. */
typedef void *(*ReefAllocate) (void *arg, size_t size);

typedef struct ReefSkipList
{
	ReefNode   *head;			/* full height, no key */
	uint64_t	random;			/* state of the height generator */
	uint64_t	node_count;
} ReefSkipList;

extern ReefCode reef_skiplist_init(ReefSkipList *list, ReefAllocate allocate,
								   void *arg, uint64_t seed, ReefError *err)
			REEF_MUST_CHECK;
/* The node with this key, or NULL.  Lock-free. */
extern ReefNode *reef_skiplist_find(const ReefSkipList *list, ReefSlice key);
/* The first node with a key >= "key" ({NULL,0}: the first).  Lock-free. */
extern ReefNode *reef_skiplist_seek(const ReefSkipList *list, ReefSlice key);
extern ReefNode *reef_skiplist_next(const ReefNode *node);	/* lock-free */
extern ReefVersion *reef_node_newest(const ReefNode *node);	/* lock-free */

/*
 * Allocate, filled but unpublished, what an insertion of "version" under "key"
 * needs; then publish it, which cannot fail.  Between the two nothing is
 * visible.  A prepared insertion that is never published only wastes memory.
 * The key is copied; the version becomes part of the list as it is (publish
 * sets "older"), so it and what it points to must live as long as the list.
 */
typedef struct ReefInsertion
{
	ReefNode   *node;			/* a new node, used if the key is still new */
	ReefVersion *version;
} ReefInsertion;

extern ReefCode reef_skiplist_prepare(ReefSkipList *list, ReefSlice key,
									  ReefVersion *version,
									  ReefAllocate allocate, void *arg,
									  ReefInsertion *insertion,
									  ReefError *err) REEF_MUST_CHECK;
extern void reef_skiplist_publish(ReefSkipList *list,
								  const ReefInsertion *insertion);

/* An attached segment: rows of one record that are in a file already. */
typedef struct ReefAttached
{
	ReefSegmentMeta meta;		/* deep copy in the generation; lsn set */
	const ReefApplied *applied;
	_Atomic(struct ReefAttached *) next;	/* newer */
} ReefAttached;

/*
 * A generation covers the LSNs in (lsn_from, lsn_to]; the active one grows, a
 * sealed one never changes.  Lives in shared memory.
 */
typedef struct ReefGeneration
{
	uint64_t	lsn_from;
	_Atomic uint64_t lsn_to;
	bool		is_sealed;
	ReefSkipList rows;
	ReefApplied *first_applied;
	ReefApplied *last_applied;
	_Atomic(ReefAttached *) first_attached;
	ReefAttached *last_attached;
	_Atomic(ReefLayout *) layouts;	/* newest first */
	uint64_t	max_xid;
	uint64_t	last_epoch;		/* of the record lsn_to ... */
	uint32_t	last_crc;		/* ... and its header CRC */
	int64_t		first_applied_us;	/* host clock */
	uint64_t	record_count;
	_Atomic size_t size;		/* bytes of shared memory */
	/* guarded by the namespace's lock: */
	int			references;		/* pins, + 1 while in the chain */
	struct ReefGeneration *newer;	/* chain */
	/* private to memtable.c: */
	struct ReefGenerationBlock *blocks;
	size_t		block_used;
} ReefGeneration;

extern ReefCode reef_generation_new(const ReefHost *host, uint64_t lsn_from,
									ReefGeneration **generation,
									ReefError *err) REEF_MUST_CHECK;
extern void reef_generation_free(const ReefHost *host,
								 ReefGeneration *generation);
/* 16-byte aligned; NULL when the host's budget is used up.  Mutator only. */
extern void *reef_generation_alloc(const ReefHost *host,
								   ReefGeneration *generation, size_t size);
/* The layout equal to this schema, copied on first use. */
extern ReefCode reef_generation_layout(const ReefHost *host,
									   ReefGeneration *generation,
									   const ReefSchema *schema,
									   const ReefLayout **layout,
									   ReefError *err) REEF_MUST_CHECK;

#endif							/* REEF_ENGINE_MEMTABLE_H */
