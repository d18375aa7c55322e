/*
 * compact_merge.h
 *	  The rows of some segments as one sorted sequence, newest wins.
 */
#ifndef REEF_ENGINE_COMPACT_MERGE_H
#define REEF_ENGINE_COMPACT_MERGE_H

#include "engine/compact_plan.h"
#include "engine/state.h"

typedef struct ReefCompactMerge ReefCompactMerge;

/* The newest row of a key; borrowed until the next one. */
typedef struct ReefCompactRow
{
	ReefSlice	key;
	uint64_t	lsn;
	bool		is_tombstone;
	bool		is_superseding; /* may hide rows of segments that are not
								 * merged, as far as the inputs know */
} ReefCompactRow;

/*
 * Merge the plan's inputs.  Manifest and plan are borrowed until free.  The
 * speed is bounded by maintenance_io_limit.
 */
extern ReefCode reef_compact_merge_new(ReefNamespace *ns,
									   const ReefManifest *manifest,
									   const ReefCompactPlan *plan,
									   ReefCompactMerge **merge,
									   ReefError *err) REEF_MUST_CHECK;
/* *found false at the end. */
extern ReefCode reef_compact_merge_next(ReefCompactMerge *merge,
										ReefCompactRow *row, bool *found,
										ReefError *err) REEF_MUST_CHECK;
/* The row's values by the manifest's columns, in its types; borrowed until the
 * next one. */
extern ReefCode reef_compact_merge_values(ReefCompactMerge *merge,
										  ReefValue *values, ReefError *err)
			REEF_MUST_CHECK;
/* Rows of the inputs passed so far. */
extern uint64_t reef_compact_merge_rows(const ReefCompactMerge *merge);
extern void reef_compact_merge_free(ReefCompactMerge *merge);	/* accepts NULL */

#endif							/* REEF_ENGINE_COMPACT_MERGE_H */
