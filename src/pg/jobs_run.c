/*
 * jobs_run.c
 *	  Runs one maintenance job, for a worker or for an SQL function.
 *
 * Around each engine call: the line in reef_stat_progress, the bytes that it
 * put, and the figures of the run for those who want to know what happened.
 */
#include "postgres.h"

#include "storage/condition_variable.h"
#include "utils/timestamp.h"

#include "pg/jobs.h"
#include "pg/shmem.h"

static void
run_begin(ReefNamespace *ns, ReefPgJob job, ReefPgRun *run)
{
	reefpg_count_put_bytes(ns, REEFPG_PUT_BULK);
	reefpg_progress_begin(reefpg_namespace_entry(ns), reefpg_job_name(job));
	memset(run, 0, sizeof(*run));
	run->job = job;
	run->ended = GetCurrentTimestamp();
}

static void
run_end(ReefNamespace *ns, ReefPgPutKind kind, ReefPgRun *run)
{
	TimestampTz now = GetCurrentTimestamp();

	run->duration_us = now - run->ended;
	run->ended = now;
	reefpg_progress_end();
	reefpg_count_put_bytes(ns, kind);
	reefpg_count_requests();
}

/* A new manifest: what the old one kept in memory may be free now. */
static void
trim(ReefNamespace *ns)
{
	reef_namespace_trim(reefpg_host(), reef_namespace_shared(ns));
	ConditionVariableBroadcast(&reefpg_shared->pool_freed);
}

ReefCode
reefpg_run_fold(ReefNamespace *ns, ReefFoldResult *result, ReefPgRun *run,
				ReefError *err)
{
	ReefCode	rc;

	run_begin(ns, REEFPG_JOB_FOLD, run);
	rc = reef_fold(ns, result, err);
	run_end(ns, REEFPG_PUT_FOLDS, run);
	run->objects_out = result->segments;
	run->rows_out = result->rows;
	run->bytes_out = result->bytes;
	if (result->folded)
		trim(ns);
	return rc;
}

ReefCode
reefpg_run_compact(ReefNamespace *ns, bool full, ReefCompactResult *result,
				   ReefPgRun *run, ReefError *err)
{
	ReefCode	rc;

	run_begin(ns, REEFPG_JOB_COMPACT, run);
	rc = reef_compact(ns, full, result, err);
	run_end(ns, REEFPG_PUT_COMPACTIONS, run);
	run->objects_in = result->segments_in;
	run->objects_out = result->segments_out;
	run->rows_in = result->rows_in;
	run->rows_out = result->rows_out;
	run->bytes_in = result->bytes_in;
	run->bytes_out = result->bytes_out;
	if (result->compacted)
		trim(ns);
	return rc;
}

ReefCode
reefpg_run_gc(ReefNamespace *ns, bool dry_run, ReefGarbageVisitor visit,
			  void *arg, ReefGcResult *result, ReefPgRun *run, ReefError *err)
{
	ReefCode	rc;

	run_begin(ns, REEFPG_JOB_GC, run);
	rc = reef_gc(ns, dry_run, visit, arg, result, err);
	/* fences and manifests that it puts as barriers */
	run_end(ns, REEFPG_PUT_COMPACTIONS, run);
	run->objects_in = result->objects;
	run->bytes_in = result->bytes;
	if (rc == REEF_OK && !dry_run)
		reefpg_job_schedule_gc(reefpg_namespace_entry(ns),
							   result->next_due_us);
	return rc;
}
