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
#include "utils/timestamp.h"

#include "pg/compat.h"
#include "pg/maintenance.h"
#include "pg/shmem.h"

#define FOLD_RETRY_MS 20

PG_FUNCTION_INFO_V1(reef_sql_fold);
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
