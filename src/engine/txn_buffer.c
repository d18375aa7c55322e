/*
 * txn_buffer.c
 *	  The skip list of a transaction's own rows, in private memory.
 *
 * It has the shape of a memtable's, so that scans read both alike, but one
 * process alone uses it: an insertion searches once, and one behind the last
 * key - COPY of sorted rows, hidden keys - does not search at all, because the
 * last node of each level is known.
 */
#include "engine/txn_state.h"

#include <stdlib.h>

static void *
allocate(void *arg, size_t size)
{
	return reef_arena_alloc(arg, size);
}

ReefCode
reef_own_rows_new(ReefOwnRows **result, uint64_t seed, ReefError *err)
{
	ReefOwnRows *rows = calloc(1, sizeof(*rows));
	ReefCode	rc;
	int			i;

	if (rows == NULL)
		return reef_error_no_memory(err, sizeof(*rows));
	rows->references = 1;
	reef_arena_init(&rows->arena, 0);
	rc = reef_skiplist_init(&rows->list, allocate, &rows->arena, seed, err);
	if (rc != REEF_OK)
	{
		reef_own_rows_unpin(rows);
		return rc;
	}
	for (i = 0; i < REEF_SKIPLIST_MAX_HEIGHT; i++)
		rows->tails[i] = rows->list.head;
	*result = rows;
	return REEF_OK;
}

void
reef_own_rows_unpin(ReefOwnRows *rows)
{
	if (rows == NULL || --rows->references > 0)
		return;
	reef_arena_release(&rows->arena);
	free(rows);
}

/* Is the key above all that are there? */
static bool
is_beyond_last(const ReefOwnRows *rows, ReefSlice key)
{
	return rows->tails[0] == rows->list.head ||
		reef_slice_compare(key, rows->tails[0]->key) > 0;
}

ReefNode *
reef_own_rows_find(const ReefOwnRows *rows, ReefSlice key)
{
	if (is_beyond_last(rows, key))
		return NULL;
	return reef_skiplist_find(&rows->list, key);
}

ReefVersion *
reef_own_newest(const ReefNode *node)
{
	ReefVersion *version = reef_node_newest(node);

	while (version != NULL && version->is_dead)
		version = version->older;
	return version;
}

const ReefVersion *
reef_own_version(const ReefNode *node, uint32_t cid)
{
	const ReefVersion *version = reef_node_newest(node);

	while (version != NULL && (version->is_dead || version->cid >= cid))
		version = version->older;
	return version;
}

static ReefNode *
next_of(const ReefNode *node, int level)
{
	return atomic_load_explicit(&node->next[level], memory_order_relaxed);
}

/* The node with this key, or NULL and the places before it. */
static ReefNode *
search(const ReefOwnRows *rows, ReefSlice key, ReefNode **previous)
{
	ReefNode   *node = rows->list.head;
	ReefNode   *next = NULL;
	int			level;

	for (level = REEF_SKIPLIST_MAX_HEIGHT - 1; level >= 0; level--)
	{
		while ((next = next_of(node, level)) != NULL &&
			   reef_slice_compare(next->key, key) < 0)
			node = next;
		previous[level] = node;
	}
	if (next != NULL && reef_slice_equal(next->key, key))
		return next;
	return NULL;
}

/* One level in four nodes, as in a memtable. */
static int
random_height(ReefSkipList *list)
{
	uint64_t	bits;
	int			height = 1;

	list->random ^= list->random >> 12;
	list->random ^= list->random << 25;
	list->random ^= list->random >> 27;
	bits = list->random * UINT64_C(0x2545f4914f6cdd1d) >> 16;
	for (; height < REEF_SKIPLIST_MAX_HEIGHT && (bits & 3) == 0; bits >>= 2)
		height++;
	return height;
}

static ReefCode
add_node(ReefOwnRows *rows, ReefSlice key, ReefNode **previous,
		 ReefVersion *version, ReefError *err)
{
	int			height = random_height(&rows->list);
	size_t		size = sizeof(ReefNode) +
		(size_t) height * sizeof(_Atomic(ReefNode *));
	ReefNode   *node = reef_arena_alloc(&rows->arena, size + key.size);
	uint8_t    *copy = (uint8_t *) node + size;
	int			level;

	if (node == NULL)
		return reef_error_no_memory(err, size + key.size);
	memcpy(copy, key.data, key.size);
	node->key = reef_slice(copy, key.size);
	node->height = (uint8_t) height;
	version->older = NULL;
	atomic_init(&node->newest, version);
	for (level = 0; level < height; level++)
	{
		ReefNode   *next = next_of(previous[level], level);

		atomic_init(&node->next[level], next);
		atomic_store_explicit(&previous[level]->next[level], node,
							  memory_order_relaxed);
		if (next == NULL)
			rows->tails[level] = node;
	}
	rows->list.node_count++;
	return REEF_OK;
}

ReefCode
reef_own_rows_add(ReefOwnRows *rows, ReefSlice key, ReefVersion *version,
				  ReefError *err)
{
	ReefNode   *previous[REEF_SKIPLIST_MAX_HEIGHT];
	ReefNode   *node;

	if (is_beyond_last(rows, key))
		return add_node(rows, key, rows->tails, version, err);
	node = search(rows, key, previous);
	if (node == NULL)
		return add_node(rows, key, previous, version, err);
	version->older = reef_node_newest(node);
	atomic_store_explicit(&node->newest, version, memory_order_relaxed);
	return REEF_OK;
}
