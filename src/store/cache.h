/*
 * cache.h
 *	  Blocks of immutable objects in local files, shared by all processes of a
 *	  server.
 *
 * cache.c has the blocks, cache_fill.c writes through what a process streams
 * to the store, cached_read.c reads through.  Nothing here ever fails a
 * request: what the cache cannot do is done without it.
 */
#ifndef REEF_STORE_CACHE_H
#define REEF_STORE_CACHE_H

#include "store/store.h"

/*
 * Ranges are rounded to blocks of this size.  A store answers after 10 to 30
 * ms and then sends some 80 bytes a microsecond: rounding up costs a
 * tenth of a request at most, and the next pages of the column come with it.
 * A larger block would be read and checked as a whole for each small page of
 * it; smaller ones would be more files.
 */
#define REEF_CACHE_BLOCK_SIZE ((size_t) 128 * 1024)
/* Before the block in its file, so that the block is aligned as pages are. */
#define REEF_CACHE_HEADER_SIZE ((size_t) 4096)
#define REEF_CACHE_IDENTITY_SIZE 64

typedef struct ReefCacheFill ReefCacheFill;

/* A block's identity: it is in its file, and compared with what is wanted. */
typedef struct ReefCacheBlock
{
	const char *store;			/* REEF_CACHE_IDENTITY_SIZE bytes: which store */
	const char *key;
	uint64_t	object_size;
	uint64_t	number;
} ReefCacheBlock;

/* How a store handle uses the cache. */
typedef struct ReefCacheUse
{
	ReefCache  *cache;			/* NULL: not */
	char		store[REEF_CACHE_IDENTITY_SIZE + 1];
	ReefCacheCounters counters;
} ReefCacheUse;

extern ReefCacheUse *reef_store_cache_use(ReefStore *store);

/* False while it is being opened, and for a while after an error of the
 * disk. */
extern bool reef_cache_is_usable(const ReefCache *cache);

/* Might it be there?  Looks at memory only. */
extern bool reef_cache_has(const ReefCache *cache,
						   const ReefCacheBlock *block);
/* The block's bytes, checked, borrowed until the next call; {NULL, 0}: they
 * are not there. */
extern ReefSlice reef_cache_find(ReefCache *cache,
								 const ReefCacheBlock *block);
/* Keep it, if that is possible. */
extern void reef_cache_insert(ReefCache *cache, const ReefCacheBlock *block,
							  ReefSlice bytes, ReefCacheCounters *counters);

/* ---- in two steps, for who does not know the object's size yet ---- */

typedef struct ReefCachePart
{
	uint64_t	name;			/* of the temporary file; 0: none */
	uint32_t	size;
	uint32_t	crc;
} ReefCachePart;

/* Write a block's bytes to a temporary file; false if it cannot be kept. */
extern bool reef_cache_part_write(ReefCache *cache, ReefSlice bytes,
								  ReefCachePart *part);
/* Both end the part. */
extern void reef_cache_part_publish(ReefCache *cache,
									const ReefCacheBlock *block,
									ReefCachePart *part,
									ReefCacheCounters *counters);
extern void reef_cache_part_discard(ReefCache *cache, ReefCachePart *part);

/* ---- cache_fill.c ---- */

/* NULL: not now. */
extern ReefCacheFill *reef_cache_fill_begin(ReefCacheUse *use,
											const char *key);
extern void reef_cache_fill_write(ReefCacheFill *fill, ReefSlice bytes);
/* The object exists and is what was written: keep its blocks. */
extern void reef_cache_fill_commit(ReefCacheFill *fill);	/* accepts NULL */
extern void reef_cache_fill_abort(ReefCacheFill *fill); /* accepts NULL */

#endif							/* REEF_STORE_CACHE_H */
