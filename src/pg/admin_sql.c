/*
 * admin_sql.c
 *	  The SQL functions that change something in the store.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/xact.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "foreign/fdwapi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "pg/compat.h"
#include "pg/fdw.h"
#include "pg/shmem.h"

#define FOLD_RETRY_MS 20

PG_FUNCTION_INFO_V1(reef_sql_fold);
PG_FUNCTION_INFO_V1(reef_sql_drop_namespace);

/* What a worker has failed to do is done. */
static void
note_fold(ReefPgEntry *entry)
{
	TimestampTz now = GetCurrentTimestamp();

	SpinLockAcquire(&entry->mutex);
	entry->maintenance.last_fold = now;
	entry->maintenance.failures = 0;
	entry->maintenance.retry_at = 0;
	entry->maintenance.last_error[0] = '\0';
	SpinLockRelease(&entry->mutex);
}

static bool
is_reef_table(Relation relation)
{
	return relation->rd_rel->relkind == RELKIND_FOREIGN_TABLE &&
		GetFdwRoutineForRelation(relation, false)->GetForeignRelSize ==
		reefGetForeignRelSize;
}

ReefPgTable *
reefpg_argument_table(Oid relid, bool for_change)
{
	Relation	relation = relation_open(relid, AccessShareLock);
	Oid			userid = GetUserId();
	ReefPgTable *table;

	if (!is_reef_table(relation))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a reef table",
						RelationGetRelationName(relation))));
	if (for_change ? !REEFPG_MAY_MAINTAIN(relid, userid) :
		pg_class_aclcheck(relid, userid, ACL_SELECT) != ACLCHECK_OK)
		aclcheck_error(for_change ? ACLCHECK_NOT_OWNER : ACLCHECK_NO_PRIV,
					   OBJECT_FOREIGN_TABLE,
					   RelationGetRelationName(relation));
	table = reefpg_table_load(relation, userid);
	relation_close(relation, NoLock);
	return table;
}

/*
 * Fold all that was committed before the call.  What a transaction that is
 * just ending has put cannot be folded yet, so it is waited for.
 */
Datum
reef_sql_fold(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	ReefPgTable *table;
	ReefNamespace *ns;
	ReefFoldResult total = {0};
	TupleDesc	desc;
	Datum		values[5];
	bool		nulls[5] = {0};

	PreventCommandIfReadOnly("reef_fold()");
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	table = reefpg_argument_table(relid, true);
	ns = reefpg_table_namespace(table);

	for (;;)
	{
		ReefFoldResult result = {0};
		ReefError	err;

		reef_error_init(&err);
		REEFPG_CHECK(reef_fold(ns, &result, &err), &err, NULL);
		if (result.folded)
			note_fold(reefpg_namespace_entry(ns));
		total.rows += result.rows;
		total.segments += result.segments;
		total.bytes += result.bytes;
		total.manifest_version = result.manifest_version;
		total.last_applied_lsn = result.last_applied_lsn;
		if (!result.waiting)
			break;
		CHECK_FOR_INTERRUPTS();
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 FOLD_RETRY_MS, reefpg_wait_event());
		ResetLatch(MyLatch);
	}

	values[0] = Int64GetDatum((int64) total.rows);
	values[1] = Int64GetDatum((int64) total.segments);
	values[2] = Int64GetDatum((int64) total.bytes);
	values[3] = Int64GetDatum((int64) total.manifest_version);
	values[4] = Int64GetDatum((int64) total.last_applied_lsn);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc),
													  values, nulls)));
}

/* A procedure, because no ROLLBACK brings the objects back. */
Datum
reef_sql_drop_namespace(PG_FUNCTION_ARGS)
{
	CallContext *context = (CallContext *) fcinfo->context;
	Oid			userid = GetUserId();
	char	   *server_name;
	ForeignServer *foreign_server;
	ReefPgServer *server;
	ReefNamespace *ns;
	uint64_t	object_count;
	ReefError	err;

	PreventCommandIfReadOnly("reef_drop_namespace()");
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("server and namespace must not be null")));
	if (context != NULL && IsA(context, CallContext) && context->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("reef_drop_namespace() cannot run inside a transaction block"),
				 errdetail("It cannot be rolled back.")));
	server_name = NameStr(*PG_GETARG_NAME(0));
	foreign_server = GetForeignServerByName(server_name, false);
	if (!REEFPG_SERVER_OWNERCHECK(foreign_server->serverid, userid))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_FOREIGN_SERVER, server_name);
	if (GetFdwRoutineByServerId(foreign_server->serverid)->GetForeignRelSize !=
		reefGetForeignRelSize)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("server \"%s\" is not a reef server", server_name)));

	server = reefpg_server_load(foreign_server->serverid, userid);
	reefpg_server_check_use(server);
	ns = reefpg_namespace_get(server, text_to_cstring(PG_GETARG_TEXT_PP(1)));
	reef_error_init(&err);
	REEFPG_CHECK(reef_namespace_drop(ns, &object_count, &err), &err, NULL);
	PG_RETURN_VOID();
}
