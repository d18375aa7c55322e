/*
 * fdw.h
 *	  The callbacks PostgreSQL calls, by the file that implements them, for
 *	  the handler.  Names are PostgreSQL's own with "reef" in front.
 */
#ifndef REEF_PG_FDW_H
#define REEF_PG_FDW_H

#include "postgres.h"

#include "foreign/fdwapi.h"

/* in plan.c */
extern void reefGetForeignRelSize(PlannerInfo *root, RelOptInfo *baserel,
								  Oid foreigntableid);
extern void reefGetForeignPaths(PlannerInfo *root, RelOptInfo *baserel,
								Oid foreigntableid);
extern ForeignScan *reefGetForeignPlan(PlannerInfo *root, RelOptInfo *baserel,
									   Oid foreigntableid,
									   ForeignPath *best_path, List *tlist,
									   List *scan_clauses, Plan *outer_plan);

/* in scan.c */
extern void reefBeginForeignScan(ForeignScanState *node, int eflags);
extern TupleTableSlot *reefIterateForeignScan(ForeignScanState *node);
extern void reefReScanForeignScan(ForeignScanState *node);
extern void reefEndForeignScan(ForeignScanState *node);

/* in modify_plan.c */
extern void reefAddForeignUpdateTargets(PlannerInfo *root, Index rtindex,
										RangeTblEntry *target_rte,
										Relation target_relation);
extern List *reefPlanForeignModify(PlannerInfo *root, ModifyTable *plan,
								   Index resultRelation, int subplan_index);
extern int	reefIsForeignRelUpdatable(Relation rel);

/* in modify.c */
extern void reefBeginForeignModify(ModifyTableState *mtstate,
								   ResultRelInfo *rinfo, List *fdw_private,
								   int subplan_index, int eflags);
extern void reefBeginForeignInsert(ModifyTableState *mtstate,
								   ResultRelInfo *rinfo);
extern TupleTableSlot *reefExecForeignInsert(EState *estate,
											 ResultRelInfo *rinfo,
											 TupleTableSlot *slot,
											 TupleTableSlot *planSlot);
extern TupleTableSlot **reefExecForeignBatchInsert(EState *estate,
												   ResultRelInfo *rinfo,
												   TupleTableSlot **slots,
												   TupleTableSlot **planSlots,
												   int *numSlots);
extern int	reefGetForeignModifyBatchSize(ResultRelInfo *rinfo);
extern TupleTableSlot *reefExecForeignUpdate(EState *estate,
											 ResultRelInfo *rinfo,
											 TupleTableSlot *slot,
											 TupleTableSlot *planSlot);
extern TupleTableSlot *reefExecForeignDelete(EState *estate,
											 ResultRelInfo *rinfo,
											 TupleTableSlot *slot,
											 TupleTableSlot *planSlot);
extern void reefEndForeignModify(EState *estate, ResultRelInfo *rinfo);
extern void reefEndForeignInsert(EState *estate, ResultRelInfo *rinfo);

/* in explain.c */
extern void reefExplainForeignScan(ForeignScanState *node,
								   struct ExplainState *es);

/* in analyze.c */
extern bool reefAnalyzeForeignTable(Relation relation,
									AcquireSampleRowsFunc *func,
									BlockNumber *totalpages);

/* in import.c */
extern List *reefImportForeignSchema(ImportForeignSchemaStmt *stmt,
									 Oid serverOid);

#endif							/* REEF_PG_FDW_H */
