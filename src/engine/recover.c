/*
 * recover.c
 *	  From objects to memory: the current manifest, then the records after it.
 *
 *	  read the tail -> judge its transactions -> still current? -> install
 *		  ^												|
 *		  +---------------------- no -------------------+
 *
 * tail.c says how the tail is read although nothing of it is a snapshot.  What
 * other namespaces have decided of its transactions is asked before the last
 * look at the manifests: they may forget it only after this namespace has a
 * manifest that has applied it, and then that one is seen.
 *
 * Opening for reading writes nothing.  It stops before a record that has a
 * transaction which is not decided yet: what is below is a state that was.
 */
#include <assert.h>
#include <stdlib.h>

#include "engine/decide.h"

#define RECOVER_ATTEMPTS_MAX 10

/* Records of one refresh; more are left to the next. */
#define REPLAY_BATCH_MAX 256

/* ---- install ---- */

/* Manifest and an empty generation; the mode stays closed, so nobody pins them
 * yet. */
static ReefCode
install_base(ReefTail *tail, ReefError *err)
{
	ReefNamespace *ns = tail->ns;
	ReefNamespaceShared *shared = ns->shared;
	const ReefManifest *manifest = &tail->manifest;
	ReefSharedManifest *shared_manifest;
	ReefGeneration *generation;
	ReefCode	rc;

	REEF_TRY(reef_shared_manifest_new(ns->host,
									  tail->has_manifest ? manifest : NULL,
									  reef_buf_slice(&tail->bytes),
									  shared->forgotten_xid, &shared_manifest,
									  err));
	rc = reef_generation_new(ns->host, reef_tail_applied_lsn(tail), &generation, err);
	if (rc != REEF_OK)
	{
		reef_shared_manifest_free(ns->host, shared_manifest);
		return rc;
	}

	reef_namespace_lock(ns->host, shared, true);
	reef_namespace_push_manifest(ns->host, shared, shared_manifest);
	shared->manifest_version_max = tail->version_max;
	shared->oldest = generation;
	shared->active = generation;
	shared->exists = tail->has_manifest || tail->record_count > 0;
	shared->last_lsn = reef_tail_applied_lsn(tail);
	if (tail->has_manifest)
	{
		/* a queue of aborts is about the namespace that was here before */
		if (memcmp(shared->namespace_id, manifest->namespace_id, 16) != 0)
			shared->pending_abort_count = 0;
		memcpy(shared->namespace_id, manifest->namespace_id, 16);
		shared->epoch = manifest->epoch;
		shared->last_crc = manifest->last_applied_crc;
		generation->last_epoch = manifest->epoch;
		generation->last_crc = manifest->last_applied_crc;
	}
	else if (tail->record_count == 0 ||
			 memcmp(shared->namespace_id,
					tail->records[0].header.namespace_id, 16) != 0)
		shared->pending_abort_count = 0;
	reef_namespace_unlock(ns->host, shared);
	return REEF_OK;
}

/* New hidden keys must be above all that are stored. */
static ReefCode
note_row_ids(ReefTail *tail, ReefError *err)
{
	const ReefManifest *manifest = &tail->manifest;
	ReefNamespaceShared *shared = tail->ns->shared;
	ReefValue  *values;
	int			column;
	int			i;

	if (!tail->has_manifest)
		return REEF_OK;
	column = reef_schema_key_column(&manifest->schema, 1);
	if (column < 0 || strcmp(manifest->schema.columns[column].name,
							 REEF_HIDDEN_KEY_COLUMN) != 0)
		return REEF_OK;
	values = reef_arena_calloc(&tail->arena, sizeof(*values) *
							   (size_t) manifest->schema.column_count);
	if (values == NULL)
		return reef_error_no_memory(err, sizeof(*values));
	for (i = 0; i < manifest->segment_count; i++)
	{
		REEF_TRY(reef_key_decode(manifest->segments[i].key_max,
								 &manifest->schema, &tail->arena, values,
								 err));
		/* only the holder of the commit right gets here */
		if (atomic_load(&shared->last_row_id) < values[column].as.int64)
			atomic_store(&shared->last_row_id, values[column].as.int64);
	}
	return REEF_OK;
}

/* ---- recover ---- */

/*
 * What other namespaces still have to say: the record behind the last one that
 * we apply may have to wait, and who only reads has answers that may change.
 */
static void
note_undecided(ReefNamespace *ns, uint64_t lsn, ReefJudging judging,
			   const ReefJudgement *judgement)
{
	ReefNamespaceShared *shared = ns->shared;

	reef_namespace_lock(ns->host, shared, true);
	if (shared->undecided_lsn != lsn)
		shared->undecided_since_us = ns->host->now_us(ns->host->arg);
	shared->undecided_lsn = lsn;
	shared->is_unconfirmed |= judging == REEF_JUDGE_READ &&
		judgement->has_asked;
	reef_namespace_unlock(ns->host, shared);
}

static ReefCode
install(ReefTail *tail, ReefJudging judging, const ReefJudgement *judgement,
		ReefError *err)
{
	ReefNamespace *ns = tail->ns;
	ReefNamespaceShared *shared = ns->shared;
	int			count = judgement->decided_count;
	int			i;

	REEF_TRY(install_base(tail, err));
	REEF_TRY(note_row_ids(tail, err));
	REEF_TRY(reef_records_queue_aborts(ns, tail->records, count, err));
	for (i = 0; i < count; i++)
		REEF_TRY(reef_record_apply(ns, &tail->records[i], err));

	reef_namespace_lock(ns->host, shared, true);
	shared->mode = REEF_MODE_READER;
	shared->refreshed_us = ns->host->now_us(ns->host->arg);
	shared->full_refresh_store_us = tail->listed_store_us;
	reef_namespace_unlock(ns->host, shared);
	reef_namespace_set_aside(ns->host, shared);
	note_undecided(ns, count < tail->record_count ?
				   tail->records[count].header.lsn : 0, judging, judgement);
	return REEF_OK;
}

/*
 * *is_done false: what we saw did not fit together, nothing is changed.  An
 * abort of a folded transaction came too late, or was heeded already.
 */
static ReefCode
recover_once(ReefTail *tail, ReefJudging judging, bool *is_done,
			 ReefError *err)
{
	ReefJudgement judgement;

	*is_done = true;
	REEF_TRY(reef_tail_load(tail, err));
	REEF_TRY(reef_records_judge(tail->ns, tail->records, tail->record_count,
								judging, &judgement, err));
	/* to void what was folded elsewhere would be wrong in the older manifest */
	if (judgement.has_asked)
		REEF_TRY(reef_tail_check_current(tail, judgement.has_voided, is_done,
										 err));
	if (!*is_done)
		return REEF_OK;
	return install(tail, judging, &judgement, err);
}

static ReefCode
recover(ReefNamespace *ns, ReefJudging judging, ReefError *err)
{
	int			i;

	assert(ns->shared->mode == REEF_MODE_CLOSED);
	for (i = 0; i < RECOVER_ATTEMPTS_MAX; i++)
	{
		ReefTail	tail;
		bool		is_done;
		ReefCode	rc;

		reef_tail_init(&tail, ns);
		rc = recover_once(&tail, judging, &is_done, err);
		reef_tail_release(&tail);
		if (rc != REEF_OK)
		{
			reef_namespace_close_shared(ns->host, ns->shared);
			return rc;
		}
		if (is_done)
			return REEF_OK;
	}
	return reef_error_set(err, REEF_UNAVAILABLE,
						  "could not open the namespace",
						  "namespace \"%s\" changed under each of %d attempts",
						  ns->name, RECOVER_ATTEMPTS_MAX);
}

ReefCode
reef_recover(ReefNamespace *ns, ReefError *err)
{
	return recover(ns, REEF_JUDGE_READ, err);
}

ReefCode
reef_recover_for_takeover(ReefNamespace *ns, ReefError *err)
{
	return recover(ns, REEF_JUDGE_TAKEOVER, err);
}

/* ---- follow ---- */

/*
 * Are these records something that can be put on top of our memory?  If they do
 * not fit, the namespace may have been dropped and made anew; whether they are
 * damaged is for recovery to say.
 */
static bool
fit_on_top(ReefNamespace *ns, const ReefRecord *records, int count)
{
	const ReefNamespaceShared *shared = ns->shared;
	uint32_t	previous_crc = shared->last_crc;
	ReefError	misfit;
	int			i;

	for (i = 0; i < count; i++)
	{
		reef_error_init(&misfit);
		if (reef_record_check(ns, &records[i], shared->namespace_id,
							  previous_crc, &misfit) != REEF_OK)
			return false;
		previous_crc = records[i].header.crc;

		/*
		 * We were the writer, or hold something as void that its record does
		 * not say: another one has made final what is undecided in memory.
		 */
		if ((shared->is_suspect || shared->pending_abort_count > 0) &&
			memcmp(records[i].header.cluster_id, ns->settings->cluster_id,
				   16) != 0)
			return false;
	}
	return true;
}

static ReefCode
load_following(ReefNamespace *ns, ReefArena *arena, ReefRecord *records,
			   int *count, ReefError *err)
{
	*count = 0;
	while (*count < REPLAY_BATCH_MAX)
	{
		uint64_t	lsn = ns->shared->last_lsn + 1 + (uint64_t) *count;
		ReefCode	rc;

		rc = reef_record_load(ns, lsn, arena, &records[*count], err);
		if (rc == REEF_NOT_FOUND)
			return REEF_OK;
		if (rc != REEF_OK)
			return rc;
		(*count)++;
	}
	return REEF_OK;
}

/*
 * Can these records be added to what is in memory?  How many of them is in
 * judgement->decided_count.
 */
static ReefCode
judge_following(ReefNamespace *ns, ReefRecord *records, int count,
				ReefJudging judging, ReefJudgement *judgement,
				bool *must_reopen, ReefError *err)
{
	ReefArena	arena;
	uint64_t   *versions;
	int			newer_count = 0;
	ReefCode	rc;

	*must_reopen = !fit_on_top(ns, records, count);
	if (*must_reopen)
		return REEF_OK;
	REEF_TRY(reef_records_judge(ns, records, count, judging, judgement, err));

	/*
	 * An abort of something that is in memory already: later patches may have
	 * been resolved on top of it, so build the memory anew.  (Not if it is our
	 * own: we knew that it was void all the time.)
	 */
	*must_reopen = judgement->names_older && !ns->shared->is_suspect;
	if (*must_reopen || !judgement->has_voided)
		return REEF_OK;

	/* as in recovery */
	reef_arena_init(&arena, 0);
	rc = reef_manifest_list(ns, ns->shared->manifest_version_max, &arena,
							&versions, &newer_count, err);
	reef_arena_release(&arena);
	*must_reopen = newer_count > 0;
	return rc;
}

static ReefCode
replay_batch(ReefNamespace *ns, ReefArena *arena, ReefJudging judging,
			 bool *must_reopen, bool *is_last, ReefError *err)
{
	ReefJudgement judgement;
	ReefRecord *records;
	int			count;
	int			i;

	records = reef_arena_calloc(arena, sizeof(*records) * REPLAY_BATCH_MAX);
	if (records == NULL)
		return reef_error_no_memory(err, sizeof(*records) * REPLAY_BATCH_MAX);
	REEF_TRY(load_following(ns, arena, records, &count, err));
	*is_last = count < REPLAY_BATCH_MAX;
	memset(&judgement, 0, sizeof(judgement));
	if (count == 0)
	{
		note_undecided(ns, 0, judging, &judgement);
		return REEF_OK;
	}
	REEF_TRY(judge_following(ns, records, count, judging, &judgement,
							 must_reopen, err));
	if (*must_reopen)
		return REEF_OK;
	if (judgement.decided_count < count)
		*is_last = true;
	REEF_TRY(reef_records_queue_aborts(ns, records, judgement.decided_count,
									   err));
	for (i = 0; i < judgement.decided_count; i++)
	{
		ReefCode	rc = reef_record_apply(ns, &records[i], err);

		if (rc != REEF_OK)
		{
			/* half a record may be in memory */
			reef_namespace_close_shared(ns->host, ns->shared);
			return rc;
		}
	}
	note_undecided(ns, judgement.decided_count < count ?
				   records[judgement.decided_count].header.lsn : 0, judging,
				   &judgement);
	return REEF_OK;
}

ReefCode
reef_replay_following(ReefNamespace *ns, bool is_takeover, bool *must_reopen,
					  ReefError *err)
{
	ReefJudging judging = is_takeover ? REEF_JUDGE_TAKEOVER :
		REEF_JUDGE_READ;
	ReefCode	rc = REEF_OK;
	bool		is_last = false;

	*must_reopen = false;
	while (rc == REEF_OK && !*must_reopen && !is_last)
	{
		ReefArena	arena;

		reef_arena_init(&arena, 0);
		rc = replay_batch(ns, &arena, judging, must_reopen, &is_last, err);
		reef_arena_release(&arena);
	}
	return rc;
}
