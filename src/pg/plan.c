/*
 * plan.c
 *	  How the planner learns about a foreign table's size and ways to read it.
 *
 * There are two ways: all of it, or the ranges of keys that conditions select
 * (keymatch.c).  The second is never dearer than the first, so the planner is
 * offered one path for the conditions on the table alone, and one more for
 * each set of other tables whose rows would select keys (the inner side of a
 * nested loop).
 *
 * Row count and size are asked of the store as of now, whatever ANALYZE knows:
 * a manifest has them exactly, and usually it is in memory.  If the store does
 * not answer, planning goes on with what pg_class says; running the plan will
 * say what is wrong.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "utils/selfuncs.h"
#include "utils/syscache.h"

#include "pg/compat.h"
#include "pg/fdw.h"
#include "pg/keyrange.h"
#include "pg/scan.h"

/* In the planner's units: finding one range of keys, about a random page. */
#define LOOKUP_COST 4.0

/* An estimate need not ask the store again each time. */
#define PLANNING_STALENESS_US (INT64CONST(10) * 1000 * 1000)

/* Of a base relation while it is planned. */
typedef struct TableEstimate
{
	ReefPgTable *table;
	uint64		size;			/* bytes */
} TableEstimate;

/* Rows and bytes as the store knows them; false if it cannot be asked. */
static bool
ask_store(const ReefPgTable *table, double *rows, uint64 *size)
{
	ReefNamespace *ns;
	ReefView   *view;
	ReefError	err;
	ReefCode	rc;

	if (!reefpg_store_can_open(table->server))
		return false;
	ns = reefpg_table_namespace(table);
	reef_error_init(&err);
	rc = reef_view_pin(ns, NULL, PLANNING_STALENESS_US, &view, &err);
	if (rc == REEF_CANCELLED)
		reefpg_report(&err, NULL);
	if (rc != REEF_OK)
	{
		ereport(DEBUG1,
				(errmsg_internal("planning without the store: %s", err.message)));
		return false;
	}
	*rows = (double) reef_view_row_count(view);
	*size = reef_view_size(view);
	reef_view_unpin(view);
	return true;
}

void
reefGetForeignRelSize(PlannerInfo *root, RelOptInfo *baserel,
					  Oid foreigntableid)
{
	TableEstimate *estimate = palloc0(sizeof(TableEstimate));
	Relation	relation = table_open(foreigntableid, NoLock);
	Oid			userid = REEFPG_REL_USERID(root, baserel);
	List	   *matched;

	estimate->table = reefpg_table_load(relation, OidIsValid(userid) ?
										userid : GetUserId());
	table_close(relation, NoLock);
	baserel->fdw_private = estimate;

	if (!ask_store(estimate->table, &baserel->tuples, &estimate->size))
	{
		/* Never analyzed: what the planner assumes of an unseen heap. */
		if (baserel->tuples < 0)
			baserel->tuples = 1000;
		estimate->size = (uint64) baserel->pages * BLCKSZ;
	}
	baserel->pages = Max(baserel->pages,
						 (BlockNumber) Min(estimate->size / BLCKSZ,
										   MaxBlockNumber));
	baserel->rows = clamp_row_est(baserel->tuples *
								  clauselist_selectivity(root,
														 baserel->baserestrictinfo,
														 0, JOIN_INNER, NULL));
	/* The key is unique, statistics or not. */
	matched = reefpg_key_match(root, baserel, estimate->table,
							   baserel->baserestrictinfo);
	if (reefpg_key_is_complete(estimate->table, matched))
	{
		double		ranges = 1;
		ListCell   *lc;

		foreach(lc, matched)
		{
			ReefPgKeyClause *clause = lfirst(lc);

			if (clause->is_array)
				ranges *= REEFPG_ARRAY_LENGTH(root, (Node *) clause->value);
		}
		baserel->rows = Min(baserel->rows, clamp_row_est(ranges));
	}
}

/* What reading costs when the clauses select keys by "matched". */
static void
cost_path(PlannerInfo *root, RelOptInfo *baserel, List *matched,
		  bool is_parameterized, double rows, Cost *startup, Cost *total)
{
	TableEstimate *estimate = baserel->fdw_private;
	const ReefPgServer *server = estimate->table->server;
	double		tuples = baserel->tuples;
	double		fraction = 1.0;
	double		ranges = 1.0;
	Selectivity selectivity = 1.0;
	List	   *clauses = NIL;
	QualCost	qual_cost;
	ListCell   *lc;

	foreach(lc, matched)
	{
		ReefPgKeyClause *clause = lfirst(lc);

		if (clause->is_array)
			ranges *= REEFPG_ARRAY_LENGTH(root, (Node *) clause->value);
		clauses = lappend(clauses, clause->rinfo);
	}
	if (reefpg_key_is_complete(estimate->table, matched))
		tuples = Min(tuples, ranges);
	else if (matched != NIL)
	{
		selectivity = clauselist_selectivity(root, clauses, baserel->relid,
											 JOIN_INNER, NULL);
		tuples = Min(tuples, Max(tuples * selectivity, rows));
	}
	if (baserel->tuples > 0)
		fraction = tuples / baserel->tuples;

	/* The store is opened once, however often an inner side starts again. */
	*startup = is_parameterized ? 0 : server->startup_cost;
	if (matched != NIL)
		*startup += LOOKUP_COST * ranges;
	cost_qual_eval(&qual_cost, baserel->baserestrictinfo, root);
	*startup += qual_cost.startup + baserel->reltarget->cost.startup;
	*total = *startup +
		seq_page_cost * fraction * estimate->size / BLCKSZ +
		tuples * (cpu_tuple_cost + server->tuple_cost +
				  qual_cost.per_tuple) +
		rows * baserel->reltarget->cost.per_tuple;
}

static void
add_base_path(PlannerInfo *root, RelOptInfo *baserel)
{
	TableEstimate *estimate = baserel->fdw_private;
	List	   *matched = reefpg_key_match(root, baserel, estimate->table,
										   baserel->baserestrictinfo);
	Cost		startup;
	Cost		total;

	cost_path(root, baserel, matched, false, baserel->rows, &startup, &total);
	add_path(baserel,
			 (Path *) REEFPG_FOREIGN_PATH(root, baserel, baserel->rows, startup,
									  total, baserel->lateral_relids));
}

typedef struct EquivalenceSearch
{
	AttrNumber	attribute;
} EquivalenceSearch;

static bool
is_key_member(PlannerInfo *root, RelOptInfo *rel, EquivalenceClass *ec,
			  EquivalenceMember *em, void *arg)
{
	return reefpg_key_var(rel, (Node *) em->em_expr) ==
		((EquivalenceSearch *) arg)->attribute;
}

/* The outer relations of join clauses that could select a key column. */
static List *
collect_outers(RelOptInfo *baserel, List *clauses, List *outers)
{
	ListCell   *lc;

	foreach(lc, clauses)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
		Relids		outer;

		if (!join_clause_is_movable_to(rinfo, baserel))
			continue;
		outer = bms_union(rinfo->clause_relids, baserel->lateral_relids);
		outer = bms_del_member(outer, baserel->relid);
		if (!bms_is_empty(outer))
			outers = lappend(outers, outer);
	}
	return outers;
}

static bool
relids_known(List *relids_list, Relids relids)
{
	ListCell   *lc;

	foreach(lc, relids_list)
	{
		if (bms_equal(lfirst(lc), relids))
			return true;
	}
	return false;
}

/*
 * A path for the inner side of a nested loop over "outer", if the clauses
 * that this makes available select keys.
 */
static void
add_lookup_path(PlannerInfo *root, RelOptInfo *baserel, Relids outer)
{
	TableEstimate *estimate = baserel->fdw_private;
	ParamPathInfo *param_info = get_baserel_parampathinfo(root, baserel, outer);
	List	   *clauses;
	List	   *matched;
	ListCell   *lc;
	bool		uses_outer = false;
	double		rows;
	Cost		startup;
	Cost		total;

	clauses = list_concat_copy(baserel->baserestrictinfo,
							   param_info->ppi_clauses);
	matched = reefpg_key_match(root, baserel, estimate->table, clauses);
	foreach(lc, matched)
	{
		ReefPgKeyClause *clause = lfirst(lc);

		uses_outer |= list_member_ptr(param_info->ppi_clauses, clause->rinfo);
	}
	if (!uses_outer)
		return;

	rows = param_info->ppi_rows;
	if (reefpg_key_is_complete(estimate->table, matched))
		rows = Min(rows, 1);
	cost_path(root, baserel, matched, true, rows, &startup, &total);
	/* Nobody reads it now, but all paths of this parameterization agree. */
	param_info->ppi_rows = rows;
	add_path(baserel,
			 (Path *) REEFPG_FOREIGN_PATH(root, baserel, rows, startup, total,
									  param_info->ppi_req_outer));
}

static void
add_lookup_paths(PlannerInfo *root, RelOptInfo *baserel)
{
	TableEstimate *estimate = baserel->fdw_private;
	const ReefPgTable *table = estimate->table;
	List	   *outers;
	List	   *tried = NIL;
	Relids		all = NULL;
	ListCell   *lc;
	int			position;

	outers = collect_outers(baserel, baserel->joininfo, NIL);
	if (baserel->has_eclass_joins)
	{
		for (position = 1;
			 position <= reef_schema_key_count(&table->schema); position++)
		{
			EquivalenceSearch search;
			List	   *clauses;
			int			index = reef_schema_key_column(&table->schema,
													   position);

			search.attribute = table->attribute_of_column[index];
			clauses = generate_implied_equalities_for_column(root, baserel,
															 is_key_member,
															 &search,
															 baserel->lateral_referencers);
			outers = collect_outers(baserel, clauses, outers);
		}
	}
	/* A composite key may need the columns of several other tables. */
	foreach(lc, outers)
		all = bms_add_members(all, lfirst(lc));
	if (all != NULL)
		outers = lappend(outers, all);
	foreach(lc, outers)
	{
		if (relids_known(tried, lfirst(lc)))
			continue;
		tried = lappend(tried, lfirst(lc));
		add_lookup_path(root, baserel, lfirst(lc));
	}
}

void
reefGetForeignPaths(PlannerInfo *root, RelOptInfo *baserel,
					Oid foreigntableid)
{
	TableEstimate *estimate = baserel->fdw_private;

	add_base_path(root, baserel);
	if (estimate->table->has_key)
		add_lookup_paths(root, baserel);
}

/* Attributes that the row must have, and whether its identity is wanted. */
static List *
needed_attributes(RelOptInfo *baserel, const ReefPgTable *table,
				  List *clauses, bool *wants_identity)
{
	Bitmapset  *used = NULL;
	List	   *result = NIL;
	ListCell   *lc;
	bool		whole_row;
	int			attribute;

	pull_varattnos((Node *) baserel->reltarget->exprs, baserel->relid, &used);
	foreach(lc, clauses)
		pull_varattnos((Node *) lfirst_node(RestrictInfo, lc)->clause,
					   baserel->relid, &used);
	whole_row = bms_is_member(-FirstLowInvalidHeapAttributeNumber, used);
	*wants_identity = bms_is_member(SelfItemPointerAttributeNumber -
									FirstLowInvalidHeapAttributeNumber, used);
	for (attribute = 1; attribute <= table->attribute_count; attribute++)
	{
		if (table->column_of_attribute[attribute - 1] < 0 &&
			attribute != table->lsn_attribute)
			continue;
		if (whole_row ||
			bms_is_member(attribute - FirstLowInvalidHeapAttributeNumber, used))
			result = lappend_int(result, attribute);
	}
	return result;
}

ForeignScan *
reefGetForeignPlan(PlannerInfo *root, RelOptInfo *baserel, Oid foreigntableid,
				   ForeignPath *best_path, List *tlist, List *scan_clauses,
				   Plan *outer_plan)
{
	TableEstimate *estimate = baserel->fdw_private;
	List	   *matched = reefpg_key_match(root, baserel, estimate->table,
										   scan_clauses);
	List	   *attributes;
	List	   *key_plan;
	List	   *key_values;
	bool		wants_identity;

	attributes = needed_attributes(baserel, estimate->table, scan_clauses,
								   &wants_identity);
	key_plan = reefpg_key_to_plan(matched, &key_values);
	return make_foreignscan(tlist, extract_actual_clauses(scan_clauses, false),
							baserel->relid, key_values,
							list_make3(attributes,
									   makeInteger(wants_identity), key_plan),
							NIL, NIL, outer_plan);
}
