/*
 * test_recover.c
 *	  Opening, refreshing and damaged tails.
 */
#include <stdlib.h>
#include <string.h>

#include "engine_fixture.h"
#include "unit.h"

UNIT_TEST(test_recover__what_was_never_written_reads_as_empty)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	ReefView   *view;
	ReefError	err;

	UNIT_OK(reef_view_pin(cluster->ns, NULL, 0, &view, &err), &err);
	UNIT_CHECK(!reef_view_exists(view));
	UNIT_EQUAL_INT(reef_view_schema(view)->column_count, 0);
	UNIT_EQUAL_INT(reef_view_row_count(view), 0);
	reef_view_unpin(view);
	UNIT_EQUAL_INT(cluster_count(cluster, NULL), 0);
	UNIT_EQUAL_INT(reef_memory_bucket_count(bucket), 0);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_recover__acknowledged_rows_are_there_on_another_server_i1)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	Cluster    *other;
	FrameBuilder builder;
	ReefFrame  *frame;
	ReefError	err;
	char		v[100];

	UNIT_EQUAL_INT(cluster_insert(cluster, 1, "one"), REEF_FRAME_DURABLE);
	UNIT_EQUAL_INT(cluster_insert(cluster, 2, "two"), REEF_FRAME_DURABLE);
	frame_begin(&builder, cluster);
	frame_update(&builder, 1, "uno", cluster_row_lsn(cluster, 1));
	frame_delete(&builder, 2, cluster_row_lsn(cluster, 2));
	frame_insert(&builder, 3, "three");
	frame = frame_end(&builder, 0);
	UNIT_OK(cluster_commit(cluster, &frame, 1, &err), &err);
	UNIT_EQUAL_INT(reef_frame_state(frame), REEF_FRAME_DURABLE);
	reef_frame_free(cluster->host, frame);
	cluster_crash(cluster);

	other = cluster_open(bucket, 2);
	UNIT_CHECK(cluster_read(other, 1, NULL, v));
	UNIT_EQUAL_STRING(v, "uno");
	UNIT_CHECK(!cluster_read(other, 2, NULL, v));
	UNIT_CHECK(cluster_read(other, 3, NULL, v));
	UNIT_EQUAL_INT(cluster_count(other, NULL), 2);
	cluster_close(other);
	reef_memory_bucket_free(bucket);
}

/* Something that happens once, just before a request of another server. */
typedef struct Intrusion
{
	ReefFaultyCall call;
	const char *key_part;
	void		(*act) (struct Intrusion *intrusion);
	ReefMemoryBucket *bucket;
	Cluster    *actor;
	bool		is_done;
} Intrusion;

static ReefFault
intrude(void *arg, ReefFaultyCall call, const char *key)
{
	Intrusion  *intrusion = arg;

	if (!intrusion->is_done && call == intrusion->call &&
		strstr(key, intrusion->key_part) != NULL)
	{
		intrusion->is_done = true;
		intrusion->act(intrusion);
	}
	return REEF_FAULT_NONE;
}

static void
fold_and_collect(Intrusion *intrusion)
{
	UNIT_CHECK(cluster_fold(intrusion->actor).folded);
	bucket_collect(intrusion->bucket, intrusion->actor);
}

static void
fold_collect_and_commit(Intrusion *intrusion)
{
	fold_and_collect(intrusion);
	UNIT_EQUAL_INT(cluster_insert(intrusion->actor, 9, "nine"),
				   REEF_FRAME_DURABLE);
}

/* A server opens the namespace while another one folds under it. */
static void
open_under_fold(void (*act) (Intrusion *), int expected)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *writer = cluster_open(bucket, 1);
	Cluster    *reader = cluster_open(bucket, 2);
	Intrusion	intrusion = {
		.call = REEF_FAULTY_LIST,
		.key_part = "/wal/",
		.act = act,
		.bucket = bucket,
		.actor = writer
	};

	UNIT_EQUAL_INT(cluster_insert(writer, 1, "one"), REEF_FRAME_DURABLE);
	UNIT_CHECK(cluster_fold(writer).folded);
	UNIT_EQUAL_INT(cluster_insert(writer, 2, "two"), REEF_FRAME_DURABLE);
	reader->settings.gc_grace_us = 0;
	reef_faulty_store_set_hook(reader->faulty, intrude, &intrusion);
	UNIT_EQUAL_INT(cluster_count(reader, NULL), expected);
	UNIT_CHECK(intrusion.is_done);
	cluster_close(reader);
	cluster_close(writer);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_recover__a_hole_above_the_manifest_means_start_over)
{
	open_under_fold(fold_collect_and_commit, 3);
}

UNIT_TEST(test_recover__a_tail_that_was_collected_shows_in_a_late_list)
{
	open_under_fold(fold_and_collect, 2);
}

static void
wal_key(uint64_t lsn, char key[REEF_OBJECT_KEY_SIZE])
{
	reef_layout_wal_key("public/rows", lsn, key);
}

static ReefCode
open_code(ReefMemoryBucket *bucket, ReefError *err)
{
	Cluster    *reader = cluster_open(bucket, 9);
	ReefView   *view;
	ReefCode	rc;

	reef_error_init(err);
	rc = reef_view_pin(reader->ns, NULL, 0, &view, err);
	if (rc == REEF_OK)
		reef_view_unpin(view);
	cluster_close(reader);
	return rc;
}

UNIT_TEST(test_recover__a_lost_record_is_damage_i10)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *writer = cluster_open(bucket, 1);
	char		key[REEF_OBJECT_KEY_SIZE];
	ReefError	err;

	for (int i = 0; i < 4; i++)
		UNIT_EQUAL_INT(cluster_insert(writer, i, "x"), REEF_FRAME_DURABLE);
	wal_key(3, key);
	UNIT_CHECK(reef_memory_bucket_remove(bucket, key));
	UNIT_CODE(open_code(bucket, &err), REEF_CORRUPT, &err);
	UNIT_CHECK(strstr(err.detail, key) != NULL);
	cluster_close(writer);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_recover__a_damaged_record_is_damage_i10)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *writer = cluster_open(bucket, 1);
	char		key[REEF_OBJECT_KEY_SIZE];
	ReefError	err;

	UNIT_EQUAL_INT(cluster_insert(writer, 1, "x"), REEF_FRAME_DURABLE);
	wal_key(2, key);
	UNIT_CHECK(reef_memory_bucket_flip(bucket, key, 140, 1));
	UNIT_CODE(open_code(bucket, &err), REEF_CORRUPT, &err);
	cluster_close(writer);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_recover__a_record_of_another_history_breaks_the_chain_i10)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *writer = cluster_open(bucket, 1);
	ReefWalHeader header;
	ReefBuf		bytes;
	char		key[REEF_OBJECT_KEY_SIZE];
	ReefError	err;

	UNIT_EQUAL_INT(cluster_insert(writer, 1, "x"), REEF_FRAME_DURABLE);
	reef_wal_header_init(writer->ns, &header);
	header.previous_crc ^= 1;
	reef_buf_init(&bytes);
	UNIT_OK(reef_wal_encode(&header, NULL, &bytes, &err), &err);
	wal_key(header.lsn, key);
	UNIT_OK(reef_store_put_if_absent(writer->store, key,
									 reef_buf_slice(&bytes), &err), &err);
	UNIT_CODE(open_code(bucket, &err), REEF_CORRUPT, &err);
	reef_buf_release(&bytes);
	cluster_close(writer);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_recover__records_below_the_manifest_mean_nothing)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *writer = cluster_open(bucket, 1);
	Cluster    *reader;
	char		key[REEF_OBJECT_KEY_SIZE];
	ReefError	err;

	UNIT_EQUAL_INT(cluster_insert(writer, 1, "x"), REEF_FRAME_DURABLE);
	UNIT_CHECK(cluster_fold(writer).folded);
	wal_key(2, key);
	UNIT_CHECK(reef_memory_bucket_remove(bucket, key));
	UNIT_OK(reef_store_put_if_absent(writer->store, key,
									 reef_slice_of_string("late garbage"),
									 &err), &err);
	reader = cluster_open(bucket, 2);
	UNIT_EQUAL_INT(cluster_count(reader, NULL), 1);
	cluster_close(reader);
	cluster_close(writer);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_recover__a_damaged_manifest_gives_way_to_the_one_before_i1)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *writer = cluster_open(bucket, 1);
	Cluster    *reader;
	char		key[REEF_OBJECT_KEY_SIZE];
	ReefError	err;

	UNIT_EQUAL_INT(cluster_insert(writer, 1, "x"), REEF_FRAME_DURABLE);
	UNIT_EQUAL_INT(cluster_fold(writer).manifest_version, 1);
	UNIT_EQUAL_INT(cluster_insert(writer, 2, "y"), REEF_FRAME_DURABLE);
	UNIT_EQUAL_INT(cluster_fold(writer).manifest_version, 2);
	reef_layout_manifest_key("public/rows", 2, key);
	UNIT_CHECK(reef_memory_bucket_flip(bucket, key, 60, 1));

	reader = cluster_open(bucket, 2);
	UNIT_EQUAL_INT(cluster_count(reader, NULL), 2);
	/* its number stays taken */
	UNIT_EQUAL_INT(cluster_insert(reader, 3, "z"), REEF_FRAME_DURABLE);
	UNIT_EQUAL_INT(cluster_fold(reader).manifest_version, 3);
	UNIT_EQUAL_INT(cluster_count(reader, NULL), 3);
	cluster_close(reader);

	/* but not if the records that it had applied are gone */
	reef_layout_manifest_key("public/rows", 3, key);
	UNIT_CHECK(reef_memory_bucket_remove(bucket, key));
	wal_key(3, key);
	UNIT_CHECK(reef_memory_bucket_remove(bucket, key));
	UNIT_CODE(open_code(bucket, &err), REEF_CORRUPT, &err);
	cluster_close(writer);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_recover__a_reader_keeps_up_with_the_writer)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *writer = cluster_open(bucket, 1);
	Cluster    *reader = cluster_open(bucket, 2);
	size_t		objects;

	UNIT_EQUAL_INT(cluster_count(reader, NULL), 0);
	for (int i = 1; i <= 10; i++)
	{
		UNIT_EQUAL_INT(cluster_insert(writer, i, "x"), REEF_FRAME_DURABLE);
		if (i % 4 == 0)
			UNIT_CHECK(cluster_fold(writer).folded);
		objects = reef_memory_bucket_count(bucket);
		UNIT_EQUAL_INT(cluster_count(reader, NULL), i);
		UNIT_EQUAL_INT(reef_memory_bucket_count(bucket), objects);
	}
	cluster_close(reader);
	cluster_close(writer);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_recover__after_half_the_grace_window_a_reader_lists_again)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *writer = cluster_open(bucket, 1);
	Cluster    *reader = cluster_open(bucket, 2);

	UNIT_EQUAL_INT(cluster_insert(writer, 1, "x"), REEF_FRAME_DURABLE);
	UNIT_EQUAL_INT(cluster_count(reader, NULL), 1);
	UNIT_EQUAL_INT(cluster_insert(writer, 2, "x"), REEF_FRAME_DURABLE);
	UNIT_CHECK(cluster_fold(writer).folded);
	reef_memory_bucket_set_time(bucket, reef_memory_bucket_time(bucket) +
								reader->settings.gc_grace_us);
	bucket_collect(bucket, writer);
	UNIT_EQUAL_INT(cluster_count(reader, NULL), 2);
	cluster_close(reader);
	cluster_close(writer);
	reef_memory_bucket_free(bucket);
}
