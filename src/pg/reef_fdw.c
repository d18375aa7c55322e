/*
 * reef_fdw.c
 *	  Where PostgreSQL enters: loading the library, and the handler.
 */
#include "postgres.h"

#include "fmgr.h"
#include "foreign/fdwapi.h"
#include "miscadmin.h"

#include "pg/fdw.h"
#include "pg/shmem.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

PG_FUNCTION_INFO_V1(reef_fdw_handler);

void
_PG_init(void)
{
	reefpg_guc_init();
	/* Without shared memory nothing works, and every use says so. */
	if (!process_shared_preload_libraries_in_progress)
		return;

	/* Callbacks run in reverse order of registration: ours goes last. */
	reefpg_xact_init();
	reefpg_idempotency_init();
	reefpg_shmem_init();
	reefpg_worker_init();
}

Datum
reef_fdw_handler(PG_FUNCTION_ARGS)
{
	FdwRoutine *routine = makeNode(FdwRoutine);

	routine->GetForeignRelSize = reefGetForeignRelSize;
	routine->GetForeignPaths = reefGetForeignPaths;
	routine->GetForeignPlan = reefGetForeignPlan;
	routine->BeginForeignScan = reefBeginForeignScan;
	routine->IterateForeignScan = reefIterateForeignScan;
	routine->ReScanForeignScan = reefReScanForeignScan;
	routine->EndForeignScan = reefEndForeignScan;

	routine->AddForeignUpdateTargets = reefAddForeignUpdateTargets;
	routine->PlanForeignModify = reefPlanForeignModify;
	routine->IsForeignRelUpdatable = reefIsForeignRelUpdatable;
	routine->BeginForeignModify = reefBeginForeignModify;
	routine->BeginForeignInsert = reefBeginForeignInsert;
	routine->ExecForeignInsert = reefExecForeignInsert;
	routine->ExecForeignBatchInsert = reefExecForeignBatchInsert;
	routine->GetForeignModifyBatchSize = reefGetForeignModifyBatchSize;
	routine->ExecForeignUpdate = reefExecForeignUpdate;
	routine->ExecForeignDelete = reefExecForeignDelete;
	routine->EndForeignModify = reefEndForeignModify;
	routine->EndForeignInsert = reefEndForeignInsert;

	routine->ExplainForeignScan = reefExplainForeignScan;
	routine->AnalyzeForeignTable = reefAnalyzeForeignTable;
	routine->ImportForeignSchema = reefImportForeignSchema;

	PG_RETURN_POINTER(routine);
}
