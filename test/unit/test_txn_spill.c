/*
 * test_txn_spill.c
 *	  Transactions that outgrow their buffer, and tables without a key.
 */
#include "engine/txn.h"
#include "table_fixture.h"

#include <stdlib.h>

#include "unit.h"

static Cluster *
open_small(ReefMemoryBucket *bucket)
{
	Cluster    *cluster = cluster_open(bucket, 1);

	cluster->settings.transaction_buffer_size = 700 * 1024;
	cluster->settings.target_segment_size = 32 * 1024;
	return cluster;
}

static int
count_segments(const ReefTxn *txn)
{
	const ReefOwnSegment *own;
	int			count = 0;

	for (own = reef_txn_segments(txn); own != NULL; own = own->older)
		count++;
	return count;
}

static void
insert(ReefTxn *txn, int level, uint32_t cid, Model *model, int id)
{
	ModelRow	row = {true, id * 3, id % 7 == 0 ? -1 : id};
	bool		inserted;

	UNIT_EQUAL_INT(table_insert(txn, level, cid, id, &row, REEF_INSERT_ERROR,
								&inserted), REEF_OK);
	model->rows[id] = row;
}

UNIT_TEST(test_txn_spill__a_bulk_load_is_one_record_of_attached_segments)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = open_small(bucket);
	Model	   *model = calloc(1, sizeof(*model));
	ReefTxn    *txn = table_begin(cluster);
	ReefScanCounters counters;
	ModelRow	row = {true, 0, 0};
	bool		inserted;
	int			id;

	/* not in key order: 7919 is prime to MODEL_KEYS */
	for (id = 0; id < MODEL_KEYS; id++)
		insert(txn, 1, 1, model, (int) ((int64_t) id * 7919 % MODEL_KEYS));
	UNIT_CHECK(count_segments(txn) > 2);
	UNIT_CHECK(reef_txn_memory(txn) < 1500 * 1024);
	/* every key is known, wherever it is */
	for (id = 0; id < MODEL_KEYS; id += 13)
		UNIT_EQUAL_INT(table_insert(txn, 1, 1, id, &row, REEF_INSERT_ERROR,
									&inserted), REEF_KEY_EXISTS);
	/* the command that loads sees nothing of it, the next one all */
	UNIT_EQUAL_INT(table_count(cluster, txn, 1, NULL), 0);
	table_check(cluster, txn, 2, model);
	UNIT_EQUAL_INT(table_commit(cluster, txn), REEF_FRAME_DURABLE);
	table_check(cluster, NULL, 0, model);
	(void) cluster_fold(cluster);
	table_check(cluster, NULL, 0, model);
	UNIT_EQUAL_INT(table_count(cluster, NULL, 0, &counters), MODEL_KEYS);
	UNIT_EQUAL_INT(counters.pages_read, 0);
	cluster_close(cluster);
	cluster = cluster_open(bucket, 2);
	table_check(cluster, NULL, 0, model);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
	free(model);
}

UNIT_TEST(test_txn_spill__rows_written_out_can_be_changed_again)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = open_small(bucket);
	Model	   *model = calloc(1, sizeof(*model));
	ReefTxn    *txn = table_begin(cluster);
	ModelRow	row = {true, -1, -1};
	bool		done;
	int			id;

	for (id = 0; id < MODEL_KEYS; id++)
		insert(txn, 1, 1, model, id);
	for (id = 0; id < MODEL_KEYS; id += 17)
	{
		UNIT_EQUAL_INT(table_update(cluster, txn, 1, 2, id, id, &row, &done),
					   REEF_OK);
		UNIT_CHECK(done);
		model->rows[id] = row;
	}
	table_check(cluster, txn, 3, model);
	for (id = 0; id < MODEL_KEYS; id += 34)
	{
		UNIT_EQUAL_INT(table_delete(cluster, txn, 1, 3, id, &done), REEF_OK);
		UNIT_CHECK(done);
		model->rows[id].exists = false;
	}
	for (id = 0; id < MODEL_KEYS; id += 68)
		insert(txn, 1, 4, model, id);
	table_check(cluster, txn, 5, model);
	UNIT_EQUAL_INT(table_commit(cluster, txn), REEF_FRAME_DURABLE);
	table_check(cluster, NULL, 0, model);
	(void) cluster_fold(cluster);
	table_check(cluster, NULL, 0, model);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
	free(model);
}

UNIT_TEST(test_txn_spill__undoing_a_level_drops_what_it_wrote_out)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = open_small(bucket);
	Model	   *model = calloc(1, sizeof(*model));
	Model	   *undone = calloc(1, sizeof(*undone));
	ReefTxn    *txn = table_begin(cluster);
	int			id;

	/* three levels, and the buffer overflows in each and between them */
	for (id = 0; id < 2500; id++)
		insert(txn, 1, 1, model, id);
	for (id = 2500; id < 5000; id++)
		insert(txn, 2, 2, model, id);
	*undone = *model;
	for (id = 5000; id < 9000; id++)
		insert(txn, 3, 3, undone, id);
	table_check(cluster, txn, 4, undone);
	reef_txn_abort_level(txn, 3);
	table_check(cluster, txn, 4, model);
	/* the keys are free again */
	for (id = 5000; id < 6000; id++)
		insert(txn, 3, 5, model, id);
	reef_txn_release_level(txn, 3);
	reef_txn_release_level(txn, 2);
	for (id = 9000; id < MODEL_KEYS; id++)
		insert(txn, 1, 6, model, id);
	UNIT_CHECK(count_segments(txn) > 3);
	table_check(cluster, txn, 7, model);
	UNIT_EQUAL_INT(table_commit(cluster, txn), REEF_FRAME_DURABLE);
	table_check(cluster, NULL, 0, model);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
	free(model);
	free(undone);
}

UNIT_TEST(test_txn_spill__a_cursor_reads_on_while_the_buffer_is_written_out)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = open_small(bucket);
	Model	   *model = calloc(1, sizeof(*model));
	ReefTxn    *txn = table_begin(cluster);
	ReefScanSpec spec = {.txn = txn, .cid = 2};
	ReefView   *view;
	ReefScan   *scan;
	ReefBatch  *batch;
	ReefError	err;
	uint64_t	count = 0;
	int			id;

	for (id = 0; id < 1200; id++)
		insert(txn, 1, 1, model, id);
	UNIT_EQUAL_INT(count_segments(txn), 0);
	UNIT_OK(reef_view_pin(cluster->ns, NULL, 0, &view, &err), &err);
	UNIT_OK(reef_scan_open(view, &spec, &scan, &err), &err);
	UNIT_OK(reef_scan_restart(scan, NULL, &err), &err);
	UNIT_OK(reef_scan_next(scan, &batch, &err), &err);
	count += (uint64_t) batch->row_count;
	/* as INSERT INTO t SELECT .. FROM t does */
	for (id = 1200; id < MODEL_KEYS; id++)
		insert(txn, 1, 2, model, id);
	UNIT_CHECK(count_segments(txn) > 0);
	while (batch->row_count > 0)
	{
		UNIT_OK(reef_scan_next(scan, &batch, &err), &err);
		count += (uint64_t) batch->row_count;
	}
	UNIT_EQUAL_INT(count, 1200);
	/* and the same command may begin again */
	UNIT_EQUAL_INT(table_count(cluster, txn, 2, NULL), 1200);
	UNIT_EQUAL_INT(table_count(cluster, txn, 3, NULL), MODEL_KEYS);
	reef_scan_close(scan);
	reef_view_unpin(view);
	reef_txn_free(txn);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
	free(model);
}

UNIT_TEST(test_txn_spill__an_older_cursor_that_cannot_tell_rows_apart_is_refused)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = open_small(bucket);
	Model	   *model = calloc(1, sizeof(*model));
	ReefTxn    *txn = table_begin(cluster);
	ReefScanSpec spec = {.txn = txn, .cid = 2};
	ReefView   *view;
	ReefScan   *scan;
	ReefError	err;
	int			id;

	/* commands 1 and 2 share a buffer that is written out during command 3 */
	for (id = 0; id < 500; id++)
		insert(txn, 1, 1 + (uint32_t) id / 250, model, id);
	for (; id < MODEL_KEYS; id++)
		insert(txn, 1, 3, model, id);
	/* 500 are too few for a segment of their own: they stay, and are told
	 * apart */
	UNIT_EQUAL_INT(table_count(cluster, txn, 2, NULL), 250);
	reef_txn_free(txn);

	txn = table_begin(cluster);
	spec.txn = txn;
	for (id = 0; id < 1000; id++)
		insert(txn, 1, 1 + (uint32_t) id / 500, model, id);
	for (; id < MODEL_KEYS; id++)
		insert(txn, 1, 3, model, id);
	UNIT_OK(reef_view_pin(cluster->ns, NULL, 0, &view, &err), &err);
	UNIT_OK(reef_scan_open(view, &spec, &scan, &err), &err);
	UNIT_CODE(reef_scan_restart(scan, NULL, &err), REEF_SNAPSHOT_TOO_OLD,
			  &err);
	reef_scan_close(scan);
	reef_view_unpin(view);
	UNIT_EQUAL_INT(table_count(cluster, txn, 3, NULL), 1000);
	reef_txn_free(txn);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
	free(model);
}

UNIT_TEST(test_txn_spill__an_abandoned_load_deletes_its_segments)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = open_small(bucket);
	Model	   *model = calloc(1, sizeof(*model));
	ReefTxn    *txn = table_begin(cluster);
	size_t		before;
	int			id;

	/* the first spill creates the namespace */
	for (id = 0; id < 4000; id++)
		insert(txn, 1, 1, model, id);
	UNIT_CHECK(count_segments(txn) > 0);
	before = reef_memory_bucket_count(bucket) - (size_t) count_segments(txn);
	reef_txn_free(txn);
	UNIT_EQUAL_INT(reef_memory_bucket_count(bucket), before);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
	free(model);
}

UNIT_TEST(test_txn_spill__a_concurrent_row_rejects_the_load)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = open_small(bucket);
	Model	   *model = calloc(1, sizeof(*model));
	ReefTxn    *txn = table_begin(cluster);
	ReefTxn    *other;
	int			id;

	for (id = 0; id < MODEL_KEYS; id += 2)
		insert(txn, 1, 1, model, id);
	UNIT_CHECK(count_segments(txn) > 0);
	memset(model, 0, sizeof(*model));
	other = table_begin(cluster);
	insert(other, 1, 1, model, 100);
	UNIT_EQUAL_INT(table_commit(cluster, other), REEF_FRAME_DURABLE);
	UNIT_EQUAL_INT(table_commit(cluster, txn), REEF_FRAME_REJECTED);
	table_check(cluster, NULL, 0, model);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
	free(model);
}

/* ---- hidden keys and columns ---- */

static ReefColumn plain_columns[] = {
	{
		.name = "a",
		.type = {.kind = REEF_KIND_INT32, .length = -1, .pg_type = "integer"}
	},
	{
		.name = "b",
		.type = {.kind = REEF_KIND_TEXT, .length = -1, .pg_type = "text"}
	}
};

UNIT_TEST(test_txn_spill__a_table_without_a_key_keeps_every_row)
{
	static const ReefSchema schema = {2, plain_columns};
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = open_small(bucket);
	ReefTxnPoint point = {1, 1};
	ReefValue	values[2] = {{.as.int32 = 7}, {.is_null = true}};
	bool		changed[2] = {true, false};
	ReefScanSpec spec = {
		.columns = plain_columns,
		.column_count = 2,
		.want_keys = true,
		.want_lsns = true
	};
	ReefView   *view;
	ReefScan   *scan;
	ReefBatch  *batch;
	ReefTxn    *txn;
	ReefError	err;
	bool		done;
	int			i;

	UNIT_OK(reef_txn_new(cluster->ns, &schema, &txn, &err), &err);
	UNIT_EQUAL_INT(reef_txn_column_count(txn), 2);
	for (i = 0; i < 5000; i++)
		UNIT_OK(reef_txn_insert(txn, point, values, REEF_INSERT_ERROR, &done,
								&err), &err);
	UNIT_CHECK(count_segments(txn) > 0);
	UNIT_EQUAL_INT(table_commit(cluster, txn), REEF_FRAME_DURABLE);
	UNIT_EQUAL_INT(table_count(cluster, NULL, 0, NULL), 5000);

	/* the row id finds each again */
	UNIT_OK(reef_txn_new(cluster->ns, &schema, &txn, &err), &err);
	UNIT_OK(reef_view_pin(cluster->ns, NULL, 0, &view, &err), &err);
	UNIT_OK(reef_scan_open(view, &spec, &scan, &err), &err);
	UNIT_OK(reef_scan_restart(scan, NULL, &err), &err);
	UNIT_OK(reef_scan_next(scan, &batch, &err), &err);
	values[0].as.int32 = 8;
	for (i = 0; i < 10; i++)
	{
		ReefRowId	old = {batch->keys[i], (uint64_t) batch->lsns[i]};

		if (i % 2 == 0)
			UNIT_OK(reef_txn_update(txn, point, &old, values, changed, &done,
									&err), &err);
		else
			UNIT_OK(reef_txn_delete(txn, point, &old, &done, &err), &err);
		UNIT_CHECK(done);
	}
	reef_scan_close(scan);
	reef_view_unpin(view);
	UNIT_EQUAL_INT(table_commit(cluster, txn), REEF_FRAME_DURABLE);
	UNIT_EQUAL_INT(table_count(cluster, NULL, 0, NULL), 4995);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

/* A second table of the namespace: other columns, a in its own place. */
static ReefColumn narrow_columns[] = {
	{
		.name = "a",
		.type = {.kind = REEF_KIND_INT32, .length = -1, .pg_type = "integer"}
	},
	{
		.name = "c",
		.type = {.kind = REEF_KIND_INT64, .length = -1, .pg_type = "bigint"}
	},
	{
		.name = "id",
		.type = {.kind = REEF_KIND_INT32, .length = -1, .pg_type = "integer"},
		.key_position = 1,
		.not_null = true
	}
};

UNIT_TEST(test_txn_spill__a_table_that_lacks_columns_does_not_lose_them)
{
	static const ReefSchema narrow = {3, narrow_columns};
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = open_small(bucket);
	Model	   *model = calloc(1, sizeof(*model));
	ReefTxn    *txn = table_begin(cluster);
	ReefTxnPoint point = {1, 1};
	ReefValue	values[4];
	bool		changed[4] = {false};
	int			map[3];
	ReefRowId	old;
	ReefBuf		key;
	ReefError	err;
	bool		done;
	int			i;

	for (i = 1; i < 4; i++)
		insert(txn, 1, 1, model, i);
	UNIT_EQUAL_INT(table_commit(cluster, txn), REEF_FRAME_DURABLE);
	old.lsn = cluster->shared->last_lsn;

	UNIT_OK(reef_txn_new(cluster->ns, &narrow, &txn, &err), &err);
	UNIT_OK(reef_txn_add_schema(txn, &narrow, map, &err), &err);
	UNIT_EQUAL_INT(reef_txn_column_count(txn), 4);
	memset(values, 0, sizeof(values));
	for (i = 0; i < 4; i++)
		values[i].is_null = true;
	values[map[0]] = (ReefValue) {.as.int32 = 42};
	values[map[1]] = (ReefValue) {.as.int64 = 43};
	values[map[2]] = (ReefValue) {.as.int32 = 2};
	changed[map[0]] = changed[map[1]] = true;
	old.key = table_key(&key, 2);
	UNIT_OK(reef_txn_update(txn, point, &old, values, changed, &done, &err),
			&err);
	UNIT_CHECK(done);
	reef_buf_release(&key);
	/* to another key: the whole row is written anew */
	changed[map[2]] = true;
	values[map[2]].as.int32 = -1 + 9;
	old.key = table_key(&key, 3);
	UNIT_OK(reef_txn_update(txn, point, &old, values, changed, &done, &err),
			&err);
	reef_buf_release(&key);
	UNIT_EQUAL_INT(table_commit(cluster, txn), REEF_FRAME_DURABLE);
	model->rows[2].a = 42;
	model->rows[8] = model->rows[3];
	model->rows[8].a = 42;
	model->rows[3].exists = false;
	table_check(cluster, NULL, 0, model);
	(void) cluster_fold(cluster);
	table_check(cluster, NULL, 0, model);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
	free(model);
}
