/*
 * monitor.c
 *	  The shared tables behind reef_stat_store and reef_stat_progress.
 *
 * Requests are counted where they are made, in each process by itself and
 * without a lock; adding the difference up once a transaction, or once a second
 * in a long operation, costs nothing that could be measured.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/timestamp.h"

#include "pg/monitor.h"
#include "pg/shmem.h"

static ReefPgProgress *my_progress = NULL;

int
reefpg_progress_count(void)
{
	/* One for each process there can be. */
	return MaxBackends;
}

Size
reefpg_monitor_shared_size(void)
{
	return add_size(MAXALIGN(mul_size(REEFPG_STORES_MAX,
									  sizeof(ReefPgStoreLine))),
					MAXALIGN(mul_size(reefpg_progress_count(),
									  sizeof(ReefPgProgress))));
}

char *
reefpg_monitor_init(ReefPgShared *shared, char *memory)
{
	memset(memory, 0, reefpg_monitor_shared_size());
	shared->stores = (ReefPgStoreLine *) memory;
	for (int i = 0; i < REEFPG_STORES_MAX; i++)
		SpinLockInit(&shared->stores[i].mutex);
	strlcpy(shared->stores[REEFPG_STORES_MAX - 1].location, "*",
			sizeof(shared->stores->location));
	shared->progress = (ReefPgProgress *)
		(memory + MAXALIGN(REEFPG_STORES_MAX * sizeof(ReefPgStoreLine)));
	for (int i = 0; i < reefpg_progress_count(); i++)
		SpinLockInit(&shared->progress[i].mutex);
	return memory + reefpg_monitor_shared_size();
}

void
reefpg_traffic_init(ReefPgTraffic *traffic)
{
	pg_atomic_init_u64(&traffic->user_bytes, 0);
	for (int i = 0; i < REEFPG_PUT_KIND_COUNT; i++)
		pg_atomic_init_u64(&traffic->put_bytes[i], 0);
	pg_atomic_init_u32(&traffic->writers_waiting, 0);
	pg_atomic_init_u64(&traffic->waited_us, 0);
}

/* For another namespace; nobody waits there, for nobody uses the entry. */
void
reefpg_traffic_reset(ReefPgTraffic *traffic)
{
	pg_atomic_write_u64(&traffic->user_bytes, 0);
	for (int i = 0; i < REEFPG_PUT_KIND_COUNT; i++)
		pg_atomic_write_u64(&traffic->put_bytes[i], 0);
	pg_atomic_write_u64(&traffic->waited_us, 0);
}

/* The line of a location, locked; the last one if there is no room. */
static ReefPgStoreLine *
lock_line(const char *location)
{
	ReefPgStoreLine *line;

	for (int i = 0; i < REEFPG_STORES_MAX - 1; i++)
	{
		line = &reefpg_shared->stores[i];
		SpinLockAcquire(&line->mutex);
		if (line->location[0] == '\0')
			strlcpy(line->location, location, sizeof(line->location));
		if (strcmp(line->location, location) == 0)
			return line;
		SpinLockRelease(&line->mutex);
	}
	line = &reefpg_shared->stores[REEFPG_STORES_MAX - 1];
	SpinLockAcquire(&line->mutex);
	return line;
}

void
reefpg_store_line_add(ReefStore *store, ReefPgCounted *counted)
{
	const ReefRequestCounters *counters = reef_store_counters(store);
	const ReefCacheCounters *cached = reef_store_cache_counters(store);
	ReefPgStoreLine *line;

	if (memcmp(counters, counted->requests, sizeof(counted->requests)) == 0 &&
		memcmp(cached, &counted->cached, sizeof(*cached)) == 0)
		return;
	line = lock_line(reef_store_location(store));
	for (int i = 0; i < REEF_REQUEST_KIND_COUNT; i++)
	{
		const ReefRequestCounters *old = &counted->requests[i];
		ReefRequestCounters *sum = &line->counters[i];

		sum->requests += counters[i].requests - old->requests;
		sum->errors += counters[i].errors - old->errors;
		sum->retries += counters[i].retries - old->retries;
		sum->bytes += counters[i].bytes - old->bytes;
		sum->time_us += counters[i].time_us - old->time_us;
	}
	line->cached.hits += cached->hits - counted->cached.hits;
	line->cached.misses += cached->misses - counted->cached.misses;
	line->cached.hit_bytes += cached->hit_bytes - counted->cached.hit_bytes;
	line->cached.filled_bytes += cached->filled_bytes -
		counted->cached.filled_bytes;
	line->cached.evictions += cached->evictions - counted->cached.evictions;
	SpinLockRelease(&line->mutex);
	memcpy(counted->requests, counters, sizeof(counted->requests));
	counted->cached = *cached;
}

static bool
progress_try(ReefPgProgress *progress)
{
	bool		is_ours = false;

	SpinLockAcquire(&progress->mutex);
	if (progress->pid == 0)
	{
		progress->pid = MyProcPid;
		is_ours = true;
	}
	SpinLockRelease(&progress->mutex);
	return is_ours;
}

void
reefpg_progress_begin(ReefPgEntry *entry, const char *operation)
{
	TimestampTz now = GetCurrentTimestamp();

	for (int i = 0; my_progress == NULL && i < reefpg_progress_count(); i++)
	{
		if (progress_try(&reefpg_shared->progress[i]))
			my_progress = &reefpg_shared->progress[i];
	}
	if (my_progress == NULL)
		return;
	SpinLockAcquire(&my_progress->mutex);
	my_progress->operation = operation;
	my_progress->entry_number = (int) (entry - reefpg_shared->entries);
	my_progress->generation = entry->generation;
	my_progress->phase[0] = '\0';
	my_progress->done = 0;
	my_progress->total = 0;
	my_progress->started = now;
	SpinLockRelease(&my_progress->mutex);
}

void
reefpg_progress_update(const char *phase, uint64 done, uint64 total)
{
	if (my_progress == NULL)
		return;
	SpinLockAcquire(&my_progress->mutex);
	strlcpy(my_progress->phase, phase, REEFPG_PHASE_SIZE);
	my_progress->done = done;
	my_progress->total = total;
	SpinLockRelease(&my_progress->mutex);
}

void
reefpg_progress_end(void)
{
	if (my_progress == NULL)
		return;
	SpinLockAcquire(&my_progress->mutex);
	my_progress->operation = NULL;
	my_progress->pid = 0;
	SpinLockRelease(&my_progress->mutex);
	my_progress = NULL;
}
