/*
 * segment_cache.c
 *	  The open segments of a process and the pages they have decoded.
 *
 * Problem: a point lookup should cost microseconds, not a footer, an index and
 * a page; and backends must not keep half the table in memory each.
 *
 * Mechanism: readers of segments stay open, found by id in a hash table; the
 * least recently used of those that nobody uses are closed when there are too
 * many.  Each row group has an array of slots, one for each page and column,
 * so that a page in use is found by index.  The contents of pages belong into
 * the page cache that all processes share: there a page is looked for first,
 * and there it is moved when it has been decoded.  What it holds of such a
 * page is a pin, and a small descriptor in the slot as long as that lasts.
 * Pages that find no room there - the cache is full and a scan passes by, or
 * there is none - stay here.  All pages here form one ring in order of use;
 * beyond settings->page_cache_size the oldest that is not pinned goes, and its
 * slot is empty again.
 *
 * Consequence: a pin is a counter, and nobody is told of an eviction.  Since
 * segment ids are never reused nothing here can be out of date.
 */
#include "engine/segment_cache.h"

#include <assert.h>
#include <stdlib.h>

#include "engine/read_ahead.h"
#include "format/layout.h"

#define BUCKET_COUNT 256
/* Open readers that nobody uses, at most. */
#define IDLE_SEGMENTS_MAX 256

struct ReefSegmentCache
{
	const ReefHost *host;
	ReefStore  *store;
	char		prefix[REEF_OBJECT_KEY_SIZE];
	const ReefEngineSettings *settings;
	bool		has_namespace;
	uint8_t		namespace_id[16];
	ReefSegment *buckets[BUCKET_COUNT];
	ReefSegment segments;		/* ring */
	int			segment_count;
	ReefPage	pages;			/* ring */
	size_t		page_size;
	ReefArena	spare;			/* for decoding pages that will be shared */
	ReefBuf		scratch;
	ReefSegmentCounters counters;
	ReefReadAhead ahead;		/* of remote stores */
};

ReefCode
reef_segment_cache_new(const ReefHost *host, ReefStore *store,
					   const char *prefix, const ReefEngineSettings *settings,
					   ReefSegmentCache **cache, ReefError *err)
{
	ReefSegmentCache *fresh = calloc(1, sizeof(*fresh));

	if (fresh == NULL)
		return reef_error_no_memory(err, sizeof(*fresh));
	fresh->host = host;
	fresh->store = store;
	fresh->settings = settings;
	memcpy(fresh->prefix, prefix,
		   strnlen(prefix, sizeof(fresh->prefix) - 1));
	fresh->segments.newer = fresh->segments.older = &fresh->segments;
	fresh->pages.newer = fresh->pages.older = &fresh->pages;
	reef_arena_init(&fresh->spare, 0);
	reef_buf_init(&fresh->scratch);
	*cache = fresh;
	return REEF_OK;
}

const ReefSegmentCounters *
reef_segment_cache_counters(const ReefSegmentCache *cache)
{
	return &cache->counters;
}

void
reef_segment_cache_set_namespace(ReefSegmentCache *cache, const uint8_t id[16])
{
	cache->has_namespace = true;
	memcpy(cache->namespace_id, id, sizeof(cache->namespace_id));
}

ReefBuf *
reef_segment_scratch(ReefSegment *segment)
{
	reef_buf_reset(&segment->cache->scratch);
	return &segment->cache->scratch;
}

/* ---- pages ---- */

static void
unlink_page(ReefPage *page)
{
	page->newer->older = page->older;
	page->older->newer = page->newer;
}

static void
link_page(ReefSegmentCache *cache, ReefPage *page)
{
	page->older = cache->pages.older;
	page->newer = &cache->pages;
	page->older->newer = page;
	cache->pages.older = page;
}

void
reef_page_forget(ReefPage *page)
{
	*page->slot = NULL;
	page->cache->page_size -= page->size;
	unlink_page(page);
	if (page->shared != NULL)
		reef_page_cache_unpin(page->shared);
	reef_arena_release(&page->arena);
	free(page);
}

static ReefPage **
page_slot(ReefSegment *segment, int row_group, int page, int column)
{
	size_t		columns = (size_t) segment->schema->column_count + 1;

	return &segment->groups[row_group].slots[(size_t) page * columns +
											 (size_t) (column + 1)];
}

/* A page in its slot without contents, pinned; NULL when out of memory. */
static ReefPage *
add_page(ReefSegment *segment, const ReefPageKey *key)
{
	ReefPage   *fresh = calloc(1, sizeof(*fresh));

	if (fresh == NULL)
		return NULL;
	reef_arena_init(&fresh->arena, 0);
	fresh->cache = segment->cache;
	fresh->key = *key;
	fresh->row_count =
		segment->groups[key->row_group].pages[key->page].row_count;
	fresh->slot = page_slot(segment, key->row_group, key->page, key->column);
	fresh->pins = 1;
	assert(*fresh->slot == NULL);
	*fresh->slot = fresh;
	link_page(segment->cache, fresh);
	return fresh;
}

static void
set_key(const ReefSegment *segment, int row_group, int page, int column,
		ReefPageKey *key)
{
	memcpy(key->segment_id, segment->id, sizeof(key->segment_id));
	key->row_group = row_group;
	key->page = page;
	key->column = column;
}

static void
set_shared(ReefPage *page, ReefCachedPage *shared)
{
	page->shared = shared;
	page->vector = *reef_cached_page_vector(shared);
	if (page->key.column == REEF_PAGE_KEYS)
		page->keys = page->vector.values;
}

static ReefPage *
find_shared(ReefSegment *segment, int row_group, int page, int column,
			ReefPageUse use)
{
	ReefSegmentCache *cache = segment->cache;
	ReefCachedPage *shared;
	ReefPage   *fresh;
	ReefPageKey key;

	if (cache->settings->page_cache == NULL)
		return NULL;
	set_key(segment, row_group, page, column, &key);
	shared = reef_page_cache_find(cache->settings->page_cache, cache->host,
								  &key, use);
	if (shared == NULL)
		return NULL;
	fresh = add_page(segment, &key);
	if (fresh == NULL)
		reef_page_cache_unpin(shared);
	else
		set_shared(fresh, shared);
	return fresh;
}

bool
reef_page_is_here(ReefSegment *segment, int row_group, int page, int column)
{
	return *page_slot(segment, row_group, page, column) != NULL;
}

ReefPage *
reef_page_find(ReefSegment *segment, int row_group, int page, int column,
			   ReefPageUse use)
{
	ReefPage   *found = *page_slot(segment, row_group, page, column);

	if (found == NULL)
	{
		found = find_shared(segment, row_group, page, column, use);
		if (found == NULL)
			return NULL;
	}
	else
	{
		if (found->newer != &segment->cache->pages)
		{
			unlink_page(found);
			link_page(segment->cache, found);
		}
		found->pins++;
	}
	return found;
}

void
reef_page_count_hit(ReefSegment *segment)
{
	segment->cache->counters.pages_cached++;
}

void
reef_segment_count_search(ReefSegment *segment)
{
	segment->cache->counters.groups_sought++;
}

ReefPage *
reef_page_new(ReefSegment *segment, int row_group, int page, int column,
			  ReefPageUse use)
{
	ReefSegmentCache *cache = segment->cache;
	ReefPage   *fresh;
	ReefPageKey key;

	set_key(segment, row_group, page, column, &key);
	fresh = add_page(segment, &key);
	if (fresh != NULL && use == REEF_PAGE_SOUGHT &&
		cache->settings->page_cache != NULL)
	{
		fresh->arena = cache->spare;
		reef_arena_init(&cache->spare, 0);
	}
	return fresh;
}

/* Move a page's contents to the shared cache, if it takes them. */
static void
share_page(ReefPage *page, ReefPageUse use)
{
	ReefSegmentCache *cache = page->cache;
	ReefCachedPage *shared;

	if (cache->settings->page_cache == NULL)
		return;
	shared = reef_page_cache_insert(cache->settings->page_cache, cache->host,
									&page->key, &page->vector,
									page->row_count, use);
	if (shared == NULL)
		return;
	set_shared(page, shared);
	/* the next page to be decoded uses the memory again */
	reef_arena_reset(&page->arena);
	if (cache->spare.blocks == NULL)
	{
		cache->spare = page->arena;
		reef_arena_init(&page->arena, 0);
	}
	else
		reef_arena_release(&page->arena);
}

void
reef_page_filled(ReefPage *page, ReefPageUse use)
{
	ReefSegmentCache *cache = page->cache;
	ReefPage   *oldest = cache->pages.newer;

	if (page->keys == NULL)
		cache->counters.pages_read++;
	share_page(page, use);
	page->size = sizeof(*page) + page->arena.size;
	cache->page_size += page->size;
	while (oldest != &cache->pages &&
		   cache->page_size > cache->settings->page_cache_size)
	{
		ReefPage   *next = oldest->newer;

		if (oldest->pins == 0)
			reef_page_forget(oldest);
		oldest = next;
	}
}

void
reef_page_unpin(ReefPage *page)
{
	if (page == NULL)
		return;
	assert(page->pins > 0);
	page->pins--;
	if (page->pins == 0 && page->shared != NULL)
		reef_page_forget(page);
}

void
reef_segment_cache_abandon(ReefSegmentCache *cache)
{
	ReefPage   *page;

	for (page = cache->pages.newer; page != &cache->pages; page = page->newer)
	{
		if (page->shared != NULL)
			reef_page_cache_unpin(page->shared);
		page->shared = NULL;
	}
}

/* ---- segments ---- */

/* Segment ids are uuids: their last bytes are random. */
static ReefSegment **
bucket_of(ReefSegmentCache *cache, const uint8_t id[16])
{
	return &cache->buckets[id[15] % BUCKET_COUNT];
}

static void
unlink_segment(ReefSegment *segment)
{
	segment->newer->older = segment->older;
	segment->older->newer = segment->newer;
}

static void
link_segment(ReefSegmentCache *cache, ReefSegment *segment)
{
	segment->older = cache->segments.older;
	segment->newer = &cache->segments;
	segment->older->newer = segment;
	cache->segments.older = segment;
}

/* What a segment has, when it is not, or no longer, in the cache. */
static void
free_segment(ReefSegment *segment)
{
	int			group;

	for (group = 0; group < segment->group_count; group++)
	{
		ReefRowGroup *place = &segment->groups[group];
		int			slots = place->page_count *
			(segment->schema->column_count + 1);
		int			i;

		for (i = 0; i < slots; i++)
		{
			if (place->slots[i] != NULL)
				reef_page_forget(place->slots[i]);
		}
	}
	reef_parquet_reader_close(segment->reader);
	reef_arena_release(&segment->arena);
	free(segment);
}

static void
close_segment(ReefSegmentCache *cache, ReefSegment *segment)
{
	ReefSegment **link = bucket_of(cache, segment->id);

	while (*link != segment)
		link = &(*link)->next_in_bucket;
	*link = segment->next_in_bucket;
	unlink_segment(segment);
	cache->segment_count--;
	free_segment(segment);
}

static void
close_idle_segments(ReefSegmentCache *cache)
{
	ReefSegment *segment = cache->segments.newer;

	while (segment != &cache->segments &&
		   cache->segment_count > IDLE_SEGMENTS_MAX)
	{
		ReefSegment *next = segment->newer;

		if (segment->references == 0)
			close_segment(cache, segment);
		segment = next;
	}
}

void
reef_segment_cache_free(ReefSegmentCache *cache)
{
	if (cache == NULL)
		return;
	while (cache->segments.newer != &cache->segments)
		close_segment(cache, cache->segments.newer);
	reef_read_ahead_forget(&cache->ahead, NULL);
	reef_arena_release(&cache->spare);
	reef_buf_release(&cache->scratch);
	free(cache);
}

static ReefCode
fetch(void *arg, uint64_t offset, size_t size, void *out, ReefError *err)
{
	ReefSegment *segment = arg;
	ReefSegmentCounters *counters = &segment->cache->counters;
	ReefStore  *store = segment->cache->store;
	const ReefCacheCounters *cached = reef_store_cache_counters(store);
	ReefCacheCounters before = *cached;
	ReefCode	rc;

	counters->bytes_read += size;
	rc = reef_store_get_cached(store, segment->name, segment->size, offset,
							   size, out, err);
	counters->blocks_hit += cached->hits - before.hits;
	counters->blocks_missed += cached->misses - before.misses;
	/* not found is what a lookup says of a key that nobody has [I10] */
	if (rc == REEF_NOT_FOUND)
		return reef_error_set(err, REEF_CORRUPT, "stored segment is missing",
							  "object \"%s\"", segment->name);
	return rc;
}

static ReefCode
read_at(void *arg, uint64_t offset, size_t size, void *out, ReefError *err)
{
	ReefSegment *segment = arg;
	ReefReadSource source = {segment->id, segment->size, fetch, segment};

	if (!reef_store_is_remote(segment->cache->store))
		return fetch(segment, offset, size, out, err);
	return reef_read_ahead_get(&segment->cache->ahead, &source, offset, size,
							   out, err);
}

ReefCode
reef_segment_get(ReefSegmentCache *cache, const ReefSegmentMeta *meta,
				 const ReefSchema *schema, ReefSegment **result,
				 ReefError *err)
{
	ReefSegment **bucket = bucket_of(cache, meta->id);
	ReefSegment *segment = *bucket;
	ReefCode	rc;

	while (segment != NULL && memcmp(segment->id, meta->id, 16) != 0)
		segment = segment->next_in_bucket;
	if (segment != NULL)
	{
		unlink_segment(segment);
		link_segment(cache, segment);
		segment->references++;
		/* a transaction's own segment gets its LSN when it commits */
		segment->lsn_min = meta->lsn_min;
		segment->lsn_max = meta->lsn_max;
		*result = segment;
		return REEF_OK;
	}

	segment = calloc(1, sizeof(*segment));
	if (segment == NULL)
		return reef_error_no_memory(err, sizeof(*segment));
	segment->cache = cache;
	segment->references = 1;
	reef_arena_init(&segment->arena, 0);
	memcpy(segment->id, meta->id, sizeof(segment->id));
	segment->size = meta->size;
	reef_layout_segment_key(cache->prefix, meta->id, segment->name);
	rc = reef_segment_open(segment, meta, schema,
						   cache->has_namespace ? cache->namespace_id : NULL,
						   read_at, err);
	if (rc != REEF_OK)
	{
		free_segment(segment);
		return rc;
	}
	segment->next_in_bucket = *bucket;
	*bucket = segment;
	link_segment(cache, segment);
	cache->segment_count++;
	close_idle_segments(cache);
	*result = segment;
	return REEF_OK;
}

void
reef_segment_release(ReefSegment *segment)
{
	if (segment == NULL)
		return;
	assert(segment->references > 0);
	if (--segment->references == 0)
		reef_read_ahead_forget(&segment->cache->ahead, segment->id);
}
