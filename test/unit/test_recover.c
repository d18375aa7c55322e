/*
 * test_recover.c
 *	  Opening, refreshing and damaged tails.
 */
#include <stdlib.h>

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
