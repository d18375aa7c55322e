/*
 * test_scan.c
 *	  What scans return, and what they do not read.
 */
#include <stdlib.h>

#include "table_fixture.h"
#include "unit.h"

/* Rows [first, end) in one transaction. */
static void
insert_rows(Cluster *cluster, int first, int end)
{
	ReefTxn    *txn = table_begin(cluster);
	bool		done;
	int			id;

	for (id = first; id < end; id++)
	{
		ModelRow	row = {true, id, id};

		UNIT_EQUAL_INT(table_insert(txn, 1, 1, id, &row, REEF_INSERT_ERROR,
									&done), REEF_OK);
	}
	UNIT_EQUAL_INT(table_commit(cluster, txn), REEF_FRAME_DURABLE);
}

UNIT_TEST(test_scan__rows_that_nothing_hides_are_counted_without_reading)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	ReefScanCounters counters;
	ModelRow	row = {true, -1, -1};
	ReefTxn    *txn;
	bool		done;
	int			part;

	for (part = 0; part < 3; part++)
	{
		insert_rows(cluster, part * 9000, part * 9000 + 9000);
		(void) cluster_fold(cluster);
	}
	insert_rows(cluster, 27000, 27100);
	UNIT_EQUAL_INT(table_count(cluster, NULL, 0, &counters), 27100);
	UNIT_EQUAL_INT(counters.segments, 3);
	UNIT_EQUAL_INT(counters.segments_read, 0);
	UNIT_EQUAL_INT(counters.bytes_read, 0);
	UNIT_EQUAL_INT(counters.memtable_rows, 100);

	/* one row is hidden: the keys of its page are read, no others */
	txn = table_begin(cluster);
	UNIT_EQUAL_INT(table_update(cluster, txn, 1, 1, 12000, 12000, &row, &done),
				   REEF_OK);
	UNIT_EQUAL_INT(table_commit(cluster, txn), REEF_FRAME_DURABLE);
	UNIT_EQUAL_INT(table_count(cluster, NULL, 0, &counters), 27100);
	UNIT_EQUAL_INT(counters.rows_masked, 1);
	UNIT_CHECK(counters.pages_read + counters.pages_cached <= 2);

	/* the same from a segment */
	(void) cluster_fold(cluster);
	UNIT_EQUAL_INT(table_count(cluster, NULL, 0, &counters), 27100);
	UNIT_EQUAL_INT(counters.rows_masked, 1);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_scan__only_the_columns_and_pages_asked_for_are_read)
{
	static const ReefColumn wanted[] = {
		{.name = "a",.type = {.kind = REEF_KIND_INT32,.length = -1,
		.pg_type = "integer"}}
	};
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	ReefScanSpec spec = {.columns = wanted,.column_count = 1};
	ReefKeyRange range = {.is_prefix = false};
	ReefView   *view;
	ReefScan   *scan;
	ReefBatch  *batch;
	ReefBuf		low;
	ReefBuf		high;
	ReefError	err;
	uint64_t	rows = 0;

	insert_rows(cluster, 0, 40960);
	(void) cluster_fold(cluster);
	UNIT_OK(reef_view_pin(cluster->ns, NULL, 0, &view, &err), &err);
	UNIT_OK(reef_scan_open(view, &spec, &scan, &err), &err);
	UNIT_OK(reef_scan_restart(scan, NULL, &err), &err);
	do
	{
		UNIT_OK(reef_scan_next(scan, &batch, &err), &err);
		rows += (uint64_t) batch->row_count;
	} while (batch->row_count > 0);
	UNIT_EQUAL_INT(rows, 40960);
	UNIT_EQUAL_INT(reef_scan_counters(scan)->pages_read, 10);
	reef_scan_close(scan);

	/* rows 5000 to 9000 lie in two pages, whose keys are looked at too */
	UNIT_OK(reef_scan_open(view, &spec, &scan, &err), &err);
	range.low = table_key(&low, 5000);
	range.high = table_key(&high, 9000);
	UNIT_OK(reef_scan_restart(scan, &range, &err), &err);
	rows = 0;
	do
	{
		UNIT_OK(reef_scan_next(scan, &batch, &err), &err);
		rows += (uint64_t) batch->row_count;
	} while (batch->row_count > 0);
	UNIT_EQUAL_INT(rows, 4001);
	UNIT_EQUAL_INT(reef_scan_counters(scan)->pages_read, 2);
	UNIT_CHECK(reef_scan_counters(scan)->pages_cached >= 2);
	reef_buf_release(&low);
	reef_buf_release(&high);
	reef_scan_close(scan);
	reef_view_unpin(view);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_scan__a_cancelled_scan_stops)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	ReefScanSpec spec = {.column_count = 0};
	ReefView   *view;
	ReefScan   *scan;
	ReefBatch  *batch;
	ReefError	err;

	insert_rows(cluster, 0, 3000);
	UNIT_OK(reef_view_pin(cluster->ns, NULL, 0, &view, &err), &err);
	UNIT_OK(reef_scan_open(view, &spec, &scan, &err), &err);
	UNIT_OK(reef_scan_restart(scan, NULL, &err), &err);
	UNIT_OK(reef_scan_next(scan, &batch, &err), &err);
	UNIT_EQUAL_INT(batch->row_count, 1024);
	fake_host_cancel(cluster->fake, true);
	UNIT_CODE(reef_scan_next(scan, &batch, &err), REEF_CANCELLED, &err);
	fake_host_cancel(cluster->fake, false);
	reef_scan_close(scan);
	reef_view_unpin(view);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_scan__rows_know_the_record_that_wrote_them)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	ReefScanSpec spec = {.want_keys = true,.want_lsns = true};
	uint64_t	expected[4];
	ReefView   *view;
	ReefScan   *scan;
	ReefBatch  *batch;
	ReefBuf		key;
	ReefError	err;
	int			i;
	int			k;
	int			seen = 0;

	for (i = 0; i < 4; i++)
	{
		insert_rows(cluster, i, i + 1);
		expected[i] = cluster->shared->last_lsn;
		/* rows 0 and 1 in one segment, 2 in another, 3 in the memtable */
		if (i == 1 || i == 2)
			(void) cluster_fold(cluster);
	}
	UNIT_OK(reef_view_pin(cluster->ns, NULL, 0, &view, &err), &err);
	UNIT_OK(reef_scan_open(view, &spec, &scan, &err), &err);
	UNIT_OK(reef_scan_restart(scan, NULL, &err), &err);
	for (;;)
	{
		UNIT_OK(reef_scan_next(scan, &batch, &err), &err);
		if (batch->row_count == 0)
			break;
		UNIT_CHECK(batch->selection == NULL);
		for (i = 0; i < batch->row_count; i++)
		{
			for (k = 0; k < 4; k++)
			{
				if (reef_slice_equal(batch->keys[i], table_key(&key, k)))
				{
					UNIT_EQUAL_INT(batch->lsns[i], expected[k]);
					seen++;
				}
				reef_buf_release(&key);
			}
		}
	}
	UNIT_EQUAL_INT(seen, 4);
	reef_scan_close(scan);
	reef_view_unpin(view);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

/* ---- widening ---- */

#define WIDE_COLUMNS 8

static ReefColumn stored_columns[WIDE_COLUMNS] = {
	{.name = "k1",.type = {.kind = REEF_KIND_TEXT,.length = 10,
	.pg_type = "character varying(10)"},.key_position = 1},
	{.name = "k2",.type = {.kind = REEF_KIND_INT16,.length = -1,
	.pg_type = "smallint"},.key_position = 2},
	{.name = "s4",.type = {.kind = REEF_KIND_INT16,.length = -1,
	.pg_type = "smallint"}},
	{.name = "s8",.type = {.kind = REEF_KIND_INT16,.length = -1,
	.pg_type = "smallint"}},
	{.name = "i8",.type = {.kind = REEF_KIND_INT32,.length = -1,
	.pg_type = "integer"}},
	{.name = "f8",.type = {.kind = REEF_KIND_FLOAT32,.length = -1,
	.pg_type = "real"}},
	{.name = "d",.type = {.kind = REEF_KIND_DECIMAL64,.precision = 15,
	.scale = 2,.length = -1,.pg_type = "numeric(15,2)"}},
	{.name = "same",.type = {.kind = REEF_KIND_BOOL,.length = -1,
	.pg_type = "boolean"}},
};

static const ReefSchema stored_schema = {WIDE_COLUMNS, stored_columns};

static const ReefColumn wide_columns[WIDE_COLUMNS] = {
	{.name = "k1",.type = {.kind = REEF_KIND_TEXT,.length = -1,
	.pg_type = "text"}},
	{.name = "k2",.type = {.kind = REEF_KIND_INT64,.length = -1,
	.pg_type = "bigint"}},
	{.name = "s4",.type = {.kind = REEF_KIND_INT32,.length = -1,
	.pg_type = "integer"}},
	{.name = "s8",.type = {.kind = REEF_KIND_INT64,.length = -1,
	.pg_type = "bigint"}},
	{.name = "i8",.type = {.kind = REEF_KIND_INT64,.length = -1,
	.pg_type = "bigint"}},
	{.name = "f8",.type = {.kind = REEF_KIND_FLOAT64,.length = -1,
	.pg_type = "double precision"}},
	{.name = "d",.type = {.kind = REEF_KIND_DECIMAL128,.precision = 30,
	.scale = 2,.length = -1,.pg_type = "numeric(30,2)"}},
	{.name = "same",.type = {.kind = REEF_KIND_BOOL,.length = -1,
	.pg_type = "boolean"}},
};

static void
insert_wide(Cluster *cluster, int first, int end)
{
	ReefTxnPoint point = {1, 1};
	ReefTxn    *txn;
	ReefError	err;
	int			i;

	UNIT_OK(reef_txn_new(cluster->ns, &stored_schema, &txn, &err), &err);
	for (i = first; i < end; i++)
	{
		ReefValue	values[WIDE_COLUMNS];
		bool		done;
		int			k;

		memset(values, 0, sizeof(values));
		values[0].as.bytes = reef_slice_of_string(i % 2 == 0 ? "even" : "odd");
		values[1].as.int16 = (int16_t) (i - 1000);
		values[2].as.int16 = values[3].as.int16 = (int16_t) -i;
		values[4].as.int32 = -i * 1000;
		values[5].as.float32 = (float) i / 4;
		values[6].as.int64 = i % 5 == 0 ? REEF_DECIMAL64_NAN : -i;
		values[7].as.boolean = i % 3 == 0;
		for (k = 2; k < WIDE_COLUMNS; k++)
			values[k].is_null = (i + k) % 11 == 0;
		UNIT_OK(reef_txn_insert(txn, point, values, REEF_INSERT_ERROR, &done,
								&err), &err);
	}
	UNIT_EQUAL_INT(table_commit(cluster, txn), REEF_FRAME_DURABLE);
}

static void
check_wide(const ReefBatch *batch, int position, uint8_t *seen)
{
	ReefValue	values[WIDE_COLUMNS];
	int			i;
	int			k;

	for (k = 0; k < WIDE_COLUMNS; k++)
	{
		UNIT_EQUAL_INT(batch->columns[k].kind, wide_columns[k].type.kind);
		reef_vector_get(&batch->columns[k], position, &values[k]);
	}
	i = (int) values[1].as.int64 + 1000;
	UNIT_CHECK(i >= 0 && i < 3000);
	UNIT_EQUAL_INT(seen[i], 0);
	seen[i] = 1;
	UNIT_EQUAL_BYTES(values[0].as.bytes,
					 reef_slice_of_string(i % 2 == 0 ? "even" : "odd"));
	for (k = 2; k < WIDE_COLUMNS; k++)
		UNIT_EQUAL_INT(values[k].is_null, (i + k) % 11 == 0);
	UNIT_CHECK(values[2].is_null || values[2].as.int32 == -i);
	UNIT_CHECK(values[3].is_null || values[3].as.int64 == -i);
	UNIT_CHECK(values[4].is_null || values[4].as.int64 == -i * 1000);
	UNIT_CHECK(values[5].is_null || values[5].as.float64 == (double) i / 4);
	UNIT_CHECK(values[6].is_null || values[6].as.int128 ==
			   (i % 5 == 0 ? REEF_DECIMAL128_NAN : -i));
	UNIT_CHECK(values[7].is_null || values[7].as.boolean == (i % 3 == 0));
}

/* How many rows of a prefix of the key ("odd", "even", or all) are there? */
static int
scan_wide(Cluster *cluster, const char *prefix, uint8_t *seen)
{
	ReefScanSpec spec = {.columns = wide_columns,.column_count = WIDE_COLUMNS};
	ReefKeyRange range = {.is_prefix = true};
	ReefView   *view;
	ReefScan   *scan;
	ReefBatch  *batch;
	ReefBuf		key;
	ReefError	err;
	int			count = 0;
	int			i;

	reef_buf_init(&key);
	if (prefix != NULL)
	{
		ReefValue	value = {.as.bytes = reef_slice_of_string(prefix)};

		reef_key_append(&key, REEF_KIND_TEXT, &value);
	}
	range.low = reef_buf_slice(&key);
	UNIT_OK(reef_view_pin(cluster->ns, NULL, 0, &view, &err), &err);
	UNIT_OK(reef_scan_open(view, &spec, &scan, &err), &err);
	UNIT_OK(reef_scan_restart(scan, &range, &err), &err);
	do
	{
		UNIT_OK(reef_scan_next(scan, &batch, &err), &err);
		for (i = 0; i < batch->row_count; i++)
			check_wide(batch, batch->selection == NULL ? i :
					   batch->selection[i], seen);
		count += batch->row_count;
	} while (batch->row_count > 0);
	reef_scan_close(scan);
	reef_view_unpin(view);
	reef_buf_release(&key);
	return count;
}

UNIT_TEST(test_scan__stored_types_are_read_as_wider_ones)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	uint8_t		seen[3000];

	insert_wide(cluster, 0, 2000);
	(void) cluster_fold(cluster);
	insert_wide(cluster, 2000, 3000);
	memset(seen, 0, sizeof(seen));
	UNIT_EQUAL_INT(scan_wide(cluster, NULL, seen), 3000);
	memset(seen, 0, sizeof(seen));
	UNIT_EQUAL_INT(scan_wide(cluster, "even", seen), 1500);
	UNIT_EQUAL_INT(scan_wide(cluster, "odd", seen), 1500);
	UNIT_EQUAL_INT(scan_wide(cluster, "eve", seen), 0);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_scan__a_type_that_does_not_widen_is_refused)
{
	static const ReefColumn wanted[] = {
		{.name = "a",.type = {.kind = REEF_KIND_INT16,.length = -1,
		.pg_type = "smallint"}}
	};
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	ReefScanSpec spec = {.columns = wanted,.column_count = 1};
	ReefView   *view;
	ReefScan   *scan;
	ReefBatch  *batch;
	ReefError	err;
	int			round;

	insert_rows(cluster, 0, 10);
	for (round = 0; round < 2; round++)
	{
		UNIT_OK(reef_view_pin(cluster->ns, NULL, 0, &view, &err), &err);
		UNIT_OK(reef_scan_open(view, &spec, &scan, &err), &err);
		UNIT_OK(reef_scan_restart(scan, NULL, &err), &err);
		UNIT_CODE(reef_scan_next(scan, &batch, &err), REEF_TYPE_MISMATCH,
				  &err);
		reef_scan_close(scan);
		reef_view_unpin(view);
		(void) cluster_fold(cluster);
	}
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}
