/*
 * gc_fixture.h
 *	  A server whose garbage is collected, and what to leave lying about.
 *
 * The table is that of table_fixture.h.  Store time stands still unless
 * gc_advance moves it.
 */
#ifndef REEF_GC_FIXTURE_H
#define REEF_GC_FIXTURE_H

#include "engine/maintenance.h"
#include "table_fixture.h"

#define SECOND_US INT64_C(1000000)
#define GRACE_US (1000 * SECOND_US)
#define START_US INT64_C(1700000000000000)

typedef struct GcFixture
{
	ReefMemoryBucket *bucket;
	Cluster    *a;
	Model	   *model;			/* what is committed, by whomever */
	ReefError	err;
} GcFixture;

extern Cluster *gc_open(ReefMemoryBucket *bucket, uint8_t id);
extern void gc_set_up(GcFixture *f);
extern void gc_tear_down(GcFixture *f);
extern void gc_advance(GcFixture *f, int64_t us);

/* Commit one row, which must succeed. */
extern void gc_insert(GcFixture *f, Cluster *cluster, int id);
/* A transaction of the rows first .. first + 3999, most of which are in segments
 * of its own.  NULL if the store would not have it. */
extern ReefTxn *gc_try_load(Cluster *cluster, int first);
extern ReefTxn *gc_load(Cluster *cluster, int first);
extern void gc_note_load(Model *model, int first);

/* The model is what a server finds that looks for news ... */
extern void gc_check(GcFixture *f, Cluster *cluster);
/* ... and one that has seen nothing. */
extern void gc_check_from_outside(GcFixture *f);

/* Objects with this in their key. */
extern int	gc_count_objects(GcFixture *f, const char *part);
extern bool gc_has_object(GcFixture *f, const char *key);

typedef struct GcCollected
{
	ReefGcResult result;
	char		text[2000];		/* "w2 m1 replaced orphaned ", "!" for failed */
	int			orphans;
} GcCollected;

extern ReefCode gc_try_collect(Cluster *cluster, bool dry_run,
							   GcCollected *collected, ReefError *err);
/* A dry run, which must change nothing, and a real one, which must do what it
 * said. */
extern GcCollected gc_collect(GcFixture *f, Cluster *cluster);

typedef struct GcRewrite
{
	bool		has_segment;
	ReefSegmentMeta segment;	/* instead of all there are */
	uint64_t	rebuildable_lsn;	/* UINT64_MAX: as it is */
} GcRewrite;

/* Commit another manifest. */
extern void gc_commit_rewrite(Cluster *cluster, GcRewrite *rewrite);
/* One that differs from the last in nothing. */
extern void gc_commit_copy(Cluster *cluster);
/* What a compaction does of a table of rows below 100. */
extern void gc_compact(GcFixture *f, Cluster *cluster);
/* What a crashed job leaves behind. */
extern void gc_leave_orphan(GcFixture *f, Cluster *cluster,
							char key[REEF_OBJECT_KEY_SIZE]);

#endif							/* REEF_GC_FIXTURE_H */
