/*
 * compact_plan.h
 *	  Which segments to merge next.
 */
#ifndef REEF_ENGINE_COMPACT_PLAN_H
#define REEF_ENGINE_COMPACT_PLAN_H

#include "base/arena.h"
#include "format/manifest.h"

/* Level 0 is left alone while it has no more runs than this. */
#define REEF_COMPACT_IDLE_RUNS 6

typedef struct ReefCompactPlan
{
	int			level;			/* of the output */
	int			input_count;	/* 0: nothing is worth doing */
	int		   *inputs;			/* places in the manifest's list, ascending */
	int		   *runs;			/* which run each belongs to: segments of one
								 * run have no keys in common, and of two rows
								 * with one LSN that of the higher run is
								 * newer */
	int			run_count;
	uint64_t	bytes;			/* of the inputs */
} ReefCompactPlan;

/*
 * Decide by the manifest alone, so that the same one gives the same plan.
 * "full": everything into one clean run of level 1, in several steps if it is
 * too much for one.
 */
extern ReefCode reef_compact_plan(const ReefManifest *manifest,
								  size_t target_segment_size, bool full,
								  ReefArena *arena, ReefCompactPlan *plan,
								  ReefError *err) REEF_MUST_CHECK;

#endif							/* REEF_ENGINE_COMPACT_PLAN_H */
