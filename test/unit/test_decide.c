/*
 * test_decide.c
 *	  Transactions over several namespaces, with servers that die and sleep.
 *
 * The oracle looks from outside: another server opens the namespaces, in one
 * order or the other, and finds each transaction in all of them or in none
 * [I2]; in all if it was acknowledged [I1], in none if it was refused [I3].
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decide_fixture.h"
#include "unit.h"

static const ReefCoupling own_lineage = {1, 1, 100, XID};

/* ---- crashes ---- */

static void
crash_everywhere(ReefFault fault, int count, bool writes, bool backwards)
{
	bool		has_crashed = true;

	for (uint64_t n = 1; has_crashed; n++)
	{
		ReefMemoryBucket *bucket = reef_memory_bucket_new();
		Server		server = server_open(bucket, 1, count);
		ReefFrameState state;
		int			found;

		UNIT_EQUAL_INT(transfer_run(&server, 1, NULL), REEF_FRAME_DURABLE);
		server_crash(&server);
		server = server_open(bucket, 2, count);
		reef_faulty_store_fail_nth(server.owner->faulty, n, fault);
		state = transfer_run(&server, 2, NULL);
		has_crashed = reef_faulty_store_has_crashed(server.owner->faulty);
		server_crash(&server);

		found = check_atomic(bucket, count, 2, writes, backwards);
		if (state == REEF_FRAME_DURABLE)
			UNIT_EQUAL_INT(found, count);
		UNIT_EQUAL_INT(presence(bucket, count, 1, writes, backwards), count);
		reef_memory_bucket_free(bucket);
		UNIT_CHECK(n < 300);
	}
}

UNIT_TEST(test_decide__a_crash_anywhere_leaves_all_of_two_or_nothing_i2)
{
	for (int variant = 0; variant < 8; variant++)
		crash_everywhere(variant & 1 ? REEF_FAULT_CRASH_BEFORE :
						 REEF_FAULT_CRASH_AFTER, 2, variant & 2, variant & 4);
}

UNIT_TEST(test_decide__a_crash_anywhere_leaves_all_of_three_or_nothing_i2)
{
	for (int variant = 0; variant < 8; variant++)
		crash_everywhere(variant & 1 ? REEF_FAULT_CRASH_BEFORE :
						 REEF_FAULT_CRASH_AFTER, 3, variant & 2, variant & 4);
}

/*
 * The server lives on after one request that failed or was not answered: what
 * it says is so, for itself and for others.
 */
static void
fail_everywhere(ReefFault fault, int count, bool others_first)
{
	for (uint64_t n = 1; n < 60; n++)
	{
		ReefMemoryBucket *bucket = reef_memory_bucket_new();
		Server		server = server_open(bucket, 1, count);
		ReefFrameState state;
		int			found;

		UNIT_EQUAL_INT(transfer_run(&server, 1, NULL), REEF_FRAME_DURABLE);
		for (int i = 0; i < count; i++)
			reef_namespace_close_shared(server.owner->host,
										server.parts[i]->shared);
		reef_faulty_store_fail_nth(server.owner->faulty, n, fault);
		state = transfer_run(&server, 2, NULL);
		/* (a fault that has not struck yet) */
		reef_faulty_store_fail_nth(server.owner->faulty, 1000000, fault);

		if (others_first)
			found = check_atomic(bucket, count, 2, n % 2, n % 3 == 0);
		else
			found = presence_on(&server, 2, n % 2, n % 3 == 0);
		if (state != REEF_FRAME_UNKNOWN)
			UNIT_EQUAL_INT(found, state == REEF_FRAME_DURABLE ? count : 0);
		UNIT_EQUAL_INT(presence_on(&server, 2, true, false), found);
		fold_all(&server);
		UNIT_EQUAL_INT(presence_on(&server, 2, false, true), found);
		UNIT_EQUAL_INT(check_atomic(bucket, count, 2, true, true), found);
		server_close(&server);
		reef_memory_bucket_free(bucket);
	}
}

UNIT_TEST(test_decide__what_was_reported_is_so_after_any_failure_i2_i3)
{
	static const ReefFault faults[] = {
		REEF_FAULT_REFUSE, REEF_FAULT_LOSE_REQUEST, REEF_FAULT_LOSE_RESPONSE
	};

	for (int i = 0; i < 3; i++)
	{
		fail_everywhere(faults[i], 2, true);
		fail_everywhere(faults[i], 2, false);
		fail_everywhere(faults[i], 3, true);
	}
}

/* ---- sleepers ---- */

static ReefFault
silence(void *arg, ReefFaultyCall call, const char *key)
{
	(void) arg;
	(void) key;
	if (call == REEF_FAULTY_PUT)
		return REEF_FAULT_DELAY;
	return call == REEF_FAULTY_NOW ? REEF_FAULT_NONE : REEF_FAULT_REFUSE;
}

/* The decider's put arrives when another server has given the transaction up. */
UNIT_TEST(test_decide__a_decider_that_comes_late_finds_a_fence_i2)
{
	for (int order = 0; order < 4; order++)
	{
		ReefMemoryBucket *bucket = reef_memory_bucket_new();
		Server		server = server_open(bucket, 1, 2);
		Transfer	transfer;
		ReefCode	outcome;

		UNIT_EQUAL_INT(transfer_run(&server, 1, NULL), REEF_FRAME_DURABLE);
		UNIT_CHECK(transfer_begin(&transfer, &server, 2));
		UNIT_CHECK(transfer_step(&transfer, NULL));
		reef_faulty_store_set_hook(server.owner->faulty, silence, NULL);
		UNIT_CHECK(!transfer_step(&transfer, NULL));
		UNIT_EQUAL_INT(transfer.outcome, REEF_FRAME_UNKNOWN);
		reef_faulty_store_set_hook(server.owner->faulty, NULL, NULL);
		(void) transfer_end(&transfer);

		UNIT_EQUAL_INT(check_atomic(bucket, 2, 2, order & 1, order & 2), 0);
		UNIT_CHECK(reef_faulty_store_deliver(server.owner->faulty, &outcome));
		UNIT_EQUAL_INT(outcome, REEF_CONFLICT);
		UNIT_EQUAL_INT(check_atomic(bucket, 2, 2, order & 1, order & 2), 0);
		/* the sleeper itself comes to the same */
		UNIT_EQUAL_INT(presence_on(&server, 2, order & 1, order & 2), 0);
		server_close(&server);
		reef_memory_bucket_free(bucket);
	}
}

/* Nobody but who asked for it has put that fence. */
UNIT_TEST(test_decide__who_takes_over_fences_the_decider_i2)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Server		server = server_open(bucket, 1, 3);
	Server		other = server_open(bucket, 2, 3);
	Transfer	transfer;
	ReefCode	outcome;

	UNIT_CHECK(transfer_begin(&transfer, &server, 1));
	UNIT_CHECK(transfer_step(&transfer, NULL));
	UNIT_CHECK(transfer_step(&transfer, NULL));
	reef_faulty_store_set_hook(server.owner->faulty, silence, NULL);
	UNIT_CHECK(!transfer_step(&transfer, NULL));
	reef_faulty_store_set_hook(server.owner->faulty, NULL, NULL);
	(void) transfer_end(&transfer);
	UNIT_EQUAL_INT(cluster_insert(other.parts[1], 50, "x"),
				   REEF_FRAME_DURABLE);
	UNIT_CHECK(reef_faulty_store_deliver(server.owner->faulty, &outcome));
	UNIT_EQUAL_INT(outcome, REEF_CONFLICT);
	server_close(&other);
	server_crash(&server);
	UNIT_EQUAL_INT(check_atomic(bucket, 3, 1, false, false), 0);
	reef_memory_bucket_free(bucket);
}

/*
 * Another server voids the dependent frame; the decider is taken over again by
 * the first one, for another transaction, before it comes to the decider's
 * frame.
 */
UNIT_TEST(test_decide__a_decider_does_not_outlive_a_takeover_i2)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Server		server = server_open(bucket, 1, 2);
	Server		other = server_open(bucket, 2, 2);
	Transfer	transfer;

	UNIT_EQUAL_INT(transfer_run(&server, 1, NULL), REEF_FRAME_DURABLE);
	UNIT_CHECK(transfer_begin(&transfer, &server, 2));
	UNIT_CHECK(transfer_step(&transfer, NULL));
	UNIT_EQUAL_INT(cluster_insert(other.parts[0], 50, "x"),
				   REEF_FRAME_DURABLE);

	UNIT_EQUAL_INT(cluster_insert(server.parts[1], 51, "x"),
				   REEF_FRAME_REJECTED);
	UNIT_EQUAL_INT(cluster_insert(server.parts[1], 51, "x"),
				   REEF_FRAME_DURABLE);
	UNIT_CHECK(!transfer_step(&transfer, NULL));
	UNIT_EQUAL_INT(transfer.outcome, REEF_FRAME_REJECTED);
	(void) transfer_end(&transfer);
	UNIT_EQUAL_INT(presence_on(&server, 2, false, false), 0);
	UNIT_EQUAL_INT(check_atomic(bucket, 2, 2, true, false), 0);
	server_close(&other);
	server_close(&server);
	reef_memory_bucket_free(bucket);
}

/* ---- readers ---- */

UNIT_TEST(test_decide__a_reader_stops_before_what_is_undecided_i2)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Server		server = server_open(bucket, 1, 2);
	Cluster    *reader_owner = cluster_open_read_only(bucket, 2);
	Cluster    *reader = cluster_part_open(reader_owner, "public/a", 20);
	Transfer	transfer;
	char		v[100];

	UNIT_EQUAL_INT(transfer_run(&server, 1, NULL), REEF_FRAME_DURABLE);
	UNIT_CHECK(cluster_read(reader, 1, NULL, v));
	UNIT_CHECK(transfer_begin(&transfer, &server, 2));
	UNIT_CHECK(transfer_step(&transfer, NULL));
	UNIT_EQUAL_INT(cluster_insert(server.parts[0], 60, "x"),
				   REEF_FRAME_DURABLE);
	UNIT_CHECK(!cluster_read(reader, 2, NULL, v));
	UNIT_CHECK(!cluster_read(reader, 60, NULL, v));
	UNIT_EQUAL_INT(cluster_count(reader, NULL), 1);
	/* one who opens now sees no more */
	reef_namespace_close_shared(reader->host, reader->shared);
	UNIT_EQUAL_INT(cluster_count(reader, NULL), 1);

	UNIT_CHECK(transfer_step(&transfer, NULL));
	(void) transfer_end(&transfer);
	UNIT_CHECK(cluster_read(reader, 2, NULL, v));
	UNIT_EQUAL_INT(cluster_count(reader, NULL), 3);
	cluster_part_close(reader);
	cluster_close(reader_owner);
	server_close(&server);
	reef_memory_bucket_free(bucket);
}

/* A reader that may write does not leave rows behind a dead server's commit. */
UNIT_TEST(test_decide__rows_behind_a_dead_commit_come_back_i1)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Server		server = server_open(bucket, 1, 2);
	Server		reader = server_open(bucket, 2, 2);
	Transfer	transfer;
	char		v[100];

	UNIT_EQUAL_INT(transfer_run(&server, 1, NULL), REEF_FRAME_DURABLE);
	UNIT_EQUAL_INT(presence_on(&reader, 1, false, false), 2);
	UNIT_CHECK(transfer_begin(&transfer, &server, 2));
	UNIT_CHECK(transfer_step(&transfer, NULL));
	UNIT_EQUAL_INT(cluster_insert(server.parts[0], 60, "x"),
				   REEF_FRAME_DURABLE);
	UNIT_CHECK(!cluster_read(reader.parts[0], 60, NULL, v));
	UNIT_EQUAL_INT(reader.parts[0]->shared->fences, 0);
	free_frames(&transfer);
	server_crash(&server);
	reader.owner->fake->time_us += INT64_C(2000000);
	UNIT_CHECK(cluster_read(reader.parts[0], 60, NULL, v));
	UNIT_CHECK(!cluster_read(reader.parts[0], 2, NULL, v));
	UNIT_EQUAL_INT(check_atomic(bucket, 2, 2, false, false), 0);
	server_close(&reader);
	reef_memory_bucket_free(bucket);
}

/*
 * The same, with an abort above what is undecided that names something below:
 * however often the reader starts again, it knows since when it waits.
 */
UNIT_TEST(test_decide__starting_again_does_not_wait_for_ever_i1)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Server		server = server_open(bucket, 1, 2);
	Server		reader = server_open(bucket, 2, 2);
	Cluster    *a = server.parts[0];
	FrameBuilder builder;
	ReefFrame  *frame;
	Transfer	transfer;
	ReefError	err;
	char		v[100];

	UNIT_EQUAL_INT(transfer_run(&server, 1, NULL), REEF_FRAME_DURABLE);
	fake_host_set_xid(server.owner->fake, 7, REEF_XID_IN_PROGRESS);
	frame_begin(&builder, a);
	frame_insert(&builder, 61, "void");
	frame = frame_end(&builder, 7);
	UNIT_OK(cluster_commit(a, &frame, 1, &err), &err);
	UNIT_CHECK(transfer_begin(&transfer, &server, 2));
	UNIT_CHECK(transfer_step(&transfer, NULL));
	fake_host_set_xid(server.owner->fake, 7, REEF_XID_ABORTED);
	reef_commit_void(a->ns, frame);
	reef_frame_free(a->host, frame);
	UNIT_EQUAL_INT(cluster_insert(a, 60, "x"), REEF_FRAME_DURABLE);
	free_frames(&transfer);
	server_crash(&server);

	UNIT_CHECK(cluster_read(reader.parts[0], 60, NULL, v));
	UNIT_CHECK(!cluster_read(reader.parts[0], 61, NULL, v));
	UNIT_CHECK(!cluster_read(reader.parts[0], 2, NULL, v));
	server_close(&reader);
	reef_memory_bucket_free(bucket);
}

static bool
may_not_write(void *arg)
{
	(void) arg;
	return false;
}

UNIT_TEST(test_decide__a_standby_decides_nothing)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Server		server = server_open(bucket, 1, 2);
	Server		standby = server_open(bucket, 2, 2);
	Transfer	transfer;
	char		v[100];

	fake_of(&standby)->host.may_write = may_not_write;
	UNIT_CHECK(transfer_begin(&transfer, &server, 1));
	UNIT_CHECK(transfer_step(&transfer, NULL));
	UNIT_CHECK(!cluster_read(standby.parts[0], 1, NULL, v));
	standby.owner->fake->time_us += INT64_C(2000000);
	UNIT_CHECK(!cluster_read(standby.parts[0], 1, NULL, v));
	UNIT_CHECK(transfer_step(&transfer, NULL));
	UNIT_EQUAL_INT(transfer_end(&transfer), REEF_FRAME_DURABLE);
	UNIT_CHECK(cluster_read(standby.parts[0], 1, NULL, v));
	server_close(&standby);
	server_close(&server);
	reef_memory_bucket_free(bucket);
}

/* ---- folds ---- */

UNIT_TEST(test_decide__a_decision_outlives_its_record_i1)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Server		server = server_open(bucket, 1, 3);

	UNIT_EQUAL_INT(transfer_run(&server, 1, NULL), REEF_FRAME_DURABLE);
	/* the decider's record is gone, the others' are not folded */
	UNIT_CHECK(cluster_fold(server.parts[2]).folded);
	UNIT_EQUAL_INT(cluster_insert(server.parts[2], 70, "x"),
				   REEF_FRAME_DURABLE);
	UNIT_CHECK(cluster_fold(server.parts[2]).folded);
	bucket_collect(bucket, server.parts[2]);
	server_crash(&server);
	UNIT_EQUAL_INT(check_atomic(bucket, 3, 1, false, false), 3);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_decide__a_fold_waits_for_the_decider_i2)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Server		server = server_open(bucket, 1, 2);
	Transfer	transfer;

	UNIT_CHECK(transfer_begin(&transfer, &server, 1));
	UNIT_CHECK(transfer_step(&transfer, NULL));
	UNIT_CHECK(!cluster_fold(server.parts[0]).folded);
	UNIT_CHECK(transfer_step(&transfer, NULL));
	(void) transfer_end(&transfer);
	UNIT_CHECK(cluster_fold(server.parts[0]).folded);
	server_close(&server);
	UNIT_EQUAL_INT(check_atomic(bucket, 2, 1, true, true), 2);
	reef_memory_bucket_free(bucket);
}

/* What another table had in common with one that is dropped stays. */
UNIT_TEST(test_decide__a_dropped_decider_takes_nothing_along_i1)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Server		server = server_open(bucket, 1, 2);
	uint64_t	objects;
	ReefError	err;
	char		v[100];

	UNIT_EQUAL_INT(transfer_run(&server, 1, NULL), REEF_FRAME_DURABLE);
	UNIT_OK(reef_namespace_drop(server.parts[1]->ns, &objects, &err), &err);
	server_crash(&server);
	for (int i = 0; i < 2; i++)
	{
		server = server_open(bucket, 2, 2);
		UNIT_CHECK(cluster_read(server.parts[0], 1, NULL, v));
		/* nor when there is a new one of that name */
		UNIT_EQUAL_INT(cluster_insert(server.parts[1], 9 + i, "x"),
					   REEF_FRAME_DURABLE);
		server_close(&server);
	}
	reef_memory_bucket_free(bucket);
}

/* ---- heap tables ---- */

/*
 * The machine goes down after the records and before PostgreSQL's own: the same
 * lineage knows that it is void, others take it for committed.
 */
static void
lose_heap(bool same_lineage, bool writes, bool backwards)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Server		server = server_open(bucket, 1, 2);
	Transfer	transfer;

	UNIT_CHECK(transfer_begin(&transfer, &server, 1));
	UNIT_CHECK(transfer_step(&transfer, &own_lineage));
	UNIT_CHECK(transfer_step(&transfer, &own_lineage));
	free_frames(&transfer);
	server_crash(&server);

	server = server_open(bucket, 2, 2);
	declare_xid(&server, REEF_XID_ABORTED);
	if (!same_lineage)
		fake_of(&server)->system_id = 2;
	UNIT_EQUAL_INT(presence_on(&server, 1, writes, backwards),
				   same_lineage ? 0 : 2);
	if (!writes)
	{
		declare_xid(&server, REEF_XID_ABORTED);
		UNIT_EQUAL_INT(presence_on(&server, 1, true, backwards),
					   same_lineage ? 0 : 2);
	}
	server_close(&server);
	UNIT_EQUAL_INT(check_atomic(bucket, 2, 1, false, backwards),
				   same_lineage ? 0 : 2);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_decide__pg_xact_decides_for_all_in_its_lineage_i2)
{
	for (int variant = 0; variant < 8; variant++)
		lose_heap(variant & 1, variant & 2, variant & 4);
}

/* A foreign fence in the decider makes it final, for the dependents as well. */
UNIT_TEST(test_decide__what_is_final_in_the_decider_is_final_i2)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Server		server = server_open(bucket, 1, 2);
	Server		other;
	Transfer	transfer;

	UNIT_CHECK(transfer_begin(&transfer, &server, 1));
	UNIT_CHECK(transfer_step(&transfer, &own_lineage));
	UNIT_CHECK(transfer_step(&transfer, &own_lineage));
	free_frames(&transfer);
	server_crash(&server);
	other = server_open(bucket, 2, 2);
	fake_of(&other)->system_id = 2;
	UNIT_EQUAL_INT(cluster_insert(other.parts[1], 50, "x"),
				   REEF_FRAME_DURABLE);
	server_close(&other);

	server = server_open(bucket, 3, 2);
	declare_xid(&server, REEF_XID_ABORTED);
	UNIT_EQUAL_INT(presence_on(&server, 1, true, false), 2);
	server_close(&server);
	UNIT_EQUAL_INT(check_atomic(bucket, 2, 1, false, false), 2);
	reef_memory_bucket_free(bucket);
}

/* ---- forgetting ---- */

static int
decisions_named(Cluster *cluster)
{
	ReefManifest manifest;
	ReefArena	arena;
	ReefBuf		bytes;
	ReefError	err;
	int			count;

	reef_error_init(&err);
	reef_arena_init(&arena, 0);
	reef_buf_init(&bytes);
	UNIT_OK(reef_manifest_load_current(cluster->ns, &arena, &manifest, &bytes,
									   &err), &err);
	count = manifest.transaction_count;
	reef_buf_release(&bytes);
	reef_arena_release(&arena);
	return count;
}

static void
settle(Cluster *cluster)
{
	ReefError	err;

	reef_error_init(&err);
	UNIT_OK(reef_transactions_settle(cluster->ns, &err), &err);
}

UNIT_TEST(test_decide__a_decision_is_named_as_long_as_anybody_may_ask_i1)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Server		server = server_open(bucket, 1, 3);
	Cluster    *decider = server.parts[2];

	UNIT_EQUAL_INT(transfer_run(&server, 1, NULL), REEF_FRAME_DURABLE);
	fold_all(&server);
	UNIT_EQUAL_INT(decisions_named(decider), 1);
	settle(decider);
	UNIT_EQUAL_INT(decisions_named(decider), 1);

	/* one participant has collected its record, the other not */
	bucket_collect(bucket, server.parts[0]);
	bucket_collect(bucket, decider);
	settle(decider);
	UNIT_EQUAL_INT(decisions_named(decider), 1);

	/* later decisions do not keep it, and are not forgotten with it */
	UNIT_EQUAL_INT(transfer_run(&server, 2, NULL), REEF_FRAME_DURABLE);
	UNIT_CHECK(cluster_fold(decider).folded);
	UNIT_EQUAL_INT(decisions_named(decider), 2);
	bucket_collect(bucket, server.parts[1]);
	settle(decider);
	UNIT_EQUAL_INT(decisions_named(decider), 1);
	server_crash(&server);
	UNIT_EQUAL_INT(check_atomic(bucket, 3, 2, false, false), 3);
	UNIT_EQUAL_INT(check_atomic(bucket, 3, 1, false, false), 3);

	/* and at last all */
	server = server_open(bucket, 2, 3);
	(void) presence_on(&server, 1, true, false);
	fold_all(&server);
	for (int i = 0; i < 3; i++)
		bucket_collect(bucket, server.parts[i]);
	settle(server.parts[2]);
	UNIT_EQUAL_INT(decisions_named(server.parts[2]), 0);
	server_close(&server);
	UNIT_EQUAL_INT(check_atomic(bucket, 3, 2, true, false), 3);
	reef_memory_bucket_free(bucket);
}

/* ---- local aborts after the decider's record ---- */

static void
abort_late(ReefFault fault, uint64_t n, bool *has_failed, bool others_first)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Server		server = server_open(bucket, 1, 3);
	Transfer	transfer;
	ReefError	err;
	uint64_t	calls;
	bool		is_void = false;
	int			found;

	reef_error_init(&err);
	UNIT_CHECK(transfer_begin(&transfer, &server, 1));
	for (int i = 0; i < 3; i++)
		UNIT_CHECK(transfer_step(&transfer, NULL));
	fake_host_set_xid(fake_of(&server), XID, REEF_XID_ABORTED);
	reef_faulty_store_fail_nth(server.owner->faulty, n, fault);
	calls = reef_faulty_store_calls(server.owner->faulty);
	if (reef_group_void(&transfer.group, transfer.frames, REEF_FRAME_DURABLE,
						0, &err) == REEF_OK)
		is_void = true;
	*has_failed = reef_faulty_store_calls(server.owner->faulty) - calls >= n;
	free_frames(&transfer);
	if (fault == REEF_FAULT_CRASH_BEFORE || fault == REEF_FAULT_CRASH_AFTER)
		server_crash(&server);
	else
	{
		reef_faulty_store_fail_nth(server.owner->faulty, 1000000, fault);
		found = others_first ? check_atomic(bucket, 3, 1, n % 2, n % 3) :
			presence_on(&server, 1, n % 2, n % 3);
		if (is_void)
			UNIT_EQUAL_INT(found, 0);
		UNIT_EQUAL_INT(presence_on(&server, 1, true, false), found);
		fold_all(&server);
		UNIT_EQUAL_INT(presence_on(&server, 1, true, false), found);
		server_close(&server);
	}
	(void) check_atomic(bucket, 3, 1, n % 2, n % 3 == 0);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_decide__a_late_abort_voids_all_or_nothing_i2)
{
	static const ReefFault faults[] = {
		REEF_FAULT_CRASH_BEFORE, REEF_FAULT_CRASH_AFTER, REEF_FAULT_REFUSE,
		REEF_FAULT_LOSE_REQUEST, REEF_FAULT_LOSE_RESPONSE
	};

	for (int i = 0; i < 10; i++)
	{
		bool		has_failed = true;

		for (uint64_t n = 1; has_failed; n++)
			abort_late(faults[i / 2], n, &has_failed, i % 2);
	}
}

/* A fold finds the aborted xid before anybody has seen to the decider. */
UNIT_TEST(test_decide__an_aborted_xid_alone_voids_no_dependent_frame_i2)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Server		server = server_open(bucket, 1, 2);
	Transfer	transfer;

	UNIT_CHECK(transfer_begin(&transfer, &server, 1));
	UNIT_CHECK(transfer_step(&transfer, NULL));
	UNIT_CHECK(transfer_step(&transfer, NULL));
	declare_xid(&server, REEF_XID_ABORTED);
	UNIT_CHECK(!cluster_fold(server.parts[0]).folded);
	free_frames(&transfer);
	server_crash(&server);
	UNIT_EQUAL_INT(check_atomic(bucket, 2, 1, true, false), 2);
	reef_memory_bucket_free(bucket);
}

/* What this server itself has read back as committed, and folded. */
UNIT_TEST(test_decide__what_was_asked_for_here_is_final_too_i2)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Server		server = server_open(bucket, 1, 2);
	Transfer	transfer;
	ReefError	err;

	reef_error_init(&err);
	UNIT_CHECK(transfer_begin(&transfer, &server, 1));
	UNIT_CHECK(transfer_step(&transfer, NULL));
	UNIT_CHECK(transfer_step(&transfer, NULL));
	reef_namespace_close_shared(server.owner->host, server.parts[0]->shared);
	UNIT_EQUAL_INT(cluster_insert(server.parts[0], 50, "x"),
				   REEF_FRAME_DURABLE);
	UNIT_CHECK(cluster_fold(server.parts[0]).folded);
	declare_xid(&server, REEF_XID_ABORTED);
	UNIT_CHECK(reef_group_void(&transfer.group, transfer.frames,
							   REEF_FRAME_DURABLE, 0, &err) != REEF_OK);
	free_frames(&transfer);
	UNIT_EQUAL_INT(presence_on(&server, 1, true, false), 2);
	server_close(&server);
	UNIT_EQUAL_INT(check_atomic(bucket, 2, 1, true, false), 2);
	reef_memory_bucket_free(bucket);
}

/* Another server has made the decider's frame final before the abort comes. */
UNIT_TEST(test_decide__an_abort_that_comes_too_late_changes_nothing_i2)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Server		server = server_open(bucket, 1, 2);
	Server		other = server_open(bucket, 2, 2);
	Transfer	transfer;
	ReefError	err;

	reef_error_init(&err);
	UNIT_CHECK(transfer_begin(&transfer, &server, 1));
	UNIT_CHECK(transfer_step(&transfer, NULL));
	UNIT_CHECK(transfer_step(&transfer, NULL));
	UNIT_EQUAL_INT(cluster_insert(other.parts[0], 50, "x"),
				   REEF_FRAME_DURABLE);
	fake_host_set_xid(fake_of(&server), XID, REEF_XID_ABORTED);
	UNIT_CHECK(reef_group_void(&transfer.group, transfer.frames,
							   REEF_FRAME_DURABLE, 0, &err) != REEF_OK);
	free_frames(&transfer);
	UNIT_EQUAL_INT(presence_on(&server, 1, true, false), 2);
	UNIT_EQUAL_INT(check_atomic(bucket, 2, 1, true, false), 2);
	server_close(&other);
	server_close(&server);
	reef_memory_bucket_free(bucket);
}
