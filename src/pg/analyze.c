/*
 * analyze.c
 *	  ANALYZE: a random sample of the rows.
 *
 * Rows come in no useful physical order and without block numbers, so all of
 * them are read once and a reservoir keeps each with equal probability.  That
 * makes the row count exact, too.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "commands/vacuum.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/sampling.h"
#include "utils/snapmgr.h"

#include "pg/fdw.h"
#include "pg/scan.h"

static List *
all_attributes(const ReefPgTable *table)
{
	List	   *result = NIL;
	int			attribute;

	for (attribute = 1; attribute <= table->attribute_count; attribute++)
	{
		if (table->column_of_attribute[attribute - 1] >= 0 ||
			attribute == table->lsn_attribute)
			result = lappend_int(result, attribute);
	}
	return result;
}

/* A place in the reservoir for row number "seen" (from 0), or -1. */
static int
choose_place(ReservoirState reservoir, int target, double seen, double *skip)
{
	if (seen < target)
		return (int) seen;
	if (*skip < 0)
		*skip = reservoir_get_next_S(reservoir, seen, target);
	if (*skip > 0)
	{
		*skip -= 1;
		return -1;
	}
	*skip = -1;
	return (int) (target * sampler_random_fract(&reservoir->randstate));
}

static int
acquire_sample(Relation relation, int elevel, HeapTuple *rows, int target,
			   double *total_rows, double *total_dead_rows)
{
	MemoryContext scan_context = AllocSetContextCreate(CurrentMemoryContext,
													   "reef analyze",
													   ALLOCSET_DEFAULT_SIZES);
	MemoryContext row_context = AllocSetContextCreate(scan_context,
													  "reef analyze row",
													  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old_context = MemoryContextSwitchTo(scan_context);
	Snapshot	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	ReefPgTable *table = reefpg_table_load(relation, GetUserId());
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(relation),
													&TTSOpsVirtual);
	ReefPgReader *reader;
	ReservoirStateData reservoir;
	double		seen = 0;
	double		skip = -1;
	int			kept = 0;

	reservoir_init_selection_state(&reservoir, target);
	reader = reefpg_reader_new(relation, table, all_attributes(table), false,
							   snapshot, GetCurrentCommandId(false));
	reefpg_reader_restart(reader, NULL);
	for (;; seen++)
	{
		int			place;

		REEFPG_ANALYZE_DELAY_POINT();
		MemoryContextReset(row_context);
		MemoryContextSwitchTo(row_context);
		if (!reefpg_reader_next(reader, slot))
			break;
		place = choose_place(&reservoir, target, seen, &skip);
		if (place < 0)
			continue;
		MemoryContextSwitchTo(old_context);
		if (place == kept)
			kept++;
		else
			heap_freetuple(rows[place]);
		rows[place] = ExecCopySlotHeapTuple(slot);
	}
	MemoryContextSwitchTo(old_context);
	reefpg_reader_close(reader);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	MemoryContextDelete(scan_context);

	*total_rows = seen;
	*total_dead_rows = 0;
	ereport(elevel,
			(errmsg("\"%s\": read %.0f rows; %d rows in sample",
					RelationGetRelationName(relation), seen, kept)));
	return kept;
}

bool
reefAnalyzeForeignTable(Relation relation, AcquireSampleRowsFunc *func,
						BlockNumber *totalpages)
{
	ReefPgTable *table = reefpg_table_load(relation, GetUserId());
	ReefView   *view = reefpg_view_pin(reefpg_table_namespace(table), table,
									   NULL, CurrentMemoryContext);
	uint64		pages = reef_view_size(view) / BLCKSZ + 1;

	reefpg_view_release(view);
	*totalpages = (BlockNumber) Min(pages, MaxBlockNumber);
	*func = acquire_sample;
	return true;
}
