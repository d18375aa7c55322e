/*
 * rebuild.h
 *	  A manifest from segments and records alone: what rebuild and repair share.
 *
 * What a segment's footer has, a copy of a manifest without that segment, and
 * the description of the segment itself, found out by reading it, make a BASE:
 * the namespace as of the copy's last_applied_lsn.  The base is COMPLETE if
 *
 *	  - every segment it names is there, whole as far as size and footer show;
 *	  - the records after it are there, without a hole and chained to it, and so
 *		are the segments that they attach;
 *	  - nothing of the namespace knows of a later LSN than the last of them.
 *
 * All complete bases are the same namespace [I1]: who wrote a segment, and
 * whether his manifest was ever committed, does not matter, because nobody
 * folds what is not settled in the store.  Without any copy the records from
 * LSN 1 on may still be complete.
 */
#ifndef REEF_ENGINE_REBUILD_H
#define REEF_ENGINE_REBUILD_H

#include "engine/state.h"

/* ---- segment_describe.c ---- */

/*
 * Describe a segment by reading all of it: the footer for what it says, the
 * first and last key, every byte for the checksums.  The LSNs of an attached
 * segment, which only its record knows, are 0.  REEF_CORRUPT if it is damaged.
 */
extern ReefCode reef_segment_describe(ReefNamespace *ns, const uint8_t id[16],
									  uint64_t size, ReefArena *arena,
									  ReefSegmentMeta *meta, ReefError *err)
			REEF_MUST_CHECK;

/* A segment's reader on the store, for its footer. */
typedef struct ReefSegmentFile
{
	ReefStore  *store;
	char		key[REEF_OBJECT_KEY_SIZE];
	ReefParquetReader *reader;
} ReefSegmentFile;

extern ReefCode reef_segment_file_open(ReefNamespace *ns,
									   const uint8_t id[16], uint64_t size,
									   ReefSegmentFile *file, ReefError *err)
			REEF_MUST_CHECK;
extern void reef_segment_file_close(ReefSegmentFile *file);

/* ---- survey.c ---- */

typedef struct ReefSurveyedSegment
{
	uint8_t		id[16];
	uint64_t	size;
	bool		is_readable;	/* its footer */
	bool		has_copy;
	uint8_t		namespace_id[16];	/* zeros: the footer does not say */
	uint64_t	lsn_max;		/* 0: an attached one */
	uint64_t	copy_version;
	uint64_t	copy_applied_lsn;
} ReefSurveyedSegment;

typedef enum ReefSurveyedState
{
	REEF_SURVEYED_UNREAD,
	REEF_SURVEYED_GOOD,
	REEF_SURVEYED_BAD				/* damaged, or gone since the list */
} ReefSurveyedState;

typedef struct ReefSurveyedRecord
{
	uint64_t	lsn;
	ReefSurveyedState state;
	uint8_t		namespace_id[16];
	uint32_t	crc;
	uint32_t	previous_crc;
} ReefSurveyedRecord;

/* A segment that a record attaches; those of void frames stay as long as the
 * record, see gc.c. */
typedef struct ReefSurveyedAttach
{
	uint64_t	lsn;
	uint8_t		segment_id[16];
	uint64_t	size;
	uint64_t	document_count;
} ReefSurveyedAttach;

/* What is stored of a namespace, without its manifests' contents. */
typedef struct ReefSurvey
{
	ReefNamespace *ns;
	ReefArena	arena;
	int			segment_count;
	ReefSurveyedSegment *segments;	/* by id */
	int			record_count;
	ReefSurveyedRecord *records;	/* by LSN */
	int			attach_count;
	int			attach_capacity;
	ReefSurveyedAttach *attaches;
	uint64_t	version_max;	/* highest that anything mentions */
	uint64_t	listed_version; /* highest that a manifest has as its name */
} ReefSurvey;

/*
 * Read what is there, one footer at a time.  Damage is not an error; a newer
 * format is, because nothing can be said about it.  Release it in any case.
 */
extern ReefCode reef_survey_init(ReefSurvey *survey, ReefNamespace *ns,
								 ReefError *err) REEF_MUST_CHECK;
extern void reef_survey_release(ReefSurvey *survey);
/* Read one record, by its index, unless that has been done. */
extern ReefCode reef_survey_read_record(ReefSurvey *survey, int index,
										ReefError *err) REEF_MUST_CHECK;
extern const ReefSurveyedSegment *reef_survey_find(const ReefSurvey *survey,
												   const uint8_t id[16]);

/* ---- rebuild_base.c ---- */

/* What a base lacks. */
typedef struct ReefBaseLoss
{
	uint64_t	segments;		/* that it, or a record after it, names */
	uint64_t	documents;		/* in those */
	uint64_t	lsn_first;		/* records that are missing or damaged, or come
								 * after one that is; 0: none */
	uint64_t	lsn_last;
} ReefBaseLoss;

typedef struct ReefBase
{
	uint8_t		namespace_id[16];
	const ReefSurveyedSegment *carrier; /* NULL: no copy */
	uint64_t	last_lsn;		/* of the records that can be applied */
	ReefBaseLoss loss;
	ReefManifest manifest;		/* version: the copy's */
} ReefBase;

/*
 * The newest complete base, or else the one that lacks least.  *found false:
 * nothing of any namespace is there.  "current" (may be NULL) is a manifest
 * that can be read: it knows of its LSN.  Everything in *base lives in the
 * arena.
 */
extern ReefCode reef_survey_choose_base(ReefSurvey *survey,
										const ReefManifest *current,
										ReefArena *arena, ReefBase *base,
										bool *found, ReefError *err)
			REEF_MUST_CHECK;
/* Documents, segments and records that a base lacks, added up. */
extern uint64_t reef_base_loss_size(const ReefBaseLoss *loss);
/* Say what a base lacks, object by object. */
extern ReefCode reef_base_report_loss(ReefSurvey *survey, const ReefBase *base,
									  ReefActionVisitor visit, void *arg,
									  ReefError *err) REEF_MUST_CHECK;

/* ---- rebuild.c ---- */

/*
 * For repair, when no manifest can be read: the best base, complete or not,
 * with the version of its copy.
 */
extern ReefCode reef_rebuild_find_base(ReefNamespace *ns, ReefArena *arena,
									   ReefManifest *manifest, bool *found,
									   ReefError *err) REEF_MUST_CHECK;

#endif							/* REEF_ENGINE_REBUILD_H */
