/*
 * table_fixture.h
 *	  A table for tests of scans and transactions, and a model of it.
 *
 * The table is (id bigint primary key, a integer, b text).  The model is an
 * array of rows by id: what the table must contain if everything is right.
 */
#ifndef REEF_TABLE_FIXTURE_H
#define REEF_TABLE_FIXTURE_H

#include "engine_fixture.h"

#define MODEL_KEYS 10000

typedef struct ModelRow
{
	bool		exists;
	int32_t		a;
	int			b;				/* text "b<n>"; negative: null */
} ModelRow;

typedef struct Model
{
	ModelRow	rows[MODEL_KEYS];
} Model;

extern const ReefSchema table_schema;

/* The key of an id; release the buffer. */
extern ReefSlice table_key(ReefBuf *buf, int64_t id);
/* Insert, update, delete as a statement would: the row is read first, by the
 * transaction itself.  What the engine said. */
extern ReefCode table_insert(ReefTxn *txn, int level, uint32_t cid, int64_t id,
							 const ModelRow *row, ReefInsertMode mode,
							 bool *inserted);
extern ReefCode table_update(Cluster *cluster, ReefTxn *txn, int level,
							 uint32_t cid, int64_t id, int64_t new_id,
							 const ModelRow *row, bool *applied);
extern ReefCode table_delete(Cluster *cluster, ReefTxn *txn, int level,
							 uint32_t cid, int64_t id, bool *applied);
/* Commit, as a transaction that is visible to everybody at once. */
extern ReefFrameState table_commit(Cluster *cluster, ReefTxn *txn);
extern ReefTxn *table_begin(Cluster *cluster);

/*
 * Everything that can be read of the table agrees with the model: full scans
 * with and without columns, ranges, single keys.
 */
extern void table_check(Cluster *cluster, ReefTxn *txn, uint32_t cid,
						const Model *model);
/* How many rows a scan of no columns counts; *counters may be NULL. */
extern uint64_t table_count(Cluster *cluster, ReefTxn *txn, uint32_t cid,
							ReefScanCounters *counters);

#endif							/* REEF_TABLE_FIXTURE_H */
