/*
 * engine_fixture.c
 *	  See engine_fixture.h.
 */
#include "engine_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "unit.h"

#define FIXTURE_TIME_US INT64_C(1700000000000000)
#define FIXTURE_NAMESPACE "public/rows"

static ReefColumn fixture_columns[] = {
	{
		.name = "id",
		.type = {.kind = REEF_KIND_INT64, .length = -1, .pg_type = "bigint"},
		.key_position = 1,
		.not_null = true
	},
	{
		.name = "v",
		.type = {.kind = REEF_KIND_TEXT, .length = -1, .pg_type = "text"}
	}
};

const ReefSchema fixture_schema = {2, fixture_columns};

/* ---- clusters ---- */

static Cluster *
open_cluster(ReefMemoryBucket *bucket, uint8_t id, bool read_only)
{
	Cluster    *cluster = calloc(1, sizeof(*cluster));
	ReefStoreOptions options = {
		.location = "memory://",
		.read_only = read_only
	};
	ReefError	err;

	reef_error_init(&err);
	cluster->fake = fake_host_new();
	cluster->host = &cluster->fake->host;
	fake_host_seed(cluster->fake, id);
	fake_host_set_time(cluster->fake, FIXTURE_TIME_US);
	reef_engine_settings_init(&cluster->settings);
	memset(cluster->settings.cluster_id, id, 16);
	cluster->faulty = reef_faulty_store_new(&reef_memory_store_ops, bucket);
	UNIT_OK(reef_store_new(cluster->host, &reef_faulty_store_ops,
						   cluster->faulty, &options, &cluster->store, &err),
			&err);
	cluster->shared = calloc(1, reef_namespace_shared_size());
	reef_namespace_shared_init(cluster->shared, 1);
	UNIT_OK(reef_namespace_attach(cluster->host, &cluster->settings,
								  cluster->store, FIXTURE_NAMESPACE,
								  cluster->shared, &cluster->ns, &err), &err);
	return cluster;
}

Cluster *
cluster_open(ReefMemoryBucket *bucket, uint8_t id)
{
	return open_cluster(bucket, id, false);
}

Cluster *
cluster_open_read_only(ReefMemoryBucket *bucket, uint8_t id)
{
	return open_cluster(bucket, id, true);
}

Cluster *
cluster_part_open(Cluster *owner, const char *name, int lock_number)
{
	Cluster    *part = calloc(1, sizeof(*part));
	ReefError	err;

	reef_error_init(&err);
	*part = *owner;
	part->shared = calloc(1, reef_namespace_shared_size());
	reef_namespace_shared_init(part->shared, lock_number);
	UNIT_OK(reef_namespace_attach(part->host, &owner->settings, part->store,
								  name, part->shared, &part->ns, &err), &err);
	return part;
}

static void
end_namespace(Cluster *cluster)
{
	ReefError	err;

	reef_error_init(&err);
	reef_namespace_detach(cluster->ns);
	UNIT_OK(reef_namespace_shared_reset(cluster->host, cluster->shared, true,
										&err), &err);
	free(cluster->shared);
}

void
cluster_part_close(Cluster *part)
{
	end_namespace(part);
	free(part);
}

static void
end_cluster(Cluster *cluster)
{
	end_namespace(cluster);
	reef_store_close(cluster->store);
}

void
cluster_close(Cluster *cluster)
{
	end_cluster(cluster);
	fake_host_free(cluster->fake);
	free(cluster);
}

void
cluster_crash(Cluster *cluster)
{
	end_cluster(cluster);
	fake_host_free_crashed(cluster->fake);
	free(cluster);
}

/* ---- frames ---- */

static ReefSlice
key_of(ReefBuf *buf, int64_t id)
{
	ReefValue	value = {.as.int64 = id};

	reef_buf_init(buf);
	reef_key_append(buf, REEF_KIND_INT64, &value);
	return reef_buf_slice(buf);
}

static ReefSlice
document_of(ReefBuf *buf, int64_t id, const char *v)
{
	ReefValue	values[2] = {{.as.int64 = id}, {.is_null = v == NULL}};

	if (v != NULL)
		values[1].as.bytes = reef_slice_of_string(v);
	reef_buf_init(buf);
	reef_document_append(buf, fixture_columns, 2, values);
	return reef_buf_slice(buf);
}

void
frame_begin_coupled(FrameBuilder *builder, Cluster *cluster,
					const ReefCoupling *coupling)
{
	ReefFrameHeader header = {.schema = fixture_schema};
	ReefView   *view;
	ReefError	err;

	reef_error_init(&err);
	memset(builder, 0, sizeof(*builder));
	builder->cluster = cluster;
	if (reef_view_pin(cluster->ns, NULL, INT64_MAX, &view, &err) == REEF_OK)
	{
		builder->validated_lsn = view->shared_manifest->applied_lsn;
		builder->incarnation = view->incarnation;
		reef_view_unpin(view);
	}
	if (coupling != NULL)
	{
		header.is_coupled = true;
		header.coupling = *coupling;
	}
	reef_buf_init(&builder->resolved);
	UNIT_OK(reef_frame_writer_new(&header, &builder->writer, &err), &err);
}

void
frame_begin(FrameBuilder *builder, Cluster *cluster)
{
	frame_begin_coupled(builder, cluster, NULL);
}

static void
add_put(FrameBuilder *builder, int64_t id, const char *v,
		ReefConditionKind condition)
{
	ReefOp		op = {.kind = REEF_OP_PUT, .condition.kind = condition};
	ReefBuf		document;

	op.document = document_of(&document, id, v);
	reef_frame_writer_add(builder->writer, &op);
	reef_buf_release(&document);
}

void
frame_insert(FrameBuilder *builder, int64_t id, const char *v)
{
	add_put(builder, id, v, REEF_CONDITION_ABSENT);
	builder->delta++;
}

void
frame_upsert(FrameBuilder *builder, int64_t id, const char *v, bool is_new)
{
	add_put(builder, id, v, is_new ? REEF_CONDITION_ABSENT :
			REEF_CONDITION_EXISTS);
	builder->delta += is_new;
}

void
frame_update(FrameBuilder *builder, int64_t id, const char *v, uint64_t lsn)
{
	static const uint16_t changed[] = {1};
	ReefValue	value = {.as.bytes = reef_slice_of_string(v)};
	ReefOp		op = {
		.kind = REEF_OP_PATCH,
		.condition = {REEF_CONDITION_LSN, lsn},
		.patch_column_count = 1,
		.patch_columns = changed
	};
	ReefBuf		key;
	ReefBuf		patch;
	ReefBuf		document;

	op.key = key_of(&key, id);
	reef_buf_init(&patch);
	reef_document_append(&patch, &fixture_columns[1], 1, &value);
	op.document = reef_buf_slice(&patch);
	reef_frame_writer_add(builder->writer, &op);
	document_of(&document, id, v);
	reef_buf_append_u32(&builder->resolved, (uint32_t) document.size);
	reef_buf_append(&builder->resolved, document.data, document.size);
	reef_buf_release(&key);
	reef_buf_release(&patch);
	reef_buf_release(&document);
}

void
frame_delete(FrameBuilder *builder, int64_t id, uint64_t lsn)
{
	ReefOp		op = {
		.kind = REEF_OP_DELETE,
		.condition = {REEF_CONDITION_LSN, lsn}
	};
	ReefBuf		key;

	op.key = key_of(&key, id);
	reef_frame_writer_add(builder->writer, &op);
	reef_buf_release(&key);
	builder->delta--;
}

ReefFrame *
frame_end(FrameBuilder *builder, uint64_t full_xid)
{
	const ReefHost *host = builder->cluster->host;
	ReefFrame  *frame;
	ReefBuf		wal;
	ReefError	err;
	size_t		size;

	reef_error_init(&err);
	reef_buf_init(&wal);
	UNIT_OK(reef_frame_writer_finish(builder->writer, builder->delta, &wal,
									 &err), &err);
	reef_frame_writer_free(builder->writer);
	size = sizeof(*frame) + wal.size + builder->resolved.size;
	size = (size + REEF_SHARED_PAGE_SIZE - 1) / REEF_SHARED_PAGE_SIZE *
		REEF_SHARED_PAGE_SIZE;
	frame = host->shared_alloc(host->arg, size);
	UNIT_CHECK(frame != NULL);
	memset(frame, 0, sizeof(*frame));
	frame->allocated = size;
	frame->full_xid = full_xid;
	frame->validated_lsn = builder->validated_lsn;
	frame->incarnation = builder->incarnation;
	frame->wal_size = wal.size;
	frame->resolved_size = builder->resolved.size;
	memcpy(frame->bytes, wal.data, wal.size);
	if (builder->resolved.size > 0)
		memcpy(frame->bytes + wal.size, builder->resolved.data,
			   builder->resolved.size);
	reef_buf_release(&wal);
	reef_buf_release(&builder->resolved);
	return frame;
}

/* ---- actions ---- */

ReefCode
cluster_commit(Cluster *cluster, ReefFrame **frames, int count, ReefError *err)
{
	const ReefHost *host = cluster->host;
	int			lock_number = cluster->shared->lock_number;
	ReefCode	rc;
	int			i;

	UNIT_CHECK(host->right_acquire(host->arg, lock_number, REEF_RIGHT_COMMIT,
								   0) == REEF_OK);
	rc = reef_commit(cluster->ns, frames, count, err);
	host->right_release(host->arg, lock_number, REEF_RIGHT_COMMIT);
	for (i = 0; i < count; i++)
		UNIT_CHECK(reef_frame_state(frames[i]) != REEF_FRAME_WAITING);
	return rc;
}

ReefFrameState
cluster_insert(Cluster *cluster, int64_t id, const char *v)
{
	FrameBuilder builder;
	ReefFrame  *frame;
	ReefFrameState state;
	ReefError	err;

	reef_error_init(&err);
	frame_begin(&builder, cluster);
	frame_insert(&builder, id, v);
	frame = frame_end(&builder, 0);
	(void) cluster_commit(cluster, &frame, 1, &err);
	state = reef_frame_state(frame);
	reef_frame_free(cluster->host, frame);
	return state;
}

static bool
look_up(Cluster *cluster, int64_t id, void *snapshot, char v[100],
		uint64_t *lsn)
{
	ReefValue	values[2];
	ReefArena	arena;
	ReefView   *view;
	ReefBuf		key;
	ReefError	err;
	ReefCode	rc;

	reef_error_init(&err);
	UNIT_OK(reef_view_pin(cluster->ns, snapshot, 0, &view, &err), &err);
	reef_arena_init(&arena, 0);
	rc = reef_view_lookup(view, key_of(&key, id), fixture_columns, 2, &arena,
						  values, lsn, &err);
	if (rc != REEF_NOT_FOUND)
	{
		UNIT_OK(rc, &err);
		UNIT_EQUAL_INT(values[0].as.int64, id);
		snprintf(v, 100, "%.*s", (int) values[1].as.bytes.size,
				 (const char *) values[1].as.bytes.data);
	}
	reef_buf_release(&key);
	reef_arena_release(&arena);
	reef_view_unpin(view);
	return rc == REEF_OK;
}

bool
cluster_read(Cluster *cluster, int64_t id, void *snapshot, char v[100])
{
	uint64_t	lsn;

	return look_up(cluster, id, snapshot, v, &lsn);
}

uint64_t
cluster_row_lsn(Cluster *cluster, int64_t id)
{
	uint64_t	lsn;
	char		v[100];

	UNIT_CHECK(look_up(cluster, id, NULL, v, &lsn));
	return lsn;
}

int
cluster_count(Cluster *cluster, void *snapshot)
{
	ReefScanSpec spec = {.columns = fixture_columns, .column_count = 2};
	ReefView   *view;
	ReefScan   *scan;
	ReefBatch  *batch;
	ReefError	err;
	int			count = 0;

	reef_error_init(&err);
	UNIT_OK(reef_view_pin(cluster->ns, snapshot, 0, &view, &err), &err);
	UNIT_OK(reef_scan_open(view, &spec, &scan, &err), &err);
	UNIT_OK(reef_scan_restart(scan, NULL, &err), &err);
	do
	{
		UNIT_OK(reef_scan_next(scan, &batch, &err), &err);
		count += batch->row_count;
	} while (batch->row_count > 0);
	if (snapshot == NULL)
		UNIT_EQUAL_INT(reef_view_row_count(view), count);
	reef_scan_close(scan);
	reef_view_unpin(view);
	return count;
}

ReefFoldResult
cluster_fold(Cluster *cluster)
{
	ReefFoldResult result;
	ReefError	err;

	reef_error_init(&err);
	UNIT_OK(reef_fold(cluster->ns, &result, &err), &err);
	return result;
}

void
bucket_collect(ReefMemoryBucket *bucket, Cluster *reader)
{
	ReefArena	arena;
	ReefBuf		bytes;
	ReefManifest manifest;
	ReefError	err;
	size_t		i;

	reef_error_init(&err);
	reef_arena_init(&arena, 0);
	reef_buf_init(&bytes);
	UNIT_OK(reef_manifest_load_current(reader->ns, &arena, &manifest, &bytes,
									   &err), &err);
	for (i = 0; i < reef_memory_bucket_count(bucket);)
	{
		char		key[REEF_OBJECT_KEY_SIZE];
		ReefObjectName name;
		size_t		size;

		snprintf(key, sizeof(key), "%s", reef_memory_bucket_key(bucket, i));
		size = reef_memory_bucket_bytes(bucket, key).size;
		reef_layout_parse(reader->ns->prefix, key, &name);
		if ((name.kind == REEF_OBJECT_MANIFEST &&
			 name.number < manifest.version) ||
			(name.kind == REEF_OBJECT_WAL && size > REEF_WAL_HEADER_SIZE &&
			 name.number <= manifest.last_applied_lsn))
			UNIT_CHECK(reef_memory_bucket_remove(bucket, key));
		else
			i++;
	}
	reef_buf_release(&bytes);
	reef_arena_release(&arena);
}
