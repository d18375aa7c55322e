/*
 * worker.c
 *	  The maintenance workers: they fold, compact and collect garbage.
 *
 * A worker has shared memory but no database, so nobody's DROP DATABASE waits
 * for it, and it holds no snapshot.  It takes one job after the other as long
 * as there are any (jobs.c), and looks again once a second or when it is woken.
 */
#include "postgres.h"

#include <sys/resource.h>

#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "pg/compat.h"
#include "pg/jobs.h"
#include "pg/shmem.h"

#define NAP_MS 1000
#define RIGHT_TIMEOUT_US (5 * USECS_PER_SEC)

/*
 * Compressing and sorting can wait; sessions cannot.  A constant, because what
 * matters is only that it is more than theirs.
 */
#define NICE 10

static int	my_number;

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

/* Of what could not be deleted, the first. */
static ReefCode
note_garbage(void *arg, const ReefGarbage *garbage, ReefError *err)
{
	ReefError  *first = arg;

	if (garbage->failed && first->message[0] == '\0')
		(void) reef_error_set(first, REEF_UNAVAILABLE,
							  "objects could not be deleted",
							  "object %.200s: %.80s", garbage->key,
							  garbage->problem);
	return REEF_OK;
}

static ReefCode
collect_garbage(ReefNamespace *ns, ReefPgRun *run, bool *did, ReefError *err)
{
	ReefGcResult result = {0};
	ReefError	first;

	reef_error_init(&first);
	REEF_TRY(reefpg_run_gc(ns, false, note_garbage, &first, &result, run,
						   err));
	*did = result.objects > 0;
	if (result.failures > 0)
	{
		*err = first;
		return REEF_UNAVAILABLE;
	}
	return REEF_OK;
}

/* One merge; the next one waits for its turn. */
static ReefCode
compact(ReefPgEntry *entry, ReefNamespace *ns, ReefPgRun *run, bool *did,
		ReefError *err)
{
	ReefCompactResult result = {0};
	ReefNamespaceStatus status;

	reef_namespace_status(reefpg_host(), entry->shared, &status);
	if (reef_namespace_needs_compaction(ns))
	{
		REEF_TRY(reefpg_run_compact(ns, false, &result, run, err));
		*did = result.compacted;
		if (result.compacted || result.is_stale)
			return REEF_OK;
	}
	reefpg_job_no_compaction(entry, status.manifest_version);
	return REEF_OK;
}

static ReefCode
run_job(ReefPgEntry *entry, ReefPgJob job, ReefPgRun *run, bool *did,
		ReefError *err)
{
	ReefFoldResult fold = {0};
	ReefNamespace *ns;
	ReefCode	rc;

	REEF_TRY(reefpg_namespace_of_entry(entry, &ns, err));
	switch (job)
	{
		case REEFPG_JOB_FOLD:
			rc = reefpg_run_fold(ns, &fold, run, err);
			*did = fold.folded;
			return rc;
		case REEFPG_JOB_SETTLE:
			run->job = REEFPG_JOB_SETTLE;
			run->ended = GetCurrentTimestamp();
			*did = true;
			return settle_aborts(entry, ns, err);
		case REEFPG_JOB_COMPACT:
			return compact(entry, ns, run, did, err);
		case REEFPG_JOB_GC:
			return collect_garbage(ns, run, did, err);
	}
	return REEF_OK;
}

/* False: there is nothing to do for the moment. */
static bool
work(void)
{
	/* Whoever compacts cannot fold, so one does not compact. */
	bool		only_short = my_number == 0 && reefpg_shared->worker_count > 1;
	ReefPgEntry *entry;
	ReefPgJob	job;
	ReefPgRun	run = {0};
	bool		did = false;
	ReefError	err;
	ReefCode	rc;

	if (!reefpg_job_take(only_short, &entry, &job))
		return false;
	reef_error_init(&err);
	rc = run_job(entry, job, &run, &did, &err);
	reefpg_job_end(entry, job, rc, &err, did ? &run : NULL);
	reefpg_count_requests();
	/* Other transactions run while we do: learn of their ids anew. */
	reefpg_host_at_end();
	return true;
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
leave(int code, Datum arg)
{
	reefpg_job_abandon();
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
	(void) setpriority(PRIO_PROCESS, 0, NICE);

	CurrentMemoryContext = AllocSetContextCreate(TopMemoryContext,
												 "reef worker",
												 ALLOCSET_DEFAULT_SIZES);
	on_shmem_exit(leave, 0);
	set_latch_pointer(MyLatch);

	while (!ShutdownRequestPending)
	{
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		if (work())
			continue;
		reefpg_spec_expire();
		reefpg_host_at_end();
		MemoryContextReset(CurrentMemoryContext);
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 NAP_MS, reefpg_wait_event(REEFPG_WAIT_IDLE));
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
