/*
 * engine_bench.c
 *	  What the engine itself costs: no PostgreSQL, no network.
 *
 *	  engine_bench [rows]
 *
 * Loads rows of 16 columns (1,000,000 of them by default) in one transaction,
 * as COPY would, into a store in memory, commits it, and then reads: single
 * rows by key at random and nearby, two columns of everything, the number of
 * rows.  Build it with the objects of src/ below pg/ at -O2:
 *
 *	  gcc -O2 -Isrc -Itest/unit -D_GNU_SOURCE test/bench/engine_bench.c \
 *		  test/unit/fake_host.c test/store/memory_store.c \
 *		  src/{base,format,parquet,store,engine}/[a-z]*.c \
 *		  -lzstd -llz4 -ljansson -lcurl -lcrypto -lm -o engine_bench
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../store/memory_store.h"
#include "base/document.h"
#include "engine/internal.h"
#include "fake_host.h"

#define COLUMNS 16

static ReefColumn columns[COLUMNS];
static const ReefSchema schema = {COLUMNS, columns};
static ReefNamespace *ns;
static ReefEngineSettings settings;

static void
check(ReefCode rc, const ReefError *err, const char *what)
{
	if (rc == REEF_OK)
		return;
	fprintf(stderr, "%s: %s: %s (%s)\n", what, reef_code_name(rc),
			err->message, err->detail);
	exit(1);
}

static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

static void
report(const char *what, double start, int64_t count)
{
	double		elapsed = seconds() - start;

	printf("%-44s %9.3f s  %10.3f us each\n", what, elapsed,
		   elapsed * 1e6 / (double) count);
}

static void
set_columns(void)
{
	static const char *const names[COLUMNS] = {
		"id", "c1", "c2", "c3", "c4", "c5", "c6", "c7",
		"c8", "c9", "c10", "c11", "c12", "c13", "c14", "c15"
	};
	int			i;

	for (i = 0; i < COLUMNS; i++)
	{
		bool		is_text = i % 4 == 3;

		columns[i].name = names[i];
		columns[i].type.length = -1;
		columns[i].type.kind = is_text ? REEF_KIND_TEXT : REEF_KIND_INT64;
		columns[i].type.pg_type = is_text ? "text" : "bigint";
	}
	columns[0].key_position = 1;
}

static void
load(int64_t rows, bool is_ascending, int64_t base)
{
	const ReefHost *host = ns->host;
	ReefTxnPoint point = {1, 1};
	ReefTxn    *txn;
	ReefFrame  *frame;
	ReefError	err;
	double		start;
	int64_t		i;

	check(reef_txn_new(ns, &schema, &txn, &err), &err, "begin");
	start = seconds();
	for (i = 0; i < rows; i++)
	{
		/* 2654435761 is prime to any number of rows below it */
		int64_t		id = base + (is_ascending ? i : i * INT64_C(2654435761) % rows);
		ReefValue	values[COLUMNS] = {{.is_null = false}};
		char		text[COLUMNS][24];
		bool		inserted;
		int			k;

		for (k = 0; k < COLUMNS; k++)
		{
			if (columns[k].type.kind == REEF_KIND_INT64)
				values[k].as.int64 = k == 0 ? id : id * k % 100003;
			else
				values[k].as.bytes =
					reef_slice(text[k], (size_t) snprintf(text[k], 24,
														  "text %d %d", k,
														  (int) (id % 1009)));
		}
		check(reef_txn_insert(txn, point, values, REEF_INSERT_ERROR, &inserted,
							  &err), &err, "insert");
	}
	report(is_ascending ? "insert in key order, spills included" :
		   "insert in random order, spills included", start, rows);
	start = seconds();
	check(reef_txn_prepare(txn, 0, NULL, &frame, &err), &err, "prepare");
	check(host->right_acquire(host->arg, 1, REEF_RIGHT_COMMIT, 0), &err,
		  "right");
	check(reef_commit(ns, &frame, 1, &err), &err, "commit");
	host->right_release(host->arg, 1, REEF_RIGHT_COMMIT);
	if (reef_frame_state(frame) != REEF_FRAME_DURABLE)
	{
		reef_frame_error(frame, &err);
		check(err.code, &err, "commit");
	}
	reef_frame_free(host, frame);
	reef_txn_free(txn);
	report("commit", start, rows);
}

static void
look_up(ReefView *view, int64_t rows, int64_t count, int64_t step,
		const char *what)
{
	ReefScanSpec spec = {.columns = columns, .column_count = COLUMNS};
	ReefKeyRange range = {.is_prefix = false};
	ReefScan   *scan;
	ReefBatch  *batch;
	ReefError	err;
	ReefBuf		key;
	double		start;
	int64_t		i;
	int64_t		found = 0;

	reef_buf_init(&key);
	check(reef_scan_open(view, &spec, &scan, &err), &err, "scan");
	start = seconds();
	for (i = 0; i < count; i++)
	{
		ReefValue	id = {.as.int64 = i * step % rows};

		reef_buf_reset(&key);
		reef_key_append(&key, REEF_KIND_INT64, &id);
		range.low = range.high = reef_buf_slice(&key);
		check(reef_scan_restart(scan, &range, &err), &err, "restart");
		check(reef_scan_next(scan, &batch, &err), &err, "next");
		found += batch->row_count;
	}
	report(what, start, count);
	if (found != count)
		printf("only %lld found\n", (long long) found);
	reef_scan_close(scan);
	reef_buf_release(&key);
}

static void
scan_all(ReefView *view, int column_count, const char *what)
{
	ReefScanSpec spec = {.columns = columns, .column_count = column_count};
	ReefScan   *scan;
	ReefBatch  *batch;
	ReefError	err;
	double		start = seconds();
	int64_t		found = 0;

	check(reef_scan_open(view, &spec, &scan, &err), &err, "scan");
	check(reef_scan_restart(scan, NULL, &err), &err, "restart");
	do
	{
		check(reef_scan_next(scan, &batch, &err), &err, "next");
		found += batch->row_count;
	} while (batch->row_count > 0);
	report(what, start, found);
	reef_scan_close(scan);
}

int
main(int argc, char **argv)
{
	int64_t		rows = argc > 1 ? atoll(argv[1]) : 1000000;
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	FakeHost   *fake = fake_host_new();
	ReefNamespaceShared *shared = calloc(1, reef_namespace_shared_size());
	ReefStore  *store;
	ReefView   *view;
	ReefError	err;

	set_columns();
	reef_engine_settings_init(&settings);
	check(reef_memory_store_open(bucket, &fake->host, false, &store, &err),
		  &err, "store");
	reef_namespace_shared_init(shared, 1);
	check(reef_namespace_attach(&fake->host, &settings, store, "bench/rows",
								shared, &ns, &err), &err, "attach");
	load(rows, true, 0);
	load(rows / 4, false, rows);

	check(reef_view_pin(ns, NULL, INT64_MAX, &view, &err), &err, "view");
	look_up(view, rows, 20000, 7919, "look up rows far apart, 16 columns");
	look_up(view, 20000, 200000, 7919, "look up rows in decoded pages");
	scan_all(view, 2, "scan 2 columns");
	scan_all(view, 2, "scan 2 columns again");
	scan_all(view, COLUMNS, "scan 16 columns");
	scan_all(view, 0, "count rows");
	reef_view_unpin(view);
	reef_namespace_detach(ns);
	reef_store_close(store);
	return 0;
}
