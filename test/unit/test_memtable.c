/*
 * test_memtable.c
 *	  The skip list, against a sorted array and against threads.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/memtable.h"
#include "fake_host.h"
#include "unit.h"

#define ROWS 4000
#define READERS 3

static void *
allocate(void *arg, size_t size)
{
	return reef_arena_alloc(arg, size);
}

static ReefSlice
make_key(char text[20], uint64_t number)
{
	int			size = snprintf(text, 20, "%08llu",
								(unsigned long long) number);

	return reef_slice(text, (size_t) size);
}

static void
insert(ReefSkipList *list, ReefArena *arena, uint64_t number, uint64_t stamp)
{
	ReefVersion *version = reef_arena_calloc(arena, sizeof(*version));
	ReefInsertion insertion;
	ReefError	err;
	char		text[20];

	version->base_lsn = stamp;
	version->cid = (uint32_t) number;
	UNIT_OK(reef_skiplist_prepare(list, make_key(text, number), version,
								  allocate, arena, &insertion, &err), &err);
	reef_skiplist_publish(list, &insertion);
}

UNIT_TEST(test_memtable__keys_are_found_and_come_in_order)
{
	ReefSkipList list;
	ReefArena	arena;
	ReefError	err;
	static uint8_t present[ROWS];
	uint64_t	next = 0;
	char		text[20];

	memset(present, 0, sizeof(present));
	reef_arena_init(&arena, 0);
	UNIT_OK(reef_skiplist_init(&list, allocate, &arena, 1, &err), &err);
	UNIT_CHECK(reef_skiplist_seek(&list, reef_slice(NULL, 0)) == NULL);
	for (int i = 0; i < ROWS; i++)
	{
		uint64_t	number = unit_random_below(ROWS);

		present[number]++;
		insert(&list, &arena, number, (uint64_t) i);
	}
	for (ReefNode *node = reef_skiplist_seek(&list, reef_slice(NULL, 0));
		 node != NULL; node = reef_skiplist_next(node))
	{
		int			versions = 0;

		while (!present[next])
			next++;
		UNIT_EQUAL_BYTES(node->key, make_key(text, next));
		for (ReefVersion *version = reef_node_newest(node); version != NULL;
			 version = version->older)
		{
			versions++;
			UNIT_CHECK(version->older == NULL ||
					   version->older->base_lsn < version->base_lsn);
		}
		UNIT_EQUAL_INT(versions, present[next]);
		next++;
	}
	for (uint64_t i = 0; i < ROWS; i++)
	{
		ReefNode   *node = reef_skiplist_find(&list, make_key(text, i));

		UNIT_EQUAL_INT(node != NULL, present[i] != 0);
		node = reef_skiplist_seek(&list, make_key(text, i));
		UNIT_CHECK(node == NULL ||
				   reef_slice_compare(node->key, make_key(text, i)) >= 0);
	}
	reef_arena_release(&arena);
}

UNIT_TEST(test_memtable__two_insertions_of_a_key_prepared_together)
{
	ReefSkipList list;
	ReefArena	arena;
	ReefInsertion insertions[2];
	ReefVersion versions[2] = {{.base_lsn = 1}, {.base_lsn = 2}};
	ReefNode   *node;
	ReefError	err;
	char		text[20];

	reef_arena_init(&arena, 0);
	UNIT_OK(reef_skiplist_init(&list, allocate, &arena, 1, &err), &err);
	for (int i = 0; i < 2; i++)
		UNIT_OK(reef_skiplist_prepare(&list, make_key(text, 5), &versions[i],
									  allocate, &arena, &insertions[i], &err),
				&err);
	UNIT_CHECK(reef_skiplist_find(&list, make_key(text, 5)) == NULL);
	for (int i = 0; i < 2; i++)
		reef_skiplist_publish(&list, &insertions[i]);
	node = reef_skiplist_find(&list, make_key(text, 5));
	UNIT_CHECK(reef_node_newest(node) == &versions[1]);
	UNIT_CHECK(versions[1].older == &versions[0]);
	UNIT_CHECK(reef_skiplist_next(node) == NULL);
	reef_arena_release(&arena);
}

UNIT_TEST(test_memtable__a_generation_gives_everything_back)
{
	FakeHost   *fake = fake_host_new();
	ReefGeneration *generation;
	ReefError	err;
	size_t		sizes[] = {1, 16, 5000, 100, 300000, 40, 70000, 8};

	UNIT_OK(reef_generation_new(&fake->host, 7, &generation, &err), &err);
	for (int i = 0; i < 2000; i++)
	{
		size_t		size = sizes[unit_random_below(8)];
		uint8_t    *piece;

		piece = reef_generation_alloc(&fake->host, generation, size);
		UNIT_CHECK(piece != NULL && (uintptr_t) piece % 16 == 0);
		memset(piece, i, size);
	}
	UNIT_EQUAL_INT(atomic_load(&generation->size),
				   fake_host_shared_used(fake));
	fake->shared_budget = fake->shared_used;
	UNIT_CHECK(reef_generation_alloc(&fake->host, generation,
									 1000000) == NULL);
	reef_generation_free(&fake->host, generation);
	UNIT_EQUAL_INT(fake_host_shared_used(fake), 0);
	fake_host_free(fake);
}

/* ---- threads ---- */

typedef struct Race
{
	ReefSkipList list;
	_Atomic uint64_t published; /* rows 0 .. published-1 must be found */
	_Atomic int mistakes;
} Race;

/* Row i has key shuffle(i), so that insertions go everywhere. */
static uint64_t
shuffle(uint64_t i)
{
	return i * 2654435761U % 99999989U;
}

static void *
read_race(void *arg)
{
	Race	   *race = arg;
	uint64_t	published = 0;
	char		text[20];

	while (published < ROWS)
	{
		ReefNode   *node;
		uint64_t	count = 0;

		published = atomic_load(&race->published);
		for (node = reef_skiplist_seek(&race->list, reef_slice(NULL, 0));
			 node != NULL; node = reef_skiplist_next(node))
		{
			const ReefVersion *version = reef_node_newest(node);

			count++;
			if (version == NULL ||
				!reef_slice_equal(node->key,
								  make_key(text, version->cid)))
				atomic_fetch_add(&race->mistakes, 1);
		}
		if (count < published)
			atomic_fetch_add(&race->mistakes, 1);
		for (uint64_t i = 0; i < published; i += 97)
		{
			if (reef_skiplist_find(&race->list,
								   make_key(text, shuffle(i))) == NULL)
				atomic_fetch_add(&race->mistakes, 1);
		}
	}
	return NULL;
}

UNIT_TEST(test_memtable__readers_run_beside_the_mutator)
{
	static Race race;
	pthread_t	readers[READERS];
	ReefArena	arena;
	ReefError	err;

	memset(&race, 0, sizeof(race));
	reef_arena_init(&arena, 0);
	UNIT_OK(reef_skiplist_init(&race.list, allocate, &arena, 1, &err), &err);
	for (int i = 0; i < READERS; i++)
		UNIT_EQUAL_INT(pthread_create(&readers[i], NULL, read_race, &race), 0);
	for (uint64_t i = 0; i < ROWS; i++)
	{
		insert(&race.list, &arena, shuffle(i), i);
		atomic_store(&race.published, i + 1);
	}
	for (int i = 0; i < READERS; i++)
		UNIT_EQUAL_INT(pthread_join(readers[i], NULL), 0);
	UNIT_EQUAL_INT(atomic_load(&race.mistakes), 0);
	reef_arena_release(&arena);
}
