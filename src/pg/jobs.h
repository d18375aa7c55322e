/*
 * jobs.h
 *	  The maintenance jobs of a namespace: when they are due, who runs them, and
 *	  what became of them.
 *
 * This is a part of a namespace's entry in shared memory, guarded by the
 * entry's mutex.  Workers find their work in it, SQL functions note in it what
 * they have done, and the views show it.
 */
#ifndef REEF_PG_JOBS_H
#define REEF_PG_JOBS_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "pg/reef_fdw.h"

#define REEFPG_ERROR_SIZE 320
#define REEFPG_RUNS_MAX 24

typedef enum ReefPgJob
{
	REEFPG_JOB_FOLD,
	REEFPG_JOB_SETTLE,			/* put aborts that are only in memory */
	REEFPG_JOB_COMPACT,
	REEFPG_JOB_GC
} ReefPgJob;

#define REEFPG_JOB_COUNT 4

/* One run that changed something. */
typedef struct ReefPgRun
{
	ReefPgJob	job;
	TimestampTz ended;
	int64		duration_us;
	uint64		objects_in;		/* segments; of a gc: objects deleted */
	uint64		objects_out;
	uint64		rows_in;
	uint64		rows_out;
	uint64		bytes_in;
	uint64		bytes_out;
} ReefPgRun;

typedef struct ReefPgJobState
{
	int			worker_pid;		/* who runs it; 0: no worker */
	TimestampTz due_since;		/* 0: it is not due */
	uint64		run_count;		/* that changed something */
	ReefPgRun	last;			/* of these */
	int			failures;		/* since the last success */
	TimestampTz retry_at;
	TimestampTz last_error_at;
	char		last_error[REEFPG_ERROR_SIZE];	/* empty: it went well */
} ReefPgJobState;

/* What a worker needs to know to open the namespace, and what there is to say. */
typedef struct ReefPgMaintenance
{
	bool		has_settings;	/* the next three are not the defaults */
	int			compression;
	size_t		target_segment_size;
	int64		idempotency_retention_ms;

	ReefPgJobState jobs[REEFPG_JOB_COUNT];
	uint64		compact_version;	/* this manifest needs no compaction */
	uint64		gc_version;		/* what this one leaves behind is in gc_at */
	TimestampTz gc_at;			/* something becomes old enough; 0: nothing */
	TimestampTz gc_not_before;

	uint64		run_count;		/* in runs, the last REEFPG_RUNS_MAX of them */
	ReefPgRun	runs[REEFPG_RUNS_MAX];
} ReefPgMaintenance;

struct ReefPgEntry;

extern const char *reefpg_job_name(ReefPgJob job);

/*
 * The job that has been due longest and that nobody runs, of any namespace;
 * false if there is none.  The caller runs it, is a user of *entry, and calls
 * reefpg_job_end.  "only_short": neither compactions nor collections.
 */
extern bool reefpg_job_take(bool only_short, struct ReefPgEntry **entry,
							ReefPgJob *job);
/*
 * It has been run: run says what it did (NULL: there was nothing to do) or err
 * why it failed.  Cancelled jobs are just given back.
 */
extern void reefpg_job_end(struct ReefPgEntry *entry, ReefPgJob job,
						   ReefCode rc, const ReefError *err,
						   const ReefPgRun *run);
/* The same after an error, or at exit: the worker has not got any further. */
extern void reefpg_job_abandon(void);

/* Somebody has done a worker's job, which is no failure any more. */
extern void reefpg_job_note(struct ReefPgEntry *entry, const ReefPgRun *run);

/* The next collection is due when the store's clock says this; 0: there is
 * nothing to collect. */
extern void reefpg_job_schedule_gc(struct ReefPgEntry *entry,
								   int64 next_due_us);
/* This manifest needs no compaction. */
extern void reefpg_job_no_compaction(struct ReefPgEntry *entry,
									 uint64 manifest_version);

/*
 * The jobs themselves, for a worker or an SQL function, and the run's times and
 * figures, whether or not it changed anything.
 */
extern ReefCode reefpg_run_fold(ReefNamespace *ns, ReefFoldResult *result,
								ReefPgRun *run, ReefError *err)
			REEF_MUST_CHECK;
extern ReefCode reefpg_run_compact(ReefNamespace *ns, bool full,
								   ReefCompactResult *result, ReefPgRun *run,
								   ReefError *err) REEF_MUST_CHECK;
extern ReefCode reefpg_run_gc(ReefNamespace *ns, bool dry_run,
							  ReefGarbageVisitor visit, void *arg,
							  ReefGcResult *result, ReefPgRun *run,
							  ReefError *err) REEF_MUST_CHECK;

#endif							/* REEF_PG_JOBS_H */
