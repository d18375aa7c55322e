/*
 * repair.h
 *	  A repair from the inside: what was found, and the state being built.
 */
#ifndef REEF_ENGINE_REPAIR_H
#define REEF_ENGINE_REPAIR_H

#include "engine/decide.h"
#include "engine/verify.h"

/* A place in the log. */
typedef enum ReefPlaceState
{
	REEF_PLACE_SOUND,
	REEF_PLACE_MISSING,
	REEF_PLACE_DAMAGED			/* there, but not to be believed */
} ReefPlaceState;

typedef struct ReefRepairSegment
{
	ReefSegmentMeta meta;
	ReefSchema	schema;
	ReefSegmentState state;
	struct ReefRepairSegment *next;	/* attached ones */
} ReefRepairSegment;

typedef struct ReefRepair
{
	ReefNamespace *ns;
	bool		dry_run;
	ReefActionVisitor visit;
	void	   *arg;
	uint8_t		run[16];		/* names what this repair sets aside */

	/* what was found */
	ReefArena	arena;
	ReefVerify	verify;
	uint8_t		namespace_id[16];
	bool		exists;
	uint64_t   *versions;
	bool	   *is_bad;			/* [version_count] cannot be read, or not ours */
	size_t		version_count;
	uint64_t	version_max;
	uint64_t	newest_version; /* that can be read; 0: none */
	uint64_t	newest_lsn;		/* what it has applied ... */
	uint32_t	newest_crc;
	bool		newest_is_bad;	/* one above it cannot be read */
	bool		has_copy;		/* a footer has a manifest */
	ReefManifest copy;
	ReefManifest base;			/* version 0: the records alone */
	bool		is_fallback;	/* the base is not the newest manifest */
	bool		is_copy;		/* it is from a segment's footer (rebuild.h) */
	ReefRecord *records;		/* from base.last_applied_lsn + 1 on, none left
								 * out; of one that is not sound only lsn and
								 * cluster_id mean something */
	ReefPlaceState *record_states;
	int			record_count;
	uint64_t	epoch;			/* highest seen */
	ReefRepairSegment *segments;	/* [base.segment_count] */
	ReefRepairSegment *attached;
	ReefRepairSegment *known;	/* all that have been looked at */
	bool		tail_is_sound;
	bool		segments_are_sound;
	bool		row_count_is_right;
	bool		has_bad_manifests;
	bool		has_lost_history;	/* rows that others were hidden by, or records,
									 * are lost: nothing that says "absent" can
									 * be believed */

	/* what is being built */
	ReefWalHeader fence;
	ReefNamespaceShared *shared;
	ReefNamespace *scratch;		/* the namespace as it will be, in memory of
								 * its own */
	ReefView   *view;
	ReefManifest next;
	ReefBuf		bytes;			/* of the next manifest */
} ReefRepair;

/* ---- repair.c ---- */

extern ReefCode reef_action_report(ReefRepair *repair, ReefError *err,
								   const char *action, const char *object,
								   const char *detail, ...)
			REEF_PRINTF(5, 6) REEF_MUST_CHECK;

/* ---- repair_survey.c ---- */

/* Fill "what was found". */
extern ReefCode reef_repair_survey(ReefRepair *repair, ReefError *err)
			REEF_MUST_CHECK;
/* Is there anything that a new manifest would make better? */
extern bool reef_repair_needs_manifest(const ReefRepair *repair);
/* The record's key. */
extern void reef_repair_record_key(const ReefRepair *repair, int index,
								   char key[REEF_OBJECT_KEY_SIZE]);

/* ---- repair_tail.c ---- */

/* Apply all that can be applied to the scratch namespace. */
extern ReefCode reef_repair_apply_tail(ReefRepair *repair, ReefError *err)
			REEF_MUST_CHECK;

/* ---- repair_segment.c ---- */

/* Rows that could not be read. */
typedef struct ReefSalvage
{
	uint64_t	rows;			/* that could */
	uint64_t	lost_rows;
	uint64_t	lost_places;	/* runs of pages */
} ReefSalvage;

/*
 * Copy the readable rows of a segment into a new one; what is lost is reported.
 * *meta is left alone, and *is_empty true, if none is readable.  "copy": the
 * manifest that the new segment carries, may be NULL.
 */
extern ReefCode reef_repair_rewrite(ReefRepair *repair,
									const ReefSegmentMeta *from,
									const ReefSchema *schema,
									const ReefManifest *copy,
									ReefSegmentMeta *meta,
									ReefSalvage *salvage, bool *is_empty,
									ReefError *err) REEF_MUST_CHECK;

/* ---- repair_store.c ---- */

/* Put exactly these bytes.  REEF_CONFLICT: something else is there. */
extern ReefCode reef_repair_put(ReefRepair *repair, const char *key,
								ReefSlice bytes, ReefError *err)
			REEF_MUST_CHECK;
/* A fence at fence.lsn. */
extern ReefCode reef_repair_put_fence(ReefRepair *repair, uint64_t lsn,
									  uint32_t previous_crc,
									  ReefWalHeader *header, ReefError *err)
			REEF_MUST_CHECK;
/* Copy an object below quarantine/ and compare the copy.  *is_kept false: it
 * could not be read, or is not there. */
extern ReefCode reef_repair_quarantine(ReefRepair *repair, const char *key,
									   bool *is_kept, ReefError *err)
			REEF_MUST_CHECK;

#endif							/* REEF_ENGINE_REPAIR_H */
