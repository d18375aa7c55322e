/*
 * segment_cache.h
 *	  Open segments from the inside: their page tables, and pinned pages.
 *
 * The pages of a segment are numbered by row group and page.  Bounds of row
 * groups and pages are kept as encoded keys, so that everything is compared
 * with memcmp whatever the kinds of the key columns are:
 *
 *	  low	a prefix or all of a key; no key of the page is less
 *	  high	a prefix: no key of the page, cut to that size, is above it; an
 *			empty one says nothing
 *
 * They come from the statistics of the first key column only, so pages of a
 * composite key may have equal bounds.
 */
#ifndef REEF_ENGINE_SEGMENT_CACHE_H
#define REEF_ENGINE_SEGMENT_CACHE_H

#include "engine/page_cache.h"
#include "engine/segment.h"
#include "store/store.h"

/* In place of a column: the encoded keys of the page's rows. */
#define REEF_PAGE_KEYS (-1)

/*
 * One column of one page, decoded, or the keys of a page.  Borrowed while
 * pinned; what is not pinned may be evicted by any call.  Its contents are
 * in the arena or, and then it goes with the last pin, in the page cache.
 */
typedef struct ReefPage
{
	ReefVector	vector;			/* of keys: of slices */
	const ReefSlice *keys;		/* REEF_PAGE_KEYS: the vector's values */
	uint32_t	row_count;
	int			pins;
	ReefPageKey key;
	ReefSegmentCache *cache;
	ReefCachedPage *shared;		/* NULL: in the arena */
	size_t		size;			/* bytes it takes */
	ReefArena	arena;
	struct ReefPage **slot;		/* where the segment refers to it */
	struct ReefPage *newer;		/* by last use; a ring through the cache */
	struct ReefPage *older;
} ReefPage;

/* What lies where in a row group. */
typedef struct ReefPageBounds
{
	uint32_t	first_row;		/* in the row group */
	uint32_t	row_count;
	ReefSlice	low;
	ReefSlice	high;
} ReefPageBounds;

typedef struct ReefRowGroup
{
	uint64_t	row_count;
	ReefSlice	low;
	ReefSlice	high;
	int			page_count;		/* -1: not loaded yet */
	ReefPageBounds *pages;
	ReefPage  **slots;			/* [page_count * (column_count + 1)] */
} ReefRowGroup;

struct ReefSegment
{
	ReefSegmentCache *cache;
	ReefSegment *next_in_bucket;
	ReefSegment *newer;			/* by last use, all open segments */
	ReefSegment *older;
	int			references;
	ReefArena	arena;			/* page tables, copies from the meta */
	uint8_t		id[16];
	char		name[REEF_STORE_KEY_MAX_SIZE + 1];
	uint64_t	size;			/* of the object */
	uint64_t	row_count;
	uint64_t	tombstone_count;
	uint64_t	lsn_min;
	uint64_t	lsn_max;
	ReefParquetReader *reader;
	const ReefSchema *schema;	/* as stored, ours included; the reader's */
	int			key_count;
	int		   *key_columns;
	int			lsn_column;
	int			op_column;		/* -1: none in the file */
	int			group_count;
	ReefRowGroup *groups;
};

/* What a process has done, over all its segments of one namespace. */
typedef struct ReefSegmentCounters
{
	uint64_t	pages_read;
	uint64_t	pages_cached;
	uint64_t	bytes_read;
	uint64_t	groups_sought;	/* row groups in which a key was looked for, past
								 * key range and bloom filter */
	uint64_t	blocks_hit;		/* of the local cache */
	uint64_t	blocks_missed;
} ReefSegmentCounters;

extern const ReefSegmentCounters *reef_segment_cache_counters(const ReefSegmentCache *cache);
/* The namespace that the footers must name. */
extern void reef_segment_cache_set_namespace(ReefSegmentCache *cache,
											 const uint8_t id[16]);

/* ---- segment_cache.c, for segment.c ---- */

/* A decoded page, pinned; or NULL if it is not in memory. */
extern ReefPage *reef_page_find(ReefSegment *segment, int row_group, int page,
								int column, ReefPageUse use);
/* A page that was wanted was found. */
extern void reef_page_count_hit(ReefSegment *segment);
/* A key is looked for in pages. */
extern void reef_segment_count_search(ReefSegment *segment);
/* Is it in this process's memory, or in use by it? */
extern bool reef_page_is_here(ReefSegment *segment, int row_group, int page,
							  int column);
/* A new, empty, pinned page in its slot; NULL when out of memory. */
extern ReefPage *reef_page_new(ReefSegment *segment, int row_group, int page,
							   int column, ReefPageUse use);
/* It is filled: share it or, if it must stay in this process's memory, evict
 * others if there is too much. */
extern void reef_page_filled(ReefPage *page, ReefPageUse use);
/* Free it: it could not be filled, or is not wanted any more. */
extern void reef_page_forget(ReefPage *page);
extern void reef_page_unpin(ReefPage *page);	/* accepts NULL */
extern ReefBuf *reef_segment_scratch(ReefSegment *segment);

/* ---- segment.c ---- */

/* Read the footer and prepare the page tables; a segment that is not in the
 * cache yet. */
extern ReefCode reef_segment_open(ReefSegment *segment,
								  const ReefSegmentMeta *meta,
								  const ReefSchema *schema,
								  const uint8_t *namespace_id,
								  ReefParquetReadAt read_at, ReefError *err)
			REEF_MUST_CHECK;
/* Is it the file that "meta" describes?  namespace_id may be NULL. */
extern ReefCode reef_segment_check_footer(const ReefParquetReader *reader,
										  const char *name,
										  const ReefSegmentMeta *meta,
										  const uint8_t *namespace_id,
										  ReefError *err) REEF_MUST_CHECK;
/* Make sure that a row group's page table is there. */
extern ReefCode reef_segment_load_group(ReefSegment *segment, int row_group,
										ReefError *err) REEF_MUST_CHECK;
/* One column (or REEF_PAGE_KEYS) of a page, pinned. */
extern ReefCode reef_segment_pin(ReefSegment *segment, int row_group, int page,
								 int column, ReefPageUse use,
								 ReefPage **pinned, ReefError *err)
			REEF_MUST_CHECK;
/*
 * Compare a page's keys with something by a callback that answers <0, 0 or >0
 * for a key below, inside and above what is sought; *first is the first row
 * that is not below, *end the first that is above.
 */
typedef int (*ReefKeyCompare) (const void *arg, ReefSlice key);
extern ReefCode reef_segment_rows(ReefSegment *segment, int row_group,
								  int page, ReefKeyCompare compare,
								  const void *arg, uint32_t *first,
								  uint32_t *end, ReefError *err)
			REEF_MUST_CHECK;
/*
 * The first page, in file order, that may contain keys >= "key".  False if
 * there is none.
 */
extern ReefCode reef_segment_seek(ReefSegment *segment, ReefSlice key,
								  int *row_group, int *page, bool *found,
								  ReefError *err) REEF_MUST_CHECK;
/* The page after this one; false at the end. */
extern ReefCode reef_segment_next_page(ReefSegment *segment, int *row_group,
									   int *page, bool *found, ReefError *err)
			REEF_MUST_CHECK;
/* The LSN of a row; that of an attached segment's rows is in the meta. */
extern ReefCode reef_segment_row_lsn(ReefSegment *segment,
									 const ReefRowPosition *position,
									 uint64_t *lsn, ReefError *err)
			REEF_MUST_CHECK;
extern ReefCode reef_segment_row_is_tombstone(ReefSegment *segment,
											  const ReefRowPosition *position,
											  bool *is_tombstone,
											  ReefError *err) REEF_MUST_CHECK;

/* Is "key", cut to the bound's size, above the bound?  Never, if it is
 * empty. */
static inline bool
reef_key_is_beyond(ReefSlice key, ReefSlice high)
{
	size_t		size = key.size < high.size ? key.size : high.size;

	return size > 0 && memcmp(key.data, high.data, size) > 0;
}

/* ---- key_decode.c ---- */

/*
 * Decode the next column of a key into the value of a column stored as "kind".
 * Variable kinds point into the key or, if it has escapes, into *unescaped,
 * which is overwritten.  False if the column is not there or has no such
 * value (a number too wide for the kind).
 */
extern bool reef_key_read(ReefReader *key, ReefKind kind, ReefBuf *unescaped,
						  ReefValue *value);

#endif							/* REEF_ENGINE_SEGMENT_CACHE_H */
