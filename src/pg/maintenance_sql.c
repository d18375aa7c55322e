/*
 * maintenance_sql.c
 *	  The SQL functions that maintain one table: fold, compact, collect garbage,
 *	  verify, repair, rebuild.
 *
 * The last four report what they find object by object.  The engine calls back
 * from its middle and must not be left by an error, and a large table has more
 * objects than memory.  So each line goes into a tuplestore there and then, and
 * an error that this raises is kept until the engine has returned.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/datetime.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "pg/compat.h"
#include "pg/maintenance.h"
#include "pg/shmem.h"

#define FOLD_RETRY_MS 20
/* How often a compaction that was overtaken begins again. */
#define STALE_TRIES 3
#define LINE_COLUMNS_MAX 6

PG_FUNCTION_INFO_V1(reef_sql_fold);
PG_FUNCTION_INFO_V1(reef_sql_compact);
PG_FUNCTION_INFO_V1(reef_sql_gc);
PG_FUNCTION_INFO_V1(reef_sql_verify);
PG_FUNCTION_INFO_V1(reef_sql_repair);
PG_FUNCTION_INFO_V1(reef_sql_rebuild);

/* Where the lines of a function go. */
typedef struct LineSink
{
	Tuplestorestate *tuples;
	AttInMetadata *input;
	MemoryContext context;		/* of one line */
	MemoryContext outer;		/* of the error */
	ErrorData  *error;			/* NULL: none so far */
} LineSink;

/* ---- fold ---- */

void
reefpg_maintain_fold(ReefNamespace *ns, ReefFoldResult *total)
{
	for (;;)
	{
		ReefFoldResult result = {0};
		ReefPgRun	run;
		ReefError	err;

		reef_error_init(&err);
		REEFPG_CHECK(reefpg_run_fold(ns, &result, &run, &err), &err, NULL);
		if (result.folded)
			reefpg_job_note(reefpg_namespace_entry(ns), &run);
		total->rows += result.rows;
		total->segments += result.segments;
		total->bytes += result.bytes;
		total->manifest_version = result.manifest_version;
		total->last_applied_lsn = result.last_applied_lsn;
		if (!result.waiting)
			break;
		CHECK_FOR_INTERRUPTS();
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 FOLD_RETRY_MS,
						 reefpg_wait_event(REEFPG_WAIT_TRANSACTIONS));
		ResetLatch(MyLatch);
	}
}

static ReefNamespace *
namespace_of_call(FunctionCallInfo fcinfo)
{
	return reefpg_table_namespace(reefpg_argument_table(PG_GETARG_OID(0),
														true));
}

static Datum
row_datum(FunctionCallInfo fcinfo, const uint64 *numbers, int count)
{
	TupleDesc	desc;
	Datum		values[8];
	bool		nulls[8] = {0};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	Assert(count <= (int) lengthof(values) && count == desc->natts);
	for (int i = 0; i < count; i++)
		values[i] = Int64GetDatum((int64) numbers[i]);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values,
											 nulls));
}

/*
 * Fold all that was committed before the call.  What a transaction that is
 * just ending has put cannot be folded yet, so it is waited for.
 */
Datum
reef_sql_fold(PG_FUNCTION_ARGS)
{
	ReefFoldResult total = {0};

	PreventCommandIfReadOnly("reef_fold()");
	reefpg_maintain_fold(namespace_of_call(fcinfo), &total);
	PG_RETURN_DATUM(row_datum(fcinfo, (uint64[])
							  {
								  total.rows, total.segments, total.bytes,
								  total.manifest_version,
								  total.last_applied_lsn
							  }, 5));
}

/* ---- compact ---- */

static void
add_compaction(ReefCompactResult *total, const ReefCompactResult *result)
{
	total->segments_in += result->segments_in;
	total->segments_out += result->segments_out;
	total->rows_in += result->rows_in;
	total->rows_out += result->rows_out;
	total->bytes_in += result->bytes_in;
	total->bytes_out += result->bytes_out;
	total->manifest_version = result->manifest_version;
}

int
reefpg_maintain_compact(ReefNamespace *ns, bool full, ReefCompactResult *total)
{
	int			merges = 0;
	int			stale_tries = 0;

	/* One run of everything: also of what is not in segments yet. */
	if (full)
	{
		ReefFoldResult folded = {0};

		reefpg_maintain_fold(ns, &folded);
	}
	for (;;)
	{
		ReefCompactResult result = {0};
		ReefPgRun	run;
		ReefError	err;

		CHECK_FOR_INTERRUPTS();
		reef_error_init(&err);
		REEFPG_CHECK(reefpg_run_compact(ns, full, &result, &run, &err), &err,
					 NULL);
		if (result.compacted)
		{
			merges++;
			add_compaction(total, &result);
			reefpg_job_note(reefpg_namespace_entry(ns), &run);
		}
		else if (!result.is_stale)
			return merges;
		else if (++stale_tries == STALE_TRIES)
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("another server changed namespace \"%s\" while it was compacted",
							reef_namespace_name(ns)),
					 errhint("Let only one server maintain a namespace.")));
	}
}

Datum
reef_sql_compact(PG_FUNCTION_ARGS)
{
	ReefCompactResult total = {0};
	int			merges;

	PreventCommandIfReadOnly("reef_compact()");
	merges = reefpg_maintain_compact(namespace_of_call(fcinfo),
									 PG_GETARG_BOOL(1), &total);
	PG_RETURN_DATUM(row_datum(fcinfo, (uint64[])
							  {
								  (uint64) merges, total.segments_in,
								  total.segments_out, total.rows_in,
								  total.rows_out, total.bytes_in,
								  total.bytes_out
							  }, 7));
}

/* ---- lines ---- */

static void
sink_init(LineSink *sink, FunctionCallInfo fcinfo)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	sink->tuples = result->setResult;
	sink->input = TupleDescGetAttInMetadata(result->setDesc);
	sink->context = AllocSetContextCreate(CurrentMemoryContext, "reef line",
										  ALLOCSET_SMALL_SIZES);
	sink->outer = CurrentMemoryContext;
	sink->error = NULL;
}

/* Values as text, NULL for null. */
static ReefCode
sink_put(LineSink *sink, const char *const *texts, ReefError *err)
{
	int			count = sink->input->tupdesc->natts;
	MemoryContext old_context = MemoryContextSwitchTo(sink->context);

	Assert(count <= LINE_COLUMNS_MAX);
	PG_TRY();
	{
		char	   *values[LINE_COLUMNS_MAX];

		for (int i = 0; i < count; i++)
			values[i] = texts[i] == NULL ? NULL : pstrdup(texts[i]);
		tuplestore_puttuple(sink->tuples,
							BuildTupleFromCStrings(sink->input, values));
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(sink->outer);
		sink->error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old_context);
	MemoryContextReset(sink->context);
	if (sink->error != NULL)
		return reef_error_set(err, REEF_CANCELLED, "could not store a row",
							  NULL);
	return REEF_OK;
}

/* The engine has returned: now errors may be raised. */
static void
sink_finish(LineSink *sink, ReefCode rc, ReefError *err)
{
	reefpg_progress_end();
	reefpg_count_requests();
	if (sink->error != NULL)
		ReThrowError(sink->error);
	REEFPG_CHECK(rc, err, NULL);
}

/* ---- gc ---- */

typedef struct GarbageSink
{
	LineSink	lines;
	bool		dry_run;
} GarbageSink;

static ReefCode
put_garbage(void *arg, const ReefGarbage *garbage, ReefError *err)
{
	GarbageSink *sink = arg;
	char		bytes[32];
	char		modified[MAXDATELEN + 1];
	const char *texts[6];

	snprintf(bytes, sizeof(bytes), UINT64_FORMAT, (uint64) garbage->size);
	strlcpy(modified,
			timestamptz_to_str(reefpg_timestamp(garbage->modified_us)),
			sizeof(modified));
	texts[0] = garbage->failed ? "failed" :
		sink->dry_run ? "would delete" : "delete";
	texts[1] = garbage->key;
	texts[2] = garbage->reason;
	texts[3] = bytes;
	texts[4] = garbage->modified_us == 0 ? NULL : modified;
	texts[5] = garbage->failed ? garbage->problem : NULL;
	return sink_put(&sink->lines, texts, err);
}

static ReefCode
count_failure(void *arg, const ReefGarbage *garbage, ReefError *err)
{
	if (garbage->failed)
		ereport(WARNING,
				(errmsg("could not delete object \"%s\"", garbage->key),
				 errdetail("%s", garbage->problem)));
	return REEF_OK;
}

void
reefpg_maintain_gc(ReefNamespace *ns)
{
	ReefGcResult result = {0};
	ReefPgRun	run;
	ReefError	err;

	reef_error_init(&err);
	REEFPG_CHECK(reefpg_run_gc(ns, false, count_failure, NULL, &result, &run,
							   &err), &err, NULL);
	if (result.objects > 0 && result.failures == 0)
		reefpg_job_note(reefpg_namespace_entry(ns), &run);
}

Datum
reef_sql_gc(PG_FUNCTION_ARGS)
{
	GarbageSink sink = {.dry_run = PG_GETARG_BOOL(1)};
	ReefGcResult result = {0};
	ReefPgRun	run;
	ReefNamespace *ns;
	ReefError	err;
	ReefCode	rc;

	if (!sink.dry_run)
		PreventCommandIfReadOnly("reef_gc()");
	ns = namespace_of_call(fcinfo);
	sink_init(&sink.lines, fcinfo);
	reef_error_init(&err);
	rc = reefpg_run_gc(ns, sink.dry_run, put_garbage, &sink, &result, &run,
					   &err);
	sink_finish(&sink.lines, rc, &err);
	if (!sink.dry_run && result.objects > 0 && result.failures == 0)
		reefpg_job_note(reefpg_namespace_entry(ns), &run);
	return (Datum) 0;
}

/* ---- verify, repair, rebuild ---- */

static ReefCode
put_finding(void *arg, const ReefFinding *finding, ReefError *err)
{
	const char *texts[4] = {"info", finding->object, finding->check_name,
	finding->detail};

	switch (finding->severity)
	{
		case REEF_SEVERITY_INFO:
			break;
		case REEF_SEVERITY_WARNING:
			texts[0] = "warning";
			break;
		case REEF_SEVERITY_ERROR:
			texts[0] = "error";
			break;
	}
	return sink_put(arg, texts, err);
}

Datum
reef_sql_verify(PG_FUNCTION_ARGS)
{
	ReefNamespace *ns = namespace_of_call(fcinfo);
	LineSink	sink;
	ReefError	err;
	ReefCode	rc;

	sink_init(&sink, fcinfo);
	reef_error_init(&err);
	reefpg_progress_begin(reefpg_namespace_entry(ns), "verify");
	rc = reef_verify(ns, PG_GETARG_BOOL(1), put_finding, &sink, &err);
	sink_finish(&sink, rc, &err);
	return (Datum) 0;
}

static ReefCode
put_action(void *arg, const ReefAction *action, ReefError *err)
{
	const char *const texts[3] = {action->action, action->object,
	action->detail};

	return sink_put(arg, texts, err);
}

Datum
reef_sql_repair(PG_FUNCTION_ARGS)
{
	bool		dry_run = PG_GETARG_BOOL(1);
	ReefNamespace *ns;
	LineSink	sink;
	ReefError	err;
	ReefCode	rc;

	if (!dry_run)
		PreventCommandIfReadOnly("reef_repair()");
	ns = namespace_of_call(fcinfo);
	sink_init(&sink, fcinfo);
	reef_error_init(&err);
	reefpg_progress_begin(reefpg_namespace_entry(ns), "repair");
	rc = reef_repair(ns, dry_run, put_action, &sink, &err);
	sink_finish(&sink, rc, &err);
	return (Datum) 0;
}

Datum
reef_sql_rebuild(PG_FUNCTION_ARGS)
{
	bool		dry_run = PG_GETARG_BOOL(1);
	ReefNamespace *ns;
	LineSink	sink;
	ReefError	err;
	ReefCode	rc;

	if (!dry_run)
		PreventCommandIfReadOnly("reef_rebuild()");
	ns = namespace_of_call(fcinfo);
	sink_init(&sink, fcinfo);
	reef_error_init(&err);
	reefpg_progress_begin(reefpg_namespace_entry(ns), "rebuild");
	rc = reef_rebuild(ns, dry_run, put_action, &sink, &err);
	sink_finish(&sink, rc, &err);
	return (Datum) 0;
}
