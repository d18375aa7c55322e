/*
 * cached_read.c
 *	  Ranges of immutable objects through the local cache.
 *
 * A range is cut into blocks.  Those that the cache has are copied; adjacent
 * ones that it lacks are fetched with one request and kept.  So a range costs
 * at most as many requests as there are gaps, and a bounded number of writes of
 * files.
 */
#include "store/store.h"

#include <stdlib.h>

#include "store/cache.h"

/* Blocks fetched with one request, at most: what s3.c asks for in parallel. */
#define RUN_MAX 64

/* What is asked for. */
typedef struct CachedRead
{
	ReefStore  *store;
	ReefCacheUse *use;
	ReefCacheBlock block;		/* of the object; the number changes */
	uint64_t	offset;
	size_t		size;
	uint8_t    *out;
} CachedRead;

/* Copy what was asked for of bytes that lie at "at" in the object. */
static size_t
copy_part(CachedRead *read, uint64_t at, ReefSlice bytes)
{
	uint64_t	from = at > read->offset ? at : read->offset;
	uint64_t	to = at + bytes.size;

	if (to > read->offset + read->size)
		to = read->offset + read->size;
	if (to <= from)
		return 0;
	memcpy(read->out + (from - read->offset), bytes.data + (from - at),
		   (size_t) (to - from));
	return (size_t) (to - from);
}

/* How many blocks from this one on, up to "end", does the cache lack? */
static uint64_t
count_missing(const CachedRead *read, uint64_t end)
{
	ReefCacheBlock block = read->block;
	uint64_t	count;

	for (count = 1; count < RUN_MAX && block.number + count < end; count++)
	{
		ReefCacheBlock next = block;

		next.number += count;
		if (reef_cache_has(read->use->cache, &next))
			break;
	}
	return count;
}

/* Fetch blocks from the current one on, keep them, and go on behind them. */
static ReefCode
fetch_blocks(CachedRead *read, uint64_t count, ReefError *err)
{
	uint64_t	at = read->block.number * REEF_CACHE_BLOCK_SIZE;
	uint64_t	size = count * REEF_CACHE_BLOCK_SIZE;
	uint8_t    *bytes;
	ReefCode	rc;

	if (size > read->block.object_size - at)
		size = read->block.object_size - at;
	bytes = malloc((size_t) size);
	if (bytes == NULL)
		return reef_error_no_memory(err, (size_t) size);
	rc = reef_store_get_range(read->store, read->block.key, at, (size_t) size,
							  bytes, err);
	if (rc == REEF_OK)
	{
		(void) copy_part(read, at, reef_slice(bytes, (size_t) size));
		read->use->counters.misses += count;
	}
	for (uint64_t done = 0; rc == REEF_OK && done < size;
		 done += REEF_CACHE_BLOCK_SIZE)
	{
		size_t		part = size - done < REEF_CACHE_BLOCK_SIZE ?
			(size_t) (size - done) : REEF_CACHE_BLOCK_SIZE;

		reef_cache_insert(read->use->cache, &read->block,
						  reef_slice(bytes + done, part),
						  &read->use->counters);
		read->block.number++;
	}
	free(bytes);
	return rc;
}

ReefCode
reef_store_get_cached(ReefStore *store, const char *key, uint64_t object_size,
					  uint64_t offset, size_t size, void *out, ReefError *err)
{
	ReefCacheUse *use = reef_store_cache_use(store);
	CachedRead	read = {
		.store = store,
		.use = use,
		.block = {use->store, key, object_size,
		offset / REEF_CACHE_BLOCK_SIZE},
		.offset = offset,
		.size = size,
		.out = out
	};
	uint64_t	end;

	/* Ranges that cannot be right, the store may judge. */
	if (use->cache == NULL || size == 0 || offset > object_size ||
		size > object_size - offset || !reef_store_key_is_valid(key) ||
		!reef_cache_is_usable(use->cache))
		return reef_store_get_range(store, key, offset, size, out, err);

	end = (offset + size + REEF_CACHE_BLOCK_SIZE - 1) / REEF_CACHE_BLOCK_SIZE;
	while (read.block.number < end)
	{
		uint64_t	at = read.block.number * REEF_CACHE_BLOCK_SIZE;
		uint64_t	expected = object_size - at < REEF_CACHE_BLOCK_SIZE ?
			object_size - at : REEF_CACHE_BLOCK_SIZE;
		ReefSlice	found = reef_cache_find(use->cache, &read.block);

		if (found.size == expected)
		{
			use->counters.hits++;
			use->counters.hit_bytes += copy_part(&read, at, found);
			read.block.number++;
		}
		else
			REEF_TRY(fetch_blocks(&read, count_missing(&read, end), err));
	}
	return REEF_OK;
}
