/*
 * test_txn.c
 *	  Transactions against a model: statements, savepoints, cursors, bulk.
 */
#include "table_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "unit.h"

#define LEVELS_MAX 6

/* A transaction and what it must see, savepoint by savepoint. */
typedef struct Session
{
	Cluster    *cluster;
	ReefTxn    *txn;
	int			level;			/* 1: no savepoint */
	uint32_t	cid;
	Model		now;
	Model		saved[LEVELS_MAX + 1];	/* [level]: before it began */
	uint32_t	cursor_cid;		/* 0: no cursor */
	int			cursor_level;
	Model		cursor;			/* what it must see */
} Session;

static ModelRow
random_row(void)
{
	ModelRow	row = {true, (int32_t) unit_random(), -1};

	if (unit_random_below(4) > 0)
		row.b = (int) unit_random_below(100000);
	return row;
}

/* Half of all work is on few rows, so that they change often. */
static int
random_id(void)
{
	return (int) unit_random_below(unit_random_below(2) == 0 ? 100 :
								   MODEL_KEYS);
}

static void
random_insert(Session *s, int id)
{
	ModelRow   *old = &s->now.rows[id];
	ModelRow	row = random_row();
	ReefInsertMode mode = (ReefInsertMode) unit_random_below(3);
	ReefCode	rc;
	bool		inserted;

	rc = table_insert(s->txn, s->level, s->cid, id, &row, mode, &inserted);
	UNIT_EQUAL_INT(rc, old->exists && mode == REEF_INSERT_ERROR ?
				   REEF_KEY_EXISTS : REEF_OK);
	UNIT_EQUAL_INT(inserted, !old->exists || mode == REEF_INSERT_REPLACE);
	if (inserted)
		*old = row;
}

static void
random_update(Session *s, int id)
{
	ModelRow   *old = &s->now.rows[id];
	ModelRow	row = random_row();
	int			new_id = id;
	ReefCode	expected = REEF_OK;
	ReefCode	rc;
	bool		applied;

	if (unit_random_below(4) == 0)
		new_id = random_id();
	if (!old->exists)
		expected = REEF_NOT_FOUND;
	else if (new_id != id && s->now.rows[new_id].exists)
		expected = REEF_KEY_EXISTS;
	rc = table_update(s->cluster, s->txn, s->level, s->cid, id, new_id, &row,
					  &applied);
	UNIT_EQUAL_INT(rc, expected);
	if (rc != REEF_OK)
		return;
	UNIT_CHECK(applied);
	old->exists = false;
	s->now.rows[new_id] = row;
}

static void
random_statement(Session *s)
{
	int			id = random_id();
	ReefCode	rc;
	bool		applied;

	s->cid++;
	switch (unit_random_below(3))
	{
		case 0:
			random_insert(s, id);
			break;
		case 1:
			random_update(s, id);
			break;
		default:
			rc = table_delete(s->cluster, s->txn, s->level, s->cid, id,
							  &applied);
			UNIT_EQUAL_INT(rc, s->now.rows[id].exists ? REEF_OK :
						   REEF_NOT_FOUND);
			s->now.rows[id].exists = false;
	}
}

static void
random_savepoint(Session *s)
{
	if (unit_random_below(2) == 0 && s->level < LEVELS_MAX)
	{
		s->level++;
		s->saved[s->level] = s->now;
		return;
	}
	if (s->level == 1)
		return;
	if (unit_random_below(2) == 0)
	{
		reef_txn_abort_level(s->txn, s->level);
		s->now = s->saved[s->level];
	}
	else
		reef_txn_release_level(s->txn, s->level);
	/* a cursor of a level does not survive it */
	if (s->cursor_level == s->level)
		s->cursor_cid = 0;
	s->level--;
}

/* Rows that no other statement touches often, so many that they do not all
 * fit the buffer. */
static void
bulk_insert(Session *s)
{
	int			id;

	s->cid++;
	for (id = 1; id < MODEL_KEYS; id += 2)
	{
		ModelRow	row = random_row();
		bool		inserted;

		if (s->now.rows[id].exists || unit_random_below(3) > 0)
			continue;
		UNIT_EQUAL_INT(table_insert(s->txn, s->level, s->cid, id, &row,
									REEF_INSERT_ERROR, &inserted), REEF_OK);
		s->now.rows[id] = row;
	}
}

static void
check_cursor(Session *s)
{
	if (s->cursor_cid == 0)
	{
		s->cursor = s->now;
		s->cursor_cid = s->cid + 1;
		s->cursor_level = s->level;
	}
	else
		table_check(s->cluster, s->txn, s->cursor_cid, &s->cursor);
}

/* One transaction; *model is what is committed. */
static void
random_transaction(Cluster *cluster, Model *model, bool is_bulk)
{
	Session    *s = calloc(1, sizeof(*s));
	int			steps = 1 + (int) unit_random_below(60);
	int			i;

	s->cluster = cluster;
	s->level = 1;
	s->txn = table_begin(cluster);
	s->now = *model;
	for (i = 0; i < steps; i++)
	{
		if (unit_random_below(6) == 0)
			random_savepoint(s);
		else
			random_statement(s);
		if (is_bulk && unit_random_below(25) == 0)
			bulk_insert(s);
		/* (once the buffer was written out an old cursor may be refused) */
		if (!is_bulk && unit_random_below(20) == 0)
			check_cursor(s);
		if (unit_random_below(20) == 0)
			table_check(cluster, s->txn, s->cid + 1, &s->now);
	}
	while (s->level > 1)
		reef_txn_release_level(s->txn, s->level--);
	table_check(cluster, s->txn, s->cid + 1, &s->now);
	if (unit_random_below(5) == 0)
	{
		reef_txn_abort_level(s->txn, 1);
		UNIT_CHECK(reef_txn_is_empty(s->txn));
		reef_txn_free(s->txn);
	}
	else
	{
		UNIT_EQUAL_INT(table_commit(cluster, s->txn), REEF_FRAME_DURABLE);
		*model = s->now;
	}
	free(s);
}

/* Rows with ids first, first + step, ... in one transaction. */
static void
load(Cluster *cluster, Model *model, int first, int step)
{
	ReefTxn    *txn = table_begin(cluster);
	bool		inserted;
	int			id;

	for (id = first; id < MODEL_KEYS; id += step)
	{
		ModelRow	row = random_row();

		UNIT_EQUAL_INT(table_insert(txn, 1, 1, id, &row, REEF_INSERT_ERROR,
									&inserted), REEF_OK);
		model->rows[id] = row;
	}
	UNIT_EQUAL_INT(table_commit(cluster, txn), REEF_FRAME_DURABLE);
}

static void
delete_odd(Cluster *cluster, Model *model)
{
	ReefTxn    *txn = table_begin(cluster);
	bool		applied;
	int			id;

	for (id = 1; id < MODEL_KEYS; id += 2)
	{
		if (!model->rows[id].exists)
			continue;
		UNIT_EQUAL_INT(table_delete(cluster, txn, 1, 1, id, &applied),
					   REEF_OK);
		model->rows[id].exists = false;
	}
	UNIT_EQUAL_INT(table_commit(cluster, txn), REEF_FRAME_DURABLE);
}

UNIT_TEST(test_txn__random_histories_agree_with_a_model)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	Model	   *model = calloc(1, sizeof(*model));
	int			round;

	load(cluster, model, 0, 2);
	for (round = 0; round < 60; round++)
	{
		random_transaction(cluster, model, false);
		if (unit_random_below(5) == 0)
			(void) cluster_fold(cluster);
		table_check(cluster, NULL, 0, model);
	}
	cluster_crash(cluster);
	cluster = cluster_open(bucket, 2);
	table_check(cluster, NULL, 0, model);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
	free(model);
}

UNIT_TEST(test_txn__random_bulk_histories_agree_with_a_model)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	Model	   *model = calloc(1, sizeof(*model));
	int			round;

	cluster->settings.transaction_buffer_size = 100 * 1024;
	cluster->settings.target_segment_size = 16 * 1024;
	for (round = 0; round < 30; round++)
	{
		random_transaction(cluster, model, true);
		if (unit_random_below(4) == 0)
			(void) cluster_fold(cluster);
		table_check(cluster, NULL, 0, model);
		/* make room for the next load */
		if (round % 10 == 9)
			delete_odd(cluster, model);
	}
	cluster_crash(cluster);
	cluster = cluster_open(bucket, 2);
	table_check(cluster, NULL, 0, model);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
	free(model);
}

UNIT_TEST(test_txn__a_command_does_not_see_its_own_writes)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	ReefTxn    *txn = table_begin(cluster);
	ModelRow	row = {true, 1, 1};
	bool		done;

	UNIT_EQUAL_INT(table_insert(txn, 1, 1, 5, &row, REEF_INSERT_ERROR, &done),
				   REEF_OK);
	UNIT_EQUAL_INT(table_count(cluster, txn, 1, NULL), 0);
	UNIT_EQUAL_INT(table_count(cluster, txn, 2, NULL), 1);
	UNIT_EQUAL_INT(table_delete(cluster, txn, 1, 2, 5, &done), REEF_OK);
	UNIT_EQUAL_INT(table_count(cluster, txn, 2, NULL), 1);
	UNIT_EQUAL_INT(table_count(cluster, txn, 3, NULL), 0);
	reef_txn_free(txn);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_txn__a_row_changed_by_the_same_command_is_left_alone)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	ReefTxn    *txn = table_begin(cluster);
	ModelRow	row = {true, 1, 1};
	Model	   *model = calloc(1, sizeof(*model));
	bool		done;

	UNIT_EQUAL_INT(table_insert(txn, 1, 1, 5, &row, REEF_INSERT_ERROR, &done),
				   REEF_OK);
	UNIT_EQUAL_INT(table_commit(cluster, txn), REEF_FRAME_DURABLE);

	txn = table_begin(cluster);
	row.a = 2;
	UNIT_EQUAL_INT(table_update(cluster, txn, 1, 1, 5, 5, &row, &done),
				   REEF_OK);
	UNIT_CHECK(done);
	row.a = 3;
	UNIT_EQUAL_INT(table_update(cluster, txn, 1, 1, 5, 5, &row, &done),
				   REEF_OK);
	UNIT_CHECK(!done);
	UNIT_EQUAL_INT(table_delete(cluster, txn, 1, 1, 5, &done), REEF_OK);
	UNIT_CHECK(!done);
	/* the next command sees it, and may */
	row.a = 4;
	UNIT_EQUAL_INT(table_update(cluster, txn, 1, 2, 5, 5, &row, &done),
				   REEF_OK);
	UNIT_CHECK(done);
	UNIT_EQUAL_INT(table_commit(cluster, txn), REEF_FRAME_DURABLE);
	model->rows[5] = row;
	table_check(cluster, NULL, 0, model);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
	free(model);
}

UNIT_TEST(test_txn__a_row_that_changed_after_it_was_read_is_a_conflict)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	ReefTxn    *txn = table_begin(cluster);
	ReefTxnPoint point = {1, 1};
	ModelRow	row = {true, 1, 1};
	ReefRowId	old;
	ReefBuf		key;
	ReefError	err;
	bool		done;

	UNIT_EQUAL_INT(table_insert(txn, 1, 1, 5, &row, REEF_INSERT_ERROR, &done),
				   REEF_OK);
	UNIT_EQUAL_INT(table_commit(cluster, txn), REEF_FRAME_DURABLE);
	old.key = table_key(&key, 5);
	old.lsn = cluster->shared->last_lsn;
	txn = table_begin(cluster);
	UNIT_EQUAL_INT(table_update(cluster, txn, 1, 1, 5, 5, &row, &done),
				   REEF_OK);
	UNIT_EQUAL_INT(table_commit(cluster, txn), REEF_FRAME_DURABLE);

	/* whether the newer row is in the memtable or in a segment */
	txn = table_begin(cluster);
	UNIT_CODE(reef_txn_delete(txn, point, &old, &done, &err), REEF_CONFLICT,
			  &err);
	reef_txn_free(txn);
	(void) cluster_fold(cluster);
	txn = table_begin(cluster);
	UNIT_CODE(reef_txn_delete(txn, point, &old, &done, &err), REEF_CONFLICT,
			  &err);
	reef_txn_free(txn);
	reef_buf_release(&key);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_txn__ten_thousand_nested_savepoints_cost_their_own_work)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	ReefTxn    *txn = table_begin(cluster);
	ModelRow	row = {true, 1, 1};
	bool		done;
	int			level;

	for (level = 2; level < 10002; level++)
		UNIT_EQUAL_INT(table_insert(txn, level, (uint32_t) level, level, &row,
									REEF_INSERT_ERROR, &done), REEF_OK);
	UNIT_EQUAL_INT(table_count(cluster, txn, 20000, NULL), 10000);
	/* release the inner half, undo what is then one level, release the rest */
	for (level = 10001; level > 5001; level--)
		reef_txn_release_level(txn, level);
	reef_txn_abort_level(txn, 5001);
	UNIT_EQUAL_INT(table_count(cluster, txn, 20000, NULL), 4999);
	for (level = 5000; level > 1; level--)
		reef_txn_release_level(txn, level);
	UNIT_EQUAL_INT(table_commit(cluster, txn), REEF_FRAME_DURABLE);
	UNIT_EQUAL_INT(table_count(cluster, NULL, 0, NULL), 4999);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}
