/*
 * page_cache.c
 *	  Decoded pages that all processes of a cluster share.
 *
 * Problem: a point lookup in a wide table touches one page of each column.
 * Kept by each process for itself, the pages of a table of medium size are
 * too many for one and the same ones in all.
 *
 * Mechanism: a hash table in shared memory, cut into partitions with a lock
 * each.  An entry describes one page; its contents are one block of the host's
 * memory for cached pages (cache_alloc), which nobody writes to once it is in
 * the table.  Segment ids are never reused, so an entry is never wrong, only
 * useless.
 *
 * Locks and pins: everything of an entry but "pins" and "usage" changes only
 * under its partition's lock, exclusive, and only while pins is 0.  A page is
 * pinned under that lock, shared is enough, so one that has no pins while the
 * lock is held exclusively is nobody's.  Unpinning takes no lock.  One lock
 * at a time; memory is allocated, copied and freed outside of them.
 *
 * What is kept: a clock in each partition.  A page that was sought begins with
 * a little credit and gains some with each time it is sought again; the hand
 * takes credit away, and then the page that has least of it and whose block is
 * large enough for the new one.  So pages mostly replace others of their kind,
 * with one eviction each; if there are none of their size, smaller ones go, a
 * few at a time.  A scan gives no credit, and when most of the memory is taken
 * it evicts for only one in BULK_SHARE of the pages that it passes, and only
 * pages without credit; the others it keeps for itself.  So neither does a scan
 * of everything drive out what lookups need, nor do pages of segments long gone
 * keep scans out for ever.  Who finds no room after a bounded search goes
 * without: the caller then has the page in memory of its own.
 *
 * A process that is killed leaves its pins behind; but then PostgreSQL
 * restarts all of them, with new shared memory.
 */
#include "engine/page_cache.h"

#include <assert.h>
#include <stdatomic.h>

#define PARTITIONS REEF_PAGE_CACHE_LOCKS
/* One entry for so many bytes of the budget: pages have 4096 rows at most,
 * whose columns rarely take less. */
#define BYTES_PER_ENTRY 8192
/* Partitions do not fill evenly. */
#define SPARE_ENTRIES 16
#define USAGE_MAX 4
/* Scans leave this part of the budget free, and beyond it evict for one in so
 * many of the pages they pass. */
#define RESERVED_SHARE 8
#define BULK_SHARE 16
/* What one insertion does at most for room. */
#define EVICTIONS_MAX 8
#define PARTITIONS_SEARCHED 4
#define STEPS_SOUGHT 64
/* Each takes credit away, so scans make few. */
#define STEPS_PASSED 8
/* Ranks of victims, to which their usage is added. */
#define RANK_LARGER (USAGE_MAX + 1)
#define RANK_SMALLER (2 * RANK_LARGER)
/* No page may take more than this part of the budget. */
#define LARGEST_SHARE 8

#define NO_ENTRY UINT32_MAX

struct ReefCachedPage
{
	ReefPageKey key;
	uint32_t	next;			/* in the bucket, or free ones */
	_Atomic uint32_t pins;
	_Atomic uint32_t usage;
	void	   *block;			/* NULL: a free entry */
	size_t		size;			/* of the block */
	ReefVector	vector;			/* points into it */
};

typedef struct Partition
{
	uint32_t	free_entries;	/* list */
	uint32_t	hand;
} Partition;

struct ReefPageCache
{
	size_t		budget;
	int			first_lock;
	uint32_t	entry_count;	/* of a partition; so many buckets, too */
	_Atomic uint64_t used;
	_Atomic uint32_t next_partition;	/* to evict from */
	_Atomic uint32_t refused;	/* pages that scans passed */
	Partition	partitions[PARTITIONS];
	_Alignas(64) ReefCachedPage entries[];
	/* then the buckets: uint32_t[PARTITIONS][entry_count] */
};

static uint32_t
entries_per_partition(size_t budget)
{
	size_t		count = budget / BYTES_PER_ENTRY / PARTITIONS;

	/* numbers of entries are 32 bits wide, which is a budget of terabytes */
	if (count > UINT32_MAX / 2 / PARTITIONS)
		count = UINT32_MAX / 2 / PARTITIONS;
	return (uint32_t) count + SPARE_ENTRIES;
}

size_t
reef_page_cache_shared_size(size_t budget)
{
	size_t		count = (size_t) entries_per_partition(budget) * PARTITIONS;

	return sizeof(ReefPageCache) +
		count * (sizeof(ReefCachedPage) + sizeof(uint32_t));
}

static uint32_t *
buckets_of(ReefPageCache *cache, uint32_t partition)
{
	uint32_t   *all = (uint32_t *) (void *)
		&cache->entries[(size_t) PARTITIONS * cache->entry_count];

	return all + (size_t) partition * cache->entry_count;
}

static ReefCachedPage *
entries_of(ReefPageCache *cache, uint32_t partition)
{
	return &cache->entries[(size_t) partition * cache->entry_count];
}

void
reef_page_cache_init(ReefPageCache *cache, size_t budget, int first_lock)
{
	uint32_t	p;
	uint32_t	i;

	memset(cache, 0, sizeof(*cache));
	cache->budget = budget;
	cache->first_lock = first_lock;
	cache->entry_count = entries_per_partition(budget);
	for (p = 0; p < PARTITIONS; p++)
	{
		for (i = 0; i < cache->entry_count; i++)
		{
			ReefCachedPage *entry = &entries_of(cache, p)[i];

			memset(entry, 0, sizeof(*entry));
			entry->next = i + 1 < cache->entry_count ? i + 1 : NO_ENTRY;
			buckets_of(cache, p)[i] = NO_ENTRY;
		}
	}
}

const ReefVector *
reef_cached_page_vector(const ReefCachedPage *page)
{
	return &page->vector;
}

/* ---- partitions ---- */

/* The last half of a segment's id is random. */
static uint64_t
hash_key(const ReefPageKey *key)
{
	uint64_t	hash;

	memcpy(&hash, key->segment_id + 8, sizeof(hash));
	hash += (uint32_t) key->row_group * UINT64_C(0x94d049bb133111eb);
	hash ^= hash >> 31;
	hash += (uint32_t) key->page * UINT64_C(0x9e3779b97f4a7c15);
	hash ^= hash >> 29;
	hash = (hash + (uint32_t) key->column) * UINT64_C(0xbf58476d1ce4e5b9);
	return hash ^ hash >> 32;
}

static uint32_t
partition_of(uint64_t hash)
{
	return (uint32_t) (hash % PARTITIONS);
}

static uint32_t *
bucket_of(ReefPageCache *cache, uint64_t hash)
{
	return &buckets_of(cache, partition_of(hash))[hash / PARTITIONS %
												  cache->entry_count];
}

static void
lock_partition(const ReefPageCache *cache, const ReefHost *host,
			   uint32_t partition, bool exclusive)
{
	host->lock(host->arg, cache->first_lock + (int) partition, exclusive);
}

static void
unlock_partition(const ReefPageCache *cache, const ReefHost *host,
				 uint32_t partition)
{
	host->unlock(host->arg, cache->first_lock + (int) partition);
}

/* Partition locked; pinned if found. */
static ReefCachedPage *
pin_entry(ReefPageCache *cache, uint64_t hash, const ReefPageKey *key,
		  ReefPageUse use)
{
	ReefCachedPage *entries = entries_of(cache, partition_of(hash));
	uint32_t	number = *bucket_of(cache, hash);
	ReefCachedPage *entry;
	uint32_t	usage;

	while (number != NO_ENTRY &&
		   memcmp(&entries[number].key, key, sizeof(*key)) != 0)
		number = entries[number].next;
	if (number == NO_ENTRY)
		return NULL;
	entry = &entries[number];
	atomic_fetch_add_explicit(&entry->pins, 1, memory_order_relaxed);
	/* two at once may count as one */
	usage = atomic_load_explicit(&entry->usage, memory_order_relaxed);
	if (use == REEF_PAGE_SOUGHT && usage < USAGE_MAX)
		atomic_store_explicit(&entry->usage, usage + 1, memory_order_relaxed);
	return entry;
}

/* Take an entry that nobody has pinned out of the table.  Partition locked
 * exclusively; its block is the caller's to free. */
static void
unlink_entry(ReefPageCache *cache, uint32_t partition, ReefCachedPage *entry)
{
	ReefCachedPage *entries = entries_of(cache, partition);
	uint32_t	number = (uint32_t) (entry - entries);
	uint32_t   *link = bucket_of(cache, hash_key(&entry->key));

	while (*link != number)
		link = &entries[*link].next;
	*link = entry->next;
	entry->block = NULL;
	entry->next = cache->partitions[partition].free_entries;
	cache->partitions[partition].free_entries = number;
}

/*
 * How good a victim is a block, the less the better?  One that the block
 * wanted fits into comes first: freed pieces here and there make no room.
 */
static uint32_t
rank_victim(size_t size, size_t wanted, uint32_t usage)
{
	uint32_t	class = RANK_SMALLER;

	if (size >= wanted)
		class = size / 2 <= wanted ? 0 : RANK_LARGER;
	return class + usage;
}

/*
 * Turn the clock until a page of rank 0 falls out, or after a while the best
 * one up to max_rank; NULL if there is none.  Partition locked exclusively.
 */
static void *
turn_clock(ReefPageCache *cache, uint32_t partition, size_t wanted,
		   int steps, uint32_t max_rank, size_t *size)
{
	ReefCachedPage *entries = entries_of(cache, partition);
	uint32_t   *hand = &cache->partitions[partition].hand;
	ReefCachedPage *victim = NULL;
	uint32_t	victim_rank = max_rank + 1;
	void	   *block;
	int			i;

	for (i = 0; i < steps && victim_rank > 0; i++)
	{
		ReefCachedPage *entry = &entries[*hand];
		uint32_t	usage;
		uint32_t	rank;

		*hand = *hand + 1 < cache->entry_count ? *hand + 1 : 0;
		/* what the last one to unpin has read, it has read before this */
		if (entry->block == NULL ||
			atomic_load_explicit(&entry->pins, memory_order_acquire) > 0)
			continue;
		usage = atomic_load_explicit(&entry->usage, memory_order_relaxed);
		if (usage > 0)
			atomic_store_explicit(&entry->usage, usage - 1,
								  memory_order_relaxed);
		rank = rank_victim(entry->size, wanted, usage);
		if (rank < victim_rank)
		{
			victim = entry;
			victim_rank = rank;
		}
	}
	if (victim == NULL)
		return NULL;
	block = victim->block;
	*size = victim->size;
	unlink_entry(cache, partition, victim);
	return block;
}

/* ---- memory ---- */

static void
free_block(ReefPageCache *cache, const ReefHost *host, void *block,
		   size_t size)
{
	if (block == NULL)
		return;
	host->cache_free(host->arg, block, size);
	atomic_fetch_sub(&cache->used, size);
}

/* Evict a page for one of another size, from a few partitions in turn. */
static bool
evict_one(ReefPageCache *cache, const ReefHost *host, size_t wanted,
		  ReefPageUse use)
{
	bool		is_sought = use == REEF_PAGE_SOUGHT;
	int			count = is_sought ? PARTITIONS_SEARCHED : 1;
	int			i;

	for (i = 1; i <= count; i++)
	{
		uint32_t	partition =
			atomic_fetch_add(&cache->next_partition, 1) % PARTITIONS;
		uint32_t	max_rank = RANK_SMALLER - 1;
		size_t		size = 0;
		void	   *block;

		if (!is_sought)
			max_rank = 0;
		else if (i == count)
			max_rank = RANK_SMALLER + USAGE_MAX;
		lock_partition(cache, host, partition, true);
		block = turn_clock(cache, partition, wanted,
						   is_sought ? STEPS_SOUGHT : STEPS_PASSED, max_rank,
						   &size);
		unlock_partition(cache, host, partition);
		if (block != NULL)
		{
			free_block(cache, host, block, size);
			return true;
		}
	}
	return false;
}

/* Should a page that was only passed be copied, and evict others? */
static bool
admit_passed(ReefPageCache *cache, bool *may_evict)
{
	*may_evict = false;
	if (atomic_load(&cache->used) <=
		cache->budget - cache->budget / RESERVED_SHARE)
		return true;
	*may_evict = atomic_fetch_add(&cache->refused, 1) % BULK_SHARE == 0;
	return *may_evict;
}

static void *
take_block(ReefPageCache *cache, const ReefHost *host, size_t size,
		   ReefPageUse use, bool may_evict)
{
	int			evicted;

	for (evicted = 0;; evicted++)
	{
		void	   *block = host->cache_alloc(host->arg, size);

		if (block != NULL)
		{
			atomic_fetch_add(&cache->used, size);
			return block;
		}
		if (!may_evict || evicted == EVICTIONS_MAX ||
			!evict_one(cache, host, size, use))
			return NULL;
	}
}

/* ---- pages ---- */

ReefCachedPage *
reef_page_cache_find(ReefPageCache *cache, const ReefHost *host,
					 const ReefPageKey *key, ReefPageUse use)
{
	uint64_t	hash = hash_key(key);
	ReefCachedPage *found;

	lock_partition(cache, host, partition_of(hash), false);
	found = pin_entry(cache, hash, key, use);
	unlock_partition(cache, host, partition_of(hash));
	return found;
}

/*
 * Put a filled block into the table, pinned; NULL if every entry is taken.
 * *spare, *spare_size: a block that is to be freed now.
 */
static ReefCachedPage *
enter_block(ReefPageCache *cache, const ReefPageKey *key, void *block,
			size_t size, const ReefVector *vector, ReefPageUse use,
			void **spare, size_t *spare_size)
{
	uint64_t	hash = hash_key(key);
	uint32_t	partition = partition_of(hash);
	uint32_t   *bucket = bucket_of(cache, hash);
	uint32_t   *free_entries = &cache->partitions[partition].free_entries;
	ReefCachedPage *entry = pin_entry(cache, hash, key, use);

	*spare = NULL;
	if (entry == NULL && *free_entries == NO_ENTRY)
		*spare = turn_clock(cache, partition, 0, STEPS_SOUGHT,
							RANK_SMALLER + USAGE_MAX, spare_size);
	if (entry != NULL || *free_entries == NO_ENTRY)
	{
		*spare = block;
		*spare_size = size;
		return entry;
	}
	entry = &entries_of(cache, partition)[*free_entries];
	*free_entries = entry->next;
	entry->key = *key;
	entry->block = block;
	entry->size = size;
	entry->vector = *vector;
	atomic_store_explicit(&entry->pins, 1, memory_order_relaxed);
	atomic_store_explicit(&entry->usage, use == REEF_PAGE_SOUGHT ? 1 : 0,
						  memory_order_relaxed);
	entry->next = *bucket;
	*bucket = (uint32_t) (entry - entries_of(cache, partition));
	return entry;
}

ReefCachedPage *
reef_page_cache_insert(ReefPageCache *cache, const ReefHost *host,
					   const ReefPageKey *key, const ReefVector *vector,
					   uint32_t row_count, ReefPageUse use)
{
	uint32_t	partition = partition_of(hash_key(key));
	ReefPageCopy copy;
	ReefVector	copied;
	ReefCachedPage *entry = NULL;
	void	   *block = NULL;
	void	   *spare;
	size_t		size;
	size_t		spare_size;
	bool		may_evict = true;

	if (use == REEF_PAGE_PASSED && !admit_passed(cache, &may_evict))
		return NULL;
	if (!reef_page_copy_measure(&copy, vector, row_count))
	{
		reef_page_copy_release(&copy);
		return NULL;
	}
	size = (copy.size + REEF_SHARED_PAGE_SIZE - 1) / REEF_SHARED_PAGE_SIZE *
		REEF_SHARED_PAGE_SIZE;
	if (size > 0 && size <= cache->budget / LARGEST_SHARE)
		block = take_block(cache, host, size, use, may_evict);
	if (block != NULL)
	{
		reef_page_copy_write(&copy, block, &copied);
		lock_partition(cache, host, partition, true);
		entry = enter_block(cache, key, block, size, &copied, use, &spare,
							&spare_size);
		unlock_partition(cache, host, partition);
		free_block(cache, host, spare, spare_size);
	}
	reef_page_copy_release(&copy);
	return entry;
}

void
reef_page_cache_unpin(ReefCachedPage *page)
{
	uint32_t	before = atomic_fetch_sub_explicit(&page->pins, 1,
												   memory_order_release);

	assert(before > 0);
	(void) before;
}
