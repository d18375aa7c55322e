/*
 * test_rebuild_history.c
 *	  Random histories, then no manifest: everything must come back.
 *
 * Two servers write in turn, each a zombie while the other does.  There are
 * bulk loads, rollbacks after the record was durable, idempotency keys, folds
 * and compactions that stop at any call and leave half or whole orphans, jobs
 * of the zombie, and collection with no grace.  In the end all manifests are
 * deleted and a server that has seen nothing rebuilds the namespace.  The rows
 * must be those of the model, the idempotency keys those that were committed,
 * and verify must find nothing to say.
 */
#include <stdio.h>
#include <stdlib.h>

#include "engine/maintenance.h"
#include "engine/txn.h"
#include "table_fixture.h"
#include "unit.h"

#define STEPS 60
#define KEYED_MAX 100
#define GHOSTS_MAX 40
/* Rows that single transactions change; bulk loads add others. */
#define SMALL_IDS 60
#define BULK_ROWS 1200

typedef struct History
{
	ReefMemoryBucket *bucket;
	Cluster    *clusters[2];
	int			writer;
	uint8_t		next_id;
	uint64_t	next_xid;
	Model		model;
	int			bulk_next;		/* first id that no bulk load has used */
	int			keyed_count;
	uint64_t	keyed_lsns[KEYED_MAX];
	Cluster    *ghosts[GHOSTS_MAX];
	int			ghost_count;
	int			orphans;		/* jobs that stopped */
	int			collected;		/* objects */
	int			compactions;
	int			calls_left;		/* of a compaction, until another process of its
								 * server commits and folds */
	int			interruptions;
} History;

static Cluster *
start(History *history)
{
	Cluster    *cluster = cluster_open(history->bucket, history->next_id++);

	fake_host_seed(cluster->fake, unit_random());
	cluster->settings.gc_grace_us = 0;
	cluster->settings.transaction_buffer_size = 120 * 1024;
	cluster->settings.target_segment_size = 16 * 1024;
	return cluster;
}

/* Memory stays as it is: a crashed server frees nothing. */
static void
bury(History *history, int i)
{
	if (history->ghost_count < GHOSTS_MAX)
		history->ghosts[history->ghost_count++] = history->clusters[i];
	else
		cluster_crash(history->clusters[i]);
	history->clusters[i] = start(history);
}

/* ---- transactions ---- */

static void
change_rows(Cluster *cluster, ReefTxn *txn, Model *model)
{
	int			count = 1 + (int) unit_random_below(5);
	int			i;

	for (i = 0; i < count; i++)
	{
		int			id = (int) unit_random_below(SMALL_IDS);
		ModelRow	row = {true, (int32_t) unit_random_below(1000), id};
		bool		done = false;

		if (!model->rows[id].exists)
			UNIT_EQUAL_INT(table_insert(txn, 1, (uint32_t) i + 1, id, &row,
										REEF_INSERT_ERROR, &done), REEF_OK);
		else if (unit_random_below(3) == 0)
		{
			UNIT_EQUAL_INT(table_delete(cluster, txn, 1, (uint32_t) i + 1, id,
										&done), REEF_OK);
			row.exists = false;
		}
		else
			UNIT_EQUAL_INT(table_update(cluster, txn, 1, (uint32_t) i + 1, id,
										id, &row, &done), REEF_OK);
		model->rows[id] = row;
	}
}

static void
load_rows(ReefTxn *txn, Model *model, int first)
{
	int			id;

	for (id = first; id < first + BULK_ROWS; id++)
	{
		ModelRow	row = {true, id % 7, id};
		bool		done;

		UNIT_EQUAL_INT(table_insert(txn, 1, 1, id, &row, REEF_INSERT_ERROR,
									&done), REEF_OK);
		model->rows[id] = row;
	}
	UNIT_CHECK(reef_txn_segments(txn) != NULL);
}

/* Durable, then rolled back; and the abort is durable too. */
static void
roll_back(History *history, Cluster *cluster, ReefTxn *txn)
{
	const ReefHost *host = cluster->host;
	uint64_t	full_xid = history->next_xid++;
	ReefFrame  *frame;
	ReefError	err;

	reef_error_init(&err);
	fake_host_set_xid(cluster->fake, full_xid, REEF_XID_IN_PROGRESS);
	UNIT_OK(reef_txn_prepare(txn, full_xid, NULL, &frame, &err), &err);
	(void) cluster_commit(cluster, &frame, 1, &err);
	fake_host_set_xid(cluster->fake, full_xid, REEF_XID_ABORTED);
	if (reef_frame_state(frame) == REEF_FRAME_DURABLE)
	{
		reef_commit_void(cluster->ns, frame);
		UNIT_EQUAL_INT(host->right_acquire(host->arg, 1, REEF_RIGHT_COMMIT, 0),
					   REEF_OK);
		UNIT_OK(reef_commit_pending_aborts(cluster->ns, &err), &err);
		host->right_release(host->arg, 1, REEF_RIGHT_COMMIT);
	}
	reef_frame_free(host, frame);
	reef_txn_free(txn);
}

/* A server that was the writer would find out only when it commits. */
static void
become_writer(History *history, int i)
{
	Cluster    *cluster = history->clusters[i];
	ReefError	err;

	if (history->writer != i)
		UNIT_OK(reef_namespace_reload(cluster->ns,
									  cluster->shared->incarnation, &err),
				&err);
	history->writer = i;
	/* read what others wrote */
	(void) cluster_count(cluster, NULL);
}

static void
write_txn(History *history, int i, bool is_bulk, bool is_void)
{
	Cluster    *cluster = history->clusters[i];
	Model	   *changed;
	ReefTxn    *txn;

	if (is_bulk && history->bulk_next + BULK_ROWS > MODEL_KEYS)
		return;
	become_writer(history, i);
	changed = malloc(sizeof(*changed));
	*changed = history->model;
	txn = table_begin(cluster);
	if (is_bulk)
		load_rows(txn, changed, history->bulk_next);
	else
		change_rows(cluster, txn, changed);
	if (is_void)
		roll_back(history, cluster, txn);
	else if (table_commit(cluster, txn) == REEF_FRAME_DURABLE)
	{
		history->model = *changed;
		if (is_bulk)
			history->bulk_next += BULK_ROWS;
	}
	free(changed);
}

/* One row under an idempotency key. */
static void
write_keyed(History *history, int i)
{
	Cluster    *cluster = history->clusters[i];
	int			id = MODEL_KEYS - 1 - history->keyed_count;
	ReefFrameHeader header = {.schema = table_schema};
	ReefOp		op = {.kind = REEF_OP_PUT,
		.condition.kind = REEF_CONDITION_ABSENT};
	ReefValue	values[3] = {{.as.int64 = id}, {.as.int32 = 5},
	{.is_null = true}};
	FrameBuilder builder;
	ReefFrame  *frame;
	ReefBuf		document;
	ReefError	err;
	char		key[20];

	if (history->keyed_count == KEYED_MAX)
		return;
	become_writer(history, i);
	reef_error_init(&err);
	snprintf(key, sizeof(key), "order-%d", history->keyed_count);
	header.idempotency_key = reef_slice_of_string(key);
	frame_begin(&builder, cluster);
	reef_frame_writer_free(builder.writer);
	UNIT_OK(reef_frame_writer_new(&header, &builder.writer, &err), &err);
	reef_buf_init(&document);
	reef_document_append(&document, table_schema.columns, 3, values);
	op.document = reef_buf_slice(&document);
	reef_frame_writer_add(builder.writer, &op);
	builder.delta = 1;
	frame = frame_end(&builder, 0);
	reef_buf_release(&document);
	(void) cluster_commit(cluster, &frame, 1, &err);
	if (reef_frame_state(frame) == REEF_FRAME_DURABLE)
	{
		history->keyed_lsns[history->keyed_count++] = reef_frame_lsn(frame);
		history->model.rows[id] = (ModelRow) {true, 5, -1};
	}
	reef_frame_free(cluster->host, frame);
}

/* ---- jobs ---- */

/* REEF_OK or what may happen to a server that stops or is not the writer. */
static void
check_job(ReefCode rc, const ReefError *err)
{
	if (rc == REEF_CORRUPT || rc == REEF_BUG || rc == REEF_INVALID)
		UNIT_OK(rc, err);
}

/* Another process of a server that compacts: what it writes, the compaction's
 * copy of the manifest lacks. */
static ReefFault
interrupt(void *arg, ReefFaultyCall call, const char *key)
{
	History    *history = arg;
	Cluster    *cluster = history->clusters[history->writer];
	const bool *held = cluster->fake->rights[1];
	ReefNamespace *busy = cluster->ns;
	ReefNamespace *other;
	ReefStore  *store;
	ReefFoldResult fold;
	ReefError	err;

	(void) call;
	(void) key;
	if (history->calls_left > 0)
		history->calls_left--;
	/* the other one would wait for what this one has */
	if (history->calls_left != 0 || held[REEF_RIGHT_COMMIT] ||
		held[REEF_RIGHT_MANIFEST])
		return REEF_FAULT_NONE;
	history->calls_left = -1;
	reef_error_init(&err);
	UNIT_OK(reef_memory_store_open(history->bucket, cluster->host, false,
								   &store, &err), &err);
	UNIT_OK(reef_namespace_attach(cluster->host, &cluster->settings, store,
								  reef_namespace_name(busy), cluster->shared,
								  &other, &err), &err);
	cluster->ns = other;
	write_txn(history, history->writer, false, false);
	write_keyed(history, history->writer);
	check_job(reef_fold(other, &fold, &err), &err);
	history->interruptions += fold.folded;
	cluster->ns = busy;
	reef_namespace_detach(other);
	reef_store_close(store);
	return REEF_FAULT_NONE;
}

static void
compact(History *history, int i)
{
	Cluster    *cluster = history->clusters[i];
	ReefCompactResult result = {0};
	bool		is_full = unit_random_below(2) == 0;
	ReefError	err;

	reef_error_init(&err);
	if (i == history->writer && unit_random_below(2) == 0)
	{
		history->calls_left = (int) unit_random_below(20);
		reef_faulty_store_set_hook(cluster->faulty, interrupt, history);
	}
	check_job(reef_compact(cluster->ns, is_full, &result, &err), &err);
	reef_faulty_store_set_hook(cluster->faulty, NULL, NULL);
	history->compactions += result.compacted;
}

static void
run_job(History *history, int i)
{
	Cluster    *cluster = history->clusters[i];
	ReefFoldResult fold;
	ReefGcResult gc;
	ReefError	err;

	reef_error_init(&err);
	memset(&gc, 0, sizeof(gc));
	reef_memory_bucket_set_time(history->bucket, 1000000 +
								reef_memory_bucket_time(history->bucket));
	switch (unit_random_below(4))
	{
		case 0:
		case 1:
			check_job(reef_fold(cluster->ns, &fold, &err), &err);
			break;
		case 2:
			compact(history, i);
			break;
		case 3:
			check_job(reef_gc(cluster->ns, false, NULL, NULL, &gc, &err),
					  &err);
			history->collected += (int) gc.objects;
			break;
	}
}

static void
run_job_and_stop(History *history, int i)
{
	Cluster    *cluster = history->clusters[i];

	reef_faulty_store_fail_nth(cluster->faulty, 1 + unit_random_below(25),
							   unit_random_below(2) == 0 ?
							   REEF_FAULT_CRASH_BEFORE :
							   REEF_FAULT_CRASH_AFTER);
	run_job(history, i);
	history->orphans += reef_faulty_store_has_crashed(cluster->faulty);
	bury(history, i);
}

static void
step(History *history)
{
	uint64_t	choice = unit_random_below(100);
	int			i = history->writer;

	if (i < 0 || unit_random_below(10) == 0)
		i = (int) unit_random_below(2);
	if (choice < 40)
		write_txn(history, i, false, false);
	else if (choice < 50)
		write_keyed(history, i);
	else if (choice < 54)
		write_txn(history, i, true, false);
	else if (choice < 60)
		write_txn(history, i, unit_random_below(3) == 0, true);
	else if (choice < 90)
		run_job(history, i);
	else
		run_job_and_stop(history, i);
}

/* ---- the end of all manifests ---- */

static ReefCode
note_action(void *arg, const ReefAction *action, ReefError *err)
{
	char	   *text = arg;

	(void) err;
	if (strcmp(action->action, "incomplete") == 0 ||
		strcmp(action->action, "lost segment") == 0 ||
		strcmp(action->action, "lost records") == 0)
		snprintf(text + strlen(text), 1000 - strlen(text), "%s %s: %s; ",
				 action->action, action->object, action->detail);
	return REEF_OK;
}

static ReefCode
check_finding(void *arg, const ReefFinding *finding, ReefError *err)
{
	(void) arg;
	(void) err;
	if (finding->severity != REEF_SEVERITY_INFO)
		UNIT_FAIL("%s: %s: %s", finding->object, finding->check_name,
				  finding->detail);
	return REEF_OK;
}

static void
remove_manifests(ReefMemoryBucket *bucket)
{
	size_t		i = 0;

	while (i < reef_memory_bucket_count(bucket))
	{
		const char *key = reef_memory_bucket_key(bucket, i);
		char		prefix[REEF_OBJECT_KEY_SIZE];
		ReefObjectName name;

		if (reef_layout_parse_any(key, prefix, &name) &&
			name.kind == REEF_OBJECT_MANIFEST)
			UNIT_CHECK(reef_memory_bucket_remove(bucket, key));
		else
			i++;
	}
}

/* All keys, each with the LSN that it was committed with, once they are in a
 * manifest. */
static void
check_keys(const History *history, Cluster *cluster)
{
	ReefManifest manifest;
	ReefArena	arena;
	ReefBuf		bytes;
	ReefError	err;
	int			i;

	(void) cluster_fold(cluster);
	reef_error_init(&err);
	reef_arena_init(&arena, 0);
	reef_buf_init(&bytes);
	UNIT_OK(reef_manifest_load_current(cluster->ns, &arena, &manifest, &bytes,
									   &err), &err);
	UNIT_EQUAL_INT(manifest.idempotency_count, history->keyed_count);
	for (i = 0; i < manifest.idempotency_count; i++)
	{
		const ReefIdempotencyEntry *entry = &manifest.idempotency[i];
		char		key[20];
		int			number;

		snprintf(key, sizeof(key), "%.*s", (int) entry->key.size,
				 (const char *) entry->key.data);
		UNIT_EQUAL_INT(sscanf(key, "order-%d", &number), 1);
		UNIT_CHECK(number >= 0 && number < history->keyed_count);
		UNIT_EQUAL_INT(entry->lsn, history->keyed_lsns[number]);
	}
	reef_buf_release(&bytes);
	reef_arena_release(&arena);
}

static void
check_schema(Cluster *cluster)
{
	const ReefSchema *schema;
	ReefView   *view;
	ReefError	err;
	int			i;

	UNIT_OK(reef_view_pin(cluster->ns, NULL, INT64_MAX, &view, &err), &err);
	schema = reef_view_schema(view);
	UNIT_EQUAL_INT(schema->column_count, table_schema.column_count);
	for (i = 0; i < schema->column_count; i++)
	{
		const ReefColumn *column = &schema->columns[i];
		const ReefColumn *expected = &table_schema.columns[i];

		UNIT_EQUAL_STRING(column->name, expected->name);
		UNIT_EQUAL_STRING(column->type.pg_type, expected->type.pg_type);
		UNIT_EQUAL_INT(column->type.kind, expected->type.kind);
		UNIT_EQUAL_INT(column->key_position, expected->key_position);
		UNIT_EQUAL_INT(column->not_null, expected->not_null);
	}
	reef_view_unpin(view);
}

static void
lose_manifests(History *history)
{
	Cluster    *cluster = start(history);
	char		losses[1000] = "";
	ReefError	err;

	reef_error_init(&err);
	table_check(cluster, NULL, 0, &history->model);
	UNIT_OK(reef_verify(cluster->ns, true, check_finding, NULL, &err), &err);
	remove_manifests(history->bucket);
	UNIT_OK(reef_rebuild(cluster->ns, false, note_action, losses, &err), &err);
	UNIT_EQUAL_STRING(losses, "");
	table_check(cluster, NULL, 0, &history->model);
	check_schema(cluster);
	UNIT_OK(reef_verify(cluster->ns, true, check_finding, NULL, &err), &err);
	check_keys(history, cluster);
	cluster_close(cluster);
	/* it has taken over */
	history->writer = -1;
}

typedef struct Totals
{
	int			orphans;
	int			collected;
	int			compactions;
	int			interruptions;
	int			keys;
} Totals;

static void
run_history(Totals *totals)
{
	History    *history = calloc(1, sizeof(*history));
	int			i;

	history->bucket = reef_memory_bucket_new();
	history->next_id = 1;
	history->next_xid = 100;
	history->bulk_next = SMALL_IDS;
	history->clusters[0] = start(history);
	history->clusters[1] = start(history);
	write_txn(history, 0, false, false);
	for (i = 0; i < STEPS; i++)
		step(history);
	lose_manifests(history);
	/* and once more, with what the servers remember of before */
	for (i = 0; i < STEPS / 2; i++)
		step(history);
	lose_manifests(history);

	totals->orphans += history->orphans;
	totals->collected += history->collected;
	totals->compactions += history->compactions;
	totals->interruptions += history->interruptions;
	totals->keys += history->keyed_count;
	for (i = 0; i < 2; i++)
		cluster_crash(history->clusters[i]);
	for (i = 0; i < history->ghost_count; i++)
		cluster_crash(history->ghosts[i]);
	reef_memory_bucket_free(history->bucket);
	free(history);
}

UNIT_TEST(test_rebuild_history__everything_comes_back)
{
	Totals		totals = {0};
	int			i;

	for (i = 0; i < 12; i++)
		run_history(&totals);
	/* or the histories would not be what they are meant to be */
	UNIT_CHECK(totals.orphans > 20);
	UNIT_CHECK(totals.compactions > 20);
	UNIT_CHECK(totals.interruptions > 10);
	UNIT_CHECK(totals.collected > 100);
	UNIT_CHECK(totals.keys > 50);
}
