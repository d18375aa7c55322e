/*
 * engine_fixture.h
 *	  A cluster for engine tests: a host, a store handle, one namespace.
 *
 * Any number of clusters may be open on one bucket, as servers on a store.
 * Time stands still in each (sleeps advance it), so no test waits.  The
 * table is (id bigint primary key, v text); a frame is written operation by
 * operation, without a transaction, so that a test can say exactly what is
 * in a record.
 */
#ifndef REEF_ENGINE_FIXTURE_H
#define REEF_ENGINE_FIXTURE_H

#include "engine/state.h"
#include "fake_host.h"
#include "../store/faulty_store.h"
#include "../store/memory_store.h"

typedef struct Cluster
{
	FakeHost   *fake;
	const ReefHost *host;
	ReefEngineSettings settings;
	ReefFaultyStore *faulty;
	ReefStore  *store;
	ReefNamespaceShared *shared;
	ReefNamespace *ns;
} Cluster;

/* "id" tells clusters apart: it is the first byte of the cluster id. */
extern Cluster *cluster_open(ReefMemoryBucket *bucket, uint8_t id);
extern Cluster *cluster_open_read_only(ReefMemoryBucket *bucket, uint8_t id);
/* Another namespace of the same server, with its host, clock and store; ends
 * with cluster_part_close, before the owner does. */
extern Cluster *cluster_part_open(Cluster *owner, const char *name,
								  int lock_number);
extern void cluster_part_close(Cluster *part);
/* An orderly end; checks that no shared memory is lost. */
extern void cluster_close(Cluster *cluster);
/* The machine is gone: what was in memory is forgotten, nothing is checked. */
extern void cluster_crash(Cluster *cluster);

typedef struct FrameBuilder
{
	Cluster    *cluster;
	ReefFrameWriter *writer;
	ReefBuf		resolved;
	int64_t		delta;
	uint64_t	validated_lsn;
	uint64_t	incarnation;
} FrameBuilder;

extern const ReefSchema fixture_schema;

/* Pins and unpins a view to know as of what the conditions are. */
extern void frame_begin(FrameBuilder *builder, Cluster *cluster);
extern void frame_begin_coupled(FrameBuilder *builder, Cluster *cluster,
								const ReefCoupling *coupling);
extern void frame_insert(FrameBuilder *builder, int64_t id, const char *v);
/* As if the row of record "lsn" had been read. */
extern void frame_update(FrameBuilder *builder, int64_t id, const char *v,
						 uint64_t lsn);
extern void frame_delete(FrameBuilder *builder, int64_t id, uint64_t lsn);
extern void frame_upsert(FrameBuilder *builder, int64_t id, const char *v,
						 bool is_new);
extern ReefFrame *frame_end(FrameBuilder *builder, uint64_t full_xid);

/* Commit with the right held; the code reef_commit returned. */
extern ReefCode cluster_commit(Cluster *cluster, ReefFrame **frames, int count,
							   ReefError *err);
/* One transaction of one insert; the state of its frame, which is freed. */
extern ReefFrameState cluster_insert(Cluster *cluster, int64_t id,
									 const char *v);
/* The LSN of a row that must be there. */
extern uint64_t cluster_row_lsn(Cluster *cluster, int64_t id);
/*
 * Read one row as the snapshot sees it (NULL: as of now), always asking the
 * store for news.  false: no such row.
 */
extern bool cluster_read(Cluster *cluster, int64_t id, void *snapshot,
						 char v[100]);
/* Number of rows a full scan finds; checks it against the row count if the
 * snapshot is NULL. */
extern int	cluster_count(Cluster *cluster, void *snapshot);
/* The fold must succeed; what it did. */
extern ReefFoldResult cluster_fold(Cluster *cluster);

/* Delete what garbage collection would: records and manifests that the
 * current manifest has made useless, never a fence. */
extern void bucket_collect(ReefMemoryBucket *bucket, Cluster *reader);

#endif							/* REEF_ENGINE_FIXTURE_H */
