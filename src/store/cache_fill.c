/*
 * cache_fill.c
 *	  Write a new object's blocks to the local cache while it is streamed to
 *	  the store.
 *
 * A segment that was just written is what is read next: by whoever looks for
 * fresh rows, and by the next compaction.  So its bytes go to temporary files
 * of the cache, block by block, and become blocks when the store has said
 * that the object exists; before, nobody could look for them.  An object's size
 * is part of its blocks' identity and known only then.
 *
 * The cache has few temporary files (cache.c), so that a large load does not
 * drive everything else out.  What finds no room is fetched when it is read.
 */
#include "store/cache.h"

#include <stdlib.h>

#include "store/store.h"

struct ReefCacheFill
{
	ReefCacheUse *use;
	char		key[REEF_STORE_KEY_MAX_SIZE + 1];
	uint8_t    *block;			/* the one being filled */
	size_t		block_used;
	uint64_t	object_size;
	bool		has_stopped;	/* nothing more is kept */
	ReefCachePart *parts;		/* the blocks so far */
	size_t		part_count;
	size_t		part_capacity;
};

ReefCacheFill *
reef_cache_fill_begin(ReefCacheUse *use, const char *key)
{
	ReefCacheFill *fill;

	if (use->cache == NULL || !reef_cache_is_usable(use->cache))
		return NULL;
	fill = calloc(1, sizeof(*fill));
	if (fill == NULL)
		return NULL;
	fill->use = use;
	memcpy(fill->key, key, strlen(key) + 1);
	fill->block = malloc(REEF_CACHE_BLOCK_SIZE);
	if (fill->block == NULL)
	{
		free(fill);
		return NULL;
	}
	return fill;
}

static bool
add_part(ReefCacheFill *fill)
{
	if (fill->part_count == fill->part_capacity)
	{
		size_t		capacity = fill->part_capacity == 0 ? 16 :
			fill->part_capacity * 2;
		ReefCachePart *parts = reallocarray(fill->parts, capacity,
											sizeof(*parts));

		if (parts == NULL)
			return false;
		fill->parts = parts;
		fill->part_capacity = capacity;
	}
	if (!reef_cache_part_write(fill->use->cache,
							   reef_slice(fill->block, fill->block_used),
							   &fill->parts[fill->part_count]))
		return false;
	fill->part_count++;
	return true;
}

void
reef_cache_fill_write(ReefCacheFill *fill, ReefSlice bytes)
{
	fill->object_size += bytes.size;
	while (bytes.size > 0 && !fill->has_stopped)
	{
		size_t		size = REEF_CACHE_BLOCK_SIZE - fill->block_used;

		if (size > bytes.size)
			size = bytes.size;
		memcpy(fill->block + fill->block_used, bytes.data, size);
		fill->block_used += size;
		bytes = reef_slice(bytes.data + size, bytes.size - size);
		if (fill->block_used < REEF_CACHE_BLOCK_SIZE)
			break;
		fill->has_stopped = !add_part(fill);
		fill->block_used = 0;
	}
}

static void
free_fill(ReefCacheFill *fill)
{
	free(fill->parts);
	free(fill->block);
	free(fill);
}

void
reef_cache_fill_commit(ReefCacheFill *fill)
{
	ReefCacheBlock block;

	if (fill == NULL)
		return;
	if (!fill->has_stopped && fill->block_used > 0)
		(void) add_part(fill);
	block.store = fill->use->store;
	block.key = fill->key;
	block.object_size = fill->object_size;
	for (block.number = 0; block.number < fill->part_count; block.number++)
		reef_cache_part_publish(fill->use->cache, &block,
								&fill->parts[block.number],
								&fill->use->counters);
	free_fill(fill);
}

void
reef_cache_fill_abort(ReefCacheFill *fill)
{
	if (fill == NULL)
		return;
	for (size_t i = 0; i < fill->part_count; i++)
		reef_cache_part_discard(fill->use->cache, &fill->parts[i]);
	free_fill(fill);
}
