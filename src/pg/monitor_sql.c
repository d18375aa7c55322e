/*
 * monitor_sql.c
 *	  The SQL functions behind the views that show what the server is doing:
 *	  reef_namespaces and reef_stat_*.  All of it from memory.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "pg/shmem.h"

PG_FUNCTION_INFO_V1(reef_sql_namespaces);
PG_FUNCTION_INFO_V1(reef_sql_stat_store);
PG_FUNCTION_INFO_V1(reef_sql_stat_maintenance);
PG_FUNCTION_INFO_V1(reef_sql_stat_progress);

/* What there is to say about an entry, copied while we are its user. */
typedef struct EntryCopy
{
	char		location[REEFPG_LOCATION_SIZE];
	char		name[REEFPG_NAMESPACE_SIZE];
	ReefNamespaceStatus status;
	ReefPgMaintenance maintenance;
	uint32		users;			/* besides us */
} EntryCopy;

/* A row under construction. */
typedef struct Row
{
	Datum		values[20];
	bool		nulls[20];
	int			count;
} Row;

static void
add_datum(Row *row, Datum value, bool is_null)
{
	Assert(row->count < (int) lengthof(row->values));
	row->values[row->count] = value;
	row->nulls[row->count++] = is_null;
}

static void
add_int64(Row *row, uint64 number)
{
	add_datum(row, Int64GetDatum((int64) number), false);
}

static void
add_text(Row *row, const char *text)
{
	add_datum(row, CStringGetTextDatum(text), false);
}

/* 0: there is none */
static void
add_time(Row *row, TimestampTz time)
{
	add_datum(row, TimestampTzGetDatum(time), time == 0);
}

static void
add_ms(Row *row, uint64 us)
{
	add_datum(row, Float8GetDatum((double) us / 1000), false);
}

static void
put_row(FunctionCallInfo fcinfo, Row *row)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	Assert(row->count == result->setDesc->natts);
	tuplestore_putvalues(result->setResult, result->setDesc, row->values,
						 row->nulls);
}

static bool
copy_entry(ReefPgEntry *entry, EntryCopy *copy)
{
	if (!entry->in_use || !reefpg_entry_visit(entry))
		return false;
	strlcpy(copy->location, entry->location, sizeof(copy->location));
	strlcpy(copy->name, entry->name, sizeof(copy->name));
	reef_namespace_status(reefpg_host(), entry->shared, &copy->status);
	SpinLockAcquire(&entry->mutex);
	copy->maintenance = entry->maintenance;
	SpinLockRelease(&entry->mutex);
	copy->users = pg_atomic_read_u32(&entry->users) - 1;
	reefpg_entry_release(entry);
	return true;
}

/* Of the jobs that fail, the one that did so last; NULL: none does. */
static const ReefPgJobState *
failing_job(const ReefPgMaintenance *maintenance)
{
	const ReefPgJobState *latest = NULL;

	for (int i = 0; i < REEFPG_JOB_COUNT; i++)
	{
		const ReefPgJobState *job = &maintenance->jobs[i];

		if (job->last_error[0] != '\0' &&
			(latest == NULL || job->last_error_at > latest->last_error_at))
			latest = job;
	}
	return latest;
}

Datum
reef_sql_namespaces(PG_FUNCTION_ARGS)
{
	reefpg_shmem_require();
	InitMaterializedSRF(fcinfo, 0);
	for (int number = 0; number < reefpg_shared->entry_count; number++)
	{
		const ReefPgJobState *failing;
		EntryCopy	copy;
		Row			row = {.count = 0};

		if (!copy_entry(&reefpg_shared->entries[number], &copy))
			continue;
		failing = failing_job(&copy.maintenance);
		add_text(&row, copy.location);
		add_text(&row, copy.name);
		add_datum(&row, BoolGetDatum(copy.status.is_writer), false);
		add_int64(&row, copy.status.epoch);
		add_int64(&row, copy.status.last_lsn);
		add_int64(&row, copy.status.last_applied_lsn);
		add_int64(&row, copy.status.manifest_version);
		add_int64(&row, copy.status.unfolded_records);
		add_int64(&row, copy.status.unfolded_bytes);
		add_int64(&row, copy.status.memtable_bytes);
		add_datum(&row, Int32GetDatum((int32) copy.users), false);
		add_time(&row, copy.maintenance.jobs[REEFPG_JOB_FOLD].last.ended);
		add_datum(&row, Int32GetDatum(failing ? failing->failures : 0), false);
		add_time(&row, failing ? failing->last_error_at : 0);
		add_datum(&row, failing ? CStringGetTextDatum(failing->last_error) : 0,
				  failing == NULL);
		put_row(fcinfo, &row);
	}
	return (Datum) 0;
}

/* What the local cache has done: of reads only. */
static void
add_cached(Row *row, const ReefCacheCounters *cached, bool is_read)
{
	uint64		looks = cached->hits + cached->misses;
	bool		is_null = !is_read || looks + cached->filled_bytes == 0;

	add_datum(row, Int64GetDatum((int64) cached->hits), is_null);
	add_datum(row, Int64GetDatum((int64) cached->misses), is_null);
	add_datum(row, Float8GetDatum(looks == 0 ? 0 :
								  (double) cached->hits / (double) looks),
			  is_null || looks == 0);
	add_datum(row, Int64GetDatum((int64) cached->hit_bytes), is_null);
	add_datum(row, Int64GetDatum((int64) cached->filled_bytes), is_null);
	add_datum(row, Int64GetDatum((int64) cached->evictions), is_null);
}

Datum
reef_sql_stat_store(PG_FUNCTION_ARGS)
{
	static const char *const kinds[REEF_REQUEST_KIND_COUNT] =
	{"put", "get", "head", "list", "delete"};

	reefpg_shmem_require();
	reefpg_count_requests();
	InitMaterializedSRF(fcinfo, 0);
	for (int number = 0; number < REEFPG_STORES_MAX; number++)
	{
		ReefPgStoreLine *line = &reefpg_shared->stores[number];
		ReefRequestCounters counters[REEF_REQUEST_KIND_COUNT];
		ReefCacheCounters cached;
		char		location[REEFPG_LOCATION_SIZE];

		SpinLockAcquire(&line->mutex);
		strlcpy(location, line->location, sizeof(location));
		memcpy(counters, line->counters, sizeof(counters));
		cached = line->cached;
		SpinLockRelease(&line->mutex);
		if (location[0] == '\0')
			continue;
		for (int kind = 0; kind < REEF_REQUEST_KIND_COUNT; kind++)
		{
			const ReefRequestCounters *count = &counters[kind];
			Row			row = {.count = 0};

			if (location[0] == '*' && count->requests == 0)
				continue;
			add_text(&row, location);
			add_text(&row, kinds[kind]);
			add_int64(&row, count->requests);
			add_int64(&row, count->bytes);
			add_int64(&row, count->errors);
			add_int64(&row, count->retries);
			add_ms(&row, count->time_us);
			add_datum(&row, Float8GetDatum(count->requests == 0 ? 0 :
										   (double) count->time_us / 1000 /
										   (double) count->requests),
					  count->requests == 0);
			add_cached(&row, &cached, kind == REEF_REQUEST_GET);
			put_row(fcinfo, &row);
		}
	}
	return (Datum) 0;
}

/* When is it going to be run, as far as that is known? */
static TimestampTz
next_run(const ReefPgMaintenance *maintenance, ReefPgJob job)
{
	const ReefPgJobState *state = &maintenance->jobs[job];

	if (state->failures > 0)
		return state->retry_at;
	if (job == REEFPG_JOB_GC && maintenance->gc_at != 0)
		return Max(maintenance->gc_at, maintenance->gc_not_before);
	return state->due_since;
}

static void
add_last_run(Row *row, const ReefPgJobState *state)
{
	const ReefPgRun *last = &state->last;
	bool		is_never = state->run_count == 0;

	add_time(row, last->ended);
	add_datum(row, Float8GetDatum((double) last->duration_us / 1000), is_never);
	add_datum(row, Int64GetDatum((int64) last->objects_in), is_never);
	add_datum(row, Int64GetDatum((int64) last->objects_out), is_never);
	add_datum(row, Int64GetDatum((int64) last->rows_in), is_never);
	add_datum(row, Int64GetDatum((int64) last->rows_out), is_never);
	add_datum(row, Int64GetDatum((int64) last->bytes_in), is_never);
	add_datum(row, Int64GetDatum((int64) last->bytes_out), is_never);
}

Datum
reef_sql_stat_maintenance(PG_FUNCTION_ARGS)
{
	reefpg_shmem_require();
	InitMaterializedSRF(fcinfo, 0);
	for (int number = 0; number < reefpg_shared->entry_count; number++)
	{
		EntryCopy	copy;

		if (!copy_entry(&reefpg_shared->entries[number], &copy))
			continue;
		for (int job = 0; job < REEFPG_JOB_COUNT; job++)
		{
			ReefPgJobState *state = &copy.maintenance.jobs[job];
			bool		has_failed = state->last_error[0] != '\0';
			Row			row = {.count = 0};

			add_text(&row, copy.location);
			add_text(&row, copy.name);
			add_text(&row, reefpg_job_name((ReefPgJob) job));
			add_datum(&row, Int32GetDatum(state->worker_pid),
					  state->worker_pid == 0);
			add_int64(&row, state->run_count);
			add_last_run(&row, state);
			add_datum(&row, CStringGetTextDatum(has_failed ? "failed" : "ok"),
					  !has_failed && state->run_count == 0);
			add_datum(&row, Int32GetDatum(state->failures), false);
			add_time(&row, state->last_error_at);
			add_datum(&row, CStringGetTextDatum(state->last_error),
					  !has_failed);
			add_time(&row, next_run(&copy.maintenance, (ReefPgJob) job));
			put_row(fcinfo, &row);
		}
	}
	return (Datum) 0;
}

Datum
reef_sql_stat_progress(PG_FUNCTION_ARGS)
{
	reefpg_shmem_require();
	InitMaterializedSRF(fcinfo, 0);
	for (int number = 0; number < reefpg_progress_count(); number++)
	{
		ReefPgProgress *slot = &reefpg_shared->progress[number];
		ReefPgProgress copy;
		ReefPgEntry *entry;
		EntryCopy	entry_copy;
		Row			row = {.count = 0};

		SpinLockAcquire(&slot->mutex);
		copy = *slot;
		SpinLockRelease(&slot->mutex);
		if (copy.pid == 0 || copy.operation == NULL)
			continue;
		/* whoever works on a namespace is a user, so it stays what it is */
		entry = &reefpg_shared->entries[copy.entry_number];
		if (!copy_entry(entry, &entry_copy) ||
			entry->generation != copy.generation)
			continue;
		add_datum(&row, Int32GetDatum(copy.pid), false);
		add_text(&row, copy.operation);
		add_text(&row, entry_copy.location);
		add_text(&row, entry_copy.name);
		add_datum(&row, CStringGetTextDatum(copy.phase),
				  copy.phase[0] == '\0');
		add_int64(&row, copy.done);
		add_datum(&row, Int64GetDatum((int64) copy.total), copy.total == 0);
		add_time(&row, copy.started);
		put_row(fcinfo, &row);
	}
	return (Datum) 0;
}
