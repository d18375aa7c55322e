/*
 * repair_build.h
 *	  The state of a repaired namespace, made in memory and then in the store.
 */
#ifndef REEF_ENGINE_REPAIR_BUILD_H
#define REEF_ENGINE_REPAIR_BUILD_H

#include "engine/repair.h"

/* Load the base into a scratch namespace; release with _release. */
extern ReefCode reef_repair_scratch_open(ReefRepair *repair, ReefError *err)
			REEF_MUST_CHECK;
extern void reef_repair_scratch_release(ReefRepair *repair);
/*
 * After the tail is applied: report what the segments have lost and, unless it
 * is a dry run, write segments and fill and encode the next manifest.
 */
extern ReefCode reef_repair_build(ReefRepair *repair, ReefError *err)
			REEF_MUST_CHECK;

#endif							/* REEF_ENGINE_REPAIR_BUILD_H */
