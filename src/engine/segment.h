/*
 * segment.h
 *	  Segments: open ones, their decoded pages, and writing new ones.
 *
 * A segment is a Parquet file of documents sorted by key: the namespace's
 * columns (the key columns among them) and two of ours, `_reef_lsn` (int64;
 * null in an attached segment, whose record's LSN holds for all rows) and
 * `_reef_op` (int32: 0 put, 1 tombstone).  Footer pairs make it
 * self-describing (DESIGN 3.3); those of a job's last segment carry a copy of
 * the manifest (segment_writer.c).
 *
 * Each process keeps the readers of recently used segments open.  Decoded
 * pages, by (segment id, row group, page, column), are in the page cache that
 * all processes share (page_cache.c) or, if they found no room there, in a
 * bounded LRU cache of the process.  Segment ids are never reused, so nothing
 * here is ever invalidated.
 */
#ifndef REEF_ENGINE_SEGMENT_H
#define REEF_ENGINE_SEGMENT_H

#include "engine/reef.h"
#include "format/manifest.h"
#include "parquet/reader.h"

#define REEF_LSN_COLUMN "_reef_lsn"
#define REEF_OP_COLUMN "_reef_op"

typedef struct ReefSegment ReefSegment;
typedef struct ReefSegmentCache ReefSegmentCache;

extern ReefCode reef_segment_cache_new(const ReefHost *host,
									   struct ReefStore *store,
									   const char *prefix,
									   const ReefEngineSettings *settings,
									   ReefSegmentCache **cache,
									   ReefError *err) REEF_MUST_CHECK;
extern void reef_segment_cache_free(ReefSegmentCache *cache);
/* Unpin everything in the shared page cache, at the end of a process. */
extern void reef_segment_cache_abandon(ReefSegmentCache *cache);

/*
 * The open segment; "schema" gives the key columns.  Borrowed until release;
 * every get needs one.  The footer must agree with the meta (namespace id,
 * size, row count): REEF_CORRUPT otherwise.
 */
extern ReefCode reef_segment_get(ReefSegmentCache *cache,
								 const ReefSegmentMeta *meta,
								 const ReefSchema *schema,
								 ReefSegment **segment, ReefError *err)
			REEF_MUST_CHECK;
extern void reef_segment_release(ReefSegment *segment);

/* Where a row is. */
typedef struct ReefRowPosition
{
	int			row_group;
	int			page;
	uint32_t	row;			/* in the page */
} ReefRowPosition;

/*
 * Find the row with exactly this key (tombstones too).  REEF_NOT_FOUND is an
 * ordinary answer.  *is_tombstone and *lsn are read only on success.
 */
extern ReefCode reef_segment_find(ReefSegment *segment, ReefSlice key,
								  ReefRowPosition *position,
								  bool *is_tombstone, uint64_t *lsn,
								  ReefError *err) REEF_MUST_CHECK;

/*
 * Read a whole document at a position as values[] in the order of "columns"
 * (absent ones null, widened to the wanted types); bytes copied into the arena.
 */
extern ReefCode reef_segment_document(ReefSegment *segment,
									  const ReefRowPosition *position,
									  const ReefColumn *columns,
									  int column_count, ReefArena *arena,
									  ReefValue *values, ReefError *err)
			REEF_MUST_CHECK;

/* writing  */

typedef struct ReefSegmentWriter ReefSegmentWriter;

/*
 * Write one segment, rows in strictly ascending key order.  The object becomes
 * visible at finish.  lsn_of_rows: rows carry an LSN each; otherwise the
 * column is null (attached segments).
 */
extern ReefCode reef_segment_writer_new(struct ReefStore *store,
										const char *prefix,
										const ReefEngineSettings *settings,
										const uint8_t namespace_id[16],
										const ReefSchema *schema, int level,
										bool lsn_of_rows,
										ReefSegmentWriter **writer,
										ReefError *err) REEF_MUST_CHECK;
/* values by the schema's columns (key columns of a tombstone included, the
 * rest null).  is_superseding: may hide an older row. */
extern ReefCode reef_segment_writer_add(ReefSegmentWriter *writer,
										ReefSlice key, uint64_t lsn,
										bool is_tombstone,
										bool is_superseding,
										const ReefValue *values,
										ReefError *err) REEF_MUST_CHECK;
/*
 * Of the last segment of a job, before finish: let it carry a copy of the
 * manifest that the job is going to commit, without this segment; "REBUILDING"
 * in maintenance.h says what for.  The caller fills in the version (of the
 * manifest it is built on, + 1) and what depends on nothing but the job.
 * *is_carried false: it is too large and was left out.
 */
extern ReefCode reef_segment_writer_set_manifest(ReefSegmentWriter *writer,
												 const ReefManifest *copy,
												 bool *is_carried,
												 ReefError *err)
			REEF_MUST_CHECK;
extern uint64_t reef_segment_writer_size(const ReefSegmentWriter *writer);
/* Ends the writer.  *meta is filled in the arena. */
extern ReefCode reef_segment_writer_finish(ReefSegmentWriter *writer,
										   ReefArena *arena,
										   ReefSegmentMeta *meta,
										   ReefError *err) REEF_MUST_CHECK;
extern void reef_segment_writer_abort(ReefSegmentWriter *writer);	/* accepts NULL */

#endif							/* REEF_ENGINE_SEGMENT_H */
