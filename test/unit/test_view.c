/*
 * test_view.c
 *	  What a snapshot sees, while commits and folds go on around it.
 */
#include <stdlib.h>
#include <string.h>

#include "engine_fixture.h"
#include "unit.h"

static void
insert_as(Cluster *cluster, int64_t id, uint64_t full_xid)
{
	FrameBuilder builder;
	ReefFrame  *frame;
	ReefError	err;

	fake_host_set_xid(cluster->fake, full_xid, REEF_XID_IN_PROGRESS);
	frame_begin(&builder, cluster);
	frame_insert(&builder, id, "v");
	frame = frame_end(&builder, full_xid);
	UNIT_OK(cluster_commit(cluster, &frame, 1, &err), &err);
	UNIT_EQUAL_INT(reef_frame_state(frame), REEF_FRAME_DURABLE);
	reef_frame_free(cluster->host, frame);
}

UNIT_TEST(test_view__a_durable_row_shows_when_its_transaction_commits)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	static const uint64_t running[] = {7};
	FakeSnapshot before = {10, running, 1};
	FakeSnapshot after = {10, NULL, 0};

	insert_as(cluster, 1, 7);
	UNIT_EQUAL_INT(cluster_count(cluster, NULL), 0);
	fake_host_set_xid(cluster->fake, 7, REEF_XID_COMMITTED);
	UNIT_EQUAL_INT(cluster_count(cluster, NULL), 1);
	UNIT_EQUAL_INT(cluster_count(cluster, &before), 0);
	UNIT_EQUAL_INT(cluster_count(cluster, &after), 1);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_view__an_old_snapshot_sees_the_same_after_folds_i5)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	static const uint64_t running[] = {7};
	FakeSnapshot old = {8, running, 1};

	UNIT_EQUAL_INT(cluster_insert(cluster, 1, "x"), REEF_FRAME_DURABLE);
	fake_host_set_horizon(cluster->fake, 7);
	insert_as(cluster, 2, 7);
	fake_host_set_xid(cluster->fake, 7, REEF_XID_COMMITTED);
	UNIT_EQUAL_INT(cluster_count(cluster, &old), 1);
	UNIT_CHECK(cluster_fold(cluster).folded);
	/* the first manifest has xid 7 in it: the snapshot keeps to none */
	UNIT_EQUAL_INT(cluster_count(cluster, &old), 1);
	UNIT_EQUAL_INT(cluster_count(cluster, NULL), 2);
	insert_as(cluster, 3, 9);
	fake_host_set_xid(cluster->fake, 9, REEF_XID_COMMITTED);
	UNIT_CHECK(cluster_fold(cluster).folded);
	UNIT_EQUAL_INT(cluster_count(cluster, &old), 1);
	UNIT_EQUAL_INT(cluster_count(cluster, NULL), 3);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_view__what_no_snapshot_needs_is_freed)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	ReefNamespaceStatus status;
	ReefView   *view;
	ReefError	err;

	fake_host_set_horizon(cluster->fake, 7);
	insert_as(cluster, 1, 7);
	fake_host_set_xid(cluster->fake, 7, REEF_XID_COMMITTED);
	UNIT_OK(reef_view_pin(cluster->ns, NULL, 0, &view, &err), &err);
	UNIT_CHECK(cluster_fold(cluster).folded);
	reef_namespace_status(cluster->host, cluster->shared, &status);
	UNIT_EQUAL_INT(status.generations, 2);
	UNIT_EQUAL_INT(status.unfolded_records, 0);
	UNIT_EQUAL_INT(status.pins, 1);

	/* the horizon passes; the pinned view keeps what it has */
	fake_host_set_horizon(cluster->fake, 8);
	reef_namespace_trim(cluster->host, cluster->shared);
	reef_namespace_status(cluster->host, cluster->shared, &status);
	UNIT_EQUAL_INT(status.generations, 1);
	UNIT_EQUAL_INT(reef_view_row_count(view), 1);
	reef_view_unpin(view);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_view__a_snapshot_whose_rows_were_given_up_is_told_so)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	static const uint64_t running[] = {7};
	FakeSnapshot old = {8, running, 1};
	ReefView   *view;
	ReefError	err;

	fake_host_set_horizon(cluster->fake, 7);
	insert_as(cluster, 1, 7);
	fake_host_set_xid(cluster->fake, 7, REEF_XID_COMMITTED);
	UNIT_CHECK(cluster_fold(cluster).folded);
	reef_namespace_trim_retained(cluster->host, cluster->shared, true);
	UNIT_CODE(reef_view_pin(cluster->ns, &old, 0, &view, &err),
			  REEF_SNAPSHOT_TOO_OLD, &err);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_view__later_records_are_not_part_of_it_i5)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	ReefView   *view;
	ReefError	err;

	UNIT_EQUAL_INT(cluster_insert(cluster, 1, "x"), REEF_FRAME_DURABLE);
	UNIT_OK(reef_view_pin(cluster->ns, NULL, 0, &view, &err), &err);
	UNIT_EQUAL_INT(cluster_insert(cluster, 2, "x"), REEF_FRAME_DURABLE);
	UNIT_CHECK(cluster_fold(cluster).folded);
	reef_namespace_close_shared(cluster->host, cluster->shared);
	UNIT_EQUAL_INT(reef_view_row_count(view), 1);
	UNIT_EQUAL_INT(reef_view_lsn(view), 2);
	reef_view_unpin(view);
	UNIT_EQUAL_INT(cluster_count(cluster, NULL), 2);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_view__an_old_snapshot_is_not_shown_reopened_rows_i5)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	static const uint64_t running[] = {7};
	FakeSnapshot old = {8, running, 1};
	ReefView   *view;
	ReefError	err;

	fake_host_set_horizon(cluster->fake, 7);
	insert_as(cluster, 1, 7);
	fake_host_set_xid(cluster->fake, 7, REEF_XID_COMMITTED);
	UNIT_EQUAL_INT(cluster_count(cluster, &old), 0);
	UNIT_CODE(reef_namespace_shared_reset(cluster->host, cluster->shared,
										  false, &err),
			  REEF_UNAVAILABLE, &err);
	reef_namespace_close_shared(cluster->host, cluster->shared);
	UNIT_CODE(reef_view_pin(cluster->ns, &old, 0, &view, &err),
			  REEF_SNAPSHOT_TOO_OLD, &err);
	UNIT_EQUAL_INT(cluster_count(cluster, NULL), 1);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}
