/*
 * modify_plan.c
 *	  What the planner must add to a scan so that its rows can be changed, and
 *	  which changes a table takes.
 *
 * The names of the added columns contain the column's number and type: tables
 * of an inheritance tree share one list of added columns, in which a name must
 * mean the same thing for all of them.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/appendinfo.h"
#include "optimizer/pathnode.h"
#include "optimizer/planmain.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "pg/fdw.h"
#include "pg/modify.h"

char *
reefpg_key_junk_name(Form_pg_attribute attribute)
{
	return psprintf("reef_key_%d_%u_%d_%u", attribute->attnum,
					attribute->atttypid, attribute->atttypmod,
					attribute->attcollation);
}

static void
add_system_column(PlannerInfo *root, Index rtindex, AttrNumber attribute,
				  Oid type, const char *name)
{
	Var		   *var = makeVar(rtindex, attribute, type, -1, InvalidOid, 0);

	add_row_identity_var(root, var, rtindex, name);
}

static void
add_key_column(PlannerInfo *root, Index rtindex, Form_pg_attribute attribute)
{
	Var		   *var = makeVar(rtindex, attribute->attnum, attribute->atttypid,
							  attribute->atttypmod, attribute->attcollation, 0);

	add_row_identity_var(root, var, rtindex, reefpg_key_junk_name(attribute));
}

void
reefAddForeignUpdateTargets(PlannerInfo *root, Index rtindex,
							RangeTblEntry *target_rte,
							Relation target_relation)
{
	ReefPgTable *table = reefpg_table_load(target_relation, GetUserId());
	int			key_count = reef_schema_key_count(&table->schema);
	int			position;

	add_system_column(root, rtindex, SelfItemPointerAttributeNumber, TIDOID,
					  REEFPG_JUNK_LSN);
	if (key_count == 0)
	{
		add_system_column(root, rtindex, MinTransactionIdAttributeNumber,
						  XIDOID, REEFPG_JUNK_HIDDEN_KEY_0);
		add_system_column(root, rtindex, MaxTransactionIdAttributeNumber,
						  XIDOID, REEFPG_JUNK_HIDDEN_KEY_1);
	}
	for (position = 1; position <= key_count; position++)
	{
		int			index = reef_schema_key_column(&table->schema, position);

		add_key_column(root, rtindex,
					   TupleDescAttr(RelationGetDescr(target_relation),
									 table->attribute_of_column[index] - 1));
	}
	/* The old row, which core asks for in all cases but this one. */
	if (root->parse->commandType == CMD_DELETE &&
		root->parse->returningList != NIL)
		add_row_identity_var(root,
							 makeVar(rtindex, InvalidAttrNumber, RECORDOID, -1,
									 InvalidOid, 0),
							 rtindex, REEFPG_JUNK_ROW);
}

/*
 * Refuse what the options forbid before anything runs.  For a read-only table
 * core would do so, too, but with a code that says something else.
 */
List *
reefPlanForeignModify(PlannerInfo *root, ModifyTable *plan,
					  Index resultRelation, int subplan_index)
{
	RangeTblEntry *rte = planner_rt_fetch(resultRelation, root);
	Relation	relation = table_open(rte->relid, NoLock);
	ReefPgTable *table = reefpg_table_load(relation, GetUserId());

	table_close(relation, NoLock);
	if (table->read_only)
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("foreign table \"%s\" is read-only",
						get_rel_name(rte->relid)),
				 errdetail("The option read_only is set for the table or its server.")));
	/* Core has refused DO UPDATE, which needs a unique index. */
	return list_make1(makeInteger(plan->onConflictAction == ONCONFLICT_NOTHING));
}

int
reefIsForeignRelUpdatable(Relation rel)
{
	if (!reefpg_relation_is_updatable(RelationGetRelid(rel)))
		return 0;
	return (1 << CMD_INSERT) | (1 << CMD_UPDATE) | (1 << CMD_DELETE);
}
