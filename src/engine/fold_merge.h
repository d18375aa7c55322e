/*
 * fold_merge.h
 *	  The rows of some memtable generations as one sorted sequence.
 */
#ifndef REEF_ENGINE_FOLD_MERGE_H
#define REEF_ENGINE_FOLD_MERGE_H

#include "engine/state.h"

/* What is left of a key after its void versions are gone. */
typedef struct ReefFoldRow
{
	ReefSlice	key;
	const ReefVersion *newest;
	bool		is_superseding; /* something older may have the key: below the
								 * window, or attached in it */
} ReefFoldRow;

typedef struct ReefFoldMerge
{
	const ReefHost *host;
	int			count;
	ReefGeneration **generations;	/* oldest first; borrowed */
	ReefNode  **nodes;			/* [count] where each stands */
	bool		has_attached;	/* segments lie between the rows */
} ReefFoldMerge;

/* Stand before the first row. */
extern ReefCode reef_fold_merge_init(ReefFoldMerge *merge,
									 const ReefHost *host,
									 ReefGeneration **generations, int count,
									 ReefArena *arena, ReefError *err)
			REEF_MUST_CHECK;
/* False at the end. */
extern bool reef_fold_merge_next(ReefFoldMerge *merge, ReefFoldRow *row);

struct ReefFoldOutput;

/*
 * Fill *copy, the manifest that will be committed if nobody else commits one
 * before, from what the output has so far: everything but the last segment.
 */
typedef ReefCode (*ReefFoldDescribe) (void *arg,
									  const struct ReefFoldOutput *output,
									  ReefManifest *copy, ReefError *err);

/* All transactions that a fold takes, written as level-0 segments. */
typedef struct ReefFoldOutput
{
	ReefArena  *arena;
	ReefFoldDescribe describe;	/* for the copy in the last segment's footer;
								 * may be NULL */
	void	   *describe_arg;
	bool		has_copy;		/* one was written */
	int			segment_count;
	int			capacity;
	ReefSegmentMeta *segments;	/* oldest first */
	int			written_count;	/* of them by us, not attached */
	uint64_t	rows;
	uint64_t	bytes;
} ReefFoldOutput;

extern ReefCode reef_fold_write(ReefNamespace *ns, const ReefSchema *schema,
								ReefGeneration **generations, int count,
								ReefFoldOutput *output, ReefError *err)
			REEF_MUST_CHECK;

#endif							/* REEF_ENGINE_FOLD_MERGE_H */
