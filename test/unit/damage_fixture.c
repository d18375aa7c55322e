/*
 * damage_fixture.c
 *	  See damage_fixture.h.
 */
#include "damage_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "unit.h"

/* ---- making it ---- */

static void
commit(Cluster *cluster, FrameBuilder *builder)
{
	ReefFrame  *frame = frame_end(builder, 0);
	ReefError	err;

	reef_error_init(&err);
	UNIT_OK(cluster_commit(cluster, &frame, 1, &err), &err);
	UNIT_EQUAL_INT(reef_frame_state(frame), REEF_FRAME_DURABLE);
	reef_frame_free(cluster->host, frame);
}

static void
write_segment(Cluster *cluster, ReefArena *arena, ReefSegmentMeta *meta)
{
	ReefSegmentWriter *writer;
	ReefError	err;

	reef_error_init(&err);
	UNIT_OK(reef_segment_writer_new(cluster->store, cluster->ns->prefix,
									&cluster->settings,
									cluster->shared->namespace_id,
									&fixture_schema, 0, false, &writer, &err),
			&err);
	for (int64_t id = 20; id < 23; id++)
	{
		ReefValue	values[2] = {{.as.int64 = id}, {.is_null = false}};
		ReefBuf		key;

		values[1].as.bytes = reef_slice_of_string("s");
		reef_buf_init(&key);
		reef_key_append(&key, REEF_KIND_INT64, &values[0]);
		UNIT_OK(reef_segment_writer_add(writer, reef_buf_slice(&key), 0, false,
										false, values, &err), &err);
		reef_buf_release(&key);
	}
	UNIT_OK(reef_segment_writer_finish(writer, arena, meta, &err), &err);
}

static void
attach(Cluster *cluster, char key[REEF_OBJECT_KEY_SIZE])
{
	ReefOp		op = {.kind = REEF_OP_ATTACH};
	FrameBuilder builder;
	ReefSegmentMeta meta;
	ReefArena	arena;

	op.condition.kind = REEF_CONDITION_ABSENT;
	reef_arena_init(&arena, 0);
	write_segment(cluster, &arena, &meta);
	frame_begin(&builder, cluster);
	op.segment = &meta;
	reef_frame_writer_add(builder.writer, &op);
	builder.delta = 3;
	commit(cluster, &builder);
	reef_layout_segment_key(cluster->ns->prefix, meta.id, key);
	reef_arena_release(&arena);
}

/* The segment that is in no "known" place yet. */
static void
find_segment(Cluster *cluster, ReefMemoryBucket *bucket, const char *known,
			 char key[REEF_OBJECT_KEY_SIZE])
{
	for (size_t i = 0; i < reef_memory_bucket_count(bucket); i++)
	{
		ReefObjectName name;

		reef_layout_parse(cluster->ns->prefix,
						  reef_memory_bucket_key(bucket, i), &name);
		if (name.kind == REEF_OBJECT_SEGMENT &&
			strcmp(reef_memory_bucket_key(bucket, i), known) != 0)
			snprintf(key, REEF_OBJECT_KEY_SIZE, "%s",
					 reef_memory_bucket_key(bucket, i));
	}
}

static void
write_tail(Cluster *cluster)
{
	FrameBuilder builder;

	UNIT_EQUAL_INT(cluster_insert(cluster, 8, "c8"), REEF_FRAME_DURABLE);
	frame_begin(&builder, cluster);
	frame_update(&builder, 8, "d8", 10);
	commit(cluster, &builder);
	frame_begin(&builder, cluster);
	frame_insert(&builder, 9, "c9");
	frame_delete(&builder, 3, 4);
	commit(cluster, &builder);
	frame_begin(&builder, cluster);
	frame_upsert(&builder, 4, "c4", false);
	commit(cluster, &builder);
	frame_begin(&builder, cluster);
	frame_update(&builder, 7, "c7", 9);
	commit(cluster, &builder);
	UNIT_EQUAL_INT(cluster_insert(cluster, 2, "c2"), REEF_FRAME_DURABLE);
	frame_begin(&builder, cluster);
	frame_update(&builder, 8, "e8", 11);
	commit(cluster, &builder);
	UNIT_EQUAL_INT(cluster_insert(cluster, 3, "c3"), REEF_FRAME_DURABLE);
	frame_begin(&builder, cluster);
	frame_delete(&builder, 3, 17);
	commit(cluster, &builder);
}

void
damage_namespace_make(DamageNamespace *made)
{
	Cluster    *cluster;
	FrameBuilder builder;
	char		v[16];

	memset(made, 0, sizeof(*made));
	made->bucket = reef_memory_bucket_new();
	cluster = cluster_open(made->bucket, 1);
	for (int id = 1; id <= 6; id++)
	{
		snprintf(v, sizeof(v), "a%d", id);
		UNIT_EQUAL_INT(cluster_insert(cluster, id, v), REEF_FRAME_DURABLE);
	}
	UNIT_EQUAL_INT(cluster_fold(cluster).last_applied_lsn, 7);
	find_segment(cluster, made->bucket, "", made->segments[0]);
	frame_begin(&builder, cluster);
	frame_update(&builder, 1, "b1", 2);
	frame_delete(&builder, 2, 3);
	commit(cluster, &builder);
	UNIT_EQUAL_INT(cluster_insert(cluster, 7, "b7"), REEF_FRAME_DURABLE);
	UNIT_EQUAL_INT(cluster_fold(cluster).last_applied_lsn, 9);
	find_segment(cluster, made->bucket, made->segments[0], made->segments[1]);
	write_tail(cluster);
	attach(cluster, made->segments[2]);
	UNIT_EQUAL_INT(cluster->shared->last_lsn, DAMAGE_RECORD_LAST);
	cluster_close(cluster);
}

/* ---- buckets ---- */

ReefMemoryBucket *
damage_bucket_clone(ReefMemoryBucket *bucket)
{
	ReefMemoryBucket *clone = reef_memory_bucket_new();

	reef_memory_bucket_set_time(clone, reef_memory_bucket_time(bucket));
	for (size_t i = 0; i < reef_memory_bucket_count(bucket); i++)
	{
		const char *key = reef_memory_bucket_key(bucket, i);

		damage_bucket_replace(clone, key,
							  reef_memory_bucket_bytes(bucket, key));
	}
	return clone;
}

void
damage_bucket_replace(ReefMemoryBucket *bucket, const char *key,
					  ReefSlice bytes)
{
	ReefError	err;

	reef_error_init(&err);
	(void) reef_memory_bucket_remove(bucket, key);
	UNIT_OK(reef_memory_store_ops.put_if_absent(bucket, key, bytes, &err),
			&err);
}

/* ---- the model ---- */

typedef struct Event
{
	uint64_t	lsn;
	int			id;
	const char *v;				/* NULL: delete */
	DamageHome	home;
	uint64_t	base_lsn;		/* of a patch in a record; 0: none */
} Event;

static const Event events[] = {
	{2, 1, "a1", DAMAGE_HOME_A, 0},
	{3, 2, "a2", DAMAGE_HOME_A, 0},
	{4, 3, "a3", DAMAGE_HOME_A, 0},
	{5, 4, "a4", DAMAGE_HOME_A, 0},
	{6, 5, "a5", DAMAGE_HOME_A, 0},
	{7, 6, "a6", DAMAGE_HOME_A, 0},
	{8, 1, "b1", DAMAGE_HOME_B, 0},
	{8, 2, NULL, DAMAGE_HOME_B, 0},
	{9, 7, "b7", DAMAGE_HOME_B, 0},
	{10, 8, "c8", DAMAGE_HOME_RECORD, 0},
	{11, 8, "d8", DAMAGE_HOME_RECORD, 10},
	{12, 9, "c9", DAMAGE_HOME_RECORD, 0},
	{12, 3, NULL, DAMAGE_HOME_RECORD, 0},
	{13, 4, "c4", DAMAGE_HOME_RECORD, 0},
	{14, 7, "c7", DAMAGE_HOME_RECORD, 9},
	{15, 2, "c2", DAMAGE_HOME_RECORD, 0},
	{16, 8, "e8", DAMAGE_HOME_RECORD, 11},
	{17, 3, "c3", DAMAGE_HOME_RECORD, 0},
	{18, 3, NULL, DAMAGE_HOME_RECORD, 0},
	{19, 20, "s", DAMAGE_HOME_S, 0},
	{19, 21, "s", DAMAGE_HOME_S, 0},
	{19, 22, "s", DAMAGE_HOME_S, 0},
};

void
damage_expect(unsigned homes, uint32_t records, DamageRows *rows)
{
	uint64_t	lsns[DAMAGE_IDS] = {0};

	memset(rows, 0, sizeof(*rows));
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
	{
		const Event *event = &events[i];
		bool		is_logged = event->home == DAMAGE_HOME_RECORD ||
			event->home == DAMAGE_HOME_S;

		if ((homes & event->home) != 0 ||
			(is_logged && (records >> event->lsn & 1) != 0) ||
			(event->base_lsn != 0 && lsns[event->id] != event->base_lsn))
			continue;
		lsns[event->id] = event->v == NULL ? 0 : event->lsn;
		snprintf(rows->v[event->id], sizeof(rows->v[0]), "%s",
				 event->v == NULL ? "" : event->v);
	}
}

bool
damage_rows_equal(const DamageRows *a, const DamageRows *b)
{
	for (int id = 0; id < DAMAGE_IDS; id++)
	{
		if (strcmp(a->v[id], b->v[id]) != 0)
			return false;
	}
	return true;
}

/* ---- reading ---- */

static ReefCode
read_rows(ReefView *view, DamageRows *rows, ReefError *err)
{
	ReefScanSpec spec = {
		.columns = fixture_schema.columns,
		.column_count = 2
	};
	ReefScan   *scan;
	ReefBatch  *batch;
	ReefCode	rc = REEF_OK;
	uint64_t	count = 0;

	REEF_TRY(reef_scan_open(view, &spec, &scan, err));
	rc = reef_scan_restart(scan, NULL, err);
	while (rc == REEF_OK)
	{
		rc = reef_scan_next(scan, &batch, err);
		if (rc != REEF_OK || batch->row_count == 0)
			break;
		for (int i = 0; i < batch->row_count; i++)
		{
			int			row = batch->selection == NULL ? i :
				batch->selection[i];
			ReefValue	id;
			ReefValue	v;

			reef_vector_get(&batch->columns[0], row, &id);
			reef_vector_get(&batch->columns[1], row, &v);
			UNIT_CHECK(id.as.int64 > 0 && id.as.int64 < DAMAGE_IDS);
			/* a key is there once */
			UNIT_EQUAL_STRING(rows->v[id.as.int64], "");
			snprintf(rows->v[id.as.int64], sizeof(rows->v[0]), "%.*s",
					 (int) v.as.bytes.size, (const char *) v.as.bytes.data);
			count++;
		}
	}
	reef_scan_close(scan);
	if (rc == REEF_OK)
		UNIT_EQUAL_INT(reef_view_row_count(view), count);
	return rc;
}

ReefCode
damage_read(ReefMemoryBucket *bucket, DamageRows *rows, ReefError *err)
{
	Cluster    *cluster = cluster_open(bucket, 7);
	ReefView   *view;
	ReefCode	rc;

	memset(rows, 0, sizeof(*rows));
	reef_error_init(err);
	rc = reef_view_pin(cluster->ns, NULL, 0, &view, err);
	if (rc == REEF_OK)
	{
		rc = read_rows(view, rows, err);
		reef_view_unpin(view);
	}
	cluster_close(cluster);
	return rc;
}

/* ---- reports ---- */

static void
append(char *text, size_t size, const char *what)
{
	size_t		used = strlen(text);

	snprintf(text + used, size - used, "%s%s", used > 0 ? ", " : "", what);
}

static void
add_line(DamageReport *report, const char *name, const char *object,
		 const char *detail)
{
	report->count++;
	if (strstr(report->names, name) == NULL)
		append(report->names, sizeof(report->names), name);
	append(report->objects, sizeof(report->objects), object);
	append(report->details, sizeof(report->details), detail);
}

static ReefCode
add_finding(void *arg, const ReefFinding *finding, ReefError *err)
{
	DamageReport *report = arg;

	(void) err;
	switch (finding->severity)
	{
		case REEF_SEVERITY_INFO:
			report->infos++;
			return REEF_OK;
		case REEF_SEVERITY_WARNING:
			report->warnings++;
			break;
		case REEF_SEVERITY_ERROR:
			report->errors++;
			break;
	}
	add_line(report, finding->check_name, finding->object, finding->detail);
	return REEF_OK;
}

static ReefCode
add_action(void *arg, const ReefAction *action, ReefError *err)
{
	(void) err;
	add_line(arg, action->action, action->object, action->detail);
	return REEF_OK;
}

ReefCode
damage_verify(ReefMemoryBucket *bucket, bool deep, DamageReport *report,
			  ReefError *err)
{
	Cluster    *cluster = cluster_open(bucket, 8);
	ReefCode	rc;

	memset(report, 0, sizeof(*report));
	reef_error_init(err);
	rc = reef_verify(cluster->ns, deep, add_finding, report, err);
	UNIT_EQUAL_INT(cluster->shared->mode, REEF_MODE_CLOSED);
	cluster_close(cluster);
	return rc;
}

ReefCode
damage_repair(ReefMemoryBucket *bucket, bool dry_run, DamageReport *report,
			  ReefError *err)
{
	Cluster    *cluster = cluster_open(bucket, 9);
	ReefCode	rc;

	memset(report, 0, sizeof(*report));
	reef_error_init(err);
	rc = reef_repair(cluster->ns, dry_run, add_action, report, err);
	cluster_close(cluster);
	return rc;
}
