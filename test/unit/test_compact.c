/*
 * test_compact.c
 *	  A compaction changes where rows are, how many files there are, and
 *	  nothing else.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/maintenance.h"
#include "table_fixture.h"
#include "unit.h"

/* ---- what there is ---- */

/* Every row as a scan returns it: its LSN, and what is in it. */
typedef struct Dump
{
	uint64_t	lsns[MODEL_KEYS];	/* 0: no such row */
	uint64_t	contents[MODEL_KEYS];
} Dump;

static uint64_t
content_of(const ReefBatch *batch, int position)
{
	uint64_t	hash = UINT64_C(14695981039346656037);
	ReefValue	value;
	size_t		i;

	reef_vector_get(&batch->columns[1], position, &value);
	hash = (hash ^ (value.is_null ? UINT64_MAX :
					(uint64_t) value.as.int32)) * UINT64_C(1099511628211);
	reef_vector_get(&batch->columns[2], position, &value);
	for (i = 0; !value.is_null && i < value.as.bytes.size; i++)
		hash = (hash ^ value.as.bytes.data[i]) * UINT64_C(1099511628211);
	return value.is_null ? ~hash : hash;
}

static Dump *
dump_view(ReefView *view)
{
	ReefScanSpec spec = {
		.columns = table_schema.columns,
		.column_count = table_schema.column_count,
		.want_lsns = true
	};
	Dump	   *dump = calloc(1, sizeof(*dump));
	ReefScan   *scan;
	ReefBatch  *batch;
	ReefError	err;

	UNIT_OK(reef_scan_open(view, &spec, &scan, &err), &err);
	UNIT_OK(reef_scan_restart(scan, NULL, &err), &err);
	do
	{
		UNIT_OK(reef_scan_next(scan, &batch, &err), &err);
		for (int i = 0; i < batch->row_count; i++)
		{
			int			position = batch->selection == NULL ? i :
				batch->selection[i];
			ReefValue	id;

			reef_vector_get(&batch->columns[0], position, &id);
			UNIT_EQUAL_INT(dump->lsns[id.as.int64], 0);
			dump->lsns[id.as.int64] = (uint64_t) batch->lsns[position];
			dump->contents[id.as.int64] = content_of(batch, position);
		}
	} while (batch->row_count > 0);
	reef_scan_close(scan);
	return dump;
}

static Dump *
dump_rows(Cluster *cluster, void *snapshot)
{
	ReefView   *view;
	Dump	   *dump;
	ReefError	err;

	UNIT_OK(reef_view_pin(cluster->ns, snapshot, 0, &view, &err), &err);
	dump = dump_view(view);
	reef_view_unpin(view);
	return dump;
}

/* Frees both. */
static void
check_same(Dump *a, Dump *b)
{
	for (int i = 0; i < MODEL_KEYS; i++)
	{
		UNIT_EQUAL_INT(a->lsns[i], b->lsns[i]);
		UNIT_EQUAL_INT(a->contents[i], b->contents[i]);
	}
	free(a);
	free(b);
}

typedef struct Shape
{
	int			level_0;
	int			level_1;
	uint64_t	rows;
	uint64_t	tombstones;
	uint64_t	hiding_1;		/* superseding rows of level 1 */
} Shape;

static ReefCode
add_to_shape(void *arg, const ReefSegmentInfo *info, ReefError *err)
{
	Shape	   *shape = arg;

	(void) err;
	shape->level_0 += info->level == 0;
	shape->level_1 += info->level == 1;
	shape->rows += info->row_count;
	shape->tombstones += info->tombstone_count;
	if (info->level == 1)
		shape->hiding_1 += info->superseding_count;
	return REEF_OK;
}

static Shape
shape_of(Cluster *cluster)
{
	Shape		shape = {0};
	ReefView   *view;
	ReefError	err;

	UNIT_OK(reef_view_pin(cluster->ns, NULL, 0, &view, &err), &err);
	UNIT_OK(reef_view_segments(view, add_to_shape, &shape, &err), &err);
	reef_view_unpin(view);
	return shape;
}

static int
count_objects(ReefMemoryBucket *bucket, const char *part)
{
	int			count = 0;

	for (size_t i = 0; i < reef_memory_bucket_count(bucket); i++)
		count += strstr(reef_memory_bucket_key(bucket, i), part) != NULL;
	return count;
}

/* ---- what is done ---- */

static ReefCompactResult
compact(Cluster *cluster, bool full)
{
	ReefCompactResult result;
	ReefError	err;

	UNIT_OK(reef_compact(cluster->ns, full, &result, &err), &err);
	return result;
}

/* Until nothing is worth doing; checks that it is the same before and after. */
static int
compact_all(Cluster *cluster, bool full)
{
	int			steps = 0;
	ReefCompactResult result;

	do
	{
		Dump	   *before = dump_rows(cluster, NULL);
		bool		is_needed = reef_namespace_needs_compaction(cluster->ns);

		result = compact(cluster, full);
		UNIT_CHECK(full || result.compacted == is_needed);
		UNIT_CHECK(!result.is_stale);
		check_same(before, dump_rows(cluster, NULL));
		steps += result.compacted;
		UNIT_CHECK(steps < 100);
	} while (result.compacted);
	return steps;
}

static void
write_rows(Cluster *cluster, Model *model, int first, int count, int step,
		   int a)
{
	ReefTxn    *txn = table_begin(cluster);

	for (int i = 0; i < count; i++)
	{
		int			id = (first + i * step) % MODEL_KEYS;
		/* no two texts alike, so that bytes go with rows */
		uint32_t	text = ((uint32_t) id * 2654435761u) ^ (uint32_t) a;
		ModelRow	row = {true, a, a % 7 == 0 ? -1 : (int) (text >> 2)};
		bool		inserted;

		UNIT_EQUAL_INT(table_insert(txn, 1, 1, id, &row, REEF_INSERT_REPLACE,
									&inserted), REEF_OK);
		if (inserted)
			model->rows[id] = row;
	}
	UNIT_EQUAL_INT(table_commit(cluster, txn), REEF_FRAME_DURABLE);
}

static void
delete_rows(Cluster *cluster, Model *model, int first, int count, int step)
{
	ReefTxn    *txn = table_begin(cluster);

	for (int i = 0; i < count; i++)
	{
		int			id = (first + i * step) % MODEL_KEYS;
		bool		applied;

		if (!model->rows[id].exists)
			continue;
		UNIT_EQUAL_INT(table_delete(cluster, txn, 1, 1, id, &applied),
					   REEF_OK);
		model->rows[id].exists = false;
	}
	UNIT_EQUAL_INT(table_commit(cluster, txn), REEF_FRAME_DURABLE);
}

static Model *
model_new(void)
{
	return calloc(1, sizeof(Model));
}

/* ---- tests ---- */

UNIT_TEST(test_compact__full_leaves_one_clean_run_i8)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	Model	   *model = model_new();
	Shape		shape;

	cluster->settings.target_segment_size = 4096;
	write_rows(cluster, model, 0, 3000, 1, 1);
	cluster_fold(cluster);
	write_rows(cluster, model, 100, 500, 3, 2);
	cluster_fold(cluster);
	delete_rows(cluster, model, 0, 600, 2);
	cluster_fold(cluster);
	UNIT_EQUAL_INT(compact_all(cluster, true), 1);
	shape = shape_of(cluster);
	UNIT_EQUAL_INT(shape.level_0, 0);
	UNIT_CHECK(shape.level_1 > 1);
	UNIT_EQUAL_INT(shape.tombstones, 0);
	UNIT_EQUAL_INT(shape.hiding_1, 0);
	UNIT_EQUAL_INT(shape.rows, 2400);
	table_check(cluster, NULL, 0, model);

	/* rows that level 1 has not, and those that it has */
	write_rows(cluster, model, 2900, 300, 1, 3);
	delete_rows(cluster, model, 2950, 10, 1);
	cluster_fold(cluster);
	UNIT_EQUAL_INT(compact_all(cluster, true), 1);
	UNIT_EQUAL_INT(shape_of(cluster).level_0, 0);
	table_check(cluster, NULL, 0, model);
	cluster_close(cluster);
	cluster = cluster_open(bucket, 2);
	table_check(cluster, NULL, 0, model);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
	free(model);
}

UNIT_TEST(test_compact__an_emptied_table_leaves_one_tombstone_and_rests)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	Model	   *model = model_new();

	UNIT_EQUAL_INT(compact_all(cluster, true), 0);
	write_rows(cluster, model, 0, 50, 1, 1);
	cluster_fold(cluster);
	UNIT_EQUAL_INT(compact_all(cluster, true), 1);
	delete_rows(cluster, model, 0, 50, 1);
	cluster_fold(cluster);
	UNIT_EQUAL_INT(compact_all(cluster, true), 1);
	UNIT_EQUAL_INT(shape_of(cluster).rows, 1);
	UNIT_EQUAL_INT(shape_of(cluster).tombstones, 1);
	table_check(cluster, NULL, 0, model);
	/* and takes rows again, of the same keys */
	write_rows(cluster, model, 0, 60, 1, 2);
	cluster_fold(cluster);
	UNIT_EQUAL_INT(compact_all(cluster, true), 1);
	UNIT_EQUAL_INT(shape_of(cluster).rows, 60);
	table_check(cluster, NULL, 0, model);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
	free(model);
}

/* A plain insert that takes the place of a tombstone hides what that hid. */
UNIT_TEST(test_compact__an_insert_inherits_what_its_tombstone_hid_i8)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	Model	   *model = model_new();

	/* large and old, so that it is left alone; even keys */
	write_rows(cluster, model, 0, 2500, 2, 1);
	write_rows(cluster, model, 5000, 2400, 2, 2);
	cluster_fold(cluster);
	delete_rows(cluster, model, 10, 5, 2);
	cluster_fold(cluster);
	write_rows(cluster, model, 10, 5, 2, 3);
	cluster_fold(cluster);
	/* odd ones: nothing else here hides anything */
	for (int i = 0; i < 6; i++)
	{
		write_rows(cluster, model, 1 + 2 * i, 3, 1000, 4 + i);
		cluster_fold(cluster);
	}
	UNIT_CHECK(compact_all(cluster, false) > 0);
	UNIT_CHECK(shape_of(cluster).level_0 > 1);
	table_check(cluster, NULL, 0, model);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
	free(model);
}

/* One step of a history: a transaction, and sometimes maintenance. */
static void
random_step(Cluster *cluster, Model *model, int step)
{
	int			first = (int) unit_random_below(MODEL_KEYS);

	switch (unit_random_below(6))
	{
		case 0:
			delete_rows(cluster, model, first,
						(int) unit_random_below(400), 7);
			break;
		case 1:
			/* enough for segments of its own */
			cluster->settings.transaction_buffer_size = 32 * 1024;
			write_rows(cluster, model, first, 1500, 1, step);
			cluster->settings.transaction_buffer_size = 1 << 20;
			break;
		default:
			write_rows(cluster, model, first, (int) unit_random_below(300),
					   1 + (int) unit_random_below(40), step);
			break;
	}
	if (unit_random_below(3) > 0)
		cluster_fold(cluster);
	if (unit_random_below(3) == 0)
		compact_all(cluster, unit_random_below(6) == 0);
}

UNIT_TEST(test_compact__random_histories_agree_with_a_model_i8)
{
	for (int history = 0; history < 4; history++)
	{
		ReefMemoryBucket *bucket = reef_memory_bucket_new();
		Cluster    *cluster = cluster_open(bucket, 1);
		Cluster    *reader;
		Model	   *model = model_new();

		cluster->settings.transaction_buffer_size = 1 << 20;
		cluster->settings.target_segment_size =
			history % 2 == 0 ? 8 * 1024 : 256 * 1024;
		for (int step = 1; step <= 40; step++)
		{
			random_step(cluster, model, step);
			if (step % 10 == 0)
				table_check(cluster, NULL, 0, model);
		}
		compact_all(cluster, false);
		table_check(cluster, NULL, 0, model);
		reader = cluster_open(bucket, 2);
		check_same(dump_rows(cluster, NULL), dump_rows(reader, NULL));
		cluster_close(reader);
		cluster_close(cluster);
		reef_memory_bucket_free(bucket);
		free(model);
	}
}

typedef struct Meddler
{
	Cluster    *cluster;		/* that does something meanwhile */
	Model	   *model;
	ReefFaultyCall call;
	const char *part;			/* of the object's key */
	bool		folds;
	bool		is_done;
} Meddler;

static ReefFault
meddle(void *arg, ReefFaultyCall call, const char *key)
{
	Meddler    *meddler = arg;

	if (meddler->is_done || call != meddler->call ||
		strstr(key, meddler->part) == NULL)
		return REEF_FAULT_NONE;
	meddler->is_done = true;
	write_rows(meddler->cluster, meddler->model, 200, 100, 1, 77);
	delete_rows(meddler->cluster, meddler->model, 20, 30, 1);
	if (meddler->folds)
		UNIT_CHECK(cluster_fold(meddler->cluster).folded);
	return REEF_FAULT_NONE;
}

static void
prepare_runs(Cluster *cluster, Model *model)
{
	write_rows(cluster, model, 0, 1000, 1, 1);
	cluster_fold(cluster);
	write_rows(cluster, model, 0, 400, 2, 2);
	cluster_fold(cluster);
	delete_rows(cluster, model, 100, 100, 1);
	cluster_fold(cluster);
}

UNIT_TEST(test_compact__folds_go_on_meanwhile_i8)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	Model	   *model = model_new();
	Meddler		meddler = {cluster, model, REEF_FAULTY_WRITE_COMMIT,
	"/segment/", true, false};
	ReefCompactResult result;
	Shape		shape;

	prepare_runs(cluster, model);
	reef_faulty_store_set_hook(cluster->faulty, meddle, &meddler);
	result = compact(cluster, true);
	UNIT_CHECK(meddler.is_done && result.compacted);
	shape = shape_of(cluster);
	UNIT_EQUAL_INT(shape.level_0, 1);
	UNIT_EQUAL_INT(shape.level_1, 1);
	UNIT_EQUAL_INT(result.manifest_version, 5);
	table_check(cluster, NULL, 0, model);
	UNIT_EQUAL_INT(compact_all(cluster, true), 1);
	table_check(cluster, NULL, 0, model);
	cluster_close(cluster);
	cluster = cluster_open(bucket, 2);
	table_check(cluster, NULL, 0, model);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
	free(model);
}

UNIT_TEST(test_compact__another_cluster_s_manifest_ends_it_i1_i9)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	Cluster    *other = cluster_open(bucket, 2);
	Model	   *model = model_new();
	Meddler		meddler = {other, model, REEF_FAULTY_WRITE_COMMIT,
	"/segment/", true, false};
	ReefCompactResult result;

	prepare_runs(cluster, model);
	reef_faulty_store_set_hook(cluster->faulty, meddle, &meddler);
	result = compact(cluster, true);
	UNIT_CHECK(meddler.is_done && !result.compacted && result.is_stale);
	/* what it wrote is gone */
	UNIT_EQUAL_INT(count_objects(bucket, "/segment/"), 4);
	table_check(cluster, NULL, 0, model);
	/* memory was read anew, so the next one succeeds */
	UNIT_CHECK(compact(cluster, true).compacted);
	table_check(cluster, NULL, 0, model);
	cluster_close(other);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
	free(model);
}

UNIT_TEST(test_compact__a_damaged_or_missing_input_is_reported_i10)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	Model	   *model = model_new();
	const ReefManifest *manifest;
	ReefCompactResult result;
	ReefError	err;
	ReefCode	rc;
	char		key[REEF_OBJECT_KEY_SIZE];

	prepare_runs(cluster, model);
	UNIT_EQUAL_INT(shape_of(cluster).level_0, 3);
	manifest = &cluster->ns->loaded->manifest;
	reef_layout_segment_key(cluster->ns->prefix, manifest->segments[0].id,
							key);
	UNIT_CHECK(reef_memory_bucket_flip(bucket, key, 100, 1));
	rc = reef_compact(cluster->ns, true, &result, &err);
	UNIT_CHECK(rc == REEF_CORRUPT && strstr(err.detail, key) != NULL);
	UNIT_CHECK(reef_memory_bucket_remove(bucket, key));
	rc = reef_compact(cluster->ns, true, &result, &err);
	UNIT_CHECK(rc == REEF_CORRUPT && strstr(err.detail, key) != NULL);
	/* nothing is left behind, and the inputs are what they were */
	UNIT_EQUAL_INT(count_objects(bucket, "/segment/"), 2);
	UNIT_EQUAL_INT(cluster->shared->manifests[0]->version, 3);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
	free(model);
}

static ReefCode
drop_oldest(void *arg, const ReefManifest *base, ReefArena *arena,
			ReefManifest *next, bool *is_stale, ReefError *err)
{
	(void) arg;
	(void) arena;
	(void) err;
	*is_stale = false;
	*next = *base;
	next->segments++;
	next->segment_count--;
	return REEF_OK;
}

/* Another job of the cluster takes an input out of the manifest. */
static ReefFault
take_input_away(void *arg, ReefFaultyCall call, const char *key)
{
	Meddler    *meddler = arg;
	ReefManifestChange change = {.build = drop_oldest};
	ReefManifestOutcome outcome;
	ReefManifest committed;
	ReefArena	arena;
	ReefError	err;

	if (meddler->is_done || call != meddler->call ||
		strstr(key, meddler->part) == NULL)
		return REEF_FAULT_NONE;
	meddler->is_done = true;
	reef_arena_init(&arena, 0);
	change.incarnation = meddler->cluster->shared->incarnation;
	change.copy_base_version = UINT64_MAX;
	UNIT_OK(reef_manifest_commit(meddler->cluster->ns, &change, &arena,
								 &committed, &outcome, &err), &err);
	UNIT_EQUAL_INT(outcome, REEF_MANIFEST_COMMITTED);
	reef_arena_release(&arena);
	return REEF_FAULT_NONE;
}

UNIT_TEST(test_compact__an_input_that_is_gone_ends_it_i8)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	Model	   *model = model_new();
	Meddler		meddler = {.cluster = cluster,
	.call = REEF_FAULTY_WRITE_COMMIT,.part = "/segment/"};
	ReefCompactResult result;

	prepare_runs(cluster, model);
	reef_faulty_store_set_hook(cluster->faulty, take_input_away, &meddler);
	result = compact(cluster, true);
	UNIT_CHECK(meddler.is_done && !result.compacted && result.is_stale);
	UNIT_EQUAL_INT(count_objects(bucket, "/segment/"), 3);
	UNIT_EQUAL_INT(shape_of(cluster).level_0, 2);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
	free(model);
}

static void
crash_everywhere(ReefFault fault, bool is_crash)
{
	bool		has_happened = true;

	for (uint64_t n = 1; has_happened; n++)
	{
		ReefMemoryBucket *bucket = reef_memory_bucket_new();
		Cluster    *cluster = cluster_open(bucket, 1);
		Model	   *model = model_new();
		ReefCompactResult result;
		ReefError	err;
		ReefCode	rc;
		uint64_t	calls;

		cluster->settings.target_segment_size = 4096;
		write_rows(cluster, model, 0, 300, 1, 1);
		cluster_fold(cluster);
		write_rows(cluster, model, 0, 100, 2, 2);
		delete_rows(cluster, model, 100, 100, 1);
		cluster_fold(cluster);
		write_rows(cluster, model, 50, 20, 1, 3);
		calls = reef_faulty_store_calls(cluster->faulty);
		reef_faulty_store_fail_nth(cluster->faulty, n, fault);
		rc = reef_compact(cluster->ns, true, &result, &err);
		UNIT_CHECK(rc != REEF_CORRUPT && rc != REEF_BUG);
		has_happened = reef_faulty_store_calls(cluster->faulty) - calls >= n;
		reef_faulty_store_fail_nth(cluster->faulty, UINT64_MAX,
								   REEF_FAULT_NONE);
		if (is_crash)
			cluster_crash(cluster);
		else
		{
			table_check(cluster, NULL, 0, model);
			cluster_close(cluster);
		}
		cluster = cluster_open(bucket, 2);
		table_check(cluster, NULL, 0, model);
		/* and life goes on */
		write_rows(cluster, model, 400, 20, 1, 4);
		UNIT_CHECK(cluster_fold(cluster).folded);
		compact_all(cluster, true);
		UNIT_EQUAL_INT(shape_of(cluster).level_0, 0);
		table_check(cluster, NULL, 0, model);
		cluster_close(cluster);
		reef_memory_bucket_free(bucket);
		free(model);
		UNIT_CHECK(n < 100);
		UNIT_CHECK(n > 1 || has_happened);
	}
}

UNIT_TEST(test_compact__a_crash_before_any_request_changes_nothing_i1_i8)
{
	crash_everywhere(REEF_FAULT_CRASH_BEFORE, true);
}

UNIT_TEST(test_compact__a_crash_after_any_request_changes_nothing_i1_i8)
{
	crash_everywhere(REEF_FAULT_CRASH_AFTER, true);
}

UNIT_TEST(test_compact__lost_answers_change_nothing_i8)
{
	crash_everywhere(REEF_FAULT_LOSE_RESPONSE, false);
}

/* "a" as bigint, and one more column. */
static ReefColumn wide_columns[] = {
	{
		.name = "id",
		.type = {.kind = REEF_KIND_INT64, .length = -1, .pg_type = "bigint"},
		.key_position = 1,
		.not_null = true
	},
	{
		.name = "a",
		.type = {.kind = REEF_KIND_INT64, .length = -1, .pg_type = "bigint"}
	},
	{
		.name = "c",
		.type = {.kind = REEF_KIND_FLOAT64, .length = -1,
		.pg_type = "double precision"}
	}
};
static const ReefSchema wide_schema = {3, wide_columns};

static void
check_wide(Cluster *cluster, int64_t id, int64_t a, const char *b, double c)
{
	static const ReefColumn text = {.name = "b",
		.type = {.kind = REEF_KIND_TEXT,.length = -1,.pg_type = "text"}};
	ReefColumn	columns[3];
	ReefValue	values[3];
	ReefArena	arena;
	ReefView   *view;
	ReefBuf		key;
	ReefError	err;
	uint64_t	lsn;

	columns[0] = wide_columns[1];
	columns[1] = text;
	columns[2] = wide_columns[2];
	UNIT_OK(reef_view_pin(cluster->ns, NULL, 0, &view, &err), &err);
	reef_arena_init(&arena, 0);
	UNIT_OK(reef_view_lookup(view, table_key(&key, id), columns, 3, &arena,
							 values, &lsn, &err), &err);
	UNIT_EQUAL_INT(values[0].as.int64, a);
	UNIT_EQUAL_INT(values[1].is_null, b == NULL);
	if (b != NULL)
		UNIT_EQUAL_BYTES(values[1].as.bytes, reef_slice_of_string(b));
	UNIT_EQUAL_INT(values[2].is_null, c < 0);
	UNIT_CHECK(c < 0 || values[2].as.float64 == c);
	reef_buf_release(&key);
	reef_arena_release(&arena);
	reef_view_unpin(view);
}

UNIT_TEST(test_compact__older_segments_are_widened)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	ModelRow	row = {true, -1, 5};
	ReefValue	values[4] = {{.is_null = true}, {.is_null = true},
	{.is_null = true}, {.is_null = true}};
	int			map[3];
	ReefTxnPoint point = {1, 1};
	ReefTxn    *txn = table_begin(cluster);
	ReefError	err;
	bool		inserted;

	UNIT_EQUAL_INT(table_insert(txn, 1, 1, 1, &row, REEF_INSERT_ERROR,
								&inserted), REEF_OK);
	UNIT_EQUAL_INT(table_commit(cluster, txn), REEF_FRAME_DURABLE);
	cluster_fold(cluster);
	UNIT_OK(reef_txn_new(cluster->ns, &wide_schema, &txn, &err), &err);
	UNIT_OK(reef_txn_add_schema(txn, &wide_schema, map, &err), &err);
	UNIT_CHECK(reef_txn_column_count(txn) <= 4);
	values[map[0]] = (ReefValue) {.as.int64 = 2};
	values[map[1]] = (ReefValue) {.as.int64 = INT64_C(1) << 40};
	values[map[2]] = (ReefValue) {.as.float64 = 2.5};
	UNIT_OK(reef_txn_insert(txn, point, values, REEF_INSERT_ERROR, &inserted,
							&err), &err);
	UNIT_EQUAL_INT(table_commit(cluster, txn), REEF_FRAME_DURABLE);
	cluster_fold(cluster);
	UNIT_CHECK(compact(cluster, true).compacted);
	UNIT_EQUAL_INT(shape_of(cluster).level_1, 1);
	check_wide(cluster, 1, -1, "b5", -1);
	check_wide(cluster, 2, INT64_C(1) << 40, NULL, 2.5);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

static void
run_history(ReefMemoryBucket *bucket)
{
	Cluster    *cluster = cluster_open(bucket, 1);
	Model	   *model = model_new();

	cluster->settings.target_segment_size = 4096;
	prepare_runs(cluster, model);
	UNIT_CHECK(compact(cluster, true).compacted);
	cluster_close(cluster);
	free(model);
}

UNIT_TEST(test_compact__the_same_history_gives_the_same_bytes)
{
	ReefMemoryBucket *a = reef_memory_bucket_new();
	ReefMemoryBucket *b = reef_memory_bucket_new();

	/* new ids come from the host, which begins with the same seed */
	run_history(a);
	run_history(b);
	UNIT_EQUAL_INT(reef_memory_bucket_count(a), reef_memory_bucket_count(b));
	UNIT_CHECK(count_objects(a, "/segment/") > 4);
	for (size_t i = 0; i < reef_memory_bucket_count(a); i++)
	{
		const char *key = reef_memory_bucket_key(a, i);

		UNIT_EQUAL_STRING(key, reef_memory_bucket_key(b, i));
		UNIT_EQUAL_BYTES(reef_memory_bucket_bytes(a, key),
						 reef_memory_bucket_bytes(b, key));
	}
	reef_memory_bucket_free(a);
	reef_memory_bucket_free(b);
}

UNIT_TEST(test_compact__old_snapshots_and_pinned_views_read_the_same_i5)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	FakeSnapshot snapshot = {.xmax = 7};
	Model	   *model = model_new();
	ReefTxn    *txn;
	ReefFrame  *frame;
	ReefView   *view;
	ModelRow	row = {true, 9, 9};
	Dump	   *old;
	Dump	   *present;
	ReefError	err;
	bool		inserted;

	prepare_runs(cluster, model);
	fake_host_set_xid(cluster->fake, 7, REEF_XID_COMMITTED);
	fake_host_set_horizon(cluster->fake, 7);
	old = dump_rows(cluster, &snapshot);
	txn = table_begin(cluster);
	UNIT_EQUAL_INT(table_insert(txn, 1, 1, 3, &row, REEF_INSERT_REPLACE,
								&inserted), REEF_OK);
	UNIT_OK(reef_txn_prepare(txn, 7, NULL, &frame, &err), &err);
	UNIT_OK(cluster_commit(cluster, &frame, 1, &err), &err);
	reef_frame_free(cluster->host, frame);
	reef_txn_free(txn);
	cluster_fold(cluster);
	present = dump_rows(cluster, NULL);
	UNIT_CHECK(present->lsns[3] != old->lsns[3]);
	UNIT_OK(reef_view_pin(cluster->ns, NULL, 0, &view, &err), &err);

	UNIT_CHECK(compact(cluster, true).compacted);
	/* the compaction's manifest took the place of the fold's, which the view
	 * still pins: the collector must find it */
	UNIT_CHECK(cluster->shared->manifests[0] != view->shared_manifest);
	for (int i = 0; i < cluster->shared->manifest_count; i++)
		UNIT_CHECK(cluster->shared->manifests[i] != view->shared_manifest);
	{
		const ReefSharedManifest *manifest = cluster->shared->all_manifests;

		while (manifest != NULL && manifest != view->shared_manifest)
			manifest = manifest->next_of_all;
		UNIT_CHECK(manifest != NULL);
	}
	check_same(old, dump_rows(cluster, &snapshot));
	check_same(dump_rows(cluster, NULL), dump_view(view));
	check_same(present, dump_view(view));
	reef_view_unpin(view);
	fake_host_set_horizon(cluster->fake, 8);
	reef_namespace_trim(cluster->host, cluster->shared);
	UNIT_EQUAL_INT(cluster->shared->manifest_count, 1);
	UNIT_CHECK(cluster->shared->all_manifests->next_of_all == NULL);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
	free(model);
}

UNIT_TEST(test_compact__many_runs_go_in_several_steps)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	Model	   *model = model_new();

	for (int i = 0; i < 40; i++)
	{
		write_rows(cluster, model, i, 50, 97, i + 1);
		cluster_fold(cluster);
	}
	UNIT_CHECK(compact_all(cluster, true) > 1);
	UNIT_EQUAL_INT(shape_of(cluster).level_0, 0);
	table_check(cluster, NULL, 0, model);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
	free(model);
}

UNIT_TEST(test_compact__its_speed_has_a_limit_and_it_can_be_cancelled)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	Model	   *model = model_new();
	ReefCompactResult result;
	ReefError	err;
	int64_t		waited_us;

	prepare_runs(cluster, model);
	cluster->settings.maintenance_io_limit = 10000;
	waited_us = cluster->fake->waited_us;
	result = compact(cluster, true);
	waited_us = cluster->fake->waited_us - waited_us;
	/* it reads at least the inputs once */
	UNIT_CHECK((uint64_t) waited_us >= result.bytes_in * 100);
	UNIT_CHECK((uint64_t) waited_us < (result.bytes_in + result.bytes_out) *
			   100 * 20);

	write_rows(cluster, model, 0, 100, 1, 5);
	cluster_fold(cluster);
	fake_host_cancel(cluster->fake, true);
	UNIT_EQUAL_INT(reef_compact(cluster->ns, true, &result, &err),
				   REEF_CANCELLED);
	fake_host_cancel(cluster->fake, false);
	table_check(cluster, NULL, 0, model);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
	free(model);
}

UNIT_TEST(test_compact__upserts_cost_at_most_six_times_their_bytes)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	Model	   *model = model_new();
	ReefNamespaceStatus status;
	int			places[MODEL_KEYS];

	for (int i = 0; i < MODEL_KEYS; i++)
		places[i] = i;
	for (int batch = 0; batch < 100; batch++)
	{
		ReefTxn    *txn = table_begin(cluster);

		for (int i = 0; i < 500; i++)
		{
			int			other = i + (int) unit_random_below(MODEL_KEYS -
															(uint64_t) i);
			int			id = places[other];
			ModelRow	row = {true, batch, (int) unit_random_below(1u << 30)};
			bool		inserted;

			places[other] = places[i];
			places[i] = id;
			UNIT_EQUAL_INT(table_insert(txn, 1, 1, id, &row,
										REEF_INSERT_REPLACE, &inserted),
						   REEF_OK);
			model->rows[id] = row;
		}
		UNIT_EQUAL_INT(table_commit(cluster, txn), REEF_FRAME_DURABLE);
		cluster_fold(cluster);
		while (reef_namespace_needs_compaction(cluster->ns))
			UNIT_CHECK(compact(cluster, false).compacted);
		UNIT_CHECK(shape_of(cluster).level_0 <= 6);
	}
	reef_namespace_status(cluster->host, cluster->shared, &status);
	UNIT_CHECK(status.user_bytes >= UINT64_C(50000) * 20 &&
			   status.fold_count == 100 && status.compact_count > 5);
	UNIT_CHECK(status.fold_bytes + status.compact_bytes <=
			   6 * status.user_bytes);
	table_check(cluster, NULL, 0, model);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
	free(model);
}
