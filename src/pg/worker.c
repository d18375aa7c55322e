/*
 * worker.c
 *	  The maintenance workers: they fold what has become large or old.
 *
 * A worker has shared memory but no database, so nobody's DROP DATABASE waits
 * for it, and it holds no snapshot.  It looks at the table of namespaces once
 * a second, which is a matter of memory; the store is asked for nothing as
 * long as nothing is due.  What fails is tried again ever more seldom, and
 * says so in the log once and in reef_namespaces for as long as it lasts.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "pg/compat.h"
#include "pg/shmem.h"

#define NAP_MS 1000
/* So many records make opening slow, however small they are. */
#define FOLD_RECORDS 4096
#define RIGHT_TIMEOUT_US (5 * USECS_PER_SEC)
#define BACKOFF_MAX_S 60

static int	my_number;

/* Is so little memory left that this namespace should give some back? */
static bool
is_memory_short(const ReefNamespaceStatus *status)
{
	Size		total = reefpg_pool_bytes();
	Size		left = reefpg_pool_free_bytes();

	return left < total / 8 ||
		(left < total / 2 && status->unfolded_bytes >= total / 32);
}

/* Somebody waits for room in the table, and only we use this entry. */
static bool
is_room_wanted(ReefPgEntry *entry)
{
	return pg_atomic_read_u32(&reefpg_shared->entry_waiters) > 0 &&
		pg_atomic_read_u32(&entry->users) == 1;
}

static bool
is_fold_due(ReefPgEntry *entry, const ReefNamespaceStatus *status)
{
	return status->is_writer && status->unfolded_records > 0 &&
		(status->unfolded_bytes >= (uint64) reefpg_fold_size_kb * 1024 ||
		 status->unfolded_records >= FOLD_RECORDS ||
		 reefpg_host_now_us() - status->oldest_unfolded_us >=
		 (int64) reefpg_fold_interval_ms * 1000 ||
		 is_memory_short(status) || is_room_wanted(entry));
}

static ReefCode
settle_aborts(ReefPgEntry *entry, ReefNamespace *ns, ReefError *err)
{
	const ReefHost *host = reefpg_host();
	int			lock_number = (int) (entry - reefpg_shared->entries);
	ReefCode	rc;

	rc = host->right_acquire(host->arg, lock_number, REEF_RIGHT_COMMIT,
							 RIGHT_TIMEOUT_US);
	if (rc != REEF_OK)
		return reef_error_set(err, rc, "could not get the turn to commit",
							  NULL);
	rc = reef_commit_pending_aborts(ns, err);
	host->right_release(host->arg, lock_number, REEF_RIGHT_COMMIT);
	return rc;
}

/* Put what the attempt came to where reef_namespaces shows it. */
static void
note_outcome(ReefPgEntry *entry, ReefCode rc, const ReefError *err,
			 bool has_folded)
{
	ReefPgMaintenance *maintenance = &entry->maintenance;
	TimestampTz now = GetCurrentTimestamp();
	char		text[REEFPG_ERROR_SIZE];
	bool		is_news = false;

	snprintf(text, sizeof(text), "%s%s%s", err->message,
			 err->detail[0] ? ": " : "", err->detail);
	SpinLockAcquire(&entry->mutex);
	if (rc == REEF_OK)
	{
		maintenance->failures = 0;
		maintenance->retry_at = 0;
		if (has_folded)
		{
			maintenance->last_fold = now;
			maintenance->last_error[0] = '\0';
		}
	}
	else
	{
		int			wait_s = 1 << Min(maintenance->failures, 6);

		is_news = maintenance->failures == 0;
		maintenance->failures++;
		maintenance->retry_at = now +
			Min(wait_s, BACKOFF_MAX_S) * USECS_PER_SEC;
		maintenance->last_error_at = now;
		memcpy(maintenance->last_error, text, sizeof(text));
	}
	SpinLockRelease(&entry->mutex);
	if (is_news)
		ereport(LOG,
				(errcode(reefpg_sqlstate(rc)),
				 errmsg("could not fold namespace \"%s\": %s", entry->name,
						text)));
}

/* Returns whether it is worth looking at the entry again at once. */
static bool
visit(ReefPgEntry *entry)
{
	const ReefHost *host = reefpg_host();
	ReefNamespaceStatus status;
	ReefFoldResult result = {0};
	ReefNamespace *ns;
	ReefError	err;
	ReefCode	rc = REEF_OK;
	TimestampTz retry_at;

	reef_namespace_status(host, entry->shared, &status);
	if (status.generations > 1)
	{
		reef_namespace_trim(host, entry->shared);
		ConditionVariableBroadcast(&reefpg_shared->pool_freed);
	}
	if (!status.has_pending_aborts && !is_fold_due(entry, &status))
		return false;
	SpinLockAcquire(&entry->mutex);
	retry_at = entry->maintenance.retry_at;
	SpinLockRelease(&entry->mutex);
	if (GetCurrentTimestamp() < retry_at)
		return false;

	reef_error_init(&err);
	rc = reefpg_namespace_of_entry(entry, &ns, &err);
	if (rc == REEF_OK && status.has_pending_aborts)
		rc = settle_aborts(entry, ns, &err);
	if (rc == REEF_OK && is_fold_due(entry, &status))
		rc = reef_fold(ns, &result, &err);
	if (rc == REEF_CANCELLED && ShutdownRequestPending)
		return false;
	note_outcome(entry, rc, &err, result.folded);
	if (result.folded)
	{
		reef_namespace_trim(host, entry->shared);
		ConditionVariableBroadcast(&reefpg_shared->pool_freed);
	}
	return result.folded;
}

static bool
visit_all(void)
{
	bool		again = false;

	for (int i = my_number; i < reefpg_shared->entry_count &&
		 !ShutdownRequestPending; i += reefpg_shared->worker_count)
	{
		ReefPgEntry *entry = &reefpg_shared->entries[i];

		/* A guess without the lock; visit makes sure. */
		if (!entry->in_use || !reefpg_entry_visit(entry))
			continue;
		again |= visit(entry);
		reefpg_entry_release(entry);
	}
	/* Other transactions run while we do: learn of their ids anew. */
	reefpg_host_at_end();
	return again;
}

/*
 * Aborts that are not in the store yet would be forgotten with the memory.
 * The hold gives them a moment although we are asked to stop.
 */
static void
settle_all_aborts(void)
{
	reefpg_host_hold(0);
	for (int i = my_number; i < reefpg_shared->entry_count;
		 i += reefpg_shared->worker_count)
	{
		ReefPgEntry *entry = &reefpg_shared->entries[i];
		ReefNamespace *ns;
		ReefError	err;
		ReefCode	rc;

		if (!entry->in_use || !reefpg_entry_visit(entry))
			continue;
		if (reef_namespace_has_pending_aborts(entry->shared))
		{
			reef_error_init(&err);
			rc = reefpg_namespace_of_entry(entry, &ns, &err);
			if (rc == REEF_OK)
				rc = settle_aborts(entry, ns, &err);
			if (rc != REEF_OK)
				ereport(LOG,
						(errmsg("namespace \"%s\" in the store still has transactions that were rolled back",
								entry->name),
						 errdetail("They count as committed from now on: %s",
								   err.message)));
		}
		reefpg_entry_release(entry);
	}
	reefpg_host_resume();
}

static void
set_latch_pointer(Latch *latch)
{
	SpinLockAcquire(&reefpg_shared->mutex);
	reefpg_shared->workers[my_number].latch = latch;
	SpinLockRelease(&reefpg_shared->mutex);
}

static void
forget_latch(int code, Datum arg)
{
	set_latch_pointer(NULL);
}

void
reef_maintenance_worker_main(Datum main_arg)
{
	my_number = DatumGetInt32(main_arg);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();

	/*
	 * A worker without a database is not in the process array, and then its
	 * place there is somebody else's: TransactionIdIsInProgress leaves out the
	 * place that it takes for its own, and finds that session's transaction
	 * over while it commits [I1].  So join; without a database and a snapshot
	 * it holds up nobody.
	 */
	InitProcessPhase2();

	CurrentMemoryContext = AllocSetContextCreate(TopMemoryContext,
												 "reef worker",
												 ALLOCSET_DEFAULT_SIZES);
	on_shmem_exit(forget_latch, 0);
	set_latch_pointer(MyLatch);

	while (!ShutdownRequestPending)
	{
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		if (visit_all())
			continue;
		MemoryContextReset(CurrentMemoryContext);
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 NAP_MS, reefpg_wait_event());
		ResetLatch(MyLatch);
	}
	settle_all_aborts();
	/* Not 0: whoever stops only us gets another one. */
	proc_exit(1);
}

void
reefpg_worker_init(void)
{
	for (int i = 0; i < reefpg_maintenance_workers; i++)
	{
		BackgroundWorker worker = {0};

		worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
		worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
		worker.bgw_restart_time = 3;
		strlcpy(worker.bgw_library_name, "reef_fdw", BGW_MAXLEN);
		strlcpy(worker.bgw_function_name, "reef_maintenance_worker_main",
				BGW_MAXLEN);
		strlcpy(worker.bgw_type, "reef worker", BGW_MAXLEN);
		snprintf(worker.bgw_name, BGW_MAXLEN, "reef worker %d", i + 1);
		worker.bgw_main_arg = Int32GetDatum(i);
		RegisterBackgroundWorker(&worker);
	}
}
