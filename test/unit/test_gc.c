/*
 * test_gc.c
 *	  What is collected, when, and that nothing else is.
 */
#include "gc_fixture.h"
#include "unit.h"

/* ---- when ---- */

UNIT_TEST(test_gc__the_grace_begins_when_an_object_becomes_garbage)
{
	GcFixture		f;
	GcCollected	collected;

	gc_set_up(&f);
	gc_insert(&f, f.a, 1);			/* record 2, after the fence */
	UNIT_EQUAL_STRING(gc_collect(&f, f.a).text, "");
	gc_advance(&f, 50 * GRACE_US);
	(void) cluster_fold(f.a);
	collected = gc_collect(&f, f.a);
	UNIT_EQUAL_STRING(collected.text, "");
	UNIT_EQUAL_INT(collected.result.next_due_us, START_US + 51 * GRACE_US);
	gc_advance(&f, 50 * GRACE_US);
	gc_insert(&f, f.a, 2);			/* record 3 */
	(void) cluster_fold(f.a);
	/* record 2 is in the only manifest that anybody may have had until now */
	collected = gc_collect(&f, f.a);
	UNIT_EQUAL_STRING(collected.text, "w2 ");
	UNIT_EQUAL_INT(collected.result.next_due_us, START_US + 101 * GRACE_US);
	gc_compact(&f, f.a);
	gc_advance(&f, GRACE_US - 1);
	UNIT_EQUAL_STRING(gc_collect(&f, f.a).text, "");
	gc_advance(&f, 1);
	collected = gc_collect(&f, f.a);
	UNIT_EQUAL_STRING(collected.text, "w3 replaced replaced m1 m2 ");
	UNIT_EQUAL_INT(collected.result.objects, 5);
	UNIT_EQUAL_INT(collected.result.next_due_us, 0);
	UNIT_EQUAL_STRING(gc_collect(&f, f.a).text, "");
	gc_check(&f, f.a);
	gc_check_from_outside(&f);
	gc_tear_down(&f);
}

UNIT_TEST(test_gc__fences_and_what_is_not_ours_stay)
{
	static const char *const others[] = {
		"public/rows/segment/notes.txt", "public/rows/wal/readme",
		"public/rows/quarantine/00000000-0000-7000-8000-000000000000/wal/00000000000000000002.wal",
		"public/rows/manifest/00000000000000000001.json.bak",
		"public/rows2/wal/00000000000000000001.wal"
	};
	size_t		count = sizeof(others) / sizeof(others[0]);
	GcFixture		f;
	size_t		i;

	gc_set_up(&f);
	for (i = 0; i < count; i++)
		UNIT_OK(reef_store_put_if_absent(f.a->store, others[i],
										 reef_slice_of_string("x"), &f.err),
				&f.err);
	for (i = 1; i < 6; i++)
	{
		gc_insert(&f, f.a, (int) i);
		cluster_close(f.a);
		f.a = gc_open(f.bucket, (uint8_t) (i + 1));
	}
	gc_insert(&f, f.a, 6);
	(void) cluster_fold(f.a);
	gc_advance(&f, 2 * GRACE_US);
	UNIT_EQUAL_STRING(gc_collect(&f, f.a).text, "w2 w4 w6 w8 w10 w12 ");
	for (i = 0; i < count; i++)
		UNIT_CHECK(gc_has_object(&f, others[i]));
	UNIT_EQUAL_INT(gc_count_objects(&f, "rows/wal/0"), 6);
	gc_check_from_outside(&f);
	gc_tear_down(&f);
}

static uint64_t
requests_to_open(GcFixture *f)
{
	Cluster    *reader = gc_open(f->bucket, 98);
	uint64_t	calls;

	UNIT_OK(reef_namespace_open(reader->ns, 0, &f->err), &f->err);
	calls = reef_faulty_store_calls(reader->faulty);
	cluster_close(reader);
	return calls;
}

UNIT_TEST(test_gc__fences_cost_nothing_when_opening)
{
	GcFixture	f;
	uint64_t	calls;
	int			i;

	gc_set_up(&f);
	gc_insert(&f, f.a, 1);
	(void) cluster_fold(f.a);
	calls = requests_to_open(&f);
	for (i = 2; i < 40; i++)
	{
		cluster_close(f.a);
		f.a = gc_open(f.bucket, (uint8_t) i);
		gc_insert(&f, f.a, i);
	}
	(void) cluster_fold(f.a);
	gc_advance(&f, 2 * GRACE_US);
	UNIT_EQUAL_INT(gc_collect(&f, f.a).result.objects, 39 + 1);
	gc_advance(&f, 2 * GRACE_US);
	UNIT_EQUAL_INT(gc_count_objects(&f, "/wal/"), 39);
	UNIT_EQUAL_INT(requests_to_open(&f), calls);
	gc_tear_down(&f);
}

UNIT_TEST(test_gc__records_that_a_rebuild_needs_stay)
{
	GcRewrite		rewrite = {.rebuildable_lsn = 2};
	GcFixture		f;

	gc_set_up(&f);
	gc_insert(&f, f.a, 1);
	gc_insert(&f, f.a, 2);
	(void) cluster_fold(f.a);
	gc_commit_rewrite(f.a, &rewrite);
	gc_advance(&f, 2 * GRACE_US);
	UNIT_EQUAL_STRING(gc_collect(&f, f.a).text, "w2 m1 ");
	gc_insert(&f, f.a, 3);
	(void) cluster_fold(f.a);
	gc_advance(&f, 2 * GRACE_US);
	UNIT_EQUAL_STRING(gc_collect(&f, f.a).text, "w3 w4 m2 ");
	gc_check_from_outside(&f);
	gc_tear_down(&f);
}

/* ---- readers ---- */

UNIT_TEST(test_gc__a_reader_elsewhere_has_the_grace_window)
{
	GcFixture		f;
	Cluster    *reader;
	ReefView   *view;
	ReefScan   *scan;
	ReefBatch  *batch;
	ReefScanSpec spec = {.columns = table_schema.columns, .column_count = 3};

	gc_set_up(&f);
	gc_insert(&f, f.a, 1);
	(void) cluster_fold(f.a);
	gc_advance(&f, 50 * GRACE_US);
	reader = gc_open(f.bucket, 9);
	UNIT_OK(reef_view_pin(reader->ns, NULL, 0, &view, &f.err), &f.err);
	gc_compact(&f, f.a);
	gc_advance(&f, GRACE_US - 1);
	UNIT_EQUAL_STRING(gc_collect(&f, f.a).text, "w2 ");
	UNIT_OK(reef_scan_open(view, &spec, &scan, &f.err), &f.err);
	UNIT_OK(reef_scan_restart(scan, NULL, &f.err), &f.err);
	UNIT_OK(reef_scan_next(scan, &batch, &f.err), &f.err);
	UNIT_EQUAL_INT(batch->row_count, 1);
	reef_scan_close(scan);
	reef_view_unpin(view);
	gc_advance(&f, 1);
	UNIT_EQUAL_STRING(gc_collect(&f, f.a).text, "replaced m1 ");
	gc_check(&f, reader);
	cluster_close(reader);
	gc_tear_down(&f);
}

UNIT_TEST(test_gc__a_view_of_this_server_has_all_the_time_it_wants)
{
	GcFixture		f;
	ReefView   *view;
	ReefScan   *scan;
	ReefBatch  *batch;
	ReefScanSpec spec = {.columns = table_schema.columns, .column_count = 3};
	GcCollected	collected;

	gc_set_up(&f);
	gc_insert(&f, f.a, 1);
	(void) cluster_fold(f.a);
	UNIT_OK(reef_view_pin(f.a->ns, NULL, 0, &view, &f.err), &f.err);
	gc_compact(&f, f.a);
	/* not even a fence of others, and a memory that is read anew, end it */
	gc_insert(&f, f.a, 2);
	(void) cluster_fold(f.a);
	UNIT_OK(reef_namespace_reload(f.a->ns, f.a->shared->incarnation, &f.err),
			&f.err);
	gc_check(&f, f.a);
	gc_advance(&f, 50 * GRACE_US);
	collected = gc_collect(&f, f.a);
	UNIT_EQUAL_STRING(collected.text, "w2 ");
	UNIT_CHECK(collected.result.next_due_us != 0);
	UNIT_OK(reef_scan_open(view, &spec, &scan, &f.err), &f.err);
	UNIT_OK(reef_scan_restart(scan, NULL, &f.err), &f.err);
	UNIT_OK(reef_scan_next(scan, &batch, &f.err), &f.err);
	UNIT_EQUAL_INT(batch->row_count, 1);
	reef_scan_close(scan);
	reef_view_unpin(view);
	UNIT_EQUAL_STRING(gc_collect(&f, f.a).text, "w3 replaced m1 m2 ");
	gc_check_from_outside(&f);
	gc_tear_down(&f);
}

/* A view that knows rows from a record's segment, when a later manifest names
 * the segment, and one after that no more. */
UNIT_TEST(test_gc__a_view_keeps_what_its_records_attach)
{
	GcFixture		f;
	ReefView   *view;
	ReefScan   *scan;
	ReefBatch  *batch;
	ReefScanSpec spec = {.columns = table_schema.columns, .column_count = 3};
	int			rows = 0;

	gc_set_up(&f);
	gc_insert(&f, f.a, 1);
	(void) cluster_fold(f.a);
	UNIT_EQUAL_INT(table_commit(f.a, gc_load(f.a, 2)), REEF_FRAME_DURABLE);
	UNIT_OK(reef_view_pin(f.a->ns, NULL, 0, &view, &f.err), &f.err);
	(void) cluster_fold(f.a);
	gc_compact(&f, f.a);
	gc_advance(&f, 50 * GRACE_US);
	UNIT_EQUAL_INT(gc_collect(&f, f.a).result.objects, 1);
	UNIT_OK(reef_scan_open(view, &spec, &scan, &f.err), &f.err);
	UNIT_OK(reef_scan_restart(scan, NULL, &f.err), &f.err);
	do
	{
		UNIT_OK(reef_scan_next(scan, &batch, &f.err), &f.err);
		rows += batch->row_count;
	} while (batch->row_count > 0);
	UNIT_EQUAL_INT(rows, 4001);
	reef_scan_close(scan);
	reef_view_unpin(view);
	UNIT_CHECK(gc_collect(&f, f.a).result.objects > 4);
	gc_tear_down(&f);
}

/* As the check of conditions does it: all generations, however old. */
UNIT_TEST(test_gc__a_view_of_the_present_keeps_what_old_generations_attach)
{
	GcFixture	f;
	ReefView   *view;
	ReefTxn    *txn;
	ReefFrame  *frame;
	ReefArena	arena;
	ReefBuf		key;
	uint64_t	lsn;

	gc_set_up(&f);
	gc_insert(&f, f.a, 1);
	(void) cluster_fold(f.a);
	txn = gc_load(f.a, 2);
	fake_host_set_xid(f.a->fake, 100, REEF_XID_IN_PROGRESS);
	UNIT_OK(reef_txn_prepare(txn, 100, NULL, &frame, &f.err), &f.err);
	UNIT_OK(cluster_commit(f.a, &frame, 1, &f.err), &f.err);
	fake_host_set_xid(f.a->fake, 100, REEF_XID_COMMITTED);
	reef_frame_free(f.a->host, frame);
	reef_txn_free(txn);
	/* some snapshot does not see the load yet, so the generation stays */
	fake_host_set_horizon(f.a->fake, 100);
	(void) cluster_fold(f.a);
	UNIT_EQUAL_INT(f.a->shared->manifest_count, 2);
	UNIT_OK(reef_view_pin_present(f.a->ns, &view, &f.err), &f.err);
	fake_host_set_horizon(f.a->fake, 101);
	reef_namespace_trim(f.a->host, f.a->shared);
	UNIT_EQUAL_INT(f.a->shared->manifest_count, 1);
	gc_compact(&f, f.a);
	gc_compact(&f, f.a);
	gc_advance(&f, 50 * GRACE_US);
	UNIT_EQUAL_STRING(gc_collect(&f, f.a).text, "w2 ");
	reef_arena_init(&arena, 0);
	UNIT_OK(reef_view_lookup(view, table_key(&key, 5), NULL, 0, &arena, NULL,
							 &lsn, &f.err), &f.err);
	UNIT_EQUAL_INT(lsn, 3);
	reef_buf_release(&key);
	reef_arena_release(&arena);
	reef_view_unpin(view);
	UNIT_CHECK(gc_collect(&f, f.a).result.objects > 5);
	gc_tear_down(&f);
}

/* ---- trouble ---- */

UNIT_TEST(test_gc__a_damaged_manifest_ends_collecting)
{
	GcFixture		f;
	GcCollected	collected;
	size_t		before;

	gc_set_up(&f);
	gc_insert(&f, f.a, 1);
	(void) cluster_fold(f.a);
	gc_compact(&f, f.a);
	gc_insert(&f, f.a, 2);
	(void) cluster_fold(f.a);
	gc_advance(&f, 2 * GRACE_US);
	UNIT_CHECK(reef_memory_bucket_flip(f.bucket,
									   "public/rows/manifest/00000000000000000001.json",
									   70, 1));
	before = reef_memory_bucket_count(f.bucket);
	UNIT_CODE(gc_try_collect(f.a, false, &collected, &f.err), REEF_CORRUPT,
			  &f.err);
	UNIT_CHECK(strstr(f.err.detail, "manifest/00000000000000000001.json"));
	UNIT_EQUAL_INT(reef_memory_bucket_count(f.bucket), before);
	gc_tear_down(&f);
}

UNIT_TEST(test_gc__what_cannot_be_deleted_is_reported_and_comes_again)
{
	GcFixture		f;
	GcCollected	collected;

	gc_set_up(&f);
	gc_insert(&f, f.a, 1);
	gc_insert(&f, f.a, 2);
	(void) cluster_fold(f.a);
	gc_compact(&f, f.a);
	gc_advance(&f, 2 * GRACE_US);
	/* the first record, then the segment */
	reef_faulty_store_fail_nth_of(f.a->faulty, REEF_FAULTY_DELETE, 1,
								  REEF_FAULT_REFUSE);
	UNIT_OK(gc_try_collect(f.a, false, &collected, &f.err), &f.err);
	UNIT_EQUAL_STRING(collected.text, "w2! w3 replaced m1 ");
	UNIT_EQUAL_INT(collected.result.failures, 1);
	UNIT_EQUAL_INT(collected.result.objects, 3);
	UNIT_EQUAL_STRING(gc_collect(&f, f.a).text, "w2 ");

	gc_compact(&f, f.a);
	gc_advance(&f, 2 * GRACE_US);
	reef_faulty_store_fail_nth_of(f.a->faulty, REEF_FAULTY_DELETE, 1,
								  REEF_FAULT_REFUSE);
	UNIT_OK(gc_try_collect(f.a, false, &collected, &f.err), &f.err);
	/* the manifest says what is still to be deleted */
	UNIT_EQUAL_STRING(collected.text, "replaced! ");
	UNIT_EQUAL_STRING(gc_collect(&f, f.a).text, "replaced m2 ");
	gc_check_from_outside(&f);
	gc_tear_down(&f);
}

UNIT_TEST(test_gc__a_server_that_is_behind_collects_nothing_and_reads_anew)
{
	GcFixture		f;
	Cluster    *b;
	GcCollected	collected;

	gc_set_up(&f);
	gc_insert(&f, f.a, 1);
	(void) cluster_fold(f.a);
	b = gc_open(f.bucket, 2);
	gc_insert(&f, b, 2);
	(void) cluster_fold(b);
	gc_advance(&f, 2 * GRACE_US);
	UNIT_OK(gc_try_collect(f.a, false, &collected, &f.err), &f.err);
	UNIT_EQUAL_STRING(collected.text, "");
	UNIT_EQUAL_INT(collected.result.next_due_us,
				   reef_memory_bucket_time(f.bucket));
	UNIT_EQUAL_INT(f.a->shared->mode, REEF_MODE_CLOSED);
	/* somebody who has nothing open may collect for others */
	UNIT_EQUAL_STRING(gc_collect(&f, f.a).text, "w2 w4 m1 ");
	gc_check(&f, f.a);
	gc_check(&f, b);
	cluster_close(b);
	gc_tear_down(&f);
}

UNIT_TEST(test_gc__a_collection_can_be_cancelled)
{
	GcFixture		f;
	GcCollected	collected;

	gc_set_up(&f);
	gc_insert(&f, f.a, 1);
	(void) cluster_fold(f.a);
	gc_advance(&f, 2 * GRACE_US);
	fake_host_cancel(f.a->fake, true);
	UNIT_CODE(gc_try_collect(f.a, false, &collected, &f.err), REEF_CANCELLED,
			  &f.err);
	fake_host_cancel(f.a->fake, false);
	UNIT_EQUAL_STRING(gc_collect(&f, f.a).text, "w2 ");
	gc_tear_down(&f);
}

/* More objects than one LIST or one request of deletions has. */
UNIT_TEST(test_gc__thousands_of_records_are_collected_page_by_page)
{
	GcFixture		f;
	int			i;

	gc_set_up(&f);
	for (i = 0; i < 2500; i++)
		gc_insert(&f, f.a, i);
	(void) cluster_fold(f.a);
	gc_advance(&f, 2 * GRACE_US);
	UNIT_EQUAL_INT(gc_collect(&f, f.a).result.objects, 2500);
	UNIT_EQUAL_INT(gc_count_objects(&f, "/wal/"), 1);
	gc_check_from_outside(&f);
	gc_tear_down(&f);
}
