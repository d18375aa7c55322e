/*
 * skiplist.c
 *	  The ordered map under a memtable generation and a transaction's buffer.
 *
 * Problem: scans in many processes walk the rows while a commit adds to them,
 * and neither may wait for the other.
 *
 * Mechanism: one mutator (the holder of the commit right), and a list to which
 * nothing but additions happen.  A node is complete before it becomes
 * reachable, and becomes reachable level by level from the bottom up, each
 * time by one release store.  Readers load with acquire, so whatever they
 * reach is complete; a reader that comes down from a high level never misses a
 * node that the bottom level has, because level 0 alone is the truth and the
 * others are only shortcuts into it.
 *
 * Consequence: nodes and versions are never removed or moved.  Memory goes
 * back with the whole list, by whoever gave it.
 */
#include "engine/memtable.h"

/* One node in four has another level: 1.33 pointers a node on average. */
#define SKIPLIST_BRANCHING_BITS 2

static size_t
node_size(int height, size_t key_size)
{
	return sizeof(ReefNode) +
		(size_t) height * sizeof(_Atomic(ReefNode *)) + key_size;
}

static ReefNode *
node_new(int height, ReefSlice key, ReefAllocate allocate, void *arg)
{
	ReefNode   *node = allocate(arg, node_size(height, key.size));
	uint8_t    *copy;
	int			level;

	if (node == NULL)
		return NULL;
	copy = (uint8_t *) node + node_size(height, 0);
	if (key.size > 0)
		memcpy(copy, key.data, key.size);
	node->key = reef_slice(copy, key.size);
	node->height = (uint8_t) height;
	atomic_init(&node->newest, NULL);
	for (level = 0; level < height; level++)
		atomic_init(&node->next[level], NULL);
	return node;
}

/* xorshift64*: heights need no better randomness */
static int
random_height(ReefSkipList *list)
{
	uint64_t	bits;
	int			height = 1;

	list->random ^= list->random >> 12;
	list->random ^= list->random << 25;
	list->random ^= list->random >> 27;
	bits = (list->random * UINT64_C(0x2545f4914f6cdd1d)) >> 16;
	while (height < REEF_SKIPLIST_MAX_HEIGHT &&
		   (bits & ((1 << SKIPLIST_BRANCHING_BITS) - 1)) == 0)
	{
		bits >>= SKIPLIST_BRANCHING_BITS;
		height++;
	}
	return height;
}

ReefCode
reef_skiplist_init(ReefSkipList *list, ReefAllocate allocate, void *arg,
				   uint64_t seed, ReefError *err)
{
	list->head = node_new(REEF_SKIPLIST_MAX_HEIGHT, reef_slice(NULL, 0),
						  allocate, arg);
	if (list->head == NULL)
		return reef_error_set(err, REEF_LIMIT,
							  "memory for a memtable is used up", NULL);
	/* the generator never leaves 0 */
	list->random = seed | 1;
	list->node_count = 0;
	return REEF_OK;
}

/*
 * The first node with a key >= "key".  If previous is not NULL, it gets the
 * last node before that place on each level.
 */
static ReefNode *
seek(const ReefSkipList *list, ReefSlice key, ReefNode **previous)
{
	ReefNode   *node = list->head;
	ReefNode   *next = NULL;
	int			level;

	for (level = REEF_SKIPLIST_MAX_HEIGHT - 1; level >= 0; level--)
	{
		for (;;)
		{
			next = atomic_load_explicit(&node->next[level],
										memory_order_acquire);
			if (next == NULL || reef_slice_compare(next->key, key) >= 0)
				break;
			node = next;
		}
		if (previous != NULL)
			previous[level] = node;
	}
	return next;
}

ReefNode *
reef_skiplist_seek(const ReefSkipList *list, ReefSlice key)
{
	if (key.size == 0)
		return reef_skiplist_next(list->head);
	return seek(list, key, NULL);
}

ReefNode *
reef_skiplist_find(const ReefSkipList *list, ReefSlice key)
{
	ReefNode   *node = seek(list, key, NULL);

	if (node != NULL && reef_slice_equal(node->key, key))
		return node;
	return NULL;
}

ReefNode *
reef_skiplist_next(const ReefNode *node)
{
	return atomic_load_explicit(&node->next[0], memory_order_acquire);
}

ReefVersion *
reef_node_newest(const ReefNode *node)
{
	return atomic_load_explicit(&node->newest, memory_order_acquire);
}

ReefCode
reef_skiplist_prepare(ReefSkipList *list, ReefSlice key, ReefVersion *version,
					  ReefAllocate allocate, void *arg,
					  ReefInsertion *insertion, ReefError *err)
{
	ReefNode   *node = reef_skiplist_find(list, key);

	if (node == NULL)
		node = node_new(random_height(list), key, allocate, arg);
	insertion->node = node;
	insertion->version = version;
	if (node == NULL)
		return reef_error_set(err, REEF_LIMIT,
							  "memory for a memtable is used up", NULL);
	return REEF_OK;
}

void
reef_skiplist_publish(ReefSkipList *list, const ReefInsertion *insertion)
{
	ReefNode   *previous[REEF_SKIPLIST_MAX_HEIGHT];
	ReefNode   *node = insertion->node;
	ReefNode   *found = seek(list, node->key, previous);
	int			level;

	/*
	 * Another insertion with this key may have been prepared before and
	 * published since: then its node is the one.
	 */
	if (found != NULL && reef_slice_equal(found->key, node->key))
	{
		insertion->version->older =
			atomic_load_explicit(&found->newest, memory_order_relaxed);
		atomic_store_explicit(&found->newest, insertion->version,
							  memory_order_release);
		return;
	}

	insertion->version->older = NULL;
	atomic_store_explicit(&node->newest, insertion->version,
						  memory_order_relaxed);
	for (level = 0; level < node->height; level++)
	{
		ReefNode   *next;

		next = atomic_load_explicit(&previous[level]->next[level],
									memory_order_relaxed);
		atomic_store_explicit(&node->next[level], next, memory_order_relaxed);
		atomic_store_explicit(&previous[level]->next[level], node,
							  memory_order_release);
	}
	list->node_count++;
}
