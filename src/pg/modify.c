/*
 * modify.c
 *	  Rows of INSERT, UPDATE, DELETE and COPY on their way to the engine.
 *
 * Core checks no constraint of a foreign table, but its planner believes them,
 * so all are checked here before a row goes in: NOT NULL, CHECK, the bounds
 * of a partition, and the key.  A changed row is named by the key and the LSN
 * it was read with; the engine refuses the change if it is another row's by
 * now.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "executor/executor.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "pg/fdw.h"
#include "pg/modify.h"
#include "pg/scan.h"

static void
check_constraints(ReefPgModifyState *state, ResultRelInfo *rinfo,
				  TupleTableSlot *slot, EState *estate, bool is_insert)
{
	if (RelationGetDescr(state->relation)->constr != NULL)
		ExecConstraints(rinfo, slot, estate);
	if (!state->relation->rd_rel->relispartition)
		return;
	/* Routing has found the right partition; only a trigger can undo that. */
	if (is_insert && rinfo->ri_RootResultRelInfo != NULL &&
		(rinfo->ri_TrigDesc == NULL ||
		 !rinfo->ri_TrigDesc->trig_insert_before_row))
		return;
	ExecPartitionCheck(rinfo, slot, estate, true);
}

static void
check_key_not_null(ReefPgModifyState *state)
{
	const ReefSchema *schema = &state->table->schema;
	int			i;

	for (i = 0; i < schema->column_count; i++)
	{
		AttrNumber	attribute;

		if (schema->columns[i].key_position == 0 || !state->values[i].is_null)
			continue;
		attribute = state->table->attribute_of_column[i];
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("null value in column \"%s\" of relation \"%s\" violates not-null constraint",
						NameStr(TupleDescAttr(RelationGetDescr(state->relation),
											  attribute - 1)->attname),
						RelationGetRelationName(state->relation)),
				 errdetail("The column is part of the key."),
				 errtablecol(state->relation, attribute)));
	}
}

static void
check_lsn_not_given(ReefPgModifyState *state, TupleTableSlot *slot)
{
	AttrNumber	attribute = state->table->lsn_attribute;

	if (attribute == 0 || slot->tts_isnull[attribute - 1])
		return;
	ereport(ERROR,
			(errcode(ERRCODE_GENERATED_ALWAYS),
			 errmsg("cannot insert a value into column \"%s\"",
					NameStr(TupleDescAttr(RelationGetDescr(state->relation),
										  attribute - 1)->attname)),
			 errdetail("It shows the LSN that last wrote the row.")));
}

static void
report_duplicate(ReefPgModifyState *state)
{
	const char *name = RelationGetRelationName(state->relation);
	char	   *constraint = psprintf("%s_pkey", name);

	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("duplicate key value violates unique constraint \"%s\"",
					constraint),
			 errdetail("Key %s already exists.",
					   reefpg_key_description(state->converter, state->table,
											  state->values)),
			 errtableconstraint(state->relation, constraint)));
}

/* The slot's row in state->txn_values. */
static void
convert_row(ReefPgModifyState *state, TupleTableSlot *slot)
{
	int			i;

	reefpg_values_from_slot(state->converter, slot, state->values);
	check_key_not_null(state);
	reefpg_modify_start(state);
	for (i = 0; i < state->table->schema.column_count; i++)
		state->txn_values[state->column_map[i]] = state->values[i];
}

/* false if the key is there and that is no error */
static bool
insert_row(ReefPgModifyState *state, ResultRelInfo *rinfo,
		   TupleTableSlot *slot, EState *estate)
{
	MemoryContext old_context;
	ReefError	err;
	ReefCode	rc;
	bool		inserted = false;

	check_constraints(state, rinfo, slot, estate, true);
	MemoryContextReset(state->row_context);
	old_context = MemoryContextSwitchTo(state->row_context);
	convert_row(state, slot);
	check_lsn_not_given(state, slot);
	if (state->is_repeated)
	{
		MemoryContextSwitchTo(old_context);
		return true;
	}
	reef_error_init(&err);
	rc = reef_txn_insert(state->txn, reefpg_xact_point(state->cid),
						 state->txn_values, state->mode, &inserted, &err);
	if (rc == REEF_KEY_EXISTS)
		report_duplicate(state);
	REEFPG_CHECK(rc, &err, RelationGetRelationName(state->relation));
	if (!inserted && state->mode == REEF_INSERT_REPLACE)
		ereport(ERROR,
				(errcode(ERRCODE_CARDINALITY_VIOLATION),
				 errmsg("INSERT into \"%s\" cannot replace a row a second time",
						RelationGetRelationName(state->relation)),
				 errdetail("Key %s occurs more than once in the command.",
						   reefpg_key_description(state->converter,
												  state->table,
												  state->values))));
	MemoryContextSwitchTo(old_context);
	return inserted;
}

TupleTableSlot *
reefExecForeignInsert(EState *estate, ResultRelInfo *rinfo,
					  TupleTableSlot *slot, TupleTableSlot *planSlot)
{
	return insert_row(rinfo->ri_FdwState, rinfo, slot, estate) ? slot : NULL;
}

TupleTableSlot **
reefExecForeignBatchInsert(EState *estate, ResultRelInfo *rinfo,
						   TupleTableSlot **slots,
						   TupleTableSlot **planSlots, int *numSlots)
{
	int			inserted = 0;
	int			i;

	/* Nobody looks at the slots (see the batch size), only at how many. */
	for (i = 0; i < *numSlots; i++)
	{
		if (insert_row(rinfo->ri_FdwState, rinfo, slots[i], estate))
			inserted++;
	}
	*numSlots = inserted;
	return slots;
}

/*
 * Row by row where something happens between two rows that may look at the
 * table or at the row: triggers, RETURNING, a view's check.
 */
int
reefGetForeignModifyBatchSize(ResultRelInfo *rinfo)
{
	ReefPgModifyState *state = rinfo->ri_FdwState;
	TriggerDesc *triggers = rinfo->ri_TrigDesc;

	/* EXPLAIN */
	if (state == NULL)
		return 1;
	if (rinfo->ri_projectReturning != NULL ||
		rinfo->ri_WithCheckOptions != NIL ||
		(triggers != NULL && (triggers->trig_insert_before_row ||
							  triggers->trig_insert_after_row)))
		return 1;
	return state->table->batch_size;
}

/* The row that the plan's slot names; the key is in state->key. */
static ReefRowId
row_identity(ReefPgModifyState *state, TupleTableSlot *plan_slot)
{
	const ReefSchema *schema = &state->table->schema;
	ReefRowId	row;
	ReefError	err;
	Datum		datum;
	bool		is_null;
	int			nest_level;
	int			position;

	datum = ExecGetJunkAttribute(plan_slot, state->lsn_junk, &is_null);
	if (is_null)
		elog(ERROR, "row identity is null");
	row.lsn = reefpg_lsn_from_tid((ItemPointer) DatumGetPointer(datum));

	reef_buf_reset(&state->key);
	nest_level = reefpg_converter_enter(state->converter);
	for (position = 1; position <= reef_schema_key_count(schema); position++)
	{
		int			index = reef_schema_key_column(schema, position);
		ReefValue	value;

		datum = ExecGetJunkAttribute(plan_slot, state->key_junk[position - 1],
									 &is_null);
		if (is_null)
			elog(ERROR, "key column of a stored row is null");
		reefpg_value_from_datum(state->converter, index, datum, false, &value);
		reef_key_append(&state->key, schema->columns[index].type.kind, &value);
	}
	reefpg_converter_leave(nest_level);
	if (!state->table->has_key)
	{
		for (int i = 0; i < 2; i++)
		{
			TransactionId half;

			datum = ExecGetJunkAttribute(plan_slot, state->hidden_key_junk[i],
										 &is_null);
			half = DatumGetTransactionId(datum);
			reef_buf_append(&state->key, &half, sizeof(half));
		}
	}
	reef_error_init(&err);
	REEFPG_CHECK(reef_buf_check(&state->key, &err), &err, NULL);
	row.key = reef_buf_slice(&state->key);
	return row;
}

TupleTableSlot *
reefExecForeignUpdate(EState *estate, ResultRelInfo *rinfo,
					  TupleTableSlot *slot, TupleTableSlot *planSlot)
{
	ReefPgModifyState *state = rinfo->ri_FdwState;
	MemoryContext old_context;
	ReefRowId	row;
	ReefError	err;
	ReefCode	rc = REEF_OK;
	bool		applied = true;

	check_constraints(state, rinfo, slot, estate, false);
	MemoryContextReset(state->row_context);
	old_context = MemoryContextSwitchTo(state->row_context);
	convert_row(state, slot);
	row = row_identity(state, planSlot);
	reef_error_init(&err);
	if (!state->is_repeated)
		rc = reef_txn_update(state->txn, reefpg_xact_point(state->cid), &row,
							 state->txn_values, state->txn_changed, &applied,
							 &err);
	if (rc == REEF_KEY_EXISTS)
		report_duplicate(state);
	REEFPG_CHECK(rc, &err, RelationGetRelationName(state->relation));
	MemoryContextSwitchTo(old_context);
	if (!applied)
		return NULL;
	/* Which LSN writes the row is known when the transaction commits. */
	if (state->table->lsn_attribute != 0)
		slot->tts_isnull[state->table->lsn_attribute - 1] = true;
	return slot;
}

/* The row as it was scanned, for RETURNING. */
static void
store_old_row(ReefPgModifyState *state, TupleTableSlot *plan_slot,
			  TupleTableSlot *slot)
{
	HeapTupleData tuple;
	Datum		datum;
	bool		is_null;

	datum = ExecGetJunkAttribute(plan_slot, state->row_junk, &is_null);
	if (is_null)
		elog(ERROR, "old row is null");
	tuple.t_data = DatumGetHeapTupleHeader(datum);
	tuple.t_len = HeapTupleHeaderGetDatumLength(tuple.t_data);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = RelationGetRelid(state->relation);
	ExecForceStoreHeapTuple(heap_copytuple(&tuple), slot, true);
}

TupleTableSlot *
reefExecForeignDelete(EState *estate, ResultRelInfo *rinfo,
					  TupleTableSlot *slot, TupleTableSlot *planSlot)
{
	ReefPgModifyState *state = rinfo->ri_FdwState;
	MemoryContext old_context;
	ReefRowId	row;
	ReefError	err;
	ReefCode	rc = REEF_OK;
	bool		applied = true;

	MemoryContextReset(state->row_context);
	old_context = MemoryContextSwitchTo(state->row_context);
	reefpg_modify_start(state);
	row = row_identity(state, planSlot);
	reef_error_init(&err);
	if (!state->is_repeated)
		rc = reef_txn_delete(state->txn, reefpg_xact_point(state->cid), &row,
							 &applied, &err);
	REEFPG_CHECK(rc, &err, RelationGetRelationName(state->relation));
	MemoryContextSwitchTo(old_context);
	if (!applied)
		return NULL;
	if (rinfo->ri_projectReturning != NULL &&
		AttributeNumberIsValid(state->row_junk))
		store_old_row(state, planSlot, slot);
	return slot;
}
