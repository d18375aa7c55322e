/*
 * keyrange.h
 *	  From conditions on key columns to ranges of encoded keys.
 *
 * The engine reads a range of keys without touching the rest.  A condition
 * "column operator value" narrows the range if the column is the first of the
 * key, or all key columns before it are bound to single values.  Which
 * conditions those are is found when the query is planned (match), their
 * values become known when it runs (build).
 *
 * A range is only ever a superset of what the conditions select: they stay in
 * the plan's quals and are checked again for every row.
 */
#ifndef REEF_PG_KEYRANGE_H
#define REEF_PG_KEYRANGE_H

#include "postgres.h"

#include "nodes/execnodes.h"
#include "nodes/pathnodes.h"

#include "pg/reef_fdw.h"

/* One condition, found at planning. */
typedef struct ReefPgKeyClause
{
	int			key_position;	/* 1-based */
	int			strategy;		/* BTEqualStrategyNumber, ... */
	bool		is_array;		/* column = ANY (value) */
	Expr	   *value;
	RestrictInfo *rinfo;		/* where it was found */
} ReefPgKeyClause;

/*
 * The conditions among clauses (RestrictInfos) that narrow a scan, in key
 * order.
 */
extern List *reefpg_key_match(PlannerInfo *root, RelOptInfo *rel,
							  const ReefPgTable *table, List *clauses);
/* Do they bind all key columns to single values (or lists of them)? */
extern bool reefpg_key_is_complete(const ReefPgTable *table, List *matched);
/* The attribute behind a Var of this relation, below relabelings; or 0. */
extern AttrNumber reefpg_key_var(RelOptInfo *rel, Node *node);

/* What a plan carries: one list (position, strategy, is_array) a condition;
 * the values are in fdw_exprs, in the same order. */
extern List *reefpg_key_to_plan(List *matched, List **values);

typedef struct ReefPgKeyRanges ReefPgKeyRanges;

/* Released when the current memory context is.  exprs are the plan's
 * fdw_exprs. */
extern ReefPgKeyRanges *reefpg_key_ranges_new(const ReefPgTable *table,
											  List *plan, List *exprs,
											  PlanState *parent);
/* Evaluate the values and build the ranges, which are disjoint. */
extern void reefpg_key_ranges_build(ReefPgKeyRanges *ranges,
									ExprContext *econtext);
extern int	reefpg_key_ranges_count(const ReefPgKeyRanges *ranges);
extern const ReefKeyRange *reefpg_key_ranges_get(const ReefPgKeyRanges *ranges,
												 int i);

#endif							/* REEF_PG_KEYRANGE_H */
