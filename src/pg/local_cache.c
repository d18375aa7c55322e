/*
 * local_cache.c
 *	  The local cache of segments in buckets: one index in shared memory, one
 *	  handle a process, and reef_warm().
 *
 * Who may read the cache: it is asked for segments only through a namespace's
 * handle, which a session gets when its own credentials have read the
 * namespace's manifest (check_identity() in namespace.c); what a segment's key
 * is, it learns from that manifest.
 *
 * A cache that cannot be opened is a warning, once for the server: everything
 * works without it.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/shmem.h"
#include "utils/lsyscache.h"

#include "pg/local_cache.h"
#include "pg/shmem.h"
#include "store/store.h"

/* Read at a time while warming, between looks at interrupts. */
#define WARM_CHUNK_SIZE ((Size) 8 * 1024 * 1024)

PG_FUNCTION_INFO_V1(reef_sql_warm);

typedef struct LocalCache
{
	pg_atomic_uint32 has_warned;
	ReefCacheShared *index;
} LocalCache;

static LocalCache *local_cache = NULL;	/* NULL: there is none */

static uint64
cache_bytes(void)
{
	return (uint64) reefpg_cache_size_kb * 1024;
}

Size
reefpg_local_cache_shared_size(void)
{
	if (reefpg_cache_dir[0] == '\0')
		return 0;
	return add_size(MAXALIGN(sizeof(LocalCache)),
					reef_cache_shared_size(cache_bytes()));
}

void
reefpg_local_cache_shared_init(void)
{
	bool		found;

	if (reefpg_local_cache_shared_size() == 0)
		return;
	local_cache = ShmemInitStruct("reef_fdw local cache",
								  reefpg_local_cache_shared_size(), &found);
	if (found)
		return;
	pg_atomic_init_u32(&local_cache->has_warned, 0);
	local_cache->index = (ReefCacheShared *)
		((char *) local_cache + MAXALIGN(sizeof(LocalCache)));
	reef_cache_shared_init(local_cache->index, cache_bytes());
}

ReefCache *
reefpg_local_cache(void)
{
	static ReefCache *cache = NULL;
	static bool has_failed = false;
	ReefError	err;
	ReefCode	rc;

	if (cache != NULL || local_cache == NULL || has_failed)
		return cache;
	reef_error_init(&err);
	rc = reef_cache_open(reefpg_host(), local_cache->index, reefpg_cache_dir,
						 &cache, &err);
	if (rc == REEF_OK)
		return cache;
	has_failed = rc != REEF_CANCELLED;
	if (has_failed && pg_atomic_exchange_u32(&local_cache->has_warned, 1) == 0)
		ereport(WARNING,
				(errmsg("reef_fdw works without its local cache: %s",
						err.message),
				 errdetail("%s", err.detail),
				 errhint("Correct reef.cache_dir or the directory, and restart the server.")));
	return NULL;
}

/* ---- reef_warm ---- */

typedef struct Warming
{
	ReefStore  *store;
	void	   *buffer;			/* WARM_CHUNK_SIZE */
	uint64		total;			/* bytes of segments */
	uint64		done;
	uint64		limit;			/* no more than this */
	uint64		segments;
} Warming;

static ReefCode
add_size_of(void *arg, const ReefSegmentInfo *segment, ReefError *err)
{
	((Warming *) arg)->total += segment->size;
	return REEF_OK;
}

static ReefCode
warm_segment(void *arg, const ReefSegmentInfo *segment, ReefError *err)
{
	Warming    *warming = arg;
	const ReefHost *host = reefpg_host();
	uint64		offset = 0;

	if (segment->size > warming->limit - warming->done)
		return REEF_OK;
	while (offset < segment->size)
	{
		Size		size = Min(WARM_CHUNK_SIZE, segment->size - offset);

		if (host->cancelled(host->arg))
			return reef_error_set(err, REEF_CANCELLED, "cancelled", NULL);
		REEF_TRY(reef_store_get_cached(warming->store, segment->key,
									   segment->size, offset, size,
									   warming->buffer, err));
		offset += size;
		warming->done += size;
		reefpg_progress_update("reading segments", warming->done,
							   warming->total);
	}
	warming->segments++;
	return REEF_OK;
}

static Datum
warm_result(FunctionCallInfo fcinfo, const Warming *warming,
			const ReefCacheCounters *before)
{
	const ReefCacheCounters *after =
	reef_store_cache_counters(warming->store);
	TupleDesc	desc;
	Datum		values[3];
	bool		nulls[3] = {0};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = Int64GetDatum((int64) warming->segments);
	values[1] = Int64GetDatum((int64) warming->done);
	values[2] = Int64GetDatum((int64) (warming->done - (after->hit_bytes -
														before->hit_bytes)));
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values,
											 nulls));
}

Datum
reef_sql_warm(PG_FUNCTION_ARGS)
{
	ReefPgTable *table = reefpg_argument_table(PG_GETARG_OID(0), false);
	ReefNamespace *ns = reefpg_table_namespace(table);
	ReefView   *view = reefpg_view_pin(ns, table, NULL, CurrentMemoryContext);
	Warming		warming = {.store = reefpg_store_get(table->server)};
	ReefCacheCounters before = *reef_store_cache_counters(warming.store);
	ReefError	err;
	ReefCode	rc;

	if (!reef_store_is_cached(warming.store))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there is no local cache for server \"%s\"",
						table->server->name),
				 errhint("Only buckets are cached, if reef.cache_dir names a directory.")));
	warming.limit = reef_cache_capacity(local_cache->index);
	warming.buffer = palloc(WARM_CHUNK_SIZE);
	reef_error_init(&err);
	REEFPG_CHECK(reef_view_segments(view, add_size_of, &warming, &err), &err,
				 NULL);
	reefpg_progress_begin(reefpg_namespace_entry(ns), "warm");
	rc = reef_view_segments(view, warm_segment, &warming, &err);
	reefpg_progress_end();
	reefpg_view_release(view);
	REEFPG_CHECK(rc, &err, NULL);
	if (warming.done < warming.total)
		ereport(NOTICE,
				(errmsg("table \"%s\" is larger than the local cache",
						get_rel_name(PG_GETARG_OID(0))),
				 errhint("Increase reef.cache_size.")));
	PG_RETURN_DATUM(warm_result(fcinfo, &warming, &before));
}
