/*
 * test_arena.c
 *	  Memory of one operation: aligned, disjoint, limited, and all of it gone
 *	  afterwards (the leak checker sees to the last one).
 */
#include <string.h>

#include "base/arena.h"
#include "unit.h"

UNIT_TEST(test_arena__allocations_are_aligned_and_disjoint)
{
	ReefArena	arena;
	uint8_t    *places[500];
	size_t		sizes[500];
	size_t		i;
	size_t		k;

	reef_arena_init(&arena, 0);
	for (i = 0; i < 500; i++)
	{
		sizes[i] = (size_t) unit_random_below(i % 50 == 0 ? 5000 : 200);
		places[i] = reef_arena_alloc(&arena, sizes[i]);
		UNIT_CHECK(places[i] != NULL);
		UNIT_EQUAL_INT((uintptr_t) places[i] % 16, 0);
		memset(places[i], (int) (i % 251), sizes[i]);
	}
	for (i = 0; i < 500; i++)
	{
		for (k = 0; k < sizes[i]; k++)
			UNIT_EQUAL_INT(places[i][k], i % 251);
	}
	reef_arena_release(&arena);
	UNIT_EQUAL_INT(arena.size, 0);
}

UNIT_TEST(test_arena__it_is_usable_after_release)
{
	ReefArena	arena;

	reef_arena_init(&arena, 0);
	reef_arena_release(&arena);
	UNIT_CHECK(reef_arena_alloc(&arena, 10) != NULL);
	reef_arena_release(&arena);
	UNIT_CHECK(reef_arena_alloc(&arena, 10) != NULL);
	reef_arena_release(&arena);
}

UNIT_TEST(test_arena__the_limit_holds)
{
	ReefArena	arena;
	int			count = 0;

	reef_arena_init(&arena, 100000);
	UNIT_CHECK(reef_arena_alloc(&arena, 100001) == NULL);
	UNIT_CHECK(reef_arena_alloc(&arena, SIZE_MAX) == NULL);
	UNIT_CHECK(reef_arena_alloc(&arena, SIZE_MAX - 40) == NULL);
	while (reef_arena_alloc(&arena, 1000) != NULL)
	{
		UNIT_CHECK(arena.size <= 100000);
		count++;
	}
	/* Overhead may cost something, but not the better part. */
	UNIT_CHECK(count >= 80 && count <= 100);
	reef_arena_release(&arena);
}

UNIT_TEST(test_arena__a_damaged_length_is_refused_without_a_limit)
{
	ReefArena	arena;

	reef_arena_init(&arena, 0);
	UNIT_CHECK(reef_arena_alloc(&arena, SIZE_MAX) == NULL);
	UNIT_CHECK(reef_arena_alloc(&arena, SIZE_MAX / 2 + 1) == NULL);
	UNIT_CHECK(reef_arena_strndup(&arena, "x", SIZE_MAX) == NULL);
	UNIT_EQUAL_INT(arena.size, 0);
}

UNIT_TEST(test_arena__a_large_object_leaves_the_free_space_in_use)
{
	ReefArena	arena;
	uint8_t    *first;
	uint8_t    *second;

	reef_arena_init(&arena, 0);
	first = reef_arena_alloc(&arena, 16);
	UNIT_CHECK(reef_arena_alloc(&arena, 3 * 1024 * 1024) != NULL);
	second = reef_arena_alloc(&arena, 16);
	UNIT_CHECK(second > first && second < first + 1024);
	reef_arena_release(&arena);
}

UNIT_TEST(test_arena__reset_keeps_one_block)
{
	ReefArena	arena;
	size_t		before;
	size_t		kept;
	int			i;

	reef_arena_init(&arena, 0);
	reef_arena_reset(&arena);
	for (i = 0; i < 100; i++)
		UNIT_CHECK(reef_arena_alloc(&arena, 500) != NULL);
	before = arena.size;
	reef_arena_reset(&arena);
	kept = arena.size;
	UNIT_CHECK(kept > 0 && kept < before);
	UNIT_CHECK(reef_arena_alloc(&arena, 500) != NULL);
	UNIT_EQUAL_INT(arena.size, kept);
	reef_arena_release(&arena);
}

UNIT_TEST(test_arena__calloc_clears_memory_that_was_used)
{
	ReefArena	arena;
	uint8_t    *place;
	size_t		i;

	reef_arena_init(&arena, 0);
	place = reef_arena_alloc(&arena, 300);
	UNIT_CHECK(place != NULL);
	memset(place, 0xff, 300);
	reef_arena_reset(&arena);
	place = reef_arena_calloc(&arena, 300);
	UNIT_CHECK(place != NULL);
	for (i = 0; i < 300; i++)
		UNIT_EQUAL_INT(place[i], 0);
	reef_arena_release(&arena);
}

UNIT_TEST(test_arena__copies_do_not_depend_on_the_original)
{
	ReefArena	arena;
	char		text[] = "a\0b";
	char	   *string;
	char	   *part;
	ReefSlice	slice;

	reef_arena_init(&arena, 0);
	slice = reef_arena_copy(&arena, reef_slice(text, 3));
	part = reef_arena_strndup(&arena, text, 3);
	string = reef_arena_strdup(&arena, text);
	memset(text, 'z', sizeof(text));
	UNIT_EQUAL_BYTES(slice, reef_slice("a\0b", 3));
	UNIT_EQUAL_BYTES(reef_slice(part, 4), reef_slice("a\0b\0", 4));
	UNIT_EQUAL_STRING(string, "a");

	slice = reef_arena_copy(&arena, reef_slice(NULL, 0));
	UNIT_EQUAL_INT(slice.size, 0);
	UNIT_EQUAL_STRING(reef_arena_strndup(&arena, NULL, 0), "");
	reef_arena_release(&arena);
}

UNIT_TEST(test_arena__a_copy_that_does_not_fit_is_empty)
{
	static const uint8_t bytes[2000];
	ReefArena	arena;
	ReefSlice	slice;

	reef_arena_init(&arena, 1000);
	slice = reef_arena_copy(&arena, reef_slice(bytes, sizeof(bytes)));
	UNIT_CHECK(slice.data == NULL && slice.size == 0);
	reef_arena_release(&arena);
}
