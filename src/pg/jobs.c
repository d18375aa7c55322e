/*
 * jobs.c
 *	  Which maintenance job is due, whose turn it is, and what came of it.
 *
 * Any worker may run any job of any namespace.  So whoever is free looks through
 * the table of namespaces, which is a matter of memory, and takes what has been
 * due longest: a namespace that is written all the time cannot keep others
 * from their turn, nor can one whose store hangs, as long as there is another
 * worker.  Only a lack of memory, which stops writers, jumps the queue.
 *
 * What fails is tried again ever more seldom, each job of each namespace by
 * itself, and says so in the log once and in reef_stat_maintenance for as long
 * as it lasts.
 *
 * Compaction and collection have nothing to do unless the manifest changed, or
 * something became old enough that a collection said it would.  So an idle
 * namespace causes no request.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/condition_variable.h"
#include "utils/timestamp.h"

#include "pg/jobs.h"
#include "pg/shmem.h"

/* So many records make opening slow, however small they are. */
#define FOLD_RECORDS 4096
#define BACKOFF_MAX_S 60
/* How long a job that found nothing to do is left alone. */
#define IDLE_US USECS_PER_SEC
/* A lack of memory makes a fold as urgent as if it had been due for so long. */
#define URGENCY_US USECS_PER_HOUR
/* Of a namespace that has not been collected since the server started. */
#define GC_FIRST_US (60 * USECS_PER_SEC)
#define GC_INTERVAL_MIN_US (2 * USECS_PER_SEC)

typedef struct Candidate
{
	int			number;			/* of the entry; -1: none */
	uint64		generation;
	ReefPgJob	job;
	TimestampTz rank;			/* the lowest goes first */
} Candidate;

/* What this process has taken. */
static ReefPgEntry *my_entry = NULL;
static ReefPgJob my_job;

const char *
reefpg_job_name(ReefPgJob job)
{
	static const char *const names[REEFPG_JOB_COUNT] =
	{"fold", "settle", "compact", "gc"};

	return names[job];
}

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
is_fold_due(ReefPgEntry *entry, const ReefNamespaceStatus *status,
			bool *is_urgent)
{
	if (!status->is_writer || status->unfolded_records == 0)
		return false;
	*is_urgent = is_memory_short(status) || is_room_wanted(entry);
	return *is_urgent ||
		status->unfolded_bytes >= (uint64) reefpg_fold_size_kb * 1024 ||
		status->unfolded_records >= FOLD_RECORDS ||
		reefpg_host_now_us() - status->oldest_unfolded_us >=
		(int64) reefpg_fold_interval_ms * 1000;
}

/* What a new manifest leaves behind becomes old enough after the grace. */
static bool
is_gc_due(ReefPgMaintenance *maintenance, const ReefNamespaceStatus *status,
		  TimestampTz now)
{
	TimestampTz grace_us = (int64) reefpg_gc_grace_ms * 1000;

	if (status->manifest_version != maintenance->gc_version)
	{
		bool		is_first = maintenance->gc_version == 0;
		TimestampTz at = now +
			(is_first ? Min(grace_us, GC_FIRST_US) : grace_us);

		maintenance->gc_version = status->manifest_version;
		if (maintenance->gc_at == 0 || at < maintenance->gc_at)
			maintenance->gc_at = at;
	}
	return reefpg_auto_gc && maintenance->gc_at != 0 &&
		now >= maintenance->gc_at && now >= maintenance->gc_not_before;
}

/* These two exclude one another: to wait would waste a worker. */
static bool
is_right_taken(const ReefPgMaintenance *maintenance)
{
	return maintenance->jobs[REEFPG_JOB_COMPACT].worker_pid != 0 ||
		maintenance->jobs[REEFPG_JOB_GC].worker_pid != 0;
}

/*
 * Which jobs of this entry are due?  We are its user.  Better candidates than
 * the one there is replace it.
 */
static void
consider(ReefPgEntry *entry, bool only_short, Candidate *best)
{
	ReefPgMaintenance *maintenance = &entry->maintenance;
	TimestampTz now = GetCurrentTimestamp();
	bool		is_due[REEFPG_JOB_COUNT] = {false};
	bool		is_urgent = false;
	ReefNamespaceStatus status;

	reef_namespace_status(reefpg_host(), entry->shared, &status);
	if (status.generations > 1)
	{
		reef_namespace_trim(reefpg_host(), entry->shared);
		ConditionVariableBroadcast(&reefpg_shared->pool_freed);
	}
	is_due[REEFPG_JOB_FOLD] = is_fold_due(entry, &status, &is_urgent);
	is_due[REEFPG_JOB_SETTLE] = status.has_pending_aborts;

	SpinLockAcquire(&entry->mutex);
	if (status.is_writer && status.manifest_version > 0)
	{
		is_due[REEFPG_JOB_COMPACT] = reefpg_auto_compact &&
			status.manifest_version != maintenance->compact_version;
		is_due[REEFPG_JOB_GC] = is_gc_due(maintenance, &status, now);
	}
	for (int i = 0; i < REEFPG_JOB_COUNT; i++)
	{
		ReefPgJobState *job = &maintenance->jobs[i];
		bool		is_long = i == REEFPG_JOB_COMPACT || i == REEFPG_JOB_GC;
		TimestampTz rank;

		if (!is_due[i])
			job->due_since = 0;
		else if (job->due_since == 0)
			job->due_since = now;
		rank = job->due_since -
			(i == REEFPG_JOB_FOLD && is_urgent ? URGENCY_US : 0);
		if (!is_due[i] || job->worker_pid != 0 || now < job->retry_at ||
			(is_long && (only_short || is_right_taken(maintenance))) ||
			(best->number >= 0 && rank >= best->rank))
			continue;
		best->number = (int) (entry - reefpg_shared->entries);
		best->generation = entry->generation;
		best->job = (ReefPgJob) i;
		best->rank = rank;
	}
	SpinLockRelease(&entry->mutex);
}

/* Make it ours, unless things have changed. */
static bool
claim(const Candidate *candidate)
{
	ReefPgEntry *entry = &reefpg_shared->entries[candidate->number];
	bool		is_ours = false;

	if (!reefpg_entry_visit(entry))
		return false;
	SpinLockAcquire(&entry->mutex);
	if (entry->generation == candidate->generation &&
		entry->maintenance.jobs[candidate->job].worker_pid == 0)
	{
		entry->maintenance.jobs[candidate->job].worker_pid = MyProcPid;
		is_ours = true;
	}
	SpinLockRelease(&entry->mutex);
	if (!is_ours)
		reefpg_entry_release(entry);
	return is_ours;
}

bool
reefpg_job_take(bool only_short, ReefPgEntry **entry, ReefPgJob *job)
{
	Candidate	best = {.number = -1};

	for (int i = 0; i < reefpg_shared->entry_count; i++)
	{
		ReefPgEntry *visited = &reefpg_shared->entries[i];

		/* A guess without the lock; the visit makes sure. */
		if (!visited->in_use || !reefpg_entry_visit(visited))
			continue;
		consider(visited, only_short, &best);
		reefpg_entry_release(visited);
	}
	/* Somebody else was faster: there will be a next time. */
	if (best.number < 0 || !claim(&best))
		return false;
	my_entry = *entry = &reefpg_shared->entries[best.number];
	my_job = *job = best.job;
	return true;
}

/* The caller holds the mutex. */
static void
note_success(ReefPgMaintenance *maintenance, const ReefPgRun *run)
{
	ReefPgJobState *job = &maintenance->jobs[run->job];

	job->run_count++;
	job->last = *run;
	job->failures = 0;
	job->retry_at = 0;
	job->last_error[0] = '\0';
	maintenance->runs[maintenance->run_count % REEFPG_RUNS_MAX] = *run;
	maintenance->run_count++;
}

void
reefpg_job_note(ReefPgEntry *entry, const ReefPgRun *run)
{
	SpinLockAcquire(&entry->mutex);
	note_success(&entry->maintenance, run);
	SpinLockRelease(&entry->mutex);
}

/* The caller holds the mutex.  Is it the first failure in a row? */
static bool
note_failure(ReefPgJobState *job, TimestampTz now, const char *text)
{
	int			wait_s = 1 << Min(job->failures, 6);

	job->retry_at = now + Min(wait_s, BACKOFF_MAX_S) * USECS_PER_SEC;
	job->last_error_at = now;
	strlcpy(job->last_error, text, sizeof(job->last_error));
	return job->failures++ == 0;
}

static void
log_failure(const char *namespace_name, ReefPgJob job, ReefCode rc,
			const char *text)
{
	int			sqlstate = reefpg_sqlstate(rc);

	switch (job)
	{
		case REEFPG_JOB_FOLD:
			ereport(LOG,
					(errcode(sqlstate),
					 errmsg("could not fold namespace \"%s\": %s",
							namespace_name, text)));
			break;
		case REEFPG_JOB_SETTLE:
			ereport(LOG,
					(errcode(sqlstate),
					 errmsg("could not void transactions of namespace \"%s\" that were rolled back: %s",
							namespace_name, text)));
			break;
		case REEFPG_JOB_COMPACT:
			ereport(LOG,
					(errcode(sqlstate),
					 errmsg("could not compact namespace \"%s\": %s",
							namespace_name, text)));
			break;
		case REEFPG_JOB_GC:
			ereport(LOG,
					(errcode(sqlstate),
					 errmsg("could not collect the garbage of namespace \"%s\": %s",
							namespace_name, text)));
			break;
	}
}

void
reefpg_job_end(ReefPgEntry *entry, ReefPgJob job, ReefCode rc,
			   const ReefError *err, const ReefPgRun *run)
{
	ReefPgJobState *state = &entry->maintenance.jobs[job];
	TimestampTz now = GetCurrentTimestamp();
	char		text[REEFPG_ERROR_SIZE];
	bool		is_news = false;

	snprintf(text, sizeof(text), "%s%s%s", err->message,
			 err->detail[0] ? ": " : "", err->detail);
	SpinLockAcquire(&entry->mutex);
	state->worker_pid = 0;
	state->due_since = 0;
	if (rc == REEF_OK && run != NULL)
		note_success(&entry->maintenance, run);
	else if (rc == REEF_OK)
	{
		state->failures = 0;
		state->retry_at = now + IDLE_US;
	}
	else if (rc != REEF_CANCELLED)
		is_news = note_failure(state, now, text);
	SpinLockRelease(&entry->mutex);
	if (is_news)
		log_failure(entry->name, job, rc, text);
	my_entry = NULL;
	reefpg_entry_release(entry);
}

void
reefpg_job_abandon(void)
{
	ReefPgEntry *entry = my_entry;
	ReefPgJobState *state;
	TimestampTz now = GetCurrentTimestamp();

	if (entry == NULL)
		return;
	my_entry = NULL;
	state = &entry->maintenance.jobs[my_job];
	SpinLockAcquire(&entry->mutex);
	state->worker_pid = 0;
	(void) note_failure(state, now,
						"the worker ended with an error, see the server's log");
	SpinLockRelease(&entry->mutex);
	reefpg_entry_release(entry);
}

void
reefpg_job_schedule_gc(ReefPgEntry *entry, int64 next_due_us)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz interval_us = (int64) reefpg_gc_grace_ms * 1000 / 8;

	SpinLockAcquire(&entry->mutex);
	entry->maintenance.gc_at = next_due_us == 0 ? 0 :
		now + (next_due_us - reefpg_host_now_us());
	entry->maintenance.gc_not_before = now + Max(interval_us,
												 GC_INTERVAL_MIN_US);
	SpinLockRelease(&entry->mutex);
}

void
reefpg_job_no_compaction(ReefPgEntry *entry, uint64 manifest_version)
{
	SpinLockAcquire(&entry->mutex);
	entry->maintenance.compact_version = manifest_version;
	SpinLockRelease(&entry->mutex);
}
