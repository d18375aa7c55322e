/*
 * host.h
 *	  Everything the engine wants from the outside world, in one table.
 *
 * The engine is synchronous, plain C, and runs in many processes at once.  In
 * PostgreSQL the host is pg/host.c (shared memory, LWLocks, a WaitEventSet,
 * snapshots); in the unit tests it is test/unit/fake_host.c and in the
 * simulator a deterministic scheduler.  Callbacks never throw (no longjmp
 * crosses engine frames) and, except wait(), never block for longer than a
 * memory operation takes.
 */
#ifndef REEF_BASE_HOST_H
#define REEF_BASE_HOST_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef enum ReefLogLevel
{
	REEF_LOG_DEBUG,
	REEF_LOG_INFO,				/* for the server log only */
	REEF_LOG_WARNING
} ReefLogLevel;

/* What became of the local transaction that wrote a version. */
typedef enum ReefXidState
{
	REEF_XID_IN_PROGRESS = 0,
	REEF_XID_COMMITTED = 1,
	REEF_XID_ABORTED = 2
} ReefXidState;

/*
 * The coupling of a frame to a heap transaction (DESIGN 3.1): which server
 * lineage, and which transaction of it, decides the frame.
 */
typedef struct ReefCoupling
{
	uint64_t	system_id;
	uint32_t	timeline;
	uint64_t	wal_position;
	uint64_t	full_xid;
} ReefCoupling;

/* What only one process of a cluster may do at a time in a namespace. */
typedef enum ReefRight
{
	REEF_RIGHT_COMMIT = 0,		/* open, take over, put records, change the
								 * memtable */
	REEF_RIGHT_FOLD = 1,
	REEF_RIGHT_COMPACT = 2,		/* compact, collect, repair */
	REEF_RIGHT_MANIFEST = 3		/* put a manifest and make it the current one;
								 * acquired last, held for two requests */
} ReefRight;

#define REEF_RIGHT_COUNT 4

/* Shared allocations are multiples of this. */
#define REEF_SHARED_PAGE_SIZE 4096

typedef struct ReefHost
{
	void	   *arg;			/* first argument of every callback */

	/* Has somebody asked us to stop?  Cheap; asked often. */
	bool		(*cancelled) (void *arg);

	/* Wall clock in microseconds since 1970-01-01.  Never decides validity. */
	int64_t		(*now_us) (void *arg);

	/* Fill with cryptographically random bytes. */
	void		(*random) (void *arg, void *bytes, size_t size);

	void		(*log) (void *arg, ReefLogLevel level, const char *line);

	/*
	 * Where a long operation is, for people to watch; may be NULL.  Called
	 * often, so it must be cheap.  "phase" is a static string; total is 0 if
	 * it is not known.
	 */
	void		(*progress) (void *arg, const char *phase, uint64_t done,
							 uint64_t total);

	/*
	 * Wait until a descriptor is ready (revents are set), the timeout has
	 * passed, or there is a reason to stop (REEF_CANCELLED).  count may be 0
	 * for a plain sleep.  The only callback that blocks; never called with a
	 * lock held.
	 */
	ReefCode	(*wait) (void *arg, struct pollfd *fds, int count,
						 int64_t timeout_us);

	/*
	 * Memory that is valid at the same address in every process.  size is a
	 * multiple of REEF_SHARED_PAGE_SIZE, and so is the alignment.  Returns
	 * NULL when the budget is used up.
	 */
	void	   *(*shared_alloc) (void *arg, size_t size);
	void		(*shared_free) (void *arg, void *address, size_t size);

	/*
	 * The same for pages of the page cache, from a budget of their own.  Never
	 * called with a lock held.
	 */
	void	   *(*cache_alloc) (void *arg, size_t size);
	void		(*cache_free) (void *arg, void *address, size_t size);

	/*
	 * Reader-writer locks by number (each shared namespace entry has its
	 * own, the page cache some).  Held for memory operations only, never over I/O or wait().
	 */
	void		(*lock) (void *arg, int lock_number, bool exclusive);
	void		(*unlock) (void *arg, int lock_number);

	/*
	 * Long-held exclusive rights by lock number: these are held over I/O, so
	 * they are not locks.  acquire blocks until the right is ours, the timeout
	 * has passed (REEF_UNAVAILABLE) or the host cancels (REEF_CANCELLED).  A
	 * right whose holder died is free.
	 */
	ReefCode	(*right_acquire) (void *arg, int lock_number, ReefRight right,
								  int64_t timeout_us);
	void		(*right_release) (void *arg, int lock_number, ReefRight right);

	/*
	 * Is the transaction's effect part of the snapshot?  "snapshot" is what
	 * the caller of reef_scan_open passed; NULL means "as of now" (committed
	 * at this moment).  *hint caches a final ReefXidState and may be set by
	 * the callback.
	 */
	bool		(*xid_visible) (void *arg, void *snapshot, uint64_t full_xid,
								uint8_t *hint);

	/*
	 * May this snapshot use a manifest into which transactions up to and
	 * including full_xid were folded, all of them finished by then?  Yes if
	 * every one that is finished now is visible to it, if committed (certainly
	 * below the snapshot's xmin).  NULL: as of now.
	 */
	bool		(*snapshot_covers) (void *arg, void *snapshot,
									uint64_t full_xid);

	/* The present state of a transaction of this cluster. */
	ReefXidState (*xid_state) (void *arg, uint64_t full_xid);

	/*
	 * The lowest full xid that any present or future snapshot might still
	 * consider in progress: everything below it is decided for everybody.
	 */
	uint64_t	(*xid_horizon) (void *arg);

	/*
	 * Decide a heap-coupled frame found in the tail at opening.  COMMITTED
	 * for every lineage but our own (presumed commit).
	 */
	ReefXidState (*coupling_state) (void *arg, const ReefCoupling *coupling);

	/* May this server take namespaces over?  A standby may not.  NULL: yes. */
	bool		(*may_write) (void *arg);
} ReefHost;

#endif							/* REEF_BASE_HOST_H */
