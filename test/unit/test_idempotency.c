/*
 * test_idempotency.c
 *	  A key is applied once [I6]: over folds, restarts, takeovers and doubt.
 */
#include <string.h>

#include "engine_fixture.h"
#include "unit.h"

typedef struct Attempt
{
	Cluster    *cluster;
	ReefTxn    *txn;
	ReefFrame  *frame;
	bool		is_known;
} Attempt;

static void
attempt_begin(Attempt *attempt, Cluster *cluster, const char *key, int64_t id)
{
	ReefValue	values[2] = {{.as.int64 = id}, {.is_null = true}};
	ReefTxnPoint point = {1, 1};
	ReefError	err;
	bool		inserted;

	reef_error_init(&err);
	memset(attempt, 0, sizeof(*attempt));
	attempt->cluster = cluster;
	UNIT_OK(reef_txn_new(cluster->ns, &fixture_schema, &attempt->txn, &err),
			&err);
	UNIT_OK(reef_txn_set_idempotency_key(attempt->txn,
										 reef_slice_of_string(key),
										 &attempt->is_known, &err), &err);
	if (!attempt->is_known)
		UNIT_OK(reef_txn_insert(attempt->txn, point, values, REEF_INSERT_ERROR,
								&inserted, &err), &err);
}

static void
attempt_prepare(Attempt *attempt, uint64_t full_xid)
{
	ReefError	err;

	reef_error_init(&err);
	UNIT_OK(reef_txn_prepare(attempt->txn, full_xid, NULL, &attempt->frame,
							 &err), &err);
	reef_txn_free(attempt->txn);
	attempt->txn = NULL;
}

static void
attempt_free(Attempt *attempt)
{
	reef_txn_free(attempt->txn);
	if (attempt->frame != NULL)
		reef_frame_free(attempt->cluster->host, attempt->frame);
}

static ReefFrameState
attempt_commit(Attempt *attempt, uint64_t full_xid)
{
	ReefFrameState state;
	ReefError	err;

	reef_error_init(&err);
	attempt_prepare(attempt, full_xid);
	(void) cluster_commit(attempt->cluster, &attempt->frame, 1, &err);
	state = reef_frame_state(attempt->frame);
	attempt_free(attempt);
	return state;
}

/* A whole transaction; false if the key is known. */
static bool
apply(Cluster *cluster, const char *key, int64_t id)
{
	Attempt		attempt;

	attempt_begin(&attempt, cluster, key, id);
	if (attempt.is_known)
	{
		attempt_free(&attempt);
		return false;
	}
	UNIT_EQUAL_INT(attempt_commit(&attempt, 0), REEF_FRAME_DURABLE);
	return true;
}

UNIT_TEST(test_idempotency__a_key_is_known_wherever_its_rows_are_i6)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	Cluster    *other;

	UNIT_CHECK(apply(cluster, "one", 1));
	UNIT_CHECK(!apply(cluster, "one", 2));
	UNIT_CHECK(cluster_fold(cluster).folded);
	UNIT_CHECK(!apply(cluster, "one", 2));
	UNIT_CHECK(apply(cluster, "two", 2));
	UNIT_CHECK(cluster_fold(cluster).folded);
	bucket_collect(bucket, cluster);
	UNIT_CHECK(!apply(cluster, "one", 3));
	UNIT_CHECK(apply(cluster, "three", 3));

	/* elsewhere, from manifest and record, before and after the takeover */
	other = cluster_open(bucket, 2);
	for (int i = 0; i < 2; i++)
	{
		UNIT_CHECK(!apply(other, "one", 4));
		UNIT_CHECK(!apply(other, "two", 4));
		UNIT_CHECK(!apply(other, "three", 4));
		UNIT_EQUAL_INT(cluster_insert(other, 100 + i, "x"),
					   REEF_FRAME_DURABLE);
	}
	cluster_crash(cluster);
	cluster = cluster_open(bucket, 3);
	UNIT_CHECK(!apply(cluster, "three", 4));
	UNIT_EQUAL_INT(cluster_count(cluster, NULL), 5);
	cluster_close(other);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_idempotency__a_key_is_forgotten_after_its_retention)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);

	cluster->settings.idempotency_retention_ms = 1000;
	UNIT_CHECK(apply(cluster, "one", 1));
	UNIT_CHECK(cluster_fold(cluster).folded);
	cluster->fake->time_us += 900 * 1000;
	UNIT_CHECK(apply(cluster, "two", 2));
	UNIT_CHECK(!apply(cluster, "one", 3));
	cluster->fake->time_us += 200 * 1000;
	UNIT_CHECK(apply(cluster, "one", 3));
	UNIT_CHECK(!apply(cluster, "two", 4));
	/* and again from the second use */
	UNIT_CHECK(cluster_fold(cluster).folded);
	UNIT_CHECK(!apply(cluster, "one", 4));
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

/* Who folds keeps a key for longer than who used it a second time. */
UNIT_TEST(test_idempotency__a_fold_names_a_key_once)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);

	UNIT_CHECK(apply(cluster, "one", 1));
	UNIT_CHECK(cluster_fold(cluster).folded);
	cluster->settings.idempotency_retention_ms = 1000;
	cluster->fake->time_us += 2000 * 1000;
	UNIT_CHECK(apply(cluster, "one", 2));
	cluster->fake->time_us += 2000 * 1000;
	UNIT_CHECK(apply(cluster, "one", 3));
	cluster->settings.idempotency_retention_ms = 100000;
	UNIT_CHECK(cluster_fold(cluster).folded);
	cluster->settings.idempotency_retention_ms = 1000;
	UNIT_CHECK(!apply(cluster, "one", 4));
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

/* Both looked before either committed. */
static void
race(bool same_record, bool is_undecided)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	Attempt		attempts[2];
	ReefFrame  *frames[2];
	ReefError	err;

	reef_error_init(&err);
	UNIT_EQUAL_INT(cluster_insert(cluster, 100, "x"), REEF_FRAME_DURABLE);
	fake_host_set_xid(cluster->fake, 7, REEF_XID_IN_PROGRESS);
	for (int i = 0; i < 2; i++)
	{
		attempt_begin(&attempts[i], cluster, "one", 1 + i);
		UNIT_CHECK(!attempts[i].is_known);
		attempt_prepare(&attempts[i], is_undecided && i == 0 ? 7 : 0);
		frames[i] = attempts[i].frame;
	}
	if (same_record)
		UNIT_OK(cluster_commit(cluster, frames, 2, &err), &err);
	else
	{
		UNIT_OK(cluster_commit(cluster, &frames[0], 1, &err), &err);
		UNIT_OK(cluster_commit(cluster, &frames[1], 1, &err), &err);
	}
	UNIT_EQUAL_INT(reef_frame_state(frames[0]), REEF_FRAME_DURABLE);
	UNIT_EQUAL_INT(reef_frame_state(frames[1]), REEF_FRAME_REJECTED);
	reef_frame_error(frames[1], &err);
	UNIT_EQUAL_INT(err.code, REEF_CONFLICT);
	for (int i = 0; i < 2; i++)
		attempt_free(&attempts[i]);
	fake_host_set_xid(cluster->fake, 7, REEF_XID_COMMITTED);
	UNIT_CHECK(!apply(cluster, "one", 3));
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_idempotency__of_two_that_race_one_is_applied_i6)
{
	race(false, false);
	race(true, false);
	race(false, true);
	race(true, true);
}

UNIT_TEST(test_idempotency__what_was_rolled_back_may_be_repeated_i6)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	Cluster    *other;
	Attempt		attempt;
	ReefError	err;

	reef_error_init(&err);
	fake_host_set_xid(cluster->fake, 7, REEF_XID_IN_PROGRESS);
	attempt_begin(&attempt, cluster, "one", 1);
	attempt_prepare(&attempt, 7);
	UNIT_OK(cluster_commit(cluster, &attempt.frame, 1, &err), &err);
	fake_host_set_xid(cluster->fake, 7, REEF_XID_ABORTED);
	reef_commit_void(cluster->ns, attempt.frame);
	attempt_free(&attempt);
	UNIT_CHECK(apply(cluster, "one", 1));
	other = cluster_open(bucket, 2);
	UNIT_CHECK(!apply(other, "one", 1));
	UNIT_EQUAL_INT(cluster_count(other, NULL), 1);
	cluster_close(other);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

static ReefFault
silence(void *arg, ReefFaultyCall call, const char *key)
{
	bool	   *reaches = arg;

	(void) key;
	if (call == REEF_FAULTY_PUT)
		return *reaches ? REEF_FAULT_LOSE_RESPONSE : REEF_FAULT_LOSE_REQUEST;
	return call == REEF_FAULTY_NOW ? REEF_FAULT_NONE : REEF_FAULT_REFUSE;
}

/* Nobody knows what became of the first attempt; the second one finds out. */
UNIT_TEST(test_idempotency__repeating_what_is_unknown_applies_it_once_i6)
{
	for (int variant = 0; variant < 4; variant++)
	{
		ReefMemoryBucket *bucket = reef_memory_bucket_new();
		Cluster    *cluster = cluster_open(bucket, 1);
		Cluster    *other;
		Attempt		attempt;
		bool		reaches = variant & 1;

		UNIT_EQUAL_INT(cluster_insert(cluster, 100, "x"), REEF_FRAME_DURABLE);
		attempt_begin(&attempt, cluster, "one", 1);
		reef_faulty_store_set_hook(cluster->faulty, silence, &reaches);
		UNIT_EQUAL_INT(attempt_commit(&attempt, 0), REEF_FRAME_UNKNOWN);
		reef_faulty_store_set_hook(cluster->faulty, NULL, NULL);

		other = cluster_open(bucket, 2);
		UNIT_EQUAL_INT(apply(variant & 2 ? other : cluster, "one", 1),
					   !reaches);
		UNIT_CHECK(!apply(other, "one", 1));
		UNIT_EQUAL_INT(cluster_count(other, NULL), 2);
		cluster_close(other);
		cluster_close(cluster);
		reef_memory_bucket_free(bucket);
	}
}

UNIT_TEST(test_idempotency__impossible_keys_are_refused)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	uint8_t		bytes[REEF_IDEMPOTENCY_KEY_MAX_SIZE + 1] = {0};
	ReefTxn    *txn;
	ReefError	err;
	bool		is_known;

	reef_error_init(&err);
	UNIT_OK(reef_txn_new(cluster->ns, &fixture_schema, &txn, &err), &err);
	UNIT_CODE(reef_txn_set_idempotency_key(txn, reef_slice(NULL, 0),
										   &is_known, &err), REEF_INVALID,
			  &err);
	UNIT_CODE(reef_txn_set_idempotency_key(txn,
										   reef_slice(bytes, sizeof(bytes)),
										   &is_known, &err), REEF_LIMIT, &err);
	reef_txn_free(txn);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}
