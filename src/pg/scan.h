/*
 * scan.h
 *	  What a scan's plan carries from plan.c to scan.c and explain.c, how a row
 *	  is named for UPDATE and DELETE, and a scan's state.
 *
 * ROW IDENTITY.  UPDATE and DELETE get a row back as it was scanned: its key
 * and the LSN that wrote it.  A foreign scan can pass only columns and system
 * columns up through joins and sorts, so
 *
 *	  ctid			carries the LSN: 48 bits.  0 means "written by this
 *					transaction".  Its offset number is never 0, because that
 *					would make it an invalid pointer.
 *	  key columns	carry the key, which is encoded again from them
 *	  xmin, xmax	carry the 8 bytes of the hidden key if there are no key
 *					columns.  Only then are heap tuples built, whose headers
 *					are the one place to put them.
 */
#ifndef REEF_PG_SCAN_H
#define REEF_PG_SCAN_H

#include "postgres.h"

#include "nodes/execnodes.h"
#include "storage/itemptr.h"

#include "pg/keyrange.h"
#include "pg/reef_fdw.h"

/* Members of ForeignScan.fdw_private. */
enum ScanPlanIndex
{
	SCAN_PLAN_ATTRIBUTES,		/* list of attnums needed, without system ones */
	SCAN_PLAN_IDENTITY,			/* Integer: is the row's identity needed? */
	SCAN_PLAN_KEY				/* reefpg_key_to_plan */
};

#define REEFPG_HIDDEN_KEY_SIZE 8

/* LSN n is n % 65535 + 1 in block n / 65535. */
static inline void
reefpg_tid_from_lsn(ItemPointer tid, uint64 lsn)
{
	ItemPointerSet(tid, (BlockNumber) (lsn / 65535),
				   (OffsetNumber) (lsn % 65535 + 1));
}

static inline uint64
reefpg_lsn_from_tid(ItemPointer tid)
{
	return (uint64) ItemPointerGetBlockNumberNoCheck(tid) * 65535 +
		(ItemPointerGetOffsetNumberNoCheck(tid) - 1);
}

/* Rows of a table, as attributes; without an executor node around it. */
typedef struct ReefPgReader
{
	ReefPgTable *table;
	ReefPgConverter *converter;
	ReefView   *view;
	ReefScan   *scan;
	int			column_count;
	int		   *schema_index;	/* of column i of the scan */
	AttrNumber *attributes;
	bool		wants_lsn;		/* the reef_lsn column */
	bool		wants_identity;
	ReefBatch  *batch;			/* NULL before the first */
	int			position;
} ReefPgReader;

/*
 * Read the attributes (a list of attnums) of a table as of a snapshot, with
 * the current transaction's own writes before "cid".  Closed when the current
 * memory context is reset, or by reefpg_reader_close.
 */
extern ReefPgReader *reefpg_reader_new(Relation relation, ReefPgTable *table,
									   List *attributes, bool wants_identity,
									   Snapshot snapshot, CommandId cid);
/* Position before a range; NULL: everything. */
extern void reefpg_reader_restart(ReefPgReader *reader,
								  const ReefKeyRange *range);
/* Store the next row in the slot; false at the end.  Values live in the
 * current context. */
extern bool reefpg_reader_next(ReefPgReader *reader, TupleTableSlot *slot);
extern void reefpg_reader_close(ReefPgReader *reader);

typedef struct ReefPgScanState
{
	ReefPgReader *reader;
	ReefPgKeyRanges *ranges;	/* NULL: everything */
	bool		is_positioned;
	int			next_range;
} ReefPgScanState;

/* Whose rights and user mapping count for a range table entry. */
extern Oid	reefpg_scan_userid(ForeignScanState *node);

#endif							/* REEF_PG_SCAN_H */
