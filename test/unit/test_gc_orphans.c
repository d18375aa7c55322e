/*
 * test_gc_orphans.c
 *	  What servers that crash or sleep leave behind, and what only looks so.
 *
 * It is made by letting them crash or sleep in each request of what they do.
 */
#include <stdlib.h>

#include "gc_fixture.h"
#include "unit.h"

/* ---- orphans ---- */

UNIT_TEST(test_gc_orphans__an_orphan_goes_by_its_own_age_behind_barriers)
{
	GcFixture		f;
	char		key[REEF_OBJECT_KEY_SIZE];
	uint64_t	last_lsn;
	GcCollected	collected;

	gc_set_up(&f);
	gc_insert(&f, f.a, 1);
	(void) cluster_fold(f.a);
	gc_advance(&f, 10 * GRACE_US);
	gc_leave_orphan(&f, f.a, key);
	UNIT_EQUAL_STRING(gc_collect(&f, f.a).text, "w2 ");
	gc_advance(&f, GRACE_US - 1);
	collected = gc_collect(&f, f.a);
	UNIT_EQUAL_STRING(collected.text, "");
	UNIT_EQUAL_INT(collected.result.next_due_us,
				   reef_memory_bucket_time(f.bucket) + 1);
	gc_advance(&f, 1);
	last_lsn = f.a->shared->last_lsn;
	UNIT_EQUAL_STRING(gc_collect(&f, f.a).text, "orphaned ");
	UNIT_CHECK(!gc_has_object(&f, key));
	UNIT_EQUAL_INT(f.a->shared->last_lsn, last_lsn + 1);
	UNIT_EQUAL_INT(f.a->shared->manifests[0]->version, 2);
	UNIT_EQUAL_INT(f.a->shared->mode, REEF_MODE_WRITER);
	/* the barriers leave one manifest to collect, and then there is peace */
	gc_advance(&f, GRACE_US);
	UNIT_EQUAL_STRING(gc_collect(&f, f.a).text, "m1 ");
	gc_advance(&f, GRACE_US);
	UNIT_EQUAL_STRING(gc_collect(&f, f.a).text, "");
	UNIT_EQUAL_INT(f.a->shared->last_lsn, last_lsn + 1);
	gc_insert(&f, f.a, 2);
	gc_check_from_outside(&f);
	gc_tear_down(&f);
}

UNIT_TEST(test_gc_orphans__only_the_writer_collects_orphans)
{
	GcFixture		f;
	Cluster    *b;
	char		key[REEF_OBJECT_KEY_SIZE];
	GcCollected	collected;

	gc_set_up(&f);
	gc_insert(&f, f.a, 1);
	(void) cluster_fold(f.a);
	gc_leave_orphan(&f, f.a, key);
	gc_advance(&f, 2 * GRACE_US);
	b = gc_open(f.bucket, 2);
	gc_check(&f, b);
	UNIT_EQUAL_STRING(gc_collect(&f, b).text, "w2 ");
	gc_insert(&f, b, 2);
	/* this one believes that it still is the writer */
	UNIT_EQUAL_INT(f.a->shared->mode, REEF_MODE_WRITER);
	UNIT_OK(gc_try_collect(f.a, false, &collected, &f.err), &f.err);
	UNIT_EQUAL_STRING(collected.text, "");
	UNIT_EQUAL_INT(f.a->shared->mode, REEF_MODE_READER);
	UNIT_CHECK(gc_has_object(&f, key));
	UNIT_EQUAL_STRING(gc_collect(&f, b).text, "orphaned ");
	gc_check(&f, f.a);
	cluster_close(b);
	gc_tear_down(&f);
}

/* What is attached by a record that is lost may be all there is of its rows. */
UNIT_TEST(test_gc_orphans__none_is_collected_while_a_record_is_missing)
{
	static const char *const lost[] = {
		"public/rows/wal/00000000000000000003.wal",
		"public/rows/wal/00000000000000000004.wal"
	};
	size_t		i;

	for (i = 0; i < sizeof(lost) / sizeof(lost[0]); i++)
	{
		GcFixture	f;
		char		key[REEF_OBJECT_KEY_SIZE];

		gc_set_up(&f);
		gc_insert(&f, f.a, 1);
		(void) cluster_fold(f.a);
		gc_insert(&f, f.a, 2);
		gc_insert(&f, f.a, 3);
		gc_insert(&f, f.a, 4);
		gc_leave_orphan(&f, f.a, key);
		gc_advance(&f, 2 * GRACE_US);
		UNIT_CHECK(reef_memory_bucket_remove(f.bucket, lost[i]));
		UNIT_EQUAL_STRING(gc_collect(&f, f.a).text, "w2 ");
		UNIT_CHECK(gc_has_object(&f, key));
		gc_tear_down(&f);
	}
}

UNIT_TEST(test_gc_orphans__a_load_of_this_server_needs_no_grace)
{
	GcFixture		f;
	ReefTxn    *txn;

	gc_set_up(&f);
	f.a->settings.gc_grace_us = 0;
	gc_insert(&f, f.a, 1);
	(void) cluster_fold(f.a);
	txn = gc_load(f.a, 2);
	gc_advance(&f, 50 * GRACE_US);
	UNIT_EQUAL_STRING(gc_collect(&f, f.a).text, "w2 ");
	gc_insert(&f, f.a, 9000);
	(void) cluster_fold(f.a);
	/* its view needs the first manifest */
	UNIT_EQUAL_STRING(gc_collect(&f, f.a).text, "");
	UNIT_EQUAL_INT(table_commit(f.a, txn), REEF_FRAME_DURABLE);
	gc_note_load(f.model, 2);
	/* named by a record only */
	UNIT_EQUAL_STRING(gc_collect(&f, f.a).text, "w3 m1 ");
	gc_check_from_outside(&f);
	(void) cluster_fold(f.a);
	UNIT_EQUAL_STRING(gc_collect(&f, f.a).text, "w4 m2 ");
	gc_check_from_outside(&f);
	gc_tear_down(&f);
}

UNIT_TEST(test_gc_orphans__what_a_rolled_back_load_attached_outlives_its_record)
{
	GcFixture		f;
	ReefTxn    *txn;
	ReefFrame  *frame;
	int			segments;

	gc_set_up(&f);
	gc_insert(&f, f.a, 1);
	txn = gc_load(f.a, 2);
	gc_advance(&f, 50 * GRACE_US);
	fake_host_set_xid(f.a->fake, 100, REEF_XID_IN_PROGRESS);
	UNIT_OK(reef_txn_prepare(txn, 100, NULL, &frame, &f.err), &f.err);
	UNIT_OK(cluster_commit(f.a, &frame, 1, &f.err), &f.err);
	UNIT_EQUAL_INT(reef_frame_lsn(frame), 3);
	fake_host_set_xid(f.a->fake, 100, REEF_XID_ABORTED);
	reef_commit_void(f.a->ns, frame);
	reef_frame_free(f.a->host, frame);
	reef_txn_free(txn);
	segments = gc_count_objects(&f, "/segment/");
	gc_insert(&f, f.a, 9000);		/* and the abort */
	(void) cluster_fold(f.a);
	UNIT_EQUAL_INT(gc_count_objects(&f, "/segment/"), segments + 1);
	UNIT_EQUAL_STRING(gc_collect(&f, f.a).text, "");
	gc_advance(&f, GRACE_US);
	UNIT_EQUAL_INT(gc_collect(&f, f.a).orphans, segments);
	gc_check_from_outside(&f);
	gc_tear_down(&f);
}

/* ---- crashes ---- */

/* What a crash has left is gone after the grace, and nothing else is. */
static void
clean_up_after_crash(GcFixture *f, Cluster *heir)
{
	ReefManifest manifest;
	ReefArena	arena;
	ReefBuf		bytes;

	gc_insert(f, heir, 9999);
	(void) cluster_fold(heir);
	gc_advance(f, 2 * GRACE_US);
	(void) gc_collect(f, heir);
	reef_arena_init(&arena, 0);
	reef_buf_init(&bytes);
	UNIT_OK(reef_manifest_load_current(heir->ns, &arena, &manifest, &bytes,
									   &f->err), &f->err);
	UNIT_EQUAL_INT(gc_count_objects(f, "/segment/"), manifest.segment_count);
	reef_buf_release(&bytes);
	reef_arena_release(&arena);
	gc_check_from_outside(f);
}

/* Returns whether the crash came before the end. */
static bool
crash_in_fold(uint64_t call, ReefFault fault)
{
	GcFixture		f;
	Cluster    *heir;
	ReefFoldResult result;
	ReefError	err;
	bool		has_crashed;

	gc_set_up(&f);
	reef_error_init(&err);
	gc_insert(&f, f.a, 1);
	(void) cluster_fold(f.a);
	gc_insert(&f, f.a, 2);
	gc_insert(&f, f.a, 3);
	reef_faulty_store_fail_nth(f.a->faulty, call, fault);
	if (reef_fold(f.a->ns, &result, &err) != REEF_OK)
		UNIT_CHECK(err.code != REEF_BUG && err.code != REEF_CORRUPT);
	has_crashed = reef_faulty_store_has_crashed(f.a->faulty);
	heir = gc_open(f.bucket, 2);
	clean_up_after_crash(&f, heir);
	cluster_close(heir);
	cluster_crash(f.a);
	reef_memory_bucket_free(f.bucket);
	free(f.model);
	return has_crashed;
}

UNIT_TEST(test_gc_orphans__orphans_of_every_crash_point_of_a_fold_go)
{
	uint64_t	call = 1;

	while (crash_in_fold(call, REEF_FAULT_CRASH_BEFORE) &&
		   crash_in_fold(call, REEF_FAULT_CRASH_AFTER))
		call++;
	UNIT_CHECK(call > 5);
}

static bool
crash_in_load(uint64_t call, ReefFault fault)
{
	GcFixture		f;
	Cluster    *heir;
	ReefTxn    *txn;
	bool		has_crashed;
	ModelRow	row = {0};

	gc_set_up(&f);
	gc_insert(&f, f.a, 1);
	(void) cluster_fold(f.a);
	reef_faulty_store_fail_nth(f.a->faulty, call, fault);
	txn = gc_try_load(f.a, 2);
	if (txn != NULL)
		(void) table_commit(f.a, txn);
	has_crashed = reef_faulty_store_has_crashed(f.a->faulty);
	heir = gc_open(f.bucket, 2);
	if (table_count(heir, NULL, 0, NULL) > 1)
		gc_note_load(f.model, 2);
	else
		f.model->rows[2] = row;
	clean_up_after_crash(&f, heir);
	cluster_close(heir);
	cluster_crash(f.a);
	reef_memory_bucket_free(f.bucket);
	free(f.model);
	return has_crashed;
}

UNIT_TEST(test_gc_orphans__orphans_of_crash_points_of_a_load_go)
{
	uint64_t	call = 1;

	/* a load is many equal writes, so not each of them */
	while (crash_in_load(call, REEF_FAULT_CRASH_BEFORE) &&
		   crash_in_load(call, REEF_FAULT_CRASH_AFTER))
		call += 1 + call / 4;
	UNIT_CHECK(call > 10);
}

/* ---- sleepers ---- */

/* Sleep before the first such request, while something else happens. */
typedef struct Sleep
{
	ReefFaultyCall call;
	const char *part;			/* of the key */
	void		(*act) (GcFixture *f);
	GcFixture    *f;
	bool		is_over;
} Sleep;

static ReefFault
fall_asleep(void *arg, ReefFaultyCall call, const char *key)
{
	Sleep	   *sleep = arg;

	if (!sleep->is_over && call == sleep->call &&
		strstr(key, sleep->part) != NULL)
	{
		sleep->is_over = true;
		sleep->act(sleep->f);
	}
	return REEF_FAULT_NONE;
}

static void
take_over_and_collect(GcFixture *f)
{
	gc_insert(f, f->a, 9001);
	gc_advance(f, 2 * GRACE_US);
	UNIT_CHECK(gc_collect(f, f->a).orphans > 0);
}

UNIT_TEST(test_gc_orphans__a_fold_that_slept_before_its_manifest_has_worked_in_vain)
{
	GcFixture		f;
	Cluster    *sleeper;
	Sleep		sleep = {REEF_FAULTY_PUT, "/manifest/", take_over_and_collect,
	&f, false};
	ReefFoldResult result;
	ReefError	err;

	gc_set_up(&f);
	reef_error_init(&err);
	sleeper = gc_open(f.bucket, 2);
	gc_insert(&f, sleeper, 1);
	(void) cluster_fold(sleeper);
	gc_insert(&f, sleeper, 2);
	reef_faulty_store_set_hook(sleeper->faulty, fall_asleep, &sleep);
	if (reef_fold(sleeper->ns, &result, &err) != REEF_OK)
		UNIT_CHECK(err.code != REEF_BUG && err.code != REEF_CORRUPT);
	UNIT_CHECK(sleep.is_over);
	UNIT_CHECK(!result.folded);
	gc_check_from_outside(&f);
	gc_check(&f, sleeper);
	gc_insert(&f, sleeper, 3);
	(void) cluster_fold(sleeper);
	gc_check_from_outside(&f);
	cluster_close(sleeper);
	gc_tear_down(&f);
}

/* The other's manifests reach beyond the sleeper's number, and that number is
 * collected before it wakes up. */
static void
collect_the_number(GcFixture *f)
{
	gc_insert(f, f->a, 9001);
	gc_commit_copy(f->a);
	gc_commit_copy(f->a);
	gc_advance(f, 2 * GRACE_US);
	/* the sleeper's outputs are orphans, its transaction's segments are not */
	UNIT_EQUAL_STRING(gc_collect(f, f->a).text, "w2 orphaned m1 m2 ");
}

UNIT_TEST(test_gc_orphans__a_late_manifest_is_no_reason_to_delete_what_a_record_attaches)
{
	GcFixture		f;
	Cluster    *sleeper;
	Sleep		sleep = {REEF_FAULTY_PUT, "/manifest/", collect_the_number,
	&f, false};
	ReefFoldResult result;
	ReefError	err;

	gc_set_up(&f);
	reef_error_init(&err);
	sleeper = gc_open(f.bucket, 2);
	gc_insert(&f, sleeper, 1);
	(void) cluster_fold(sleeper);
	UNIT_EQUAL_INT(table_commit(sleeper, gc_load(sleeper, 2)),
				   REEF_FRAME_DURABLE);
	gc_note_load(f.model, 2);
	reef_faulty_store_set_hook(sleeper->faulty, fall_asleep, &sleep);
	if (reef_fold(sleeper->ns, &result, &err) != REEF_OK)
		UNIT_CHECK(err.code != REEF_BUG && err.code != REEF_CORRUPT);
	UNIT_CHECK(sleep.is_over);
	UNIT_CHECK(gc_has_object(&f,
						  "public/rows/manifest/00000000000000000002.json"));
	gc_advance(&f, 2 * GRACE_US);
	UNIT_EQUAL_INT(gc_collect(&f, f.a).result.failures, 0);
	UNIT_CHECK(!gc_has_object(&f,
						   "public/rows/manifest/00000000000000000002.json"));
	gc_check_from_outside(&f);
	gc_check(&f, sleeper);
	cluster_close(sleeper);
	gc_tear_down(&f);
}

UNIT_TEST(test_gc_orphans__a_load_that_slept_before_its_record_is_refused)
{
	GcFixture		f;
	Cluster    *sleeper;
	Sleep		sleep = {REEF_FAULTY_PUT, "/wal/", take_over_and_collect, &f,
	false};
	ReefTxn    *txn;

	gc_set_up(&f);
	sleeper = gc_open(f.bucket, 2);
	gc_insert(&f, sleeper, 1);
	(void) cluster_fold(sleeper);
	txn = gc_load(sleeper, 2);
	reef_faulty_store_set_hook(sleeper->faulty, fall_asleep, &sleep);
	UNIT_EQUAL_INT(table_commit(sleeper, txn), REEF_FRAME_REJECTED);
	UNIT_CHECK(sleep.is_over);
	gc_check_from_outside(&f);
	gc_check(&f, sleeper);
	gc_insert(&f, sleeper, 3);
	gc_check_from_outside(&f);
	cluster_close(sleeper);
	gc_tear_down(&f);
}

/* Not the writer, so that its record's place is free when it wakes up. */
UNIT_TEST(test_gc_orphans__a_load_that_slept_before_taking_over_is_refused)
{
	GcFixture		f;
	Cluster    *sleeper;
	ReefTxn    *txn;
	ReefFrame  *frame;
	ReefError	reason;

	gc_set_up(&f);
	gc_insert(&f, f.a, 1);
	(void) cluster_fold(f.a);
	sleeper = gc_open(f.bucket, 2);
	txn = gc_load(sleeper, 2);
	gc_advance(&f, 2 * GRACE_US);
	UNIT_CHECK(gc_collect(&f, f.a).orphans > 0);
	UNIT_OK(reef_txn_prepare(txn, 0, NULL, &frame, &f.err), &f.err);
	(void) cluster_commit(sleeper, &frame, 1, &f.err);
	UNIT_EQUAL_INT(reef_frame_state(frame), REEF_FRAME_REJECTED);
	reef_frame_error(frame, &reason);
	UNIT_EQUAL_INT(reason.code, REEF_CONFLICT);
	reef_frame_free(sleeper->host, frame);
	reef_txn_free(txn);
	/* the second attempt succeeds */
	UNIT_EQUAL_INT(table_commit(sleeper, gc_load(sleeper, 2)),
				   REEF_FRAME_DURABLE);
	gc_note_load(f.model, 2);
	gc_check_from_outside(&f);
	cluster_close(sleeper);
	gc_tear_down(&f);
}

/* Every put of a record is lost for now. */
static ReefFault
delay_records(void *arg, ReefFaultyCall call, const char *key)
{
	(void) arg;
	return call == REEF_FAULTY_PUT && strstr(key, "/wal/") != NULL ?
		REEF_FAULT_DELAY : REEF_FAULT_NONE;
}

static void
load_with_unknown_outcome(GcFixture *f)
{
	reef_faulty_store_set_hook(f->a->faulty, delay_records, NULL);
	UNIT_EQUAL_INT(table_commit(f->a, gc_load(f->a, 2)), REEF_FRAME_UNKNOWN);
	reef_faulty_store_set_hook(f->a->faulty, NULL, NULL);
	gc_advance(f, 2 * GRACE_US);
	/* not the writer, until somebody takes over */
	UNIT_EQUAL_STRING(gc_collect(f, f->a).text, "w2 ");
}

UNIT_TEST(test_gc_orphans__a_record_that_lands_late_attaches_what_is_there)
{
	GcFixture	f;
	ReefCode	outcome;

	gc_set_up(&f);
	gc_insert(&f, f.a, 1);
	(void) cluster_fold(f.a);
	load_with_unknown_outcome(&f);
	UNIT_CHECK(reef_faulty_store_deliver(f.a->faulty, &outcome));
	UNIT_EQUAL_INT(outcome, REEF_OK);
	gc_note_load(f.model, 2);
	gc_insert(&f, f.a, 9001);
	UNIT_EQUAL_STRING(gc_collect(&f, f.a).text, "");
	gc_check_from_outside(&f);
	gc_tear_down(&f);
}

UNIT_TEST(test_gc_orphans__a_record_that_lands_too_late_attaches_nothing)
{
	GcFixture	f;
	ReefCode	outcome;

	gc_set_up(&f);
	gc_insert(&f, f.a, 1);
	(void) cluster_fold(f.a);
	load_with_unknown_outcome(&f);
	gc_insert(&f, f.a, 9001);
	UNIT_CHECK(gc_collect(&f, f.a).orphans > 0);
	while (reef_faulty_store_deliver(f.a->faulty, &outcome))
		UNIT_EQUAL_INT(outcome, REEF_CONFLICT);
	gc_check_from_outside(&f);
	gc_check(&f, f.a);
	gc_tear_down(&f);
}

/* ---- a collector that sleeps ---- */

static void
attach_rows(GcFixture *f)
{
	gc_insert(f, f->a, 9001);
	UNIT_EQUAL_INT(table_commit(f->a, gc_load(f->a, 2)), REEF_FRAME_DURABLE);
	gc_note_load(f->model, 2);
}

static void
attach(GcFixture *f)
{
	attach_rows(f);
	gc_advance(f, 50 * GRACE_US);
}

static void
attach_and_fold(GcFixture *f)
{
	attach_rows(f);
	(void) cluster_fold(f->a);
	gc_advance(f, 50 * GRACE_US);
}

/* Everything else goes on while the collector sleeps before such a request. */
static void
collect_asleep(ReefFaultyCall call, const char *part,
			   void (*act) (GcFixture *f), int64_t grace_us)
{
	Sleep		sleep = {call, part, act, NULL, false};
	GcFixture	f;
	GcCollected collected;
	char		key[REEF_OBJECT_KEY_SIZE];

	gc_set_up(&f);
	f.a->settings.gc_grace_us = grace_us;
	sleep.f = &f;
	gc_insert(&f, f.a, 1);
	(void) cluster_fold(f.a);
	gc_insert(&f, f.a, 9003);
	gc_leave_orphan(&f, f.a, key);
	gc_advance(&f, 2 * GRACE_US);
	reef_faulty_store_set_hook(f.a->faulty, fall_asleep, &sleep);
	UNIT_OK(gc_try_collect(f.a, false, &collected, &f.err), &f.err);
	UNIT_CHECK(sleep.is_over);
	gc_check_from_outside(&f);
	gc_check(&f, f.a);
	reef_faulty_store_set_hook(f.a->faulty, NULL, NULL);
	gc_advance(&f, 2 * GRACE_US);
	(void) gc_collect(&f, f.a);
	UNIT_CHECK(!gc_has_object(&f, key));
	gc_check_from_outside(&f);
	gc_tear_down(&f);
}

UNIT_TEST(test_gc_orphans__a_collector_may_sleep_anywhere)
{
	static const struct
	{
		ReefFaultyCall call;
		const char *part;
	}			places[] = {
		{REEF_FAULTY_LIST, "/manifest/"}, {REEF_FAULTY_GET, "/manifest/"},
		{REEF_FAULTY_LIST, "/wal/"}, {REEF_FAULTY_LIST, "/segment/"},
		{REEF_FAULTY_GET, "/wal/"}, {REEF_FAULTY_DELETE, "/wal/"},
		{REEF_FAULTY_DELETE, "/segment/"}
	};
	size_t		i;

	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++)
	{
		collect_asleep(places[i].call, places[i].part, attach, GRACE_US);
		collect_asleep(places[i].call, places[i].part, attach_and_fold,
					   GRACE_US);
		/* without a grace, nothing but the protocol is in the way */
		collect_asleep(places[i].call, places[i].part, attach, 0);
		collect_asleep(places[i].call, places[i].part, attach_and_fold, 0);
	}
}

/* The other way round: collect while a job is between its segments and its
 * manifest. */
static void
collect_while_folding(GcFixture *f)
{
	UNIT_EQUAL_INT(gc_collect(f, f->a).orphans, 0);
}

UNIT_TEST(test_gc_orphans__a_fold_of_this_server_needs_no_grace)
{
	GcFixture	f;
	Sleep		sleep = {REEF_FAULTY_PUT, "/manifest/", collect_while_folding,
	&f, false};

	gc_set_up(&f);
	f.a->settings.gc_grace_us = 0;
	gc_insert(&f, f.a, 1);
	(void) cluster_fold(f.a);
	gc_insert(&f, f.a, 2);
	reef_faulty_store_set_hook(f.a->faulty, fall_asleep, &sleep);
	UNIT_CHECK(cluster_fold(f.a).folded);
	UNIT_CHECK(sleep.is_over);
	gc_check_from_outside(&f);
	gc_tear_down(&f);
}

/* Not the writer any more when the barriers are due. */
typedef struct Loss
{
	GcFixture  *f;
	bool		is_over;
	bool		loses;
} Loss;

static ReefFault
lose_a_commit(void *arg, ReefFaultyCall call, const char *key)
{
	Loss	   *loss = arg;

	if (!loss->is_over && call == REEF_FAULTY_LIST &&
		strstr(key, "/segment/") != NULL)
	{
		ReefFrame  *frame;
		ReefTxn    *txn = table_begin(loss->f->a);
		ModelRow	row = {true, 0, 0};
		ReefError	err;
		bool		inserted;

		loss->is_over = true;
		loss->loses = true;
		UNIT_EQUAL_INT(table_insert(txn, 1, 1, 77, &row, REEF_INSERT_ERROR,
									&inserted), REEF_OK);
		UNIT_OK(reef_txn_prepare(txn, 0, NULL, &frame, &err), &err);
		(void) cluster_commit(loss->f->a, &frame, 1, &err);
		UNIT_EQUAL_INT(reef_frame_state(frame), REEF_FRAME_UNKNOWN);
		reef_frame_free(loss->f->a->host, frame);
		reef_txn_free(txn);
		loss->loses = false;
	}
	return loss->loses && call == REEF_FAULTY_PUT ?
		REEF_FAULT_LOSE_REQUEST : REEF_FAULT_NONE;
}

UNIT_TEST(test_gc_orphans__who_is_not_the_writer_any_more_stops)
{
	GcFixture	f;
	Loss		loss = {&f, false, false};
	GcCollected collected;
	char		key[REEF_OBJECT_KEY_SIZE];

	gc_set_up(&f);
	gc_insert(&f, f.a, 1);
	(void) cluster_fold(f.a);
	gc_leave_orphan(&f, f.a, key);
	gc_advance(&f, 2 * GRACE_US);
	reef_faulty_store_set_hook(f.a->faulty, lose_a_commit, &loss);
	UNIT_OK(gc_try_collect(f.a, false, &collected, &f.err), &f.err);
	UNIT_CHECK(loss.is_over);
	UNIT_EQUAL_STRING(collected.text, "w2 ");
	UNIT_CHECK(gc_has_object(&f, key));
	UNIT_EQUAL_INT(gc_count_objects(&f, "/wal/"), 1);
	gc_insert(&f, f.a, 2);
	UNIT_EQUAL_STRING(gc_collect(&f, f.a).text, "orphaned ");
	gc_check_from_outside(&f);
	gc_tear_down(&f);
}
