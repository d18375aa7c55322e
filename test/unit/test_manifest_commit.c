/*
 * test_manifest_commit.c
 *	  The commit of a manifest: what becomes of it when requests are lost and
 *	  others commit, and what may be deleted then.
 */
#include <string.h>

#include "engine/maintenance.h"
#include "engine_fixture.h"
#include "unit.h"

/* ---- a job that changes nothing ---- */

typedef struct Job
{
	Cluster    *cluster;
	ReefManifestChange change;
	bool		says_stale;
	int			builds;
	ReefManifest committed;
	ReefManifestOutcome outcome;
	ReefCode	rc;
	ReefError	err;
	ReefArena	arena;
} Job;

static ReefCode
build(void *arg, const ReefManifest *base, ReefArena *arena,
	  ReefManifest *next, bool *is_stale, ReefError *err)
{
	Job		   *job = arg;

	(void) arena;
	(void) err;
	job->builds++;
	*is_stale = job->says_stale;
	*next = *base;
	memcpy(next->namespace_id, job->cluster->shared->namespace_id, 16);
	return REEF_OK;
}

static void
job_init(Job *job, Cluster *cluster)
{
	memset(job, 0, sizeof(*job));
	job->cluster = cluster;
	job->change.build = build;
	job->change.arg = job;
	job->change.incarnation = cluster->shared->incarnation;
	job->change.copy_base_version = UINT64_MAX;
	reef_arena_init(&job->arena, 0);
	reef_error_init(&job->err);
}

/* The arena's contents are not needed any more. */
static void
job_run(Job *job)
{
	job->rc = reef_manifest_commit(job->cluster->ns, &job->change, &job->arena,
								   &job->committed, &job->outcome, &job->err);
	reef_arena_release(&job->arena);
}

static Job
run(Cluster *cluster)
{
	Job			job;

	job_init(&job, cluster);
	job_run(&job);
	return job;
}

/* A cluster with one row folded: manifest 1. */
static Cluster *
open_folded(ReefMemoryBucket *bucket, uint8_t id)
{
	Cluster    *cluster = cluster_open(bucket, id);

	UNIT_EQUAL_INT(cluster_insert(cluster, id, "x"), REEF_FRAME_DURABLE);
	UNIT_CHECK(cluster_fold(cluster).folded);
	return cluster;
}

static bool
is_closed(const Cluster *cluster)
{
	return cluster->shared->mode == REEF_MODE_CLOSED;
}

UNIT_TEST(test_manifest_commit__the_next_version_is_installed)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = open_folded(bucket, 1);
	ReefNamespaceStatus status;
	Job			job = run(cluster);

	UNIT_OK(job.rc, &job.err);
	UNIT_EQUAL_INT(job.outcome, REEF_MANIFEST_COMMITTED);
	UNIT_EQUAL_INT(job.committed.version, 2);
	UNIT_EQUAL_INT(job.committed.parent_version, 1);
	UNIT_EQUAL_INT(cluster->shared->manifests[0]->version, 2);
	/* of the same rows: it takes the place of the one before */
	UNIT_EQUAL_INT(cluster->shared->manifest_count, 1);
	reef_namespace_status(cluster->host, cluster->shared, &status);
	UNIT_EQUAL_INT(status.manifest_version, 2);
	UNIT_CHECK(status.manifest_bytes > 0 && status.fold_bytes > 0 &&
			   status.wal_bytes > 0 && status.user_bytes > 0);
	UNIT_EQUAL_INT(status.fold_count, 1);
	UNIT_EQUAL_INT(cluster_count(cluster, NULL), 1);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_manifest_commit__a_stale_job_commits_nothing)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = open_folded(bucket, 1);
	uint64_t	puts = reef_faulty_store_calls_of(cluster->faulty,
												  REEF_FAULTY_PUT);
	Job			job;

	job_init(&job, cluster);
	job.says_stale = true;
	job_run(&job);
	UNIT_OK(job.rc, &job.err);
	UNIT_EQUAL_INT(job.outcome, REEF_MANIFEST_STALE);
	UNIT_EQUAL_INT(job.builds, 1);
	UNIT_CHECK(!is_closed(cluster));

	/* memory was read anew since the job began */
	job_init(&job, cluster);
	job.change.incarnation--;
	job_run(&job);
	UNIT_OK(job.rc, &job.err);
	UNIT_EQUAL_INT(job.outcome, REEF_MANIFEST_STALE);
	UNIT_EQUAL_INT(job.builds, 0);
	UNIT_EQUAL_INT(reef_faulty_store_calls_of(cluster->faulty,
											  REEF_FAULTY_PUT), puts);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_manifest_commit__a_taken_number_is_stale_and_closes_memory)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = open_folded(bucket, 1);
	Cluster    *other = open_folded(bucket, 2);
	Job			job = run(cluster);

	UNIT_OK(job.rc, &job.err);
	UNIT_EQUAL_INT(job.outcome, REEF_MANIFEST_STALE);
	UNIT_CHECK(is_closed(cluster));
	UNIT_EQUAL_INT(cluster_count(cluster, NULL), 2);
	job = run(cluster);
	UNIT_EQUAL_INT(job.outcome, REEF_MANIFEST_COMMITTED);
	UNIT_EQUAL_INT(job.committed.version, 3);
	cluster_close(other);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_manifest_commit__a_refused_put_is_certain)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = open_folded(bucket, 1);
	Job			job;

	reef_faulty_store_fail_nth_of(cluster->faulty, REEF_FAULTY_PUT, 1,
								  REEF_FAULT_REFUSE);
	job = run(cluster);
	UNIT_EQUAL_INT(job.rc, REEF_UNAVAILABLE);
	UNIT_EQUAL_INT(job.outcome, REEF_MANIFEST_STALE);
	UNIT_CHECK(!is_closed(cluster));
	UNIT_EQUAL_INT(run(cluster).outcome, REEF_MANIFEST_COMMITTED);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_manifest_commit__a_lost_answer_is_found_out)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = open_folded(bucket, 1);
	Job			job;

	reef_faulty_store_fail_nth_of(cluster->faulty, REEF_FAULTY_PUT, 1,
								  REEF_FAULT_LOSE_RESPONSE);
	job = run(cluster);
	UNIT_OK(job.rc, &job.err);
	UNIT_EQUAL_INT(job.outcome, REEF_MANIFEST_COMMITTED);
	reef_faulty_store_fail_nth_of(cluster->faulty, REEF_FAULTY_PUT, 1,
								  REEF_FAULT_LOSE_REQUEST);
	job = run(cluster);
	UNIT_OK(job.rc, &job.err);
	UNIT_EQUAL_INT(job.outcome, REEF_MANIFEST_COMMITTED);
	UNIT_EQUAL_INT(job.committed.version, 3);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

/* The put gets no answer, and neither does anything else. */
static ReefFault
lose_all(void *arg, ReefFaultyCall call, const char *key)
{
	(void) arg;
	if (strstr(key, "/manifest/") == NULL)
		return REEF_FAULT_NONE;
	if (call == REEF_FAULTY_PUT)
		return REEF_FAULT_LOSE_RESPONSE;
	return call == REEF_FAULTY_GET ? REEF_FAULT_REFUSE : REEF_FAULT_NONE;
}

UNIT_TEST(test_manifest_commit__no_answer_until_the_deadline_is_unknown_i9)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = open_folded(bucket, 1);
	int64_t		before_us = cluster->host->now_us(cluster->host->arg);
	Job			job;

	reef_faulty_store_set_hook(cluster->faulty, lose_all, NULL);
	job = run(cluster);
	UNIT_EQUAL_INT(job.rc, REEF_UNCERTAIN);
	UNIT_EQUAL_INT(job.outcome, REEF_MANIFEST_UNKNOWN);
	UNIT_CHECK(is_closed(cluster));
	UNIT_CHECK(cluster->host->now_us(cluster->host->arg) - before_us >=
			   cluster->settings.commit_timeout_us);
	reef_faulty_store_set_hook(cluster->faulty, NULL, NULL);
	/* it was there after all */
	UNIT_EQUAL_INT(cluster_count(cluster, NULL), 1);
	UNIT_EQUAL_INT(cluster->shared->manifests[0]->version, 2);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

typedef struct Intruder
{
	Cluster    *other;
	ReefFaultyCall call;
	bool		collects;		/* the first of its two manifests */
	bool		is_done;
	ReefMemoryBucket *bucket;
} Intruder;

/* At the call, the other cluster commits two manifests on what it finds. */
static ReefFault
intrude(void *arg, ReefFaultyCall call, const char *key)
{
	Intruder   *intruder = arg;
	char		name[REEF_OBJECT_KEY_SIZE];

	if (call != intruder->call || strstr(key, "/manifest/") == NULL ||
		intruder->is_done)
		return REEF_FAULT_NONE;
	intruder->is_done = true;
	UNIT_EQUAL_INT(cluster_insert(intruder->other, 100, "x"),
				   REEF_FRAME_DURABLE);
	UNIT_CHECK(cluster_fold(intruder->other).folded);
	UNIT_EQUAL_INT(cluster_insert(intruder->other, 101, "x"),
				   REEF_FRAME_DURABLE);
	UNIT_CHECK(cluster_fold(intruder->other).folded);
	reef_layout_manifest_key("public/rows", 2, name);
	if (intruder->collects)
		UNIT_CHECK(reef_memory_bucket_remove(intruder->bucket, name));
	return REEF_FAULT_NONE;
}

/*
 * Between our put and our look at the list somebody built on our manifest:
 * deleting what it names would lose rows.
 */
UNIT_TEST(test_manifest_commit__a_manifest_may_be_built_on_ours_i9)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = open_folded(bucket, 1);
	Intruder	intruder = {cluster_open(bucket, 2), REEF_FAULTY_LIST, false,
	false, bucket};
	Job			job;

	reef_faulty_store_set_hook(cluster->faulty, intrude, &intruder);
	job = run(cluster);
	UNIT_CHECK(intruder.is_done);
	UNIT_OK(job.rc, &job.err);
	UNIT_EQUAL_INT(job.outcome, REEF_MANIFEST_UNKNOWN);
	UNIT_CHECK(is_closed(cluster));
	UNIT_EQUAL_INT(intruder.other->shared->manifests[0]->version, 4);
	UNIT_EQUAL_INT(cluster_count(cluster, NULL), 3);
	cluster_close(intruder.other);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

/* Ours lands on a number that was collected: it means nothing. */
UNIT_TEST(test_manifest_commit__a_collected_number_is_not_committed_i1)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = open_folded(bucket, 1);
	Intruder	intruder = {cluster_open(bucket, 2), REEF_FAULTY_PUT, true,
	false, bucket};
	Job			job;

	reef_faulty_store_set_hook(cluster->faulty, intrude, &intruder);
	job = run(cluster);
	UNIT_CHECK(intruder.is_done);
	UNIT_OK(job.rc, &job.err);
	UNIT_EQUAL_INT(job.outcome, REEF_MANIFEST_UNKNOWN);
	UNIT_CHECK(is_closed(cluster));
	UNIT_EQUAL_INT(cluster_count(cluster, NULL), 3);
	cluster_close(intruder.other);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

/* Somebody else has the number, and there is a higher one: ours may have been
 * there before. */
UNIT_TEST(test_manifest_commit__a_taken_number_below_others_is_unknown_i9)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = open_folded(bucket, 1);
	Intruder	intruder = {cluster_open(bucket, 2), REEF_FAULTY_PUT, false,
	false, bucket};
	Job			job;

	reef_faulty_store_set_hook(cluster->faulty, intrude, &intruder);
	job = run(cluster);
	UNIT_OK(job.rc, &job.err);
	UNIT_EQUAL_INT(job.outcome, REEF_MANIFEST_UNKNOWN);
	UNIT_CHECK(is_closed(cluster));
	cluster_close(intruder.other);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

static ReefCode
refuse_right(void *arg, int lock_number, ReefRight right, int64_t timeout_us)
{
	(void) lock_number;
	(void) timeout_us;
	UNIT_EQUAL_INT(right, *(const ReefRight *) arg);
	return REEF_UNAVAILABLE;
}

/* Whoever holds the commit right may be waiting for nothing that we hold. */
UNIT_TEST(test_manifest_commit__the_manifest_right_is_free_while_it_waits)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = open_folded(bucket, 1);
	Cluster    *other = open_folded(bucket, 2);
	ReefRight	expected = REEF_RIGHT_COMMIT;
	Job			job;

	UNIT_EQUAL_INT(cluster->host->right_acquire(cluster->host->arg, 1,
												REEF_RIGHT_COMMIT, 0),
				   REEF_OK);
	cluster->fake->right_hook = refuse_right;
	cluster->fake->right_hook_arg = &expected;
	job = run(cluster);
	UNIT_EQUAL_INT(job.rc, REEF_UNAVAILABLE);
	UNIT_EQUAL_INT(job.outcome, REEF_MANIFEST_STALE);
	UNIT_CHECK(!cluster->fake->rights[1][REEF_RIGHT_MANIFEST]);
	/* memory could not be closed: the next one finds the number taken again */
	job = run(cluster);
	UNIT_EQUAL_INT(job.outcome, REEF_MANIFEST_STALE);
	cluster->host->right_release(cluster->host->arg, 1, REEF_RIGHT_COMMIT);
	job = run(cluster);
	UNIT_OK(job.rc, &job.err);
	UNIT_EQUAL_INT(job.outcome, REEF_MANIFEST_STALE);
	UNIT_EQUAL_INT(cluster_count(cluster, NULL), 2);
	cluster_close(other);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

/* When memory is used up the manifest is committed all the same, and memory
 * read anew. */
UNIT_TEST(test_manifest_commit__goes_on_without_memory)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = open_folded(bucket, 1);
	Job			job;

	reef_namespace_trim_retained(cluster->host, cluster->shared, true);
	cluster->fake->shared_budget = cluster->fake->shared_used;
	job = run(cluster);
	UNIT_OK(job.rc, &job.err);
	UNIT_EQUAL_INT(job.outcome, REEF_MANIFEST_COMMITTED);
	UNIT_CHECK(is_closed(cluster));
	UNIT_EQUAL_INT(cluster_count(cluster, NULL), 1);
	UNIT_EQUAL_INT(cluster->shared->manifests[0]->version, 2);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_manifest_commit__rebuildable_up_to_a_complete_copy)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = open_folded(bucket, 1);
	uint64_t	lsn = cluster->shared->manifests[0]->applied_lsn;
	Job			job;

	/* the fold's copy is complete, and stays so */
	UNIT_EQUAL_INT(run(cluster).committed.rebuildable_lsn, lsn);
	/* a copy of what is current */
	job_init(&job, cluster);
	job.change.copy_base_version = 2;
	job.change.copy_applied_lsn = lsn;
	job_run(&job);
	UNIT_EQUAL_INT(job.committed.rebuildable_lsn, lsn);
	/* a copy that lacks what another job has committed since */
	job_init(&job, cluster);
	job.change.copy_base_version = 2;
	job.change.copy_applied_lsn = lsn - 1;
	job_run(&job);
	UNIT_EQUAL_INT(job.outcome, REEF_MANIFEST_COMMITTED);
	UNIT_EQUAL_INT(job.committed.rebuildable_lsn, lsn - 1);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}
