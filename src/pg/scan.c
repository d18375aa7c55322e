/*
 * scan.c
 *	  The executor's side of reading.
 *
 * What a scan sees is settled when it begins: for a cursor that is when it is
 * declared, long before the first row is fetched.  So the view is pinned, and
 * the transaction's own writes are looked up, in BeginForeignScan; the ranges
 * of keys wait for the first row, because a nested loop's values are not known
 * before.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/plannodes.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "pg/compat.h"
#include "pg/fdw.h"
#include "pg/scan.h"

Oid
reefpg_scan_userid(ForeignScanState *node)
{
	Oid			userid = REEFPG_SCAN_USERID(node);

	return OidIsValid(userid) ? userid : GetUserId();
}

void
reefBeginForeignScan(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = castNode(ForeignScan, node->ss.ps.plan);
	EState	   *estate = node->ss.ps.state;
	Relation	relation = node->ss.ss_currentRelation;
	ReefPgScanState *state;
	ReefPgTable *table;
	List	   *key_plan = list_nth(plan->fdw_private, SCAN_PLAN_KEY);

	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	state = palloc0(sizeof(ReefPgScanState));
	table = reefpg_table_load(relation, reefpg_scan_userid(node));
	state->reader =
		reefpg_reader_new(relation, table,
						  list_nth(plan->fdw_private, SCAN_PLAN_ATTRIBUTES),
						  intVal(list_nth(plan->fdw_private,
										  SCAN_PLAN_IDENTITY)) != 0,
						  estate->es_snapshot, estate->es_snapshot->curcid);
	if (key_plan != NIL)
		state->ranges = reefpg_key_ranges_new(table, key_plan, plan->fdw_exprs,
											  &node->ss.ps);
	node->fdw_state = state;
}

/* Before the first row of the first range; false if there is no range. */
static bool
position_first(ForeignScanState *node, ReefPgScanState *state)
{
	state->is_positioned = true;
	state->next_range = 0;
	if (state->ranges == NULL)
	{
		reefpg_reader_restart(state->reader, NULL);
		return true;
	}
	reefpg_key_ranges_build(state->ranges, node->ss.ps.ps_ExprContext);
	if (reefpg_key_ranges_count(state->ranges) == 0)
		return false;
	reefpg_reader_restart(state->reader,
						  reefpg_key_ranges_get(state->ranges,
												state->next_range++));
	return true;
}

TupleTableSlot *
reefIterateForeignScan(ForeignScanState *node)
{
	ReefPgScanState *state = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;

	if (!state->is_positioned && !position_first(node, state))
		return ExecClearTuple(slot);
	for (;;)
	{
		if (state->ranges != NULL && state->next_range == 0)
			return ExecClearTuple(slot);
		if (reefpg_reader_next(state->reader, slot))
			return slot;
		if (state->ranges == NULL ||
			state->next_range == reefpg_key_ranges_count(state->ranges))
			return ExecClearTuple(slot);
		CHECK_FOR_INTERRUPTS();
		reefpg_reader_restart(state->reader,
							  reefpg_key_ranges_get(state->ranges,
													state->next_range++));
	}
}

void
reefReScanForeignScan(ForeignScanState *node)
{
	ReefPgScanState *state = node->fdw_state;

	if (state != NULL)
		state->is_positioned = false;
}

void
reefEndForeignScan(ForeignScanState *node)
{
	ReefPgScanState *state = node->fdw_state;

	if (state != NULL)
		reefpg_reader_close(state->reader);
}
