/*
 * host.c
 *	  The engine's host in a PostgreSQL process, backend or worker.
 *
 * The engine must never be left by longjmp, so nothing here lets PostgreSQL
 * serve interrupts by throwing: a cancel is only looked at (cancelled), waits
 * are cut into slices, and condition variables are slept on with interrupts
 * held.  Visibility is PostgreSQL's own: the same tests as for a heap tuple's
 * xmin.
 *
 * The one thing that can still throw is PostgreSQL's own failure to read
 * pg_xact from disk.  Then the transaction is aborted like any other, and
 * gives back locks and rights; the engine call's private memory leaks.
 */
#include "postgres.h"

#include <poll.h>

#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/pmsignal.h"
#include "storage/procarray.h"
#include "storage/procsignal.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "pg/compat.h"
#include "pg/shmem.h"

/* The longest time that a signal can go unnoticed. */
#define SLICE_MS 250
/* How long a request under way may still finish after a cancel. */
#define CANCEL_GRACE_US 700000
#define RIGHTS_MAX 16
#define EPOCH_DIFFERENCE_US \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

typedef struct HeldRight
{
	int			lock_number;
	ReefRight	right;
} HeldRight;

static HeldRight held_rights[RIGHTS_MAX];
static int	held_right_count = 0;

static bool is_holding_interrupts = false;
static int64 hold_deadline_us;
static int64 cancel_noticed_us;

/* A recent full transaction id, to widen others by; 0: not known. */
static uint64 reference_xid = 0;

int64
reefpg_host_now_us(void)
{
	return GetCurrentTimestamp() + EPOCH_DIFFERENCE_US;
}

TimestampTz
reefpg_timestamp(int64 unix_us)
{
	return unix_us - EPOCH_DIFFERENCE_US;
}

void
reefpg_host_hold(int64 deadline_us)
{
	Assert(!is_holding_interrupts);
	HOLD_INTERRUPTS();
	is_holding_interrupts = true;
	hold_deadline_us = deadline_us;
	cancel_noticed_us = 0;
}

void
reefpg_host_resume(void)
{
	Assert(is_holding_interrupts);
	is_holding_interrupts = false;
	RESUME_INTERRUPTS();
}

void
reefpg_host_forget_hold(void)
{
	is_holding_interrupts = false;
}

void
reefpg_host_serve_barrier(void)
{
	if (ProcSignalBarrierPending && CritSectionCount == 0)
		ProcessProcSignalBarrier();
}

static int64
host_now_us(void *arg)
{
	return reefpg_host_now_us();
}

static bool
host_cancelled(void *arg)
{
	bool		is_asked = QueryCancelPending || ProcDiePending ||
		ShutdownRequestPending || REEFPG_TIMEOUT_PENDING;
	int64		now_us;

	if (!is_holding_interrupts)
	{
		if (InterruptHoldoffCount > 0)
			return false;
		reefpg_host_serve_barrier();
		return is_asked &&
			(QueryCancelHoldoffCount == 0 || !QueryCancelPending);
	}

	reefpg_host_serve_barrier();
	if (!is_asked && hold_deadline_us == 0)
		return false;
	now_us = reefpg_host_now_us();
	if (hold_deadline_us != 0 && now_us >= hold_deadline_us)
		return true;
	if (!is_asked)
		return false;
	if (cancel_noticed_us == 0)
		cancel_noticed_us = now_us;
	return now_us - cancel_noticed_us >= CANCEL_GRACE_US;
}

static void
host_random(void *arg, void *bytes, size_t size)
{
	/* Without randomness no nonce is unique: nothing may be written. */
	if (!pg_strong_random(bytes, size))
		elog(PANIC, "could not get random bytes");
}

static void
host_log(void *arg, ReefLogLevel level, const char *line)
{
	switch (level)
	{
		case REEF_LOG_DEBUG:
			ereport(DEBUG1, (errmsg_internal("reef_fdw: %s", line)));
			break;
		case REEF_LOG_INFO:
			ereport(LOG, (errmsg("reef_fdw: %s", line)));
			break;
		case REEF_LOG_WARNING:
			ereport(WARNING, (errmsg("reef_fdw: %s", line)));
			break;
	}
}

/* Long operations ask for much: let others see it while they run. */
static void
host_progress(void *arg, const char *phase, uint64_t done, uint64_t total)
{
	static int64 counted_us = 0;
	int64		now_us = reefpg_host_now_us();

	reefpg_progress_update(phase, done, total);
	if (now_us < counted_us || now_us - counted_us >= USECS_PER_SEC)
	{
		counted_us = now_us;
		reefpg_count_requests();
	}
}

static ReefCode
host_wait(void *arg, struct pollfd *fds, int count, int64_t timeout_us)
{
	int64		deadline_us = reefpg_host_now_us() + timeout_us;
	int64		left_us = timeout_us;

	for (;;)
	{
		int			slice_ms = (int) Min((left_us + 999) / 1000, SLICE_MS);

		if (host_cancelled(NULL))
			return REEF_CANCELLED;
		if (count > 0)
		{
			int			ready;

			pgstat_report_wait_start(reefpg_wait_event(REEFPG_WAIT_STORE));
			ready = poll(fds, (nfds_t) count, slice_ms);
			pgstat_report_wait_end();
			/* as a latch would: nobody else ends an orphan that waits */
			if (IsUnderPostmaster && !PostmasterIsAlive())
				proc_exit(1);
			if (ready > 0 || (ready < 0 && errno != EINTR))
				return REEF_OK;
		}
		else
		{
			(void) WaitLatch(MyLatch,
							 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
							 slice_ms, reefpg_wait_event(REEFPG_WAIT_STORE));
			ResetLatch(MyLatch);
		}
		left_us = deadline_us - reefpg_host_now_us();
		if (left_us <= 0)
			return REEF_OK;
	}
}

static void *
host_shared_alloc(void *arg, size_t size)
{
	return reefpg_pool_alloc(size);
}

static void
host_shared_free(void *arg, void *address, size_t size)
{
	reefpg_pool_free(address, size);
}

static void *
host_cache_alloc(void *arg, size_t size)
{
	return reefpg_cache_alloc(size);
}

static void
host_cache_free(void *arg, void *address, size_t size)
{
	reefpg_cache_free(address, size);
}

static void
host_lock(void *arg, int lock_number, bool exclusive)
{
	LWLockAcquire(&reefpg_shared->entry_locks[lock_number].lock,
				  exclusive ? LW_EXCLUSIVE : LW_SHARED);
}

static void
host_unlock(void *arg, int lock_number)
{
	LWLockRelease(&reefpg_shared->entry_locks[lock_number].lock);
}

static bool
right_try(int lock_number, ReefRight right)
{
	ReefPgEntry *entry = &reefpg_shared->entries[lock_number];
	bool		is_ours = false;

	SpinLockAcquire(&entry->mutex);
	if (entry->rights[right].owner_pid == 0)
	{
		entry->rights[right].owner_pid = MyProcPid;
		is_ours = true;
	}
	SpinLockRelease(&entry->mutex);
	if (is_ours)
	{
		held_rights[held_right_count].lock_number = lock_number;
		held_rights[held_right_count].right = right;
		held_right_count++;
	}
	return is_ours;
}

static ReefCode
host_right_acquire(void *arg, int lock_number, ReefRight right,
				   int64_t timeout_us)
{
	ConditionVariable *released;
	int64		deadline_us;
	ReefCode	rc = REEF_OK;

	Assert(held_right_count < RIGHTS_MAX);
	if (right_try(lock_number, right))
		return REEF_OK;

	released = &reefpg_shared->entries[lock_number].rights[right].released;
	deadline_us = reefpg_host_now_us() + timeout_us;
	ConditionVariablePrepareToSleep(released);
	while (!right_try(lock_number, right))
	{
		int64		left_us = deadline_us - reefpg_host_now_us();

		if (host_cancelled(NULL))
			rc = REEF_CANCELLED;
		else if (left_us <= 0)
			rc = REEF_UNAVAILABLE;
		if (rc != REEF_OK)
			break;
		HOLD_INTERRUPTS();
		ConditionVariableTimedSleep(released,
									(long) Min((left_us + 999) / 1000,
											   SLICE_MS),
									reefpg_wait_event(REEFPG_WAIT_RIGHT));
		RESUME_INTERRUPTS();
	}
	ConditionVariableCancelSleep();
	return rc;
}

static void
host_right_release(void *arg, int lock_number, ReefRight right)
{
	ReefPgEntry *entry = &reefpg_shared->entries[lock_number];
	int			i = held_right_count - 1;

	while (i >= 0 && (held_rights[i].lock_number != lock_number ||
					  held_rights[i].right != right))
		i--;
	Assert(i >= 0);
	held_rights[i] = held_rights[--held_right_count];

	SpinLockAcquire(&entry->mutex);
	entry->rights[right].owner_pid = 0;
	SpinLockRelease(&entry->mutex);
	ConditionVariableSignal(&entry->rights[right].released);
}

void
reefpg_host_release_rights(void)
{
	while (held_right_count > 0)
	{
		HeldRight	last = held_rights[held_right_count - 1];

		host_right_release(NULL, last.lock_number, last.right);
	}
}

/*
 * The full id of a transaction id that some snapshot or process mentions: all
 * those lie within 2^31 of one another.
 */
static uint64
widen_xid(TransactionId xid)
{
	if (reference_xid == 0)
		reference_xid = U64FromFullTransactionId(ReadNextFullTransactionId());
	return reference_xid + (uint64) (int64) (int32) (xid - (uint32) reference_xid);
}

void
reefpg_host_at_end(void)
{
	reference_xid = 0;
}

/*
 * What does pg_xact say of a transaction of this server start?  One that it
 * has forgotten was not voided when it ended, so it committed.  One that it
 * has no word about yet is still in progress, whatever the process array says:
 * a live server writes down every abort, and to take an undecided transaction
 * for an aborted one would void what is about to be acknowledged [I1].
 */
static ReefXidState
pg_xact_state(TransactionId xid)
{
	ReefXidState state = REEF_XID_COMMITTED;

	LWLockAcquire(XactTruncationLock, LW_SHARED);
	if (TransactionIdFollowsOrEquals(xid,
									 REEFPG_VARIABLE_CACHE->oldestClogXid) &&
		!TransactionIdDidCommit(xid))
		state = TransactionIdDidAbort(xid) ? REEF_XID_ABORTED :
			REEF_XID_IN_PROGRESS;
	LWLockRelease(XactTruncationLock);
	return state;
}

static ReefXidState
host_xid_state(void *arg, uint64_t full_xid)
{
	TransactionId xid = (TransactionId) full_xid;

	if (full_xid == 0)
		return REEF_XID_COMMITTED;
	if (TransactionIdIsInProgress(xid))
		return REEF_XID_IN_PROGRESS;
	return pg_xact_state(xid);
}

/* As HeapTupleSatisfiesMVCC treats xmin. */
static bool
host_xid_visible(void *arg, void *snapshot, uint64_t full_xid, uint8_t *hint)
{
	Snapshot	mvcc = snapshot;
	TransactionId xid = (TransactionId) full_xid;

	if (full_xid == 0)
		return true;
	if (*hint == REEF_XID_ABORTED)
		return false;
	if (mvcc != NULL)
	{
		if (full_xid >= widen_xid(mvcc->xmin))
		{
			/*
			 * A snapshot leaves its own transaction out.  What that one wrote
			 * is in its buffer, not yet in the memtable; only at COMMIT it is
			 * in both.
			 */
			if (*hint == REEF_XID_IN_PROGRESS &&
				TransactionIdIsCurrentTransactionId(xid))
				return false;
			if (XidInMVCCSnapshot(xid, mvcc))
				return false;
		}
		if (*hint == REEF_XID_IN_PROGRESS)
			*hint = (uint8) pg_xact_state(xid);
	}
	else if (*hint == REEF_XID_IN_PROGRESS)
		*hint = (uint8) host_xid_state(NULL, full_xid);
	return *hint == REEF_XID_COMMITTED;
}

/*
 * A manifest holds what had finished when it was folded.  So it serves a
 * snapshot if nothing up to full_xid has finished since the snapshot was
 * taken; one that has been idle all the time hinders nobody.  "Now" comes
 * after every fold.
 */
static bool
host_snapshot_covers(void *arg, void *snapshot, uint64_t full_xid)
{
	Snapshot	mvcc = snapshot;

	if (full_xid == 0 || mvcc == NULL || full_xid < widen_xid(mvcc->xmin))
		return true;
	/* a snapshot of a standby does not list what was running */
	if (full_xid >= widen_xid(mvcc->xmax) || mvcc->takenDuringRecovery)
		return false;
	for (uint32 i = 0; i < mvcc->xcnt; i++)
	{
		if (widen_xid(mvcc->xip[i]) <= full_xid &&
			!TransactionIdIsInProgress(mvcc->xip[i]))
			return false;
	}
	return true;
}

static uint64_t
host_xid_horizon(void *arg)
{
	return widen_xid(GetOldestNonRemovableTransactionId(NULL));
}

/* Are we the lineage that the frame was written in, and at or past its place
 * in the WAL? */
static bool
is_our_lineage(const ReefCoupling *coupling)
{
	TimeLineID	timeline;
	XLogRecPtr	end;

	if (coupling->system_id != GetSystemIdentifier())
		return false;
	if (RecoveryInProgress())
		end = GetXLogReplayRecPtr(&timeline);
	else
	{
		timeline = GetWALInsertionTimeLine();
		end = GetXLogInsertRecPtr();
	}
	return coupling->timeline == timeline && coupling->wal_position <= end;
}

static ReefXidState
host_coupling_state(void *arg, const ReefCoupling *coupling)
{
	TransactionId xid = (TransactionId) coupling->full_xid;
	ReefXidState state = REEF_XID_COMMITTED;
	bool		is_decidable;

	if (!is_our_lineage(coupling))
	{
		ereport(LOG,
				(errmsg("reef_fdw: a transaction of another server, or of before a recovery, counts as committed"),
				 errdetail("System identifier " UINT64_FORMAT ", timeline %u, transaction " UINT64_FORMAT ".",
						   coupling->system_id, coupling->timeline,
						   coupling->full_xid)));
		return REEF_XID_COMMITTED;
	}

	LWLockAcquire(XactTruncationLock, LW_SHARED);
	is_decidable = coupling->full_xid <
		U64FromFullTransactionId(ReadNextFullTransactionId()) &&
		coupling->full_xid >= widen_xid(REEFPG_VARIABLE_CACHE->oldestClogXid);
	if (is_decidable)
	{
		/* An opening can meet a commit of this very server under way. */
		if (TransactionIdIsInProgress(xid))
			state = REEF_XID_IN_PROGRESS;
		else if (!TransactionIdDidCommit(xid))
			state = REEF_XID_ABORTED;
	}
	LWLockRelease(XactTruncationLock);

	if (!is_decidable)
		ereport(WARNING,
				(errmsg("reef_fdw: transaction " UINT64_FORMAT " is unknown to pg_xact and counts as committed",
						coupling->full_xid)));
	return state;
}

static bool
host_may_write(void *arg)
{
	return !RecoveryInProgress();
}

const ReefHost *
reefpg_host(void)
{
	static const ReefHost host = {
		.cancelled = host_cancelled,
		.now_us = host_now_us,
		.random = host_random,
		.log = host_log,
		.progress = host_progress,
		.wait = host_wait,
		.shared_alloc = host_shared_alloc,
		.shared_free = host_shared_free,
		.cache_alloc = host_cache_alloc,
		.cache_free = host_cache_free,
		.lock = host_lock,
		.unlock = host_unlock,
		.right_acquire = host_right_acquire,
		.right_release = host_right_release,
		.xid_visible = host_xid_visible,
		.snapshot_covers = host_snapshot_covers,
		.xid_state = host_xid_state,
		.xid_horizon = host_xid_horizon,
		.coupling_state = host_coupling_state,
		.may_write = host_may_write,
	};

	return &host;
}
