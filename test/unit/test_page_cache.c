/*
 * test_page_cache.c
 *	  The shared page cache: what is found is what was put in, what is pinned
 *	  stays, what is not wanted goes.
 */
#include "engine/page_cache.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "fake_host.h"
#include "unit.h"

#define FIRST_LOCK (FAKE_HOST_LOCKS - REEF_PAGE_CACHE_LOCKS)
#define ROWS 512

typedef struct Bench
{
	FakeHost   *fake;
	const ReefHost *host;
	ReefPageCache *cache;
} Bench;

static void
bench_open(Bench *bench, size_t budget)
{
	bench->fake = fake_host_new();
	bench->fake->cache_budget = budget;
	bench->host = &bench->fake->host;
	bench->cache = aligned_alloc(64, (reef_page_cache_shared_size(budget) +
									  63) / 64 * 64);
	reef_page_cache_init(bench->cache, budget, FIRST_LOCK);
}

static void
bench_close(Bench *bench)
{
	free(bench->cache);
	fake_host_free(bench->fake);
}

static ReefPageKey
page_key(int number)
{
	ReefPageKey key = {"segment number ", number % 7, number / 7, number % 3};

	key.segment_id[15] = (uint8_t) (number % 5);
	return key;
}

/* Pages differ in kind, nulls and size, all by their number. */
typedef struct Page
{
	ReefVector	vector;
	uint32_t	row_count;
	int64_t		numbers[ROWS];
	ReefSlice	slices[ROWS];
	uint8_t		nulls[ROWS];
	char		bytes[ROWS * 12];
} Page;

static void
make_page(int number, Page *page)
{
	uint32_t	row;
	char	   *next = page->bytes;

	memset(page, 0, sizeof(*page));
	page->row_count = (uint32_t) (number * 37 % ROWS + 1);
	page->vector.kind = number % 2 == 0 ? REEF_KIND_INT64 : REEF_KIND_TEXT;
	page->vector.values = number % 2 == 0 ? (const void *) page->numbers :
		page->slices;
	page->vector.nulls = number % 3 == 0 ? page->nulls : NULL;
	for (row = 0; row < page->row_count; row++)
	{
		size_t		size = (size_t) snprintf(next, 12, "%x:%u", number & 0xffff,
											 row % 100);

		page->nulls[row] = number % 3 == 0 && row % 4 == 1;
		page->numbers[row] = number * 1000 + (int) row;
		page->slices[row] = reef_slice(next, size);
		/* every fifth string has been before */
		if (row % 5 == 4)
			page->slices[row] = page->slices[row - 4];
		else
			next += size;
	}
}

/* Of everything that a reader can see. */
static uint32_t
checksum(const ReefVector *vector, uint32_t row_count)
{
	uint32_t	crc = 0;
	uint32_t	row;

	for (row = 0; row < row_count; row++)
	{
		ReefValue	value;

		reef_vector_get(vector, (int) row, &value);
		crc = reef_crc32c(crc, &value.is_null, 1);
		if (value.is_null)
			continue;
		if (reef_kind_is_variable(vector->kind))
			crc = reef_crc32c(crc, value.as.bytes.data, value.as.bytes.size);
		else
			crc = reef_crc32c(crc, &value.as.int64, sizeof(int64_t));
	}
	return crc;
}

static bool
is_page(const ReefCachedPage *cached, int number)
{
	Page		page;

	make_page(number, &page);
	return checksum(reef_cached_page_vector(cached), page.row_count) ==
		checksum(&page.vector, page.row_count);
}

static ReefCachedPage *
insert(ReefPageCache *cache, const ReefHost *host, int number,
	   ReefPageUse use)
{
	ReefPageKey key = page_key(number);
	Page		page;

	make_page(number, &page);
	return reef_page_cache_insert(cache, host, &key, &page.vector,
								  page.row_count, use);
}

static ReefCachedPage *
find(const Bench *bench, int number)
{
	ReefPageKey key = page_key(number);

	return reef_page_cache_find(bench->cache, bench->host, &key,
								REEF_PAGE_SOUGHT);
}

static bool
is_there(const Bench *bench, int number)
{
	ReefCachedPage *found = find(bench, number);

	if (found != NULL)
		reef_page_cache_unpin(found);
	return found != NULL;
}

UNIT_TEST(test_page_cache__finds_what_was_inserted_and_nothing_else)
{
	Bench		bench;
	int			i;

	bench_open(&bench, 8 << 20);
	for (i = 0; i < 200; i++)
	{
		ReefCachedPage *page = insert(bench.cache, bench.host, i,
									  REEF_PAGE_SOUGHT);

		UNIT_CHECK(page != NULL && is_page(page, i));
		reef_page_cache_unpin(page);
	}
	for (i = 0; i < 200; i++)
	{
		ReefCachedPage *page = find(&bench, i);

		UNIT_CHECK(page != NULL && is_page(page, i));
		/* a second process that decoded the same gets the first one's */
		UNIT_CHECK(insert(bench.cache, bench.host, i,
						  REEF_PAGE_SOUGHT) == page);
		reef_page_cache_unpin(page);
		reef_page_cache_unpin(page);
	}
	for (i = 200; i < 400; i++)
		UNIT_CHECK(!is_there(&bench, i));
	bench_close(&bench);
}

UNIT_TEST(test_page_cache__random_use_under_a_small_budget)
{
	enum {NUMBERS = 600, PINS = 12};
	Bench		bench;
	ReefCachedPage *pinned[PINS] = {NULL};
	int			numbers[PINS] = {0};
	uint64_t	state = 1;
	int			hits = 0;
	int			i;

	/* room for about a tenth of the pages */
	bench_open(&bench, 512 * 1024);
	for (i = 0; i < 20000; i++)
	{
		int			number;
		int			slot;

		state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
		number = (int) ((state >> 33) % NUMBERS);
		slot = (int) ((state >> 20) % PINS);
		if (pinned[slot] != NULL)
		{
			if (!is_page(pinned[slot], numbers[slot]))
				break;
			reef_page_cache_unpin(pinned[slot]);
		}
		numbers[slot] = number;
		pinned[slot] = find(&bench, number);
		hits += pinned[slot] != NULL;
		if (pinned[slot] == NULL)
			pinned[slot] = insert(bench.cache, bench.host, number,
								  i % 3 == 0 ? REEF_PAGE_PASSED :
								  REEF_PAGE_SOUGHT);
		if (pinned[slot] != NULL && !is_page(pinned[slot], number))
			break;
	}
	UNIT_EQUAL_INT(i, 20000);
	UNIT_CHECK(hits > 500 && hits < 10000);
	UNIT_CHECK(bench.fake->cache_used > 256 * 1024);
	for (i = 0; i < PINS; i++)
	{
		if (pinned[i] != NULL)
			reef_page_cache_unpin(pinned[i]);
	}
	bench_close(&bench);
}

UNIT_TEST(test_page_cache__pins_keep_pages_and_a_full_cache_refuses)
{
	Bench		bench;
	ReefCachedPage *pinned[1000];
	int			count = 0;
	int			i;

	bench_open(&bench, 256 * 1024);
	while ((pinned[count] = insert(bench.cache, bench.host, count,
								   REEF_PAGE_SOUGHT)) != NULL)
		count++;
	UNIT_CHECK(count >= 32 && count < 200);
	for (i = 0; i < count; i++)
	{
		UNIT_CHECK(is_page(pinned[i], i));
		reef_page_cache_unpin(pinned[i]);
	}
	/* now there is room */
	pinned[0] = insert(bench.cache, bench.host, count, REEF_PAGE_SOUGHT);
	UNIT_CHECK(pinned[0] != NULL);
	reef_page_cache_unpin(pinned[0]);
	bench_close(&bench);
}

UNIT_TEST(test_page_cache__a_scan_does_not_drive_out_what_lookups_use)
{
	Bench		bench;
	int			kept = 0;
	int			i;
	int			round;

	bench_open(&bench, 1 << 20);
	for (round = 0; round < 3; round++)
	{
		for (i = 0; i < 100; i++)
		{
			ReefCachedPage *page = insert(bench.cache, bench.host, i,
										  REEF_PAGE_SOUGHT);

			UNIT_CHECK(page != NULL);
			reef_page_cache_unpin(page);
		}
	}
	for (i = 1000; i < 6000; i++)
	{
		ReefCachedPage *page = insert(bench.cache, bench.host, i,
									  REEF_PAGE_PASSED);

		if (page != NULL)
			reef_page_cache_unpin(page);
		/* lookups go on */
		if (i % 10 == 0)
			(void) is_there(&bench, i / 10 % 100);
	}
	for (i = 0; i < 100; i++)
		kept += is_there(&bench, i);
	UNIT_CHECK(kept >= 90);
	UNIT_CHECK(bench.fake->cache_used > (1 << 20) / 8 * 7 - 65536);
	bench_close(&bench);
}

UNIT_TEST(test_page_cache__scans_push_out_what_nobody_seeks_any_more)
{
	Bench		bench;
	int			left = 0;
	int			i;

	bench_open(&bench, 1 << 20);
	for (i = 0; i < 400; i++)
	{
		ReefCachedPage *page = insert(bench.cache, bench.host, i,
									  REEF_PAGE_SOUGHT);

		UNIT_CHECK(page != NULL);
		reef_page_cache_unpin(page);
	}
	for (i = 1000; i < 41000; i++)
	{
		ReefCachedPage *page = insert(bench.cache, bench.host, i,
									  REEF_PAGE_PASSED);

		if (page != NULL)
			reef_page_cache_unpin(page);
	}
	for (i = 0; i < 400; i++)
		left += is_there(&bench, i);
	UNIT_CHECK(left < 40);
	bench_close(&bench);
}

UNIT_TEST(test_page_cache__a_string_of_a_dictionary_is_copied_once)
{
	static const char *const words[] = {"pending", "shipped", "lost", ""};
	static ReefSlice slices[4096];
	static uint8_t nulls[4096];
	ReefVector	vector = {REEF_KIND_TEXT, nulls, slices};
	ReefVector	written;
	ReefPageCopy copy;
	uint8_t    *block;
	int			i;

	for (i = 0; i < 4096; i++)
	{
		nulls[i] = i % 11 == 3;
		slices[i] = nulls[i] ? reef_slice((const void *) 1, SIZE_MAX) :
			reef_slice(words[i * 7 % 4], strlen(words[i * 7 % 4]));
	}
	UNIT_CHECK(reef_page_copy_measure(&copy, &vector, 4096));
	UNIT_EQUAL_INT(copy.size, 4096 * (sizeof(ReefSlice) + 1) + 7 + 7 + 4);
	block = malloc(copy.size);
	reef_page_copy_write(&copy, block, &written);
	reef_page_copy_release(&copy);
	UNIT_EQUAL_INT(checksum(&written, 4096), checksum(&vector, 4096));
	for (i = 0; i < 4096; i++)
	{
		const ReefSlice *slice = (const ReefSlice *) written.values + i;

		UNIT_CHECK(nulls[i] != 0 || slice->size == 0 ||
				   (slice->data >= block &&
					slice->data + slice->size <= block + copy.size));
	}
	free(block);
}

/* Strings with lengths between them, as in a page, keep their distance; those
 * farther apart are not copied with what lies between. */
UNIT_TEST(test_page_cache__strings_are_copied_as_they_lie)
{
	static const char page[] = "\4\0\0\0four\0\0\0\0\3\0\0\0six..........far";
	ReefSlice	slices[4] = {
		{(const uint8_t *) page + 4, 4}, {(const uint8_t *) page + 12, 0},
		{(const uint8_t *) page + 16, 3}, {(const uint8_t *) page + 29, 3}
	};
	ReefVector	vector = {REEF_KIND_BYTES, NULL, slices};
	ReefVector	written;
	ReefPageCopy copy;
	uint8_t    *block;
	uint32_t	rows;

	for (rows = 0; rows <= 4; rows++)
	{
		static const size_t bytes[] = {0, 4, 8, 15, 10};

		UNIT_CHECK(reef_page_copy_measure(&copy, &vector, rows));
		UNIT_EQUAL_INT(copy.size, rows * sizeof(ReefSlice) + bytes[rows]);
		block = malloc(copy.size + 1);
		reef_page_copy_write(&copy, block, &written);
		reef_page_copy_release(&copy);
		UNIT_EQUAL_INT(checksum(&written, rows), checksum(&vector, rows));
		free(block);
	}
}

/* ---- several at once ---- */

static pthread_rwlock_t locks[REEF_PAGE_CACHE_LOCKS];
static pthread_mutex_t memory_lock = PTHREAD_MUTEX_INITIALIZER;
static ReefHost thread_host;
static Bench thread_bench;

static void
thread_lock(void *arg, int number, bool exclusive)
{
	(void) arg;
	if (exclusive)
		pthread_rwlock_wrlock(&locks[number - FIRST_LOCK]);
	else
		pthread_rwlock_rdlock(&locks[number - FIRST_LOCK]);
}

static void
thread_unlock(void *arg, int number)
{
	(void) arg;
	pthread_rwlock_unlock(&locks[number - FIRST_LOCK]);
}

static void *
thread_alloc(void *arg, size_t size)
{
	void	   *address;

	pthread_mutex_lock(&memory_lock);
	address = thread_bench.host->cache_alloc(arg, size);
	pthread_mutex_unlock(&memory_lock);
	return address;
}

static void
thread_free(void *arg, void *address, size_t size)
{
	pthread_mutex_lock(&memory_lock);
	thread_bench.host->cache_free(arg, address, size);
	pthread_mutex_unlock(&memory_lock);
}

static void *
use_pages(void *arg)
{
	uint64_t	state = (uint64_t) (uintptr_t) arg;
	intptr_t	wrong = 0;
	int			i;

	for (i = 0; i < 4000; i++)
	{
		ReefPageKey key;
		ReefCachedPage *page;
		int			number;

		state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
		number = (int) ((state >> 33) % 150);
		key = page_key(number);
		page = reef_page_cache_find(thread_bench.cache, &thread_host, &key,
									i % 2 ? REEF_PAGE_SOUGHT :
									REEF_PAGE_PASSED);
		if (page == NULL)
			page = insert(thread_bench.cache, &thread_host, number,
						  i % 4 ? REEF_PAGE_SOUGHT : REEF_PAGE_PASSED);
		if (page == NULL)
			continue;
		wrong += !is_page(page, number);
		reef_page_cache_unpin(page);
	}
	return (void *) wrong;
}

UNIT_TEST(test_page_cache__several_processes_see_whole_pages)
{
	enum {THREADS = 4};
	pthread_t	threads[THREADS];
	int			i;

	bench_open(&thread_bench, 256 * 1024);
	/* it makes its table when it is first used, and processes have each one */
	(void) reef_crc32c(0, "", 0);
	thread_host = *thread_bench.host;
	thread_host.lock = thread_lock;
	thread_host.unlock = thread_unlock;
	thread_host.cache_alloc = thread_alloc;
	thread_host.cache_free = thread_free;
	for (i = 0; i < REEF_PAGE_CACHE_LOCKS; i++)
		pthread_rwlock_init(&locks[i], NULL);
	for (i = 0; i < THREADS; i++)
		UNIT_EQUAL_INT(pthread_create(&threads[i], NULL, use_pages,
									  (void *) (uintptr_t) (i + 1)), 0);
	for (i = 0; i < THREADS; i++)
	{
		void	   *wrong;

		pthread_join(threads[i], &wrong);
		UNIT_EQUAL_INT((intptr_t) wrong, 0);
	}
	bench_close(&thread_bench);
}
