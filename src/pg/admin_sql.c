/*
 * admin_sql.c
 *	  What the SQL functions have to do with their table, and
 *	  reef_drop_namespace.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "foreign/fdwapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "pg/compat.h"
#include "pg/fdw.h"
#include "pg/shmem.h"

PG_FUNCTION_INFO_V1(reef_sql_drop_namespace);

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
