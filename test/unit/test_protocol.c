/*
 * test_protocol.c
 *	  Random histories of two servers on one bucket, with everything going
 *	  wrong that can.
 *
 * Each transaction changes a few rows and inserts a marker row that nobody
 * ever touches again.  In the end a server that has seen nothing opens the
 * namespace; the markers tell which transactions are there, and in which
 * order they came.  Applying exactly these, in this order, to an empty model
 * must give exactly the rows that are stored, and on the way each
 * precondition must hold.  Some transactions are so large that they write
 * segments of their own.  That is invariants 1, 2, 3, 7 and 8 of DESIGN 3.9.
 *
 * Requests are refused, lost on either way, delayed until long after their
 * sender has died; servers crash; between any two requests of one server the
 * other may commit, fold, collect garbage or die; there is no grace at all, so
 * that only the protocol protects a sleeper.
 */
#include <stdio.h>
#include <stdlib.h>

#include "engine/txn.h"
#include "engine_fixture.h"
#include "unit.h"

#define KEYS 12
#define MARKER_BASE 1000000
#define TXNS_MAX 600
#define OPS_MAX 3
#define LOAD_BASE 2000000
#define LOAD_ROWS 1000			/* so many that it writes a segment */
#define GHOSTS_MAX 400
#define STEPS 400

typedef struct HistoryOp
{
	int			key;
	ReefOpKind	kind;			/* PUT: insert, PATCH: update, DELETE */
	uint64_t	base_lsn;
} HistoryOp;

typedef struct HistoryTxn
{
	int			op_count;
	HistoryOp	ops[OPS_MAX];
	bool		is_load;		/* of LOAD_ROWS rows that nobody touches */
	ReefFrameState state;
	bool		may_vanish;		/* rolled back after it was durable */
	uint64_t	lsn;			/* of its marker, in the end */
} HistoryTxn;

typedef struct History
{
	ReefMemoryBucket *bucket;
	Cluster    *clusters[2];
	uint8_t		next_id;
	int			fault_percent;
	int			interleave_percent; /* of requests: the other one acts */
	bool		is_busy[2];		/* in the middle of something */
	HistoryTxn	txns[TXNS_MAX];
	int			txn_count;
	Cluster    *ghosts[GHOSTS_MAX];
	int			ghost_count;
	uint64_t	next_xid;
} History;

static History *current;

static void step(History *history, int i);

static ReefFault
choose_fault(void *arg, ReefFaultyCall call, const char *key)
{
	static const ReefFault faults[] = {
		REEF_FAULT_REFUSE, REEF_FAULT_LOSE_REQUEST, REEF_FAULT_LOSE_RESPONSE,
		REEF_FAULT_LOSE_RESPONSE, REEF_FAULT_DELAY, REEF_FAULT_DELAY,
		REEF_FAULT_CRASH_BEFORE, REEF_FAULT_CRASH_AFTER
	};

	int			other = arg == &current->is_busy[0] ? 1 : 0;

	(void) key;
	if (!current->is_busy[other] && current->is_busy[1 - other] &&
		(int) unit_random_below(100) < current->interleave_percent)
	{
		/* often only a moment, sometimes a long sleep */
		int			steps = unit_random_below(3) == 0 ? 15 : 1;

		while (steps-- > 0)
			step(current, other);
	}
	if (call == REEF_FAULTY_NOW ||
		(int) unit_random_below(100) >= current->fault_percent)
		return REEF_FAULT_NONE;
	return faults[unit_random_below(sizeof(faults) / sizeof(faults[0]))];
}

static void
start_cluster(History *history, int i)
{
	Cluster    *cluster = cluster_open(history->bucket, history->next_id++);

	cluster->settings.gc_grace_us = 0;
	cluster->settings.commit_timeout_us = 2000000;
	cluster->settings.transaction_buffer_size = 64 * 1024;
	reef_faulty_store_set_hook(cluster->faulty, choose_fault,
							   &history->is_busy[i]);
	history->clusters[i] = cluster;
}

/* Its delayed requests may still arrive. */
static void
crash_cluster(History *history, int i)
{
	UNIT_CHECK(history->ghost_count < GHOSTS_MAX);
	history->ghosts[history->ghost_count++] = history->clusters[i];
	start_cluster(history, i);
}

/* REEF_OK with *lsn 0: no such row. */
static ReefCode
find_row(Cluster *cluster, int64_t id, uint64_t *lsn, char v[100])
{
	ReefValue	value = {.as.int64 = id};
	ReefValue	values[2];
	ReefArena	arena;
	ReefView   *view;
	ReefBuf		key;
	ReefError	err;
	ReefCode	rc;

	reef_error_init(&err);
	rc = reef_view_pin(cluster->ns, NULL, 0, &view, &err);
	if (rc != REEF_OK)
		return rc;
	reef_arena_init(&arena, 0);
	reef_buf_init(&key);
	reef_key_append(&key, REEF_KIND_INT64, &value);
	rc = reef_view_lookup(view, reef_buf_slice(&key), fixture_schema.columns,
						  2, &arena, values, lsn, &err);
	if (rc == REEF_OK)
		snprintf(v, 100, "%.*s", (int) values[1].as.bytes.size,
				 (const char *) values[1].as.bytes.data);
	if (rc == REEF_NOT_FOUND)
	{
		*lsn = 0;
		rc = REEF_OK;
	}
	UNIT_CHECK(rc != REEF_CORRUPT && rc != REEF_BUG);
	reef_buf_release(&key);
	reef_arena_release(&arena);
	reef_view_unpin(view);
	return rc;
}

static void
row_value(char v[100], int txn, int key)
{
	snprintf(v, 100, "t%d-k%d", txn, key);
}

/* One transaction's frame; NULL if the store did not let us read. */
static ReefFrame *
make_txn(History *history, Cluster *cluster, int number, uint64_t full_xid)
{
	HistoryTxn *txn = &history->txns[number];
	FrameBuilder builder;
	char		v[100];
	int			key = (int) unit_random_below(KEYS);
	int			count = 1 + (int) unit_random_below(OPS_MAX);
	bool		is_readable = true;

	frame_begin(&builder, cluster);
	txn->op_count = 0;
	for (int i = 0; i < count && is_readable; i++)
	{
		HistoryOp  *op = &txn->ops[txn->op_count++];

		op->key = (key + i) % KEYS;
		is_readable = find_row(cluster, op->key, &op->base_lsn, v) == REEF_OK;
		if (!is_readable)
			break;
		row_value(v, number, op->key);
		if (op->base_lsn == 0)
		{
			op->kind = REEF_OP_PUT;
			frame_insert(&builder, op->key, v);
		}
		else if (unit_random_below(3) == 0)
		{
			op->kind = REEF_OP_DELETE;
			frame_delete(&builder, op->key, op->base_lsn);
		}
		else
		{
			op->kind = REEF_OP_PATCH;
			frame_update(&builder, op->key, v, op->base_lsn);
		}
	}
	if (!is_readable)
	{
		txn->state = REEF_FRAME_REJECTED;
		reef_frame_writer_free(builder.writer);
		reef_buf_release(&builder.resolved);
		return NULL;
	}
	frame_insert(&builder, MARKER_BASE + number, "marker");
	return frame_end(&builder, full_xid);
}

/* What the local transaction does after the record is durable. */
static void
end_local(History *history, Cluster *cluster, const ReefFrame *frame,
		  HistoryTxn *txn)
{
	(void) history;
	if (frame->full_xid == 0)
		return;
	if (reef_frame_state(frame) == REEF_FRAME_DURABLE &&
		unit_random_below(3) != 0)
	{
		fake_host_set_xid(cluster->fake, frame->full_xid, REEF_XID_COMMITTED);
		return;
	}
	fake_host_set_xid(cluster->fake, frame->full_xid, REEF_XID_ABORTED);
	if (reef_frame_state(frame) == REEF_FRAME_DURABLE)
	{
		reef_commit_void(cluster->ns, frame);
		txn->may_vanish = true;
	}
}

static void
commit_some(History *history, int i)
{
	Cluster    *cluster = history->clusters[i];
	int			count = 1 + (int) unit_random_below(3);
	ReefFrame  *frames[3];
	int			numbers[3];
	ReefError	err;
	bool		has_crashed;
	int			made = 0;

	reef_error_init(&err);
	while (made < count && history->txn_count < TXNS_MAX)
	{
		uint64_t	full_xid = 0;

		numbers[made] = history->txn_count++;

		if (unit_random_below(3) == 0)
		{
			full_xid = history->next_xid++;
			fake_host_set_xid(cluster->fake, full_xid, REEF_XID_IN_PROGRESS);
		}
		frames[made] = make_txn(history, cluster, numbers[made], full_xid);
		if (frames[made] == NULL)
		{
			if (full_xid != 0)
				fake_host_set_xid(cluster->fake, full_xid, REEF_XID_ABORTED);
			break;
		}
		made++;
	}
	if (made > 0)
		(void) cluster_commit(cluster, frames, made, &err);
	has_crashed = reef_faulty_store_has_crashed(cluster->faulty);
	for (int f = 0; f < made; f++)
	{
		HistoryTxn *txn = &history->txns[numbers[f]];

		/* what a dead server would have said was never heard */
		txn->state = reef_frame_state(frames[f]);
		if (has_crashed && txn->state != REEF_FRAME_DURABLE)
			txn->state = REEF_FRAME_UNKNOWN;
		end_local(history, cluster, frames[f], txn);
		reef_frame_free(cluster->host, frames[f]);
	}
}

/* Insert a load's rows and its marker; the frame, NULL if that failed. */
static ReefFrame *
fill_load(ReefTxn *txn, int number)
{
	ReefTxnPoint point = {1, 1};
	ReefFrame  *frame;
	ReefError	err;
	char		text[200];
	bool		inserted;

	reef_error_init(&err);
	memset(text, 'x', sizeof(text));
	for (int i = 0; i <= LOAD_ROWS; i++)
	{
		ReefValue	values[2] = {{
			.as.int64 = i < LOAD_ROWS ?
				LOAD_BASE + number * 1000 + i : MARKER_BASE + number
		}};

		values[1].as.bytes = reef_slice(text, sizeof(text));
		if (reef_txn_insert(txn, point, values, REEF_INSERT_ERROR, &inserted,
							&err) != REEF_OK)
			return NULL;
	}
	UNIT_CHECK(reef_txn_segments(txn) != NULL);
	return reef_txn_prepare(txn, 0, NULL, &frame, &err) == REEF_OK ? frame :
		NULL;
}

static void
load(History *history, int i)
{
	Cluster    *cluster = history->clusters[i];
	HistoryTxn *load_txn;
	ReefTxn    *txn;
	ReefFrame  *frame;
	ReefError	err;
	int			number;

	reef_error_init(&err);
	if (history->txn_count == TXNS_MAX)
		return;
	number = history->txn_count++;
	load_txn = &history->txns[number];
	load_txn->is_load = true;
	load_txn->state = REEF_FRAME_REJECTED;
	if (reef_txn_new(cluster->ns, &fixture_schema, &txn, &err) != REEF_OK)
		return;
	frame = fill_load(txn, number);
	if (frame != NULL)
	{
		(void) cluster_commit(cluster, &frame, 1, &err);
		load_txn->state = reef_frame_state(frame);
		if (reef_faulty_store_has_crashed(cluster->faulty) &&
			load_txn->state != REEF_FRAME_DURABLE)
			load_txn->state = REEF_FRAME_UNKNOWN;
		reef_frame_free(cluster->host, frame);
	}
	reef_txn_free(txn);
}

static void
deliver_something(History *history)
{
	ReefCode	outcome;
	int			count = history->ghost_count + 2;
	int			choice = (int) unit_random_below((uint64_t) count);

	(void) reef_faulty_store_deliver(choice < 2 ?
									 history->clusters[choice]->faulty :
									 history->ghosts[choice - 2]->faulty,
									 &outcome);
}

/* One action of cluster i, or around it. */
static void
step(History *history, int i)
{
	uint64_t	choice = unit_random_below(100);
	ReefFoldResult result;
	ReefGcResult collected;
	ReefError	err;

	reef_error_init(&err);
	history->is_busy[i] = true;
	if (choice < 57)
		commit_some(history, i);
	else if (choice < 60)
		load(history, i);
	else if (choice < 75)
	{
		ReefCode	rc = reef_fold(history->clusters[i]->ns, &result, &err);

		if (rc == REEF_CORRUPT || rc == REEF_BUG)
			UNIT_OK(rc, &err);
	}
	else if (choice < 80 && history->ghost_count < GHOSTS_MAX - 2)
		crash_cluster(history, i);
	else if (choice < 92)
		deliver_something(history);
	else
	{
		ReefCode	rc = reef_gc(history->clusters[i]->ns, false, NULL, NULL,
								 &collected, &err);

		if (rc == REEF_CORRUPT || rc == REEF_BUG)
			UNIT_OK(rc, &err);
	}
	history->is_busy[i] = false;
	if (reef_faulty_store_has_crashed(history->clusters[i]->faulty) &&
		history->ghost_count < GHOSTS_MAX)
		crash_cluster(history, i);
}

/* ---- verify ---- */

typedef struct ModelRow
{
	uint64_t	lsn;			/* 0: not there */
	int			txn;
} ModelRow;

static int
compare_txns(const void *a, const void *b)
{
	const HistoryTxn *x = *(HistoryTxn *const *) a;
	const HistoryTxn *y = *(HistoryTxn *const *) b;

	return x->lsn < y->lsn ? -1 : x->lsn > y->lsn;
}

static void
apply_to_model(const History *history, const HistoryTxn *txn, ModelRow *model)
{
	for (int i = 0; i < txn->op_count; i++)
	{
		const HistoryOp *op = &txn->ops[i];

		/* absent is LSN 0 here and there [I7] */
		UNIT_EQUAL_INT(model[op->key].lsn, op->base_lsn);
		model[op->key].lsn = op->kind == REEF_OP_DELETE ? 0 : txn->lsn;
		model[op->key].txn = (int) (txn - history->txns);
	}
}

static void
verify(History *history)
{
	Cluster    *reader = cluster_open(history->bucket, 0);
	HistoryTxn *sorted[TXNS_MAX];
	ModelRow	model[KEYS] = {{0}};
	char		expected[100];
	char		v[100];
	int			count = 0;
	int			rows = 0;

	for (int i = 0; i < history->txn_count; i++)
	{
		HistoryTxn *txn = &history->txns[i];

		UNIT_CHECK(find_row(reader, MARKER_BASE + i, &txn->lsn, v) == REEF_OK);
		if (txn->state == REEF_FRAME_DURABLE && !txn->may_vanish &&
			txn->lsn == 0)
			UNIT_FAIL("transaction %d was acknowledged and is lost [I1]", i);
		if (txn->state == REEF_FRAME_REJECTED && txn->lsn != 0)
			UNIT_FAIL("transaction %d was rejected and is there [I3]", i);
		if (txn->lsn != 0)
			sorted[count++] = txn;
	}
	qsort(sorted, (size_t) count, sizeof(sorted[0]), compare_txns);
	for (int i = 0; i < count; i++)
	{
		apply_to_model(history, sorted[i], model);
		rows += sorted[i]->is_load ? LOAD_ROWS : 0;
	}
	for (int key = 0; key < KEYS; key++)
	{
		uint64_t	lsn;

		UNIT_CHECK(find_row(reader, key, &lsn, v) == REEF_OK);
		UNIT_EQUAL_INT(lsn, model[key].lsn);
		if (lsn == 0)
			continue;
		row_value(expected, model[key].txn, key);
		UNIT_EQUAL_STRING(v, expected);
		rows++;
	}
	UNIT_EQUAL_INT(cluster_count(reader, NULL), count + rows);
	cluster_close(reader);
}

static void
run_history(int fault_percent, int interleave_percent)
{
	static History history;
	ReefCode	outcome;

	memset(&history, 0, sizeof(history));
	current = &history;
	history.bucket = reef_memory_bucket_new();
	history.next_id = 1;
	history.next_xid = 100;
	history.fault_percent = fault_percent;
	history.interleave_percent = interleave_percent;
	start_cluster(&history, 0);
	start_cluster(&history, 1);
	for (int i = 0; i < STEPS; i++)
		step(&history, (int) unit_random_below(2));

	history.fault_percent = 0;
	history.interleave_percent = 0;
	verify(&history);
	/* the last stragglers change nothing */
	for (int i = 0; i < history.ghost_count; i++)
	{
		while (reef_faulty_store_deliver(history.ghosts[i]->faulty, &outcome))
			;
	}
	verify(&history);
	for (int i = 0; i < 2; i++)
		cluster_crash(history.clusters[i]);
	for (int i = 0; i < history.ghost_count; i++)
		cluster_crash(history.ghosts[i]);
	reef_memory_bucket_free(history.bucket);
}

UNIT_TEST(test_protocol__histories_without_faults)
{
	for (int i = 0; i < 2; i++)
		run_history(0, 0);
}

UNIT_TEST(test_protocol__histories_of_interleaved_servers)
{
	for (int i = 0; i < 8; i++)
		run_history(0, 10);
}

UNIT_TEST(test_protocol__histories_with_rare_faults)
{
	for (int i = 0; i < 8; i++)
		run_history(1, 5);
}

UNIT_TEST(test_protocol__histories_with_many_faults)
{
	for (int i = 0; i < 8; i++)
		run_history(8, 3);
}
