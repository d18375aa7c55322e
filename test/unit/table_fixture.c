/*
 * table_fixture.c
 *	  See table_fixture.h.
 */
#include "table_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "unit.h"

static ReefColumn columns[] = {
	{
		.name = "id",
		.type = {.kind = REEF_KIND_INT64, .length = -1, .pg_type = "bigint"},
		.key_position = 1,
		.not_null = true
	},
	{
		.name = "a",
		.type = {.kind = REEF_KIND_INT32, .length = -1, .pg_type = "integer"}
	},
	{
		.name = "b",
		.type = {.kind = REEF_KIND_TEXT, .length = -1, .pg_type = "text"}
	}
};

const ReefSchema table_schema = {3, columns};

ReefSlice
table_key(ReefBuf *buf, int64_t id)
{
	ReefValue	value = {.as.int64 = id};

	reef_buf_init(buf);
	reef_key_append(buf, REEF_KIND_INT64, &value);
	return reef_buf_slice(buf);
}

ReefTxn *
table_begin(Cluster *cluster)
{
	ReefTxn    *txn;
	ReefError	err;

	UNIT_OK(reef_txn_new(cluster->ns, &table_schema, &txn, &err), &err);
	return txn;
}

static void
set_values(ReefValue values[3], char text[20], int64_t id, const ModelRow *row)
{
	memset(values, 0, sizeof(ReefValue) * 3);
	values[0].as.int64 = id;
	values[1].as.int32 = row->a;
	values[2].is_null = row->b < 0;
	snprintf(text, 20, "b%d", row->b);
	values[2].as.bytes = reef_slice_of_string(text);
}

ReefCode
table_insert(ReefTxn *txn, int level, uint32_t cid, int64_t id,
			 const ModelRow *row, ReefInsertMode mode, bool *inserted)
{
	ReefTxnPoint point = {level, cid};
	ReefValue	values[3];
	ReefError	err;
	char		text[20];

	set_values(values, text, id, row);
	return reef_txn_insert(txn, point, values, mode, inserted, &err);
}

/* The row id of the row that a command sees; false: none. */
static bool
scan_row(Cluster *cluster, ReefTxn *txn, uint32_t cid, int64_t id,
		 uint64_t *lsn)
{
	ReefScanSpec spec = {.want_lsns = true, .txn = txn, .cid = cid};
	ReefKeyRange range = {.is_prefix = false};
	ReefView   *view;
	ReefScan   *scan;
	ReefBatch  *batch;
	ReefBuf		key;
	ReefError	err;
	bool		found;

	UNIT_OK(reef_view_pin(cluster->ns, NULL, INT64_MAX, &view, &err), &err);
	UNIT_OK(reef_scan_open(view, &spec, &scan, &err), &err);
	range.low = range.high = table_key(&key, id);
	UNIT_OK(reef_scan_restart(scan, &range, &err), &err);
	UNIT_OK(reef_scan_next(scan, &batch, &err), &err);
	found = batch->row_count == 1;
	if (found)
		*lsn = (uint64_t) batch->lsns[batch->selection == NULL ? 0 :
									  batch->selection[0]];
	reef_scan_close(scan);
	reef_view_unpin(view);
	reef_buf_release(&key);
	return found;
}

ReefCode
table_update(Cluster *cluster, ReefTxn *txn, int level, uint32_t cid,
			 int64_t id, int64_t new_id, const ModelRow *row, bool *applied)
{
	ReefTxnPoint point = {level, cid};
	bool		changed[3] = {id != new_id, true, true};
	ReefRowId	old;
	ReefValue	values[3];
	ReefBuf		key;
	ReefError	err;
	ReefCode	rc;
	char		text[20];

	*applied = false;
	if (!scan_row(cluster, txn, cid, id, &old.lsn))
		return REEF_NOT_FOUND;
	old.key = table_key(&key, id);
	set_values(values, text, new_id, row);
	rc = reef_txn_update(txn, point, &old, values, changed, applied, &err);
	reef_buf_release(&key);
	return rc;
}

ReefCode
table_delete(Cluster *cluster, ReefTxn *txn, int level, uint32_t cid,
			 int64_t id, bool *applied)
{
	ReefTxnPoint point = {level, cid};
	ReefRowId	old;
	ReefBuf		key;
	ReefError	err;
	ReefCode	rc;

	*applied = false;
	if (!scan_row(cluster, txn, cid, id, &old.lsn))
		return REEF_NOT_FOUND;
	old.key = table_key(&key, id);
	rc = reef_txn_delete(txn, point, &old, applied, &err);
	reef_buf_release(&key);
	return rc;
}

ReefFrameState
table_commit(Cluster *cluster, ReefTxn *txn)
{
	ReefFrameState state;
	ReefFrame  *frame;
	ReefError	err;

	UNIT_OK(reef_txn_prepare(txn, 0, NULL, &frame, &err), &err);
	(void) cluster_commit(cluster, &frame, 1, &err);
	state = reef_frame_state(frame);
	reef_frame_free(cluster->host, frame);
	reef_txn_free(txn);
	return state;
}

/* ---- checking ---- */

static void
check_row(const Model *model, const ReefBatch *batch, int position,
		  uint8_t *seen)
{
	ReefValue	value;
	ReefBuf		key;
	char		text[20];
	int64_t		id;

	reef_vector_get(&batch->columns[0], position, &value);
	id = value.as.int64;
	UNIT_CHECK(id >= 0 && id < MODEL_KEYS);
	UNIT_EQUAL_INT(seen[id], 0);
	seen[id] = 1;
	UNIT_CHECK(model->rows[id].exists);
	reef_vector_get(&batch->columns[1], position, &value);
	/* read as bigint, stored as integer */
	UNIT_EQUAL_INT(value.as.int64, model->rows[id].a);
	reef_vector_get(&batch->columns[2], position, &value);
	UNIT_EQUAL_INT(value.is_null, model->rows[id].b < 0);
	if (!value.is_null)
	{
		snprintf(text, sizeof(text), "b%d", model->rows[id].b);
		UNIT_EQUAL_BYTES(value.as.bytes, reef_slice_of_string(text));
	}
	reef_vector_get(&batch->columns[3], position, &value);
	UNIT_CHECK(value.is_null);
	UNIT_EQUAL_BYTES(batch->keys[position], table_key(&key, id));
	reef_buf_release(&key);
}

/* Scan ids low .. high (inclusive) and compare. */
static void
check_range(ReefScan *scan, const Model *model, int low, int high,
			bool exclusive)
{
	uint8_t		seen[MODEL_KEYS] = {0};
	ReefKeyRange range = {.is_prefix = false};
	ReefBatch  *batch;
	ReefBuf		low_key;
	ReefBuf		high_key;
	ReefError	err;
	int			i;

	range.low = table_key(&low_key, exclusive ? low - 1 : low);
	range.high = table_key(&high_key, exclusive ? high + 1 : high);
	range.low_exclusive = range.high_exclusive = exclusive;
	if (low == 0 && high == MODEL_KEYS - 1 && !exclusive)
		range.low.size = range.high.size = 0;
	UNIT_OK(reef_scan_restart(scan, &range, &err), &err);
	do
	{
		UNIT_OK(reef_scan_next(scan, &batch, &err), &err);
		for (i = 0; i < batch->row_count; i++)
			check_row(model, batch, batch->selection == NULL ? i :
					  batch->selection[i], seen);
	} while (batch->row_count > 0);
	for (i = low; i <= high; i++)
		UNIT_EQUAL_INT(seen[i], model->rows[i].exists);
	for (i = 0; i < MODEL_KEYS; i++)
		UNIT_CHECK(!seen[i] || (i >= low && i <= high));
	reef_buf_release(&low_key);
	reef_buf_release(&high_key);
}

static uint64_t
count_rows(ReefView *view, ReefTxn *txn, uint32_t cid,
		   ReefScanCounters *counters)
{
	ReefScanSpec spec = {.txn = txn, .cid = cid};
	ReefScan   *scan;
	ReefBatch  *batch;
	ReefError	err;
	uint64_t	count = 0;

	UNIT_OK(reef_scan_open(view, &spec, &scan, &err), &err);
	UNIT_OK(reef_scan_restart(scan, NULL, &err), &err);
	do
	{
		UNIT_OK(reef_scan_next(scan, &batch, &err), &err);
		count += (uint64_t) batch->row_count;
	} while (batch->row_count > 0);
	if (counters != NULL)
		*counters = *reef_scan_counters(scan);
	reef_scan_close(scan);
	return count;
}

uint64_t
table_count(Cluster *cluster, ReefTxn *txn, uint32_t cid,
			ReefScanCounters *counters)
{
	ReefView   *view;
	ReefError	err;
	uint64_t	count;

	UNIT_OK(reef_view_pin(cluster->ns, NULL, INT64_MAX, &view, &err), &err);
	count = count_rows(view, txn, cid, counters);
	reef_view_unpin(view);
	return count;
}

void
table_check(Cluster *cluster, ReefTxn *txn, uint32_t cid, const Model *model)
{
	static const ReefColumn wanted[] = {
		{.name = "id",.type = {.kind = REEF_KIND_INT64,.length = -1,
		.pg_type = "bigint"}},
		{.name = "a",.type = {.kind = REEF_KIND_INT64,.length = -1,
		.pg_type = "bigint"}},
		{.name = "b",.type = {.kind = REEF_KIND_TEXT,.length = -1,
		.pg_type = "text"}},
		{.name = "nowhere",.type = {.kind = REEF_KIND_UUID,.length = -1,
		.pg_type = "uuid"}},
	};
	ReefScanSpec spec = {
		.columns = wanted,
		.column_count = 4,
		.want_keys = true,
		.txn = txn,
		.cid = cid
	};
	ReefView   *view;
	ReefScan   *scan;
	ReefError	err;
	uint64_t	expected = 0;
	int			i;

	UNIT_OK(reef_view_pin(cluster->ns, NULL, INT64_MAX, &view, &err), &err);
	UNIT_OK(reef_scan_open(view, &spec, &scan, &err), &err);
	check_range(scan, model, 0, MODEL_KEYS - 1, false);
	for (i = 0; i < 5; i++)
	{
		int			low = (int) unit_random_below(MODEL_KEYS);
		int			high = low + (int) unit_random_below((uint64_t)
														 (MODEL_KEYS - low));

		check_range(scan, model, low, high, unit_random_below(2) == 0);
		check_range(scan, model, low, low, false);
	}
	reef_scan_close(scan);
	for (i = 0; i < MODEL_KEYS; i++)
		expected += model->rows[i].exists;
	UNIT_EQUAL_INT(count_rows(view, txn, cid, NULL), expected);
	if (txn == NULL)
		UNIT_EQUAL_INT(reef_view_row_count(view), expected);
	reef_view_unpin(view);
}
