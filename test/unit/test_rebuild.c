/*
 * test_rebuild.c
 *	  With every manifest gone: what comes back, and what is refused.
 *
 * The oracle is a model of the rows, and the idempotency keys that were
 * committed; what rebuild reports is compared with what was taken away.
 */
#include "engine/rebuild.h"
#include "table_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "unit.h"

#define KEYS_MAX 300
#define ACTIONS_MAX 64

/* ---- what rebuild says ---- */

typedef struct Actions
{
	int			count;
	struct
	{
		char		action[40];
		char		object[REEF_OBJECT_KEY_SIZE];
		char		detail[300];
	}			lines[ACTIONS_MAX];
} Actions;

static ReefCode
note_action(void *arg, const ReefAction *action, ReefError *err)
{
	Actions    *actions = arg;

	(void) err;
	UNIT_CHECK(actions->count < ACTIONS_MAX);
	snprintf(actions->lines[actions->count].action, 40, "%s", action->action);
	snprintf(actions->lines[actions->count].object, REEF_OBJECT_KEY_SIZE, "%s",
			 action->object);
	snprintf(actions->lines[actions->count].detail, 300, "%s",
			 action->detail);
	actions->count++;
	return REEF_OK;
}

static int
count_actions(const Actions *actions, const char *action)
{
	int			count = 0;
	int			i;

	for (i = 0; i < actions->count; i++)
		count += strcmp(actions->lines[i].action, action) == 0;
	return count;
}

static const char *
detail_of(const Actions *actions, const char *action)
{
	int			i;

	for (i = 0; i < actions->count; i++)
	{
		if (strcmp(actions->lines[i].action, action) == 0)
			return actions->lines[i].detail;
	}
	return "";
}

static ReefCode
try_rebuild(Cluster *cluster, bool dry_run, Actions *actions, ReefError *err)
{
	reef_error_init(err);
	memset(actions, 0, sizeof(*actions));
	return reef_rebuild(cluster->ns, dry_run, note_action, actions, err);
}

static void
rebuild(Cluster *cluster, Actions *actions)
{
	ReefError	err;

	UNIT_OK(try_rebuild(cluster, false, actions, &err), &err);
}

/* ---- what is in the bucket ---- */

static bool
is_kind(const char *key, ReefObjectKind kind)
{
	char		prefix[REEF_OBJECT_KEY_SIZE];
	ReefObjectName name;

	return reef_layout_parse_any(key, prefix, &name) && name.kind == kind;
}

/* The key of the i-th object of a kind; negative: from the end.  False if there
 * are not as many. */
static bool
find_object(ReefMemoryBucket *bucket, ReefObjectKind kind, int i,
			char key[REEF_OBJECT_KEY_SIZE])
{
	size_t		count = reef_memory_bucket_count(bucket);
	size_t		k;

	for (k = 0; k < count; k++)
	{
		const char *found = reef_memory_bucket_key(bucket, i < 0 ?
												   count - 1 - k : k);

		if (!is_kind(found, kind))
			continue;
		if (i == 0 || i == -1)
		{
			snprintf(key, REEF_OBJECT_KEY_SIZE, "%s", found);
			return true;
		}
		i += i < 0 ? 1 : -1;
	}
	return false;
}

static int
remove_kind(ReefMemoryBucket *bucket, ReefObjectKind kind)
{
	char		key[REEF_OBJECT_KEY_SIZE];
	int			count = 0;

	while (find_object(bucket, kind, 0, key))
	{
		UNIT_CHECK(reef_memory_bucket_remove(bucket, key));
		count++;
	}
	return count;
}

static void
load_current(Cluster *cluster, ReefArena *arena, ReefManifest *manifest)
{
	ReefBuf		bytes;
	ReefError	err;

	reef_error_init(&err);
	reef_buf_init(&bytes);
	UNIT_OK(reef_manifest_load_current(cluster->ns, arena, manifest, &bytes,
									   &err), &err);
	reef_buf_release(&bytes);
}

/* What collection does without any grace, to records and manifests: a record
 * that a rebuild needs stays. */
static void
collect(ReefMemoryBucket *bucket, Cluster *cluster)
{
	ReefManifest manifest;
	ReefArena	arena;
	size_t		i;

	reef_arena_init(&arena, 0);
	load_current(cluster, &arena, &manifest);
	for (i = 0; i < reef_memory_bucket_count(bucket);)
	{
		char		key[REEF_OBJECT_KEY_SIZE];
		ReefObjectName name;
		size_t		size;

		snprintf(key, sizeof(key), "%s", reef_memory_bucket_key(bucket, i));
		size = reef_memory_bucket_bytes(bucket, key).size;
		reef_layout_parse(cluster->ns->prefix, key, &name);
		if ((name.kind == REEF_OBJECT_MANIFEST &&
			 name.number < manifest.version) ||
			(name.kind == REEF_OBJECT_WAL && size > REEF_WAL_HEADER_SIZE &&
			 name.number <= manifest.rebuildable_lsn))
			UNIT_CHECK(reef_memory_bucket_remove(bucket, key));
		else
			i++;
	}
	reef_arena_release(&arena);
}

/* ---- simple tables ---- */

static void
set_row(Cluster *cluster, Model *model, int id, int32_t a)
{
	ReefTxn    *txn = table_begin(cluster);
	ModelRow	row = {true, a, id};
	bool		done = false;

	if (model->rows[id].exists)
		UNIT_EQUAL_INT(table_update(cluster, txn, 1, 1, id, id, &row, &done),
					   REEF_OK);
	else
		UNIT_EQUAL_INT(table_insert(txn, 1, 1, id, &row, REEF_INSERT_ERROR,
									&done), REEF_OK);
	UNIT_EQUAL_INT(table_commit(cluster, txn), REEF_FRAME_DURABLE);
	model->rows[id] = row;
}

/* Rows 0 .. 9 and 5 .. 14 in two folds, 15 .. 16 in records; all that can be
 * collected is. */
static void
fill_table(ReefMemoryBucket *bucket, Cluster *cluster, Model *model)
{
	int			i;

	for (i = 0; i < 10; i++)
		set_row(cluster, model, i, i);
	UNIT_CHECK(cluster_fold(cluster).folded);
	for (i = 5; i < 15; i++)
		set_row(cluster, model, i, 100 + i);
	UNIT_CHECK(cluster_fold(cluster).folded);
	collect(bucket, cluster);
	for (i = 15; i < 17; i++)
		set_row(cluster, model, i, i);
}

/* A bucket with such a table, whose cluster is gone. */
static ReefMemoryBucket *
new_table(Model **model)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);

	/* no two namespaces have the same id */
	fake_host_seed(cluster->fake, unit_random());
	*model = calloc(1, sizeof(**model));
	fill_table(bucket, cluster, *model);
	cluster_close(cluster);
	return bucket;
}

static void
free_table(ReefMemoryBucket *bucket, Model *model)
{
	reef_memory_bucket_free(bucket);
	free(model);
}

UNIT_TEST(test_rebuild__a_copy_and_its_segment_are_the_manifest)
{
	Model	   *model;
	ReefMemoryBucket *bucket = new_table(&model);
	Cluster    *cluster = cluster_open(bucket, 2);
	static Actions actions;
	char		key[REEF_OBJECT_KEY_SIZE];

	/* to the bit, statistics included */
	rebuild(cluster, &actions);
	UNIT_EQUAL_INT(count_actions(&actions, "unchanged"), 1);
	UNIT_EQUAL_INT(count_actions(&actions, "manifest"), 0);
	UNIT_CHECK(find_object(bucket, REEF_OBJECT_MANIFEST, -1, key));
	UNIT_CHECK(strstr(key, "00000000000000000002.json") != NULL);
	cluster_close(cluster);
	free_table(bucket, model);
}

UNIT_TEST(test_rebuild__everything_comes_back_without_manifests)
{
	Model	   *model;
	ReefMemoryBucket *bucket = new_table(&model);
	Cluster    *cluster = cluster_open(bucket, 2);
	static Actions actions;
	char		key[REEF_OBJECT_KEY_SIZE];
	size_t		objects;
	ReefError	err;

	UNIT_CHECK(remove_kind(bucket, REEF_OBJECT_MANIFEST) > 0);
	objects = reef_memory_bucket_count(bucket);
	UNIT_OK(try_rebuild(cluster, true, &actions, &err), &err);
	UNIT_EQUAL_INT(count_actions(&actions, "manifest"), 1);
	UNIT_EQUAL_INT(reef_memory_bucket_count(bucket), objects);

	rebuild(cluster, &actions);
	UNIT_EQUAL_INT(count_actions(&actions, "manifest"), 1);
	UNIT_EQUAL_INT(count_actions(&actions, "fence"), 1);
	UNIT_EQUAL_INT(reef_memory_bucket_count(bucket), objects + 2);
	/* far above the 2 that a footer mentions */
	UNIT_CHECK(find_object(bucket, REEF_OBJECT_MANIFEST, 0, key));
	UNIT_CHECK(strstr(key, "00000000004294967298.json") != NULL);
	table_check(cluster, NULL, 0, model);

	/* again: nothing to do */
	rebuild(cluster, &actions);
	UNIT_EQUAL_INT(count_actions(&actions, "unchanged"), 1);
	UNIT_EQUAL_INT(reef_memory_bucket_count(bucket), objects + 2);
	/* and on it goes */
	set_row(cluster, model, 3, 77);
	UNIT_CHECK(cluster_fold(cluster).folded);
	table_check(cluster, NULL, 0, model);
	cluster_close(cluster);
	cluster = cluster_open(bucket, 3);
	table_check(cluster, NULL, 0, model);
	cluster_close(cluster);
	free_table(bucket, model);
}

UNIT_TEST(test_rebuild__records_alone_are_enough_while_none_is_collected)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	Model	   *model = calloc(1, sizeof(*model));
	static Actions actions;
	int			i;

	rebuild(cluster, &actions);
	UNIT_EQUAL_INT(count_actions(&actions, "nothing"), 1);
	UNIT_EQUAL_INT(reef_memory_bucket_count(bucket), 0);
	for (i = 0; i < 10; i++)
		set_row(cluster, model, i, i);
	UNIT_CHECK(cluster_fold(cluster).folded);
	remove_kind(bucket, REEF_OBJECT_MANIFEST);
	remove_kind(bucket, REEF_OBJECT_SEGMENT);
	rebuild(cluster, &actions);
	UNIT_EQUAL_INT(count_actions(&actions, "manifest"), 1);
	table_check(cluster, NULL, 0, model);
	UNIT_CHECK(cluster_fold(cluster).folded);
	table_check(cluster, NULL, 0, model);
	cluster_close(cluster);
	free_table(bucket, model);
}

/* ---- what is lost ---- */

/* Take an object away, rebuild; nothing may change. */
static void
rebuild_incomplete(ReefMemoryBucket *bucket, ReefObjectKind kind, int i,
				   Actions *actions)
{
	Cluster    *cluster = cluster_open(bucket, 2);
	char		key[REEF_OBJECT_KEY_SIZE];
	size_t		objects;

	UNIT_CHECK(find_object(bucket, kind, i, key));
	UNIT_CHECK(reef_memory_bucket_remove(bucket, key));
	objects = reef_memory_bucket_count(bucket);
	rebuild(cluster, actions);
	UNIT_EQUAL_INT(count_actions(actions, "incomplete"), 1);
	UNIT_EQUAL_INT(count_actions(actions, "manifest"), 0);
	UNIT_EQUAL_INT(reef_memory_bucket_count(bucket), objects);
	cluster_close(cluster);
}

/* Its successor's copy is gone too, so only footers know of the later LSNs. */
UNIT_TEST(test_rebuild__a_copy_that_others_have_outlived_is_not_believed)
{
	Model	   *model;
	ReefMemoryBucket *bucket = new_table(&model);
	static Actions actions;

	remove_kind(bucket, REEF_OBJECT_MANIFEST);
	rebuild_incomplete(bucket, REEF_OBJECT_SEGMENT, -1, &actions);
	UNIT_EQUAL_INT(count_actions(&actions, "lost segment"), 0);
	/* fence 1, rows 2 .. 11; rows 12 .. 21 were collected; 22 and 23 are there */
	UNIT_CHECK(strstr(detail_of(&actions, "lost records"),
					  "LSN 12 to 23:") != NULL);
	free_table(bucket, model);
}

UNIT_TEST(test_rebuild__a_manifest_that_knows_more_is_not_overruled)
{
	Model	   *model;
	ReefMemoryBucket *bucket = new_table(&model);
	char		key[REEF_OBJECT_KEY_SIZE];
	static Actions actions;

	/* nothing but the manifest knows that rows 12 .. 23 ever were */
	UNIT_CHECK(find_object(bucket, REEF_OBJECT_WAL, -1, key));
	UNIT_CHECK(reef_memory_bucket_remove(bucket, key));
	UNIT_CHECK(find_object(bucket, REEF_OBJECT_WAL, -1, key));
	UNIT_CHECK(reef_memory_bucket_remove(bucket, key));
	rebuild_incomplete(bucket, REEF_OBJECT_SEGMENT, -1, &actions);
	UNIT_CHECK(strstr(detail_of(&actions, "lost records"),
					  "LSN 12 to 21:") != NULL);
	free_table(bucket, model);
}

UNIT_TEST(test_rebuild__a_lost_segment_is_reported_with_its_documents)
{
	Model	   *model;
	ReefMemoryBucket *bucket = new_table(&model);
	static Actions actions;

	remove_kind(bucket, REEF_OBJECT_MANIFEST);
	rebuild_incomplete(bucket, REEF_OBJECT_SEGMENT, 0, &actions);
	UNIT_EQUAL_INT(count_actions(&actions, "lost segment"), 1);
	UNIT_EQUAL_STRING(detail_of(&actions, "lost segment"),
					  "10 documents and 0 deletions of LSN 2 to 11");
	free_table(bucket, model);
}

/* Repair goes on from the best there is. */
UNIT_TEST(test_rebuild__for_repair_there_is_a_base_that_lacks_something)
{
	Model	   *model;
	ReefMemoryBucket *bucket = new_table(&model);
	Cluster    *cluster = cluster_open(bucket, 2);
	char		key[REEF_OBJECT_KEY_SIZE];
	ReefManifest manifest;
	ReefArena	arena;
	ReefError	err;
	bool		found;

	reef_error_init(&err);
	reef_arena_init(&arena, 0);
	remove_kind(bucket, REEF_OBJECT_MANIFEST);
	UNIT_CHECK(find_object(bucket, REEF_OBJECT_SEGMENT, 0, key));
	UNIT_CHECK(reef_memory_bucket_remove(bucket, key));
	UNIT_OK(reef_rebuild_find_base(cluster->ns, &arena, &manifest, &found,
								   &err), &err);
	UNIT_CHECK(found);
	UNIT_EQUAL_INT(manifest.version, 2);
	UNIT_EQUAL_INT(manifest.segment_count, 2);
	UNIT_EQUAL_INT(manifest.last_applied_lsn, 21);
	reef_arena_release(&arena);
	cluster_close(cluster);
	free_table(bucket, model);
}

UNIT_TEST(test_rebuild__a_hole_in_the_records_is_reported)
{
	Model	   *model;
	ReefMemoryBucket *bucket = new_table(&model);
	static Actions actions;

	remove_kind(bucket, REEF_OBJECT_MANIFEST);
	rebuild_incomplete(bucket, REEF_OBJECT_WAL, -2, &actions);
	UNIT_CHECK(strstr(detail_of(&actions, "lost records"),
					  "LSN 22 to 23:") != NULL);
	free_table(bucket, model);
}

/* Record 2 attaches segments. */
static void
load_rows(Cluster *cluster, Model *model)
{
	ReefTxn    *txn;
	int			id;

	cluster->settings.transaction_buffer_size = 120 * 1024;
	txn = table_begin(cluster);
	for (id = 0; id < 2000; id++)
	{
		ModelRow	row = {true, 1, id};
		bool		done;

		UNIT_EQUAL_INT(table_insert(txn, 1, 1, id, &row, REEF_INSERT_ERROR,
									&done), REEF_OK);
		model->rows[id] = row;
	}
	UNIT_EQUAL_INT(table_commit(cluster, txn), REEF_FRAME_DURABLE);
}

/* No segment is written that could carry a copy, so the record is needed. */
UNIT_TEST(test_rebuild__a_fold_that_only_attaches_keeps_the_record)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	Model	   *model = calloc(1, sizeof(*model));
	static Actions actions;
	ReefGcResult result;
	ReefError	err;

	load_rows(cluster, model);
	UNIT_CHECK(cluster_fold(cluster).folded);
	cluster->settings.gc_grace_us = 0;
	reef_memory_bucket_set_time(bucket, 1000000000 +
								reef_memory_bucket_time(bucket));
	UNIT_OK(reef_gc(cluster->ns, false, NULL, NULL, &result, &err), &err);
	UNIT_CHECK(remove_kind(bucket, REEF_OBJECT_MANIFEST) > 0);
	rebuild(cluster, &actions);
	UNIT_EQUAL_INT(count_actions(&actions, "incomplete"), 0);
	table_check(cluster, NULL, 0, model);
	cluster_close(cluster);
	free_table(bucket, model);
}

/* No manifest names it yet: its record does. */
UNIT_TEST(test_rebuild__a_lost_attached_segment_is_reported)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	Model	   *model = calloc(1, sizeof(*model));
	static Actions actions;

	load_rows(cluster, model);
	cluster_close(cluster);
	rebuild_incomplete(bucket, REEF_OBJECT_SEGMENT, -1, &actions);
	UNIT_EQUAL_INT(count_actions(&actions, "lost segment"), 1);
	UNIT_CHECK(strstr(detail_of(&actions, "lost segment"),
					  "deletions of LSN 2 to 2") != NULL);
	UNIT_EQUAL_INT(count_actions(&actions, "lost records"), 0);
	free_table(bucket, model);
}

/* Every byte of the segment that carries the copy. */
UNIT_TEST(test_rebuild__a_damaged_carrier_is_no_base)
{
	Model	   *model;
	ReefMemoryBucket *bucket = new_table(&model);
	Cluster    *cluster = cluster_open(bucket, 2);
	char		key[REEF_OBJECT_KEY_SIZE];
	static Actions actions;
	size_t		size;
	size_t		i;

	remove_kind(bucket, REEF_OBJECT_MANIFEST);
	UNIT_CHECK(find_object(bucket, REEF_OBJECT_SEGMENT, -1, key));
	size = reef_memory_bucket_bytes(bucket, key).size;
	for (i = 0; i < size; i += 3)
	{
		UNIT_CHECK(reef_memory_bucket_flip(bucket, key, i, 0x10));
		rebuild(cluster, &actions);
		UNIT_EQUAL_INT(count_actions(&actions, "incomplete"), 1);
		UNIT_EQUAL_INT(count_actions(&actions, "manifest"), 0);
		UNIT_CHECK(reef_memory_bucket_flip(bucket, key, i, 0x10));
	}
	rebuild(cluster, &actions);
	UNIT_EQUAL_INT(count_actions(&actions, "manifest"), 1);
	table_check(cluster, NULL, 0, model);
	cluster_close(cluster);
	free_table(bucket, model);
}

/* ---- strangers ---- */

/* A fence of anybody's, where there is no object. */
static void
put_record(Cluster *cluster, uint64_t lsn, const uint8_t namespace_id[16])
{
	ReefWalHeader header = {.lsn = lsn,.epoch = 9,.previous_crc = 12345};
	char		key[REEF_OBJECT_KEY_SIZE];
	ReefBuf		bytes;
	ReefError	err;

	reef_error_init(&err);
	memcpy(header.namespace_id, namespace_id, 16);
	reef_buf_init(&bytes);
	UNIT_OK(reef_wal_encode(&header, NULL, &bytes, &err), &err);
	reef_layout_wal_key(cluster->ns->prefix, lsn, key);
	UNIT_OK(reef_store_put_if_absent(cluster->store, key,
									 reef_buf_slice(&bytes), &err), &err);
	reef_buf_release(&bytes);
}

UNIT_TEST(test_rebuild__a_late_record_at_a_folded_lsn_means_nothing)
{
	Model	   *model;
	ReefMemoryBucket *bucket = new_table(&model);
	Cluster    *cluster = cluster_open(bucket, 2);
	uint8_t		namespace_id[16];
	static Actions actions;

	table_check(cluster, NULL, 0, model);
	memcpy(namespace_id, cluster->shared->namespace_id, 16);
	put_record(cluster, 14, namespace_id);
	remove_kind(bucket, REEF_OBJECT_MANIFEST);
	rebuild(cluster, &actions);
	UNIT_EQUAL_INT(count_actions(&actions, "manifest"), 1);
	table_check(cluster, NULL, 0, model);
	cluster_close(cluster);
	free_table(bucket, model);
}

UNIT_TEST(test_rebuild__a_record_that_does_not_follow_ends_the_tail)
{
	Model	   *model;
	ReefMemoryBucket *bucket = new_table(&model);
	Cluster    *cluster = cluster_open(bucket, 2);
	uint8_t		namespace_id[16];
	static Actions actions;

	table_check(cluster, NULL, 0, model);
	memcpy(namespace_id, cluster->shared->namespace_id, 16);
	put_record(cluster, 24, namespace_id);
	remove_kind(bucket, REEF_OBJECT_MANIFEST);
	rebuild(cluster, &actions);
	UNIT_EQUAL_INT(count_actions(&actions, "incomplete"), 1);
	UNIT_CHECK(strstr(detail_of(&actions, "lost records"),
					  "LSN 24 to 24:") != NULL);
	cluster_close(cluster);
	free_table(bucket, model);
}

/* The newest segment of another bucket, with a copy and high LSNs. */
UNIT_TEST(test_rebuild__another_namespace_s_segment_is_left_alone)
{
	Model	   *model;
	Model	   *other_model;
	ReefMemoryBucket *other = new_table(&other_model);
	ReefMemoryBucket *bucket = new_table(&model);
	Cluster    *cluster = cluster_open(bucket, 2);
	char		key[REEF_OBJECT_KEY_SIZE];
	static Actions actions;
	ReefError	err;

	reef_error_init(&err);
	UNIT_CHECK(find_object(other, REEF_OBJECT_SEGMENT, -1, key));
	UNIT_OK(reef_store_put_if_absent(cluster->store, key,
									 reef_memory_bucket_bytes(other, key),
									 &err), &err);
	remove_kind(bucket, REEF_OBJECT_MANIFEST);
	rebuild(cluster, &actions);
	UNIT_EQUAL_INT(count_actions(&actions, "foreign segment"), 1);
	UNIT_EQUAL_INT(count_actions(&actions, "manifest"), 1);
	table_check(cluster, NULL, 0, model);
	cluster_close(cluster);
	free_table(bucket, model);
	free_table(other, other_model);
}

UNIT_TEST(test_rebuild__another_namespace_s_manifest_proves_nothing)
{
	Model	   *model;
	Model	   *other_model;
	ReefMemoryBucket *other = new_table(&other_model);
	ReefMemoryBucket *bucket = new_table(&model);
	Cluster    *cluster = cluster_open(other, 3);
	char		key[REEF_OBJECT_KEY_SIZE];
	static Actions actions;
	ReefError	err;
	int			i;

	/* one that has applied more than ours has records */
	for (i = 20; i < 40; i++)
		set_row(cluster, other_model, i, i);
	UNIT_CHECK(cluster_fold(cluster).folded);
	cluster_close(cluster);
	cluster = cluster_open(bucket, 2);
	reef_error_init(&err);
	UNIT_CHECK(find_object(other, REEF_OBJECT_MANIFEST, -1, key));
	UNIT_OK(reef_store_put_if_absent(cluster->store, key,
									 reef_memory_bucket_bytes(other, key),
									 &err), &err);
	rebuild(cluster, &actions);
	UNIT_EQUAL_INT(count_actions(&actions, "manifest"), 1);
	table_check(cluster, NULL, 0, model);
	cluster_close(cluster);
	free_table(bucket, model);
	free_table(other, other_model);
}

/* A writer with memory of the manifests that are gone. */
UNIT_TEST(test_rebuild__a_writer_elsewhere_notices)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *writer = cluster_open(bucket, 1);
	Cluster    *cluster = cluster_open(bucket, 2);
	Model	   *model = calloc(1, sizeof(*model));
	ReefManifest manifest;
	ReefArena	arena;
	static Actions actions;
	ReefFoldResult result;
	ReefError	err;

	reef_error_init(&err);
	fill_table(bucket, writer, model);
	remove_kind(bucket, REEF_OBJECT_MANIFEST);
	rebuild(cluster, &actions);
	UNIT_EQUAL_INT(count_actions(&actions, "manifest"), 1);

	/* its fold comes too late to be the current manifest */
	UNIT_OK(reef_fold(writer->ns, &result, &err), &err);
	UNIT_CHECK(!result.folded);
	reef_arena_init(&arena, 0);
	load_current(cluster, &arena, &manifest);
	UNIT_CHECK(manifest.version > UINT64_C(1) << 32);
	reef_arena_release(&arena);
	set_row(cluster, model, 40, 40);

	/* and it goes on where rebuild left off */
	table_check(writer, NULL, 0, model);
	set_row(writer, model, 41, 41);
	table_check(writer, NULL, 0, model);
	cluster_close(cluster);
	cluster_close(writer);
	cluster = cluster_open(bucket, 3);
	table_check(cluster, NULL, 0, model);
	cluster_close(cluster);
	free_table(bucket, model);
}

/* ---- stopping ---- */

/* A crash before or after any of its calls, and then again. */
UNIT_TEST(test_rebuild__it_can_stop_at_every_call)
{
	static const ReefFault faults[] = {
		REEF_FAULT_CRASH_BEFORE, REEF_FAULT_CRASH_AFTER
	};
	int			f;

	for (f = 0; f < 2; f++)
	{
		bool		has_crashed = true;
		uint64_t	n;

		for (n = 1; has_crashed; n++)
		{
			Model	   *model;
			ReefMemoryBucket *bucket = new_table(&model);
			Cluster    *cluster = cluster_open(bucket, 2);
			static Actions actions;
			ReefError	err;

			remove_kind(bucket, REEF_OBJECT_MANIFEST);
			reef_faulty_store_fail_nth(cluster->faulty, n, faults[f]);
			(void) try_rebuild(cluster, false, &actions, &err);
			has_crashed = reef_faulty_store_has_crashed(cluster->faulty);
			cluster_crash(cluster);
			cluster = cluster_open(bucket, 3);
			rebuild(cluster, &actions);
			UNIT_EQUAL_INT(count_actions(&actions, "incomplete"), 0);
			table_check(cluster, NULL, 0, model);
			cluster_close(cluster);
			free_table(bucket, model);
		}
		UNIT_CHECK(n > 15);
	}
}

UNIT_TEST(test_rebuild__it_can_be_cancelled)
{
	Model	   *model;
	ReefMemoryBucket *bucket = new_table(&model);
	Cluster    *cluster = cluster_open(bucket, 2);
	static Actions actions;
	size_t		objects;
	ReefError	err;

	remove_kind(bucket, REEF_OBJECT_MANIFEST);
	objects = reef_memory_bucket_count(bucket);
	fake_host_cancel(cluster->fake, true);
	UNIT_CODE(try_rebuild(cluster, false, &actions, &err), REEF_CANCELLED,
			  &err);
	UNIT_EQUAL_INT(reef_memory_bucket_count(bucket), objects);
	fake_host_cancel(cluster->fake, false);
	rebuild(cluster, &actions);
	table_check(cluster, NULL, 0, model);
	cluster_close(cluster);
	free_table(bucket, model);
}
