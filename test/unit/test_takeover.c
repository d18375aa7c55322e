/*
 * test_takeover.c
 *	  One writer at a time, however late the others wake.
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

UNIT_TEST(test_takeover__the_first_write_creates_the_namespace)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	static const uint8_t none[16];

	UNIT_EQUAL_INT(cluster_insert(cluster, 1, "x"), REEF_FRAME_DURABLE);
	/* a fence and a record; the probe has cleaned up */
	UNIT_EQUAL_INT(reef_memory_bucket_count(bucket), 2);
	UNIT_CHECK(memcmp(cluster->shared->namespace_id, none, 16) != 0);
	UNIT_EQUAL_INT(cluster->shared->epoch, 1);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_takeover__a_fenced_writer_gets_nothing_acknowledged_i4)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *first = cluster_open(bucket, 1);
	Cluster    *second = cluster_open(bucket, 2);

	UNIT_EQUAL_INT(cluster_insert(first, 1, "x"), REEF_FRAME_DURABLE);
	UNIT_EQUAL_INT(cluster_insert(second, 2, "x"), REEF_FRAME_DURABLE);
	UNIT_EQUAL_INT(second->shared->epoch, 2);
	UNIT_EQUAL_INT(cluster_insert(first, 3, "x"), REEF_FRAME_REJECTED);
	UNIT_EQUAL_INT(count_rows(bucket), 2);

	/* it waits a little, takes over, and sees what the other one wrote */
	UNIT_EQUAL_INT(first->fake->waited_us, 0);
	UNIT_EQUAL_INT(cluster_insert(first, 2, "x"), REEF_FRAME_REJECTED);
	UNIT_CHECK(first->fake->waited_us > 0);
	UNIT_EQUAL_INT(cluster_insert(first, 3, "x"), REEF_FRAME_DURABLE);
	UNIT_EQUAL_INT(count_rows(bucket), 3);
	cluster_close(second);
	cluster_close(first);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_takeover__a_zombie_wakes_after_everything_was_collected_i4)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *zombie = cluster_open(bucket, 1);
	Cluster    *second = cluster_open(bucket, 2);
	ReefFrameState state;

	UNIT_EQUAL_INT(cluster_insert(zombie, 1, "x"), REEF_FRAME_DURABLE);
	for (int i = 2; i < 10; i++)
		UNIT_EQUAL_INT(cluster_insert(second, i, "x"), REEF_FRAME_DURABLE);
	UNIT_CHECK(cluster_fold(second).folded);
	bucket_collect(bucket, second);

	/* it may not know, but it must not say yes */
	state = cluster_insert(zombie, 50, "x");
	UNIT_EQUAL_INT(state, REEF_FRAME_UNKNOWN);
	UNIT_EQUAL_INT(count_rows(bucket), 9);
	UNIT_EQUAL_INT(cluster_insert(zombie, 51, "x"), REEF_FRAME_DURABLE);
	UNIT_EQUAL_INT(count_rows(bucket), 10);
	cluster_close(second);
	cluster_close(zombie);
	reef_memory_bucket_free(bucket);
}

typedef struct Intruder
{
	ReefMemoryBucket *bucket;
	Cluster    *writer;
	bool		is_done;
} Intruder;

/* Between the replay and the fence, what looked like the end of the log is
 * written, folded and collected. */
static ReefFault
fold_before_fence(void *arg, ReefFaultyCall call, const char *key)
{
	Intruder   *intruder = arg;

	if (call != REEF_FAULTY_PUT || strstr(key, "/wal/") == NULL ||
		intruder->is_done)
		return REEF_FAULT_NONE;
	intruder->is_done = true;
	for (int i = 2; i < 6; i++)
		UNIT_EQUAL_INT(cluster_insert(intruder->writer, i, "x"),
					   REEF_FRAME_DURABLE);
	UNIT_CHECK(cluster_fold(intruder->writer).folded);
	bucket_collect(intruder->bucket, intruder->writer);
	return REEF_FAULT_NONE;
}

UNIT_TEST(test_takeover__a_fence_on_a_collected_slot_starts_again_i1)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Intruder	intruder = {bucket, cluster_open(bucket, 1), false};
	Cluster    *second = cluster_open(bucket, 2);

	UNIT_EQUAL_INT(cluster_insert(intruder.writer, 1, "x"),
				   REEF_FRAME_DURABLE);
	reef_faulty_store_set_hook(second->faulty, fold_before_fence, &intruder);
	UNIT_EQUAL_INT(cluster_insert(second, 9, "x"), REEF_FRAME_DURABLE);
	UNIT_CHECK(intruder.is_done);
	UNIT_EQUAL_INT(count_rows(bucket), 6);
	cluster_close(second);
	cluster_close(intruder.writer);
	reef_memory_bucket_free(bucket);
}

static ReefFrame *
coupled_frame(Cluster *cluster, int64_t id, uint64_t full_xid)
{
	ReefCoupling coupling = {
		.system_id = cluster->fake->system_id,
		.timeline = cluster->fake->timeline,
		.full_xid = full_xid
	};
	FrameBuilder builder;

	frame_begin_coupled(&builder, cluster, &coupling);
	frame_insert(&builder, id, "v");
	return frame_end(&builder, full_xid);
}

/* A server whose heap decides transaction 7 crashed between put and commit. */
static void
crash_coupled(ReefMemoryBucket *bucket)
{
	Cluster    *cluster = cluster_open(bucket, 1);
	ReefFrame  *frame;
	ReefError	err;

	fake_host_set_xid(cluster->fake, 7, REEF_XID_IN_PROGRESS);
	frame = coupled_frame(cluster, 1, 7);
	UNIT_OK(cluster_commit(cluster, &frame, 1, &err), &err);
	reef_frame_free(cluster->host, frame);
	cluster_crash(cluster);
}

UNIT_TEST(test_takeover__the_same_lineage_voids_what_its_heap_aborted_i2)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *again;
	Cluster    *foreign;
	char		v[100];

	crash_coupled(bucket);
	again = cluster_open(bucket, 2);
	fake_host_set_xid(again->fake, 7, REEF_XID_ABORTED);
	UNIT_CHECK(!cluster_read(again, 1, NULL, v));
	UNIT_EQUAL_INT(cluster_insert(again, 2, "x"), REEF_FRAME_DURABLE);
	cluster_crash(again);

	/* its fence would make the frame final, so the abort went before it */
	foreign = cluster_open(bucket, 3);
	foreign->fake->system_id = 99;
	UNIT_CHECK(!cluster_read(foreign, 1, NULL, v));
	UNIT_CHECK(cluster_read(foreign, 2, NULL, v));
	cluster_close(foreign);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_takeover__the_abort_comes_before_the_fence_i2)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *again;
	Cluster    *foreign;
	char		v[100];

	crash_coupled(bucket);
	again = cluster_open(bucket, 2);
	fake_host_set_xid(again->fake, 7, REEF_XID_ABORTED);
	reef_faulty_store_fail_nth_of(again->faulty, REEF_FAULTY_PUT, 2,
								  REEF_FAULT_CRASH_BEFORE);
	UNIT_CHECK(cluster_insert(again, 2, "x") != REEF_FRAME_DURABLE);
	cluster_crash(again);
	foreign = cluster_open(bucket, 3);
	foreign->fake->system_id = 99;
	UNIT_CHECK(!cluster_read(foreign, 1, NULL, v));
	cluster_close(foreign);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_takeover__another_lineage_presumes_commit_for_good_i1)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *foreign;
	Cluster    *again;
	char		v[100];

	crash_coupled(bucket);
	foreign = cluster_open(bucket, 3);
	foreign->fake->system_id = 99;
	UNIT_CHECK(cluster_read(foreign, 1, NULL, v));
	UNIT_EQUAL_INT(cluster_insert(foreign, 2, "x"), REEF_FRAME_DURABLE);

	/* the fence lies above: too late for pg_xact */
	again = cluster_open(bucket, 2);
	fake_host_set_xid(again->fake, 7, REEF_XID_ABORTED);
	UNIT_CHECK(cluster_read(again, 1, NULL, v));
	cluster_close(again);
	cluster_close(foreign);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_takeover__a_fence_of_another_server_ends_voiding)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *first = cluster_open(bucket, 1);
	Cluster    *second = cluster_open(bucket, 2);
	ReefFrame  *frame;
	ReefError	err;
	char		v[100];

	second->fake->system_id = 99;
	fake_host_set_xid(first->fake, 7, REEF_XID_IN_PROGRESS);
	frame = coupled_frame(first, 1, 7);
	UNIT_OK(cluster_commit(first, &frame, 1, &err), &err);
	UNIT_EQUAL_INT(cluster_insert(second, 2, "x"), REEF_FRAME_DURABLE);
	fake_host_set_xid(first->fake, 7, REEF_XID_ABORTED);
	reef_commit_void(first->ns, frame);
	reef_frame_free(first->host, frame);
	UNIT_EQUAL_INT(cluster_insert(first, 3, "x"), REEF_FRAME_REJECTED);
	UNIT_EQUAL_INT(cluster_insert(first, 3, "x"), REEF_FRAME_DURABLE);
	/* both say the same, and somebody has been told */
	UNIT_CHECK(cluster_read(first, 1, NULL, v));
	UNIT_CHECK(cluster_read(second, 1, NULL, v));
	UNIT_CHECK(first->fake->log_warnings > 0);
	cluster_close(second);
	cluster_close(first);
	reef_memory_bucket_free(bucket);
}
