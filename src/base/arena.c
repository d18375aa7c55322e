/*
 * arena.c
 *	  Memory of one operation.
 *
 * Decoding a manifest or a record makes thousands of small objects that all
 * die together, on success as on every error path.  They are cut from a few
 * large blocks, so that nobody has to free them one by one and no error path
 * can forget one.
 *
 * A request that does not fit the newest block gets a new block.  If it is
 * larger than a block would be, it gets one of its own that is put behind the
 * newest, whose free space therefore stays in use.
 *
 * Under AddressSanitizer the free space is poisoned and a gap is left after
 * each allocation; an overrun inside a block would otherwise go unnoticed.
 */
#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef __SANITIZE_ADDRESS__
#define ARENA_IS_CHECKED
#endif
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define ARENA_IS_CHECKED
#endif
#endif

#ifdef ARENA_IS_CHECKED
#include <sanitizer/asan_interface.h>
#define ARENA_GAP 16
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void) (address))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void) (address))
#define ARENA_GAP 0
#endif

#define ARENA_ALIGNMENT 16
#define ARENA_FIRST_BLOCK_SIZE 1024
#define ARENA_MAX_BLOCK_SIZE ((size_t) 1024 * 1024)

struct ReefArenaBlock
{
	ReefArenaBlock *next;
	size_t		size;			/* of "data" */
	size_t		used;
	_Alignas(ARENA_ALIGNMENT) uint8_t data[];
};

void
reef_arena_init(ReefArena *arena, size_t limit)
{
	arena->blocks = NULL;
	arena->limit = limit;
	arena->size = 0;
}

static void
free_blocks(ReefArena *arena, ReefArenaBlock *block)
{
	while (block != NULL)
	{
		ReefArenaBlock *next = block->next;

		arena->size -= sizeof(*block) + block->size;
		ASAN_UNPOISON_MEMORY_REGION(block->data, block->size);
		free(block);
		block = next;
	}
}

void
reef_arena_release(ReefArena *arena)
{
	free_blocks(arena, arena->blocks);
	arena->blocks = NULL;
}

void
reef_arena_reset(ReefArena *arena)
{
	ReefArenaBlock *newest = arena->blocks;

	if (newest == NULL)
		return;
	free_blocks(arena, newest->next);
	newest->next = NULL;
	newest->used = 0;
	ASAN_POISON_MEMORY_REGION(newest->data, newest->size);
}

/* A block with room for "needed" bytes, linked into the arena; or NULL. */
static ReefArenaBlock *
add_block(ReefArena *arena, size_t needed)
{
	ReefArenaBlock *newest = arena->blocks;
	ReefArenaBlock *block;
	size_t		size = ARENA_FIRST_BLOCK_SIZE;
	size_t		room = SIZE_MAX / 2;

	if (newest != NULL)
		size = newest->size * 2;
	if (size > ARENA_MAX_BLOCK_SIZE)
		size = ARENA_MAX_BLOCK_SIZE;
	if (size < needed)
		size = needed;

	/* Near the limit a block may be as small as the request. */
	if (arena->limit > 0)
		room = arena->limit > arena->size ? arena->limit - arena->size : 0;
	if (room < sizeof(*block) || needed > room - sizeof(*block))
		return NULL;
	if (size > room - sizeof(*block))
		size = needed;

	block = malloc(sizeof(*block) + size);
	if (block == NULL)
		return NULL;
	arena->size += sizeof(*block) + size;
	block->size = size;
	block->used = 0;
	ASAN_POISON_MEMORY_REGION(block->data, size);

	if (newest != NULL && size == needed)
	{
		block->next = newest->next;
		newest->next = block;
	}
	else
	{
		block->next = newest;
		arena->blocks = block;
	}
	return block;
}

void *
reef_arena_alloc(ReefArena *arena, size_t size)
{
	ReefArenaBlock *block = arena->blocks;
	size_t		needed;
	void	   *place;

	if (size > SIZE_MAX / 2)
		return NULL;
	needed = (size + ARENA_GAP + ARENA_ALIGNMENT - 1) &
		~(size_t) (ARENA_ALIGNMENT - 1);
	if (block == NULL || needed > block->size - block->used)
	{
		block = add_block(arena, needed);
		if (block == NULL)
			return NULL;
	}
	place = block->data + block->used;
	block->used += needed;
	ASAN_UNPOISON_MEMORY_REGION(place, size);
	return place;
}

void *
reef_arena_calloc(ReefArena *arena, size_t size)
{
	void	   *place = reef_arena_alloc(arena, size);

	if (place != NULL)
		memset(place, 0, size);
	return place;
}

char *
reef_arena_strdup(ReefArena *arena, const char *string)
{
	return reef_arena_strndup(arena, string, strlen(string));
}

char *
reef_arena_strndup(ReefArena *arena, const void *data, size_t size)
{
	char	   *copy;

	if (size == SIZE_MAX)
		return NULL;
	copy = reef_arena_alloc(arena, size + 1);
	if (copy == NULL)
		return NULL;
	if (size > 0)
		memcpy(copy, data, size);
	copy[size] = '\0';
	return copy;
}

ReefSlice
reef_arena_copy(ReefArena *arena, ReefSlice slice)
{
	uint8_t    *copy;

	if (slice.size == 0)
		return reef_slice(NULL, 0);
	copy = reef_arena_alloc(arena, slice.size);
	if (copy == NULL)
		return reef_slice(NULL, 0);
	memcpy(copy, slice.data, slice.size);
	return reef_slice(copy, slice.size);
}
