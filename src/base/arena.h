/*
 * arena.h
 *	  Memory of one operation: allocate freely, release once.
 *
 * Blocks come from malloc and double in size up to 1 MB.  A limit in bytes
 * (0 = none) turns a runaway allocation, such as a length field read from a
 * damaged object, into a NULL instead of an unbounded malloc.
 */
#ifndef REEF_BASE_ARENA_H
#define REEF_BASE_ARENA_H

#include <stddef.h>

#include "base/bytes.h"

typedef struct ReefArenaBlock ReefArenaBlock;

typedef struct ReefArena
{
	ReefArenaBlock *blocks;		/* newest first */
	size_t		limit;			/* bytes, 0 = unlimited */
	size_t		size;			/* bytes taken from malloc */
} ReefArena;

extern void reef_arena_init(ReefArena *arena, size_t limit);
/* Frees everything; the arena may be used again. */
extern void reef_arena_release(ReefArena *arena);
/* Keeps the newest block for reuse, frees the rest. */
extern void reef_arena_reset(ReefArena *arena);
/* 16-byte aligned; NULL when out of memory or over the limit. */
extern void *reef_arena_alloc(ReefArena *arena, size_t size);
extern void *reef_arena_calloc(ReefArena *arena, size_t size);
extern char *reef_arena_strdup(ReefArena *arena, const char *string);
extern char *reef_arena_strndup(ReefArena *arena, const void *data, size_t size);
/* Copies the bytes; {NULL, 0} on failure of a non-empty slice. */
extern ReefSlice reef_arena_copy(ReefArena *arena, ReefSlice slice);

#endif							/* REEF_BASE_ARENA_H */
