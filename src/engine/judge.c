/*
 * judge.c
 *	  Which transactions in a run of records are void.
 *
 * A record says nothing about its own fate.  A later one may void one of its
 * transactions.  A transaction that also wrote heap tables of this server's
 * lineage is decided by pg_xact, unless a later fence of another incarnation
 * has made it final (DESIGN section 4).  One over several namespaces is decided
 * in one of them (decide.c), where the same rules hold, and nowhere else: its
 * coupling counts only there.  So a run of records is judged from the top,
 * where the aborts and fences are, to the bottom.
 */
#include <stdio.h>

#include "engine/decide.h"

/* The fences above a record, as far as they matter: is there one by an
 * incarnation other than the record's? */
typedef struct FencesAbove
{
	int			count;			/* different clusters seen, at most 2 */
	const uint8_t *cluster_ids[2];
} FencesAbove;

typedef struct Judge
{
	ReefNamespace *ns;
	ReefRecord *records;
	int			count;
	ReefJudging judging;
	FencesAbove fences;
	ReefDeciders deciders;
	ReefJudgement *judgement;
} Judge;

static void
fences_add(FencesAbove *fences, const uint8_t *cluster_id)
{
	if (fences->count == 2 ||
		(fences->count == 1 &&
		 memcmp(fences->cluster_ids[0], cluster_id, 16) == 0))
		return;
	fences->cluster_ids[fences->count++] = cluster_id;
}

static bool
fences_have_other(const FencesAbove *fences, const uint8_t *cluster_id)
{
	return fences->count == 2 ||
		(fences->count == 1 &&
		 memcmp(fences->cluster_ids[0], cluster_id, 16) != 0);
}

/* NULL: not among these records */
static ReefRecord *
record_at(ReefRecord *records, int count, uint64_t lsn)
{
	if (count == 0 || lsn < records[0].header.lsn ||
		lsn - records[0].header.lsn >= (uint64_t) count)
		return NULL;
	return &records[lsn - records[0].header.lsn];
}

/* ---- judge ---- */

/*
 * Is a transaction below the records that are judged in memory, and not as a
 * void one?  What recovery found void, also by an abort above what it then
 * stopped at, it has left out.
 */
static bool
is_live(const Judge *judge, uint64_t lsn, uint32_t frame)
{
	const ReefHost *host = judge->ns->host;
	const ReefNamespaceShared *shared = judge->ns->shared;
	const ReefApplied *applied;
	bool		answer;

	reef_namespace_lock(host, shared, false);
	applied = reef_applied_find(shared, lsn, frame);
	answer = applied != NULL && atomic_load(&applied->hint) != REEF_XID_ABORTED;
	reef_namespace_unlock(host, shared);
	return answer;
}

static ReefCode
heed_aborts(Judge *judge, ReefSlice frame, ReefArena *arena,
			ReefFrameReader *reader, ReefError *err)
{
	ReefOp		op;
	ReefCode	rc;

	REEF_TRY(reef_frame_reader_init(reader, frame, arena, err));
	for (;;)
	{
		ReefRecord *target;

		rc = reef_frame_reader_next(reader, &op, err);
		/* a frame of aborts has nothing else */
		if (rc == REEF_NOT_FOUND || (rc == REEF_OK && op.kind != REEF_OP_ABORT))
			return REEF_OK;
		if (rc != REEF_OK)
			return rc;
		target = record_at(judge->records, judge->count, op.abort_lsn);
		if (op.abort_lsn < judge->records[0].header.lsn)
			judge->judgement->names_older |=
				is_live(judge, op.abort_lsn, op.abort_frame);
		else if (target != NULL && op.abort_frame < target->header.frame_count)
			target->is_void[op.abort_frame] = true;
	}
}

/*
 * A heap transaction of our own lineage that did not commit: its frame is void,
 * and must be voided in the store before our fence would make it final.
 */
static bool
coupling_aborted(const Judge *judge, const ReefRecord *record,
				 const ReefFrameHeader *header)
{
	const ReefHost *host = judge->ns->host;

	return judge->judging != REEF_JUDGE_LOG && header->is_coupled &&
		!fences_have_other(&judge->fences, record->header.cluster_id) &&
		host->coupling_state(host->arg, &header->coupling) ==
		REEF_XID_ABORTED;
}

static ReefCode
judge_dependent(Judge *judge, int index, uint32_t frame,
				const ReefFrameHeader *header, ReefSlice decider,
				ReefError *err)
{
	ReefRecord *record = &judge->records[index];
	bool		is_committed;

	if (judge->judging == REEF_JUDGE_LOG || judge->judging == REEF_JUDGE_OWN)
		return REEF_OK;
	judge->judgement->has_asked = true;
	judge->ns->has_fenced_others |= judge->judging == REEF_JUDGE_TAKEOVER;
	REEF_TRY(reef_deciders_ask(&judge->deciders, decider,
							   header->transaction_id, &is_committed, err));
	if (is_committed)
		return REEF_OK;
	if (judge->judging == REEF_JUDGE_READ)
	{
		judge->judgement->decided_count = index;
		return REEF_OK;
	}
	record->is_void[frame] = true;
	record->needs_abort[frame] = true;
	judge->judgement->has_voided = true;
	return REEF_OK;
}

static ReefCode
judge_record(Judge *judge, int index, ReefError *err)
{
	ReefRecord *record = &judge->records[index];
	ReefFrameReader reader;
	ReefArena	arena;
	ReefCode	rc = REEF_OK;
	uint32_t	frame;

	reef_arena_init(&arena, 0);
	for (frame = 0; frame < record->header.frame_count && rc == REEF_OK;
		 frame++)
	{
		ReefSlice	decider;

		reef_arena_reset(&arena);
		rc = heed_aborts(judge, record->frames[frame], &arena, &reader, err);
		if (rc != REEF_OK || record->is_void[frame])
			continue;
		decider = reef_frame_decider(judge->ns->name, &reader.header);
		if (decider.size > 0)
			rc = judge_dependent(judge, index, frame, &reader.header, decider,
								 err);
		else if (coupling_aborted(judge, record, &reader.header))
		{
			record->is_void[frame] = true;
			record->needs_abort[frame] = true;
		}
	}
	reef_arena_release(&arena);
	return rc;
}

/* What this cluster has voided already, and the log does not say yet. */
static void
heed_queue(Judge *judge)
{
	const ReefNamespaceShared *shared = judge->ns->shared;
	int			i;

	reef_namespace_lock(judge->ns->host, shared, false);
	for (i = 0; i < shared->pending_abort_count; i++)
	{
		const ReefPendingAbort *pending = &shared->pending_aborts[i];
		ReefRecord *record = record_at(judge->records, judge->count,
									   pending->lsn);

		if (record == NULL || !pending->is_dependent ||
			pending->frame >= record->header.frame_count)
			continue;
		record->is_void[pending->frame] = true;
		record->needs_abort[pending->frame] = true;
	}
	reef_namespace_unlock(judge->ns->host, shared);
}

ReefCode
reef_records_judge(ReefNamespace *ns, ReefRecord *records, int count,
				   ReefJudging judging, ReefJudgement *judgement,
				   ReefError *err)
{
	Judge		judge = {
		.ns = ns,
		.records = records,
		.count = count,
		.judging = judging,
		.judgement = judgement
	};
	ReefCode	rc = REEF_OK;
	int			i;

	memset(judgement, 0, sizeof(*judgement));
	judgement->decided_count = count;
	reef_deciders_init(&judge.deciders, ns, judging);
	heed_queue(&judge);
	for (i = count - 1; i >= 0 && rc == REEF_OK; i--)
	{
		if (records[i].header.frame_count > 0)
			rc = judge_record(&judge, i, err);
		else
			fences_add(&judge.fences, records[i].header.cluster_id);
	}
	reef_deciders_release(&judge.deciders);
	return rc;
}

/* ---- the queue of aborts ---- */

static uint64_t
last_foreign_fence(const ReefNamespace *ns, const ReefRecord *records,
				   int count)
{
	int			i;

	for (i = count - 1; i >= 0; i--)
	{
		const ReefWalHeader *header = &records[i].header;

		if (header->frame_count == 0 &&
			memcmp(header->cluster_id, ns->settings->cluster_id, 16) != 0)
			return header->lsn;
	}
	return 0;
}

/*
 * Aborts that were queued before the state was forgotten.  What another
 * incarnation has fenced, or folded, is final: it took the transaction for
 * committed.  (Not if another namespace decided it: then all agree.)  Returns
 * how many have come too late.
 */
static int
review_queue(ReefNamespace *ns, ReefRecord *records, int count)
{
	ReefNamespaceShared *shared = ns->shared;
	uint64_t	final_lsn = last_foreign_fence(ns, records, count);
	uint64_t	applied_lsn = shared->manifests[0]->applied_lsn;
	int			kept = 0;
	int			late = 0;
	int			i;

	for (i = 0; i < shared->pending_abort_count; i++)
	{
		ReefPendingAbort *pending = &shared->pending_aborts[i];
		ReefRecord *record = record_at(records, count, pending->lsn);
		bool		is_here = record != NULL &&
			pending->frame < record->header.frame_count;

		/* (what needs an abort is queued anew) */
		if (is_here && record->is_void[pending->frame])
			continue;
		if (pending->lsn < final_lsn || pending->lsn <= applied_lsn)
		{
			late += !pending->is_dependent;
			continue;
		}
		if (is_here)
			record->is_void[pending->frame] = true;
		shared->pending_aborts[kept++] = *pending;
	}
	shared->pending_abort_count = kept;
	return late;
}

static ReefCode
queue_needed(ReefNamespace *ns, const ReefRecord *records, int count,
			 ReefError *err)
{
	uint32_t	frame;
	int			i;

	for (i = 0; i < count; i++)
	{
		for (frame = 0; frame < records[i].header.frame_count; frame++)
		{
			if (records[i].needs_abort[frame] &&
				!reef_pending_abort_add(ns->shared, records[i].header.lsn,
										frame, false))
				return reef_error_set(err, REEF_LIMIT,
									  "too many aborted transactions",
									  "namespace \"%s\" has more than %d that wait for their abort record",
									  ns->name, REEF_PENDING_ABORTS_MAX);
		}
	}
	return REEF_OK;
}

ReefCode
reef_records_queue_aborts(ReefNamespace *ns, ReefRecord *records, int count,
						  ReefError *err)
{
	ReefCode	rc;
	int			late;

	reef_namespace_lock(ns->host, ns->shared, true);
	late = review_queue(ns, records, count);
	rc = queue_needed(ns, records, count, err);
	reef_namespace_unlock(ns->host, ns->shared);
	if (late > 0)
	{
		char		line[300];

		snprintf(line, sizeof(line),
				 "another server has made %d transactions of namespace \"%.100s\" final that were rolled back here after their record was written",
				 late, ns->name);
		ns->host->log(ns->host->arg, REEF_LOG_WARNING, line);
	}
	return rc;
}
