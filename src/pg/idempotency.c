/*
 * idempotency.c
 *	  reef.idempotency_key: a transaction that may be repeated without harm.
 *
 * The key is looked up when the transaction first writes to a namespace.  If it
 * is known there, all its writes to that namespace are accepted and thrown away,
 * and a NOTICE says so.  If two transactions use it at the same time, the second
 * one fails when it commits (40001); repeated, it finds the key.
 *
 * Heap tables know nothing of the key: what a repetition writes there would be
 * there twice.  So such transactions are refused.  WAL alone does not show them,
 * because sequences and pruning write some too; so we look at which tables
 * statements may change when the executor checks permissions.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "executor/executor.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "pg/compat.h"
#include "pg/reef_fdw.h"

/* Of this transaction: statements that change heap tables, or a partitioned
 * table, which may have such partitions. */
static bool has_heap_writes = false;
static bool has_partitioned_writes = false;

static ExecutorCheckPerms_hook_type previous_hook = NULL;

static void
note_written_table(Oid relid)
{
	char		kind = get_rel_relkind(relid);

	if (kind == RELKIND_PARTITIONED_TABLE)
		has_partitioned_writes = true;
	else if (kind == RELKIND_RELATION &&
			 get_rel_persistence(relid) != RELPERSISTENCE_TEMP)
		has_heap_writes = true;
}

#define CHANGES (ACL_INSERT | ACL_UPDATE | ACL_DELETE)

static bool
look_at_tables(REEFPG_PERMISSION_PARAMETERS)
{
	ListCell   *cell;

	foreach(cell, permissions)
	{
		const ReefPgPermission *permission = lfirst(cell);

		if (OidIsValid(permission->relid) &&
			(permission->requiredPerms & CHANGES))
			note_written_table(permission->relid);
	}
	return previous_hook == NULL ||
		previous_hook(REEFPG_PERMISSION_ARGUMENTS);
}

bool
reefpg_idempotency_begin(ReefTxn *txn, const char *key, const char *relation)
{
	ReefError	err;
	bool		is_known;

	reef_error_init(&err);
	REEFPG_CHECK(reef_txn_set_idempotency_key(txn, reef_slice_of_string(key),
											  &is_known, &err),
				 &err, relation);
	if (is_known)
		ereport(NOTICE,
				(errmsg("a transaction with this idempotency key was applied before: what is written to \"%s\" is discarded",
						relation)));
	return is_known;
}

void
reefpg_idempotency_check_commit(void)
{
	if (has_heap_writes || (has_partitioned_writes && XactLastRecEnd != 0))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a transaction with reef.idempotency_key cannot write to heap tables"),
				 errdetail("If it were repeated they would be written twice.")));
}

void
reefpg_idempotency_at_end(void)
{
	has_heap_writes = false;
	has_partitioned_writes = false;
}

void
reefpg_idempotency_init(void)
{
	previous_hook = ExecutorCheckPerms_hook;
	ExecutorCheckPerms_hook = look_at_tables;
}
