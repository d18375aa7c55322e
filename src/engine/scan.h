/*
 * scan.h
 *	  What the files that read share: sources, stamps, masks, ranges.
 *
 * A view and a transaction's own writes are a list of *sources*, newest first:
 * skip lists and segments.  Every row has a *stamp*, and of the rows with one
 * key the one with the highest stamp is the newest.  For most pairs of sources
 * all stamps of one are above all of the other, and nobody looks at single
 * rows; only where their LSN ranges overlap (a bulk load between the records
 * of one fold) rows are compared.
 *
 *	  stamp	own rows			UINT64_MAX
 *			own segments		UINT64_MAX - 1
 *			others				LSN * 2^13 + index of the frame * 2,
 *								+ 1 for rows of the record itself, which are
 *								newer than those of segments it attaches
 */
#ifndef REEF_ENGINE_SCAN_H
#define REEF_ENGINE_SCAN_H

#include "engine/internal.h"
#include "engine/segment_cache.h"
#include "engine/txn.h"

#define REEF_STAMP_LSN_SHIFT 13
#define REEF_STAMP_OWN_ROWS UINT64_MAX
#define REEF_STAMP_OWN_SEGMENTS (UINT64_MAX - 1)

/* The lowest stamp of a record's rows. */
static inline uint64_t
reef_stamp_of_lsn(uint64_t lsn)
{
	return lsn << REEF_STAMP_LSN_SHIFT;
}

/* ---- ranges (scan_range.c) ---- */

/* <0: the key is below the range, 0: inside, >0: above.  A ReefKeyCompare. */
extern int	reef_range_compare(const void *range, ReefSlice key);
/* Can rows between these bounds (segment_cache.h) be in the range? */
extern bool reef_range_overlaps(const ReefKeyRange *range, ReefSlice low,
								ReefSlice high);
/* Are rows between these bounds certainly all in the range? */
extern bool reef_range_contains(const ReefKeyRange *range, ReefSlice low,
								ReefSlice high);
/* The key of a range of exactly one key; false if it is not that. */
extern bool reef_range_is_point(const ReefKeyRange *range);

/* ---- finding one key (lookup.c) ---- */

typedef struct ReefLocation
{
	const ReefVersion *version; /* in a memtable, or */
	ReefSegment *segment;		/* in a segment: the caller releases it */
	ReefRowPosition position;
	bool		is_deleted;
	uint64_t	lsn;
	uint64_t	stamp;
} ReefLocation;

extern uint64_t reef_applied_stamp(const ReefApplied *applied, bool is_row);

/*
 * The newest row or tombstone of a key in a view, if its LSN is above
 * "after_lsn".  REEF_NOT_FOUND: none.
 */
extern ReefCode reef_view_locate(ReefView *view, ReefSlice key,
								 uint64_t after_lsn, ReefLocation *location,
								 ReefError *err) REEF_MUST_CHECK;
/* The segment, with a reference. */
extern ReefCode reef_view_segment(ReefView *view, const ReefSegmentMeta *meta,
								  const ReefSchema *schema,
								  ReefSegment **segment, ReefError *err)
			REEF_MUST_CHECK;
/* The rows up to this LSN are in the segments of the view's manifest. */
extern uint64_t reef_view_applied_lsn(const ReefView *view);
/* Does the view see this attached segment? */
extern bool reef_view_sees_attached(const ReefView *view,
									const ReefAttached *attached);

/* ---- sources ---- */

typedef struct ReefSource
{
	bool		is_own;
	uint64_t	stamp_min;
	uint64_t	stamp_max;
	/* a skip list: */
	const ReefSkipList *rows;	/* NULL: a segment */
	ReefSlice  *hiding_keys;	/* of the rows passed so far, those that may
								 * hide older ones, in key order */
	uint64_t   *hiding_stamps;
	size_t		hiding_count;
	size_t		hiding_capacity;
	/* a segment: */
	const ReefSegmentMeta *meta;
	uint64_t	lsn;			/* of all rows; 0: each has its own */
	ReefSegment *segment;		/* once opened */
	int		   *columns;		/* by wanted column: stored one, or -1 */
	/* newer sources that may hide rows of this one: */
	int			masker_count;
	int		   *maskers;
	bool		needs_stamps;	/* some of them may be older in part */
} ReefSource;

/* ---- a scan ---- */

/* A column of the batch when it cannot point into a page. */
typedef struct ReefScanColumn
{
	uint8_t    *nulls;			/* [REEF_BATCH_MAX_ROWS] */
	uint8_t    *values;
	ReefPage   *page;			/* pinned, of the current page */
} ReefScanColumn;

/* How documents of one layout become the wanted columns. */
typedef struct ReefLayoutMap
{
	const ReefLayout *layout;
	struct ReefLayoutMap *next;
	int			columns[];		/* by wanted column: the layout's, or -1 */
} ReefLayoutMap;

#define REEF_POINT_SEGMENTS 16
/* A scan that has passed more pages than this is not a short one. */
#define REEF_SHORT_SCAN_PAGES 4

/* A segment that point lookups have used. */
typedef struct ReefPointSegment
{
	ReefSegment *segment;
	int		   *columns;
} ReefPointSegment;

struct ReefScan
{
	ReefView   *view;
	ReefNamespace *ns;
	ReefScanSpec spec;
	ReefSchema	wanted;			/* spec.columns, copied */
	ReefArena	arena;			/* as long as the scan */
	ReefScanCounters counters;

	ReefKeyRange range;
	ReefBuf		low;
	ReefBuf		high;
	bool		is_positioned;
	bool		is_point;
	bool		is_done;

	/* since the last restart: */
	ReefArena	restart_arena;
	int			source_count;
	ReefSource *sources;
	ReefOwnRows *own_rows;		/* pinned */
	int			current;		/* source */
	bool		is_begun;		/* the current one */

	/* position in a skip list */
	const ReefNode *node;
	const ReefVersion **versions;	/* [REEF_BATCH_MAX_ROWS], of the batch */
	ReefSlice  *keys;
	uint64_t   *stamps;
	uint8_t    *hidden;
	int			gathered;

	/* position in a segment */
	int			row_group;
	int			page;
	bool		has_page;
	uint64_t	bare_rows;		/* rows to count without reading anything */
	uint32_t	row;			/* next one of the page */
	uint32_t	row_end;
	bool		has_hidden;		/* some rows of the page are */
	uint8_t    *page_hidden;	/* by row of the page */
	size_t		page_hidden_size;
	uint64_t   *page_stamps;
	size_t		page_stamps_size;
	ReefPage   *page_keys;
	ReefPage   *page_lsns;
	bool		columns_pinned;
	int			pages_passed;	/* since the restart */

	/* the batch */
	ReefBatch	batch;
	ReefVector *vectors;
	ReefScanColumn *columns;
	uint16_t   *selection;
	int64_t    *lsns;
	ReefValue  *values;			/* one row of the widest layout so far */
	int			values_count;
	ReefLayoutMap *layout_maps;
	ReefPointSegment points[REEF_POINT_SEGMENTS];
	int			next_point;
};

/* ---- masks (mask.c) ---- */

/* Find out which sources may hide rows of which. */
extern ReefCode reef_mask_plan(ReefScan *scan, ReefError *err)
			REEF_MUST_CHECK;
/* A row of a skip list source has been passed that may hide older ones. */
extern ReefCode reef_mask_add(ReefSource *source, ReefSlice key,
							  uint64_t stamp, ReefError *err) REEF_MUST_CHECK;
/* May some row of a source between these bounds be hidden? */
extern ReefCode reef_mask_check(ReefScan *scan, const ReefSource *source,
								ReefSlice low, ReefSlice high, bool *may_hide,
								ReefError *err) REEF_MUST_CHECK;

/* Rows of one source, in key order. */
typedef struct ReefMaskRows
{
	const ReefSlice *keys;
	uint32_t	count;
	const uint64_t *stamps;		/* NULL: all of them have */
	uint64_t	stamp;
	uint8_t    *hidden;			/* set to 1 where hidden */
	uint32_t	hidden_count;
} ReefMaskRows;

extern ReefCode reef_mask_apply(ReefScan *scan, const ReefSource *source,
								ReefMaskRows *rows, ReefError *err)
			REEF_MUST_CHECK;

/* ---- scan_memtable.c ---- */

/* Memory for a batch's rows, and for one of its columns, at first use. */
extern ReefCode reef_scan_reserve_rows(ReefScan *scan, ReefError *err)
			REEF_MUST_CHECK;
extern ReefCode reef_scan_reserve_column(ReefScan *scan, int i,
										 ReefError *err) REEF_MUST_CHECK;

/* The next batch of the current source, a skip list; row_count 0 at its end. */
extern ReefCode reef_scan_next_rows(ReefScan *scan, ReefSource *source,
									ReefError *err) REEF_MUST_CHECK;
/* A batch of scan->gathered versions in scan->versions, scan->keys. */
extern ReefCode reef_scan_fill_rows(ReefScan *scan, ReefError *err)
			REEF_MUST_CHECK;

/* ---- scan_segment.c ---- */

extern ReefCode reef_scan_next_page_rows(ReefScan *scan, ReefSource *source,
										 ReefError *err) REEF_MUST_CHECK;
extern ReefCode reef_scan_open_source(ReefScan *scan, ReefSource *source,
									  ReefError *err) REEF_MUST_CHECK;
/* A batch of one row at a location in a segment. */
extern ReefCode reef_scan_fill_point(ReefScan *scan, ReefSegment *segment,
									 const ReefRowPosition *position,
									 uint64_t lsn, ReefError *err)
			REEF_MUST_CHECK;
/* Let go of the pages of the batch. */
extern void reef_scan_unpin_pages(ReefScan *scan);

/* How long pages should be kept: those of a short scan as those of a lookup. */
static inline ReefPageUse
reef_scan_page_use(const ReefScan *scan)
{
	return scan->is_point || scan->pages_passed <= REEF_SHORT_SCAN_PAGES ?
		REEF_PAGE_SOUGHT : REEF_PAGE_PASSED;
}

/* ---- scan.c ---- */

/* The stored column for each wanted one, -1 if there is none.  Fails if a type
 * does not widen. */
extern ReefCode reef_scan_map_columns(const ReefScan *scan,
									  const ReefSchema *stored, int *map,
									  ReefError *err) REEF_MUST_CHECK;
/* An empty batch of this many rows, for the parts that are the same in all. */
extern void reef_scan_begin_batch(ReefScan *scan, int row_count);

#endif							/* REEF_ENGINE_SCAN_H */
