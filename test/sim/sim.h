/*
 * sim.h
 *	  The simulator: servers, their processes and one store, all in one thread.
 *
 * A CLUSTER is one server start: shared memory, rights, transactions.  Its
 * processes are TASKS (coroutines), and each call to the store, each wait and
 * each right that somebody else holds is a point where the scheduler may let
 * another task go on, for as long as it likes.  A call to the store has three
 * steps - the request leaves, it is applied, the answer arrives - and between
 * them the cluster can die, the request be lost, repeated or delivered in a
 * year.  Everything that could be otherwise is chosen by sim_choose, so that
 * the choices (a tape of numbers, or a seed that they are drawn from) are the
 * history, byte for byte.
 *
 * The ORACLE (model.c) is a list of transactions with what became of them.
 * Each inserts a marker row that nobody touches again, so the markers that a
 * reader finds tell which transactions are there, and their LSNs in which
 * order they came; applying exactly these to an empty table must give
 * exactly the rows that the reader finds.
 *
 * A STATE is the bucket at one moment of a history.  After each change of the
 * bucket a server that has seen nothing opens it, reads everything, and the
 * oracle judges (check.c).  That is a crash of all servers at that moment.
 */
#ifndef REEF_SIM_H
#define REEF_SIM_H

#include <ucontext.h>

#include "engine/internal.h"

#define SIM_NAMESPACES 2
#define SIM_CLUSTERS_MAX 4
#define SIM_PROCESSES 6			/* of a cluster */
#define SIM_TASKS_MAX (SIM_CLUSTERS_MAX * SIM_PROCESSES)
#define SIM_LINEAGES_MAX 64
#define SIM_LOCKS (SIM_NAMESPACES + 1)

#define SIM_KEYS 8
#define SIM_OPS_MAX 3
#define SIM_TXNS_MAX 1000
#define SIM_GHOSTS_MAX 200
#define SIM_FENCES_MAX 2000
#define SIM_DELETED_MAX 2000
#define SIM_REFUSED_MAX 16
#define SIM_IDEMPOTENCY_KEYS 4

/* Row ids: keys that many transactions touch, one of check.c's own, the rows of
 * bulk loads, and one marker for each transaction. */
#define SIM_BULK_BASE INT64_C(1000)
#define SIM_MARKER_BASE INT64_C(10000000)
#define SIM_BULK_ROWS 640
#define SIM_EXTRA_ID INT64_C(999)

#define SIM_GRACE_US (INT64_C(60) * 1000000)
#define SIM_YEAR_US (INT64_C(365) * 24 * 3600 * 1000000)

typedef struct Sim Sim;
typedef struct SimCluster SimCluster;
typedef struct SimTask SimTask;

/* ---- bucket.c: objects, shared between copies of a bucket ---- */

typedef struct SimObject
{
	int			references;
	size_t		size;
	uint8_t    *data;
	char		key[];
} SimObject;

typedef struct SimEntry
{
	SimObject  *object;
	int64_t		modified_us;
} SimEntry;

typedef struct SimBucket
{
	SimEntry   *entries;		/* in key order */
	size_t		count;
	size_t		capacity;
	uint64_t	version;		/* counts changes */
	int64_t		ahead_us;		/* a copy may live in the future */
} SimBucket;

extern SimBucket *sim_bucket_new(void);
extern SimBucket *sim_bucket_copy(const SimBucket *bucket);
extern void sim_bucket_free(SimBucket *bucket);
extern const SimEntry *sim_bucket_find(const SimBucket *bucket,
									   const char *key);
/* False if there is such an object. */
extern bool sim_bucket_put(SimBucket *bucket, const char *key,
						   ReefSlice bytes, int64_t now_us);
extern bool sim_bucket_remove(SimBucket *bucket, const char *key);
/* A changed copy of the bytes takes the object's place. */
extern void sim_bucket_replace(SimBucket *bucket, const char *key,
							   ReefSlice bytes);
extern void sim_bucket_damage(SimBucket *bucket, size_t index, size_t size,
							  size_t flip_at, uint8_t mask);

/* ---- task.c ---- */

typedef enum SimTaskState
{
	SIM_TASK_NONE,
	SIM_TASK_READY,
	SIM_TASK_SLEEPING,			/* until wake_us */
	SIM_TASK_BLOCKED			/* until a right is free, or wake_us */
} SimTaskState;

/* Where in a call to the store a task has stopped. */
typedef enum SimPoint
{
	SIM_POINT_NONE,
	SIM_POINT_BEFORE,			/* the request has left */
	SIM_POINT_AFTER				/* it is applied; no answer yet */
} SimPoint;

typedef enum SimCall
{
	SIM_CALL_PUT,
	SIM_CALL_GET,
	SIM_CALL_RANGE,
	SIM_CALL_HEAD,
	SIM_CALL_LIST,
	SIM_CALL_DELETE,
	SIM_CALL_BEGIN,
	SIM_CALL_WRITE,
	SIM_CALL_COMMIT,
	SIM_CALL_NOW
} SimCall;

typedef struct SimProcess
{
	bool		is_busy;
	ReefStore  *store;
	ReefNamespace *ns[SIM_NAMESPACES];
} SimProcess;

typedef void (*SimTaskMain) (SimTask *task);

struct SimTask
{
	Sim		   *sim;
	SimCluster *cluster;
	SimProcess *process;
	int			number;
	const char *name;
	SimTaskMain main;
	int			argument;		/* for main */
	int			ns;				/* the argument, unless main says otherwise */
	int64_t		started_us;

	ucontext_t	context;
	void	   *stack;
	void	   *fake_stack;		/* of the address sanitizer */
	SimTaskState state;
	int64_t		wake_us;
	int			lock_number;	/* BLOCKED: which right */
	ReefRight	right;
	bool		is_cancelled;
	bool		is_frozen;		/* not chosen until thawed */

	uint64_t	calls;			/* begun */
	SimPoint	point;
	SimCall		call;			/* while point is not NONE */
	const char *call_key;
	ReefSlice	call_bytes;
};

/* NULL if the cluster has no free process. */
extern SimTask *sim_task_start(SimCluster *cluster, const char *name,
							   SimTaskMain task_main, int argument);
/* Let a task run until it yields. */
extern void sim_task_resume(SimTask *task);
/* Called by the running task. */
extern void sim_task_yield(SimTask *task);
extern bool sim_task_is_runnable(const SimTask *task);
extern void sim_tasks_free_stacks(void);

/* ---- requests.c: the store as the engine sees it ---- */

typedef enum SimFault
{
	SIM_FAULT_NONE,
	SIM_FAULT_REFUSE,			/* nothing happens, and it says so */
	SIM_FAULT_LOSE_REQUEST,		/* nothing happens, nobody knows */
	SIM_FAULT_LOSE_RESPONSE,	/* it happens, nobody knows */
	SIM_FAULT_DELAY,			/* nobody knows; it happens some day */
	SIM_FAULT_DUPLICATE,		/* it happens now and again some day */
	SIM_FAULT_STALL,			/* it happens; no answer for ten minutes */
	SIM_FAULT_CRASH_BEFORE,
	SIM_FAULT_CRASH_AFTER
} SimFault;

#define SIM_FAULT_COUNT 9

/* A request whose sender is not waiting any more. */
typedef struct SimGhost
{
	bool		is_delete;
	int			cluster;
	char	   *key;
	ReefBuf		bytes;
} SimGhost;

extern ReefCode sim_store_open(SimCluster *cluster, ReefStore **store,
							   ReefError *err) REEF_MUST_CHECK;
/* Deliver the index-th ghost to a bucket. */
extern void sim_ghost_deliver(Sim *sim, SimBucket *bucket, int index);
extern void sim_ghost_forget(Sim *sim, int index);
/* The request that a task is in the middle of goes on without it. */
extern void sim_ghost_of_task(SimTask *task);
extern const char *sim_fault_name(SimFault fault);

/* ---- cluster.c, host.c ---- */

typedef struct SimSnapshot
{
	uint64_t	xmax;
	int			in_progress_count;
	uint64_t	in_progress[SIM_TASKS_MAX];
} SimSnapshot;

typedef struct SimQueued
{
	ReefFrame  *frame;
	int			txn;
	bool	   *is_done;		/* no leader has it any more */
} SimQueued;

struct SimCluster
{
	Sim		   *sim;
	int			number;			/* unique in the history */
	int			lineage;
	bool		is_dead;
	bool		is_direct;		/* calls are answered at once, nobody yields;
								 * for checks, not a part of the history */
	bool		is_read_only;
	SimBucket  *bucket;
	ReefHost	host;
	ReefEngineSettings settings;
	ReefNamespaceShared *shared[SIM_NAMESPACES];
	SimProcess	processes[SIM_PROCESSES];
	uint64_t	random_state;
	int64_t		clock_us;		/* ahead of the store's */
	int64_t		last_put_us[SIM_NAMESPACES];	/* store time of its last record */
	int			locked[SIM_LOCKS];	/* -1: exclusively, else readers */
	int			locks_held;
	SimTask    *rights[SIM_LOCKS][REEF_RIGHT_COUNT];
	bool		direct_rights[SIM_LOCKS][REEF_RIGHT_COUNT];
	size_t		shared_used;
	int			warnings;
	SimQueued	queue[SIM_NAMESPACES][SIM_PROCESSES];
	int			queue_count[SIM_NAMESPACES];
	SimSnapshot *snapshots[SIM_PROCESSES];	/* in use */
};

extern SimCluster *sim_cluster_open(Sim *sim, SimBucket *bucket, int lineage,
									bool is_direct);
/* Everything in memory is gone; its tasks are run to their end, unheard. */
extern void sim_cluster_crash(SimCluster *cluster);
/* No task may run in it. */
extern void sim_cluster_close(SimCluster *cluster);
/* Handles of a free process. */
extern void sim_process_open(SimCluster *cluster, SimProcess *process);
extern const char *sim_namespace_name(int ns);
extern void sim_host_init(SimCluster *cluster);
extern uint64_t sim_random_next(uint64_t *state);
extern void sim_snapshot_take(SimCluster *cluster, SimSnapshot *snapshot);

/* ---- model.c: the oracle ---- */

typedef enum SimFate
{
	SIM_FATE_NEVER,				/* its frame was not given to anybody */
	SIM_FATE_ASKED,
	SIM_FATE_ACKED,
	SIM_FATE_FAILED,
	SIM_FATE_UNKNOWN,
	SIM_FATE_COUPLED,			/* its heap transaction is void, and decides */
	SIM_FATE_VOIDING,			/* rolled back after it was durable */
	SIM_FATE_VOIDED				/* and its abort is durable */
} SimFate;

typedef struct SimOp
{
	int			key;
	ReefOpKind	kind;			/* PUT: insert, PATCH: update, DELETE */
	uint64_t	base_lsn;		/* of the row it read; 0: there was none */
} SimOp;

typedef struct SimTxn
{
	int			ns;
	int			op_count;
	SimOp		ops[SIM_OPS_MAX];
	bool		is_bulk;
	bool		is_coupled;
	int			key;			/* idempotency key; 0: none */
	SimFate		fate;
	int			cluster;
	int			lineage;
	uint64_t	xid;
	uint64_t	lsn;			/* as told, or as found; 0: not known */
	bool		was_seen;		/* by a server that had only the store */
} SimTxn;

/* What some reader found. */
typedef struct SimRow
{
	uint64_t	lsn;			/* 0: no such row */
	int			txn;			/* whose value it has */
} SimRow;

typedef struct SimRows
{
	SimRow		rows[SIM_KEYS];
	uint64_t	present[SIM_TXNS_MAX];	/* LSN of the marker; 0: absent */
	int			bulk[SIM_TXNS_MAX]; /* rows of a bulk load */
	uint64_t	bulk_lsn[SIM_TXNS_MAX];
	bool		has_extra;
	uint64_t	row_count;		/* as the namespace says */
	uint64_t	found_count;
	uint64_t	hash;			/* of all of it */
} SimRows;

extern const ReefSchema sim_schema;

/* Read everything that a view shows. */
extern ReefCode sim_rows_read(ReefView *view, const Sim *sim, SimRows *rows,
							  ReefError *err) REEF_MUST_CHECK;
/* Are they what some order of whole transactions gives? [I2] [I7] [I8] */
extern void sim_rows_judge(Sim *sim, int ns, const SimRows *rows,
						   const char *who);
/* Are those there that must be, and none that must not? [I1] [I3]  "is_real":
 * this is the store itself, not a copy with another future. */
extern void sim_fates_judge(Sim *sim, int ns, const SimRows *rows,
							bool is_real, const char *who);
/* The same for a reader inside a cluster, from what was true "when". */
extern void sim_fates_judge_own(SimCluster *cluster, int ns,
								const SimRows *rows, const SimFate *when,
								int count);
extern void sim_txn_settle(Sim *sim, int txn, SimFate fate);
/* The engine says that a transaction with this key was applied. [I6] */
extern void sim_key_is_known(Sim *sim, int ns, int key);
extern int	sim_txn_new(Sim *sim, int ns);
extern void sim_value_text(char text[32], int txn, int key);

/* ---- check.c ---- */

/* Check the bucket if it or a fate has changed. */
extern void sim_check(Sim *sim);
/* The same, and with everything that may still happen to it. */
extern void sim_check_thoroughly(Sim *sim);

/* ---- activity.c: what processes do ---- */

extern void sim_do_transaction(SimTask *task);	/* argument: model number */
extern void sim_do_read(SimTask *task);
/* When the task's server was last certain to know the newest manifest. */
extern int64_t sim_contact(const SimTask *task);
extern void sim_expect_tolerable(SimTask *task, const ReefError *err,
								 int64_t contact_us);

/* ---- jobs.c: argument is the namespace's number ---- */

extern void sim_do_fold(SimTask *task);
extern void sim_do_compact(SimTask *task);
extern void sim_do_compact_fully(SimTask *task);
extern void sim_do_collect(SimTask *task);
extern void sim_do_verify(SimTask *task);
extern void sim_do_rebuild(SimTask *task);
extern void sim_do_repair(SimTask *task);
extern void sim_do_aborts(SimTask *task);
extern void sim_do_take_over(SimTask *task);
/* Some job, if a process is free. */
extern void sim_start_job(SimCluster *cluster, int ns);
extern ReefCode sim_verify(Sim *sim, ReefNamespace *ns, ReefError *err)
			REEF_MUST_CHECK;
extern ReefCode sim_rebuild(Sim *sim, ReefNamespace *ns, ReefError *err)
			REEF_MUST_CHECK;

/* What a server does with a copy of the store. */
#define SIM_LIFE_FOLD 1
#define SIM_LIFE_COMPACT 2
#define SIM_LIFE_FULL 4
#define SIM_LIFE_COLLECT 8
#define SIM_LIFE_VERIFY 16
#define SIM_LIFE_GHOSTS 32		/* what is under way arrives before */
#define SIM_LIFE_REBUILD 64		/* all manifests are lost before */
#define SIM_LIFE_REPAIR 128
#define SIM_LIFE_ALL 255

extern ReefCode sim_live(Sim *sim, ReefNamespace *ns, uint64_t choice,
						 ReefError *err) REEF_MUST_CHECK;

/* What a transaction is to do. */
typedef enum SimPlan
{
	SIM_PLAN_ANY,				/* chosen on the way */
	SIM_PLAN_INSERT,
	SIM_PLAN_UPDATE,
	SIM_PLAN_DELETE,
	SIM_PLAN_BULK
} SimPlan;

/* ---- the whole ---- */

typedef struct SimXid
{
	ReefXidState state;
	int			lineage;
	int			cluster;
} SimXid;

typedef struct SimFence
{
	int			ns;
	uint64_t	lsn;
	int			cluster;
} SimFence;

/* An object, and which cluster deleted it. */
typedef struct SimDeleted
{
	char		name[48];		/* the end of its key */
	int			cluster;
} SimDeleted;

typedef struct SimCounts
{
	uint64_t	histories;
	uint64_t	states;			/* recovered and checked */
	uint64_t	fallbacks;		/* from a lost newest manifest */
	uint64_t	lives;			/* continued on a copy and checked again */
	uint64_t	damages;
	uint64_t	reads;			/* checked inside a cluster */
	uint64_t	calls;
	uint64_t	acked;
} SimCounts;

struct Sim
{
	/* choices */
	uint64_t	seed_state;
	uint32_t   *tape;			/* choices made, or to be made */
	size_t		tape_size;
	size_t		tape_used;
	size_t	   *tape_seen;		/* the same, where others see it; or NULL */
	bool		is_replay;		/* the tape decides; after its end, 0 */

	int64_t		now_us;			/* the store's clock */
	SimBucket  *bucket;
	SimGhost	ghosts[SIM_GHOSTS_MAX];
	int			ghost_count;
	SimCluster *clusters[SIM_CLUSTERS_MAX]; /* NULL: none */
	int			cluster_total;	/* ever; numbered from 1 */
	int		   *cluster_lineages;	/* [cluster_total + 1] */
	int			lineage_total;
	SimTask		tasks[SIM_TASKS_MAX];
	SimTask    *current;
	ucontext_t	scheduler;
	const void *scheduler_stack;
	size_t		scheduler_stack_size;

	/* faults: chosen for each call of a task */
	SimFault	(*choose_fault) (Sim *sim, SimTask *task, SimCall call);
	int			fault_permille;
	int64_t		storm_until_us;
	/* enumeration: the one call that fails */
	SimTask    *fault_task;
	uint64_t	fault_call;
	SimFault	fault;
	uint8_t    *call_kinds;		/* of the calls that any task makes; or NULL */
	uint32_t	call_kinds_max;
	SimPlan		plan;
	bool		has_second;		/* the history uses both namespaces */
	uint32_t	bulk_chance;	/* one of so many transactions is a bulk load */
	uint32_t	job_chance;		/* one of so many jobs is any, the others merge
								 * and collect */

	SimTxn		txns[SIM_TXNS_MAX];
	int			txn_count;
	SimXid	   *xids;
	uint64_t	xid_first;
	uint64_t	xid_next;
	SimFence	fences[SIM_FENCES_MAX];
	int			fence_count;
	SimDeleted	deleted[SIM_DELETED_MAX];
	int			deleted_count;

	/* records that were refused because there was another one: what a store
	 * that forgets might have in its place */
	SimGhost	refused[SIM_REFUSED_MAX];
	int			refused_count;

	/* the last check */
	uint64_t	checked_version;
	bool		fates_changed;
	SimRows		rows[SIM_NAMESPACES];
	bool		is_damaged;		/* by a planted fault of the store */
	int			deep_percent;	/* of states: the dearer checks as well */
	uint64_t	check_random;	/* what they choose is no part of the history */
	uint32_t	check_number;
	char		last_warning[500];
	int			life_lineage;	/* who lives on in a copy; 0: nobody */

	uint64_t	trace_hash;
	bool		is_traced;		/* print it */
	SimCounts  *counts;
};

extern Sim *sim_new(SimCounts *counts);
extern void sim_free(Sim *sim);
/* One of count possibilities; 0 is always the tamest. */
extern uint32_t sim_choose(Sim *sim, uint32_t count);
extern bool sim_chance(Sim *sim, uint32_t percent);
extern void sim_trace(Sim *sim, const char *format, ...) REEF_PRINTF(2, 3);
/* The history has shown a bug. */
extern void sim_violation(Sim *sim, const char *invariant,
						  const char *format, ...)
			REEF_PRINTF(3, 4) __attribute__((noreturn));

/* ---- scenario.c, enumerate.c, random.c ---- */

/* How much of an enumeration to do: every stride-th case from first. */
typedef struct SimShare
{
	uint64_t	first;
	uint64_t	stride;
	volatile uint64_t *current; /* the case being run */
	double		deadline;		/* of the monotonic clock, in seconds */
	uint64_t	states_max;		/* of this process; 0: any number */
} SimShare;

/* Is the share done? */
extern bool sim_share_is_over(const SimShare *share, const SimCounts *counts);

extern void sim_enumerate_single(const SimShare *share, SimCounts *counts,
								 bool is_traced, int64_t only);
extern void sim_enumerate_pairs(const SimShare *share, SimCounts *counts,
								bool is_traced, int64_t only);
extern void sim_enumerate_years(const SimShare *share, SimCounts *counts,
								bool is_traced, int64_t only);
/* Everything between one fold and the next, and a year. */
extern void sim_serve(SimCluster *cluster);
extern void sim_random_history(Sim *sim);
extern void sim_pass_time(Sim *sim);

extern double sim_seconds(void);
/* Where a violation is written for whoever waits for this process. */
extern char *sim_verdict;
#define SIM_VERDICT_SIZE 1000

#endif							/* REEF_SIM_H */
