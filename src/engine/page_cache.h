/*
 * page_cache.h
 *	  Decoded pages that all processes of a cluster share.
 *
 * The making of one is in reef.h.  A page found or inserted is pinned: its
 * memory stays as it is, at the same address for everybody, until unpin.
 */
#ifndef REEF_ENGINE_PAGE_CACHE_H
#define REEF_ENGINE_PAGE_CACHE_H

#include "engine/reef.h"

typedef struct ReefPageKey
{
	uint8_t		segment_id[16];
	int32_t		row_group;
	int32_t		page;
	int32_t		column;			/* or REEF_PAGE_KEYS */
} ReefPageKey;

/* How a page came to be wanted, which decides how long it is kept. */
typedef enum ReefPageUse
{
	REEF_PAGE_SOUGHT,			/* by key: may well be again */
	REEF_PAGE_PASSED			/* by a scan on its way through many */
} ReefPageUse;

/* A page in shared memory; all of it is constant while pinned. */
typedef struct ReefCachedPage ReefCachedPage;

/* NULL: it is not there. */
extern ReefCachedPage *reef_page_cache_find(ReefPageCache *cache,
											const ReefHost *host,
											const ReefPageKey *key,
											ReefPageUse use);
/*
 * Copy a page into the cache, unless somebody else just did; either way the
 * result is the one that is there.  NULL: no room for it.
 */
extern ReefCachedPage *reef_page_cache_insert(ReefPageCache *cache,
											  const ReefHost *host,
											  const ReefPageKey *key,
											  const ReefVector *vector,
											  uint32_t row_count,
											  ReefPageUse use);
extern const ReefVector *reef_cached_page_vector(const ReefCachedPage *page);
extern void reef_page_cache_unpin(ReefCachedPage *page);


/* ---- page_copy.c ---- */

/*
 * A copy of a vector in one piece of memory, measured before it is made.
 * Strings of variable kinds are copied once for all rows that point to the
 * same bytes, as those of a dictionary do.
 */
typedef struct ReefPageCopy
{
	const ReefVector *vector;
	uint32_t	row_count;
	size_t		values_size;
	size_t		size;			/* of all */
	const uint8_t *span;		/* all strings, one after the other; or */
	size_t		span_size;
	uint32_t   *first_rows;		/* for each row the first one with its bytes */
} ReefPageCopy;

/* False: out of memory. */
extern bool reef_page_copy_measure(ReefPageCopy *copy,
								   const ReefVector *vector,
								   uint32_t row_count);
/* "block" has copy->size bytes, as aligned as malloc's. */
extern void reef_page_copy_write(const ReefPageCopy *copy, uint8_t *block,
								 ReefVector *vector);
extern void reef_page_copy_release(ReefPageCopy *copy);

#endif							/* REEF_ENGINE_PAGE_CACHE_H */
