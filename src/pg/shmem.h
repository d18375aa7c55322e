/*
 * shmem.h
 *	  The shared memory of the PostgreSQL side, and the functions of the files
 *	  that keep it: shmem.c, host.c, namespace.c, commit_queue.c, worker.c.
 *
 * One fixed region, sized at server start: a table of namespaces with the
 * state of their maintenance (jobs.h), items for the commit queues, what is
 * counted and shown (monitor.h), a pool of pages from which memtables and
 * waiting frames are cut, and the cache of decoded pages with a pool of its
 * own.
 *
 * An entry of the table belongs to one namespace of one location for as long
 * as somebody uses it (users > 0) or it holds what is not folded yet.  A
 * process that does not count among the users must compare the entry's
 * generation before it touches it: it may have become another namespace's.
 */
#ifndef REEF_PG_SHMEM_H
#define REEF_PG_SHMEM_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "lib/ilist.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/spin.h"

#include "pg/jobs.h"
#include "pg/monitor.h"
#include "pg/reef_fdw.h"
#include "pg/store_spec.h"

#define REEFPG_LOCATION_SIZE 1024
#define REEFPG_NAMESPACE_SIZE 256
#define REEFPG_READERS_MAX 8

typedef struct ReefPgRight
{
	int			owner_pid;		/* 0: free; under the entry's mutex */
	ConditionVariable released;
} ReefPgRight;

typedef struct ReefPgEntry
{
	/* changed under the table's lock, exclusive */
	bool		in_use;
	uint64		generation;		/* counts the namespaces this entry held */
	char		location[REEFPG_LOCATION_SIZE];
	char		name[REEFPG_NAMESPACE_SIZE];
	ReefNamespaceShared *shared;	/* fixed */

	/* incremented under the table's lock, shared is enough */
	pg_atomic_uint32 users;
	pg_atomic_uint64 last_used; /* TimestampTz */

	slock_t		mutex;			/* guards what follows */
	ReefPgRight rights[REEF_RIGHT_COUNT];
	dlist_head	waiting;		/* ReefPgCommitItem, the commit queue */
	int			waiting_count;
	int			leader_pid;		/* who commits for the others; 0: nobody */
	Latch	   *collector;		/* the leader, while it waits for more */
	int			batch_goal;		/* how many it hopes for */
	int64		batch_end_us;	/* of the last record */
	int64		batch_time_us;	/* what it took */
	ReefPgMaintenance maintenance;

	/* identities that have read the namespace with their own keys */
	int			reader_count;
	uint8		readers[REEFPG_READERS_MAX][REEFPG_IDENTITY_SIZE];

	ReefPgTraffic traffic;		/* atomic */
} ReefPgEntry;

typedef enum ReefPgItemState
{
	REEFPG_ITEM_WAITING,		/* in the queue */
	REEFPG_ITEM_TAKEN,			/* in the hands of a leader */
	REEFPG_ITEM_DONE			/* the frame's state says how it went */
} ReefPgItemState;

/* One frame on its way into a record; guarded by its entry's mutex. */
typedef struct ReefPgCommitItem
{
	dlist_node	node;			/* in waiting, or among the free ones */
	ReefFrame  *frame;
	Latch	   *latch;
	int			pid;
	uint8		identity[REEFPG_IDENTITY_SIZE]; /* with whose keys it is put */
	ReefPgItemState state;
	bool		is_lead;		/* the lead was handed to its owner */
	bool		is_abandoned;	/* its owner has left: the leader frees it */
} ReefPgCommitItem;

typedef struct ReefPgWorkerSlot
{
	Latch	   *latch;			/* NULL: not running */
} ReefPgWorkerSlot;

typedef struct ReefPgShared
{
	uint8		cluster_id[16]; /* this server start */
	LWLock	   *table_lock;
	LWLock	   *pool_lock;
	LWLock	   *spec_lock;		/* guards what store_spec.c keeps */
	LWLockPadded *entry_locks;
	int			entry_count;

	slock_t		mutex;			/* guards free_items and workers */
	dlist_head	free_items;
	int			worker_count;
	ReefPgWorkerSlot *workers;

	char	   *pool;			/* the pages */
	Size		pool_pages;
	ReefPageCache *page_cache;	/* NULL: there is none */
	char	   *cache_pool;		/* its pages */
	LWLock	   *cache_pool_lock;
	pg_atomic_uint64 pool_pages_used;
	ConditionVariable pool_freed;

	ReefPgEntry *entries;
	pg_atomic_uint32 entry_waiters; /* fold what nobody uses for them */

	ReefPgStoreLine *stores;	/* [REEFPG_STORES_MAX] */
	ReefPgProgress *progress;	/* [reefpg_progress_count()] */
} ReefPgShared;

/* in shmem.c */
extern ReefPgShared *reefpg_shared; /* NULL: the library was not preloaded */
extern void reefpg_shmem_init(void);
/* ereport unless the library was preloaded. */
extern void reefpg_shmem_require(void);
extern void *reefpg_pool_alloc(Size size);
extern void reefpg_pool_free(void *address, Size size);
extern void *reefpg_cache_alloc(Size size);
extern void reefpg_cache_free(void *address, Size size);
extern Size reefpg_pool_free_bytes(void);
extern Size reefpg_pool_bytes(void);
extern void reefpg_workers_wake(void);

/*
 * The entry of a namespace, found or made, with one more user.  ereports when
 * every entry is in use.
 */
extern ReefPgEntry *reefpg_entry_acquire(const char *location,
										 const char *name);
/* One more user of an entry, if it still is of that generation. */
extern bool reefpg_entry_reacquire(ReefPgEntry *entry, uint64 generation);
/* One more user, if there is a namespace in it; does not keep it from being
 * the longest unused one. */
extern bool reefpg_entry_visit(ReefPgEntry *entry);
extern void reefpg_entry_release(ReefPgEntry *entry);

/* in host.c */

/*
 * While interrupts are held by us, cancel still counts: after a grace in
 * which a request under way may finish, and at the latest at the deadline
 * (host clock, microseconds; 0: none).
 */
extern void reefpg_host_hold(int64 deadline_us);
extern void reefpg_host_resume(void);
/* The same when errfinish has zeroed the interrupt counters. */
extern void reefpg_host_forget_hold(void);
extern void reefpg_host_release_rights(void);
/* What was learnt about transaction ids does not outlive a transaction. */
extern void reefpg_host_at_end(void);
extern int64 reefpg_host_now_us(void);
/* A time of the host's or the store's. */
extern TimestampTz reefpg_timestamp(int64 unix_us);
/* Serve a barrier although interrupts are held. */
extern void reefpg_host_serve_barrier(void);

/* in namespace.c */
extern ReefPgEntry *reefpg_namespace_entry(const ReefNamespace *ns);
/* Where and as whom the handle asks for objects; REEFPG_IDENTITY_SIZE bytes. */
extern const uint8 *reefpg_namespace_identity(const ReefNamespace *ns);
/* A worker's handle for an entry that it is a user of; for its next call. */
extern ReefCode reefpg_namespace_of_entry(ReefPgEntry *entry,
										  ReefNamespace **ns, ReefError *err)
			REEF_MUST_CHECK;
/* Add what this process has asked stores for to what all have. */
extern void reefpg_count_requests(void);
/* What has been put through this handle's store since the last call is of
 * that kind. */
extern void reefpg_count_put_bytes(const ReefNamespace *ns,
								   ReefPgPutKind kind);

/* in commit_queue.c */
/* Leave the queue in order, whatever happened to us. */
extern void reefpg_commit_queue_at_end(void);

/* in worker.c */
extern void reefpg_worker_init(void);
extern PGDLLEXPORT void reef_maintenance_worker_main(Datum main_arg);

#endif							/* REEF_PG_SHMEM_H */
