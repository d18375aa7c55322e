/*
 * maintenance_all.c
 *	  The procedures that maintain all tables, for schedulers.
 *
 * Each table is done in a transaction of its own, so that a long call holds
 * nothing up, and what fails with one table is a warning: the others get their
 * turn all the same.  Tables that the caller may not maintain, or that are
 * read-only, are left out without a word.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_foreign_table.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "foreign/fdwapi.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/resowner.h"

#include "pg/compat.h"
#include "pg/fdw.h"
#include "pg/maintenance.h"

PG_FUNCTION_INFO_V1(reef_sql_fold_all);
PG_FUNCTION_INFO_V1(reef_sql_compact_all);
PG_FUNCTION_INFO_V1(reef_sql_gc_all);

typedef void (*MaintainTable) (ReefNamespace *ns, bool full);

static bool
is_reef_server(Oid serverid)
{
	ForeignServer *server = GetForeignServer(serverid);

	return OidIsValid(GetForeignDataWrapper(server->fdwid)->fdwhandler) &&
		GetFdwRoutineByServerId(serverid)->GetForeignRelSize ==
		reefGetForeignRelSize;
}

static List *
maintainable_tables(MemoryContext context)
{
	Relation	catalog = table_open(ForeignTableRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0,
										  NULL);
	List	   *tables = NIL;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_foreign_table form;
		MemoryContext old_context;

		form = (Form_pg_foreign_table) GETSTRUCT(tuple);
		if (!is_reef_server(form->ftserver) ||
			!REEFPG_MAY_MAINTAIN(form->ftrelid, GetUserId()))
			continue;
		old_context = MemoryContextSwitchTo(context);
		tables = lappend_oid(tables, form->ftrelid);
		MemoryContextSwitchTo(old_context);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return tables;
}

/* Whoever asks us to stop means all tables. */
static bool
is_request_to_stop(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_QUERY_CANCELED ||
		ERRCODE_TO_CATEGORY(error->sqlerrcode) ==
		ERRCODE_TO_CATEGORY(ERRCODE_ADMIN_SHUTDOWN);
}

static void
maintain_table(Oid relid, MaintainTable maintain, bool full)
{
	char	   *name = get_rel_name(relid);
	ReefPgTable *table;

	if (name == NULL)
		return;					/* dropped meanwhile */
	table = reefpg_argument_table(relid, true);
	if (table->read_only || table->server->read_only)
		return;
	maintain(reefpg_table_namespace(table), full);
}

/* As one subtransaction, which is undone after an error. */
static void
try_table(Oid relid, MaintainTable maintain, bool full, MemoryContext context)
{
	ResourceOwner owner = CurrentResourceOwner;
	MemoryContext old_context = MemoryContextSwitchTo(context);

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		maintain_table(relid, maintain, full);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;
		char	   *name;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (is_request_to_stop(error))
			ReThrowError(error);
		name = get_rel_name(relid);
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("table \"%s\" was left out: %s",
						name == NULL ? "" : name, error->message),
				 error->detail ? errdetail_internal("%s", error->detail) : 0));
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old_context);
	CurrentResourceOwner = owner;
	MemoryContextReset(context);
}

static void
maintain_all(FunctionCallInfo fcinfo, const char *name, MaintainTable maintain,
			 bool full)
{
	CallContext *call = (CallContext *) fcinfo->context;
	MemoryContext context;
	MemoryContext table_context;
	List	   *tables;
	ListCell   *cell;

	PreventCommandIfReadOnly(name);
	if (call == NULL || !IsA(call, CallContext) || call->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("%s cannot run inside a transaction block", name),
				 errdetail("It commits after each table.")));
	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	/* the portal outlives the transactions */
	context = AllocSetContextCreate(PortalContext, "reef maintenance",
									ALLOCSET_DEFAULT_SIZES);
	table_context = AllocSetContextCreate(context, "reef table",
										  ALLOCSET_DEFAULT_SIZES);
	tables = maintainable_tables(context);
	foreach(cell, tables)
	{
		try_table(lfirst_oid(cell), maintain, full, table_context);
		SPI_commit();
		CHECK_FOR_INTERRUPTS();
	}
	SPI_finish();
	MemoryContextDelete(context);
}

static void
fold_namespace(ReefNamespace *ns, bool full)
{
	ReefFoldResult total = {0};

	reefpg_maintain_fold(ns, &total);
}

static void
compact_namespace(ReefNamespace *ns, bool full)
{
	ReefCompactResult total = {0};

	(void) reefpg_maintain_compact(ns, full, &total);
}

static void
collect_namespace(ReefNamespace *ns, bool full)
{
	reefpg_maintain_gc(ns);
}

Datum
reef_sql_fold_all(PG_FUNCTION_ARGS)
{
	maintain_all(fcinfo, "reef_fold_all()", fold_namespace, false);
	PG_RETURN_VOID();
}

Datum
reef_sql_compact_all(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("full must not be null")));
	maintain_all(fcinfo, "reef_compact_all()", compact_namespace,
				 PG_GETARG_BOOL(0));
	PG_RETURN_VOID();
}

Datum
reef_sql_gc_all(PG_FUNCTION_ARGS)
{
	maintain_all(fcinfo, "reef_gc_all()", collect_namespace, false);
	PG_RETURN_VOID();
}
