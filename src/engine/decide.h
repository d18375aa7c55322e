/*
 * decide.h
 *	  What has become of the transactions in a tail of records.
 *
 * decide.c opens with the protocol of transactions over several namespaces.
 */
#ifndef REEF_ENGINE_DECIDE_H
#define REEF_ENGINE_DECIDE_H

#include "engine/state.h"

/* ---- tail.c ---- */

/* The current manifest, and the records that it has not applied. */
typedef struct ReefTail
{
	ReefNamespace *ns;
	ReefArena	arena;
	ReefBuf		bytes;			/* of the manifest */
	ReefManifest manifest;
	bool		has_manifest;
	uint64_t	version_max;	/* highest number taken, readable or not */
	int64_t		listed_store_us;	/* when the manifests were listed */
	ReefRecord *records;
	int			record_count;
} ReefTail;

extern void reef_tail_init(ReefTail *tail, ReefNamespace *ns);
extern void reef_tail_release(ReefTail *tail);
/* Read until what was seen fits together; what the tail held before is let
 * go.  No manifest and no records: there is no such namespace. */
extern ReefCode reef_tail_load(ReefTail *tail, ReefError *err) REEF_MUST_CHECK;
extern uint64_t reef_tail_applied_lsn(const ReefTail *tail);
/* Could records, or what others know of them, have been collected since the
 * manifests were listed?  must_list: whatever the time says. */
extern ReefCode reef_tail_check_current(ReefTail *tail, bool must_list,
										bool *is_current, ReefError *err)
			REEF_MUST_CHECK;

/* ---- judge.c ---- */

typedef enum ReefJudging
{
	REEF_JUDGE_LOG,				/* only what aborts in the log say */
	REEF_JUDGE_OWN,				/* and pg_xact, of what nobody else decides */
	REEF_JUDGE_READ,			/* and other namespaces, as far as they have
								 * decided */
	REEF_JUDGE_TAKEOVER			/* and so that nothing stays undecided */
} ReefJudging;

typedef struct ReefJudgement
{
	bool		names_older;	/* an abort names a record below the first that is
								 * in memory and not void there */
	int			decided_count;	/* these first records have no frame that
								 * another namespace has yet to decide */
	bool		has_asked;		/* some frame was another namespace's matter */
	bool		has_voided;		/* ... and is void for ever because the other
								 * namespace has not committed it */
} ReefJudgement;

/*
 * Find the void frames of records in LSN order: is_void, and needs_abort if no
 * abort in the log says so.  What is in memory is not touched.
 */
extern ReefCode reef_records_judge(ReefNamespace *ns, ReefRecord *records,
								   int count, ReefJudging judging,
								   ReefJudgement *judgement, ReefError *err)
			REEF_MUST_CHECK;
/*
 * Queue the aborts that the records need; void the frames that the queue from
 * before names, and drop from it what is heeded or has come too late.
 */
extern ReefCode reef_records_queue_aborts(ReefNamespace *ns,
										  ReefRecord *records, int count,
										  ReefError *err) REEF_MUST_CHECK;

/* ---- decide.c ---- */

/* The participant that decides a frame of namespace "name"; empty if it is
 * that namespace itself. */
extern ReefSlice reef_frame_decider(const char *name,
									const ReefFrameHeader *header);

/* Namespaces that have been asked, each once. */
typedef struct ReefInquiry ReefInquiry;
typedef struct ReefDeciders
{
	ReefNamespace *ns;			/* who asks */
	ReefJudging judging;		/* TAKEOVER: fence them first, so that what is
								 * not committed never will be */
	ReefArena	arena;
	ReefInquiry *inquiries;
} ReefDeciders;

extern void reef_deciders_init(ReefDeciders *deciders, ReefNamespace *ns,
							   ReefJudging judging);
extern void reef_deciders_release(ReefDeciders *deciders);
extern ReefCode reef_deciders_ask(ReefDeciders *deciders, ReefSlice decider,
								  const uint8_t id[16], bool *is_committed,
								  ReefError *err) REEF_MUST_CHECK;

/* ---- transactions.c ---- */

/* Fill next->transactions: what the base names, and what is decided by the
 * generations that are folded. */
extern ReefCode reef_transactions_carry(const ReefHost *host,
										const ReefManifest *base,
										ReefGeneration *const *generations,
										int generation_count,
										ReefArena *arena, ReefManifest *next,
										ReefError *err) REEF_MUST_CHECK;

/* ---- settle.c ---- */

/*
 * Let the manifest forget what no participant can ask for any more.  Nothing to
 * do unless this cluster is the writer.  The caller holds the right of a job.
 */
extern ReefCode reef_transactions_settle(ReefNamespace *ns, ReefError *err)
			REEF_MUST_CHECK;

#endif							/* REEF_ENGINE_DECIDE_H */
