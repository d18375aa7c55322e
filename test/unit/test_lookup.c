/*
 * test_lookup.c
 *	  Single keys in views: which of several rows is the newest visible one?
 */
#include <stdlib.h>

#include "table_fixture.h"
#include "unit.h"

/* Commit one transaction under an xid whose fate the test decides. */
static void
commit_as(Cluster *cluster, ReefTxn *txn, uint64_t full_xid,
		  ReefXidState state)
{
	ReefFrame  *frame;
	ReefError	err;

	fake_host_set_xid(cluster->fake, full_xid, state);
	UNIT_OK(reef_txn_prepare(txn, full_xid, NULL, &frame, &err), &err);
	UNIT_OK(cluster_commit(cluster, &frame, 1, &err), &err);
	UNIT_EQUAL_INT(reef_frame_state(frame), REEF_FRAME_DURABLE);
	reef_frame_free(cluster->host, frame);
	reef_txn_free(txn);
}

/* Column a of a row as a snapshot sees it; -1: no row. */
static int
look_up(Cluster *cluster, void *snapshot, int64_t id)
{
	static const ReefColumn wanted[] = {
		{.name = "a",.type = {.kind = REEF_KIND_INT32,.length = -1,
		.pg_type = "integer"}}
	};
	ReefView   *view;
	ReefArena	arena;
	ReefValue	value;
	ReefBuf		key;
	ReefError	err;
	ReefCode	rc;
	uint64_t	lsn;

	UNIT_OK(reef_view_pin(cluster->ns, snapshot, INT64_MAX, &view, &err),
			&err);
	reef_arena_init(&arena, 0);
	rc = reef_view_lookup(view, table_key(&key, id), wanted, 1, &arena, &value,
						  &lsn, &err);
	if (rc != REEF_NOT_FOUND)
		UNIT_OK(rc, &err);
	reef_buf_release(&key);
	reef_arena_release(&arena);
	reef_view_unpin(view);
	return rc == REEF_OK ? value.as.int32 : -1;
}

/* The only row a full scan finds; -1: none. */
static int
scan_one(Cluster *cluster, void *snapshot)
{
	static const ReefColumn wanted[] = {
		{.name = "a",.type = {.kind = REEF_KIND_INT32,.length = -1,
		.pg_type = "integer"}}
	};
	ReefScanSpec spec = {.columns = wanted,.column_count = 1};
	ReefView   *view;
	ReefScan   *scan;
	ReefBatch  *batch;
	ReefError	err;
	int			found = -1;

	UNIT_OK(reef_view_pin(cluster->ns, snapshot, INT64_MAX, &view, &err),
			&err);
	UNIT_OK(reef_scan_open(view, &spec, &scan, &err), &err);
	UNIT_OK(reef_scan_restart(scan, NULL, &err), &err);
	for (;;)
	{
		UNIT_OK(reef_scan_next(scan, &batch, &err), &err);
		if (batch->row_count == 0)
			break;
		UNIT_EQUAL_INT(batch->row_count, 1);
		UNIT_EQUAL_INT(found, -1);
		found = ((const int32_t *) batch->columns[0].values)
			[batch->selection == NULL ? 0 : batch->selection[0]];
	}
	reef_scan_close(scan);
	reef_view_unpin(view);
	return found;
}

static void
check_row(Cluster *cluster, void *snapshot, int expected)
{
	UNIT_EQUAL_INT(look_up(cluster, snapshot, 5), expected);
	UNIT_EQUAL_INT(scan_one(cluster, snapshot), expected);
}

UNIT_TEST(test_lookup__each_snapshot_sees_its_own_version)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	FakeSnapshot at[5] = {
		{.xmax = 10}, {.xmax = 11}, {.xmax = 12}, {.xmax = 13}, {.xmax = 14}
	};
	ModelRow	row = {true, 1, 1};
	ReefTxn    *txn;
	bool		done;
	int			round;

	fake_host_set_horizon(cluster->fake, 10);
	txn = table_begin(cluster);
	UNIT_EQUAL_INT(table_insert(txn, 1, 1, 5, &row, REEF_INSERT_ERROR, &done),
				   REEF_OK);
	commit_as(cluster, txn, 10, REEF_XID_COMMITTED);
	row.a = 2;
	txn = table_begin(cluster);
	UNIT_EQUAL_INT(table_update(cluster, txn, 1, 1, 5, 5, &row, &done),
				   REEF_OK);
	commit_as(cluster, txn, 11, REEF_XID_COMMITTED);
	txn = table_begin(cluster);
	UNIT_EQUAL_INT(table_delete(cluster, txn, 1, 1, 5, &done), REEF_OK);
	commit_as(cluster, txn, 12, REEF_XID_COMMITTED);
	row.a = 4;
	txn = table_begin(cluster);
	UNIT_EQUAL_INT(table_insert(txn, 1, 1, 5, &row, REEF_INSERT_ERROR, &done),
				   REEF_OK);
	commit_as(cluster, txn, 13, REEF_XID_COMMITTED);

	/* before and after a fold: older snapshots keep their generations */
	for (round = 0; round < 2; round++)
	{
		check_row(cluster, &at[0], -1);
		check_row(cluster, &at[1], 1);
		check_row(cluster, &at[2], 2);
		check_row(cluster, &at[3], -1);
		check_row(cluster, &at[4], 4);
		check_row(cluster, NULL, 4);
		(void) cluster_fold(cluster);
	}
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_lookup__a_running_or_aborted_transaction_hides_nothing)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	ModelRow	row = {true, 1, 1};
	ReefTxn    *txn = table_begin(cluster);
	bool		done;

	UNIT_EQUAL_INT(table_insert(txn, 1, 1, 5, &row, REEF_INSERT_ERROR, &done),
				   REEF_OK);
	commit_as(cluster, txn, 10, REEF_XID_COMMITTED);
	(void) cluster_fold(cluster);
	txn = table_begin(cluster);
	UNIT_EQUAL_INT(table_delete(cluster, txn, 1, 1, 5, &done), REEF_OK);
	commit_as(cluster, txn, 11, REEF_XID_IN_PROGRESS);
	check_row(cluster, NULL, 1);

	/* whoever would write the key now cannot know what becomes of it */
	txn = table_begin(cluster);
	UNIT_EQUAL_INT(table_insert(txn, 1, 1, 5, &row, REEF_INSERT_ERROR, &done),
				   REEF_CONFLICT);
	reef_txn_free(txn);
	fake_host_set_xid(cluster->fake, 11, REEF_XID_ABORTED);
	check_row(cluster, NULL, 1);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_lookup__a_key_written_by_a_running_transaction_exists)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	ModelRow	row = {true, 1, 1};
	ReefTxn    *txn = table_begin(cluster);
	bool		done;

	UNIT_EQUAL_INT(table_insert(txn, 1, 1, 5, &row, REEF_INSERT_ERROR, &done),
				   REEF_OK);
	commit_as(cluster, txn, 10, REEF_XID_IN_PROGRESS);
	check_row(cluster, NULL, -1);
	txn = table_begin(cluster);
	UNIT_EQUAL_INT(table_insert(txn, 1, 1, 5, &row, REEF_INSERT_ERROR, &done),
				   REEF_KEY_EXISTS);
	reef_txn_free(txn);
	fake_host_set_xid(cluster->fake, 10, REEF_XID_ABORTED);
	txn = table_begin(cluster);
	UNIT_EQUAL_INT(table_insert(txn, 1, 1, 5, &row, REEF_INSERT_ERROR, &done),
				   REEF_OK);
	reef_txn_free(txn);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

/* ---- attached segments between the rows ---- */

/* Load all ids of [0, 2000) but those that exist, so many that they are
 * attached. */
static void
load(Cluster *cluster, Model *model, int a)
{
	ReefTxn    *txn = table_begin(cluster);
	ModelRow	row = {true, a, -1};
	bool		done;
	int			id;

	for (id = 0; id < 2000; id++)
	{
		if (model->rows[id].exists)
			continue;
		UNIT_EQUAL_INT(table_insert(txn, 1, 1, id, &row, REEF_INSERT_ERROR,
									&done), REEF_OK);
		model->rows[id] = row;
	}
	UNIT_EQUAL_INT(table_commit(cluster, txn), REEF_FRAME_DURABLE);
}

static void
change(Cluster *cluster, Model *model, int first, int step, bool is_delete)
{
	ReefTxn    *txn = table_begin(cluster);
	int			id;

	for (id = first; id < 2000; id += step)
	{
		ModelRow	row = {true, (int32_t) unit_random(), -1};
		bool		exists = model->rows[id].exists;
		bool		done;

		if (is_delete)
			UNIT_EQUAL_INT(table_delete(cluster, txn, 1, 1, id, &done),
						   exists ? REEF_OK : REEF_NOT_FOUND);
		else
			UNIT_EQUAL_INT(table_update(cluster, txn, 1, 1, id, id, &row,
										&done),
						   exists ? REEF_OK : REEF_NOT_FOUND);
		model->rows[id] = row;
		model->rows[id].exists = exists && !is_delete;
	}
	UNIT_EQUAL_INT(table_commit(cluster, txn), REEF_FRAME_DURABLE);
}

static void
check_everywhere(Cluster *cluster, const Model *model)
{
	int			id;

	table_check(cluster, NULL, 0, model);
	for (id = 0; id < 2000; id += 3)
		UNIT_EQUAL_INT(look_up(cluster, NULL, id) != -1 ||
					   model->rows[id].a == -1, model->rows[id].exists);
}

UNIT_TEST(test_lookup__attached_rows_take_their_place_among_the_others)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	Model	   *model = calloc(1, sizeof(*model));
	int			round;

	cluster->settings.transaction_buffer_size = 64 * 1024;
	for (round = 0; round < 3; round++)
	{
		/* loaded, changed, deleted, loaded again, changed again: one window */
		load(cluster, model, 1000 + round);
		change(cluster, model, 0, 5, false);
		change(cluster, model, round, 3, true);
		check_everywhere(cluster, model);
		load(cluster, model, 2000 + round);
		change(cluster, model, 0, 7, false);
		change(cluster, model, 1, 2, true);
		check_everywhere(cluster, model);
		(void) cluster_fold(cluster);
		check_everywhere(cluster, model);
	}
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
	free(model);
}
