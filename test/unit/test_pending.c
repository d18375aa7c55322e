/*
 * test_pending.c
 *	  Who is writing segments, and which of them may still be attached.
 */
#include "gc_fixture.h"
#include "unit.h"

UNIT_TEST(test_pending__the_oldest_counts_and_places_run_out)
{
	GcFixture	f;
	ReefPending pending[REEF_PENDING_MAX];
	ReefPending none = -1;
	int			i;

	gc_set_up(&f);
	UNIT_EQUAL_INT(reef_pending_oldest_us(f.a->ns), INT64_MAX);
	for (i = 0; i < REEF_PENDING_MAX; i++)
	{
		UNIT_OK(reef_pending_begin(f.a->ns, &pending[i], &f.err), &f.err);
		gc_advance(&f, SECOND_US);
	}
	UNIT_EQUAL_INT(reef_pending_oldest_us(f.a->ns), START_US);
	UNIT_CODE(reef_pending_begin(f.a->ns, &none, &f.err), REEF_LIMIT, &f.err);
	UNIT_EQUAL_INT(none, -1);
	reef_pending_end(f.a->ns, &none);
	reef_pending_end(f.a->ns, &pending[0]);
	UNIT_EQUAL_INT(pending[0], -1);
	UNIT_EQUAL_INT(reef_pending_oldest_us(f.a->ns), START_US + SECOND_US);
	UNIT_OK(reef_pending_begin(f.a->ns, &pending[0], &f.err), &f.err);
	for (i = 1; i < REEF_PENDING_MAX; i++)
		reef_pending_end(f.a->ns, &pending[i]);
	UNIT_EQUAL_INT(reef_pending_oldest_us(f.a->ns),
				   START_US + REEF_PENDING_MAX * SECOND_US);
	reef_pending_end(f.a->ns, &pending[0]);
	UNIT_EQUAL_INT(reef_pending_oldest_us(f.a->ns), INT64_MAX);
	gc_tear_down(&f);
}

UNIT_TEST(test_pending__a_process_that_ends_gives_back_its_own)
{
	GcFixture	f;
	ReefNamespace *other;
	ReefPending ours;
	ReefPending theirs;
	int			i;

	gc_set_up(&f);
	for (i = 0; i < 2; i++)
	{
		UNIT_OK(reef_namespace_attach(f.a->host, &f.a->settings, f.a->store,
									  "public/rows", f.a->shared, &other,
									  &f.err), &f.err);
		UNIT_OK(reef_pending_begin(other, &theirs, &f.err), &f.err);
		gc_advance(&f, SECOND_US);
		UNIT_OK(reef_pending_begin(f.a->ns, &ours, &f.err), &f.err);
		/* the memory is not given to another namespace meanwhile */
		UNIT_CODE(reef_namespace_shared_reset(f.a->host, f.a->shared, true,
											  &f.err), REEF_UNAVAILABLE,
				  &f.err);
		if (i == 1)
			reef_namespace_abandon(other);
		else
			reef_namespace_detach(other);
		UNIT_EQUAL_INT(reef_pending_oldest_us(f.a->ns),
					   START_US + (i + 1) * SECOND_US);
		reef_pending_end(f.a->ns, &ours);
		if (i == 1)
			reef_namespace_detach(other);
	}
	gc_tear_down(&f);
}

/* ---- what may be attached ---- */

typedef struct Based
{
	ReefPending pending;
	ReefOutputBase base;
} Based;

static Based
take_base(GcFixture *f)
{
	Based		based;

	UNIT_OK(reef_pending_begin(f->a->ns, &based.pending, &f->err), &f->err);
	UNIT_OK(reef_output_base_take(f->a->ns, based.pending, &based.base,
								  &f->err), &f->err);
	return based;
}

static ReefCode
check_base(GcFixture *f, const Based *based)
{
	return reef_output_base_check(f->a->ns, &based->base, &f->err);
}

UNIT_TEST(test_pending__a_fence_of_another_server_stands_in_the_way)
{
	GcFixture	f;
	Based		based;
	Based		later;
	Cluster    *b;

	gc_set_up(&f);
	gc_insert(&f, f.a, 1);
	based = take_base(&f);
	gc_insert(&f, f.a, 2);
	(void) cluster_fold(f.a);
	UNIT_OK(reef_fence_renew(f.a->ns, &f.err), &f.err);
	UNIT_OK(check_base(&f, &based), &f.err);
	reef_pending_end(f.a->ns, &based.pending);

	/* as a reader, which goes on with the memory that it has */
	cluster_close(f.a);
	b = gc_open(f.bucket, 2);
	gc_insert(&f, b, 3);
	f.a = gc_open(f.bucket, 3);
	based = take_base(&f);
	gc_insert(&f, b, 4);
	UNIT_OK(check_base(&f, &based), &f.err);
	cluster_close(b);
	b = gc_open(f.bucket, 4);
	gc_insert(&f, b, 5);
	gc_check(&f, f.a);
	UNIT_EQUAL_INT(f.a->shared->incarnation, based.base.incarnation);
	UNIT_CODE(check_base(&f, &based), REEF_CONFLICT, &f.err);
	later = take_base(&f);
	UNIT_OK(check_base(&f, &later), &f.err);
	reef_pending_end(f.a->ns, &based.pending);
	reef_pending_end(f.a->ns, &later.pending);
	cluster_close(b);
	gc_tear_down(&f);
}

UNIT_TEST(test_pending__memory_that_was_read_anew_does_not_know)
{
	GcFixture	f;
	Based		based;

	gc_set_up(&f);
	gc_insert(&f, f.a, 1);
	UNIT_OK(reef_namespace_reload(f.a->ns, f.a->shared->incarnation, &f.err),
			&f.err);
	UNIT_EQUAL_INT(f.a->shared->mode, REEF_MODE_CLOSED);
	/* never from a memory that is about to be opened */
	based = take_base(&f);
	UNIT_CHECK(f.a->shared->mode != REEF_MODE_CLOSED);
	UNIT_EQUAL_INT(based.base.lsn, 2);
	UNIT_OK(check_base(&f, &based), &f.err);
	UNIT_OK(reef_namespace_reload(f.a->ns, f.a->shared->incarnation, &f.err),
			&f.err);
	gc_check(&f, f.a);
	UNIT_CODE(check_base(&f, &based), REEF_CONFLICT, &f.err);
	reef_pending_end(f.a->ns, &based.pending);
	gc_tear_down(&f);
}

/* Its frame waits for another session that commits it. */
UNIT_TEST(test_pending__what_a_session_left_behind_is_not_attached)
{
	GcFixture	f;
	ReefTxn    *txn;
	ReefFrame  *frame;
	ReefError	reason;

	gc_set_up(&f);
	gc_insert(&f, f.a, 1);
	txn = gc_load(f.a, 2);
	UNIT_OK(reef_txn_prepare(txn, 0, NULL, &frame, &f.err), &f.err);
	reef_txn_free(txn);
	(void) cluster_commit(f.a, &frame, 1, &f.err);
	UNIT_EQUAL_INT(reef_frame_state(frame), REEF_FRAME_REJECTED);
	reef_frame_error(frame, &reason);
	UNIT_EQUAL_INT(reason.code, REEF_CONFLICT);
	reef_frame_free(f.a->host, frame);
	gc_check_from_outside(&f);
	/* a place is never mistaken for its next owner's */
	txn = gc_load(f.a, 2);
	UNIT_EQUAL_INT(table_commit(f.a, txn), REEF_FRAME_DURABLE);
	gc_note_load(f.model, 2);
	gc_check_from_outside(&f);
	gc_tear_down(&f);
}

UNIT_TEST(test_pending__a_load_that_cannot_be_attached_any_more_ends_early)
{
	GcFixture	f;
	ReefTxn    *txn;
	ModelRow	row = {true, 0, 0};
	ReefCode	rc = REEF_OK;
	bool		inserted;
	int			i;

	gc_set_up(&f);
	gc_insert(&f, f.a, 1);
	txn = gc_load(f.a, 2);
	UNIT_OK(reef_namespace_reload(f.a->ns, f.a->shared->incarnation, &f.err),
			&f.err);
	for (i = 4002; i < MODEL_KEYS && rc == REEF_OK; i++)
		rc = table_insert(txn, 1, 1, i, &row, REEF_INSERT_ERROR, &inserted);
	UNIT_EQUAL_INT(rc, REEF_CONFLICT);
	reef_txn_free(txn);
	gc_tear_down(&f);
}
