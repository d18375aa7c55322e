/*
 * test_commit.c
 *	  What becomes of a record, in every way a put can end.
 */
#include <stdlib.h>
#include <string.h>

#include "engine_fixture.h"
#include "unit.h"

static ReefFrame *
insert_frame(Cluster *cluster, int64_t id, uint64_t full_xid)
{
	FrameBuilder builder;

	frame_begin(&builder, cluster);
	frame_insert(&builder, id, "v");
	return frame_end(&builder, full_xid);
}

static bool
is_there(ReefMemoryBucket *bucket, int64_t id)
{
	Cluster    *reader = cluster_open(bucket, 99);
	char		v[100];
	bool		answer = cluster_read(reader, id, NULL, v);

	cluster_close(reader);
	return answer;
}

UNIT_TEST(test_commit__a_lost_response_is_resolved_by_the_nonce_i1)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);

	UNIT_EQUAL_INT(cluster_insert(cluster, 1, "x"), REEF_FRAME_DURABLE);
	reef_faulty_store_fail_nth_of(cluster->faulty, REEF_FAULTY_PUT, 1,
								  REEF_FAULT_LOSE_RESPONSE);
	UNIT_EQUAL_INT(cluster_insert(cluster, 2, "x"), REEF_FRAME_DURABLE);
	/* nobody had to take anything over */
	UNIT_EQUAL_INT(cluster->shared->fences, 1);
	reef_faulty_store_fail_nth_of(cluster->faulty, REEF_FAULTY_PUT, 1,
								  REEF_FAULT_LOSE_REQUEST);
	UNIT_EQUAL_INT(cluster_insert(cluster, 3, "x"), REEF_FRAME_DURABLE);
	UNIT_EQUAL_INT(cluster->shared->fences, 1);
	UNIT_EQUAL_INT(cluster_count(cluster, NULL), 3);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_commit__a_refused_put_is_nowhere_and_needs_a_new_fence_i3)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);

	UNIT_EQUAL_INT(cluster_insert(cluster, 1, "x"), REEF_FRAME_DURABLE);
	reef_faulty_store_fail_nth_of(cluster->faulty, REEF_FAULTY_PUT, 1,
								  REEF_FAULT_REFUSE);
	UNIT_EQUAL_INT(cluster_insert(cluster, 2, "x"), REEF_FRAME_REJECTED);
	UNIT_CHECK(!is_there(bucket, 2));
	UNIT_EQUAL_INT(cluster_insert(cluster, 2, "x"), REEF_FRAME_DURABLE);
	UNIT_EQUAL_INT(cluster->shared->fences, 2);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

/* From the nth put on, puts happen but nothing is answered any more. */
static ReefFault
silence(void *arg, ReefFaultyCall call, const char *key)
{
	(void) arg;
	(void) key;
	if (call == REEF_FAULTY_PUT)
		return REEF_FAULT_LOSE_RESPONSE;
	return call == REEF_FAULTY_NOW ? REEF_FAULT_NONE : REEF_FAULT_REFUSE;
}

/*
 * The record is there, the answer is not; then another server takes over,
 * folds and collects it.  The slot is free again, and that must not tempt the
 * first one to put something else there.
 */
UNIT_TEST(test_commit__after_an_unknown_outcome_a_fence_comes_first_i1)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *first = cluster_open(bucket, 1);
	Cluster    *second;

	UNIT_EQUAL_INT(cluster_insert(first, 1, "x"), REEF_FRAME_DURABLE);
	reef_faulty_store_set_hook(first->faulty, silence, NULL);
	UNIT_EQUAL_INT(cluster_insert(first, 2, "x"), REEF_FRAME_UNKNOWN);
	reef_faulty_store_set_hook(first->faulty, NULL, NULL);

	second = cluster_open(bucket, 2);
	UNIT_EQUAL_INT(cluster_insert(second, 3, "x"), REEF_FRAME_DURABLE);
	UNIT_CHECK(cluster_fold(second).folded);
	bucket_collect(bucket, second);

	UNIT_EQUAL_INT(cluster_insert(first, 4, "x"), REEF_FRAME_DURABLE);
	for (int id = 1; id <= 4; id++)
		UNIT_CHECK(is_there(bucket, id));
	cluster_close(second);
	cluster_close(first);
	reef_memory_bucket_free(bucket);
}

typedef struct Replacement
{
	ReefMemoryBucket *bucket;
	Cluster    *second;
	bool		is_done;
} Replacement;

/*
 * The first server's put happens, its answer is lost; before it looks at the
 * slot, the second one folds and collects the record, and a third one's late
 * fence fills the slot.
 */
static ReefFault
replace_record(void *arg, ReefFaultyCall call, const char *key)
{
	Replacement *replacement = arg;
	ReefWalHeader header;
	ReefBuf		bytes;
	ReefError	err;

	if (replacement->is_done)
		return REEF_FAULT_NONE;
	if (call == REEF_FAULTY_PUT)
		return REEF_FAULT_LOSE_RESPONSE;
	if (call != REEF_FAULTY_GET)
		return REEF_FAULT_NONE;
	replacement->is_done = true;
	UNIT_EQUAL_INT(cluster_insert(replacement->second, 3, "x"),
				   REEF_FRAME_DURABLE);
	UNIT_CHECK(cluster_fold(replacement->second).folded);
	bucket_collect(replacement->bucket, replacement->second);
	reef_wal_header_init(replacement->second->ns, &header);
	header.lsn = 3;
	reef_buf_init(&bytes);
	UNIT_OK(reef_wal_encode(&header, NULL, &bytes, &err), &err);
	UNIT_OK(reef_store_put_if_absent(replacement->second->store, key,
									 reef_buf_slice(&bytes), &err), &err);
	reef_buf_release(&bytes);
	return REEF_FAULT_NONE;
}

UNIT_TEST(test_commit__a_slot_that_was_collected_proves_nothing_i3)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *first = cluster_open(bucket, 1);
	Replacement replacement = {bucket, cluster_open(bucket, 2), false};

	UNIT_EQUAL_INT(cluster_insert(first, 1, "x"), REEF_FRAME_DURABLE);
	reef_faulty_store_set_hook(first->faulty, replace_record, &replacement);
	UNIT_EQUAL_INT(cluster_insert(first, 2, "x"), REEF_FRAME_UNKNOWN);
	UNIT_CHECK(replacement.is_done);
	/* (it is there) */
	UNIT_CHECK(is_there(bucket, 2));
	cluster_close(replacement.second);
	cluster_close(first);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_commit__conditions_are_checked_against_what_came_between_i7)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	FrameBuilder builders[4];
	ReefFrame  *frames[4];
	ReefError	err;
	uint64_t	lsn;

	UNIT_EQUAL_INT(cluster_insert(cluster, 1, "x"), REEF_FRAME_DURABLE);
	lsn = cluster_row_lsn(cluster, 1);
	for (int i = 0; i < 4; i++)
		frame_begin(&builders[i], cluster);
	frame_update(&builders[0], 1, "a", lsn);
	frame_update(&builders[1], 1, "b", lsn);
	frame_insert(&builders[2], 5, "c");
	frame_insert(&builders[3], 5, "d");
	for (int i = 0; i < 4; i++)
		frames[i] = frame_end(&builders[i], 0);

	/* the first two in one record, the others one after the other, with a fold
	 * in between */
	UNIT_OK(cluster_commit(cluster, frames, 3, &err), &err);
	UNIT_EQUAL_INT(reef_frame_state(frames[0]), REEF_FRAME_DURABLE);
	UNIT_EQUAL_INT(reef_frame_state(frames[1]), REEF_FRAME_REJECTED);
	reef_frame_error(frames[1], &err);
	UNIT_EQUAL_INT(err.code, REEF_CONFLICT);
	UNIT_EQUAL_INT(reef_frame_state(frames[2]), REEF_FRAME_DURABLE);
	UNIT_CHECK(cluster_fold(cluster).folded);
	UNIT_OK(cluster_commit(cluster, &frames[3], 1, &err), &err);
	UNIT_EQUAL_INT(reef_frame_state(frames[3]), REEF_FRAME_REJECTED);
	reef_frame_error(frames[3], &err);
	UNIT_EQUAL_INT(err.code, REEF_KEY_EXISTS);
	for (int i = 0; i < 4; i++)
		reef_frame_free(cluster->host, frames[i]);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_commit__an_undecided_row_is_a_conflict_i7)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	ReefFrame  *frame;
	ReefFrame  *other;
	ReefError	err;

	fake_host_set_xid(cluster->fake, 7, REEF_XID_IN_PROGRESS);
	frame = insert_frame(cluster, 1, 7);
	other = insert_frame(cluster, 1, 0);
	UNIT_OK(cluster_commit(cluster, &frame, 1, &err), &err);
	UNIT_OK(cluster_commit(cluster, &other, 1, &err), &err);
	UNIT_EQUAL_INT(reef_frame_state(other), REEF_FRAME_REJECTED);
	reef_frame_error(other, &err);
	UNIT_EQUAL_INT(err.code, REEF_CONFLICT);
	reef_frame_free(cluster->host, other);

	/* once it has aborted, the key is free */
	fake_host_set_xid(cluster->fake, 7, REEF_XID_ABORTED);
	reef_commit_void(cluster->ns, frame);
	reef_frame_free(cluster->host, frame);
	UNIT_EQUAL_INT(cluster_insert(cluster, 1, "x"), REEF_FRAME_DURABLE);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_commit__a_voided_transaction_is_nowhere_i3)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	ReefFrame  *frame;
	ReefError	err;
	char		v[100];

	fake_host_set_xid(cluster->fake, 7, REEF_XID_IN_PROGRESS);
	frame = insert_frame(cluster, 1, 7);
	UNIT_OK(cluster_commit(cluster, &frame, 1, &err), &err);
	UNIT_EQUAL_INT(reef_frame_state(frame), REEF_FRAME_DURABLE);
	fake_host_set_xid(cluster->fake, 7, REEF_XID_ABORTED);
	reef_commit_void(cluster->ns, frame);
	UNIT_CHECK(!cluster_read(cluster, 1, NULL, v));
	UNIT_CHECK(reef_namespace_has_pending_aborts(cluster->shared));
	/* the next record carries the abort, many records later as well */
	UNIT_EQUAL_INT(cluster_insert(cluster, 2, "x"), REEF_FRAME_DURABLE);
	UNIT_CHECK(!reef_namespace_has_pending_aborts(cluster->shared));
	UNIT_CHECK(!is_there(bucket, 1));
	UNIT_CHECK(is_there(bucket, 2));
	UNIT_CHECK(cluster_fold(cluster).folded);
	UNIT_CHECK(!is_there(bucket, 1));
	UNIT_EQUAL_INT(cluster_count(cluster, NULL), 1);
	reef_frame_free(cluster->host, frame);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_commit__pending_aborts_survive_a_reopening_i3)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	ReefFrame  *frame;
	ReefError	err;
	char		v[100];

	fake_host_set_xid(cluster->fake, 7, REEF_XID_IN_PROGRESS);
	frame = insert_frame(cluster, 1, 7);
	UNIT_OK(cluster_commit(cluster, &frame, 1, &err), &err);
	fake_host_set_xid(cluster->fake, 7, REEF_XID_ABORTED);
	reef_commit_void(cluster->ns, frame);
	reef_frame_free(cluster->host, frame);
	reef_namespace_close_shared(cluster->host, cluster->shared);
	UNIT_CHECK(!cluster_read(cluster, 1, NULL, v));
	UNIT_EQUAL_INT(cluster_insert(cluster, 2, "x"), REEF_FRAME_DURABLE);
	UNIT_CHECK(!is_there(bucket, 1));
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_commit__more_aborts_than_fit_are_all_written_i3)
{
	enum
	{
		COUNT = REEF_PENDING_ABORTS_MAX + 40
	};
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	Cluster    *reader;
	ReefFrame **frames = calloc(COUNT, sizeof(*frames));
	ReefError	err;

	for (int i = 0; i < COUNT; i++)
	{
		fake_host_set_xid(cluster->fake, 100 + (uint64_t) i,
						  REEF_XID_IN_PROGRESS);
		frames[i] = insert_frame(cluster, i, 100 + (uint64_t) i);
	}
	UNIT_OK(cluster_commit(cluster, frames, COUNT, &err), &err);
	for (int i = 0; i < COUNT; i++)
	{
		fake_host_set_xid(cluster->fake, 100 + (uint64_t) i,
						  REEF_XID_ABORTED);
		reef_commit_void(cluster->ns, frames[i]);
		reef_frame_free(cluster->host, frames[i]);
	}
	free(frames);
	UNIT_EQUAL_INT(cluster_insert(cluster, 1000, "x"), REEF_FRAME_DURABLE);
	reader = cluster_open(bucket, 2);
	UNIT_EQUAL_INT(cluster_count(reader, NULL), 1);
	cluster_close(reader);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_commit__without_memory_nothing_happens)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	ReefFrame  *frame;
	ReefFrameState state = REEF_FRAME_DURABLE;
	ReefError	err;
	int			rows = 1;

	UNIT_EQUAL_INT(cluster_insert(cluster, 0, "x"), REEF_FRAME_DURABLE);
	cluster->fake->shared_budget = cluster->fake->shared_used + 300000;
	for (int i = 1; state == REEF_FRAME_DURABLE; i++)
	{
		frame = insert_frame(cluster, i, 0);
		(void) cluster_commit(cluster, &frame, 1, &err);
		state = reef_frame_state(frame);
		reef_frame_error(frame, &err);
		reef_frame_free(cluster->host, frame);
		rows += state == REEF_FRAME_DURABLE;
	}
	UNIT_EQUAL_INT(state, REEF_FRAME_REJECTED);
	UNIT_EQUAL_INT(err.code, REEF_LIMIT);
	UNIT_EQUAL_INT(cluster_count(cluster, NULL), rows);

	/* and a fold gets out of it without a byte more */
	cluster->fake->shared_budget = cluster->fake->shared_used;
	UNIT_CHECK(cluster_fold(cluster).folded);
	UNIT_EQUAL_INT(cluster_insert(cluster, 100000, "x"), REEF_FRAME_DURABLE);
	UNIT_EQUAL_INT(cluster_count(cluster, NULL), rows + 1);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

/*
 * Crash at every request of a commit, before and after it takes effect: what
 * was acknowledged before is there, the rest is there entirely or not.
 */
static void
crash_everywhere(ReefFault fault)
{
	bool		has_crashed = true;

	for (uint64_t n = 1; has_crashed; n++)
	{
		ReefMemoryBucket *bucket = reef_memory_bucket_new();
		Cluster    *cluster = cluster_open(bucket, 1);
		FrameBuilder builder;
		ReefFrame  *frame;
		ReefFrameState state;
		ReefError	err;

		UNIT_EQUAL_INT(cluster_insert(cluster, 1, "x"), REEF_FRAME_DURABLE);
		cluster_crash(cluster);
		/* the first write of a server takes over too */
		cluster = cluster_open(bucket, 2);
		reef_faulty_store_fail_nth(cluster->faulty, n, fault);
		frame_begin(&builder, cluster);
		frame_insert(&builder, 2, "x");
		frame_insert(&builder, 3, "x");
		frame = frame_end(&builder, 0);
		(void) cluster_commit(cluster, &frame, 1, &err);
		state = reef_frame_state(frame);
		reef_frame_free(cluster->host, frame);
		has_crashed = reef_faulty_store_has_crashed(cluster->faulty);
		cluster_crash(cluster);

		UNIT_CHECK(is_there(bucket, 1));
		UNIT_EQUAL_INT(is_there(bucket, 2), is_there(bucket, 3));
		if (state == REEF_FRAME_DURABLE)
			UNIT_CHECK(is_there(bucket, 2));
		reef_memory_bucket_free(bucket);
		UNIT_CHECK(n < 200);
	}
}

UNIT_TEST(test_commit__a_crash_before_any_request_loses_nothing_i1_i2)
{
	crash_everywhere(REEF_FAULT_CRASH_BEFORE);
}

UNIT_TEST(test_commit__a_crash_after_any_request_loses_nothing_i1_i2)
{
	crash_everywhere(REEF_FAULT_CRASH_AFTER);
}
