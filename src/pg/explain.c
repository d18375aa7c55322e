/*
 * explain.c
 *	  What EXPLAIN says about a scan.
 *
 * Without ANALYZE everything comes from the plan, so that nothing is asked of
 * the store.  Numbers that depend on what happens to be cached are shown with
 * VERBOSE only.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "commands/explain.h"
#include "nodes/execnodes.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "pg/compat.h"
#include "pg/fdw.h"
#include "pg/scan.h"

static const char *
strategy_operator(int strategy)
{
	switch (strategy)
	{
		case BTLessStrategyNumber:
			return "<";
		case BTLessEqualStrategyNumber:
			return "<=";
		case BTEqualStrategyNumber:
			return "=";
		case BTGreaterEqualStrategyNumber:
			return ">=";
		default:
			return ">";
	}
}

/* The conditions that select keys, as SQL. */
static char *
key_condition(ForeignScanState *node, const ReefPgTable *table,
			  ExplainState *es)
{
	ForeignScan *plan = castNode(ForeignScan, node->ss.ps.plan);
	TupleDesc	desc = RelationGetDescr(node->ss.ss_currentRelation);
	bool		use_prefix = es->verbose || list_length(es->rtable) > 1;
	StringInfoData text_form;
	ListCell   *key_lc;
	ListCell   *expr_lc;

	initStringInfo(&text_form);
	forboth(key_lc, (List *) list_nth(plan->fdw_private, SCAN_PLAN_KEY),
			expr_lc, plan->fdw_exprs)
	{
		List	   *condition = lfirst(key_lc);
		int			index = reef_schema_key_column(&table->schema,
												   linitial_int(condition));
		AttrNumber	attribute = table->attribute_of_column[index];
		char	   *value;

		/*
		 * The plan has quals, since each condition is one of them too, and
		 * core has just shown them: the deparse context is set for this node,
		 * with its ancestors, which are not passed to us.
		 */
		value = deparse_expression(lfirst(expr_lc), es->deparse_cxt,
								   use_prefix, false);
		appendStringInfo(&text_form,
						 lthird_int(condition) != 0 ?
						 "%s(%s %s ANY (%s))" : "%s(%s %s %s)",
						 text_form.len > 0 ? " AND " : "",
						 quote_identifier(NameStr(TupleDescAttr(desc,
																attribute - 1)->attname)),
						 strategy_operator(lsecond_int(condition)), value);
	}
	return text_form.data;
}

static void
explain_counters(ForeignScanState *node, ExplainState *es)
{
	ReefPgScanState *state = node->fdw_state;
	const ReefScanCounters *counters;

	if (state == NULL || state->reader->scan == NULL)
		return;
	counters = reef_scan_counters(state->reader->scan);
	ExplainPropertyUInteger("Segments", NULL, counters->segments, es);
	ExplainPropertyUInteger("Segments Read", NULL, counters->segments_read, es);
	ExplainPropertyUInteger("Row Groups Read", NULL, counters->row_groups_read,
							es);
	ExplainPropertyUInteger("Rows Masked", NULL, counters->rows_masked, es);
	ExplainPropertyUInteger("Memtable Rows", NULL, counters->memtable_rows, es);
	ExplainPropertyUInteger("Key Lookups", NULL, counters->lookups, es);
	ExplainPropertyUInteger("Key Lookup Reads", NULL, counters->lookup_reads,
							es);
	if (!es->verbose)
		return;
	ExplainPropertyUInteger("Pages Decoded", NULL, counters->pages_read, es);
	ExplainPropertyUInteger("Pages Cached", NULL, counters->pages_cached, es);
	ExplainPropertyUInteger("Bytes Read", "B", counters->bytes_read, es);
	if (counters->blocks_hit + counters->blocks_missed == 0)
		return;
	ExplainPropertyUInteger("Cache Hits", NULL, counters->blocks_hit, es);
	ExplainPropertyUInteger("Cache Misses", NULL, counters->blocks_missed, es);
}

void
reefExplainForeignScan(ForeignScanState *node, ExplainState *es)
{
	ForeignScan *plan = castNode(ForeignScan, node->ss.ps.plan);
	Relation	relation = node->ss.ss_currentRelation;
	ReefPgTable *table = reefpg_table_load(relation, reefpg_scan_userid(node));
	List	   *names = NIL;
	ListCell   *lc;

	ExplainPropertyText("Namespace", table->namespace_name, es);
	if (list_nth(plan->fdw_private, SCAN_PLAN_KEY) != NIL)
		ExplainPropertyText("Key", key_condition(node, table, es), es);
	foreach(lc, (List *) list_nth(plan->fdw_private, SCAN_PLAN_ATTRIBUTES))
	{
		Form_pg_attribute attribute =
		TupleDescAttr(RelationGetDescr(relation), lfirst_int(lc) - 1);

		names = lappend(names, pstrdup(quote_identifier(NameStr(attribute->attname))));
	}
	if (names != NIL)
		ExplainPropertyList("Columns", names, es);
	if (es->analyze)
		explain_counters(node, es);
}
