/*
 * gc.h
 *	  What the files of the collector share.  The rules are in gc.c.
 */
#ifndef REEF_ENGINE_GC_H
#define REEF_ENGINE_GC_H

#include "engine/maintenance.h"

/* A manifest that was listed, and read. */
typedef struct ReefGcManifest
{
	uint64_t	version;
	uint64_t	size;
	int64_t		modified_us;
} ReefGcManifest;

/* A segment that some manifest names. */
typedef struct ReefGcNamed
{
	uint8_t		id[16];
	uint64_t	lsn_max;
} ReefGcNamed;

typedef struct ReefGcNamedSet
{
	ReefGcNamed *items;			/* by id when it is sorted */
	size_t		count;
	size_t		capacity;
} ReefGcNamedSet;

/* A segment that no manifest names. */
typedef struct ReefGcOrphan
{
	uint8_t		id[16];
	uint64_t	size;
	int64_t		modified_us;
	bool		is_needed;		/* it is none, after all */
} ReefGcOrphan;

typedef struct ReefGcBatch ReefGcBatch;

typedef struct ReefGc
{
	ReefNamespace *ns;
	bool		dry_run;
	ReefGarbageVisitor visit;	/* may be NULL */
	void	   *arg;
	ReefGcResult *result;
	int64_t		now_us;			/* store time, before anything was listed */

	/* memory, before anything was listed */
	bool		is_writer;
	uint64_t	incarnation;

	/* manifests */
	ReefGcManifest *manifests;	/* ascending; the last one is current */
	int			manifest_count;
	int			expired_count;	/* of the first ones; the rest is retained */
	uint8_t		namespace_id[16];
	uint64_t	current_lsn;	/* last_applied_lsn of the current one */
	uint64_t	record_floor;	/* records up to here are needed by none that is
								 * retained, nor for a rebuild */
	int64_t		floor_since_us; /* since when */
	ReefGcNamedSet retained;	/* segments of the retained ones */
	ReefGcNamedSet expired;		/* segments of the others */

	/* records */
	uint64_t	lowest_kept;	/* of those that stay, fences aside; 0: none */
	uint64_t	highest;		/* of all; 0: none */
	bool		has_hole;		/* in what the current manifest has not applied */

	/* segments */
	ReefGcOrphan *orphans;		/* by id */
	size_t		orphan_count;
	size_t		orphan_capacity;

	ReefGcBatch *batch;			/* to be deleted */
	uint64_t	failures;		/* in the present kind of objects */
} ReefGc;

/* ---- gc.c ---- */

/* Delete this object, sooner or later; reef_gc_flush: now. */
extern ReefCode reef_gc_take(ReefGc *gc, const ReefObjectInfo *object,
							 const char *reason, ReefError *err)
			REEF_MUST_CHECK;
extern ReefCode reef_gc_flush(ReefGc *gc, ReefError *err) REEF_MUST_CHECK;
/* Has it been garbage for the grace window?  If not, take down when it will
 * have been. */
extern bool reef_gc_is_due(ReefGc *gc, int64_t since_us);
/* Something is garbage but must stay for a reason that has no time. */
extern void reef_gc_ask_again(ReefGc *gc);

typedef ReefCode (*ReefGcVisitor) (ReefGc *gc, const ReefObjectInfo *object,
								   const ReefObjectName *name,
								   ReefError *err);

/* Every object of this kind whose key is above start_after, by pages. */
extern ReefCode reef_gc_list(ReefGc *gc, ReefObjectKind kind,
							 const char *start_after, ReefGcVisitor visit,
							 ReefError *err) REEF_MUST_CHECK;

/* ---- gc_manifests.c ---- */

/*
 * List and read all manifests, and decide which are retained.  None:
 * manifest_count 0.  REEF_CORRUPT or REEF_UNSUPPORTED if one cannot be read.
 */
extern ReefCode reef_gc_load_manifests(ReefGc *gc, ReefError *err)
			REEF_MUST_CHECK;
/* Is it named, and by the record of which LSN at the latest? */
extern const ReefGcNamed *reef_gc_find_named(const ReefGcNamedSet *set,
											 const uint8_t id[16]);
extern ReefCode reef_gc_take_manifests(ReefGc *gc, ReefError *err)
			REEF_MUST_CHECK;

/* ---- gc_orphans.c ---- */

extern ReefCode reef_gc_add_orphan(ReefGc *gc, const ReefObjectInfo *object,
								   const uint8_t id[16], ReefError *err)
			REEF_MUST_CHECK;
extern ReefCode reef_gc_take_orphans(ReefGc *gc, ReefError *err)
			REEF_MUST_CHECK;

#endif							/* REEF_ENGINE_GC_H */
