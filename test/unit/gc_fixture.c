/*
 * gc_fixture.c
 *	  See gc_fixture.h.
 */
#include "gc_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/txn.h"
#include "unit.h"

Cluster *
gc_open(ReefMemoryBucket *bucket, uint8_t id)
{
	Cluster    *cluster = cluster_open(bucket, id);

	cluster->settings.gc_grace_us = GRACE_US;
	cluster->settings.commit_timeout_us = 2 * SECOND_US;
	cluster->settings.transaction_buffer_size = 300 * 1024;
	cluster->settings.target_segment_size = 32 * 1024;
	return cluster;
}

void
gc_set_up(GcFixture *f)
{
	memset(f, 0, sizeof(*f));
	reef_error_init(&f->err);
	f->bucket = reef_memory_bucket_new();
	reef_memory_bucket_set_time(f->bucket, START_US);
	f->a = gc_open(f->bucket, 1);
	f->model = calloc(1, sizeof(*f->model));
}

void
gc_tear_down(GcFixture *f)
{
	cluster_close(f->a);
	reef_memory_bucket_free(f->bucket);
	free(f->model);
}

void
gc_advance(GcFixture *f, int64_t us)
{
	reef_memory_bucket_set_time(f->bucket,
								reef_memory_bucket_time(f->bucket) + us);
}

/* ---- rows ---- */

static ReefFrameState
try_insert(Cluster *cluster, int id)
{
	ModelRow	row = {true, id * 3, id};
	ReefTxn    *txn;
	ReefError	err;
	bool		inserted;

	reef_error_init(&err);
	if (reef_txn_new(cluster->ns, &table_schema, &txn, &err) != REEF_OK)
		return REEF_FRAME_REJECTED;
	if (table_insert(txn, 1, 1, id, &row, REEF_INSERT_ERROR,
					 &inserted) != REEF_OK)
	{
		reef_txn_free(txn);
		return REEF_FRAME_REJECTED;
	}
	return table_commit(cluster, txn);
}

static void
note_row(Model *model, int id)
{
	ModelRow	row = {true, id * 3, id};

	model->rows[id] = row;
}

void
gc_insert(GcFixture *f, Cluster *cluster, int id)
{
	UNIT_EQUAL_INT(try_insert(cluster, id), REEF_FRAME_DURABLE);
	note_row(f->model, id);
}

ReefTxn *
gc_try_load(Cluster *cluster, int first)
{
	ReefTxn    *txn;
	ReefError	err;
	ReefCode	rc;
	int			i;

	reef_error_init(&err);
	if (reef_txn_new(cluster->ns, &table_schema, &txn, &err) != REEF_OK)
		return NULL;
	for (i = first; i < first + 4000; i++)
	{
		ModelRow	row = {true, i * 3, i};
		bool		inserted;

		rc = table_insert(txn, 1, 1, i, &row, REEF_INSERT_ERROR, &inserted);
		if (rc != REEF_OK)
		{
			reef_txn_free(txn);
			return NULL;
		}
	}
	UNIT_CHECK(reef_txn_segments(txn) != NULL);
	return txn;
}

ReefTxn *
gc_load(Cluster *cluster, int first)
{
	ReefTxn    *txn = gc_try_load(cluster, first);

	UNIT_CHECK(txn != NULL);
	return txn;
}

void
gc_note_load(Model *model, int first)
{
	int			i;

	for (i = first; i < first + 4000; i++)
		note_row(model, i);
}

void
gc_check(GcFixture *f, Cluster *cluster)
{
	UNIT_OK(reef_namespace_open(cluster->ns, 0, &f->err), &f->err);
	table_check(cluster, NULL, 0, f->model);
}

void
gc_check_from_outside(GcFixture *f)
{
	Cluster    *reader = gc_open(f->bucket, 99);

	table_check(reader, NULL, 0, f->model);
	cluster_close(reader);
}

/* ---- objects ---- */

int
gc_count_objects(GcFixture *f, const char *part)
{
	int			count = 0;
	size_t		i;

	for (i = 0; i < reef_memory_bucket_count(f->bucket); i++)
		count += strstr(reef_memory_bucket_key(f->bucket, i), part) != NULL;
	return count;
}

bool
gc_has_object(GcFixture *f, const char *key)
{
	return reef_memory_bucket_bytes(f->bucket, key).data != NULL;
}

static ReefCode
note_garbage(void *arg, const ReefGarbage *garbage, ReefError *err)
{
	GcCollected  *collected = arg;
	size_t		used = strlen(collected->text);
	ReefObjectName name;
	char		word[30];

	(void) err;
	reef_layout_parse("public/rows", garbage->key, &name);
	UNIT_CHECK(name.kind != REEF_OBJECT_FOREIGN);
	if (name.kind == REEF_OBJECT_SEGMENT)
		snprintf(word, sizeof(word), "%.8s", garbage->reason);
	else
		snprintf(word, sizeof(word), "%c%d",
				 name.kind == REEF_OBJECT_WAL ? 'w' : 'm', (int) name.number);
	if (strcmp(garbage->reason, "orphaned segment") == 0)
		collected->orphans++;
	UNIT_EQUAL_INT(garbage->failed, garbage->problem[0] != '\0');
	snprintf(collected->text + used, sizeof(collected->text) - used, "%s%s ",
			 word, garbage->failed ? "!" : "");
	return REEF_OK;
}

ReefCode
gc_try_collect(Cluster *cluster, bool dry_run, GcCollected *collected,
			ReefError *err)
{
	memset(collected, 0, sizeof(*collected));
	return reef_gc(cluster->ns, dry_run, note_garbage, collected,
				   &collected->result, err);
}

GcCollected
gc_collect(GcFixture *f, Cluster *cluster)
{
	size_t		before = reef_memory_bucket_count(f->bucket);
	GcCollected	planned;
	GcCollected	done;

	UNIT_OK(gc_try_collect(cluster, true, &planned, &f->err), &f->err);
	UNIT_EQUAL_INT(reef_memory_bucket_count(f->bucket), before);
	UNIT_OK(gc_try_collect(cluster, false, &done, &f->err), &f->err);
	UNIT_EQUAL_STRING(done.text, planned.text);
	UNIT_EQUAL_INT(done.result.objects, planned.result.objects);
	UNIT_EQUAL_INT(done.result.bytes, planned.result.bytes);
	UNIT_EQUAL_INT(done.result.next_due_us, planned.result.next_due_us);
	return done;
}

/* ---- manifests by hand ---- */

static ReefCode
build_rewrite(void *arg, const ReefManifest *base, ReefArena *arena,
			  ReefManifest *next, bool *is_stale, ReefError *err)
{
	GcRewrite    *rewrite = arg;

	(void) arena;
	(void) err;
	*is_stale = false;
	*next = *base;
	if (rewrite->has_segment)
	{
		next->segment_count = 1;
		next->segments = &rewrite->segment;
	}
	return REEF_OK;
}

void
gc_commit_rewrite(Cluster *cluster, GcRewrite *rewrite)
{
	ReefManifestChange change = {
		.incarnation = cluster->shared->incarnation,
		.build = build_rewrite,
		.arg = rewrite,
		.copy_base_version = UINT64_MAX
	};
	ReefManifestOutcome outcome;
	ReefManifest committed;
	ReefArena	arena;
	ReefError	err;

	reef_error_init(&err);
	reef_arena_init(&arena, 0);
	if (rewrite->rebuildable_lsn != UINT64_MAX)
	{
		/* some copy, which does not say what this one's base has */
		change.copy_base_version = 0;
		change.copy_applied_lsn = rewrite->rebuildable_lsn;
	}
	UNIT_OK(reef_manifest_commit(cluster->ns, &change, &arena, &committed,
								 &outcome, &err), &err);
	UNIT_EQUAL_INT(outcome, REEF_MANIFEST_COMMITTED);
	reef_arena_release(&arena);
}

void
gc_commit_copy(Cluster *cluster)
{
	GcRewrite		rewrite = {.rebuildable_lsn = UINT64_MAX};

	gc_commit_rewrite(cluster, &rewrite);
}

/* A segment of the model's rows below "limit". */
static void
write_segment(GcFixture *f, Cluster *cluster, int limit, ReefArena *arena,
			  ReefSegmentMeta *meta)
{
	ReefSegmentWriter *writer;
	int			id;

	UNIT_OK(reef_segment_writer_new(cluster->store, cluster->ns->prefix,
									&cluster->settings,
									cluster->shared->namespace_id,
									&table_schema, 0, true, &writer, &f->err),
			&f->err);
	for (id = 0; id < limit; id++)
	{
		ReefValue	values[3] = {{.as.int64 = id},
		{.as.int32 = f->model->rows[id].a}};
		char		text[20];
		ReefBuf		key;

		if (!f->model->rows[id].exists)
			continue;
		snprintf(text, sizeof(text), "b%d", f->model->rows[id].b);
		values[2].as.bytes = reef_slice_of_string(text);
		UNIT_OK(reef_segment_writer_add(writer, table_key(&key, id), 2, false,
										false, values, &f->err), &f->err);
		reef_buf_release(&key);
	}
	UNIT_OK(reef_segment_writer_finish(writer, arena, meta, &f->err),
			&f->err);
}

void
gc_compact(GcFixture *f, Cluster *cluster)
{
	GcRewrite		rewrite = {.has_segment = true, .rebuildable_lsn = UINT64_MAX};
	ReefArena	arena;

	reef_arena_init(&arena, 0);
	write_segment(f, cluster, 100, &arena, &rewrite.segment);
	gc_commit_rewrite(cluster, &rewrite);
	reef_arena_release(&arena);
}

void
gc_leave_orphan(GcFixture *f, Cluster *cluster, char key[REEF_OBJECT_KEY_SIZE])
{
	ReefSegmentMeta meta;
	ReefArena	arena;

	reef_arena_init(&arena, 0);
	write_segment(f, cluster, 100, &arena, &meta);
	reef_layout_segment_key(cluster->ns->prefix, meta.id, key);
	reef_arena_release(&arena);
}
