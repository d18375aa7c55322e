/*
 * test_fold.c
 *	  A fold changes where rows are and nothing else.
 */
#include <stdlib.h>
#include <string.h>

#include "engine_fixture.h"
#include "unit.h"

static int
count_rows(ReefMemoryBucket *bucket)
{
	Cluster    *reader = cluster_open(bucket, 99);
	int			count = cluster_count(reader, NULL);

	cluster_close(reader);
	return count;
}

UNIT_TEST(test_fold__rows_are_the_same_before_and_after_i8)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	FrameBuilder builder;
	ReefFrame  *frame;
	ReefFoldResult result;
	ReefError	err;
	char		v[100];

	for (int i = 0; i < 20; i++)
		UNIT_EQUAL_INT(cluster_insert(cluster, i, "old"), REEF_FRAME_DURABLE);
	UNIT_EQUAL_INT(cluster_fold(cluster).rows, 20);
	frame_begin(&builder, cluster);
	for (int i = 0; i < 5; i++)
		frame_delete(&builder, i, cluster_row_lsn(cluster, i));
	for (int i = 5; i < 10; i++)
		frame_update(&builder, i, "new", cluster_row_lsn(cluster, i));
	frame_insert(&builder, 100, "gone");
	frame = frame_end(&builder, 0);
	UNIT_OK(cluster_commit(cluster, &frame, 1, &err), &err);
	reef_frame_free(cluster->host, frame);
	frame_begin(&builder, cluster);
	frame_delete(&builder, 100, cluster_row_lsn(cluster, 100));
	frame = frame_end(&builder, 0);
	UNIT_OK(cluster_commit(cluster, &frame, 1, &err), &err);
	reef_frame_free(cluster->host, frame);

	UNIT_EQUAL_INT(cluster_count(cluster, NULL), 15);
	result = cluster_fold(cluster);
	/* inserted and deleted within the window: not even a tombstone */
	UNIT_EQUAL_INT(result.rows, 10);
	UNIT_EQUAL_INT(cluster_count(cluster, NULL), 15);
	UNIT_EQUAL_INT(count_rows(bucket), 15);
	UNIT_CHECK(!cluster_read(cluster, 3, NULL, v));
	UNIT_CHECK(cluster_read(cluster, 7, NULL, v));
	UNIT_EQUAL_STRING(v, "new");
	UNIT_CHECK(cluster_read(cluster, 15, NULL, v));
	UNIT_EQUAL_STRING(v, "old");

	/* a deleted key comes back under "absent", and still hides nothing wrong */
	UNIT_EQUAL_INT(cluster_insert(cluster, 3, "back"), REEF_FRAME_DURABLE);
	UNIT_CHECK(cluster_fold(cluster).folded);
	UNIT_EQUAL_INT(cluster_count(cluster, NULL), 16);
	UNIT_CHECK(cluster_read(cluster, 3, NULL, v));
	UNIT_EQUAL_STRING(v, "back");
	UNIT_CHECK(!cluster_fold(cluster).folded);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_fold__waits_for_transactions_to_end)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	FrameBuilder builder;
	ReefFrame  *frame;
	ReefFoldResult result;
	ReefError	err;

	UNIT_EQUAL_INT(cluster_insert(cluster, 1, "x"), REEF_FRAME_DURABLE);
	fake_host_set_xid(cluster->fake, 7, REEF_XID_IN_PROGRESS);
	frame_begin(&builder, cluster);
	frame_insert(&builder, 2, "x");
	frame = frame_end(&builder, 7);
	UNIT_OK(cluster_commit(cluster, &frame, 1, &err), &err);
	reef_frame_free(cluster->host, frame);
	result = cluster_fold(cluster);
	UNIT_CHECK(!result.folded && result.waiting);
	/* waiting again and again cuts no slices */
	result = cluster_fold(cluster);
	UNIT_CHECK(!result.folded && result.waiting);
	fake_host_set_xid(cluster->fake, 7, REEF_XID_COMMITTED);
	UNIT_EQUAL_INT(cluster_fold(cluster).rows, 2);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_fold__an_aborted_row_goes_only_with_its_abort_record_i3)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	FrameBuilder builder;
	ReefFrame  *frame;
	ReefError	err;
	char		key[REEF_OBJECT_KEY_SIZE];

	UNIT_EQUAL_INT(cluster_insert(cluster, 1, "x"), REEF_FRAME_DURABLE);
	fake_host_set_xid(cluster->fake, 7, REEF_XID_IN_PROGRESS);
	frame_begin(&builder, cluster);
	frame_insert(&builder, 2, "x");
	frame = frame_end(&builder, 7);
	UNIT_OK(cluster_commit(cluster, &frame, 1, &err), &err);
	reef_frame_free(cluster->host, frame);
	/* nobody has called reef_commit_void yet */
	fake_host_set_xid(cluster->fake, 7, REEF_XID_ABORTED);
	UNIT_EQUAL_INT(cluster_fold(cluster).rows, 1);
	UNIT_EQUAL_INT(count_rows(bucket), 1);

	/* who cannot read the manifest comes to the same rows */
	reef_layout_manifest_key("public/rows", 1, key);
	UNIT_CHECK(reef_memory_bucket_remove(bucket, key));
	UNIT_EQUAL_INT(count_rows(bucket), 1);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

typedef struct Intruder
{
	ReefMemoryBucket *bucket;
	Cluster    *writer;
	bool		is_done;
} Intruder;

/* Before our manifest is put, the other server writes two and collects the
 * first. */
static ReefFault
overtake(void *arg, ReefFaultyCall call, const char *key)
{
	Intruder   *intruder = arg;

	if (call != REEF_FAULTY_PUT || strstr(key, "/manifest/") == NULL ||
		intruder->is_done)
		return REEF_FAULT_NONE;
	intruder->is_done = true;
	UNIT_EQUAL_INT(cluster_insert(intruder->writer, 2, "x"),
				   REEF_FRAME_DURABLE);
	UNIT_EQUAL_INT(cluster_fold(intruder->writer).manifest_version, 1);
	UNIT_EQUAL_INT(cluster_insert(intruder->writer, 3, "x"),
				   REEF_FRAME_DURABLE);
	UNIT_EQUAL_INT(cluster_fold(intruder->writer).manifest_version, 2);
	bucket_collect(intruder->bucket, intruder->writer);
	return REEF_FAULT_NONE;
}

UNIT_TEST(test_fold__a_manifest_on_a_collected_number_is_not_the_truth_i1)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *stale = cluster_open(bucket, 1);
	Intruder	intruder = {bucket, cluster_open(bucket, 2), false};

	UNIT_EQUAL_INT(cluster_insert(stale, 1, "x"), REEF_FRAME_DURABLE);
	reef_faulty_store_set_hook(stale->faulty, overtake, &intruder);
	UNIT_CHECK(!cluster_fold(stale).folded);
	UNIT_CHECK(intruder.is_done);
	UNIT_EQUAL_INT(cluster_count(stale, NULL), 3);
	UNIT_EQUAL_INT(count_rows(bucket), 3);
	cluster_close(intruder.writer);
	cluster_close(stale);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_fold__of_two_servers_one_wins_i8)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *first = cluster_open(bucket, 1);
	Cluster    *second = cluster_open(bucket, 2);

	UNIT_EQUAL_INT(cluster_insert(first, 1, "x"), REEF_FRAME_DURABLE);
	UNIT_EQUAL_INT(cluster_insert(second, 2, "x"), REEF_FRAME_DURABLE);
	UNIT_CHECK(cluster_fold(second).folded);
	UNIT_CHECK(!cluster_fold(first).folded);
	UNIT_EQUAL_INT(cluster_count(first, NULL), 2);
	UNIT_EQUAL_INT(cluster_count(second, NULL), 2);
	cluster_close(second);
	cluster_close(first);
	reef_memory_bucket_free(bucket);
}

/* Whatever becomes of it. */
static void
try_fold(Cluster *cluster)
{
	ReefFoldResult result;
	ReefError	err;
	ReefCode	rc = reef_fold(cluster->ns, &result, &err);

	UNIT_CHECK(rc != REEF_CORRUPT && rc != REEF_BUG);
}

static void
crash_everywhere(ReefFault fault)
{
	bool		has_crashed = true;

	for (uint64_t n = 1; has_crashed; n++)
	{
		ReefMemoryBucket *bucket = reef_memory_bucket_new();
		Cluster    *cluster = cluster_open(bucket, 1);

		UNIT_EQUAL_INT(cluster_insert(cluster, 1, "x"), REEF_FRAME_DURABLE);
		UNIT_CHECK(cluster_fold(cluster).folded);
		UNIT_EQUAL_INT(cluster_insert(cluster, 2, "x"), REEF_FRAME_DURABLE);
		UNIT_EQUAL_INT(cluster_insert(cluster, 3, "x"), REEF_FRAME_DURABLE);
		reef_faulty_store_fail_nth(cluster->faulty, n, fault);
		try_fold(cluster);
		has_crashed = reef_faulty_store_has_crashed(cluster->faulty);
		cluster_crash(cluster);
		UNIT_EQUAL_INT(count_rows(bucket), 3);

		/* and life goes on */
		cluster = cluster_open(bucket, 2);
		UNIT_EQUAL_INT(cluster_insert(cluster, 4, "x"), REEF_FRAME_DURABLE);
		UNIT_CHECK(cluster_fold(cluster).folded);
		cluster_close(cluster);
		UNIT_EQUAL_INT(count_rows(bucket), 4);
		reef_memory_bucket_free(bucket);
		UNIT_CHECK(n < 200);
	}
}

UNIT_TEST(test_fold__a_crash_before_any_request_changes_nothing_i1_i8)
{
	crash_everywhere(REEF_FAULT_CRASH_BEFORE);
}

UNIT_TEST(test_fold__a_crash_after_any_request_changes_nothing_i1_i8)
{
	crash_everywhere(REEF_FAULT_CRASH_AFTER);
}

UNIT_TEST(test_fold__lost_answers_change_nothing_i8)
{
	for (uint64_t n = 1; n < 20; n++)
	{
		ReefMemoryBucket *bucket = reef_memory_bucket_new();
		Cluster    *cluster = cluster_open(bucket, 1);

		UNIT_EQUAL_INT(cluster_insert(cluster, 1, "x"), REEF_FRAME_DURABLE);
		reef_faulty_store_fail_nth(cluster->faulty, n,
								   REEF_FAULT_LOSE_RESPONSE);
		try_fold(cluster);
		reef_faulty_store_fail_nth(cluster->faulty, 1, REEF_FAULT_NONE);
		UNIT_EQUAL_INT(cluster_count(cluster, NULL), 1);
		UNIT_EQUAL_INT(cluster_insert(cluster, 2, "x"), REEF_FRAME_DURABLE);
		try_fold(cluster);
		UNIT_EQUAL_INT(cluster_count(cluster, NULL), 2);
		cluster_close(cluster);
		UNIT_EQUAL_INT(count_rows(bucket), 2);
		reef_memory_bucket_free(bucket);
	}
}
