/*
 * stats_sql.c
 *	  The SQL functions that show what is in the store and in memory.
 *
 * The engine calls back once a line and must not be left by an error, so lines
 * are collected in plain memory first and made rows of afterwards.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "pg/shmem.h"

PG_FUNCTION_INFO_V1(reef_sql_stats);
PG_FUNCTION_INFO_V1(reef_sql_segments);
PG_FUNCTION_INFO_V1(reef_sql_manifests);
PG_FUNCTION_INFO_V1(reef_sql_wal);
PG_FUNCTION_INFO_V1(reef_sql_last_lsn);

/* Lines of one size, in memory that survives no error but makes none. */
typedef struct Lines
{
	Size		line_size;
	int			count;
	int			capacity;
	char	   *lines;			/* malloc'd; freed with the context */
	MemoryContextCallback callback;
} Lines;

static void
lines_free(void *arg)
{
	Lines	   *lines = arg;

	free(lines->lines);
}

static Lines *
lines_new(Size line_size)
{
	Lines	   *lines = palloc0(sizeof(Lines));

	lines->line_size = line_size;
	lines->callback.func = lines_free;
	lines->callback.arg = lines;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &lines->callback);
	return lines;
}

static ReefCode
lines_append(Lines *lines, const void *line, ReefError *err)
{
	if (lines->count == lines->capacity)
	{
		int			capacity = lines->capacity == 0 ? 64 : lines->capacity * 2;
		char	   *larger = realloc(lines->lines,
									 capacity * lines->line_size);

		if (larger == NULL)
			return reef_error_no_memory(err, capacity * lines->line_size);
		lines->lines = larger;
		lines->capacity = capacity;
	}
	memcpy(lines->lines + lines->count * lines->line_size, line,
		   lines->line_size);
	lines->count++;
	return REEF_OK;
}

static ReefCode
append_segment(void *arg, const ReefSegmentInfo *line, ReefError *err)
{
	return lines_append(arg, line, err);
}

static ReefCode
append_object(void *arg, const ReefObjectLine *line, ReefError *err)
{
	return lines_append(arg, line, err);
}

static Datum
int64_datum(uint64 number)
{
	return Int64GetDatum((int64) number);
}

/* A time of the store's or the host's; NULL if there is none. */
static Datum
time_datum(int64 unix_us, bool *is_null)
{
	*is_null = unix_us == 0;
	return TimestampTzGetDatum(reefpg_timestamp(unix_us));
}

static ReefPgTable *
table_of_call(FunctionCallInfo fcinfo, ReefNamespace **ns)
{
	ReefPgTable *table = reefpg_argument_table(PG_GETARG_OID(0), false);

	*ns = reefpg_table_namespace(table);
	return table;
}

static Lines *
segments_of_view(const ReefView *view)
{
	Lines	   *lines = lines_new(sizeof(ReefSegmentInfo));
	ReefError	err;

	reef_error_init(&err);
	REEFPG_CHECK(reef_view_segments(view, append_segment, lines, &err),
				 &err, NULL);
	return lines;
}

/* What was put, for what was written; how long writers waited for folds. */
static int
add_traffic(ReefPgTraffic *traffic, Datum *values, bool *nulls, int i)
{
	uint64		user_bytes = pg_atomic_read_u64(&traffic->user_bytes);
	uint64		sum = 0;

	values[i++] = int64_datum(user_bytes);
	for (int kind = 0; kind < REEFPG_PUT_KIND_COUNT; kind++)
	{
		uint64		bytes = pg_atomic_read_u64(&traffic->put_bytes[kind]);

		sum += bytes;
		values[i++] = int64_datum(bytes);
	}
	nulls[i] = user_bytes == 0;
	values[i++] = Float8GetDatum(user_bytes == 0 ? 0 :
								 (double) sum / (double) user_bytes);
	values[i++] = Int32GetDatum((int32)
								pg_atomic_read_u32(&traffic->writers_waiting));
	values[i++] = int64_datum(pg_atomic_read_u64(&traffic->waited_us) / 1000);
	return i;
}

/* Why writers wait; NULL: none does. */
static const char *
backpressure_reason(ReefPgEntry *entry, const ReefNamespaceStatus *status)
{
	bool		is_failing;

	if (pg_atomic_read_u32(&entry->traffic.writers_waiting) == 0)
		return NULL;
	SpinLockAcquire(&entry->mutex);
	is_failing = entry->maintenance.jobs[REEFPG_JOB_FOLD].failures > 0;
	SpinLockRelease(&entry->mutex);
	if (is_failing)
		return "the memtable is full, and folding fails";
	if (status->unfolded_bytes < reefpg_pool_bytes() / 32)
		return "other namespaces fill the memtable";
	return "the memtable is full";
}

Datum
reef_sql_stats(PG_FUNCTION_ARGS)
{
	ReefNamespace *ns;
	ReefPgTable *table = table_of_call(fcinfo, &ns);
	ReefView   *view = reefpg_view_pin(ns, table, NULL, CurrentMemoryContext);
	Lines	   *segments = segments_of_view(view);
	ReefNamespaceStatus status;
	const char *reason;
	int			levels[2] = {0, 0};
	TupleDesc	desc;
	ReefPgEntry *entry;
	Datum		values[28];
	bool		nulls[28] = {0};
	int			i = 0;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	for (int s = 0; s < segments->count; s++)
		levels[((ReefSegmentInfo *) segments->lines)[s].level == 0 ? 0 : 1]++;

	values[i++] = CStringGetTextDatum(table->namespace_name);
	values[i++] = BoolGetDatum(reef_view_exists(view));
	values[i++] = int64_datum(reef_view_row_count(view));
	values[i++] = int64_datum(reef_view_size(view));
	reefpg_view_release(view);
	reef_namespace_status(reefpg_host(), reef_namespace_shared(ns), &status);
	values[i++] = Int32GetDatum(levels[0]);
	values[i++] = Int32GetDatum(levels[1]);
	values[i++] = BoolGetDatum(status.is_writer);
	values[i++] = int64_datum(status.epoch);
	values[i++] = int64_datum(status.last_lsn);
	values[i++] = int64_datum(status.last_applied_lsn);
	values[i++] = int64_datum(status.manifest_version);
	values[i++] = int64_datum(status.unfolded_records);
	values[i++] = int64_datum(status.unfolded_bytes);
	values[i++] = int64_datum(status.memtable_bytes);
	values[i++] = int64_datum(status.generations);
	values[i++] = int64_datum(status.pins);
	values[i++] = int64_datum(status.commits);
	values[i++] = int64_datum(status.records);
	values[i++] = int64_datum(status.fences);
	values[i++] = BoolGetDatum(status.has_pending_aborts);
	entry = reefpg_namespace_entry(ns);
	i = add_traffic(&entry->traffic, values, nulls, i);
	reason = backpressure_reason(entry, &status);
	nulls[i] = reason == NULL;
	values[i++] = reason == NULL ? 0 : CStringGetTextDatum(reason);
	Assert(i == lengthof(values));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc),
													  values, nulls)));
}

Datum
reef_sql_segments(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ReefNamespace *ns;
	ReefPgTable *table = table_of_call(fcinfo, &ns);
	ReefView   *view = reefpg_view_pin(ns, table, NULL, CurrentMemoryContext);
	Lines	   *lines = segments_of_view(view);

	reefpg_view_release(view);
	InitMaterializedSRF(fcinfo, 0);
	for (int line = 0; line < lines->count; line++)
	{
		ReefSegmentInfo *segment = (ReefSegmentInfo *) lines->lines + line;
		Datum		values[9];
		bool		nulls[9] = {0};

		values[0] = CStringGetTextDatum(segment->id);
		values[1] = Int32GetDatum(segment->level);
		values[2] = int64_datum(segment->row_count);
		values[3] = int64_datum(segment->tombstone_count);
		values[4] = int64_datum(segment->superseding_count);
		values[5] = int64_datum(segment->lsn_min);
		values[6] = int64_datum(segment->lsn_max);
		values[7] = int64_datum(segment->size);
		values[8] = CStringGetTextDatum(segment->key);
		tuplestore_putvalues(result->setResult, result->setDesc, values,
							 nulls);
	}
	return (Datum) 0;
}

Datum
reef_sql_manifests(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Lines	   *lines = lines_new(sizeof(ReefObjectLine));
	ReefNamespace *ns;
	ReefError	err;

	(void) table_of_call(fcinfo, &ns);
	reef_error_init(&err);
	REEFPG_CHECK(reef_namespace_manifests(ns, append_object, lines, &err),
				 &err, NULL);
	InitMaterializedSRF(fcinfo, 0);
	for (int line = 0; line < lines->count; line++)
	{
		ReefObjectLine *object = (ReefObjectLine *) lines->lines + line;
		Datum		values[10];
		bool		nulls[10] = {0};

		values[0] = int64_datum(object->number);
		values[1] = BoolGetDatum(object->is_current);
		values[2] = int64_datum(object->last_applied_lsn);
		values[3] = int64_datum(object->epoch);
		values[4] = int64_datum(object->row_count);
		values[5] = int64_datum(object->segment_count);
		nulls[2] = nulls[3] = nulls[4] = nulls[5] = !object->readable;
		values[6] = int64_datum(object->size);
		values[7] = time_datum(object->modified_us, &nulls[7]);
		values[8] = CStringGetTextDatum(object->key);
		nulls[9] = object->readable;
		values[9] = CStringGetTextDatum(object->problem);
		tuplestore_putvalues(result->setResult, result->setDesc, values,
							 nulls);
	}
	return (Datum) 0;
}

Datum
reef_sql_wal(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Lines	   *lines = lines_new(sizeof(ReefObjectLine));
	ReefNamespace *ns;
	ReefError	err;

	(void) table_of_call(fcinfo, &ns);
	reef_error_init(&err);
	REEFPG_CHECK(reef_namespace_wal(ns, append_object, lines, &err),
				 &err, NULL);
	InitMaterializedSRF(fcinfo, 0);
	for (int line = 0; line < lines->count; line++)
	{
		ReefObjectLine *object = (ReefObjectLine *) lines->lines + line;
		Datum		values[9];
		bool		nulls[9] = {0};

		values[0] = int64_datum(object->number);
		values[1] = BoolGetDatum(!object->is_current);
		values[2] = Int32GetDatum((int32) object->frame_count);
		values[3] = int64_datum(object->epoch);
		values[4] = time_datum(object->time_ms * 1000, &nulls[4]);
		nulls[2] = nulls[3] = nulls[4] = !object->readable;
		values[5] = int64_datum(object->size);
		values[6] = time_datum(object->modified_us, &nulls[6]);
		values[7] = CStringGetTextDatum(object->key);
		nulls[8] = object->readable;
		values[8] = CStringGetTextDatum(object->problem);
		tuplestore_putvalues(result->setResult, result->setDesc, values,
							 nulls);
	}
	return (Datum) 0;
}

Datum
reef_sql_last_lsn(PG_FUNCTION_ARGS)
{
	ReefNamespace *ns;
	uint64		lsn;

	(void) table_of_call(fcinfo, &ns);
	lsn = reefpg_xact_last_lsn(ns);
	if (lsn == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64((int64) lsn);
}
