/*
 * modify_begin.c
 *	  Preparing a target table for the rows of a statement, and letting go.
 *
 * Three ways lead here: a statement's own target, a partition that rows are
 * routed into, and COPY.  Nothing is opened or locked in the store before the
 * first row is written, so a statement that changes nothing costs nothing.
 *
 * Rows may be routed into a table that the same UPDATE also changes.  That is
 * safe, because the scan of a command never sees what the command itself has
 * written; the table's state then serves both.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/xact.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/plannodes.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "pg/compat.h"
#include "pg/fdw.h"
#include "pg/modify.h"
#include "pg/scan.h"

static Oid
target_userid(ResultRelInfo *rinfo, EState *estate)
{
	Oid			userid = reefpg_target_userid(rinfo, estate);

	return OidIsValid(userid) ? userid : GetUserId();
}

static void
release_key(void *arg)
{
	reef_buf_release(&((ReefPgModifyState *) arg)->key);
}

static ReefPgModifyState *
state_new(EState *estate, ResultRelInfo *rinfo)
{
	MemoryContext old_context = MemoryContextSwitchTo(estate->es_query_cxt);
	ReefPgModifyState *state = palloc0(sizeof(ReefPgModifyState));
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));
	int			column_count;

	state->relation = rinfo->ri_RelationDesc;
	state->table = reefpg_table_load(state->relation,
									 target_userid(rinfo, estate));
	state->converter = reefpg_converter_new(state->table,
											RelationGetDescr(state->relation));
	column_count = Max(1, state->table->schema.column_count);
	state->values = reefpg_values_new(column_count);
	state->changed = palloc0(column_count * sizeof(bool));
	state->column_map = palloc0(column_count * sizeof(int));
	state->row_context = AllocSetContextCreate(estate->es_query_cxt,
											   "reef row",
											   ALLOCSET_DEFAULT_SIZES);
	switch (state->table->on_conflict)
	{
		case REEFPG_ON_CONFLICT_ERROR:
			state->mode = REEF_INSERT_ERROR;
			break;
		case REEFPG_ON_CONFLICT_UPDATE:
			state->mode = REEF_INSERT_REPLACE;
			break;
		case REEFPG_ON_CONFLICT_NOTHING:
			state->mode = REEF_INSERT_NOTHING;
			break;
	}
	reef_buf_init(&state->key);
	callback->func = release_key;
	callback->arg = state;
	MemoryContextRegisterResetCallback(estate->es_query_cxt, callback);
	MemoryContextSwitchTo(old_context);
	return state;
}

/* Where the subplan delivers the identity of a row. */
static void
find_junk_columns(ReefPgModifyState *state, List *targetlist)
{
	const ReefSchema *schema = &state->table->schema;
	int			key_count = reef_schema_key_count(schema);
	int			position;

	state->lsn_junk = ExecFindJunkAttributeInTlist(targetlist,
												   REEFPG_JUNK_LSN);
	state->row_junk = ExecFindJunkAttributeInTlist(targetlist,
												   REEFPG_JUNK_ROW);
	if (!AttributeNumberIsValid(state->lsn_junk))
		elog(ERROR, "could not find junk column \"%s\"", REEFPG_JUNK_LSN);
	if (key_count == 0)
	{
		state->hidden_key_junk[0] =
			ExecFindJunkAttributeInTlist(targetlist, REEFPG_JUNK_HIDDEN_KEY_0);
		state->hidden_key_junk[1] =
			ExecFindJunkAttributeInTlist(targetlist, REEFPG_JUNK_HIDDEN_KEY_1);
		if (!AttributeNumberIsValid(state->hidden_key_junk[0]) ||
			!AttributeNumberIsValid(state->hidden_key_junk[1]))
			elog(ERROR, "could not find junk columns of the hidden key");
	}
	state->key_junk = palloc0(Max(1, key_count) * sizeof(AttrNumber));
	for (position = 1; position <= key_count; position++)
	{
		int			index = reef_schema_key_column(schema, position);
		Form_pg_attribute attribute =
		TupleDescAttr(RelationGetDescr(state->relation),
					  state->table->attribute_of_column[index] - 1);
		char	   *name = reefpg_key_junk_name(attribute);

		state->key_junk[position - 1] =
			ExecFindJunkAttributeInTlist(targetlist, name);
		if (!AttributeNumberIsValid(state->key_junk[position - 1]))
			elog(ERROR, "could not find junk column \"%s\"", name);
	}
}

/*
 * Which columns an UPDATE may change: those it names, and generated ones; all
 * of them if a trigger may change what it likes.
 */
static void
find_changed_columns(ReefPgModifyState *state, ResultRelInfo *rinfo,
					 EState *estate)
{
	const ReefPgTable *table = state->table;
	Bitmapset  *updated = ExecGetAllUpdatedCols(rinfo, estate);
	bool		all = rinfo->ri_TrigDesc != NULL &&
		rinfo->ri_TrigDesc->trig_update_before_row;
	int			i;

	for (i = 0; i < table->schema.column_count; i++)
		state->changed[i] = all ||
			bms_is_member(table->attribute_of_column[i] -
						  FirstLowInvalidHeapAttributeNumber, updated);
	if (table->lsn_attribute != 0 &&
		bms_is_member(table->lsn_attribute -
					  FirstLowInvalidHeapAttributeNumber, updated))
		ereport(ERROR,
				(errcode(ERRCODE_GENERATED_ALWAYS),
				 errmsg("column \"%s\" cannot be updated",
						NameStr(TupleDescAttr(RelationGetDescr(state->relation),
											  table->lsn_attribute - 1)->attname)),
				 errdetail("It shows the LSN that last wrote the row.")));
}

void
reefBeginForeignModify(ModifyTableState *mtstate, ResultRelInfo *rinfo,
					   List *fdw_private, int subplan_index, int eflags)
{
	EState	   *estate = mtstate->ps.state;
	ReefPgModifyState *state;

	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	state = state_new(estate, rinfo);
	state->cid = estate->es_output_cid;
	if (intVal(linitial(fdw_private)) != 0)
		state->mode = REEF_INSERT_NOTHING;
	if (mtstate->operation != CMD_INSERT)
		find_junk_columns(state, outerPlanState(mtstate)->plan->targetlist);
	if (mtstate->operation == CMD_UPDATE)
		find_changed_columns(state, rinfo, estate);
	rinfo->ri_FdwState = state;
}

void
reefBeginForeignInsert(ModifyTableState *mtstate, ResultRelInfo *rinfo)
{
	EState	   *estate = mtstate->ps.state;
	ModifyTable *plan = castNode(ModifyTable, mtstate->ps.plan);
	ReefPgModifyState *state;

	/* Also a target of this UPDATE: see above. */
	if (rinfo->ri_FdwState != NULL)
		return;
	state = state_new(estate, rinfo);
	if (state->table->read_only)
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("foreign table \"%s\" is read-only",
						RelationGetRelationName(state->relation))));
	/* COPY has no plan, and leaves the command's number unset. */
	state->cid = plan != NULL ?
		estate->es_output_cid : GetCurrentCommandId(true);
	if (plan != NULL && plan->onConflictAction == ONCONFLICT_NOTHING)
		state->mode = REEF_INSERT_NOTHING;
	rinfo->ri_FdwState = state;
}

void
reefpg_modify_start(ReefPgModifyState *state)
{
	MemoryContext old_context;
	int			count;

	/* Another table of the same namespace may add columns at any time. */
	if (state->txn != NULL &&
		reef_txn_column_count(state->txn) == state->txn_column_count)
		return;
	if (state->ns == NULL)
		state->ns = reefpg_table_namespace(state->table);
	state->txn = reefpg_xact_txn(state->ns, state->table, state->column_map);
	state->is_repeated = reefpg_xact_is_repeated(state->ns);
	count = reef_txn_column_count(state->txn);
	old_context = MemoryContextSwitchTo(GetMemoryChunkContext(state));
	state->txn_column_count = count;
	state->txn_values = reefpg_values_new(count);
	state->txn_changed = palloc0(count * sizeof(bool));
	for (int i = 0; i < state->table->schema.column_count; i++)
		state->txn_changed[state->column_map[i]] = state->changed[i];
	MemoryContextSwitchTo(old_context);
}

void
reefEndForeignModify(EState *estate, ResultRelInfo *rinfo)
{
	ReefPgModifyState *state = rinfo->ri_FdwState;

	if (state != NULL)
		MemoryContextReset(state->row_context);
}

void
reefEndForeignInsert(EState *estate, ResultRelInfo *rinfo)
{
	reefEndForeignModify(estate, rinfo);
}
